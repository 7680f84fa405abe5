//! Failures that are injected into a deploy, one by one, against a real engine: each has the verdict that must come,
//! with its stable code and the engine's own words, how soon it is certain, and what the stack is afterwards, task by
//! task, beside its last good revision.
//!
//! `case.rs` is what most have in common; the rest is by where the failure comes from.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests, though clippy cannot see it: they have no libtest"
)]

mod before;
mod case;
mod disk;
mod engine;
mod meddling;
mod nodes;
mod restarts;
#[path = "../support/mod.rs"]
mod support;
mod tasks;

use support::{Need, Test, run};

const ENGINE: &[Need] = &[Need::Engine];
const REGISTRY: &[Need] = &[Need::Engine, Need::Registry];
const OWN: &[Need] = &[Need::OwnEngines];
const ALONE: &[Need] = &[Need::EngineToStop];

const TESTS: &[Test] = &[
    // The agent itself: they take the longest.
    Test { name: "the_agent_restarts_in_each_phase_of_a_good_deploy", needs: ENGINE, body: restarts::of_a_good_deploy },
    Test { name: "the_agent_restarts_in_each_phase_of_a_bad_deploy", needs: ENGINE, body: restarts::of_a_bad_deploy },
    Test { name: "the_agent_restarts_on_the_way_back", needs: ENGINE, body: restarts::on_the_way_back },
    // What becomes of tasks.
    Test { name: "a_missing_image", needs: ENGINE, body: tasks::missing_image },
    Test { name: "a_crashing_task", needs: ENGINE, body: tasks::crash },
    Test { name: "a_failing_health_check", needs: ENGINE, body: tasks::unhealthy },
    Test { name: "a_task_that_uses_too_much_memory", needs: ENGINE, body: tasks::out_of_memory },
    Test { name: "a_program_that_is_not_there", needs: ENGINE, body: tasks::no_program },
    Test { name: "a_program_that_cannot_be_executed", needs: ENGINE, body: tasks::no_format },
    Test { name: "a_log_driver_that_is_not_there", needs: ENGINE, body: tasks::log_driver },
    Test { name: "a_bind_source_that_is_not_there", needs: ENGINE, body: tasks::bind_source },
    Test { name: "a_volume_driver_that_is_not_there", needs: ENGINE, body: tasks::volume_driver },
    Test { name: "no_node_with_the_label", needs: ENGINE, body: tasks::no_node },
    Test { name: "no_node_with_so_much_to_spare", needs: ENGINE, body: tasks::no_resources },
    Test { name: "a_network_that_the_manager_cannot_set_up", needs: ENGINE, body: tasks::network },
    Test { name: "a_host_port_that_another_service_has", needs: ENGINE, body: tasks::host_port },
    Test { name: "an_ingress_port_that_another_stack_has", needs: ENGINE, body: tasks::ingress_port },
    Test { name: "start_first_without_room_for_two_host_ports", needs: ENGINE, body: tasks::start_first },
    Test { name: "an_update_that_pauses_half_way", needs: ENGINE, body: tasks::half_way },
    Test { name: "an_update_that_swarm_takes_back", needs: ENGINE, body: tasks::taken_back },
    Test { name: "an_update_whose_failures_are_allowed", needs: ENGINE, body: tasks::allowed_ratio },
    Test { name: "a_task_that_dies_after_the_monitor", needs: ENGINE, body: tasks::after_the_monitor },
    Test { name: "a_task_that_is_never_ready", needs: ENGINE, body: tasks::never_ready },
    Test { name: "a_job_that_fails_beside_an_update", needs: ENGINE, body: tasks::job },
    Test { name: "what_failed_is_left", needs: ENGINE, body: tasks::left },
    Test { name: "what_failed_is_paused", needs: ENGINE, body: tasks::paused },
    Test { name: "a_global_service_while_the_only_node_drains", needs: ALONE, body: engine::drained },
    // What is refused.
    Test { name: "a_secret_that_is_not_there", needs: ENGINE, body: before::missing_secret },
    Test { name: "a_secret_that_is_too_large", needs: ENGINE, body: before::large_secret },
    Test { name: "a_template_that_the_manager_cannot_read", needs: ENGINE, body: before::template },
    Test { name: "a_network_driver_that_is_not_there", needs: ENGINE, body: before::network_driver },
    Test { name: "a_wrong_password_for_the_registry", needs: REGISTRY, body: before::wrong_password },
    Test { name: "an_image_for_another_platform", needs: REGISTRY, body: before::other_platform },
    Test { name: "a_registry_that_goes_away_in_the_middle", needs: REGISTRY, body: before::registry_goes },
    // Somebody else.
    Test { name: "somebody_updates_a_service_before_it_is_written", needs: ENGINE, body: meddling::updated_before },
    Test { name: "somebody_updates_a_service_after_it_was_written", needs: ENGINE, body: meddling::updated_after },
    Test { name: "somebody_removes_a_service_before_it_is_written", needs: ENGINE, body: meddling::removed_before },
    Test { name: "somebody_removes_a_service_after_it_was_written", needs: ENGINE, body: meddling::removed_after },
    Test { name: "somebody_removes_a_service_that_did_not_change", needs: ENGINE, body: meddling::removed_unchanged },
    Test { name: "somebody_makes_a_config_of_the_same_name", needs: ENGINE, body: meddling::config_made },
    Test { name: "somebody_removes_a_config_before_it_is_used", needs: ENGINE, body: meddling::config_removed },
    Test { name: "somebody_removes_a_network_before_it_is_used", needs: ENGINE, body: meddling::network_removed },
    Test { name: "somebody_cancels_it_half_way", needs: ENGINE, body: meddling::cancelled },
    // The engine.
    Test { name: "the_engine_is_killed_in_a_good_deploy", needs: ALONE, body: engine::killed_in_a_good_deploy },
    Test { name: "the_engine_is_stopped_in_a_good_deploy", needs: ALONE, body: engine::stopped_in_a_good_deploy },
    Test { name: "the_engine_is_killed_in_a_bad_deploy", needs: ALONE, body: engine::killed_in_a_bad_deploy },
    Test { name: "the_engine_is_killed_on_the_way_back", needs: ALONE, body: engine::killed_on_the_way_back },
    Test { name: "the_disk_of_the_engine_is_full", needs: OWN, body: engine::full_disk },
    // Other nodes.
    Test { name: "a_node_drains_under_a_global_service", needs: OWN, body: nodes::drained },
    Test { name: "a_node_is_lost_before_a_task_that_is_bound_to_it", needs: OWN, body: nodes::lost },
    Test { name: "the_leader_is_lost_in_a_good_deploy_and_then_there_is_none", needs: OWN, body: nodes::leader_in_a_good_deploy },
    Test { name: "the_leader_is_lost_in_a_bad_deploy", needs: OWN, body: nodes::leader_in_a_bad_deploy },
    Test { name: "the_leader_that_is_lost_is_the_engine_of_the_agent", needs: OWN, body: nodes::leader_of_the_agent },
    Test { name: "many_images_on_a_disk_with_little_room", needs: &[Need::OwnEngines, Need::Registry], body: disk::many_images },
];

fn main() -> std::process::ExitCode {
    run("failing", TESTS)
}

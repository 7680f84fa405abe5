//! The local socket of a real agent: what it answers, and what hostile clients cost.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests, though clippy cannot see it: they have no libtest"
)]

mod client;
mod described;
mod hostile;
mod levels;
mod road;
#[path = "../support/mod.rs"]
mod support;

use support::{Need, Test, run};

const TESTS: &[Test] = &[
    Test { name: "every_path_answers_as_it_is_described", needs: &[Need::Engine], body: described::paths },
    Test { name: "a_stack_is_planned_deployed_changed_rolled_back_and_removed", needs: &[Need::Engine], body: road::life },
    Test { name: "a_command_goes_on_without_its_client_and_is_cancelled_by_another", needs: &[Need::Engine], body: road::cancelled },
    Test { name: "logs_of_all_services_are_read_and_followed", needs: &[Need::Engine], body: road::logs },
    Test { name: "who_listens_is_told_when_the_agent_leaves", needs: &[], body: road::leaving },
    Test { name: "every_line_and_event_of_a_command_is_in_its_trace_also_after_kill_9", needs: &[Need::Engine], body: levels::traced },
    Test { name: "clients_set_levels_of_the_log_until_a_reload", needs: &[], body: levels::set },
    Test { name: "the_journal_is_told_how_grave_each_line_is", needs: &[], body: levels::journal },
    Test { name: "malformed_requests_are_answered_and_nothing_is_done", needs: &[], body: hostile::malformed },
    Test { name: "slow_and_idle_clients_cost_little_and_hold_nobody_up", needs: &[], body: hostile::crowd },
    Test { name: "the_health_pages_bear_the_same_crowds", needs: &[], body: hostile::before_the_pages },
];

fn main() -> std::process::ExitCode {
    run("ipc", TESTS)
}

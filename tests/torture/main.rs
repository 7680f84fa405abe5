//! The proof of delivery: an agent that dies at every step, and at any moment, against a real broker where
//! there is one and a scripted engine; then three histories are compared: the commands that were sent, the
//! changes that the engine saw, the events that a reader of what is committed finds. Beside it, an engine that is
//! slow on demand shows that heartbeats do not wait for a deploy.
//!
//! Beside dying: a deploy that takes an hour, losses, a full disk, everything away, everything a black hole.
//!
//! `make test` runs a short form; `AXION_TORTURE=N` (`make torture N=…`) each crash point at its first three passes,
//! each of them again with another crash in the recovery, N kills at random moments, a tenth of N bounces of the broker,
//! a black hole of ten minutes, and a backlog of 100 000 commands.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests, though clippy cannot see it: they have no libtest"
)]
#![allow(dead_code, reason = "the fake engine and its swarm are those of the Docker room's tests, which use more of them")]

mod backlog;
mod beats;
mod black_holes;
mod bounces;
#[path = "../../src/docker/fake_engine.rs"]
mod fake_engine;
#[path = "../../src/docker/fake_swarm.rs"]
mod fake_swarm;
mod forgotten;
mod full_disk;
mod gaps;
mod history;
mod hole;
mod long_deploy;
mod offline;
mod points;
mod questions;
mod random;
mod recovery;
#[path = "../support/mod.rs"]
mod support;
mod victim;

// The fake engine names them so.
use axion_agent::threads;
use support::{Need, Test, run};

const TESTS: &[Test] = &[
    Test { name: "a_crash_at_any_step_loses_and_doubles_nothing", needs: &[Need::Broker], body: points::every_step },
    Test { name: "kills_at_random_moments_lose_and_double_nothing", needs: &[Need::Broker], body: random::kills },
    Test { name: "an_agent_whose_id_the_brokers_have_forgotten_goes_on", needs: &[Need::ForgetfulBroker], body: forgotten::forgotten },
    Test { name: "a_backlog_takes_no_memory", needs: &[Need::Broker], body: backlog::backlog },
    Test { name: "a_black_hole_costs_nothing", needs: &[Need::SecureBroker, Need::OtherEtc, Need::Ipv6], body: hole::hole },
    Test {
        name: "heartbeats_keep_their_time_while_a_deploy_takes_long_and_the_control_plane_hangs",
        needs: &[],
        body: beats::during_a_deploy,
    },
    Test { name: "an_hour_of_deploy_costs_neither_the_consumer_nor_anybody_else", needs: &[Need::Broker], body: long_deploy::hour },
    Test { name: "a_loss_is_told_once_whenever_the_agent_dies", needs: &[], body: gaps::every_step },
    Test { name: "a_disk_that_others_fill_up_costs_nothing_that_was_accepted", needs: full_disk::NEEDS, body: full_disk::full },
    Test { name: "an_idle_agent_leaves_at_once", needs: &[Need::OwnNetwork], body: black_holes::idle },
    Test { name: "an_agent_in_a_black_hole_leaves_in_time", needs: &[Need::OwnNetwork], body: black_holes::stops },
    Test { name: "an_agent_that_is_cut_off_keeps_what_it_has_to_say", needs: &[Need::BrokerToStop], body: offline::offline },
    Test { name: "a_broker_that_bounces_costs_nothing", needs: &[Need::BrokerToStop], body: bounces::bounces },
];

/// How many kills at random moments, if the long form is wanted.
fn long_form() -> Option<usize> {
    std::env::var("AXION_TORTURE").ok()?.parse().ok()
}

fn main() -> std::process::ExitCode {
    run("torture", TESTS)
}

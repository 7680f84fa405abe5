//! How fast the agent answers, beside a rival on the same broker in the same run: a bare loop of librdkafka that
//! consumes, and answers in transactions, and does nothing else.
//!
//! `make delivery` runs it. The agent is a process of its own, its engine a scripted one that answers at once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a measuring program: it fails by panicking and prints")]
#![allow(dead_code, reason = "engine, swarm and victim are those of tests, which use more of them")]

mod drain;
#[path = "../../src/docker/fake_engine.rs"]
mod fake_engine;
#[path = "../../src/docker/fake_swarm.rs"]
mod fake_swarm;
mod latency;
#[path = "../../tests/torture/questions.rs"]
mod questions;
mod rival;
#[path = "../../tests/support/mod.rs"]
mod support;
#[path = "../../tests/torture/victim.rs"]
mod victim;

// The fake engine names them so.
use axion_agent::threads;
use support::{Need, Test, run};

/// A real broker, and nobody else at work.
const NEEDS: &[Need] = &[Need::SecureBroker, Need::QuietMachine];

const TESTS: &[Test] = &[
    Test { name: "a_backlog_drains_at_half_the_rivals_pace_at_least", needs: NEEDS, body: drain::drain },
    Test { name: "a_command_is_accepted_in_one_and_a_half_times_the_rivals_time_at_most", needs: NEEDS, body: latency::latency },
];

fn main() -> std::process::ExitCode {
    run("delivery", TESTS)
}

//! The configuration of a running agent: what a reload takes over, and that its secrets are seen nowhere.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests, though clippy cannot see it: they have no libtest"
)]

mod reload;
#[path = "../support/mod.rs"]
mod support;

use support::{AGENT, Test, run};

const TESTS: &[Test] = &[
    Test { name: "a_reload_takes_over_what_it_can_and_names_the_rest", needs: &[], body: reload::local },
    Test { name: "a_configuration_that_cannot_be_used_changes_nothing", needs: &[], body: reload::broken },
    Test { name: "a_reload_changes_which_commands_are_taken", needs: AGENT, body: reload::commands },
];

fn main() -> std::process::ExitCode {
    run("configuration", TESTS)
}

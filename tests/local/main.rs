//! The command line with the real agent in local mode and a real engine: every command, what it says, how it ends, and
//! that what it prints with --json is as its schema says.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests, though clippy cannot see it: they have no libtest"
)]

mod documents;
mod every;
mod failing;
mod speed;
#[path = "../support/mod.rs"]
mod support;
mod whole;

use support::{Need, Test, run};

const TESTS: &[Test] = &[
    Test { name: "a_stack_from_nothing_to_a_change_and_back", needs: &[Need::Engine], body: whole::life },
    Test { name: "the_lines_of_the_readme_do_what_it_says", needs: &[Need::Engine], body: whole::readme },
    Test { name: "logs_of_all_services_are_followed", needs: &[Need::Engine], body: whole::logs },
    Test { name: "a_deploy_outlives_a_restart_of_the_agent_and_its_watcher_waits", needs: &[Need::Engine], body: whole::restart },
    Test { name: "what_does_not_run_says_why", needs: &[Need::Engine], body: failing::why },
    Test { name: "what_is_not_allowed_ends_with_7", needs: &[Need::Engine], body: failing::not_allowed },
    Test { name: "commands_are_listed_watched_paused_and_cancelled", needs: &[Need::Engine], body: failing::cancelled },
    Test { name: "every_command_of_the_help_works", needs: &[Need::Engine], body: every::command },
    Test { name: "what_every_command_prints_for_programs_is_as_its_schema_says", needs: &[Need::Engine], body: documents::every },
    Test { name: "a_deploy_that_changes_nothing_takes_30_ms", needs: &[Need::Engine, Need::QuietMachine], body: speed::no_op },
];

fn main() -> std::process::ExitCode {
    run("local", TESTS)
}

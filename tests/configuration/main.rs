//! The configuration of a running agent: what a reload takes over, and that its secrets are seen nowhere.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests, though clippy cannot see it: they have no libtest"
)]

mod canaries;
mod outlets;
mod reload;
#[path = "../support/mod.rs"]
mod support;

use support::{AGENT, Need, Test, run};

const TESTS: &[Test] = &[
    Test { name: "a_reload_takes_over_what_it_can_and_names_the_rest", needs: &[], body: reload::local },
    Test { name: "a_configuration_that_cannot_be_used_changes_nothing", needs: &[], body: reload::broken },
    Test { name: "no_secret_of_a_configuration_or_a_command_is_seen", needs: AGENT, body: canaries::agent },
    Test { name: "no_secret_leaves_an_agent_by_any_way_out", needs: AGENT, body: outlets::every_way_out },
    Test { name: "no_secret_is_seen_where_a_token_is_refused", needs: AGENT, body: canaries::refused_token },
    Test { name: "no_secret_is_seen_where_a_proxy_refuses", needs: &[], body: canaries::refusing_proxy },
    Test { name: "no_secret_is_seen_where_a_login_is_refused", needs: &[Need::Broker], body: canaries::refused_login },
    Test { name: "no_secret_is_seen_where_a_configuration_is_checked_or_shown", needs: &[], body: canaries::configuration },
    Test { name: "no_secret_is_seen_where_a_command_is_shown", needs: &[], body: canaries::commands },
    Test { name: "a_reload_changes_which_commands_are_taken", needs: AGENT, body: reload::commands },
];

fn main() -> std::process::ExitCode {
    run("configuration", TESTS)
}

//! The binary: parses the command line, does what it asks, turns the end into an exit code.

use axion_agent::cli::{self, Leaving};
use axion_agent::{control_plane, memory};
use std::process::ExitCode;

fn main() -> ExitCode {
    // ORDER: before there is a second thread.
    memory::share_heap();
    control_plane::poll_without_backup();
    let leaving = match cli::parse(std::env::args_os()) {
        Ok(invocation) => cli::execute(invocation),
        Err(error) => cli::refuse(&error),
    };
    match leaving {
        Leaving::Cleanly(exit) => exit.into(),
        // A return would run the destructors of foreign libraries under their own running threads.
        Leaving::WithStragglers(exit) => signal_hook::low_level::exit(i32::from(exit.code())),
    }
}

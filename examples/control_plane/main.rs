//! A control plane for development: it enrols agents over gRPC, takes their heartbeats, sends commands
//! through Kafka and shows the events that come back. `make demo` and the tests use it, and anyone who
//! writes a real one may read it.
//!
//! `serve` is the gRPC server (and, with `--mock-broker`, a Kafka cluster inside this process); `send`
//! and `watch` are further processes that talk to the broker alone, as a real control plane's would; `logs` and
//! `send --via session` ask a `serve` to use the agent's session; `metrics` shows what it was reported last.
//!
//! It is no example of safety: one fixed token, TLS only where it is asked for, credentials that follow from the token.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line program")]

mod agents;
mod arguments;
#[allow(dead_code, reason = "the tests use the rest")]
mod authority;
mod broker;
mod commands;
mod conduct;
mod events;
mod logs;
mod metrics;
#[allow(dead_code, reason = "the tests use the rest")]
mod mischief;
mod reports;
mod send;
mod serve;
mod session;
mod show;
mod via;
mod watch;

use arguments::Invocation;
use std::io;
use std::process::ExitCode;

/// The command line could not be understood.
const USAGE: u8 = 2;

/// Anything that ends the program early; the text says what to do.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let invocation = match arguments::parse(lexopt::Parser::from_env()) {
        Ok(invocation) => invocation,
        Err(error) => {
            eprintln!("control_plane: {error}\nTry 'control_plane --help'.");
            return ExitCode::from(USAGE);
        }
    };
    let result = match invocation {
        Invocation::Help => {
            print!("{}\n{}", arguments::help(), via::HELP);
            Ok(ExitCode::SUCCESS)
        }
        Invocation::Serve(options) => serve::run(options),
        Invocation::Send(options) => send::run(*options),
        Invocation::Watch(options) => watch::run(&options),
        Invocation::Logs(options) => logs::run(&options),
        Invocation::Metrics(options) => metrics::run(&options),
    };
    result.unwrap_or_else(|error| {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            return ExitCode::SUCCESS;
        }
        eprintln!("control_plane: {error}");
        ExitCode::FAILURE
    })
}

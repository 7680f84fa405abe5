//! The command line: what was asked, done, and the exit code. It runs on the main thread; nothing else
//! prints. The service itself is `serve`.

mod args;
mod config;
mod doctor;
mod enroll;
mod exit;
mod help;
mod logging;
mod print;
mod render;
mod serve;
mod unenroll;

pub use args::{Enroll, Form, Invocation, Output, Render, Sure, Unenroll, UsageError, parse};
pub use exit::Exit;
pub use help::Topic;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// Every thread is gone: the process ends as usual.
    Cleanly(Exit),
    /// Threads of foreign code still run: the process must end without waiting for them.
    WithStragglers(Exit),
}

/// Does what was asked.
#[must_use]
pub fn execute(invocation: Invocation) -> Leaving {
    let exit = match invocation {
        Invocation::ConfigCheck(file, output) => config::check(file, output),
        Invocation::ConfigShow(file) => config::show_effective(file),
        Invocation::ConfigExample => config::print_example(),
        Invocation::Run(file) => return serve::serve(file),
        Invocation::Enroll(arguments) => enroll::enroll(arguments),
        Invocation::Unenroll(arguments) => unenroll::unenroll(arguments),
        Invocation::Render(arguments) => render::render(&arguments),
        // A resolver or a broker that does not answer may still be waited for.
        Invocation::Doctor(file, output) => return Leaving::WithStragglers(doctor::doctor(file, output)),
        Invocation::Help(topic) => print::out(topic.text()),
        Invocation::Version => print::out(concat!("axion-agent ", env!("CARGO_PKG_VERSION"), "\n")),
    };
    Leaving::Cleanly(exit)
}

/// Says what is wrong with a command line.
#[must_use]
pub fn refuse(error: &UsageError) -> Leaving {
    print::err(format!("axion-agent: {error}"));
    Leaving::Cleanly(Exit::Usage)
}

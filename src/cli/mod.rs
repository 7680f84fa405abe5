//! The command line: what was asked, done, and the exit code. It runs on the main thread; nothing else prints. The
//! service itself is `serve`; everything that the agent is asked for is one call over its socket (`client.rs`) and one
//! way to print it (`show/`, `watch/`). What there is to type is the table in `definition/`.

mod args;
mod change;
mod client;
mod compose;
mod config;
mod definition;
mod deploy;
mod doctor;
mod enroll;
mod events;
mod exit;
mod failure;
mod ids;
mod invocation;
mod keys;
mod log_level;
mod logins;
mod logs;
mod look;
mod next;
mod outcome;
mod pages;
mod print;
mod render;
mod schema;
mod serve;
mod show;
mod support_bundle;
mod table;
mod terminal;
mod unenroll;
mod update;
mod watch;
mod wire;
mod written;

pub use definition::{UsageError, parse};
pub use exit::Exit;
pub use invocation::Invocation;

use failure::{Failure, codes};
use invocation::Output;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// Every thread is gone, or waits for nothing that matters: the process ends as usual.
    Cleanly(Exit),
    /// Threads of foreign code still run: the process must end without waiting for them.
    WithStragglers(Exit),
}

/// Does what was asked.
#[must_use]
pub fn execute(invocation: Invocation) -> Leaving {
    let (result, output) = match invocation {
        Invocation::Run(file) => return serve::serve(file),
        Invocation::ConfigCheck(file, output) => (config::check(file, output), output),
        Invocation::ConfigShow(file, output) => (config::show_effective(file, output), output),
        Invocation::ConfigExample => (Ok(config::print_example()), Output::Text),
        Invocation::Enroll(arguments) => (enroll::enroll(&arguments), arguments.output),
        Invocation::Unenroll(arguments) => (unenroll::unenroll(&arguments), arguments.output),
        // A resolver or a broker that does not answer may still be waited for.
        Invocation::SupportBundle(file, output) => {
            let exit = support_bundle::support_bundle(file, output).unwrap_or_else(|failure| failure.tell(Output::Text));
            return Leaving::WithStragglers(exit);
        }
        Invocation::Doctor(file, output) => return Leaving::WithStragglers(doctor::doctor(file, output)),
        Invocation::Render(arguments) => (render::render(&arguments), arguments.output),
        Invocation::Deploy(call, arguments) => (deploy::deploy(&call, &arguments), call.output),
        Invocation::Change(call, arguments) => (change::change(&call, &arguments), call.output),
        Invocation::Steer(call, what) => (change::steer(&call, &what), call.output),
        Invocation::LogLevel(call, wanted) => (log_level::log_level(&call, &wanted), call.output),
        Invocation::Look(call, what) => (look::look(&call, &what), call.output),
        Invocation::Logs(call, arguments) => (logs::logs(&call, &arguments), call.output),
        Invocation::Events(call, stack) => (events::events(&call, stack.as_ref()), call.output),
        Invocation::Commands(call, arguments) => (events::commands(&call, &arguments), call.output),
        Invocation::Keys(what, output) => (keys::keys(&what, output), output),
        Invocation::Update(call, what) => (update::update(&call, &what), call.output),
        Invocation::UpdateHelper(file) => (update::help(file), Output::Text),
        Invocation::Schema(name) => (schema::schema(name.as_deref()), Output::Text),
        Invocation::Completions(shell) => (Ok(pages::completions(shell)), Output::Text),
        Invocation::Man(topic, folder) => (pages::man(topic, folder.as_deref()), Output::Text),
        Invocation::Help(topic) => (Ok(pages::help(topic)), Output::Text),
        Invocation::Version => (Ok(print::out(concat!("axion-agent ", env!("CARGO_PKG_VERSION"), "\n"))), Output::Text),
    };
    Leaving::Cleanly(result.unwrap_or_else(|failure| failure.tell(output)))
}

/// Says what is wrong with a command line.
#[must_use]
pub fn refuse(error: &UsageError) -> Leaving {
    let failure = Failure::new(Exit::Usage, codes::USAGE, error.to_string(), error.help());
    Leaving::Cleanly(failure.tell(error.output()))
}

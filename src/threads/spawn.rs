//! The one spawn function: a named thread that reports how it ended.

use super::sign::{self, Sign};
use crossbeam_channel::Sender;
use std::fmt::Display;
use std::io;
use std::thread::{Builder, JoinHandle};

/// A thread name that `top -H` shows whole: Linux keeps 15 bytes (`TASK_COMM_LEN` less the NUL).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ThreadName(&'static str);

impl ThreadName {
    /// The longest name that the kernel shows whole, in bytes.
    pub const MAX_BYTES: usize = 15;

    /// A name known at compile time; one that is too long does not compile where it is a constant.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        assert!(name.len() <= Self::MAX_BYTES, "a thread name has at most 15 bytes");
        Self(name)
    }

    /// The name itself.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl Display for ThreadName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// How a thread ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was stopped, or had nothing left to do.
    Done,
    /// It could not go on; the text says why.
    Failed(String),
}

/// The last message of a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Which thread ended.
    pub thread: ThreadName,
    /// How.
    pub outcome: Outcome,
}

/// A running thread. Dropping it lets the thread go on: shutdown collects exits by their reports
/// and a deadline, since a join could wait for ever.
#[derive(Debug)]
pub struct Thread {
    name: ThreadName,
    sign: Sign,
    handle: JoinHandle<()>,
}

impl Thread {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> ThreadName {
        self.name
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// Whether it should have given a sign of life and has not: it hangs.
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.sign.is_late()
    }

    /// Waits for its end. For tests, and for a thread whose exit report has come.
    pub fn join(self) {
        // A panic aborts release builds; in a test the panic was already printed.
        drop(self.handle.join());
    }
}

/// Starts `body` on a thread of its own; its result goes to `exits` when it ends.
///
/// # Errors
/// When the operating system gives no further thread.
pub fn spawn<E, F>(name: ThreadName, exits: Sender<Exit>, body: F) -> io::Result<Thread>
where
    E: Display,
    F: FnOnce() -> Result<(), E> + Send + 'static,
{
    let sign = Sign::default();
    let own = sign.clone();
    let run = move || {
        own.adopt();
        let outcome = match body() {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::Failed(error.to_string()),
        };
        sign::at_rest();
        // Nobody listens any more once the process is leaving.
        drop(exits.send(Exit { thread: name, outcome }));
    };
    let handle = Builder::new().name(name.0.to_owned()).spawn(run)?;
    Ok(Thread { name, sign, handle })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::bounded;

    #[test]
    fn the_exit_report_says_who_and_how() {
        let (exits, reports) = bounded(2);
        let thread = spawn(ThreadName::new("test-fails"), exits, || Err::<(), _>("no luck")).unwrap();
        thread.join();
        let exit = reports.recv().unwrap();
        assert_eq!(exit.thread.as_str(), "test-fails");
        assert_eq!(exit.outcome, Outcome::Failed("no luck".into()));
    }
}

//! Writes to standard output and standard error. A reader that has gone (`| head`) is no failure.

use super::Exit;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write as _};

/// Prints a result.
pub(super) fn out(text: &str) -> Exit {
    match io::stdout().lock().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            err(format!("cannot write to standard output: {error}"));
            Exit::Failed
        }
        _ => Exit::Done,
    }
}

/// Whether anybody still reads what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// Somebody does.
    Listens,
    /// Nobody does: what goes on for ever ends.
    Gone,
}

/// Prints a line of something that goes on.
pub(super) fn line(text: &str) -> Reader {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()) {
        Ok(()) => Reader::Listens,
        Err(_gone) => Reader::Gone,
    }
}

/// Prints something for the person at the terminal.
pub(super) fn err(message: impl Display) {
    // Where standard error is gone there is nobody left to tell.
    let _gone = writeln!(io::stderr().lock(), "{message}");
}

/// Asks the person at the terminal something; the answer stands in the same line.
pub(super) fn prompt(question: &str) {
    let mut terminal = io::stderr().lock();
    let _gone = write!(terminal, "{question}").and_then(|()| terminal.flush());
}

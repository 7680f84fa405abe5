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

/// Prints something for the person at the terminal.
pub(super) fn err(message: impl Display) {
    // Where standard error is gone there is nobody left to tell.
    let _gone = writeln!(io::stderr().lock(), "{message}");
}

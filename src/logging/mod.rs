//! The log on standard error: text for people on a terminal, else one JSON object a line; with a priority in front where
//! systemd's journal reads it.
//!
//! Every thread writes to it, a line with one call. A line says what its thread works for ([`crate::threads::Errand`]), so that
//! one command can be followed through all of them. What repeats is counted ([`repeats`]). The levels are those of the configuration until
//! somebody sets others at run time ([`show`]), which last until the next [`start`], a [`restore`], or for as long as was asked.
//! It has no thread: what is due is said with the next line, or when [`tidy`] is called. A library of the rooms that configure it
//! or are asked about it.

mod directives;
mod line;
mod repeats;
mod writer;

pub use directives::{DirectiveError, Directives};

use crate::domain::Timestamp;
use serde::Serialize;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};
use writer::Writer;

/// How the log is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What is shown.
    pub level: Directives,
    /// How it looks.
    pub format: Format,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text on a terminal, else JSON.
    Auto,
    /// For people.
    Text,
    /// One object per line.
    Json,
}

/// What is shown now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The directives that hold.
    pub level: String,
    /// Those of the configuration.
    pub configured: String,
    /// Other ones that were set since it was read.
    pub changed: Option<Changed>,
}

/// Somebody has set the levels at run time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// Until when they hold; until the configuration is read again where nobody said.
    pub until: Option<Timestamp>,
}

/// The process has one log: the `log` crate wants a logger that lives as long.
static LOG: OnceLock<Writer> = OnceLock::new();

/// Logs as the configuration says, from now on.
pub fn start(settings: Settings) {
    match LOG.get() {
        Some(writer) => writer.configure(settings),
        None => {
            let writer = LOG.get_or_init(|| Writer::new(settings));
            // Only a test can have set another one before.
            if log::set_logger(writer).is_ok() {
                writer.open();
            }
        }
    }
}

/// Shows these levels from now on, for so long or until the configuration is read again.
pub fn show(level: Directives, by: String, span: Option<Duration>) {
    if let Some(writer) = LOG.get() {
        let at = Timestamp::from(SystemTime::now());
        writer.show(level, Changed { at, by, until: span.map(|span| at.plus(span)) }, span);
    }
}

/// Shows what the configuration says again.
pub fn restore() {
    if let Some(writer) = LOG.get() {
        writer.restore();
    }
}

/// What is shown; nothing in a process that has no log.
#[must_use]
pub fn shown() -> Option<Shown> {
    LOG.get().map(Writer::shown)
}

/// Says what is due: counts of lines that repeated. Whoever wakes up now and then calls it.
pub fn tidy() {
    if let Some(writer) = LOG.get() {
        writer.tidy();
    }
}

/// Says what was counted and not said yet. The process ends.
pub fn finish() {
    if let Some(writer) = LOG.get() {
        writer.finish();
    }
}

//! Why the agent leaves, and which thread's end makes it leave.

use crate::threads::{Exit, Outcome};
use std::fmt;

/// Why the agent leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitReason {
    /// Somebody asked: SIGTERM or SIGINT.
    Asked,
    /// A thread without which nothing works has ended.
    Vital(String),
    /// The journal cannot be written.
    Journal(String),
    /// Another version of the agent is to take its place.
    Restart(String),
}

/// Whether the agent cannot be without a thread. The others end without a consequence of their own.
pub(super) fn is_vital(thread: &str) -> bool {
    thread.starts_with("docker-") || thread.starts_with("kafka-") || matches!(thread, "journal" | "health-gate" | "signals")
}

impl ExitReason {
    /// Whether something went wrong.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        !matches!(self, Self::Asked | Self::Restart(_))
    }

    /// Why it leaves to be started again, if it does.
    #[must_use]
    pub fn restart(&self) -> Option<&str> {
        if let Self::Restart(why) = self { Some(why) } else { None }
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("a signal asked for it"),
            Self::Vital(text) => f.write_str(text),
            Self::Journal(text) => write!(f, "the journal is unavailable: {text}"),
            Self::Restart(why) => write!(f, "to be started again for {why}"),
        }
    }
}

/// What the end of a thread means while the agent runs.
pub(super) fn judge(exit: &Exit) -> Option<ExitReason> {
    let why = match &exit.outcome {
        Outcome::Done => "it had nothing left to do".to_owned(),
        Outcome::Failed(error) => error.clone(),
    };
    if is_vital(exit.thread.as_str()) {
        return Some(ExitReason::Vital(format!("thread {} ended: {why}", exit.thread)));
    }
    log::error!("thread {} ended, the agent goes on without it: {why}", exit.thread);
    None
}

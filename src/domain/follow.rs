//! A log that is followed as it grows: what is asked for, and what comes of it.

use super::{Code, Target};
use std::fmt;

/// The longest id of a follow, in bytes: a UUID with room for a prefix. It is repeated with every batch of lines.
const MAX_ID_BYTES: usize = 64;

/// The name that the reader gave to a follow.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FollowId(String);

impl FollowId {
    /// Checks the text.
    ///
    /// # Errors
    /// When it is empty or too long, with what is wrong.
    pub fn new(text: impl Into<String>) -> Result<Self, &'static str> {
        let text: String = text.into();
        if text.is_empty() || text.len() > MAX_ID_BYTES {
            return Err("the id of a follow has 1 to 64 bytes");
        }
        Ok(Self(text))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FollowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The log of one service, from some lines back until somebody ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follow {
    /// Its name.
    pub id: FollowId,
    /// The stack, and the project that asks.
    pub target: Target,
    /// The service's Compose key.
    pub service: String,
    /// How many of the lines that are there already come first, of each task.
    pub tail: u32,
    /// None from before this time, in Unix nanoseconds.
    pub since: Option<i64>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Unix nanoseconds, as the engine says; 0 where it does not.
    pub at: i64,
    /// Who wrote it; empty for a word of the engine itself.
    pub task: String,
    /// `stdout`, `stderr`, `system`.
    pub stream: &'static str,
    /// Without its end of line.
    pub text: String,
}

impl LogLine {
    /// About how much memory it takes, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.task.len() + self.text.len()
    }
}

/// What comes of a follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FollowPart {
    /// One more line.
    Line(LogLine),
    /// Nothing comes after this.
    End(Code, String),
}

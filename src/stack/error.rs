//! What can be wrong with a Compose file, each with the place in it, and what is right but not honoured.

use crate::domain::Code;
use std::fmt;

/// Where something stands: the file, the line and column in it, and the path of its key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Location {
    /// The file's name as it was given.
    pub file: String,
    /// From 1; 0 where there is no line, as for a file that is empty.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// Such as `services.web.ports.0`; empty is the whole file.
    pub key: String,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if self.key.is_empty() { Ok(()) } else { write!(f, ": {}", self.key) }
    }
}

/// Why a Compose file cannot be deployed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StackError {
    /// The text is no YAML.
    #[error("{at}: this is no valid YAML: {problem}")]
    Syntax {
        /// Where reading stopped.
        at: Location,
        /// The parser's own words.
        problem: String,
    },
    /// The file is larger or deeper than the agent reads.
    #[error("{at}: {problem}")]
    Limit {
        /// Where the limit was reached.
        at: Location,
        /// Which limit.
        problem: String,
    },
    /// A variable is required and absent, or a `$` does not begin one.
    #[error("{at}: {problem}")]
    Interpolation {
        /// The value.
        at: Location,
        /// What to do about it.
        problem: String,
    },
    /// A key or a value that Compose or Swarm does not allow.
    #[error("{at}: {problem}")]
    Invalid {
        /// The key.
        at: Location,
        /// What to do about it.
        problem: String,
    },
    /// A bind mount has a relative source and there is no folder to start from.
    #[error(
        "{at}: the bind source {path:?} is relative, but the agent has no folder of yours: give an absolute path of the node, or use a config, a secret or a volume"
    )]
    RelativeBind {
        /// The mount.
        at: Location,
        /// Its source.
        path: String,
    },
    /// The file names another one that was not sent along.
    #[error("{at}: the file {path:?} is not there: a command must carry it in `files` under exactly this path")]
    FileMissing {
        /// The key that names it.
        at: Location,
        /// Its path, from the folder of the first Compose file.
        path: String,
    },
}

impl StackError {
    /// The stable code for events.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Syntax { .. } | Self::Invalid { .. } => Code::COMPOSE_INVALID,
            Self::Limit { .. } => Code::COMPOSE_LIMIT,
            Self::Interpolation { .. } => Code::COMPOSE_INTERPOLATION,
            Self::RelativeBind { .. } => Code::RELATIVE_BIND,
            Self::FileMissing { .. } => Code::COMPOSE_FILE_MISSING,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn location(&self) -> &Location {
        match self {
            Self::Syntax { at, .. }
            | Self::Limit { at, .. }
            | Self::Interpolation { at, .. }
            | Self::Invalid { at, .. }
            | Self::RelativeBind { at, .. }
            | Self::FileMissing { at, .. } => at,
        }
    }
}

/// Something in the file that the deploy does not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {message}")]
pub struct Warning {
    /// The key.
    pub at: Location,
    /// What is not done, and what to use instead.
    pub message: String,
}

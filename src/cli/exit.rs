//! The exit codes: what a script may rely on.

use std::process::ExitCode;

/// How a command ended. The numbers are part of the contract with scripts and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// It failed.
    Failed = 1,
    /// The command line was wrong.
    Usage = 2,
    /// The configuration was wrong.
    Config = 3,
    /// The agent could not be reached.
    Unreachable = 4,
    /// The deploy failed, and the stack is back at its last good revision.
    RolledBack = 5,
    /// The deploy failed, and the stack was not rolled back.
    NotRolledBack = 6,
    /// A policy refused it, or the stack belongs to somebody else.
    Refused = 7,
    /// Its time was over.
    TimedOut = 8,
    /// The service left to be started again, as another version.
    Again = 9,
}

impl Exit {
    /// All of them, in their order.
    pub const ALL: [Self; 10] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::Config,
        Self::Unreachable,
        Self::RolledBack,
        Self::NotRolledBack,
        Self::Refused,
        Self::TimedOut,
        Self::Again,
    ];

    /// What it means, as help and man pages say it.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "wrong usage",
            Self::Config => "wrong configuration",
            Self::Unreachable => "agent unreachable",
            Self::RolledBack => "deploy failed and rolled back",
            Self::NotRolledBack => "deploy failed and not rolled back",
            Self::Refused => "refused by policy or ownership",
            Self::TimedOut => "timed out",
            Self::Again => "to be started again",
        }
    }

    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_that_the_manual_promises() {
        let told = Exit::ALL.map(|exit| (exit.code(), exit.meaning()));
        let promised = [
            (0, "done"),
            (1, "failed"),
            (2, "wrong usage"),
            (3, "wrong configuration"),
            (4, "agent unreachable"),
            (5, "deploy failed and rolled back"),
            (6, "deploy failed and not rolled back"),
            (7, "refused by policy or ownership"),
            (8, "timed out"),
            (9, "to be started again"),
        ];
        assert_eq!(told, promised);
    }
}

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
}

impl Exit {
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
        use Exit::*;
        let all = [Done, Failed, Usage, Config, Unreachable, RolledBack, NotRolledBack, Refused, TimedOut];
        assert_eq!(all.map(Exit::code), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }
}

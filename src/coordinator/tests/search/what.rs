//! The names of what can happen, and of what is broken on purpose.

use super::minds::{Heard, Wish};
use std::fmt;

/// What is broken on purpose, to see that it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    /// The event topic is taken for empty.
    ReadsNothingBack,
    /// The group's mark is one too far.
    MarksTooFar,
    /// The result of a command is sent before it is on disk.
    SendsBeforeSync,
    /// The journal forgets the id of a command that is over.
    ForgetsIds,
    /// After a crash a step is made again without a look at the swarm.
    Assumes,
    /// The brokers let an older client write.
    FencesNobody,
    /// Who is fenced takes the identity back at once.
    FencesBack,
    /// A mark goes out past an end that no broker has taken.
    ForgetsGivenBack,
    /// Dead letters get lost.
    LosesLetters,
}

/// A step, by the machine where it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) machine: u8,
    pub(super) what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Starts,
    Reads(u8),
    Hears(Heard),
    /// All that the producer has said so far, one thing after another.
    HearsAll,
    HearsOfTheEnd(u8),
    Takes(Wish),
    TakesOver,
    ReadsBack,
    Writes,
    Commits,
    WritesAndCommits,
    Aborts,
    IsFenced,
    Renews,
    HasRested,
    CommitsTheMark(u8),
    Looks(u8),
    Intends(u8),
    Updates(u8),
    Conflicts(u8),
    // What goes wrong.
    Crashes,
    CrashesInTheTurn(Heard),
    CrashesAfterTheCommit,
    CrashesBeforeTheUpdate(u8),
    CrashesAfterTheUpdate(u8),
    IsRefused(u8),
    LosesItsDisk,
    CommitsUnheard,
    IsVoided,
    Breaks,
    UpdatesUnheard(u8),
    IsCloned,
    IsInstalledTwice,
}

impl What {
    /// Whether it happens by itself, without anything going wrong.
    pub(super) fn is_calm(self) -> bool {
        !matches!(
            self,
            Self::Crashes
                | Self::CrashesInTheTurn(_)
                | Self::CrashesAfterTheCommit
                | Self::CrashesBeforeTheUpdate(_)
                | Self::CrashesAfterTheUpdate(_)
                | Self::IsRefused(_)
                | Self::LosesItsDisk
                | Self::CommitsUnheard
                | Self::IsVoided
                | Self::Breaks
                | Self::UpdatesUnheard(_)
                | Self::IsCloned
                | Self::IsInstalledTwice
        )
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = ["A", "B"][usize::from(self.machine)];
        match self.what {
            What::Starts => write!(f, "{who} starts"),
            What::Reads(offset) => write!(f, "{who} reads the record at offset {offset}"),
            What::Hears(heard) => write!(f, "{who}'s coordinator hears of {heard:?}"),
            What::HearsAll => write!(f, "{who}'s coordinator hears all that its producer has said"),
            What::HearsOfTheEnd(command) => write!(f, "{who}'s coordinator hears that command {command} has ended"),
            What::Takes(wish) => write!(f, "{who}'s producer takes {wish:?}"),
            What::TakesOver => write!(f, "{who} takes the transactional id over"),
            What::ReadsBack => write!(f, "{who} reads the event topic back"),
            What::Writes => write!(f, "{who} writes a transaction"),
            What::Commits => write!(f, "{who} commits it"),
            What::WritesAndCommits => write!(f, "{who} writes a transaction and commits it"),
            What::Aborts => write!(f, "{who} aborts it"),
            What::IsFenced => write!(f, "{who} is told that it is fenced"),
            What::Renews => write!(f, "{who} takes another client"),
            What::HasRested => write!(f, "{who} has rested and takes another client"),
            What::CommitsTheMark(mark) => write!(f, "{who}'s consumer commits the mark {mark}"),
            What::Looks(command) => write!(f, "{who}'s lane looks at the swarm for command {command}"),
            What::Intends(command) => write!(f, "{who}'s lane writes its step for command {command} down"),
            What::Updates(command) => write!(f, "{who}'s lane updates the service for command {command}"),
            What::Conflicts(command) => write!(f, "{who}'s lane is refused: the service is newer than what command {command} saw"),
            What::Crashes => write!(f, "{who} is killed"),
            What::CrashesInTheTurn(heard) => write!(f, "{who}'s coordinator hears of {heard:?} and is killed between two writes"),
            What::CrashesAfterTheCommit => write!(f, "{who} commits it and is killed before it hears so"),
            What::CrashesAfterTheUpdate(command) => {
                write!(f, "{who} updates the service for command {command} and is killed before it hears so")
            }
            What::CrashesBeforeTheUpdate(command) => {
                write!(f, "{who}'s lane writes its step for command {command} down, and {who} is killed")
            }
            What::IsRefused(report) => write!(f, "{who} is told that no broker will ever take the end of command {report}"),
            What::LosesItsDisk => write!(f, "{who} is killed and loses its state directory"),
            What::CommitsUnheard => write!(f, "{who} commits it and never hears so"),
            What::IsVoided => write!(f, "{who} is told to abort it"),
            What::Breaks => write!(f, "{who}'s client breaks"),
            What::UpdatesUnheard(command) => write!(f, "{who}'s lane updates the service for command {command} and never hears so"),
            What::IsCloned => write!(f, "B is a copy of A's machine"),
            What::IsInstalledTwice => write!(f, "B is installed with A's identity"),
        }
    }
}

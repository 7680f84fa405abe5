//! The part of the journal that the coordinator sees: what a call wrote is on disk when it returns.
//!
//! It is a trait because the search of the protocol (`tests/search/`) tries every moment at which a disk can be lost.

use crate::domain::{CommandId, Ledger as _, LedgerError, Position, Reader, StackBrief, StackName, Timestamp};
use crate::journal::{Entry, Finished, Identity, Journal, JournalError, Reported, Space};
use std::sync::Arc;

type Written = Result<(), Arc<JournalError>>;

/// See [`Journal`], whose methods these are.
pub(super) trait Book {
    fn accept(&self, entries: Vec<Entry>) -> Written;
    fn finish(&self, ended: Vec<Finished>) -> Written;
    fn report(&self, reported: Vec<Reported>, heard: Vec<(CommandId, Reader)>, marks: Vec<Position>) -> Written;
    fn identify(&self, identity: Identity) -> Written;
    fn pause(&self, since: Option<Timestamp>) -> Written;
    fn forget_known(&self, now: Timestamp) -> Written;
    fn knows(&self, command: CommandId) -> Result<bool, JournalError>;
    /// Whether a step of an open command was written down.
    fn has_begun(&self, command: CommandId) -> Result<bool, LedgerError>;
    fn identity(&self) -> Result<Option<Identity>, JournalError>;
    fn space(&self, enough: u64) -> Result<Space, JournalError>;
    fn brief(&self, stack: &StackName) -> Option<StackBrief>;
}

impl Book for Journal {
    fn accept(&self, entries: Vec<Entry>) -> Written {
        self.accept(entries)
    }

    fn finish(&self, ended: Vec<Finished>) -> Written {
        self.finish(ended)
    }

    fn report(&self, reported: Vec<Reported>, heard: Vec<(CommandId, Reader)>, marks: Vec<Position>) -> Written {
        self.report(reported, heard, marks)
    }

    fn identify(&self, identity: Identity) -> Written {
        self.identify(identity)
    }

    fn pause(&self, since: Option<Timestamp>) -> Written {
        self.pause(since)
    }

    fn forget_known(&self, now: Timestamp) -> Written {
        self.forget_known(now)
    }

    fn knows(&self, command: CommandId) -> Result<bool, JournalError> {
        self.knows(command)
    }

    fn has_begun(&self, command: CommandId) -> Result<bool, LedgerError> {
        Ok(!self.steps(command)?.is_empty())
    }

    fn identity(&self) -> Result<Option<Identity>, JournalError> {
        self.identity()
    }

    fn space(&self, enough: u64) -> Result<Space, JournalError> {
        self.space(enough)
    }

    fn brief(&self, stack: &StackName) -> Option<StackBrief> {
        self.brief(stack)
    }
}

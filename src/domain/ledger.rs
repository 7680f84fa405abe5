//! What a deploy lane writes down while it works, as a face without its store.

use super::{CommandId, ProjectId, Sensitive, Specs, StackName, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One change to the swarm, named before it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// `network.create`, `service.update`, `secret.remove`, …
    pub operation: String,
    /// The Swarm name of the object.
    pub object: String,
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StepOutcome {
    /// The engine confirmed it; the id of the object, if it made one.
    Done(Option<String>),
    /// The engine refused it, with its words.
    Refused(String),
    /// No answer came: whether it happened must be observed.
    Unknown(String),
}

/// A state of a stack that was once seen to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// Counts up from 1 per stack.
    pub number: u64,
    /// The command that made it.
    pub command: CommandId,
    /// When it was seen to run.
    pub at: Timestamp,
    /// What the stack was.
    pub specs: Specs,
}

/// A network, secret or config of ours that the newest revision has not: a deploy has made it that failed and did not go back, or not
/// wholly, or it could not be removed when its time had come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphan {
    /// `network`, `secret` or `config`.
    pub kind: String,
    /// In the swarm.
    pub name: String,
    /// The engine's.
    pub id: String,
}

/// What is kept of a stack.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct KeptStack {
    /// The project that owns it.
    pub owner: Option<ProjectId>,
    /// Its revisions, oldest first.
    pub revisions: Vec<Revision>,
    /// By service, a keyed hash of the login for its registry that it was last written with.
    pub logins: BTreeMap<String, String>,
    /// What of it is ours, and its newest revision has not.
    pub orphans: Vec<Orphan>,
}

/// The journal cannot be written or read; nothing may be changed until it can.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the journal is unavailable: {0}")]
pub struct LedgerError(pub String);

/// One thing to be written down.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// These steps of a command are about to be made.
    Intend(CommandId, Vec<Step>),
    /// This is what became of them.
    Settle(CommandId, Vec<(Step, StepOutcome)>),
    /// The stack belongs to the project.
    Own(StackName, ProjectId),
    /// One more revision of a stack is kept, unless one of its command is, and the oldest beyond so many are forgotten.
    Keep(StackName, Box<Revision>, usize),
    /// These logins are kept instead of those that were.
    KeepLogins(StackName, BTreeMap<String, String>),
    /// These are the orphans that are kept instead of those that were.
    KeepOrphans(StackName, Vec<Orphan>),
    /// The stack is forgotten: its owner, its revisions, its rotation key, its logins and its orphans.
    Forget(StackName),
}

/// The part of the journal that a deploy lane sees.
pub trait Ledger: Send + Sync {
    /// Writes all of it down at once: it is on disk when this returns.
    ///
    /// # Errors
    /// When it is not on disk: then nothing of what was intended must be made, and the lane must stop.
    fn note(&self, notes: Vec<Note>) -> Result<(), LedgerError>;

    /// Writes all of it down with what is written next, which for the last words of a command is its end. A process that ends before
    /// that finds the command open, and looks at the swarm.
    fn note_with_next(&self, notes: Vec<Note>);

    /// The steps of a command that were written down before, with what is known of them, in order.
    ///
    /// # Errors
    /// When the journal cannot be read.
    fn steps(&self, command: CommandId) -> Result<Vec<(Step, Option<StepOutcome>)>, LedgerError>;

    /// The project that owns a stack, as far as this agent knows.
    ///
    /// # Errors
    /// When the journal cannot be read.
    fn owner(&self, stack: &StackName) -> Result<Option<ProjectId>, LedgerError>;

    /// The kept revisions of a stack, oldest first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    fn revisions(&self, stack: &StackName) -> Result<Vec<Revision>, LedgerError>;

    /// The stacks of which something is kept.
    ///
    /// # Errors
    /// When the journal cannot be read.
    fn stacks(&self) -> Result<Vec<StackName>, LedgerError>;

    /// The secret of a stack from which its rotated secrets and configs have their names: the one that
    /// is kept, else `fresh`, which is kept from then on.
    ///
    /// # Errors
    /// When it is not on disk.
    fn rotation_key(&self, stack: &StackName, fresh: Sensitive<String>) -> Result<Sensitive<String>, LedgerError>;

    /// All that is kept of a stack; nothing of one that is not known.
    ///
    /// # Errors
    /// When the journal cannot be read.
    fn stack(&self, stack: &StackName) -> Result<KeptStack, LedgerError>;
}

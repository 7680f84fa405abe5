//! What a deploy lane writes down while it works, as a face without its store.

use super::{CommandId, ProjectId, Sensitive, StackName, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
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
    /// The specs as they were sent, with digests: `{networks, secrets, configs, services}`. Contents of secrets are not in it.
    pub specs: Value,
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
}

/// The journal cannot be written or read; nothing may be changed until it can.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the journal is unavailable: {0}")]
pub struct LedgerError(pub String);

/// The part of the journal that a deploy lane sees. Every write is on disk when it returns.
pub trait Ledger: Send + Sync {
    /// Writes down what is about to be done, one step or several at once.
    ///
    /// # Errors
    /// When it is not on disk: then none of them must be made.
    fn intend(&self, command: CommandId, steps: &[Step]) -> Result<(), LedgerError>;

    /// Writes down what became of them.
    ///
    /// # Errors
    /// When it is not on disk: then the lane must stop.
    fn settle(&self, command: CommandId, outcomes: &[(Step, StepOutcome)]) -> Result<(), LedgerError>;

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

    /// Gives a stack to a project.
    ///
    /// # Errors
    /// When it is not on disk.
    fn own(&self, stack: &StackName, project: &ProjectId) -> Result<(), LedgerError>;

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

    /// Keeps one more revision (its number is given by the ledger) and forgets the oldest beyond `keep`.
    ///
    /// # Errors
    /// When it is not on disk.
    fn keep(&self, stack: &StackName, revision: Revision, keep: usize) -> Result<u64, LedgerError>;

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

    /// Keeps these instead of the logins that were kept.
    ///
    /// # Errors
    /// When it is not on disk.
    fn keep_logins(&self, stack: &StackName, logins: BTreeMap<String, String>) -> Result<(), LedgerError>;

    /// Forgets a stack: its owner, its revisions, its rotation key and its logins.
    ///
    /// # Errors
    /// When it is not on disk.
    fn forget(&self, stack: &StackName) -> Result<(), LedgerError>;
}

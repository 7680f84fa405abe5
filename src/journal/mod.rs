//! The durable record of every command: accepted → stepped → finished → reported, with the positions
//! in the topics, the ids that are known, the stacks' owners and revisions, the last commands that have ended, and the
//! agent's identity.
//!
//! One thread, `journal`, writes; it commits what has gathered in one synced transaction and only
//! then answers, so many callers share one flush. Callers wait for that answer: nothing may be
//! decided past a record that is not on disk. Reads go straight to the store's snapshots.
//!
//! A failed write is never retried on the same descriptor (after a failed fsync the kernel may have
//! dropped the pages): the thread ends with the error, every later call fails, and the agent leaves;
//! the next start reopens and rescans. Room for what runs is reserved on the disk ([`reserve`]).

mod peek;
mod reserve;
mod space;
mod store;
mod worker;

use crate::domain::{
    AgentId, Command, CommandId, Event, KeptStack, Ledger, LedgerError, Note, Past, Position, ProjectId, Reader, Revision, Sensitive,
    StackBrief, StackName, Step, StepOutcome, Timestamp, Way,
};
use crate::threads::{CrashPoint, Exit, Thread, ThreadName, crash_at, spawn};
use crossbeam_channel::{Sender, bounded};
pub use peek::{Holder, Peek, holder, peek};
pub use reserve::Reserve;
use serde::{Deserialize, Serialize};
pub use space::Space;
use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::Store;
use uuid::Uuid;

/// How many writes may wait for the next commit: each caller waits for its own answer, so there are
/// never more than the callers (coordinator, lanes, query thread).
const WAITING_WRITES: usize = 64;

/// The file inside the state directory.
pub const FILE: &str = "journal.redb";

/// The journal cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process holds the state directory.
    #[error("another agent uses the state directory {0}: stop it, or give this one its own agent.state_dir")]
    Locked(String),
    /// The state directory cannot be made or protected.
    #[error("cannot prepare the state directory {0}: {1}")]
    Directory(String, std::io::Error),
    /// The store failed.
    #[error("cannot {operation} the journal: {source}")]
    Store {
        /// What was tried.
        operation: &'static str,
        /// What the store said.
        #[source]
        source: Box<redb::Error>,
    },
    /// A record that this version cannot read.
    #[error(
        "a journal record in {table} cannot be read ({fault} at byte {column}): a newer version may have written it; start that one, or move journal.redb away, with which open commands and known ids are lost"
    )]
    Record {
        /// Which table.
        table: &'static str,
        /// What is wrong; never the words of the parser, which would repeat a value, and that may be a secret.
        fault: &'static str,
        /// Where in the record.
        column: usize,
    },
    /// The writer thread could not be started.
    #[error("cannot start the journal's thread: {0}")]
    Thread(std::io::Error),
    /// The writer has ended after an earlier error.
    #[error("the journal's writer has ended after an earlier error")]
    Ended,
}

/// A command in the journal that is not reported yet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// The command.
    pub command: Command,
    /// How it came. Records of earlier versions have the place in the topic here, which was the only way.
    #[serde(rename = "position")]
    pub way: Way,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// Its terminal event, once it has ended.
    pub terminal: Option<Event>,
    /// Of those who are owed the terminal event, the ones who have confirmed it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub heard: BTreeSet<Reader>,
}

/// Who this agent is, as the control plane or the first start decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The id.
    pub agent_id: AgentId,
    /// Where it is from; records of earlier versions do not say.
    #[serde(default)]
    pub origin: Origin,
    /// The bearer credential of an enrolled agent.
    pub credential: Option<Sensitive<String>>,
    /// The Kafka settings that enrolment brought; the configuration wins over them.
    pub kafka: EnrolledKafka,
    /// The keys that commands may be signed with, as a configuration writes them. Enrolment brought them; the configuration
    /// wins over them. Records of earlier versions have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command_keys: Vec<String>,
}

/// How an agent came by its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// It made it, or the configuration named it: no control plane gave it.
    Local,
    /// A control plane gave it, which need not be the one that the configuration wished for.
    Enrolled {
        /// That wish.
        wish: Option<AgentId>,
    },
}

impl Default for Origin {
    fn default() -> Self {
        Self::Enrolled { wish: None }
    }
}

impl Identity {
    /// An agent that no control plane has given anything.
    #[must_use]
    pub fn local(agent_id: AgentId) -> Self {
        Self { agent_id, origin: Origin::Local, credential: None, kafka: EnrolledKafka::default(), command_keys: Vec::new() }
    }

    /// Whether it is what an agent has that the configuration calls `wished`.
    #[must_use]
    pub fn is_for(&self, wished: &AgentId) -> bool {
        self.agent_id == *wished || self.origin == Origin::Enrolled { wish: Some(wished.clone()) }
    }
}

/// Kafka settings from the control plane; empty where it gave none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EnrolledKafka {
    /// `host:port`, several.
    pub brokers: Vec<String>,
    /// Where commands come from.
    pub command_topic: String,
    /// Where events go.
    pub event_topic: String,
    /// Where unreadable records go.
    pub dead_letter_topic: String,
}

/// A command whose terminal event everybody has confirmed who was owed it, or a refusal that was; or what was told
/// of a record that is no command. Both are UUIDs that nobody draws twice.
#[derive(Debug, Clone)]
pub struct Reported {
    /// Which.
    pub command: CommandId,
    /// Until when its id must be known, so that a replay is never new.
    pub known_until: Timestamp,
    /// What is remembered of it from now on: of a refusal, and of an end that nobody was owed.
    pub past: Option<Box<Past>>,
}

/// A command that has ended, and whose end is owed to somebody.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Which.
    pub command: CommandId,
    /// What is to be published of it.
    pub terminal: Event,
    /// What is remembered of it when that is done.
    pub past: Option<Box<Past>>,
}

/// What the journal held when it was opened.
#[derive(Debug)]
pub struct Recovered {
    /// Commands without a confirmed terminal event, in the order in which they were accepted.
    pub entries: Vec<Entry>,
    /// Where reading goes on, per topic and partition.
    pub positions: Vec<Position>,
    /// Who this agent is, if it knows.
    pub identity: Option<Identity>,
    /// The stacks that have an owner.
    pub stacks: BTreeMap<StackName, StackBrief>,
    /// The last commands that have ended, in the order of their ends.
    pub past: Vec<Past>,
    /// Since when it is paused, if it is.
    pub paused: Option<Timestamp>,
}

/// One change of the journal.
#[derive(Debug)]
enum Write {
    Accept(Vec<Entry>),
    Finish(Vec<Finished>),
    Report(Vec<Reported>, Vec<(CommandId, Reader)>, Vec<Position>),
    Identify(Box<Identity>),
    ForgetIdentity,
    EnrolmentSalt(Uuid),
    Pause(Option<Timestamp>),
    Note(Note),
    RotationKey(StackName, Sensitive<String>),
    ForgetKnown(Timestamp),
}

/// Writes of one transaction, and where the answer goes.
struct Request {
    writes: Vec<Write>,
    answer: Sender<Result<(), Arc<JournalError>>>,
}

/// The handle: cheap to clone, used from any thread.
#[derive(Clone)]
pub struct Journal {
    store: Arc<Store>,
    writes: Sender<Request>,
    /// What goes with the next write.
    waiting: Arc<Mutex<Vec<Note>>>,
}

/// Opens or makes the journal in `state_dir` (mode 0700) and starts its thread, which ends when the
/// last handle is dropped.
///
/// # Errors
/// When another process holds it, or the disk refuses.
pub fn open(state_dir: &Path, exits: Sender<Exit>) -> Result<(Journal, Recovered, Thread), JournalError> {
    prepare(state_dir).map_err(|error| JournalError::Directory(state_dir.display().to_string(), error))?;
    let store = Arc::new(Store::open(&state_dir.join(FILE), state_dir)?);
    let recovered = store.recover()?;
    let (writes, requests) = bounded(WAITING_WRITES);
    let writer = Arc::clone(&store);
    let thread = spawn(ThreadName::new("journal"), exits, move || worker::run(&writer, &requests)).map_err(JournalError::Thread)?;
    Ok((Journal { store, writes, waiting: Arc::default() }, recovered, thread))
}

/// Whether there is a journal in `state_dir`.
#[must_use]
pub fn exists(state_dir: &Path) -> bool {
    state_dir.join(FILE).exists()
}

fn prepare(state_dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(state_dir)?;
    std::fs::set_permissions(state_dir, std::fs::Permissions::from_mode(0o700))
}

impl Journal {
    /// Commands were admitted, in this order; once this returns they will be carried out, whatever happens.
    ///
    /// # Errors
    /// When they are not on disk.
    pub fn accept(&self, entries: Vec<Entry>) -> Result<(), Arc<JournalError>> {
        self.write_between(CrashPoint::BeforeAccept, Write::Accept(entries), CrashPoint::Accepted)
    }

    /// Commands have ended with these terminal events, which are to be published; they are remembered from now on.
    ///
    /// # Errors
    /// When they are not on disk.
    pub fn finish(&self, ended: Vec<Finished>) -> Result<(), Arc<JournalError>> {
        self.write_between(CrashPoint::BeforeFinish, Write::Finish(ended), CrashPoint::Finished)
    }

    /// Terminal events were confirmed, by all or, in `heard`, by one of those who are owed them; these are the
    /// low-water marks that follow.
    ///
    /// # Errors
    /// When it is not on disk.
    pub fn report(&self, reported: Vec<Reported>, heard: Vec<(CommandId, Reader)>, marks: Vec<Position>) -> Result<(), Arc<JournalError>> {
        self.write_between(CrashPoint::BeforeReport, Write::Report(reported, heard, marks), CrashPoint::Reported)
    }

    /// Remembers who this agent is.
    ///
    /// # Errors
    /// When it is not on disk.
    pub fn identify(&self, identity: Identity) -> Result<(), Arc<JournalError>> {
        self.write(Write::Identify(Box::new(identity)))
    }

    /// The agent is nobody any more.
    ///
    /// # Errors
    /// When it is not on disk.
    pub fn forget_identity(&self) -> Result<(), Arc<JournalError>> {
        self.write(Write::ForgetIdentity)
    }

    /// What makes the id of a request to be enrolled: drawn once and the same until the agent was enrolled, so that an
    /// answer that got lost is given again.
    ///
    /// # Errors
    /// When it is not on disk.
    pub fn enrolment_salt(&self) -> Result<Uuid, Arc<JournalError>> {
        if let Some(kept) = self.store.enrolment_salt()? {
            return Ok(kept);
        }
        let fresh = Uuid::new_v4();
        self.write(Write::EnrolmentSalt(fresh))?;
        Ok(fresh)
    }

    /// Remembers since when the agent is paused; none lets it go on.
    ///
    /// # Errors
    /// When it is not on disk.
    pub fn pause(&self, since: Option<Timestamp>) -> Result<(), Arc<JournalError>> {
        self.write(Write::Pause(since))
    }

    /// Forgets the ids that need not be known after `now`. An idle agent has none, and writes nothing.
    ///
    /// # Errors
    /// When it is not on disk.
    pub fn forget_known(&self, now: Timestamp) -> Result<(), Arc<JournalError>> {
        if self.store.knows_too_much(now)? { self.write(Write::ForgetKnown(now)) } else { Ok(()) }
    }

    /// Whether a command id is known: accepted, finished or reported before.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn knows(&self, command: CommandId) -> Result<bool, JournalError> {
        self.store.knows(command)
    }

    /// Who this agent is, if it was enrolled or made an id for itself.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn identity(&self) -> Result<Option<Identity>, JournalError> {
        self.store.identity()
    }

    /// How much room there is; what is missing of the reserve is taken if there is any. What is held is counted page by page only beyond `enough` bytes.
    ///
    /// # Errors
    /// When file system or store cannot be read.
    pub fn space(&self, enough: u64) -> Result<Space, JournalError> {
        space::of(&self.store, enough)
    }

    /// A stack in short, if it has an owner.
    #[must_use]
    pub fn brief(&self, stack: &StackName) -> Option<StackBrief> {
        self.store.brief(stack)
    }

    fn write_between(&self, before: CrashPoint, write: Write, after: CrashPoint) -> Result<(), Arc<JournalError>> {
        crash_at(before);
        self.write(write)?;
        crash_at(after);
        Ok(())
    }

    fn write(&self, write: Write) -> Result<(), Arc<JournalError>> {
        self.write_all(Vec::new(), Some(write))
    }

    /// Writes the notes, behind those that have waited for it, and the rest.
    fn write_all(&self, notes: Vec<Note>, last: Option<Write>) -> Result<(), Arc<JournalError>> {
        let (answer, answered) = bounded(1);
        // ORDER: what has waited is on its way before anybody else finds that nothing waits. The writer never asks for it.
        let mut waiting = self.waiting();
        let mut all = mem::take(&mut *waiting);
        all.extend(notes);
        let settles = all.iter().any(|note| matches!(note, Note::Settle(..)));
        let intends = all.iter().any(|note| matches!(note, Note::Intend(..)));
        let points =
            |settled, intended| [(settles, settled), (intends, intended)].into_iter().filter_map(|(is, point)| is.then_some(point));
        points(CrashPoint::BeforeSettle, CrashPoint::BeforeIntent).for_each(crash_at);
        let writes = all.into_iter().map(Write::Note).chain(last).collect();
        let sent = self.writes.send(Request { writes, answer });
        drop(waiting);
        sent.map_err(|_| Arc::new(JournalError::Ended))?;
        answered.recv().unwrap_or_else(|_| Err(Arc::new(JournalError::Ended)))?;
        points(CrashPoint::Settled, CrashPoint::Intended).for_each(crash_at);
        Ok(())
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Note>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger for Journal {
    fn note(&self, notes: Vec<Note>) -> Result<(), LedgerError> {
        self.write_all(notes, None).map_err(unavailable)
    }

    fn note_with_next(&self, notes: Vec<Note>) {
        self.waiting().extend(notes);
    }

    fn steps(&self, command: CommandId) -> Result<Vec<(Step, Option<StepOutcome>)>, LedgerError> {
        self.store.steps(command).map_err(unavailable)
    }

    fn owner(&self, stack: &StackName) -> Result<Option<ProjectId>, LedgerError> {
        Ok(self.store.brief(stack).map(|brief| brief.project))
    }

    fn revisions(&self, stack: &StackName) -> Result<Vec<Revision>, LedgerError> {
        Ok(self.store.stack(stack).map_err(unavailable)?.revisions)
    }

    fn stacks(&self) -> Result<Vec<StackName>, LedgerError> {
        self.store.stacks().map_err(unavailable)
    }

    fn rotation_key(&self, stack: &StackName, fresh: Sensitive<String>) -> Result<Sensitive<String>, LedgerError> {
        let kept = || self.store.stack(stack).map(|stack| stack.rotation_key).map_err(unavailable);
        if let Some(key) = kept()? {
            return Ok(key);
        }
        self.write(Write::RotationKey(stack.clone(), fresh)).map_err(unavailable)?;
        kept()?.ok_or_else(|| LedgerError("the rotation key was not kept".to_owned()))
    }

    fn stack(&self, stack: &StackName) -> Result<KeptStack, LedgerError> {
        let kept = self.store.stack(stack).map_err(unavailable)?;
        Ok(KeptStack { owner: kept.owner, revisions: kept.revisions, logins: kept.logins, orphans: kept.orphans })
    }
}

fn unavailable(error: impl ToString) -> LedgerError {
    LedgerError(error.to_string())
}

#[cfg(test)]
mod tests;

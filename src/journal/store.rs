//! The tables of the journal on redb, and what each change means to them. Writes are made by the
//! `journal` thread alone; reads may come from any thread.
//!
//! Records are JSON: they are few and small, and a support engineer can read them.

use super::reserve::{FileReserve, Reserve, ReservedFile};
use super::{Entry, Finished, Identity, JournalError, Origin, Recovered, Reported, Write};
use crate::domain::{
    CommandId, MAX_ENDED, Note, Orphan, Past, Position, ProjectId, Revision, Sensitive, StackBrief, StackName, Step, StepOutcome, Timestamp,
};
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata as _, StorageBackend, TableDefinition, WriteTransaction};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// redb's page cache in bytes; its default of 1 GiB is no figure for a small host.
const CACHE_BYTES: usize = 1024 * 1024;

/// A command of which there is more to remember is not remembered, in bytes: a few kilobytes are usual, with all that is kept of
/// its end, and no sender is to make the journal large.
const MAX_PAST: usize = 16 << 10;

/// Until an id is reported it is known without an end.
const KNOWN_WHILE_OPEN: i64 = i64::MAX;

const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
/// Accepted and not reported, by the order of acceptance.
const COMMANDS: TableDefinition<u64, &[u8]> = TableDefinition::new("commands");
/// Every known id: Unix milliseconds until which it must be known, and its number in COMMANDS while it is there.
const KNOWN: TableDefinition<u128, (i64, u64)> = TableDefinition::new("known");
/// The steps of an open command, by id and count: those of one write in one row, as a list.
const STEPS: TableDefinition<(u128, u32), &[u8]> = TableDefinition::new("steps");
/// The next offset to read.
const POSITIONS: TableDefinition<(&str, i32), i64> = TableDefinition::new("positions");
const STACKS: TableDefinition<&str, &[u8]> = TableDefinition::new("stacks");
/// The last commands that have ended, for people who look on, by the order of their ends. Earlier versions have no such table.
const HISTORY: TableDefinition<u64, &[u8]> = TableDefinition::new("history");

const IDENTITY: &str = "identity";
const ENROLMENT_SALT: &str = "enrolment_salt";
const PAUSED: &str = "paused";

/// A stack as the journal knows it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Stack {
    pub(super) owner: Option<ProjectId>,
    pub(super) revisions: Vec<Revision>,
    #[serde(default)]
    pub(super) rotation_key: Option<Sensitive<String>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) logins: BTreeMap<String, String>,
    /// Records of earlier versions have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) orphans: Vec<Orphan>,
}

impl Stack {
    fn brief(&self) -> Option<StackBrief> {
        let revision = self.revisions.last().map_or(0, |newest| newest.number);
        self.owner.clone().map(|project| StackBrief { project, revision })
    }

    /// A command that is carried out again after a crash keeps its revision instead of adding one.
    fn keep(&mut self, revision: Revision, keep: usize) {
        if self.revisions.iter().all(|kept| kept.command != revision.command) {
            // Whoever numbers them has read this record. Should it not have been the newest, no number is given twice.
            let free = self.revisions.last().map_or(1, |newest| newest.number + 1);
            self.revisions.push(Revision { number: revision.number.max(free), ..revision });
            let surplus = self.revisions.len().saturating_sub(keep.max(1));
            self.revisions.drain(..surplus);
        }
    }
}

/// The same record without what its revisions hold, which is nearly all of it.
#[derive(Debug, Default, Deserialize)]
struct Outline {
    owner: Option<ProjectId>,
    revisions: Vec<Numbered>,
}

#[derive(Debug, Deserialize)]
struct Numbered {
    number: u64,
}

impl Outline {
    /// Nothing for a stack that is nobody's.
    fn brief(self) -> Option<StackBrief> {
        let revision = self.revisions.last().map_or(0, |newest| newest.number);
        self.owner.map(|project| StackBrief { project, revision })
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct StepRecord {
    step: Step,
    outcome: Option<StepOutcome>,
}

/// The open database.
pub(super) struct Store {
    database: Database,
    path: PathBuf,
    reserve: Option<FileReserve>,
    /// The stacks that have an owner, as they are on disk: they are asked for after each command, and a record is mostly revisions.
    briefs: Mutex<BTreeMap<StackName, StackBrief>>,
}

/// What a transaction makes of stacks, in short; none is left of one that is nobody's.
type Changed = BTreeMap<StackName, Option<StackBrief>>;

impl Store {
    /// Opens or makes the file with mode 0600 and all its tables.
    pub(super) fn open(path: &Path, state_dir: &Path) -> Result<Self, JournalError> {
        let directory = |error| JournalError::Directory(state_dir.display().to_string(), error);
        // Made here because redb would make it with the mode that the umask leaves.
        let options = std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).clone();
        let file = options.open(path).map_err(directory)?;
        let file = ReservedFile::new(file).map_err(failed("open"))?;
        let reserve = file.reserve().map_err(directory)?;
        reserve.replenish().map_err(directory)?;
        Self::over(file, Some(reserve), path, state_dir)
    }

    pub(super) fn over(
        backend: impl StorageBackend,
        reserve: Option<FileReserve>,
        path: &Path,
        state_dir: &Path,
    ) -> Result<Self, JournalError> {
        let database = match redb::Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(backend) {
            Err(redb::DatabaseError::DatabaseAlreadyOpen) => return Err(JournalError::Locked(state_dir.display().to_string())),
            other => other.map_err(failed("open"))?,
        };
        let store = Self { database, path: path.to_owned(), reserve, briefs: Mutex::default() };
        store.transact("prepare", |transaction| {
            transaction.open_table(META)?;
            transaction.open_table(COMMANDS)?;
            transaction.open_table(KNOWN)?;
            transaction.open_table(STEPS)?;
            transaction.open_table(POSITIONS)?;
            transaction.open_table(STACKS)?;
            transaction.open_table(HISTORY)?;
            Ok(())
        })?;
        *store.briefs() = store.read_briefs()?;
        Ok(store)
    }

    fn briefs(&self) -> MutexGuard<'_, BTreeMap<StackName, StackBrief>> {
        self.briefs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_briefs(&self) -> Result<BTreeMap<StackName, StackBrief>, JournalError> {
        let read = self.database.begin_read().map_err(failed("read"))?;
        let mut briefs = BTreeMap::new();
        for row in read.open_table(STACKS).map_err(failed("read"))?.iter().map_err(failed("read"))? {
            let (name, record) = row.map_err(failed("read"))?;
            let stack: Outline = decode("stacks", record.value())?;
            if let (Ok(name), Some(brief)) = (StackName::new(name.value()), stack.brief()) {
                briefs.insert(name, brief);
            }
        }
        Ok(briefs)
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes from the disk what the next writes may need.
    pub(super) fn replenish(&self) -> io::Result<Reserve> {
        self.reserve.as_ref().map_or(Ok(Reserve::Whole), FileReserve::replenish)
    }

    /// The bytes of all tables, without the pages that are free.
    pub(super) fn held(&self) -> Result<u64, JournalError> {
        let read = self.database.begin_read().map_err(failed("read"))?;
        let of = |stats: redb::TableStats| stats.stored_bytes() + stats.metadata_bytes() + stats.fragmented_bytes();
        let mut held = 0;
        for table in [META, STACKS] {
            held += of(read.open_table(table).map_err(failed("read"))?.stats().map_err(failed("read"))?);
        }
        for table in [COMMANDS, HISTORY] {
            held += of(read.open_table(table).map_err(failed("read"))?.stats().map_err(failed("read"))?);
        }
        held += of(read.open_table(KNOWN).map_err(failed("read"))?.stats().map_err(failed("read"))?);
        held += of(read.open_table(STEPS).map_err(failed("read"))?.stats().map_err(failed("read"))?);
        held += of(read.open_table(POSITIONS).map_err(failed("read"))?.stats().map_err(failed("read"))?);
        Ok(held)
    }

    /// All that a start needs.
    pub(super) fn recover(&self) -> Result<Recovered, JournalError> {
        let read = self.database.begin_read().map_err(failed("read"))?;
        let commands = read.open_table(COMMANDS).map_err(failed("read"))?;
        let mut entries = Vec::new();
        for row in commands.iter().map_err(failed("read"))? {
            entries.push(decode("commands", row.map_err(failed("read"))?.1.value())?);
        }
        let mut positions = Vec::new();
        for row in read.open_table(POSITIONS).map_err(failed("read"))?.iter().map_err(failed("read"))? {
            let (key, offset) = row.map_err(failed("read"))?;
            let (topic, partition) = key.value();
            positions.push(Position { topic: topic.to_owned(), partition, offset: offset.value() });
        }
        let stacks = self.briefs().clone();
        Ok(Recovered { entries, positions, identity: self.identity()?, stacks, past: self.past()?, paused: self.paused()? })
    }

    /// The last commands that have ended. One that this version cannot read is left out: no agent stays away for a list.
    fn past(&self) -> Result<Vec<Past>, JournalError> {
        let read = self.database.begin_read().map_err(failed("read"))?;
        let mut past = Vec::new();
        for row in read.open_table(HISTORY).map_err(failed("read"))?.iter().map_err(failed("read"))? {
            match decode("history", row.map_err(failed("read"))?.1.value()) {
                Ok(one) => past.push(one),
                Err(_) => log::warn!("the list of commands begins without one that this version cannot read"),
            }
        }
        Ok(past)
    }

    /// Who this agent is.
    pub(super) fn identity(&self) -> Result<Option<Identity>, JournalError> {
        let read = self.database.begin_read().map_err(failed("read"))?;
        let meta = read.open_table(META).map_err(failed("read"))?;
        let identity = meta.get(IDENTITY).map_err(failed("read"))?;
        identity.map(|guard| decode("meta", guard.value())).transpose()
    }

    /// What makes the id of the request to be enrolled that is under way.
    pub(super) fn enrolment_salt(&self) -> Result<Option<Uuid>, JournalError> {
        let read = self.database.begin_read().map_err(failed("read"))?;
        let meta = read.open_table(META).map_err(failed("read"))?;
        let salt = meta.get(ENROLMENT_SALT).map_err(failed("read"))?;
        salt.map(|guard| decode("meta", guard.value())).transpose()
    }

    /// Since when the agent is paused.
    fn paused(&self) -> Result<Option<Timestamp>, JournalError> {
        let read = self.database.begin_read().map_err(failed("read"))?;
        let meta = read.open_table(META).map_err(failed("read"))?;
        let paused = meta.get(PAUSED).map_err(failed("read"))?;
        paused.map(|guard| decode("meta", guard.value())).transpose()
    }

    /// Whether an id is known.
    pub(super) fn knows(&self, command: CommandId) -> Result<bool, JournalError> {
        let read = self.database.begin_read().map_err(failed("read"))?;
        let known = read.open_table(KNOWN).map_err(failed("read"))?;
        Ok(known.get(command.0.as_u128()).map_err(failed("read"))?.is_some())
    }

    /// Whether an id need not be known any more after `now`.
    pub(super) fn knows_too_much(&self, now: Timestamp) -> Result<bool, JournalError> {
        let read = self.database.begin_read().map_err(failed("read"))?;
        let known = read.open_table(KNOWN).map_err(failed("read"))?;
        for row in known.iter().map_err(failed("read"))? {
            if row.map_err(failed("read"))?.1.value().0 <= now.as_millis() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The steps of a command, in order.
    pub(super) fn steps(&self, command: CommandId) -> Result<Vec<(Step, Option<StepOutcome>)>, JournalError> {
        let read = self.database.begin_read().map_err(failed("read"))?;
        let steps = read.open_table(STEPS).map_err(failed("read"))?;
        let id = command.0.as_u128();
        let mut found = Vec::new();
        for row in steps.range((id, 0)..=(id, u32::MAX)).map_err(failed("read"))? {
            let records = step_records(row.map_err(failed("read"))?.1.value())?;
            found.extend(records.into_iter().map(|record| (record.step, record.outcome)));
        }
        Ok(found)
    }

    /// A stack; an unknown one is nobody's and has no revisions.
    pub(super) fn stack(&self, stack: &StackName) -> Result<Stack, JournalError> {
        let read = self.database.begin_read().map_err(failed("read"))?;
        let stacks = read.open_table(STACKS).map_err(failed("read"))?;
        let record = stacks.get(stack.as_str()).map_err(failed("read"))?;
        record.map_or_else(|| Ok(Stack::default()), |guard| decode("stacks", guard.value()))
    }

    /// The same in short, if it has an owner.
    pub(super) fn brief(&self, stack: &StackName) -> Option<StackBrief> {
        self.briefs().get(stack).cloned()
    }

    /// The stacks of which there is a record.
    pub(super) fn stacks(&self) -> Result<Vec<StackName>, JournalError> {
        let read = self.database.begin_read().map_err(failed("read"))?;
        let mut names = Vec::new();
        for row in read.open_table(STACKS).map_err(failed("read"))?.iter().map_err(failed("read"))? {
            names.extend(StackName::new(row.map_err(failed("read"))?.0.value()));
        }
        Ok(names)
    }

    /// Applies all of it in one synced transaction.
    pub(super) fn commit(&self, mut writes: impl Iterator<Item = Write>) -> Result<(), JournalError> {
        let mut changed = Changed::new();
        self.transact("write", |transaction| writes.try_for_each(|write| apply(transaction, write, &mut changed)))?;
        let mut briefs = self.briefs();
        for (stack, brief) in changed {
            match brief {
                Some(brief) => drop(briefs.insert(stack, brief)),
                None => drop(briefs.remove(&stack)),
            }
        }
        Ok(())
    }

    fn transact<T>(
        &self,
        operation: &'static str,
        body: impl FnOnce(&WriteTransaction) -> Result<T, StoreFailure>,
    ) -> Result<T, JournalError> {
        let transaction = self.database.begin_write().map_err(failed(operation))?;
        let value = body(&transaction).map_err(|failure| failure.during(operation))?;
        transaction.commit().map_err(failed(operation))?;
        Ok(value)
    }
}

/// What may go wrong inside a transaction, before it is known which operation it was part of.
enum StoreFailure {
    Store(Box<redb::Error>),
    Record(JournalError),
}

impl StoreFailure {
    fn during(self, operation: &'static str) -> JournalError {
        match self {
            Self::Store(source) => JournalError::Store { operation, source },
            Self::Record(error) => error,
        }
    }
}

impl<E: Into<redb::Error>> From<E> for StoreFailure {
    fn from(error: E) -> Self {
        Self::Store(Box::new(error.into()))
    }
}

fn apply(transaction: &WriteTransaction, write: Write, changed: &mut Changed) -> Result<(), StoreFailure> {
    match write {
        Write::Accept(entries) => accept(transaction, &entries)?,
        Write::Finish(ended) => ended.into_iter().try_for_each(|finished| finish(transaction, finished))?,
        Write::Report(reported, heard, marks) => {
            for (command, reader) in heard {
                change_entry(transaction, command, |entry| entry.heard.extend([reader]))?;
            }
            report(transaction, &reported, &marks)?;
        }
        Write::Identify(identity) => {
            let mut meta = transaction.open_table(META)?;
            meta.insert(IDENTITY, encode(&identity).as_slice())?;
            if let Origin::Enrolled { .. } = identity.origin {
                meta.remove(ENROLMENT_SALT)?;
            }
        }
        Write::ForgetIdentity => {
            transaction.open_table(META)?.remove(IDENTITY)?;
        }
        Write::EnrolmentSalt(salt) => {
            transaction.open_table(META)?.insert(ENROLMENT_SALT, encode(&salt).as_slice())?;
        }
        Write::Pause(Some(since)) => {
            transaction.open_table(META)?.insert(PAUSED, encode(&since).as_slice())?;
        }
        Write::Pause(None) => {
            transaction.open_table(META)?.remove(PAUSED)?;
        }
        Write::Note(note) => apply_note(transaction, note, changed)?,
        Write::RotationKey(stack, fresh) => change_stack(transaction, changed, &stack, |record| {
            record.rotation_key.get_or_insert(fresh);
        })?,
        Write::ForgetKnown(now) => {
            transaction.open_table(KNOWN)?.retain(|_, (until, _)| until > now.as_millis())?;
        }
    }
    Ok(())
}

fn apply_note(transaction: &WriteTransaction, note: Note, changed: &mut Changed) -> Result<(), StoreFailure> {
    match note {
        Note::Intend(command, steps) => intend(transaction, command, steps)?,
        Note::Settle(command, outcomes) => settle(transaction, command, outcomes)?,
        Note::Own(stack, project) => change_stack(transaction, changed, &stack, |record| record.owner = Some(project))?,
        Note::Keep(stack, revision, keep) => change_stack(transaction, changed, &stack, |record| record.keep(*revision, keep))?,
        Note::KeepLogins(stack, logins) => change_stack(transaction, changed, &stack, |record| record.logins = logins)?,
        Note::KeepOrphans(stack, orphans) => change_stack(transaction, changed, &stack, |record| record.orphans = orphans)?,
        Note::Forget(stack) => {
            transaction.open_table(STACKS)?.remove(stack.as_str())?;
            changed.insert(stack, None);
        }
    }
    Ok(())
}

fn accept(transaction: &WriteTransaction, entries: &[Entry]) -> Result<(), StoreFailure> {
    let (mut commands, mut known) = (transaction.open_table(COMMANDS)?, transaction.open_table(KNOWN)?);
    let next = commands.last()?.map_or(0, |(number, _)| number.value() + 1);
    for (number, entry) in (next..).zip(entries) {
        commands.insert(number, encode(entry).as_slice())?;
        known.insert(entry.command.id.0.as_u128(), (KNOWN_WHILE_OPEN, number))?;
    }
    Ok(())
}

fn finish(transaction: &WriteTransaction, Finished { command, terminal, past }: Finished) -> Result<(), StoreFailure> {
    change_entry(transaction, command, |entry| entry.terminal = Some(terminal))?;
    forget_steps(transaction, command)?;
    past.map_or(Ok(()), |past| remember(transaction, &past))
}

fn forget_steps(transaction: &WriteTransaction, command: CommandId) -> Result<(), StoreFailure> {
    let id = command.0.as_u128();
    transaction.open_table(STEPS)?.retain_in((id, 0)..=(id, u32::MAX), |_, _| false)?;
    Ok(())
}

/// Adds a command to the last that have ended, and drops the oldest of too many.
fn remember(transaction: &WriteTransaction, past: &Past) -> Result<(), StoreFailure> {
    let record = encode(past);
    if record.len() > MAX_PAST {
        return Ok(());
    }
    let mut history = transaction.open_table(HISTORY)?;
    let next = history.last()?.map_or(0, |(number, _)| number.value() + 1);
    history.insert(next, record.as_slice())?;
    while history.len()? > MAX_ENDED as u64 {
        history.pop_first()?;
    }
    Ok(())
}

/// Changes the record of a command that is not reported; one that was never accepted, as a refusal, has none.
fn change_entry(transaction: &WriteTransaction, command: CommandId, change: impl FnOnce(&mut Entry)) -> Result<(), StoreFailure> {
    let number = transaction.open_table(KNOWN)?.get(command.0.as_u128())?.map(|row| row.value().1);
    let mut commands = transaction.open_table(COMMANDS)?;
    let entry = match number {
        Some(number) => commands.get(number)?.map(|guard| decode::<Entry>("commands", guard.value())),
        None => None,
    };
    if let (Some(number), Some(entry)) = (number, entry) {
        let mut entry = entry.map_err(StoreFailure::Record)?;
        change(&mut entry);
        commands.insert(number, encode(&entry).as_slice())?;
    }
    Ok(())
}

fn report(transaction: &WriteTransaction, reported: &[Reported], marks: &[Position]) -> Result<(), StoreFailure> {
    let (mut known, mut commands) = (transaction.open_table(KNOWN)?, transaction.open_table(COMMANDS)?);
    for one in reported {
        let id = one.command.0.as_u128();
        let number = known.get(id)?.map(|row| row.value().1);
        if let Some(number) = number {
            commands.remove(number)?;
            forget_steps(transaction, one.command)?;
        }
        known.insert(id, (one.known_until.as_millis(), u64::MAX))?;
        if let Some(past) = &one.past {
            remember(transaction, past)?;
        }
    }
    let mut positions = transaction.open_table(POSITIONS)?;
    for mark in marks {
        positions.insert((mark.topic.as_str(), mark.partition), mark.offset)?;
    }
    Ok(())
}

fn intend(transaction: &WriteTransaction, command: CommandId, intended: Vec<Step>) -> Result<(), StoreFailure> {
    let id = command.0.as_u128();
    let mut steps = transaction.open_table(STEPS)?;
    let next = steps.range((id, 0)..=(id, u32::MAX))?.next_back().transpose()?.map_or(0, |(key, _)| key.value().1 + 1);
    let records: Vec<StepRecord> = intended.into_iter().map(|step| StepRecord { step, outcome: None }).collect();
    steps.insert((id, next), encode(&records).as_slice())?;
    Ok(())
}

/// The newest intent of each step has this outcome.
fn settle(transaction: &WriteTransaction, command: CommandId, mut outcomes: Vec<(Step, StepOutcome)>) -> Result<(), StoreFailure> {
    let id = command.0.as_u128();
    let mut steps = transaction.open_table(STEPS)?;
    let mut settled = Vec::new();
    for row in steps.range((id, 0)..=(id, u32::MAX))?.rev() {
        if outcomes.is_empty() {
            break;
        }
        let (key, row) = row?;
        let (mut records, before) = (step_records(row.value()).map_err(StoreFailure::Record)?, outcomes.len());
        for record in records.iter_mut().rev() {
            if let Some(index) = outcomes.iter().rposition(|(of, _)| *of == record.step) {
                record.outcome = Some(outcomes.remove(index).1);
            }
        }
        if outcomes.len() < before {
            settled.push((key.value(), records));
        }
    }
    for (key, records) in settled {
        steps.insert(key, encode(&records).as_slice())?;
    }
    Ok(())
}

/// What one row of STEPS has; an earlier version wrote a row for each step.
fn step_records(row: &[u8]) -> Result<Vec<StepRecord>, JournalError> {
    if row.starts_with(b"[") { decode("steps", row) } else { decode("steps", row).map(|record| vec![record]) }
}

fn change_stack(
    transaction: &WriteTransaction,
    changed: &mut Changed,
    stack: &StackName,
    change: impl FnOnce(&mut Stack),
) -> Result<(), StoreFailure> {
    let mut stacks = transaction.open_table(STACKS)?;
    let mut record = match stacks.get(stack.as_str())? {
        Some(guard) => decode("stacks", guard.value()).map_err(StoreFailure::Record)?,
        None => Stack::default(),
    };
    change(&mut record);
    stacks.insert(stack.as_str(), encode(&record).as_slice())?;
    changed.insert(stack.clone(), record.brief());
    Ok(())
}

fn failed<E: Into<redb::Error>>(operation: &'static str) -> impl Fn(E) -> JournalError {
    move |error| JournalError::Store { operation, source: Box::new(error.into()) }
}

fn decode<T: DeserializeOwned>(table: &'static str, bytes: &[u8]) -> Result<T, JournalError> {
    serde_json::from_slice(bytes).map_err(|error| {
        let fault = if error.is_data() { "an unknown form" } else { "damaged" };
        JournalError::Record { table, fault, column: error.column() }
    })
}

#[allow(clippy::expect_used, reason = "the records are plain structs with string keys: serde_json cannot refuse them")]
fn encode<T: Serialize>(record: &T) -> Vec<u8> {
    serde_json::to_vec(record).expect("a journal record is plain JSON")
}

//! The journal against a real file: what was written is there after it was opened again.

use super::*;
use crate::domain::{Action, Code, Context, Direct, EventKind, GetStatus, MAX_ENDED, Note, Outcome, Recent, Refusal, Specs, Stage};
use serde_json::json;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use uuid::Uuid;

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("axion-journal-{}", Uuid::new_v4()));
        Self(path)
    }

    fn open(&self) -> (Journal, Recovered, Thread) {
        let (exits, _) = bounded(1);
        open(&self.0, exits).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn id(n: u128) -> CommandId {
    CommandId(Uuid::from_u128(n))
}

fn entry(n: u128) -> Entry {
    let command = Command {
        id: id(n),
        action: Action::GetStatus(GetStatus { target: None }),
        issued_at: None,
        expires_at: None,
        signed_by: None,
        context: Context::default(),
    };
    let way = Way::Topic(Position { topic: "t".into(), partition: 0, offset: n as i64 });
    Entry { command, way, accepted_at: Timestamp::from_millis(5), terminal: None, heard: BTreeSet::new() }
}

fn terminal(entry: &Entry) -> Event {
    let agent = AgentId::new("a").unwrap();
    Event::of_command(&agent, &entry.command, EventKind::StatusReport, Stage::Terminal, json!({"x": 1}), Timestamp::from_millis(6))
}

/// One that has ended, with all that is kept of it.
fn finished(n: u128) -> Finished {
    let mut recent = Recent::default();
    let Entry { command, way, accepted_at, .. } = entry(n);
    recent.accepted(&command, &way, accepted_at);
    recent.ended(id(n), &Outcome::completed("yes"), &terminal(&entry(n)));
    let past = recent.get(id(n)).map(|brief| Box::new(Past::of(brief, Some(&terminal(&entry(n))))));
    Finished { command: id(n), terminal: terminal(&entry(n)), past }
}

fn refused(n: u128, message: &str, user: &str) -> Reported {
    let context = Context { user_id: Some(user.to_owned()), ..Context::default() };
    let refusal =
        Refusal { command_id: id(n), command_type: None, context, timely_until: None, code: Code::EXPIRED, message: message.to_owned() };
    let mut recent = Recent::default();
    recent.refused(&refusal, &Way::Direct(Direct::Local), Timestamp::from_millis(7));
    let past = recent.get(id(n)).map(|brief| Box::new(Past::of(brief, None)));
    Reported { command: id(n), known_until: Timestamp::from_millis(100), past }
}

/// What a start finds of those that have ended, newest first.
fn remembered(past: Vec<Past>) -> Vec<(u128, bool)> {
    Recent::of(past).newest_first().map(|brief| (brief.command_id.0.as_u128(), brief.terminal.is_some())).collect()
}

#[test]
fn the_last_commands_that_have_ended_are_remembered_with_their_ends() {
    let folder = Folder::new();
    let (journal, recovered, thread) = folder.open();
    assert_eq!(remembered(recovered.past), []);
    for n in 1..=3 {
        journal.accept(vec![entry(n)]).unwrap();
    }
    journal.finish(vec![finished(2), finished(1)]).unwrap();
    let reported = Reported { command: id(1), known_until: Timestamp::from_millis(100), past: None };
    journal.report(vec![reported, refused(4, "too late", "u"), refused(5, "x", &"u".repeat(1 << 20))], vec![], vec![]).unwrap();
    drop(journal);
    thread.join();
    let (journal, recovered, _) = folder.open();
    // Reported or not, once each; 3 is open, and of 5 there is too much.
    assert_eq!(remembered(recovered.past.clone()), [(4, false), (1, true), (2, true)]);
    assert_eq!(Recent::of(recovered.past).get(id(4)).unwrap().code.as_deref(), Some("command.expired"));

    let many = MAX_ENDED as u128;
    journal.finish((10..10 + many).map(finished).collect()).unwrap();
    let full = journal.space(0).unwrap().held;
    journal.finish((200..200 + many).map(finished).collect()).unwrap();
    let past = remembered(journal.store.recover().unwrap().past);
    assert_eq!((past.len(), past[0].0, past[MAX_ENDED - 1].0), (MAX_ENDED, 200 + many - 1, 200));
    assert!(journal.space(0).unwrap().held <= full + 4096, "the oldest make room");
}

#[test]
fn a_journal_without_the_table_and_a_record_that_cannot_be_read_cost_the_list_alone() {
    let folder = Folder::new();
    let (journal, _, thread) = folder.open();
    journal.accept(vec![entry(1)]).unwrap();
    journal.finish(vec![finished(1), finished(2)]).unwrap();
    drop(journal);
    thread.join();
    let table: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("history");
    let change = |change: &dyn Fn(&redb::WriteTransaction)| {
        let database = redb::Database::open(folder.0.join(FILE)).unwrap();
        let transaction = database.begin_write().unwrap();
        change(&transaction);
        transaction.commit().unwrap();
    };
    change(&|transaction| drop(transaction.open_table(table).unwrap().insert(1, br#"{"brief": 1}"#.as_slice()).unwrap()));
    let (journal, recovered, thread) = folder.open();
    assert_eq!((recovered.entries.len(), remembered(recovered.past)), (1, vec![(1, true)]));
    drop(journal);
    thread.join();
    change(&|transaction| assert!(transaction.delete_table(table).unwrap()));
    let (_journal, recovered, _) = folder.open();
    assert_eq!((recovered.entries.len(), remembered(recovered.past)), (1, vec![]));
}

#[test]
fn a_command_goes_from_accepted_to_finished_to_reported() {
    let folder = Folder::new();
    let (journal, recovered, thread) = folder.open();
    assert!(recovered.entries.is_empty());
    for n in 1..=3 {
        journal.accept(vec![entry(n)]).unwrap();
    }
    journal.finish(vec![finished(2)]).unwrap();
    drop(journal);
    thread.join();

    let (journal, recovered, thread) = folder.open();
    let open: Vec<_> = recovered.entries.iter().map(|entry| (entry.command.id, entry.terminal.is_some())).collect();
    assert_eq!(open, [(id(1), false), (id(2), true), (id(3), false)]);
    assert_eq!(recovered.entries[1].terminal, Some(terminal(&entry(2))));

    journal.report(vec![], vec![(id(2), Reader::Topic), (id(9), Reader::Session)], vec![]).unwrap();
    drop((journal, recovered));
    thread.join();

    let (journal, recovered, thread) = folder.open();
    let heard: Vec<_> = recovered.entries.iter().map(|entry| entry.heard.len()).collect();
    assert_eq!(heard, [0, 1, 0], "one of those who are owed the end has it; 9 was never accepted");

    let mark = Position { topic: "t".into(), partition: 0, offset: 3 };
    let reported = Reported { command: id(2), known_until: Timestamp::from_millis(100), past: None };
    journal.report(vec![reported], vec![], vec![mark.clone()]).unwrap();
    drop(journal);
    thread.join();

    let (journal, recovered, _) = folder.open();
    assert_eq!(recovered.entries.len(), 2);
    assert_eq!(recovered.positions, [mark]);
    assert!(journal.knows(id(2)).unwrap(), "a reported id stays known");
    journal.forget_known(Timestamp::from_millis(101)).unwrap();
    assert!(!journal.knows(id(2)).unwrap(), "until its time is over");
    assert!(journal.knows(id(1)).unwrap(), "an open one is known for as long as it is open");
}

#[test]
fn steps_are_kept_in_order_and_dropped_at_the_end() {
    let folder = Folder::new();
    let (journal, _, _) = folder.open();
    journal.accept(vec![entry(1)]).unwrap();
    let step = |object: &str| Step { operation: "service.create".into(), object: object.into() };
    let write = |note: Note| assert_eq!(journal.note(vec![note]), Ok(()));
    write(Note::Intend(id(1), vec![step("a"), step("z")]));
    write(Note::Settle(id(1), vec![(step("a"), StepOutcome::Done(Some("x".into())))]));
    write(Note::Intend(id(1), vec![step("b")]));
    let done = Some(StepOutcome::Done(Some("x".into())));
    assert_eq!(journal.steps(id(1)).unwrap(), [(step("a"), done), (step("z"), None), (step("b"), None)]);
    assert!(journal.steps(id(2)).unwrap().is_empty());
    journal.finish(vec![finished(1)]).unwrap();
    assert!(journal.steps(id(1)).unwrap().is_empty());
    // The end of a command that is owed to nobody is its report.
    journal.accept(vec![entry(2)]).unwrap();
    write(Note::Intend(id(2), vec![step("a")]));
    let reported = Reported { command: id(2), known_until: Timestamp::from_millis(100), past: None };
    journal.report(vec![reported], vec![], vec![]).unwrap();
    assert!(journal.steps(id(2)).unwrap().is_empty());
    assert!(journal.knows(id(2)).unwrap());
}

#[test]
fn a_stack_keeps_its_owner_and_its_newest_revisions() {
    let folder = Folder::new();
    let (journal, _, _) = folder.open();
    let stack = StackName::new("s").unwrap();
    let project = ProjectId::new("p").unwrap();
    assert_eq!(journal.owner(&stack).unwrap(), None);
    journal.note(vec![Note::Own(stack.clone(), project.clone())]).unwrap();
    let revision = |number, n| Revision { number, command: id(n), at: Timestamp::from_millis(0), specs: Specs::default() };
    let keep = |number, n| journal.note(vec![Note::Keep(stack.clone(), Box::new(revision(number, n)), 3)]).unwrap();
    for n in 1..=4 {
        keep(n, u128::from(n));
    }
    keep(5, 4);
    let numbers: Vec<_> = journal.revisions(&stack).unwrap().iter().map(|revision| revision.number).collect();
    assert_eq!(numbers, [2, 3, 4], "the same command is the same revision");
    let brief = StackBrief { project: project.clone(), revision: 4 };
    assert_eq!(journal.brief(&stack), Some(brief.clone()));
    assert_eq!(journal.store.recover().unwrap().stacks, BTreeMap::from([(stack.clone(), brief)]));
    assert_eq!(journal.owner(&stack).unwrap(), Some(project));
    let key = |text: &str| Sensitive::new(text.to_owned());
    assert_eq!(journal.rotation_key(&stack, key("first")).unwrap(), key("first"));
    assert_eq!(journal.rotation_key(&stack, key("second")).unwrap(), key("first"), "the kept one stays");
    journal.note(vec![Note::Forget(stack.clone())]).unwrap();
    assert!(journal.revisions(&stack).unwrap().is_empty());
    assert_eq!(journal.brief(&stack), None);
}

#[test]
fn what_may_wait_is_on_disk_with_the_next_write() {
    let folder = Folder::new();
    let (journal, _, _) = folder.open();
    let (stack, project) = (StackName::new("s").unwrap(), ProjectId::new("p").unwrap());
    let step = |object: &str| Step { operation: "service.create".into(), object: object.into() };
    journal.note_with_next(vec![Note::Own(stack.clone(), project.clone()), Note::Intend(id(1), vec![step("a")])]);
    assert_eq!((journal.owner(&stack).unwrap(), journal.steps(id(1)).unwrap()), (None, vec![]));
    journal.pause(None).unwrap();
    assert_eq!((journal.owner(&stack).unwrap(), journal.steps(id(1)).unwrap().len()), (Some(project), 1));
    journal.note(vec![Note::Intend(id(1), vec![step("b")])]).unwrap();
    assert_eq!(journal.steps(id(1)).unwrap().len(), 2, "it was written once");
}

#[test]
fn a_request_to_be_enrolled_stays_the_same_until_the_agent_is() {
    let folder = Folder::new();
    let (journal, _, thread) = folder.open();
    let salt = journal.enrolment_salt().unwrap();
    journal.identify(Identity::local(AgentId::new("a").unwrap())).unwrap();
    drop(journal);
    thread.join();
    let (journal, _, _) = folder.open();
    assert_eq!(journal.enrolment_salt().unwrap(), salt, "a local id is no answer");
    let origin = Origin::Enrolled { wish: None };
    journal.identify(Identity { origin, ..Identity::local(AgentId::new("a").unwrap()) }).unwrap();
    assert_ne!(journal.enrolment_salt().unwrap(), salt, "the next enrolment is another one");
    journal.forget_identity().unwrap();
    assert_eq!(journal.identity().unwrap(), None);
}

#[test]
fn a_record_of_a_newer_version_is_refused_without_its_values() {
    let folder = Folder::new();
    let (journal, _, thread) = folder.open();
    journal.accept(vec![entry(1)]).unwrap();
    drop(journal);
    thread.join();
    let table: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("commands");
    let database = redb::Database::open(folder.0.join(FILE)).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(table).unwrap().insert(0, br#"{"command":"hunter2"}"#.as_slice()).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let (exits, _) = bounded(1);
    let error = open(&folder.0, exits).err().unwrap().to_string();
    assert!(error.contains("commands") && error.contains("newer version") && !error.contains("hunter2"), "{error}");
}

#[test]
fn a_second_agent_is_refused_by_name() {
    let folder = Folder::new();
    let (_journal, _, _) = folder.open();
    let (exits, _) = bounded(1);
    let error = open(&folder.0, exits).err().unwrap();
    assert!(matches!(error, JournalError::Locked(_)), "{error}");
}

#[test]
fn nobody_else_may_read_the_journal() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let (_journal, _, _) = folder.open();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.0), 0o700);
    assert_eq!(mode(&folder.0.join(FILE)), 0o600);
}

#[test]
fn what_is_held_is_counted_without_the_pages_that_are_free() {
    let folder = Folder::new();
    let (journal, _, _thread) = folder.open();
    let file = journal.space(u64::MAX).unwrap();
    assert!(file.free > 0 && file.held > 0, "{file:?}");
    let empty = journal.space(0).unwrap().held;
    assert!(empty < file.held, "{empty} of {file:?}");
    journal.accept(vec![entry(1)]).unwrap();
    assert!(journal.space(0).unwrap().held > empty);
}

/// A disk in memory whose next flush fails; it counts what is asked of it afterwards.
#[derive(Debug, Default)]
struct FailingDisk {
    memory: redb::backends::InMemoryBackend,
    plan: Arc<Plan>,
}

#[derive(Debug, Default)]
struct Plan {
    fails: std::sync::atomic::AtomicBool,
    calls_after: std::sync::atomic::AtomicUsize,
}

impl FailingDisk {
    fn asked(&self) {
        if self.plan.fails.load(Relaxed) {
            self.plan.calls_after.fetch_add(1, Relaxed);
        }
    }
}

impl redb::StorageBackend for FailingDisk {
    fn len(&self) -> std::io::Result<u64> {
        self.memory.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.memory.read(offset, out)
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.asked();
        self.memory.set_len(len)
    }

    fn sync_data(&self) -> std::io::Result<()> {
        self.asked();
        if self.plan.fails.load(Relaxed) { Err(std::io::Error::other("the disk is gone")) } else { self.memory.sync_data() }
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.memory.write(offset, data)
    }
}

#[test]
fn a_failed_flush_is_never_tried_again() {
    let disk = FailingDisk::default();
    let plan = Arc::clone(&disk.plan);
    let store = Arc::new(Store::over(disk, None, Path::new("memory"), Path::new("memory")).unwrap());
    let (writes, requests) = bounded(WAITING_WRITES);
    let (exits, ended) = bounded(1);
    let writer = Arc::clone(&store);
    spawn(ThreadName::new("journal"), exits, move || worker::run(&writer, &requests)).unwrap();
    let journal = Journal { store, writes, waiting: Arc::default() };
    journal.accept(vec![entry(1)]).unwrap();
    plan.fails.store(true, Relaxed);
    let error = journal.accept(vec![entry(2)]).unwrap_err().to_string();
    assert!(error.contains("the disk is gone"), "{error}");
    assert!(matches!(ended.recv().unwrap().outcome, crate::threads::Outcome::Failed(_)), "the agent leaves with it");
    plan.calls_after.store(0, Relaxed);
    assert!(matches!(*journal.accept(vec![entry(2)]).unwrap_err(), JournalError::Ended));
    drop(journal);
    assert_eq!(plan.calls_after.load(Relaxed), 0, "nothing is written or flushed any more, also not at the end");
}

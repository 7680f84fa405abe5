//! A state directory of a few bytes: what the journal keeps of the commands of a scenario. A test holds it to the
//! journal itself.

use super::cast::{COMMANDS, Cast, EVENTS, Known, MOST, id, number, offset, place};
use crate::coordinator::book::Book;
use crate::domain::{CommandId, LedgerError, Note, Position, Reader, StackBrief, StackName, Timestamp, Way};
use crate::journal::{Entry, Finished, Identity, JournalError, Recovered, Reported, Reserve, Space};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

/// A command that is accepted and not reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Row {
    pub(super) command: u8,
    pub(super) offset: u8,
    /// A step of it was written down.
    pub(super) begun: bool,
    /// Its terminal event was.
    pub(super) ended: bool,
    /// The event topic has that.
    pub(super) heard: bool,
}

/// What is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Disk {
    /// In the order in which they were accepted.
    rows: [Option<Row>; MOST],
    /// Of every command: accepted or reported.
    known: [bool; MOST],
    /// Of every record that is no command: its report was written, and its letter.
    told: [bool; MOST],
    buried: [bool; MOST],
    /// Where reading goes on, in the command topic and in the event topic.
    pub(super) commands: Option<u8>,
    pub(super) events: Option<u8>,
}

impl Disk {
    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().flatten()
    }

    pub(super) fn row(&mut self, command: u8) -> Option<&mut Row> {
        self.rows.iter_mut().flatten().find(|row| row.command == command)
    }

    pub(super) fn knows(&self, what: Known) -> bool {
        match what {
            Known::Command(command) => self.known[usize::from(command)],
            Known::Report(offset) => self.told[usize::from(offset)],
            Known::Letter(offset) => self.buried[usize::from(offset)],
        }
    }

    /// A step of it is written down.
    pub(super) fn begin(&mut self, command: u8) {
        self.row(command).into_iter().for_each(|row| row.begun = true);
    }

    /// A byte for each row, and the rest.
    pub(super) fn packed(&self) -> u64 {
        let row = |row: &Option<Row>| {
            row.map_or(0, |row| {
                let bits = u64::from(row.begun) << 2 | u64::from(row.ended) << 1 | u64::from(row.heard);
                1 << 7 | u64::from(row.command) << 5 | u64::from(row.offset) << 3 | bits
            })
        };
        let rows = self.rows.iter().fold(0, |word, of| word << 8 | row(of));
        let known = self.known.iter().chain(&self.told).chain(&self.buried).fold(rows, |word, known| word << 1 | u64::from(*known));
        [self.commands, self.events].iter().fold(known, |word, place| word << 5 | place.map_or(0, |place| u64::from(place) + 1))
    }

    /// The id of a command is forgotten once it is over.
    pub(super) fn forget_known(&mut self) {
        let open: Vec<u8> = self.rows().map(|row| row.command).collect();
        self.known = [false; MOST];
        open.into_iter().for_each(|command| self.known[usize::from(command)] = true);
    }

    /// No end that nobody has confirmed is on disk.
    pub(super) fn lose_ends(&mut self) {
        self.rows.iter_mut().flatten().for_each(|row| row.ended = false);
    }

    fn accept(&mut self, command: u8, offset: u8) {
        let free = self.rows.iter_mut().find(|row| row.is_none()).expect("a row for each command");
        *free = Some(Row { command, offset, begun: false, ended: false, heard: false });
        self.known[usize::from(command)] = true;
    }

    fn report(&mut self, what: Known) {
        let command = match what {
            Known::Command(command) => command,
            Known::Report(offset) => return self.told[usize::from(offset)] = true,
            Known::Letter(offset) => return self.buried[usize::from(offset)] = true,
        };
        if let Some(index) = self.rows.iter().position(|row| row.is_some_and(|row| row.command == command)) {
            self.rows[index] = None;
            self.rows[index..].rotate_left(1);
        }
        self.known[usize::from(command)] = true;
    }

    /// What a start finds.
    pub(super) fn recover(&self, cast: &Cast) -> Recovered {
        let entry = |row: &Row| Entry {
            command: cast.command(row.command),
            way: Way::Topic(place(COMMANDS, row.offset)),
            accepted_at: Timestamp::from_millis(0),
            terminal: row.ended.then(|| cast.terminal(row.command)),
            heard: if row.heard { BTreeSet::from([Reader::Topic]) } else { BTreeSet::new() },
        };
        let positions = [(COMMANDS, self.commands), (EVENTS, self.events)];
        Recovered {
            entries: self.rows().map(entry).collect(),
            positions: positions.into_iter().filter_map(|(topic, offset)| Some(place(topic, offset?))).collect(),
            identity: None,
            stacks: BTreeMap::new(),
            past: Vec::new(),
            paused: None,
        }
    }
}

/// The disk as it is, and as it was after each write since it was laid in.
#[derive(Debug, Default)]
struct Drive {
    disk: Disk,
    history: Vec<Disk>,
}

/// The disk as a process writes it.
#[derive(Debug, Clone)]
pub(super) struct Sheet {
    cast: Rc<Cast>,
    drive: Rc<RefCell<Drive>>,
}

impl Sheet {
    pub(super) fn new(cast: Rc<Cast>) -> Self {
        Self { cast, drive: Rc::default() }
    }

    pub(super) fn lay_in(&self, disk: Disk) {
        *self.drive.borrow_mut() = Drive { disk, history: Vec::new() };
    }

    /// The disk after each write.
    pub(super) fn history(&self) -> Vec<Disk> {
        self.drive.borrow().history.clone()
    }

    fn write(&self, change: impl FnOnce(&mut Disk)) -> Result<(), Arc<JournalError>> {
        let mut drive = self.drive.borrow_mut();
        change(&mut drive.disk);
        let disk = drive.disk;
        drive.history.push(disk);
        Ok(())
    }
}

impl Book for Sheet {
    fn accept(&self, entries: Vec<Entry>) -> Result<(), Arc<JournalError>> {
        self.write(|disk| {
            for entry in &entries {
                let Way::Topic(position) = &entry.way else { panic!("all commands come from the topic") };
                disk.accept(number(entry.command.id), offset(position));
            }
        })
    }

    fn finish(&self, ended: Vec<Finished>) -> Result<(), Arc<JournalError>> {
        self.write(|disk| {
            for Finished { command, .. } in ended {
                if let Some(row) = disk.row(number(command)) {
                    (row.ended, row.begun) = (true, false);
                }
            }
        })
    }

    fn report(&self, reported: Vec<Reported>, heard: Vec<(CommandId, Reader)>, marks: Vec<Position>) -> Result<(), Arc<JournalError>> {
        self.write(|disk| {
            for (command, _) in heard {
                disk.row(number(command)).into_iter().for_each(|row| row.heard = true);
            }
            reported.iter().for_each(|reported| disk.report(self.cast.known(reported.command)));
            for mark in &marks {
                let place = if mark.topic == COMMANDS { &mut disk.commands } else { &mut disk.events };
                *place = Some(offset(mark));
            }
        })
    }

    fn identify(&self, _: Identity) -> Result<(), Arc<JournalError>> {
        Ok(())
    }

    fn pause(&self, _: Option<Timestamp>) -> Result<(), Arc<JournalError>> {
        Ok(())
    }

    fn forget_known(&self, _: Timestamp) -> Result<(), Arc<JournalError>> {
        Ok(())
    }

    fn knows(&self, command: CommandId) -> Result<bool, JournalError> {
        Ok(self.drive.borrow().disk.knows(self.cast.known(command)))
    }

    fn has_begun(&self, command: CommandId) -> Result<bool, LedgerError> {
        Ok(self.drive.borrow_mut().disk.row(number(command)).is_some_and(|row| row.begun))
    }

    fn identity(&self) -> Result<Option<Identity>, JournalError> {
        Ok(None)
    }

    fn space(&self, _: u64) -> Result<Space, JournalError> {
        Ok(Space { free: u64::MAX, held: 0, reserve: Reserve::Whole })
    }

    fn brief(&self, _: &StackName) -> Option<StackBrief> {
        None
    }
}

mod against_the_journal {
    use super::super::cast::Record;
    use super::*;
    use crate::domain::{Ledger as _, Step};
    use crate::journal;
    use crossbeam_channel::bounded;

    const RECORDS: &[Record] = &[Record::Change(0, 0), Record::Change(1, 0), Record::Change(2, 1), Record::Change(3, 1)];

    /// What both must agree on.
    fn seen(recovered: Recovered, book: &dyn Book) -> String {
        let rows: Vec<_> = recovered
            .entries
            .into_iter()
            .map(|entry| (number(entry.command.id), entry.way, entry.terminal.map(|event| event.id), entry.heard))
            .collect();
        let mut positions = recovered.positions;
        positions.sort_unstable();
        let known: Vec<_> = (0..4).map(|command| (book.knows(id(command)).unwrap(), book.has_begun(id(command)).unwrap())).collect();
        format!("{rows:?} {positions:?} {known:?}")
    }

    /// Twenty lives of some writes each, in an order that a small generator draws; the journal is opened again after each.
    #[test]
    fn the_disk_of_the_search_is_the_journal() {
        let cast = Rc::new(Cast::new(RECORDS));
        let mut drawn = 1_u32;
        let mut draw = |below: u32| {
            drawn = drawn.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (drawn >> 16) % below
        };
        for _ in 0..4 {
            let folder = std::env::temp_dir().join(format!("axion-search-{}", uuid::Uuid::new_v4()));
            let sheet = Sheet::new(Rc::clone(&cast));
            for _ in 0..5 {
                let (exits, _) = bounded(1);
                let (journal, recovered, writer) = journal::open(&folder, exits).unwrap();
                let disk = sheet.drive.borrow().disk;
                assert_eq!(seen(disk.recover(&cast), &sheet), seen(recovered, &journal));
                for _ in 0..6 {
                    let command = u8::try_from(draw(4)).unwrap();
                    let books: [&dyn Book; 2] = [&journal, &sheet];
                    let known = books.map(|book| book.knows(id(command)).unwrap());
                    assert_eq!(known[0], known[1]);
                    match draw(5) {
                        0 | 1 if !known[0] => {
                            let entry = Entry {
                                command: cast.command(command),
                                way: Way::Topic(place(COMMANDS, command)),
                                accepted_at: Timestamp::from_millis(0),
                                terminal: None,
                                heard: BTreeSet::new(),
                            };
                            books.iter().for_each(|book| book.accept(vec![entry.clone()]).unwrap());
                        }
                        2 => {
                            let finished = Finished { command: id(command), terminal: cast.terminal(command), past: None };
                            books.iter().for_each(|book| book.finish(vec![finished.clone()]).unwrap());
                        }
                        3 if disk_has(&sheet, command) => {
                            let step = Step { operation: "service.update".to_owned(), object: "web".to_owned() };
                            journal.note(vec![Note::Intend(id(command), vec![step])]).unwrap();
                            sheet.write(|disk| disk.row(command).into_iter().for_each(|row| row.begun = true)).unwrap();
                        }
                        _ if !has_begun(&sheet, command) => {
                            let reported = Reported { command: id(command), known_until: Timestamp::from_millis(i64::MAX), past: None };
                            let (reported, heard) =
                                if draw(2) == 0 { (vec![reported], vec![]) } else { (vec![], vec![(id(command), Reader::Topic)]) };
                            let marks = vec![place(if draw(2) == 0 { COMMANDS } else { EVENTS }, command)];
                            books.iter().for_each(|book| book.report(reported.clone(), heard.clone(), marks.clone()).unwrap());
                        }
                        _ => {}
                    }
                }
                drop(journal);
                writer.join();
            }
            drop(std::fs::remove_dir_all(&folder));
        }
    }

    /// A command that has begun is reported only once it has ended.
    fn has_begun(sheet: &Sheet, command: u8) -> bool {
        sheet.drive.borrow_mut().disk.row(command).is_some_and(|row| row.begun)
    }

    /// Steps are those of a command that is open and has not ended.
    fn disk_has(sheet: &Sheet, command: u8) -> bool {
        sheet.drive.borrow_mut().disk.row(command).is_some_and(|row| !row.ended)
    }
}

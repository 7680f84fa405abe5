//! The coordinator itself, one turn of its loop at a time: what it hears, and what it writes and says.
//!
//! Its state depends on nothing but what it has heard and its disk, so each turn is taken once and remembered.

use super::cast::{COMMANDS, Cast, EVENTS, Told, number, offset, outcome, place};
use super::disk::{Disk, Sheet};
use super::hash::{Map, fingerprint_of};
use crate::coordinator::on_topic::Standing;
use crate::coordinator::rules;
use crate::coordinator::state::{Ports, Shown, State};
use crate::coordinator::{Configured, initial_health};
use crate::docker::{self, Follows, Job};
use crate::domain::{self, CommandId, DependencyState, LinkState, Position, Recent, Timestamp};
use crate::kafka::{Event, Receipt, Request};
use crate::telemetry::Metrics;
use crate::threads::Published;
use crossbeam_channel::{Receiver, bounded};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// Room for all that one turn can say: the search empties the channels after each.
const ROOM: usize = 64;

/// The bit of a report's name that says it is the short form of an end; the rest is the number of its command.
const SHORT: u8 = 8;
/// The bits of the names of what is told of a record that is no command; the rest is its offset.
const REPORT: u8 = 16;
const LETTER: u8 = 32;
/// The name of all events that may be shed: nobody waits for them.
const SHED: u8 = 255;

/// What the coordinator hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Heard {
    /// The record at this offset.
    Read(u8),
    /// A lane has ended this command.
    Finished(u8),
    /// The report with this name counts.
    Delivered(u8),
    /// No broker will ever take it.
    Undeliverable(u8),
    /// The commands with these bits have their end on the topic.
    Answered(u8),
    /// The records with these bits, which are no commands, have their report on it.
    Told(u8),
    Reached(u8),
    CaughtUp,
    Fenced,
}

impl Heard {
    /// Whether it says of an end more than that it is there as it was handed over.
    pub(super) fn is_news(&self) -> bool {
        matches!(self, Self::Undeliverable(_) | Self::Answered(_) | Self::Told(_) | Self::Fenced)
    }

    /// What the producer says.
    pub(super) fn from_producer(event: &Event, cast: &Cast) -> Self {
        match event {
            Event::Delivered(Receipt(receipt)) => Self::Delivered(u8::try_from(*receipt).unwrap()),
            Event::Undeliverable(Receipt(receipt), _) => Self::Undeliverable(u8::try_from(*receipt).unwrap()),
            Event::Answered(commands) => Self::Answered(commands.iter().fold(0, |bits, id| bits | 1 << number(*id))),
            Event::Told(reports) => Self::Told(reports.iter().fold(0, |bits, report| match cast.told(*report) {
                Told::Report(offset) => bits | 1 << offset,
                other => panic!("no report: {other:?}"),
            })),
            Event::Reached(position) => Self::Reached(offset(position)),
            Event::CaughtUp => Self::CaughtUp,
            Event::Fenced => Self::Fenced,
            other => panic!("not said here: {other:?}"),
        }
    }
}

/// What it asks the producer for. Receipts are nothing but names: a report is called here by what it is, so that states
/// which differ in the order of earlier reports alone are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Wish {
    Publish(u8, Told),
    /// A record is to go to the dead-letter topic.
    Bury(u8),
    Mark(u8),
}

/// A turn.
#[derive(Debug)]
pub(super) struct Turn {
    /// The coordinator after it.
    pub(super) mind: u32,
    /// The disk after each write.
    pub(super) disks: Vec<Disk>,
    pub(super) wishes: Vec<Wish>,
    /// Commands that go to a lane.
    pub(super) jobs: Vec<u8>,
    /// The mark for the group.
    pub(super) mark: Option<u8>,
}

/// All coordinators that were met.
pub(super) struct Minds {
    cast: Rc<Cast>,
    lanes: usize,
    /// Whether events that may be shed are not.
    light: bool,
    sheet: Sheet,
    ports: Ports,
    jobs: Receiver<Job>,
    wishes: Receiver<Request>,
    marks: Receiver<Position>,
    states: Vec<State>,
    numbers: Map<u128, u32>,
    turns: Map<(u32, Disk, Heard), Rc<Turn>>,
}

impl Minds {
    pub(super) fn new(cast: Rc<Cast>, lanes: usize, light: bool) -> Self {
        let (jobs_in, jobs) = bounded(ROOM);
        let (queries, _) = bounded(1);
        let (producer, wishes) = bounded(ROOM);
        let (commits, marks) = bounded(ROOM);
        let (follows, _) = Follows::unread();
        let ports =
            Ports { jobs: jobs_in, queries, producer: Some(producer), commits: Some(commits), session: None, follows, updates: None };
        let (states, numbers, turns) = (Vec::new(), Map::default(), Map::default());
        Self { sheet: Sheet::new(Rc::clone(&cast)), cast, lanes, light, ports, jobs, wishes, marks, states, numbers, turns }
    }

    /// How many there are, and how many turns they have taken.
    pub(super) fn count(&self) -> (usize, usize) {
        (self.states.len(), self.turns.len())
    }

    pub(super) fn wants_commands(&self, mind: u32) -> bool {
        self.states[mind as usize].wants_commands()
    }

    /// A process starts, with exactly-once events.
    pub(super) fn start(&mut self, disk: Disk) -> Turn {
        self.sheet.lay_in(disk);
        let off = DependencyState::Off;
        let configured = Configured { kafka: DependencyState::Connecting, control_plane: off, local_socket: off };
        let health = Published::new(initial_health(configured, LinkState::Up, rules::tests::open(2).patience(), Timestamp::from_millis(0)));
        let shown = Shown { health, recent: Published::new(Recent::default()) };
        let mut state = State::over(
            Box::new(self.sheet.clone()),
            Some(self.cast.agent.clone()),
            rules::tests::open(self.lanes),
            self.ports.clone(),
            (Arc::new(Metrics::default()), shown),
            disk.recover(&self.cast),
        );
        state.standing = Standing::CatchingUp;
        state.resume();
        self.end_turn(state)
    }

    /// It hears one thing.
    pub(super) fn hear(&mut self, mind: u32, disk: Disk, heard: Heard) -> Rc<Turn> {
        if let Some(turn) = self.turns.get(&(mind, disk, heard)) {
            return Rc::clone(turn);
        }
        self.sheet.lay_in(disk);
        let mut state = self.states[mind as usize].fork(Box::new(self.sheet.clone()));
        let ids = |bits: u8| -> Vec<CommandId> {
            self.cast.commands().filter(|command| bits & (1 << command) != 0).map(super::cast::id).collect()
        };
        match heard {
            Heard::Read(at) => state.on_kafka(Event::Read(place(COMMANDS, at), Box::new(self.cast.inbound(at)))),
            Heard::Finished(command) => state.on_docker(docker::Event::Finished(super::cast::id(command), outcome())),
            Heard::Delivered(name) => state.on_kafka(Event::Delivered(self.receipt(&state, name))),
            Heard::Undeliverable(name) => state.on_kafka(Event::Undeliverable(self.receipt(&state, name), "too large".to_owned())),
            Heard::Answered(bits) => state.on_kafka(Event::Answered(ids(bits))),
            Heard::Told(bits) => {
                let told = self.cast.letters().filter(|offset| bits & (1 << offset) != 0).map(|offset| self.cast.report(offset));
                state.on_kafka(Event::Told(told.collect()));
            }
            Heard::Reached(at) => state.on_kafka(Event::Reached(place(EVENTS, at))),
            Heard::CaughtUp => state.on_kafka(Event::CaughtUp),
            Heard::Fenced => state.on_kafka(Event::Fenced),
        }
        state.settle();
        let turn = Rc::new(self.end_turn(state));
        self.turns.insert((mind, disk, heard), Rc::clone(&turn));
        turn
    }

    fn end_turn(&mut self, mut state: State) -> Turn {
        assert_eq!(state.failure(), None);
        let wish = |request| match request {
            Request::Publish(_, event) => (event.terminal || event.causation_id.is_none() || self.light)
                .then(|| Wish::Publish(self.name(&event), self.cast.told(event.id))),
            Request::Mark(mark) => Some(Wish::Mark(offset(&mark))),
            Request::Bury(_, letter) => Some(Wish::Bury(offset(&letter.position) | LETTER)),
        };
        let (wishes, jobs) =
            (self.wishes.try_iter().filter_map(wish).collect(), self.jobs.try_iter().map(|job| number(job.command.id)).collect());
        let mark = self.marks.try_iter().last().map(|mark| offset(&mark));
        Turn { mind: self.number(state), disks: self.sheet.history(), wishes, jobs, mark }
    }

    /// Two coordinators with the same number go on in the same way.
    fn number(&mut self, state: State) -> u32 {
        let open: BTreeMap<CommandId, _> = state.open.iter().map(|(&id, open)| (id, (&open.way, &open.readers, open.entry))).collect();
        let sketch = format!("{:?} {open:?} {:?} {:?} {}", state.standing, state.admission, state.marks, state.reports.sketch());
        let states = &mut self.states;
        *self.numbers.entry(fingerprint_of(&sketch)).or_insert_with(|| {
            states.push(state);
            u32::try_from(states.len() - 1).unwrap()
        })
    }

    fn name(&self, event: &domain::Event) -> u8 {
        match self.cast.told(event.id) {
            Told::End(command) if event.payload.pointer("/details/shortened").is_some() => command | SHORT,
            Told::End(command) => command,
            Told::Report(offset) => offset | REPORT,
            Told::Accepted(_) | Told::Started(_) => SHED,
        }
    }

    /// Under which receipt this coordinator knows a report: at most one is pending of each. One that is not known is that of
    /// an event which was shed or taken back.
    fn receipt(&self, state: &State, name: u8) -> Receipt {
        let place = name & !(SHORT | REPORT | LETTER);
        let pending = match name {
            SHED => None,
            _ if name & REPORT != 0 => state.reports.receipt_of_loss(self.cast.report(place)),
            _ if name & LETTER != 0 => state.reports.receipt_of_loss(self.cast.letter(place)),
            _ => state.reports.receipt_of(super::cast::id(place)),
        };
        pending.unwrap_or(Receipt(u64::MAX))
    }
}

/// Whether a report is the end of a command with all its details, which is sent again in short where no broker takes it.
pub(super) fn is_whole(name: u8) -> bool {
    name & (SHORT | REPORT | LETTER) == 0
}

/// Of the names of letters, the offset.
pub(super) fn buried(name: u8) -> Option<u8> {
    (name != SHED && name & LETTER != 0).then_some(name & !LETTER)
}

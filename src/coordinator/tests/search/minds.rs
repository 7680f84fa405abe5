//! The coordinator itself, one turn of its loop at a time: what it hears, and what it writes and says.
//!
//! Its state depends on nothing but what it has heard and its disk, so each turn is taken once and remembered.

use super::cast::{COMMANDS, Cast, EVENTS, Told, number, offset, outcome, place};
use super::disk::{Disk, Sheet};
use super::hash::Map;
use crate::coordinator::initial_health;
use crate::coordinator::on_topic::Standing;
use crate::coordinator::rules;
use crate::coordinator::state::{Ports, State};
use crate::docker::{self, Follows, Job};
use crate::domain::{CommandId, DependencyState, LinkState, Position, Timestamp};
use crate::kafka::{Event, Receipt, Request};
use crate::telemetry::Metrics;
use crate::threads::Published;
use crossbeam_channel::{Receiver, bounded};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// Room for all that one turn can say: the search empties the channels after each.
const ROOM: usize = 64;

/// What the coordinator hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Heard {
    /// The record at this offset.
    Read(u8),
    /// A lane has ended this command.
    Finished(u8),
    Delivered(u8),
    /// The commands with these bits have their end on the topic.
    Answered(u8),
    Reached(u8),
    CaughtUp,
    Fenced,
}

impl Heard {
    /// What the producer says.
    pub(super) fn from_producer(event: &Event) -> Self {
        match event {
            Event::Delivered(Receipt(receipt)) => Self::Delivered(u8::try_from(*receipt).unwrap()),
            Event::Answered(commands) => Self::Answered(commands.iter().fold(0, |bits, id| bits | 1 << number(*id))),
            Event::Reached(position) => Self::Reached(offset(position)),
            Event::CaughtUp => Self::CaughtUp,
            Event::Fenced => Self::Fenced,
            other => panic!("not said here: {other:?}"),
        }
    }
}

/// What it asks the producer for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Wish {
    Publish(u8, Told),
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
    numbers: Map<String, u32>,
    turns: Map<(u32, Disk, Heard), Rc<Turn>>,
}

impl Minds {
    pub(super) fn new(cast: Rc<Cast>, lanes: usize, light: bool) -> Self {
        let (jobs_in, jobs) = bounded(ROOM);
        let (queries, _) = bounded(1);
        let (producer, wishes) = bounded(ROOM);
        let (commits, marks) = bounded(ROOM);
        let (follows, _) = Follows::unread();
        let ports = Ports { jobs: jobs_in, queries, producer: Some(producer), commits: Some(commits), session: None, follows };
        let (states, numbers, turns) = (Vec::new(), Map::default(), Map::default());
        Self { cast, lanes, light, sheet: Sheet::default(), ports, jobs, wishes, marks, states, numbers, turns }
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
        let health = initial_health(DependencyState::Connecting, DependencyState::Off, LinkState::Up, Timestamp::from_millis(0));
        let mut state = State::over(
            Box::new(self.sheet.clone()),
            Some(self.cast.agent.clone()),
            rules::tests::open(self.lanes),
            self.ports.clone(),
            (Arc::new(Metrics::default()), Published::new(health)),
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
            Heard::Delivered(receipt) => state.on_kafka(Event::Delivered(Receipt(u64::from(receipt)))),
            Heard::Answered(bits) => state.on_kafka(Event::Answered(ids(bits))),
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
            Request::Publish(Receipt(receipt), event) => {
                (event.terminal || self.light).then(|| Wish::Publish(u8::try_from(receipt).unwrap(), self.cast.told(event.id)))
            }
            Request::Mark(mark) => Some(Wish::Mark(offset(&mark))),
            Request::Bury(..) => panic!("no scenario has a record without an id"),
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
        *self.numbers.entry(sketch).or_insert_with(|| {
            states.push(state);
            u32::try_from(states.len() - 1).unwrap()
        })
    }
}

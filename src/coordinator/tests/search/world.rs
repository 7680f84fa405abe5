//! What surrounds the processes: the brokers, the engine, the machines. This is the only part that is a model.

use super::cast::{Cast, MOST, STACKS, Told, command_of};
use super::disk::Disk;

/// Ends, and events that may be shed, of every command; a flaw may write some twice.
const LOG: usize = 16;

/// A process that starts takes the identity; one that started just before it may not have had its turn.
const MOST_EXCHANGES: u8 = 2;

/// What a reader of what is committed finds on the event topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Log([Option<Told>; LOG]);

impl Log {
    pub(super) fn events(&self) -> impl Iterator<Item = Told> {
        self.0.iter().map_while(|event| *event)
    }

    pub(super) fn len(&self) -> u8 {
        u8::try_from(self.events().count()).unwrap()
    }

    pub(super) fn has(&self, event: Told) -> bool {
        self.events().any(|told| told == event)
    }

    fn add(&mut self, event: Told) {
        let end = usize::from(self.len());
        self.0[end] = Some(event);
    }
}

/// The brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Broker {
    pub(super) log: Log,
    /// What the group has committed.
    pub(super) group: Option<u8>,
    /// Whose the transactional id is: that machine's newest client.
    pub(super) owner: Option<u8>,
}

impl Broker {
    /// A transaction counts.
    pub(super) fn commit(&mut self, events: &[Told], mark: Option<u8>) {
        events.iter().for_each(|event| self.log.add(*event));
        self.group = mark.or(self.group);
    }
}

/// The swarm: one service for each stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Engine {
    /// The command whose specification the service has.
    pub(super) spec: [Option<u8>; STACKS],
    /// What an update has to name.
    pub(super) version: [u8; STACKS],
    /// How often each command has changed it.
    pub(super) changes: [u8; MOST],
}

impl Engine {
    pub(super) fn update(&mut self, stack: usize, command: u8) {
        self.spec[stack] = Some(command);
        self.version[stack] += 1;
        self.changes[usize::from(command)] += 1;
    }
}

/// A process, or none, on a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Slot {
    /// Nothing was ever started here.
    Empty,
    /// It was killed; its service manager starts it again.
    Down,
    /// The process with this number.
    Up(u32),
}

/// How much may still go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Budget {
    /// Processes that are killed.
    pub(super) crashes: u8,
    /// State directories that get lost with them.
    pub(super) losses: u8,
    /// Commits whose outcome nobody hears, clients that break, transactions that are refused, answers of the engine that get lost.
    pub(super) faults: u8,
    /// Machines with the same identity that are switched on.
    pub(super) clones: u8,
}

/// Everything at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) slots: [Slot; 2],
    pub(super) disks: [Disk; 2],
    pub(super) broker: Broker,
    pub(super) engine: Engine,
    pub(super) budget: Budget,
    /// How often two processes have taken the identity from each other since one started, rested or lost its client.
    pub(super) exchanges: u8,
}

impl World {
    pub(super) fn new(budget: Budget) -> Self {
        Self {
            slots: [Slot::Down, Slot::Empty],
            disks: [Disk::default(); 2],
            broker: Broker::default(),
            engine: Engine::default(),
            budget,
            exchanges: 0,
        }
    }

    /// What must hold at every moment, if it does not.
    pub(super) fn breach(&self, cast: &Cast, once: bool) -> Option<String> {
        let log = &self.broker.log;
        let twice = log.events().enumerate().find(|(at, event)| log.events().take(*at).any(|earlier| earlier == *event));
        if let Some((_, event)) = twice {
            return Some(format!("P3: {event:?} is on the event topic twice"));
        }
        let marks = [
            ("the group's mark", self.broker.group),
            ("a journal's mark", self.disks[0].commands),
            ("a journal's mark", self.disks[1].commands),
        ];
        for (whose, mark) in marks {
            let passed = cast.records.iter().take(usize::from(mark.unwrap_or(0))).map(|record| command_of(*record));
            if let Some(command) = passed.into_iter().find(|command| !log.has(Told::End(*command))) {
                return Some(format!("P1: {whose} has passed command {command}, whose end nobody can read"));
            }
        }
        if self.exchanges > MOST_EXCHANGES {
            return Some("the identity goes to and fro between two processes".to_owned());
        }
        let twice = cast.commands().find(|command| self.engine.changes[usize::from(*command)] > 1);
        twice.filter(|_| once).map(|command| format!("P2: command {command} has changed the swarm twice"))
    }

    /// What must hold once nothing more happens by itself.
    pub(super) fn shortfall(&self, cast: &Cast, alone: bool) -> Option<String> {
        if let Some(command) = cast.commands().find(|command| !self.broker.log.has(Told::End(*command))) {
            return Some(format!("P1: nothing more happens, and command {command} has no end"));
        }
        for (slot, disk) in self.slots.iter().zip(&self.disks) {
            if let (Slot::Up(_), Some(row)) = (slot, disk.rows().next()) {
                return Some(format!("nothing more happens, and a journal waits for the report of command {}", row.command));
            }
            if *slot == Slot::Down {
                return Some("nothing more happens, and a machine is down".to_owned());
            }
        }
        if !alone {
            return None;
        }
        let changing = cast.commands().filter(|command| cast.changes(*command));
        let last = changing.map(|command| (cast.stack(command), command)).collect::<std::collections::BTreeMap<_, _>>();
        let wrong = last.into_iter().find(|(stack, command)| self.engine.spec[*stack] != Some(*command));
        wrong.map(|(stack, command)| format!("P2: stack {stack} is not as command {command}, its last, has said"))
    }
}

//! What surrounds the processes: the brokers, the engine, the machines. This is the only part that is a model.

use super::cast::{Cast, MOST, STACKS, Told, command_of};
use super::disk::Disk;
use super::hash::fingerprint;

/// Ends, and events that may be shed, of every command; a flaw may write some twice. In its packed form it is one word.
const LOG: usize = 15;

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

    /// Four bits for each event, behind a first one.
    fn packed(&self) -> u64 {
        self.events().fold(1, |bits, event| {
            let (kind, command) = match event {
                Told::End(command) => (1, command),
                Told::Accepted(command) => (2, command),
                Told::Started(command) => (3, command),
                Told::Report(offset) => (0, offset),
            };
            bits << 4 | kind << 2 | u64::from(command)
        })
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
    /// The records that are on the dead-letter topic, once or more often.
    pub(super) letters: [bool; MOST],
    /// What the group has committed.
    pub(super) group: Option<u8>,
    /// Whose the transactional id is: that machine's newest client.
    pub(super) owner: Option<u8>,
}

impl Broker {
    /// A transaction counts.
    pub(super) fn commit(&mut self, events: &[Told], letters: &[u8], mark: Option<u8>) {
        events.iter().for_each(|event| self.log.add(*event));
        letters.iter().for_each(|offset| self.letters[usize::from(*offset)] = true);
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

    /// What of it decides what comes next, or is looked for: how often a command has changed it, only where that must not
    /// be more than once; versions, only where a lane remembers one.
    fn packed(&self, once: Once, versions: Versions) -> u64 {
        let specs = self.spec.iter().fold(0, |bits, spec| bits << 3 | spec.map_or(0, |command| u64::from(command) + 1));
        let counted = if once == Once::Promised { self.changes } else { [0; MOST] };
        let changes = counted.iter().fold(specs, |bits, changes| bits << 2 | u64::from(*changes).min(3));
        let versions = if versions == Versions::Matter { self.version } else { [0; STACKS] };
        versions.iter().fold(changes, |bits, version| bits << 8 | u64::from(*version))
    }
}

/// Whether a command must not change the swarm twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Once {
    Promised,
    NotPromised,
}

/// Whether a lane may remember which version of a service it has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Versions {
    Matter,
    DoNotMatter,
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
    /// Ends that no broker takes as they are.
    pub(super) refusals: u8,
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
}

impl World {
    pub(super) fn new(budget: Budget) -> Self {
        Self { slots: [Slot::Down, Slot::Empty], disks: [Disk::default(); 2], broker: Broker::default(), engine: Engine::default(), budget }
    }

    /// Stands for all worlds that go on in the same way. Once both machines are there nothing tells them apart, so it does
    /// not matter which of them is called A.
    pub(super) fn fingerprint(&self, once: Once, versions: Versions) -> u128 {
        let Broker { log, letters, group, owner } = self.broker;
        let slot = |slot: Slot| match slot {
            Slot::Empty => 0,
            Slot::Down => 1,
            Slot::Up(number) => u64::from(number) + 2,
        };
        let machine = |m: usize| {
            let owns = u64::from(owner.is_some_and(|owner| usize::from(owner) == m));
            (self.disks[m].packed(), slot(self.slots[m]) << 1 | owns)
        };
        let (mut first, mut second) = (machine(0), machine(1));
        if self.slots[1] != Slot::Empty && self.budget.clones == 0 && second < first {
            (first, second) = (second, first);
        }
        let Budget { crashes, losses, faults, refusals, clones } = self.budget;
        let rest = [crashes, losses, faults, refusals, clones, group.map_or(0, |mark| mark + 1)];
        let letters = letters.into_iter().fold(0, |bits, there| bits << 1 | u8::from(there));
        let rest = rest.into_iter().chain([letters]).fold(self.engine.packed(once, versions), |bits, count| bits << 4 | u64::from(count));
        fingerprint(&[log.packed(), first.0, first.1, second.0, second.1, rest])
    }

    /// A record that is no command has its report, and its dead letter.
    fn is_told(&self, offset: u8) -> bool {
        self.broker.log.has(Told::Report(offset)) && self.broker.letters[usize::from(offset)]
    }

    /// What must hold at every moment, if it does not.
    pub(super) fn breach(&self, cast: &Cast, once: Once) -> Option<String> {
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
            let passed = cast.records.iter().take(usize::from(mark.unwrap_or(0))).filter_map(|record| command_of(*record));
            if let Some(offset) = cast.letters().take_while(|offset| *offset < mark.unwrap_or(0)).find(|offset| !self.is_told(*offset)) {
                return Some(format!("P1: {whose} has passed the record at {offset}, of which nobody is told"));
            }
            if let Some(command) = passed.into_iter().find(|command| !log.has(Told::End(*command))) {
                return Some(format!("P1: {whose} has passed command {command}, whose end nobody can read"));
            }
        }
        let twice = cast.commands().find(|command| self.engine.changes[usize::from(*command)] > 1);
        twice.filter(|_| once == Once::Promised).map(|command| format!("P2: command {command} has changed the swarm twice"))
    }

    /// What must hold once nothing more happens by itself.
    pub(super) fn shortfall(&self, cast: &Cast, in_order: bool) -> Option<String> {
        if let Some(command) = cast.commands().find(|command| !self.broker.log.has(Told::End(*command))) {
            return Some(format!("P1: nothing more happens, and command {command} has no end"));
        }
        if let Some(offset) = cast.letters().find(|offset| !self.is_told(*offset)) {
            return Some(format!("P1: nothing more happens, and nobody is told of the record at {offset}"));
        }
        for (slot, disk) in self.slots.iter().zip(&self.disks) {
            if let (Slot::Up(_), Some(row)) = (slot, disk.rows().next()) {
                return Some(format!("nothing more happens, and a journal waits for the report of command {}", row.command));
            }
            if *slot == Slot::Down {
                return Some("nothing more happens, and a machine is down".to_owned());
            }
        }
        if !in_order {
            return None;
        }
        let changing = cast.commands().filter(|command| cast.changes(*command));
        let last = changing.map(|command| (cast.stack(command), command)).collect::<std::collections::BTreeMap<_, _>>();
        let wrong = last.into_iter().find(|(stack, command)| self.engine.spec[*stack] != Some(*command));
        wrong.map(|(stack, command)| format!("P2: stack {stack} is not as command {command}, its last, has said"))
    }
}

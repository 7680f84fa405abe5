//! The producer itself, one call at a time; each is made once and remembered.

use super::cast::{COMMANDS, Cast, EVENTS, Told, id, place};
use super::hash::{Map, fingerprint_of};
use super::minds::{Heard, Wish, buried};
use super::world::Log;
use crate::domain::{EventId, EventKind, Stage};
use crate::kafka::Receipt;
use crate::kafka::dry::{Call, DryProducer, GivenBack, Word};
use crate::record::Written;
use std::rc::Rc;

/// What happens to a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Act {
    Take(Wish),
    TakenOver,
    /// All that is in the log from this place on.
    ReadBack(u8, Log),
    /// The log has so many events.
    Write(u8),
    /// Of the transaction that would be written, the record at this place is refused for good.
    Refused(u8, GivenBack),
    Committed,
    Voided,
    Aborted,
    Fenced,
    Broken,
    Renewed,
}

/// What comes of it.
#[derive(Debug)]
pub(super) struct Deed {
    /// The producer after it.
    pub(super) hand: u32,
    /// What it tells the coordinator.
    pub(super) told: Vec<Heard>,
    /// Where it reads from.
    pub(super) from: u8,
    /// What it has written and not committed.
    pub(super) batch: Batch,
}

/// A transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Batch {
    pub(super) events: Vec<Told>,
    /// Of these records.
    pub(super) letters: Vec<u8>,
    pub(super) mark: Option<u8>,
}

/// All producers that were met.
pub(super) struct Hands {
    cast: Rc<Cast>,
    producers: Vec<(DryProducer, Call)>,
    numbers: Map<u128, u32>,
    deeds: Map<(u32, Act), Rc<Deed>>,
}

impl Hands {
    pub(super) fn new(cast: Rc<Cast>) -> Self {
        Self { cast, producers: Vec::new(), numbers: Map::default(), deeds: Map::default() }
    }

    pub(super) fn count(&self) -> (usize, usize) {
        (self.producers.len(), self.deeds.len())
    }

    pub(super) fn start(&mut self, known: Option<u8>) -> u32 {
        self.number(DryProducer::new(known.map(i64::from)))
    }

    /// What it does next.
    pub(super) fn call(&self, hand: u32) -> Call {
        self.producers[hand as usize].1
    }

    /// The reports of the transaction that it would write, by their names.
    pub(super) fn reports(&self, hand: u32) -> Vec<u8> {
        self.producers[hand as usize].0.receipts().map(|Receipt(receipt)| u8::try_from(receipt).unwrap()).collect()
    }

    pub(super) fn act(&mut self, hand: u32, act: Act) -> Rc<Deed> {
        if let Some(deed) = self.deeds.get(&(hand, act)) {
            return Rc::clone(deed);
        }
        let mut producer = self.producers[hand as usize].0.clone();
        let (mut told, mut from, mut batch) = (Vec::new(), 0, Batch::default());
        match act {
            Act::Take(Wish::Publish(receipt, event)) => {
                let word = if matches!(event, Told::End(_)) { Word::Last } else { Word::Other };
                told.extend(producer.publish(Receipt(u64::from(receipt)), self.event(event), word));
            }
            Act::Take(Wish::Bury(receipt)) => producer.bury(Receipt(u64::from(receipt))),
            Act::Take(Wish::Mark(offset)) => producer.mark(place(COMMANDS, offset)),
            Act::TakenOver => from = producer.taken_over().map_or(0, |from| u8::try_from(from).unwrap()),
            Act::ReadBack(from, log) => {
                let events = log.events().skip(usize::from(from)).map(|event| self.written(event)).collect();
                told = producer.read_back(events, i64::from(log.len()), EVENTS);
            }
            Act::Write(end) => {
                let written = producer.write(i64::from(end), COMMANDS);
                let events = written.events.iter().map(|event| self.cast.told(*event)).collect();
                let letters = written.letters.iter().filter_map(|Receipt(name)| buried(u8::try_from(*name).unwrap())).collect();
                batch = Batch { events, letters, mark: written.mark.map(|mark| u8::try_from(mark).unwrap()) };
            }
            Act::Refused(index, given_back) => told.push(producer.refused(usize::from(index), COMMANDS, given_back)),
            Act::Committed => told = producer.committed(EVENTS),
            Act::Voided => producer.voided(),
            Act::Aborted => producer.aborted(),
            Act::Fenced => told = vec![producer.fenced()],
            Act::Broken => producer.broken(),
            Act::Renewed => producer.renewed(),
        }
        let told = told.iter().map(|event| Heard::from_producer(event, &self.cast)).collect();
        let deed = Rc::new(Deed { hand: self.number(producer), told, from, batch });
        self.deeds.insert((hand, act), Rc::clone(&deed));
        deed
    }

    fn number(&mut self, producer: DryProducer) -> u32 {
        let producers = &mut self.producers;
        *self.numbers.entry(fingerprint_of(&producer.sketch())).or_insert_with(|| {
            let call = producer.call();
            producers.push((producer, call));
            u32::try_from(producers.len() - 1).unwrap()
        })
    }

    fn event(&self, told: Told) -> EventId {
        match told {
            Told::End(command) => self.cast.event(command, EventKind::CommandCompleted, Stage::Terminal),
            Told::Accepted(command) => self.cast.event(command, EventKind::CommandAccepted, Stage::Accepted),
            Told::Report(offset) => self.cast.report(offset),
            Told::Started(command) => self.cast.event(command, EventKind::RollbackStarted, Stage::Started),
        }
    }

    /// How the event stands on the topic.
    fn written(&self, told: Told) -> Written {
        let causation_id = match told {
            Told::End(command) | Told::Accepted(command) | Told::Started(command) => Some(id(command)),
            Told::Report(_) => None,
        };
        Written { event_id: self.event(told), terminal: matches!(told, Told::End(_)), causation_id }
    }
}

//! A producer in transactions without a client: it says which call comes next, and the test what came of it. Only
//! the order of the calls is its own, and that is the order of `transact.rs`.

use super::transactions::{Arrival, Consequence, Next, Transactions};
use crate::domain::{EventId, Position};
use crate::kafka::native::Remedy;
use crate::kafka::outbox::{Destination, Kept, Outbox};
use crate::kafka::partitions::Partitions;
use crate::kafka::wire::Outgoing;
use crate::kafka::{Event, Receipt};
use crate::record::Written;
use std::collections::BTreeMap;

/// The events of both topics have this one.
const PARTITION: i32 = 0;

/// A producer.
#[derive(Debug, Clone)]
pub(crate) struct DryProducer {
    outbox: Outbox,
    transactions: Transactions,
}

/// What it does next, if nothing comes in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    TakeOver,
    ReadBack,
    Write,
    Commit,
    Abort,
    Nothing,
}

/// A transaction: its events, and the mark that goes with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) events: Vec<EventId>,
    /// Dead letters, by their receipts.
    pub(crate) letters: Vec<Receipt>,
    pub(crate) mark: Option<i64>,
}

/// Whether an event is the last word of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    Last,
    Other,
}

/// Whether it is noted that a record went back to the coordinator. It is; the search has to find out if it were not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum GivenBack {
    Noted,
    Forgotten,
}

impl DryProducer {
    /// At a start: the event topic is known up to here.
    pub(crate) fn new(known: Option<i64>) -> Self {
        let known = known.map(|offset| (PARTITION, offset)).into_iter().collect();
        Self { outbox: Outbox::default(), transactions: Transactions::new(known) }
    }

    /// An event is handed over: what it says of it at once.
    pub(crate) fn publish(&mut self, receipt: Receipt, event: EventId, word: Word) -> Option<Event> {
        if self.transactions.is_written(event) {
            return Some(Event::Delivered(receipt));
        }
        self.transactions.comes_again(event);
        let record = Outgoing { key: None, value: Vec::new(), headers: Vec::new() };
        let terminal = word == Word::Last;
        self.outbox.add(Kept { receipt, event: Some(event), terminal, destination: Destination::Events, record });
        None
    }

    /// A dead letter is handed over.
    pub(crate) fn bury(&mut self, receipt: Receipt) {
        let record = Outgoing { key: None, value: Vec::new(), headers: Vec::new() };
        self.outbox.add(Kept { receipt, event: None, terminal: false, destination: Destination::DeadLetters, record });
    }

    /// Equal sketches go on in the same way.
    pub(crate) fn sketch(&self) -> String {
        format!("{} {}", self.outbox.sketch(), self.transactions.sketch(&self.outbox))
    }

    pub(crate) fn mark(&mut self, mark: Position) {
        self.transactions.note(self.outbox.newest(), mark);
    }

    pub(crate) fn call(&self) -> Call {
        match self.transactions.next() {
            Next::TakeOver => Call::TakeOver,
            Next::ReadBack => Call::ReadBack,
            Next::Begin if self.batch().is_empty() => Call::Nothing,
            Next::Begin => Call::Write,
            Next::Commit => Call::Commit,
            Next::Abort => Call::Abort,
            Next::Await | Next::AddMarks(_) => unreachable!("a batch is written in one go"),
        }
    }

    /// The records that it would write now.
    pub(crate) fn receipts(&self) -> impl Iterator<Item = Receipt> {
        self.batch().into_iter().filter_map(|number| self.outbox.get(number).map(|kept| kept.receipt))
    }

    fn batch(&self) -> Vec<u64> {
        Transactions::next_batch(&self.outbox, [Destination::Events, Destination::DeadLetters].into_iter())
    }

    /// The id is its own: where it reads from, if not from the beginning.
    pub(crate) fn taken_over(&mut self) -> Option<i64> {
        self.transactions.taken_over().get(&PARTITION).copied()
    }

    /// It has read these events, up to the end of the topic.
    pub(crate) fn read_back(&mut self, events: Vec<Written>, end: i64, topic: &str) -> Vec<Event> {
        let delivered: Vec<Event> =
            events.into_iter().filter_map(|event| self.transactions.found(event, &mut self.outbox)).map(Event::Delivered).collect();
        let places = BTreeMap::from([(PARTITION, end)]);
        self.transactions.caught_up(&places);
        let answered = self.transactions.take_answered(1).map(Event::Answered);
        let told = self.transactions.take_told(1).map(Event::Told);
        delivered.into_iter().chain(answered).chain(told).chain([reached(topic, end), Event::CaughtUp]).collect()
    }

    /// A transaction with all that waits, up to its commit; the topic ends at `end`.
    pub(crate) fn write(&mut self, end: i64, command_topic: &str) -> Batch {
        let numbers = self.batch();
        self.transactions.begun(numbers.clone(), command_topic, &self.outbox);
        let (mut events, mut letters, mut behind) = (Vec::new(), Vec::new(), end);
        for number in numbers {
            let Some(&Kept { receipt, event, destination, .. }) = self.outbox.get(number) else { continue };
            match event {
                Some(event) => {
                    events.push(event);
                    behind += 1;
                }
                None => letters.push(receipt),
            }
            self.outbox.sent(destination, number);
            self.transactions.arrived(number, Arrival::Written(PARTITION, behind), &self.outbox);
        }
        let Next::AddMarks(offsets) = self.transactions.next() else { unreachable!("all have arrived") };
        self.transactions.marked();
        Batch { events, letters, mark: offsets.get(&PARTITION).copied() }
    }

    /// The commit has succeeded.
    pub(crate) fn committed(&mut self, topic: &str) -> Vec<Event> {
        let counted = self.transactions.committed(&mut self.outbox);
        let reached = counted.written.into_values().map(|offset| reached(topic, offset));
        counted.receipts.into_iter().map(Event::Delivered).chain(reached).collect()
    }

    /// The brokers will never take the record at this place of the transaction that was to be written: what the coordinator
    /// is told. The others are made void with it.
    pub(crate) fn refused(&mut self, index: usize, command_topic: &str, given_back: GivenBack) -> Event {
        let numbers = self.batch();
        let refused = numbers[index];
        self.transactions.begun(numbers.clone(), command_topic, &self.outbox);
        for (number, place) in numbers.into_iter().zip(1..) {
            let Some(destination) = self.outbox.destination(number) else { continue };
            self.outbox.sent(destination, number);
            let arrival = if number == refused { Arrival::Refused } else { Arrival::Written(PARTITION, place) };
            self.transactions.arrived(number, arrival, &self.outbox);
        }
        if given_back == GivenBack::Noted {
            self.transactions.given_back(refused, &self.outbox);
        }
        let receipt = self.outbox.settle(refused).unwrap_or(Receipt(0));
        Event::Undeliverable(receipt, "too large".to_owned())
    }

    /// One of the calls of a transaction asks for its abort.
    pub(crate) fn voided(&mut self) {
        assert_eq!(self.transactions.set_back(Remedy::Abort, false), Consequence::Void);
    }

    /// The abort has succeeded.
    pub(crate) fn aborted(&mut self) {
        self.transactions.aborted(&mut self.outbox);
    }

    /// A call says that somebody else has the id.
    pub(crate) fn fenced(&mut self) -> Event {
        assert_eq!(self.transactions.set_back(Remedy::Renew, true), Consequence::Rest);
        Event::Fenced
    }

    /// A call leaves no way but another client.
    pub(crate) fn broken(&mut self) {
        assert_eq!(self.transactions.set_back(Remedy::Renew, false), Consequence::Renew);
    }

    /// Another client goes on.
    pub(crate) fn renewed(&mut self) {
        self.outbox.all_failed();
        self.transactions.begin_anew();
    }
}

fn reached(topic: &str, offset: i64) -> Event {
    Event::Reached(Position { topic: topic.to_owned(), partition: PARTITION, offset })
}

/// Where a consumer begins whose journal knows this place, or none, and whose group has committed that one.
pub(crate) fn reading_begins(journal: Option<i64>, committed: Option<i64>) -> i64 {
    let mut partitions = Partitions::starting_at(journal.map(|offset| (PARTITION, offset)).into_iter().collect());
    partitions.found(&[PARTITION]);
    partitions.place(PARTITION, committed);
    partitions.assignment().first().map_or(0, |at| at.offset.max(0))
}

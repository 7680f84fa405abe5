//! Exactly-once as a state machine: which call comes next, and what follows from its answer. Pure, so that the
//! search of the whole protocol (`coordinator/tests/search/`) drives what the producer runs on.

use crate::domain::{CommandId, EventId, Position};
use crate::kafka::Receipt;
use crate::kafka::native::Remedy;
use crate::kafka::outbox::{Destination, Outbox};
use crate::record::Written;
use std::collections::{BTreeMap, BTreeSet};
use std::mem;

/// The most records of one transaction: with a commit every 30 ms that is more than any agent writes.
const BATCH_RECORDS: usize = 256;

/// What a producer in this mode knows beside its records.
#[derive(Debug, Clone)]
pub(in crate::kafka) struct Transactions {
    phase: Phase,
    /// Where the event topic is known up to, per partition.
    known: BTreeMap<i32, i64>,
    /// Marks with the number of the last record that they follow from.
    marks: Vec<(u64, Position)>,
    /// Commands that have their end on the topic and that the coordinator was not told of.
    answered: Vec<CommandId>,
    /// Reports, which answer no command, that are on it and that the coordinator was not told of.
    told: Vec<EventId>,
    /// Once it has caught up for the first time: what else it has found on the topic, written by another process. The
    /// coordinator may hand such an event over before it hears of that.
    foreign: Option<BTreeSet<EventId>>,
    /// Ends that no broker takes as they are, until they come again in short. The coordinator has settled their places
    /// when it handed them over: until it hears better, no mark of its may be carried past them.
    given_back: BTreeSet<EventId>,
}

/// How far the client is.
#[derive(Debug, Clone)]
enum Phase {
    /// The transactional id is not its own yet.
    TakingOver,
    /// What earlier clients have written is being read.
    ReadingBack,
    /// Nothing is open.
    Ready,
    /// Records are on their way.
    Open(Batch),
    /// All have arrived; the outcome is open.
    Committing(Batch),
    /// One was not taken: none counts.
    Aborting(Batch),
}

/// The records of one transaction.
#[derive(Debug, Clone)]
struct Batch {
    numbers: Vec<u64>,
    outstanding: BTreeSet<u64>,
    /// The marks that follow, by partition.
    marks: BTreeMap<i32, i64>,
    /// Where the event topic is known up to once they count.
    written: BTreeMap<i32, i64>,
    /// Whether one of them was not taken.
    spoiled: Spoiled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spoiled {
    No,
    Yes,
}

/// What has to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kafka) enum Next {
    /// Take the transactional id over.
    TakeOver,
    /// Read the event topic on.
    ReadBack,
    /// Begin a batch, if there is one.
    Begin,
    /// Wait for the outcome of its records.
    Await,
    /// All records have arrived: make these offsets, if any, part of the transaction, by partition.
    AddMarks(BTreeMap<i32, i64>),
    /// Commit it.
    Commit,
    /// Make it void.
    Abort,
}

/// What a record of the batch came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka) enum Arrival {
    /// It is on the broker: its partition, and the offset behind it.
    Written(i32, i64),
    /// It was not taken.
    Refused,
}

/// What counts now.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::kafka) struct Counted {
    /// Of its records.
    pub(in crate::kafka) receipts: Vec<Receipt>,
    /// The topics that they are on.
    pub(in crate::kafka) destinations: BTreeSet<Destination>,
    /// Where the event topic is known up to.
    pub(in crate::kafka) written: BTreeMap<i32, i64>,
}

/// What follows from a call that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka) enum Consequence {
    /// Somebody else has taken the identity over: another client, after a long rest.
    Rest,
    /// The same call again.
    Again,
    /// The batch is made void and written once more.
    Void,
    /// Another client, soon.
    Renew,
}

impl Transactions {
    /// At a start: these places of the event topic are known to the journal.
    pub(in crate::kafka) fn new(known: BTreeMap<i32, i64>) -> Self {
        let (phase, given_back) = (Phase::TakingOver, BTreeSet::new());
        Self { phase, known, marks: Vec::new(), answered: Vec::new(), told: Vec::new(), foreign: None, given_back }
    }

    /// A mark that follows from the record with this number and those before it.
    pub(in crate::kafka) fn note(&mut self, number: u64, mark: Position) {
        if !self.given_back.is_empty() {
            return;
        }
        self.marks.retain(|(_, older)| older.partition != mark.partition || older.topic != mark.topic || older.offset < mark.offset);
        self.marks.push((number, mark));
    }

    /// A record goes back to the coordinator: no broker will ever take it. No mark follows from an end that is not written.
    pub(in crate::kafka) fn given_back(&mut self, number: u64, outbox: &Outbox) {
        if let Some(end) = outbox.get(number).filter(|kept| kept.terminal).and_then(|kept| kept.event) {
            self.given_back.insert(end);
            self.marks.retain(|(follows_from, _)| *follows_from < number);
        }
    }

    /// An event is handed over: from here on marks are true again.
    pub(in crate::kafka) fn comes_again(&mut self, event: EventId) {
        self.given_back.remove(&event);
    }

    /// Another client begins at the beginning. What the last one left open is decided by the topic.
    pub(in crate::kafka) fn begin_anew(&mut self) {
        self.phase = Phase::TakingOver;
    }

    /// Whether a transaction has no outcome yet.
    pub(in crate::kafka) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_) | Phase::Committing(_) | Phase::Aborting(_))
    }

    pub(in crate::kafka) fn next(&self) -> Next {
        match &self.phase {
            Phase::TakingOver => Next::TakeOver,
            Phase::ReadingBack => Next::ReadBack,
            Phase::Ready => Next::Begin,
            Phase::Open(batch) if !batch.outstanding.is_empty() => Next::Await,
            Phase::Open(batch) => Next::AddMarks(batch.marks.clone()),
            Phase::Committing(_) => Next::Commit,
            Phase::Aborting(_) => Next::Abort,
        }
    }

    /// The transactional id is this client's: where to read from, per partition.
    pub(in crate::kafka) fn taken_over(&mut self) -> &BTreeMap<i32, i64> {
        self.phase = Phase::ReadingBack;
        &self.known
    }

    /// This is on the event topic: the receipt of the same event, if it waits to be written.
    pub(in crate::kafka) fn found(&mut self, written: Written, outbox: &mut Outbox) -> Option<Receipt> {
        self.answered.extend(written.causation_id.filter(|_| written.terminal));
        self.told.extend(written.causation_id.is_none().then_some(written.event_id));
        self.given_back.remove(&written.event_id);
        let receipt = outbox.settle_event(written.event_id);
        if receipt.is_none() {
            self.foreign.as_mut().map(|foreign| foreign.insert(written.event_id));
        }
        receipt
    }

    /// Whether an event that is handed over is on the topic already.
    pub(in crate::kafka) fn is_written(&mut self, event: EventId) -> bool {
        self.foreign.as_mut().is_some_and(|foreign| foreign.remove(&event))
    }

    /// The commands that the coordinator is to be told of, once there are so many.
    pub(in crate::kafka) fn take_answered(&mut self, enough: usize) -> Option<Vec<CommandId>> {
        (self.answered.len() >= enough).then(|| mem::take(&mut self.answered))
    }

    /// The reports that the coordinator is to be told of, once there are so many.
    pub(in crate::kafka) fn take_told(&mut self, enough: usize) -> Option<Vec<EventId>> {
        (self.told.len() >= enough).then(|| mem::take(&mut self.told))
    }

    /// The event topic was read up to here, which is its end.
    pub(in crate::kafka) fn caught_up(&mut self, places: &BTreeMap<i32, i64>) {
        self.phase = Phase::Ready;
        self.known.extend(places);
        // Before the first time the coordinator hands nothing over.
        self.foreign.get_or_insert_default();
    }

    /// The oldest records for topics that can be written.
    pub(in crate::kafka) fn next_batch(outbox: &Outbox, writable: impl Iterator<Item = Destination>) -> Vec<u64> {
        let mut numbers: Vec<u64> = writable.flat_map(|destination| outbox.unsent(destination).take(BATCH_RECORDS)).collect();
        numbers.sort_unstable();
        numbers.truncate(BATCH_RECORDS);
        numbers
    }

    /// A transaction was begun for these records.
    pub(in crate::kafka) fn begun(&mut self, numbers: Vec<u64>, command_topic: &str, outbox: &Outbox) {
        let marks = self.marks_of(&numbers, command_topic, outbox);
        let outstanding = numbers.iter().copied().collect();
        self.phase = Phase::Open(Batch { numbers, outstanding, marks, written: BTreeMap::new(), spoiled: Spoiled::No });
    }

    /// The newest mark of each partition that follows from records up to the last event of the batch.
    fn marks_of(&self, numbers: &[u64], command_topic: &str, outbox: &Outbox) -> BTreeMap<i32, i64> {
        let events = |number: &&u64| outbox.destination(**number) == Some(Destination::Events);
        let Some(last) = numbers.iter().rfind(events) else { return BTreeMap::new() };
        let follows = self.marks.iter().filter(|(number, mark)| number <= last && mark.topic == command_topic);
        follows.map(|(_, mark)| (mark.partition, mark.offset)).collect()
    }

    /// A record has its outcome. Whether it is one of the batch.
    pub(in crate::kafka) fn arrived(&mut self, number: u64, arrival: Arrival, outbox: &Outbox) -> bool {
        let Phase::Open(batch) = &mut self.phase else { return false };
        if !batch.outstanding.remove(&number) {
            return false;
        }
        match arrival {
            Arrival::Written(partition, behind) if outbox.destination(number) == Some(Destination::Events) => {
                batch.written.insert(partition, behind);
            }
            Arrival::Written(..) => {}
            Arrival::Refused => batch.spoiled = Spoiled::Yes,
        }
        if batch.outstanding.is_empty() && batch.spoiled == Spoiled::Yes {
            self.turn(Phase::Aborting);
        }
        true
    }

    /// The marks are part of the transaction.
    pub(in crate::kafka) fn marked(&mut self) {
        self.turn(Phase::Committing);
    }

    /// The transaction was committed.
    pub(in crate::kafka) fn committed(&mut self, outbox: &mut Outbox) -> Counted {
        let Some(batch) = self.end_batch() else {
            return Counted { receipts: Vec::new(), destinations: BTreeSet::new(), written: BTreeMap::new() };
        };
        self.marks.retain(|(_, mark)| batch.marks.get(&mark.partition).is_none_or(|carried| *carried < mark.offset));
        self.known.extend(&batch.written);
        let destinations = batch.numbers.iter().filter_map(|number| outbox.destination(*number)).collect();
        let receipts = batch.numbers.iter().filter_map(|number| outbox.settle(*number)).collect();
        Counted { receipts, destinations, written: batch.written }
    }

    /// The transaction was made void: its records wait again.
    pub(in crate::kafka) fn aborted(&mut self, outbox: &mut Outbox) {
        if let Some(batch) = self.end_batch() {
            batch.numbers.iter().for_each(|number| outbox.failed(*number));
        }
    }

    /// A call failed; whether because somebody else has taken the transactional id over.
    pub(in crate::kafka) fn set_back(&mut self, remedy: Remedy, fenced: bool) -> Consequence {
        match (remedy, &self.phase) {
            _ if fenced => {
                self.phase = Phase::TakingOver;
                Consequence::Rest
            }
            (Remedy::Again, _) => Consequence::Again,
            (Remedy::Abort, Phase::Open(_) | Phase::Committing(_)) => {
                self.turn(Phase::Aborting);
                Consequence::Void
            }
            (Remedy::Abort | Remedy::Renew, _) => {
                self.phase = Phase::TakingOver;
                Consequence::Renew
            }
        }
    }

    /// The batch goes on in another phase.
    fn turn(&mut self, phase: impl FnOnce(Batch) -> Phase) {
        if let Some(batch) = self.end_batch() {
            self.phase = phase(batch);
        }
    }

    fn end_batch(&mut self) -> Option<Batch> {
        match mem::replace(&mut self.phase, Phase::Ready) {
            Phase::Open(batch) | Phase::Committing(batch) | Phase::Aborting(batch) => Some(batch),
            other => {
                self.phase = other;
                None
            }
        }
    }
}

#[cfg(test)]
impl Transactions {
    /// All that decides what comes next, with the places of records instead of their numbers.
    pub(in crate::kafka) fn sketch(&self, outbox: &Outbox) -> String {
        let phase = match &self.phase {
            Phase::TakingOver => "taking over".to_owned(),
            Phase::ReadingBack => "reading back".to_owned(),
            Phase::Ready => "ready".to_owned(),
            Phase::Open(batch) => format!("open {}", batch.sketch(outbox)),
            Phase::Committing(batch) => format!("committing {}", batch.sketch(outbox)),
            Phase::Aborting(batch) => format!("aborting {}", batch.sketch(outbox)),
        };
        let marks: Vec<_> = self.marks.iter().map(|(number, mark)| (outbox.place(*number), mark)).collect();
        let news = (&self.answered, &self.told, &self.foreign, &self.given_back);
        format!("{phase} {:?} {marks:?} {news:?}", self.known)
    }
}

#[cfg(test)]
impl Batch {
    fn sketch(&self, outbox: &Outbox) -> String {
        let places = |numbers: &mut dyn Iterator<Item = &u64>| -> Vec<_> { numbers.map(|number| outbox.place(*number)).collect() };
        let (numbers, outstanding) = (places(&mut self.numbers.iter()), places(&mut self.outstanding.iter()));
        format!("{numbers:?} {outstanding:?} {:?} {:?} {:?}", self.marks, self.written, self.spoiled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::outbox::Kept;
    use crate::kafka::wire::Outgoing;
    use uuid::Uuid;

    fn end(n: u128) -> Written {
        Written { event_id: EventId(Uuid::from_u128(n)), terminal: true, causation_id: Some(CommandId(Uuid::from_u128(n))) }
    }

    #[test]
    fn what_another_process_has_written_is_not_written_again_however_late_it_comes() {
        let (mut transactions, mut outbox) = (Transactions::new(BTreeMap::new()), Outbox::default());
        transactions.taken_over();
        transactions.found(end(1), &mut outbox);
        transactions.caught_up(&BTreeMap::from([(0, 1)]));
        assert!(!transactions.is_written(end(1).event_id), "the coordinator heard of it before it handed anything over");
        transactions.begin_anew();
        transactions.taken_over();
        transactions.found(end(2), &mut outbox);
        transactions.caught_up(&BTreeMap::from([(0, 2)]));
        assert_eq!([1, 2, 2].map(|n| transactions.is_written(end(n).event_id)), [false, true, false]);
        assert_eq!(transactions.take_answered(1), Some(vec![CommandId(Uuid::from_u128(1)), CommandId(Uuid::from_u128(2))]));
    }

    #[test]
    fn no_mark_passes_an_end_that_no_broker_takes_until_it_comes_again() {
        let (mut transactions, mut outbox) = (Transactions::new(BTreeMap::new()), Outbox::default());
        transactions.taken_over();
        transactions.caught_up(&BTreeMap::from([(0, 0)]));
        let record = || Outgoing { key: None, value: Vec::new(), headers: Vec::new() };
        let hand_over = |transactions: &mut Transactions, outbox: &mut Outbox, n: u128, offset| {
            let event = end(n).event_id;
            transactions.comes_again(event);
            outbox.add(Kept {
                receipt: Receipt(0),
                event: Some(event),
                terminal: true,
                destination: Destination::Events,
                record: record(),
            });
            transactions.note(outbox.newest(), Position { topic: "c".to_owned(), partition: 0, offset });
        };
        let carried = |transactions: &Transactions, outbox: &Outbox| {
            let numbers: Vec<u64> = outbox.unsent(Destination::Events).collect();
            transactions.marks_of(&numbers, "c", outbox).get(&0).copied()
        };
        hand_over(&mut transactions, &mut outbox, 1, 6);
        hand_over(&mut transactions, &mut outbox, 2, 7);
        hand_over(&mut transactions, &mut outbox, 3, 8);
        assert_eq!(carried(&transactions, &outbox), Some(8));
        transactions.given_back(2, &outbox);
        outbox.settle(2);
        assert_eq!(carried(&transactions, &outbox), Some(6), "the end of the second is not there");
        // The coordinator has not heard of it yet.
        hand_over(&mut transactions, &mut outbox, 4, 9);
        assert_eq!(carried(&transactions, &outbox), Some(6));
        hand_over(&mut transactions, &mut outbox, 2, 9);
        assert_eq!(carried(&transactions, &outbox), Some(9), "in short it is");
    }
}

//! What the coordinator handed over and no broker has confirmed yet, in its order. Pure.
//!
//! Everything is kept here until the broker's word, so a client that breaks can be replaced and what it
//! had not confirmed is written again. This is also where transactions take their batches from.

use super::Receipt;
use super::wire::Outgoing;
use crate::domain::EventId;
use std::collections::{BTreeMap, BTreeSet};

/// More events than the coordinator's window has terminal ones, so light events find room too. Dead letters do not
/// count, lest a topic of theirs that is missing holds events up: the coordinator bounds how many there are.
const MAX_EVENTS: usize = 640;
/// A record is at most about 1 MiB, in practice some KiB; librdkafka has a copy of each.
const MAX_BYTES: usize = 8 << 20;

/// Which of the two topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Destination {
    Events,
    DeadLetters,
}

/// What there is for one topic.
#[derive(Debug, Default, Clone)]
struct Pile {
    unsent: BTreeSet<u64>,
    records: usize,
    bytes: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) receipt: Receipt,
    /// Of an event.
    pub(super) event: Option<EventId>,
    /// Whether that is the last word of a command: a mark follows from it.
    pub(super) terminal: bool,
    pub(super) destination: Destination,
    pub(super) record: Outgoing,
}

/// Records by the number under which librdkafka knows them.
#[derive(Debug, Default, Clone)]
pub(super) struct Outbox {
    last: u64,
    kept: BTreeMap<u64, Kept>,
    events: Pile,
    letters: Pile,
}

impl Outbox {
    /// Whether one more event may come. A single one may be larger than what is left.
    pub(super) fn has_room(&self) -> bool {
        self.events.records < MAX_EVENTS && self.events.bytes < MAX_BYTES
    }

    /// How many there are for a topic.
    pub(super) fn len(&self, destination: Destination) -> usize {
        match destination {
            Destination::Events => self.events.records,
            Destination::DeadLetters => self.letters.records,
        }
    }

    pub(super) fn add(&mut self, kept: Kept) {
        self.last += 1;
        let (number, bytes) = (self.last, size(&kept.record));
        let pile = self.pile(kept.destination);
        pile.records += 1;
        pile.bytes += bytes;
        pile.unsent.insert(number);
        self.kept.insert(number, kept);
    }

    /// The records for a topic that no client has in its hands, in their order.
    pub(super) fn unsent(&self, destination: Destination) -> impl Iterator<Item = u64> {
        let pile = match destination {
            Destination::Events => &self.events,
            Destination::DeadLetters => &self.letters,
        };
        pile.unsent.iter().copied()
    }

    pub(super) fn get(&self, number: u64) -> Option<&Kept> {
        self.kept.get(&number)
    }

    /// The number of the newest record.
    pub(super) fn newest(&self) -> u64 {
        self.last
    }

    /// This event is on its topic already.
    pub(super) fn settle_event(&mut self, event: EventId) -> Option<Receipt> {
        let number = *self.kept.iter().find(|(_, kept)| kept.event == Some(event))?.0;
        self.settle(number)
    }

    /// A client took it.
    pub(super) fn sent(&mut self, destination: Destination, number: u64) {
        self.pile(destination).unsent.remove(&number);
    }

    /// It was not written, but may be later.
    pub(super) fn failed(&mut self, number: u64) {
        if let Some(destination) = self.destination(number) {
            self.pile(destination).unsent.insert(number);
        }
    }

    /// No client has any of them any more.
    pub(super) fn all_failed(&mut self) {
        let numbers: Vec<u64> = self.kept.keys().copied().collect();
        numbers.into_iter().for_each(|number| self.failed(number));
    }

    /// Where a record goes to; none when it is not here any more.
    pub(super) fn destination(&self, number: u64) -> Option<Destination> {
        self.kept.get(&number).map(|kept| kept.destination)
    }

    /// Cuts a dead letter's value. Whether it was longer.
    pub(super) fn shorten_letter(&mut self, number: u64, bytes: usize) -> bool {
        let letter = self.kept.get_mut(&number).filter(|kept| kept.destination == Destination::DeadLetters);
        let Some(kept) = letter.filter(|kept| kept.record.value.len() > bytes) else { return false };
        let excess = kept.record.value.len() - bytes;
        kept.record.value.truncate(bytes);
        self.letters.bytes = self.letters.bytes.saturating_sub(excess);
        true
    }

    /// It is written, or never will be.
    pub(super) fn settle(&mut self, number: u64) -> Option<Receipt> {
        let kept = self.kept.remove(&number)?;
        let bytes = size(&kept.record);
        let pile = self.pile(kept.destination);
        pile.unsent.remove(&number);
        pile.records -= 1;
        pile.bytes = pile.bytes.saturating_sub(bytes);
        Some(kept.receipt)
    }

    fn pile(&mut self, destination: Destination) -> &mut Pile {
        match destination {
            Destination::Events => &mut self.events,
            Destination::DeadLetters => &mut self.letters,
        }
    }
}

#[cfg(test)]
impl Outbox {
    /// Where a number stands among those that are here: how many are below it, and whether its own record is one of them.
    /// Numbers only ever are compared, so two outboxes that differ in nothing else go on in the same way.
    pub(super) fn place(&self, number: u64) -> (usize, bool) {
        (self.kept.range(..number).count(), self.kept.contains_key(&number))
    }

    /// All that decides what comes next, without the numbers: what is here in its order, and whether a client has it.
    pub(super) fn sketch(&self) -> String {
        let unsent = |number| self.events.unsent.contains(number) || self.letters.unsent.contains(number);
        let kept: Vec<_> =
            self.kept.iter().map(|(number, kept)| (kept.receipt, kept.event, kept.terminal, kept.destination, unsent(number))).collect();
        format!("{kept:?}")
    }
}

fn size(record: &Outgoing) -> usize {
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    record.value.len() + record.key.as_ref().map_or(0, Vec::len) + headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(receipt: u64, bytes: usize) -> Kept {
        let record = Outgoing { key: None, value: vec![0; bytes], headers: Vec::new() };
        Kept { receipt: Receipt(receipt), event: None, terminal: false, destination: Destination::Events, record }
    }

    fn letter(receipt: u64, bytes: usize) -> Kept {
        Kept { destination: Destination::DeadLetters, ..kept(receipt, bytes) }
    }

    fn take_unsent(outbox: &mut Outbox) -> Vec<u64> {
        let numbers: Vec<u64> = outbox.unsent(Destination::Events).collect();
        let receipts = numbers.iter().map(|number| outbox.get(*number).unwrap().receipt.0).collect();
        numbers.into_iter().for_each(|number| outbox.sent(Destination::Events, number));
        receipts
    }

    #[test]
    fn what_failed_is_sent_again_in_the_order_it_came() {
        let mut outbox = Outbox::default();
        for receipt in 11..=14 {
            outbox.add(kept(receipt, 1));
        }
        assert_eq!(take_unsent(&mut outbox), [11, 12, 13, 14]);
        assert_eq!(outbox.settle(2), Some(Receipt(12)));
        outbox.failed(3);
        outbox.failed(1);
        outbox.failed(2);
        assert_eq!(take_unsent(&mut outbox), [11, 13]);
        outbox.all_failed();
        assert_eq!(take_unsent(&mut outbox), [11, 13, 14]);
        assert_eq!(outbox.settle(2), None);
    }

    #[test]
    fn events_and_their_bytes_are_bounded_and_dead_letters_take_no_room_of_theirs() {
        let mut outbox = Outbox::default();
        outbox.add(kept(1, MAX_BYTES));
        assert!(!outbox.has_room());
        outbox.settle(1);
        outbox.add(letter(2, 2 * MAX_BYTES));
        assert!(outbox.has_room() && outbox.len(Destination::Events) == 0);
        for receipt in 0..MAX_EVENTS as u64 {
            assert!(outbox.has_room());
            outbox.add(kept(receipt, 0));
        }
        assert!(!outbox.has_room());
    }

    #[test]
    fn each_topic_has_its_own_order() {
        let mut outbox = Outbox::default();
        for record in [letter(1, 9), kept(2, 9), letter(3, 9)] {
            outbox.add(record);
        }
        assert_eq!(take_unsent(&mut outbox), [2]);
        assert_eq!(outbox.unsent(Destination::DeadLetters).next(), Some(1));
        assert!(outbox.shorten_letter(1, 4) && !outbox.shorten_letter(1, 4) && !outbox.shorten_letter(2, 4), "only letters, and once");
        outbox.settle(1);
        outbox.settle(3);
        assert_eq!((outbox.len(Destination::DeadLetters), outbox.letters.bytes), (0, 0));
    }
}

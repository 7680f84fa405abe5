//! What the coordinator handed over and no broker has confirmed yet, in its order. Pure.
//!
//! Everything is kept here until the broker's word, so a client that breaks can be replaced and what it
//! had not confirmed is written again. This is also where transactions would take their batches from.

use super::Receipt;
use super::wire::Outgoing;
use std::collections::{BTreeMap, BTreeSet};

/// More records than the coordinator's window has terminal events, so light events find room too.
const MAX_RECORDS: usize = 1024;
/// A record is at most about 1 MiB, in practice some KiB; librdkafka has a copy of each.
const MAX_BYTES: usize = 8 << 20;

/// Which of the two topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Destination {
    Events,
    DeadLetters,
}

#[derive(Debug)]
pub(super) struct Kept {
    pub(super) receipt: Receipt,
    pub(super) destination: Destination,
    pub(super) record: Outgoing,
}

/// Records by the number under which librdkafka knows them.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    last: u64,
    kept: BTreeMap<u64, Kept>,
    unsent: BTreeSet<u64>,
    bytes: usize,
}

impl Outbox {
    /// Whether one more record may come. A single one may be larger than what is left.
    pub(super) fn has_room(&self) -> bool {
        self.kept.len() < MAX_RECORDS && self.bytes < MAX_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(super) fn add(&mut self, kept: Kept) {
        self.last += 1;
        self.bytes += size(&kept.record);
        self.unsent.insert(self.last);
        self.kept.insert(self.last, kept);
    }

    /// The oldest record that no client has in its hands.
    pub(super) fn next_unsent(&self) -> Option<(u64, &Kept)> {
        let number = *self.unsent.first()?;
        Some((number, self.kept.get(&number)?))
    }

    /// A client took it.
    pub(super) fn sent(&mut self, number: u64) {
        self.unsent.remove(&number);
    }

    /// It was not written, but may be later.
    pub(super) fn failed(&mut self, number: u64) {
        if self.kept.contains_key(&number) {
            self.unsent.insert(number);
        }
    }

    /// No client has any of them any more.
    pub(super) fn all_failed(&mut self) {
        self.unsent = self.kept.keys().copied().collect();
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Kept> {
        self.kept.get_mut(&number)
    }

    /// It is written, or never will be.
    pub(super) fn settle(&mut self, number: u64) -> Option<Receipt> {
        self.unsent.remove(&number);
        let kept = self.kept.remove(&number)?;
        self.bytes = self.bytes.saturating_sub(size(&kept.record));
        Some(kept.receipt)
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
        Kept { receipt: Receipt(receipt), destination: Destination::Events, record }
    }

    fn take_unsent(outbox: &mut Outbox) -> Vec<u64> {
        let mut receipts = Vec::new();
        while let Some((number, kept)) = outbox.next_unsent() {
            receipts.push(kept.receipt.0);
            outbox.sent(number);
        }
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
    fn records_and_bytes_are_bounded() {
        let mut outbox = Outbox::default();
        outbox.add(kept(1, MAX_BYTES));
        assert!(!outbox.has_room());
        outbox.settle(1);
        assert!(outbox.has_room() && outbox.is_empty());
        for receipt in 0..MAX_RECORDS as u64 {
            assert!(outbox.has_room());
            outbox.add(kept(receipt, 0));
        }
        assert!(!outbox.has_room());
    }
}

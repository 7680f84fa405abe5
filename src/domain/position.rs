//! Where a command stood in its topic, and up to where everything is done.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The place of one record.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The topic's name.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
}

/// The low-water mark of one partition: the first offset whose command has no terminal event yet.
///
/// Offsets are taken in as they are read and settled in any order.
#[derive(Debug, Clone, Default)]
pub struct Watermark {
    open: BTreeSet<i64>,
    /// The next offset that was not read by this process.
    next: Option<i64>,
    /// The first offsets of gaps that nobody was told of.
    gaps: Vec<i64>,
}

impl Watermark {
    /// Reading goes on at `offset`.
    #[must_use]
    pub fn starting_at(offset: i64) -> Self {
        Self { next: Some(offset), ..Self::default() }
    }

    /// What lies from `wanted` on cannot be read: reading goes on at `offset`, before or after it. The mark stays until
    /// somebody was told.
    pub fn gap(&mut self, wanted: i64, offset: i64) {
        self.gaps.push(wanted);
        self.next = Some(offset);
    }

    /// Somebody was told of the gap at `wanted`.
    pub fn gap_told(&mut self, wanted: i64) {
        self.gaps.retain(|gap| *gap != wanted);
    }

    /// Whether nothing that was read could be read again.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.open.is_empty() && self.gaps.is_empty()
    }

    /// A command that an earlier process read at `offset` is still open.
    pub fn hold(&mut self, offset: i64) {
        self.open.insert(offset);
    }

    /// A record was read at `offset`.
    pub fn read(&mut self, offset: i64) {
        self.open.insert(offset);
        self.next = Some(self.next.map_or(offset + 1, |next| next.max(offset + 1)));
    }

    /// The command read at `offset` has its terminal event, or needs none.
    pub fn settle(&mut self, offset: i64) {
        self.open.remove(&offset);
    }

    /// Where a reader that lost everything would have to begin; none before the first record.
    ///
    /// INVARIANT: never past a record that this process has not read: a refusal at it may be lost. So there
    /// is no mark either while nobody knows where reading begins, whatever an earlier process left open.
    #[must_use]
    pub fn mark(&self) -> Option<i64> {
        let next = self.next?;
        if let Some(&gap) = self.gaps.first() {
            return Some(gap);
        }
        Some(self.open.first().map_or(next, |&open| open.min(next)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_stays_at_the_oldest_open_record() {
        let mut mark = Watermark::default();
        assert_eq!(mark.mark(), None);
        for offset in [10, 11, 14] {
            mark.read(offset);
        }
        mark.settle(11);
        assert_eq!(mark.mark(), Some(10));
        mark.settle(10);
        assert_eq!(mark.mark(), Some(14));
        mark.settle(14);
        assert_eq!(mark.mark(), Some(15));
    }

    #[test]
    fn a_topic_that_was_made_anew_moves_the_mark_back() {
        let mut mark = Watermark::starting_at(1000);
        mark.gap(1000, 0);
        mark.read(0);
        mark.settle(0);
        assert_eq!((mark.mark(), mark.is_at_rest()), (Some(1000), false), "nobody was told yet");
        mark.gap_told(1000);
        assert_eq!((mark.mark(), mark.is_at_rest()), (Some(1), true));
    }

    #[test]
    fn there_is_no_mark_until_it_is_known_where_reading_begins() {
        let mut mark = Watermark::default();
        mark.hold(1);
        mark.hold(2);
        mark.settle(1);
        assert_eq!(mark.mark(), None, "0 was read by an earlier process, and its refusal may be lost");
        mark.read(0);
        assert_eq!(mark.mark(), Some(0));
    }

    #[test]
    fn the_mark_does_not_pass_what_was_not_read_again_after_a_restart() {
        let mut mark = Watermark::starting_at(100);
        mark.hold(100);
        mark.hold(150);
        mark.settle(100);
        assert_eq!(mark.mark(), Some(100));
        for offset in 100..150 {
            mark.read(offset);
            mark.settle(offset);
        }
        assert_eq!(mark.mark(), Some(150));
    }
}

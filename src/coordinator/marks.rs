//! The low-water marks of the command topic's partitions, twice: as far as brokers have confirmed, and as far
//! as events were handed over. Pure.
//!
//! The first is the journal's. The second goes out with the events that it follows from, in one transaction.

use crate::domain::{Position, Watermark};
use std::collections::BTreeMap;

/// One partition's.
#[derive(Debug, Default, Clone)]
struct Mark {
    confirmed: Watermark,
    handed: Watermark,
}

/// All of them, by topic and partition.
#[derive(Debug, Default, Clone)]
pub(super) struct Marks(BTreeMap<(String, i32), Mark>);

impl Marks {
    /// Reading goes on at these places.
    pub(super) fn starting_at(positions: Vec<Position>) -> Self {
        let at = |position: Position| {
            let mark = Watermark::starting_at(position.offset);
            ((position.topic, position.partition), Mark { confirmed: mark.clone(), handed: mark })
        };
        Self(positions.into_iter().map(at).collect())
    }

    /// A record was read.
    pub(super) fn read(&mut self, position: &Position) {
        self.both(position, |mark| mark.read(position.offset));
    }

    /// A command that an earlier process read is still open.
    pub(super) fn hold(&mut self, position: &Position) {
        self.both(position, |mark| mark.hold(position.offset));
    }

    /// Reading goes on elsewhere, and nobody was told yet.
    pub(super) fn gap(&mut self, wanted: &Position, resumed: i64) {
        self.both(wanted, |mark| mark.gap(wanted.offset, resumed));
    }

    /// Somebody was told.
    pub(super) fn gap_told(&mut self, wanted: &Position) {
        self.both(wanted, |mark| mark.gap_told(wanted.offset));
    }

    /// Whether no record that was read could be read again after a restart.
    pub(super) fn are_at_rest(&self) -> bool {
        self.0.values().all(|mark| mark.confirmed.is_at_rest())
    }

    /// The record needs nothing more.
    pub(super) fn settle(&mut self, position: &Position) {
        self.both(position, |mark| mark.settle(position.offset));
    }

    /// The end of its command was handed over: the mark that holds once it is written.
    pub(super) fn hand_over(&mut self, position: &Position) -> Option<Position> {
        let mark = self.0.get_mut(&(position.topic.clone(), position.partition))?;
        mark.handed.settle(position.offset);
        Some(Position { offset: mark.handed.mark()?, ..position.clone() })
    }

    /// The mark that is confirmed.
    pub(super) fn confirmed(&self, topic: &str, partition: i32) -> Option<i64> {
        self.0.get(&(topic.to_owned(), partition))?.confirmed.mark()
    }

    fn both(&mut self, position: &Position, change: impl Fn(&mut Watermark)) {
        let mark = self.0.entry((position.topic.clone(), position.partition)).or_default();
        change(&mut mark.confirmed);
        change(&mut mark.handed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_handed_over_moves_its_own_mark_first() {
        let at = |offset| Position { topic: "t".to_owned(), partition: 0, offset };
        let mut marks = Marks::starting_at(vec![at(5)]);
        [5, 6, 7].into_iter().for_each(|offset| marks.read(&at(offset)));
        assert_eq!(marks.hand_over(&at(6)), Some(at(5)), "5 has no end yet");
        assert_eq!(marks.hand_over(&at(5)), Some(at(7)));
        assert_eq!(marks.confirmed("t", 0), Some(5));
        marks.settle(&at(6));
        marks.settle(&at(5));
        assert_eq!(marks.confirmed("t", 0), Some(7));
        assert_eq!(marks.hand_over(&at(7)), Some(at(8)));
        assert_eq!(marks.hand_over(&Position { partition: 1, ..at(0) }), None, "nothing was read there");
    }
}

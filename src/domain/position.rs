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
    /// One past the newest offset read.
    next: Option<i64>,
}

impl Watermark {
    /// Nothing read yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
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
    #[must_use]
    pub fn mark(&self) -> Option<i64> {
        self.open.first().copied().or(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_stays_at_the_oldest_open_record() {
        let mut mark = Watermark::new();
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
}

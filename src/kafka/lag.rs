//! How many records of the command topic are not taken in yet. Pure; the thread `kafka-consumer` keeps it.
//!
//! What the brokers have is known from the answers to the fetches that go out anyway: no broker is asked for it.

use super::native::PartitionOffset;
use std::collections::BTreeMap;
use std::time::Duration;

/// How often it is counted anew while the coordinator wants no record: new ones still come to the topic then. An idle
/// consumer counts nothing.
pub(super) const RECOUNT: Duration = Duration::from_secs(5);

/// How far reading has come in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// This offset is the next.
    Next(i64),
    /// All was read that can be. Marks of transactions and records of open ones may stand behind it.
    End,
}

/// How far reading has come.
#[derive(Debug, Default)]
pub(super) struct Lag {
    places: BTreeMap<i32, Place>,
    /// What was told last.
    told: Option<u64>,
}

impl Lag {
    /// These partitions are read from these places, and no others.
    pub(super) fn assigned(&mut self, offsets: &[PartitionOffset]) {
        // Where a logical place is shows with the first record, or with the end.
        let known = offsets.iter().filter(|at| at.offset >= 0);
        self.places = known.map(|at| (at.partition, Place::Next(at.offset))).collect();
    }

    /// This offset is the next of its partition.
    pub(super) fn next(&mut self, partition: i32, offset: i64) {
        self.places.insert(partition, Place::Next(offset));
    }

    /// Nothing more can be read of a partition.
    pub(super) fn end(&mut self, partition: i32) {
        self.places.insert(partition, Place::End);
    }

    /// What is to be told, if it is another number than before: all that is behind, where `high` is the offset that the
    /// next record of a partition will have. None where nothing is known.
    pub(super) fn news(&mut self, high: impl Fn(i32) -> Option<i64>) -> Option<Option<u64>> {
        let behind = |(partition, place): (&i32, &Place)| match place {
            Place::End => Some(0),
            Place::Next(offset) => Some(high(*partition)?.saturating_sub(*offset).max(0).unsigned_abs()),
        };
        let known: Vec<u64> = self.places.iter().filter_map(behind).collect();
        let now = (!known.is_empty()).then(|| known.iter().sum());
        (now != self.told).then(|| {
            self.told = now;
            now
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::native::BEGINNING;
    use super::*;

    #[test]
    fn what_is_behind_is_the_sum_over_the_partitions_of_which_it_is_known() {
        let mut lag = Lag::default();
        let high = |partition: i32| [Some(10), Some(7), None].get(usize::try_from(partition).unwrap()).copied().flatten();
        assert_eq!(lag.news(high), None, "nothing is known, as before");
        let at = |partition, offset| PartitionOffset { partition, offset };
        lag.assigned(&[at(0, 4), at(1, BEGINNING), at(2, 3)]);
        assert_eq!(lag.news(high), Some(Some(6)));
        assert_eq!(lag.news(high), None, "it is told once");
        lag.next(1, 2);
        assert_eq!(lag.news(high), Some(Some(11)));
        lag.next(0, 9);
        lag.next(1, 9);
        assert_eq!(lag.news(high), Some(Some(1)), "one that is ahead of the answers is not behind");
        lag.end(0);
        assert_eq!(lag.news(high), Some(Some(0)), "a transaction's mark is no record");
        lag.assigned(&[]);
        assert_eq!(lag.news(high), Some(None));
    }
}

//! Which partitions are read, and from where. Pure.

use super::native::{BEGINNING, PartitionOffset};
use std::collections::{BTreeMap, BTreeSet};

/// Whether the assignment has to be made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Assignment {
    /// It holds.
    Same,
    /// Partitions or places changed.
    Changed,
}

/// The partitions of the command topic.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    /// Where the journal says that reading begins.
    journal: BTreeMap<i32, i64>,
    /// Where each goes on: the next offset, or `BEGINNING`.
    reading: BTreeMap<i32, i64>,
    /// Those of which neither the journal nor the group has said where they begin.
    unplaced: BTreeSet<i32>,
    /// Those of which the wanted offset is not there, with that offset.
    lost: BTreeMap<i32, i64>,
}

impl Partitions {
    pub(super) fn starting_at(journal: BTreeMap<i32, i64>) -> Self {
        Self { journal, ..Self::default() }
    }

    /// The topic has these.
    pub(super) fn found(&mut self, partitions: &[i32]) -> Assignment {
        let mut assignment = Assignment::Same;
        for &partition in partitions {
            if self.reading.contains_key(&partition) {
                continue;
            }
            match self.journal.get(&partition) {
                Some(&offset) => {
                    self.reading.insert(partition, offset);
                    assignment = Assignment::Changed;
                }
                None => {
                    self.unplaced.insert(partition);
                }
            }
        }
        assignment
    }

    pub(super) fn unplaced(&self) -> Vec<i32> {
        self.unplaced.iter().copied().collect()
    }

    /// The group's committed offset of a partition without another place; the earliest without one.
    pub(super) fn place(&mut self, partition: i32, committed: Option<i64>) -> Assignment {
        if !self.unplaced.remove(&partition) {
            return Assignment::Same;
        }
        self.reading.insert(partition, committed.unwrap_or(BEGINNING));
        Assignment::Changed
    }

    /// A record was read.
    pub(super) fn read(&mut self, partition: i32, offset: i64) {
        self.reading.insert(partition, offset + 1);
    }

    /// The offset that was wanted is not there. librdkafka may not know which one it was.
    pub(super) fn lose(&mut self, partition: i32, wanted: i64) {
        let known = self.reading.get(&partition).copied().filter(|offset| *offset >= 0);
        self.lost.insert(partition, known.unwrap_or_else(|| wanted.max(0)));
    }

    pub(super) fn lost(&self) -> Vec<i32> {
        self.lost.keys().copied().collect()
    }

    /// A lost partition goes on at `earliest`; what was wanted of it.
    pub(super) fn resume(&mut self, partition: i32, earliest: i64) -> Option<i64> {
        let wanted = self.lost.remove(&partition)?;
        self.reading.insert(partition, earliest);
        Some(wanted)
    }

    /// What to assign.
    pub(super) fn assignment(&self) -> Vec<PartitionOffset> {
        let placed = self.reading.iter().filter(|(partition, _)| !self.lost.contains_key(partition));
        placed.map(|(&partition, &offset)| PartitionOffset { partition, offset }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assignment(partitions: &Partitions) -> Vec<(i32, i64)> {
        partitions.assignment().into_iter().map(|at| (at.partition, at.offset)).collect()
    }

    #[test]
    fn the_journal_decides_then_the_group_then_the_earliest() {
        let mut partitions = Partitions::starting_at(BTreeMap::from([(0, 17)]));
        assert_eq!(partitions.found(&[0, 1, 2]), Assignment::Changed);
        assert_eq!(assignment(&partitions), [(0, 17)]);
        assert_eq!(partitions.unplaced(), [1, 2]);
        assert_eq!(partitions.place(0, Some(3)), Assignment::Same, "the journal's place stands");
        assert_eq!(partitions.place(1, Some(5)), Assignment::Changed);
        assert_eq!(partitions.place(2, None), Assignment::Changed);
        assert_eq!(assignment(&partitions), [(0, 17), (1, 5), (2, BEGINNING)]);
        assert_eq!(partitions.found(&[0, 1, 2]), Assignment::Same);
    }

    #[test]
    fn reading_goes_on_after_the_last_record() {
        let mut partitions = Partitions::starting_at(BTreeMap::from([(0, 17)]));
        partitions.found(&[0]);
        partitions.read(0, 20);
        assert_eq!(partitions.found(&[0, 1]), Assignment::Same);
        assert_eq!(assignment(&partitions), [(0, 21)]);
    }

    #[test]
    fn a_lost_partition_is_left_out_until_it_is_known_where_it_goes_on() {
        let mut partitions = Partitions::starting_at(BTreeMap::from([(0, 17), (1, 4)]));
        partitions.found(&[0, 1]);
        partitions.lose(0, -1001);
        assert_eq!((assignment(&partitions), partitions.lost()), (vec![(1, 4)], vec![0]));
        assert_eq!(partitions.resume(0, 100), Some(17));
        assert_eq!(partitions.resume(0, 100), None);
        assert_eq!(assignment(&partitions), [(0, 100), (1, 4)]);
    }
}

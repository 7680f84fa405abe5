//! Samples that wait to be reported. Pure.

use crate::domain::{Labels, Sample, Timestamp};
use std::collections::VecDeque;
use std::sync::Arc;

/// So many are kept while nobody takes them, 128 KiB of numbers: an hour of a host alone, a quarter of an hour with fifty containers.
/// Then the oldest go.
const KEPT: usize = 16 * 1024;

/// A name and its labels: what tells a series from the others.
pub(super) type Title = (&'static str, Labels);

/// What was measured at one time. Moments that measured the same things share what these are called.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Moment {
    pub(super) at: Timestamp,
    titles: Arc<Vec<Title>>,
    values: Vec<f64>,
}

impl Moment {
    fn new(at: Timestamp, samples: Vec<Sample>, before: Option<&Self>) -> Self {
        let values = samples.iter().map(|sample| sample.value).collect();
        let titles: Vec<Title> = samples.into_iter().map(|sample| (sample.name, sample.labels)).collect();
        let shared = before.map(|before| &before.titles).filter(|known| ***known == titles);
        Self { at, titles: shared.map_or_else(|| Arc::new(titles), Arc::clone), values }
    }

    /// Each series with its number.
    pub(super) fn samples(&self) -> impl Iterator<Item = (&Title, f64)> {
        self.titles.iter().zip(self.values.iter().copied())
    }
}

/// The moments that wait, oldest first.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    moments: VecDeque<Moment>,
    samples: usize,
    dropped: u64,
}

/// What goes into one report.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    pub(super) moments: Vec<&'a Moment>,
    /// Samples that were given up since the last answer.
    pub(super) dropped: u64,
}

/// What a report held, to strike it off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    moments: usize,
    dropped: u64,
}

impl Batch<'_> {
    pub(super) fn held(&self) -> Held {
        Held { moments: self.moments.len(), dropped: self.dropped }
    }
}

impl Backlog {
    pub(super) fn add(&mut self, at: Timestamp, samples: Vec<Sample>) {
        let moment = Moment::new(at, samples, self.moments.back());
        self.samples += moment.values.len();
        self.moments.push_back(moment);
        while self.samples > KEPT {
            self.give_up_oldest();
        }
    }

    /// How many samples wait.
    pub(super) fn len(&self) -> usize {
        self.samples
    }

    /// The oldest moments, as many as have no more than `size` samples together; one at least.
    pub(super) fn batch(&self, size: usize) -> Batch<'_> {
        let mut samples = 0;
        let fits = |moment: &&Moment| {
            samples += moment.values.len();
            samples <= size
        };
        let fitting = self.moments.iter().take_while(fits).count().max(1);
        Batch { moments: self.moments.iter().take(fitting).collect(), dropped: self.dropped }
    }

    /// A report was answered.
    pub(super) fn taken(&mut self, held: Held) {
        for moment in self.moments.drain(..held.moments) {
            self.samples -= moment.values.len();
        }
        self.dropped -= held.dropped;
    }

    /// A report was refused for what it holds: sent again, it would hold up all that comes behind it.
    pub(super) fn refused(&mut self, held: Held) {
        for _ in 0..held.moments {
            self.give_up_oldest();
        }
    }

    fn give_up_oldest(&mut self) {
        if let Some(moment) = self.moments.pop_front() {
            self.samples -= moment.values.len();
            self.dropped += moment.values.len() as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(backlog: &mut Backlog, at: i64, samples: usize) {
        backlog.add(Timestamp::from_millis(at), vec![Sample::of("x", &[("container", "a")], 1.0); samples]);
    }

    fn times(batch: &Batch<'_>) -> Vec<i64> {
        batch.moments.iter().map(|moment| moment.at.as_millis()).collect()
    }

    #[test]
    fn batches_hold_whole_moments_and_the_oldest_go_first() {
        let mut backlog = Backlog::default();
        (1..=5).for_each(|at| add(&mut backlog, at, 8));
        assert_eq!(times(&backlog.batch(500)), [1, 2, 3, 4, 5]);
        assert_eq!(times(&backlog.batch(17)), [1, 2]);
        let held = backlog.batch(1).held();
        assert_eq!(times(&backlog.batch(1)), [1], "one at least");
        backlog.taken(held);
        assert_eq!((times(&backlog.batch(16)), backlog.len()), (vec![2, 3], 32));
        let held = backlog.batch(16).held();
        // While a report is on its way others come.
        add(&mut backlog, 6, 8);
        backlog.refused(held);
        let batch = backlog.batch(500);
        assert_eq!((times(&batch), batch.dropped), (vec![4, 5, 6], 16));
        let held = batch.held();
        backlog.taken(held);
        assert_eq!((backlog.len(), backlog.dropped), (0, 0));
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let mut backlog = Backlog::default();
        let moments = KEPT / 8 + 10;
        (0..moments).for_each(|at| add(&mut backlog, i64::try_from(at).unwrap(), 8));
        let batch = backlog.batch(8);
        assert_eq!((times(&batch), batch.dropped, backlog.len()), (vec![10], 80, KEPT));
    }

    #[test]
    fn moments_of_the_same_things_share_their_titles() {
        let mut backlog = Backlog::default();
        [(1, 3), (2, 3), (3, 4)].into_iter().for_each(|(at, samples)| add(&mut backlog, at, samples));
        let moments = &backlog.moments;
        assert!(Arc::ptr_eq(&moments[0].titles, &moments[1].titles) && !Arc::ptr_eq(&moments[1].titles, &moments[2].titles));
        assert_eq!(moments[2].samples().count(), 4);
    }
}

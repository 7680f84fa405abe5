//! The time in which tasks could be seen.

use std::time::{Duration, Instant};

/// A look that took longer than this met an engine that was away, or a swarm without a leader: what tasks did not do meanwhile says
/// nothing about them.
const LONGEST_LOOK: Duration = Duration::from_secs(5);

/// Goes on while the engine answers: no patience with tasks ends because it did not.
#[derive(Debug)]
pub(super) struct Stopwatch {
    seen: Duration,
    last: Instant,
}

impl Stopwatch {
    pub(super) fn start(now: Instant) -> Self {
        Self { seen: Duration::ZERO, last: now }
    }

    /// The time until now.
    pub(super) fn at(&mut self, now: Instant) -> Duration {
        self.seen += now.saturating_duration_since(self.last).min(LONGEST_LOOK);
        self.last = now;
        self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_in_which_nobody_answers_does_not_count() {
        let start = Instant::now();
        let mut stopwatch = Stopwatch::start(start);
        let mut at = |seconds: u64| stopwatch.at(start + Duration::from_secs(seconds)).as_secs();
        assert_eq!([at(1), at(4), at(64), at(65)], [1, 4, 9, 10]);
    }
}

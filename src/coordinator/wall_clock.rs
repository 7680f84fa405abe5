//! Whether the wall clock can be believed. Pure: the caller reads the clocks.
//!
//! Times that were agreed with others (`expires_at`, a command's age) are the wall clock's; all that this process
//! waits for itself is the steady clock's. What cannot be taken back, such as forgetting an id, waits until both have
//! gone on together for a while: a clock that jumps ahead for some minutes would forget what comes again tomorrow.

use crate::domain::Timestamp;
use std::time::{Duration, Instant};

/// How far they may drift apart between two looks: a clock that is corrected slowly stays below it.
const TOLERANCE: Duration = Duration::from_secs(60);

/// How the wall clock has gone since the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gait {
    /// As time does.
    Steady,
    /// It was set, ahead or back, or the machine was asleep.
    Jumped,
}

/// Both clocks at the last look.
#[derive(Debug, Clone, Copy)]
pub(super) struct WallClock {
    wall: Timestamp,
    steady: Instant,
}

impl WallClock {
    pub(super) fn starting_at(wall: Timestamp, steady: Instant) -> Self {
        Self { wall, steady }
    }

    /// Looks again.
    pub(super) fn look(&mut self, wall: Timestamp, steady: Instant) -> Gait {
        let expected = self.wall.plus(steady.saturating_duration_since(self.steady));
        *self = Self { wall, steady };
        let apart = wall.since(expected).max(expected.since(wall));
        if apart > TOLERANCE { Gait::Jumped } else { Gait::Steady }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_either_way_is_seen_once() {
        let hour = Duration::from_secs(3600);
        let (wall, steady) = (Timestamp::from_millis(1_000_000_000_000), Instant::now());
        let mut clock = WallClock::starting_at(wall, steady);
        let mut look = |wall: Timestamp, hours: u32| clock.look(wall, steady + hour * hours);
        assert_eq!(look(wall.plus(hour), 1), Gait::Steady);
        assert_eq!(look(wall.plus(2 * hour + TOLERANCE), 2), Gait::Steady);
        assert_eq!(look(wall.plus(5 * hour), 3), Gait::Jumped);
        assert_eq!(look(wall.plus(6 * hour), 4), Gait::Steady, "it goes on from there");
        assert_eq!(look(wall.plus(5 * hour), 5), Gait::Jumped);
    }
}

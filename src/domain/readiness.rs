//! When something that does not work makes the agent not ready: degraded is not dead. Pure, the time is handed in.
//!
//! What is wrong shows at once, in the phase and in the dependency's state. Readiness is for those who send work elsewhere or page
//! somebody when it goes: a broker that blinks must not make it flap, and what the agent does without must not take it away.

use super::health::{Dependency, DependencyState};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Whether, and how soon, the agent is not ready without something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// It goes on without: it is degraded, and ready.
    Shown,
    /// At once: what it is for cannot be done, and waiting mends nothing.
    AtOnce,
    /// At once, since whoever says so has counted this many failures in a row.
    Counted(u32),
    /// When it lasts, or comes again and again.
    After(Patience),
}

/// How long something that has worked may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// It is over with this many failures …
    pub failures: u32,
    /// … or after this time since the first of them.
    pub time: Duration,
    /// Whoever was well for so long begins anew.
    pub well: Duration,
}

/// How something has failed since it was last well for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failures {
    count: u32,
    first: Option<Instant>,
    well_since: Option<Instant>,
}

impl Patience {
    /// So many looks that fail in a row, one in each interval.
    #[must_use]
    pub fn of(failures: u32, interval: Duration) -> Self {
        Self { failures, time: interval.saturating_mul(failures), well: interval }
    }
}

impl Failures {
    /// It works.
    pub fn works(&mut self, now: Instant) {
        self.well_since.get_or_insert(now);
    }

    /// It no longer does.
    pub fn fails(&mut self, patience: Patience, now: Instant) {
        let was_well = self.well_since.take().is_some_and(|since| now.saturating_duration_since(since) >= patience.well);
        if was_well || self.first.is_none() {
            (self.count, self.first) = (0, Some(now));
        }
        self.count = self.count.saturating_add(1);
    }

    /// How often, as far as it still matters.
    #[must_use]
    pub fn count(&self, patience: Patience, now: Instant) -> u32 {
        let is_well = self.well_since.is_some_and(|since| now.saturating_duration_since(since) >= patience.well);
        if is_well { 0 } else { self.count }
    }

    fn exhaust(&self, patience: Patience, now: Instant) -> bool {
        let lasts = self.first.is_none_or(|first| now.saturating_duration_since(first) >= patience.time);
        lasts || self.count >= patience.failures
    }
}

impl Dependency {
    /// Whether the agent is not ready because of it.
    #[must_use]
    pub fn holds_up(&self, now: Instant) -> bool {
        match (self.weight, self.state) {
            (Weight::Shown, _) | (_, DependencyState::Off | DependencyState::Ready) => false,
            // It was never reached: there is nothing to have patience with.
            (_, DependencyState::Connecting) | (Weight::AtOnce | Weight::Counted(_), _) => true,
            (Weight::After(patience), DependencyState::NotReady) => !self.has_worked || self.failures.exhaust(patience, now),
        }
    }

    /// As pages and answers show it.
    #[must_use]
    pub fn told(&self, now: Instant) -> Value {
        let down = u32::from(self.state == DependencyState::NotReady);
        let (failures, threshold, seconds) = match self.weight {
            Weight::Shown => (down, None, 0),
            Weight::AtOnce => (down, Some(1), 0),
            Weight::Counted(threshold) => (down * threshold, Some(threshold), 0),
            Weight::After(patience) => (self.failures.count(patience, now).max(down), Some(patience.failures), patience.time.as_secs()),
        };
        json!({
            "name": self.name,
            "state": self.state,
            "since": self.since,
            "last_error": self.last_error,
            "detail": self.detail,
            "counts_for_readiness": self.weight != Weight::Shown,
            "failures": failures,
            "threshold": threshold.map(|failures| json!({"failures": failures, "seconds": seconds})),
            "holds_up": self.holds_up(now),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    const PATIENCE: Patience = Patience { failures: 3, time: Duration::from_secs(90), well: Duration::from_secs(30) };

    struct Watched {
        start: Instant,
        part: Dependency,
    }

    impl Watched {
        fn new(weight: Weight) -> Self {
            let part = Dependency::new("x", DependencyState::Connecting, weight, Timestamp::from_millis(0));
            Self { start: Instant::now(), part }
        }

        fn at(&self, second: u64) -> Instant {
            self.start + Duration::from_secs(second)
        }

        fn turns(&mut self, state: DependencyState, second: u64) -> &mut Self {
            let now = self.at(second);
            self.part.turn(state, now);
            self
        }

        fn holds_up(&self, second: u64) -> bool {
            self.part.holds_up(self.at(second))
        }
    }

    #[test]
    fn what_never_worked_holds_up_and_a_blink_of_what_did_does_not() {
        let mut broker = Watched::new(Weight::After(PATIENCE));
        assert!(broker.holds_up(0));
        broker.turns(DependencyState::NotReady, 1);
        assert!(broker.holds_up(1), "it was never reached");
        broker.turns(DependencyState::Ready, 2).turns(DependencyState::NotReady, 100);
        assert!(!broker.holds_up(100) && !broker.holds_up(189) && broker.holds_up(190));
        broker.turns(DependencyState::Ready, 191);
        assert!(!broker.holds_up(191), "it works: at once");
    }

    #[test]
    fn what_comes_and_goes_uses_its_patience_up() {
        let mut broker = Watched::new(Weight::After(PATIENCE));
        broker.turns(DependencyState::Ready, 0);
        for (second, state, holds_up, failures) in [
            (100, DependencyState::NotReady, false, 1),
            (101, DependencyState::Ready, false, 1),
            (110, DependencyState::NotReady, false, 2),
            (111, DependencyState::Ready, false, 2),
            (120, DependencyState::NotReady, true, 3),
            (121, DependencyState::Ready, false, 3),
            (130, DependencyState::NotReady, true, 4),
            (131, DependencyState::Ready, false, 4),
            // Well for half a minute: it begins anew.
            (161, DependencyState::NotReady, false, 1),
        ] {
            broker.turns(state, second);
            let told = broker.part.told(broker.at(second));
            assert_eq!((broker.holds_up(second), told["failures"].as_u64()), (holds_up, Some(failures)), "{second}");
        }
        broker.turns(DependencyState::Ready, 162);
        assert_eq!(broker.part.told(broker.at(193))["failures"], 0, "what is mended for a while is forgotten");
    }

    #[test]
    fn an_outage_that_gives_another_reason_is_one_failure() {
        let mut broker = Watched::new(Weight::After(PATIENCE));
        broker.turns(DependencyState::Ready, 0);
        for second in 100..110 {
            broker.turns(DependencyState::NotReady, second);
        }
        assert!(!broker.holds_up(110) && broker.holds_up(190));
    }

    #[test]
    fn the_weight_decides() {
        for (weight, holds_up, threshold) in [
            (Weight::Shown, false, Value::Null),
            (Weight::AtOnce, true, json!({"failures": 1, "seconds": 0})),
            (Weight::Counted(3), true, json!({"failures": 3, "seconds": 0})),
            (Weight::After(PATIENCE), false, json!({"failures": 3, "seconds": 90})),
        ] {
            let mut part = Watched::new(weight);
            assert_eq!(part.holds_up(0), weight != Weight::Shown, "{weight:?}: not reached yet");
            part.turns(DependencyState::Ready, 0).turns(DependencyState::NotReady, 60);
            let told = part.part.told(part.at(60));
            assert_eq!((&told["threshold"], part.holds_up(60)), (&threshold, holds_up), "{weight:?}");
            assert_eq!((&told["counts_for_readiness"], &told["holds_up"]), (&json!(weight != Weight::Shown), &json!(holds_up)));
            part.turns(DependencyState::Off, 61);
            assert!(!part.holds_up(61), "{weight:?}: not configured");
        }
    }
}

//! How long to wait before the next try: exponential, capped, with jitter.
//!
//! Pure apart from its small random state. It never sleeps: the caller waits on its [`super::Stop`].

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Waits that double from `first` to `max`, each jittered to between half and the whole of itself,
/// so that a fleet which lost the same broker does not come back in one instant.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    attempt: u32,
    random: u64,
}

impl Backoff {
    /// Starts at `first` and never waits longer than `max`.
    #[must_use]
    pub fn new(first: Duration, max: Duration) -> Self {
        // RandomState is seeded by the operating system: enough for jitter, and no further crate.
        Self { first, max, attempt: 0, random: RandomState::new().hash_one(first) | 1 }
    }

    /// The wait before the next try; the one after it is twice as long.
    #[allow(clippy::should_implement_trait, reason = "an endless sequence with a reset is no iterator")]
    pub fn next(&mut self) -> Duration {
        let doubled = self.first.saturating_mul(1_u32.checked_shl(self.attempt).unwrap_or(u32::MAX));
        self.attempt = self.attempt.saturating_add(1);
        let whole = doubled.min(self.max);
        whole.mul_f64(0.5 + 0.5 * self.fraction())
    }

    /// A wait between nothing and `whole`: the first try of a fleet that was started together.
    pub fn spread(&mut self, whole: Duration) -> Duration {
        whole.mul_f64(self.fraction())
    }

    /// Something worked: the next wait is the first again.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }

    /// How many waits were given since the last reset.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempt
    }

    /// A number in `0.0..1.0` by xorshift64 (Marsaglia, 2003).
    fn fraction(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        // 53 bits are what an f64 holds exactly.
        (self.random >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_start_again_after_a_reset() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        for whole in [1, 2, 4, 8, 16, 30, 30, 30] {
            let wait = backoff.next().as_secs_f64();
            let whole = f64::from(whole);
            assert!((whole / 2.0..=whole).contains(&wait), "{wait} for {whole}");
        }
        backoff.reset();
        assert!(backoff.next() <= Duration::from_secs(1));
    }

    #[test]
    fn a_hundred_tries_do_not_overflow() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        assert!((0..100).all(|_| backoff.next() <= Duration::from_secs(30)));
    }
}

//! How often a worker may fail and be started again.

use std::collections::VecDeque;
use std::time::Duration;

/// What to do about a worker that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartDecision {
    /// Start it again.
    Restart,
    /// It failed too often: leave the process, and let the service manager start all of it again.
    GiveUp,
}

/// At most `allowed` failures within `window`. The caller gives the time: this reads no clock.
#[derive(Debug, Clone)]
pub struct RestartBudget {
    allowed: usize,
    window: Duration,
    failures: VecDeque<Duration>,
}

impl RestartBudget {
    /// A full budget.
    #[must_use]
    pub fn new(allowed: usize, window: Duration) -> Self {
        Self { allowed, window, failures: VecDeque::new() }
    }

    /// A worker failed `at` this time since the start of the process.
    pub fn failed(&mut self, at: Duration) -> RestartDecision {
        while self.failures.front().is_some_and(|&first| at.saturating_sub(first) > self.window) {
            self.failures.pop_front();
        }
        self.failures.push_back(at);
        if self.failures.len() > self.allowed { RestartDecision::GiveUp } else { RestartDecision::Restart }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_failures_are_forgiven() {
        let mut budget = RestartBudget::new(2, Duration::from_secs(60));
        let at = Duration::from_secs;
        assert_eq!(budget.failed(at(0)), RestartDecision::Restart);
        assert_eq!(budget.failed(at(1)), RestartDecision::Restart);
        assert_eq!(budget.failed(at(62)), RestartDecision::Restart);
        assert_eq!(budget.failed(at(63)), RestartDecision::Restart);
        assert_eq!(budget.failed(at(64)), RestartDecision::GiveUp);
    }
}

//! A point in time by which something must have ended.

use std::time::{Duration, Instant};

/// The end of a wait, shared by all the calls that are made on its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// `span` from now.
    #[must_use]
    pub fn after(span: Duration) -> Self {
        Self(Instant::now() + span)
    }

    /// What is left; zero once it has passed.
    #[must_use]
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn has_passed(self) -> bool {
        self.left().is_zero()
    }

    /// The earlier of this and `span` from now.
    #[must_use]
    pub fn or_after(self, span: Duration) -> Self {
        self.min(Self::after(span))
    }

    /// `span` later.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0 + span)
    }

    /// The moment itself, for `crossbeam_channel::recv_deadline` and `at`.
    #[must_use]
    pub fn instant(self) -> Instant {
        self.0
    }
}

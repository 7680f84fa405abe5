//! What the service manager hears of the loop: that it runs, how the agent is, that no thread hangs.
//!
//! The loop itself feeds the watchdog, so a loop that hangs feeds it no more. It wakes for that only
//! where a watchdog waits; nobody else's sleep is disturbed.

use super::ExitReason;
use crate::domain::{DependencyState, Health, Phase};
use crate::service::Notifier;
use crossbeam_channel::{Receiver, never, tick};
use std::time::Instant;

/// The loop's word to the service manager.
#[derive(Debug)]
pub struct Pulse {
    notifier: Notifier,
    due: Receiver<Instant>,
    /// The threads that hung at the last beat.
    late: Vec<&'static str>,
}

impl Default for Pulse {
    /// Nobody listens.
    fn default() -> Self {
        Self::new(Notifier::default())
    }
}

impl Pulse {
    /// Beats as often as the service manager wants to hear it.
    #[must_use]
    pub fn new(notifier: Notifier) -> Self {
        let due = notifier.feeding_interval().map_or_else(never, tick);
        Self { notifier, due, late: Vec::new() }
    }

    /// When the next beat is due.
    pub(super) fn due(&self) -> &Receiver<Instant> {
        &self.due
    }

    /// The loop begins, or goes on after a reload; everything that others may ask of the agent is there.
    pub(super) fn begin(&self) {
        self.notifier.ready();
    }

    /// The configuration is read again; [`Self::begin`] ends that.
    pub(super) fn reload(&self) {
        self.notifier.reloading();
    }

    /// Feeds the watchdog, unless a thread hangs: then the service manager ends the process, and the next
    /// one goes on from the journal.
    pub(super) fn beat(&mut self, late: &[&'static str]) {
        if late.is_empty() {
            self.notifier.alive();
        } else if self.late != late {
            log::error!("no sign of life from {}: the watchdog is not fed", late.join(", "));
        }
        self.late = late.to_vec();
    }

    /// Shows how the agent is.
    pub(super) fn show(&mut self, health: &Health) {
        self.notifier.status(&in_words(health));
    }

    /// The loop has ended.
    pub(super) fn end(&mut self, reason: &ExitReason) {
        self.notifier.stopping();
        self.notifier.status(&format!("leaving: {reason}"));
    }
}

/// The phase, and what is missing.
fn in_words(health: &Health) -> String {
    let phase = match health.phase {
        Phase::Starting => "starting",
        Phase::Ready => "ready",
        Phase::Degraded => "degraded",
        Phase::Stopping => "leaving",
    };
    let mut words = vec![phase.to_owned()];
    if let Some(since) = health.paused_since {
        words.push(format!("paused since {since}"));
    }
    for part in &health.dependencies {
        match part.state {
            DependencyState::Connecting => words.push(format!("waiting for {}", part.name)),
            DependencyState::NotReady => {
                words.push(format!("{} is not ready: {}", part.name, part.last_error.as_deref().unwrap_or("no reason is known")));
            }
            DependencyState::Off | DependencyState::Ready => {}
        }
    }
    words.join("; ")
}

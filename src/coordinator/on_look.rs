//! What nobody says and is looked at every `health.check_interval`: threads that hang, and events that nobody confirms.
//! Health shows it.

use super::on_link::{EVENTS, THREADS};
use super::state::State;
use crate::domain::LinkState;
use std::time::Instant;

impl State {
    /// These threads should have shown a sign of life, of those that the agent cannot be without.
    pub(super) fn on_late(&mut self, late: &[&'static str]) {
        let link = match late {
            [] => LinkState::Up,
            late => LinkState::Down(format!("no sign of life from {}: what it does is stuck, and a restart is due", late.join(", "))),
        };
        self.on_link(THREADS, link);
    }

    /// Whether so much waits for the brokers that no further command is taken in, and nothing moves. A backlog that is sent is none.
    pub(super) fn look_at_backlog(&mut self) {
        let silence = self.delivered_at.elapsed();
        if !self.is_backed_up(1) {
            self.is_no_backlog();
        } else if silence >= self.rules.check_interval {
            let (waiting, seconds) = (self.reports.unconfirmed(), silence.as_secs());
            let reason = format!(
                "{waiting} events and dead letters wait for the brokers, which have confirmed none for {seconds} s: no further command is taken in"
            );
            self.on_link(EVENTS, LinkState::Down(reason));
        }
    }

    /// A broker has confirmed something.
    pub(super) fn note_delivery(&mut self) {
        self.delivered_at = Instant::now();
        self.is_no_backlog();
    }

    fn is_no_backlog(&mut self) {
        if self.links.is_down(EVENTS) {
            self.on_link(EVENTS, LinkState::Up);
        }
    }
}

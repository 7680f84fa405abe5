//! Commands that the coordinator answers itself: Cancel, which ends another one, and HealthCheck.
//!
//! A command that waits ends at once, also one that waits for the end of a pause. One that runs hears of it at its next checkpoint and ends as its own
//! `on_failure` says; so does one that goes on after a restart, since it may have changed something. The
//! Cancel ends after it, and says how it went.

use super::state::State;
use crate::domain::{Action, Code, Command, CommandId, Entry, Outcome, Verdict};
use serde_json::json;
use std::time::Instant;

impl State {
    pub(super) fn on_cancel(&mut self, cancel: &Command, target: CommandId) {
        let Some(open) = self.open.get_mut(&target).filter(|open| !matches!(open.command.action, Action::Cancel(_))) else {
            let message = format!("command {target} is over, or never came: there is nothing to cancel");
            return self.on_finished(cancel.id, &Outcome::failed(Code::NOT_OPEN, message));
        };
        let asks = cancel.context.project_id.as_ref();
        if let Some(owner) = open.command.project().filter(|owner| asks.is_some_and(|asks| asks != *owner)) {
            let message = format!("command {target} belongs to project {owner}, which alone may cancel it");
            return self.on_finished(cancel.id, &Outcome::failed(Code::FOREIGN_PROJECT, message));
        }
        self.cancels.entry(target).or_default().push(cancel.id);
        if (open.entry == Entry::Fresh || self.admission.holds_back(&open.command)) && self.admission.withdraw(target) {
            let outcome = Outcome::failed(Code::CANCELLED, "the command was cancelled before it began").with("changed", false);
            self.on_finished(target, &outcome);
        } else {
            open.cancel = None;
        }
    }

    pub(super) fn on_health_check(&mut self, id: CommandId) {
        let health = self.health();
        let now = Instant::now();
        let mut outcome = Outcome::completed(if health.is_ready(now) { "the agent is ready" } else { "the agent is not ready" });
        outcome.details = health.told(now);
        self.on_finished(id, &outcome.with("version", env!("CARGO_PKG_VERSION")));
    }
}

/// What a Cancel says when the command has ended that it was to cancel.
pub(super) fn of_cancel(target: CommandId, verdict: Verdict) -> Outcome {
    let outcome = match verdict {
        Verdict::Failed(Code::CANCELLED) => Outcome::completed(format!("command {target} was cancelled")),
        Verdict::Failed(code) => {
            Outcome::failed(Code::NOT_OPEN, format!("command {target} failed by itself before it could be cancelled: {code}"))
        }
        Verdict::Completed => Outcome::failed(Code::NOT_OPEN, format!("command {target} was completed before it could be cancelled")),
    };
    outcome.with("command_id", json!(target.to_string()))
}

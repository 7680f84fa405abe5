//! Pause and Resume: while the agent is paused, nothing starts that changes something.
//!
//! What runs goes on to its end. Records are still read, into the window, and accepted: what only reads is answered,
//! Cancel and Resume have their effect, the rest waits in its order. The pause is in the journal: it outlives the
//! process.

use super::ExitReason;
use super::state::{State, now};
use crate::domain::{CommandId, Outcome};
use serde_json::json;

impl State {
    pub(super) fn on_pause(&mut self, id: CommandId) {
        let since = match self.paused {
            Some(since) => since,
            None => {
                let since = now();
                if let Err(error) = self.journal.pause(Some(since)) {
                    return self.fail(ExitReason::Journal(error.to_string()));
                }
                self.paused = Some(since);
                self.admission.pause();
                log::warn!("paused: nothing starts that changes something, until a Resume comes");
                since
            }
        };
        let running = self.admission.running().count();
        let outcome = Outcome::completed(format!("paused since {since}: what runs goes on, nothing else starts that changes something"));
        self.on_finished(id, &outcome.with("paused_since", json!(since)).with("running", running));
    }

    pub(super) fn on_resume(&mut self, id: CommandId) {
        let outcome = match self.paused {
            None => Outcome::completed("the agent was not paused"),
            Some(since) => {
                if let Err(error) = self.journal.pause(None) {
                    return self.fail(ExitReason::Journal(error.to_string()));
                }
                self.paused = None;
                self.admission.let_go_on();
                log::info!("the pause since {since} is over");
                Outcome::completed(format!("the pause since {since} is over")).with("paused_since", json!(since))
            }
        };
        self.on_finished(id, &outcome);
    }
}

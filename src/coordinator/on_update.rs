//! An `Update` of the agent: the thread `update` carries it out, and says when the agent is to leave for its next version.
//!
//! One that is new waits for its turn as what changes the engine does: nothing else is in the middle of something when the
//! agent leaves. One that an earlier process has begun goes straight to the thread, which watches the trial; meanwhile
//! everything else goes on.

use super::ExitReason;
use super::state::State;
use crate::domain::{Code, Command, Entry, Outcome};
use crate::threads::Stop;
use crate::update::{self, Event, Job, Request};
use std::sync::Arc;

impl State {
    /// Gives the command to the thread.
    pub(super) fn hand_to_update(&mut self, command: &Arc<Command>, entry: Entry) {
        let cancelled = self.open.get(&command.id).map_or_else(Stop::never, |open| open.cancelled.clone());
        let job = Job { command: Arc::clone(command), entry, cancelled };
        let Some(updates) = &self.ports.updates else {
            let outcome = Outcome::failed(Code::UPDATE_DISABLED, update::Fault::Disabled.to_string());
            return self.on_finished(command.id, &outcome);
        };
        if updates.try_send(Request::Carry(job)).is_err() {
            let outcome = Outcome::failed(Code::UPDATE_BUSY, update::Fault::Busy.to_string());
            self.on_finished(command.id, &outcome);
        }
    }

    pub(super) fn on_update(&mut self, event: Event) {
        match event {
            Event::Progress(id, progress) => self.on_progress(id, progress),
            Event::Finished(id, outcome) => self.on_finished(id, &outcome),
            Event::Suspended(id) => self.on_suspended(id),
            Event::Restart(why) => self.fail(ExitReason::Restart(why)),
        }
    }

    /// On the way out nothing begins; what has ended is written down.
    pub(super) fn on_update_while_leaving(&mut self, event: Event) {
        match event {
            Event::Finished(id, outcome) => self.on_finished(id, &outcome),
            Event::Suspended(id) => self.on_suspended(id),
            Event::Progress(..) | Event::Restart(_) => {}
        }
    }
}

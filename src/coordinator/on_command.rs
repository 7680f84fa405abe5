//! A record was read, or an action came: is it new, is it timely, does it belong here? Then journal it and let it in.

use super::ExitReason;
use super::on_report::Ended;
#[cfg(doc)]
use super::rules::Rules;
use super::state::{State, now};
use crate::domain::{Command, CommandId, Direct, Event, EventKind, Position, Refusal, Stage, Timestamp, Way};
use crate::journal::{Entry, JournalError};
use crate::kafka::Inbound;
use crate::threads::{CrashPoint, Errand, crash_at};
use serde_json::json;
use std::collections::BTreeSet;
use std::mem;
use std::sync::Arc;

/// What became of a command that somebody handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is in the journal, or will be with the next write.
    Accepted,
    /// Its id is known.
    Duplicate,
    /// A terminal event says why not.
    Refused,
    /// The journal failed: the agent leaves, and whoever sent it sends it again.
    NotYet,
}

impl State {
    pub(super) fn on_read(&mut self, position: Position, inbound: Inbound) {
        crash_at(CrashPoint::RecordRead);
        self.metrics.record_read();
        self.marks.read(&position);
        match inbound {
            Inbound::Command(command) => drop(self.on_command(Way::Topic(position), command)),
            Inbound::Refused(refusal) => drop(self.on_refusal(Way::Topic(position), &refusal)),
            Inbound::Unreadable(letter) => self.on_unreadable(position, letter),
        }
    }

    /// A command, whichever way it came. One that is accepted begins with [`Self::let_in`].
    pub(super) fn on_command(&mut self, way: Way, command: Command) -> Taken {
        let _errand = Errand::of(command.errand()).begin();
        match self.is_duplicate(&way, command.id) {
            Ok(false) => {}
            Ok(true) => return Taken::Duplicate,
            Err(error) => return self.untaken(error.to_string()),
        }
        let at = now();
        if let Some((code, message)) = self.rules.refuse(&command, &way, at).or_else(|| self.no_room_for(&command)) {
            let refusal = Refusal {
                command_id: command.id,
                command_type: Some(command.action.name().to_owned()),
                // Nobody but its signer can have it come again.
                timely_until: command.signed_by.as_ref().and_then(|_| command.may_begin_until()),
                context: command.context,
                code,
                message,
            };
            self.refuse(way, &refusal);
            return Taken::Refused;
        }
        self.accepting.push(Entry { command, way, accepted_at: at, terminal: None, heard: BTreeSet::new() });
        Taken::Accepted
    }

    /// Writes down what was taken in, and lets it in: those of a burst share one write.
    pub(super) fn let_in(&mut self) -> Taken {
        let entries = mem::take(&mut self.accepting);
        if entries.is_empty() {
            return Taken::Accepted;
        }
        // Before any effect: journal, synced.
        if let Err(error) = self.journal.accept(entries.clone()) {
            return self.untaken(error.to_string());
        }
        for entry in entries {
            let (command, way, accepted_at) = (Arc::new(entry.command), entry.way, entry.accepted_at);
            let _errand = Errand::of(command.errand()).begin();
            self.metrics.command_accepted(command.action.name());
            let signed = command.signed_by.as_ref().map_or_else(String::new, |key| format!(", signed by {key}"));
            match &way {
                Way::Topic(position) => {
                    let Position { topic, offset, .. } = position;
                    log::info!("accepted {} {} (offset {offset} of {topic}{signed})", command.action.name(), command.id);
                }
                Way::Direct(Direct::Session) => log::info!("accepted {} {} (an action{signed})", command.action.name(), command.id),
                Way::Direct(Direct::Local) => {
                    let user = command.context.user_id.as_deref().unwrap_or("somebody");
                    log::info!("accepted {} {} (local, {user})", command.action.name(), command.id);
                }
            }
            self.admit(command, way, accepted_at, crate::domain::Entry::Fresh);
        }
        Taken::Accepted
    }

    fn untaken(&mut self, error: String) -> Taken {
        self.fail(ExitReason::Journal(error));
        Taken::NotYet
    }

    /// Whether a command with this id came before. A known id is a duplicate: no effect, no event, counted.
    fn is_duplicate(&mut self, way: &Way, id: CommandId) -> Result<bool, JournalError> {
        let accepting = || self.accepting.iter().find(|entry| entry.command.id == id).map(|entry| &entry.way);
        let on_its_way = self.open.get(&id).map(|open| &open.way).or_else(|| self.reports.answer_to(id)).or_else(accepting);
        let same_way = on_its_way == Some(way);
        if on_its_way.is_none() && !self.journal.knows(id)? {
            return Ok(false);
        }
        self.metrics.duplicate();
        match way {
            // Read again after a restart: the record holds the mark until its command is reported.
            Way::Topic(position) if same_way => log::debug!("command {id} at offset {} is open already", position.offset),
            Way::Topic(position) => {
                log::info!("command {id} is known already: the record at offset {} of {} has no effect", position.offset, position.topic);
                self.settle_position(position);
            }
            Way::Direct(Direct::Session) => {
                log::info!("command {id} is known already: the action has no effect");
                self.tell_session_too(id);
            }
            Way::Direct(Direct::Local) => log::info!("command {id} is known already: it has no effect"),
        }
        Ok(true)
    }

    /// The last moment at which [`Rules::refuse`] lets a command pass; the sender's clock may be ahead of ours.
    pub(super) fn timely_until(&self, command: &Command) -> Option<Timestamp> {
        command.may_begin_until().or_else(|| Some(command.issued_at?.plus(self.rules.max_command_age)))
    }

    pub(super) fn on_refusal(&mut self, way: Way, refusal: &Refusal) -> Taken {
        let _errand = Errand::of(refusal.context.errand(Some(refusal.command_id), None)).begin();
        match self.is_duplicate(&way, refusal.command_id) {
            Ok(false) => {
                self.refuse(way, refusal);
                Taken::Refused
            }
            Ok(true) => Taken::Duplicate,
            Err(error) => self.untaken(error.to_string()),
        }
    }

    fn refuse(&mut self, way: Way, refusal: &Refusal) {
        let Some(agent) = self.agent.clone() else { return };
        log::warn!("refused command {}: {}: {}", refusal.command_id, refusal.code, refusal.message);
        self.metrics.command_refused(refusal.code);
        self.listeners.note(|recent| recent.refused(refusal, &way, now()));
        let payload = json!({
            "command_type": refusal.command_type,
            "status": "Rejected",
            "message": refusal.message,
            "details": {"code": refusal.code},
        });
        let context = refusal.context.clone();
        let event = Event::of_id(&agent, refusal.command_id, EventKind::CommandRejected, Stage::Terminal, context, payload, now());
        let readers = way.readers(self.has_topic());
        let ended = Ended { command: refusal.command_id, way, readers, timely_until: refusal.timely_until };
        self.report_terminal(ended, event);
    }
}

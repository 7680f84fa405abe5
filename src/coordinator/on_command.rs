//! A record was read: is it new, is it timely, does it belong here? Then journal it and let it in.

use super::ExitReason;
use super::on_report::Ended;
use super::state::{State, now};
use crate::docker::Entry as LaneEntry;
use crate::domain::{Code, Command, CommandId, Event, EventKind, Position, Refusal, Stage, Timestamp};
use crate::journal::{Entry, JournalError};
use crate::kafka::{DeadLetter, Inbound};
use serde_json::json;
use std::sync::Arc;

impl State {
    pub(super) fn on_read(&mut self, position: Position, inbound: Inbound) {
        self.metrics.record_read();
        self.mark(&position).read(position.offset);
        match inbound {
            Inbound::Command(command) => self.on_command(position, command),
            Inbound::Refused(refusal) => self.on_refusal(position, &refusal),
            Inbound::Unreadable(letter) => self.on_unreadable(position, letter),
        }
    }

    fn on_command(&mut self, position: Position, command: Command) {
        match self.is_duplicate(&position, command.id) {
            Ok(false) => {}
            Ok(true) => return,
            Err(error) => return self.fail(ExitReason::Journal(error.to_string())),
        }
        let at = now();
        if let Some((code, message)) = self.untimely(&command, at) {
            let refusal = Refusal {
                command_id: command.id,
                command_type: Some(command.action.name().to_owned()),
                context: command.context,
                code,
                message,
            };
            self.refuse(position, &refusal);
            return;
        }
        let entry = Entry { command, position: Some(position.clone()), accepted_at: at, terminal: None };
        // Before any effect: journal, synced.
        if let Err(error) = self.journal.accept(entry.clone()) {
            self.fail(ExitReason::Journal(error.to_string()));
            return;
        }
        let command = Arc::new(entry.command);
        self.metrics.command_accepted(command.action.name());
        log::info!("accepted {} {} (offset {} of {})", command.action.name(), command.id, position.offset, position.topic);
        self.tell(&command, EventKind::CommandAccepted, Stage::Accepted, json!({"command_type": command.action.name()}));
        self.admit(command, Some(position), LaneEntry::Fresh);
    }

    /// Whether a command with this id came before. A known id is a duplicate: no effect, no event, counted.
    fn is_duplicate(&mut self, position: &Position, id: CommandId) -> Result<bool, JournalError> {
        let on_its_way = self.open.get(&id).map(|open| &open.position).or_else(|| self.reports.answer_to(id));
        let same_record = on_its_way.is_some_and(|first| first.as_ref() == Some(position));
        if on_its_way.is_none() && !self.journal.knows(id)? {
            return Ok(false);
        }
        self.metrics.duplicate();
        if same_record {
            // Read again after a restart: the record holds the mark until its command is reported.
            log::debug!("command {id} at offset {} is open already", position.offset);
        } else {
            log::info!("command {id} is known already: the record at offset {} of {} has no effect", position.offset, position.topic);
            self.settle_position(position);
        }
        Ok(true)
    }

    fn untimely(&self, command: &Command, at: Timestamp) -> Option<(Code, String)> {
        match (command.expires_at, command.issued_at) {
            (Some(expires), _) if expires < at => {
                Some((Code::EXPIRED, format!("the command expired at {expires}; send a new one with a later expires_at")))
            }
            (None, Some(issued)) if at.since(issued) > self.rules.max_command_age => {
                let age = at.since(issued).as_secs();
                let limit = self.rules.max_command_age.as_secs();
                Some((Code::STALE, format!("the command is {age} s old and has no expires_at; limits.max_command_age is {limit} s")))
            }
            _ => None,
        }
    }

    /// The last moment at which [`Self::untimely`] lets a command pass; the sender's clock may be ahead of ours.
    pub(super) fn timely_until(&self, command: &Command) -> Option<Timestamp> {
        command.expires_at.or_else(|| Some(command.issued_at?.plus(self.rules.max_command_age)))
    }

    fn on_refusal(&mut self, position: Position, refusal: &Refusal) {
        match self.is_duplicate(&position, refusal.command_id) {
            Ok(false) => self.refuse(position, refusal),
            Ok(true) => {}
            Err(error) => self.fail(ExitReason::Journal(error.to_string())),
        }
    }

    fn refuse(&mut self, position: Position, refusal: &Refusal) {
        let Some(agent) = self.agent.clone() else { return };
        log::warn!("refused command {}: {}: {}", refusal.command_id, refusal.code, refusal.message);
        self.metrics.command_refused(refusal.code);
        let payload = json!({
            "command_type": refusal.command_type,
            "status": "Rejected",
            "message": refusal.message,
            "details": {"code": refusal.code},
        });
        let context = refusal.context.clone();
        let event = Event::of_id(&agent, refusal.command_id, EventKind::CommandRejected, Stage::Terminal, context, payload, now());
        let ended = Ended { command: refusal.command_id, position: Some(position), timely_until: None };
        self.report_terminal(ended, event);
    }

    /// Nobody can be answered: the record goes to the dead-letter topic, and a report says so.
    fn on_unreadable(&mut self, position: Position, letter: DeadLetter) {
        let Some(agent) = self.agent.clone() else { return };
        log::warn!("dead letter from offset {} of {}: {}: {}", position.offset, position.topic, letter.code, letter.message);
        self.metrics.dead_letter();
        let about = format!("dead-letter/{}/{}/{}", position.topic, position.partition, position.offset);
        let payload = json!({
            "message": format!("a record was no command and went to the dead-letter topic: {}", letter.message),
            "details": {
                "code": letter.code,
                "topic": position.topic,
                "partition": position.partition,
                "offset": position.offset,
                "length": letter.length,
                "sha256": letter.sha256,
            },
        });
        self.report_lightly(Event::report(&agent, EventKind::ErrorReport, &about, payload, now()));
        self.report_dead_letter(position, letter);
    }
}

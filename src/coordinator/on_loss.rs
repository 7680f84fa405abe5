//! What nobody can carry out: records that are no commands, and records that are gone.
//!
//! Neither passes in silence. An ErrorReport is owed, and for a record that is there a dead letter too; until brokers
//! have confirmed them the mark stays, so that after a crash the loss is noticed again. Their ids follow from the
//! place, and the journal knows those that were told.

use super::ExitReason;
use super::state::{State, now};
use crate::domain::{CommandId, Event, EventId, EventKind, Position, Way};
use crate::journal::Reported;
use crate::kafka::DeadLetter;
use crate::threads::{CrashPoint, Errand, crash_at};
use serde_json::json;

/// What is told of.
#[derive(Debug, Clone)]
pub(super) enum Loss {
    /// A record that is no command.
    Record(Position),
    /// Records that are gone, from this place on.
    Gap(Position),
}

impl State {
    /// Nobody can be answered: the record goes to the dead-letter topic, and a report says so.
    pub(super) fn on_unreadable(&mut self, position: Position, letter: DeadLetter) {
        let Some(agent) = self.agent.clone() else { return };
        if self.is_open_at(&position) {
            // Read again after a restart. When it was taken its signature was good; the key has been taken away since.
            return log::debug!("the command at offset {} of {} is open already", position.offset, position.topic);
        }
        let _errand = Errand::of(letter.context.errand(None, None)).begin();
        log::warn!("dead letter from offset {} of {}: {}: {}", position.offset, position.topic, letter.code, letter.message);
        self.metrics.dead_letter();
        let place = format!("{}/{}/{}", position.topic, position.partition, position.offset);
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
        let report = Event::report(&agent, EventKind::ErrorReport, &format!("dead-letter/{place}"), payload, now());
        let report = Event { context: letter.context.clone(), ..report };
        let id = EventId::about(&agent, &format!("letter/{place}"));
        let (report_told, letter_told) = (self.is_told(report.id), self.is_told(id));
        if report_told && letter_told {
            return self.settle_position(&position);
        }
        if !report_told && !self.reports.owes(report.id) {
            self.reports.hold(&position);
            self.owe_report(report, Loss::Record(position.clone()));
        }
        if !letter_told && !self.reports.owes(id) {
            self.reports.hold(&position);
            self.owe_letter(id, letter);
        }
    }

    /// Records are gone that nobody has read.
    pub(super) fn on_gap(&mut self, wanted: &Position, resumed: i64) {
        let Some(agent) = self.agent.clone() else { return };
        let Position { topic, partition, offset } = wanted;
        let message = if resumed > *offset {
            format!(
                "records {offset} to {} of {topic} [{partition}] can no longer be read: the topic's retention is shorter than the agent was away",
                resumed - 1
            )
        } else {
            format!(
                "{topic} [{partition}] ends before offset {offset}: it was made anew or lost records; reading goes on at offset {resumed}"
            )
        };
        log::error!("{message}");
        self.marks.gap(wanted, resumed);
        crash_at(CrashPoint::GapSeen);
        let details = json!({"topic": topic, "partition": partition, "wanted": offset, "resumed": resumed});
        let payload = json!({"message": message, "details": details});
        let about = format!("gap/{topic}/{partition}/{offset}/{resumed}");
        let report = Event::report(&agent, EventKind::ErrorReport, &about, payload, now());
        if self.is_told(report.id) {
            self.close_gap(wanted);
        } else {
            self.owe_report(report, Loss::Gap(wanted.clone()));
        }
    }

    /// A broker has a report, or a dead letter.
    pub(super) fn loss_told(&mut self, id: EventId, loss: Loss) {
        self.know_told(id);
        match loss {
            Loss::Gap(wanted) => self.close_gap(&wanted),
            Loss::Record(position) => {
                if self.reports.release(&position) {
                    self.settle_position(&position);
                }
            }
        }
    }

    /// The journal is to know that it was told.
    pub(super) fn know_told(&mut self, id: EventId) {
        let known_until = now().plus(self.rules.max_command_age);
        self.reports.note_reported(Reported { command: known_as(id), known_until, past: None });
    }

    fn is_open_at(&self, position: &Position) -> bool {
        let is_there = |way: &Way| way.position() == Some(position);
        self.open.values().any(|open| is_there(&open.way)) || self.reports.ways().any(is_there)
    }

    fn is_told(&mut self, id: EventId) -> bool {
        self.journal.knows(known_as(id)).unwrap_or_else(|error| {
            self.fail(ExitReason::Journal(error.to_string()));
            true
        })
    }

    fn close_gap(&mut self, wanted: &Position) {
        self.marks.gap_told(wanted);
        self.reports.note_moved(wanted);
    }
}

/// The journal has one table for all ids that must not count twice.
fn known_as(id: EventId) -> CommandId {
    CommandId(id.0)
}

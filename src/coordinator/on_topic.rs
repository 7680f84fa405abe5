//! What the event topic itself says, with `kafka.events = "exactly-once"`: which commands have their end on it,
//! and whether this process is still the one that writes to it.

use super::on_report::Ended;
use super::state::{Open, State};
use crate::domain::{CommandId, Entry, EventId, Position, Reader};
use crate::journal::Reported;

/// How this process stands to the event topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Standing {
    /// There is no topic, or whoever reads it drops repeats.
    #[default]
    Free,
    /// It is not known yet which ends are on it: none is sent, and no record is taken in.
    CatchingUp,
    /// All is known: ends are sent in transactions.
    Writing,
    /// Another process has taken the identity over: nothing new begins.
    Fenced,
}

impl Standing {
    /// Whether ends may be sent, and records taken in.
    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::Free | Self::Writing)
    }
}

impl State {
    pub(super) fn on_caught_up(&mut self) {
        if self.standing != Standing::Writing {
            log::info!("the event topic was read: its ends are known, new ones may be written");
        }
        self.standing = Standing::Writing;
        self.reports.note_known();
    }

    pub(super) fn on_fenced(&mut self) {
        if self.standing != Standing::Fenced {
            log::error!("another process uses this agent's identity: no command is taken in and none begins");
        }
        self.standing = Standing::Fenced;
        self.on_kafka_for_good();
    }

    /// The topic is known up to here: told the journal with the next word that it gets.
    pub(super) fn on_reached(&mut self, position: Position) {
        self.reports.know(position);
    }

    /// These commands have their end on the topic, whoever wrote it.
    pub(super) fn on_answered(&mut self, commands: Vec<CommandId>) {
        for command in commands {
            if self.reports.answer_to(command).is_some() {
                self.reports.take_back(command);
                self.heard(command, Reader::Topic);
            } else if let Some(open) = self.open.get_mut(&command) {
                // It goes on, since this process may have changed something, but its end is told already.
                let place = open.way.position().cloned();
                if open.readers.remove(&Reader::Topic) {
                    self.reports.note_heard(command, Reader::Topic);
                    place.iter().for_each(|position| self.settle_position(position));
                }
                self.leave_to_the_other(command);
            } else {
                match self.journal.knows(command) {
                    Ok(true) => {}
                    Ok(false) => {
                        let known_until = super::state::now().plus(self.rules.max_command_age);
                        self.reports.note_reported(Reported { command, known_until, past: None });
                    }
                    Err(error) => return self.fail(super::ExitReason::Journal(error.to_string())),
                }
            }
        }
    }

    /// These reports are on the topic, whoever wrote them.
    pub(super) fn on_told(&mut self, reports: Vec<EventId>) {
        for report in reports {
            match self.reports.take_back_report(report) {
                Some(loss) => self.loss_told(report, loss),
                None => self.know_told(report),
            }
        }
    }

    /// A command that another process has ended and this one has not begun needs nothing more.
    fn leave_to_the_other(&mut self, command: CommandId) {
        let untouched = |open: &Open| open.entry == Entry::Fresh && open.readers.is_empty();
        if !self.open.get(&command).is_some_and(untouched) || !self.admission.withdraw(command) {
            return;
        }
        if let Some(open) = self.open.remove(&command) {
            let timely_until = self.timely_until(&open.command);
            self.all_heard(&Ended { command, way: open.way, readers: open.readers, timely_until });
        }
    }
}

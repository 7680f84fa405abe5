//! Who appears in a scenario: the records of the command topic, the commands in them, the events that they have.

use crate::domain::{
    Action, AgentId, Code, Command, CommandId, Context, Event, EventId, EventKind, Outcome, Position, ProjectId, Refusal, Rollback,
    StackName, Stage, Target, Timestamp,
};
use crate::kafka::{DeadLetter, Inbound};
use serde_json::Value;
use uuid::Uuid;

/// At most so many commands and records.
pub(super) const MOST: usize = 4;
pub(super) const STACKS: usize = 2;
pub(super) const COMMANDS: &str = "commands";
pub(super) const EVENTS: &str = "events";

/// A record of the command topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Record {
    /// This command changes this stack.
    Change(u8, u8),
    /// It has the id of this command and is none.
    Refused(u8),
    /// It is no command, and has no id either.
    Letter,
}

#[derive(Debug)]
pub(super) struct Cast {
    pub(super) agent: AgentId,
    pub(super) records: &'static [Record],
}

impl Cast {
    pub(super) fn new(records: &'static [Record]) -> Self {
        assert!(records.len() <= MOST);
        Self { agent: AgentId::new("a").unwrap(), records }
    }

    /// The commands, each once.
    pub(super) fn commands(&self) -> impl Iterator<Item = u8> {
        let mut commands: Vec<u8> = self.records.iter().filter_map(|record| command_of(*record)).collect();
        commands.sort_unstable();
        commands.dedup();
        commands.into_iter()
    }

    pub(super) fn stack(&self, command: u8) -> usize {
        let found = self.records.iter().find_map(|record| match record {
            Record::Change(of, stack) if *of == command => Some(*stack),
            _ => None,
        });
        usize::from(found.expect("only commands that change something run"))
    }

    /// Whether it changes something.
    pub(super) fn changes(&self, command: u8) -> bool {
        self.records.iter().any(|record| matches!(record, Record::Change(of, _) if *of == command))
    }

    pub(super) fn command(&self, command: u8) -> Command {
        let stack = StackName::new(format!("s{}", self.stack(command))).unwrap();
        let target = Target { project: ProjectId::new("p").unwrap(), stack };
        let action = Action::Rollback(Rollback { target, to_revision: None, timeout_seconds: None, dry_run: false });
        Command { id: id(command), action, issued_at: None, expires_at: None, signed_by: None, context: Context::default() }
    }

    pub(super) fn inbound(&self, offset: u8) -> Inbound {
        match self.records[usize::from(offset)] {
            Record::Change(command, _) => Inbound::Command(self.command(command)),
            Record::Refused(command) => Inbound::Refused(Refusal {
                command_id: id(command),
                command_type: None,
                context: Context::default(),
                timely_until: None,
                code: Code::UNSUPPORTED,
                message: "no such command".to_owned(),
            }),
            Record::Letter => Inbound::Unreadable(DeadLetter {
                position: place(COMMANDS, offset),
                key: None,
                value: Vec::new(),
                length: 0,
                sha256: String::new(),
                code: Code::UNSUPPORTED,
                message: "no JSON".to_owned(),
                context: Context::default(),
            }),
        }
    }

    /// How a command ends that changed something.
    pub(super) fn terminal(&self, command: u8) -> Event {
        Event::terminal(&self.agent, &self.command(command), &outcome(), Timestamp::from_millis(0))
    }

    /// The id of an event.
    pub(super) fn event(&self, command: u8, kind: EventKind, stage: Stage) -> EventId {
        Event::of_id(&self.agent, id(command), kind, stage, Context::default(), Value::Null, Timestamp::from_millis(0)).id
    }

    /// The id of the report of a record that is no command.
    pub(super) fn report(&self, offset: u8) -> EventId {
        EventId::about(&self.agent, &format!("dead-letter/{COMMANDS}/0/{offset}"))
    }

    /// The id under which its dead letter is known.
    pub(super) fn letter(&self, offset: u8) -> EventId {
        EventId::about(&self.agent, &format!("letter/{COMMANDS}/0/{offset}"))
    }

    /// The places of the records that are no commands.
    pub(super) fn letters(&self) -> impl Iterator<Item = u8> {
        (0..).zip(self.records).filter(|(_, record)| **record == Record::Letter).map(|(offset, _)| offset)
    }

    /// What an id stands for that the journal knows.
    pub(super) fn known(&self, id: CommandId) -> Known {
        let report = self.letters().find(|offset| self.report(*offset).0 == id.0).map(Known::Report);
        let letter = || self.letters().find(|offset| self.letter(*offset).0 == id.0).map(Known::Letter);
        report.or_else(letter).unwrap_or_else(|| Known::Command(number(id)))
    }

    /// Which event an id is.
    pub(super) fn told(&self, event: EventId) -> Told {
        if let Some(offset) = self.letters().find(|offset| self.report(*offset) == event) {
            return Told::Report(offset);
        }
        for command in self.commands() {
            for (kind, stage, told) in [
                (EventKind::CommandCompleted, Stage::Terminal, Told::End(command)),
                (EventKind::CommandAccepted, Stage::Accepted, Told::Accepted(command)),
                (EventKind::RollbackStarted, Stage::Started, Told::Started(command)),
            ] {
                if self.event(command, kind, stage) == event {
                    return told;
                }
            }
        }
        panic!("event {event} belongs to no command of the scenario")
    }
}

/// An event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Told {
    Accepted(u8),
    Started(u8),
    End(u8),
    /// Of the record at this offset, which is no command.
    Report(u8),
}

/// Something that must not count twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Command(u8),
    Report(u8),
    Letter(u8),
}

pub(super) fn outcome() -> Outcome {
    Outcome::completed("done")
}

pub(super) fn command_of(record: Record) -> Option<u8> {
    match record {
        Record::Change(command, _) | Record::Refused(command) => Some(command),
        Record::Letter => None,
    }
}

pub(super) fn id(command: u8) -> CommandId {
    CommandId(Uuid::from_u128(u128::from(command)))
}

pub(super) fn number(id: CommandId) -> u8 {
    u8::try_from(id.0.as_u128()).unwrap()
}

pub(super) fn place(topic: &str, offset: u8) -> Position {
    Position { topic: topic.to_owned(), partition: 0, offset: i64::from(offset) }
}

pub(super) fn offset(position: &Position) -> u8 {
    u8::try_from(position.offset).unwrap()
}

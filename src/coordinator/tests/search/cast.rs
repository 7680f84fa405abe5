//! Who appears in a scenario: the records of the command topic, the commands in them, the events that they have.

use crate::domain::{
    Action, AgentId, Code, Command, CommandId, Context, Event, EventId, EventKind, Outcome, Position, ProjectId, Refusal, Rollback,
    StackName, Stage, Target, Timestamp,
};
use crate::kafka::Inbound;
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
        let mut commands: Vec<u8> = self.records.iter().map(|record| command_of(*record)).collect();
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
        let action = Action::Rollback(Rollback { target, to_revision: None, timeout_seconds: None });
        Command { id: id(command), action, issued_at: None, expires_at: None, context: Context::default() }
    }

    pub(super) fn inbound(&self, offset: u8) -> Inbound {
        match self.records[usize::from(offset)] {
            Record::Change(command, _) => Inbound::Command(self.command(command)),
            Record::Refused(command) => Inbound::Refused(Refusal {
                command_id: id(command),
                command_type: None,
                context: Context::default(),
                code: Code::UNSUPPORTED,
                message: "no such command".to_owned(),
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

    /// Which event an id is.
    pub(super) fn told(&self, event: EventId) -> Told {
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
}

pub(super) fn outcome() -> Outcome {
    Outcome::completed("done")
}

pub(super) fn command_of(record: Record) -> u8 {
    match record {
        Record::Change(command, _) | Record::Refused(command) => command,
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

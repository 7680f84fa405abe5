//! Protobuf ⇄ domain for the session: the only file here that sees the messages' fields.

use super::{Answer, Request};
use crate::domain::{AgentId, Event, Follow, FollowId, LogLine, ProjectId, StackName, Target};
use crate::proto::agent::acknowledgement::Result as WireResult;
use crate::proto::agent::session_down::Message as Down;
use crate::proto::agent::session_up::Message as Up;
use crate::proto::agent::{self, CommandEvent, Hello, LogEnd, LogLines};
use uuid::Uuid;

pub(super) use crate::proto::agent::{SessionDown, SessionUp};
pub(super) use crate::proto::methods::SESSION;

/// The longest name of a service, in bytes: Swarm takes 63, and a stack's name in front of it.
const MAX_SERVICE_BYTES: usize = 256;

/// What the control plane says.
#[derive(Debug)]
pub(super) enum Word {
    /// The stream is taken.
    Welcome,
    /// A command, as bytes.
    Action(Vec<u8>),
    /// It has kept the event with this id.
    Received(Uuid),
    /// A log is to be followed, or to go on behind a line.
    Follow { follow: Follow, after: u64, window: u32 },
    /// The lines of a follow up to this number were kept.
    Lines(FollowId, u64),
    /// No more of a follow.
    EndFollow(FollowId),
    /// A follow that cannot be.
    NoFollow { id: FollowId, problem: String },
    /// A word of a later version, or none at all: passed over.
    Unknown,
}

pub(super) fn word(down: SessionDown) -> Word {
    let named = |id: String, word: fn(FollowId) -> Word| FollowId::new(id).map_or(Word::Unknown, word);
    match down.message {
        Some(Down::Welcome(_)) => Word::Welcome,
        Some(Down::Action(action)) => Word::Action(action.command),
        Some(Down::EventReceived(received)) => Uuid::try_parse(&received.event_id).map_or(Word::Unknown, Word::Received),
        Some(Down::FollowLogs(mut asked)) => {
            let (after, window) = (asked.after, asked.window);
            // Without an id that can be repeated there is no answer.
            let Ok(id) = FollowId::new(std::mem::take(&mut asked.follow_id)) else { return Word::Unknown };
            match follow(id.clone(), asked) {
                Ok(follow) => Word::Follow { follow, after, window },
                Err(problem) => Word::NoFollow { id, problem },
            }
        }
        Some(Down::LinesReceived(received)) => {
            FollowId::new(received.follow_id).map_or(Word::Unknown, |id| Word::Lines(id, received.after))
        }
        Some(Down::EndFollow(end)) => named(end.follow_id, Word::EndFollow),
        // None: a word of a later version.
        None => Word::Unknown,
    }
}

fn follow(id: FollowId, asked: agent::FollowLogs) -> Result<Follow, String> {
    let project = ProjectId::new(asked.project_id).map_err(|error| error.to_string())?;
    let stack = match asked.stack_name.is_empty() {
        true => StackName::of_project(&project),
        false => StackName::new(asked.stack_name),
    };
    let target = Target { project, stack: stack.map_err(|error| error.to_string())? };
    if asked.service.is_empty() {
        return Err("service is missing: the name of a service, as in the Compose file".to_owned());
    }
    if asked.service.len() > MAX_SERVICE_BYTES {
        return Err(format!("service has more than {MAX_SERVICE_BYTES} bytes"));
    }
    Ok(Follow { id, target, service: asked.service, tail: asked.tail, since: Some(asked.since).filter(|since| *since > 0) })
}

pub(super) fn hello(agent: &AgentId) -> SessionUp {
    let hello = Hello { agent_id: agent.as_str().to_owned(), agent_version: env!("CARGO_PKG_VERSION").to_owned(), ..Hello::default() };
    up(Up::Hello(hello))
}

/// What the coordinator says; none for an event that no record can be made of.
pub(super) fn request(request: Request) -> Option<SessionUp> {
    match request {
        Request::Acknowledge { command, answer, message } => {
            let result = match answer {
                Answer::Accepted => WireResult::ACCEPTED,
                Answer::Duplicate => WireResult::DUPLICATE,
                Answer::Rejected => WireResult::REJECTED,
                Answer::Unreadable => WireResult::UNREADABLE,
                Answer::Busy => WireResult::BUSY,
            };
            let command_id = command.map(|id| id.to_string()).unwrap_or_default();
            let acknowledgement =
                agent::Acknowledgement { command_id, result: result.into(), message, ..agent::Acknowledgement::default() };
            Some(up(Up::Acknowledgement(acknowledgement)))
        }
        Request::Tell(event) => command_event(&event),
    }
}

fn command_event(event: &Event) -> Option<SessionUp> {
    match crate::record::write_event(event) {
        Ok(bytes) => {
            let event_id = event.id.to_string();
            Some(up(Up::Event(CommandEvent { event_id, terminal: event.terminal, event: bytes, ..CommandEvent::default() })))
        }
        Err(error) => {
            log::error!("event {} cannot be written: {error}", event.id);
            None
        }
    }
}

pub(super) fn log_lines<'a>(id: &FollowId, lines: impl Iterator<Item = (u64, &'a LogLine)>) -> SessionUp {
    let line = |(number, line): (u64, &LogLine)| agent::LogLine {
        number,
        at: line.at,
        task_id: line.task.clone(),
        stream: line.stream.to_owned(),
        text: line.text.clone(),
        ..agent::LogLine::default()
    };
    up(Up::LogLines(LogLines { follow_id: id.as_str().to_owned(), lines: lines.map(line).collect(), ..LogLines::default() }))
}

pub(super) fn log_end(id: &str, code: &str, message: &str) -> SessionUp {
    let (follow_id, code, message) = (id.to_owned(), code.to_owned(), message.to_owned());
    up(Up::LogEnd(LogEnd { follow_id, code, message, ..LogEnd::default() }))
}

fn up(message: Up) -> SessionUp {
    SessionUp { message: Some(message), ..SessionUp::default() }
}

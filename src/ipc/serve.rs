//! One request, from its route to the end of its answer: on a thread of its own, `ipc-client` or, where it may go on for
//! long, `ipc-stream`. A client that does not read is given up, and one that has gone is noticed with the next line.

use super::answer::{self, Body, Lines};
use super::command::{self, Around};
use super::levels;
use super::pending::Request;
use super::route::{Answer, Asked, Follows, LogQuery, Route};
use super::stream::{self, Stream};
use super::{EAR, Event, Failure, Heard, Read, Sources};
use crate::domain::{Code, CommandBrief, CommandId, DependencyState, EventKind, Phase, StackName, SwarmCount, Timestamp};
use crate::record;
use crate::threads::{Errand, Stop};
use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, bounded, select_biased};
use serde_json::{Value, json};
use std::io;
use std::time::{Duration, Instant, SystemTime};

/// What a client takes of an answer must be gone by then.
const WRITE: Duration = Duration::from_secs(10);
/// The coordinator answers between two writes of the journal: milliseconds, more on a busy disk.
const COORDINATOR: Duration = Duration::from_secs(30);
/// Where nothing is heard of a known command for so long, it goes on and was only silent.
const REFUSAL: Duration = Duration::from_millis(200);

/// What the threads of all clients share.
pub(super) struct Service {
    pub(super) sources: Sources,
    pub(super) events: Sender<Event>,
    pub(super) max_message_bytes: usize,
    pub(super) stop: Stop,
}

/// Why an answer ends before its time.
#[derive(Debug)]
enum Ended {
    /// The client is told.
    With(Failure),
    /// It is not there any more.
    Gone(io::Error),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::With(failure)
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Gone(error)
    }
}

impl Service {
    /// Answers, in any case.
    pub(super) fn answer(&self, asked: Result<Route, Failure>, request: Request) {
        if let Err(error) = request.stream.set_write_timeout(Some(WRITE)) {
            return log::debug!("a client of the local socket has gone: {error}");
        }
        let answered = match asked {
            Ok(route) => self.carry_out(route, &request),
            Err(failure) => Err(failure.into()),
        };
        let told = match answered {
            Ok(()) => Ok(()),
            Err(Ended::With(failure)) => {
                log::debug!("{} {} ({}): {}: {}", request.head.method, request.head.target, request.peer, failure.code, failure.message);
                answer::fail(&mut &request.stream, &failure)
            }
            Err(Ended::Gone(error)) => Err(error),
        };
        if let Err(error) = told {
            log::debug!("a client of the local socket ({}) has gone: {error}", request.peer);
        }
    }

    fn carry_out(&self, route: Route, request: &Request) -> Result<(), Ended> {
        let reads = &self.sources.reads;
        match route {
            Route::Status => self.document(request, &self.status()),
            Route::Stacks => self.document(request, &reads.stacks()?),
            Route::Stack(stack) => self.document(request, &reads.stack(&stack)?),
            Route::Doctor => self.document(request, &reads.doctor()?),
            Route::Update => self.document(request, &reads.update()),
            Route::CheckForUpdate => self.document(request, &reads.check_for_update()?),
            Route::Levels => self.document(request, &levels::shown()?),
            Route::SetLevels => self.document(request, &levels::set(&request.body, request.peer)?),
            Route::RestoreLevels => self.document(request, &levels::restore(request.peer)?),
            Route::Commands => {
                let recent = self.sources.recent.newest();
                self.document(request, &json!({"commands": recent.newest_first().collect::<Vec<_>>()}))
            }
            Route::OneCommand(id) => {
                let recent = self.sources.recent.newest();
                self.document(request, &told(recent.get(id).ok_or_else(|| no_such_command(id))?))
            }
            Route::Command(asked, answer) => self.command(&asked, answer, request),
            Route::Listen(id) => self.listen(id, request),
            Route::Events(stack) => {
                let (ear, heard) = bounded(EAR);
                self.tell(Event::Watch(ear))?;
                let mut lines = Lines::begin(&request.stream, &request.head, &[])?;
                stream::events(&mut lines, &Stream { heard: &heard, stop: &self.stop }, stack.as_ref())?;
                Ok(lines.end()?)
            }
            Route::Logs(stack, query, Follows::Once) => {
                let found = reads.logs(&stack, &query)?;
                let mut lines = Lines::begin(&request.stream, &request.head, &[])?;
                for line in found {
                    lines.line(&line)?;
                }
                Ok(lines.end()?)
            }
            Route::Logs(stack, query, Follows::Grows) => self.follow(&stack, query, request),
        }
    }

    fn document(&self, request: &Request, document: &Value) -> Result<(), Ended> {
        Ok(answer::whole(&mut &request.stream, 200, &[], document, Body::of(&request.head))?)
    }

    /// How the agent is.
    fn status(&self) -> Value {
        let health = self.sources.health.newest();
        let configured = |name: &str| health.dependencies.iter().any(|part| part.name == name && part.state != DependencyState::Off);
        let is_local = !configured("kafka_consumer") && !configured("control_plane");
        let mut status = Value::Object(health.told(Instant::now()));
        status["agent_id"] = json!(self.sources.reads.identity());
        status["version"] = json!(env!("CARGO_PKG_VERSION"));
        status["started_at"] = json!(self.sources.started);
        status["uptime_seconds"] = json!(Timestamp::from(SystemTime::now()).since(self.sources.started).as_secs());
        status["pid"] = json!(std::process::id());
        status["mode"] = json!(if is_local { "local" } else { "connected" });
        status["consumer_lag"] = json!(self.sources.reads.consumer_lag());
        if let Some(last) = &health.last_command
            && let Some(brief) = self.sources.recent.newest().get(last.id)
        {
            // Not on the health pages, which need no password.
            status["last_command"]["stack"] = json!(brief.stack);
            status["last_command"]["code"] = json!(brief.code);
            status["last_command"]["message"] = json!(brief.message);
        }
        status["swarm"] = self.sources.swarm.newest().as_ref().as_ref().map_or(Value::Null, swarm);
        status["resources"] = self.sources.reads.resources();
        status["stacks"] = json!(
            health
                .stacks
                .iter()
                .map(|(name, brief)| json!({"name": name, "project_id": brief.project, "revision": brief.revision}))
                .collect::<Vec<_>>()
        );
        status
    }

    fn command(&self, asked: &Asked, answer: Answer, request: &Request) -> Result<(), Ended> {
        let health = self.sources.health.newest();
        if health.phase == Phase::Stopping {
            return Err(leaving().into());
        }
        let owner = |stack: &StackName| health.stacks.get(stack).map(|brief| brief.project.clone());
        let at = Timestamp::from(SystemTime::now());
        let around = Around { peer: request.peer, at, owner: &owner };
        let (id, read) = command::read(asked, &request.head, &request.body, &around)?;
        if let Read::Unreadable { code, message } = read {
            return Err(Failure::of(code, message).into());
        }
        let _errand = match &read {
            Read::Command(command) => Errand::of(command.errand()),
            Read::Refused(refusal) => Errand::of(refusal.context.errand(Some(id), None)),
            Read::Unreadable { .. } => Errand::default(),
        }
        .begin();
        log::debug!("command {id} came over the local socket ({})", request.peer);
        let (ear, heard) = bounded(EAR);
        self.tell(Event::Command(Box::new(read), ear))?;
        let first = Some(self.first(&heard)?);
        let name = id.to_string();
        if answer == Answer::Id {
            answer::whole(&mut &request.stream, 202, &[("x-command-id", &name)], &json!({"command_id": id}), Body::Sent)?;
            return Ok(());
        }
        let mut lines = Lines::begin(&request.stream, &request.head, &[("x-command-id", &name)])?;
        stream::command(&mut lines, first, &Stream { heard: &heard, stop: &self.stop })?;
        Ok(lines.end()?)
    }

    /// What the coordinator says first: a command was taken in, or not.
    fn first(&self, heard: &Receiver<Heard>) -> Result<Heard, Failure> {
        let first = select_biased! {
            recv(self.stop.receiver()) -> _ => return Err(leaving()),
            recv(heard) -> first => first.map_err(|_| leaving())?,
            default(COORDINATOR) => return Err(busy()),
        };
        match first {
            Heard::No(code, message) => Err(Failure::of(code, message)),
            Heard::Event(event) if event.kind == EventKind::CommandRejected => {
                let text = |pointer| event.payload.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
                let code = text("/details/code");
                let known = Code::ALL.iter().copied().find(|known| known.as_str() == code);
                Err(Failure::of(known.unwrap_or(Code::MALFORMED), text("/message")))
            }
            first => Ok(first),
        }
    }

    fn listen(&self, id: CommandId, request: &Request) -> Result<(), Ended> {
        let (ear, heard) = bounded(EAR);
        self.tell(Event::Listen(id, ear))?;
        // An open command may be silent for long: what it says is waited for by the stream, a refusal comes at once.
        let first = match heard.recv_timeout(REFUSAL) {
            Ok(Heard::No(code, message)) => return Err(Failure::of(code, message).into()),
            Ok(first) => Some(first),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Err(leaving().into()),
        };
        let mut lines = Lines::begin(&request.stream, &request.head, &[("x-command-id", &id.to_string())])?;
        stream::command(&mut lines, first, &Stream { heard: &heard, stop: &self.stop })?;
        Ok(lines.end()?)
    }

    fn follow(&self, stack: &StackName, query: LogQuery, request: &Request) -> Result<(), Ended> {
        let there = self.sources.reads.services(stack)?;
        let wanted = if query.services.is_empty() { there.clone() } else { query.services.clone() };
        if let Some(missing) = wanted.iter().find(|wanted| !there.contains(wanted)) {
            let message = format!("the stack {stack} has no service {missing}; it has {}", there.join(", "));
            return Err(Failure::of(Code::SERVICE_NOT_FOUND, message).into());
        }
        let health = self.sources.health.newest();
        let project = health.stacks.get(stack).map(|brief| brief.project.clone());
        let logs = stream::Logs::begin(stack, project, &wanted, &query, |event| self.tell(event))?;
        let mut lines = Lines::begin(&request.stream, &request.head, &[])?;
        let sent = logs.pass_on(&mut lines, &self.stop);
        for id in logs.ids() {
            self.tell(Event::EndFollow(id))?;
        }
        sent?;
        Ok(lines.end()?)
    }

    fn tell(&self, event: Event) -> Result<(), Failure> {
        self.events.send_timeout(event, COORDINATOR).map_err(|error| match error {
            SendTimeoutError::Timeout(_) => busy(),
            SendTimeoutError::Disconnected(_) => leaving(),
        })
    }
}

fn told(brief: &CommandBrief) -> Value {
    let event = brief.terminal.as_ref().and_then(|event| record::write_event(event).ok());
    let event: Option<Value> = event.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let mut told = serde_json::to_value(brief).unwrap_or_default();
    told["terminal_event"] = json!(event);
    told
}

fn no_such_command(id: CommandId) -> Failure {
    Failure::of(Code::COMMAND_NOT_FOUND, format!("no command of late has the id {id}: GET /v1/commands lists them"))
}

pub(super) fn leaving() -> Failure {
    Failure::of(Code::LEAVING, "the agent is on its way out: send it again when it is back; what was accepted goes on then")
}

fn busy() -> Failure {
    Failure::of(Code::BUSY, "the agent is busy and has not taken the request: send it again, with the same x-command-id if it is a command")
}

/// The swarm as it was counted last.
fn swarm(count: &SwarmCount) -> Value {
    let stacks = count
        .stacks()
        .into_iter()
        .map(|(name, stack)| json!({"name": name, "services": stack.services, "running": stack.running, "desired": stack.desired}));
    json!({
        "counted_at": count.at,
        "services": count.services.len(),
        "tasks": count.tasks,
        "nodes": count.nodes,
        "stacks": stacks.collect::<Vec<_>>(),
    })
}

//! Answers that go on for long: events and lines of logs as they come.

use super::answer::Lines;
use super::route::LogQuery;
use super::{Event, Failure, Heard};
use crate::domain::{Event as Told, Follow, FollowId, FollowPart, ProjectId, StackName, Target, Timestamp};
use crate::record;
use crate::threads::Stop;
use crossbeam_channel::{Receiver, bounded, select_biased};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::time::Duration;
use uuid::Uuid;

/// After so much silence an empty line goes out: a client that has gone is noticed with it.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// Lines of one service on their way to the client; with them its log is not read on.
const LINES: usize = 64;
const NANOS_PER_MILLI: i64 = 1_000_000;

/// What a listener waits for.
pub(super) struct Stream<'a> {
    pub(super) heard: &'a Receiver<Heard>,
    pub(super) stop: &'a Stop,
}

/// What is heard next.
enum Next {
    Heard(Heard),
    Silence,
    /// The agent leaves, or has given this listener up.
    Over,
}

impl Stream<'_> {
    fn next(&self) -> Next {
        select_biased! {
            recv(self.heard) -> heard => heard.map_or(Next::Over, Next::Heard),
            recv(self.stop.receiver()) -> _ => Next::Over,
            default(SIGN_OF_LIFE) => Next::Silence,
        }
    }
}

/// The events of one command, until its last word. `first` was heard already.
pub(super) fn command<W: Write>(lines: &mut Lines<W>, first: Option<Heard>, stream: &Stream<'_>) -> io::Result<()> {
    let mut next = first.map_or_else(|| stream.next(), Next::Heard);
    loop {
        match next {
            Next::Heard(Heard::Event(event)) => {
                lines.event(&event)?;
                if event.terminal {
                    return Ok(());
                }
            }
            Next::Heard(Heard::Lost(count)) => lines.line(&json!({"lost": count}))?,
            Next::Heard(Heard::No(code, message)) => {
                return lines.line(&json!({"error": {"code": code, "message": message, "details": {}}}));
            }
            Next::Silence => lines.sign_of_life()?,
            Next::Over => return lines.line(&super::serve::leaving().body()),
        }
        next = stream.next();
    }
}

/// All events, or those about one stack, until the client or the agent leaves.
pub(super) fn events<W: Write>(lines: &mut Lines<W>, stream: &Stream<'_>, stack: Option<&StackName>) -> io::Result<()> {
    let is_about = |event: &Told| stack.is_none_or(|stack| event.payload.get("stack_name").and_then(Value::as_str) == Some(stack.as_str()));
    // So that the client sees that it is listening.
    lines.sign_of_life()?;
    loop {
        match stream.next() {
            Next::Heard(Heard::Event(event)) if is_about(&event) => lines.event(&event)?,
            Next::Heard(Heard::Event(_) | Heard::No(..)) => {}
            Next::Heard(Heard::Lost(count)) => lines.line(&json!({"lost": count}))?,
            Next::Silence => lines.sign_of_life()?,
            Next::Over => return Ok(()),
        }
    }
}

/// The logs of some services of a stack.
pub(super) struct Logs {
    follows: Vec<(FollowId, String, Receiver<FollowPart>)>,
    rung: Receiver<()>,
}

impl Logs {
    /// Begins to follow them.
    pub(super) fn begin(
        stack: &StackName,
        owner: Option<ProjectId>,
        services: &[String],
        query: &LogQuery,
        tell: impl Fn(Event) -> Result<(), Failure>,
    ) -> Result<Self, Failure> {
        let project = owner.unwrap_or_else(ProjectId::local);
        let (bell, rung) = bounded(1);
        let mut follows = Vec::with_capacity(services.len());
        for service in services {
            let id = FollowId::new(format!("local-{}", Uuid::new_v4().simple()));
            let Ok(id) = id else { continue };
            let (parts, inbox) = bounded(LINES);
            let target = Target { project: project.clone(), stack: stack.clone() };
            let since = query.since.map(|since| since.as_millis().saturating_mul(NANOS_PER_MILLI));
            let follow = Follow { id: id.clone(), target, service: service.clone(), tail: query.tail, since };
            tell(Event::Follow { follow, parts, bell: bell.clone() })?;
            follows.push((id, service.clone(), inbox));
        }
        Ok(Self { follows, rung })
    }

    /// The names under which they are followed.
    pub(super) fn ids(&self) -> impl Iterator<Item = FollowId> {
        self.follows.iter().map(|(id, _, _)| id.clone())
    }

    /// Passes lines on until all logs have ended, or the client or the agent leaves.
    pub(super) fn pass_on<W: Write>(&self, lines: &mut Lines<W>, stop: &Stop) -> io::Result<()> {
        let mut open: Vec<&(FollowId, String, Receiver<FollowPart>)> = self.follows.iter().collect();
        lines.sign_of_life()?;
        while !open.is_empty() {
            let mut failed = Ok(());
            open.retain(|(_, service, inbox)| {
                for part in inbox.try_iter() {
                    let (line, ends) = match &part {
                        FollowPart::Line(line) => {
                            let at = Timestamp::from_millis(line.at / NANOS_PER_MILLI);
                            (json!({"service": service, "task_id": line.task, "stream": line.stream, "at": at, "text": line.text}), false)
                        }
                        FollowPart::End(code, message) => (json!({"service": service, "end": {"code": code, "message": message}}), true),
                    };
                    if let Err(error) = lines.line(&line) {
                        failed = Err(error);
                    }
                    if ends || failed.is_err() {
                        return false;
                    }
                }
                true
            });
            failed?;
            select_biased! {
                recv(stop.receiver()) -> _ => return Ok(()),
                recv(self.rung) -> _ => {}
                default(SIGN_OF_LIFE) => lines.sign_of_life()?,
            }
        }
        Ok(())
    }
}

impl<W: Write> Lines<W> {
    /// An event, spelt as everywhere.
    fn event(&mut self, event: &Told) -> io::Result<()> {
        let mut text = record::write_event(event)?;
        text.push(b'\n');
        self.send(&text)
    }
}

//! One session's stream, driven by a plain thread that waits on a bell: gRPC rings it, and so does the book.

use super::book::Line;
use super::{Hearing, Judge, Sessions};
use axion_agent::proto::agent::acknowledgement::Result as Answer;
use axion_agent::proto::agent::session_down::Message as Down;
use axion_agent::proto::agent::session_up::Message as Up;
use axion_agent::proto::agent::{
    Acknowledgement, Action, EndFollow, EventReceived, FollowLogs, LinesReceived, LogLines, SessionDown, SessionUp, Welcome,
};
use crossbeam_channel::{Receiver, Sender, bounded};
use futures_util::{Sink, Stream};
use grpcio::{DuplexSink, RequestStream, RpcStatus, RpcStatusCode, WriteFlags};
use std::collections::{BTreeSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// An agent says hello at once.
const HELLO: Duration = Duration::from_secs(10);
/// Actions that are on their way to an agent without an end; it takes 64.
const ON_THE_WAY: usize = 32;
/// A stream without a word for so long is looked at again.
const LOOK: Duration = Duration::from_secs(60);

struct Bell(Sender<()>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let _rung_already = self.0.try_send(());
    }
}

/// The stream is over.
struct Over;

struct Session<'a> {
    sessions: &'a Sessions,
    agent: String,
    number: u64,
    outbox: VecDeque<Down>,
    /// Actions that were sent on this stream.
    sent: BTreeSet<Uuid>,
    /// Of those, the ones that the agent had no room for; their turn comes again with the next end, or after a silence.
    busy: BTreeSet<Uuid>,
    /// Logs that were asked for on this stream.
    followed: BTreeSet<String>,
}

pub(super) fn run(sessions: &Sessions, judge: Judge, mut up: RequestStream<SessionUp>, mut down: DuplexSink<SessionDown>) {
    let (bell, rung) = bounded(1);
    let waker = Waker::from(Arc::new(Bell(bell.clone())));
    let mut context = Context::from_waker(&waker);
    let Some(agent) = hello(&mut up, &mut context, &rung) else { return };
    if let Err(status) = judge(&agent) {
        refuse(down, status, &mut context, &rung);
        return;
    }
    let number = sessions.enter(&agent, bell);
    while sessions.0.hearing == Hearing::Absent && sessions.is_newest(&agent, number) {
        let _rung = rung.recv_timeout(LOOK);
    }
    let welcome = VecDeque::from([Down::Welcome(Welcome::default())]);
    let mut session =
        Session { sessions, agent, number, outbox: welcome, sent: BTreeSet::new(), busy: BTreeSet::new(), followed: BTreeSet::new() };
    while session.turn(&mut up, &mut down, &mut context).is_ok() && sessions.is_newest(&session.agent, number) {
        if rung.recv_timeout(LOOK).is_err() {
            session.try_busy_again();
        }
    }
    if !sessions.is_newest(&session.agent, session.number) {
        let replaced = RpcStatus::with_message(RpcStatusCode::ABORTED, "the agent has opened another session".to_owned());
        refuse(down, replaced, &mut context, &rung);
    }
}

/// The agent of the first message.
fn hello(up: &mut RequestStream<SessionUp>, context: &mut Context<'_>, rung: &Receiver<()>) -> Option<String> {
    let end = Instant::now() + HELLO;
    loop {
        match Pin::new(&mut *up).poll_next(context) {
            Poll::Ready(Some(Ok(SessionUp { message: Some(Up::Hello(hello)), .. }))) => return Some(hello.agent_id),
            Poll::Ready(_) => return None,
            Poll::Pending => rung.recv_deadline(end).ok()?,
        }
    }
}

/// Ends a stream with a status.
fn refuse(down: DuplexSink<SessionDown>, status: RpcStatus, context: &mut Context<'_>, rung: &Receiver<()>) {
    let mut failing = std::pin::pin!(down.fail(status));
    let end = Instant::now() + HELLO;
    while std::future::Future::poll(failing.as_mut(), context).is_pending() && rung.recv_deadline(end).is_ok() {}
}

impl Session<'_> {
    fn turn(
        &mut self,
        up: &mut RequestStream<SessionUp>,
        down: &mut DuplexSink<SessionDown>,
        context: &mut Context<'_>,
    ) -> Result<(), Over> {
        while self.sessions.0.hearing == Hearing::Good {
            match Pin::new(&mut *up).poll_next(context) {
                Poll::Ready(Some(Ok(message))) => self.on_message(message)?,
                Poll::Ready(_) => return Err(Over),
                Poll::Pending => break,
            }
        }
        self.look();
        loop {
            match Pin::new(&mut *down).poll_ready(context) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(_)) => return Err(Over),
                Poll::Ready(Ok(())) => {}
            }
            let Some(message) = self.outbox.pop_front() else { return Ok(()) };
            let message = SessionDown { message: Some(message), ..SessionDown::default() };
            Pin::new(&mut *down).start_send((message, WriteFlags::default())).map_err(|_| Over)?;
        }
    }

    /// What the agent should have and was not told on this stream.
    fn look(&mut self) {
        let book = self.sessions.book();
        let due = book.due(&self.agent);
        let open: BTreeSet<Uuid> = due.actions.iter().map(|(id, _)| *id).collect();
        self.sent.retain(|id| open.contains(id));
        for (id, command) in due.actions {
            if self.sent.len() >= ON_THE_WAY {
                break;
            }
            if self.sent.insert(id) {
                self.outbox.push_back(Down::Action(Action { command: command.into_bytes(), ..Action::default() }));
            }
        }
        for (follow, after) in due.follows {
            if self.followed.insert(follow.id.clone()) {
                self.outbox.push_back(Down::FollowLogs(FollowLogs {
                    follow_id: follow.id,
                    project_id: follow.project,
                    stack_name: follow.stack,
                    service: follow.service,
                    tail: follow.tail,
                    after,
                    ..FollowLogs::default()
                }));
            }
        }
        let unwanted: Vec<String> = self.followed.iter().filter(|id| !book.wants(id)).cloned().collect();
        for id in unwanted {
            self.followed.remove(&id);
            self.outbox.push_back(Down::EndFollow(EndFollow { follow_id: id, ..EndFollow::default() }));
        }
    }

    fn on_message(&mut self, message: SessionUp) -> Result<(), Over> {
        match message.message {
            Some(Up::Acknowledgement(answer)) => self.on_answer(&answer),
            Some(Up::Event(event)) => {
                let Ok(body) = serde_json::from_slice(&event.event) else { return Err(Over) };
                self.keep(|book| book.add_event(body))?;
                if event.terminal {
                    self.try_busy_again();
                    // Only now: it is on disk.
                    self.outbox.push_back(Down::EventReceived(EventReceived { event_id: event.event_id, ..EventReceived::default() }));
                }
            }
            Some(Up::LogLines(lines)) => self.on_lines(lines)?,
            Some(Up::LogEnd(end)) => {
                // The next look says end_follow, which confirms it.
                self.followed.insert(end.follow_id.clone());
                self.keep(|book| book.log_ended(&end.follow_id, &end.code, &end.message))?;
            }
            _ => return Err(Over),
        }
        Ok(())
    }

    /// What the agent had no room for may be sent again.
    fn try_busy_again(&mut self) {
        self.sent.retain(|id| !self.busy.contains(id));
        self.busy.clear();
    }

    fn on_answer(&mut self, answer: &Acknowledgement) {
        if answer.result.enum_value() == Ok(Answer::BUSY)
            && let Ok(id) = Uuid::try_parse(&answer.command_id)
        {
            self.busy.insert(id);
        }
    }

    fn on_lines(&mut self, lines: LogLines) -> Result<(), Over> {
        let id = lines.follow_id;
        let told = lines.lines.into_iter().map(|line| Line {
            number: line.number,
            at: line.at,
            task: line.task_id,
            stream: line.stream,
            text: line.text,
        });
        let told = told.collect();
        // ORDER: with the book held. A newer session has looked, or will look, how far the log is, and gets all behind that once more.
        let is_newest = || self.sessions.is_newest(&self.agent, self.number);
        if let Some(after) = self.keep(|book| if is_newest() { book.add_lines(&id, told) } else { Ok(None) })? {
            self.outbox.push_back(Down::LinesReceived(LinesReceived { follow_id: id, after, ..LinesReceived::default() }));
        }
        Ok(())
    }

    /// What cannot be written down was not received.
    fn keep<T>(&self, change: impl FnOnce(&mut super::Book) -> std::io::Result<T>) -> Result<T, Over> {
        self.sessions.change(change).map_err(|error| {
            eprintln!("control_plane: the session's book: {error}");
            Over
        })
    }
}

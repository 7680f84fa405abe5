//! The session of the control plane: actions come in, acknowledgements and events go out, logs begin and end.
//!
//! An action is a command that did not come through the topic: from here on it takes the same road. Its end is
//! owed to the control plane beside the topic, and is said again on each new stream until it is confirmed.

use super::on_command::Taken;
use super::on_report::shortened;
use super::state::State;
use crate::control_plane::{Answer, Read, SESSION_REQUESTS, SessionEvent, SessionRequest};
use crate::docker::FollowJob;
use crate::domain::{Action, CommandId, Direct, Event, EventId, FollowPart, Reader, Way};
use std::collections::VecDeque;
use std::sync::Arc;

/// Terminal events on their way without a confirmation: with them in it the session's channel still has room for
/// acknowledgements.
const ON_THE_WAY: usize = 16;
/// Actions that are open or whose end is not confirmed; more are to be sent again later. Commands that may wait belong
/// in the topic, which is longer.
const MAX_OPEN: usize = 64;
/// The size of the events among them, in bytes.
const MAX_OWED_BYTES: usize = 8 << 20;
/// A larger event is sent in short, in bytes: gRPC's own limit is 4 MiB, that of the event topic 1 MiB.
const MAX_EVENT_BYTES: usize = 1 << 20;

/// How much of a jam an action is held up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// It may wait.
    Usual,
    /// It ends at once and may be the way out: there is as much room again for these.
    WayOut,
}

impl Urgency {
    pub(super) fn of(action: &Action) -> Self {
        match action {
            Action::Cancel(_) | Action::Pause | Action::Resume | Action::HealthCheck => Self::WayOut,
            _ => Self::Usual,
        }
    }

    /// How many times the usual room it may take.
    pub(super) fn times(self) -> usize {
        match self {
            Self::Usual => 1,
            Self::WayOut => 2,
        }
    }
}

/// What is known of the session, and what is owed to it.
#[derive(Debug, Default)]
pub(super) struct Upstream {
    stream: Stream,
    /// In the order in which the commands ended.
    owed: VecDeque<Owed>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stream {
    #[default]
    Closed,
    Open,
}

#[derive(Debug)]
struct Owed {
    command: CommandId,
    event: Arc<Event>,
    bytes: usize,
    sent: Sent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    NotYet,
    OnThisStream,
}

impl Upstream {
    /// How many ends wait for the control plane's word.
    pub(super) fn owed(&self) -> usize {
        self.owed.len()
    }

    /// Whether it is worth waiting for that word.
    pub(super) fn is_open(&self) -> bool {
        self.stream == Stream::Open
    }
}

impl State {
    pub(super) fn on_session(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Action(read) => self.on_action(*read),
            SessionEvent::Follow { follow, parts, bell } => {
                let Some(agent) = self.agent.clone() else { return };
                if let Err((code, message)) = self.ports.follows.begin(FollowJob { follow, agent, parts: parts.clone(), bell }) {
                    // The channel is new: there is room.
                    drop(parts.try_send(FollowPart::End(code, message)));
                }
            }
            SessionEvent::EndFollow(id) => self.ports.follows.end(&id),
            other => self.on_session_while_leaving(other),
        }
    }

    /// Also on the way out, when nothing begins any more: an action without an answer comes again.
    pub(super) fn on_session_while_leaving(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Opened => {
                self.session.stream = Stream::Open;
                self.session.owed.iter_mut().for_each(|owed| owed.sent = Sent::NotYet);
            }
            SessionEvent::Closed => self.session.stream = Stream::Closed,
            SessionEvent::Received(id) => self.on_received(id),
            SessionEvent::Link(link) => self.on_session_link(link),
            SessionEvent::Unavailable => self.on_no_sessions(),
            SessionEvent::EndFollow(id) => self.ports.follows.end(&id),
            // The end of the turn sends what had no room.
            SessionEvent::Room | SessionEvent::Action(_) | SessionEvent::Follow { .. } => {}
        }
    }

    fn on_action(&mut self, read: Read) {
        let way = Way::Direct(Direct::Session);
        let (id, urgency) = match &read {
            Read::Command(command) => (Some(command.id), Urgency::of(&command.action)),
            Read::Refused(refusal) => (Some(refusal.command_id), Urgency::Usual),
            Read::Unreadable { .. } => (None, Urgency::Usual),
        };
        if let Some(id) = id.filter(|id| self.is_busy(urgency) && !self.is_known(*id)) {
            let message = "too many actions are open or not confirmed: send it again after the next terminal event, or later".to_owned();
            return self.acknowledge(Some(id), Answer::Busy, message);
        }
        let (id, taken) = match read {
            // It is acknowledged once it is on disk.
            Read::Command(command) => match (command.id, self.on_command(way, command)) {
                (id, Taken::Accepted) => (id, self.let_in()),
                answered => answered,
            },
            Read::Refused(refusal) => (refusal.command_id, self.on_refusal(way, &refusal)),
            Read::Unreadable { code, message } => {
                log::warn!("an action is no command: {code}: {message}");
                return self.acknowledge(None, Answer::Unreadable, format!("{code}: {message}"));
            }
        };
        let answer = match taken {
            Taken::Accepted => Answer::Accepted,
            Taken::Duplicate => Answer::Duplicate,
            Taken::Refused => Answer::Rejected,
            Taken::NotYet => return,
        };
        self.acknowledge(Some(id), answer, String::new());
    }

    fn is_busy(&self, urgency: Urgency) -> bool {
        let open = self.open.values().filter(|open| open.readers.contains(&Reader::Session)).count() + self.session.owed.len();
        let times = urgency.times();
        let owed: usize = self.session.owed.iter().map(|owed| owed.bytes).sum();
        open >= times * MAX_OPEN || owed >= times * MAX_OWED_BYTES || self.is_backed_up(times)
    }

    /// A journal that cannot be read ends the agent with the next command that it should take.
    fn is_known(&self, id: CommandId) -> bool {
        self.open.contains_key(&id) || self.reports.answer_to(id).is_some() || self.journal.knows(id).unwrap_or(true)
    }

    /// A control plane that reads so slowly that there is no room for it sends the action again anyway.
    fn acknowledge(&mut self, command: Option<CommandId>, answer: Answer, message: String) {
        if let Some(session) = &self.ports.session {
            let _shed = session.try_send(SessionRequest::Acknowledge { command, answer, message });
        }
    }

    /// The control plane sent a command that is known: it wants its end, whoever else gets it.
    pub(super) fn tell_session_too(&mut self, id: CommandId) {
        if let Some(open) = self.open.get_mut(&id) {
            open.readers.insert(Reader::Session);
        } else if let Some(owed) = self.session.owed.iter_mut().find(|owed| owed.command == id) {
            owed.sent = Sent::NotYet;
        } else if let Some(event) = self.reports.add_reader(id, Reader::Session) {
            self.owe_to_session(id, event);
        }
    }

    /// An event that may be left out when the session is behind.
    pub(super) fn tell_session_lightly(&mut self, event: &Event) {
        let Some(session) = self.ports.session.as_ref().filter(|_| self.session.is_open()) else { return };
        // The rest of the room is for what must not be left out.
        if session.len() < SESSION_REQUESTS / 2 {
            let _shed = session.try_send(SessionRequest::Tell(Arc::new(event.clone())));
        }
    }

    /// A terminal event: kept until the control plane confirms it.
    pub(super) fn owe_to_session(&mut self, command: CommandId, event: Arc<Event>) {
        let bytes = event.size();
        let event = if bytes > MAX_EVENT_BYTES {
            Arc::new(shortened((*event).clone(), &format!("it has {bytes} bytes, a session takes {MAX_EVENT_BYTES}")))
        } else {
            event
        };
        self.session.owed.push_back(Owed { command, bytes: event.size(), event, sent: Sent::NotYet });
    }

    /// Hands over what is owed and was not said on this stream, a window at a time.
    pub(super) fn send_owed(&mut self) {
        let Some(session) = self.ports.session.as_ref().filter(|_| self.session.is_open()) else { return };
        let on_the_way = self.session.owed.iter().filter(|owed| owed.sent == Sent::OnThisStream).count();
        let next = self.session.owed.iter_mut().filter(|owed| owed.sent == Sent::NotYet);
        for owed in next.take(ON_THE_WAY.saturating_sub(on_the_way)) {
            if session.try_send(SessionRequest::Tell(Arc::clone(&owed.event))).is_err() {
                return;
            }
            owed.sent = Sent::OnThisStream;
        }
    }

    fn on_received(&mut self, id: EventId) {
        let Some(index) = self.session.owed.iter().position(|owed| owed.event.id == id) else { return };
        if let Some(owed) = self.session.owed.remove(index) {
            self.heard(owed.command, Reader::Session);
        }
    }
}

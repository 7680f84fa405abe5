//! The session: one stream to the control plane, on the thread `grpc-session`, for what must not wait in a topic.
//!
//! Actions come down and go to the coordinator as [`Event`]s, on the same road as the commands of Kafka; its
//! answers come back as [`Request`]s and go up. Lines of logs go up beside them, when there is nothing more urgent.
//! The thread waits on one thing: its bell, the coordinator, a new access and a moment together. It decides
//! nothing about a command and keeps none: what is owed to the control plane the coordinator says again on
//! each new stream.
//!
//! A stream that breaks is opened again: the first time after 0–5 s, then with jitter after 1 s, 2 s and at most
//! 30 s. A refusal (UNAUTHENTICATED, PERMISSION_DENIED) shows at once and is tried every 5 minutes, or when the
//! access has changed. A control plane without sessions (UNIMPLEMENTED) is none the worse for it.

mod follow;
mod stream;
#[cfg(test)]
mod tests;
mod wire;

use super::Settings;
use super::access::{Access, Reader as AccessReader};
use super::code::LinkCode;
use super::fault::{Fault, Manner};
use crate::domain::{AgentId, Code, CommandId, EventId, Follow, FollowId, FollowPart, LinkState, Timestamp};
use crate::record::{self, Bearer, Read, Terms};
use crate::signing::Keys;
use crate::threads::{Backoff, Deadline, Published, Stop};
use crossbeam_channel::{Receiver, Sender, bounded, never, select_biased};
use follow::{Followed, Follows, Lost};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use stream::{Bell, Stream};
use wire::{SessionUp, Word};

/// The first retry after a loss comes within this.
const FIRST_RETRY_SPREAD: Duration = Duration::from_secs(5);
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// A server that refuses is asked again this often.
const REFUSED_RETRY: Duration = Duration::from_secs(300);
/// One that has no sessions may be replaced by one that has.
const UNAVAILABLE_RETRY: Duration = Duration::from_secs(600);
/// Words that are taken before it is this side's turn to speak.
const TURN: usize = 32;
/// Messages of the coordinator that are taken before they are written: with the channel behind them all that waits.
const OUTBOX: usize = 8;
/// Lines on their way from the engine to this thread: about one message, however long they are.
const LINES: usize = 16;

/// Requests that wait for this thread. The coordinator has fewer on their way: acknowledgements of what it took from
/// [`EVENTS`] actions, and terminal events of a window; what is left is for progress, which may be shed.
pub const REQUESTS: usize = 128;
/// Events that wait for the coordinator.
pub const EVENTS: usize = 32;

/// From the session to the coordinator.
#[derive(Debug)]
pub enum Event {
    /// A stream begins: whatever is owed is to be said, also if it was said before.
    Opened,
    /// It has ended: what is said from here on waits for the next.
    Closed,
    /// An action.
    Action(Box<Read>),
    /// The control plane has kept this event.
    Received(EventId),
    /// A log is to be read. Parts go to `parts`; after each `bell` is to be rung.
    Follow {
        /// Which.
        follow: Follow,
        /// Where its lines go; it closes when nobody wants more.
        parts: Sender<FollowPart>,
        /// Full is a bell that has rung already.
        bell: Sender<()>,
    },
    /// Nobody wants more of it.
    EndFollow(FollowId),
    /// Requests that found no room would find it now.
    Room,
    /// The link changed.
    Link(LinkState),
    /// The control plane has no sessions.
    Unavailable,
}

/// From the coordinator to the session.
#[derive(Debug)]
pub enum Request {
    /// What became of an action.
    Acknowledge {
        /// Which, if its id could be read.
        command: Option<CommandId>,
        /// What.
        answer: Answer,
        /// For a person.
        message: String,
    },
    /// An event of a command that came by an action.
    Tell(Arc<crate::domain::Event>),
}

/// What became of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is written down and will be carried out.
    Accepted,
    /// It came before.
    Duplicate,
    /// A terminal event says why it will not be carried out.
    Rejected,
    /// It has no id.
    Unreadable,
    /// Too many are open: it has to be sent again.
    Busy,
}

/// Why a stream is over.
enum Over {
    /// The agent leaves.
    Stopped,
    /// There is another access: the next stream uses it.
    Renewed,
    /// It broke.
    Broken(Fault),
}

impl From<Fault> for Over {
    fn from(fault: Fault) -> Self {
        Self::Broken(fault)
    }
}

/// What is known of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Nothing,
    Up,
    Down,
    Unavailable,
}

/// The thread's own things.
pub(super) struct Session {
    settings: Published<Settings>,
    command_keys: Published<Keys>,
    access: AccessReader,
    requests: Receiver<Request>,
    events: Sender<Event>,
    stop: Stop,
    bell: Arc<Bell>,
    rung: Receiver<()>,
    backoff: Backoff,
    known: Known,
    outbox: VecDeque<SessionUp>,
    follows: Follows,
}

impl Session {
    pub(super) fn new(
        (settings, command_keys): (Published<Settings>, Published<Keys>),
        access: AccessReader,
        requests: Receiver<Request>,
        events: Sender<Event>,
        stop: Stop,
    ) -> Self {
        // One place: a bell that has rung already needs no second ring.
        let (bell, rung) = bounded(1);
        Self {
            settings,
            command_keys,
            access,
            requests,
            events,
            stop,
            bell: Arc::new(Bell(bell)),
            rung,
            backoff: Backoff::new(RETRY_FIRST, RETRY_MAX),
            known: Known::Nothing,
            outbox: VecDeque::new(),
            follows: Follows::default(),
        }
    }

    /// Lives until the stop comes.
    pub(super) fn run(&mut self) {
        let mut pause = Deadline::after(Duration::ZERO);
        while let Ok(access) = self.wait(pause) {
            let over = self.converse(&access);
            pause = match self.ended(over) {
                Ok(wait) => Deadline::after(wait),
                Err(Gone) => return,
            };
        }
    }

    /// Between two streams: until `pause` is over or the access has changed.
    fn wait(&mut self, mut pause: Deadline) -> Result<Access, Gone> {
        loop {
            self.give_up_follows()?;
            let access = self.access.newest();
            if let Some(access) = access.filter(|_| pause.has_passed()) {
                return Ok(access);
            }
            let due = if self.access.newest().is_some() { crossbeam_channel::at(pause.instant()) } else { never() };
            let abandoned = self.follows.next_end().map_or_else(never, |until| crossbeam_channel::at(until.instant()));
            select_biased! {
                recv(self.stop.receiver()) -> _ => return Err(Gone),
                recv(self.access.changed()) -> changed => match changed {
                    Ok(()) => pause = Deadline::after(Duration::ZERO),
                    Err(_) => return Err(Gone),
                },
                // Nobody hears it: the coordinator says it again.
                recv(self.requests) -> request => drop(request.map_err(|_| Gone)?),
                recv(due) -> _ => {}
                recv(abandoned) -> _ => {}
            }
        }
    }

    /// Whether and when to try again.
    fn ended(&mut self, over: Over) -> Result<Duration, Gone> {
        self.follows.detach();
        self.outbox.clear();
        let was_up = self.known == Known::Up;
        if was_up {
            self.tell(Event::Closed)?;
        }
        let (reason, wait) = match over {
            Over::Stopped => return Err(Gone),
            Over::Renewed => return Ok(Duration::ZERO),
            Over::Broken(fault) if fault.code == LinkCode::UNIMPLEMENTED => {
                log::info!("the control plane has no sessions: {fault}");
                if self.known != Known::Unavailable {
                    self.known = Known::Unavailable;
                    self.tell(Event::Unavailable)?;
                }
                return Ok(UNAVAILABLE_RETRY);
            }
            Over::Broken(fault) => {
                let wait = match fault.manner {
                    Manner::Refused => REFUSED_RETRY,
                    Manner::Away | Manner::Slow if was_up => self.backoff.spread(FIRST_RETRY_SPREAD),
                    Manner::Away | Manner::Slow => self.backoff.next(),
                };
                (fault.to_string(), wait)
            }
        };
        self.known = Known::Down;
        self.tell(Event::Link(LinkState::Down(reason)))?;
        Ok(wait)
    }

    /// One stream, from its hello to its end.
    fn converse(&mut self, access: &Access) -> Over {
        match Stream::open(access, &self.bell) {
            Ok(mut stream) => match self.talk(access, &mut stream) {
                Err(over) => over,
                Ok(never) => match never {},
            },
            Err(error) => Over::from(error),
        }
    }

    fn talk(&mut self, access: &Access, stream: &mut Stream) -> Result<std::convert::Infallible, Over> {
        self.outbox.push_back(wire::hello(&access.agent));
        let timeout = self.settings.newest().timeout;
        let mut welcome_by = Some(Deadline::after(timeout));
        loop {
            let mut turn = Turn::Over;
            for _ in 0..TURN {
                turn = Turn::Over;
                let Some(down) = stream.next()? else { break };
                turn = Turn::GoesOn;
                match wire::word(down) {
                    Word::Welcome => {
                        welcome_by = None;
                        self.welcome()?;
                    }
                    word => self.on_word(word, &access.agent)?,
                }
            }
            if welcome_by.is_some_and(Deadline::has_passed) {
                let reason = format!("no welcome within {} s", timeout.as_secs());
                return Err(Fault::new(LinkCode::SLOW, reason, Manner::Slow).into());
            }
            self.give_up_follows()?;
            // ORDER: answers and events before lines of logs.
            let (outbox, requests, follows) = (&mut self.outbox, &self.requests, &mut self.follows);
            let mut fullest = 0;
            stream.send(|| {
                let answers = requests.try_iter().inspect(|_| fullest = fullest.max(requests.len() + 1));
                outbox.pop_front().or_else(|| { answers }.find_map(wire::request)).or_else(|| follows.next())
            });
            self.say_if_there_is_room_again(fullest)?;
            if turn == Turn::GoesOn {
                continue;
            }
            self.listen(access, welcome_by)?;
        }
    }

    /// Waits until there is something to do.
    fn listen(&mut self, access: &Access, welcome_by: Option<Deadline>) -> Result<(), Over> {
        let closed = never();
        // What gRPC does not take yet waits in the channel.
        let requests = if self.outbox.len() < OUTBOX { &self.requests } else { &closed };
        let moments = [welcome_by, self.follows.next_end()].into_iter().flatten().min();
        let moment = moments.map_or_else(never, |moment| crossbeam_channel::at(moment.instant()));
        select_biased! {
            recv(self.stop.receiver()) -> _ => return Err(Over::Stopped),
            recv(self.access.changed()) -> changed => {
                changed.map_err(|_| Over::Stopped)?;
                if self.access.newest().is_some_and(|newest| newest.generation != access.generation) {
                    return Err(Over::Renewed);
                }
            }
            recv(self.rung) -> _ => {}
            recv(requests) -> request => {
                let request = request.map_err(|_| Over::Stopped)?;
                let held = self.requests.len() + 1;
                self.outbox.extend(wire::request(request));
                self.say_if_there_is_room_again(held)?;
            }
            recv(moment) -> _ => {}
        }
        Ok(())
    }

    /// The channel held so many requests with the one that was taken: if it was full, one may have found no room.
    fn say_if_there_is_room_again(&self, held: usize) -> Result<(), Gone> {
        if held >= REQUESTS { self.tell(Event::Room) } else { Ok(()) }
    }

    fn welcome(&mut self) -> Result<(), Gone> {
        self.backoff.reset();
        self.known = Known::Up;
        // What waits was said for an earlier stream.
        self.requests.try_iter().for_each(drop);
        self.tell(Event::Opened)?;
        self.tell(Event::Link(LinkState::Up))
    }

    fn on_word(&mut self, word: Word, agent: &AgentId) -> Result<(), Over> {
        match word {
            Word::Welcome | Word::Unknown => log::debug!("the control plane said something that this version does not know"),
            Word::Action(bytes) => {
                let keys = self.command_keys.newest();
                let terms = Terms { agent, keys: &keys, max_message_bytes: self.settings.newest().max_message_bytes };
                let read = record::receive(&bytes, Bearer::default(), &terms, Timestamp::from(SystemTime::now()));
                self.tell(Event::Action(Box::new(read)))?;
            }
            Word::Received(id) => self.tell(Event::Received(EventId(id)))?,
            Word::Follow { follow, after, window } => self.on_follow(follow, after, window)?,
            Word::Lines(id, after) => {
                if let Some(followed) = self.follows.get(&id) {
                    followed.received(after);
                }
            }
            Word::EndFollow(id) => self.end_follow(id)?,
            Word::NoFollow { id, problem } => self.refuse_follow(id.as_str(), Code::MALFORMED, &problem)?,
        }
        Ok(())
    }

    fn on_follow(&mut self, follow: Follow, after: u64, window: u32) -> Result<(), Over> {
        let refusal = match self.follows.get(&follow.id).map(|followed| followed.resume(after, window)) {
            Some(Ok(())) => return Ok(()),
            None if after == 0 && !self.follows.is_full() => {
                let (parts, inbox) = bounded(LINES);
                self.follows.insert(follow.id.clone(), Followed::new(inbox, window));
                return Ok(self.tell(Event::Follow { follow, parts, bell: self.bell.0.clone() })?);
            }
            Some(Err(Lost)) => {
                self.end_follow(follow.id.clone())?;
                (Code::FOLLOW_LOST, format!("the lines behind number {after} are no longer kept: follow again, with since"))
            }
            None if after > 0 => (
                Code::FOLLOW_LOST,
                format!("this agent does not know the follow, of which {after} lines were received: follow again, with since"),
            ),
            None => (Code::TOO_MANY_FOLLOWS, format!("{} logs are followed already: end one of them first", follow::MAX_FOLLOWS)),
        };
        self.refuse_follow(follow.id.as_str(), refusal.0, &refusal.1)
    }

    fn refuse_follow(&mut self, id: &str, code: Code, message: &str) -> Result<(), Over> {
        if self.outbox.len() >= OUTBOX {
            return Err(Fault::new(LinkCode::SLOW, "the control plane asks and does not read the answers", Manner::Slow).into());
        }
        self.outbox.push_back(wire::log_end(id, code.as_str(), message));
        Ok(())
    }

    fn end_follow(&mut self, id: FollowId) -> Result<(), Gone> {
        if self.follows.remove(&id) { self.tell(Event::EndFollow(id)) } else { Ok(()) }
    }

    fn give_up_follows(&mut self) -> Result<(), Gone> {
        for id in self.follows.abandoned() {
            log::info!("nobody came back for the log {id}: it is no longer followed");
            self.end_follow(id)?;
        }
        Ok(())
    }

    /// The coordinator takes it soon; the stop ends the wait.
    fn tell(&self, event: Event) -> Result<(), Gone> {
        select_biased! {
            recv(self.stop.receiver()) -> _ => Err(Gone),
            send(self.events, event) -> sent => sent.map_err(|_| Gone),
        }
    }
}

/// Whether the control plane may have said more than was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Over,
    GoesOn,
}

/// The agent leaves.
struct Gone;

impl From<Gone> for Over {
    fn from(_: Gone) -> Self {
        Self::Stopped
    }
}

//! The `control-plane` thread: enrols once, then beats until it is stopped.
//!
//! A beat that fails is tried again: the first time after 0–5 s, then with jitter after 1 s, 2 s and
//! at most 5 s, so that the link is seen within 10 s of the server's return and a fleet does not come
//! back in one instant. A refusal (UNAUTHENTICATED, PERMISSION_DENIED) shows at once and is tried
//! again every 5 minutes.

use super::call::{CallError, unary};
use super::wire::{self, Beat};
use super::{Enrolment, Event, Identity, Settings, channel, host};
use crate::domain::{AgentId, Health, LinkState, Phase, Sensitive, Timestamp};
use crate::threads::{Backoff, Published, Stop, Waited, stop_pair};
use crossbeam_channel::{Sender, select_biased};
use grpcio::Client;
use std::time::{Duration, Instant, SystemTime};

/// The first retry after a loss comes within this.
const FIRST_RETRY_SPREAD: Duration = Duration::from_secs(5);
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// A server that refuses is asked again this often.
const REFUSED_RETRY: Duration = Duration::from_secs(300);
/// What the server may ask for as interval.
const INTERVAL_BOUNDS: (u32, u32) = (5, 300);
/// The last beat must not hold up the exit.
const FAREWELL: Duration = Duration::from_secs(1);
/// A beat has to be answered within this part of its period.
const DEADLINE_PART: f64 = 0.8;
/// Periods vary by this part, so that a fleet spreads out.
const JITTER_PART: f64 = 0.1;

/// Why the thread ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorkerError {
    #[error(transparent)]
    Channel(#[from] channel::ChannelError),
}

/// The agent was stopped in the middle of something.
struct Stopped;

/// What is known of the link.
#[derive(PartialEq, Eq, Clone, Copy)]
enum Link {
    Unknown,
    Up,
    Down,
}

pub(super) struct Worker {
    settings: Settings,
    health: Published<Health>,
    events: Sender<Event>,
    stop: Stop,
    backoff: Backoff,
    link: Link,
    interval: Duration,
    started: Instant,
}

impl Worker {
    pub(super) fn new(settings: Settings, health: Published<Health>, events: Sender<Event>, stop: Stop) -> Self {
        let backoff = Backoff::new(RETRY_FIRST, RETRY_MAX);
        let interval = settings.heartbeat_interval;
        Self { settings, health, events, stop, backoff, link: Link::Unknown, interval, started: Instant::now() }
    }

    pub(super) fn run(&mut self, identity: &Identity) -> Result<(), WorkerError> {
        let channel = match channel::open(&self.settings) {
            Ok(channel) => channel,
            Err(error) => {
                self.link = Link::Down;
                // Only a stop keeps this from being told, and then nobody needs to hear it.
                drop(self.tell(Event::Link(LinkState::Down(error.to_string()))));
                return Err(error.into());
            }
        };
        let client = Client::new(channel);
        // A stop needs no word: whoever stopped the thread knows.
        drop(self.live(&client, identity.clone()));
        Ok(())
    }

    fn live(&mut self, client: &Client, identity: Identity) -> Result<(), Stopped> {
        let (agent, mut credential) = match identity {
            Identity::Known(agent, credential) => (agent, credential),
            Identity::ToEnrol(wish) => {
                let enrolment = self.enrol(client, wish.as_ref())?;
                let known = (enrolment.agent_id.clone(), enrolment.credential.clone());
                self.tell(Event::Enrolled(Box::new(enrolment)))?;
                known
            }
        };
        let mut sequence = 0;
        loop {
            sequence += 1;
            let timeout = self.settings.timeout.min(self.interval.mul_f64(DEADLINE_PART));
            let health = self.health.newest();
            let result = self.beat(client, &agent, credential.as_ref(), sequence, &health, timeout, &self.stop.clone());
            let wait = match result {
                Ok(answer) => {
                    self.up()?;
                    self.obey(answer, &mut credential)?;
                    self.interval.mul_f64(1.0 - JITTER_PART) + self.backoff.spread(self.interval.mul_f64(2.0 * JITTER_PART))
                }
                Err(CallError::Stopped) => Duration::ZERO,
                Err(error) => self.down(error)?,
            };
            if self.stop.wait(wait) == Waited::Stopped {
                self.farewell(client, &agent, credential.as_ref(), sequence + 1);
                return Ok(());
            }
        }
    }

    /// Asks for an identity until there is one.
    fn enrol(&mut self, client: &Client, wish: Option<&AgentId>) -> Result<Enrolment, Stopped> {
        loop {
            let failure = match &self.settings.token {
                None => CallError::Refused("the agent is not enrolled and has no token: set agent.token".into()),
                Some(token) => {
                    let request = wire::enroll_request(&self.settings, wish, token, host::facts());
                    match unary(client, &wire::ENROLL, &request, None, self.settings.timeout, &self.stop) {
                        Ok(response) => match wire::enrolment(response) {
                            Ok(enrolment) => return Ok(enrolment),
                            Err(error) => CallError::Failed(format!("the control plane's answer to Enroll: {error}")),
                        },
                        Err(CallError::Stopped) => return Err(Stopped),
                        Err(error) => error,
                    }
                }
            };
            let wait = self.down(failure)?;
            if self.stop.wait(wait) == Waited::Stopped {
                return Err(Stopped);
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "one beat has this much to say")]
    fn beat(
        &self,
        client: &Client,
        agent: &AgentId,
        credential: Option<&Sensitive<String>>,
        sequence: u64,
        health: &Health,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<wire::HeartbeatResponse, CallError> {
        let sent_at = Timestamp::from(SystemTime::now());
        let beat = Beat { agent, sequence, sent_at, uptime: self.started.elapsed(), load1: host::load1() };
        let request = wire::heartbeat_request(&beat, health);
        let credential = credential.map(|credential| credential.reveal().as_str());
        unary(client, &wire::HEARTBEAT, &request, credential, timeout, stop)
    }

    /// One last beat with STOPPING, if the link was up; its own stop never comes.
    fn farewell(&self, client: &Client, agent: &AgentId, credential: Option<&Sensitive<String>>, sequence: u64) {
        if self.link != Link::Up {
            return;
        }
        let (_source, never) = stop_pair();
        let health = Health { phase: Phase::Stopping, ..(*self.health.newest()).clone() };
        if let Err(error) = self.beat(client, agent, credential, sequence, &health, FAREWELL, &never) {
            log::debug!("the last heartbeat was not answered: {error:?}");
        }
    }

    fn obey(&mut self, answer: wire::HeartbeatResponse, credential: &mut Option<Sensitive<String>>) -> Result<(), Stopped> {
        if answer.interval_seconds > 0 {
            let (least, most) = INTERVAL_BOUNDS;
            self.interval = Duration::from_secs(u64::from(answer.interval_seconds.clamp(least, most)));
        }
        if !answer.credential.is_empty() {
            let fresh = Sensitive::new(answer.credential);
            *credential = Some(fresh.clone());
            self.tell(Event::Credential(fresh))?;
        }
        Ok(())
    }

    fn up(&mut self) -> Result<(), Stopped> {
        self.backoff.reset();
        if self.link == Link::Up {
            return Ok(());
        }
        self.link = Link::Up;
        self.tell(Event::Link(LinkState::Up))
    }

    /// Says why, and gives the wait until the next try.
    fn down(&mut self, error: CallError) -> Result<Duration, Stopped> {
        let was_up = self.link == Link::Up;
        self.link = Link::Down;
        let (reason, wait) = match error {
            CallError::Refused(reason) => (format!("refused: {reason}; check the agent's token or enrol it again"), REFUSED_RETRY),
            CallError::Failed(reason) if was_up => (reason, self.backoff.spread(FIRST_RETRY_SPREAD)),
            CallError::Failed(reason) => (reason, self.backoff.next()),
            CallError::Stopped => return Err(Stopped),
        };
        self.tell(Event::Link(LinkState::Down(format!("{}: {reason}", self.settings.endpoint.target))))?;
        Ok(wait)
    }

    fn tell(&self, event: Event) -> Result<(), Stopped> {
        select_biased! {
            recv(self.stop.receiver()) -> _ => Err(Stopped),
            send(self.events, event) -> sent => sent.map_err(|_| Stopped),
        }
    }
}

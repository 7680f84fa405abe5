//! The `control-plane` thread: enrols once, then beats until it is stopped.
//!
//! A beat that fails is tried again: the first time after 0–5 s, then with jitter after 1 s, 2 s and
//! at most 5 s, so that the link is seen within 10 s of the server's return and a fleet does not come
//! back in one instant. A refusal (UNAUTHENTICATED, PERMISSION_DENIED) shows at once and is tried
//! again every 5 minutes.

use super::access::Publisher;
use super::call::{CallError, unary};
use super::wire::{self, Beat};
use super::{Enrolment, Event, Identity, Settings, channel, host};
use crate::domain::{AgentId, Health, LinkState, Phase, Sensitive, Timestamp};
use crate::threads::{Backoff, Published, Stop, Waited, stop_pair};
use crossbeam_channel::{Sender, TrySendError, select_biased};
use grpcio::{Channel, Client};
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
    access: Publisher,
    stop: Stop,
    backoff: Backoff,
    link: Link,
    interval: Duration,
    started: Instant,
}

impl Worker {
    pub(super) fn new(settings: Settings, health: Published<Health>, events: Sender<Event>, access: Publisher, stop: Stop) -> Self {
        let backoff = Backoff::new(RETRY_FIRST, RETRY_MAX);
        let interval = settings.heartbeat_interval;
        Self { settings, health, events, access, stop, backoff, link: Link::Unknown, interval, started: Instant::now() }
    }

    /// Lives until the stop comes, which needs no word: whoever stopped the thread knows.
    pub(super) fn run(&mut self, identity: Identity) {
        let Ok(channel) = self.open() else { return };
        let client = Client::new(channel);
        drop(self.live(&client, identity));
    }

    /// A file that is missing may come: a volume that is mounted late, a certificate that is being replaced.
    fn open(&mut self) -> Result<Channel, Stopped> {
        loop {
            let error = match channel::open(&self.settings) {
                Ok(channel) => return Ok(channel),
                Err(error) => error,
            };
            let wait = self.down(CallError::Failed(error.to_string()))?;
            if self.stop.wait(wait) == Waited::Stopped {
                return Err(Stopped);
            }
        }
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
        self.access.publish(client.clone(), agent.clone(), credential.clone());
        let mut sequence = 0;
        loop {
            sequence += 1;
            let timeout = self.settings.timeout.min(self.interval.mul_f64(DEADLINE_PART));
            let health = self.health.newest();
            let result = self.beat(client, &agent, credential.as_ref(), sequence, &health, timeout, &self.stop.clone());
            let wait = match result {
                Ok(answer) => {
                    self.up()?;
                    let before = credential.clone();
                    self.obey(answer, &mut credential)?;
                    if credential != before {
                        self.access.publish(client.clone(), agent.clone(), credential.clone());
                    }
                    self.interval.mul_f64(1.0 - JITTER_PART) + self.backoff.spread(self.interval.mul_f64(2.0 * JITTER_PART))
                }
                Err(CallError::Stopped) => Duration::ZERO,
                Err(error) => self.down(error)?,
            };
            if self.stop.wait(wait) == Waited::Stopped {
                self.farewell(client, &agent, &mut credential, sequence + 1);
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
                        Ok(response) => match wire::enrolment(response, wish.cloned()) {
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
    fn farewell(&mut self, client: &Client, agent: &AgentId, credential: &mut Option<Sensitive<String>>, sequence: u64) {
        if self.link != Link::Up {
            return;
        }
        let (_source, never) = stop_pair();
        let health = Health { phase: Phase::Stopping, ..(*self.health.newest()).clone() };
        match self.beat(client, agent, credential.as_ref(), sequence, &health, FAREWELL, &never) {
            // Also this answer may bring a new credential.
            Ok(answer) => drop(self.obey(answer, credential)),
            Err(error) => log::debug!("the last heartbeat was not answered: {error:?}"),
        }
    }

    fn obey(&mut self, answer: wire::HeartbeatResponse, credential: &mut Option<Sensitive<String>>) -> Result<(), Stopped> {
        if answer.interval_seconds > 0 {
            let (least, most) = INTERVAL_BOUNDS;
            self.interval = Duration::from_secs(u64::from(answer.interval_seconds.clamp(least, most)));
        }
        let fresh = Some(answer.credential).filter(|text| !text.is_empty()).map(Sensitive::new);
        // A server that repeats the credential in use must not cost a write to disk with each beat.
        if let Some(fresh) = fresh.filter(|fresh| credential.as_ref() != Some(fresh)) {
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
            CallError::Failed(reason) | CallError::Unimplemented(reason) if was_up => (reason, self.backoff.spread(FIRST_RETRY_SPREAD)),
            CallError::Failed(reason) | CallError::Unimplemented(reason) => (reason, self.backoff.next()),
            CallError::Stopped => return Err(Stopped),
        };
        self.tell(Event::Link(LinkState::Down(format!("{}: {reason}", self.settings.endpoint.target))))?;
        Ok(wait)
    }

    /// Where there is room the event goes out also after the stop: an identity or a credential that got lost
    /// could not be had again, since its token, or the one before it, is used up.
    fn tell(&self, event: Event) -> Result<(), Stopped> {
        let event = match self.events.try_send(event) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(event)) => event,
            Err(TrySendError::Disconnected(_)) => return Err(Stopped),
        };
        select_biased! {
            recv(self.stop.receiver()) -> _ => Err(Stopped),
            send(self.events, event) -> sent => sent.map_err(|_| Stopped),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Endpoint, Scheme, access};
    use super::*;
    use crossbeam_channel::{Receiver, bounded};
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    fn worker(ca_file: Option<PathBuf>, stop: Stop) -> (Worker, Receiver<Event>) {
        let settings = Settings {
            endpoint: Endpoint { target: "127.0.0.1:9".to_owned(), scheme: Scheme::Tls },
            ca_file,
            client_certificate: None,
            timeout: Duration::from_secs(1),
            heartbeat_interval: Duration::from_secs(5),
            max_message_bytes: 1024,
            token: None,
            name: None,
            labels: BTreeMap::new(),
        };
        let health = Health { phase: Phase::Ready, dependencies: Vec::new(), commands_open: 0, events_unreported: 0, last_command: None };
        let (events, inbox) = bounded(8);
        (Worker::new(settings, Published::new(health), events, access::pair().0, stop), inbox)
    }

    #[test]
    fn a_ca_file_that_comes_late_is_waited_for() {
        let path = std::env::temp_dir().join(format!("axion-ca-{}", uuid::Uuid::new_v4()));
        let (_source, stop) = stop_pair();
        let (mut worker, inbox) = worker(Some(path.clone()), stop);
        std::thread::scope(|scope| {
            let opened = scope.spawn(|| worker.open().is_ok());
            let Ok(Event::Link(LinkState::Down(reason))) = inbox.recv_timeout(Duration::from_secs(10)) else { panic!("no word") };
            assert!(reason.contains("cannot read"), "{reason}");
            std::fs::write(&path, "").unwrap();
            assert!(opened.join().unwrap());
        });
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_credential_that_comes_with_the_stop_is_told() {
        let (source, stop) = stop_pair();
        let (mut worker, inbox) = worker(None, stop);
        drop(source);
        let answer = wire::HeartbeatResponse { credential: "new".to_owned(), ..Default::default() };
        let mut credential = None;
        assert!(worker.obey(answer.clone(), &mut credential).is_ok());
        let Ok(Event::Credential(told)) = inbox.try_recv() else { panic!("it got lost") };
        assert_eq!(told.reveal(), "new");
        assert!(worker.obey(answer, &mut credential).is_ok());
        assert!(inbox.try_recv().is_err(), "it is known already");
    }
}

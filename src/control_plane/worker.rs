//! The `control-plane` thread: enrols once, then beats until it is stopped. When it acts is [`super::pace`]'s.
//!
//! A channel lives as long as its connection, its certificate and the files that it was made of. Another one is
//! made when the certificate was renewed, a file was replaced or the connection was lost; calls of this thread
//! never run while it changes, and what else runs on the old channel keeps it until it is over.

mod enrol;
mod errands;

use super::access::Publisher;
use super::call::{CallError, Packing, Terms, unary};
use super::code::LinkCode;
use super::fault::{Doing, Fault, Manner};
use super::keyring::{Keyring, Pair};
use super::line::{Line, Lines, Shows, Stamps, look, needs_credential, shows};
use super::pace::Pace;
use super::wire::{self, Beat, Details, Told};
use super::{Event, Identity, Scheme, Settings, Sources, host};
use crate::domain::{AgentId, Health, LinkState, Phase, Sensitive, SwarmCount, Timestamp};
use crate::threads::{Deadline, Published, Stop, stop_pair};
use crossbeam_channel::{Receiver, Sender, TrySendError, at, never, select_biased};
use errands::Errands;
use grpcio::{Client, Method};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// The last beat must not hold up the exit.
const FAREWELL: Duration = Duration::from_secs(1);
/// While the link is down, files that may mend it are looked at this often.
const FILES_LOOK: Duration = Duration::from_secs(5);
/// So many beats in a row without an answer, and the connection is taken for dead: another is made.
const DEAF_BEATS: u32 = 3;
/// The agent was stopped in the middle of something.
struct Stopped;

/// What is known of the link.
#[derive(PartialEq, Eq, Clone, Copy)]
enum Link {
    Unknown,
    Up,
    Down,
}

/// Who the agent is, and how it shows that.
struct Me {
    agent: AgentId,
    credential: Option<Sensitive<String>>,
    certificate: Certificate,
}

/// The certificate that the control plane issues.
enum Certificate {
    /// None, and none is asked for: no TLS, one is configured, or the control plane issues none.
    Without,
    /// There was one, and it cannot be read: another is asked for.
    Wanted,
    /// In use until it is over, and renewed from this time on.
    Kept(Pair, Timestamp),
}

impl Certificate {
    fn pair(&self) -> Option<&Pair> {
        if let Self::Kept(pair, _) = self { Some(pair) } else { None }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        match self {
            Self::Without => false,
            Self::Wanted => true,
            Self::Kept(_, renewal) => *renewal <= now,
        }
    }
}

pub(super) struct Worker {
    source: Published<Settings>,
    /// Those of the newest try.
    settings: Settings,
    health: Published<Health>,
    swarm: Published<Option<SwarmCount>>,
    events: Sender<Event>,
    access: Publisher,
    woken: Receiver<()>,
    stop: Stop,
    pace: Pace,
    keyring: Keyring,
    lines: Lines,
    line: Option<Line>,
    /// What was told last over this connection.
    told: Option<Told>,
    /// The files of the configuration as they were at the newest call.
    files: Stamps,
    link: Link,
    /// The fault that was told last.
    named: Option<LinkCode>,
    errands: Errands,
    deaf: u32,
    sequence: u64,
    started: Instant,
}

impl Worker {
    pub(super) fn new(sources: Sources, events: Sender<Event>, access: Publisher, woken: Receiver<()>, stop: Stop) -> Self {
        let Sources { settings: source, health, swarm, samples, .. } = sources;
        let settings = (*source.newest()).clone();
        Self {
            source,
            pace: Pace::new(settings.heartbeat_interval),
            keyring: Keyring::new(&settings.state_dir),
            files: Stamps::of(&settings),
            settings,
            health,
            swarm,
            events,
            access,
            woken,
            stop,
            lines: Lines::new(),
            line: None,
            told: None,
            link: Link::Unknown,
            named: None,
            errands: Errands::new(samples),
            deaf: 0,
            sequence: 0,
            started: Instant::now(),
        }
    }

    /// Lives until the stop comes, which needs no word: whoever stopped the thread knows.
    pub(super) fn run(&mut self, identity: Identity) {
        let me = match identity {
            Identity::Configured(agent, credential) => Ok(Me { agent, credential, certificate: Certificate::Without }),
            Identity::Enrolled(agent, credential) => {
                let certificate = self.kept_certificate();
                Ok(Me { agent, credential, certificate })
            }
            Identity::ToEnrol { wish, salt } => self.enrol(wish.as_ref(), salt),
        };
        if let Ok(mut me) = me {
            let Stopped = self.live(&mut me);
            self.farewell(&mut me);
        }
    }

    fn live(&mut self, me: &mut Me) -> Stopped {
        loop {
            let begun = Instant::now();
            let wait = match self.turn(me) {
                Ok(()) => self.pace.after_answer(begun.elapsed()),
                Err(CallError::Stopped) => return Stopped,
                Err(CallError::Fault(fault)) => match self.down(fault, me.certificate.pair(), begun.elapsed()) {
                    Ok(wait) => wait,
                    Err(Stopped) => return Stopped,
                },
            };
            // Neither a renewal that falls due nor a new channel waits for the next period.
            let wait = match &me.certificate {
                _ if self.link == Link::Up && self.line.is_none() => Duration::ZERO,
                Certificate::Kept(_, renewal) if self.link == Link::Up && *renewal > now() => wait.min(renewal.since(now())),
                _ => wait,
            };
            let next = Deadline::after(wait);
            self.sample();
            if self.link == Link::Up
                && let Err(Stopped) = self.run_errands(me, next)
            {
                return Stopped;
            }
            if let Err(Stopped) = self.rest(next) {
                return Stopped;
            }
        }
    }

    /// One heartbeat, and what its answer asks for.
    fn turn(&mut self, me: &mut Me) -> Result<(), CallError> {
        self.ensure_line(me.certificate.pair())?;
        let request = if me.certificate.is_due(now()) { Some(self.certificate_request(me.agent.as_str())?) } else { None };
        let timeout = self.pace.deadline(self.settings.timeout);
        let health = self.health.newest();
        let answer = self.beat(me, request, &health, timeout, &self.stop.clone())?;
        self.up()?;
        let changed = self.obey(answer, me)?;
        self.publish(me, changed);
        Ok(())
    }

    /// Makes a channel where there is none that holds. ORDER: the files are looked at before they are read: what
    /// changes in between is noticed.
    fn ensure_line(&mut self, own: Option<&Pair>) -> Result<(), Fault> {
        let files = Stamps::of(&self.settings);
        if files == self.files && self.line.as_ref().is_some_and(|line| line.shows == shows(&self.settings, own, now())) {
            return Ok(());
        }
        self.files = files;
        let unfit = |error: super::channel::ChannelError| Fault::new(LinkCode::FILES, error.to_string(), Manner::Away);
        self.line = Some(self.lines.open(&self.settings, own, now()).map_err(unfit)?);
        // Another process may answer at the other end.
        self.told = None;
        self.errands.begin();
        self.deaf = 0;
        Ok(())
    }

    fn client(&self) -> Result<&Client, Fault> {
        let line = self.line.as_ref().map(|line| &line.client);
        line.ok_or_else(|| Fault::new(LinkCode::FAILED, "there is no channel", Manner::Away))
    }

    /// Other threads of this room go on with this channel, in this name.
    fn publish(&mut self, me: &Me, changed: Changed) {
        let Some(line) = self.line.as_mut().filter(|line| !line.announced || changed == Changed::Credential) else { return };
        line.announced = true;
        self.access.publish(line.client.clone(), me.agent.clone(), me.credential.clone().filter(|_| needs_credential(line.shows)));
    }

    /// What a look at the handshake adds to a fault that gRPC cannot name.
    fn seen(&self, fault: &Fault, own: Option<&Pair>) -> Option<Fault> {
        if fault.is_vague() { look(&self.settings, own, now()).map(Fault::of_finding) } else { None }
    }

    fn certificate_request(&self, name: &str) -> Result<Vec<u8>, Fault> {
        let failed = |error: super::keyring::KeyError| Fault::new(LinkCode::FILES, error.to_string(), Manner::Away);
        self.keyring.request(name).map_err(failed)
    }

    /// What an earlier process was given. Only over TLS is it of use.
    fn kept_certificate(&mut self) -> Certificate {
        if self.settings.endpoint.scheme == Scheme::Plain || self.settings.client_certificate.is_some() {
            return Certificate::Without;
        }
        match self.keyring.pair() {
            Ok(Some(pair)) => self.kept(pair),
            Ok(None) => Certificate::Without,
            Err(error) => {
                log::warn!("control_plane: {error}; the credential is used, and another certificate asked for");
                Certificate::Wanted
            }
        }
    }

    fn kept(&mut self, pair: Pair) -> Certificate {
        let renewal = self.pace.renewal(pair.life);
        log::info!("control_plane: the certificate is valid until {}, and renewed from {renewal} on", pair.life.until);
        Certificate::Kept(pair, renewal)
    }

    fn beat(
        &mut self,
        me: &Me,
        certificate_request: Option<Vec<u8>>,
        health: &Arc<Health>,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<wire::HeartbeatResponse, CallError> {
        self.sequence += 1;
        let counts = wire::counts(health, self.swarm.newest().as_ref().as_ref());
        let beat = Beat {
            agent: &me.agent,
            sequence: self.sequence,
            sent_at: now(),
            uptime: self.started.elapsed(),
            load1: host::load1(),
            certificate_request,
            details: if self.told.as_ref().is_some_and(|told| told.is(health, &counts)) { Details::AsBefore } else { Details::Told },
            counts: &counts,
        };
        let request = wire::heartbeat_request(beat, health);
        let answer = self.call(me, &wire::HEARTBEAT, &request, timeout, stop)?;
        self.told = Some(Told { health: Arc::clone(health), counts });
        Ok(answer)
    }

    /// One call in this agent's name, over the channel in use.
    fn call<Request, Response: Unpin>(
        &self,
        me: &Me,
        method: &Method<Request, Response>,
        request: &Request,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<Response, CallError> {
        self.call_packed(me, method, request, Packing::Plain, timeout, stop)
    }

    /// The same, with the request packed so.
    fn call_packed<Request, Response: Unpin>(
        &self,
        me: &Me,
        method: &Method<Request, Response>,
        request: &Request,
        packing: Packing,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<Response, CallError> {
        let shows = self.line.as_ref().map_or(Shows::Nothing, |line| line.shows);
        let credential = me.credential.as_ref().filter(|_| needs_credential(shows));
        let credential_text = credential.map(|text| text.reveal().as_str());
        let terms = Terms { doing: Doing::Speaking, credential: credential_text, timeout, packing, stop };
        unary(self.client()?, method, request, &terms).map_err(|error| without(error, credential))
    }

    /// One last beat with STOPPING, if the link was up; its own stop never comes.
    fn farewell(&mut self, me: &mut Me) {
        if self.link != Link::Up || self.line.is_none() {
            return;
        }
        let (_source, never) = stop_pair();
        let health = Arc::new(Health { phase: Phase::Stopping, ..(*self.health.newest()).clone() });
        match self.beat(me, None, &health, FAREWELL, &never) {
            // Also this answer may bring a new credential.
            Ok(answer) => drop(self.obey(answer, me)),
            Err(error) => log::debug!("the last heartbeat was not answered: {error:?}"),
        }
    }

    fn obey(&mut self, answer: wire::HeartbeatResponse, me: &mut Me) -> Result<Changed, Stopped> {
        let wishes = wire::wishes(answer);
        if let Some(seconds) = wishes.interval_seconds {
            self.pace.set_interval(seconds);
        }
        if wishes.details == Details::Told {
            self.told = None;
        }
        // One that was not asked for has no key here.
        if let Some(chain) = wishes.certificate.filter(|_| me.certificate.is_due(now())) {
            match self.keyring.accept(&chain, now()) {
                Ok(pair) => {
                    me.certificate = self.kept(pair);
                    // The next beat goes out at once, over a channel with the new certificate.
                    self.line = None;
                }
                Err(error) => log::warn!("control_plane: {error}; it is asked for again"),
            }
        }
        // A server that repeats the credential in use must not cost a write to disk with each beat.
        if let Some(fresh) = wishes.credential.filter(|fresh| me.credential.as_ref() != Some(fresh)) {
            me.credential = Some(fresh.clone());
            self.tell(Event::Credential(fresh))?;
            return Ok(Changed::Credential);
        }
        Ok(Changed::Nothing)
    }

    fn up(&mut self) -> Result<(), Stopped> {
        self.deaf = 0;
        if self.link == Link::Up {
            return Ok(());
        }
        self.link = Link::Up;
        self.access.works_again();
        self.tell(Event::Link(LinkState::Up))
    }

    /// Says why, and gives the wait until the next try.
    fn down(&mut self, fault: Fault, own: Option<&Pair>, took: Duration) -> Result<Duration, Stopped> {
        let was = std::mem::replace(&mut self.link, Link::Down);
        let seen = self.seen(&fault, own);
        let connection = match (fault.manner, &seen) {
            (Manner::Refused, None) => Connection::Good,
            (Manner::Slow, None) if self.deaf + 1 < DEAF_BEATS => {
                self.deaf += 1;
                Connection::Good
            }
            _ => Connection::Lost,
        };
        match (connection, &mut self.line) {
            // A channel without a connection would go on trying by itself, at gRPC's pace.
            (Connection::Lost, line) => *line = None,
            // What was refused with it is tried again as soon as this thread gets an answer.
            (Connection::Good, Some(line)) if fault.manner == Manner::Refused => line.announced = false,
            (Connection::Good, _) => {}
        }
        let fault = seen.unwrap_or(fault);
        let wait = self.pace.after_fault(fault.manner, took);
        // The coordinator logs that the link is lost, and with that the first reason.
        if was == Link::Down && self.named != Some(fault.code) {
            log::warn!("control_plane is not ready for another reason: {fault}");
        }
        self.named = Some(fault.code);
        self.tell(Event::Link(LinkState::Down(format!("{}: {fault}", self.settings.endpoint.target))))?;
        Ok(wait)
    }

    /// Waits, and no longer once something has changed that may mend the link: a file, or what a reload brings.
    fn rest(&mut self, deadline: Deadline) -> Result<(), Stopped> {
        let mut woken = self.woken.clone();
        loop {
            let slice = if self.link == Link::Up { deadline } else { deadline.or_after(FILES_LOOK) };
            select_biased! {
                recv(self.stop.receiver()) -> _ => return Err(Stopped),
                recv(woken) -> word => match word {
                    Ok(()) if self.take_over() == Changed::Nothing && self.link == Link::Up => {}
                    Ok(()) => {
                        self.line = None;
                        return Ok(());
                    }
                    // Nobody reloads any more.
                    Err(_) => woken = never(),
                },
                recv(at(slice.instant())) -> _ => {}
            }
            if deadline.has_passed() || self.files != Stamps::of(&self.settings) {
                return Ok(());
            }
        }
    }

    /// Goes by what was published last.
    fn take_over(&mut self) -> Changed {
        let newest = self.source.newest();
        if *newest == self.settings {
            return Changed::Nothing;
        }
        if newest.heartbeat_interval != self.settings.heartbeat_interval {
            self.pace.begin_with(newest.heartbeat_interval);
        }
        self.settings = (*newest).clone();
        Changed::Settings
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

/// Whether the connection is worth another call.
#[derive(PartialEq, Eq)]
enum Connection {
    Good,
    Lost,
}

/// What an answer or a reload has changed.
#[derive(PartialEq, Eq)]
enum Changed {
    Credential,
    Settings,
    Nothing,
}

impl From<Stopped> for CallError {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

/// A server may repeat what it was shown.
fn without(error: CallError, secret: Option<&Sensitive<String>>) -> CallError {
    match (error, secret) {
        (CallError::Fault(fault), Some(secret)) => CallError::Fault(fault.without(secret.reveal())),
        (error, _) => error,
    }
}

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::super::access;
    use super::*;
    use crossbeam_channel::bounded;
    use std::path::PathBuf;
    use uuid::Uuid;

    fn worker(ca_file: Option<PathBuf>, stop: Stop) -> (Worker, Receiver<Event>) {
        let settings = Settings { ca_file, ..Settings::of_nowhere() };
        let health = Health::of(Phase::Ready, Vec::new());
        let (events, inbox) = bounded(8);
        let sources = Sources {
            settings: Published::new(settings),
            health: Published::new(health),
            swarm: Published::new(None),
            samples: Arc::new(Vec::new),
            command_keys: Published::default(),
        };
        (Worker::new(sources, events, access::pair().0, never(), stop), inbox)
    }

    fn me() -> Me {
        Me { agent: AgentId::new("a").unwrap(), credential: None, certificate: Certificate::Without }
    }

    #[test]
    fn a_ca_file_that_comes_late_is_waited_for() {
        let path = std::env::temp_dir().join(format!("axion-ca-{}", Uuid::new_v4()));
        let (source, stop) = stop_pair();
        let (mut worker, inbox) = worker(Some(path.clone()), stop);
        let reason = || match inbox.recv_timeout(Duration::from_secs(10)) {
            Ok(Event::Link(LinkState::Down(reason))) => reason,
            other => panic!("no word: {other:?}"),
        };
        std::thread::scope(|scope| {
            scope.spawn(|| worker.live(&mut me()));
            let missing = reason();
            assert!(missing.contains("control_plane.files: cannot read"), "{missing}");
            std::fs::write(&path, "nothing").unwrap();
            let wrong = std::iter::repeat_with(reason).find(|reason| *reason != missing).unwrap();
            assert!(wrong.contains("holds no CA certificate"), "{wrong}");
            drop(source);
        });
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_credential_that_comes_with_the_stop_is_told() {
        let (source, stop) = stop_pair();
        let (mut worker, inbox) = worker(None, stop);
        drop(source);
        let answer = wire::HeartbeatResponse { credential: "new".to_owned(), ..Default::default() };
        let mut me = me();
        assert!(worker.obey(answer.clone(), &mut me).is_ok());
        let Ok(Event::Credential(told)) = inbox.try_recv() else { panic!("it got lost") };
        assert_eq!(told.reveal(), "new");
        assert!(worker.obey(answer, &mut me).is_ok());
        assert!(inbox.try_recv().is_err(), "it is known already");
    }
}

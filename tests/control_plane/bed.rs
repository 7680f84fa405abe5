//! A control plane with its CA, the agent's room without the rest of the agent, and what to wait for.

use crate::agents::{AgentServer, Beat, Clients, Issuing, Settings as Serve, Sighting};
use crate::authority::{Authority, ServerCertificate};
use crate::mischief::Imp;
use crate::reports::Report;
use axion_agent::control_plane::{self, ControlPlane, Endpoint, Event, Identity, Route, Samples, Scheme, SessionEvent, Settings, Sources};
use axion_agent::domain::{AgentId, Health, LinkState, Phase, Sample, Sensitive, SwarmCount};
use axion_agent::threads::{Exit, Published};
use crossbeam_channel::{Receiver, bounded};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// For what takes milliseconds on a quiet machine; two missed heartbeats and the first retry are within it.
pub const SOON: Duration = Duration::from_secs(20);
pub const TOKEN: &str = "canary-token";
pub const LONG: Duration = Duration::from_secs(3600);

/// A folder that goes with the test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("axion-cp-{}", Uuid::new_v4()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A control plane with its CA.
pub struct Server {
    agents: AgentServer,
    seen: Receiver<Sighting>,
    pub imp: Imp,
}

impl Server {
    pub fn start(change: impl FnOnce(&mut Serve)) -> Self {
        let imp = Imp::default();
        let mut settings = Serve { token: TOKEN.to_owned(), imp: imp.clone(), ..Serve::default() };
        change(&mut settings);
        let (sender, seen) = bounded(1024);
        Self { agents: AgentServer::start(settings, sender).unwrap(), seen, imp }
    }

    pub fn port(&self) -> u16 {
        self.agents.address().rsplit_once(':').unwrap().1.parse().unwrap()
    }

    /// What was seen since the last look.
    pub fn seen(&self) -> Vec<Sighting> {
        self.seen.try_iter().collect()
    }

    /// The next heartbeat that `wanted` likes.
    pub fn beat(&self, what: &str, wanted: impl Fn(&Beat) -> bool) -> Beat {
        self.sight(what, |sighting| match sighting {
            Sighting::Beat(beat) if wanted(beat) => Some(Beat::clone(beat)),
            _ => None,
        })
    }

    /// The next report.
    pub fn report(&self) -> Report {
        self.sight("a report", |sighting| if let Sighting::Report(report) = sighting { Some(report.clone()) } else { None })
    }

    /// The next of what is seen that is wanted.
    pub fn sight<T>(&self, what: &str, mut wanted: impl FnMut(&Sighting) -> Option<T>) -> T {
        let end = Instant::now() + SOON;
        let mut others = Vec::new();
        loop {
            match self.seen.recv_deadline(end) {
                Ok(sighting) => match wanted(&sighting) {
                    Some(found) => return found,
                    None => others.push(sighting),
                },
                Err(_) => panic!("not within {} s: {what}; seen: {others:?}", SOON.as_secs()),
            }
        }
    }
}

pub fn issuing(authority: &Arc<Authority>) -> Issuing {
    Issuing { authority: Arc::clone(authority), server: ServerCertificate::Right, clients: Clients::May }
}

/// The room of the agent, without the rest of it.
pub struct Room {
    pub running: Option<ControlPlane>,
    settings: Published<Settings>,
    pub events: Receiver<Event>,
    session: Receiver<SessionEvent>,
    exits: Receiver<Exit>,
}

impl Room {
    pub fn start(settings: Settings, identity: Identity) -> Self {
        Self::start_with(settings, identity, Published::new(Self::healthy()), Published::new(None))
    }

    pub fn healthy() -> Health {
        Health::of(Phase::Ready, Vec::new())
    }

    pub fn start_with(settings: Settings, identity: Identity, health: Published<Health>, swarm: Published<Option<SwarmCount>>) -> Self {
        Self::start_measuring(settings, identity, (health, swarm), samples(0))
    }

    pub fn start_measuring(
        settings: Settings,
        identity: Identity,
        (health, swarm): (Published<Health>, Published<Option<SwarmCount>>),
        samples: Samples,
    ) -> Self {
        let (control_plane, events) = bounded(64);
        let (session, session_events) = bounded(64);
        let (exit, exits) = bounded(4);
        let senders = control_plane::Events { control_plane, session };
        let settings = Published::new(settings);
        let sources = Sources { settings: settings.clone(), health, swarm, samples, command_keys: Published::default() };
        let running = control_plane::start(sources, identity, senders, exit).unwrap();
        Self { running: Some(running), settings, events, session: session_events, exits }
    }

    /// Publishes other settings and lets the thread look at them, as a reload does.
    pub fn reload(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = (*self.settings.newest()).clone();
        change(&mut settings);
        self.settings.publish(settings);
        let _full = self.running.as_ref().unwrap().wake.try_send(());
    }

    pub fn event<T>(&self, what: &str, wanted: impl Fn(&Event) -> Option<T>) -> T {
        let end = Instant::now() + SOON;
        let mut others = Vec::new();
        loop {
            match self.events.recv_deadline(end) {
                Ok(event) => match wanted(&event) {
                    Some(found) => return found,
                    None => others.push(event),
                },
                Err(_) => panic!("not within {} s: {what}; heard: {others:?}", SOON.as_secs()),
            }
        }
    }

    /// The next word of the session that `wanted` likes.
    pub fn session<T>(&self, what: &str, wanted: impl Fn(&SessionEvent) -> Option<T>) -> T {
        let end = Instant::now() + SOON;
        let mut others = Vec::new();
        loop {
            match self.session.recv_deadline(end) {
                Ok(event) => match wanted(&event) {
                    Some(found) => return found,
                    None => others.push(event),
                },
                Err(_) => panic!("not within {} s: {what}; heard: {others:?}", SOON.as_secs()),
            }
        }
    }

    pub fn up(&self) {
        self.event("the link is up", |event| matches!(event, Event::Link(LinkState::Up)).then_some(()));
    }

    /// What is said when the link is down, once it has this code.
    pub fn down(&self, code: &str) -> String {
        self.event(code, |event| match event {
            Event::Link(LinkState::Down(reason)) if reason.contains(&format!(": {code}: ")) => Some(reason.clone()),
            _ => None,
        })
    }

    pub fn enrolled(&self) -> (AgentId, Option<Sensitive<String>>) {
        self.event("it is enrolled", |event| match event {
            Event::Enrolled(enrolment) => Some((enrolment.agent_id.clone(), enrolment.credential.clone())),
            _ => None,
        })
    }

    /// Ends it and gives how long that took.
    pub fn stop(mut self) -> Duration {
        let begin = Instant::now();
        // Dropping both stops.
        self.running = None;
        for _thread in 0..2 {
            self.exits.recv_timeout(SOON).expect("a thread ends");
        }
        begin.elapsed()
    }
}

/// What an agent measures of itself, of its host, and of so many containers, under the names that it has for them. What grows
/// grows with each look.
pub fn samples(containers: usize) -> Samples {
    const FINISHED: &str = "axion_agent_commands_finished_total";
    let looks = AtomicU32::new(0);
    Arc::new(move || {
        let look = f64::from(looks.fetch_add(1, Ordering::Relaxed));
        let of = |name, value| Sample::of(name, &[], value);
        let mut measured = vec![
            of("axion_agent_commands_open", 3.0),
            of("axion_agent_events_unreported", 0.0),
            Sample::of(FINISHED, &[("result", "completed")], 12.0),
            Sample::of(FINISHED, &[("result", "failed")], 1.0),
            of("process_cpu_seconds_total", 0.37 + 0.01 * look),
            of("process_resident_memory_bytes", 8_822_784.0),
            of("process_threads", 35.0),
            of("process_open_fds", 41.0),
            of("axion_host_load1", 0.31 + 0.01 * look),
            of("axion_host_memory_total_bytes", 8_269_193_216.0),
            of("axion_host_memory_available_bytes", 5_123_456_000.0 + 40_960.0 * look),
            Sample::of("axion_host_filesystem_size_bytes", &[("mountpoint", "/")], 52_710_469_632.0),
            Sample::of("axion_host_filesystem_available_bytes", &[("mountpoint", "/")], 31_710_469_632.0 - 4096.0 * look),
        ];
        for (n, mode) in ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"].into_iter().enumerate() {
            measured.push(Sample::of("axion_host_cpu_seconds_total", &[("mode", mode)], 81_234.56 * (n + 1) as f64 + 1.37 * look));
        }
        for interface in ["eth0", "docker0"] {
            for name in ["axion_host_network_receive_bytes_total", "axion_host_network_transmit_bytes_total"] {
                measured.push(Sample::of(name, &[("interface", interface)], 912_345_678.0 + 65_537.0 * look));
            }
        }
        for n in 0..containers {
            let (id, service) =
                (format!("{:012x}", 0x9e37_79b9_7f4a_u64.wrapping_mul(n as u64 + 1) & 0xffff_ffff_ffff), format!("shop_web{}", n % 7));
            let task = format!("{service}.{n}");
            let labels = [("container", id.as_str()), ("stack", "shop"), ("service", &service), ("task", &task)];
            let part = (n + 1) as f64;
            measured.push(Sample::of("axion_container_cpu_seconds_total", &labels, 17.123_456_789 * part + 0.023_571 * look));
            measured.push(Sample::of("axion_container_memory_working_set_bytes", &labels, 12_345_344.0 * part + 4096.0 * look));
            measured.push(Sample::of("axion_container_oom_kills_total", &labels, 0.0));
        }
        measured
    })
}

/// An agent that speaks TLS to `localhost` and knows this CA.
pub fn settings(port: u16, folder: &Folder, ca: Option<&Path>) -> Settings {
    Settings {
        endpoint: Endpoint { target: format!("localhost:{port}"), scheme: if ca.is_some() { Scheme::Tls } else { Scheme::Plain } },
        route: Route::Direct,
        ca_file: ca.map(Path::to_owned),
        client_certificate: None,
        timeout: Duration::from_secs(5),
        heartbeat_interval: Duration::from_secs(1),
        reporting: None,
        updates: None,
        max_message_bytes: 1 << 20,
        token: Some(Sensitive::new(TOKEN.to_owned())),
        token_file: None,
        name: Some("edge-7".to_owned()),
        labels: BTreeMap::new(),
        state_dir: folder.0.clone(),
    }
}

pub fn to_enrol() -> Identity {
    Identity::ToEnrol { wish: None, salt: Uuid::new_v4() }
}

pub fn authority(life: Duration) -> (Folder, Arc<Authority>) {
    let folder = Folder::new();
    let authority = Arc::new(Authority::open(&folder.0, life).unwrap());
    (folder, authority)
}

/// Looks until `condition` holds.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + SOON;
    while !condition() {
        assert!(Instant::now() < end, "not within {} s: {what}", SOON.as_secs());
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

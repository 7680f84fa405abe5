//! The control plane over gRPC: enrolment and heartbeats, with reports and questions for an update behind them, on the
//! thread `control-plane`; the [`session`] for immediate actions and logs on `grpc-session`.
//!
//! The first owns the agent's key and certificate and the channel that is made of them, reads the newest
//! [`Health`] when it beats and takes samples when they are due; nobody sends it requests. It says over which channel and in whose name the second speaks
//! ([`access`]). What both ends owe each other is in docs/control-plane.md. gRPC's own threads
//! (one completion queue named `grpc-cq`, and those of its C++ core) serve it and decide nothing.

mod access;
mod backlog;
mod call;
mod channel;
mod code;
mod examine;
mod fault;
mod host;
mod keyring;
mod line;
mod once;
mod pace;
mod probe;
mod session;
mod wire;
mod worker;

use crate::domain::{AgentId, Health, LinkState, Manifest, Sample, Sensitive, SwarmCount};
use crate::signing::Keys;
use crate::threads::{Exit, Published, Stop, StopSource, Thread, ThreadName, spawn, stop_pair};
use crossbeam_channel::{Sender, bounded};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

pub use crate::record::Read;
pub use channel::{Endpoint, Proxy, Route, Scheme};
pub use code::LinkCode;
pub use examine::{Called, Connected, call, connect};
pub use keyring::PAIR_FILE as CERTIFICATE_FILE;
pub use line::poll_without_backup;
pub use once::{enroll, forget, unregister};
pub use session::{Answer, EVENTS as SESSION_EVENTS, Event as SessionEvent, REQUESTS as SESSION_REQUESTS, Request as SessionRequest};

const THREAD: ThreadName = ThreadName::new("control-plane");
const SESSION_THREAD: ThreadName = ThreadName::new("grpc-session");

/// How to reach the control plane and what to say of this host. What is published later counts from the next try,
/// which [`ControlPlane::wake`] makes come at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where it is.
    pub endpoint: Endpoint,
    /// How to get there.
    pub route: Route,
    /// The CAs, PEM; there is none where the system has no bundle and the configuration names none.
    pub ca_file: Option<PathBuf>,
    /// The client's certificate and key, for mutual TLS.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// The longest time that one call may take.
    pub timeout: Duration,
    /// The time between heartbeats until the server says otherwise.
    pub heartbeat_interval: Duration,
    /// What is measured and reported, if anything is.
    pub reporting: Option<Reporting>,
    /// Which updates are asked for, if any are.
    pub updates: Option<Updates>,
    /// The largest action that a session takes, in bytes.
    pub max_message_bytes: usize,
    /// The one-time token of an agent that is not enrolled yet.
    pub token: Option<Sensitive<String>>,
    /// The file of that token, if it has one: it may get another.
    pub token_file: Option<PathBuf>,
    /// For people.
    pub name: Option<String>,
    /// For people.
    pub labels: BTreeMap<String, String>,
    /// Where the agent's own key and certificate are kept. It is there.
    pub state_dir: PathBuf,
}

/// How samples are taken and reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reporting {
    /// The time between two moments at which all is measured; no less than that between heartbeats.
    pub sample_interval: Duration,
    /// The most samples of one report, but one moment's at least.
    pub batch_size: usize,
    /// The longest time that one report may take.
    pub send_timeout: Duration,
}

/// Which updates are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Updates {
    /// The releases that the agent follows.
    pub channel: String,
    /// How often to ask.
    pub check_interval: Duration,
}

/// Takes samples, on the thread that beats.
pub type Samples = Arc<dyn Fn() -> Vec<Sample> + Send + Sync>;

/// What the thread that beats reads.
pub struct Sources {
    /// How to reach the control plane.
    pub settings: Published<Settings>,
    /// How the agent is.
    pub health: Published<Health>,
    /// The swarm as it was counted last.
    pub swarm: Published<Option<SwarmCount>>,
    /// What it measures.
    pub samples: Samples,
    /// The keys that an action may be signed with; those that hold when it comes.
    pub command_keys: Published<Keys>,
}

#[cfg(test)]
impl Settings {
    /// A control plane that nobody reaches.
    fn of_nowhere() -> Self {
        Self {
            endpoint: Endpoint { target: "127.0.0.1:9".to_owned(), scheme: Scheme::Tls },
            route: Route::Direct,
            ca_file: None,
            client_certificate: None,
            timeout: Duration::from_secs(1),
            heartbeat_interval: Duration::from_secs(5),
            reporting: None,
            updates: None,
            max_message_bytes: 1024,
            token: None,
            token_file: None,
            name: None,
            labels: BTreeMap::new(),
            state_dir: std::env::temp_dir(),
        }
    }
}

/// Who the agent is when the thread starts.
#[derive(Debug, Clone)]
pub enum Identity {
    /// The configuration says so, with a credential that a control plane may have sent.
    Configured(AgentId, Option<Sensitive<String>>),
    /// A control plane has said so, with the credential that it gave; there may be a certificate too.
    Enrolled(AgentId, Option<Sensitive<String>>),
    /// To be asked for with the token.
    ToEnrol {
        /// The id that the configuration wishes.
        wish: Option<AgentId>,
        /// With the token it makes the id of the request: the same until an answer was kept.
        salt: Uuid,
    },
}

/// What enrolment brought.
#[derive(Debug, Clone)]
pub struct Enrolment {
    /// The id.
    pub agent_id: AgentId,
    /// The one that the configuration wished for; the control plane may have given another.
    pub wish: Option<AgentId>,
    /// The bearer credential.
    pub credential: Option<Sensitive<String>>,
    /// `host:port`, several; empty where the server gave none.
    pub brokers: Vec<String>,
    /// Where commands come from.
    pub command_topic: String,
    /// Where events go.
    pub event_topic: String,
    /// Where unreadable records go.
    pub dead_letter_topic: String,
    /// Who may sign commands; none where the server named nobody.
    pub command_keys: Keys,
}

/// From the thread to the coordinator.
#[derive(Debug)]
pub enum Event {
    /// The agent has an identity now.
    Enrolled(Box<Enrolment>),
    /// The server sent a new credential.
    Credential(Sensitive<String>),
    /// The link changed.
    Link(LinkState),
    /// An update is offered, another one, or none any more.
    Update(Option<Offer>),
}

/// An update that the control plane offers: nobody has verified it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// What it is known by.
    pub manifest: Manifest,
    /// The signed manifest, as it came.
    pub envelope: Vec<u8>,
}

/// The running threads.
#[derive(Debug)]
pub struct ControlPlane {
    /// Dropping its stop ends the heartbeats: a call under way is cancelled, a last beat says STOPPING.
    pub beats: Running,
    /// Dropping its stop ends the session.
    pub session: Running,
    /// To the session.
    pub requests: Sender<SessionRequest>,
    /// Makes the next try come at once where the link is down, since something that the control plane did not like may
    /// have changed, and where other settings were published: over a new channel. Full says the same.
    pub wake: Sender<()>,
}

/// One of them.
#[derive(Debug)]
pub struct Running {
    /// Dropped to stop.
    pub stop: StopSource,
    /// The thread.
    pub thread: Thread,
}

/// Where the threads report.
#[derive(Debug)]
pub struct Events {
    /// Enrolment, credentials, the link.
    pub control_plane: Sender<Event>,
    /// Actions and logs that are asked for.
    pub session: Sender<SessionEvent>,
}

/// Starts the threads.
///
/// # Errors
/// When the operating system gives no further thread.
pub fn start(sources: Sources, identity: Identity, events: Events, exits: Sender<Exit>) -> io::Result<ControlPlane> {
    let (publisher, access) = access::pair();
    let (requests, inbox) = bounded(SESSION_REQUESTS);
    let (for_session, keys) = (sources.settings.clone(), sources.command_keys.clone());
    let session = run(SESSION_THREAD, exits.clone(), move |stop| {
        session::Session::new((for_session, keys), access, inbox, events.session, stop).run();
    })?;
    let (wake, woken) = bounded(1);
    let beats = run(THREAD, exits, move |stop| {
        worker::Worker::new(sources, events.control_plane, publisher, woken, stop).run(identity);
    })?;
    Ok(ControlPlane { beats, session, requests, wake })
}

fn run(name: ThreadName, exits: Sender<Exit>, body: impl FnOnce(Stop) + Send + 'static) -> io::Result<Running> {
    let (source, stop) = stop_pair();
    let thread = spawn(name, exits, move || {
        body(stop);
        Ok::<(), Infallible>(())
    })?;
    Ok(Running { stop: source, thread })
}

//! The control plane over gRPC: enrolment and heartbeats, on the thread `control-plane`.
//!
//! The thread reads the newest [`Health`] when it beats; nobody sends it requests. gRPC's own threads
//! (one completion queue named `grpc-cq`, and those of its C++ core) serve it and decide nothing.

mod call;
mod channel;
mod host;
mod wire;
mod worker;

use crate::domain::{AgentId, Health, LinkState, Sensitive};
use crate::threads::{Exit, Published, StopSource, Thread, ThreadName, spawn, stop_pair};
use crossbeam_channel::Sender;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub use channel::{Endpoint, Scheme};

const THREAD: ThreadName = ThreadName::new("control-plane");

/// How to reach the control plane and what to say of this host.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it is.
    pub endpoint: Endpoint,
    /// A private CA; none means the system's bundle.
    pub ca_file: Option<PathBuf>,
    /// The client's certificate and key, for mutual TLS.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// The longest time that one call may take.
    pub timeout: Duration,
    /// The time between heartbeats until the server says otherwise.
    pub heartbeat_interval: Duration,
    /// The one-time token of an agent that is not enrolled yet.
    pub token: Option<Sensitive<String>>,
    /// For people.
    pub name: Option<String>,
    /// For people.
    pub labels: BTreeMap<String, String>,
}

/// Who the agent is when the thread starts.
#[derive(Debug, Clone)]
pub enum Identity {
    /// Known, with the credential that enrolment gave, if it was enrolled.
    Known(AgentId, Option<Sensitive<String>>),
    /// To be asked for with the token; the id is one that the configuration wishes.
    ToEnrol(Option<AgentId>),
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
}

/// The running thread. Dropping `stop` ends it: a call under way is cancelled, a last beat says STOPPING.
#[derive(Debug)]
pub struct ControlPlane {
    /// Dropped to stop.
    pub stop: StopSource,
    /// The thread.
    pub thread: Thread,
}

/// Starts the thread.
///
/// # Errors
/// When the operating system gives no further thread.
pub fn start(
    settings: Settings,
    identity: Identity,
    health: Published<Health>,
    events: Sender<Event>,
    exits: Sender<Exit>,
) -> io::Result<ControlPlane> {
    let (source, stop) = stop_pair();
    let mut worker = worker::Worker::new(settings, health, events, stop);
    let thread = spawn(THREAD, exits, move || {
        worker.run(identity);
        Ok::<(), Infallible>(())
    })?;
    Ok(ControlPlane { stop: source, thread })
}

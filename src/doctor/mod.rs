//! The doctor: checks of everything that the agent needs, each `ok`, `warn`, `fail` or `skipped`, with what it means and
//! how it is mended. The face of the room.
//!
//! [`examine`] runs on the caller's thread (the command line's, or one of the agent's local clients'), with a thread of its
//! own for each part, all of them side by side and within [`TOTAL`]. It changes nothing: not in the state directory, not
//! on the brokers, not at the control plane, not in the swarm. Each file here is one subject: what it asks for is plain
//! blocking code, what it makes of the answers is pure (`judge_…`), and tested by table. What only a room knows how to
//! ask is asked by that room (`kafka::examine`, `docker::examine`, `control_plane::examine`, `journal::peek`).
//!
//! Two look at the same things: the operator's process, which works without any agent, and the running agent, which
//! alone sees from inside its sandbox and holds its identity ([`Vantage`]).

mod account;
mod catalogue;
mod certificates;
mod cgroups;
mod clock;
mod configuration;
mod control_plane;
mod engine;
mod finding;
mod host;
mod http;
mod kafka;
mod names;
mod ports;
mod process;
mod round;
mod running;
mod sandbox;
mod signers;
mod state;
mod versions;

pub use catalogue::{CHECKS, Check};
pub use configuration::{Configuration, Secret};
pub use finding::{Finding, Line, Seen, State, differing, text};
pub use http::over_unix;
pub use running::{Reported, agent_process, page};
pub use signers::{Signers, Unsigned};
pub use versions::versions;

use crate::domain::{AgentId, Sensitive};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The longest time that all checks together take. Those that have not answered by then have failed.
pub const TOTAL: Duration = Duration::from_secs(15);
/// The longest time that one question takes, so that the verdict about it is still told.
const QUESTION: Duration = Duration::from_secs(10);

/// From where it is looked.
#[derive(Debug, Clone)]
pub enum Vantage {
    /// A process of its own, of whoever has called it.
    Operator,
    /// The running agent, which says of its dependencies what it knows.
    Agent(Vec<Reported>),
}

/// What is looked at.
#[derive(Debug, Clone)]
pub struct Settings {
    /// From where.
    pub vantage: Vantage,
    /// What became of the configuration.
    pub configuration: Configuration,
    /// Whose commands are believed.
    pub signers: Signers,
    /// The state directory and its bounds.
    pub journal: Journal,
    /// The engine's socket.
    pub engine: PathBuf,
    /// Whether an engine in no swarm is put into one by the first command.
    pub auto_init: AutoInit,
    /// The health pages.
    pub health: SocketAddr,
    /// The agent's own socket, where it has one.
    pub socket: Option<PathBuf>,
    /// How Kafka is reached.
    pub kafka: Kafka,
    /// How the control plane is reached.
    pub control_plane: Option<ControlPlane>,
    /// The CAs of each purpose that uses TLS; none where there is no bundle.
    pub trust: Vec<(&'static str, Option<PathBuf>)>,
    /// The agent's certificates with their keys.
    pub certificates: Vec<Certificate>,
}

/// The state directory and its bounds, in bytes.
#[derive(Debug, Clone)]
pub struct Journal {
    /// `agent.state_dir`.
    pub directory: PathBuf,
    /// `limits.min_free_disk`.
    pub min_free_disk: u64,
    /// `limits.journal_size`.
    pub journal_size: u64,
}

/// What becomes of an engine in no swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoInit {
    /// `docker.swarm_auto_init = false`.
    Off,
    /// `docker.swarm_auto_init = true`.
    On,
}

/// How Kafka is reached.
#[derive(Debug, Clone)]
pub enum Kafka {
    /// Not at all: it is not configured.
    Off,
    /// So.
    Reached(Box<crate::kafka::Settings>),
    /// There are brokers, but who the agent is is not known here; why.
    Nameless(Box<crate::kafka::Settings>, String),
}

/// How the control plane is reached.
#[derive(Debug, Clone)]
pub struct ControlPlane {
    /// Address, way, CAs, certificates.
    pub settings: Box<crate::control_plane::Settings>,
    /// In whose name.
    pub identity: Identity,
}

/// Who the agent is to the control plane.
#[derive(Debug, Clone)]
pub enum Identity {
    /// This one, with the credential that speaks for it where no certificate does.
    Known(AgentId, Option<Sensitive<String>>),
    /// Not enrolled.
    Nobody,
    /// Not known here; why.
    Hidden(String),
}

/// A certificate of the agent.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// What it is for.
    pub purpose: &'static str,
    /// The file.
    pub certificate: PathBuf,
    /// The file of its key; the same where both are in one.
    pub key: PathBuf,
    /// Whether it may be missing: one that the control plane has not issued yet.
    pub wanted: Wanted,
}

/// Whether a certificate may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The configuration names it.
    Always,
    /// It is there once the control plane has issued it.
    OnceIssued,
}

/// Does every check; what was found is in the order of [`CHECKS`].
#[must_use]
pub fn examine(settings: &Settings) -> Vec<Finding> {
    let running = running::find(settings);
    let mut findings = round::all(settings, &running);
    let place = |finding: &Finding| CHECKS.iter().position(|check| std::ptr::eq(*check, finding.check));
    findings.sort_by_key(place);
    findings
}

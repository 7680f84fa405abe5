//! How the agent is, as health, heartbeats and status show it.

use super::readiness::{Failures, Weight};
use super::{CommandId, ProjectId, StackName, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// The agent as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Phase {
    /// A dependency was not reached yet since the start.
    Starting,
    /// Every dependency that is configured works.
    Ready,
    /// One that worked, or should, does not.
    Degraded,
    /// On its way out.
    Stopping,
}

/// One thing that the agent depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DependencyState {
    /// Not configured: nothing to wait for.
    Off,
    /// Not reached yet since the start.
    Connecting,
    /// It works.
    Ready,
    /// It does not.
    NotReady,
}

/// A dependency with its state, since when, and its last error with the mend; [`Dependency::told`] shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// `configuration`, `journal`, `threads`, `docker`, `kafka_consumer`, `kafka_producer`, `kafka_dead_letters`, `events`,
    /// `control_plane`, `session`, `local_socket`.
    pub name: &'static str,
    /// How it is.
    pub state: DependencyState,
    /// Since when it is so.
    pub since: Timestamp,
    /// What went wrong last; kept after it is mended.
    pub last_error: Option<String>,
    /// What it says of itself: versions, the swarm role, the address in use.
    pub detail: Option<String>,
    /// Whether the agent is not ready without it, and how soon.
    pub weight: Weight,
    /// How it has failed of late.
    pub failures: Failures,
    /// Whether it has worked since the start.
    pub has_worked: bool,
}

impl Dependency {
    /// One of which nothing is known yet.
    #[must_use]
    pub fn new(name: &'static str, state: DependencyState, weight: Weight, since: Timestamp) -> Self {
        let has_worked = state == DependencyState::Ready;
        Self { name, state, since, last_error: None, detail: None, weight, failures: Failures::default(), has_worked }
    }

    /// It goes over to another state. To say the same again changes nothing.
    pub fn turn(&mut self, state: DependencyState, now: Instant) {
        match (self.state, state) {
            (DependencyState::NotReady, DependencyState::NotReady) => {}
            (_, DependencyState::NotReady) => {
                let Weight::After(patience) = self.weight else { return self.state = state };
                self.failures.fails(patience, now);
            }
            (_, DependencyState::Ready) => {
                self.has_worked = true;
                self.failures.works(now);
            }
            (_, DependencyState::Off | DependencyState::Connecting) => {}
        }
        self.state = state;
    }
}

/// Whether something at the other end of a wire is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// It answers.
    Up,
    /// It does not, with the reason and the mend.
    Down(String),
}

/// The newest command that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastCommand {
    /// Which.
    pub id: CommandId,
    /// Its command_type.
    pub command_type: &'static str,
    /// The kind of its terminal event.
    pub result: &'static str,
    /// When it ended.
    pub finished_at: Timestamp,
}

/// A stack that this agent owns, in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackBrief {
    /// Whose it is.
    pub project: ProjectId,
    /// The number of the newest kept revision; 0 without one.
    pub revision: u64,
}

/// The manifest of another version, as it was received: nobody has checked it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Manifest {
    /// SHA-256, in hexadecimal.
    pub sha256: String,
    /// Its length.
    pub bytes: usize,
}

/// The control plane offers another version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UpdateOffer {
    /// Since when.
    pub since: Timestamp,
    /// What it offers.
    #[serde(flatten)]
    pub manifest: Manifest,
}

/// The snapshot that the coordinator publishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// The whole.
    pub phase: Phase,
    /// The parts; [`Self::told`] shows them.
    #[serde(skip)]
    pub dependencies: Vec<Dependency>,
    /// Since when nothing starts that changes something, because somebody asked for it.
    pub paused_since: Option<Timestamp>,
    /// Commands admitted and not finished.
    pub commands_open: usize,
    /// Terminal events that the broker has not confirmed yet.
    pub events_unreported: usize,
    /// The newest command that has ended.
    pub last_command: Option<LastCommand>,
    /// Another version, if one is offered.
    pub update_offered: Option<UpdateOffer>,
    /// The stacks of this agent; for heartbeats, not for the health pages, which need no password.
    #[serde(skip)]
    pub stacks: Arc<BTreeMap<StackName, StackBrief>>,
}

impl Health {
    /// With these parts, and nothing else to tell.
    #[must_use]
    pub fn of(phase: Phase, dependencies: Vec<Dependency>) -> Self {
        Self {
            phase,
            dependencies,
            paused_since: None,
            commands_open: 0,
            events_unreported: 0,
            last_command: None,
            update_offered: None,
            stacks: Arc::default(),
        }
    }

    /// Whether `/readyz` says yes: it does its work, though it may be degraded.
    #[must_use]
    pub fn is_ready(&self, now: Instant) -> bool {
        self.phase != Phase::Stopping && !self.dependencies.iter().any(|dependency| dependency.holds_up(now))
    }

    /// As pages and answers show it.
    #[must_use]
    pub fn told(&self, now: Instant) -> Map<String, Value> {
        let Ok(Value::Object(mut told)) = serde_json::to_value(self) else { return Map::new() };
        told.insert("ready".to_owned(), json!(self.is_ready(now)));
        told.insert("dependencies".to_owned(), self.dependencies.iter().map(|dependency| dependency.told(now)).collect());
        told
    }

    /// The phase that follows from the parts.
    #[must_use]
    pub fn phase_of(dependencies: &[Dependency]) -> Phase {
        let any = |state| dependencies.iter().any(|dependency| dependency.state == state);
        if any(DependencyState::NotReady) {
            Phase::Degraded
        } else if any(DependencyState::Connecting) {
            Phase::Starting
        } else {
            Phase::Ready
        }
    }
}

//! How the agent is, as health, heartbeats and status show it.

use super::{CommandId, ProjectId, StackName, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

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

/// A dependency with its state, since when, and its last error with the mend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dependency {
    /// `configuration`, `journal`, `docker`, `kafka_consumer`, `kafka_producer`, `kafka_dead_letters`, `control_plane`,
    /// `session`.
    pub name: &'static str,
    /// How it is.
    pub state: DependencyState,
    /// Since when it is so.
    pub since: Timestamp,
    /// What went wrong last; kept after it is mended.
    pub last_error: Option<String>,
    /// What it says of itself: versions, the swarm role, the address in use.
    pub detail: Option<String>,
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
    /// The parts.
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
    /// Whether `/readyz` says yes.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
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

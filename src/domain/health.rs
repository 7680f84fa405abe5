//! How the agent is, as health, heartbeats and status show it.

use super::Timestamp;
use serde::Serialize;

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
    /// `docker`, `kafka_consumer`, `kafka_producer`, `control_plane`, `journal`.
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

/// The snapshot that the coordinator publishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// The whole.
    pub phase: Phase,
    /// The parts.
    pub dependencies: Vec<Dependency>,
    /// Commands admitted and not finished.
    pub commands_open: usize,
    /// Terminal events that the broker has not confirmed yet.
    pub events_unreported: usize,
    /// Whether the coordinator finished its own start.
    pub started: bool,
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

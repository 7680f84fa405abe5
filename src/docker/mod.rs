//! The Docker manager: the Engine API over its Unix socket, and the lanes that carry commands out.
//!
//! Threads: `docker-lane-N` (one changing command at a time each), `docker-query` (commands that only
//! read), `docker-events` (the event stream; it also tells whether the engine answers).

mod api;
mod client;
mod error;
mod transport;
mod types;

use crate::domain::{AgentId, Command, CommandId, Outcome, Progress, RegistryCredential};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How to reach the engine, and the bounds of a command.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The engine's Unix socket.
    pub socket: PathBuf,
    /// How many changing commands run side by side.
    pub lanes: usize,
    /// A command's own time where it names none.
    pub deploy_timeout: Duration,
    /// How many revisions of a stack are kept.
    pub revisions: usize,
    /// Logins by registry host; a command's own come first.
    pub registries: BTreeMap<String, RegistryCredential>,
}

/// To a lane or to the query thread.
#[derive(Debug, Clone)]
pub struct Job {
    /// What to do.
    pub command: Arc<Command>,
    /// In whose name.
    pub agent: AgentId,
    /// Whether it was begun before, by a process that ended in the middle.
    pub entry: Entry,
}

/// How a command comes to its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// For the first time.
    Fresh,
    /// Again, after a crash or a restart: observe first, assume nothing.
    Resumed,
}

/// From the lanes, the query thread and the event stream.
#[derive(Debug)]
pub enum Event {
    /// A command goes on.
    Progress(CommandId, Progress),
    /// A command has ended.
    Finished(CommandId, Outcome),
    /// The lane stopped at a checkpoint because it was asked to: the command stays open in the journal.
    Suspended(CommandId),
    /// The engine's state changed.
    Engine(EngineState),
}

/// What is known of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineState {
    /// It answers.
    Up {
        /// Its version, such as `20.10.24`.
        version: String,
        /// The API version in use.
        api: String,
        /// Its role in a swarm.
        swarm: SwarmRole,
    },
    /// It does not, with the reason.
    Away(String),
}

/// The engine's role in a swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwarmRole {
    /// In no swarm.
    Inactive,
    /// A member that cannot change anything.
    Worker,
    /// A manager.
    Manager,
}

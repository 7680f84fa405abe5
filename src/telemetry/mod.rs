//! What the agent counts about itself, what it measures of its host and of the containers on it, the page that Prometheus
//! reads, and the samples that the control plane is told.
//!
//! [`Metrics`] is what any thread counts with, and what the page and the reports are read from. The thread `telemetry` looks at
//! the process, the host and its containers every interval, and publishes a text that is ready to be sent: a scrape costs no look.
//! It reads files of the kernel alone. Which containers run it is told ([`Containers`]), and how the swarm is ([`SwarmCount`]);
//! it never asks the engine.

mod cgroup;
mod containers;
mod draft;
mod family;
mod files;
mod host;
mod interfaces;
mod look;
mod loop_state;
mod mountinfo;
mod own;
mod page;
mod process;
mod swarm;
mod text;
#[cfg(test)]
mod tree;
mod value;
mod worker;

use crate::domain::{Containers, SwarmCount};
use crate::threads::{Exit, Published, StopSource, Thread, ThreadName, spawn, stop_pair};
use crossbeam_channel::{Receiver, Sender, bounded};
use look::Looker;
use std::io;
use std::time::Duration;
use worker::Worker;

pub use family::{FAMILIES, Family, Kind, Reach};
pub use loop_state::{Queue, ThreadState, Word};
pub use own::Metrics;

const THREAD: ThreadName = ThreadName::new("telemetry");
/// Where the kernel's files are on a host: paths begin with the slash.
const ROOT: &str = "";

/// How the host is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Between two looks.
    pub interval: Duration,
    /// Whether containers are looked at too.
    pub containers: Measured,
    /// Who hears of each look.
    pub hearers: Hearers,
}

/// Who hears of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hearers {
    /// Nobody: whoever wants to know reads.
    Nobody,
    /// The coordinator.
    Coordinator,
}

/// From the thread to the coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// There is a newer look.
    Looked,
}

/// Looks that the coordinator has not heard of: a second one says nothing new.
pub const EVENTS: usize = 1;

/// Whether containers are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measured {
    /// Each of them.
    Each,
    /// None.
    None,
}

impl Measured {
    fn are_measured(self) -> bool {
        self == Self::Each
    }
}

/// What the thread is told.
#[derive(Debug, Clone)]
pub struct Sources {
    /// Which containers run.
    pub containers: Published<Containers>,
    /// Ready when one of them has ended: what is known of it is let go at once.
    pub ended: Receiver<()>,
    /// The swarm as it was counted last.
    pub swarm: Published<Option<SwarmCount>>,
}

/// The running thread.
#[derive(Debug)]
pub struct Telemetry {
    /// Makes the thread take over what was published. Full says the same; dropping it ends the thread.
    pub wake: Sender<()>,
    /// Dropped to stop.
    pub stop: StopSource,
    /// The thread.
    pub thread: Thread,
}

/// Starts the thread. It looks as `settings` say, not at all where there are none, and puts what it finds into `metrics`.
///
/// # Errors
/// When the operating system gives no further thread.
pub fn start(
    settings: Published<Option<Settings>>,
    sources: Sources,
    metrics: &Metrics,
    events: Sender<Event>,
    exits: Sender<Exit>,
) -> io::Result<Telemetry> {
    let (source, stop) = stop_pair();
    let (wake, woken) = bounded(1);
    let worker = Worker { settings, sources, found: metrics.found(), events, woken, stop };
    let thread = spawn(THREAD, exits, move || worker.run(Looker::new(ROOT)))?;
    Ok(Telemetry { wake, stop: source, thread })
}

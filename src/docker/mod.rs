//! The Docker manager: the Engine API over its Unix socket, and the lanes that carry commands out.
//!
//! Threads: `docker-lane-N` (one changing command at a time each), `docker-query` (commands that only
//! read), `docker-events` (the event stream; it also tells whether the engine answers), `docker-survey` (counts the swarm now and
//! then), `log-follow` (one for each log that is followed).
//!
//! A [`Job`] goes in, [`Event`]s come out. A lane runs a command in a [`room`]: reads wait for an engine
//! that is away, changes are in the journal before they are made. Stopping never stops a container.

mod api;
mod census;
mod changes;
mod choose;
mod client;
mod containers;
mod deploy;
mod disk;
mod error;
mod events;
mod examine;
#[cfg(test)]
mod fake_engine;
#[cfg(test)]
mod fake_ledger;
#[cfg(test)]
mod fake_swarm;
mod follow;
mod glance;
mod lane;
mod leftovers;
mod logs;
mod notebook;
mod ownership;
mod prune;
#[cfg(test)]
mod prune_tests;
mod remove;
mod room;
mod scale;
mod seat;
mod status;
mod survey;
mod swarm;
#[cfg(test)]
mod tests;
mod types;
mod view;

pub use examine::{Examined, PublishedPort, Reachability, Readiness, SeenNode, Swarm, Unexamined, examine};
pub use follow::{FollowJob, Follows, MAX_FOLLOWS};
pub use view::View;

use crate::domain::{AgentId, Command, CommandId, Containers, Entry, Ledger, Outcome, Progress, RegistryCredential, SwarmCount};
use crate::threads::{Exit, Published, Stop, StopSource, Thread, ThreadName, spawn, stop_pair};
use client::Client;
use crossbeam_channel::{Receiver, Sender, bounded};
use follow::Running;
use lane::Work;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use survey::Survey;

/// How many queries are handed out. They run one after another, milliseconds each; those that wait keep the thread at work
/// while the ends of those before are written down, which share a write then.
pub const QUERIES: usize = 32;
/// The lanes' names. More lanes than these would not make two cores faster.
const LANES: [ThreadName; 8] = [
    ThreadName::new("docker-lane-1"),
    ThreadName::new("docker-lane-2"),
    ThreadName::new("docker-lane-3"),
    ThreadName::new("docker-lane-4"),
    ThreadName::new("docker-lane-5"),
    ThreadName::new("docker-lane-6"),
    ThreadName::new("docker-lane-7"),
    ThreadName::new("docker-lane-8"),
];

/// How to reach the engine, and the bounds of a command. A command keeps those that it began with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The engine's Unix socket. It counts at the start alone.
    pub socket: PathBuf,
    /// How many changing commands run side by side. It counts at the start alone.
    pub lanes: usize,
    /// A command's own time where it names none.
    pub deploy_timeout: Duration,
    /// How long a node may prepare a task.
    pub pull_timeout: Duration,
    /// What becomes of a command for a stack where the engine is in no swarm.
    pub swarmless: Swarmless,
    /// How the engine is asked for a sign of life.
    pub probe: Probe,
    /// How many revisions of a stack are kept.
    pub revisions: usize,
    /// What becomes of images that earlier deploys have pulled.
    pub old_images: OldImages,
    /// Logins by registry host; a command's own come first.
    pub registries: BTreeMap<String, RegistryCredential>,
    /// Whether the swarm is counted.
    pub counting: Counting,
}

/// Whether the swarm is counted now and then, for those who look on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counting {
    /// Nothing is asked for it.
    Off,
    /// Every half minute.
    On,
}

/// What becomes of a command for a stack where the engine is in no swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swarmless {
    /// It is refused.
    Refused,
    /// It makes a swarm of this engine alone.
    MakesOne,
}

/// What becomes of images of this node that earlier deploys have pulled by digest and nothing needs any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldImages {
    /// They stay.
    Stay,
    /// The next deploy removes them.
    Go,
}

/// How the engine is asked for a sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// After so much silence. It counts when the event stream is opened.
    pub interval: Duration,
    /// How long the answer may take.
    pub timeout: Duration,
    /// After so many failures in a row the engine is away.
    pub failures: u32,
}

impl Settings {
    /// An engine, with what holds where nobody says otherwise.
    #[must_use]
    pub fn of(socket: PathBuf) -> Self {
        Self {
            socket,
            lanes: 2,
            deploy_timeout: Duration::from_secs(15 * 60),
            pull_timeout: Duration::from_secs(10 * 60),
            swarmless: Swarmless::Refused,
            probe: Probe { interval: Duration::from_secs(30), timeout: Duration::from_secs(10), failures: 3 },
            revisions: 5,
            old_images: OldImages::Go,
            registries: BTreeMap::new(),
            counting: Counting::Off,
        }
    }
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
    /// Comes when somebody cancels it.
    pub cancelled: Stop,
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

impl SwarmRole {
    /// As health and status show it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Worker => "worker",
            Self::Manager => "manager",
        }
    }
}

/// The handle: where jobs go, and what stops the threads.
#[derive(Debug)]
pub struct Docker {
    /// To the lanes. It has room for one job per configured lane.
    pub jobs: Sender<Job>,
    /// To the query thread.
    pub queries: Sender<Job>,
    /// Where logs are followed.
    pub follows: Follows,
    /// For those who look on.
    pub view: View,
    /// Which containers run on this node, as the event stream tells.
    pub containers: Published<Containers>,
    /// Ready when one of them has ended.
    pub ended: Receiver<()>,
    /// The swarm as it was counted last; nothing while nothing is known.
    pub swarm: Published<Option<SwarmCount>>,
    /// Dropping it lets each lane reach its checkpoint ([`Event::Suspended`]) and ends the threads.
    pub stop: StopSource,
    /// The lanes, the query thread, the event stream, the survey.
    pub threads: Vec<Thread>,
}

/// Starts the lanes, the query thread and the event stream. The engine need not be there. What is published later
/// counts from the next command on.
///
/// # Errors
/// When the operating system gives no further thread.
pub fn start(settings: Published<Settings>, ledger: Arc<dyn Ledger>, events: Sender<Event>, exits: Sender<Exit>) -> io::Result<Docker> {
    let (source, stop) = stop_pair();
    let first = settings.newest();
    let client = Client::connect(&first.socket);
    let engine = Arc::new(events::Engine::new(Client::connect(&first.socket), settings.clone(), events.clone()));
    let (containers, ended) = (engine.containers.published(), engine.containers.ended());
    // The coordinator never waits: what it hands out has a place here, even when more lanes are configured than there are names.
    let (jobs, lane_jobs) = bounded(first.lanes.max(1));
    let (queries, query_jobs) = bounded(QUERIES);
    let lanes = first.lanes.clamp(1, LANES.len());
    let following = Arc::new(Running::default());
    let swarm = Published::new(None);
    let survey = Survey { client: client.clone(), engine: Arc::clone(&engine), settings: settings.clone(), count: swarm.clone() };
    let work = Arc::new(Work { settings, client, ledger, engine: Arc::clone(&engine), events, stop: stop.clone(), following });

    let survey_stop = stop.clone();
    let stream = move || events::run(&engine, &stop);
    let mut threads = vec![
        spawn(ThreadName::new("docker-events"), exits.clone(), stream)?,
        spawn(ThreadName::new("docker-survey"), exits.clone(), move || survey.run(&survey_stop))?,
    ];
    let takers = LANES.into_iter().take(lanes).map(|name| (name, lane_jobs.clone()));
    for (name, jobs) in takers.chain([(ThreadName::new("docker-query"), query_jobs)]) {
        let work = Arc::clone(&work);
        threads.push(spawn(name, exits.clone(), move || lane::run(&work, &jobs))?);
    }
    let (follows, view) = (Follows::new(Arc::clone(&work)), View::new(work));
    Ok(Docker { jobs, queries, follows, view, containers, ended, swarm, stop: source, threads })
}

//! The local socket: HTTP/1.1 and JSON over a Unix socket, for the command line and whatever speaks as it does.
//!
//! Threads: `ipc` accepts, reads the requests of all clients side by side and bounds them; `ipc-client` and `ipc-stream`
//! answer one request each and end with it. What changes something, and what is to be listened to, goes to the
//! coordinator as an [`Event`]; what is only looked at is read from what is published, or through [`Reads`]. It decides
//! nothing about a command: those that come here take the same road as any other.

mod answer;
mod command;
mod door;
mod failure;
mod head;
mod levels;
mod peer;
mod pending;
mod route;
mod serve;
mod socket;
mod stream;

pub use crate::record::Read;
pub use failure::Failure;
pub use route::{LogQuery, ROUTES};

use crate::domain::{Code, CommandId, Event as Told, Follow, FollowId, FollowPart, Health, Recent, StackName, SwarmCount, Timestamp};
use crate::threads::{Exit, Published, StopSource, Thread, ThreadName, spawn, stop_pair, supervise};
use crossbeam_channel::Sender;
use door::Door;
use serde_json::Value;
use serve::Service;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

const NAME: ThreadName = ThreadName::new("ipc");
const STOP: ThreadName = ThreadName::new("ipc-stop");
/// Requests on their way to the coordinator: a client waits for room, for as long as for an answer.
pub const EVENTS: usize = 16;
/// What one listener has not taken yet. With it full, events are left out and counted; the last word of a command is not.
pub const EAR: usize = 128;

/// Where the socket is, and who may use it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The socket.
    pub path: PathBuf,
    /// Its permissions.
    pub mode: u32,
    /// Its group; the agent's own where none is named.
    pub group: Option<String>,
    /// What one command may have, in bytes.
    pub max_message_bytes: usize,
}

/// To the coordinator.
#[derive(Debug)]
pub enum Event {
    /// A command; what comes of it goes to the ear.
    Command(Box<Read>, Ear),
    /// Somebody wants to hear the rest of a command.
    Listen(CommandId, Ear),
    /// Somebody wants to hear everything from now on.
    Watch(Ear),
    /// A log is to be followed; its lines go to `parts`, and `bell` is rung after each of them.
    Follow {
        /// Which log.
        follow: Follow,
        /// Where its lines go.
        parts: Sender<FollowPart>,
        /// Rung after each of them.
        bell: Sender<()>,
    },
    /// Nobody wants it any more.
    EndFollow(FollowId),
}

/// Where somebody hears of commands.
pub type Ear = Sender<Heard>;

/// What is heard.
#[derive(Debug, Clone)]
pub enum Heard {
    /// An event, as everybody is told it.
    Event(Arc<Told>),
    /// The command cannot be taken now, or is not known; nothing was done.
    No(Code, String),
    /// So many events were left out because nobody took them in time.
    Lost(u64),
}

/// What is looked at beside what is published. The calls may take seconds, and run on the thread of the client.
pub trait Reads: Send + Sync {
    /// The stacks of the swarm.
    ///
    /// # Errors
    /// When the engine cannot be read.
    fn stacks(&self) -> Result<Value, Failure>;
    /// One of them with its tasks and revisions.
    ///
    /// # Errors
    /// When there is none of that name, or the engine cannot be read.
    fn stack(&self, stack: &StackName) -> Result<Value, Failure>;
    /// The names of its services, as in the Compose file.
    ///
    /// # Errors
    /// When there is none of that name, or the engine cannot be read.
    fn services(&self, stack: &StackName) -> Result<Vec<String>, Failure>;
    /// The newest lines of these services, in order of time.
    ///
    /// # Errors
    /// When there is no such service, or the engine cannot be read.
    fn logs(&self, stack: &StackName, query: &LogQuery) -> Result<Vec<Value>, Failure>;
    /// What the agent finds when it looks at itself and its host.
    ///
    /// # Errors
    /// When it cannot look.
    fn doctor(&self) -> Result<Value, Failure>;
    /// What is known of other versions of the agent.
    fn update(&self) -> Value;
    /// Looks whether there is another one; it may take as long as a look over the network.
    ///
    /// # Errors
    /// When none could be installed here, or nobody offers one.
    fn check_for_update(&self) -> Result<Value, Failure>;
    /// What the agent itself takes: memory, CPU, threads.
    fn resources(&self) -> Value;
    /// How many records of the command topic wait to be taken in; none where that is not known.
    fn consumer_lag(&self) -> Option<u64>;
    /// Who the agent is, once it knows.
    fn identity(&self) -> Option<String>;
}

/// What the clients see.
#[derive(Clone)]
pub struct Sources {
    /// When the agent was started.
    pub started: Timestamp,
    /// How the agent is.
    pub health: Published<Health>,
    /// The swarm as it was counted last.
    pub swarm: Published<Option<SwarmCount>>,
    /// The commands of late.
    pub recent: Published<Recent>,
    /// The rest.
    pub reads: Arc<dyn Reads>,
}

/// The running threads. Dropping `stop` ends them.
#[derive(Debug)]
pub struct Ipc {
    /// Dropped to stop.
    pub stop: StopSource,
    /// The threads.
    pub threads: Vec<Thread>,
}

/// The socket cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process serves it.
    #[error("cannot serve the local socket {0}: another agent answers on it; stop it, or give this one its own local.ipc_socket_path")]
    InUse(PathBuf),
    /// It cannot be made.
    #[error(
        "cannot make the local socket {path}: {source}; check local.ipc_socket_path (its folder must be there and writable, 107 bytes at most), or set local.enabled = false"
    )]
    Bind {
        /// The socket.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// There is no such group.
    #[error("cannot give the local socket to the group {0:?}: this system has none of that name; check local.ipc_group")]
    NoGroup(String),
    /// It cannot be given to its group or mode.
    #[error("cannot give the local socket {path} its group or its permissions: {source}; is the agent a member of local.ipc_group?")]
    Permissions {
        /// The socket.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A thread.
    #[error("cannot start a thread of the local socket: {0}")]
    Thread(io::Error),
    /// The thread cannot wait for its sockets.
    #[error("the local socket's thread cannot wait for its sockets: {0}")]
    Poll(io::Error),
}

/// Starts to serve the socket.
///
/// # Errors
/// When it cannot be had; the message names the key to change.
pub fn start(settings: &Settings, sources: Sources, events: Sender<Event>, exits: Sender<Exit>) -> Result<Ipc, Error> {
    let listener = socket::bind(settings)?;
    let (wake_end, wake) = UnixStream::pair().map_err(Error::Thread)?;
    let (source, stop) = stop_pair();
    let service = Arc::new(Service { sources, events, max_message_bytes: settings.max_message_bytes, stop: stop.clone() });
    let mut door = Door::new(listener, wake, service).map_err(Error::Thread)?;
    let (path, door_stop) = (settings.path.clone(), stop.clone());
    let run_door = move || {
        let ended = supervise(NAME, &door_stop, || door.run());
        // Nobody is to find a socket on which nobody answers.
        drop(std::fs::remove_file(path));
        ended
    };
    let run_stop = move || {
        stop.wait_for_stop();
        drop(wake_end);
        Ok::<(), Error>(())
    };
    let threads = vec![spawn(NAME, exits.clone(), run_door).map_err(Error::Thread)?, spawn(STOP, exits, run_stop).map_err(Error::Thread)?];
    log::info!("local socket {}", settings.path.display());
    Ok(Ipc { stop: source, threads })
}

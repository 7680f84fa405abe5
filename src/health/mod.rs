//! The health pages over HTTP: `/health`, `/livez`, `/readyz`, `/metrics` and `/` for people.
//!
//! Threads: `health-gate` accepts and bounds the connections and answers scrapes, `health-http` answers the requests that
//! the gate passes on to tiny_http (its own threads carry that name too), `health-stop` sleeps until the end and wakes
//! the other two. They read the newest published [`Health`] and change nothing; nobody sends them
//! anything, and a slow or hostile reader of the pages costs the rest of the agent nothing.

mod connection;
mod gate;
mod head;
mod http;
mod pages;
mod scrape;

use crate::domain::Health as Snapshot;
use crate::threads::{Exit, Published, StopSource, Thread, ThreadName, spawn, stop_pair, supervise};
use crossbeam_channel::Sender;
use gate::Gate;
use http::Http;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

const GATE: ThreadName = ThreadName::new("health-gate");
const HTTP: ThreadName = ThreadName::new("health-http");
const STOP: ThreadName = ThreadName::new("health-stop");
/// tiny_http's own socket in the private folder.
const SOCKET: &str = "health.sock";

/// Where the pages are.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the pages are read.
    pub bind: SocketAddr,
    /// A folder that only the agent can enter, for the socket between the gate and tiny_http.
    pub private_dir: PathBuf,
}

/// The page of `/metrics`, in two parts, which may be the same for the next reader.
pub type MetricsText = [Arc<String>; 2];

/// Writes the page of `/metrics`.
pub type MetricsPage = Arc<dyn Fn() -> MetricsText + Send + Sync>;

/// The running threads. Dropping `stop` ends them.
#[derive(Debug)]
pub struct Health {
    /// Dropped to stop.
    pub stop: StopSource,
    /// The threads.
    pub threads: Vec<Thread>,
    /// Where the pages are: the port is the one in use, also where the settings left it open with 0.
    pub address: SocketAddr,
}

/// The health pages cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else listens there.
    #[error("cannot serve the health pages on {0}: the address is in use; set health.port to a free port, or stop what listens there")]
    AddressInUse(SocketAddr),
    /// The address cannot be used.
    #[error("cannot serve the health pages on {address}: {source}; check health.bind and health.port")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The private socket cannot be made.
    #[error("cannot make the health pages' private socket {path}: {source}; is agent.state_dir writable, and shorter than 90 bytes?")]
    PrivateSocket {
        /// The socket.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// tiny_http does not start, or has stopped accepting.
    #[error("the HTTP server of the health pages failed: {0}")]
    Server(String),
    /// The gate cannot wait for its sockets.
    #[error("the gate of the health pages cannot wait for its sockets: {0}")]
    Poll(io::Error),
    /// A thread.
    #[error("cannot start a thread of the health pages: {0}")]
    Thread(io::Error),
}

/// Starts to serve the pages.
///
/// # Errors
/// When the address or the private socket cannot be had; the message names the key to change.
pub fn start(settings: Settings, published: Published<Snapshot>, metrics: MetricsPage, exits: Sender<Exit>) -> Result<Health, Error> {
    let bind = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => Error::AddressInUse(settings.bind),
        _ => Error::Bind { address: settings.bind, source },
    };
    let listener = TcpListener::bind(settings.bind).map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    let path = settings.private_dir.join(SOCKET);
    let (wake_end, wake) = UnixStream::pair().map_err(Error::Thread)?;
    let mut gate = Gate::new(listener, wake, path.clone(), Arc::clone(&metrics)).map_err(bind)?;
    let mut http = Http::bind(path, published, metrics)?;
    let waker = http.waker();

    let (source, stop) = stop_pair();
    let gate_stop = stop.clone();
    let run_gate = move || supervise(GATE, &gate_stop, || gate.run());
    let http_stop = stop.clone();
    let run_http = move || supervise(HTTP, &http_stop, || http.run(&http_stop));
    let run_stop = move || {
        stop.wait_for_stop();
        drop(wake_end);
        waker.wake();
        Ok::<(), Error>(())
    };
    let threads = vec![
        spawn(HTTP, exits.clone(), run_http).map_err(Error::Thread)?,
        spawn(GATE, exits.clone(), run_gate).map_err(Error::Thread)?,
        spawn(STOP, exits, run_stop).map_err(Error::Thread)?,
    ];
    log::info!("health pages on http://{address}/");
    Ok(Health { stop: source, threads, address })
}

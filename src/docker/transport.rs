//! HTTP/1.1 bytes over the engine's Unix socket, as ureq wants them: a connector, a transport, and a
//! resolver that resolves nothing (ureq's own would start a thread per look-up).
//!
//! Runs on the thread of whoever makes a call. ureq keeps idle connections and asks [`Transport::is_open`]
//! before it uses one again. It never retries: whether a lost answer may be asked for twice is the caller's decision.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use std::{error, fmt, net};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, ShutdownHandle, Transport};

/// Idle connections that are kept: one per lane, the query thread and a spare.
const IDLE_CONNECTIONS: usize = 4;
/// A connection that was idle for longer is closed: a stack's commands come in bursts.
const IDLE_AGE: Duration = Duration::from_secs(60);
/// What one read takes at most, in bytes. Two such buffers per open connection.
const BUFFER: usize = 16 * 1024;

/// A ureq agent whose every request goes to `socket`, whatever host its URL names.
pub(super) fn agent(socket: &Path) -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        // A socket on this machine needs no proxy, whatever the environment says.
        .proxy(None)
        .http_status_as_error(false)
        .max_redirects(0)
        .user_agent(concat!("axion-agent/", env!("CARGO_PKG_VERSION")))
        .max_idle_connections(IDLE_CONNECTIONS)
        .max_idle_connections_per_host(IDLE_CONNECTIONS)
        .max_idle_age(IDLE_AGE)
        .input_buffer_size(BUFFER)
        .output_buffer_size(BUFFER)
        .build();
    ureq::Agent::with_parts(config, UnixConnector { socket: socket.to_owned() }, NoResolver)
}

/// No connection could be made: the request was certainly not sent.
#[derive(Debug)]
pub(super) struct Unreachable(pub(super) io::Error);

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl error::Error for Unreachable {}

#[derive(Debug)]
struct UnixConnector {
    socket: PathBuf,
}

impl Connector for UnixConnector {
    type Out = UnixTransport;

    fn connect(&self, details: &ConnectionDetails<'_>, _chained: Option<()>) -> Result<Option<UnixTransport>, ureq::Error> {
        // It does not wait: the kernel accepts on the engine's behalf until its backlog (4096 by default) is full.
        let stream = UnixStream::connect(&self.socket).map_err(|error| ureq::Error::Other(Box::new(Unreachable(error))))?;
        let socket = Arc::new(Socket(stream));
        let handle: Weak<Socket> = Arc::downgrade(&socket);
        (details.register_shutdown)(handle)?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(UnixTransport { socket, buffers }))
    }
}

/// Shared with ureq's agent, which can close it under a read of another thread.
#[derive(Debug)]
struct Socket(UnixStream);

impl ShutdownHandle for Socket {
    fn shutdown(&self) {
        // An error means that it is closed already.
        drop(self.0.shutdown(net::Shutdown::Both));
    }
}

#[derive(Debug)]
struct UnixTransport {
    socket: Arc<Socket>,
    buffers: LazyBuffers,
}

impl Transport for UnixTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let timeout = timeout.for_write();
        let mut stream = &self.socket.0;
        stream.set_write_timeout(span(timeout)?)?;
        stream.write_all(&self.buffers.output()[..amount]).map_err(|error| timed(error, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let timeout = timeout.for_read();
        let until = span(timeout)?.map(|span| Instant::now() + span);
        let mut stream = &self.socket.0;
        let buffer = self.buffers.input_append_buf();
        let amount = loop {
            // Linux does not restart a read with SO_RCVTIMEO after a signal: go on with what is left.
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(ureq::Error::Timeout(timeout.reason));
            }
            stream.set_read_timeout(left)?;
            match stream.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result.map_err(|error| timed(error, timeout))?,
            }
        };
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        is_quiet(&self.socket.0).unwrap_or(false)
    }
}

/// Whether the other side still holds the connection and has said nothing that was not asked for.
fn is_quiet(mut stream: &UnixStream) -> io::Result<bool> {
    stream.set_nonblocking(true)?;
    let quiet = match stream.read(&mut [0]) {
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        Ok(_closed_or_stray) => false,
    };
    stream.set_nonblocking(false)?;
    Ok(quiet)
}

/// The time as a socket takes it: none means for ever, and zero is not allowed.
fn span(timeout: NextTimeout) -> Result<Option<Duration>, ureq::Error> {
    if timeout.after.is_not_happening() {
        Ok(None)
    } else if timeout.after.is_zero() {
        Err(ureq::Error::Timeout(timeout.reason))
    } else {
        Ok(Some(*timeout.after))
    }
}

fn timed(error: io::Error, timeout: NextTimeout) -> ureq::Error {
    match error.kind() {
        // A socket whose SO_RCVTIMEO or SO_SNDTIMEO is over says EAGAIN.
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ureq::Error::Timeout(timeout.reason),
        _ => ureq::Error::Io(error),
    }
}

/// The connector looks at no address.
#[derive(Debug)]
struct NoResolver;

impl Resolver for NoResolver {
    fn resolve(&self, _uri: &Uri, _config: &Config, _timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}

//! HTTP/1.1 bytes over a Unix socket, as ureq wants them: a connector, a transport, and a resolver that resolves
//! nothing (ureq's own would start a thread per look-up). `docker` speaks to the engine with it, `cli` to the agent.
//!
//! Runs on the thread of whoever makes a call. ureq keeps idle connections and asks [`Transport::is_open`]
//! before it uses one again. It never retries: whether a lost answer may be asked for twice is the caller's decision.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use std::{error, fmt, net};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, ShutdownHandle, Transport};

/// How long to wait for a place in the queue of a server that takes no connections.
const CONNECT: Duration = Duration::from_secs(2);
/// The room for a path in an address (unix(7)).
const PATH_BYTES: usize = 108;
const FAMILY: libc::sa_family_t = libc::AF_UNIX as libc::sa_family_t;
const ADDRESS_BYTES: libc::socklen_t = size_of::<libc::sockaddr_un>() as libc::socklen_t;
/// Times from here on are given to the socket in whole seconds.
const COARSE_FROM: Duration = Duration::from_secs(2);
/// A connection that has answered so lately is not asked whether it is open: in a row of calls that is most of what they ask of the
/// system. One that closes meanwhile is found out when the next call is sent.
const FRESH: Duration = Duration::from_millis(50);
/// What one read takes at most, in bytes. Two such buffers per open connection.
const BUFFER: usize = 16 * 1024;

/// Which connections are kept for the next call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// At most so many that are idle.
    pub connections: usize,
    /// One that was idle for longer is closed.
    pub age: Duration,
}

/// A ureq agent whose every request goes to `socket`, whatever host its URL names.
#[must_use]
pub fn agent(socket: &Path, kept: Kept) -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        // A socket on this machine needs no proxy, whatever the environment says.
        .proxy(None)
        .http_status_as_error(false)
        .max_redirects(0)
        .user_agent(concat!("axion-agent/", env!("CARGO_PKG_VERSION")))
        .max_idle_connections(kept.connections)
        .max_idle_connections_per_host(kept.connections)
        .max_idle_age(kept.age)
        .input_buffer_size(BUFFER)
        .output_buffer_size(BUFFER)
        .build();
    ureq::Agent::with_parts(config, UnixConnector { socket: socket.to_owned() }, NoResolver)
}

/// Percent-encodes all but the unreserved characters (RFC 3986, section 2.3), so that any name or
/// filter is one segment of a path or one value of a query.
#[must_use]
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// No connection could be made, or it was closed before all of the request was sent: it was certainly not carried out.
#[derive(Debug)]
pub struct Unreachable(pub io::Error);

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
        let stream = connect(&self.socket).map_err(|error| ureq::Error::Other(Box::new(Unreachable(error))))?;
        let socket = Arc::new(Socket(stream));
        let handle: Weak<Socket> = Arc::downgrade(&socket);
        (details.register_shutdown)(handle)?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(UnixTransport { socket, buffers, unsent: Vec::new(), given: [None; 2], answered: None }))
    }
}

/// As `UnixStream::connect`, which may wait for ever: the kernel accepts on the server's behalf only until its queue
/// (4096 by default) is full.
fn connect(socket: &Path) -> io::Result<UnixStream> {
    let (path, mut address) = (socket.as_os_str().as_bytes(), libc::sockaddr_un { sun_family: FAMILY, sun_path: [0; PATH_BYTES] });
    // The NUL behind the path must fit too.
    if path.len() >= PATH_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("the path of a socket has less than {PATH_BYTES} bytes")));
    }
    for (place, byte) in address.sun_path.iter_mut().zip(path) {
        *place = libc::c_char::from_ne_bytes([*byte]);
    }
    // SAFETY: no memory is involved.
    let descriptor = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open, and nobody else has it.
    let stream = UnixStream::from(unsafe { OwnedFd::from_raw_fd(descriptor) });
    // It limits connect(2) as well (socket(7)).
    stream.set_write_timeout(Some(CONNECT))?;
    loop {
        // SAFETY: the address lives until the call returns, and the length is its own.
        let made = unsafe { libc::connect(descriptor, (&raw const address).cast::<libc::sockaddr>(), ADDRESS_BYTES) };
        if made == 0 {
            stream.set_write_timeout(None)?;
            return Ok(stream);
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::Interrupted => {}
            io::ErrorKind::WouldBlock => {
                let text = format!("it has taken no connection for {} s", CONNECT.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            _ => return Err(error),
        }
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
    /// What goes out with the next write: ureq gives the head and the body of a request one after the other, and each write
    /// wakes the other side.
    unsent: Vec<u8>,
    /// The times for a read and a write that the socket has been given: setting one is a system call.
    given: [Option<Duration>; 2],
    /// When it has answered last.
    answered: Option<Instant>,
}

impl Transport for UnixTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    /// Every request ends with a wait for its answer, which is when the last of it is sent.
    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.unsent.extend_from_slice(&self.buffers.output()[..amount]);
        if self.unsent.len() < BUFFER { Ok(()) } else { self.send(timeout) }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        if !self.unsent.is_empty() {
            self.send(timeout)?;
        }
        let timeout = timeout.for_read();
        let until = span(timeout)?.map(|span| Instant::now() + span);
        let mut stream = &self.socket.0;
        let buffer = self.buffers.input_append_buf();
        let amount = loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(ureq::Error::Timeout(timeout.reason));
            }
            let time = left.map(coarse);
            if time != self.given[0] {
                stream.set_read_timeout(time)?;
                self.given[0] = time;
            }
            match stream.read(buffer) {
                // Linux does not restart a read with SO_RCVTIMEO after a signal: go on with what is left, as after the
                // coarse time.
                Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
                result => break result.map_err(|error| timed(error, timeout))?,
            }
        };
        self.buffers.input_appended(amount);
        self.answered = (amount > 0).then(Instant::now);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.answered.is_some_and(|at| at.elapsed() < FRESH) || is_quiet(&self.socket.0)
    }
}

impl UnixTransport {
    fn send(&mut self, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let timeout = timeout.for_write();
        let mut stream = &self.socket.0;
        let time = span(timeout)?.map(coarse);
        if time != self.given[1] {
            stream.set_write_timeout(time)?;
            self.given[1] = time;
        }
        let sent = stream.write_all(&self.unsent).map_err(|error| match error.kind() {
            // The other side was gone before it had all of the request: it has carried nothing out.
            io::ErrorKind::BrokenPipe => ureq::Error::Other(Box::new(Unreachable(error))),
            _ => timed(error, timeout),
        });
        self.unsent.clear();
        sent
    }
}

/// Whether the other side still holds the connection and has said nothing that was not asked for.
fn is_quiet(stream: &UnixStream) -> bool {
    let mut byte = 0_u8;
    // SAFETY: the descriptor is open, and the pointer is to the one byte that is asked for.
    let read = unsafe { libc::recv(stream.as_raw_fd(), (&raw mut byte).cast(), 1, libc::MSG_PEEK | libc::MSG_DONTWAIT) };
    // Closed, or a stray byte, where it is not -1.
    read < 0 && io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock
}

/// A time that is the same for all calls that have about as long: whole seconds of a long one, never more than it is.
fn coarse(time: Duration) -> Duration {
    if time < COARSE_FROM { time } else { Duration::from_secs(time.as_secs()) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;
    use uuid::Uuid;

    #[test]
    fn a_server_that_takes_no_connections_is_not_waited_for_for_ever() {
        let socket = std::env::temp_dir().join(format!("axion-full-{}.sock", Uuid::new_v4().simple()));
        let listener = UnixListener::bind(&socket).unwrap();
        // SAFETY: the descriptor is open; a second listen(2) only changes the length of the queue.
        assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
        let _first = connect(&socket).unwrap();
        let started = Instant::now();
        let error = connect(&socket).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        assert!((CONNECT..CONNECT * 5).contains(&started.elapsed()), "{:?}", started.elapsed());
        std::fs::remove_file(&socket).unwrap();
        assert_eq!(connect(&socket).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(connect(&socket.join("x".repeat(PATH_BYTES))).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}

//! The gate in front of tiny_http, on the thread `health-gate`.
//!
//! tiny_http gives every connection a thread, without bound and without a time limit, and panics
//! where it cannot duplicate a descriptor. So the gate accepts the TCP connections, at most
//! [`MAX_CONNECTIONS`] of them for at most [`CONNECTION_LIFE`], and passes their bytes on to tiny_http's
//! private Unix socket. One thread waits in poll(2) for all of them; nothing here reads HTTP.

use super::Error;
use crate::threads::{Deadline, Interest, PollSet, alive_by, at_rest};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// Health pages have a monitor or two; each connection may cost tiny_http one thread.
pub(super) const MAX_CONNECTIONS: usize = 32;
/// A page takes a millisecond; who keeps a connection open for the next scrape connects again.
pub(super) const CONNECTION_LIFE: Duration = Duration::from_secs(10);
/// A page comes within milliseconds: who has a place for longer, and needs it still, is slow. When all places are taken, it
/// makes way, as does who has said nothing yet.
const PATIENCE: Duration = Duration::from_secs(1);
/// What one client may send in its connection's life: tiny_http itself would read headers without end.
const MAX_REQUEST_BYTES: usize = 32 * 1024;
/// How much is read at once.
const BUFFER_BYTES: usize = 4 * 1024;
/// How much of an answer waits for a slow reader; a page is some KiB. The gate always takes what
/// tiny_http writes, so that `health-http` never waits for a client: who asks for more pages than it
/// reads is cut off instead.
const MAX_WAITING_BYTES: usize = 64 * 1024;
/// Where no connection can be accepted (no descriptors left), how long until the next try.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// A client that was turned away gets this long to read why.
const LINGER: Duration = Duration::from_secs(1);
/// So many of them at a time; one more takes the place of the first.
const MAX_LINGERING: usize = 32;
/// It waits for nobody between two polls: a turn takes a millisecond.
const TURN: Duration = Duration::from_secs(60);
/// What tiny_http and the gate open for a connection: our end, its end, and its duplicate.
const DESCRIPTORS_PER_CONNECTION: usize = 3;
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// The gate.
pub(super) struct Gate {
    listener: TcpListener,
    /// Its other end is closed to stop the gate.
    wake: UnixStream,
    /// Where tiny_http listens.
    inner: PathBuf,
    connections: Vec<Connection>,
    refused: Vec<Refused>,
    paused_until: Option<Deadline>,
    sockets: PollSet,
}

impl Gate {
    pub(super) fn new(listener: TcpListener, wake: UnixStream, inner: PathBuf) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { listener, wake, inner, connections: Vec::new(), refused: Vec::new(), paused_until: None, sockets: PollSet::default() })
    }

    /// Passes bytes until the other end of `wake` is closed.
    pub(super) fn run(&mut self) -> Result<(), Error> {
        loop {
            self.paused_until = self.paused_until.filter(|until| !until.has_passed());
            self.sockets.clear();
            let wake = self.sockets.add(self.wake.as_fd(), Interest::Read);
            let accepts = if self.paused_until.is_none() { Interest::Read } else { Interest::None };
            let listener = self.sockets.add(self.listener.as_fd(), accepts);
            for connection in &mut self.connections {
                connection.register(&mut self.sockets);
            }
            for refused in &mut self.refused {
                refused.place = self.sockets.add(refused.client.as_fd(), Interest::Read);
            }
            let ends = self.connections.iter().map(|connection| connection.deadline);
            let next = ends.chain(self.refused.iter().map(|refused| refused.deadline)).chain(self.paused_until).min();
            at_rest();
            self.sockets.wait(next.map(Deadline::left)).map_err(Error::Poll)?;
            alive_by(Deadline::after(TURN));
            if self.sockets.is_ready(wake) {
                return Ok(());
            }
            let sockets = &self.sockets;
            self.connections.retain_mut(|connection| !connection.deadline.has_passed() && connection.pass(sockets).is_open());
            self.refused.retain_mut(|refused| !refused.deadline.has_passed() && refused.discard(sockets).is_open());
            if self.sockets.is_ready(listener) {
                self.accept();
            }
        }
    }

    fn accept(&mut self) {
        match self.listener.accept() {
            Ok((client, _)) if self.connections.len() >= MAX_CONNECTIONS && !self.make_way() => self.turn_away(client),
            Ok((client, _)) => match self.open(&client) {
                Ok(inner) => self.connections.push(Connection::new(client, inner)),
                Err(error) => {
                    log::warn!("a health page cannot be served now: {error}");
                    self.turn_away(client);
                }
            },
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
            Err(error) => {
                log::warn!("no connection to the health pages can be accepted for {} s: {error}", ACCEPT_PAUSE.as_secs());
                self.paused_until = Some(Deadline::after(ACCEPT_PAUSE));
            }
        }
    }

    /// Ends the connection that has been silent for the longest time, or else the slowest. Whether there was one.
    fn make_way(&mut self) -> bool {
        let silent = self.connections.iter().position(|connection| connection.received == 0);
        let slow = || self.connections.iter().position(|connection| connection.deadline.left() + PATIENCE < CONNECTION_LIFE);
        let Some(index) = silent.or_else(slow) else { return false };
        self.connections.remove(index);
        true
    }

    /// Says no at once, and closes once the client has read it: closing a socket whose bytes were not
    /// read resets it, and the answer could be lost.
    fn turn_away(&mut self, mut client: TcpStream) {
        let answered = client.set_nonblocking(true).and_then(|()| client.write_all(FULL)).and_then(|()| client.shutdown(Shutdown::Write));
        if answered.is_ok() {
            if self.refused.len() >= MAX_LINGERING {
                // It has had the longest time to read.
                self.refused.remove(0);
            }
            self.refused.push(Refused { client, deadline: Deadline::after(LINGER), place: usize::MAX });
        }
    }

    /// A connection to tiny_http, if there are descriptors left for what it does with it.
    fn open(&self, client: &TcpStream) -> io::Result<UnixStream> {
        client.set_nonblocking(true)?;
        for spare in (0..DESCRIPTORS_PER_CONNECTION).map(|_| client.try_clone()).collect::<Vec<_>>() {
            spare?;
        }
        let inner = UnixStream::connect(&self.inner)?;
        inner.set_nonblocking(true)?;
        Ok(inner)
    }
}

/// Whether a connection goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Over,
}

impl State {
    fn is_open(self) -> bool {
        self == Self::Open
    }
}

/// A client that was turned away.
struct Refused {
    client: TcpStream,
    deadline: Deadline,
    /// Where its socket stands in the poll set.
    place: usize,
}

impl Refused {
    /// Reads what it sent, until it closes its end.
    fn discard(&mut self, sockets: &PollSet) -> State {
        if !sockets.is_ready(self.place) {
            return State::Open;
        }
        match unless_not_ready(self.client.read(&mut [0; BUFFER_BYTES])) {
            Ok(Some(0)) | Err(_) => State::Over,
            Ok(_) => State::Open,
        }
    }
}

struct Connection {
    client: TcpStream,
    inner: UnixStream,
    request: Pipe,
    answer: Pipe,
    received: usize,
    deadline: Deadline,
    /// Where the two sockets stand in the poll set.
    places: (usize, usize),
}

impl Connection {
    fn new(client: TcpStream, inner: UnixStream) -> Self {
        let deadline = Deadline::after(CONNECTION_LIFE);
        Self { client, inner, request: Pipe::default(), answer: Pipe::default(), received: 0, deadline, places: (0, 0) }
    }

    fn register(&mut self, sockets: &mut PollSet) {
        let interest = |reads: bool, writes: bool| match (reads, writes) {
            (true, true) => Interest::Both,
            (true, false) => Interest::Read,
            (false, true) => Interest::Write,
            (false, false) => Interest::None,
        };
        let from_client = interest(self.takes_requests(), self.answer.has_waiting());
        let from_inner = interest(self.answer.is_open(), self.request.has_waiting());
        let client = sockets.add(self.client.as_fd(), from_client);
        let inner = sockets.add(self.inner.as_fd(), from_inner);
        self.places = (client, inner);
    }

    /// The next bytes of the client are read once the last ones are gone.
    fn takes_requests(&self) -> bool {
        self.request.is_open() && !self.request.has_waiting()
    }

    /// Moves what can be moved. It is over when the answer has ended, or anything failed.
    fn pass(&mut self, sockets: &PollSet) -> State {
        if !sockets.is_ready(self.places.0) && !sockets.is_ready(self.places.1) {
            return State::Open;
        }
        match self.move_bytes() {
            Ok(()) if self.received > MAX_REQUEST_BYTES || self.answer.waiting.len() > MAX_WAITING_BYTES => State::Over,
            Ok(()) if !self.answer.is_over() => State::Open,
            _ => State::Over,
        }
    }

    fn move_bytes(&mut self) -> io::Result<()> {
        if self.takes_requests() {
            self.received += self.request.fill(&mut self.client)?;
        }
        let passed_on = self.request.drain(&mut self.inner);
        let ended = if self.request.ends_now() { self.inner.shutdown(Shutdown::Write) } else { Ok(()) };
        if passed_on.and(ended).is_err() {
            // tiny_http reads no further, but may have said why.
            self.request = Pipe { waiting: Vec::new(), source: Source::Announced };
        }
        self.answer.fill(&mut self.inner)?;
        self.answer.drain(&mut self.client)?;
        if self.answer.ends_now() {
            self.client.shutdown(Shutdown::Write)?;
        }
        Ok(())
    }
}

/// One direction.
#[derive(Default)]
struct Pipe {
    waiting: Vec<u8>,
    source: Source,
}

/// The reading end of a pipe.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Source {
    #[default]
    Open,
    /// It has ended; the other side does not know yet.
    Ended,
    /// The other side knows.
    Announced,
}

impl Pipe {
    fn is_open(&self) -> bool {
        self.source == Source::Open
    }

    fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn is_over(&self) -> bool {
        self.source == Source::Announced
    }

    /// Reads once.
    fn fill(&mut self, from: &mut impl Read) -> io::Result<usize> {
        if !self.is_open() {
            return Ok(0);
        }
        let mut buffer = [0; BUFFER_BYTES];
        match unless_not_ready(from.read(&mut buffer))? {
            None => Ok(0),
            Some(0) => {
                self.source = Source::Ended;
                Ok(0)
            }
            Some(length) => {
                self.waiting.extend_from_slice(&buffer[..length]);
                Ok(length)
            }
        }
    }

    fn drain(&mut self, to: &mut impl Write) -> io::Result<()> {
        if self.has_waiting()
            && let Some(length) = unless_not_ready(to.write(&self.waiting))?
        {
            self.waiting.drain(..length);
        }
        Ok(())
    }

    /// Whether the end is to be passed on; true once.
    fn ends_now(&mut self) -> bool {
        let now = self.source == Source::Ended && self.waiting.is_empty();
        if now {
            self.source = Source::Announced;
        }
        now
    }
}

fn unless_not_ready(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(length) => Ok(Some(length)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(error),
    }
}

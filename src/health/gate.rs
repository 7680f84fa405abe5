//! The gate in front of tiny_http, on the thread `health-gate`.
//!
//! tiny_http gives every connection a thread, without bound and without a time limit, and panics
//! where it cannot duplicate a descriptor. So the gate accepts the TCP connections, at most
//! [`MAX_CONNECTIONS`] of them for at most [`CONNECTION_LIFE`]. It answers scrapes itself (`scrape.rs`) and passes
//! method and path of all others on to tiny_http's private Unix socket (`head.rs`). One thread waits in poll(2) for all of them.

use super::connection::{BUFFER_BYTES, Connection, FULL, Rooms, State, unless_not_ready};
use super::{Error, MetricsPage};
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
/// Where no connection can be accepted (no descriptors left), how long until the next try.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// A client that was turned away gets this long to read why.
const LINGER: Duration = Duration::from_secs(1);
/// So many of them at a time; one more takes the place of the first.
const MAX_LINGERING: usize = 32;
/// It waits for nobody between two polls: a turn takes a millisecond.
const TURN: Duration = Duration::from_secs(60);

/// The gate.
pub(super) struct Gate {
    listener: TcpListener,
    /// Its other end is closed to stop the gate.
    wake: UnixStream,
    rooms: Rooms,
    connections: Vec<Connection>,
    refused: Vec<Refused>,
    paused_until: Option<Deadline>,
    sockets: PollSet,
}

impl Gate {
    pub(super) fn new(listener: TcpListener, wake: UnixStream, inner: PathBuf, metrics: MetricsPage) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let rooms = Rooms { inner, metrics, buffer: vec![0; BUFFER_BYTES] };
        Ok(Self { listener, wake, rooms, connections: Vec::new(), refused: Vec::new(), paused_until: None, sockets: PollSet::default() })
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
            let (sockets, rooms) = (&self.sockets, &mut self.rooms);
            self.connections.retain_mut(|connection| !connection.deadline.has_passed() && connection.pass(sockets, rooms).is_open());
            self.refused.retain_mut(|refused| !refused.deadline.has_passed() && refused.discard(sockets).is_open());
            if self.sockets.is_ready(listener) {
                self.accept();
            }
        }
    }

    fn accept(&mut self) {
        match self.listener.accept() {
            Ok((client, _)) if self.connections.len() >= MAX_CONNECTIONS && !self.make_way() => self.turn_away(client),
            Ok((client, _)) => {
                if client.set_nonblocking(true).is_ok() {
                    let mut connection = Connection::new(client, Deadline::after(CONNECTION_LIFE));
                    // Its request is there as a rule: another turn would cost more than a look.
                    if connection.begin(&mut self.rooms).is_open() {
                        self.connections.push(connection);
                    }
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
            Err(error) => {
                log::warn!("no connection to the health pages can be accepted for {} s: {error}", ACCEPT_PAUSE.as_secs());
                self.paused_until = Some(Deadline::after(ACCEPT_PAUSE));
            }
        }
    }

    /// Ends the connection that has been silent for the longest time, or else the slowest. Whether there was one.
    fn make_way(&mut self) -> bool {
        let silent = self.connections.iter().position(|connection| connection.is_silent());
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

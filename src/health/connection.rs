//! One connection of the gate: scrapes it answers itself; with the first other request it becomes a pipe to tiny_http, through
//! which heads of requests go one way, in words of ours, and answers the other.
//!
//! On the thread `health-gate`, which calls it when a socket of it is ready. It never waits.

use super::MetricsPage;
use super::head::{Request, Then};
use super::scrape::Sending;
use crate::threads::{Deadline, Interest, PollSet};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// What one client may send in its connection's life: tiny_http itself would read headers without end.
const MAX_REQUEST_BYTES: usize = 32 * 1024;
/// How much is read at once.
pub(super) const BUFFER_BYTES: usize = 16 * 1024;
/// How much of an answer of tiny_http waits for a slow reader; a page is some KiB, and the metrics of a hundred containers, where they
/// are asked for behind another page, have room. The gate always takes what tiny_http writes, so that `health-http` never waits for
/// a client: who asks for more pages than it reads is cut off instead.
const MAX_WAITING_BYTES: usize = 512 * 1024;
/// What tiny_http and the gate open for a connection: our end, its end, and its duplicate.
const DESCRIPTORS_PER_CONNECTION: usize = 3;
/// What a client reads that cannot be served.
pub(super) const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// What one reads who sends no request.
const NONSENSE: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// What all connections share.
pub(super) struct Rooms {
    /// Where tiny_http listens.
    pub(super) inner: PathBuf,
    pub(super) metrics: MetricsPage,
    pub(super) buffer: Vec<u8>,
}

impl Rooms {
    /// A connection to tiny_http, if there are descriptors left for what it does with it.
    fn open(&self, client: &TcpStream) -> io::Result<UnixStream> {
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
pub(super) enum State {
    Open,
    Over,
}

impl State {
    pub(super) fn is_open(self) -> bool {
        self == Self::Open
    }
}

/// One client.
pub(super) struct Connection {
    client: TcpStream,
    way: Way,
    received: usize,
    pub(super) deadline: Deadline,
    /// Where its socket stands in the poll set.
    place: usize,
}

/// Who answers.
enum Way {
    /// The gate: what was read of the next request, and the answer that is on its way.
    Gate { head: Vec<u8>, answer: Option<Sending> },
    /// tiny_http, from here on.
    Inner(Inner),
}

impl Connection {
    /// Of a client whose socket does not block.
    pub(super) fn new(client: TcpStream, deadline: Deadline) -> Self {
        Self { client, way: Way::Gate { head: Vec::new(), answer: None }, received: 0, deadline, place: usize::MAX }
    }

    /// Whether it has asked for nothing yet.
    pub(super) fn is_silent(&self) -> bool {
        self.received == 0
    }

    pub(super) fn register(&mut self, sockets: &mut PollSet) {
        let interest = match &mut self.way {
            // The next request is read once the last one is answered.
            Way::Gate { answer: Some(_), .. } => Interest::Write,
            Way::Gate { answer: None, .. } => Interest::Read,
            Way::Inner(inner) => inner.register(sockets),
        };
        self.place = sockets.add(self.client.as_fd(), interest);
    }

    /// Moves what can be moved. It is over when the answer has ended, or anything failed.
    pub(super) fn pass(&mut self, sockets: &PollSet, rooms: &mut Rooms) -> State {
        let ready = sockets.is_ready(self.place);
        let passed = match &mut self.way {
            Way::Gate { .. } if ready => self.serve(rooms),
            Way::Inner(inner) if ready || sockets.is_ready(inner.place) => {
                inner.pass(&mut self.client, &mut rooms.buffer).map(|(received, state)| {
                    self.received += received;
                    state
                })
            }
            _ => return State::Open,
        };
        match passed {
            Ok(state) if self.received <= MAX_REQUEST_BYTES => state,
            _ => State::Over,
        }
    }

    /// Does what can be done as soon as the client is there.
    pub(super) fn begin(&mut self, rooms: &mut Rooms) -> State {
        self.serve(rooms).unwrap_or(State::Over)
    }

    /// Reads and answers scrapes, as far as the client goes along.
    fn serve(&mut self, rooms: &mut Rooms) -> io::Result<State> {
        let Way::Gate { head, answer } = &mut self.way else { return Ok(State::Open) };
        if answer.is_none() {
            match unless_not_ready(self.client.read(&mut rooms.buffer))? {
                None => return Ok(State::Open),
                // Whatever was begun has no end.
                Some(0) => return Ok(State::Over),
                Some(length) => {
                    self.received += length;
                    head.extend_from_slice(&rooms.buffer[..length]);
                }
            }
        }
        loop {
            if let Some(sending) = answer {
                if !sending.write_to(&mut self.client)? {
                    return Ok(State::Open);
                }
                if sending.then == Then::Ends {
                    self.client.shutdown(Shutdown::Write)?;
                    return Ok(State::Over);
                }
                *answer = None;
            }
            let (length, request) = match Request::read(head) {
                Request::Partial => return Ok(State::Open),
                Request::Whole(length, request) => (length, request),
                Request::Nonsense => {
                    *answer = Some(Sending::last(NONSENSE));
                    continue;
                }
            };
            if let Some(body) = request.scrape() {
                head.drain(..length);
                *answer = Some(Sending::page(body, request.then, (rooms.metrics)()));
                continue;
            }
            match rooms.open(&self.client) {
                Ok(stream) => {
                    let mut inner = Inner::new(stream, std::mem::take(head));
                    let (_, state) = inner.pass(&mut self.client, &mut rooms.buffer)?;
                    self.way = Way::Inner(inner);
                    return Ok(state);
                }
                Err(error) => {
                    log::warn!("a health page cannot be served now: {error}");
                    *answer = Some(Sending::last(FULL));
                }
            }
        }
    }
}

/// The pipes to tiny_http and back.
struct Inner {
    stream: UnixStream,
    /// The client's bytes of which no whole head was read yet.
    asked: Pipe,
    /// The heads that were read, as they are passed on.
    heads: Vec<u8>,
    /// Whether a further one is read behind those.
    then: Then,
    answer: Pipe,
    /// Where its socket stands in the poll set.
    place: usize,
}

impl Inner {
    /// With what was read already.
    fn new(stream: UnixStream, asked: Vec<u8>) -> Self {
        let asked = Pipe { waiting: asked, source: Source::Open };
        let mut inner = Self { stream, asked, heads: Vec::new(), then: Then::Stays, answer: Pipe::default(), place: usize::MAX };
        inner.read_heads();
        inner
    }

    /// Registers its own socket; gives what is waited for at the client's.
    fn register(&mut self, sockets: &mut PollSet) -> Interest {
        let interest = |reads: bool, writes: bool| match (reads, writes) {
            (true, true) => Interest::Both,
            (true, false) => Interest::Read,
            (false, true) => Interest::Write,
            (false, false) => Interest::None,
        };
        self.place = sockets.add(self.stream.as_fd(), interest(self.answer.is_open(), !self.heads.is_empty()));
        interest(self.takes_requests(), self.answer.has_waiting())
    }

    /// The next bytes of the client are read once the last heads are gone. What comes behind the last request is read too: a
    /// socket that is closed before that is reset, and the answer could be lost.
    fn takes_requests(&self) -> bool {
        self.asked.is_open() && self.heads.is_empty()
    }

    /// Takes the whole heads out of what was asked.
    fn read_heads(&mut self) {
        let mut begin = 0;
        while self.then == Then::Stays {
            match Request::read(&self.asked.waiting[begin..]) {
                Request::Partial => break,
                Request::Whole(length, head) => {
                    begin += length;
                    self.heads.extend(head.bytes());
                    self.then = head.then;
                }
                // Those before it are answered.
                Request::Nonsense => self.then = Then::Ends,
            }
        }
        let read = if self.then == Then::Ends { self.asked.waiting.len() } else { begin };
        self.asked.waiting.drain(..read);
    }

    /// Whether nothing more comes for tiny_http.
    fn has_passed_all(&self) -> bool {
        self.heads.is_empty() && (self.then == Then::Ends || !self.asked.is_open())
    }

    /// Gives how much the client has sent.
    fn pass(&mut self, client: &mut TcpStream, buffer: &mut [u8]) -> io::Result<(usize, State)> {
        let received = if self.takes_requests() { self.asked.fill(client, buffer)? } else { 0 };
        self.read_heads();
        let passed_on = drain(&mut self.heads, &mut self.stream);
        // Once more is as well.
        let ended = if self.has_passed_all() { self.stream.shutdown(Shutdown::Write) } else { Ok(()) };
        if passed_on.and(ended).is_err() {
            // tiny_http reads no further, but may have said why.
            self.heads.clear();
            (self.asked, self.then) = (Pipe { waiting: Vec::new(), source: Source::Announced }, Then::Ends);
        }
        self.answer.fill(&mut self.stream, buffer)?;
        drain(&mut self.answer.waiting, client)?;
        if self.answer.ends_now() {
            client.shutdown(Shutdown::Write)?;
        }
        let over = self.answer.is_over() || self.answer.waiting.len() > MAX_WAITING_BYTES;
        Ok((received, if over { State::Over } else { State::Open }))
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
    fn fill(&mut self, from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.is_open() {
            return Ok(0);
        }
        match unless_not_ready(from.read(buffer))? {
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

    /// Whether the end is to be passed on; true once.
    fn ends_now(&mut self) -> bool {
        let now = self.source == Source::Ended && self.waiting.is_empty();
        if now {
            self.source = Source::Announced;
        }
        now
    }
}

/// Writes what is taken now.
fn drain(waiting: &mut Vec<u8>, to: &mut impl Write) -> io::Result<()> {
    if !waiting.is_empty()
        && let Some(length) = unless_not_ready(to.write(waiting))?
    {
        waiting.drain(..length);
    }
    Ok(())
}

/// Nothing, where there is nothing to be had now.
pub(super) fn unless_not_ready(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(length) => Ok(Some(length)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(error),
    }
}

//! A connection whose request is still being read. It waits for nobody: the thread of the door reads what is there.

use super::Failure;
use super::answer;
use super::head::{self, Head};
use super::peer::Peer;
use crate::domain::Code;
use crate::threads::Deadline;
use std::io::{self, ErrorKind, Read as _};
use std::mem;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A client that has not sent its whole request by then is told so.
const WHOLE_REQUEST: Duration = Duration::from_secs(10);
/// What was answered early may still be sending; it gets this long to read why.
const LINGER: Duration = Duration::from_secs(1);
/// How much is read at once.
const BUFFER_BYTES: usize = 8 * 1024;

/// A request that is whole.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) head: Head,
    pub(super) body: Vec<u8>,
    pub(super) stream: UnixStream,
    pub(super) peer: Peer,
}

/// A connection before its request is whole, or after it was refused.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) stream: UnixStream,
    pub(super) deadline: Deadline,
    /// Where its socket stands in the poll set.
    pub(super) place: usize,
    peer: Peer,
    state: State,
}

#[derive(Debug)]
enum State {
    Head(Vec<u8>),
    Body(Head, Vec<u8>),
    /// It was answered: what still comes is thrown away, since closing on unread bytes could lose the answer.
    Answered,
}

/// What came of reading.
#[derive(Debug)]
pub(super) enum Progress {
    /// More is to come.
    Waiting,
    /// All of it is there.
    Whole,
    /// Nothing more is to be done for it.
    Over,
}

impl Pending {
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let peer = Peer::of(&stream)?;
        Ok(Self { stream, deadline: Deadline::after(WHOLE_REQUEST), place: usize::MAX, peer, state: State::Head(Vec::new()) })
    }

    /// The bytes of a body that it was promised room for.
    pub(super) fn claim(&self) -> usize {
        if let State::Body(head, _) = &self.state { head.length } else { 0 }
    }

    /// Reads what is there. `room` is how many bytes a body may have now, of `largest` at any time.
    pub(super) fn read(&mut self, room: usize, largest: usize) -> Progress {
        let mut buffer = [0; BUFFER_BYTES];
        loop {
            match (&self.stream).read(&mut buffer) {
                Ok(0) => return Progress::Over,
                Ok(length) => match self.take(&buffer[..length], room, largest) {
                    Ok(Progress::Waiting) => {}
                    Ok(progress) => return progress,
                    Err(failure) => self.refuse(&failure),
                },
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Progress::Waiting,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Progress::Over,
            }
        }
    }

    fn take(&mut self, bytes: &[u8], room: usize, largest: usize) -> Result<Progress, Failure> {
        match &mut self.state {
            State::Answered => return Ok(Progress::Waiting),
            State::Head(held) => {
                held.extend_from_slice(bytes);
                let Some((head, size)) = head::read(held)? else { return Ok(Progress::Waiting) };
                if head.length > largest {
                    let message = format!("the body has {} bytes, {largest} are taken (limits.max_message_bytes)", head.length);
                    return Err(Failure::of(Code::TOO_LARGE, message));
                }
                if head.length > room {
                    return Err(Failure::of(Code::BUSY, "too many large requests are being read: send it again in a second"));
                }
                let body = held.split_off(size);
                if head.expects && body.len() < head.length {
                    // Without room for these few bytes the client sends by itself after a second.
                    drop(answer::go_on(&mut &self.stream));
                }
                self.state = State::Body(head, body);
            }
            State::Body(_, body) => body.extend_from_slice(bytes),
        }
        let State::Body(head, body) = &self.state else { return Ok(Progress::Waiting) };
        Ok(if body.len() >= head.length { Progress::Whole } else { Progress::Waiting })
    }

    /// The whole request.
    pub(super) fn into_request(self) -> Option<Request> {
        let State::Body(head, mut body) = self.state else { return None };
        // A second request behind the first is not read: the answer says that the connection ends.
        body.truncate(head.length);
        self.stream.set_nonblocking(false).ok()?;
        Some(Request { head, body, stream: self.stream, peer: self.peer })
    }

    /// Says no, as far as the client takes it at once.
    pub(super) fn refuse(&mut self, failure: &Failure) {
        let _unheard = answer::fail(&mut &self.stream, failure);
        drop(self.stream.shutdown(std::net::Shutdown::Write));
        self.deadline = Deadline::after(LINGER);
        self.state = State::Answered;
    }

    /// Its time is over. Whether it goes now.
    pub(super) fn expire(&mut self) -> bool {
        match mem::replace(&mut self.state, State::Answered) {
            State::Answered => true,
            // It said nothing, and is told nothing.
            State::Head(held) if held.is_empty() => true,
            State::Head(_) | State::Body(..) => {
                let message = format!("the request was not whole after {} s", WHOLE_REQUEST.as_secs());
                self.refuse(&Failure::http(408, Code::MALFORMED, message));
                false
            }
        }
    }
}

//! The thread `ipc`: it accepts the clients, reads what they ask for side by side, and gives every whole request a thread
//! of its own. Nobody is waited for: a slow client costs its place, and the longest idle one makes way for a new one.

use super::pending::{Pending, Progress};
use super::route::{Route, route};
use super::serve::Service;
use super::{Error, Failure};
use crate::domain::Code;
use crate::threads::{Deadline, Exit, Interest, PollSet, ThreadName, at_rest, spawn};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::io::{self, ErrorKind};
use std::os::fd::AsFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Duration;

/// Connections whose request is being read; each is some hundred bytes until it says something.
const MAX_PENDING: usize = 128;
/// What their bodies may have together, in bytes: four commands of the largest size that is usual.
const MAX_BODIES: usize = 4 << 20;
/// Requests that are being answered …
const MAX_SERVED: usize = 32;
/// … and of these the ones that may go on for long, so that a quick question always finds a place.
const MAX_STREAMS: usize = 24;
/// A turn accepts so many at most, before those that are there get theirs.
const ACCEPTS_A_TURN: usize = 16;
/// Where no connection can be accepted (no descriptors left), how long until the next try.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// On the way out, those that are being answered have so long to hear of it.
const FAREWELL: Duration = Duration::from_millis(1500);

const CLIENT: ThreadName = ThreadName::new("ipc-client");
const STREAM: ThreadName = ThreadName::new("ipc-stream");

pub(super) struct Door {
    listener: UnixListener,
    /// Its other end is closed to stop the thread.
    wake: UnixStream,
    service: Arc<Service>,
    pending: Vec<Pending>,
    paused_until: Option<Deadline>,
    sockets: PollSet,
    served: usize,
    streams: usize,
    /// Threads that have answered.
    ended: (Sender<Exit>, Receiver<Exit>),
}

impl Door {
    pub(super) fn new(listener: UnixListener, wake: UnixStream, service: Arc<Service>) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        // Each thread says so once: there is room for all of them.
        let ended = bounded(MAX_SERVED);
        let (pending, sockets) = (Vec::new(), PollSet::default());
        Ok(Self { listener, wake, service, pending, paused_until: None, sockets, served: 0, streams: 0, ended })
    }

    /// Serves until the other end of `wake` is closed.
    pub(super) fn run(&mut self) -> Result<(), Error> {
        loop {
            self.paused_until = self.paused_until.filter(|until| !until.has_passed());
            self.sockets.clear();
            let wake = self.sockets.add(self.wake.as_fd(), Interest::Read);
            let accepts = if self.paused_until.is_none() { Interest::Read } else { Interest::None };
            let listener = self.sockets.add(self.listener.as_fd(), accepts);
            for pending in &mut self.pending {
                pending.place = self.sockets.add(pending.stream.as_fd(), Interest::Read);
            }
            let next = self.pending.iter().map(|pending| pending.deadline).chain(self.paused_until).min();
            at_rest();
            self.sockets.wait(next.map(Deadline::left)).map_err(Error::Poll)?;
            if self.sockets.is_ready(wake) {
                self.leave();
                return Ok(());
            }
            self.read();
            if self.sockets.is_ready(listener) {
                self.accept();
            }
        }
    }

    fn read(&mut self) {
        let largest = self.service.max_message_bytes;
        let mut claimed: usize = self.pending.iter().map(Pending::claim).sum();
        let mut kept = Vec::with_capacity(self.pending.len());
        for mut pending in std::mem::take(&mut self.pending) {
            if self.sockets.is_ready(pending.place) {
                let before = pending.claim();
                let progress = pending.read(MAX_BODIES.saturating_sub(claimed), largest);
                claimed = claimed - before + pending.claim();
                match progress {
                    Progress::Waiting => {}
                    Progress::Over => continue,
                    Progress::Whole => {
                        claimed -= pending.claim();
                        match self.serve(pending) {
                            Some(refused) => pending = refused,
                            None => continue,
                        }
                    }
                }
            }
            if !pending.deadline.has_passed() || !pending.expire() {
                kept.push(pending);
            }
        }
        self.pending = kept;
    }

    /// Hands a whole request to a thread, or refuses it: then the connection is given back.
    fn serve(&mut self, pending: Pending) -> Option<Pending> {
        for exit in self.ended.1.try_iter() {
            self.served -= 1;
            self.streams -= usize::from(exit.thread == STREAM);
        }
        let spare = pending.stream.try_clone();
        let request = pending.into_request()?;
        let asked = route(&request.head.method, &request.head.target);
        let is_long = asked.as_ref().is_ok_and(Route::is_long);
        if self.served >= MAX_SERVED || is_long && self.streams >= MAX_STREAMS {
            let mut refused = Pending::new(spare.ok()?).ok()?;
            refused.refuse(&Failure::of(Code::BUSY, "too many clients are being answered: try again in a second, or end some that follow"));
            return Some(refused);
        }
        let (service, name) = (Arc::clone(&self.service), if is_long { STREAM } else { CLIENT });
        let answer = move || {
            service.answer(asked, request);
            Ok::<(), Error>(())
        };
        match spawn(name, self.ended.0.clone(), answer) {
            Ok(_thread) => {
                self.served += 1;
                self.streams += usize::from(is_long);
            }
            Err(error) => log::warn!("a client of the local socket cannot be answered: {error}"),
        }
        None
    }

    fn accept(&mut self) {
        for _ in 0..ACCEPTS_A_TURN {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    if self.pending.len() >= MAX_PENDING {
                        // The one that has waited longest.
                        self.pending.remove(0);
                    }
                    match Pending::new(stream) {
                        Ok(pending) => self.pending.push(pending),
                        Err(error) => log::debug!("a client of the local socket has gone: {error}"),
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(error) => {
                    log::warn!("no connection to the local socket can be accepted for {} s: {error}", ACCEPT_PAUSE.as_secs());
                    self.paused_until = Some(Deadline::after(ACCEPT_PAUSE));
                    return;
                }
            }
        }
    }

    /// Those that are being answered see the stop too.
    fn leave(&mut self) {
        self.pending.clear();
        let until = Deadline::after(FAREWELL);
        while self.served > 0 && self.ended.1.recv_deadline(until.instant()).is_ok() {
            self.served -= 1;
        }
    }
}

//! poll(2): one thread waits on many sockets. The standard library has no such call.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// What a thread waits for, one entry for each socket.
#[derive(Default)]
pub struct PollSet(Vec<libc::pollfd>);

/// What one wait is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Nothing now: the socket keeps its place and wakes nobody.
    None,
    /// Something to read, or the end of it.
    Read,
    /// Room to write.
    Write,
    /// Either.
    Both,
}

impl PollSet {
    /// Forgets all sockets.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds a socket; the number is its place in [`Self::is_ready`].
    pub fn add(&mut self, fd: BorrowedFd<'_>, interest: Interest) -> usize {
        // poll reports a hang-up whether or not it was asked for, but skips negative descriptors:
        // without this a socket that is closed while nobody wants its bytes would wake us for ever.
        let (fd, events) = match interest {
            Interest::None => (-1, 0),
            Interest::Read => (fd.as_raw_fd(), libc::POLLIN),
            Interest::Write => (fd.as_raw_fd(), libc::POLLOUT),
            Interest::Both => (fd.as_raw_fd(), libc::POLLIN | libc::POLLOUT),
        };
        self.0.push(libc::pollfd { fd, events, revents: 0 });
        self.0.len() - 1
    }

    /// Waits until one is ready, at most `longest`; without it, for as long as it takes.
    pub fn wait(&mut self, longest: Option<Duration>) -> io::Result<()> {
        // Rounded up: a wait that ends just before its deadline would only be repeated.
        let millis = longest.map_or(-1, |span| i32::try_from(span.as_millis() + 1).unwrap_or(i32::MAX));
        // SAFETY: pointer and length are those of one live vector that nothing else touches during the
        // call; every descriptor in it is negative or borrowed from a socket that outlives the call.
        let ready = unsafe { libc::poll(self.0.as_mut_ptr(), self.0.len() as libc::nfds_t, millis) };
        if ready >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
        // A signal: nothing is known, the caller looks again.
        self.0.iter_mut().for_each(|entry| entry.revents = 0);
        Ok(())
    }

    /// Whether something can be done with this socket now; also when it is broken, which the read or
    /// the write then says.
    pub fn is_ready(&self, place: usize) -> bool {
        self.0.get(place).is_some_and(|entry| entry.revents != 0)
    }
}

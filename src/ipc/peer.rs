//! Who is at the other end of a connection, by the kernel's word.

use std::fmt;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;

/// The process that connected (unix(7), `SO_PEERCRED`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) pid: i32,
}

impl Peer {
    pub(super) fn of(stream: &UnixStream) -> io::Result<Self> {
        let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
        let mut length = libc::socklen_t::try_from(size_of::<libc::ucred>()).unwrap_or_default();
        // SAFETY: the descriptor is open, and pointer and length are those of one live structure of the type that the
        // option writes.
        let got = unsafe {
            let place = (&raw mut credentials).cast::<libc::c_void>();
            libc::getsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, place, &raw mut length)
        };
        if got != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { uid: credentials.uid, gid: credentials.gid, pid: credentials.pid })
    }

    /// As the user of a command.
    pub(super) fn user(self) -> String {
        format!("uid:{}", self.uid)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uid {}, gid {}, pid {}", self.uid, self.gid, self.pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_who_connected() {
        let (stream, _other) = UnixStream::pair().unwrap();
        let peer = Peer::of(&stream).unwrap();
        assert_eq!(peer.pid, i32::try_from(std::process::id()).unwrap());
    }
}

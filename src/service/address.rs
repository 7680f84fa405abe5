//! Where `NOTIFY_SOCKET` points: a path in the file system, or a name in the kernel's abstract namespace.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The service manager's end.
#[derive(Debug)]
pub(super) struct Address(SocketAddr);

impl Address {
    /// An `@` stands for the NUL byte that begins an abstract name (sd_notify(3)).
    pub(super) fn parse(name: &OsStr) -> io::Result<Self> {
        match name.as_bytes() {
            [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest).map(Self),
            [b'/', ..] => SocketAddr::from_pathname(name).map(Self),
            _ => Err(io::Error::new(io::ErrorKind::Unsupported, "neither a path nor an abstract socket")),
        }
    }

    pub(super) fn send(&self, from: &UnixDatagram, message: &[u8]) -> io::Result<()> {
        from.send_to_addr(message, &self.0).map(drop)
    }
}

//! Processor time, as the kernel counts it.

use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// What this process (`RUSAGE_SELF`), or its children that have ended (`RUSAGE_CHILDREN`), have used (getrusage(2)).
pub fn used_by(whose: libc::c_int) -> Duration {
    // SAFETY: the structure holds numbers alone, for which zeros are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the structure is ours and lives until the call returns.
    assert_eq!(unsafe { libc::getrusage(whose, &raw mut usage) }, 0);
    let span = |time: libc::timeval| Duration::new(time.tv_sec.try_into().unwrap(), u32::try_from(time.tv_usec).unwrap() * 1000);
    span(usage.ru_utime) + span(usage.ru_stime)
}

/// What a process has used, its threads that have ended among them (clock_getcpuclockid(3)).
pub fn of_process(pid: u32) -> Duration {
    let mut clock = 0;
    // SAFETY: the number is ours and lives until the call returns.
    assert_eq!(unsafe { libc::clock_getcpuclockid(pid.try_into().unwrap(), &raw mut clock) }, 0);
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is ours and lives until the call returns.
    assert_eq!(unsafe { libc::clock_gettime(clock, &raw mut time) }, 0);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

/// The process that serves a socket.
pub fn listener(socket: &Path) -> u32 {
    let stream = UnixStream::connect(socket).unwrap();
    let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = libc::socklen_t::try_from(size_of::<libc::ucred>()).unwrap();
    let place = (&raw mut peer).cast();
    // SAFETY: the descriptor is open, and the structure has the length that is said.
    let read = unsafe { libc::getsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, place, &raw mut length) };
    assert_eq!(read, 0);
    peer.pid.try_into().unwrap()
}

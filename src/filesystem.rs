//! How much room a file system has: the one library of the rooms that ask, as one system call.

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// What a file system has: statvfs(3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// All of it, in bytes.
    pub size: u64,
    /// What is free for others than root, in bytes.
    pub available: u64,
    /// How many files there can be; 0 where nobody counts them.
    pub inodes: u64,
    /// How many more there could be.
    pub inodes_free: u64,
}

/// What is free for others than root where `path` is, in bytes.
///
/// # Errors
/// When the path cannot be seen from here, as one of another mount namespace.
pub fn free(path: &Path) -> io::Result<u64> {
    room(path).map(|room| room.available)
}

/// What the file system has where `path` is.
///
/// # Errors
/// When the path cannot be seen from here, as one of another mount namespace.
pub fn room(path: &Path) -> io::Result<Room> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut found = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path ends with NUL, and the pointer is to memory of the right size.
    if unsafe { libc::statvfs(path.as_ptr(), found.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so it has filled the struct.
    let found = unsafe { found.assume_init() };
    let unit = number(found.f_frsize);
    Ok(Room {
        size: number(found.f_blocks).saturating_mul(unit),
        available: number(found.f_bavail).saturating_mul(unit),
        inodes: number(found.f_files),
        inodes_free: number(found.f_ffree),
    })
}

/// The types differ by architecture and C library.
fn number(number: impl Into<u64>) -> u64 {
    number.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_room_and_one_that_cannot_be_seen_is_an_error() {
        let room = room(Path::new("/")).unwrap();
        assert!(room.available <= room.size && room.inodes_free <= room.inodes, "{room:?}");
        assert!(free(Path::new("/axd/no/such/dir")).is_err() && free(Path::new("")).is_err());
    }
}

//! How much room the journal has: the free space of its file system, its reserve, and what it holds. From any
//! thread; it writes nothing and decides nothing.

use super::JournalError;
use super::reserve::Reserve;
use super::store::Store;
use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// The room that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What an ordinary process may still write, in bytes.
    pub free: u64,
    /// What is in the journal, in bytes.
    pub held: u64,
    /// Whether what runs can be written down to its end if nothing is left.
    pub reserve: Reserve,
}

/// Looks. The file keeps the pages that it once needed: only one that is larger than `enough` is looked into.
pub(super) fn of(store: &Store, enough: u64) -> Result<Space, JournalError> {
    let path = store.path();
    let unreadable = |error| JournalError::Directory(path.display().to_string(), error);
    let reserve = store.replenish().map_err(unreadable)?;
    let free = free(path).map_err(unreadable)?;
    let length = path.metadata().map_err(unreadable)?.len();
    let held = if length > enough { store.held()? } else { length };
    Ok(Space { free, held, reserve })
}

/// statvfs(3).
fn free(path: &Path) -> io::Result<u64> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut found = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path ends with NUL, and the pointer is to memory of the right size.
    if unsafe { libc::statvfs(path.as_ptr(), found.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so it has filled the struct.
    let found = unsafe { found.assume_init() };
    // The types differ by architecture and C library.
    #[allow(clippy::useless_conversion, reason = "u32 on some targets")]
    Ok(u64::from(found.f_bavail).saturating_mul(u64::from(found.f_frsize)))
}

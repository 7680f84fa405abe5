//! How much room a file system has: the one library of the rooms that ask, as one system call.

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// What is free for others than root where `path` is, in bytes: statvfs(3).
///
/// # Errors
/// When the path cannot be seen from here, as one of another mount namespace.
pub fn free(path: &Path) -> io::Result<u64> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_room_and_one_that_cannot_be_seen_is_an_error() {
        assert!(free(Path::new("/")).is_ok());
        assert!(free(Path::new("/axd/no/such/dir")).is_err() && free(Path::new("")).is_err());
    }
}

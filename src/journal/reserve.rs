//! The journal's file as the store sees it. Its blocks, and a reserve behind its end, are taken from the disk
//! beforehand: on a disk that others have filled up, what runs can still be written down to its end.
//!
//! The reserve is held, not given back for a moment: whoever has filled the disk would be faster. Used by the
//! `journal` thread when the file grows, and by whoever looks at the room. File systems that write to another
//! place each time (btrfs, ZFS) keep no such promise.

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;

/// The largest change that is likely: the record of a stack whose revisions have the size of the largest command
/// takes 8 MiB, beside the one that it replaces. Steps and ends are a few KiB each.
const RESERVE: u64 = 16 << 20;
/// The unit of `st_blocks` (stat(2)).
const BLOCK: u64 = 512;

/// Whether the next writes have a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserve {
    /// All of it is held, or this file system gives none.
    Whole,
    /// The disk has no room for all of it.
    Short,
}

/// The file, under the store.
#[derive(Debug)]
pub(super) struct ReservedFile {
    store: FileBackend,
    reserve: FileReserve,
}

/// The same file, for whoever looks at the room.
#[derive(Debug)]
pub(super) struct FileReserve(File);

impl ReservedFile {
    pub(super) fn new(file: File) -> Result<Self, redb::DatabaseError> {
        let reserve = FileReserve(file.try_clone()?);
        Ok(Self { store: FileBackend::new(file)?, reserve })
    }

    pub(super) fn reserve(&self) -> io::Result<FileReserve> {
        self.reserve.0.try_clone().map(FileReserve)
    }
}

impl FileReserve {
    /// Takes what is missing from the disk, if there is room.
    pub(super) fn replenish(&self) -> io::Result<Reserve> {
        let file = self.0.metadata()?;
        let wanted = file.len() + RESERVE;
        if file.blocks() * BLOCK >= wanted {
            return Ok(Reserve::Whole);
        }
        let length = libc::off_t::try_from(wanted).map_err(io::Error::other)?;
        // SAFETY: the descriptor is open for as long as the file lives; no memory is involved.
        if unsafe { libc::fallocate(self.0.as_raw_fd(), libc::FALLOC_FL_KEEP_SIZE, 0, length) } == 0 {
            return Ok(Reserve::Whole);
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT) => Ok(Reserve::Short),
            // Nothing can be reserved here: the floor of `limits.min_free_disk` is all that there is.
            Some(libc::EOPNOTSUPP | libc::ENOSYS) => Ok(Reserve::Whole),
            // A signal came: the next look goes on.
            Some(libc::EINTR) => Ok(Reserve::Short),
            _ => Err(error),
        }
    }
}

impl StorageBackend for ReservedFile {
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.store.set_len(len)?;
        // Without room for all of it the last reserve lies within the new length: the next pages are in it.
        if let Err(error) = self.reserve.replenish() {
            log::warn!("no room can be reserved for the journal: {error}");
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.store.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.store.read(offset, out)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.store.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.store.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.store.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.store.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.store.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.store.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.store.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.store.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.store.query_lock_range(start, end)
    }
}

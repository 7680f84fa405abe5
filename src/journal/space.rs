//! How much room the journal has: the free space of its file system, its reserve, and what it holds. From any
//! thread; it writes nothing and decides nothing.

use super::JournalError;
use super::reserve::Reserve;
use super::store::Store;
use crate::filesystem;

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
    let free = filesystem::free(path).map_err(unreadable)?;
    let length = path.metadata().map_err(unreadable)?.len();
    let held = if length > enough { store.held()? } else { length };
    Ok(Space { free, held, reserve })
}

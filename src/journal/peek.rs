//! A look at a journal from outside, for a process that is not its agent: who holds it, and what it knows. It locks
//! nothing and writes nothing: an agent that starts meanwhile does not notice.

use super::store::Store;
use super::{FILE, Identity, JournalError};
use redb::StorageBackend as _;
use redb::backends::InMemoryBackend;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// A larger journal is not read into memory for a look.
const MAX_BYTES: u64 = 256 << 20;

/// An agent writes in bursts: between two of them a copy is whole.
const COPIES: usize = 5;

/// Who holds the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// Nobody, as far as this process can see.
    Nobody,
    /// The process with this id.
    Process(u32),
    /// Somebody whom the kernel does not name.
    Unnamed,
}

/// What a journal that nobody holds knows.
#[derive(Debug)]
pub struct Peek {
    /// Who its agent is.
    pub identity: Option<Identity>,
    /// Commands without a confirmed terminal event.
    pub open: usize,
}

/// Who holds the journal in `state_dir`.
///
/// # Errors
/// When there is none, or it may not be seen.
pub fn holder(state_dir: &Path) -> io::Result<Holder> {
    let file = fs::metadata(state_dir.join(FILE))?;
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    Ok(holder_in(&locks, (libc::major(file.dev()), libc::minor(file.dev())), file.ino()))
}

/// proc_locks(5): `1: FLOCK  ADVISORY  WRITE 4711 08:01:262145 0 EOF`; an open file description's lock has no process.
fn holder_in(locks: &str, device: (u32, u32), inode: u64) -> Holder {
    let file = format!("{:02x}:{:02x}:{inode}", device.0, device.1);
    let mut holder = Holder::Nobody;
    for line in locks.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        // One that waits has an arrow in the second place.
        let [_, _, _, _, process, place, ..] = words[..] else { continue };
        if place == file && words[1] != "->" {
            match process.parse() {
                Ok(process) => return Holder::Process(process),
                Err(_) => holder = Holder::Unnamed,
            }
        }
    }
    holder
}

/// What the journal in `state_dir` knows, of a copy in memory: one that was not closed in order is mended there alone. An
/// agent may hold it: what is copied while nobody writes is what a crash would leave.
///
/// # Errors
/// When it cannot be read, or somebody writes to it all the time.
pub fn peek(state_dir: &Path) -> Result<Peek, JournalError> {
    let unreadable = |error| JournalError::Directory(state_dir.display().to_string(), error);
    let bytes = copied(&state_dir.join(FILE)).map_err(unreadable)?;
    let copy = InMemoryBackend::new();
    copy.set_len(bytes.len() as u64).and_then(|()| copy.write(0, &bytes)).map_err(unreadable)?;
    drop(bytes);
    let recovered = Store::over(copy, None, &state_dir.join(FILE), state_dir)?.recover()?;
    Ok(Peek { identity: recovered.identity, open: recovered.entries.len() })
}

/// All of the file, as it was at one time.
fn copied(path: &Path) -> io::Result<Vec<u8>> {
    let stamp = |file: &File| file.metadata().map(|found| (found.mtime(), found.mtime_nsec(), found.len()));
    for _ in 0..COPIES {
        let file = File::open(path)?;
        let before = stamp(&file)?;
        if before.2 > MAX_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is too large to be read for a look"));
        }
        let mut bytes = Vec::new();
        (&file).take(MAX_BYTES).read_to_end(&mut bytes)?;
        if stamp(&file)? == before {
            return Ok(bytes);
        }
    }
    Err(io::Error::new(io::ErrorKind::ResourceBusy, "somebody writes to it all the time"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::AgentId;
    use crossbeam_channel::bounded;

    #[test]
    fn the_kernels_list_of_locks_is_read_as_its_manual_says() {
        let locks = "1: POSIX  ADVISORY  WRITE 100 08:01:7 0 EOF\n2: FLOCK  ADVISORY  WRITE 200 08:01:8 0 EOF\n2: -> FLOCK  ADVISORY  WRITE 300 08:01:9 0 EOF\n\
                     3: OFDLCK ADVISORY  WRITE -1 08:01:10 0 EOF\n4: OFDLCK ADVISORY  READ -1 08:01:11 0 1\n5: FLOCK  ADVISORY  WRITE 400 08:01:11 0 EOF\n";
        for (inode, holder) in [
            (7, Holder::Process(100)),
            (8, Holder::Process(200)),
            (9, Holder::Nobody),
            (10, Holder::Unnamed),
            (11, Holder::Process(400)),
            (12, Holder::Nobody),
        ] {
            assert_eq!(holder_in(locks, (8, 1), inode), holder, "{inode}");
        }
        assert_eq!(holder_in(locks, (8, 2), 7), Holder::Nobody);
    }

    #[test]
    fn an_open_journal_has_a_holder_and_a_closed_one_tells_who_its_agent_is() {
        let folder = std::env::temp_dir().join(format!("axion-peek-{}", uuid::Uuid::new_v4()));
        assert!(holder(&folder).is_err() && peek(&folder).is_err());
        let (exits, _) = bounded(1);
        let (journal, _, thread) = super::super::open(&folder, exits).unwrap();
        let identity = Identity::local(AgentId::new("peeked").unwrap());
        journal.identify(identity.clone()).unwrap();
        assert_ne!(holder(&folder).unwrap(), Holder::Nobody);
        // As it would be after a crash: the copy is mended, the file is not.
        let before = fs::read(folder.join(FILE)).unwrap();
        assert_eq!(peek(&folder).unwrap().identity, Some(identity.clone()));
        drop(journal);
        thread.join();
        assert_eq!(holder(&folder).unwrap(), Holder::Nobody);
        let seen = peek(&folder).unwrap();
        assert_eq!((seen.identity, seen.open), (Some(identity), 0));
        assert!(!before.is_empty());
        fs::remove_dir_all(folder).unwrap();
    }
}

//! Files that outlive a power cut, and files of others that are not followed anywhere. Blocking, on any thread.
//!
//! What is written is whole or not there: it is written beside its place, flushed, moved there, and the folder is
//! flushed. What somebody else may have put into a folder is opened without following a link, and read within a bound.

use super::fault::Fault;
use crate::domain::hex;
use openssl::sha::Sha256;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// What one read or write of a copy takes, in bytes.
const CHUNK: usize = 64 * 1024;
/// Of what is written beside its place.
const UNFINISHED: &str = ".new";

/// Makes a folder's entries durable.
pub(super) fn sync(folder: &Path) -> Result<(), Fault> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Fault::file("flush", folder))
}

/// Puts `bytes` at `name` in `folder`, whole or not at all.
pub(super) fn put(folder: &Path, name: &str, bytes: &[u8], mode: u32) -> Result<(), Fault> {
    let (place, beside) = (folder.join(name), folder.join(format!("{name}{UNFINISHED}")));
    remove(&beside)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&beside)
        .map_err(Fault::file("make", &beside))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(Fault::file("write", &beside))?;
    // The umask may have taken some of it away.
    file.set_permissions(fs::Permissions::from_mode(mode)).map_err(Fault::file("write", &beside))?;
    fs::rename(&beside, &place).map_err(Fault::file("replace", &place))?;
    sync(folder)
}

/// Lets the link `name` in `folder` lead to `target`, from one moment to the next.
pub(super) fn link(folder: &Path, name: &str, target: &str) -> Result<(), Fault> {
    let (place, beside) = (folder.join(name), folder.join(format!("{name}{UNFINISHED}")));
    remove(&beside)?;
    symlink(target, &beside).map_err(Fault::file("make", &beside))?;
    fs::rename(&beside, &place).map_err(Fault::file("replace", &place))?;
    sync(folder)
}

/// Removes a file or a link, which need not be there.
pub(super) fn remove(path: &Path) -> Result<(), Fault> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Fault::file("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Removes a folder with all that is in it, which need not be there.
pub(super) fn remove_all(folder: &Path) -> Result<(), Fault> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Fault::file("remove", folder)(error)),
        _ => Ok(()),
    }
}

/// A regular file, opened without following a link and without waiting for the other end of a pipe.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")) }
}

/// A file of at most so many bytes; nothing where there is none.
pub(super) fn read(path: &Path, most: usize) -> Result<Option<Vec<u8>>, Fault> {
    let file = match open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Fault::file("read", path)(error)),
    };
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(Fault::file("read", path))?;
    if bytes.len() > most {
        return Err(Fault::file("read", path)(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {most} bytes"))));
    }
    Ok(Some(bytes))
}

/// A folder that somebody else may rename or replace: what is looked for in it is looked for in this one.
pub(super) struct Held {
    folder: File,
    name: PathBuf,
}

impl Held {
    /// Opens the folder itself, and no link to one.
    pub(super) fn open(folder: &Path) -> Result<Self, Fault> {
        let flags = libc::O_NOFOLLOW | libc::O_DIRECTORY;
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(folder).map_err(Fault::file("open", folder))?;
        Ok(Self { folder: opened, name: folder.to_owned() })
    }

    /// A place in it, by way of what is open.
    pub(super) fn at(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.folder.as_raw_fd()))
    }

    /// Whose it is: user and group.
    pub(super) fn owner(&self) -> Result<(u32, u32), Fault> {
        let metadata = self.folder.metadata().map_err(Fault::file("look at", &self.name))?;
        Ok((metadata.uid(), metadata.gid()))
    }

    /// Makes its entries durable.
    pub(super) fn sync(&self) -> Result<(), Fault> {
        self.folder.sync_all().map_err(Fault::file("flush", &self.name))
    }
}

/// What has passed through, told by its SHA-256 and its length.
pub(super) struct Measured {
    sha: Sha256,
    length: u64,
}

impl Measured {
    pub(super) fn new() -> Self {
        Self { sha: Sha256::new(), length: 0 }
    }

    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.sha.update(bytes);
        self.length += bytes.len() as u64;
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Whether it is what was expected.
    pub(super) fn is(self, size: u64, sha256: &str) -> Result<(), Fault> {
        if self.length != size {
            return Err(Fault::Checksum(format!("it has {} bytes, and {size} are expected", self.length)));
        }
        let found = hex(&self.sha.finish());
        if found != sha256 {
            return Err(Fault::Checksum(format!("its SHA-256 is {found}, and {sha256} is expected")));
        }
        Ok(())
    }
}

/// Copies what `from` holds to a new file, no more than `size` bytes and one, flushed. Whether it is what was expected is
/// known of the copy, whatever becomes of the original meanwhile.
pub(super) fn copy(from: &mut dyn Read, to: &Path, mode: u32, size: u64, sha256: &str) -> Result<(), Fault> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .custom_flags(libc::O_NOFOLLOW)
        .open(to)
        .map_err(Fault::file("make", to))?;
    let (mut measured, mut chunk) = (Measured::new(), vec![0; CHUNK]);
    loop {
        let length = from.read(&mut chunk).map_err(Fault::file("read what is copied to", to))?;
        if length == 0 || measured.length() > size {
            break;
        }
        measured.take(&chunk[..length]);
        file.write_all(&chunk[..length]).map_err(Fault::file("write", to))?;
    }
    file.set_permissions(fs::Permissions::from_mode(mode)).and_then(|()| file.sync_all()).map_err(Fault::file("write", to))?;
    measured.is(size, sha256)
}

/// Whether the file is what was expected.
pub(super) fn check(path: &Path, size: u64, sha256: &str) -> Result<(), Fault> {
    let mut file = open(path).map_err(Fault::file("read", path))?;
    let found = file.metadata().map_err(Fault::file("look at", path))?.len();
    if found != size {
        return Err(Fault::Checksum(format!("it has {found} bytes, and {size} are expected")));
    }
    let (mut measured, mut chunk) = (Measured::new(), vec![0; CHUNK]);
    loop {
        match file.read(&mut chunk).map_err(Fault::file("read", path))? {
            0 => return measured.is(size, sha256),
            length => measured.take(&chunk[..length]),
        }
    }
}

/// Who may own what is believed: root, and whoever owns the program that asks. That one could have changed the program
/// itself, so nothing is given away; where a package has installed it, that is root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner(u32);

impl Owner {
    /// That of this program.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn of_program() -> io::Result<Self> {
        Ok(Self(fs::metadata("/proc/self/exe")?.uid()))
    }

    /// Whether a file or folder can have been written by nobody else.
    pub(super) fn vouches_for(self, path: &Path) -> Result<(), Fault> {
        let found = fs::symlink_metadata(path).map_err(Fault::file("look at", path))?;
        let told = |problem: &str| Fault::file("trust", path)(io::Error::new(io::ErrorKind::PermissionDenied, problem.to_owned()));
        if found.uid() != 0 && found.uid() != self.0 {
            return Err(told(&format!("it belongs to the user {}, and should to root", found.uid())));
        }
        if !found.is_symlink() && found.mode() & 0o022 != 0 {
            return Err(told("others than its owner may write to it"));
        }
        Ok(())
    }
}

/// Whether a file that says what is to be believed is itself root's word: nobody else can have written it.
///
/// # Errors
/// When somebody else can, or the file cannot be looked at.
pub fn trusted(path: &Path) -> Result<(), Fault> {
    let owner = Owner::of_program().map_err(Fault::file("look at", "/proc/self/exe"))?;
    let file = fs::canonicalize(path).map_err(Fault::file("look at", path))?;
    // Whoever may write to the folder could put another in its place.
    [Some(file.as_path()), file.parent()].into_iter().flatten().try_for_each(|path| owner.vouches_for(path))
}

/// The name of an entry, where it is plain text.
pub(super) fn name_of(entry: &fs::DirEntry) -> Option<String> {
    entry.file_name().to_str().map(str::to_owned)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::sync::{Mutex, MutexGuard, PoisonError};
    use uuid::Uuid;

    /// Tests that start programs which they have written do so one at a time: a child of another test has the file open for
    /// writing until it has become its own program, and what is being written cannot be started (ETXTBSY).
    pub(in crate::update) fn alone() -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());
        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A folder that goes with the test.
    pub(in crate::update) struct Folder(pub(in crate::update) PathBuf);

    impl Folder {
        pub(in crate::update) fn new() -> Self {
            let folder = std::env::temp_dir().join(format!("axion-update-{}", Uuid::new_v4().simple()));
            fs::create_dir(&folder).unwrap();
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
            Self(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    /// As a manifest writes it.
    pub(in crate::update) fn sha256(bytes: &[u8]) -> String {
        hex(&openssl::sha::sha256(bytes))
    }

    #[test]
    fn what_is_put_somewhere_replaces_what_was_there_and_links_are_not_followed() {
        let folder = Folder::new();
        let at = |name: &str| folder.0.join(name);
        put(&folder.0, "a", b"one", 0o644).unwrap();
        put(&folder.0, "a", b"two", 0o600).unwrap();
        assert_eq!((read(&at("a"), 3).unwrap(), read(&at("b"), 3).unwrap()), (Some(b"two".to_vec()), None));
        assert_eq!(fs::metadata(at("a")).unwrap().mode() & 0o777, 0o600);
        assert!(read(&at("a"), 2).unwrap_err().to_string().contains("more than 2 bytes"));
        symlink("a", at("l")).unwrap();
        symlink("/etc", at("d")).unwrap();
        assert!(read(&at("l"), 3).is_err() && Held::open(&at("d")).is_err(), "a link is not followed");
        // What somebody has put where the new file is written first leads nowhere either.
        symlink(at("victim"), at("a.new")).unwrap();
        put(&folder.0, "a", b"three", 0o600).unwrap();
        assert!(!at("victim").exists() && read(&at("a"), 9).unwrap().unwrap() == b"three");
        link(&folder.0, "current", "1.0.0").unwrap();
        link(&folder.0, "current", "1.1.0").unwrap();
        assert_eq!(fs::read_link(at("current")).unwrap(), Path::new("1.1.0"));
        let held = Held::open(&folder.0).unwrap();
        assert_eq!(fs::read(held.at("a")).unwrap(), b"three");
    }

    #[test]
    fn a_copy_is_what_was_expected_or_an_error() {
        let folder = Folder::new();
        let bytes = vec![7; CHUNK * 2 + 1];
        let (size, sum) = (bytes.len() as u64, sha256(&bytes));
        let to = |name: &str| folder.0.join(name);
        copy(&mut &*bytes, &to("whole"), 0o755, size, &sum).unwrap();
        check(&to("whole"), size, &sum).unwrap();
        for (name, given, size, sum) in [
            ("short", &bytes[1..], size, sum.clone()),
            ("long", &bytes[..], size - 1, sum.clone()),
            ("other", &bytes[..], size, sha256(b"other")),
        ] {
            let fault = copy(&mut &*given, &to(name), 0o755, size, &sum).unwrap_err();
            assert!(matches!(fault, Fault::Checksum(_)), "{name}: {fault}");
            assert!(check(&to(name), size, &sum).is_err(), "{name}");
        }
    }

    #[test]
    fn what_others_may_write_is_not_trusted() {
        let folder = Folder::new();
        let owner = Owner(fs::metadata(&folder.0).unwrap().uid());
        owner.vouches_for(&folder.0).unwrap();
        fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(owner.vouches_for(&folder.0).unwrap_err().to_string().contains("others"));
        fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::chown(&folder.0, Some(12_345), None).ok();
        let belongs = fs::metadata(&folder.0).unwrap().uid();
        assert_eq!(Owner(0).vouches_for(&folder.0).is_ok(), belongs == 0);
        assert!(Owner(12_345).vouches_for(&folder.0).is_ok() == (belongs == 12_345 || belongs == 0));
    }
}

//! The folder of installed versions: root's, written by the helper alone. What may be started lies here, and what is
//! known of it: each version with its release, the link to the current one, the floors and the trial.
//!
//! ```text
//! /var/lib/axion-agent-versions/
//!   1.4.0/axion-agent      the binary
//!   1.4.0/release.json     its size and SHA-256, as the manifest named them
//!   current -> 1.4.0
//!   state.json             floors, trial, the version before, the helper's last answer
//! ```

use super::decide::Floors;
use super::fault::Fault;
use super::files::{self, Owner};
use super::version::Version;
use crate::domain::{CommandId, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The binary of a version, in its folder.
pub(super) const BINARY: &str = "axion-agent";
/// What is known of it.
pub(super) const RELEASE: &str = "release.json";
/// The link to the version that is to run.
pub(super) const CURRENT: &str = "current";
/// What the helper knows.
const STATE: &str = "state.json";
/// The largest of these files, in bytes: they are some hundred.
const MAX_BYTES: usize = 64 * 1024;
/// Everybody may read and start what is here.
const READABLE: u32 = 0o644;

/// What is kept of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Release {
    pub(super) version: Version,
    pub(super) size: u64,
    pub(super) sha256: String,
    pub(super) security_floor: Option<Version>,
    /// The key that signed its manifest.
    pub(super) key: String,
    pub(super) installed_at: Timestamp,
}

/// What the helper knows beyond the versions themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct State {
    #[serde(flatten)]
    pub(super) floors: Floors,
    /// The version before the current one, where it was installed here; else that is the package's.
    pub(super) previous: Option<Version>,
    /// The trial of the current version.
    pub(super) trial: Option<Trial>,
    /// What became of the last request.
    pub(super) answer: Option<Answer>,
}

/// A version that has to prove itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trial {
    /// The command that asked for it.
    pub(super) id: CommandId,
    pub(super) version: Version,
    /// Where it goes back to: a version that is installed here, else the package's.
    pub(super) previous: Option<Version>,
    /// How often it may be started; without end where nothing goes back by itself.
    pub(super) attempts: Option<u32>,
    pub(super) since: Timestamp,
}

/// What the helper says to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answer {
    /// Of which command the request was.
    pub(super) id: CommandId,
    pub(super) at: Timestamp,
    /// Why it was refused, if it was.
    pub(super) refused: Option<Refused>,
}

/// A stable code and a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refused {
    pub(super) code: String,
    pub(super) message: String,
}

/// The folder.
#[derive(Debug, Clone)]
pub(super) struct Versions {
    folder: PathBuf,
    owner: Owner,
}

impl Versions {
    pub(super) fn at(folder: &Path, owner: Owner) -> Self {
        Self { folder: folder.to_owned(), owner }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether there is such a folder at all.
    pub(super) fn exist(&self) -> bool {
        self.folder.is_dir()
    }

    /// Where a version is.
    pub(super) fn of(&self, version: &Version) -> PathBuf {
        self.folder.join(version.to_string())
    }

    /// What the helper knows: nothing yet, where it has written nothing.
    pub(super) fn state(&self) -> Result<State, Fault> {
        self.owner.vouches_for(&self.folder)?;
        Ok(self.document(&self.folder.join(STATE))?.unwrap_or_default())
    }

    /// Writes it. The helper alone may.
    pub(super) fn keep(&self, state: &State) -> Result<(), Fault> {
        let text = serde_json::to_vec_pretty(state).unwrap_or_default();
        files::put(&self.folder, STATE, &text, READABLE)
    }

    /// The version that the link leads to.
    pub(super) fn current(&self) -> Result<Option<Version>, Fault> {
        let link = self.folder.join(CURRENT);
        let target = match fs::read_link(&link) {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Fault::file("read", &link)(error)),
        };
        self.owner.vouches_for(&link)?;
        // A version beside it, and nothing else: the text is no path.
        let version = target.to_str().and_then(|text| Version::parse(text).ok());
        let odd = || io::Error::new(io::ErrorKind::InvalidData, format!("it leads to {}, which is no version", target.display()));
        version.map(Some).ok_or_else(|| Fault::file("follow", &link)(odd()))
    }

    /// Lets the next start take this version; the package's, where there is none.
    pub(super) fn switch(&self, to: Option<&Version>) -> Result<(), Fault> {
        match to {
            Some(version) => files::link(&self.folder, CURRENT, &version.to_string()),
            None => {
                files::remove(&self.folder.join(CURRENT))?;
                files::sync(&self.folder)
            }
        }
    }

    /// The binary of a version that is whole: the one that its manifest named, and nobody else can have written it.
    pub(super) fn whole(&self, version: &Version) -> Result<(PathBuf, Release), Fault> {
        let (folder, binary) = (self.of(version), self.of(version).join(BINARY));
        for path in [&self.folder, &folder, &binary] {
            self.owner.vouches_for(path)?;
        }
        let release = self.release(version)?;
        files::check(&binary, release.size, &release.sha256)?;
        Ok((binary, release))
    }

    /// What is kept of a version, without a look at its binary.
    pub(super) fn release(&self, version: &Version) -> Result<Release, Fault> {
        let path = self.of(version).join(RELEASE);
        let release: Option<Release> = self.document(&path)?;
        let odd = |text: &str| Fault::file("read", &path)(io::Error::new(io::ErrorKind::InvalidData, text.to_owned()));
        match release {
            Some(release) if release.version == *version => Ok(release),
            Some(_) => Err(odd("it is of another version")),
            None => Err(odd("it is not there")),
        }
    }

    /// The versions that have a folder here, the newest first.
    pub(super) fn all(&self) -> Result<Vec<Version>, Fault> {
        let entries = fs::read_dir(&self.folder).map_err(Fault::file("list", &self.folder))?;
        let names = entries.flatten().filter_map(|entry| files::name_of(&entry));
        let mut versions: Vec<Version> = names.filter_map(|name| Version::parse(&name).ok()).collect();
        versions.sort();
        versions.reverse();
        Ok(versions)
    }

    /// A file of this folder, if nobody else can have written it.
    fn document<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>, Fault> {
        let Some(bytes) = files::read(path, MAX_BYTES)? else { return Ok(None) };
        self.owner.vouches_for(path)?;
        let odd = |error: serde_json::Error| Fault::file("read", path)(io::Error::new(io::ErrorKind::InvalidData, error.to_string()));
        serde_json::from_slice(&bytes).map(Some).map_err(odd)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::files::tests::{Folder, sha256};
    use super::*;
    use std::os::unix::fs::symlink;

    pub(in crate::update) fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    /// A folder of versions as the helper leaves it.
    pub(in crate::update) fn versions(folder: &Folder) -> Versions {
        Versions::at(&folder.0, Owner::of_program().unwrap())
    }

    /// Puts a version there that is whole.
    pub(in crate::update) fn put(versions: &Versions, text: &str, content: &[u8]) {
        let version = version(text);
        let folder = versions.of(&version);
        fs::create_dir_all(&folder).unwrap();
        files::put(&folder, BINARY, content, 0o755).unwrap();
        let (size, sha256) = (content.len() as u64, sha256(content));
        let release =
            Release { version, size, sha256, security_floor: None, key: "release-1".to_owned(), installed_at: Timestamp::from_millis(0) };
        files::put(&folder, RELEASE, &serde_json::to_vec(&release).unwrap(), READABLE).unwrap();
    }

    #[test]
    fn a_version_is_whole_or_it_is_none() {
        let folder = Folder::new();
        let versions = versions(&folder);
        assert_eq!((versions.current().unwrap(), versions.state().unwrap()), (None, State::default()));
        put(&versions, "1.1.0", b"one");
        put(&versions, "1.10.0", b"ten");
        assert_eq!(versions.all().unwrap(), ["1.10.0", "1.1.0"].map(version));
        versions.switch(Some(&version("1.10.0"))).unwrap();
        assert_eq!(versions.current().unwrap(), Some(version("1.10.0")));
        let (binary, release) = versions.whole(&version("1.10.0")).unwrap();
        assert_eq!((binary, release.size), (folder.0.join("1.10.0/axion-agent"), 3));
        fs::write(folder.0.join("1.10.0/axion-agent"), "TEN").unwrap();
        assert!(matches!(versions.whole(&version("1.10.0")), Err(Fault::Checksum(_))));
        fs::remove_file(folder.0.join("1.1.0/release.json")).unwrap();
        assert!(versions.whole(&version("1.1.0")).unwrap_err().to_string().contains("not there"));
        versions.switch(None).unwrap();
        assert_eq!(versions.current().unwrap(), None);
    }

    #[test]
    fn the_link_leads_to_a_version_beside_it_and_nowhere_else() {
        let folder = Folder::new();
        let versions = versions(&folder);
        for target in ["/bin/sh", "../1.0.0", "1.0.0/axion-agent", "x", ""] {
            drop(fs::remove_file(folder.0.join(CURRENT)));
            if symlink(target, folder.0.join(CURRENT)).is_ok() {
                assert!(versions.current().is_err(), "{target}");
            }
        }
        put(&versions, "1.0.0", b"one");
        let binary = folder.0.join("1.0.0/axion-agent");
        fs::rename(&binary, folder.0.join("aside")).unwrap();
        symlink("../aside", &binary).unwrap();
        assert!(versions.whole(&version("1.0.0")).is_err(), "a binary is no link");
    }

    #[test]
    fn what_the_helper_keeps_is_read_as_it_was_written() {
        let folder = Folder::new();
        let versions = versions(&folder);
        let id = CommandId(uuid::Uuid::from_u128(7));
        let at = Timestamp::from_millis(1_000);
        let mut floors = Floors::default();
        floors.rise(&version("1.0.0"), Some(&version("0.9.0")));
        let state = State {
            floors,
            previous: Some(version("1.0.0")),
            trial: Some(Trial { id, version: version("1.1.0"), previous: None, attempts: Some(3), since: at }),
            answer: Some(Answer { id, at, refused: Some(Refused { code: "c".to_owned(), message: "m".to_owned() }) }),
        };
        versions.keep(&state).unwrap();
        assert_eq!(versions.state().unwrap(), state);
        fs::write(folder.0.join(STATE), "{").unwrap();
        assert!(versions.state().is_err(), "a file that means nothing is not passed over");
    }
}

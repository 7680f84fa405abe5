//! What the agent itself writes of an update, in `updates/` of its state directory: what it has fetched, what it asks
//! the helper for, and how the trial goes. The helper and the next start read it, and believe no more of it than that a
//! version is well or not: what may be started is decided by what lies in the folder of versions.

use super::fault::Fault;
use super::files;
use super::version::Version;
use crate::domain::{CommandId, Timestamp};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// The folder, in the state directory.
pub(super) const FOLDER: &str = "updates";
/// The envelope of what is staged.
pub(super) const MANIFEST: &str = "manifest.json";
/// The binary of what is staged.
pub(super) const BINARY: &str = "axion-agent";
/// The same while it is fetched.
pub(super) const PART: &str = "axion-agent.part";
/// What the helper is asked for. Its path unit waits for this file.
pub(super) const REQUEST: &str = "request.json";
/// How the trial goes.
pub(super) const TRIAL: &str = "trial.json";
/// The largest of the small files, in bytes: they are some hundred.
pub(super) const MAX_BYTES: usize = 64 * 1024;
/// The agent alone.
const PRIVATE: u32 = 0o600;

/// What the helper is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Request {
    /// The command that it is for.
    pub(super) id: CommandId,
    pub(super) what: What,
}

/// The kinds of request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    /// To install what is staged.
    Install,
    /// To let the version before run, which is this one; the package's, where there is none.
    Return(Option<Version>),
    /// To take over how the trial has ended.
    Settle,
}

/// How a trial goes, as the agent and its starts have written it down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Course {
    /// The command that asked for it.
    pub(super) id: CommandId,
    pub(super) version: Version,
    /// How often it was started.
    pub(super) attempts: u32,
    /// What was not ready before: it does not condemn the version.
    pub(super) outages: Vec<String>,
    /// How it has ended, if it has.
    pub(super) end: Option<End>,
}

/// How a trial has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) verdict: Verdict,
    pub(super) why: String,
    pub(super) at: Timestamp,
}

/// What becomes of the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// It was healthy for its window.
    Healthy,
    /// It was not, and the one before takes its place.
    Returned,
    /// It was not, and stays, since `update.rollback_on_failure` is off.
    Kept,
}

impl Course {
    /// Of a version that was not started yet.
    pub(super) fn new(id: CommandId, version: Version, outages: Vec<String>) -> Self {
        Self { id, version, attempts: 0, outages, end: None }
    }

    /// Whether it has ended so.
    pub(super) fn has_ended(&self, verdict: Verdict) -> bool {
        self.end.as_ref().is_some_and(|end| end.verdict == verdict)
    }
}

/// The folder.
#[derive(Debug, Clone)]
pub(super) struct Staging {
    folder: PathBuf,
}

impl Staging {
    /// That of a state directory; nothing is made yet.
    pub(super) fn of(state_dir: &Path) -> Self {
        Self { folder: state_dir.join(FOLDER) }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes the folder where it is not there.
    pub(super) fn prepare(&self) -> Result<(), Fault> {
        match fs::DirBuilder::new().mode(0o700).create(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(Fault::file("make", &self.folder)(error)),
            _ => Ok(()),
        }
    }

    /// Keeps the envelope of what is staged.
    pub(super) fn keep_manifest(&self, envelope: &[u8]) -> Result<(), Fault> {
        files::put(&self.folder, MANIFEST, envelope, PRIVATE)
    }

    /// Asks the helper.
    pub(super) fn ask(&self, request: &Request) -> Result<(), Fault> {
        self.prepare()?;
        files::put(&self.folder, REQUEST, &serde_json::to_vec(request).unwrap_or_default(), PRIVATE)
    }

    /// Whether the helper has not taken the request away yet.
    pub(super) fn is_asking(&self) -> bool {
        self.at(REQUEST).exists()
    }

    /// Does not ask any more.
    pub(super) fn withdraw(&self) -> Result<(), Fault> {
        files::remove(&self.at(REQUEST))
    }

    /// How the trial of this command goes. What cannot be read is not there: it begins anew.
    pub(super) fn course(&self, id: CommandId) -> Option<Course> {
        course(&self.at(TRIAL)).filter(|course| course.id == id)
    }

    /// Writes it down, durably.
    pub(super) fn note(&self, course: &Course) -> Result<(), Fault> {
        self.prepare()?;
        files::put(&self.folder, TRIAL, &serde_json::to_vec(course).unwrap_or_default(), PRIVATE)
    }

    /// Nothing is staged any more.
    pub(super) fn clear(&self) -> Result<(), Fault> {
        [MANIFEST, BINARY, PART].iter().try_for_each(|name| files::remove(&self.at(name)))
    }
}

/// What stands in such a file, if it can be understood.
pub(super) fn course(path: &Path) -> Option<Course> {
    serde_json::from_slice(&files::read(path, MAX_BYTES).ok()??).ok()
}

/// What stands in a request. An old file that means nothing is an error.
pub(super) fn request(path: &Path) -> Result<Option<Request>, Fault> {
    let Some(bytes) = files::read(path, MAX_BYTES)? else { return Ok(None) };
    let odd = |error: serde_json::Error| Fault::file("read", path)(io::Error::new(io::ErrorKind::InvalidData, error.to_string()));
    serde_json::from_slice(&bytes).map(Some).map_err(odd)
}

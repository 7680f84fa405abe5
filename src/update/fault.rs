//! Why an update does not happen: each with its stable code, and what to do where that is not the same for all.

use super::version::Version;
use crate::domain::{Code, Timestamp};
use std::io;
use std::path::PathBuf;

/// Why an update, or a way back, does not happen.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It is turned off.
    #[error("updates are turned off: update.enabled is false in the configuration of this agent")]
    Disabled,
    /// Nobody could sign a manifest.
    #[error("update.public_keys names no release key: no manifest could be believed")]
    NoKeys,
    /// This agent is replaced by other means.
    #[error("this agent does not update itself: {0}")]
    ManagedElsewhere(String),
    /// The envelope of the manifest is not to be believed.
    #[error("the manifest is not to be believed: {0}")]
    Signature(String),
    /// A signed body that is no manifest.
    #[error("the manifest cannot be used: {0}")]
    Manifest(String),
    /// For another product, channel or machine.
    #[error("the manifest is not for this agent: {0}")]
    NotForThis(String),
    /// Its time is over.
    #[error("the manifest of {version} expired at {at}: a newer one is needed")]
    Expired {
        /// Of which version.
        version: Version,
        /// When.
        at: Timestamp,
    },
    /// It leads back.
    #[error("{version} is refused: {why}")]
    Downgrade {
        /// Which version.
        version: Version,
        /// What it is below.
        why: String,
    },
    /// There is no manifest, or not for the version that is wanted.
    #[error("{0}")]
    NotOffered(String),
    /// The manifest or the binary cannot be had.
    #[error("cannot fetch {url}: {problem}")]
    Fetch {
        /// From where, without its query.
        url: String,
        /// What went wrong.
        problem: String,
    },
    /// What was fetched, or staged, is something else.
    #[error("the binary is not the one that the manifest names: {0}")]
    Checksum(String),
    /// There is no room.
    #[error("{free} MiB are free in {folder}, and {needed} MiB are needed with limits.min_free_disk", folder = folder.display())]
    NoSpace {
        /// Where.
        folder: PathBuf,
        /// What is free, in MiB.
        free: u64,
        /// What is needed, in MiB.
        needed: u64,
    },
    /// A file cannot be written or read.
    #[error("cannot {what} {path}: {source}", path = path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The new version does not start as it should, or the helper says something else against it.
    #[error("{0}")]
    Install(String),
    /// The new version did not become healthy.
    #[error("{version} did not become healthy: {why}")]
    Unhealthy {
        /// Which.
        version: Version,
        /// What was wrong.
        why: String,
    },
    /// There is nothing to go back to.
    #[error("{0}")]
    NoPrevious(String),
    /// Another one is under way.
    #[error("another update is under way: it ends within its trial")]
    Busy,
    /// Somebody cancelled it.
    #[error("the update was cancelled before it began to install")]
    Cancelled,
    /// The helper said no, in its own words.
    #[error("{message}")]
    Refused {
        /// Its code.
        code: Code,
        /// Its words.
        message: String,
    },
    /// The agent leaves.
    #[error("the agent is on its way out")]
    Leaving,
}

impl Fault {
    /// Of a file.
    pub(super) fn file(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { what, path: path.into(), source }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Disabled | Self::NoKeys => Code::UPDATE_DISABLED,
            Self::ManagedElsewhere(_) => Code::UPDATE_MANAGED_ELSEWHERE,
            Self::Signature(_) => Code::UPDATE_BAD_SIGNATURE,
            Self::Manifest(_) => Code::UPDATE_BAD_MANIFEST,
            Self::NotForThis(_) => Code::UPDATE_NOT_FOR_THIS_HOST,
            Self::Expired { .. } => Code::UPDATE_EXPIRED,
            Self::Downgrade { .. } => Code::UPDATE_DOWNGRADE,
            Self::NotOffered(_) => Code::UPDATE_NOT_OFFERED,
            Self::Fetch { .. } => Code::UPDATE_UNREACHABLE,
            Self::Checksum(_) => Code::UPDATE_CHECKSUM,
            Self::NoSpace { .. } => Code::UPDATE_NO_SPACE,
            Self::File { .. } | Self::Install(_) => Code::UPDATE_INSTALL,
            Self::Unhealthy { .. } => Code::UPDATE_UNHEALTHY,
            Self::NoPrevious(_) => Code::UPDATE_NO_PREVIOUS,
            Self::Busy => Code::UPDATE_BUSY,
            Self::Cancelled => Code::CANCELLED,
            Self::Refused { code, .. } => *code,
            Self::Leaving => Code::LEAVING,
        }
    }
}

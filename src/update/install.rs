//! The helper: root's side of an update, started by its unit when the agent asks. It trusts nothing that the agent wrote:
//! it verifies the manifest again, with the keys of the configuration that root owns, and copies the binary while it
//! measures it. What it does is a list of steps; cut off after any of them, what starts is a whole version, and done again
//! it comes to the same end.
//!
//! Runs on the main thread of a process of its own, alone. It uses no network. The one process that it starts is the new
//! binary, as the agent's user, to hear which version it says it is. What may be done at all is `install/plan.rs`.

mod plan;

use super::fault::Fault;
use super::files::{self, Held, Owner};
use super::preflight::says;
use super::staging::{self, Verdict, What};
use super::version::Version;
use super::versions::{Answer, BINARY, RELEASE, Refused, Release, State, Trial, Versions};
use crate::domain::{CommandId, Timestamp};
use crate::filesystem;
use crate::signing::Keys;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Where a version is put together.
const INCOMING: &str = "incoming.new";
/// Held by the one helper that works.
const LOCK: &str = "lock";
/// Everybody may start it, nobody but root may change it.
const EXECUTABLE: u32 = 0o755;
const READABLE: u32 = 0o644;
/// So often a version on trial may be started: once for itself, once more for a host that goes down meanwhile, and once.
const ATTEMPTS: u32 = 3;

/// Whether the version before comes back by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// It does.
    Returns,
    /// It does not: the new one stays.
    Stays,
}

/// What the helper goes by; all of it is root's word.
#[derive(Debug, Clone)]
pub struct Helper {
    /// The agent's state directory.
    pub state_dir: PathBuf,
    /// The folder of versions.
    pub versions_dir: PathBuf,
    /// Who may sign.
    pub keys: Keys,
    /// Which releases this host follows.
    pub channel: String,
    /// How many versions stay beside the current one.
    pub max_backups: usize,
    /// So much stays free, in bytes.
    pub min_free_disk: u64,
    /// What happens to a version that does not become healthy.
    pub on_failure: OnFailure,
    /// Now.
    pub at: Timestamp,
}

/// One step. Each can be done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// What an earlier helper did not finish goes.
    Clean,
    /// The binary is copied, and is the one that the manifest names.
    Copy,
    /// What is known of it is written beside it.
    Record,
    /// It starts, and says that it is that version.
    Try,
    /// It gets its place.
    Place,
    /// Its trial is written down: from here it is on trial wherever it is started.
    Arm,
    /// The next start takes it.
    Switch,
    /// The agent is answered.
    Answer,
    /// Versions that are kept no longer go.
    Prune,
    /// A trial that was passed is written down.
    Confirm,
    /// The next start takes the version before.
    Back,
    /// The trial is over.
    End,
    /// So is any trial, and there is nothing kept to go back to but the package's copy.
    Leave,
    /// The request goes.
    Forget,
}

const INSTALL: &[Step] =
    &[Step::Clean, Step::Copy, Step::Record, Step::Try, Step::Place, Step::Arm, Step::Switch, Step::Answer, Step::Prune, Step::Forget];
/// An installation that was cut off after it was armed.
const GO_ON: &[Step] = &[Step::Switch, Step::Answer, Step::Prune, Step::Forget];
const RETURN: &[Step] = &[Step::Back, Step::Leave, Step::Answer, Step::Forget];
const PASSED: &[Step] = &[Step::Confirm, Step::Prune, Step::Forget];
const FAILED: &[Step] = &[Step::Back, Step::End, Step::Forget];
const NOTHING: &[Step] = &[Step::Forget];

/// What is to be done, once it was decided that it may be.
pub(super) struct Work {
    id: CommandId,
    /// The list.
    pub(super) steps: &'static [Step],
    /// What is installed.
    release: Option<Release>,
    /// Where it goes back to; the package's copy, where that is none.
    before: Option<Version>,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Served {
    /// Nobody asked.
    Nothing,
    /// This was done.
    Done(String),
    /// It was refused, and the agent is told why.
    Refused(String),
}

/// Does what the agent asks for, if it may be done.
///
/// # Errors
/// When not even the answer can be written; the request then stays, and the next start of the helper tries again.
pub fn serve(helper: &Helper) -> Result<Served, Fault> {
    let Some(site) = Site::open(helper)? else { return Ok(Served::Nothing) };
    let request = match staging::request(&site.staged.at(staging::REQUEST)) {
        Ok(Some(request)) => request,
        Ok(None) => return Ok(Served::Nothing),
        Err(fault) => {
            // Nobody can be answered, and it would be found again and again.
            site.forget()?;
            return Ok(Served::Refused(fault.to_string()));
        }
    };
    let Some(_alone) = site.lock()? else { return Ok(Served::Nothing) };
    let done = site.plan(&request).and_then(|work| {
        work.steps.iter().try_for_each(|step| site.take(*step, &work))?;
        Ok(format!("{}: {}", request.what.name(), work.in_words()))
    });
    match done {
        Ok(words) => Ok(Served::Done(words)),
        Err(fault) => {
            site.refuse(request.id, &fault)?;
            Ok(Served::Refused(format!("{}: {}: {fault}", request.what.name(), fault.code())))
        }
    }
}

impl What {
    fn name(&self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Return(_) => "return",
            Self::Settle => "settle",
        }
    }
}

impl Work {
    fn in_words(&self) -> String {
        let before = || self.before.as_ref().map_or_else(|| "the package's version".to_owned(), ToString::to_string);
        match (&self.release, self.steps.contains(&Step::Back), self.steps.contains(&Step::Confirm)) {
            (Some(release), ..) => format!("{} is installed and on trial; before it runs {}", release.version, before()),
            (None, true, _) => format!("the next start takes {}", before()),
            (None, false, true) => "the version that was on trial counts from now on".to_owned(),
            (None, false, false) => "there was nothing left to do".to_owned(),
        }
    }
}

/// Both folders, opened.
pub(super) struct Site<'a> {
    helper: &'a Helper,
    package: Version,
    versions: Versions,
    staged: Held,
}

impl<'a> Site<'a> {
    /// Nothing where the agent has never asked.
    pub(super) fn open(helper: &'a Helper) -> Result<Option<Self>, Fault> {
        let staging = helper.state_dir.join(staging::FOLDER);
        if !staging.exists() {
            return Ok(None);
        }
        let owner = Owner::of_program().map_err(Fault::file("look at", "/proc/self/exe"))?;
        let versions = Versions::at(&helper.versions_dir, owner);
        if !versions.exist() {
            let folder = helper.versions_dir.display();
            return Err(Fault::ManagedElsewhere(format!("there is no folder {folder} for its versions")));
        }
        owner.vouches_for(versions.folder())?;
        Ok(Some(Self { helper, package: Version::own(), versions, staged: Held::open(&staging)? }))
    }

    /// One helper at a time.
    fn lock(&self) -> Result<Option<File>, Fault> {
        let path = self.versions.folder().join(LOCK);
        let file = File::options().create(true).append(true).open(&path).map_err(|error| made(&path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Fault::file("lock", path)(error)),
        }
    }

    /// Takes a step.
    pub(super) fn take(&self, step: Step, work: &Work) -> Result<(), Fault> {
        let (versions, incoming) = (&self.versions, self.versions.folder().join(INCOMING));
        match (step, &work.release) {
            (Step::Clean, Some(release)) => {
                files::remove_all(&incoming)?;
                // Of an installation that went wrong; the current one is whole, or would not be gone on from.
                if versions.whole(&release.version).is_ok() { Ok(()) } else { files::remove_all(&versions.of(&release.version)) }
            }
            (Step::Copy, Some(release)) => {
                DirBuilder::new().mode(EXECUTABLE).create(&incoming).map_err(|error| made(&incoming, error))?;
                let staged = self.staged.at(staging::BINARY);
                let mut binary = files::open(&staged).map_err(Fault::file("read", staging::BINARY))?;
                files::copy(&mut binary, &incoming.join(BINARY), EXECUTABLE, release.size, &release.sha256)
            }
            (Step::Record, Some(release)) => {
                files::put(&incoming, RELEASE, &serde_json::to_vec_pretty(release).unwrap_or_default(), READABLE)?;
                files::sync(&incoming)
            }
            (Step::Try, Some(release)) => says(&incoming.join(BINARY), &release.version, self.staged.owner()?),
            (Step::Place, Some(release)) => {
                let place = versions.of(&release.version);
                files::remove_all(&place)?;
                fs::rename(&incoming, &place).map_err(Fault::file("replace", &place))?;
                files::sync(versions.folder())
            }
            (Step::Arm, Some(release)) => {
                if !self.staged.at(staging::REQUEST).exists() {
                    return Err(Fault::Cancelled);
                }
                let trial = Trial {
                    id: work.id,
                    version: release.version.clone(),
                    previous: work.before.clone(),
                    attempts: (self.helper.on_failure == OnFailure::Returns).then_some(ATTEMPTS),
                    since: self.helper.at,
                };
                self.change(|state| state.trial = Some(trial))
            }
            (Step::Switch, Some(release)) => versions.switch(Some(&release.version)),
            (Step::Back, _) => versions.switch(work.before.as_ref()),
            (Step::End, _) => self.change(|state| state.trial = None),
            (Step::Leave, _) => self.change(|state| (state.trial, state.previous) = (None, None)),
            (Step::Confirm, _) => self.confirm(),
            (Step::Answer, _) => self.change(|state| state.answer = Some(Answer { id: work.id, at: self.helper.at, refused: None })),
            (Step::Prune, _) => self.prune(),
            (Step::Forget, _) => self.forget(),
            (_, None) => Ok(()),
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) -> Result<(), Fault> {
        let mut state = self.versions.state()?;
        change(&mut state);
        self.versions.keep(&state)
    }

    /// The floors rise with a version that was healthy; one that was only kept has not earned it.
    fn confirm(&self) -> Result<(), Fault> {
        let Some(trial) = self.versions.state()?.trial else { return Ok(()) };
        let release = self.versions.release(&trial.version)?;
        let healthy = staging::course(&self.staged.at(staging::TRIAL)).is_some_and(|course| course.has_ended(Verdict::Healthy));
        self.change(|state| {
            if healthy {
                state.floors.rise(&trial.version, release.security_floor.as_ref());
            }
            state.previous = trial.previous;
            state.trial = None;
        })
    }

    /// Of the versions beside the current one the newest stay, and those that something goes back to in any case.
    fn prune(&self) -> Result<(), Fault> {
        let (current, state) = (self.versions.current()?, self.versions.state()?);
        let before = state.trial.as_ref().and_then(|trial| trial.previous.as_ref()).or(state.previous.as_ref());
        let mut left = self.helper.max_backups.saturating_sub(usize::from(before.is_some()));
        for version in self.versions.all()? {
            if Some(&version) == current.as_ref() || Some(&version) == before {
                continue;
            }
            if left > 0 {
                left -= 1;
            } else {
                files::remove_all(&self.versions.of(&version))?;
            }
        }
        Ok(())
    }

    fn forget(&self) -> Result<(), Fault> {
        files::remove(&self.staged.at(staging::REQUEST))?;
        self.staged.sync()
    }

    /// Tells the agent why not.
    fn refuse(&self, id: CommandId, fault: &Fault) -> Result<(), Fault> {
        let refused = Some(Refused { code: fault.code().as_str().to_owned(), message: fault.to_string() });
        files::remove_all(&self.versions.folder().join(INCOMING))?;
        self.change(|state| state.answer = Some(Answer { id, at: self.helper.at, refused }))?;
        self.forget()
    }
}

/// A file system that cannot be written to belongs to somebody who replaces it as a whole.
fn made(path: &Path, error: io::Error) -> Fault {
    if error.kind() == io::ErrorKind::ReadOnlyFilesystem {
        Fault::ManagedElsewhere(format!("{} is on a file system that is read-only", path.display()))
    } else {
        Fault::file("make", path)(error)
    }
}

/// Whether there is room for so many bytes, and as many stay free as have to.
pub(super) fn room(folder: &Path, size: u64, stays: u64) -> Result<(), Fault> {
    let free = filesystem::free(folder).map_err(Fault::file("look at", folder))?;
    let needed = size.saturating_add(stays);
    if free >= needed {
        Ok(())
    } else {
        Err(Fault::NoSpace { folder: folder.to_owned(), free: free >> 20, needed: needed.div_ceil(1 << 20) })
    }
}

#[cfg(test)]
#[path = "install_tests.rs"]
mod tests;

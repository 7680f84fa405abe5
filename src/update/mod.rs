//! Self-update: another version is fetched, installed by a helper of root's, tried, and counts once it was healthy for a
//! while; where it was not, the version before comes back without any network. docs/update.md tells it whole.
//!
//! Three processes have a part in it. **The agent** (thread `update`, asleep while nothing is asked): verifies the
//! manifest, fetches the binary into its own folder (`staging.rs`, `fetch.rs`), asks the helper, watches the trial
//! (`worker.rs`, `trial.rs`). **The helper** (`install.rs`): root's, started by its unit; believes nothing of that, and
//! writes the folder of versions (`versions.rs`). **The start** (`launch.rs`): the package's copy of the program becomes the
//! current version, and counts the attempts of one that is on trial.
//!
//! `manifest.rs` and `decide.rs` are the rules, and pure. This room speaks to the coordinator through [`Event`], and never
//! decides when a command may begin.

mod decide;
mod fault;
mod fetch;
mod files;
mod install;
mod launch;
mod manifest;
mod preflight;
mod staging;
mod status;
mod trial;
mod version;
mod versions;
mod worker;

pub use decide::Floors;
pub use fault::Fault;
pub use files::{Owner, trusted};
pub use install::{Helper, OnFailure, Served, serve};
pub use launch::{Places, Started, condemn, launch};
pub use manifest::{MAX_BINARY_BYTES, MAX_MANIFEST_BYTES, Manifest, is_https};
pub use status::{Checked, Desk};
pub use version::{InvalidVersion, Version};

use crate::domain::{Code, Command, CommandId, Entry, Health, Ledger, Outcome, Progress};
use crate::https::Net;
use crate::signing::Keys;
use crate::threads::{Exit, Published, Stop, StopSource, Thread, ThreadName, spawn, stop_pair, supervise};
use crossbeam_channel::{Sender, bounded};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

const NAME: ThreadName = ThreadName::new("update");
/// The version of this program.
pub const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");
/// Requests that wait: one command at a time, offers, and questions of people.
const REQUESTS: usize = 16;
/// Events on their way to the coordinator: some for one command.
pub const EVENTS: usize = 16;

/// What the agent goes by.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whether it is wanted.
    pub wanted: Wanted,
    /// Where its files are.
    pub places: Places,
    /// How this process came to run.
    pub started: Started,
    /// The release keys.
    pub keys: Keys,
    /// Which releases this host follows.
    pub channel: String,
    /// Where a manifest is, where the control plane offers none.
    pub manifest_url: Option<String>,
    /// How often that is looked at.
    pub check_interval: Duration,
    /// The longest time that a download may take.
    pub download_timeout: Duration,
    /// The longest time that the helper may take.
    pub install_timeout: Duration,
    /// For how long a new version must be healthy.
    pub health_window: Duration,
    /// What happens to one that is not.
    pub on_failure: OnFailure,
    /// So much stays free, in bytes.
    pub min_free_disk: u64,
    /// The way out.
    pub net: Net,
}

/// Whether updates are wanted at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// `update.enabled`.
    Yes,
    /// Not.
    No,
}

impl Settings {
    /// Why no update can be installed here, if none can.
    #[must_use]
    pub fn refusal(&self) -> Option<Fault> {
        if self.wanted == Wanted::No {
            return Some(Fault::Disabled);
        }
        let folder = &self.places.versions_dir;
        if !folder.is_dir() {
            let reason = format!(
                "there is no folder {} for its versions, which the package makes; in a container, or where an image is replaced as a whole, replace that",
                folder.display()
            );
            return Some(Fault::ManagedElsewhere(reason));
        }
        self.keys.is_empty().then_some(Fault::NoKeys)
    }
}

/// To the thread.
pub enum Request {
    /// An `Update` is to be carried out, or goes on.
    Carry(Job),
    /// The control plane offers this envelope, or nothing any more.
    Offered(Option<Vec<u8>>),
    /// Somebody wants to know what there is; the answer goes here.
    Check(Sender<Result<Checked, Fault>>),
}

/// An `Update` on its way.
pub struct Job {
    /// It.
    pub command: Arc<Command>,
    /// Whether an earlier process has begun it, or may have.
    pub entry: Entry,
    /// Comes when somebody cancels it.
    pub cancelled: Stop,
}

/// To the coordinator.
#[derive(Debug)]
pub enum Event {
    /// A step forward.
    Progress(CommandId, Progress),
    /// The end.
    Finished(CommandId, Outcome),
    /// It waits for the next start of the process.
    Suspended(CommandId),
    /// The agent is to leave and to be started again, for this reason.
    Restart(String),
}

/// What the thread sees of the others.
pub struct Sources {
    /// How the agent is.
    pub health: Published<Health>,
    /// Where steps are written down.
    pub ledger: Arc<dyn Ledger>,
}

/// The running thread. Dropping `stop` ends it.
pub struct Update {
    /// To the thread.
    pub requests: Sender<Request>,
    /// Dropped to stop.
    pub stop: StopSource,
    /// The thread.
    pub thread: Thread,
}

impl fmt::Debug for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Update").field("thread", &self.thread.name()).finish_non_exhaustive()
    }
}

/// Starts the thread, where it has something to do: updates are wanted, or one is on trial. What it finds is published in
/// `checked`.
///
/// # Errors
/// When the system gives no thread.
pub fn start(
    settings: &Settings,
    sources: Sources,
    checked: Published<Checked>,
    events: Sender<Event>,
    exits: Sender<Exit>,
) -> io::Result<Option<Update>> {
    if settings.wanted == Wanted::No && !worker::has_trial(&settings.places) {
        return Ok(None);
    }
    let (requests, inbox) = bounded(REQUESTS);
    let (source, stop) = stop_pair();
    let settings = settings.clone();
    let run = move || {
        let mut worker = worker::Worker::new(settings, sources, checked, events, stop.clone(), inbox);
        supervise(NAME, &stop, || worker.run())
    };
    let thread = spawn(NAME, exits, run)?;
    Ok(Some(Update { requests, stop: source, thread }))
}

/// The code that a text of the helper's stands for.
fn code_of(text: &str) -> Code {
    Code::ALL.iter().copied().find(|code| code.as_str() == text).unwrap_or(Code::UPDATE_INSTALL)
}

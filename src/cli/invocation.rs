//! What is wanted, once the words of a command line were understood. Pure data.

use super::client::Reach;
use super::definition::{Shell, Topic};
use crate::agent::Farewell;
use crate::domain::{AgentId, Release, StackName, Timestamp};
use crate::signing::KeyId;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// What the user wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invocation {
    /// The service, with what `--config` names.
    Run(Option<PathBuf>),
    /// `config check`.
    ConfigCheck(Option<PathBuf>, Output),
    /// `config show`.
    ConfigShow(Option<PathBuf>, Output),
    /// `config example`.
    ConfigExample,
    /// `render`.
    Render(Render),
    /// `enroll`.
    Enroll(Enroll),
    /// `unenroll`.
    Unenroll(Unenroll),
    /// `doctor`.
    Doctor(Option<PathBuf>, Output),
    /// `support-bundle`, with what `--config` and `--output` name.
    SupportBundle(Option<PathBuf>, Option<PathBuf>),
    /// `deploy` and `plan`.
    Deploy(Call, Box<Deploy>),
    /// Another command that changes a stack.
    Change(Call, Change),
    /// `cancel`, `pause`, `resume`.
    Steer(Call, Steer),
    /// `log-level`.
    LogLevel(Call, LogLevel),
    /// `stacks`, `services`, `ps`, `status`.
    Look(Call, Look),
    /// `logs`.
    Logs(Call, Logs),
    /// `events`, of one stack or of all.
    Events(Call, Option<StackName>),
    /// `commands`.
    Commands(Call, Commands),
    /// `keys generate`, `keys sign`, `keys verify`.
    Keys(Keys, Output),
    /// `update status`, `check`, `apply` and `rollback`.
    Update(Call, Update),
    /// `update helper`, with what `--config` names.
    UpdateHelper(Option<PathBuf>),
    /// `schema`.
    Schema(Option<String>),
    /// `completions`.
    Completions(Shell),
    /// `man`: a page, or every page into a folder.
    Man(Topic, Option<PathBuf>),
    /// A help text.
    Help(Topic),
    /// The version.
    Version,
}

/// For whom something is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For scripts: the names alone.
    Names,
}

/// How the agent is asked, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Where it is.
    pub reach: Reach,
    /// For whom.
    pub output: Output,
}

/// The Compose files of a stack, and where variables come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The stack.
    pub stack: StackName,
    /// The Compose files, in the order of merging.
    pub files: Vec<PathBuf>,
    /// The variables.
    pub env_file: Option<PathBuf>,
}

/// `render NAME -c FILE…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Render {
    /// What is rendered.
    pub files: Files,
    /// The Engine API version.
    pub api_version: Option<String>,
    /// What is shown.
    pub form: Form,
    /// How mistakes are told.
    pub output: Output,
}

/// What `render` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// The bodies that Swarm would be sent.
    #[default]
    Bodies,
    /// The files as one.
    Merged,
}

/// `enroll [--token-file FILE]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enroll {
    /// The configuration.
    pub file: Option<PathBuf>,
    /// In place of the configured token.
    pub token_file: Option<PathBuf>,
    /// For whom the id is printed.
    pub output: Output,
}

/// `unenroll [--yes] [--local]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unenroll {
    /// The configuration.
    pub file: Option<PathBuf>,
    /// Whether anybody is asked first.
    pub sure: Sure,
    /// Whether the control plane is told.
    pub farewell: Farewell,
    /// For whom the end is printed.
    pub output: Output,
}

/// What is done with keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// `keys generate`.
    Generate(Generate),
    /// `keys sign`.
    Sign(Sign),
    /// `keys verify`.
    Verify(Verify),
}

/// `keys generate ID`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generate {
    /// What the key is called.
    pub id: KeyId,
    /// Where its private half goes.
    pub file: Option<PathBuf>,
    /// What becomes of a file that is there.
    pub existing: Existing,
}

/// `keys sign FILE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    /// What is signed.
    pub file: PathBuf,
    /// What that is.
    pub subject: Subject,
    /// The private keys.
    pub keys: Vec<PathBuf>,
    /// What the key is called, over its file.
    pub key_id: Option<KeyId>,
    /// Whom a command is for.
    pub agent: Option<AgentId>,
    /// How long it may take to begin.
    pub expires_in: Option<Duration>,
    /// Where the envelope goes.
    pub output: Option<PathBuf>,
    /// What becomes of a file that is there.
    pub existing: Existing,
}

/// `keys verify FILE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verify {
    /// The envelope.
    pub file: PathBuf,
    /// What is in it.
    pub subject: Subject,
    /// The key, in place of those of the configuration.
    pub public_key: Option<String>,
    /// Whom a command is to be for.
    pub agent: Option<AgentId>,
    /// The configuration.
    pub config: Option<PathBuf>,
}

/// What is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A command.
    Command,
    /// The manifest of an update.
    Manifest,
}

/// What becomes of a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays.
    Kept,
    /// Another takes its place.
    Replaced,
}

/// Whether a command that cannot be taken back is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sure {
    /// The command line says so.
    Said,
    /// It has to be asked.
    ToBeAsked,
}

impl Sure {
    pub(super) fn is_said(self) -> bool {
        self == Self::Said
    }
}

/// What becomes of a command that can be planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// It is carried out.
    Deploy,
    /// It is shown what it would change.
    Plan,
}

/// Whether the end of a command is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// It is.
    ToTheEnd,
    /// Its id is enough.
    ForTheId,
}

/// `deploy` and `plan`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deploy {
    /// The files.
    pub files: Files,
    /// What becomes of them.
    pub goal: Goal,
    /// Until when it is watched.
    pub wait: Wait,
    /// Who owns the stack.
    pub project: Option<String>,
    /// Its own time.
    pub timeout: Option<u64>,
    /// What the payload says as it was given: `prune`, `adopt`, `with_registry_auth`.
    pub flags: Flags,
    /// `resolve_image`.
    pub resolve_image: Option<String>,
    /// `on_failure`.
    pub on_failure: Option<String>,
}

/// The flags of a deploy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// Services that left the files go.
    pub prune: bool,
    /// Another agent's stack is taken over.
    pub adopt: bool,
    /// Logins of the Docker CLI are sent along.
    pub registry_auth: bool,
}

/// Another command that changes a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The stack.
    pub stack: StackName,
    /// What is done to it.
    pub verb: Verb,
    /// Until when it is watched.
    pub wait: Wait,
    /// Who owns it.
    pub project: Option<String>,
    /// Its own time.
    pub timeout: Option<u64>,
}

/// What is done to a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Replicas by service.
    Scale(BTreeMap<String, u64>),
    /// To this revision, or the one before.
    Rollback(Option<u64>, Goal),
    /// Services, or all.
    Stop(Vec<String>),
    /// Services, or all.
    Start(Vec<String>),
    /// Services, or all.
    Restart(Vec<String>),
    /// With its volumes, or without.
    Remove(Volumes, Sure),
}

/// What becomes of the volumes of a stack that is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Volumes {
    /// They stay.
    Kept,
    /// Those on this node go.
    Removed,
}

/// What is said to the agent about its commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Steer {
    /// The command with this id, or the beginning of one.
    Cancel(String),
    /// Nothing starts.
    Pause,
    /// It goes on.
    Resume,
}

/// What is wanted of other versions of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// To see how it stands.
    Status,
    /// To ask whether there is one.
    Check,
    /// To go over to one, or back.
    Apply(Release, Wait),
}

/// What is wanted of the levels of the agent's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogLevel {
    /// To see them.
    Show,
    /// Others, for so many seconds or until a reload.
    Set {
        /// Directives.
        level: String,
        /// For how long.
        seconds: Option<u64>,
    },
    /// Those of the configuration.
    Reset,
}

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// All stacks.
    Stacks,
    /// The services of one.
    Services(StackName),
    /// Its tasks.
    Tasks {
        /// The stack.
        stack: StackName,
        /// Of these services, or of all.
        services: Vec<String>,
        /// Which of them.
        which: Which,
    },
    /// Its revisions.
    Revisions(StackName),
    /// The agent itself.
    Status,
}

/// Which tasks are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those that should run, and the newest failure of each slot.
    Telling,
    /// Every one.
    All,
}

/// `logs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logs {
    /// The stack.
    pub stack: StackName,
    /// Of these services, or of all.
    pub services: Vec<String>,
    /// Of which of their tasks.
    pub writers: Writers,
    /// Whether it goes on.
    pub follow: Follow,
    /// How many lines of each service come first.
    pub tail: u64,
    /// None from before.
    pub since: Option<Since>,
    /// Whether the time of each line is shown.
    pub times: Times,
}

/// Whose lines are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Writers {
    /// Those of every task.
    All,
    /// Those of the task that failed last of each service.
    Failed,
    /// Those of the task with this id, or the beginning of one.
    Task(String),
}

/// Whether something is shown once or goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// Once.
    No,
    /// Until Ctrl-C.
    Yes,
}

/// Whether the times of lines are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// They are.
    Shown,
    /// They are not.
    Hidden,
}

/// From when on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// A point in time.
    At(Timestamp),
    /// So long before now.
    Ago(Duration),
}

/// `commands`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commands {
    /// One of them, by its id or the beginning of it.
    pub id: Option<String>,
    /// Whether it goes on.
    pub follow: Follow,
}

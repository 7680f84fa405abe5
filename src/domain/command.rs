//! A command from outside, whatever wire it came over.

use super::{CommandId, ProjectId, Sensitive, StackName, Timestamp, Traceparent};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use uuid::Uuid;

/// How far the clock of whoever signs commands may be from this host's, in either direction.
pub const CLOCK_SKEW: Duration = Duration::from_secs(120);

/// What is asked, by whom and until when. Serialised only into the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Unique for ever; a second command with it is a duplicate.
    pub id: CommandId,
    /// What is to be done.
    pub action: Action,
    /// When the sender made it, if it said so.
    pub issued_at: Option<Timestamp>,
    /// After this it must not start any more.
    pub expires_at: Option<Timestamp>,
    /// The id of the key that has signed it, if it is signed. Records of earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// What its events carry on.
    pub context: Context,
}

/// What every event of a command carries on from it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Context {
    /// Ties a whole conversation together; absent where the sender gave none.
    pub correlation_id: Option<Uuid>,
    /// The user on whose behalf it was sent.
    pub user_id: Option<String>,
    /// The project of the metadata; the payload's own project decides what is touched.
    pub project_id: Option<ProjectId>,
    /// W3C Trace Context, passed through.
    pub traceparent: Option<Traceparent>,
    /// How often the sender sent it before.
    pub retry_attempt: u32,
}

/// The commands that this agent carries out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Make the swarm hold this Compose file as a stack.
    Deploy(Deploy),
    /// Remove a stack.
    Remove(Remove),
    /// Set the replicas of services.
    Scale(Scale),
    /// Replace every task of services, at the pace of their update rules.
    Restart(Selection),
    /// End every task of services, so that a Start can bring them back.
    Stop(Selection),
    /// Bring stopped services back.
    Start(Selection),
    /// Return a stack to an older revision.
    Rollback(Rollback),
    /// Make a swarm of this engine.
    SwarmInit(SwarmAddresses),
    /// Join this engine to a swarm.
    SwarmJoin(SwarmJoin),
    /// Take this engine out of its swarm.
    SwarmLeave(SwarmLeave),
    /// Remove what nothing needs from this engine.
    Prune(Prune),
    /// Go over to another version of the agent.
    Update(Update),
    /// End another command before its time.
    Cancel(Cancel),
    /// Let what changes something wait.
    Pause,
    /// Let it go on.
    Resume,
    /// Report how the agent itself is.
    HealthCheck,
    /// Report what a service wrote last.
    Logs(Logs),
    /// Report what runs.
    GetStatus(GetStatus),
}

/// The stack that a command is about, and the project that asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Who owns the stack.
    pub project: ProjectId,
    /// Its name in the swarm.
    pub stack: StackName,
}

/// `docker stack deploy`, and better.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deploy {
    /// The stack.
    pub target: Target,
    /// The text of the Compose file.
    pub compose: Sensitive<String>,
    /// What the file's variables stand for.
    pub env: Sensitive<BTreeMap<String, String>>,
    /// The files that the Compose file names, by their path relative to it.
    pub files: Sensitive<BTreeMap<String, Vec<u8>>>,
    /// Whether services of ours that left the file are removed.
    pub prune: bool,
    /// When registries are asked for digests.
    pub resolve_image: ResolveImage,
    /// Credentials for this command's pulls, by registry host.
    pub registry_auth: BTreeMap<String, RegistryCredential>,
    /// What happens to the stack when the deploy fails.
    pub on_failure: OnFailure,
    /// Its own time, in seconds; `docker.deploy_timeout` otherwise.
    pub timeout_seconds: Option<u64>,
    /// Only plan.
    pub dry_run: bool,
    /// Take over a stack that another agent owns.
    pub adopt: bool,
}

impl Deploy {
    /// Of a file that needs nothing else, with what holds where nobody says otherwise.
    #[must_use]
    pub fn of(target: Target, compose: String) -> Self {
        Self {
            target,
            compose: Sensitive::new(compose),
            env: Sensitive::default(),
            files: Sensitive::default(),
            prune: true,
            resolve_image: ResolveImage::default(),
            registry_auth: BTreeMap::new(),
            on_failure: OnFailure::default(),
            timeout_seconds: None,
            dry_run: false,
            adopt: false,
        }
    }
}

/// A login at a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryCredential {
    /// The account.
    pub username: String,
    /// Its password or token.
    pub password: Sensitive<String>,
}

/// When registries are asked for the digest of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResolveImage {
    /// For every service.
    #[default]
    Always,
    /// Only where the image text changed.
    Changed,
    /// Not at all.
    Never,
}

/// What happens to the stack when a deploy fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// It returns to its last good revision, if there is one.
    #[default]
    Rollback,
    /// It stays as it is; Swarm goes on trying.
    Leave,
    /// Updates that still run are paused.
    Pause,
}

/// `docker stack rm`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remove {
    /// The stack.
    pub target: Target,
    /// Whether its volumes on this node go too.
    pub volumes: bool,
}

/// `docker service scale`, for services of one stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scale {
    /// The stack.
    pub target: Target,
    /// Replicas by the service's Compose key.
    pub services: BTreeMap<String, u64>,
    /// Its own time, in seconds.
    pub timeout_seconds: Option<u64>,
}

/// Services of one stack, for commands that say nothing more about them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// The stack.
    pub target: Target,
    /// Services by their Compose key; all of them where none is named.
    pub services: BTreeSet<String>,
    /// Its own time, in seconds.
    pub timeout_seconds: Option<u64>,
}

/// Back to a state of a stack that was seen to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    /// The stack.
    pub target: Target,
    /// The revision's number; the newest one that does not run now otherwise.
    pub to_revision: Option<u64>,
    /// Its own time, in seconds.
    pub timeout_seconds: Option<u64>,
    /// Only plan. Records of earlier versions have none of these.
    #[serde(default)]
    pub dry_run: bool,
}

/// Where this node can be reached by the others; the engine chooses what is absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SwarmAddresses {
    /// What the others are told.
    pub advertise: Option<String>,
    /// Where managers listen.
    pub listen: Option<String>,
    /// The address or interface for the traffic of containers.
    pub data_path: Option<String>,
}

/// `docker swarm join`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwarmJoin {
    /// This node's own.
    pub addresses: SwarmAddresses,
    /// Managers of the swarm.
    pub remotes: Vec<String>,
    /// The swarm's token; it decides whether this node becomes a worker or a manager.
    pub token: Sensitive<String>,
}

/// `docker swarm leave`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwarmLeave {
    /// Also as a manager: the last one takes the swarm with it.
    pub force: bool,
}

/// What is removed from this engine if nothing needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prune {
    /// Images.
    pub images: bool,
    /// Containers that do not run.
    pub containers: bool,
    /// Networks.
    pub networks: bool,
    /// How many of the newest images of a repository stay, beside those that something needs.
    pub keep: u64,
}

/// Another version of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// Which.
    pub to: Release,
}

/// Which version of the agent is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Release {
    /// The one that is offered.
    Newest,
    /// The same, if it is this one.
    Version(String),
    /// That of the manifest at this `https://` address.
    Manifest(String),
    /// The one before the current one.
    Previous,
}

/// What a command changes: it decides what may run beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// Nothing: it only reads.
    Nothing,
    /// One stack: commands for it run one after another.
    Stack(&'a StackName),
    /// The engine as a whole: no other command may change anything meanwhile.
    Engine,
}

/// The end of another command, before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    /// Which: one that waits or runs.
    pub command: CommandId,
}

/// The newest lines of one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logs {
    /// The stack.
    pub target: Target,
    /// The service's Compose key.
    pub service: String,
    /// At most so many lines.
    pub tail: u64,
    /// None from before.
    pub since: Option<Timestamp>,
}

/// Report stacks, services and tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetStatus {
    /// One stack, or all of them.
    pub target: Option<Target>,
}

impl Action {
    /// Whether it only asks how things are: nothing changes, whatever becomes of it.
    #[must_use]
    pub fn is_a_question(&self) -> bool {
        matches!(self, Self::HealthCheck | Self::Logs(_) | Self::GetStatus(_))
    }

    /// Every command_type that [`Self::name`] gives.
    pub const NAMES: &[&str] = &[
        "Deploy",
        "Remove",
        "Scale",
        "Restart",
        "Stop",
        "Start",
        "Rollback",
        "SwarmInit",
        "SwarmJoin",
        "SwarmLeave",
        "Prune",
        "Update",
        "Cancel",
        "Pause",
        "Resume",
        "HealthCheck",
        "Logs",
        "GetStatus",
    ];

    /// The command_type on the wire.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Deploy(_) => "Deploy",
            Self::Remove(_) => "Remove",
            Self::Scale(_) => "Scale",
            Self::Restart(_) => "Restart",
            Self::Stop(_) => "Stop",
            Self::Start(_) => "Start",
            Self::Rollback(_) => "Rollback",
            Self::SwarmInit(_) => "SwarmInit",
            Self::SwarmJoin(_) => "SwarmJoin",
            Self::SwarmLeave(_) => "SwarmLeave",
            Self::Prune(_) => "Prune",
            Self::Update(_) => "Update",
            Self::Cancel(_) => "Cancel",
            Self::Pause => "Pause",
            Self::Resume => "Resume",
            Self::HealthCheck => "HealthCheck",
            Self::Logs(_) => "Logs",
            Self::GetStatus(_) => "GetStatus",
        }
    }

    /// The stack it is about, if it is about one.
    #[must_use]
    pub fn target(&self) -> Option<&Target> {
        match self {
            Self::Deploy(deploy) => Some(&deploy.target),
            Self::Remove(remove) => Some(&remove.target),
            Self::Scale(scale) => Some(&scale.target),
            Self::Restart(services) | Self::Stop(services) | Self::Start(services) => Some(&services.target),
            Self::Rollback(rollback) => Some(&rollback.target),
            Self::SwarmInit(_) | Self::SwarmJoin(_) | Self::SwarmLeave(_) | Self::Prune(_) | Self::Update(_) => None,
            Self::Cancel(_) | Self::Pause | Self::Resume | Self::HealthCheck => None,
            Self::Logs(logs) => Some(&logs.target),
            Self::GetStatus(status) => status.target.as_ref(),
        }
    }

    /// Whether it only plans what it would change.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        matches!(self, Self::Deploy(Deploy { dry_run: true, .. }) | Self::Rollback(Rollback { dry_run: true, .. }))
    }

    /// What it changes.
    #[must_use]
    pub fn changes(&self) -> Scope<'_> {
        match self {
            _ if self.is_dry_run() => Scope::Nothing,
            Self::Cancel(_) | Self::Pause | Self::Resume | Self::HealthCheck | Self::Logs(_) | Self::GetStatus(_) => Scope::Nothing,
            // Nothing is in the middle of something when the agent leaves for its next version.
            Self::Update(_) => Scope::Engine,
            Self::SwarmInit(_) | Self::SwarmJoin(_) | Self::SwarmLeave(_) | Self::Prune(_) => Scope::Engine,
            Self::Deploy(Deploy { target, .. })
            | Self::Remove(Remove { target, .. })
            | Self::Scale(Scale { target, .. })
            | Self::Restart(Selection { target, .. })
            | Self::Stop(Selection { target, .. })
            | Self::Start(Selection { target, .. })
            | Self::Rollback(Rollback { target, .. }) => Scope::Stack(&target.stack),
        }
    }
}

impl Context {
    /// What each line of the log says that is about a command with this context.
    #[must_use]
    pub fn errand(&self, command: Option<CommandId>, stack: Option<&StackName>) -> Vec<(&'static str, String)> {
        let fields = [
            ("command_id", command.map(|id| id.to_string())),
            ("stack", stack.map(ToString::to_string)),
            ("correlation_id", self.correlation_id.map(|id| id.to_string())),
            ("traceparent", self.traceparent.as_ref().map(ToString::to_string)),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

impl Command {
    /// What each line of the log says that is about it.
    #[must_use]
    pub fn errand(&self) -> Vec<(&'static str, String)> {
        self.context.errand(Some(self.id), self.action.target().map(|target| &target.stack))
    }

    /// The last moment at which it may begin, where it names one. That of a signed command is by the clock of whoever
    /// has signed it.
    #[must_use]
    pub fn may_begin_until(&self) -> Option<Timestamp> {
        let skew = if self.signed_by.is_some() { CLOCK_SKEW } else { Duration::ZERO };
        self.expires_at.map(|expires| expires.plus(skew))
    }

    /// The project that its events name.
    #[must_use]
    pub fn project(&self) -> Option<&ProjectId> {
        self.action.target().map(|target| &target.project).or(self.context.project_id.as_ref())
    }
}

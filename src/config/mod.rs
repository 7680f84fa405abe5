//! The configuration: TOML, over it the environment, secrets also from files and credentials, all of
//! it into one validated [`Config`].
//!
//! It is read on the main thread, before any other thread starts and whenever the agent reloads. Every mistake is found in one
//! run and said with its file, line, column and key. The daemon looks at `--config`, then
//! `$AXION_AGENT_CONFIG`, then `/etc/axion/agent.toml`, and never at its working directory or a home.
//! Values go, from the weakest to the strongest: default, a variable such as `$DOCKER_HOST` that other programs
//! read too, `$CREDENTIALS_DIRECTORY`, file, `$AXION_AGENT__SECTION__KEY`.

mod bundle;
mod given;
mod keys;
mod later;
mod layers;
mod problem;
mod proxy;
mod reader;
mod salvage;
mod sections;
mod show;
mod suggest;
mod updates;
mod values;

use crate::domain::{AgentId, RegistryCredential, Sensitive};
use crate::logging;
use crate::signing::Keys;
use layers::Layers;
use reader::Reader;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use bundle::{ca_bundle, ca_folder};
pub use given::Given;
pub use keys::{KEYS, Key, Kind, Unit};
pub use problem::{Error, Place, Problem, Problems};
pub use proxy::{Direct, Network, Proxy};
pub use salvage::{Salvaged, salvage};
pub use show::{Shown, effective, example, show};
pub use suggest::nearest;
pub use updates::{load_for_helper, update_places};
pub use values::{GrpcUrl, Topic, TopicTemplate, Transport, seconds};

/// Read where neither `--config` nor `$AXION_AGENT_CONFIG` names another file. It may be missing: the
/// agent then runs in local mode.
pub const DEFAULT_FILE: &str = "/etc/axion/agent.toml";
/// Names the file where `--config` does not.
const FILE_VARIABLE: &str = "AXION_AGENT_CONFIG";
/// systemd's folder of decrypted secrets (`LoadCredential=`).
const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";
/// That a journal is there means that this agent has run before.
const JOURNAL: &str = "journal.redb";

/// All that the agent is told.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who it is.
    pub agent: Agent,
    /// The control plane, if there is one.
    pub control_plane: Option<ControlPlane>,
    /// Kafka; enrolment may bring the brokers.
    pub kafka: Kafka,
    /// The engine.
    pub docker: Docker,
    /// The health pages, and how the engine is probed.
    pub health: Health,
    /// What is measured and reported, unless it is turned off.
    pub telemetry: Option<Telemetry>,
    /// Other versions of the agent.
    pub update: Update,
    /// The log.
    pub logging: logging::Settings,
    /// Whom to trust with what.
    pub security: Security,
    /// The way out.
    pub network: Network,
    /// What is too much.
    pub limits: Limits,
    /// The local socket, unless it is turned off.
    pub local: Option<Local>,
    /// What is doubtful, but no reason not to start.
    pub warnings: Vec<Problem>,
    /// Keys that this version does not know, of a configuration that a newer one may have used.
    pub ignored: Vec<Problem>,
    /// What each key was given, to tell what a reload changes.
    pub given: Given,
}

impl Config {
    /// What of this configuration a running agent can take over that was started with `old`: all but what counts
    /// only after a restart ([`Key::needs_restart`]).
    #[must_use]
    pub fn keeping(self, old: &Self) -> Self {
        let control_plane = match (self.control_plane, &old.control_plane) {
            (Some(new), Some(old)) => Some(ControlPlane { url: old.url.clone(), ..new }),
            (_, old) => old.clone(),
        };
        let kafka = Kafka {
            brokers: old.kafka.brokers.clone(),
            command_topic: old.kafka.command_topic.clone(),
            event_topic: old.kafka.event_topic.clone(),
            dead_letter_topic: old.kafka.dead_letter_topic.clone(),
            consumer_group: old.kafka.consumer_group.clone(),
            events: old.kafka.events,
            ..self.kafka
        };
        Self {
            agent: Agent { id: old.agent.id.clone(), state_dir: old.agent.state_dir.clone(), ..self.agent },
            control_plane,
            kafka,
            docker: Docker { socket: old.docker.socket.clone(), lanes: old.docker.lanes, ..self.docker },
            local: old.local.clone(),
            update: old.update.clone(),
            health: Health { bind: old.health.bind, check_interval: old.health.check_interval, ..self.health },
            ..self
        }
    }
}

/// `[local]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// The socket.
    pub socket: PathBuf,
    /// Its permissions.
    pub mode: u32,
    /// Its group; none means the agent's own.
    pub group: Option<String>,
}

/// `[agent]`.
#[derive(Debug, Clone)]
pub struct Agent {
    /// For enrolment, once.
    pub token: Option<Sensitive<String>>,
    /// The file that it is in, if it has one of its own. In the state directory it is removed after use.
    pub token_file: Option<PathBuf>,
    /// Normally issued at enrolment.
    pub id: Option<AgentId>,
    /// For people.
    pub name: Option<String>,
    /// For people.
    pub labels: BTreeMap<String, String>,
    /// The journal's folder.
    pub state_dir: PathBuf,
}

/// `[control_plane]`.
#[derive(Debug, Clone)]
pub struct ControlPlane {
    /// Where.
    pub url: GrpcUrl,
    /// The longest time of one call.
    pub timeout: Duration,
    /// Until the server says otherwise.
    pub heartbeat_interval: Duration,
    /// A private CA; none means the system's bundle.
    pub ca_file: Option<PathBuf>,
    /// For mutual TLS.
    pub client_identity: Option<ClientIdentity>,
}

/// A certificate and its key, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The certificate.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// `[kafka]`.
#[derive(Debug, Clone)]
pub struct Kafka {
    /// `host:port`, several; empty where none are configured.
    pub brokers: Vec<String>,
    /// Where commands come from.
    pub command_topic: Topic,
    /// Where events go.
    pub event_topic: Topic,
    /// Where unreadable records go.
    pub dead_letter_topic: Topic,
    /// Offsets are committed in its name.
    pub consumer_group: TopicTemplate,
    /// What is promised about events.
    pub events: EventMode,
    /// `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`.
    pub security_protocol: String,
    /// A private CA; none means the system's bundle.
    pub ca: Option<PathBuf>,
    /// For mutual TLS.
    pub client_identity: Option<ClientIdentity>,
    /// The login; there exactly where the protocol is a `sasl_` one.
    pub sasl: Option<Sasl>,
    /// Passed through; some of it may be a secret.
    pub librdkafka: Vec<(String, Sensitive<String>)>,
}

/// A login at the brokers.
#[derive(Debug, Clone)]
pub struct Sasl {
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub mechanism: String,
    /// The account.
    pub username: String,
    /// Its password.
    pub password: Sensitive<String>,
}

/// `[docker]`.
#[derive(Debug, Clone)]
pub struct Docker {
    /// The engine's socket.
    pub socket: PathBuf,
    /// How many stacks are changed side by side.
    pub lanes: usize,
    /// Of a command that names no time of its own.
    pub deploy_timeout: Duration,
    /// How long a node may prepare a task.
    pub pull_timeout: Duration,
    /// Whether an engine in no swarm gets one of its own.
    pub swarm_auto_init: SwarmAutoInit,
    /// How many are kept of each stack.
    pub revisions: usize,
    /// What becomes of images that earlier deploys have pulled.
    pub old_images: OldImages,
    /// Logins by registry host.
    pub registries: BTreeMap<String, RegistryCredential>,
}

/// What is promised about events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventMode {
    /// A reader of what is committed sees each once.
    ExactlyOnce,
    /// Some may come twice.
    AtLeastOnce,
}

/// What becomes of a command for a stack where the engine is in no swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwarmAutoInit {
    /// It is refused.
    Off,
    /// It makes a swarm of one.
    On,
}

/// What becomes of images that earlier deploys have pulled and nothing needs any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldImages {
    /// They stay until somebody removes them.
    Stay,
    /// The next deploy removes them from this node.
    Go,
}

/// `[health]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Where the pages are.
    pub bind: SocketAddr,
    /// How often a silent engine is asked for a sign of life.
    pub check_interval: Duration,
    /// How long its answer may take.
    pub timeout: Duration,
    /// So many failures in a row make it not ready.
    pub failure_threshold: u32,
}

/// `[telemetry]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Telemetry {
    /// Between two samples.
    pub interval: Duration,
    /// So many samples go out at once.
    pub batch_size: usize,
    /// The longest time that sending them may take.
    pub send_timeout: Duration,
    /// Whether containers are measured.
    pub containers: Containers,
    /// Whether samples go to the event topic too.
    pub events: MetricsEvents,
}

/// Whether samples go to the event topic too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsEvents {
    /// As MetricsReport.
    Sent,
    /// They do not.
    None,
}

/// Whether containers are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Containers {
    /// Each of them.
    Measured,
    /// None.
    LeftOut,
}

/// `[update]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Whether they are looked for, and installed.
    pub enabled: bool,
    /// Which releases it follows.
    pub channel: String,
    /// How often to ask.
    pub check_interval: Duration,
    /// Where a signed manifest is: an `https://` address.
    pub manifest_url: Option<String>,
    /// Who may sign one.
    pub keys: Keys,
    /// The longest time that a download may take.
    pub download_timeout: Duration,
    /// The longest time that the helper may take.
    pub install_timeout: Duration,
    /// Whether the version before comes back where the new one is not healthy.
    pub rollback_on_failure: bool,
    /// How many versions stay beside the current one.
    pub max_backups: usize,
    /// For how long a new version must be healthy.
    pub health_window: Duration,
    /// Where versions are installed.
    pub versions_dir: PathBuf,
}

/// `[security]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Security {
    /// A private CA for what has none of its own.
    pub ca: Option<PathBuf>,
    /// The oldest version of TLS.
    pub min_tls: TlsVersion,
    /// The command types that this host takes; all where it says nothing.
    pub allowed_commands: Option<BTreeSet<&'static str>>,
    /// The keys that commands may be signed with.
    pub command_keys: Keys,
    /// What becomes of commands from afar that nobody has signed, where it says so.
    pub unsigned: Option<Unsigned>,
}

/// What becomes of commands from afar that nobody has signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsigned {
    /// They are taken like others.
    Taken,
    /// They are refused.
    Refused,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// 1.2
    V1_2,
    /// 1.3
    V1_3,
}

/// `[limits]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest command, in bytes.
    pub max_message_bytes: usize,
    /// The age at which a command without an expiry is stale.
    pub max_command_age: Duration,
    /// Less free space than this, in bytes, closes the journal to new commands.
    pub min_free_disk: u64,
    /// So does more than this in it, in bytes.
    pub journal_size: u64,
}

/// Where the configuration is looked for. Its `Debug` shows the names of the variables alone: some hold secrets.
#[derive(Clone, Default)]
pub struct Sources {
    /// What `--config` names.
    pub file: Option<PathBuf>,
    /// The environment variables.
    pub environment: BTreeMap<String, String>,
}

/// What a key that this version does not know means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownKeys {
    /// A mistake.
    Refused,
    /// A mistake on a first start; where a journal is there already, a warning, since an older binary
    /// that returns after an update must run with its successor's file.
    WarnedWithJournal,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").field("file", &self.file).field("variables", &self.environment.keys()).finish()
    }
}

impl Sources {
    /// `--config` and the environment of this process; variables that are not Unicode are left out.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>) -> Self {
        let unicode = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self { file, environment: unicode.collect() }
    }

    /// The file to read. None: there is only the default one, and it does not exist.
    #[must_use]
    pub fn path(&self) -> Option<PathBuf> {
        let named = self.file.clone().or_else(|| self.variable(FILE_VARIABLE).map(PathBuf::from));
        named.or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()))
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn credentials(&self) -> Option<PathBuf> {
        self.variable(CREDENTIALS_VARIABLE).map(PathBuf::from)
    }

    fn layers(&self) -> Result<Layers, Error> {
        let mut layers = Layers::default();
        layers.add_shared_variables(&self.environment);
        if let Some(directory) = self.credentials() {
            layers.add_credentials(&directory);
        }
        if let Some(path) = self.path() {
            layers.add_file(&path)?;
        }
        layers.add_environment(&self.environment);
        Ok(layers)
    }
}

/// Reads and checks all of it.
///
/// # Errors
/// When the file cannot be read, or with everything that is wrong in it.
pub fn load(sources: &Sources, unknown_keys: UnknownKeys) -> Result<Config, Error> {
    let mut layers = sources.layers()?;
    let unknown = std::mem::take(&mut layers.unknown);
    let given = Given::of(&layers.found);
    let mut reader = Reader::new(layers, sources.credentials());
    let mut config = sections::config(&mut reader);
    let Reader { mut problems, mut warnings, .. } = reader;
    if unknown_keys == UnknownKeys::WarnedWithJournal && has_journal(&config.agent.state_dir) {
        config.ignored = unknown;
    } else {
        problems.extend(unknown);
    }
    if problems.is_empty() {
        warnings.sort();
        config.warnings = warnings;
        config.given = given;
        Ok(config)
    } else {
        problems.sort();
        problems.dedup();
        Err(Error::Invalid(Problems(problems)))
    }
}

/// The socket of the local command line, as far as whoever asks may read the configuration: a client need not be
/// the agent's account. What is wrong elsewhere in it does not matter here.
#[must_use]
pub fn local_socket(sources: &Sources) -> Option<PathBuf> {
    let mut layers = sources.layers().ok()?;
    match layers.found.remove(&keys::LOCAL_SOCKET.dotted())?.value {
        layers::Raw::Text(path) => Some(PathBuf::from(path)),
        _ => None,
    }
}

fn has_journal(state_dir: &Path) -> bool {
    state_dir.join(JOURNAL).exists()
}

//! What the doctor is to look at: the configuration and the identity, as the doctor's own settings. For the running agent
//! and for a process of its own.

use super::trust::{self, Trust};
use super::{control_plane_settings, kafka_settings};
use crate::config::{self, Config, Salvaged, SwarmAutoInit};
use crate::control_plane;
use crate::coordinator::Unsigned;
use crate::doctor::{self, AutoInit, Certificate, Configuration, Identity as Known, Kafka, Secret, Vantage, Wanted};
use crate::domain::{AgentId, Health};
use crate::journal::{self, EnrolledKafka, Identity, JournalError, Origin};
use crate::threads::Published;
use std::io::ErrorKind;
use std::path::PathBuf;

/// What a process of its own looks at. Who the agent is it reads from the configuration and from a copy of the journal.
#[must_use]
pub fn of_operator(read: &Salvaged) -> doctor::Settings {
    let state_dir = &read.config.agent.state_dir;
    let who = match journal::peek(state_dir) {
        Ok(peek) => Who::of(&read.config, peek.identity),
        Err(JournalError::Directory(_, error)) if error.kind() == ErrorKind::NotFound => Who::of(&read.config, None),
        Err(error) => Who::Hidden(error.to_string()),
    };
    settings(&read.config, configuration(read), who.or_configured(&read.config), Vantage::Operator)
}

/// What the running agent looks at.
#[must_use]
pub fn of_agent(config: &Config, identity: Option<&Identity>, health: &Health) -> doctor::Settings {
    let reported = health.dependencies.iter().map(|one| doctor::Reported {
        name: one.name.to_owned(),
        state: serde_json::to_value(one.state).ok().and_then(|state| state.as_str().map(str::to_owned)).unwrap_or_default(),
        last_error: one.last_error.clone(),
    });
    let (warnings, origin) = (doubts(config), "as the agent has read it".to_owned());
    let configuration = Configuration { origin, problems: Vec::new(), warnings, secrets: Vec::new() };
    settings(config, configuration, Who::of(config, identity.cloned()), Vantage::Agent(reported.collect()))
}

/// Who the agent is.
#[derive(Debug)]
enum Who {
    Known(Box<Identity>),
    Nobody,
    Hidden(String),
}

impl Who {
    /// The configuration's word first, as at a start.
    fn of(config: &Config, kept: Option<Identity>) -> Self {
        let wished = config.agent.id.clone();
        let kept = kept.filter(|kept| wished.as_ref().is_none_or(|wished| kept.is_for(wished)));
        match kept {
            // Local mode has given it one, and the control plane has not yet.
            Some(kept) if config.control_plane.is_none() || config.agent.token.is_none() || kept.origin != Origin::Local => {
                Self::Known(Box::new(kept))
            }
            _ if config.control_plane.is_some() && config.agent.token.is_some() => Self::Nobody,
            _ => wished.map_or(Self::Nobody, |wished| Self::Known(Box::new(Identity::local(wished)))),
        }
    }

    /// What is hidden may stand in the configuration too; enrolment may have given another name, and settings of Kafka.
    fn or_configured(self, config: &Config) -> Self {
        match (self, &config.agent.id) {
            (Self::Hidden(_), Some(id)) if config.control_plane.is_none() => Self::Known(Box::new(Identity::local(id.clone()))),
            (other, _) => other,
        }
    }
}

fn settings(config: &Config, configuration: Configuration, who: Who, vantage: Vantage) -> doctor::Settings {
    let kafka = match &who {
        Who::Known(identity) => {
            kafka_settings(config, identity, &Published::default()).map_or(Kafka::Off, |settings| Kafka::Reached(Box::new(settings)))
        }
        Who::Nobody => nameless(config, "the agent has no id yet"),
        Who::Hidden(reason) => nameless(config, reason),
    };
    let identity = match &who {
        Who::Known(identity)
            if identity.origin == Origin::Local && config.agent.token.is_none() && identity.credential.is_none() && !has_issued(config) =>
        {
            // A configured id without any credential: the certificate of the configuration may speak for it.
            if config.control_plane.as_ref().is_some_and(|plane| plane.client_identity.is_some()) {
                Known::Known(identity.agent_id.clone(), None)
            } else {
                Known::Nobody
            }
        }
        Who::Known(identity) => Known::Known(identity.agent_id.clone(), identity.credential.clone()),
        Who::Nobody => Known::Nobody,
        Who::Hidden(reason) => Known::Hidden(reason.clone()),
    };
    let kept = match &who {
        Who::Known(identity) => Some(identity.as_ref()),
        _ => None,
    };
    let control_plane =
        control_plane_settings(config, kept).map(|settings| doctor::ControlPlane { settings: Box::new(settings), identity });
    doctor::Settings {
        vantage,
        configuration,
        signers: signers(config, kept),
        journal: doctor::Journal {
            directory: config.agent.state_dir.clone(),
            min_free_disk: config.limits.min_free_disk,
            journal_size: config.limits.journal_size,
        },
        engine: config.docker.socket.clone(),
        auto_init: match config.docker.swarm_auto_init {
            SwarmAutoInit::On => AutoInit::On,
            SwarmAutoInit::Off => AutoInit::Off,
        },
        health: config.health.bind,
        socket: config.local.as_ref().map(|local| local.socket.clone()),
        trust: trust(config, &kafka),
        certificates: certificates(config, &kafka),
        kafka,
        control_plane,
    }
}

/// Whose commands the agent believes, or would.
fn signers(config: &Config, identity: Option<&Identity>) -> doctor::Signers {
    let Trust { keys, unsigned } = trust::trust(config, identity.map_or(&[][..], |identity| &identity.command_keys));
    let unsigned = match unsigned {
        Unsigned::Taken | Unsigned::TakenForWantOfKeys => doctor::Unsigned::Taken,
        Unsigned::Refused => doctor::Unsigned::Refused,
    };
    doctor::Signers { keys, unsigned }
}

/// The control plane has issued a certificate.
fn has_issued(config: &Config) -> bool {
    config.agent.state_dir.join(control_plane::CERTIFICATE_FILE).is_file()
}

/// Brokers can be tried under any name.
fn nameless(config: &Config, reason: &str) -> Kafka {
    let stand_in = AgentId::new("unknown").ok().map(|id| Identity { kafka: EnrolledKafka::default(), ..Identity::local(id) });
    let settings = stand_in.and_then(|identity| kafka_settings(config, &identity, &Published::default()));
    settings.map_or(Kafka::Off, |settings| Kafka::Nameless(Box::new(settings), reason.to_owned()))
}

fn configuration(read: &Salvaged) -> Configuration {
    let origin = read.file.as_ref().map_or_else(|| "the defaults (there is no file)".to_owned(), |path| path.display().to_string());
    let mut secrets: Vec<Secret> = read.secret_files.iter().map(|(of, path)| Secret { of: of.clone(), path: path.clone() }).collect();
    let config = &read.config;
    let keys = [
        ("kafka.ssl_key_location", config.kafka.client_identity.as_ref()),
        ("control_plane.client_key_file", config.control_plane.as_ref().and_then(|plane| plane.client_identity.as_ref())),
    ];
    secrets.extend(keys.into_iter().filter_map(|(of, pair)| Some(Secret { of: of.to_owned(), path: pair?.key.clone() })));
    Configuration { origin, problems: read.problems.clone(), warnings: doubts(config), secrets }
}

fn doubts(config: &Config) -> Vec<String> {
    config.warnings.iter().chain(&config.ignored).map(ToString::to_string).collect()
}

fn trust(config: &Config, kafka: &Kafka) -> Vec<(&'static str, Option<PathBuf>)> {
    let mut found = Vec::new();
    if let Some(plane) = config.control_plane.as_ref().filter(|plane| plane.url.transport == config::Transport::Tls) {
        found.push(("control plane", config::ca_bundle([&plane.ca_file, &config.security.ca])));
    }
    if !matches!(kafka, Kafka::Off) && config.kafka.security_protocol.ends_with("ssl") {
        found.push(("kafka", config::ca_bundle([&config.kafka.ca, &config.security.ca])));
    }
    found
}

fn certificates(config: &Config, kafka: &Kafka) -> Vec<Certificate> {
    let named = |purpose, pair: &config::ClientIdentity| Certificate {
        purpose,
        certificate: pair.certificate.clone(),
        key: pair.key.clone(),
        wanted: Wanted::Always,
    };
    let mut found = Vec::new();
    if let Some(pair) = config.kafka.client_identity.as_ref().filter(|_| !matches!(kafka, Kafka::Off)) {
        found.push(named("for the brokers", pair));
    }
    if let Some(plane) = &config.control_plane {
        found.extend(plane.client_identity.as_ref().map(|pair| named("for the control plane", pair)));
        let issued = config.agent.state_dir.join(control_plane::CERTIFICATE_FILE);
        let wanted = Wanted::OnceIssued;
        found.push(Certificate { purpose: "issued by the control plane", certificate: issued.clone(), key: issued, wanted });
    }
    found
}

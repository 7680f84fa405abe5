//! The wiring: builds every worker and hands each exactly the senders it needs. The only place that
//! knows all rooms; it decides nothing.

pub mod diagnosis;
mod enroll;
mod local;
mod reload;
mod trust;
mod unenroll;
mod update;

pub use enroll::{EnrollError, Enrollment, enroll};
pub use reload::Again;
pub use unenroll::{Enrolled, Farewell, UnenrollError};
pub use update::{help, places};

use crate::config::{self, Config, OldImages, SwarmAutoInit};
use crate::coordinator::{self, Configured, Group, Inbox, KafkaClients, Ports, Pulse, Rules, Shown, Signal, State, Unsigned, Workers};
use crate::domain::{AgentId, DependencyState, Ledger, LinkState, Patience, Position, Recent, Sensitive, Timestamp};
use crate::journal::{self, Identity, Journal, Origin};
use crate::service::{Environment, Notifier};
use crate::signing::Keys;
use crate::telemetry::Metrics;
use crate::threads::{Exit, Published, ThreadName, spawn};
use crate::update::Started;
use crate::{control_plane, docker, health, ipc, kafka, telemetry};
use crossbeam_channel::{Receiver, Sender, bounded, never};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;
use trust::trust;
use uuid::Uuid;

/// Events of the lanes on their way to the coordinator. Lanes may wait for room.
const DOCKER_EVENTS: usize = 64;
/// Deliveries; the producer may wait for room.
const REPORTS: usize = 256;
/// Records read ahead of the coordinator: with this the consumer waits, and the topic is the queue.
const COMMANDS: usize = 16;
/// Enrolment and link changes: a handful in a life.
const CONTROL_PLANE_EVENTS: usize = 8;
/// Signals that nobody has looked at yet; a third one says nothing new.
const SIGNALS: usize = 2;
/// Exit reports: more than there are threads, so that none waits to end.
const EXITS: usize = 64;

/// How the agent ended.
#[derive(Debug)]
pub struct Ended {
    /// Why, when something went wrong.
    pub failure: Option<String>,
    /// Why it is to be started again, if it left for that.
    pub restart: Option<String>,
    /// Whether threads of foreign code still run: the process must end without waiting for them.
    pub stragglers: bool,
}

/// The agent could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] journal::JournalError),
    /// The journal, while writing.
    #[error("{0}")]
    Write(#[from] Arc<journal::JournalError>),
    /// The health pages.
    #[error(transparent)]
    Health(#[from] health::Error),
    /// A thread or the signals.
    #[error("cannot start a thread or listen to signals: {0}")]
    Threads(#[from] std::io::Error),
}

/// Runs the agent until it has left. `started` is how this process came to run, `again` how it reads its configuration
/// when it is told to.
///
/// # Errors
/// When it cannot start; what goes wrong later is in [`Ended`].
pub fn run(config: Config, started: Started, again: Again) -> Result<Ended, StartError> {
    let at = Timestamp::from(SystemTime::now());
    let (exit_reports, exits) = bounded(EXITS);
    let signals = listen_to_signals(&exit_reports)?;
    let (journal, recovered, writer) = journal::open(&config.agent.state_dir, exit_reports.clone())?;
    let identity = identity(&config, &journal, recovered.identity.clone())?;

    let ways = Configured {
        kafka: configured(!config.kafka.brokers.is_empty()),
        control_plane: configured(config.control_plane.is_some()),
        local_socket: configured(config.local.is_some()),
    };
    let published = Published::new(coordinator::initial_health(ways, understood(&config.ignored), patience(&config), at));
    let recent = Published::new(Recent::default());
    let metrics = Arc::new(Metrics::new(at));
    let mut rest = start_health(&config, &published, &metrics, &exit_reports)?;

    let (docker_events, docker_inbox) = bounded(DOCKER_EVENTS);
    let ledger: Arc<dyn Ledger> = Arc::new(journal.clone());
    let docker = Published::new(docker_settings(&config));
    let engine = docker::start(docker.clone(), Arc::clone(&ledger), docker_events, exit_reports.clone())?;
    let updates = update::settings(&config, started);
    let no_update = updates.refusal().map(|fault| (fault.code(), fault.to_string()));
    let sources = crate::update::Sources { health: published.clone(), ledger };
    let updating = update::start(updates, sources, &mut rest, &exit_reports)?;

    let telemetry = Published::new(telemetry_settings(&config));
    let measured = telemetry::Sources { containers: engine.containers, ended: engine.ended, swarm: engine.swarm.clone() };
    let (look_events, looks) = bounded(telemetry::EVENTS);
    let measuring = telemetry::start(telemetry.clone(), measured, &metrics, look_events, exit_reports.clone())?;
    rest.stops.push(measuring.stop);
    rest.threads.push(measuring.thread);
    let sampled = Arc::clone(&metrics);
    let measured = Measured { health: published.clone(), swarm: engine.swarm.clone(), samples: Arc::new(move || sampled.samples()) };
    let pinned = identity.as_ref().map(|identity| identity.command_keys.clone()).unwrap_or_default();
    let trust = trust(&config, &pinned);
    let command_keys = Published::new(trust.keys);
    let link = start_control_plane(&config, identity.as_ref(), &journal, (measured, &command_keys), &exit_reports)?;
    let rooms = reload::Rooms {
        config: Published::new(config.clone()),
        identity: identity.clone(),
        pinned: Published::new(pinned),
        command_keys,
        docker,
        telemetry: reload::Hand { settings: telemetry, wake: measuring.wake },
        control_plane: link.hand,
        kafka: Published::new(None),
    };
    let (report_events, reports) = bounded(REPORTS);
    let (command_events, commands) = bounded(COMMANDS);
    let start_kafka =
        kafka_starter(&rooms, recovered.positions.clone(), (report_events, command_events), metrics.consumer_lag(), exit_reports.clone());
    let start_kafka = removing_used_token(&config, start_kafka);

    let (jobs, queries, follows) = (engine.jobs, engine.queries, engine.follows);
    let reads = local::Rooms {
        view: engine.view,
        journal: journal.clone(),
        metrics: Arc::clone(&metrics),
        config: rooms.config.clone(),
        health: published.clone(),
        update: updating.desk,
        look: Mutex::default(),
    };
    let sources =
        ipc::Sources { started: at, health: published.clone(), swarm: engine.swarm, recent: recent.clone(), reads: Arc::new(reads) };
    let (ipc, local_socket) = start_ipc(&config, sources, &mut rest, &exit_reports);
    let ports = Ports { jobs, queries, producer: None, commits: None, session: link.requests, follows, updates: updating.requests };
    let rules = Rules { no_update, ..rules(&config, trust.unsigned) };
    let agent = identity.as_ref().map(|identity| identity.agent_id.clone());
    let mut state = State::new(agent, rules, ports, journal, metrics, Shown { health: published, recent }, recovered);
    if let Some(link) = local_socket {
        state.on_local_socket(link);
    }
    let work = Group { stops: vec![engine.stop], threads: engine.threads };
    let mut workers = Workers {
        intake: Group::default(),
        work,
        reports: Group::default(),
        farewell: link.farewell,
        rest,
        journal: Some(writer),
        start_kafka,
        without_kafka: None,
        reload: reload::reload(again, config, rooms),
    };
    if let Some(identity) = &identity {
        workers.start_kafka(&mut state, identity);
    }
    let (control_plane, session) = (link.events, link.session);
    let inbox =
        Inbox { signals, exits, docker: docker_inbox, reports, commands, control_plane, session, ipc, looks, updates: updating.events };
    let pulse = Pulse::new(Notifier::new(&Environment::of_process()));
    let departure = coordinator::run(state, inbox, workers, pulse);
    let failure = departure.reason.is_failure().then(|| departure.reason.to_string());
    let restart = departure.reason.restart().map(str::to_owned);
    Ok(Ended { failure, restart, stragglers: !departure.stragglers.is_empty() })
}

fn configured(yes: bool) -> DependencyState {
    if yes { DependencyState::Connecting } else { DependencyState::Off }
}

/// What of the configuration could be used.
fn understood(ignored: &[config::Problem]) -> LinkState {
    let texts: Vec<String> = ignored.iter().map(ToString::to_string).collect();
    if texts.is_empty() { LinkState::Up } else { LinkState::Down(texts.join("; ")) }
}

/// Who the agent is: the configuration's word first, then the journal's. In local mode it makes an id
/// for itself; with a control plane it may have to enrol first, also after it has been somebody else.
fn identity(config: &Config, journal: &Journal, kept: Option<Identity>) -> Result<Option<Identity>, StartError> {
    let wished = config.agent.id.clone();
    let enrols = config.control_plane.is_some() && config.agent.token.is_some();
    let kept = kept.filter(|kept| {
        let other = wished.as_ref().filter(|wished| !kept.is_for(wished));
        if let Some(wished) = other {
            log::warn!("agent.id is {wished}, the journal knows this agent as {}: the configuration wins", kept.agent_id);
        }
        other.is_none()
    });
    match (kept, wished) {
        // With a token, an id that no control plane gave makes way for the one that it will give.
        (Some(kept), _) if !enrols || kept.origin != Origin::Local => Ok(Some(kept)),
        _ if enrols => Ok(None),
        (_, Some(wished)) => Ok(Some(Identity::local(wished))),
        _ if config.control_plane.is_some() => Ok(None),
        _ => {
            let id = format!("local-{}", Uuid::new_v4().simple());
            // Letters, digits and a hyphen: always an agent id.
            let Ok(id) = AgentId::new(id) else { return Ok(None) };
            let made = Identity::local(id);
            journal.identify(made.clone())?;
            Ok(Some(made))
        }
    }
}

fn listen_to_signals(exits: &Sender<Exit>) -> std::io::Result<Receiver<Signal>> {
    let (sender, receiver) = bounded(SIGNALS);
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let thread = spawn(ThreadName::new("signals"), exits.clone(), move || {
        for signal in signals.forever() {
            let meaning = if signal == SIGHUP { Signal::Reload } else { Signal::Leave };
            // Full: two that say the same wait already.
            let _full = sender.try_send(meaning);
        }
        Ok::<(), std::convert::Infallible>(())
    })?;
    // The thread waits in the kernel until the process ends: nobody waits for it.
    drop(thread);
    Ok(receiver)
}

fn start_health(
    config: &Config,
    published: &Published<crate::domain::Health>,
    metrics: &Arc<Metrics>,
    exits: &Sender<Exit>,
) -> Result<Group, health::Error> {
    let settings = health::Settings { bind: config.health.bind, private_dir: config.agent.state_dir.clone() };
    let page = Arc::clone(metrics);
    let server = health::start(settings, published.clone(), Arc::new(move || page.render()), exits.clone())?;
    Ok(Group { stops: vec![server.stop], threads: server.threads })
}

/// Starts the local socket, if it is wanted. An agent that cannot have it goes on without: its commands come from elsewhere
/// too, and health says what is missing.
fn start_ipc(config: &Config, sources: ipc::Sources, rest: &mut Group, exits: &Sender<Exit>) -> (Receiver<ipc::Event>, Option<LinkState>) {
    let Some(local) = &config.local else { return (never(), None) };
    let (events, inbox) = bounded(ipc::EVENTS);
    match ipc::start(&local::settings(local, config), sources, events, exits.clone()) {
        Ok(server) => {
            rest.stops.push(server.stop);
            rest.threads.extend(server.threads);
            (inbox, Some(LinkState::Up))
        }
        Err(error) => (never(), Some(LinkState::Down(error.to_string()))),
    }
}

/// How long what has worked may fail before the agent is not ready.
fn patience(config: &Config) -> Patience {
    Patience::of(config.health.failure_threshold, config.health.check_interval)
}

fn rules(config: &Config, unsigned: Unsigned) -> Rules {
    Rules {
        lanes: config.docker.lanes,
        max_command_age: config.limits.max_command_age,
        allowed_commands: config.security.allowed_commands.clone(),
        unsigned,
        min_free_disk: config.limits.min_free_disk,
        journal_size: config.limits.journal_size,
        check_interval: config.health.check_interval,
        failure_threshold: config.health.failure_threshold,
        no_update: None,
    }
}

/// How the host is measured, if it is.
fn telemetry_settings(config: &Config) -> Option<telemetry::Settings> {
    config.telemetry.map(|telemetry| telemetry::Settings {
        interval: telemetry.interval,
        containers: match telemetry.containers {
            config::Containers::Measured => telemetry::Measured::Each,
            config::Containers::LeftOut => telemetry::Measured::None,
        },
        hearers: match telemetry.events {
            config::MetricsEvents::Sent => telemetry::Hearers::Coordinator,
            config::MetricsEvents::None => telemetry::Hearers::Nobody,
        },
    })
}

fn docker_settings(config: &Config) -> docker::Settings {
    let docker = &config.docker;
    let health = &config.health;
    docker::Settings {
        socket: docker.socket.clone(),
        lanes: docker.lanes,
        deploy_timeout: docker.deploy_timeout,
        pull_timeout: docker.pull_timeout,
        swarmless: match docker.swarm_auto_init {
            SwarmAutoInit::On => docker::Swarmless::MakesOne,
            SwarmAutoInit::Off => docker::Swarmless::Refused,
        },
        probe: docker::Probe { interval: health.check_interval, timeout: health.timeout, failures: health.failure_threshold },
        revisions: docker.revisions,
        old_images: match docker.old_images {
            OldImages::Stay => docker::OldImages::Stay,
            OldImages::Go => docker::OldImages::Go,
        },
        registries: docker.registries.clone(),
        counting: if config.telemetry.is_some() { docker::Counting::On } else { docker::Counting::Off },
    }
}

/// What the rest of the agent holds of the control plane.
struct Link {
    events: Receiver<control_plane::Event>,
    session: Receiver<control_plane::SessionEvent>,
    requests: Option<Sender<control_plane::SessionRequest>>,
    hand: Option<reload::Hand<control_plane::Settings>>,
    farewell: Group,
}

/// How the control plane is reached, where there is one. `identity` is who the agent was at its start.
fn control_plane_settings(config: &Config, identity: Option<&Identity>) -> Option<control_plane::Settings> {
    let section = config.control_plane.as_ref()?;
    let scheme = match section.url.transport {
        config::Transport::Tls => control_plane::Scheme::Tls,
        config::Transport::Plain => control_plane::Scheme::Plain,
    };
    Some(control_plane::Settings {
        endpoint: control_plane::Endpoint { target: section.url.authority.clone(), scheme },
        route: config.network.proxy_for(&section.url).map_or(control_plane::Route::Direct, |proxy| {
            control_plane::Route::Through(control_plane::Proxy { address: proxy.address.clone(), login: proxy.login() })
        }),
        ca_file: config::ca_bundle([&section.ca_file, &config.security.ca]),
        client_certificate: section.client_identity.as_ref().map(|pair| (pair.certificate.clone(), pair.key.clone())),
        timeout: section.timeout,
        heartbeat_interval: section.heartbeat_interval,
        reporting: config.telemetry.map(|telemetry| control_plane::Reporting {
            sample_interval: telemetry.interval,
            batch_size: telemetry.batch_size,
            send_timeout: telemetry.send_timeout,
        }),
        updates: config
            .update
            .enabled
            .then(|| control_plane::Updates { channel: config.update.channel.clone(), check_interval: config.update.check_interval }),
        max_message_bytes: config.limits.max_message_bytes,
        token: config.agent.token.clone(),
        // An agent that has an identity does not look at it any more.
        token_file: config.agent.token_file.clone().filter(|_| identity.is_none()),
        name: config.agent.name.clone(),
        labels: config.agent.labels.clone(),
        state_dir: config.agent.state_dir.clone(),
    })
}

/// What the control plane is told of the agent.
struct Measured {
    health: Published<crate::domain::Health>,
    swarm: Published<Option<crate::domain::SwarmCount>>,
    samples: control_plane::Samples,
}

fn start_control_plane(
    config: &Config,
    identity: Option<&Identity>,
    journal: &Journal,
    (measured, command_keys): (Measured, &Published<Keys>),
    exits: &Sender<Exit>,
) -> Result<Link, StartError> {
    let Some(settings) = control_plane_settings(config, identity) else {
        return Ok(Link { events: never(), session: never(), requests: None, hand: None, farewell: Group::default() });
    };
    let who = match identity {
        Some(Identity { agent_id, credential, origin: Origin::Enrolled { .. }, .. }) => {
            control_plane::Identity::Enrolled(agent_id.clone(), credential.clone())
        }
        Some(Identity { agent_id, credential, .. }) => control_plane::Identity::Configured(agent_id.clone(), credential.clone()),
        None => control_plane::Identity::ToEnrol { wish: config.agent.id.clone(), salt: journal.enrolment_salt()? },
    };
    let ((beat_events, events), (session_events, session)) = (bounded(CONTROL_PLANE_EVENTS), bounded(control_plane::SESSION_EVENTS));
    let senders = control_plane::Events { control_plane: beat_events, session: session_events };
    let settings = Published::new(settings);
    let Measured { health, swarm, samples } = measured;
    let sources = control_plane::Sources { settings: settings.clone(), health, swarm, samples, command_keys: command_keys.clone() };
    let running = control_plane::start(sources, who, senders, exits.clone())?;
    let hand = Some(reload::Hand { settings, wake: running.wake });
    let (stops, threads) = [running.beats, running.session].into_iter().map(|one| (one.stop, one.thread)).unzip();
    Ok(Link { events, session, requests: Some(running.requests), hand, farewell: Group { stops, threads } })
}

/// A used token goes as soon as the identity that it brought is kept.
fn removing_used_token(config: &Config, mut start_kafka: coordinator::StartKafka) -> coordinator::StartKafka {
    let config = config.clone();
    Box::new(move |identity| {
        remove_used_token(&config, identity);
        start_kafka(identity)
    })
}

/// A token in the agent's own directory goes once it has brought an identity that is kept.
fn remove_used_token(config: &Config, identity: &Identity) {
    let token = config.agent.token_file.as_ref().filter(|path| path.starts_with(&config.agent.state_dir));
    if let (Some(path), Origin::Enrolled { .. }) = (token, &identity.origin) {
        match std::fs::remove_file(path) {
            Ok(()) => log::info!("the token in {} was used and is removed", path.display()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => log::warn!("cannot remove the used token in {}: {error}; remove it by hand", path.display()),
        }
    }
}

/// Kafka starts once the agent knows its id, which its topics carry.
fn kafka_starter(
    rooms: &reload::Rooms,
    positions: Vec<Position>,
    (reports, commands): (Sender<kafka::Event>, Sender<kafka::Event>),
    behind: &kafka::Behind,
    exits: Sender<Exit>,
) -> coordinator::StartKafka {
    let (config, keys, hands, behind) = (rooms.config.clone(), rooms.command_keys.clone(), rooms.kafka.clone(), behind.clone());
    let pinned = rooms.pinned.clone();
    Box::new(move |identity| {
        // An enrolment may have brought keys just now.
        pinned.publish(identity.command_keys.clone());
        keys.publish(trust(&config.newest(), &identity.command_keys).keys);
        let Some(settings) = kafka_settings(&config.newest(), identity, &keys) else { return Ok(None) };
        let (producer, consumer) =
            kafka::start(&settings, positions.clone(), (reports.clone(), commands.clone()), behind.clone(), exits.clone())
                .map_err(|error| error.trouble().to_string())?;
        hands.publish(Some(reload::Hands { identity: identity.clone(), producer: producer.renewals, consumer: consumer.renewals }));
        Ok(Some(KafkaClients {
            intake: Group { stops: vec![consumer.stop], threads: vec![consumer.thread] },
            reports: Group { stops: vec![producer.stop], threads: vec![producer.thread] },
            producer: producer.requests,
            commits: consumer.marks,
            events: settings.events,
        }))
    })
}

/// The configuration wins over what enrolment brought.
fn kafka_settings(config: &Config, identity: &Identity, command_keys: &Published<Keys>) -> Option<kafka::Settings> {
    let section = &config.kafka;
    let agent = &identity.agent_id;
    let enrolled = &identity.kafka;
    let brokers = if section.brokers.is_empty() { &enrolled.brokers } else { &section.brokers };
    (!brokers.is_empty()).then(|| kafka::Settings {
        brokers: brokers.clone(),
        command_topic: section.command_topic.of(agent, &enrolled.command_topic),
        event_topic: section.event_topic.of(agent, &enrolled.event_topic),
        dead_letter_topic: section.dead_letter_topic.of(agent, &enrolled.dead_letter_topic),
        consumer_group: section.consumer_group.of(agent),
        transactional_id: format!("runner-agent-{agent}"),
        events: match section.events {
            config::EventMode::ExactlyOnce => kafka::EventMode::ExactlyOnce,
            config::EventMode::AtLeastOnce => kafka::EventMode::AtLeastOnce,
        },
        security: kafka_security(config),
        librdkafka: section.librdkafka.clone(),
        max_message_bytes: config.limits.max_message_bytes,
        agent: agent.clone(),
        command_keys: command_keys.clone(),
    })
}

fn kafka_security(config: &Config) -> kafka::Security {
    let section = &config.kafka;
    let tls = section.security_protocol.ends_with("ssl");
    let login = section.sasl.as_ref();
    kafka::Security {
        protocol: section.security_protocol.clone(),
        ca: tls.then(|| config::ca_bundle([&section.ca, &config.security.ca])).flatten().map(config::ca_folder),
        certificate: section.client_identity.as_ref().map(|pair| pair.certificate.clone()),
        key: section.client_identity.as_ref().map(|pair| pair.key.clone()),
        // Where a login says who the agent is, no certificate does.
        issued: (section.security_protocol == "ssl" && section.client_identity.is_none())
            .then(|| config.agent.state_dir.join(control_plane::CERTIFICATE_FILE)),
        sasl_mechanism: login.map(|login| login.mechanism.clone()),
        sasl_username: login.map(|login| login.username.clone()),
        sasl_password: login.map(|login| Sensitive::clone(&login.password)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, UnknownKeys, load};
    use crate::journal::EnrolledKafka;

    fn config(keys: &[(&str, &str)]) -> Config {
        let variable = |&(key, value): &(&str, &str)| (format!("AXION_AGENT__{key}"), value.to_owned());
        // No file: the one of this machine is not meant.
        let file = Some(std::path::PathBuf::from("/dev/null"));
        load(&Sources { file, environment: keys.iter().map(variable).collect() }, UnknownKeys::Refused).unwrap()
    }

    #[test]
    fn kafka_uses_the_certificate_that_the_control_plane_issues_where_nothing_else_says_who_the_agent_is() {
        let (own, key) = ("KAFKA__SSL_CERTIFICATE_LOCATION", "KAFKA__SSL_KEY_LOCATION");
        let login = [("KAFKA__SASL_MECHANISM", "PLAIN"), ("KAFKA__SASL_USERNAME", "u"), ("KAFKA__SASL_PASSWORD", "p")];
        let issued = |protocol, more: &[(&str, &str)]| {
            let keys = [&[("KAFKA__SECURITY_PROTOCOL", protocol), ("AGENT__STATE_DIR", "/state")], more].concat();
            kafka_security(&config(&keys)).issued
        };
        assert_eq!(issued("ssl", &[]), Some("/state/control-plane.pem".into()));
        assert_eq!(issued("ssl", &[(own, "/dev/null"), (key, "/dev/null")]), None);
        assert_eq!(issued("sasl_ssl", &login), None);
        assert_eq!(issued("plaintext", &[]), None);
    }

    #[test]
    fn an_agent_enrols_unless_a_control_plane_has_given_it_the_identity_that_is_configured() {
        let url = ("CONTROL_PLANE__GRPC_URL", "http://127.0.0.1:9");
        let token = ("AGENT__TOKEN", "t");
        let named = |id| ("AGENT__ID", id);
        let agent = |id: &str| AgentId::new(id).unwrap();
        let enrolled = |id: &str, wish: Option<&str>| Identity {
            agent_id: agent(id),
            origin: Origin::Enrolled { wish: wish.map(agent) },
            credential: Some(Sensitive::new("c".to_owned())),
            kafka: EnrolledKafka::default(),
            command_keys: Vec::new(),
        };
        let local = |id: &str| Identity::local(agent(id));
        let table = [
            ("a first start with a token", vec![url, token], None, None),
            ("the same with a wish", vec![url, token, named("a")], None, None),
            ("enrolled, the token is still there", vec![url, token], Some(enrolled("a", None)), Some(enrolled("a", None))),
            ("it was given its wish", vec![url, token, named("a")], Some(enrolled("a", Some("a"))), Some(enrolled("a", Some("a")))),
            ("it was given another id", vec![url, token, named("w")], Some(enrolled("a", Some("w"))), Some(enrolled("a", Some("w")))),
            ("it is to be somebody else", vec![url, token, named("b")], Some(enrolled("a", None)), None),
            ("the same without a token", vec![url, named("b")], Some(enrolled("a", None)), Some(local("b"))),
            ("it was in local mode before", vec![url, token], Some(local("local-1")), None),
            ("the same without a token", vec![url], Some(local("local-1")), Some(local("local-1"))),
            ("back in local mode", vec![], Some(enrolled("a", None)), Some(enrolled("a", None))),
        ];
        let folder = std::env::temp_dir().join(format!("axion-identity-{}", Uuid::new_v4()));
        let (exits, _) = bounded(1);
        let (journal, _, _) = journal::open(&folder, exits).unwrap();
        for (case, keys, kept, expected) in table {
            assert_eq!(identity(&config(&keys), &journal, kept).unwrap(), expected, "{case}");
        }
        let made = identity(&config(&[]), &journal, None).unwrap().unwrap();
        assert_eq!(journal.identity().unwrap(), Some(made), "an id that it made for itself is kept");
        std::fs::remove_dir_all(folder).unwrap();
    }
}

//! What the agent depends on: who came, who went, since when, and who the agent is.

use super::ExitReason;
use super::state::{State, now};
use crate::control_plane::Offer;
use crate::docker::{EngineState, SwarmRole};
use crate::domain::{
    Dependency, DependencyState, HasTopic, Health, LinkState, Manifest, Patience, Phase, Sensitive, Timestamp, UpdateOffer, Weight,
};
use crate::journal::{EnrolledKafka, Identity, Origin};
use crate::{control_plane, kafka, update};
use std::time::Instant;

pub(super) const CONFIGURATION: &str = "configuration";
pub(super) const JOURNAL: &str = "journal";
pub(super) const THREADS: &str = "threads";
const DOCKER: &str = "docker";
const CONSUMER: &str = "kafka_consumer";
const PRODUCER: &str = "kafka_producer";
const DEAD_LETTERS: &str = "kafka_dead_letters";
pub(super) const EVENTS: &str = "events";
const CONTROL_PLANE: &str = "control_plane";
const SESSION: &str = "session";
const LOCAL_SOCKET: &str = "local_socket";

/// Which of the ways to the agent are configured.
#[derive(Debug, Clone, Copy)]
pub struct Configured {
    /// Kafka.
    pub kafka: DependencyState,
    /// The control plane, and with it its session.
    pub control_plane: DependencyState,
    /// The local socket.
    pub local_socket: DependencyState,
}

/// The snapshot before anything was reached. What is not configured is off.
#[must_use]
pub fn initial_health(configured: Configured, configuration: LinkState, patience: Patience, at: Timestamp) -> Health {
    let Configured { kafka, control_plane, local_socket } = configured;
    // Their weight is set below.
    let part = |name, state| Dependency::new(name, state, Weight::Shown, at);
    let configuration = match configuration {
        LinkState::Up => part(CONFIGURATION, DependencyState::Ready),
        LinkState::Down(reason) => Dependency { last_error: Some(reason), ..part(CONFIGURATION, DependencyState::NotReady) },
    };
    let mut dependencies = vec![
        configuration,
        part(JOURNAL, DependencyState::Ready),
        part(THREADS, DependencyState::Ready),
        part(DOCKER, DependencyState::Connecting),
        part(CONSUMER, kafka),
        part(PRODUCER, kafka),
        part(DEAD_LETTERS, kafka),
        part(EVENTS, if kafka == DependencyState::Off { DependencyState::Off } else { DependencyState::Ready }),
        part(CONTROL_PLANE, control_plane),
        part(SESSION, control_plane),
        part(LOCAL_SOCKET, local_socket),
    ];
    weigh(&mut dependencies, patience);
    Health::of(Phase::Starting, dependencies)
}

/// What the agent is not ready without, and how soon: what commands come by and events go by, and what carries them out.
fn weigh(dependencies: &mut [Dependency], patience: Patience) {
    let is_off = |name| dependencies.iter().any(|part| part.name == name && part.state == DependencyState::Off);
    let (no_kafka, no_control_plane) = (is_off(CONSUMER), is_off(CONTROL_PLANE));
    for part in dependencies {
        part.weight = match part.name {
            // No command is taken in without room; a thread that hangs holds up what it is for, and has had its time.
            JOURNAL | THREADS => Weight::AtOnce,
            // Whoever listens to the engine has asked it again and again.
            DOCKER => Weight::Counted(patience.failures),
            CONSUMER | PRODUCER | EVENTS => Weight::After(patience),
            // With Kafka commands come and events go without them.
            CONTROL_PLANE | SESSION if no_kafka => Weight::After(patience),
            // The only way in: who cannot have it at the start does not get it later.
            LOCAL_SOCKET if no_kafka && no_control_plane => Weight::AtOnce,
            // The values before hold on; dead letters wait in the topic that they came from.
            _ => Weight::Shown,
        };
    }
}

/// What is kept of an enrolment.
#[must_use]
pub fn enrolled_identity(enrolment: control_plane::Enrolment) -> Identity {
    let kafka = EnrolledKafka {
        brokers: enrolment.brokers,
        command_topic: enrolment.command_topic,
        event_topic: enrolment.event_topic,
        dead_letter_topic: enrolment.dead_letter_topic,
    };
    let origin = Origin::Enrolled { wish: enrolment.wish };
    let command_keys = enrolment.command_keys.iter().map(ToString::to_string).collect();
    Identity { agent_id: enrolment.agent_id, origin, credential: enrolment.credential, kafka, command_keys }
}

/// The dependencies as they are now.
#[derive(Debug)]
pub(super) struct Links(Vec<Dependency>);

impl Links {
    pub(super) fn new(health: &Health) -> Self {
        Self(health.dependencies.clone())
    }

    pub(super) fn dependencies(&self) -> &[Dependency] {
        &self.0
    }

    pub(super) fn is_ready(&self, name: &str) -> bool {
        self.0.iter().any(|part| part.name == name && part.state == DependencyState::Ready)
    }

    pub(super) fn is_down(&self, name: &str) -> bool {
        self.0.iter().any(|part| part.name == name && part.state == DependencyState::NotReady)
    }

    /// Has this patience from now on, and weighs what there is.
    pub(super) fn weigh(&mut self, patience: Patience) {
        weigh(&mut self.0, patience);
    }

    /// Without this part the agent is not ready at once.
    fn condemn(&mut self, name: &str) {
        if let Some(part) = self.0.iter_mut().find(|part| part.name == name) {
            part.weight = Weight::AtOnce;
        }
    }

    /// What a part says of itself.
    pub(super) fn describe(&mut self, name: &str, detail: Option<String>) {
        if let Some(part) = self.0.iter_mut().find(|part| part.name == name) {
            part.detail = detail;
        }
    }

    fn set(&mut self, name: &str, state: DependencyState, words: Words) {
        let Some(part) = self.0.iter_mut().find(|part| part.name == name) else { return };
        let other_reason = matches!(&words, Words::Error(error) if part.last_error.as_ref() != Some(error));
        if part.state != state || other_reason {
            if part.state != state {
                part.since = now();
            }
            part.turn(state, Instant::now());
            match (state, &words) {
                (_, Words::Error(error)) => log::warn!("{name} is not ready: {error}"),
                (DependencyState::Off, Words::Detail(detail)) => log::info!("{name} is off: {detail}"),
                (_, Words::Detail(detail)) => log::info!("{name} is ready: {detail}"),
                (DependencyState::Ready, Words::Nothing) => log::info!("{name} is ready"),
                (_, Words::Nothing) => {}
            }
        }
        match words {
            Words::Error(error) => part.last_error = Some(error),
            Words::Detail(detail) => part.detail = Some(detail),
            Words::Nothing => {}
        }
    }
}

enum Words {
    Error(String),
    Detail(String),
    Nothing,
}

impl State {
    /// The local socket is served, or why not. An agent without it goes on: its commands come from elsewhere too.
    pub fn on_local_socket(&mut self, link: LinkState) {
        self.on_link(LOCAL_SOCKET, link);
    }

    /// Whether a broker may soon confirm something that was handed to the producer.
    pub(super) fn deliveries_are_near(&self) -> bool {
        let (events, letters) = (self.reports.unconfirmed_events(), self.reports.unconfirmed_letters());
        (events > 0 && self.links.is_ready(PRODUCER)) || (letters > 0 && self.links.is_ready(DEAD_LETTERS))
    }

    pub(super) fn on_engine(&mut self, engine: EngineState) {
        match engine {
            EngineState::Up { version, api, swarm } => {
                let role = match swarm {
                    SwarmRole::Manager => "swarm manager",
                    SwarmRole::Worker => "swarm worker: stacks are changed on a manager",
                    SwarmRole::Inactive => "in no swarm: `docker swarm init` makes one",
                };
                let detail = format!("engine {version}, API {api}, {role}");
                self.links.set(DOCKER, DependencyState::Ready, Words::Detail(detail));
            }
            EngineState::Away(reason) => self.links.set(DOCKER, DependencyState::NotReady, Words::Error(reason)),
        }
    }

    pub(super) fn on_kafka_link(&mut self, side: kafka::Side, link: LinkState) {
        let name = match side {
            kafka::Side::Consumer => CONSUMER,
            kafka::Side::Producer => PRODUCER,
            kafka::Side::DeadLetters => DEAD_LETTERS,
        };
        self.on_link(name, link);
    }

    /// Whether Kafka is configured, here or by enrolment.
    pub(super) fn has_topic(&self) -> HasTopic {
        let off = self.links.dependencies().iter().any(|part| part.name == PRODUCER && part.state == DependencyState::Off);
        if off { HasTopic::No } else { HasTopic::Yes }
    }

    pub(super) fn on_session_link(&mut self, link: LinkState) {
        match link {
            LinkState::Up => self.links.set(SESSION, DependencyState::Ready, Words::Detail("actions and logs".to_owned())),
            down @ LinkState::Down(_) => self.on_link(SESSION, down),
        }
    }

    /// The control plane is older than sessions: there is nothing to wait for.
    pub(super) fn on_no_sessions(&mut self) {
        self.links.set(SESSION, DependencyState::Off, Words::Detail("the control plane has no sessions".to_owned()));
    }

    pub(super) fn on_link(&mut self, name: &str, link: LinkState) {
        match link {
            LinkState::Up => self.links.set(name, DependencyState::Ready, Words::Nothing),
            LinkState::Down(reason) => self.links.set(name, DependencyState::NotReady, Words::Error(reason)),
        }
    }

    /// Kafka is configured by enrolment: it is no longer off.
    pub(super) fn on_kafka_starting(&mut self) {
        for name in [CONSUMER, PRODUCER, DEAD_LETTERS] {
            self.links.set(name, DependencyState::Connecting, Words::Nothing);
        }
        self.links.set(EVENTS, DependencyState::Ready, Words::Nothing);
        self.links.weigh(self.rules.patience());
    }

    /// Nothing mends this but another start: there is nothing to have patience with.
    pub(super) fn on_kafka_for_good(&mut self) {
        self.links.condemn(CONSUMER);
        self.links.condemn(PRODUCER);
    }

    /// Gives the identity when it was just learnt: what waited for it goes on in its name.
    pub(super) fn on_control_plane(&mut self, event: control_plane::Event) -> Option<Identity> {
        let identity = self.take_down(event)?;
        log::info!("enrolled as {}", identity.agent_id);
        self.agent = Some(identity.agent_id.clone());
        if !identity.command_keys.is_empty() {
            self.rules.know_keys();
        }
        self.resume();
        Some(identity)
    }

    /// Only writes down what the control plane says: on the way out nothing begins any more, but an identity or
    /// a credential that got lost could not be had again. Gives the identity when it was just learnt.
    pub(super) fn take_down(&mut self, event: control_plane::Event) -> Option<Identity> {
        match event {
            control_plane::Event::Link(link) => {
                self.on_link(CONTROL_PLANE, link);
                None
            }
            control_plane::Event::Enrolled(enrolment) => {
                let identity = enrolled_identity(*enrolment);
                self.remember(identity.clone());
                Some(identity)
            }
            control_plane::Event::Credential(credential) => {
                match self.journal.identity() {
                    Ok(kept) => self.remember_credential(kept, credential),
                    Err(error) => self.fail(ExitReason::Journal(error.to_string())),
                }
                None
            }
            control_plane::Event::Update(offer) => {
                self.on_offer(offer);
                None
            }
        }
    }

    /// It is shown, and handed to the thread that verifies it. Nothing is installed before somebody asks for it.
    fn on_offer(&mut self, offer: Option<Offer>) {
        match &offer {
            Some(Offer { manifest: Manifest { sha256, bytes }, .. }) => {
                log::info!("the control plane offers an update (manifest of {bytes} bytes, sha256 {sha256})");
            }
            None => log::info!("the control plane offers no update any more"),
        }
        let (envelope, manifest) = offer.map(|offer| (offer.envelope, offer.manifest)).unzip();
        if let Some(updates) = &self.ports.updates {
            // Full: it is busy with an update, and `check` asks again.
            drop(updates.try_send(update::Request::Offered(envelope)));
        }
        self.update_offered = manifest.map(|manifest| UpdateOffer { since: now(), manifest });
    }

    /// The credential is the agent's own: where the configuration has made it somebody else, what the journal
    /// holds of the former one makes way.
    fn remember_credential(&mut self, kept: Option<Identity>, credential: Sensitive<String>) {
        let own = match (kept, self.agent.clone()) {
            (Some(kept), Some(agent)) if kept.agent_id != agent => Some(Identity::local(agent)),
            (Some(kept), _) => Some(kept),
            (None, agent) => agent.map(Identity::local),
        };
        if let Some(own) = own {
            self.remember(Identity { credential: Some(credential), ..own });
        }
    }

    fn remember(&mut self, identity: Identity) {
        if let Err(error) = self.journal.identify(identity) {
            self.fail(ExitReason::Journal(error.to_string()));
        }
    }
}

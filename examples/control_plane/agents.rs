//! The gRPC side: enrols agents and takes their heartbeats. Runs on gRPC's own completion thread; what
//! it sees goes to the owner as a [`Sighting`].

use axion_agent::proto::agent::{AgentState, EnrollRequest, EnrollResponse, HeartbeatRequest, HeartbeatResponse, KafkaSettings};
use axion_agent::proto::methods::{ENROLL, HEARTBEAT};
use crossbeam_channel::{Sender, bounded};
use grpcio::{
    ChannelBuilder, EnvBuilder, RpcContext, RpcStatus, RpcStatusCode, Server, ServerBuilder, ServerCredentials, ServerCredentialsBuilder,
    ServiceBuilder, UnarySink,
};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Agents may ping this often without data (contract: at most 20 s must be allowed).
const MIN_PING_INTERVAL_MS: i32 = 10_000;
/// How long an agent may wait for its topics.
const TOPICS_TIMEOUT: Duration = Duration::from_secs(10);

/// The server could not start.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("cannot listen on {address}: {source}")]
    Address { address: String, source: grpcio::Error },
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
}

/// What the server shows of itself over TLS, as PEM files.
#[derive(Debug, Clone)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// What the server knows and hands out.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port`; port 0 is a free one.
    pub listen: String,
    /// What an agent must show.
    pub token: String,
    /// The brokers that an enrolled agent is told; none keeps its own.
    pub brokers: Vec<String>,
    /// The beat that agents are told.
    pub interval_seconds: u32,
    /// None speaks in clear.
    pub tls: Option<Tls>,
    /// Who makes an agent's topics before it is told of them; None where they exist.
    pub topics: Option<Sender<Enrolling>>,
}

/// An agent is about to be enrolled.
#[derive(Debug)]
pub struct Enrolling {
    pub agent: String,
    /// Its answer waits for a word on this.
    pub ready: Sender<()>,
}

/// Something that an agent did.
#[derive(Debug, Clone, PartialEq)]
pub enum Sighting {
    /// It was given an identity.
    Enrolled { agent: String, host: String, version: String },
    /// It showed a wrong token.
    Refused { peer: String },
    /// It gave a sign of life.
    Beat(Box<Beat>),
}

/// A heartbeat, in short.
#[derive(Debug, Clone, PartialEq)]
pub struct Beat {
    pub agent: String,
    /// `STARTING`, `READY`, `DEGRADED`, `STOPPING`.
    pub state: String,
    pub sequence: u64,
    pub commands_open: u32,
    /// Dependencies that are not ready, each with its last error.
    pub ailing: Vec<(String, String)>,
}

/// The running server. Dropped, it refuses further calls and closes its port.
pub struct AgentServer {
    _server: Server,
    port: u16,
    host: String,
}

impl AgentServer {
    /// Starts to serve; sightings that find no room are lost.
    pub fn start(settings: Settings, sightings: Sender<Sighting>) -> Result<Self, ListenError> {
        let environment = Arc::new(EnvBuilder::new().cq_count(1).name_prefix("cp-grpc").build());
        let arguments = ChannelBuilder::new(environment.clone())
            .raw_cfg_int(c"grpc.http2.min_ping_interval_without_data_ms".into(), MIN_PING_INTERVAL_MS)
            .keepalive_permit_without_calls(true)
            // A second server on the same port must fail, not share it.
            .reuse_port(false)
            .build_args();
        let listen = settings.listen.clone();
        let credentials = credentials(settings.tls.as_ref())?;
        let desk = Desk { settings: Arc::new(settings), sightings };
        let (enrolling, beating) = (desk.clone(), desk);
        let service = ServiceBuilder::new()
            .add_unary_handler(&ENROLL, move |context, request, sink| answer(&context, sink, enrolling.enroll(&context, request)))
            .add_unary_handler(&HEARTBEAT, move |context, request, sink| answer(&context, sink, beating.heartbeat(&context, &request)))
            .build();
        let failed = |source| ListenError::Address { address: listen.clone(), source };
        let mut server = ServerBuilder::new(environment).channel_args(arguments).register_service(service).build().map_err(failed)?;
        let port = server.add_listening_port(listen.as_str(), credentials).map_err(failed)?;
        server.start();
        let host = listen.rsplit_once(':').map_or("127.0.0.1", |(host, _)| host).to_owned();
        Ok(Self { _server: server, port, host })
    }

    /// `host:port` with the port in use.
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

fn credentials(tls: Option<&Tls>) -> Result<ServerCredentials, ListenError> {
    let Some(tls) = tls else { return Ok(ServerCredentials::insecure()) };
    let read = |path: &PathBuf| std::fs::read(path).map_err(|source| ListenError::Read { path: path.clone(), source });
    Ok(ServerCredentialsBuilder::new().add_cert(read(&tls.certificate)?, read(&tls.key)?).build())
}

fn answer<T: Send + 'static>(context: &RpcContext<'_>, sink: UnarySink<T>, result: Result<T, RpcStatus>) {
    context.spawn(async move {
        let sent = match result {
            Ok(response) => sink.success(response).await,
            Err(status) => sink.fail(status).await,
        };
        if let Err(error) = sent {
            log::debug!("an agent did not wait for its answer: {error}");
        }
    });
}

/// What both calls share.
#[derive(Clone)]
struct Desk {
    settings: Arc<Settings>,
    sightings: Sender<Sighting>,
}

impl Desk {
    fn enroll(&self, context: &RpcContext<'_>, request: EnrollRequest) -> Result<EnrollResponse, RpcStatus> {
        if request.token != self.settings.token {
            self.see(Sighting::Refused { peer: context.peer() });
            return Err(RpcStatus::with_message(RpcStatusCode::UNAUTHENTICATED, "the token is not known here".to_owned()));
        }
        let host = request.host.hostname.clone();
        let agent = [&request.proposed_agent_id, &request.name, &host].into_iter().find(|id| !id.is_empty());
        let agent = agent.cloned().unwrap_or_else(|| "agent".to_owned());
        self.make_topics(&agent)?;
        self.see(Sighting::Enrolled { agent: agent.clone(), host, version: request.agent_version });
        let kafka = KafkaSettings {
            brokers: self.settings.brokers.clone(),
            command_topic: format!("runner.commands.{agent}"),
            event_topic: format!("runner.events.{agent}"),
            dead_letter_topic: format!("runner.commands.{agent}.dlq"),
            ..KafkaSettings::default()
        };
        let credential = self.credential(&agent);
        Ok(EnrollResponse { agent_id: agent, credential, kafka: Some(kafka).into(), ..EnrollResponse::default() })
    }

    fn make_topics(&self, agent: &str) -> Result<(), RpcStatus> {
        let Some(maker) = &self.settings.topics else { return Ok(()) };
        let (ready, word) = bounded(1);
        // A maker that has gone drops both ends: that is an error here too.
        let _asked = maker.send_timeout(Enrolling { agent: agent.to_owned(), ready }, TOPICS_TIMEOUT);
        let late = |_| RpcStatus::with_message(RpcStatusCode::UNAVAILABLE, "the topics could not be made in time".to_owned());
        word.recv_timeout(TOPICS_TIMEOUT).map_err(late)
    }

    fn heartbeat(&self, context: &RpcContext<'_>, request: &HeartbeatRequest) -> Result<HeartbeatResponse, RpcStatus> {
        let expected = format!("Bearer {}", self.credential(&request.agent_id));
        let shown = context.request_headers().iter().find(|(name, _)| *name == "authorization").map(|(_, value)| value);
        if shown != Some(expected.as_bytes()) {
            self.see(Sighting::Refused { peer: context.peer() });
            return Err(RpcStatus::with_message(RpcStatusCode::UNAUTHENTICATED, format!("{} is not enrolled here", request.agent_id)));
        }
        self.see(Sighting::Beat(Box::new(beat(request))));
        Ok(HeartbeatResponse { interval_seconds: self.settings.interval_seconds, ..HeartbeatResponse::default() })
    }

    /// Follows from the token and the id, so that a restarted server knows its agents without a memory.
    fn credential(&self, agent: &str) -> String {
        let digest = openssl::sha::sha256(format!("{}\0{agent}", self.settings.token).as_bytes());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn see(&self, sighting: Sighting) {
        // Full: the owner is busy, and another beat follows soon.
        let _full = self.sightings.try_send(sighting);
    }
}

fn beat(request: &HeartbeatRequest) -> Beat {
    let state = match request.state.enum_value() {
        Ok(AgentState::AGENT_STATE_STARTING) => "STARTING",
        Ok(AgentState::AGENT_STATE_READY) => "READY",
        Ok(AgentState::AGENT_STATE_DEGRADED) => "DEGRADED",
        Ok(AgentState::AGENT_STATE_STOPPING) => "STOPPING",
        _ => "UNKNOWN",
    };
    let ailing = request.dependencies.iter().filter(|one| one.state == "not_ready");
    Beat {
        agent: request.agent_id.clone(),
        state: state.to_owned(),
        sequence: request.sequence,
        commands_open: request.load.commands_open,
        ailing: ailing.map(|one| (one.name.clone(), one.last_error.clone())).collect(),
    }
}

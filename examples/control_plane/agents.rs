//! The gRPC side: enrols agents and takes their heartbeats. Runs on gRPC's own completion thread; what
//! it sees goes to the owner as a [`Sighting`].

use super::authority::{Authority, AuthorityError, ServerCertificate};
use super::mischief::Imp;
use super::reports::{Errands, Report};
use super::session::{Judge, Sessions};
use axion_agent::proto::agent::{
    AgentState, CheckForUpdateRequest, CheckForUpdateResponse, EnrollRequest, EnrollResponse, HeartbeatRequest, HeartbeatResponse,
    KafkaSettings, ReportMetricsRequest, ReportMetricsResponse, StackBrief, UnregisterRequest, UnregisterResponse,
};
use axion_agent::proto::methods::{CHECK_FOR_UPDATE, ENROLL, HEARTBEAT, REPORT_METRICS, SESSION, UNREGISTER};
use crossbeam_channel::{Sender, bounded};
use grpcio::{
    CertificateRequestType, ChannelBuilder, EnvBuilder, RpcContext, RpcStatus, RpcStatusCode, Server, ServerBuilder, ServerCredentials,
    ServerCredentialsBuilder, ServiceBuilder,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
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
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

/// What the server shows of itself over TLS, as PEM files.
#[derive(Debug, Clone)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// The CA that makes the server's certificate and those of the agents.
#[derive(Clone)]
pub struct Issuing {
    pub authority: Arc<Authority>,
    /// What the server shows of itself, unless [`Settings::tls`] says it.
    pub server: ServerCertificate,
    /// Whether an agent may speak without a certificate, as for its enrolment.
    pub clients: Clients,
}

/// Who may open a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Clients {
    /// Who shows no certificate, or one of this CA.
    #[default]
    May,
    /// Who shows one of this CA.
    Must,
}

/// How often the token enrols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TokenUse {
    #[default]
    Often,
    /// One request; the same request is answered again.
    Once,
}

/// What the server knows and hands out.
#[derive(Clone)]
pub struct Settings {
    /// `host:port`; port 0 is a free one.
    pub listen: String,
    /// What an agent must show.
    pub token: String,
    /// Who may sign commands for an enrolled agent: `ops-1:BASE64`.
    pub command_keys: Vec<String>,
    /// The brokers that an enrolled agent is told; none keeps its own.
    pub brokers: Vec<String>,
    /// The beat that agents are told.
    pub interval_seconds: u32,
    /// What the server shows over TLS. Without it and without `issuing` it speaks in clear.
    pub tls: Option<Tls>,
    /// Certificates for agents, and for the server where `tls` has none.
    pub issuing: Option<Issuing>,
    /// How often the token enrols.
    pub token_use: TokenUse,
    /// What is done to the answers.
    pub imp: Imp,
    /// Who makes an agent's topics before it is told of them; None where they exist.
    pub topics: Option<Sender<Enrolling>>,
    /// Who takes the agents' sessions; None knows none, as an older control plane.
    pub sessions: Option<Sessions>,
    /// How reports and questions for updates are answered; None knows neither, as an older control plane.
    pub errands: Option<Errands>,
}

impl Default for Settings {
    /// In clear, on a free port of loopback, without Kafka.
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:0".to_owned(),
            token: "development".to_owned(),
            command_keys: Vec::new(),
            brokers: Vec::new(),
            interval_seconds: 5,
            tls: None,
            issuing: None,
            token_use: TokenUse::default(),
            imp: Imp::default(),
            topics: None,
            sessions: None,
            errands: None,
        }
    }
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
    /// It was taken out of service.
    Unregistered { agent: String },
    /// It gave a sign of life.
    Beat(Box<Beat>),
    /// It reported what it has measured.
    Report(Report),
    /// It asked for an update.
    Check(Check),
}

/// A question for an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub agent: String,
    pub channel: String,
    pub version: String,
    pub architecture: String,
    /// How long the manifest is that it was given; 0 offers nothing.
    pub offered_bytes: usize,
}

/// A heartbeat, in short.
#[derive(Debug, Clone, PartialEq)]
pub struct Beat {
    pub agent: String,
    /// `STARTING`, `READY`, `DEGRADED`, `STOPPING`.
    pub state: String,
    pub sequence: u64,
    pub commands_open: u32,
    /// Whether nothing starts that changes something.
    pub paused: bool,
    /// How the agent showed who it is.
    pub shown: Shown,
    /// Whether it asked for a certificate.
    pub asked: bool,
    /// Its stacks, `name project revision` and their tasks where these are counted, where it tells them.
    pub stacks: Option<Vec<String>>,
    /// Dependencies that are not ready, each with its last error.
    pub ailing: Ailing,
}

/// Dependencies, each with its last error.
pub type Ailing = Vec<(String, String)>;

/// How an agent shows who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// With the credential.
    Credential,
    /// With its certificate alone.
    Certificate,
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
        let credentials = credentials(&settings)?;
        let desk = Desk { settings: Arc::new(settings), sightings, enrolled: Arc::default(), ailing: Arc::default() };
        let (sessions, errands) = (desk.settings.sessions.clone(), desk.settings.errands.clone());
        let (enrolling, beating, leaving, opening) = (desk.clone(), desk.clone(), desk.clone(), desk.clone());
        let mut service = ServiceBuilder::new()
            .add_unary_handler(&ENROLL, move |context, request, sink| {
                enrolling.settings.imp.answer(&context, sink, || enrolling.enroll(&context, request));
            })
            .add_unary_handler(&HEARTBEAT, move |context, request, sink| {
                beating.settings.imp.answer(&context, sink, || beating.heartbeat(&context, &request));
            })
            .add_unary_handler(&UNREGISTER, move |context, request, sink| {
                leaving.settings.imp.answer(&context, sink, || leaving.unregister(&context, &request));
            });
        if let Some(sessions) = sessions {
            service = service.add_duplex_streaming_handler(&SESSION, move |context, up, down| {
                sessions.take(opening.judge_later(&context), up, down);
            });
        }
        if let Some(reports) = errands {
            let (checks, reporting, asking) = (reports.clone(), desk.clone(), desk);
            service = service
                .add_unary_handler(&REPORT_METRICS, move |context, request, sink| {
                    reports.imp.answer(&context, sink, || reporting.report(&context, request, &reports));
                })
                .add_unary_handler(&CHECK_FOR_UPDATE, move |context, request, sink| {
                    checks.imp.answer(&context, sink, || asking.check(&context, request, &checks));
                });
        }
        let service = service.build();
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

fn credentials(settings: &Settings) -> Result<ServerCredentials, ListenError> {
    let read = |path: &PathBuf| std::fs::read(path).map_err(|source| ListenError::Read { path: path.clone(), source });
    let mut builder = match (&settings.tls, &settings.issuing) {
        (None, None) => return Ok(ServerCredentials::insecure()),
        (Some(tls), _) => ServerCredentialsBuilder::new().add_cert(read(&tls.certificate)?, read(&tls.key)?),
        (None, Some(issuing)) => {
            let issued = issuing.authority.server(issuing.server).map_err(AuthorityError::from)?;
            ServerCredentialsBuilder::new().add_cert(issued.certificate, issued.key)
        }
    };
    if let Some(issuing) = &settings.issuing {
        let wanted = match issuing.clients {
            Clients::May => CertificateRequestType::RequestClientCertificateAndVerify,
            Clients::Must => CertificateRequestType::RequestAndRequireClientCertificateAndVerify,
        };
        builder = builder.root_cert(issuing.authority.ca().map_err(AuthorityError::from)?, wanted);
    }
    Ok(builder.build())
}

fn unauthenticated(text: String) -> RpcStatus {
    RpcStatus::with_message(RpcStatusCode::UNAUTHENTICATED, text)
}

/// What a caller shows of itself.
struct Papers {
    credential: Option<Vec<u8>>,
    /// PEM.
    certificate: Option<Vec<u8>>,
    peer: String,
}

impl Papers {
    fn of(context: &RpcContext<'_>) -> Self {
        let credential = context.request_headers().iter().find(|(name, _)| *name == "authorization").map(|(_, value)| value.to_vec());
        let certificate = context.auth_context().and_then(|peer| {
            let pem = (&peer).into_iter().find(|property| property.name() == "x509_pem_cert");
            pem.map(|pem| pem.value().to_vec())
        });
        Self { credential, certificate, peer: context.peer() }
    }
}

/// What the calls share.
#[derive(Clone)]
struct Desk {
    settings: Arc<Settings>,
    sightings: Sender<Sighting>,
    /// The agents by the request that enrolled them.
    enrolled: Arc<Mutex<BTreeMap<String, String>>>,
    /// What each agent lacks.
    ailing: Arc<Mutex<BTreeMap<String, Ailing>>>,
}

impl Desk {
    fn enroll(&self, context: &RpcContext<'_>, request: EnrollRequest) -> Result<EnrollResponse, RpcStatus> {
        if request.token != self.settings.token {
            self.see(Sighting::Refused { peer: context.peer() });
            return Err(unauthenticated("the token is not known here".to_owned()));
        }
        let host = request.host.hostname.clone();
        let agent = [&request.proposed_agent_id, &request.name, &host].into_iter().find(|id| !id.is_empty());
        let agent = agent.cloned().unwrap_or_else(|| "agent".to_owned());
        let agent = self.admit(&request.request_id, agent).inspect_err(|_| self.see(Sighting::Refused { peer: context.peer() }))?;
        self.make_topics(&agent)?;
        let certificate = self.certificate(&request.certificate_request, &agent)?;
        self.see(Sighting::Enrolled { agent: agent.clone(), host, version: request.agent_version });
        let kafka = KafkaSettings {
            brokers: self.settings.brokers.clone(),
            command_topic: format!("runner.commands.{agent}"),
            event_topic: format!("runner.events.{agent}"),
            dead_letter_topic: format!("runner.commands.{agent}.dlq"),
            ..KafkaSettings::default()
        };
        let credential = self.credential(&agent);
        let (kafka, command_public_keys) = (Some(kafka).into(), self.settings.command_keys.clone());
        Ok(EnrollResponse { agent_id: agent, credential, certificate, kafka, command_public_keys, ..EnrollResponse::default() })
    }

    /// A request that came before is the same agent again; a further one finds a one-time token used up.
    fn admit(&self, request: &str, agent: String) -> Result<String, RpcStatus> {
        let mut enrolled = self.enrolled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = enrolled.get(request).filter(|_| !request.is_empty()) {
            return Ok(known.clone());
        }
        if self.settings.token_use == TokenUse::Once && !enrolled.is_empty() {
            return Err(unauthenticated("the token was used already".to_owned()));
        }
        enrolled.insert(request.to_owned(), agent.clone());
        Ok(agent)
    }

    /// PEM, where there is a CA and the agent asks; else empty.
    fn certificate(&self, request: &[u8], agent: &str) -> Result<Vec<u8>, RpcStatus> {
        let Some(issuing) = self.settings.issuing.as_ref().filter(|_| !request.is_empty()) else { return Ok(Vec::new()) };
        let refused = |error| RpcStatus::with_message(RpcStatusCode::INVALID_ARGUMENT, format!("the certificate request: {error}"));
        issuing.authority.issue(request, agent).map_err(refused)
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
        let shown = self.recognise(&Papers::of(context), &request.agent_id)?;
        let ailing = self.ailing(request);
        let details_wanted = ailing.is_none();
        self.see(Sighting::Beat(Box::new(beat(request, shown, ailing.unwrap_or_default()))));
        let certificate = self.certificate(&request.certificate_request, &request.agent_id)?;
        let interval_seconds = self.settings.interval_seconds;
        Ok(HeartbeatResponse { interval_seconds, certificate, details_wanted, ..HeartbeatResponse::default() })
    }

    fn unregister(&self, context: &RpcContext<'_>, request: &UnregisterRequest) -> Result<UnregisterResponse, RpcStatus> {
        self.recognise(&Papers::of(context), &request.agent_id)?;
        self.see(Sighting::Unregistered { agent: request.agent_id.clone() });
        Ok(UnregisterResponse::default())
    }

    fn report(
        &self,
        context: &RpcContext<'_>,
        request: ReportMetricsRequest,
        errands: &Errands,
    ) -> Result<ReportMetricsResponse, RpcStatus> {
        self.recognise(&Papers::of(context), &request.agent_id)?;
        self.see(Sighting::Report(Report::of(request)));
        Ok(ReportMetricsResponse { interval_seconds: errands.report_seconds, ..ReportMetricsResponse::default() })
    }

    fn check(
        &self,
        context: &RpcContext<'_>,
        request: CheckForUpdateRequest,
        errands: &Errands,
    ) -> Result<CheckForUpdateResponse, RpcStatus> {
        self.recognise(&Papers::of(context), &request.agent_id)?;
        let manifest = errands.offered();
        let CheckForUpdateRequest { agent_id: agent, channel, version, architecture, .. } = request;
        self.see(Sighting::Check(Check { agent, channel, version, architecture, offered_bytes: manifest.len() }));
        Ok(CheckForUpdateResponse { manifest, ..CheckForUpdateResponse::default() })
    }

    /// The dependencies that are not ready, as they were told last; none if they never were.
    fn ailing(&self, request: &HeartbeatRequest) -> Option<Ailing> {
        let mut known = self.ailing.lock().unwrap_or_else(PoisonError::into_inner);
        if request.details_told {
            let ailing = request.dependencies.iter().filter(|one| one.state == "not_ready");
            known.insert(request.agent_id.clone(), ailing.map(|one| (one.name.clone(), one.last_error.clone())).collect());
        }
        known.get(&request.agent_id).cloned()
    }

    /// Whether the caller is this agent, by its certificate or its credential.
    fn recognise(&self, papers: &Papers, agent: &str) -> Result<Shown, RpcStatus> {
        self.judge(papers, agent).map_err(|reason| {
            self.see(Sighting::Refused { peer: papers.peer.clone() });
            unauthenticated(reason)
        })
    }

    /// The same for a session, which says later than it calls who it is.
    fn judge_later(&self, context: &RpcContext<'_>) -> Judge {
        let (desk, papers) = (self.clone(), Papers::of(context));
        Box::new(move |agent| desk.recognise(&papers, agent).map(drop))
    }

    fn judge(&self, papers: &Papers, agent: &str) -> Result<Shown, String> {
        let issuing = self.settings.issuing.as_ref();
        if issuing.is_some_and(|issuing| issuing.authority.is_revoked(agent)) {
            return Err(format!("{agent} was revoked"));
        }
        let Papers { credential, certificate, .. } = papers;
        if *credential == Some(format!("Bearer {}", self.credential(agent)).into_bytes()) {
            return Ok(Shown::Credential);
        }
        match (issuing, certificate) {
            (Some(issuing), Some(pem)) if credential.is_none() => match issuing.authority.holder(pem)? {
                holder if holder == agent => Ok(Shown::Certificate),
                holder => Err(format!("the certificate is {holder}'s, not {agent}'s")),
            },
            _ => Err(format!("{agent} is not enrolled here")),
        }
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

fn beat(request: &HeartbeatRequest, shown: Shown, ailing: Ailing) -> Beat {
    let state = match request.state.enum_value() {
        Ok(AgentState::AGENT_STATE_STARTING) => "STARTING",
        Ok(AgentState::AGENT_STATE_READY) => "READY",
        Ok(AgentState::AGENT_STATE_DEGRADED) => "DEGRADED",
        Ok(AgentState::AGENT_STATE_STOPPING) => "STOPPING",
        _ => "UNKNOWN",
    };
    Beat {
        agent: request.agent_id.clone(),
        state: state.to_owned(),
        sequence: request.sequence,
        commands_open: request.load.commands_open,
        paused: request.paused_since != 0,
        shown,
        asked: !request.certificate_request.is_empty(),
        stacks: request.details_told.then(|| {
            let stacks = request.stacks.iter();
            stacks.map(stack_in_words).collect()
        }),
        ailing,
    }
}

fn stack_in_words(stack: &StackBrief) -> String {
    let counts = stack.tasks.as_ref().map(|tasks| format!(": {} of {} tasks of {} services", tasks.running, tasks.desired, tasks.services));
    format!("{} {} {}{}", stack.name, stack.project_id, stack.revision, counts.unwrap_or_default())
}

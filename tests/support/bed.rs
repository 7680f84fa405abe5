//! What one test stands on: an agent with its own id, topics, state and project, a control plane for it,
//! and the eyes and hands of a test.

use super::agent::{Agent, Launch, tail};
use super::agents::{AgentServer, Settings, Sighting, Tls};
use super::broker::Broker;
use super::commands::{CommandSender, Draft, Record};
use super::control_plane::ControlPlane;
use super::engine::Engine;
use super::events::{EventRecord, RawRecord, Start, TopicReader};
use super::runner::Stage;
use super::schema;
use super::session::Sessions;
use crossbeam_channel::{Receiver, bounded};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// From the start to `/readyz`: enrolment, Kafka and Docker on a busy machine.
pub const READY: Duration = Duration::from_secs(30);
/// For a command on a busy machine; one that is right needs a few seconds.
pub const COMMAND: Duration = Duration::from_secs(90);
/// Heartbeats and enrolments that nobody looks at.
const SIGHTINGS: usize = 1024;
/// What the bed's control planes want to be shown.
pub const TOKEN: &str = "test-token";

/// The ports of the tests; programs that run at the same time begin at different ones.
const FIRST_PORT: u32 = 10_000;
const PORTS: u32 = 8_000;
const STEP: u32 = 61;

/// How the agent comes to its identity and its topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// It enrols at a control plane.
    Enrolled,
    /// All of it stands in its configuration.
    Configured,
}

/// The bed of one test.
pub struct Bed<'a> {
    stage: &'a Stage,
    plan: Plan,
    launch: Launch,
    /// The agent's id; it is the project's too.
    pub id: String,
    /// The stack that the project's commands are about unless they name another.
    pub stack: String,
    pub broker: Broker<'a>,
    directory: PathBuf,
    health_port: u16,
    grpc_port: u16,
    control_plane: Option<AgentServer>,
    sightings: Receiver<Sighting>,
    sender: CommandSender,
    reader: TopicReader,
    seen: RefCell<Vec<EventRecord>>,
    /// The commands that were sent with a trace.
    traced: RefCell<BTreeSet<Uuid>>,
    agent: Option<Agent>,
}

impl<'a> Bed<'a> {
    /// A bed whose agent is ready for commands.
    pub fn start(stage: &'a Stage) -> Self {
        let mut bed = Self::prepare(stage, Plan::Enrolled);
        bed.start_agent();
        bed.agent().wait_ready(READY);
        bed
    }

    /// A bed without an agent yet; its control plane stands, if the plan has one.
    pub fn prepare(stage: &'a Stage, plan: Plan) -> Self {
        let id = format!("t{}", &Uuid::new_v4().simple().to_string()[..8]);
        let broker = Broker::of(stage.supply());
        let names = topics(&id);
        let [commands, events, _] = &names;
        let sender = CommandSender::new(&broker.brokers(), commands).expect("a producer");
        broker.make_topics(&names, &sender);
        let reader = TopicReader::open(&broker.brokers(), events, Start::Beginning).expect("the event topic");
        let directory = stage.directory().join(&id);
        std::fs::create_dir_all(directory.join("state")).expect("a directory for the agent");
        let (_none, sightings) = bounded(1);
        let mut bed = Self {
            stage,
            plan,
            launch: Launch::chosen(),
            stack: format!("axion-{id}"),
            id,
            broker,
            directory,
            health_port: free_port(),
            grpc_port: free_port(),
            control_plane: None,
            sightings,
            sender,
            reader,
            seen: RefCell::default(),
            traced: RefCell::default(),
            agent: None,
        };
        bed.configure();
        if plan == Plan::Enrolled {
            bed.start_control_plane();
        }
        bed
    }

    fn configure(&self) {
        let id = &self.id;
        let identity = match self.plan {
            Plan::Enrolled => {
                format!("token = \"{TOKEN}\"\nname = \"{id}\"\n[control_plane]\ngrpc_url = \"http://127.0.0.1:{}\"\n", self.grpc_port)
            }
            Plan::Configured => format!("id = \"{id}\"\n[kafka]\nbrokers = [\"{}\"]\n", self.broker.brokers().replace(',', "\", \"")),
        };
        self.configure_as(&identity);
    }

    /// Writes the configuration anew: `identity` is what follows in `[agent]`, and the sections of what the
    /// agent connects to beside its engine.
    pub fn configure_as(&self, identity: &str) {
        let directory = self.directory.display();
        let text = format!(
            "[agent]\nstate_dir = \"{directory}/state\"\n{identity}\
             [docker]\nhost = \"{}\"\n[health]\nport = {}\n[local]\nipc_socket_path = \"{directory}/agent.sock\"\n[logging]\nlevel = \"debug\"\n",
            self.engine().host(),
            self.health_port
        );
        std::fs::write(self.directory.join("agent.toml"), text).expect("the configuration");
    }

    /// The agent reaches its broker at another address, with more lines of `[kafka]`.
    pub fn reach(&self, address: &str, lines: &str) {
        let file = self.directory.join("agent.toml");
        let text = std::fs::read_to_string(&file).expect("the configuration");
        let change =
            |line: &str| if line.starts_with("brokers = ") { format!("brokers = [\"{address}\"]\n{lines}\n") } else { format!("{line}\n") };
        std::fs::write(file, text.lines().map(change).collect::<String>()).expect("the configuration");
    }

    /// Where the agent keeps what it must not forget.
    pub fn state_dir(&self) -> PathBuf {
        self.directory.join("state")
    }

    /// Where the control plane of [`Plan::Enrolled`] is.
    pub fn control_plane_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.grpc_port)
    }

    /// The text of the agent's configuration.
    pub fn configuration(&self) -> String {
        std::fs::read_to_string(self.directory.join("agent.toml")).expect("the configuration")
    }

    /// Gives the agent another configuration, which counts with its next start or reload.
    pub fn reconfigure(&self, text: &str) {
        std::fs::write(self.directory.join("agent.toml"), text).expect("the configuration");
    }

    /// Starts the control plane, at the address that the agent knows.
    pub fn start_control_plane(&mut self) {
        let brokers = self.broker.brokers().split(',').map(str::to_owned).collect();
        self.serve(format!("127.0.0.1:{}", self.grpc_port), brokers, None, None);
    }

    /// Starts one at a free port of `host`, which leaves the agent the brokers that it knows; gives the port.
    pub fn start_control_plane_at(&mut self, host: &str, tls: Option<Tls>) -> u16 {
        self.serve(format!("{host}:0"), Vec::new(), tls, None);
        let address = self.control_plane.as_ref().expect("it was started just now").address();
        address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("an address ends with its port")
    }

    fn serve(&mut self, listen: String, brokers: Vec<String>, tls: Option<Tls>, sessions: Option<Sessions>) {
        let (sender, sightings) = bounded(SIGHTINGS);
        self.sightings = sightings;
        let settings = Settings { listen, token: TOKEN.to_owned(), brokers, tls, sessions, ..Settings::default() };
        self.control_plane = Some(AgentServer::start(settings, sender).expect("the control plane listens"));
    }

    /// Starts one as a process of its own, in place of the one that stands, at the address that the agent knows.
    pub fn start_control_plane_apart(&mut self) -> ControlPlane {
        self.start_control_plane_naming(&[])
    }

    /// The same; enrolment names these keys for commands.
    pub fn start_control_plane_naming(&mut self, keys: &[String]) -> ControlPlane {
        self.stop_control_plane();
        let listen = format!("127.0.0.1:{}", self.grpc_port);
        let more: Vec<&str> = keys.iter().flat_map(|key| ["--command-key", key]).collect();
        ControlPlane::start(&listen, &self.broker.brokers(), &self.directory.join("control-plane"), &self.id, &more)
    }

    /// The same over TLS: it issues certificates that are valid for `life`, such as `9s`. The agent is configured for it.
    pub fn start_issuing_control_plane(&mut self, life: &str) -> ControlPlane {
        self.stop_control_plane();
        let (id, port, ca) = (&self.id, self.grpc_port, self.directory.join("ca"));
        let more = ["--state", &ca.display().to_string(), "--certificate-life", life];
        let listen = format!("127.0.0.1:{port}");
        let plane = ControlPlane::start(&listen, &self.broker.brokers(), &self.directory.join("control-plane"), id, &more);
        let file = ca.join("ca.pem");
        self.configure_as(&format!(
            "token = \"{TOKEN}\"\nname = \"{id}\"\n[control_plane]\ngrpc_url = \"https://localhost:{port}\"\nca_file = \"{}\"\n",
            file.display()
        ));
        plane
    }

    /// Starts one, in place of the one that stands, that takes sessions.
    pub fn start_control_plane_with(&mut self, sessions: Sessions) {
        self.stop_control_plane();
        let brokers = self.broker.brokers().split(',').map(str::to_owned).collect();
        self.serve(format!("127.0.0.1:{}", self.grpc_port), brokers, None, Some(sessions));
    }

    /// A folder for what else the test writes.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Takes the control plane away.
    pub fn stop_control_plane(&mut self) {
        self.control_plane = None;
    }

    /// What the control plane saw since the last call.
    pub fn sightings(&self) -> Vec<Sighting> {
        self.sightings.try_iter().collect()
    }

    /// From here the agent runs under the package's unit, with these lines over it.
    pub fn under_the_unit(&mut self, drop_in: &str) {
        self.launch = Launch::Unit;
        std::fs::write(self.directory.join("unit.conf"), drop_in).expect("the drop-in");
    }

    /// From here the agent sees these files in `/etc`, over the machine's.
    pub fn lay_over_etc(&mut self, files: &[(&str, &[u8])]) {
        self.launch = Launch::OtherEtc;
        for (path, content) in files {
            let file = self.directory.join("etc").join(path);
            std::fs::create_dir_all(file.parent().expect("a file is in a folder")).expect("a folder");
            std::fs::write(file, content).expect("a file of the agent's /etc");
        }
    }

    /// The token is no longer in the configuration, but among systemd's credentials.
    pub fn hide_token(&self) {
        let file = self.directory.join("agent.toml");
        let text = std::fs::read_to_string(&file).expect("the configuration");
        std::fs::write(file, text.replace(&format!("token = \"{TOKEN}\"\n"), "")).expect("the configuration");
        let store = self.directory.join("credstore");
        std::fs::create_dir(&store).expect("a store of credentials");
        std::fs::write(store.join("agent.token"), TOKEN).expect("the token");
    }

    pub fn start_agent(&mut self) {
        self.agent = Some(Agent::start(self.launch, &self.directory.join("agent.toml"), self.health_port, &self.log()));
    }

    pub fn agent(&self) -> &Agent {
        self.agent.as_ref().expect("the agent was started")
    }

    /// Takes the agent out of the bed, to end it in one way or another.
    pub fn take_agent(&mut self) -> Agent {
        self.agent.take().expect("the agent was started")
    }

    pub fn engine(&self) -> &'a Engine {
        self.stage.engine()
    }

    /// All that the agent has logged.
    pub fn whole_log(&self) -> String {
        std::fs::read_to_string(self.log()).expect("the agent's log")
    }

    pub fn log(&self) -> PathBuf {
        self.directory.join("agent.log")
    }

    /// A command of the bed's project.
    pub fn draft(&self, command_type: &str) -> Draft {
        let mut draft = Draft { command_type: command_type.to_owned(), ..Draft::default() };
        draft.set_project(Some(self.id.clone()));
        draft
    }

    /// A question about every stack: it can be answered at any time.
    pub fn query(&self) -> Draft {
        Draft { command_type: "GetStatus".to_owned(), ..Draft::default() }
    }

    pub fn deploy(&self, compose: &str) -> Draft {
        self.draft("Deploy").with("docker_stack_yml", compose)
    }

    /// Sends a command and gives its id.
    pub fn send(&self, draft: Draft) -> Uuid {
        self.send_record(&draft.record()).expect("a draft has an id")
    }

    pub fn send_record(&self, record: &Record) -> Option<Uuid> {
        // It may be answered before this is over.
        if !record.headers.is_empty() {
            self.traced.borrow_mut().extend(record.command_id);
        }
        self.sender.send(record).expect("the broker takes the record");
        record.command_id
    }

    /// Sends a command and waits for its terminal event.
    pub fn carry_out(&self, draft: Draft) -> EventRecord {
        self.terminal(self.send(draft))
    }

    /// The terminal event of a command.
    pub fn terminal(&self, id: Uuid) -> EventRecord {
        self.event("its terminal event", COMMAND, |event| event.causation_id == Some(id) && event.terminal)
    }

    /// The terminal event of a command, if it came by now.
    pub fn terminal_so_far(&self, id: Uuid) -> Option<EventRecord> {
        while self.read(Duration::ZERO).is_some() {}
        self.seen.borrow().iter().find(|event| event.causation_id == Some(id) && event.terminal).cloned()
    }

    /// The commands of a stack that have ended, in the order of their terminal events.
    pub fn terminals(&self, stack: &str) -> Vec<Uuid> {
        let seen = self.seen.borrow();
        let of_stack = seen.iter().filter(|event| event.terminal && event.payload["stack_name"] == stack);
        of_stack.filter_map(|event| event.causation_id).collect()
    }

    /// The first event, old or new, that `wanted` likes.
    pub fn event(&self, what: &str, within: Duration, wanted: impl Fn(&EventRecord) -> bool) -> EventRecord {
        if let Some(event) = self.seen.borrow().iter().find(|event| wanted(event)) {
            return event.clone();
        }
        let end = Instant::now() + within;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "not within {} s: {what}", within.as_secs());
            if let Some(event) = self.read(left)
                && wanted(&event)
            {
                return event;
            }
        }
    }

    fn read(&self, within: Duration) -> Option<EventRecord> {
        let record = self.reader.next(within).expect("the event topic can be read")?;
        let event = record.event().unwrap_or_else(|error| panic!("no event ({error}): {}", String::from_utf8_lossy(&record.body)));
        self.check_record(&record, &event);
        self.check_trace(&record, &event);
        self.seen.borrow_mut().push(event.clone());
        Some(event)
    }

    /// What holds of the record of every event: its form, its key and its headers.
    fn check_record(&self, record: &RawRecord, event: &EventRecord) {
        schema::check("event", &serde_json::from_slice(&record.body).expect("an event is JSON"));
        let project = event.payload["project_id"].as_str().unwrap_or(&self.id);
        assert_eq!((record.key.as_deref(), event.agent_id.as_str()), (Some(project), self.id.as_str()), "{event:?}");
        let header = |name: &str| record.headers.get(name).map(String::as_str);
        assert_eq!(header("x-event-id"), Some(event.event_id.to_string().as_str()), "{record:?}");
        assert_eq!((header("x-agent-id"), header("content-type")), (Some(self.id.as_str()), Some("application/json")), "{record:?}");
        assert_eq!(header("x-correlation-id").map(str::to_owned), event.correlation_id.map(|id| id.to_string()), "{record:?}");
    }

    /// Every event of a command that has a trace carries it on, in its body and in its record's header.
    fn check_trace(&self, record: &RawRecord, event: &EventRecord) {
        assert_eq!(record.headers.get("traceparent"), event.traceparent.as_ref(), "{record:?}");
        let is_traced = event.traceparent.is_some() || event.causation_id.is_some_and(|id| self.traced.borrow().contains(&id));
        assert!(!is_traced || is_in_the_trace_of_its_command(event), "{event:?}");
    }

    /// All events of a command. A query is sent after it: what comes before that one's answer is all.
    pub fn all_of(&self, id: Uuid) -> Vec<EventRecord> {
        self.settle();
        self.seen.borrow().iter().filter(|event| event.causation_id == Some(id)).cloned().collect()
    }

    /// The events of a command that were read so far.
    pub fn all_of_so_far(&self, id: Uuid) -> Vec<EventRecord> {
        self.seen.borrow().iter().filter(|event| event.causation_id == Some(id)).cloned().collect()
    }

    /// Waits until every event of the commands that have ended was read.
    pub fn settle(&self) {
        let answer = self.carry_out(self.query());
        assert_eq!(answer.event_type, "StatusReport", "{answer:?}");
    }

    /// A record of the dead-letter topic.
    pub fn dead_letter(&self) -> RawRecord {
        let [_, _, dead] = topics(&self.id);
        let reader = TopicReader::open(&self.broker.brokers(), &dead, Start::Beginning).expect("the dead-letter topic");
        reader.next(COMMAND).expect("the dead-letter topic can be read").expect("a dead letter")
    }

    /// How many tasks of a service of the bed's stack run.
    pub fn running(&self, service: &str) -> usize {
        self.engine().running(&self.stack, service).unwrap_or_else(|error| panic!("{error}"))
    }

    /// What to know about a test that failed.
    fn state(&self) -> String {
        let seen = self.seen.borrow();
        let events: Vec<_> =
            seen.iter().map(|event| format!("{} {} {}", event.event_type, event.message(), event.payload["details"])).collect();
        let stack = self.engine().describe(&self.stack);
        format!("--- events\n{}\n--- {}\n{stack}\n--- agent {}\n{}", events.join("\n"), self.stack, self.id, tail(&self.log()))
    }
}

impl Drop for Bed<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.state());
        }
        self.agent = None;
        self.engine().remove(&self.stack);
    }
}

/// Whether it carries on the trace that [`super::commands::traceparent`] begins for its command.
pub fn is_in_the_trace_of_its_command(event: &EventRecord) -> bool {
    let trace = event.traceparent.as_ref().and_then(|text| text.split('-').nth(1));
    trace.is_some() && trace == event.causation_id.map(|id| id.simple().to_string()).as_deref()
}

/// Commands, events, dead letters: the names that the agent uses unless it is told otherwise.
fn topics(id: &str) -> [String; 3] {
    [format!("runner.commands.{id}"), format!("runner.events.{id}"), format!("runner.commands.{id}.dlq")]
}

/// A port that was free a moment ago, and that the kernel gives to nobody who asks for any: its own begin at 32768.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(STEP);
    let number = || first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS;
    let mut ports = (0..PORTS).filter_map(|_| u16::try_from(FIRST_PORT + number()).ok());
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}

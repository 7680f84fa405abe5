//! The agent that dies: its topics, its state, its engine, and what was sent to it.

use crate::fake_engine::{FakeEngine, Reply};
use crate::fake_swarm::{Change, Swarm};
use crate::questions::Questions;
use crate::support::commands::CommandSender;
use crate::support::events::{EventRecord, Start, TopicReader};
use crate::support::mock::MockBroker;
use crate::support::{Agent, Broker, Draft, Launch, Listeners, Record, Stage, free_port, until};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// For the next end of a command, restarts included, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// Behind it are the ids of questions, which change nothing.
const QUERIES: u128 = 1 << 64;
/// A transaction that is not at its end after so long hangs: the agent's own are over after 20 s.
const HANGS: Duration = Duration::from_secs(25);
/// A topic at rest says nothing for this long at its end, since a fetch waits for a tenth of it.
const AT_REST: Duration = Duration::from_secs(1);

pub struct Victim<'a> {
    pub broker: Broker<'a>,
    pub swarm: Arc<Mutex<Swarm>>,
    /// Whether the engine takes calls and answers none.
    pub silence: Arc<AtomicBool>,
    /// How its processes are started.
    pub launch: Launch,
    /// What its processes enrol with, if they do.
    pub token: Option<&'static str>,
    engine: FakeEngine,
    directory: PathBuf,
    port: u16,
    sender: CommandSender,
    questions: Questions,
    topics: [String; 3],
    /// The ids of what was sent, in order.
    pub sent: Vec<Uuid>,
    /// How many of them are questions.
    asked: u128,
}

/// What became of the ends that are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// All are there.
    All,
    /// The process died.
    Died,
    /// The broker hides them behind a transaction that hangs.
    Hidden,
}

/// How a run of the process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was killed, by itself or by the test.
    Killed,
    /// It answered every command and left when it was asked to.
    Left,
}

impl<'a> Victim<'a> {
    /// Victims of one name live one after another: they have one transactional id. What they write on objects is the
    /// same then; topics have a name of their own.
    pub fn new(stage: &'a Stage, agent: &str) -> Self {
        Self::with(stage, agent, "")
    }

    /// The same with more lines at the end of its configuration.
    pub fn with(stage: &'a Stage, agent: &str, lines: &str) -> Self {
        let victim = Self::unconfigured(Broker::of(stage.supply()), stage, agent);
        victim.configure(agent, &victim.broker.brokers(), "", lines);
        victim
    }

    /// The same with a mock cluster of its own, whatever broker there is.
    pub fn beside_a_mock(stage: &'a Stage, agent: &str, lines: &str) -> Self {
        let victim = Self::unconfigured(Broker::Mock(MockBroker::start().unwrap()), stage, agent);
        victim.configure(agent, &victim.broker.brokers(), "", lines);
        victim
    }

    /// One that finds `localhost`, where its broker speaks TLS, over IPv6 alone: what is put there is on the way.
    pub fn over_ipv6(stage: &'a Stage, agent: &str, listeners: &Listeners) -> Self {
        let mut victim = Self::unconfigured(Broker::of(stage.supply()), stage, agent);
        let ca = listeners.certificates.join("ca.pem");
        let kafka = format!("security_protocol = \"ssl\"\nssl_ca_location = \"{}\"\n", ca.display());
        victim.configure(agent, &listeners.tls, &kafka, "");
        std::fs::create_dir(victim.directory.join("etc")).unwrap();
        std::fs::write(victim.directory.join("etc/hosts"), "::1 localhost\n").unwrap();
        victim.launch = Launch::OtherEtc;
        victim
    }

    fn unconfigured(broker: Broker<'a>, stage: &Stage, agent: &str) -> Self {
        let run = Uuid::new_v4().simple().to_string();
        let topics = ["commands", "events", "letters"].map(|what| format!("torture.{what}.{agent}.{run}"));
        let sender = CommandSender::new(&broker.brokers(), &topics[0]).unwrap();
        broker.make_topics(&topics, &sender);
        let swarm = Arc::new(Mutex::new(Swarm::default()));
        let silence = Arc::new(AtomicBool::new(false));
        let (script, silent) = (Arc::clone(&swarm), Arc::clone(&silence));
        let engine =
            FakeEngine::start(
                move |asked| {
                    if silent.load(Ordering::Relaxed) { Some(Reply::Silence) } else { script.lock().unwrap().answer(asked) }
                },
            );
        let directory = stage.directory().join(&run);
        std::fs::create_dir_all(directory.join("state")).unwrap();
        let questions = Questions::to(&broker.brokers(), &topics[0]);
        let (port, launch, token, sent) = (free_port(), Launch::Direct, None, Vec::new());
        Self { broker, swarm, silence, engine, directory, port, launch, token, sender, questions, topics, sent, asked: 0 }
    }

    fn configure(&self, agent: &str, brokers: &str, kafka: &str, lines: &str) {
        let (directory, engine) = (self.directory.display(), self.engine.socket().display());
        // With exactly-once each agent has topics of its own, which their names must say.
        let [commands, events, letters] = self.topics.each_ref().map(|topic| topic.replacen(agent, "{agent_id}", 1));
        let text = format!(
            "[agent]\nid = \"{agent}\"\nstate_dir = \"{directory}/state\"\n\
             [kafka]\nbrokers = [\"{}\"]\ncommand_topic = \"{commands}\"\nevent_topic = \"{events}\"\n\
             dead_letter_topic = \"{letters}\"\nconsumer_group = \"{commands}\"\n{kafka}\
             [docker]\nhost = \"unix://{engine}\"\n[local]\nipc_socket_path = \"{directory}/agent.sock\"\n[health]\nport = {}\n[logging]\nlevel = \"debug\"\n{lines}",
            brokers.replace(',', "\", \""),
            self.port
        );
        std::fs::write(self.directory.join("agent.toml"), text).unwrap();
    }

    /// From its next start its log has only what an operator wants to read.
    pub fn whisper(&self) {
        let file = self.directory.join("agent.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(file, text.replace("level = \"debug\"", "level = \"info\"")).unwrap();
    }

    pub fn event_topic(&self) -> &str {
        &self.topics[1]
    }

    /// Its brokers are others from now on, with topics of the same names that are empty.
    pub fn make_topics_anew(&mut self) {
        self.broker = Broker::Mock(MockBroker::start().unwrap());
        let brokers = self.broker.brokers();
        self.sender = CommandSender::new(&brokers, &self.topics[0]).unwrap();
        self.questions = Questions::to(&brokers, &self.topics[0]);
        self.broker.make_topics(&self.topics, &self.sender);
        self.sent.clear();
        self.reach(&brokers, self.engine.socket());
    }

    /// From its next start the agent looks for its brokers and its engine elsewhere.
    pub fn reach(&self, brokers: &str, engine: &Path) {
        let file = self.directory.join("agent.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let change = |line: &str| match line {
            line if line.starts_with("brokers = ") => format!("brokers = [\"{brokers}\"]\n"),
            line if line.starts_with("host = ") => format!("host = \"unix://{}\"\n", engine.display()),
            line => format!("{line}\n"),
        };
        std::fs::write(file, text.lines().map(change).collect::<String>()).unwrap();
    }

    /// Sends a command with this id.
    pub fn send(&mut self, id: u128, draft: Draft) {
        let id = Uuid::from_u128(id);
        self.sender.send(&Draft { command_id: Some(id), ..draft }.record()).unwrap();
        self.sent.push(id);
    }

    /// Asks so many times for the state of all stacks.
    pub fn ask(&mut self, times: usize) {
        for _ in 0..times {
            self.question();
        }
        self.questions.flush();
    }

    /// Asks once, and waits for nothing.
    pub fn question(&mut self) -> Uuid {
        self.asked += 1;
        let id = Uuid::from_u128(QUERIES + self.asked);
        self.questions.ask(id);
        self.sent.push(id);
        id
    }

    /// Sends bytes that are no command.
    pub fn send_nonsense(&self) {
        self.sender.send(&Record::raw(b"{nonsense".to_vec())).unwrap();
    }

    /// Where the state is, the configuration and the log.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Starts the process; `crash` is what `AXION_CRASH` says.
    pub fn start(&self, crash: Option<&str>) -> Agent {
        let mut variables: Vec<(&str, &str)> = crash.map(|crash| ("AXION_CRASH", crash)).into_iter().collect();
        variables.extend(self.token.map(|token| ("AXION_AGENT__AGENT__TOKEN", token)));
        Agent::launch(self.launch, &self.directory.join("agent.toml"), self.port, &self.directory.join("agent.log"), &variables)
    }

    /// Runs the process until it dies or every command that was sent has its end.
    pub fn live(&self, crash: Option<&str>) -> Ended {
        self.watch(self.start(crash))
    }

    /// The same for a process that runs already.
    pub fn watch(&self, mut agent: Agent) -> Ended {
        match self.answers(&mut agent) {
            Answers::All => self.leave(agent),
            Answers::Died => Ended::Killed,
            Answers::Hidden => panic!("the broker hides what is behind a transaction that hangs:\n{}", agent.log_tail()),
        }
    }

    /// Waits for the ends of all that was sent. Whether the process lived so long.
    pub fn answers(&self, agent: &mut Agent) -> Answers {
        self.answers_while(agent, |_| {})
    }

    /// The same with a look at the process for each event.
    pub fn answers_while(&self, agent: &mut Agent, mut look: impl FnMut(&Agent)) -> Answers {
        let reader = self.reader();
        let (mut deadline, mut open) = (Instant::now() + PATIENCE, self.sent.iter().copied().collect::<BTreeSet<Uuid>>());
        while !open.is_empty() {
            if Instant::now() >= deadline {
                if self.hides() {
                    return Answers::Hidden;
                }
                panic!("no end of {} commands such as {:?}:\n{}", open.len(), open.first(), agent.log_tail());
            }
            if agent.has_ended().is_some() {
                return Answers::Died;
            }
            let event = reader.next(Duration::from_millis(50)).unwrap().and_then(|record| record.event().ok());
            look(agent);
            let ended = event.filter(|event| event.terminal).and_then(|event| event.causation_id);
            if ended.is_some_and(|id| open.remove(&id)) {
                deadline = Instant::now() + PATIENCE;
            }
        }
        Answers::All
    }

    /// Whether readers of what is committed do not come to the end of the event topic although nobody writes: a transaction
    /// hangs on it.
    fn hides(&self) -> bool {
        let end = |isolation: &str| {
            let mut config = ClientConfig::new();
            config.set("bootstrap.servers", self.broker.brokers()).set("isolation.level", isolation);
            let reader: BaseConsumer = config.create().unwrap();
            reader.fetch_watermarks(&self.topics[1], 0, PATIENCE).unwrap().1
        };
        let committed = end("read_committed");
        committed < end("read_uncommitted") && {
            crossbeam_channel::after(HANGS).recv().unwrap();
            committed == end("read_committed")
        }
    }

    /// Asks it to leave; a crash point may be on the way.
    pub fn leave(&self, agent: Agent) -> Ended {
        match agent.terminate().0 {
            status if status.success() => Ended::Left,
            _ => Ended::Killed,
        }
    }

    pub fn reader(&self) -> TopicReader {
        TopicReader::open(&self.broker.brokers(), &self.topics[1], Start::Beginning).unwrap()
    }

    /// Every event that is committed.
    pub fn events(&self) -> Vec<EventRecord> {
        let mut events = Vec::new();
        let reader = self.reader();
        while let Some(record) = reader.next(AT_REST).unwrap() {
            events.push(record.event().unwrap());
        }
        events
    }

    /// The number of dead letters.
    pub fn letters(&self) -> usize {
        let reader = TopicReader::open(&self.broker.brokers(), &self.topics[2], Start::Beginning).unwrap();
        std::iter::from_fn(|| reader.next(AT_REST).unwrap()).count()
    }

    /// The end of a command.
    pub fn end_of(&self, id: u128) -> EventRecord {
        let (id, reader) = (Uuid::from_u128(id), self.reader());
        until("the end of a command", PATIENCE, || {
            while let Some(record) = reader.next(Duration::from_millis(50)).unwrap() {
                let event = record.event().unwrap();
                if event.terminal && event.causation_id == Some(id) {
                    return Ok(event);
                }
            }
            Err(format!("no end of {id}:\n{}", self.log_tail()))
        })
    }

    /// Waits until the swarm is so.
    pub fn until_swarm(&self, what: &str, is_so: impl Fn(&Swarm) -> bool) {
        until(what, PATIENCE, || if is_so(&self.swarm.lock().unwrap()) { Ok(()) } else { Err(self.log_tail()) });
    }

    /// Waits until the log has these words.
    pub fn until_logged(&self, words: &str) {
        until(words, PATIENCE, || if self.log().contains(words) { Ok(()) } else { Err(self.log_tail()) });
    }

    pub fn changes(&self) -> Vec<Change> {
        self.swarm.lock().unwrap().changes.clone()
    }

    /// All that its processes have logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("agent.log")).unwrap_or_default()
    }

    pub fn log_tail(&self) -> String {
        let text = self.log();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(120)..].join("\n")
    }
}

/// A command about a stack of the one project.
pub fn about(command_type: &str, stack: &str) -> Draft {
    Draft { command_type: command_type.to_owned(), ..Draft::default() }.with("project_id", "p").with("stack_name", stack)
}

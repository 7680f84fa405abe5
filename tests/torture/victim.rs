//! The agent that dies: its topics, its state, its engine, and what was sent to it.

use crate::fake_engine::FakeEngine;
use crate::fake_swarm::{Change, Swarm};
use crate::questions::Questions;
use crate::support::commands::CommandSender;
use crate::support::events::{EventRecord, Start, TopicReader};
use crate::support::{Agent, Broker, Draft, Launch, Listeners, Stage, free_port};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// For the next end of a command, restarts included, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// Behind it are the ids of questions, which change nothing.
pub const QUERIES: u128 = 1 << 64;

pub struct Victim<'a> {
    pub broker: Broker<'a>,
    pub swarm: Arc<Mutex<Swarm>>,
    engine: FakeEngine,
    directory: PathBuf,
    port: u16,
    launch: Launch,
    sender: CommandSender,
    questions: Questions,
    topics: [String; 3],
    /// The ids of what was sent, in order.
    pub sent: Vec<Uuid>,
    /// How many of them are questions.
    asked: u128,
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
        let victim = Self::unconfigured(stage, agent);
        victim.configure(agent, &victim.broker.brokers(), "");
        victim
    }

    /// One that finds `localhost`, where its broker speaks TLS, over IPv6 alone: what is put there is on the way.
    pub fn over_ipv6(stage: &'a Stage, agent: &str, listeners: &Listeners) -> Self {
        let mut victim = Self::unconfigured(stage, agent);
        let ca = listeners.certificates.join("ca.pem");
        let kafka = format!("security_protocol = \"ssl\"\nssl_ca_location = \"{}\"\n", ca.display());
        victim.configure(agent, &listeners.tls, &kafka);
        std::fs::create_dir(victim.directory.join("etc")).unwrap();
        std::fs::write(victim.directory.join("etc/hosts"), "::1 localhost\n").unwrap();
        victim.launch = Launch::OtherEtc;
        victim
    }

    fn unconfigured(stage: &'a Stage, agent: &str) -> Self {
        let run = Uuid::new_v4().simple().to_string();
        let topics = ["commands", "events", "letters"].map(|what| format!("torture.{what}.{agent}.{run}"));
        let broker = Broker::of(stage.supply());
        let sender = CommandSender::new(&broker.brokers(), &topics[0]).unwrap();
        broker.make_topics(&topics, &sender);
        let swarm = Arc::new(Mutex::new(Swarm::default()));
        let script = Arc::clone(&swarm);
        let engine = FakeEngine::start(move |asked| script.lock().unwrap().answer(asked));
        let directory = stage.directory().join(&run);
        std::fs::create_dir_all(directory.join("state")).unwrap();
        let questions = Questions::to(&broker.brokers(), &topics[0]);
        let (port, launch, sent) = (free_port(), Launch::Direct, Vec::new());
        Self { broker, swarm, engine, directory, port, launch, sender, questions, topics, sent, asked: 0 }
    }

    fn configure(&self, agent: &str, brokers: &str, kafka: &str) {
        let (directory, engine) = (self.directory.display(), self.engine.socket().display());
        // With exactly-once each agent has topics of its own, which their names must say.
        let [commands, events, letters] = self.topics.each_ref().map(|topic| topic.replacen(agent, "{agent_id}", 1));
        let text = format!(
            "[agent]\nid = \"{agent}\"\nstate_dir = \"{directory}/state\"\n\
             [kafka]\nbrokers = [\"{}\"]\ncommand_topic = \"{commands}\"\nevent_topic = \"{events}\"\n\
             dead_letter_topic = \"{letters}\"\nconsumer_group = \"{commands}\"\n{kafka}\
             [docker]\nhost = \"unix://{engine}\"\n[health]\nport = {}\n[logging]\nlevel = \"debug\"\n",
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

    /// Starts the process; `crash` is what `AXION_CRASH` says.
    pub fn start(&self, crash: Option<&str>) -> Agent {
        let variables: Vec<(&str, &str)> = crash.map(|crash| ("AXION_CRASH", crash)).into_iter().collect();
        Agent::launch(self.launch, &self.directory.join("agent.toml"), self.port, &self.directory.join("agent.log"), &variables)
    }

    /// Runs the process until it dies or every command that was sent has its end.
    pub fn live(&self, crash: Option<&str>) -> Ended {
        self.watch(self.start(crash))
    }

    /// The same for a process that runs already.
    pub fn watch(&self, mut agent: Agent) -> Ended {
        if self.answers(&mut agent) { self.leave(agent) } else { Ended::Killed }
    }

    /// Waits for the ends of all that was sent. Whether the process lived so long.
    pub fn answers(&self, agent: &mut Agent) -> bool {
        self.answers_while(agent, |_| {})
    }

    /// The same with a look at the process for each event.
    pub fn answers_while(&self, agent: &mut Agent, mut look: impl FnMut(&Agent)) -> bool {
        let reader = self.reader();
        let (mut deadline, mut open) = (Instant::now() + PATIENCE, self.sent.iter().copied().collect::<BTreeSet<Uuid>>());
        while !open.is_empty() {
            assert!(Instant::now() < deadline, "no end of {} commands such as {:?}:\n{}", open.len(), open.first(), agent.log_tail());
            if agent.has_ended().is_some() {
                return false;
            }
            let event = reader.next(Duration::from_millis(50)).unwrap().and_then(|record| record.event().ok());
            look(agent);
            let ended = event.filter(|event| event.terminal).and_then(|event| event.causation_id);
            if ended.is_some_and(|id| open.remove(&id)) {
                deadline = Instant::now() + PATIENCE;
            }
        }
        true
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
        let reader = self.reader();
        let mut events = Vec::new();
        // The topic is at rest: nothing for this long is its end, since a fetch waits for a tenth of it.
        while let Some(record) = reader.next(Duration::from_secs(1)).unwrap() {
            events.push(record.event().unwrap());
        }
        events
    }

    pub fn changes(&self) -> Vec<Change> {
        self.swarm.lock().unwrap().changes.clone()
    }

    pub fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(self.directory.join("agent.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(120)..].join("\n")
    }
}

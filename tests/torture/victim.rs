//! The agent that dies: its topics, its state, its engine, and what was sent to it.

use crate::fake_engine::FakeEngine;
use crate::fake_swarm::{Change, Swarm};
use crate::support::commands::CommandSender;
use crate::support::events::{EventRecord, Start, TopicReader};
use crate::support::{Agent, Broker, Draft, Launch, Stage, free_port};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// For all commands of a run, restarts included, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

pub struct Victim<'a> {
    pub broker: Broker<'a>,
    pub swarm: Arc<Mutex<Swarm>>,
    engine: FakeEngine,
    directory: PathBuf,
    port: u16,
    sender: CommandSender,
    topics: [String; 3],
    /// The ids of what was sent, in order.
    pub sent: Vec<Uuid>,
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
        let victim = Self { broker, swarm, engine, directory, port: free_port(), sender, topics, sent: Vec::new() };
        victim.configure(agent, &run);
        victim
    }

    fn configure(&self, agent: &str, run: &str) {
        let (directory, engine, brokers) = (self.directory.display(), self.engine.socket().display(), self.broker.brokers());
        let text = format!(
            "[agent]\nid = \"{agent}\"\nstate_dir = \"{directory}/state\"\n\
             [kafka]\nbrokers = [\"{}\"]\ncommand_topic = \"torture.commands.{{agent_id}}.{run}\"\n\
             event_topic = \"torture.events.{{agent_id}}.{run}\"\ndead_letter_topic = \"torture.letters.{{agent_id}}.{run}\"\n\
             consumer_group = \"torture-{{agent_id}}-{run}\"\n\
             [docker]\nhost = \"unix://{engine}\"\n[health]\nport = {}\n[logging]\nlevel = \"debug\"\n",
            brokers.replace(',', "\", \""),
            self.port
        );
        std::fs::write(self.directory.join("agent.toml"), text).unwrap();
    }

    /// Sends a command with this id.
    pub fn send(&mut self, id: u128, draft: Draft) {
        let id = Uuid::from_u128(id);
        self.sender.send(&Draft { command_id: Some(id), ..draft }.record()).unwrap();
        self.sent.push(id);
    }

    /// Starts the process; `crash` is what `AXION_CRASH` says.
    pub fn start(&self, crash: Option<&str>) -> Agent {
        let variables: Vec<(&str, &str)> = crash.map(|crash| ("AXION_CRASH", crash)).into_iter().collect();
        Agent::launch(Launch::Direct, &self.directory.join("agent.toml"), self.port, &self.directory.join("agent.log"), &variables)
    }

    /// Runs the process until it dies or every command that was sent has its end.
    pub fn live(&self, crash: Option<&str>) -> Ended {
        self.watch(self.start(crash))
    }

    /// The same for a process that runs already.
    pub fn watch(&self, mut agent: Agent) -> Ended {
        let reader = self.reader();
        let (deadline, mut open) = (Instant::now() + PATIENCE, self.sent.clone());
        while !open.is_empty() {
            assert!(Instant::now() < deadline, "no end of {open:?}:\n{}", agent.log_tail());
            if agent.has_ended().is_some() {
                return Ended::Killed;
            }
            let event = reader.next(Duration::from_millis(50)).unwrap().and_then(|record| record.event().ok());
            if let Some(event) = event.filter(|event| event.terminal) {
                open.retain(|id| Some(*id) != event.causation_id);
            }
        }
        self.leave(agent)
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

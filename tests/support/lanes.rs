//! The Docker room alone: its threads with a real journal over the stage's engine, without Kafka. Each has
//! a stack of its own, which is removed at the end.

use super::engine::Engine;
use super::runner::Stage;
use super::until;
use axion_agent::docker::{Docker, EngineState, Entry, Event, Job, Settings, Swarmless, start};
use axion_agent::domain::{
    Action, AgentId, Code, Command, CommandId, Context, Ledger, Outcome, Progress, ProjectId, Remove, Scope, StackName, Target, Verdict,
};
use axion_agent::journal::{self, Journal};
use axion_agent::threads::{Published, Stop};
use crossbeam_channel::{Receiver, bounded};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The longest wait for anything: the engine starts, fails and stops some containers, with Swarm's five
/// seconds between two tries.
const SOON: Duration = Duration::from_secs(120);
/// More than the room says between two looks of a test.
const EVENTS: usize = 64;

/// The running room.
pub struct Lanes<'a> {
    docker: Docker,
    events: Receiver<Event>,
    pub journal: Journal,
    pub engine: &'a Engine,
    pub folder: PathBuf,
    pub stack: StackName,
}

/// How a command ended, and what it said on the way.
#[derive(Debug)]
pub struct Told {
    pub id: CommandId,
    pub outcome: Outcome,
    progress: Vec<Progress>,
}

impl<'a> Lanes<'a> {
    pub fn start(stage: &'a Stage) -> Self {
        Self::with(stage, Swarmless::Refused)
    }

    /// The same with a choice for an engine in no swarm.
    pub fn with(stage: &'a Stage, swarmless: Swarmless) -> Self {
        let engine = stage.engine();
        let stack = StackName::new(format!("axt{}", &Uuid::new_v4().simple().to_string()[..8])).unwrap();
        let folder = stage.directory().join(stack.as_str());
        let (exits, _) = bounded(16);
        let (journal, _, _) = journal::open(&folder, exits.clone()).unwrap();
        let (events, inbox) = bounded(EVENTS);
        let ledger: Arc<dyn Ledger> = Arc::new(journal.clone());
        let socket = engine.socket().to_owned();
        let settings = Published::new(Settings { deploy_timeout: SOON, revisions: 2, swarmless, ..Settings::of(socket) });
        let docker = start(settings, ledger, events, exits).unwrap();
        Self { docker, events: inbox, journal, engine, folder, stack }
    }

    pub fn target(&self) -> Target {
        Target { project: ProjectId::new("p").unwrap(), stack: self.stack.clone() }
    }

    /// Runs a command to its end.
    pub fn run(&self, action: Action) -> Told {
        self.run_as(CommandId(Uuid::new_v4()), action, Entry::Fresh)
    }

    /// The same with an id that was there before, or entered as after a restart.
    pub fn run_as(&self, id: CommandId, action: Action, entry: Entry) -> Told {
        assert!(self.hand_over(id, action, entry), "the lanes have ended");
        let deadline = Instant::now() + SOON + SOON;
        let mut progress = Vec::new();
        loop {
            match self.events.recv_deadline(deadline) {
                Ok(Event::Finished(finished, outcome)) if finished == id => return Told { id, outcome, progress },
                Ok(Event::Progress(of, step)) if of == id => progress.push(step),
                Ok(_) => {}
                Err(_) => panic!("no end in time; so far: {progress:#?}"),
            }
        }
    }

    /// Whether anybody was there to take it.
    fn hand_over(&self, id: CommandId, action: Action, entry: Entry) -> bool {
        let queue = if action.changes() == Scope::Nothing { &self.docker.queries } else { &self.docker.jobs };
        let command = Command { id, action, issued_at: None, expires_at: None, context: Context::default() };
        queue.send(Job { command: Arc::new(command), agent: AgentId::new("me").unwrap(), entry, cancelled: Stop::never() }).is_ok()
    }

    /// What the room says first of the engine.
    pub fn engine_state(&self) -> EngineState {
        let deadline = Instant::now() + SOON;
        while let Ok(event) = self.events.recv_deadline(deadline) {
            if let Event::Engine(state) = event {
                return state;
            }
        }
        panic!("the room does not say what it knows of the engine");
    }

    /// Asks the engine itself, past the room.
    pub fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        self.engine.call(method, path, body).unwrap_or_else(|words| panic!("{words}"))
    }

    /// What the stack has of a kind: `services`, `tasks`, `networks`, `volumes`, `secrets`, `configs`.
    pub fn list(&self, kind: &str) -> Vec<Value> {
        self.engine.of_stack(kind, self.stack.as_str()).unwrap_or_else(|words| panic!("{words}"))
    }

    /// A service of the stack as the engine has it.
    pub fn service(&self, name: &str) -> Value {
        self.call("GET", &format!("/services/{}", self.stack.scoped(name)), &Value::Null)
    }

    /// The ids of the tasks that run, sorted.
    pub fn running(&self) -> Vec<String> {
        let tasks = self.engine.running_tasks(self.stack.as_str()).unwrap_or_else(|words| panic!("{words}"));
        let mut ids: Vec<String> = tasks.iter().map(|task| task["ID"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    }

    /// How many objects of the stack there are: services, networks, secrets, configs.
    pub fn counts(&self) -> [usize; 4] {
        ["services", "networks", "secrets", "configs"].map(|kind| self.list(kind).len())
    }

    /// The numbers of the revisions that are kept.
    pub fn revisions(&self) -> Vec<u64> {
        self.journal.revisions(&self.stack).unwrap().iter().map(|revision| revision.number).collect()
    }

    /// Waits until the tasks of the stack look as wanted.
    pub fn settle(&self, wanted: impl Fn(&[Value]) -> bool) {
        until("the tasks settle", SOON, || {
            let tasks = self.list("tasks");
            if wanted(&tasks) { Ok(()) } else { Err(format!("{tasks:#?}")) }
        });
    }
}

impl Told {
    pub fn completed(self) -> Self {
        assert_eq!(self.outcome.verdict, Verdict::Completed, "{:#?}", self.outcome);
        self
    }

    /// With this code, and these words in its message.
    pub fn failed(self, code: Code, words: &str) -> Self {
        assert_eq!(self.outcome.verdict, Verdict::Failed(code), "{:#?}", self.outcome);
        assert!(self.outcome.message.contains(words), "{words:?} is not in {:#?}", self.outcome);
        self
    }

    pub fn detail(&self, key: &str) -> &Value {
        &self.outcome.details[key]
    }

    pub fn service(&self, name: &str) -> &Value {
        let services = self.detail("services").as_array().unwrap();
        services.iter().find(|service| service["name"] == name).unwrap_or_else(|| panic!("no {name} in {services:#?}"))
    }

    pub fn phases(&self) -> Vec<&'static str> {
        let mut phases: Vec<_> = self.progress.iter().map(|progress| progress.phase).collect();
        phases.dedup();
        phases
    }
}

impl Drop for Lanes<'_> {
    fn drop(&mut self) {
        // Also where a test failed in the middle.
        let id = CommandId(Uuid::new_v4());
        if !self.hand_over(id, Action::Remove(Remove { target: self.target(), volumes: true }), Entry::Fresh) {
            return;
        }
        let deadline = Instant::now() + SOON;
        while let Ok(event) = self.events.recv_deadline(deadline) {
            if matches!(event, Event::Finished(finished, _) if finished == id) {
                break;
            }
        }
    }
}

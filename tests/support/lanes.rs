//! The Docker room alone: its threads with a real journal over the stage's engine, without Kafka. Each has
//! a stack of its own, which is removed at the end.

use super::engine::Engine;
use super::gate::Gate;
use super::runner::Stage;
use super::until;
use axion_agent::docker::{Docker, EngineState, Event, Job, Settings, Swarmless, start};
use axion_agent::domain::{
    Action, AgentId, Code, Command, CommandId, Context, Deploy, Entry, Ledger, Outcome, Progress, ProjectId, Remove, ResolveImage, Scope,
    StackName, Target, Verdict,
};
use axion_agent::journal::{self, Journal};
use axion_agent::threads::{Exit, Published, Stop, StopSource, stop_pair};
use crossbeam_channel::{Receiver, Sender, bounded};
use serde_json::Value;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
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
    docker: RefCell<Docker>,
    events: Receiver<Event>,
    speak: Sender<Event>,
    exits: Sender<Exit>,
    settings: Settings,
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
    /// When it was certain that it failed, or all was well: it began to go back, or ended.
    pub certain_after: Duration,
}

/// A command that runs, while a test meddles.
pub struct Running<'l, 'a> {
    lanes: &'l Lanes<'a>,
    id: CommandId,
    action: Action,
    cancel: Option<StopSource>,
    started: Instant,
    progress: Vec<Progress>,
    certain_after: Option<Duration>,
}

impl<'a> Lanes<'a> {
    pub fn start(stage: &'a Stage) -> Self {
        Self::with(stage, Swarmless::Refused)
    }

    /// The same with a choice for an engine in no swarm.
    pub fn with(stage: &'a Stage, swarmless: Swarmless) -> Self {
        Self::on(stage.engine(), stage.directory(), swarmless)
    }

    /// On an engine of the test's own.
    pub fn on(engine: &'a Engine, directory: &Path, swarmless: Swarmless) -> Self {
        let (stack, folder) = Self::place(directory);
        Self::open(engine, stack, folder, Settings { swarmless, ..Settings::of(engine.socket().to_owned()) })
    }

    /// With a gate before the engine.
    pub fn behind_a_gate(engine: &'a Engine, directory: &Path) -> (Self, Gate) {
        let (stack, folder) = Self::place(directory);
        let gate = Gate::before(engine.socket(), &folder);
        (Self::open(engine, stack, folder, Settings::of(gate.socket().to_owned())), gate)
    }

    /// A name that nobody has, and a folder for it.
    fn place(directory: &Path) -> (StackName, PathBuf) {
        let stack = StackName::new(format!("axt{}", &Uuid::new_v4().simple().to_string()[..8])).unwrap();
        let folder = directory.join(stack.as_str());
        std::fs::create_dir_all(&folder).unwrap();
        (stack, folder)
    }

    fn open(engine: &'a Engine, stack: StackName, folder: PathBuf, settings: Settings) -> Self {
        let (exits, _) = bounded(16);
        let (journal, _, _) = journal::open(&folder, exits.clone()).unwrap();
        let (speak, events) = bounded(EVENTS);
        let settings = Settings { deploy_timeout: SOON, revisions: 2, ..settings };
        let docker = RefCell::new(begin(&settings, &journal, &speak, &exits));
        Self { docker, events, speak, exits, settings, journal, engine, folder, stack }
    }

    pub fn target(&self) -> Target {
        Target { project: ProjectId::new("p").unwrap(), stack: self.stack.clone() }
    }

    /// A deploy of this file with what holds where nobody says otherwise, but no registry is asked.
    pub fn deploy(&self, compose: String) -> Deploy {
        Deploy { resolve_image: ResolveImage::Never, ..Deploy::of(self.target(), compose) }
    }

    /// Runs a command to its end.
    pub fn run(&self, action: Action) -> Told {
        self.run_as(CommandId(Uuid::new_v4()), action, Entry::Fresh)
    }

    /// The same with an id that was there before, or entered as after a restart.
    pub fn run_as(&self, id: CommandId, action: Action, entry: Entry) -> Told {
        self.begin_as(id, action, entry).end()
    }

    /// Hands a command over and does not wait for its end.
    pub fn begin(&self, action: Action) -> Running<'_, 'a> {
        self.begin_as(CommandId(Uuid::new_v4()), action, Entry::Fresh)
    }

    fn begin_as(&self, id: CommandId, action: Action, entry: Entry) -> Running<'_, 'a> {
        let (cancel, cancelled) = stop_pair();
        let started = Instant::now();
        assert!(self.hand_over(id, action.clone(), entry, cancelled), "the lanes have ended");
        Running { lanes: self, id, action, cancel: Some(cancel), started, progress: Vec::new(), certain_after: None }
    }

    /// Whether anybody was there to take it.
    fn hand_over(&self, id: CommandId, action: Action, entry: Entry, cancelled: Stop) -> bool {
        let docker = self.docker.borrow();
        let queue = if action.changes() == Scope::Nothing { &docker.queries } else { &docker.jobs };
        let command = Command { id, action, issued_at: None, expires_at: None, signed_by: None, context: Context::default() };
        queue.send(Job { command: Arc::new(command), agent: AgentId::new("me").unwrap(), entry, cancelled }).is_ok()
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

fn begin(settings: &Settings, journal: &Journal, events: &Sender<Event>, exits: &Sender<Exit>) -> Docker {
    let ledger: Arc<dyn Ledger> = Arc::new(journal.clone());
    start(Published::new(settings.clone()), ledger, events.clone(), exits.clone()).unwrap()
}

impl Running<'_, '_> {
    /// Waits for its end.
    pub fn end(mut self) -> Told {
        let outcome = self.follow("its end", |_, event| match event {
            Event::Finished(_, outcome) => Some(outcome.clone()),
            _ => None,
        });
        let certain_after = self.certain_after.unwrap_or_else(|| self.started.elapsed());
        Told { id: self.id, outcome, progress: std::mem::take(&mut self.progress), certain_after }
    }

    /// Waits until it says something of this phase.
    pub fn until(&mut self, phase: &str) {
        self.follow(phase, |id, event| matches!(event, Event::Progress(of, step) if *of == id && step.phase == phase).then_some(()));
    }

    /// What it has said last of this phase.
    pub fn told(&self, phase: &str) -> &Progress {
        self.progress.iter().rev().find(|step| step.phase == phase).expect("it was waited for")
    }

    /// Somebody cancels it.
    pub fn cancel(&mut self) {
        drop(self.cancel.take());
    }

    /// The agent ends in the middle and starts again: once what holds the command up, if anything does, is released.
    pub fn restart(&mut self, release: impl FnOnce()) {
        let docker = begin(&self.lanes.settings, &self.lanes.journal, &self.lanes.speak, &self.lanes.exits);
        // Its lanes go to their next checkpoint.
        drop(self.lanes.docker.replace(docker));
        release();
        self.follow("its checkpoint", |id, event| matches!(event, Event::Suspended(of) if *of == id).then_some(()));
        let (cancel, cancelled) = stop_pair();
        assert!(self.lanes.hand_over(self.id, self.action.clone(), Entry::Resumed, cancelled), "the lanes have ended");
        self.cancel = Some(cancel);
    }

    fn follow<T>(&mut self, what: &str, wanted: impl Fn(CommandId, &Event) -> Option<T>) -> T {
        let deadline = Instant::now() + SOON + SOON;
        loop {
            let Ok(event) = self.lanes.events.recv_deadline(deadline) else {
                panic!("not in time: {what}; so far: {:#?}", self.progress);
            };
            match &event {
                Event::Progress(of, step) if *of == self.id => {
                    if step.phase == "rollback" {
                        self.certain_after.get_or_insert_with(|| self.started.elapsed());
                    }
                    self.progress.push(step.clone());
                }
                Event::Finished(of, outcome) if *of == self.id && what != "its end" => panic!("{what}, but it ended: {outcome:#?}"),
                Event::Finished(of, _) | Event::Suspended(of) if *of != self.id => continue,
                _ => {}
            }
            if let Some(found) = wanted(self.id, &event) {
                return found;
            }
        }
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
        if !self.hand_over(id, Action::Remove(Remove { target: self.target(), volumes: true }), Entry::Fresh, Stop::never()) {
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

//! The Docker room against a real engine: `AXION_TEST_ENGINE` is the socket of a private manager that
//! holds the image `axion-test/box:1` (BusyBox), as `packaging/dev/engine.sh` gives one. Without it each test is skipped by name.
//!
//! Every test makes a stack of its own, by the engine's API alone, and removes it.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says what it skips")]

use axion_agent::docker::{Docker, EngineState, Entry, Event, Job, Settings, SwarmRole, start};
use axion_agent::domain::{
    Action, AgentId, Code, Command, CommandId, Context, GetStatus, Ledger, Outcome, ProjectId, Remove, Scale, StackName, Target, Verdict,
};
use axion_agent::journal::{self, Journal};
use crossbeam_channel::{Receiver, bounded};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The longest wait for anything here: the engine starts and stops some containers.
const SOON: Duration = Duration::from_secs(60);
const IMAGE: &str = "axion-test/box:1";

fn engine(test: &str) -> Option<PathBuf> {
    let socket = std::env::var_os("AXION_TEST_ENGINE").map(PathBuf::from);
    if socket.is_none() {
        println!("skipped: {test} needs a real engine, and AXION_TEST_ENGINE is not set");
    }
    socket
}

/// The room's threads with a real journal, and a stack name of their own.
struct Bed {
    docker: Docker,
    events: Receiver<Event>,
    journal: Journal,
    socket: PathBuf,
    folder: PathBuf,
    stack: StackName,
}

impl Bed {
    fn new(socket: PathBuf) -> Self {
        let folder = std::env::temp_dir().join(format!("axion-docker-{}", Uuid::new_v4().simple()));
        let (exits, _) = bounded(16);
        let (journal, _, _) = journal::open(&folder, exits.clone()).unwrap();
        let (events, inbox) = bounded(64);
        let ledger: Arc<dyn Ledger> = Arc::new(journal.clone());
        let settings = Settings { socket: socket.clone(), lanes: 2, deploy_timeout: SOON, revisions: 5, registries: BTreeMap::new() };
        let docker = start(settings, ledger, events, exits).unwrap();
        let stack = StackName::new(format!("axt{}", &Uuid::new_v4().simple().to_string()[..8])).unwrap();
        Self { docker, events: inbox, journal, socket, folder, stack }
    }

    fn target(&self) -> Target {
        Target { project: ProjectId::new("p").unwrap(), stack: self.stack.clone() }
    }

    /// Runs a command to its end.
    fn run(&self, action: Action) -> Outcome {
        let queue = if action.changes().is_none() { &self.docker.queries } else { &self.docker.jobs };
        let id = CommandId(Uuid::new_v4());
        let command = Command { id, action, issued_at: None, expires_at: None, context: Context::default() };
        queue.send(Job { command: Arc::new(command), agent: AgentId::new("me").unwrap(), entry: Entry::Fresh }).unwrap();
        self.wait(|event| match event {
            Event::Finished(finished, outcome) if *finished == id => Some(outcome.clone()),
            _ => None,
        })
    }

    fn wait<T>(&self, wanted: impl Fn(&Event) -> Option<T>) -> T {
        let deadline = Instant::now() + SOON;
        let mut seen = Vec::new();
        while let Ok(event) = self.events.recv_deadline(deadline) {
            if let Some(found) = wanted(&event) {
                return found;
            }
            seen.push(event);
        }
        panic!("not within {SOON:?}; seen: {seen:#?}");
    }

    fn status(&self) -> Value {
        let outcome = self.run(Action::GetStatus(GetStatus { target: Some(self.target()) }));
        assert_eq!(outcome.verdict, Verdict::Completed, "{outcome:?}");
        outcome.details["stacks"][0]["services"].clone()
    }

    fn scale(&self, service: &str, replicas: u64) -> Outcome {
        let services = [(service.to_owned(), replicas)].into();
        self.run(Action::Scale(Scale { target: self.target(), services, timeout_seconds: None }))
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        call(&self.socket, method, path, body).unwrap_or_else(|words| panic!("{method} {path}: {words}"))
    }

    fn make_network(&self) {
        let labels = json!({"com.docker.stack.namespace": self.stack.as_str()});
        let network = json!({"Name": self.stack.scoped("default"), "Driver": "overlay", "Labels": labels});
        self.call("POST", "/networks/create", &network);
    }

    fn make_service(&self, name: &str, mode: &Value, command: &[&str]) {
        let labels = json!({"com.docker.stack.namespace": self.stack.as_str()});
        let volume = json!({"Type": "volume", "Source": self.stack.scoped("data"), "Target": "/data", "VolumeOptions": {"Labels": labels}});
        let container = json!({"Image": IMAGE, "Args": command, "Init": true, "StopGracePeriod": 1_000_000_000_u64, "Mounts": [volume], "Labels": labels});
        let restart = json!({"Condition": if mode["ReplicatedJob"].is_object() { "none" } else { "any" }});
        let task = json!({"ContainerSpec": container, "Networks": [{"Target": self.stack.scoped("default"), "Aliases": [name]}], "RestartPolicy": restart});
        // The kernel of the test machine may have no IPVS: no virtual addresses.
        let endpoint = json!({"Mode": "dnsrr"});
        let spec = json!({"Name": self.stack.scoped(name), "Labels": labels, "TaskTemplate": task, "Mode": mode, "EndpointSpec": endpoint});
        self.call("POST", "/services/create", &spec);
    }

    /// Waits until the engine's own list looks as wanted.
    fn settle(&self, path: &str, wanted: impl Fn(&[Value]) -> bool) {
        let deadline = Instant::now() + SOON;
        let (_never, pause) = bounded::<()>(0);
        loop {
            let seen = self.call("GET", path, &Value::Null);
            if wanted(seen.as_array().unwrap()) {
                return;
            }
            assert!(Instant::now() < deadline, "not within {SOON:?}: {path} says {seen:#}");
            let _elapsed = pause.recv_timeout(Duration::from_millis(100));
        }
    }

    fn of_stack(&self, path: &str) -> String {
        format!("{path}?filters=%7B%22label%22%3A%5B%22com.docker.stack.namespace%3D{}%22%5D%7D", self.stack)
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // A test that failed in the middle leaves no service behind.
        for name in ["web", "everywhere", "once"] {
            let _gone = call(&self.socket, "DELETE", &format!("/services/{}", self.stack.scoped(name)), &Value::Null);
        }
        let _gone = std::fs::remove_dir_all(&self.folder);
    }
}

/// One request over a connection of its own.
fn call(socket: &Path, method: &str, path: &str, body: &Value) -> Result<Value, String> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let head = "Host: engine\r\nContent-Type: application/json\r\nConnection: close";
    // HTTP/1.0: the answer ends with the connection and is not chunked. Without a version: the engine's newest.
    write!(stream, "{method} {path} HTTP/1.0\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let good = head.split(' ').nth(1).is_some_and(|status| status.starts_with('2'));
    if good { Ok(serde_json::from_str(body).unwrap_or_default()) } else { Err(body.to_owned()) }
}

#[test]
fn a_stack_is_scaled_without_touching_its_tasks_then_removed_to_the_last_network() {
    let Some(socket) = engine("a_stack_is_scaled_without_touching_its_tasks_then_removed_to_the_last_network") else { return };
    let bed = Bed::new(socket);
    let up = bed.wait(|event| match event {
        Event::Engine(state) => Some(state.clone()),
        _ => None,
    });
    assert!(matches!(up, EngineState::Up { swarm: SwarmRole::Manager, .. }), "{up:?}");
    bed.make_network();
    bed.make_service("web", &json!({"Replicated": {"Replicas": 1}}), &["sleep", "1000"]);
    bed.make_service("once", &json!({"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}}), &["true"]);
    bed.settle(&bed.of_stack("/tasks"), |tasks| {
        let states: BTreeSet<&str> = tasks.iter().filter_map(|task| task["Status"]["State"].as_str()).collect();
        states == BTreeSet::from(["complete", "running"])
    });

    let service = format!("/services/{}", bed.stack.scoped("web"));
    let before = bed.call("GET", &service, &Value::Null)["Spec"].clone();
    let first: Vec<Value> = running(&bed);
    let outcome = bed.scale("web", 3);
    assert_eq!(outcome.verdict, Verdict::Completed, "{outcome:?}");
    let mut after = bed.call("GET", &service, &Value::Null)["Spec"].clone();
    assert_eq!(after["Mode"], json!({"Replicated": {"Replicas": 3}}));
    after["Mode"] = before["Mode"].clone();
    assert_eq!(after, before);
    let second = running(&bed);
    assert_eq!(second.len(), 3);
    assert!(first.iter().all(|task| second.contains(task)), "the task that ran goes on: {first:?} {second:?}");
    let told = bed.status();
    assert_eq!(told[1]["name"], "web");
    assert_eq!(told[1]["replicas"], json!({"running": 3, "desired": 3}));
    assert_eq!(bed.scale("once", 2).verdict, Verdict::Failed(Code::NOT_SCALABLE));
    assert_eq!(bed.scale("web", 0).verdict, Verdict::Completed);
    assert_eq!(running(&bed).len(), 0);

    let outcome = bed.run(Action::Remove(Remove { target: bed.target(), volumes: true }));
    assert_eq!(outcome.verdict, Verdict::Completed, "{outcome:?}");
    for path in ["/services", "/networks"] {
        assert_eq!(bed.call("GET", &bed.of_stack(path), &Value::Null), json!([]), "{path}");
    }
    assert_eq!(bed.call("GET", &bed.of_stack("/volumes"), &Value::Null)["Volumes"].as_array().map_or(0, Vec::len), 0);
    assert_eq!(bed.journal.owner(&bed.stack), Ok(None));
}

fn running(bed: &Bed) -> Vec<Value> {
    let tasks = bed.call("GET", &bed.of_stack("/tasks"), &Value::Null);
    let runs = |task: &&Value| task["Status"]["State"] == "running" && task["DesiredState"] == "running";
    tasks.as_array().unwrap().iter().filter(runs).map(|task| task["ID"].clone()).collect()
}

#[test]
fn what_cannot_run_is_told_with_the_tasks_errors_when_the_time_is_over() {
    let Some(socket) = engine("what_cannot_run_is_told_with_the_tasks_errors_when_the_time_is_over") else { return };
    let bed = Bed::new(socket);
    bed.make_network();
    bed.make_service("web", &json!({"Replicated": {"Replicas": 0}}), &["sh", "-c", "exit 3"]);
    let services = [("web".to_owned(), 1)].into();
    let outcome = bed.run(Action::Scale(Scale { target: bed.target(), services, timeout_seconds: Some(4) }));
    assert_eq!(outcome.verdict, Verdict::Failed(Code::TIMED_OUT), "{outcome:?}");
    let errors = outcome.details["services"][0]["errors"].to_string();
    assert!(errors.contains("non-zero exit (3)"), "{errors}");
    let removed = bed.run(Action::Remove(Remove { target: bed.target(), volumes: true }));
    assert_eq!(removed.verdict, Verdict::Completed, "{removed:?}");
}

#[test]
fn a_stack_that_is_not_there_is_said_not_to_be() {
    let Some(socket) = engine("a_stack_that_is_not_there_is_said_not_to_be") else { return };
    let bed = Bed::new(socket);
    assert_eq!(bed.scale("web", 1).verdict, Verdict::Failed(Code::STACK_NOT_FOUND));
    let removed = bed.run(Action::Remove(Remove { target: bed.target(), volumes: false }));
    assert_eq!(removed.verdict, Verdict::Failed(Code::STACK_NOT_FOUND));
    let all = bed.run(Action::GetStatus(GetStatus { target: None }));
    assert_eq!(all.verdict, Verdict::Completed, "{all:?}");
}

//! Deploys against a fake swarm that loses answers and moves versions: what is written, and how often.

use crate::docker::fake_engine::{Asked, FakeEngine, Reply};
use crate::docker::fake_ledger::FakeLedger;
use crate::docker::{Docker, Entry, Event, Job, Settings, start};
use crate::domain::{
    Action, AgentId, Code, Command, CommandId, Context, Deploy, Ledger, OnFailure, Outcome, ProjectId, ResolveImage, Sensitive, StackName,
    Step, StepOutcome, Target, Verdict,
};
use crossbeam_channel::{Receiver, bounded};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The longest wait for a command here.
const SOON: Duration = Duration::from_secs(20);
/// A deploy of one service that has settled as soon as it runs.
const FILE: &str = "services: {web: {image: 'box:2', deploy: {update_config: {monitor: 1ms}}}}";

/// What goes wrong with a call, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It is carried out, and the answer is lost.
    LostAnswer,
    /// The manager itself wrote to the service just before.
    VersionMoved,
    /// Somebody else changed the spec just before.
    ForeignEdit,
}

/// A manager that holds networks and services, and one task per service that always runs.
#[derive(Default)]
struct Swarm {
    networks: BTreeMap<String, Value>,
    services: BTreeMap<String, Value>,
    /// The next call that begins so goes wrong.
    fault: Option<(&'static str, Fault)>,
    counter: u64,
}

impl Swarm {
    fn answer(&mut self, asked: &Asked) -> Option<Reply> {
        let fault = self.fault.filter(|(line, _)| asked.line.starts_with(line)).map(|(_, fault)| fault);
        if fault.is_some() {
            self.fault = None;
        }
        match fault {
            Some(Fault::VersionMoved) => self.write(|_| {}),
            Some(Fault::ForeignEdit) => self.write(|spec| spec["TaskTemplate"]["ContainerSpec"]["Env"] = json!(["A=b"])),
            _ => {}
        }
        let reply = self.carry_out(asked);
        if fault == Some(Fault::LostAnswer) { Some(Reply::Hangup) } else { reply }
    }

    fn write(&mut self, change: impl Fn(&mut Value)) {
        for service in self.services.values_mut() {
            self.counter += 1;
            service["Version"]["Index"] = json!(self.counter);
            change(&mut service["Spec"]);
        }
    }

    fn carry_out(&mut self, asked: &Asked) -> Option<Reply> {
        let (path, query) = asked.line.split_once('?').unwrap_or((&asked.line, ""));
        let words: Vec<&str> = path.split([' ', '/']).filter(|word| !word.is_empty()).collect();
        self.counter += 1;
        let made = json!({"ID": format!("id{}", self.counter)});
        match words.as_slice() {
            ["GET", "networks"] => Some(Reply::Json(200, self.networks.values().cloned().collect())),
            ["GET", "networks", name] => self.networks.get(*name).map(|network| Reply::Json(200, network.clone())),
            ["POST", "networks", "create"] => {
                let name = asked.body["Name"].as_str().unwrap().to_owned();
                let network = json!({"Id": made["ID"], "Name": name, "Scope": "swarm", "Labels": asked.body["Labels"]});
                self.networks.insert(name, network);
                Some(Reply::Json(201, made))
            }
            ["DELETE", "networks", id] => {
                self.networks.retain(|_, network| network["Id"] != *id);
                Some(Reply::Json(204, Value::Null))
            }
            ["GET", "services"] => Some(Reply::Json(200, self.services.values().cloned().collect())),
            ["GET", "services", name] => self.find(name).map(|service| Reply::Json(200, service.clone())),
            ["POST", "services", "create"] => {
                let name = asked.body["Name"].as_str().unwrap().to_owned();
                if self.services.contains_key(&name) {
                    return Some(Reply::Json(409, json!({"message": "name conflicts with an existing object"})));
                }
                let service = json!({"ID": made["ID"], "Version": {"Index": self.counter}, "Spec": self.stored(&asked.body)});
                self.services.insert(name, service);
                Some(Reply::Json(201, made))
            }
            ["POST", "services", id, "update"] => {
                let spec = self.stored(&asked.body);
                let service = self.services.values_mut().find(|service| service["ID"] == *id)?;
                if !query.contains(&format!("version={}", service["Version"]["Index"])) {
                    let message = "rpc error: code = Unknown desc = update out of sequence";
                    return Some(Reply::Json(500, json!({"message": message})));
                }
                service["PreviousSpec"] = service["Spec"].take();
                service["Spec"] = spec;
                service["Version"]["Index"] = json!(self.counter);
                Some(Reply::Json(200, json!({"Warnings": null})))
            }
            ["DELETE", "services", id] => {
                self.services.retain(|_, service| service["ID"] != *id);
                Some(Reply::Json(200, Value::Null))
            }
            ["GET", "tasks"] => Some(Reply::Json(200, self.services.values().map(task).collect())),
            _ => None,
        }
    }

    /// As a manager keeps a spec: networks by id.
    fn stored(&self, spec: &Value) -> Value {
        let mut spec = spec.clone();
        for attached in spec["TaskTemplate"]["Networks"].as_array_mut().into_iter().flatten() {
            let id = self.networks.get(attached["Target"].as_str().unwrap()).map(|network| network["Id"].clone());
            attached["Target"] = id.unwrap_or_else(|| attached["Target"].clone());
        }
        spec
    }

    fn find(&self, name: &str) -> Option<&Value> {
        self.services.values().find(|service| service["ID"] == name || service["Spec"]["Name"] == name)
    }
}

fn task(service: &Value) -> Value {
    let id = format!("task-{}-{}", service["ID"].as_str().unwrap(), service["Version"]["Index"]);
    json!({"ID": id, "Version": {"Index": 1}, "ServiceID": service["ID"], "Slot": 1, "NodeID": "n", "DesiredState": "running", "Status": {"State": "running"}})
}

fn request(file: &str) -> Deploy {
    Deploy {
        target: Target { project: ProjectId::new("p").unwrap(), stack: StackName::new("st").unwrap() },
        compose: Sensitive::new(file.to_owned()),
        env: Sensitive::default(),
        files: Sensitive::default(),
        prune: true,
        resolve_image: ResolveImage::Never,
        registry_auth: BTreeMap::new(),
        on_failure: OnFailure::Rollback,
        timeout_seconds: None,
        dry_run: false,
        adopt: false,
    }
}

/// The room's threads on a fake swarm.
struct Bed {
    swarm: Arc<Mutex<Swarm>>,
    engine: FakeEngine,
    ledger: Arc<FakeLedger>,
    docker: Docker,
    events: Receiver<Event>,
}

impl Bed {
    fn new() -> Self {
        let swarm = Arc::new(Mutex::new(Swarm::default()));
        let script = Arc::clone(&swarm);
        let engine = FakeEngine::start(move |asked| script.lock().unwrap().answer(asked));
        let ledger = Arc::new(FakeLedger::default());
        let (events, inbox) = bounded(64);
        let (exits, _) = bounded(8);
        let settings =
            Settings { socket: engine.socket().to_owned(), lanes: 1, deploy_timeout: SOON, revisions: 5, registries: BTreeMap::new() };
        let docker = start(settings, Arc::<FakeLedger>::clone(&ledger), events, exits).unwrap();
        Self { swarm, engine, ledger, docker, events: inbox }
    }

    /// What goes wrong next with a call that begins with `line`.
    fn fault(&self, line: &'static str, fault: Fault) {
        self.swarm.lock().unwrap().fault = Some((line, fault));
    }

    fn deploy(&self, number: u128, file: &str, entry: Entry) -> Outcome {
        self.run(number, request(file), entry)
    }

    fn run(&self, number: u128, deploy: Deploy, entry: Entry) -> Outcome {
        let (id, action) = (CommandId(Uuid::from_u128(number)), Action::Deploy(deploy));
        let command = Command { id, action, issued_at: None, expires_at: None, context: Context::default() };
        self.docker.jobs.send(Job { command: Arc::new(command), agent: AgentId::new("me").unwrap(), entry }).unwrap();
        let deadline = Instant::now() + SOON + SOON;
        loop {
            match self.events.recv_deadline(deadline) {
                Ok(Event::Finished(_, outcome)) => return outcome,
                Ok(_) => {}
                Err(_) => panic!("no end in time; the engine was asked: {:#?}", self.engine.calls()),
            }
        }
    }

    fn completed(&self, number: u128, file: &str, entry: Entry) -> Outcome {
        let outcome = self.deploy(number, file, entry);
        assert_eq!(outcome.verdict, Verdict::Completed, "{outcome:#?}");
        outcome
    }

    /// The calls so far that change something.
    fn changes(&self) -> Vec<String> {
        let calls = self.engine.calls().into_iter().filter(|call| !call.starts_with("GET "));
        calls.map(|call| call.split('?').next().unwrap_or_default().to_owned()).collect()
    }

    fn env(&self) -> Value {
        self.swarm.lock().unwrap().find("st_web").unwrap()["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"].clone()
    }
}

const CREATIONS: [&str; 2] = ["POST /networks/create", "POST /services/create"];

fn with_env(value: &str) -> String {
    FILE.replace("'box:2',", &format!("'box:2', environment: [A={value}],"))
}

#[test]
fn a_lost_answer_is_looked_up_and_not_asked_for_again() {
    for line in CREATIONS {
        let bed = Bed::new();
        bed.fault(line, Fault::LostAnswer);
        let outcome = bed.completed(1, FILE, Entry::Fresh);
        assert_eq!(bed.changes(), CREATIONS, "{line}");
        assert_eq!(outcome.details["services"][0]["replicas"], json!({"running": 1, "desired": 1}));
    }
    let bed = Bed::new();
    bed.completed(1, FILE, Entry::Fresh);
    bed.fault("POST /services/id", Fault::LostAnswer);
    bed.completed(2, &with_env("1"), Entry::Fresh);
    assert_eq!(bed.changes().len(), CREATIONS.len() + 1, "{:?}", bed.changes());
}

#[test]
fn a_version_that_the_manager_moved_on_is_no_conflict() {
    let bed = Bed::new();
    bed.completed(1, FILE, Entry::Fresh);
    bed.fault("POST /services/id", Fault::VersionMoved);
    bed.completed(2, &with_env("1"), Entry::Fresh);
    assert_eq!(bed.env(), json!(["A=1"]));
}

#[test]
fn somebody_elses_edit_is_a_conflict_and_stays() {
    let bed = Bed::new();
    bed.completed(1, FILE, Entry::Fresh);
    bed.fault("POST /services/id", Fault::ForeignEdit);
    let outcome = bed.deploy(2, &with_env("1"), Entry::Fresh);
    assert_eq!(outcome.verdict, Verdict::Failed(Code::CONFLICT), "{outcome:#?}");
    assert_eq!((&outcome.details["changed"], &outcome.details["rolled_back"]), (&json!(false), &json!(false)));
    assert_eq!(bed.env(), json!(["A=b"]));
}

#[test]
fn a_deploy_that_was_cut_off_anywhere_goes_on_without_a_second_write() {
    let whole = Bed::new();
    whole.completed(1, FILE, Entry::Fresh);
    let steps = whole.ledger.steps(CommandId(Uuid::from_u128(1))).unwrap();
    assert_eq!(steps.len(), CREATIONS.len());
    // The power goes after each call, before its outcome is on disk.
    for done in 0..=steps.len() {
        let bed = Bed::new();
        for (step, _) in &steps[..done] {
            bed.ledger.intend(CommandId(Uuid::from_u128(1)), step).unwrap();
        }
        let asked = whole.engine.asked().into_iter().filter(|asked| asked.line.starts_with("POST")).take(done);
        for call in asked {
            bed.swarm.lock().unwrap().answer(&call);
        }
        let outcome = bed.completed(1, FILE, Entry::Resumed);
        assert_eq!(bed.changes(), CREATIONS[done..], "after {done}");
        assert_eq!(outcome.details["changed"], true);
    }
}

#[test]
fn a_deploy_that_had_failed_before_the_restart_only_goes_back() {
    let bed = Bed::new();
    bed.completed(1, FILE, Entry::Fresh);
    bed.completed(2, &with_env("bad"), Entry::Fresh);
    // As if the second one had failed instead, and the agent had ended on the way back.
    bed.ledger.forget_revision(2);
    let (id, step) = (CommandId(Uuid::from_u128(2)), Step { operation: "stack.deploy".into(), object: "st".into() });
    bed.ledger.intend(id, &step).unwrap();
    bed.ledger.settle(id, &step, &StepOutcome::Refused("task.crash_loop: service st_web: 5 tasks in a row failed".into())).unwrap();
    let outcome = bed.deploy(2, &with_env("bad"), Entry::Resumed);
    assert_eq!(outcome.verdict, Verdict::Failed(Code::CRASH_LOOP), "{outcome:#?}");
    assert_eq!(outcome.details["rolled_back"], true, "{outcome:#?}");
    assert!(outcome.message.contains("5 tasks in a row"));
    assert_eq!(bed.env(), Value::Null);
}

#[test]
fn a_stack_of_another_agent_is_taken_over_only_when_asked() {
    let bed = Bed::new();
    bed.completed(1, FILE, Entry::Fresh);
    bed.swarm.lock().unwrap().write(|spec| spec["Labels"]["io.axion.owner"] = json!("you"));
    let changes = bed.changes();
    let outcome = bed.deploy(2, FILE, Entry::Fresh);
    assert_eq!(outcome.verdict, Verdict::Failed(Code::OWNED_ELSEWHERE), "{outcome:#?}");
    assert_eq!(bed.changes(), changes);
    let outcome = bed.run(3, Deploy { adopt: true, ..request(FILE) }, Entry::Fresh);
    assert_eq!(outcome.verdict, Verdict::Completed, "{outcome:#?}");
    assert_eq!(outcome.details["services"][0]["reason"], "it is taken over from agent you");
    assert_eq!(bed.swarm.lock().unwrap().find("st_web").unwrap()["Spec"]["Labels"]["io.axion.owner"], "me");
}

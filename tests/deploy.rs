//! Deploys against a real engine: `AXION_TEST_ENGINE` is the socket of a private manager of one node that
//! holds the image `axion-test/box:1` (BusyBox), as `packaging/dev/engine.sh` gives one. Without it each test is skipped by name.
//!
//! `AXION_TEST_REGISTRY` is a registry that this engine reaches, with the login tester/secret and `box:1`.
//!
//! Every test makes a stack of its own through the Docker room's face, with a real journal, and removes it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests, though clippy cannot see helpers as such")]

use axion_agent::docker::{Docker, Entry, Event, Job, Settings, start};
use axion_agent::domain::{
    Action, AgentId, Code, Command, CommandId, Context, Deploy, Ledger, OnFailure, Outcome, Progress, ProjectId, RegistryCredential,
    Remove, ResolveImage, Sensitive, StackName, Target, Verdict,
};
use axion_agent::journal::{self, Journal};
use crossbeam_channel::{Receiver, bounded};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The longest wait for anything here: the engine starts, fails and stops some containers, with Swarm's
/// five seconds between two tries.
const SOON: Duration = Duration::from_secs(120);
/// Settings of a service that ends at once when told to.
const QUICK: &str = "image: 'axion-test/box:1', init: true, stop_grace_period: 1s";

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

/// How a command ended, and what it said on the way.
struct Told {
    id: CommandId,
    outcome: Outcome,
    progress: Vec<Progress>,
}

impl Bed {
    fn new(socket: PathBuf) -> Self {
        let folder = std::env::temp_dir().join(format!("axion-deploy-{}", Uuid::new_v4().simple()));
        let (exits, _) = bounded(16);
        let (journal, _, _) = journal::open(&folder, exits.clone()).unwrap();
        let (events, inbox) = bounded(64);
        let ledger: Arc<dyn Ledger> = Arc::new(journal.clone());
        let settings = Settings { socket: socket.clone(), lanes: 2, deploy_timeout: SOON, revisions: 2, registries: BTreeMap::new() };
        let docker = start(settings, ledger, events, exits).unwrap();
        let stack = StackName::new(format!("axd{}", &Uuid::new_v4().simple().to_string()[..8])).unwrap();
        Self { docker, events: inbox, journal, socket, folder, stack }
    }

    fn target(&self) -> Target {
        Target { project: ProjectId::new("p").unwrap(), stack: self.stack.clone() }
    }

    /// A deploy of services with `endpoint_mode: dnsrr`, for kernels without IPVS.
    fn request(&self, services: &[(&str, &str)], rest: &str) -> Deploy {
        let services: Vec<String> = services.iter().map(|(name, keys)| format!("  {name}: {{{keys}}}\n")).collect();
        Deploy {
            target: self.target(),
            compose: Sensitive::new(format!("services:\n{}{rest}", services.concat())),
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

    fn deploy(&self, services: &[(&str, &str)]) -> Told {
        self.run(Action::Deploy(self.request(services, "")))
    }

    fn run(&self, action: Action) -> Told {
        self.run_as(CommandId(Uuid::new_v4()), action, Entry::Fresh)
    }

    /// Runs a command to its end.
    fn run_as(&self, id: CommandId, action: Action, entry: Entry) -> Told {
        let queue = if action.changes().is_none() { &self.docker.queries } else { &self.docker.jobs };
        let command = Command { id, action, issued_at: None, expires_at: None, context: Context::default() };
        queue.send(Job { command: Arc::new(command), agent: AgentId::new("me").unwrap(), entry }).unwrap();
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

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        call(&self.socket, method, path, body).unwrap_or_else(|words| panic!("{method} {path}: {words}"))
    }

    fn list(&self, path: &str) -> Vec<Value> {
        let path = format!("{path}?filters=%7B%22label%22%3A%5B%22com.docker.stack.namespace%3D{}%22%5D%7D", self.stack);
        self.call("GET", &path, &Value::Null).as_array().unwrap().clone()
    }

    fn service(&self, name: &str) -> Value {
        self.call("GET", &format!("/services/{}", self.stack.scoped(name)), &Value::Null)
    }

    /// The ids of the tasks that run, sorted.
    fn running(&self) -> Vec<String> {
        let tasks =
            self.list("/tasks").into_iter().filter(|task| task["Status"]["State"] == "running" && task["DesiredState"] == "running");
        let mut ids: Vec<String> = tasks.map(|task| task["ID"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    }

    /// How many objects of the stack there are: services, networks, secrets, configs.
    fn counts(&self) -> [usize; 4] {
        ["/services", "/networks", "/secrets", "/configs"].map(|path| self.list(path).len())
    }

    fn revisions(&self) -> Vec<u64> {
        self.journal.revisions(&self.stack).unwrap().iter().map(|revision| revision.number).collect()
    }
}

impl Told {
    fn completed(self) -> Self {
        assert_eq!(self.outcome.verdict, Verdict::Completed, "{:#?}", self.outcome);
        self
    }

    fn failed(self, code: Code, words: &str) -> Self {
        assert_eq!(self.outcome.verdict, Verdict::Failed(code), "{:#?}", self.outcome);
        assert!(self.outcome.message.contains(words), "{words:?} is not in {:#?}", self.outcome);
        self
    }

    fn detail(&self, key: &str) -> &Value {
        &self.outcome.details[key]
    }

    fn service(&self, name: &str) -> &Value {
        let services = self.detail("services").as_array().unwrap();
        services.iter().find(|service| service["name"] == name).unwrap_or_else(|| panic!("no {name} in {services:#?}"))
    }

    fn phases(&self) -> Vec<&'static str> {
        let mut phases: Vec<_> = self.progress.iter().map(|progress| progress.phase).collect();
        phases.dedup();
        phases
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // Also where a test failed in the middle.
        let queue = &self.docker.jobs;
        let id = CommandId(Uuid::new_v4());
        let action = Action::Remove(Remove { target: self.target(), volumes: true });
        let command = Command { id, action, issued_at: None, expires_at: None, context: Context::default() };
        let _gone = queue.send(Job { command: Arc::new(command), agent: AgentId::new("me").unwrap(), entry: Entry::Fresh });
        let deadline = Instant::now() + SOON;
        while let Ok(event) = self.events.recv_deadline(deadline) {
            if matches!(event, Event::Finished(finished, _) if finished == id) {
                break;
            }
        }
        let _gone = std::fs::remove_dir_all(&self.folder);
    }
}

/// One request over a connection of its own.
fn call(socket: &Path, method: &str, path: &str, body: &Value) -> Result<Value, String> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let head =
        format!("{method} /v1.41{path} HTTP/1.0\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|error| error.to_string())?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap();
    if !status.starts_with('2') {
        return Err(format!("{status} {body}"));
    }
    Ok(serde_json::from_str(body).unwrap_or(Value::Null))
}

fn registry(test: &str) -> Option<String> {
    let registry = std::env::var("AXION_TEST_REGISTRY").ok();
    if registry.is_none() {
        println!("skipped: {test} needs a registry, and AXION_TEST_REGISTRY is not set");
    }
    registry
}

/// A service that runs `command` and is quick to stop.
fn quick(command: &str, more: &str) -> String {
    format!("{QUICK}, command: [{command}]{more}")
}

fn sleeper(more: &str) -> String {
    quick("sleep, '1000'", &format!(", deploy: {{endpoint_mode: dnsrr{more}}}"))
}

#[test]
fn a_stack_comes_is_left_alone_changes_and_goes() {
    let Some(socket) = engine("a_stack_comes_is_left_alone_changes_and_goes") else { return };
    let bed = Bed::new(socket);
    let (web, everywhere) = (sleeper(", replicas: 2"), sleeper(", mode: global"));
    let job = quick("'true'", ", deploy: {mode: replicated-job, restart_policy: {condition: none}}");
    let first = bed.deploy(&[("web", &web), ("everywhere", &everywhere), ("once", &job)]).completed();
    assert_eq!(first.service("web")["action"], "create");
    assert_eq!(first.service("web")["replicas"], json!({"running": 2, "desired": 2}));
    assert_eq!(first.phases()[..2], ["plan", "apply"]);
    assert_eq!(first.detail("revision"), 1);
    let marks = bed.service("web")["Spec"]["Labels"].clone();
    assert_eq!((&marks["io.axion.command"], &marks["io.axion.owner"]), (&json!(first.id.to_string()), &json!("me")));

    let (tasks, job_version) = (bed.running(), bed.service("once")["Version"].clone());
    assert_eq!(tasks.len(), 3);
    let started = Instant::now();
    let again = bed.deploy(&[("web", &web), ("everywhere", &everywhere), ("once", &job)]).completed();
    assert!(started.elapsed() < Duration::from_secs(2), "nothing to wait for took {:?}", started.elapsed());
    assert_eq!(again.service("web")["action"], "unchanged");
    assert_eq!((again.detail("changed"), again.detail("revision")), (&json!(false), &json!(1)));
    assert_eq!((bed.running(), &bed.service("once")["Version"]), (tasks.clone(), &job_version), "neither a task nor the job ran again");
    assert_eq!(bed.service("web")["Spec"]["Labels"]["io.axion.command"], first.id.to_string());

    let changed = sleeper(", replicas: 2, labels: {a: b}");
    let relabelled = bed.deploy(&[("web", &changed), ("everywhere", &everywhere), ("once", &job)]).completed();
    assert_eq!(relabelled.service("web")["action"], "update");
    assert!(relabelled.service("web")["reason"].as_str().unwrap().contains("Labels.a"), "{relabelled:#?}", relabelled = relabelled.outcome);
    assert_eq!(bed.running(), tasks, "labels replace no task");

    let updated = bed.deploy(&[("web", &quick("sleep, '2000'", ", deploy: {endpoint_mode: dnsrr}"))]).completed();
    assert_eq!((updated.service("web")["action"].as_str(), updated.service("once")["action"].as_str()), (Some("update"), Some("remove")));
    assert_eq!(bed.counts()[0], 1, "what left the file is gone");
    assert!(bed.running().iter().all(|task| !tasks.contains(task)));
    assert_eq!(bed.revisions(), [2, 3], "two are kept");

    bed.run(Action::Remove(Remove { target: bed.target(), volumes: false })).completed();
    assert_eq!(bed.counts(), [0; 4]);
}

#[test]
fn a_dry_run_plans_and_touches_nothing() {
    let Some(socket) = engine("a_dry_run_plans_and_touches_nothing") else { return };
    let bed = Bed::new(socket);
    let request = Deploy { dry_run: true, ..bed.request(&[("web", &sleeper(""))], "") };
    let told = bed.run(Action::Deploy(request)).completed();
    assert_eq!((told.detail("dry_run"), &told.service("web")["action"]), (&json!(true), &json!("create")));
    assert_eq!(bed.counts(), [0; 4]);
    assert_eq!(bed.journal.owner(&bed.stack).unwrap(), None);
}

#[test]
fn what_the_file_gets_wrong_is_told_before_anything_is_made() {
    let Some(socket) = engine("what_the_file_gets_wrong_is_told_before_anything_is_made") else { return };
    let bed = Bed::new(socket);
    bed.deploy(&[("web", "image: x, comand: y")]).failed(Code::COMPOSE_INVALID, "comand");
    let external = bed.request(&[("web", &sleeper(""))], "networks: {default: {external: true, name: axd-nowhere}}\n");
    let told = bed.run(Action::Deploy(external)).failed(Code::REFERENCE_MISSING, "axd-nowhere");
    assert_eq!(told.detail("changed"), false);
    assert_eq!(bed.counts(), [0; 4]);
}

/// The first deploy of a stack fails: what it made is gone again.
fn fails_at_first(test: &str, service: &str, code: Code, words: &str) {
    let Some(socket) = engine(test) else { return };
    let bed = Bed::new(socket);
    let told = bed.deploy(&[("good", &sleeper("")), ("bad", service)]).failed(code, words);
    assert_eq!(told.detail("rolled_back"), true, "{:#?}", told.outcome);
    assert!(told.phases().contains(&"rollback"));
    assert_eq!(bed.counts(), [0; 4], "{:#?}", told.outcome);
    assert_eq!(bed.journal.owner(&bed.stack).unwrap(), None, "the name is free again");
}

#[test]
fn a_missing_image() {
    let service = "image: 'axd-nosuch/image:1', deploy: {endpoint_mode: dnsrr, restart_policy: {delay: 1s}}";
    fails_at_first("a_missing_image", service, Code::IMAGE_NOT_FOUND, "No such image");
}

#[test]
fn a_crash_loop() {
    let service = quick("sh, -c, exit 7", ", deploy: {endpoint_mode: dnsrr, restart_policy: {delay: 1s}}");
    fails_at_first("a_crash_loop", &service, Code::CRASH_LOOP, "non-zero exit (7)");
}

#[test]
fn an_unhealthy_service() {
    let check =
        ", healthcheck: {test: [CMD, 'false'], interval: 1s, retries: 1}, deploy: {endpoint_mode: dnsrr, restart_policy: {delay: 1s}}";
    fails_at_first("an_unhealthy_service", &quick("sleep, '1000'", check), Code::UNHEALTHY, "unhealthy");
}

#[test]
fn no_suitable_node() {
    let service = sleeper(", placement: {constraints: [node.labels.moon == yes]}");
    fails_at_first("no_suitable_node", &service, Code::NO_SUITABLE_NODE, "no suitable node");
}

#[test]
fn a_port_that_another_service_has() {
    let port = "ports: [{target: 80, published: 28417, mode: host}]";
    let first = sleeper("").replacen("init: true", &format!("init: true, {port}"), 1);
    let Some(socket) = engine("a_port_that_another_service_has") else { return };
    let bed = Bed::new(socket);
    bed.deploy(&[("first", &first)]).completed();
    let told = bed.deploy(&[("first", &first), ("second", &first)]).failed(Code::PORT_CLASH, "host-mode port already in use");
    assert_eq!((told.detail("rolled_back"), bed.counts()[0]), (&json!(true), 1), "{:#?}", told.outcome);
}

#[test]
fn a_mount_that_a_node_rejects() {
    let service = quick("sleep, '1000'", ", volumes: ['/axd/no/such/dir:/x'], deploy: {endpoint_mode: dnsrr, restart_policy: {delay: 1s}}");
    fails_at_first("a_mount_that_a_node_rejects", &service, Code::TASK_REJECTED, "/axd/no/such/dir");
}

#[test]
fn a_job_that_fails() {
    let service = quick("'false'", ", deploy: {mode: replicated-job, restart_policy: {condition: none}}");
    fails_at_first("a_job_that_fails", &service, Code::JOB_FAILED, "non-zero exit (1)");
}

#[test]
fn a_failed_update_goes_back_to_the_last_good_revision() {
    let Some(socket) = engine("a_failed_update_goes_back_to_the_last_good_revision") else { return };
    let bed = Bed::new(socket);
    let (web, side) = (sleeper(""), sleeper(""));
    bed.deploy(&[("web", &web), ("side", &side)]).completed();
    let side_task = bed.running();
    let spec = |bed: &Bed| bed.service("web")["Spec"]["TaskTemplate"]["ContainerSpec"].clone();
    let before = spec(&bed);

    let broken = quick("sh, -c, exit 7", ", deploy: {endpoint_mode: dnsrr}");
    let told = bed.deploy(&[("web", &broken), ("side", &side), ("new", &sleeper(""))]).failed(Code::CRASH_LOOP, "non-zero exit (7)");
    assert_eq!(told.detail("rolled_back"), true, "{:#?}", told.outcome);
    assert_eq!(told.service("web")["update"]["state"], "paused");
    assert!(told.service("web")["errors"].to_string().contains("non-zero exit (7)"), "{:#?}", told.outcome);
    assert_eq!(spec(&bed), before);
    let now = bed.running();
    assert_eq!((bed.counts()[0], now.len()), (2, 2), "the new service is gone, the old ones run");
    assert!(now.iter().any(|task| side_task.contains(task)), "what did not change was not touched");
    assert_eq!(bed.revisions(), [1]);

    // Swarm's own rollback is a failure too.
    let own = quick("sh, -c, exit 7", ", deploy: {endpoint_mode: dnsrr, update_config: {failure_action: rollback, monitor: 3s}}");
    let told = bed.deploy(&[("web", &own), ("side", &side)]).failed(Code::UPDATE_ROLLED_BACK, "rolled the update back");
    assert_eq!(told.detail("rolled_back"), true, "{:#?}", told.outcome);
    assert_eq!(spec(&bed), before);

    let left = Deploy { on_failure: OnFailure::Leave, ..bed.request(&[("web", &broken), ("side", &side)], "") };
    let told = bed.run(Action::Deploy(left)).failed(Code::CRASH_LOOP, "non-zero exit (7)");
    assert_eq!(told.detail("rolled_back"), false);
    assert_ne!(spec(&bed), before);
    // The good file again mends it.
    bed.deploy(&[("web", &web), ("side", &side)]).completed();
    assert_eq!(spec(&bed), before);
}

#[test]
fn changed_contents_rotate_and_old_ones_go_with_their_revision() {
    let Some(socket) = engine("changed_contents_rotate_and_old_ones_go_with_their_revision") else { return };
    let bed = Bed::new(socket);
    let service = quick("sleep, '1000'", ", secrets: [word], configs: [{source: page, target: /page}], deploy: {endpoint_mode: dnsrr}");
    let deploy = |word: &str, page: &str| {
        let rest = "secrets: {word: {file: word.txt}}\nconfigs: {page: {file: page.txt}}\n";
        let files = [("word.txt", word), ("page.txt", page)].map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
        let request = Deploy { files: Sensitive::new(files.into()), ..bed.request(&[("web", &service)], rest) };
        bed.run(Action::Deploy(request)).completed()
    };
    let names = |path: &str| -> Vec<String> {
        let mut names: Vec<String> = bed.list(path).iter().map(|one| one["Spec"]["Name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    let (secret, config) = (bed.stack.scoped("word"), bed.stack.scoped("page"));
    deploy("one", "first");
    assert_eq!((names("/secrets"), names("/configs")), (vec![secret.clone()], vec![config.clone()]), "the plain names first");
    let tasks = bed.running();
    deploy("one", "first");
    assert_eq!(bed.running(), tasks);

    let told = deploy("two", "first");
    let object = told.detail("secrets")[0]["object"].as_str().unwrap().to_owned();
    assert!(object.starts_with(&format!("{secret}-")) && object.len() == secret.len() + 9, "{object}");
    assert_eq!(names("/secrets"), [secret.clone(), object.clone()], "the old revision needs the old one");
    assert_eq!(bed.service("web")["Spec"]["TaskTemplate"]["ContainerSpec"]["Secrets"][0]["SecretName"], object);
    assert_eq!(names("/configs"), std::slice::from_ref(&config));

    deploy("three", "second");
    let third = names("/secrets");
    assert_eq!(third.len(), 2, "{third:?}: the first one is needed by no kept revision");
    assert!(third.contains(&object) && !third.contains(&secret));
    assert_eq!(names("/configs").len(), 2);
}

#[test]
fn a_stack_of_the_command_line_is_adopted_without_a_restart() {
    let Some(socket) = engine("a_stack_of_the_command_line_is_adopted_without_a_restart") else { return };
    let bed = Bed::new(socket);
    bed.deploy(&[("web", &sleeper(""))]).completed();
    let tasks = bed.running();
    // As `docker stack deploy` would have left it: without our labels, and unknown to the journal.
    let mut service = bed.service("web");
    let labels = service["Spec"]["Labels"].as_object_mut().unwrap();
    labels.retain(|label, _| !label.starts_with("io.axion."));
    let path = format!("/services/{}/update?version={}", service["ID"].as_str().unwrap(), service["Version"]["Index"]);
    bed.call("POST", &path, &service["Spec"]);
    bed.journal.forget(&bed.stack).unwrap();

    let told = bed.deploy(&[("web", &sleeper(""))]).completed();
    assert_eq!(told.service("web")["action"], "unchanged");
    assert!(told.detail("warnings").to_string().contains("adopts"), "{:#?}", told.outcome);
    assert_eq!(bed.running(), tasks);

    // With no revision of ours a failed deploy goes back to what Swarm remembers.
    bed.journal.forget(&bed.stack).unwrap();
    let before = bed.service("web")["Spec"].clone();
    let broken = quick("sh, -c, exit 7", ", deploy: {endpoint_mode: dnsrr}");
    let told = bed.deploy(&[("web", &broken)]).failed(Code::CRASH_LOOP, "non-zero exit (7)");
    assert_eq!(told.detail("rolled_back"), true, "{:#?}", told.outcome);
    assert_eq!(bed.service("web")["Spec"]["TaskTemplate"], before["TaskTemplate"]);
    bed.deploy(&[("web", &sleeper(""))]).completed();
    let foreign = Target { project: ProjectId::new("q").unwrap(), stack: bed.stack.clone() };
    let request = Deploy { target: foreign, ..bed.request(&[("web", &sleeper(""))], "") };
    bed.run(Action::Deploy(request)).failed(Code::FOREIGN_PROJECT, "belongs to project p");
}

#[test]
fn a_command_that_comes_again_writes_nothing_twice() {
    let Some(socket) = engine("a_command_that_comes_again_writes_nothing_twice") else { return };
    let bed = Bed::new(socket);
    bed.deploy(&[("web", &sleeper(""))]).completed();
    let changed = Action::Deploy(bed.request(&[("web", &sleeper(", labels: {a: b}"))], ""));
    let id = CommandId(Uuid::new_v4());
    bed.run_as(id, changed.clone(), Entry::Fresh).completed();
    let version = bed.service("web")["Version"].clone();
    let told = bed.run_as(id, changed, Entry::Resumed).completed();
    assert_eq!(bed.service("web")["Version"], version);
    assert_eq!(told.service("web")["action"], "update", "whoever reads the end learns what the command did");
}

#[test]
fn the_time_of_the_command_is_kept() {
    let Some(socket) = engine("the_time_of_the_command_is_kept") else { return };
    let bed = Bed::new(socket);
    let check = ", healthcheck: {test: [CMD, 'false'], interval: 60s}, deploy: {endpoint_mode: dnsrr}";
    let request = Deploy { timeout_seconds: Some(4), ..bed.request(&[("web", &quick("sleep, '1000'", check))], "") };
    let told = bed.run(Action::Deploy(request)).failed(Code::TIMED_OUT, "0 of 1 tasks");
    assert_eq!(told.detail("rolled_back"), true, "{:#?}", told.outcome);
    assert_eq!(bed.counts(), [0; 4]);
}

#[test]
fn a_registry_gives_digests_and_says_what_it_has_not() {
    let Some(socket) = engine("a_registry_gives_digests_and_says_what_it_has_not") else { return };
    let Some(registry) = registry("a_registry_gives_digests_and_says_what_it_has_not") else { return };
    let bed = Bed::new(socket);
    let deploy = |image: &str, logins: &[&str]| {
        let service = format!(
            "image: '{registry}/{image}', init: true, stop_grace_period: 1s, command: [sleep, '1000'], deploy: {{endpoint_mode: dnsrr}}"
        );
        let login = |host: &&str| {
            let login = RegistryCredential { username: "tester".to_owned(), password: Sensitive::new("secret".to_owned()) };
            ((*host).to_owned(), login)
        };
        let registry_auth = logins.iter().map(login).collect();
        bed.run(Action::Deploy(Deploy { resolve_image: ResolveImage::Always, registry_auth, ..bed.request(&[("web", &service)], "") }))
    };
    let told = deploy("box:hidden", &[]).failed(Code::IMAGE_AUTH, "no basic auth credentials");
    assert_eq!(told.detail("changed"), false, "it is certain before anything is made");
    deploy("box:none", &[&registry]).failed(Code::IMAGE_NOT_FOUND, "manifest unknown");
    let told = deploy("box:1", &[&format!("https://{registry}/v2/")]).completed();
    let image = told.service("web")["image"].as_str().unwrap().to_owned();
    assert!(image.starts_with(&format!("{registry}/box:1@sha256:")), "{image}");
    let tasks = bed.running();
    assert_eq!(deploy("box:1", &[&registry]).completed().service("web")["action"], "unchanged");
    // A registry that does not answer is no reason to replace what runs.
    let told = deploy("box:1", &[]).completed();
    assert_eq!((told.service("web")["image"].as_str(), bed.running()), (Some(image.as_str()), tasks));
    assert!(told.detail("warnings").to_string().contains("no basic auth credentials"), "{:#?}", told.outcome);
}

#[test]
fn a_registry_that_cannot_be_asked() {
    let Some(socket) = engine("a_registry_that_cannot_be_asked") else { return };
    let bed = Bed::new(socket);
    let service = "image: '127.0.0.1:1/axd/none:1', deploy: {endpoint_mode: dnsrr, restart_policy: {delay: 1s}}";
    let request = Deploy { resolve_image: ResolveImage::Always, ..bed.request(&[("web", service)], "") };
    let told = bed.run(Action::Deploy(request)).failed(Code::IMAGE_PULL, "127.0.0.1:1");
    assert!(told.outcome.message.contains("No such image"), "{:#?}", told.outcome);
    assert_eq!(told.detail("rolled_back"), true);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the Docker CLI is what is compared with")]
fn after_docker_stack_deploy_nothing_restarts() {
    let Some(socket) = engine("after_docker_stack_deploy_nothing_restarts") else { return };
    let bed = Bed::new(socket);
    std::fs::write(bed.folder.join("word.txt"), "one").unwrap();
    let service = quick(
        "sleep, '1000'",
        ", secrets: [word], configs: [word], environment: {A: b}, deploy: {endpoint_mode: dnsrr, update_config: {delay: 1s}}",
    );
    let rest = "secrets: {word: {file: word.txt}}\nconfigs: {word: {file: word.txt}}\n";
    let deploy = |word: &str| {
        let files = [("word.txt".to_owned(), word.as_bytes().to_vec())];
        Deploy { files: Sensitive::new(files.into()), ..bed.request(&[("web", &service)], rest) }
    };
    let file = bed.folder.join("stack.yml");
    std::fs::write(&file, format!("version: '3.13'\n{}", deploy("one").compose.reveal())).unwrap();
    let mut docker = std::process::Command::new("docker");
    docker.arg("-H").arg(format!("unix://{}", bed.socket.display())).args(["stack", "deploy", "--resolve-image", "never", "-c"]);
    match docker.arg(&file).arg(bed.stack.as_str()).output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => return println!("skipped: after_docker_stack_deploy_nothing_restarts needs the Docker CLI: {error}"),
    }
    let version = bed.service("web")["Version"]["Index"].as_u64().unwrap();

    let told = bed.run(Action::Deploy(deploy("one"))).completed();
    assert_eq!(told.service("web")["action"], "unchanged", "{:#?}", told.outcome);
    assert_eq!(bed.service("web")["Version"]["Index"].as_u64(), Some(version));
    let told = bed.run(Action::Deploy(deploy("two"))).completed();
    assert!(told.service("web")["reason"].as_str().unwrap().contains("Secrets"), "{:#?}", told.outcome);
    assert!(told.detail("secrets")[0]["object"].as_str().unwrap().contains("word-"));
}

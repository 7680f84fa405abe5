//! What earlier commands have done that the next one must reckon with: tasks that an update passed over, logins that nodes were given,
//! services of failed deploys, marks of another agent, a process that was killed.

use super::ports::{published, publishing};
use super::support::{Lanes, PASSWORD, Registry, Stage, USERNAME, free_port};
use super::{deploy, quick, request, sleeper};
use axion_agent::domain::{
    Action, Code, CommandId, Deploy, Entry, Ledger, Note, OnFailure, RegistryCredential, ResolveImage, Rollback, Scale, Sensitive, Step,
};
use serde_json::{Value, json};
use uuid::Uuid;

/// Tasks that went on when only the placement changed have the old one still: Swarm then passes over the ports too.
pub fn moved_before(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let (one, two) = (free_port(), free_port());
    let placed =
        |port: u16| publishing(&[port], "stop-first").replace("deploy: {", "deploy: {placement: {constraints: [node.role == manager]}, ");
    deploy(&lanes, &[("web", &publishing(&[one], "stop-first"))]).completed();
    let tasks = lanes.running();
    assert_eq!(deploy(&lanes, &[("web", &placed(one))]).completed().service("web")["tasks"], "moved");
    assert_eq!(lanes.running(), tasks);
    assert_eq!(deploy(&lanes, &[("web", &placed(two))]).completed().service("web")["tasks"], "replaced");
    assert_ne!(lanes.running(), tasks);
    assert_eq!(published(&lanes, "web"), [u64::from(two)]);
}

fn login(password: &str) -> RegistryCredential {
    RegistryCredential { username: USERNAME.to_owned(), password: Sensitive::new(password.to_owned()) }
}

/// A deploy of a service whose image is in the registry.
fn with_login(lanes: &Lanes, registry: &Registry, password: &str, service: &str) -> Deploy {
    let service = service.replace("axion-test/box:1", &format!("{}/box:1", registry.host));
    Deploy { registry_auth: [(registry.host.clone(), login(password))].into(), ..request(lanes, &[("web", &service)], "") }
}

pub fn logins(stage: &Stage) {
    let registry = Registry::start(stage);
    let lanes = Lanes::start(stage);
    let run = |password: &str, service: &str| lanes.run(Action::Deploy(with_login(&lanes, &registry, password, service))).completed();
    let placed = sleeper(", placement: {constraints: [node.role == manager]}");
    let first = Deploy { resolve_image: ResolveImage::Always, ..with_login(&lanes, &registry, PASSWORD, &sleeper("")) };
    lanes.run(Action::Deploy(first)).completed();
    let tasks = lanes.running();
    assert_eq!(run(PASSWORD, &placed).service("web")["tasks"], "moved");
    assert_eq!(lanes.running(), tasks);
    // Swarm passes over another placement, or another login.
    let told = run("another", &placed);
    assert_eq!((&told.service("web")["action"], &told.service("web")["tasks"]), (&json!("update"), &json!("replaced")));
    assert_ne!(lanes.running(), tasks);

    // What its registry refuses does not reach the nodes with something else that changes.
    run(PASSWORD, &placed);
    let labelled = sleeper(", placement: {constraints: [node.role == manager]}, labels: {a: b}");
    let refused = Deploy { resolve_image: ResolveImage::Always, ..with_login(&lanes, &registry, "wrong", &labelled) };
    let told = lanes.run(Action::Deploy(refused)).completed();
    assert_eq!((&told.service("web")["action"], &told.service("web")["tasks"]), (&json!("update"), &json!("kept")), "{:#?}", told.outcome);
    assert_eq!(run(PASSWORD, &labelled).service("web")["action"], "unchanged");
    let scale = |replicas: u64| {
        let services = [("web".to_owned(), replicas)].into();
        lanes.run(Action::Scale(Scale { target: lanes.target(), services, timeout_seconds: None })).completed();
    };
    scale(0);
    let image = lanes.service("web")["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"].as_str().unwrap().to_owned();
    lanes.settle(|tasks| tasks.iter().all(|task| task["Status"]["State"] != "running"));
    let (tag, digest) = image.split_once('@').unwrap();
    for reference in [tag.to_owned(), format!("{}@{digest}", tag.rsplit_once(':').unwrap().0)] {
        let _gone_already = lanes.engine.call("DELETE", &format!("/images/{reference}?force=1"), &Value::Null);
    }
    scale(1);
}

pub fn login_of_what_is_done(stage: &Stage) {
    let registry = Registry::start(stage);
    let lanes = Lanes::start(stage);
    let once = |labels: &str| quick("'true'", &format!(", deploy: {{endpoint_mode: dnsrr, restart_policy: {{condition: none}}{labels}}}"));
    let run = |password: &str, service: &str| lanes.run(Action::Deploy(with_login(&lanes, &registry, password, service))).completed();
    run(PASSWORD, &once(""));
    let tasks = lanes.list("tasks").len();
    let told = run("another", &once(", labels: {a: b}"));
    assert_eq!((&told.service("web")["action"], &told.service("web")["tasks"]), (&json!("update"), &json!("kept")), "{:#?}", told.outcome);
    assert_eq!(run("another", &once(", labels: {a: b}")).detail("changed"), false);
    assert_eq!(lanes.list("tasks").len(), tasks, "it did not run again");
}

pub fn added(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let back = |to: u64| {
        let request = Rollback { target: lanes.target(), to_revision: None, timeout_seconds: None, dry_run: false };
        assert_eq!(lanes.run(Action::Rollback(request)).completed().detail("to_revision"), to);
        lanes.list("services").len()
    };
    deploy(&lanes, &[("web", &sleeper(""))]).completed();
    deploy(&lanes, &[("web", &sleeper("")), ("db", &sleeper(""))]).completed();
    assert_eq!(back(1), 1, "a revision with a service less is another one");

    let failing = quick("'false'", ", deploy: {endpoint_mode: dnsrr, restart_policy: {max_attempts: 1, delay: 0s}}");
    let left = Deploy { on_failure: OnFailure::Leave, ..request(&lanes, &[("web", &sleeper("")), ("bad", &failing)], "") };
    lanes.run(Action::Deploy(left)).failed(Code::CRASH_LOOP, "");
    assert_eq!(lanes.list("services").len(), 2);
    assert_eq!(back(3), 1, "the last good one does not run while there is more");
}

pub fn removed_by_hand(stage: &Stage) {
    let lanes = Lanes::start(stage);
    deploy(&lanes, &[("web", &sleeper(", replicas: 2"))]).completed();
    lanes.call("DELETE", &format!("/services/{}", lanes.stack.scoped("web")), &Value::Null);
    let failing = quick("'false'", ", deploy: {endpoint_mode: dnsrr, replicas: 3, restart_policy: {max_attempts: 1, delay: 0s}}");
    let told = deploy(&lanes, &[("web", &failing)]).failed(Code::CRASH_LOOP, "");
    assert_eq!(told.detail("rolled_back"), true, "{:#?}", told.outcome);
    assert_eq!(lanes.service("web")["Spec"]["Mode"]["Replicated"]["Replicas"], 2);
}

pub fn job_of_another_agent(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let job = quick("'true'", ", deploy: {mode: replicated-job, restart_policy: {condition: none}}");
    let (web, adopted) = (sleeper(""), |adopt| Deploy { adopt, ..request(&lanes, &[("web", &sleeper("")), ("once", &job)], "") });
    deploy(&lanes, &[("web", &web), ("once", &job)]).completed();
    for name in ["web", "once"] {
        let mut service = lanes.service(name);
        service["Spec"]["Labels"]["io.axion.owner"] = json!("another");
        let path = format!("/services/{}/update?version={}", service["ID"].as_str().unwrap(), service["Version"]["Index"]);
        lanes.call("POST", &path, &service["Spec"]);
    }
    lanes.run(Action::Deploy(adopted(false))).failed(Code::OWNED_ELSEWHERE, "another");
    let iteration = || lanes.service("once")["JobStatus"]["JobIteration"].clone();
    let before = iteration();
    let told = lanes.run(Action::Deploy(adopted(true))).completed();
    assert_eq!((&told.service("web")["tasks"], &told.service("once")["action"]), (&json!("kept"), &json!("unchanged")));
    assert_eq!(lanes.service("web")["Spec"]["Labels"]["io.axion.owner"], "me");
    assert_eq!(lanes.run(Action::Deploy(adopted(false))).completed().detail("changed"), false);
    assert_eq!(iteration(), before, "it did not run again");
}

/// The process was killed between the manager's answer and its next note.
pub fn killed(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let service = sleeper("").replacen("init: true", "init: true, configs: [page]", 1);
    let with = |content: &str| {
        let files = [("page.txt".to_owned(), content.as_bytes().to_vec())].into();
        let rest = "configs: {page: {file: page.txt}}\n";
        Action::Deploy(Deploy { files: Sensitive::new(files), ..request(&lanes, &[("web", &service)], rest) })
    };
    let (id, name) = (CommandId(Uuid::new_v4()), lanes.stack.scoped("page"));
    let step = Step { operation: "config.create".to_owned(), object: name.clone() };
    lanes.journal.note(vec![Note::Intend(id, vec![step])]).unwrap();
    let labels = json!({"com.docker.stack.namespace": lanes.stack.as_str()});
    lanes.call("POST", "/configs/create", &json!({"Name": name, "Labels": labels, "Data": "b25l"}));
    lanes.run_as(id, with("one"), Entry::Resumed).completed();
    for content in ["two", "three"] {
        lanes.run(with(content)).completed();
    }
    let names: Vec<Value> = lanes.list("configs").into_iter().map(|config| config["Spec"]["Name"].clone()).collect();
    assert!(names.len() == 2 && !names.contains(&json!(name)), "the first one went with its revision: {names:?}");
}

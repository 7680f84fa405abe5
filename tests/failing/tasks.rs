//! Failures of tasks, of their placement and of updates.

use crate::case::{Before, Case, deploy, sleeper, start, tasks_of, web};
use crate::support::{Lanes, Stage, free_port};
use axion_agent::domain::{Action, Code, Deploy, OnFailure};
use serde_json::json;

const SLEEP: &str = "sleep, '1000'";
/// A task that is well for so long that nothing but its own end can be meant.
const EXIT: &str = "sh, -c, exit 7";
/// Ten seconds, and the grace period of what leaves.
const UNPLACED: u64 = 11;
/// Twenty seconds more.
const UNALLOCATED: u64 = 31;
/// Swarm chooses from 4096 on; these are far from there.
const FIRST_VXLAN: u64 = 1_000_000;

pub fn missing_image(stage: &Stage) {
    let bad = web(SLEEP, "", "").replace("axion-test/box:1", "axd-nosuch/image:1");
    Case::of(bad, Code::IMAGE_NOT_FOUND, "No such image", 0).run(stage);
}

pub fn crash(stage: &Stage) {
    Case::of(web(EXIT, "", ""), Code::CRASH_LOOP, "non-zero exit (7)", 0).run(stage);
}

pub fn unhealthy(stage: &Stage) {
    let check = ", healthcheck: {test: [CMD, 'false'], interval: 1s, retries: 1}";
    Case::of(web(SLEEP, check, ""), Code::UNHEALTHY, "unhealthy", 3).run(stage);
}

pub fn out_of_memory(stage: &Stage) {
    let bad = web("tail, /dev/zero", "", ", resources: {limits: {memory: 16M}}");
    Case::of(bad, Code::CRASH_LOOP, "non-zero exit (137)", 0).run(stage);
}

pub fn no_program(stage: &Stage) {
    let bad = web(SLEEP, ", entrypoint: [/no/such/program]", "").replace("init: true", "init: false");
    Case::of(bad, Code::TASK_REJECTED, "/no/such/program", 0).run(stage);
}

pub fn no_format(stage: &Stage) {
    let bad = web(SLEEP, ", entrypoint: [/page]", "").replace("init: true", "init: false").replace("/page}]", "/page, mode: 0755}]");
    // runc begins the container before it hands over to the program, so the node has only an exit code to tell.
    Case::of(bad, Code::CRASH_LOOP, "non-zero exit", 0).run(stage);
}

pub fn log_driver(stage: &Stage) {
    Case::of(web(SLEEP, ", logging: {driver: axd-nosuch}", ""), Code::NO_SUITABLE_NODE, "missing plugin", UNPLACED).run(stage);
}

pub fn bind_source(stage: &Stage) {
    Case::of(web(SLEEP, ", volumes: ['/axd/no/such/dir:/x']", ""), Code::TASK_REJECTED, "/axd/no/such/dir", 0).run(stage);
}

pub fn volume_driver(stage: &Stage) {
    let bad = web(SLEEP, ", volumes: ['data:/x']", "");
    let rest = "volumes: {data: {driver: axd-nosuch}}\n";
    Case { rest, ..Case::of(bad, Code::NO_SUITABLE_NODE, "missing plugin", UNPLACED) }.run(stage);
}

pub fn no_node(stage: &Stage) {
    let bad = web(SLEEP, "", ", placement: {constraints: [node.labels.moon == yes]}");
    Case::of(bad, Code::NO_SUITABLE_NODE, "scheduling constraints not satisfied", UNPLACED).run(stage);
}

pub fn no_resources(stage: &Stage) {
    let bad = web(SLEEP, "", ", resources: {reservations: {cpus: '1000'}}");
    Case::of(bad, Code::NO_SUITABLE_NODE, "insufficient resources", UNPLACED).run(stage);
}

/// Its VXLAN id is another's: the manager takes it, and only its log says that nothing comes of it.
pub fn network(stage: &Stage) {
    let id = u64::from(free_port()) + FIRST_VXLAN;
    let rest = |name: &str| format!("networks: {{{name}: {{driver_opts: {{com.docker.network.driver.overlay.vxlanid_list: '{id}'}}}}}}\n");
    let on = |name: &str| sleeper(&format!(", networks: [{name}]"), "");
    let (other, lanes) = (Lanes::start(stage), Lanes::start(stage));
    other.run(Action::Deploy(deploy(&other, &[("first", &on("first"))], &rest("first"), "one"))).completed();
    let case = Case::of(String::new(), Code::NOT_ALLOCATED, "_odd", UNALLOCATED);
    let before = case.begin(&lanes);
    // A service that is only made: of one that is updated Swarm waits a minute for the task that has nothing to end.
    let request = deploy(&lanes, &[("odd", &on("odd")), ("side", &sleeper("", "")), ("web", &case.good)], &rest("odd"), "two");
    case.check(&lanes, lanes.run(Action::Deploy(request)), &before);
}

pub fn host_port(stage: &Stage) {
    let port = format!(", ports: [{{target: 80, published: {}, mode: host}}]", free_port());
    taken(stage, &port, "endpoint_mode: dnsrr, ", "host-mode port already in use", UNPLACED);
}

pub fn ingress_port(stage: &Stage) {
    let port = format!(", ports: ['{}:80']", free_port());
    taken(stage, &port, "", "is already in use by service", 0);
}

/// Another stack takes the port after the plan was made; where it has it before, the plan says so.
fn taken(stage: &Stage, port: &str, endpoint: &str, words: &str, certain: u64) {
    let service = |make: fn(&str, &str) -> String| make(port, "").replace("endpoint_mode: dnsrr, ", endpoint);
    let case = Case::of(service(|port, rest| web(SLEEP, port, rest)), Code::PORT_CLASH, words, certain);
    let (lanes, gate) = Lanes::behind_a_gate(stage.engine(), stage.directory());
    let before = case.begin(&lanes);
    let held = gate.hold("POST", "/configs/create");
    let running = start(&lanes, case.request(&lanes));
    let held = held.reached();
    let other = Lanes::start(stage);
    other.run(Action::Deploy(deploy(&other, &[("first", &service(sleeper))], "", "one"))).completed();
    drop(held);
    case.check(&lanes, running.end(), &before);

    let told = lanes.run(Action::Deploy(case.request(&lanes))).failed(Code::PORT_CLASH, "is published by service axt");
    assert_eq!((told.detail("changed"), told.detail("rolled_back")), (&json!(false), &json!(false)));
    before.compare(&lanes);
}

pub fn start_first(stage: &Stage) {
    let port = format!(", ports: [{{target: 80, published: {}, mode: host}}]", free_port());
    let order = ", update_config: {order: start-first, monitor: 2s}";
    let bad = web(SLEEP, &format!("{port}, environment: {{V: two}}"), order);
    let case = Case::of(bad, Code::PORT_CLASH, "host-mode port already in use", UNPLACED);
    Case { good: web(SLEEP, &port, order), ..case }.run(stage);
}

/// The first tasks of the update are replaced and well, a later one is not.
pub fn half_way(stage: &Stage) {
    let rules = ", replicas: 3, update_config: {parallelism: 1, monitor: 2s}";
    let slot = ", environment: {SLOT: '{{.Task.Slot}}'}";
    let bad = web("sh, -c, 'test $$SLOT != 2 && exec sleep 1000; exit 7'", slot, rules);
    let case = Case::of(bad, Code::CRASH_LOOP, "non-zero exit (7)", 10);
    Case { good: web(SLEEP, "", rules), ..case }.run(stage);
}

pub fn taken_back(stage: &Stage) {
    let rules = ", update_config: {failure_action: rollback, monitor: 3s}";
    Case::of(web(EXIT, "", rules), Code::UPDATE_ROLLED_BACK, "non-zero exit (7)", 0).run(stage);
}

pub fn allowed_ratio(stage: &Stage) {
    let rules = ", replicas: 2, update_config: {parallelism: 2, max_failure_ratio: 1, monitor: 1s}";
    Case::of(web(EXIT, "", rules), Code::CRASH_LOOP, "non-zero exit (7)", 12).run(stage);
}

/// It was good for as long as the file asks. A file that asks for longer finds it out, though it replaces no task.
pub fn after_the_monitor(stage: &Stage) {
    let late = |monitor: &str| web("sh, -c, sleep 3; exit 7", "", &format!(", update_config: {{monitor: {monitor}}}"));
    let case = Case { on_failure: OnFailure::Leave, ..Case::of(late("1s"), Code::CRASH_LOOP, "non-zero exit (7)", 40) };
    let lanes = Lanes::start(stage);
    case.begin(&lanes);
    lanes.run(Action::Deploy(case.request(&lanes))).completed();
    lanes.settle(|tasks| tasks.iter().any(|task| task["Status"]["State"] == "failed"));
    let longer = Case { bad: late("20s"), ..case };
    let told = longer.check_verdict(lanes.run(Action::Deploy(longer.request(&lanes))));
    assert_eq!(told.service("web")["tasks"], "kept", "{:#?}", told.outcome);
    assert_eq!(told.detail("rolled_back"), false);
}

pub fn never_ready(stage: &Stage) {
    let check = ", healthcheck: {test: [CMD, 'false'], interval: 60s}";
    Case { timeout: Some(6), ..Case::of(web(SLEEP, check, ""), Code::TIMED_OUT, "0 of 1 tasks", 6) }.run(stage);
}

pub fn job(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let case = Case::of(web(SLEEP, ", environment: {V: two}", ""), Code::JOB_FAILED, "non-zero exit (1)", 5);
    let before = case.begin(&lanes);
    let once = "image: 'axion-test/box:1', command: ['false'], deploy: {mode: replicated-job, restart_policy: {condition: none}}";
    let services = [("once", once), ("side", &sleeper("", "")), ("web", &case.bad)];
    let told = lanes.run(Action::Deploy(deploy(&lanes, &services, "", "two")));
    case.check(&lanes, told, &before);
}

/// `leave`: what was changed stays so, and the next deploy mends it.
pub fn left(stage: &Stage) {
    // The first task has failed before Swarm comes to the second.
    let kept = stays(stage, OnFailure::Leave, ", replicas: 2, update_config: {parallelism: 1, delay: 10s, monitor: 5s}");
    assert!(kept, "a task of the good file must have gone on");
}

/// `pause`: Swarm stops at the first failure, though the file lets it go on.
pub fn paused(stage: &Stage) {
    let _kept = stays(stage, OnFailure::Pause, ", replicas: 2, update_config: {failure_action: continue, monitor: 3s}");
}

/// Whether tasks of before went on when the good file came again.
fn stays(stage: &Stage, on_failure: OnFailure, rules: &str) -> bool {
    let lanes = Lanes::start(stage);
    let good = web(SLEEP, "", rules);
    let case = Case { good, on_failure, ..Case::of(web(EXIT, "", rules), Code::CRASH_LOOP, "non-zero exit (7)", 0) };
    let before = case.begin(&lanes);
    let at_first = tasks_of(&lanes, "web");
    let told = case.check_verdict(lanes.run(Action::Deploy(case.request(&lanes))));
    assert_eq!((told.detail("changed"), told.detail("rolled_back")), (&json!(true), &json!(false)));
    assert_eq!(lanes.service("web")["UpdateStatus"]["State"], "paused");
    assert_eq!(lanes.service("web")["Spec"]["TaskTemplate"]["ContainerSpec"]["Args"], json!(["sh", "-c", "exit 7"]));
    assert_eq!(lanes.list("services").len(), 3, "the new one stays");
    let again = Deploy { on_failure: OnFailure::Rollback, ..crate::case::good(&lanes, &case.good) };
    let told = lanes.run(Action::Deploy(again)).completed();
    // What Swarm had not come to is of this spec already.
    let has_kept = tasks_of(&lanes, "web").iter().any(|task| at_first.contains(task));
    assert_eq!(told.detail("warnings").to_string().contains("are of the wanted spec already, and go on"), has_kept, "{:#?}", told.outcome);
    // A content that no kept revision needs goes with the deploy after the next.
    let now = Before::of(&lanes);
    before.compare_tasks(&now);
    has_kept
}

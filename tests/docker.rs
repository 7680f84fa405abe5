//! The Docker room against a real engine: stacks that others made are scaled, told of and removed.
//!
//! Every test makes a stack of its own, by the engine's API alone, and removes it.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests, though clippy cannot see it: they have no libtest"
)]

mod support;

use axion_agent::docker::{EngineState, SwarmRole, Swarmless};
use axion_agent::domain::{
    Action, Code, CommandId, Deploy, GetStatus, Ledger, Logs, Note, Prune, RegistryCredential, Remove, ResolveImage, Revision, Rollback,
    Scale, Selection, Sensitive, Specs, SwarmAddresses, SwarmJoin, SwarmLeave, Timestamp, Verdict,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::{IMAGE, Lanes, Need, PASSWORD, Registry, Stage, Test, Told, USERNAME, run, until};
use uuid::Uuid;

const TESTS: &[Test] = &[
    Test {
        name: "a_stack_is_scaled_without_touching_its_tasks_then_removed_to_the_last_network",
        needs: &[Need::Engine],
        body: whole_life,
    },
    Test { name: "a_restart_replaces_every_task_but_those_of_jobs", needs: &[Need::Engine], body: restart },
    Test { name: "the_newest_lines_of_a_service_are_told_with_their_tasks", needs: &[Need::Engine], body: logs },
    Test { name: "a_command_for_a_stack_makes_a_swarm_where_that_is_wanted", needs: &[Need::EngineToStop], body: makes_swarm },
    Test { name: "the_engine_leaves_its_swarm_and_makes_another", needs: &[Need::EngineToStop], body: swarm },
    Test { name: "a_prune_removes_what_nothing_needs_and_nothing_else", needs: &[Need::EngineToStop], body: prune },
    Test { name: "images_of_earlier_deploys_go_when_nothing_needs_them", needs: &[Need::Engine, Need::Registry], body: outgrown_images },
    Test { name: "what_cannot_run_is_told_with_the_tasks_errors_when_the_time_is_over", needs: &[Need::Engine], body: cannot_run },
    Test { name: "a_stack_that_is_not_there_is_said_not_to_be", needs: &[Need::Engine], body: not_there },
];

fn main() -> std::process::ExitCode {
    run("docker", TESTS)
}

fn make_network(lanes: &Lanes) {
    let labels = json!({"com.docker.stack.namespace": lanes.stack.as_str()});
    let network = json!({"Name": lanes.stack.scoped("default"), "Driver": "overlay", "Labels": labels});
    lanes.call("POST", "/networks/create", &network);
}

fn make_service(lanes: &Lanes, name: &str, mode: &Value, command: &[&str]) {
    let stack = &lanes.stack;
    let labels = json!({"com.docker.stack.namespace": stack.as_str()});
    let volume = json!({"Type": "volume", "Source": stack.scoped("data"), "Target": "/data", "VolumeOptions": {"Labels": labels}});
    let container =
        json!({"Image": IMAGE, "Args": command, "Init": true, "StopGracePeriod": 1_000_000_000_u64, "Mounts": [volume], "Labels": labels});
    let restart = json!({"Condition": if mode["ReplicatedJob"].is_object() { "none" } else { "any" }});
    let task =
        json!({"ContainerSpec": container, "Networks": [{"Target": stack.scoped("default"), "Aliases": [name]}], "RestartPolicy": restart});
    // The kernel of the test machine may have no IPVS: no virtual addresses.
    let endpoint = json!({"Mode": "dnsrr"});
    let spec = json!({"Name": stack.scoped(name), "Labels": labels, "TaskTemplate": task, "Mode": mode, "EndpointSpec": endpoint});
    lanes.call("POST", "/services/create", &spec);
}

fn status(lanes: &Lanes) -> Value {
    let told = lanes.run(Action::GetStatus(GetStatus { target: Some(lanes.target()) })).completed();
    told.detail("stacks")[0]["services"].clone()
}

fn scale(lanes: &Lanes, service: &str, replicas: u64) -> Told {
    let services = [(service.to_owned(), replicas)].into();
    lanes.run(Action::Scale(Scale { target: lanes.target(), services, timeout_seconds: None }))
}

fn remove(lanes: &Lanes, volumes: bool) -> Told {
    lanes.run(Action::Remove(Remove { target: lanes.target(), volumes }))
}

fn whole_life(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let up = lanes.engine_state();
    assert!(matches!(up, EngineState::Up { swarm: SwarmRole::Manager, .. }), "{up:?}");
    make_network(&lanes);
    make_service(&lanes, "web", &json!({"Replicated": {"Replicas": 1}}), &["sleep", "1000"]);
    make_service(&lanes, "once", &json!({"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}}), &["true"]);
    lanes.settle(|tasks| {
        let states: BTreeSet<&str> = tasks.iter().filter_map(|task| task["Status"]["State"].as_str()).collect();
        states == BTreeSet::from(["complete", "running"])
    });

    let before = lanes.service("web")["Spec"].clone();
    let first = lanes.running();
    scale(&lanes, "web", 3).completed();
    let mut after = lanes.service("web")["Spec"].clone();
    assert_eq!(after["Mode"], json!({"Replicated": {"Replicas": 3}}));
    after["Mode"] = before["Mode"].clone();
    assert_eq!(after, before);
    let second = lanes.running();
    assert_eq!(second.len(), 3);
    assert!(first.iter().all(|task| second.contains(task)), "the task that ran goes on: {first:?} {second:?}");
    let told = status(&lanes);
    assert_eq!(told[1]["name"], "web");
    assert_eq!(told[1]["replicas"], json!({"running": 3, "desired": 3, "completed": 0}));
    assert_eq!((&told[0]["name"], &told[0]["replicas"]["completed"]), (&json!("once"), &json!(1)));
    scale(&lanes, "once", 2).failed(Code::NOT_SCALABLE, "once");
    scale(&lanes, "web", 0).completed();
    assert_eq!(lanes.running().len(), 0);

    remove(&lanes, true).completed();
    for kind in ["services", "networks", "volumes"] {
        assert_eq!(lanes.list(kind), Vec::<Value>::new(), "{kind}");
    }
    assert_eq!(lanes.journal.owner(&lanes.stack), Ok(None));
}

fn some(lanes: &Lanes, services: &[&str]) -> Selection {
    let services = services.iter().map(|name| (*name).to_owned()).collect();
    Selection { target: lanes.target(), services, timeout_seconds: None }
}

fn restart(stage: &Stage) {
    let lanes = Lanes::start(stage);
    make_network(&lanes);
    make_service(&lanes, "web", &json!({"Replicated": {"Replicas": 2}}), &["sleep", "1000"]);
    make_service(&lanes, "agent", &json!({"Global": {}}), &["sleep", "1000"]);
    make_service(&lanes, "once", &json!({"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}}), &["true"]);
    let complete = |tasks: &[Value]| tasks.iter().filter(|task| task["Status"]["State"] == "complete").count();
    lanes.settle(|tasks| complete(tasks) == 1 && tasks.iter().filter(|task| task["Status"]["State"] == "running").count() == 3);
    let first = lanes.running();

    let told = lanes.run(Action::Restart(some(&lanes, &[]))).completed();
    assert_eq!(told.detail("services").as_array().unwrap().len(), 2);
    assert_eq!(told.service("web")["replicas"], json!({"running": 2, "desired": 2}));
    let second = lanes.running();
    assert_eq!(second.len(), 3);
    assert!(first.iter().all(|task| !second.contains(task)), "every task is new: {first:?} {second:?}");
    assert_eq!(complete(&lanes.list("tasks")), 1, "the job did not run again");
    assert!(lanes.service("web")["Spec"]["Labels"]["io.axion.owner"].is_null(), "it belongs to nobody as before");

    lanes.run(Action::Restart(some(&lanes, &["once"]))).completed();
    assert_eq!(lanes.running(), second, "what is not named goes on");
    lanes.run(Action::Restart(some(&lanes, &["cache"]))).failed(Code::SERVICE_NOT_FOUND, "cache");
    remove(&lanes, true).completed();
}

fn logs(stage: &Stage) {
    let lanes = Lanes::start(stage);
    make_network(&lanes);
    let script = "for n in 1 2 3; do echo out $n; echo err $n >&2; sleep 0.2; done; exec sleep 1000";
    make_service(&lanes, "web", &json!({"Replicated": {"Replicas": 2}}), &["sh", "-c", script]);
    let read =
        |service: &str, tail| lanes.run(Action::Logs(Logs { target: lanes.target(), service: service.to_owned(), tail, since: None }));
    until("both tasks have written all", Duration::from_secs(60), || {
        let told = read("web", 100);
        let count = told.outcome.details.get("lines").and_then(Value::as_array).map_or(0, Vec::len);
        if count == 12 { Ok(()) } else { Err(format!("{:#?}", told.outcome)) }
    });
    let told = read("web", 100).completed();
    assert_eq!((told.detail("complete"), told.detail("truncated")), (&json!(true), &json!(false)));
    let lines = told.detail("lines").as_array().unwrap();
    let of = |slot: u64, stream: &str| -> Vec<&str> {
        lines.iter().filter(|line| line["slot"] == slot && line["stream"] == stream).map(|line| line["text"].as_str().unwrap()).collect()
    };
    assert_eq!((of(1, "stdout"), of(2, "stderr")), (vec!["out 1", "out 2", "out 3"], vec!["err 1", "err 2", "err 3"]));
    assert_eq!(read("web", 2).completed().detail("lines").as_array().unwrap().len(), 2);
    read("db", 2).failed(Code::SERVICE_NOT_FOUND, "db");
    remove(&lanes, true).completed();
}

fn second() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// On an engine of our own: a prune knows no owner.
fn prune(stage: &Stage) {
    let lanes = Lanes::start(stage);
    make_network(&lanes);
    make_service(&lanes, "app", &json!({"Replicated": {"Replicas": 1}}), &["sleep", "infinity"]);
    let stack_label = json!({"com.docker.stack.namespace": lanes.stack.as_str()});
    let container = |labels: &Value| {
        let made = lanes.call("POST", "/containers/create", &json!({"Image": IMAGE, "Cmd": ["true"], "Labels": labels}));
        made["Id"].as_str().unwrap().to_owned()
    };
    let (free, of_stack) = (container(&json!({})), container(&stack_label));
    for tag in 1..=3 {
        lanes.call("POST", &format!("/commit?container={free}&repo=axt-prune&tag={tag}&comment={tag}"), &Value::Null);
        // An image is as old as its second says, and the newest is to be told from the others.
        let made = second();
        until("the next second", Duration::from_secs(5), || if second() > made { Ok(()) } else { Err("not yet".to_owned()) });
    }
    lanes.call("POST", "/networks/create", &json!({"Name": "axt-prune"}));
    lanes.call("POST", "/volumes/create", &json!({"Name": "axt-prune"}));
    let service = json!({"TaskTemplate": {"ContainerSpec": {"Image": "axt-prune:1"}}});
    let specs = Specs { services: [service].iter().collect(), ..Specs::default() };
    let revision = Revision { number: 0, command: CommandId(Uuid::new_v4()), at: Timestamp::from_millis(0), specs };
    lanes.journal.note(vec![Note::Keep(lanes.stack.clone(), Box::new(revision), 5)]).unwrap();
    lanes.settle(|tasks| tasks.iter().any(|task| task["Status"]["State"] == "running"));

    let told = lanes.run(Action::Prune(Prune { images: true, containers: true, networks: true, keep: 1 })).completed();
    let there = |path: &str| lanes.engine.ask("GET", path).unwrap().status == 200;
    assert_eq!([1, 2, 3].map(|tag| there(&format!("/images/axt-prune:{tag}/json"))), [true, false, true], "{told:#?}");
    assert_eq!([&free, &of_stack].map(|id| there(&format!("/containers/{id}/json"))), [false, true]);
    let kept = [format!("/images/{IMAGE}/json"), "/volumes/axt-prune".to_owned(), format!("/networks/{}", lanes.stack.scoped("default"))];
    assert!(kept.iter().all(|path| there(path)), "{told:#?}");
    assert!(!there("/networks/axt-prune"));
    assert_eq!(told.detail("images")["names"], json!(["axt-prune:2"]));
    assert_eq!((&told.detail("containers")["removed"], &told.detail("networks")["names"]), (&json!(1), &json!(["axt-prune"])));

    let again = lanes.run(Action::Prune(Prune { images: true, containers: true, networks: true, keep: 0 })).completed();
    assert_eq!(again.detail("images")["names"], json!(["axt-prune:3"]));
    lanes.call("DELETE", &format!("/containers/{of_stack}"), &Value::Null);
    lanes.call("DELETE", "/volumes/axt-prune", &Value::Null);
}

fn outgrown_images(stage: &Stage) {
    let mut registry = Registry::start(stage);
    let (lanes, host) = (Lanes::start(stage), registry.host.clone());
    let deploy = |tag: u32| {
        let told = lanes.run(Action::Deploy(pinned(&lanes, &host, tag))).completed();
        told.service("web")["image"].as_str().unwrap().split_once('@').unwrap().1.to_owned()
    };
    let here = |registry: &Registry| -> BTreeSet<String> {
        registry.names().iter().filter_map(|name| Some(name.split_once('@')?.1.to_owned())).collect()
    };
    let mut digests = vec![deploy(1)];
    for tag in 2..=4 {
        registry.add_image(&tag.to_string());
        digests.push(deploy(tag));
    }
    assert_eq!(here(&registry), digests.iter().cloned().collect(), "the containers that have ended hold theirs");
    let ended = json!({"label": [format!("com.docker.stack.namespace={}", lanes.stack)], "status": ["exited"]}).to_string();
    let filter: String = ended.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let containers = lanes.call("GET", &format!("/containers/json?all=true&filters={filter}"), &Value::Null);
    for container in containers.as_array().unwrap() {
        lanes.call("DELETE", &format!("/containers/{}", container["Id"].as_str().unwrap()), &Value::Null);
    }
    registry.add_image("5");
    digests.push(deploy(5));
    // Two revisions are kept, and the first image has a tag.
    let fourth = digests[3].clone();
    digests.drain(1..3);
    assert_eq!(here(&registry), digests.into_iter().collect());
    // Going back needs no registry.
    registry.end();
    let told = lanes
        .run(Action::Rollback(Rollback { target: lanes.target(), to_revision: None, timeout_seconds: None, dry_run: false }))
        .completed();
    assert!(told.service("web")["image"].as_str().unwrap().ends_with(&fourth), "{:#?}", told.outcome);
}

/// A deploy of an image of the registry, by its digest.
fn pinned(lanes: &Lanes, host: &str, tag: u32) -> Deploy {
    let login = RegistryCredential { username: USERNAME.to_owned(), password: Sensitive::new(PASSWORD.to_owned()) };
    let compose = format!(
        "services: {{web: {{image: '{host}/box:{tag}', init: true, stop_grace_period: 1s, command: [sleep, '1000'], \
         deploy: {{endpoint_mode: dnsrr, update_config: {{monitor: 1s}}}}}}}}"
    );
    Deploy { resolve_image: ResolveImage::Always, registry_auth: [(host.to_owned(), login)].into(), ..lanes.deploy(compose) }
}

fn swarm(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let leave = |force| lanes.run(Action::SwarmLeave(SwarmLeave { force }));
    let join = |token: &str| {
        let (remotes, token) = (vec!["127.0.0.1:9".to_owned()], Sensitive::new(token.to_owned()));
        lanes.run(Action::SwarmJoin(SwarmJoin { addresses: SwarmAddresses::default(), remotes, token }))
    };
    join("SWMTKN-1-x").failed(Code::SWARM_ACTIVE, "take it out first");
    leave(false).failed(Code::ENGINE_REFUSED, "manager");
    leave(true).completed();
    leave(true).failed(Code::SWARM_INACTIVE, "no swarm");
    let told = join("SWMTKN-1-canary");
    assert!(matches!(told.outcome.verdict, Verdict::Failed(_)), "{:?}", told.outcome);
    assert!(!format!("{:?}", told.outcome).contains("canary"), "{:?}", told.outcome);
    let addresses = SwarmAddresses { advertise: Some("127.0.0.1".into()), listen: Some("127.0.0.1:2377".into()), data_path: None };
    let told = lanes.run(Action::SwarmInit(addresses.clone())).completed();
    assert_eq!(told.detail("swarm"), "manager");
    assert_ne!(told.detail("node_id"), "");
    lanes.run(Action::SwarmInit(addresses)).failed(Code::SWARM_ACTIVE, "already");
}

fn makes_swarm(stage: &Stage) {
    let lanes = Lanes::with(stage, Swarmless::MakesOne);
    lanes.run(Action::SwarmLeave(SwarmLeave { force: true })).completed();
    let status = || lanes.run(Action::GetStatus(GetStatus { target: None })).completed().detail("swarm").clone();
    assert_eq!(status(), "inactive", "a question makes no swarm");
    // It makes one, and finds no such stack there.
    scale(&lanes, "web", 1).failed(Code::STACK_NOT_FOUND, lanes.stack.as_str());
    assert_eq!(status(), "manager");
    let nodes = lanes.engine.call("GET", "/nodes", &Value::Null).unwrap();
    assert_eq!(nodes[0]["ManagerStatus"]["Addr"], "127.0.0.1:2377", "{nodes}");
}

fn cannot_run(stage: &Stage) {
    let lanes = Lanes::start(stage);
    make_network(&lanes);
    make_service(&lanes, "web", &json!({"Replicated": {"Replicas": 0}}), &["sh", "-c", "exit 3"]);
    // Long enough for a slow machine to start a container and see it end.
    let services = [("web".to_owned(), 1)].into();
    let told = lanes.run(Action::Scale(Scale { target: lanes.target(), services, timeout_seconds: Some(20) }));
    assert_eq!(told.outcome.verdict, Verdict::Failed(Code::TIMED_OUT), "{:?}", told.outcome);
    let errors = told.detail("services")[0]["errors"].to_string();
    assert!(errors.contains("non-zero exit (3)"), "{errors}");
    remove(&lanes, true).completed();
}

fn not_there(stage: &Stage) {
    let lanes = Lanes::start(stage);
    scale(&lanes, "web", 1).failed(Code::STACK_NOT_FOUND, lanes.stack.as_str());
    remove(&lanes, false).failed(Code::STACK_NOT_FOUND, lanes.stack.as_str());
    lanes.run(Action::GetStatus(GetStatus { target: None })).completed();
}

//! What a command finds that an earlier one, or nobody, has brought to its end: jobs that failed, work that was done sooner than
//! Swarm thinks right, restarts, and words that the manager writes its own way.

use super::support::{Lanes, Stage, Told, free_port};
use super::{QUICK, deploy, quick, request, sleeper};
use axion_agent::domain::{Action, Code, Deploy, Ledger, Note, OnFailure, Rollback, Selection, Sensitive};
use serde_json::{Value, json};

fn once(seconds: &str, code: &str) -> String {
    quick(&format!("sh, -c, 'sleep {seconds}; exit {code}'"), ", deploy: {mode: replicated-job, restart_policy: {condition: none}}")
}

fn unchanged(told: Told) -> Told {
    let told = told.completed();
    assert_eq!(told.detail("changed"), false, "{:#?}", told.outcome);
    told
}

pub fn failed_job(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let left = |job: &str| Deploy { on_failure: OnFailure::Leave, ..request(&lanes, &[("web", &sleeper("")), ("once", job)], "") };
    lanes.run(Action::Deploy(left(&once("0", "3")))).failed(Code::JOB_FAILED, "non-zero exit (3)");
    let version = lanes.service("once")["Version"].clone();
    let again = lanes.run(Action::Deploy(left(&once("0", "3")))).failed(Code::JOB_FAILED, "its last run has failed");
    assert_eq!((again.detail("changed"), &lanes.service("once")["Version"]), (&json!(false), &version), "it did not run again");
    assert!(lanes.revisions().is_empty(), "no such state is a good one");

    lanes.run(Action::Deploy(left(&once("0", "0")))).completed();
    unchanged(lanes.run(Action::Deploy(left(&once("0", "0")))));

    // One that still runs is waited for.
    let slow = Deploy { timeout_seconds: Some(4), ..left(&once("8", "0")) };
    lanes.run(Action::Deploy(slow)).failed(Code::TIMED_OUT, "0 of 1 tasks");
    unchanged(lanes.run(Action::Deploy(left(&once("8", "0")))));
}

pub fn done_early(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let service = |value: &str| {
        format!(
            "{QUICK}, command: ['true'], environment: {{V: '{value}'}}, deploy: {{endpoint_mode: dnsrr, restart_policy: {{condition: none}}}}"
        )
    };
    deploy(&lanes, &[("once", &service("1"))]).completed();
    deploy(&lanes, &[("once", &service("2"))]).completed();
    let version = lanes.service("once")["Version"].clone();
    unchanged(deploy(&lanes, &[("once", &service("2"))]));
    assert_eq!(lanes.service("once")["Version"], version, "nothing was written");
    lanes
        .run(Action::Restart(Selection { target: lanes.target(), services: ["once".to_owned()].into(), timeout_seconds: None }))
        .completed();
    // What failed is told as before.
    let broken = service("3").replace("'true'", "'false'");
    deploy(&lanes, &[("once", &broken)]).failed(Code::CRASH_LOOP, "non-zero exit (1)");
}

pub fn restarted(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let file = [("web", sleeper(", labels: {v: '2'}"))];
    let file: Vec<(&str, &str)> = file.iter().map(|(name, service)| (*name, service.as_str())).collect();
    deploy(&lanes, &[("web", &sleeper(", labels: {v: '1'}"))]).completed();
    assert_eq!(deploy(&lanes, &file).completed().detail("revision"), 2);
    for _ in 0..2 {
        lanes.run(Action::Restart(Selection { target: lanes.target(), services: [].into(), timeout_seconds: None })).completed();
        assert_eq!(unchanged(deploy(&lanes, &file)).detail("revision"), 2, "no state is pushed out by the same one");
    }
}

pub fn in_any_case(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let port = free_port();
    let ports = format!("ports: [{{target: 53, published: {port}, protocol: UDP, mode: HOST}}]");
    let mount = "volumes: [{type: bind, source: /usr, target: /t, bind: {propagation: RPRIVATE}}], isolation: Default";
    let service = sleeper("").replacen("init: true", &format!("init: true, {ports}, {mount}"), 1);
    deploy(&lanes, &[("dns", &service)]).completed();
    let tasks = lanes.running();
    unchanged(deploy(&lanes, &[("dns", &service)]));
    assert_eq!((tasks.len(), lanes.running()), (1, tasks));
    let taken = service.replacen("UDP", "udp", 1);
    deploy(&lanes, &[("dns", &service), ("second", &taken)]).failed(Code::PORT_CLASH, &port.to_string());
}

pub fn on_a_foreign_network(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let on_host = sleeper("").replacen("init: true", "init: true, networks: [outside]", 1);
    let networks = "networks: {outside: {external: true, name: host}}\n";
    let run = || lanes.run(Action::Deploy(request(&lanes, &[("web", &on_host)], networks)));
    run().completed();
    let warnings = unchanged(run()).detail("warnings").clone();
    assert!(!warnings.to_string().contains("was changed by somebody else"), "{warnings}");
    assert_eq!(lanes.call("GET", "/tasks", &Value::Null).as_array().map(|tasks| !tasks.is_empty()), Some(true));
}

fn with_contents(content: &str, label: &str) -> (String, String) {
    let web = sleeper("").replacen("init: true", "init: true, secrets: [key], configs: [page]", 1);
    let of = |kind: &str, name: &str| format!("{kind}s: {{{name}: {{file: {content}.txt, labels: {{rev: '{label}'}}}}}}\n");
    (web, of("secret", "key") + &of("config", "page"))
}

pub fn labelled(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let run = |label: &str| {
        let (web, rest) = with_contents("a", label);
        let files = Sensitive::new([("a.txt".to_owned(), b"a".to_vec())].into());
        lanes.run(Action::Deploy(Deploy { files, ..request(&lanes, &[("web", &web)], &rest) })).completed()
    };
    run("1");
    let tasks = lanes.running();
    let told = run("2");
    assert_eq!(
        (told.detail("secrets")[0]["action"].as_str(), told.detail("configs")[0]["action"].as_str()),
        (Some("update"), Some("update"))
    );
    for kind in ["secrets", "configs"] {
        assert_eq!(lanes.list(kind)[0]["Spec"]["Labels"]["rev"], "2", "{kind}");
    }
    assert_eq!((unchanged(run("2")).detail("revision"), lanes.running()), (&json!(1), tasks), "labels replace no task");
}

pub fn lost_journal(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let run = |content: &str| {
        let (web, rest) = with_contents(content, "1");
        let files = Sensitive::new([(format!("{content}.txt"), content.as_bytes().to_vec())].into());
        lanes.run(Action::Deploy(Deploy { files, ..request(&lanes, &[("web", &web)], &rest) })).completed()
    };
    run("a");
    run("b");
    let (tasks, spec) = (lanes.running(), lanes.service("web")["Spec"].clone());
    // With the owner the key is gone that the names are made with.
    lanes.journal.note(vec![Note::Forget(lanes.stack.clone())]).unwrap();
    let told = run("b");
    assert_eq!((told.service("web")["action"].as_str(), lanes.running()), (Some("unchanged"), tasks), "{:#?}", told.outcome);
    assert_eq!(lanes.service("web")["Spec"], spec);
    run("c");
    assert_ne!(lanes.service("web")["Spec"]["TaskTemplate"], spec["TaskTemplate"], "another content is another object");
}

pub fn taken_subnet(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let on = |network: &str| sleeper("").replacen("init: true", &format!("init: true, networks: [{network}]"), 1);
    let networks = |name: &str| format!("networks: {{{name}: {{ipam: {{config: [{{subnet: 10.213.7.0/24}}]}}}}}}\n");
    let run = |name: &str| lanes.run(Action::Deploy(request(&lanes, &[("web", &on(name))], &networks(name))));
    run("first").completed();
    let tasks = lanes.running();
    let told = run("second").failed(Code::SUBNET_TAKEN, &lanes.stack.scoped("first"));
    assert_eq!((told.detail("changed"), lanes.running()), (&json!(false), tasks));
    unchanged(run("first"));
}

pub fn gone_contents(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let run = |command: &str| {
        let (web, rest) = with_contents("a", "1");
        let web =
            web.replace("sleep, '1000'", command).replace("endpoint_mode: dnsrr", "endpoint_mode: dnsrr, restart_policy: {delay: 1s}");
        let files = Sensitive::new([("a.txt".to_owned(), b"a".to_vec())].into());
        lanes.run(Action::Deploy(Deploy { files, ..request(&lanes, &[("web", &web)], &rest) }))
    };
    run("sleep, '1000'").completed();
    run("sleep, '2000'").completed();
    // As `docker stack rm` does.
    lanes.call("DELETE", &format!("/services/{}", lanes.stack.scoped("web")), &Value::Null);
    for (kind, name) in [("secrets", "key"), ("configs", "page")] {
        lanes.call("DELETE", &format!("/{kind}/{}", lanes.stack.scoped(name)), &Value::Null);
    }
    let back = Rollback { target: lanes.target(), to_revision: Some(1), timeout_seconds: None, dry_run: false };
    let told = lanes.run(Action::Rollback(back)).failed(Code::REFERENCE_MISSING, "of revision 1 is gone");
    assert_eq!(told.detail("changed"), false, "that one was chosen is no change");
    let told = run("sh, -c, exit 7").failed(Code::CRASH_LOOP, "non-zero exit (7)");
    assert_eq!((told.detail("rolled_back"), lanes.counts()[0]), (&json!("partial"), 0), "{:#?}", told.outcome);
    run("sleep, '1000'").completed();
}

//! What Swarm cannot change is made anew: networks that are redefined, services of another mode. What left the file, and
//! what others changed.

use super::support::{Lanes, Stage};
use super::{QUICK, deploy, quick, request, sleeper};
use axion_agent::domain::{Action, Code, Deploy, GetStatus, Ledger, Note, OnFailure, Rollback, Scale, Selection, Sensitive};
use serde_json::{Value, json};

const PLAIN: &str = "networks: {default: {}, aside: {}}\n";
const REDEFINED: &str = "networks: {default: {attachable: true, driver_opts: {encrypted: ''}}, aside: {}}\n";

fn run(lanes: &Lanes, services: &[(&str, &str)], networks: &str) -> super::Told {
    lanes.run(Action::Deploy(request(lanes, services, networks)))
}

fn network_named(lanes: &Lanes, name: &str) -> Value {
    lanes.call("GET", &format!("/networks/{}", lanes.stack.scoped(name)), &Value::Null)
}

fn named<'a>(told: &'a super::Told, name: &str) -> &'a Value {
    let networks = told.detail("networks").as_array().unwrap();
    networks.iter().find(|network| network["name"].as_str().unwrap().ends_with(name)).unwrap()
}

pub fn network(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let (web, side) = (sleeper(", replicas: 2"), sleeper("").replacen("init: true", "init: true, networks: [aside]", 1));
    let job = quick("'true'", ", deploy: {mode: replicated-job, restart_policy: {condition: none}}");
    let services = [("web", web.as_str()), ("side", side.as_str()), ("once", job.as_str())];
    run(&lanes, &services, PLAIN).completed();
    let (before, aside) = (network_named(&lanes, "default"), lanes.service("side")["Version"].clone());
    let again = run(&lanes, &services, PLAIN).completed();
    assert_eq!(again.detail("changed"), false, "what the manager adds is no difference: {:#?}", again.outcome);

    let dry = lanes.run(Action::Deploy(Deploy { dry_run: true, ..request(&lanes, &services, REDEFINED) })).completed();
    assert_eq!(network_named(&lanes, "default"), before);
    let told = run(&lanes, &services, REDEFINED).completed();
    for told in [&dry, &told] {
        let network = named(told, "default");
        assert_eq!((&network["action"], &named(told, "aside")["action"]), (&json!("replace"), &json!("unchanged")));
        let attachable = json!({"field": "Attachable", "old": false, "new": true});
        assert!(network["changes"].as_array().unwrap().contains(&attachable), "{network}");
        assert_eq!((&told.service("web")["action"], &told.service("web")["tasks"]), (&json!("replace"), &json!("replaced")));
        assert_eq!(told.service("once")["tasks"], "run_again");
        assert_eq!(told.service("side")["action"], "unchanged");
    }
    assert!(told.phases().contains(&"replace"), "{:?}", told.phases());
    let after = network_named(&lanes, "default");
    assert_eq!((&after["Attachable"], after["Id"] == before["Id"]), (&json!(true), false));
    assert_eq!((lanes.running().len(), &lanes.service("side")["Version"]), (3, &aside), "what is not attached was not touched");
    assert_eq!(run(&lanes, &services, REDEFINED).completed().detail("changed"), false);

    // A deploy that makes it anew and fails goes back by the same way.
    let broken = quick("sh, -c, exit 7", ", deploy: {endpoint_mode: dnsrr, restart_policy: {delay: 1s}}");
    let told = run(&lanes, &[("web", &broken), ("side", &side)], PLAIN).failed(Code::CRASH_LOOP, "non-zero exit (7)");
    assert_eq!(network_named(&lanes, "default")["Attachable"], true, "{:#?}", told.outcome);
    let spec = lanes.service("web")["Spec"]["TaskTemplate"]["ContainerSpec"]["Args"].clone();
    assert_eq!((spec, lanes.running().len()), (json!(["sleep", "1000"]), 3), "{:#?}", told.outcome);
    assert_eq!(told.detail("rolled_back"), "partial", "the job is not run again: {:#?}", told.outcome);
    assert!(told.detail("rollback").to_string().contains("once is not made again"), "{:#?}", told.outcome);

    // Without a revision too: the services come back on the network that does, which has another id.
    lanes.journal.note(vec![Note::Forget(lanes.stack.clone())]).unwrap();
    let told = run(&lanes, &[("web", &broken), ("side", &side)], PLAIN).failed(Code::CRASH_LOOP, "non-zero exit (7)");
    assert_eq!((told.detail("rolled_back"), lanes.running().len()), (&json!(true), 3), "{:#?}", told.outcome);
    assert_eq!(network_named(&lanes, "default")["Attachable"], true);
}

pub fn in_use(stage: &Stage) {
    let lanes = Lanes::start(stage);
    run(&lanes, &[("web", &sleeper(""))], PLAIN).completed();
    let name = format!("{}-guest", lanes.stack);
    let guest = json!({
        "Name": name, "EndpointSpec": {"Mode": "dnsrr"}, "Mode": {"Replicated": {"Replicas": 0}},
        "TaskTemplate": {"ContainerSpec": {"Image": "axion-test/box:1"}, "Networks": [{"Target": lanes.stack.scoped("default")}]},
    });
    lanes.call("POST", "/services/create", &guest);
    let (running, before) = (lanes.running(), network_named(&lanes, "default"));
    let told = run(&lanes, &[("web", &sleeper(""))], REDEFINED).failed(Code::NETWORK_IN_USE, &name);
    lanes.call("DELETE", &format!("/services/{name}"), &Value::Null);
    assert_eq!(
        (told.detail("changed"), lanes.running(), network_named(&lanes, "default")["Id"] == before["Id"]),
        (&json!(false), running, true)
    );
    run(&lanes, &[("web", &sleeper(""))], REDEFINED).completed();

    // A single container shows only on its node.
    let attached = json!({
        "Image": "axion-test/box:1", "Cmd": ["sleep", "1000"], "HostConfig": {"Init": true},
        "NetworkingConfig": {"EndpointsConfig": {lanes.stack.scoped("default"): {}}},
    });
    lanes.call("POST", &format!("/containers/create?name={name}"), &attached);
    lanes.call("POST", &format!("/containers/{name}/start"), &Value::Null);
    let running = lanes.running();
    let told = run(&lanes, &[("web", &sleeper(""))], PLAIN).failed(Code::NETWORK_IN_USE, &format!("container {name}"));
    lanes.call("DELETE", &format!("/containers/{name}?force=true"), &Value::Null);
    assert_eq!((told.detail("changed"), lanes.running()), (&json!(false), running));
    run(&lanes, &[("web", &sleeper(""))], PLAIN).completed();
}

pub fn mode(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let mode_of = |lanes: &Lanes| lanes.service("web")["Spec"]["Mode"].as_object().unwrap().keys().next().cloned().unwrap();
    deploy(&lanes, &[("web", &sleeper(", replicas: 2"))]).completed();
    let before = lanes.running();
    let told = deploy(&lanes, &[("web", &sleeper(", mode: global"))]).completed();
    assert_eq!((&told.service("web")["action"], &told.service("web")["tasks"]), (&json!("replace"), &json!("replaced")));
    assert!(told.service("web")["reason"].as_str().unwrap().contains("from replicated to global"), "{:#?}", told.outcome);
    let now = lanes.running();
    assert!(mode_of(&lanes) == "Global" && now.len() == 1 && !now.iter().any(|task| before.contains(task)));

    let job =
        format!("{QUICK}, command: ['false'], deploy: {{mode: replicated-job, endpoint_mode: dnsrr, restart_policy: {{condition: none}}}}");
    let told = deploy(&lanes, &[("web", &job)]).failed(Code::JOB_FAILED, "non-zero exit (1)");
    assert_eq!(
        (told.detail("rolled_back"), mode_of(&lanes).as_str(), lanes.running().len()),
        (&json!(true), "Global", 1),
        "{:#?}",
        told.outcome
    );

    let back = Rollback { target: lanes.target(), to_revision: Some(1), timeout_seconds: None, dry_run: false };
    lanes.run(Action::Rollback(back)).completed();
    assert_eq!((mode_of(&lanes).as_str(), lanes.running().len()), ("Replicated", 2));

    // Without a revision the journal remembers what was replaced.
    lanes.journal.note(vec![Note::Forget(lanes.stack.clone())]).unwrap();
    let broken = quick("sh, -c, exit 7", ", deploy: {mode: global, endpoint_mode: dnsrr, restart_policy: {delay: 1s}}");
    let told = deploy(&lanes, &[("web", &broken)]).failed(Code::CRASH_LOOP, "non-zero exit (7)");
    assert_eq!(
        (told.detail("rolled_back"), mode_of(&lanes).as_str(), lanes.running().len()),
        (&json!(true), "Replicated", 2),
        "{:#?}",
        told.outcome
    );
    let left = Deploy { on_failure: OnFailure::Leave, ..request(&lanes, &[("web", &broken)], "") };
    lanes.run(Action::Deploy(left)).failed(Code::CRASH_LOOP, "non-zero exit (7)");
    assert_eq!(mode_of(&lanes), "Global");
}

pub fn leaving(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let aside = sleeper("").replacen("init: true", "init: true, networks: [aside]", 1);
    run(&lanes, &[("web", &aside)], PLAIN).completed();
    let labels = json!({"com.docker.stack.namespace": lanes.stack.as_str()});
    let foreign = lanes.stack.scoped("foreign");
    lanes.call("POST", "/networks/create", &json!({"Name": foreign, "Driver": "overlay", "Labels": labels}));
    let data = json!({"Name": foreign, "Data": "eA==", "Labels": labels});
    lanes.call("POST", "/configs/create", &data);

    let kept = Deploy { prune: false, ..request(&lanes, &[("web", &sleeper(""))], "") };
    let told = lanes.run(Action::Deploy(kept)).completed();
    let warnings = told.detail("warnings").to_string();
    assert!(warnings.contains("aside is used by no service of the file: it stays, as prune is off"), "{warnings}");
    assert!(warnings.contains(&format!("network {foreign} is not in the file and was not made here")), "{warnings}");
    assert!(warnings.contains(&format!("config {foreign} is not in the file and was not made here")), "{warnings}");
    let told = deploy(&lanes, &[("web", &sleeper(""))]).completed();
    assert_eq!(named(&told, "aside")["action"], "remove");
    let mut names: Vec<String> = lanes.list("networks").iter().map(|network| network["Name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, [lanes.stack.scoped("default"), foreign]);
    assert_eq!(deploy(&lanes, &[("web", &sleeper(""))]).completed().detail("changed"), false);
}

pub fn back_without(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let on = |network: &str| sleeper("").replacen("init: true", &format!("init: true, networks: [{network}]"), 1);
    let names = || {
        let mut names: Vec<String> = lanes.list("networks").iter().map(|network| network["Name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    run(&lanes, &[("web", &on("aside"))], "networks: {aside: }\n").completed();
    run(&lanes, &[("web", &on("spare"))], "networks: {spare: }\n").completed();
    assert_eq!(names(), [lanes.stack.scoped("spare")]);

    let back = |dry_run| Rollback { target: lanes.target(), to_revision: None, timeout_seconds: None, dry_run };
    let told = lanes.run(Action::Rollback(back(true))).completed();
    assert_eq!(named(&told, "spare")["action"], "remove", "{:#?}", told.outcome);
    assert_eq!(named(&told, "spare")["reason"], "it is not in the revision");
    assert_eq!(named(&told, "aside")["action"], "create");
    assert_eq!(names(), [lanes.stack.scoped("spare")], "nothing was changed");
    let told = lanes.run(Action::Rollback(back(false))).completed();
    assert_eq!((names(), told.detail("warnings")), (vec![lanes.stack.scoped("aside")], &json!([])));

    // What a service of somebody else's is attached to stays, and is named.
    run(&lanes, &[("web", &on("spare"))], "networks: {spare: }\n").completed();
    let foreign = lanes.stack.scoped("foreign");
    let mut spec = lanes.service("web")["Spec"].clone();
    spec["Name"] = json!(foreign);
    spec["Labels"] = json!({"com.docker.stack.namespace": lanes.stack.as_str()});
    lanes.call("POST", "/services/create", &spec);
    let told = lanes.run(Action::Rollback(back(false))).completed();
    let warnings = told.detail("warnings").to_string();
    assert!(warnings.contains(&format!("spare is not in the revision: it stays, as service {foreign} is attached to it")), "{warnings}");
    assert_eq!((told.detail("foreign"), names().len()), (&json!([foreign]), 2));
}

/// A file of one service with a network, a secret and a config of its own, that runs `command`.
fn with_its_own(lanes: &Lanes, command: &str, own: &str) -> Deploy {
    let service = quick(command, ", deploy: {endpoint_mode: dnsrr, restart_policy: {max_attempts: 1, delay: 0s}}").replacen(
        "init: true",
        &format!("init: true, networks: [{own}], secrets: [{own}], configs: [{own}]"),
        1,
    );
    let rest =
        format!("networks: {{{own}: {{}}}}\nsecrets: {{{own}: {{environment: CONTENT}}}}\nconfigs: {{{own}: {{content: 'of {own}'}}}}\n");
    let env = [("CONTENT".to_owned(), format!("content of {own}"))].into();
    Deploy { env: Sensitive::new(env), ..request(lanes, &[("web", &service)], &rest) }
}

pub fn orphans(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let (good, bad) = (|own: &str| with_its_own(&lanes, "sleep, '1000'", own), |own: &str| with_its_own(&lanes, "'false'", own));
    let leave = |own: &str| Deploy { on_failure: OnFailure::Leave, ..bad(own) };
    let one_each = [1, 1, 1, 1];
    lanes.run(Action::Deploy(good("first"))).completed();
    assert_eq!(lanes.counts(), one_each);

    // By the same file again, which is no new revision.
    lanes.run(Action::Deploy(leave("second"))).failed(Code::CRASH_LOOP, "");
    assert_eq!(lanes.counts(), [1, 2, 2, 2], "what it made stays");
    let planned = lanes.run(Action::Deploy(Deploy { dry_run: true, ..good("first") })).completed();
    let goes = |kind: &str| planned.detail(kind).as_array().unwrap().iter().filter(|one| one["action"] == "remove").count();
    assert_eq!(["networks", "secrets", "configs"].map(goes), [1, 1, 1], "{:#?}", planned.outcome);
    let told = lanes.run(Action::Deploy(good("first"))).completed();
    assert_eq!((told.detail("warnings"), lanes.counts()), (&json!([]), one_each), "it is gone, and nobody calls it foreign");
    assert_eq!(lanes.journal.stack(&lanes.stack).unwrap().orphans, []);

    // By a rollback.
    lanes.run(Action::Deploy(leave("second"))).failed(Code::CRASH_LOOP, "");
    let back = Rollback { target: lanes.target(), to_revision: None, timeout_seconds: None, dry_run: false };
    let told = lanes.run(Action::Rollback(back)).completed();
    assert_eq!((told.detail("warnings"), lanes.counts()), (&json!([]), one_each));

    // By another file, to which a part of it is good.
    lanes.run(Action::Deploy(leave("second"))).failed(Code::CRASH_LOOP, "");
    lanes.run(Action::Deploy(leave("third"))).failed(Code::CRASH_LOOP, "");
    assert_eq!(lanes.counts(), [1, 3, 3, 3]);
    lanes.run(Action::Deploy(good("second"))).completed();
    assert_eq!(lanes.counts(), [1, 1, 2, 2], "but for what the revision before needs");
    assert_eq!(lanes.journal.stack(&lanes.stack).unwrap().orphans, []);
    for file in ["third", "fourth"] {
        lanes.run(Action::Deploy(good(file))).completed();
    }
    assert_eq!(lanes.counts(), [1, 1, 2, 2], "it went with its revision");
}

pub fn lingering(stage: &Stage) {
    let lanes = Lanes::start(stage);
    // It ends only when it is killed.
    let slow = "image: 'axion-test/box:1', stop_grace_period: 4s, command: [sh, -c, \"trap '' TERM; while :; do sleep 1; done\"], \
                deploy: {endpoint_mode: dnsrr}";
    run(&lanes, &[("web", slow)], "").completed();
    let remove = || {
        let before = network_named(&lanes, "default")["Id"].clone();
        for (kind, id) in [("services", "ID"), ("networks", "Id")] {
            for one in lanes.list(kind) {
                lanes.call("DELETE", &format!("/{kind}/{}", one[id].as_str().unwrap()), &Value::Null);
            }
        }
        assert_eq!(lanes.counts()[..2], [0, 1], "its container is on it");
        before
    };
    let before = remove();
    let planned = lanes.run(Action::Deploy(Deploy { dry_run: true, ..request(&lanes, &[("web", slow)], "") })).completed();
    assert_eq!(named(&planned, "default")["action"], "replace", "{:#?}", planned.outcome);
    run(&lanes, &[("web", slow)], "").completed();
    let second = remove();
    assert_ne!(before, second);
    let back = Rollback { target: lanes.target(), to_revision: Some(1), timeout_seconds: None, dry_run: false };
    lanes.run(Action::Rollback(back)).completed();
    let third = remove();
    lanes.run(Action::Start(Selection { target: lanes.target(), services: [].into(), timeout_seconds: None })).completed();
    assert!(third != second && network_named(&lanes, "default")["Id"] != third);
    assert_eq!(lanes.counts()[..2], [1, 1], "no second network of its name is left");
}

pub fn scaled(stage: &Stage) {
    let lanes = Lanes::start(stage);
    deploy(&lanes, &[("web", &sleeper(", replicas: 2")), ("side", &sleeper(", replicas: 2"))]).completed();
    let services = [("web".to_owned(), 3), ("side".to_owned(), 1)].into();
    lanes.run(Action::Scale(Scale { target: lanes.target(), services, timeout_seconds: None })).completed();
    let failing = quick("'false'", ", deploy: {endpoint_mode: dnsrr, replicas: 2, restart_policy: {max_attempts: 1, delay: 0s}}");
    let told = deploy(&lanes, &[("web", &failing), ("side", &sleeper(", replicas: 2"))]).failed(Code::CRASH_LOOP, "");
    assert_eq!(told.detail("rolled_back"), true, "{:#?}", told.outcome);
    let count = |name: &str| lanes.service(name)["Spec"]["Mode"]["Replicated"]["Replicas"].as_u64().unwrap();
    assert_eq!((count("web"), count("side")), (3, 1));
}

pub fn drift(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let file = [("web", sleeper("")), ("side", sleeper(""))];
    let services: Vec<(&str, &str)> = file.iter().map(|(name, service)| (*name, service.as_str())).collect();
    deploy(&lanes, &services).completed();
    let restart = Selection { target: lanes.target(), services: ["side".to_owned()].into(), timeout_seconds: None };
    lanes.run(Action::Restart(restart)).completed();
    let mut service = lanes.service("web");
    service["Spec"]["Labels"]["edited"] = json!("by hand");
    let path = format!("/services/{}/update?version={}", service["ID"].as_str().unwrap(), service["Version"]["Index"]);
    lanes.call("POST", &path, &service["Spec"]);

    let status = lanes.run(Action::GetStatus(GetStatus { target: Some(lanes.target()) })).completed();
    let told = status.detail("stacks")[0]["services"].as_array().unwrap();
    let of = |name: &str| &told.iter().find(|service| service["name"] == name).unwrap()["drift"];
    let drift = json!({"revision": 1, "changes": [{"field": "Labels.edited", "old": "by hand", "new": null}]});
    assert_eq!((of("web"), of("side")), (&drift, &Value::Null), "a restart is our own");
    let words = "web was changed by somebody else since revision 1: Labels.edited";
    let back = Rollback { target: lanes.target(), to_revision: Some(1), timeout_seconds: None, dry_run: true };
    let told = lanes.run(Action::Rollback(back)).completed();
    assert_eq!((&told.service("web")["drift"], &told.service("web")["action"]), (&drift, &json!("update")));
    assert!(told.detail("warnings").to_string().contains(words), "{:#?}", told.outcome);
    assert_eq!(lanes.service("web")["Spec"]["Labels"]["edited"], "by hand");

    let told = deploy(&lanes, &services).completed();
    assert_eq!((&told.service("web")["drift"], &told.service("web")["action"]), (&drift, &json!("update")));
    assert!(told.detail("warnings").to_string().contains(words));
    assert_eq!(told.service("side")["action"], "unchanged");
}

//! Somebody else at work in the same stack while it is deployed.

use crate::case::{Case, edit, start, tasks_of, text, update_of, web};
use crate::support::{Gate, Lanes, Stage, Told};
use axion_agent::domain::Code;
use serde_json::{Value, json};

const SLEEP: &str = "sleep, '1000'";

/// A good update, that somebody gets in the way of.
fn case(code: Code, words: &str) -> Case<'_> {
    Case::of(web(SLEEP, ", environment: {V: two}", ""), code, words, 0)
}

/// Runs it, and `meddle` while the request with this method and path is held up.
fn meddled(stage: &Stage, case: &Case, at: impl Fn(&Lanes) -> (&'static str, String), meddle: impl FnOnce(&Lanes)) -> Told {
    let (lanes, gate) = Lanes::behind_a_gate(stage.engine(), stage.directory());
    let before = case.begin(&lanes);
    let (method, path) = at(&lanes);
    let held = gate.hold(method, &path);
    let running = start(&lanes, case.request(&lanes));
    let held = held.reached();
    meddle(&lanes);
    drop(held);
    let told = case.check_verdict(running.end());
    match &told.outcome.details["rolled_back"] {
        Value::Bool(true) => before.compare(&lanes),
        _ => before.compare_but(&lanes, "web"),
    }
    told
}

fn writing(service: &'static str) -> impl Fn(&Lanes) -> (&'static str, String) {
    move |lanes| ("POST", update_of(lanes, service))
}

/// After all was written: the first look at the tasks is held up.
fn looking(_: &Lanes) -> (&'static str, String) {
    ("GET", "up-to-date".to_owned())
}

fn remove(lanes: &Lanes, kind: &str, name: &str) {
    let all = lanes.list(kind);
    let found = all.iter().find(|one| text(&one["Spec"]["Name"]) == name || text(&one["Name"]) == name);
    let found = found.unwrap_or_else(|| panic!("no {name} in {all:#?}"));
    let id = found.get("ID").unwrap_or(&found["Id"]);
    lanes.call("DELETE", &format!("/{kind}/{}", text(id)), &Value::Null);
}

pub fn updated_before(stage: &Stage) {
    edited(stage, &writing("web"));
}

pub fn updated_after(stage: &Stage) {
    edited(stage, &looking);
}

/// What somebody else wants stays, all else goes back.
fn edited(stage: &Stage, at: &dyn Fn(&Lanes) -> (&'static str, String)) {
    let case = case(Code::CONFLICT, "somebody else changed");
    let (lanes, gate) = Lanes::behind_a_gate(stage.engine(), stage.directory());
    let before = case.begin(&lanes);
    let (method, path) = at(&lanes);
    let held = gate.hold(method, &path);
    let running = start(&lanes, case.request(&lanes));
    let held = held.reached();
    edit(&lanes, "web");
    drop(held);
    let told = case.check_verdict(running.end());
    assert_eq!(told.detail("rolled_back"), "partial", "{:#?}", told.outcome);
    assert!(told.detail("rollback").to_string().contains("web was"), "{:#?}", told.outcome);
    let now = lanes.service("web")["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"].clone();
    assert_eq!(now, json!(["SOMEBODY=else"]));
    before.compare_but(&lanes, "web");
}

pub fn removed_before(stage: &Stage) {
    let case = case(Code::CONFLICT, "somebody else removed");
    let told = meddled(stage, &case, writing("web"), |lanes| remove(lanes, "services", &lanes.stack.scoped("web")));
    // This command did not touch it: it stays as somebody else wants it.
    assert_eq!(told.detail("rolled_back"), "partial", "{:#?}", told.outcome);
}

pub fn removed_after(stage: &Stage) {
    let case = case(Code::CONFLICT, "somebody removed it meanwhile");
    let told = meddled(stage, &case, looking, |lanes| remove(lanes, "services", &lanes.stack.scoped("web")));
    assert_eq!(told.detail("rolled_back"), true, "{:#?}", told.outcome);
}

pub fn removed_unchanged(stage: &Stage) {
    let case = case(Code::CONFLICT, "somebody removed it meanwhile");
    let (lanes, gate) = Lanes::behind_a_gate(stage.engine(), stage.directory());
    let before = case.begin(&lanes);
    let held = gate.hold("GET", "up-to-date");
    let running = start(&lanes, case.request_that_leaves_side(&lanes));
    let held = held.reached();
    remove(&lanes, "services", &lanes.stack.scoped("side"));
    drop(held);
    let told = case.check_verdict(running.end());
    assert_eq!(told.detail("rolled_back"), "partial", "{:#?}", told.outcome);
    assert!(told.detail("rollback").to_string().contains("side"), "{:#?}", told.outcome);
    before.compare_but(&lanes, "side");
}

pub fn config_made(stage: &Stage) {
    let case = case(Code::CONFLICT, "already exists");
    let (lanes, gate) = Lanes::behind_a_gate(stage.engine(), stage.directory());
    let before = case.begin(&lanes);
    let held = gate.hold("POST", "/configs/create");
    let mut running = start(&lanes, case.request(&lanes));
    running.until("plan");
    let held = held.reached();
    let name = running.told("plan").details["configs"][0]["object"].as_str().unwrap().to_owned();
    let foreign = json!({"Name": name, "Labels": {}, "Data": "c29tZWJvZHk="});
    let id = lanes.call("POST", "/configs/create", &foreign)["ID"].clone();
    drop(held);
    let told = case.check_verdict(running.end());
    assert_eq!(told.detail("changed"), told.detail("rolled_back"), "{:#?}", told.outcome);
    before.compare(&lanes);
    lanes.call("DELETE", &format!("/configs/{}", text(&id)), &Value::Null);
}

pub fn config_removed(stage: &Stage) {
    let case = case(Code::ENGINE_REFUSED, "config");
    let told = meddled(stage, &case, writing("web"), |lanes| {
        let new = lanes.list("configs").into_iter().map(|config| text(&config["Spec"]["Name"])).max_by_key(String::len).unwrap();
        remove(lanes, "configs", &new);
    });
    assert_eq!(told.detail("rolled_back"), true, "{:#?}", told.outcome);
}

pub fn network_removed(stage: &Stage) {
    let bad = web(SLEEP, ", networks: [more]", "");
    let case = Case { rest: "networks: {more: {}}\n", ..Case::of(bad, Code::CONFLICT, "somebody else removed the network", 0) };
    let told = meddled(stage, &case, writing("web"), |lanes| remove(lanes, "networks", &lanes.stack.scoped("more")));
    assert_eq!(told.detail("rolled_back"), true, "{:#?}", told.outcome);
}

pub fn cancelled(stage: &Stage) {
    let case = case(Code::CANCELLED, "cancelled");
    let (lanes, gate): (Lanes, Gate) = Lanes::behind_a_gate(stage.engine(), stage.directory());
    let before = case.begin(&lanes);
    let kept = tasks_of(&lanes, "web");
    let held = gate.hold("POST", &update_of(&lanes, "web"));
    let mut running = start(&lanes, case.request(&lanes));
    let held = held.reached();
    running.cancel();
    drop(held);
    case.check(&lanes, running.end(), &before);
    assert_ne!(tasks_of(&lanes, "web"), kept, "it was written, and went back");
}

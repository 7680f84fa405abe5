//! What is refused: by the agent before anything is made, by the engine in the middle, by a registry.

use crate::case::{Before, Case, deploy, good, sleeper, start, web};
use crate::support::{Lanes, PASSWORD, Registry, Stage, USERNAME};
use axion_agent::domain::{Action, Code, Deploy, OnFailure, RegistryCredential, ResolveImage, Sensitive};
use serde_json::json;
use std::collections::BTreeMap;

const SLEEP: &str = "sleep, '1000'";
/// Swarm takes secrets of up to 500 kB.
const TOO_LARGE: usize = 600_000;

pub fn missing_secret(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let bad = web(SLEEP, ", secrets: [word]", "");
    let rest = "secrets: {word: {external: true, name: axd-nosuch}}\n";
    let case = Case { rest, ..Case::of(bad, Code::REFERENCE_MISSING, "axd-nosuch", 0) };
    let before = case.begin(&lanes);
    let told = case.check_verdict(lanes.run(Action::Deploy(case.request(&lanes))));
    assert_eq!((told.detail("changed"), told.detail("rolled_back")), (&json!(false), &json!(false)));
    before.compare(&lanes);
}

pub fn large_secret(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let bad = web(SLEEP, ", secrets: [word]", "");
    let case = Case { rest: "secrets: {word: {file: word.txt}}\n", ..Case::of(bad, Code::COMPOSE_INVALID, "600000 bytes", 0) };
    let before = case.begin(&lanes);
    let mut request = case.request(&lanes);
    let mut files = request.files.reveal().clone();
    files.insert("word.txt".to_owned(), vec![b'x'; TOO_LARGE]);
    request.files = Sensitive::new(files);
    let told = case.check_verdict(lanes.run(Action::Deploy(request)));
    assert_eq!((told.detail("changed"), told.detail("rolled_back")), (&json!(false), &json!(false)));
    before.compare(&lanes);
}

pub fn template(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let case = Case::of(web(SLEEP, ", hostname: '{{.Nothing}}'", ""), Code::ENGINE_REFUSED, "expanding hostname", 0);
    let before = case.begin(&lanes);
    let told = case.check_verdict(lanes.run(Action::Deploy(case.request(&lanes))));
    // Whether something was made before it decides whether there is anything to go back from.
    assert_eq!(told.detail("changed"), told.detail("rolled_back"), "{:#?}", told.outcome);
    before.compare(&lanes);
}

pub fn network_driver(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let bad = web(SLEEP, ", networks: [odd]", "");
    let case = Case { rest: "networks: {odd: {driver: axd-nosuch}}\n", ..Case::of(bad, Code::ENGINE_REFUSED, "axd-nosuch", 15) };
    let before = case.begin(&lanes);
    // The engine looks for the driver for so long.
    let told = case.check_verdict(lanes.run(Action::Deploy(case.request(&lanes))));
    assert_eq!(told.detail("changed"), told.detail("rolled_back"), "{:#?}", told.outcome);
    before.compare(&lanes);
}

/// A deploy whose `web` is this image of the registry.
fn from_registry(lanes: &Lanes, image: &str, host: &str, password: &str) -> Deploy {
    let web = web(SLEEP, "", "").replace("axion-test/box:1", image);
    let login = RegistryCredential { username: USERNAME.to_owned(), password: Sensitive::new(password.to_owned()) };
    Deploy {
        resolve_image: ResolveImage::Always,
        registry_auth: BTreeMap::from([(host.to_owned(), login)]),
        ..deploy(lanes, &[("new", &sleeper("", "")), ("side", &sleeper("", "")), ("web", &web)], "", "two")
    }
}

pub fn wrong_password(stage: &Stage) {
    let registry = Registry::start(stage);
    let lanes = Lanes::start(stage);
    lanes.run(Action::Deploy(good(&lanes, &web(SLEEP, "", "")))).completed();
    let before = Before::of(&lanes);
    let request = from_registry(&lanes, &format!("{}/box:1", registry.host), &registry.host, "wrong");
    let told = lanes.run(Action::Deploy(request)).failed(Code::IMAGE_AUTH, "unauthorized");
    assert_eq!((told.detail("changed"), told.detail("rolled_back")), (&json!(false), &json!(false)));
    before.compare(&lanes);
}

pub fn other_platform(stage: &Stage) {
    let registry = Registry::start(stage);
    registry.add_for("arm", "arm64");
    let lanes = Lanes::start(stage);
    lanes.run(Action::Deploy(good(&lanes, &web(SLEEP, "", "")))).completed();
    let before = Before::of(&lanes);
    let request = from_registry(&lanes, &format!("{}/box:arm", registry.host), &registry.host, PASSWORD);
    let told = lanes.run(Action::Deploy(request)).failed(Code::NO_SUITABLE_NODE, "is made for linux/arm64");
    assert_eq!((told.detail("changed"), told.detail("rolled_back")), (&json!(false), &json!(false)));
    before.compare(&lanes);
}

/// It says which digest the tag has, and is gone when the node wants to pull it.
pub fn registry_goes(stage: &Stage) {
    let mut registry = Registry::start(stage);
    let (lanes, gate) = Lanes::behind_a_gate(stage.engine(), stage.directory());
    lanes.run(Action::Deploy(good(&lanes, &web(SLEEP, "", "")))).completed();
    let before = Before::of(&lanes);
    let held = gate.hold("POST", "/configs/create");
    let image = format!("{}/box:1", registry.host);
    let request = Deploy { on_failure: OnFailure::Rollback, ..from_registry(&lanes, &image, &registry.host, PASSWORD) };
    let running = start(&lanes, request);
    let held = held.reached();
    registry.stop();
    drop(held);
    let told = running.end().failed(Code::IMAGE_PULL, "No such image");
    assert_eq!(told.detail("rolled_back"), true, "{:#?}", told.outcome);
    before.compare(&lanes);
}

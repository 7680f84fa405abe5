//! A stack with a good revision, the deploy that fails, and the comparison of before and after.

use crate::support::{Lanes, Running, Stage, Told};
use axion_agent::domain::{Action, Code, Deploy, OnFailure, Sensitive, Verdict};
use axion_agent::stack::marks;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a busy machine adds to the time after which a verdict is certain: containers are made and end slowly.
const SLACK: Duration = Duration::from_secs(20);

/// How often an edit is tried: the manager writes to a service once or twice in an update.
const EDITS: usize = 8;

/// What is wrong, and what must be said of it.
pub struct Case<'c> {
    /// The options of the service `web` in the good file …
    pub good: String,
    /// … and in the one that fails.
    pub bad: String,
    /// What stands beside the services in the one that fails.
    pub rest: &'c str,
    pub on_failure: OnFailure,
    pub timeout: Option<u64>,
    pub code: Code,
    /// The engine's own, or ours where it has none.
    pub words: &'c str,
    /// When the documents say that it is certain, in seconds.
    pub certain: u64,
}

impl Case<'_> {
    /// One that replaces a server that is well.
    pub fn of(bad: String, code: Code, words: &str, certain: u64) -> Case<'_> {
        Case { good: web("sleep, '1000'", "", ""), bad, rest: "", on_failure: OnFailure::Rollback, timeout: None, code, words, certain }
    }

    /// Deploys the good file, then the other one: it must fail as it says, and the stack be as it was.
    pub fn run(&self, stage: &Stage) {
        let lanes = Lanes::start(stage);
        let before = self.begin(&lanes);
        let told = lanes.run(Action::Deploy(self.request(&lanes)));
        self.check(&lanes, told, &before);
    }

    /// Deploys the good file.
    pub fn begin(&self, lanes: &Lanes) -> Before {
        lanes.run(Action::Deploy(good(lanes, &self.good))).completed();
        Before::of(lanes)
    }

    /// The deploy that is to fail: beside `web`, a label of `side` changes, `page` gets new content and `new` comes.
    pub fn request(&self, lanes: &Lanes) -> Deploy {
        let side = sleeper("", ", labels: {seen: '2'}");
        let request = deploy(lanes, &[("new", &sleeper("", "")), ("side", &side), ("web", &self.bad)], self.rest, "two");
        Deploy { on_failure: self.on_failure, timeout_seconds: self.timeout, ..request }
    }

    /// The same without the change of `side`.
    pub fn request_that_leaves_side(&self, lanes: &Lanes) -> Deploy {
        deploy(lanes, &[("new", &sleeper("", "")), ("side", &sleeper("", "")), ("web", &self.bad)], self.rest, "two")
    }

    /// It failed as it must, soon enough, and the stack is on its last good revision.
    pub fn check(&self, lanes: &Lanes, told: Told, before: &Before) -> Told {
        if told.outcome.verdict == Verdict::Completed {
            println!("    it must not complete:\n{}", lanes.engine.describe(lanes.stack.as_str()));
        }
        let told = self.check_verdict(told);
        assert_eq!(told.detail("rolled_back"), true, "{:#?}", told.outcome);
        assert_eq!(told.outcome.details.get("rollback"), None);
        before.compare(lanes);
        assert_eq!(lanes.revisions(), [1]);
        told
    }

    pub fn check_verdict(&self, told: Told) -> Told {
        let told = told.failed(self.code, self.words);
        let (took, limit) = (told.certain_after, Duration::from_secs(self.certain) + SLACK);
        println!("    {} after {:.1} s: {}", self.code, took.as_secs_f64(), told.outcome.message);
        assert!(took <= limit, "certain after {took:?}, it may take {limit:?}");
        told
    }
}

/// What a stack was.
pub struct Before {
    state: Value,
    side: Vec<String>,
}

impl Before {
    pub fn of(lanes: &Lanes) -> Self {
        Self { state: state(lanes), side: tasks_of(lanes, "side") }
    }

    /// Everything is as it was, and the service that nobody had to touch has the tasks that it had.
    pub fn compare(&self, lanes: &Lanes) {
        self.compare_specs(lanes);
        assert_eq!(tasks_of(lanes, "side"), self.side, "the tasks of what was not to be touched");
    }

    /// Services and tasks are as they were; secrets and configs of later deploys may still be there.
    pub fn compare_tasks(&self, now: &Self) {
        assert_eq!(now.state["services"], self.state["services"]);
        assert_eq!(now.state["tasks"], self.state["tasks"]);
    }

    /// All but this service is as it was.
    pub fn compare_but(&self, lanes: &Lanes, service: &str) {
        let name = lanes.stack.scoped(service);
        let without = |state: &Value| {
            let mut state = state.clone();
            state["services"].as_object_mut().unwrap().remove(&name);
            state["tasks"].as_array_mut().unwrap().retain(|task| task[0] != name.as_str());
            [state["services"].clone(), state["tasks"].clone()]
        };
        assert_eq!(without(&state(lanes)), without(&self.state), "all but {service}, now and before");
    }

    /// The same where tasks were lost with their engine.
    pub fn compare_specs(&self, lanes: &Lanes) {
        let now = state(lanes);
        for part in ["services", "tasks", "objects"] {
            assert_eq!(now[part], self.state[part], "{part}, now and before");
        }
    }
}

/// Settings of a service that ends at once when told to, and its other options; `command` is a list.
pub fn web(command: &str, more: &str, in_deploy: &str) -> String {
    // Swarm's own 5 s, for every service on both ways, would make up most of the time.
    let monitor = if in_deploy.contains("monitor:") { "" } else { ", update_config: {monitor: 2s}" };
    format!(
        "image: 'axion-test/box:1', init: true, stop_grace_period: 1s, configs: [{{source: page, target: /page}}], \
         command: [{command}]{more}, deploy: {{endpoint_mode: dnsrr, restart_policy: {{delay: 1s}}{monitor}{in_deploy}}}"
    )
}

/// A server without the config.
pub fn sleeper(more: &str, in_deploy: &str) -> String {
    web("sleep, '1000'", more, in_deploy).replace(", configs: [{source: page, target: /page}]", "")
}

/// The good file: `web` as it is given, and `side`.
pub fn good(lanes: &Lanes, web: &str) -> Deploy {
    deploy(lanes, &[("side", &sleeper("", "")), ("web", web)], "", "one")
}

/// A deploy of these services; `page` is the content of their config.
pub fn deploy(lanes: &Lanes, services: &[(&str, &str)], rest: &str, page: &str) -> Deploy {
    let services: String = services.iter().map(|(name, options)| format!("  {name}: {{{options}}}\n")).collect();
    let files = [("page.txt".to_owned(), page.as_bytes().to_vec())];
    Deploy {
        files: Sensitive::new(files.into()),
        ..lanes.deploy(format!("services:\n{services}configs: {{page: {{file: page.txt}}}}\n{rest}"))
    }
}

/// Specs of services and of the tasks that run, and the names of the rest; without who wrote them and how often.
pub fn state(lanes: &Lanes) -> Value {
    let stack = lanes.stack.as_str();
    let mut names = BTreeMap::new();
    let mut services = BTreeMap::new();
    for service in lanes.engine.services(stack).unwrap() {
        let (id, name) = (text(&service["ID"]), text(&service["Spec"]["Name"]));
        names.insert(id, name.clone());
        services.insert(name, without_marks(&service["Spec"]));
    }
    let running = lanes.engine.running_tasks(stack).unwrap();
    let mut tasks: Vec<Value> = running
        .iter()
        .map(|task| {
            let seat = task.get("Slot").unwrap_or(&task["NodeID"]);
            json!([names.get(&text(&task["ServiceID"])), seat, without_marks(&json!({"TaskTemplate": task["Spec"]}))["TaskTemplate"]])
        })
        .collect();
    tasks.sort_by_key(ToString::to_string);
    let mut objects = lanes.engine.remains(stack).unwrap();
    objects.sort();
    json!({"services": services, "tasks": tasks, "objects": objects})
}

fn without_marks(spec: &Value) -> Value {
    let mut spec = spec.clone();
    marks::strip(&mut spec);
    if let Some(template) = spec["TaskTemplate"].as_object_mut() {
        template.remove("ForceUpdate");
    }
    spec
}

/// The ids of the tasks of a service that run, sorted.
pub fn tasks_of(lanes: &Lanes, service: &str) -> Vec<String> {
    let id = lanes.service(service)["ID"].clone();
    let running = lanes.engine.running_tasks(lanes.stack.as_str()).unwrap();
    let mut ids: Vec<String> = running.iter().filter(|task| task["ServiceID"] == id).map(|task| text(&task["ID"])).collect();
    ids.sort();
    ids
}

/// Somebody else's `docker service update --env-add` on a service, again where the manager has written to it in between.
pub fn edit(lanes: &Lanes, service: &str) {
    for attempt in 1.. {
        let mut now = lanes.service(service);
        now["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"] = json!(["SOMEBODY=else"]);
        let path = format!("/services/{}/update?version={}", text(&now["ID"]), now["Version"]["Index"]);
        match lanes.engine.call("POST", &path, &now["Spec"]) {
            Ok(_) => return,
            Err(words) => assert!(attempt < EDITS && words.contains("out of sequence"), "{words}"),
        }
    }
}

/// The request that writes a service which is there.
pub fn update_of(lanes: &Lanes, service: &str) -> String {
    format!("/services/{}/update", text(&lanes.service(service)["ID"]))
}

/// Hands the deploy over.
pub fn start<'l, 'a>(lanes: &'l Lanes<'a>, request: Deploy) -> Running<'l, 'a> {
    lanes.begin(Action::Deploy(request))
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

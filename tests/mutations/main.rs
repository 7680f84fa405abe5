//! What a plan predicts of the tasks beside what becomes of them: Compose files made by chance are deployed, changed in
//! a few places, planned by a dry run and deployed again; the tasks that were really replaced are compared with the plan.
//!
//! Each option of `catalogue.rs` is changed in turn. `AXION_TEST_MUTATIONS` says how many services are changed
//! in all, `AXION_TEST_SEED` from where chance begins; both are printed.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests, though clippy cannot see it: they have no libtest"
)]

mod catalogue;
#[allow(dead_code, reason = "only the chance of it is used here")]
#[path = "../support/mutation.rs"]
mod chance;
mod file;
#[path = "../support/mod.rs"]
mod support;

use axion_agent::domain::{Action, Deploy, OnFailure, Sensitive};
use catalogue::CHOICES;
use chance::Chance;
use file::{Kind, Service, name, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use support::{IMAGE, Lanes, Need, Stage, Test, run};

/// Services of one file: enough for the time of a deploy to be shared.
const IN_A_FILE: usize = 20;
/// Without `AXION_TEST_MUTATIONS`.
const SHORT: usize = 12;
/// With so many each option is changed several times: once alone it may come to what was there before.
const LONG: usize = 200;
/// From one option to the next that is changed, so that a few are of all sorts; it has no divisor in common with their number.
const STRIDE: usize = 7;
/// One service of so many gets another mode.
const MODES: usize = 12;
/// Without `AXION_TEST_SEED`.
const SEED: u64 = 20_261_126;
/// The other tag of the image.
const TAG: &str = "mutated";

const TESTS: &[Test] = &[Test { name: "what_a_plan_says_of_the_tasks_is_what_becomes_of_them", needs: &[Need::Engine], body: mutations }];

fn main() -> std::process::ExitCode {
    run("mutations", TESTS)
}

fn asked(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn mutations(stage: &Stage) {
    let count = asked("AXION_TEST_MUTATIONS").map_or(SHORT, |count| usize::try_from(count).unwrap());
    let seed = asked("AXION_TEST_SEED").unwrap_or(SEED);
    println!("    {count} mutations, seed {seed}");
    let path = format!("/images/{IMAGE}/tag?repo=axion-test/box&tag={TAG}");
    stage.engine().call("POST", &path, &Value::Null).unwrap();
    let mut round = Round { chance: Chance(seed), next: 0, seen: Seen::default() };
    let mut left = count;
    while left > 0 {
        let services = left.min(IN_A_FILE);
        round.run(stage, services);
        left -= services;
    }
    let _gone = stage.engine().ask("DELETE", &format!("/images/axion-test/box:{TAG}"));
    assert!(round.seen.wrong.is_empty(), "{} predictions were wrong:\n{}", round.seen.wrong.len(), round.seen.wrong.join("\n\n"));
    round.seen.summary(count);
}

/// What there is to say at the end.
#[derive(Default)]
struct Seen {
    fields: BTreeSet<String>,
    actions: BTreeMap<String, usize>,
    effects: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

impl Seen {
    fn summary(&self, count: usize) {
        println!("    {count} services: {:?}, {:?}", self.actions, self.effects);
        println!("    fields that plans named: {}", self.fields.iter().cloned().collect::<Vec<_>>().join(", "));
        if count >= LONG {
            let missing: Vec<&&str> = FIELDS.iter().filter(|field| !self.fields.iter().any(|named| named.starts_with(**field))).collect();
            assert!(missing.is_empty(), "no plan named {missing:?}");
        }
    }
}

/// What the long form must have changed.
const FIELDS: [&str; 34] = [
    "EndpointSpec.Mode",
    "EndpointSpec.Ports",
    "Labels.",
    "Mode.Replicated.Replicas",
    "RollbackConfig",
    "TaskTemplate.ContainerSpec.Args",
    "TaskTemplate.ContainerSpec.Capability",
    "TaskTemplate.ContainerSpec.Command",
    "TaskTemplate.ContainerSpec.Configs",
    "TaskTemplate.ContainerSpec.DNSConfig",
    "TaskTemplate.ContainerSpec.Dir",
    "TaskTemplate.ContainerSpec.Env",
    "TaskTemplate.ContainerSpec.Healthcheck",
    "TaskTemplate.ContainerSpec.Hostname",
    "TaskTemplate.ContainerSpec.Hosts",
    "TaskTemplate.ContainerSpec.Image",
    "TaskTemplate.ContainerSpec.Init",
    "TaskTemplate.ContainerSpec.Labels",
    "TaskTemplate.ContainerSpec.Mounts",
    "TaskTemplate.ContainerSpec.OpenStdin",
    "TaskTemplate.ContainerSpec.ReadOnly",
    "TaskTemplate.ContainerSpec.Secrets",
    "TaskTemplate.ContainerSpec.StopGracePeriod",
    "TaskTemplate.ContainerSpec.StopSignal",
    "TaskTemplate.ContainerSpec.Sysctls",
    "TaskTemplate.ContainerSpec.TTY",
    "TaskTemplate.ContainerSpec.Ulimits",
    "TaskTemplate.ContainerSpec.User",
    "TaskTemplate.LogDriver",
    "TaskTemplate.Networks",
    "TaskTemplate.Placement",
    "TaskTemplate.Resources",
    "TaskTemplate.RestartPolicy",
    "UpdateConfig",
];

struct Round {
    chance: Chance,
    /// The option that is changed next.
    next: usize,
    seen: Seen,
}

impl Round {
    /// One file, deployed, changed, planned and deployed again.
    fn run(&mut self, stage: &Stage, count: usize) {
        let lanes = Lanes::start(stage);
        let first: Vec<Service> = (0..count).map(|number| Service::new(number, &mut self.chance)).collect();
        lanes.run(Action::Deploy(request(&lanes, &first, FIRST))).completed();
        let before = tasks(&lanes);

        let mut second = first.clone();
        let changed: Vec<Vec<&str>> = second.iter_mut().enumerate().map(|(number, service)| self.change(number, service)).collect();
        // In every other file the content of a secret changes, and so all services that have it; in every other one a network
        // is made anew, and all services that are attached to it.
        let rest = ["one", "two"].map(|word| Rest { word, more: "" })[self.chance.below(2)];
        let rest = Rest { more: ["attachable: true", ""][self.chance.below(2)], ..rest };
        let dry = Deploy { dry_run: true, ..request(&lanes, &second, rest) };
        let plan = lanes.run(Action::Deploy(dry)).completed();
        let predicted: Vec<Value> = (0..count).map(|number| plan.service(&name(number)).clone()).collect();
        let done = lanes.run(Action::Deploy(request(&lanes, &second, rest))).completed();
        let after = tasks(&lanes);
        for number in 0..count {
            let name = name(number);
            let (predicted, told) = (&predicted[number], done.service(&name));
            let is = Observed { kind: second[number].kind, before: &before[&name], after: &after[&name] };
            let same = ["action", "tasks", "changes"].iter().all(|key| predicted[*key] == told[*key]);
            *self.seen.actions.entry(predicted["action"].as_str().unwrap().to_owned()).or_default() += 1;
            let effect = predicted["tasks"].as_str().unwrap_or("unchanged");
            for change in predicted["changes"].as_array().into_iter().flatten() {
                self.seen.fields.insert(change["field"].as_str().unwrap().to_owned());
            }
            *self.seen.effects.entry(effect.to_owned()).or_default() += 1;
            if !same || !is.as_predicted(effect) {
                let (was, now) = (first[number].text(), second[number].text());
                let observed = format!("tasks before {:?}, after {:?}", is.before, is.after);
                let what = format!("changed {:?}\n  from {was}\n  to   {now}", changed[number]);
                self.seen.wrong.push(format!("predicted {predicted:#}\n  told {}\n  {observed}\n  {what}", told["tasks"]));
            }
        }
    }

    /// Most services are changed, by the next option in turn.
    fn change(&mut self, number: usize, service: &mut Service) -> Vec<&'static str> {
        if number % MODES == MODES - 1 {
            return service.change_mode();
        }
        loop {
            let option = self.next;
            self.next = (self.next + STRIDE) % CHOICES.len();
            let changed = service.mutate(option, &mut self.chance);
            if !changed.is_empty() {
                return changed;
            }
        }
    }
}

/// The tasks of a service: those that run, or all that a job has had.
struct Observed<'a> {
    kind: Kind,
    before: &'a BTreeSet<String>,
    after: &'a BTreeSet<String>,
}

impl Observed<'_> {
    /// Whether the tasks are as this effect says.
    fn as_predicted(&self, effect: &str) -> bool {
        let stayed = self.before.intersection(self.after).count();
        let (before, after) = (self.before.len(), self.after.len());
        match (self.kind, effect) {
            (_, "unchanged" | "kept") => self.before == self.after,
            // What was there stays, as far as the new count has room for it.
            (_, "counted" | "moved") => stayed == before.min(after),
            (Kind::Job, "run_again") => after > stayed,
            (_, "replaced") => stayed == 0,
            _ => false,
        }
    }
}

/// By service.
fn tasks(lanes: &Lanes) -> BTreeMap<String, BTreeSet<String>> {
    let services = lanes.list("services");
    let tasks = lanes.list("tasks");
    let of = |service: &Value| {
        let is_job = service["Spec"]["Mode"]["ReplicatedJob"].is_object();
        let runs = |task: &&Value| task["DesiredState"] == "running" && task["Status"]["State"] == "running";
        let own = tasks.iter().filter(|task| task["ServiceID"] == service["ID"]).filter(|task| is_job || runs(task));
        let name = lanes.stack.descoped(service["Spec"]["Name"].as_str().unwrap()).to_owned();
        (name, own.map(|task| task["ID"].as_str().unwrap().to_owned()).collect())
    };
    services.iter().map(of).collect()
}

/// What a file has beside services.
#[derive(Debug, Clone, Copy)]
struct Rest {
    /// The content of the secret.
    word: &'static str,
    /// How the network is defined.
    more: &'static str,
}

const FIRST: Rest = Rest { word: "one", more: "" };

fn request(lanes: &Lanes, services: &[Service], rest: Rest) -> Deploy {
    let files = [("word.txt", rest.word), ("page.txt", "page")].map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
    Deploy { files: Sensitive::new(files.into()), on_failure: OnFailure::Leave, ..lanes.deploy(text(services, rest.more)) }
}

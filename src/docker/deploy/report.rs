//! What a deploy tells: the details of its plan, its progress and its end.
//!
//! Pure. Names are those of the Compose file; images carry their digest. Never a value of an
//! environment, never the content of a secret or config.

use super::Failure;
use super::drift::Drift;
use super::prepare::Prepared;
use super::revision::{self, GoingContent};
use super::rollback::RolledBack;
use super::watch::Watch;
use crate::docker::census::errors;
use crate::docker::glance::Glance;
use crate::docker::types::{Mode, Network, Service, StoreKind, Task};
use crate::domain::{Deploy, Outcome, Progress, Revision, StackName};
use crate::stack::change::Change;
use crate::stack::images::image;
use crate::stack::plan::{Action, ContentPlan, NetworkPlan, ServicePlan};
use crate::stack::{Deviation, marks};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::mem;

/// Why something goes that a deploy does not name any more.
pub(super) const LEFT_THE_FILE: &str = "it left the file";
/// Why something goes on the way to a revision.
pub(super) const NOT_IN_THE_REVISION: &str = "it is not in the revision";

/// At most so many changes of a service are told: an event is no larger than the broker takes.
const CHANGES_TOLD: usize = 10;

/// The details as they gather.
pub(super) struct Report {
    stack: StackName,
    services: Vec<Map<String, Value>>,
    /// Where each stands there, by its name in the swarm.
    places: BTreeMap<String, usize>,
    networks: Vec<Value>,
    secrets: Vec<Value>,
    configs: Vec<Value>,
    warnings: Vec<String>,
    dry_run: bool,
    wanted: Wanted,
    to_revision: Option<u64>,
}

/// Where the specs come from that a plan wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// A file, whose variables are known.
    File,
    /// The journal: what variables stood for when it was written is not known any more.
    Kept,
}

impl Report {
    /// Of a deploy.
    pub(super) fn new(request: &Deploy) -> Self {
        Self { dry_run: request.dry_run, wanted: Wanted::File, ..Self::of(&request.target.stack) }
    }

    /// Of another verb on a stack.
    pub(super) fn of(stack: &StackName) -> Self {
        let (networks, secrets, configs) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            stack: stack.clone(),
            services: Vec::new(),
            places: BTreeMap::new(),
            networks,
            secrets,
            configs,
            warnings: Vec::new(),
            dry_run: false,
            wanted: Wanted::Kept,
            to_revision: None,
        }
    }

    /// Says which revision the stack is to return to.
    pub(super) fn head_for(&mut self, revision: u64) {
        self.to_revision = Some(revision);
    }

    pub(super) fn to_revision(&self) -> Option<u64> {
        self.to_revision
    }

    pub(super) fn stack(&self) -> &StackName {
        &self.stack
    }

    /// Takes over what a plan says of each object.
    pub(super) fn take_plan(&mut self, prepared: &Prepared) {
        let plan = &prepared.plan;
        self.take_services(&plan.services, &plan.removals, LEFT_THE_FILE);
        self.take_deviations(&plan.services, &prepared.deviations);
        self.take_findings(prepared);
        self.take_networks(&plan.networks, &plan.leaving, LEFT_THE_FILE);
        let of = |kind: StoreKind| {
            let going = prepared.going.iter().filter(move |going| going.kind == kind).map(going);
            plan.contents.iter().filter(move |plan| plan.kind == kind).map(content).chain(going).collect()
        };
        (self.secrets, self.configs) = (of(StoreKind::Secret), of(StoreKind::Config));
        self.warnings = prepared.warnings.iter().chain(&plan.warnings).cloned().collect();
    }

    /// Takes over what happens to the networks, with the reason why some are removed.
    pub(super) fn take_networks(&mut self, plans: &[NetworkPlan], leaving: &[Network], gone: &str) {
        let leaving = leaving.iter().map(|network| json!({"name": network.name, "action": Action::Remove.name(), "reason": gone}));
        self.networks = plans.iter().map(network).chain(leaving).collect();
    }

    /// Takes over what becomes of the secrets and configs on the way back to a revision.
    pub(super) fn take_contents(&mut self, to: &Revision, goes: &[GoingContent]) {
        let of = |kind: StoreKind| {
            let stays = revision::objects(to).filter(move |(of, ..)| *of == kind);
            let stays = stays.map(|(_, name, _)| json!({"name": name, "object": name, "action": Action::Unchanged.name()}));
            stays.chain(goes.iter().filter(move |content| content.kind == kind).map(going)).collect()
        };
        (self.secrets, self.configs) = (of(StoreKind::Secret), of(StoreKind::Config));
    }

    /// Takes over what was seen of services beside what happens to them.
    fn take_findings(&mut self, prepared: &Prepared) {
        // What of it is done already: for whoever reads the end, this command did all of it.
        let replaced = prepared.replaced_before.iter().map(|name| (name, "action", json!(Action::Replace.name())));
        for (name, key, value) in replaced {
            if let Some(told) = self.told(name) {
                told.insert(key.to_owned(), value);
            }
        }
        self.take_drift(&prepared.drift);
        self.take_not_here(&prepared.not_here);
    }

    /// Says what others have changed in which services.
    pub(super) fn take_drift(&mut self, drift: &BTreeMap<String, Drift>) {
        for (name, drift) in drift {
            if let Some(told) = self.told(name) {
                told.insert("drift".to_owned(), drift.told());
            }
        }
    }

    /// Says of which services this node has not got the image.
    pub(super) fn take_not_here(&mut self, services: &BTreeSet<String>) {
        for name in services {
            if let Some(told) = self.told(name) {
                told.insert("image_here".to_owned(), json!(false));
            }
        }
    }

    /// Takes over what happens to the services, with the reason why some are removed.
    pub(super) fn take_services(&mut self, plans: &[ServicePlan], removals: &[Service], gone: &str) {
        let removed = removals.iter().map(|service| self.service(service.name(), Action::Remove, gone, &service.spec));
        let services = plans.iter().map(|plan| {
            let mut told = self.service(&plan.name, told_action(plan), &plan.reason, &plan.spec);
            if let Some(effect) = plan.effect() {
                told.insert("tasks".to_owned(), json!(effect.name()));
                let shown = |change: &Change| match self.wanted {
                    Wanted::File => change.told(),
                    Wanted::Kept => change.clone().without_what_variables_bring().told(),
                };
                told.insert("changes".to_owned(), plan.changes.iter().take(CHANGES_TOLD).map(shown).collect());
            }
            told
        });
        self.services = services.chain(removed).collect();
        let names = plans.iter().map(|plan| plan.name.as_str()).chain(removals.iter().map(Service::name));
        self.places = names.enumerate().map(|(place, name)| (name.to_owned(), place)).collect();
    }

    /// Says beside each service that somebody else wrote last, as the CLI does, and that changes now, why it may: with nothing
    /// where this file has no reason, though one that it was made of may have.
    fn take_deviations(&mut self, plans: &[ServicePlan], deviations: &[Deviation]) {
        let of_others = |plan: &&ServicePlan| plan.held.as_ref().is_some_and(|held| held.label(marks::OWNER).is_none());
        for plan in plans.iter().filter(of_others).filter(|plan| plan.action != Action::Unchanged) {
            let name = self.stack.descoped(&plan.name).to_owned();
            let why: Vec<String> = deviations.iter().filter(|one| one.service == name).map(ToString::to_string).collect();
            if let Some(told) = self.told(&plan.name) {
                told.insert("deviations".to_owned(), json!(why));
            }
        }
    }

    fn service(&self, name: &str, action: Action, reason: &str, spec: &Value) -> Map<String, Value> {
        let mut told = Map::new();
        told.insert("name".to_owned(), json!(self.stack.descoped(name)));
        told.insert("action".to_owned(), json!(action.name()));
        if !reason.is_empty() {
            told.insert("reason".to_owned(), json!(reason));
        }
        told.insert("image".to_owned(), json!(image(spec)));
        if let Mode::Replicated(count) | Mode::ReplicatedJob(count) = Mode::of(spec) {
            told.insert("replicas".to_owned(), json!({"desired": count}));
        }
        told
    }

    /// What is told of a service, by its name in the swarm.
    fn told(&mut self, name: &str) -> Option<&mut Map<String, Value>> {
        self.services.get_mut(*self.places.get(name)?)
    }

    /// Takes over what a look has shown of a service.
    pub(super) fn take_look(&mut self, watch: &Watch, service: Option<&Glance>, tasks: &[Task], settled: bool) {
        let Some(told) = self.told(&watch.wanted().name) else { return };
        let (running, desired) = watch.count();
        told.insert("replicas".to_owned(), json!({"running": running, "desired": desired}));
        let state = match (settled, watch.wanted().is_job() || watch.is_over()) {
            (true, true) => "done",
            (true, false) => "healthy",
            (false, _) => watch.stage(),
        };
        told.insert("state".to_owned(), json!(state));
        let own = tasks.iter().filter(|task| service.is_some_and(|service| service.id == task.service_id) && watch.counts(task));
        told.insert("errors".to_owned(), json!(if settled { Vec::new() } else { errors(own) }));
        if let Some(update) = service.and_then(|service| service.update_status.as_ref()) {
            told.insert("update".to_owned(), json!({"state": update.state.name(), "message": update.message}));
        }
    }

    /// Adds what showed only once the stack ran.
    pub(super) fn warn(&mut self, warnings: impl IntoIterator<Item = String>) {
        self.warnings.extend(warnings);
    }

    /// What whoever reads the end should know.
    pub(super) fn warnings(&self) -> Value {
        json!(self.warnings)
    }

    /// The services as they stand.
    pub(super) fn services(&self) -> Value {
        self.services.iter().cloned().map(Value::Object).collect()
    }

    /// The plan as an event.
    pub(super) fn of_plan(&self, prepared: &Prepared) -> Progress {
        let message =
            if prepared.changes_something() { self.in_short("to do") } else { format!("the stack {} is as the file says", self.stack) };
        self.details().into_iter().fold(Progress::new("plan", message), |progress, (key, value)| progress.with(&key, value))
    }

    /// What was done, in short.
    pub(super) fn applied(&self) -> String {
        self.in_short("told to the swarm")
    }

    fn in_short(&self, verb: &str) -> String {
        let count = |action: Action| self.services.iter().filter(|told| told["action"] == action.name()).count();
        let parts = [("create", Action::Create), ("update", Action::Update), ("replace", Action::Replace), ("remove", Action::Remove)];
        let told: Vec<(&str, usize)> = parts.map(|(what, action)| (what, count(action))).into_iter().filter(|told| told.1 > 0).collect();
        let services = match told.last() {
            None => "no service changes".to_owned(),
            Some((_, last)) => {
                let told: Vec<String> = told.iter().map(|(what, count)| format!("{what} {count}")).collect();
                format!("{} service{}", told.join(", "), if *last == 1 { "" } else { "s" })
            }
        };
        let same = match count(Action::Unchanged) {
            0 => String::new(),
            1 => "; 1 stays as it is".to_owned(),
            some => format!("; {some} stay as they are"),
        };
        format!("{verb}: {services}{same}")
    }

    fn details(&self) -> Map<String, Value> {
        self.details_with(self.services())
    }

    fn details_with(&self, services: Value) -> Map<String, Value> {
        let mut details = Map::new();
        details.insert("services".to_owned(), services);
        for (what, told) in [("networks", &self.networks), ("secrets", &self.secrets), ("configs", &self.configs)] {
            details.insert(what.to_owned(), Value::Array(told.clone()));
        }
        details.insert("warnings".to_owned(), json!(self.warnings));
        details.insert("dry_run".to_owned(), json!(self.dry_run));
        details
    }

    /// The good end of a dry run: what is to be done that the stack is `as_what`.
    pub(super) fn planned(&self, as_what: &str) -> Outcome {
        let all = [&self.networks, &self.secrets, &self.configs].into_iter().flatten().map(|told| &told["action"]);
        let all = all.chain(self.services.iter().filter_map(|told| told.get("action")));
        let changes = all.into_iter().any(|action| action != Action::Unchanged.name());
        let message = if changes {
            format!("dry run, {}", self.in_short("to do"))
        } else {
            format!("dry run: the stack {} is as {as_what}", self.stack)
        };
        self.details()
            .into_iter()
            .fold(Outcome::completed(message), |outcome, (key, value)| outcome.with(&key, value))
            .with("dry_run", true)
            .with("changed", false)
    }

    /// The good end. Without a revision it was a dry run.
    pub(super) fn completed(mut self, prepared: &Prepared, revision: Option<u64>) -> Outcome {
        let changed = prepared.changes_something();
        let message = match (revision, changed) {
            (None, true) => format!("dry run, {}", self.in_short("to do")),
            (None, false) => format!("dry run: the stack {} is as the file says", self.stack),
            (Some(number), true) => format!("the stack {} runs as the file says (revision {number})", self.stack),
            (Some(number), false) => {
                format!("the stack {} was as the file says and runs (revision {number}); nothing was changed", self.stack)
            }
        };
        // Nothing is told after it: its services need no copy.
        let services = mem::take(&mut self.services).into_iter().map(Value::Object).collect();
        let details = self.details_with(services).into_iter();
        let outcome = details.fold(Outcome::completed(message), |outcome, (key, value)| outcome.with(&key, value));
        let outcome = outcome.with("changed", changed && revision.is_some());
        match revision {
            Some(number) => outcome.with("revision", number),
            None => outcome,
        }
    }

    /// The bad end.
    pub(super) fn failed(&self, failure: &Failure, rolled_back: RolledBack) -> Outcome {
        let outcome = Outcome::failed(failure.code, failure.message.clone());
        let outcome = self.details().into_iter().fold(outcome, |outcome, (key, value)| outcome.with(&key, value));
        outcome.with("rolled_back", rolled_back.value())
    }
}

/// An earlier process of the same command wrote it: for whoever reads the end, this command did.
fn told_action(plan: &ServicePlan) -> Action {
    match plan.action {
        Action::Unchanged if plan.ours_already => Action::Update,
        action => action,
    }
}

fn network(plan: &NetworkPlan) -> Value {
    let mut told = json!({"name": plan.name, "action": plan.action.name()});
    if plan.action == Action::Replace {
        told["reason"] = json!(plan.reason);
        told["changes"] = plan.changes.iter().take(CHANGES_TOLD).map(Change::told).collect();
    }
    told
}

fn content(plan: &ContentPlan) -> Value {
    let mut told = json!({"name": plan.plain, "object": plan.name, "action": plan.action.name()});
    if !plan.reason.is_empty() {
        told["reason"] = json!(plan.reason);
    }
    told
}

fn going(content: &GoingContent) -> Value {
    let reason = "no revision that is kept needs it any more";
    json!({"name": content.plain, "object": content.name, "action": Action::Remove.name(), "reason": reason})
}

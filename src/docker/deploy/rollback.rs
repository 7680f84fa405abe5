//! Back to the last good revision after a deploy that failed; with none, back to before it.
//!
//! What this command did is read from its steps in the journal, so a restart in the middle changes
//! nothing. It has [`TIME`] of its own when the command's time is over. It never touches what the
//! command did not touch, and never runs a job again.

use super::handover::{self, Look};
use super::replace::{self, Replaced};
use super::report::Report;
use super::{Broken, Failure, addresses, apply, converge, images, logins, names, restore, revision};
use crate::docker::leftovers;
use crate::docker::room::{Room, StepError};
use crate::docker::types::{Mode, NAMESPACE, Network, Service, StoreKind, UpdateState};
use crate::domain::{Code, Deploy, Entry, Note, Revision, StackName, Step, StepOutcome};
use crate::stack::plan::{self, Action, Login, NetworkPlan, ServicePlan, Who};
use crate::stack::{compare, images::image, marks};
use crate::threads::Deadline;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A rollback has at least so long: an update of a few tasks with their grace periods, and a look at them …
const TIME: Duration = Duration::from_secs(180);
/// … and as long as its services want to wait between their tasks, within this bound: the stack takes no other command meanwhile.
const DELAYS: Duration = Duration::from_secs(3600);
/// How long networks, secrets and configs may stay busy once the services are gone.
const PATIENCE: Duration = Duration::from_secs(30);
/// Tasks end without an event where they run on other nodes.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The step that notes in the journal that the deploy failed, and why: from then on the way is back.
const FAILED: &str = "stack.deploy";
/// How far the stack went back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RolledBack {
    /// Wholly, and seen to run.
    Yes,
    /// Not at all.
    No,
    /// In part; the notes say what is missing.
    Partial,
}

impl RolledBack {
    /// As events spell it.
    pub(super) fn value(self) -> Value {
        match self {
            Self::Yes => json!(true),
            Self::No => json!(false),
            Self::Partial => json!("partial"),
        }
    }
}

/// The way back, at its end.
#[derive(Debug)]
pub(super) struct WayBack {
    pub(super) how_far: RolledBack,
    /// The last good revision, if there is one.
    pub(super) to: Option<u64>,
    /// What is missing.
    pub(super) notes: Vec<String>,
}

/// What this command did to the swarm, by its steps.
#[derive(Debug, Default)]
struct Done {
    created: BTreeMap<String, Vec<(String, Option<String>)>>,
    replaced: Replaced,
    updated: BTreeSet<String>,
    removed: BTreeSet<String>,
}

/// The failure for which an earlier process of this command already began to go back.
pub(super) fn begun(room: &Room<'_>) -> Result<Option<Failure>, Broken> {
    if room.entry == Entry::Fresh {
        return Ok(None);
    }
    let steps = room.ledger.steps(room.command.id)?;
    let words = steps.into_iter().find_map(|(step, outcome)| match outcome {
        Some(StepOutcome::Refused(words)) if step.operation == FAILED => Some(words),
        _ => None,
    });
    Ok(words.map(|words| {
        let (code, message) = words.split_once(": ").unwrap_or(("", &words));
        let code = Code::ALL.iter().find(|known| known.as_str() == code).copied();
        Failure::new(code.unwrap_or(Code::ENGINE_ERROR), message)
    }))
}

/// Notes that the way is back from now on.
pub(super) fn begin(room: &Room<'_>, request: &Deploy, failure: &Failure) -> Result<(), Broken> {
    let step = Step { operation: FAILED.to_owned(), object: request.target.stack.to_string() };
    let outcome = StepOutcome::Refused(format!("{}: {}", failure.code, failure.message));
    room.ledger.note(room.command.id, step, outcome);
    // At once: a process that takes this one's place must not try again what has failed.
    room.ledger.flush()?;
    Ok(())
}

/// Whether this command changed anything, or may have.
pub(super) fn has_changed_anything(room: &Room<'_>) -> Result<bool, Broken> {
    let steps = room.ledger.steps(room.command.id)?;
    let may_have = |outcome: &Option<StepOutcome>| !matches!(outcome, Some(StepOutcome::Refused(_)));
    // Labels of secrets and configs, with which also their content is asked about, change nothing that runs, and a swarm that the
    // command had to make is no part of its stack. Notes are none.
    let of_stack = |step: &Step| {
        let aside = ["secret.update", "config.update", "swarm.init", restore::CHOSEN];
        !aside.contains(&&*step.operation) && !replace::NOTES.contains(&&*step.operation)
    };
    Ok(steps.iter().any(|(step, outcome)| of_stack(step) && may_have(outcome)))
}

/// After a restart: an update of this command that Swarm itself has taken back meanwhile is its verdict,
/// and is not sent a second time.
pub(super) fn check_not_taken_back(room: &Room<'_>, plans: &[ServicePlan]) -> Result<(), Broken> {
    if room.entry == Entry::Fresh {
        return Ok(());
    }
    let steps = room.ledger.steps(room.command.id)?;
    let has_updated = |name: &str| {
        let is_update = |step: &Step| step.operation == "service.update" && step.object == name;
        steps.iter().any(|(step, outcome)| is_update(step) && matches!(outcome, Some(StepOutcome::Done(_))))
    };
    for plan in plans.iter().filter(|plan| plan.action == Action::Update && has_updated(&plan.name)) {
        if plan.held.as_ref().is_some_and(is_taken_back) {
            let message = format!("service {}: Swarm rolled the update back while the agent was away", plan.name);
            return Err(Failure::new(Code::UPDATE_ROLLED_BACK, message).into());
        }
    }
    Ok(())
}

/// Whether Swarm itself goes back from the last update of a service, or has.
fn is_taken_back(service: &Service) -> bool {
    use UpdateState::{RollbackCompleted, RollbackPaused, RollbackStarted};
    let state = service.update_status.as_ref().map(|update| update.state);
    matches!(state, Some(RollbackStarted | RollbackPaused | RollbackCompleted))
}

/// Goes back from `sent`.
pub(super) fn run(room: &Room<'_>, request: &Deploy, sent: &[ServicePlan]) -> Result<WayBack, Broken> {
    let delays = sent.iter().filter_map(|plan| Some(plan::least_time(&plan.held.as_ref()?.spec))).max().unwrap_or_default();
    let room = room.extended(room.deadline.max(Deadline::after(TIME + delays.min(DELAYS))));
    let mut back = Back { room: &room, request, sent, done: Done::of(&room)?, to: None, notes: Vec::new() };
    match back.all() {
        Ok(()) => {}
        Err(Broken::Failed(failure)) => back.notes.push(failure.message),
        Err(ended) => return Err(ended),
    }
    let how_far = if back.notes.is_empty() { RolledBack::Yes } else { RolledBack::Partial };
    Ok(WayBack { how_far, to: back.to, notes: back.notes })
}

impl Done {
    fn of(room: &Room<'_>) -> Result<Self, Broken> {
        let mut done = Self { replaced: Replaced::by(room)?, ..Self::default() };
        for (step, outcome) in room.ledger.steps(room.command.id)? {
            let id = match outcome {
                Some(StepOutcome::Refused(_)) => continue,
                Some(StepOutcome::Done(id)) => id,
                Some(StepOutcome::Unknown(_)) | None => None,
            };
            match step.operation.split_once('.') {
                Some((kind, "create")) => done.created.entry(kind.to_owned()).or_default().push((step.object, id)),
                Some(("service", "update")) => drop(done.updated.insert(step.object)),
                Some(("service", "remove")) => drop(done.removed.insert(step.object)),
                _ => {}
            }
        }
        Ok(done)
    }

    fn created(&self, kind: &str) -> &[(String, Option<String>)] {
        self.created.get(kind).map_or(&[], Vec::as_slice)
    }

    fn has_created_service(&self, name: &str) -> bool {
        self.created("service").iter().any(|(created, _)| created == name)
    }

    /// Nobody knows any more which logins the nodes of those services have that this command has touched.
    fn forget_logins(&self, room: &Room<'_>, stack: &StackName) -> Result<(), Broken> {
        let created = self.created("service").iter().map(|(name, _)| name);
        logins::forget(room, stack, created.chain(&self.updated).chain(&self.removed).chain(self.replaced.services.keys()))
    }

    fn has_touched_service(&self, name: &str) -> bool {
        self.has_created_service(name) || self.updated.contains(name) || self.removed.contains(name)
    }
}

struct Back<'a> {
    room: &'a Room<'a>,
    request: &'a Deploy,
    sent: &'a [ServicePlan],
    done: Done,
    to: Option<u64>,
    notes: Vec<String>,
}

impl Back<'_> {
    fn all(&mut self) -> Result<(), Broken> {
        let (room, stack) = (self.room, &self.request.target.stack);
        let good = room.ledger.revisions(stack)?.pop();
        self.to = good.as_ref().map(|good| good.number);
        let held = room.observe(|client| client.services(stack))?;
        let tasks: BTreeSet<String> = room.observe(|client| client.tasks(stack))?.into_iter().map(|task| task.id).collect();

        let wanted = self.wanted(&held, good.as_ref());
        self.note_what_is_lost(&wanted, &held);
        let new: Vec<&Service> = held.iter().filter(|service| self.is_new(service, &wanted)).collect();
        for service in &new {
            apply::remove_service(room, service)?;
        }
        let plans = self.write(wanted, &held, &new, &tasks, good.as_ref())?;
        let mut watched = converge::Watched::all(&plans, new.iter().copied(), &tasks);
        let networks = names::network_ids(room)?;
        let mut report = Report::new(self.request);
        let gone: Vec<Service> = new.iter().copied().cloned().collect();
        report.take_services(&plans, &gone, "it was not there before");
        self.note_failure(converge::wait(room, &mut watched, &networks, &mut report, "rollback"))?;
        self.done.forget_logins(room, stack)?;
        self.sweep(&new, good.as_ref())?;
        if good.is_none() && held.len() == new.len() {
            // Nothing of the stack was there before and nothing is now: its name is free again.
            room.ledger.write(Note::Forget(stack.clone()))?;
        }
        Ok(())
    }

    /// What the services go back to: the last good revision, or what Swarm remembers of each.
    fn wanted(&self, held: &[Service], good: Option<&Revision>) -> Vec<Value> {
        let mut wanted: Vec<Value> = good.map(|good| revision::specs_of_services(good).cloned().collect()).unwrap_or_default();
        for spec in &mut wanted {
            if let Some(replicas) = held.iter().find(|service| service.name() == spec["Name"]).and_then(|held| self.count_before(held)) {
                plan::set_count(spec, replicas);
            }
        }
        let known: BTreeSet<String> = wanted.iter().filter_map(|spec| spec["Name"].as_str()).map(str::to_owned).collect();
        for service in held.iter().filter(|service| self.done.updated.contains(service.name()) && !known.contains(service.name())) {
            if let Some(was) = self.done.replaced.exchanged.get(service.name()) {
                wanted.push(was.clone());
                continue;
            }
            match before(self.room, service) {
                Some(before) => wanted.push(before.clone()),
                // Before a restart it went back already: what was before that is what failed.
                None if service.previous_spec.is_some() && is_ours(self.room, &service.spec) => wanted.push(service.spec.clone()),
                // Swarm is about to go back, or has: that is to be seen too.
                _ if is_taken_back(service) => wanted.push(service.spec.clone()),
                _ => {}
            }
        }
        let forgotten = self.done.replaced.services.iter().filter(|(name, _)| !known.contains(*name));
        wanted.extend(forgotten.map(|(_, was)| was.clone()));
        wanted
    }

    /// The replicas that a service had before this command: who scaled or stopped it did not deploy.
    fn count_before(&self, service: &Service) -> Option<u64> {
        let replaced = &self.done.replaced;
        let noted = replaced.services.get(service.name()).or_else(|| replaced.exchanged.get(service.name()));
        if noted.is_none() && self.done.has_created_service(service.name()) {
            // It was not there.
            return None;
        }
        let before = noted.or_else(|| before(self.room, service));
        // Not written by this command, or before a restart it went back already.
        match Mode::of(before.unwrap_or(&service.spec)) {
            Mode::Replicated(replicas) => Some(replicas),
            Mode::Global | Mode::ReplicatedJob(_) | Mode::GlobalJob => None,
        }
    }

    /// The networks that are to be there: those of the last good revision, and what this command replaced.
    fn wanted_networks(&self, good: Option<&Revision>) -> Vec<Value> {
        let mut wanted: Vec<Value> = good.into_iter().flat_map(revision::specs_of_networks).cloned().collect();
        let known: BTreeSet<String> = wanted.iter().filter_map(|spec| spec["Name"].as_str()).map(str::to_owned).collect();
        let forgotten = self.done.replaced.networks.iter().filter(|(name, _)| !known.contains(*name));
        wanted.extend(forgotten.map(|(_, was)| was.clone()));
        wanted
    }

    /// What becomes of the networks on the way back. Those that this command has not made stay as they are.
    fn plan_networks(&self, good: Option<&Revision>) -> Result<Vec<NetworkPlan>, Broken> {
        let stack = &self.request.target.stack;
        let held = names::networks(self.room, stack)?;
        let mut plans = plan::networks(stack, &held, &self.wanted_networks(good))?;
        let made_here = |plan: &NetworkPlan| self.done.created("network").iter().any(|(name, _)| *name == plan.name);
        plans.iter_mut().filter(|plan| !made_here(plan)).for_each(NetworkPlan::leave_as_it_is);
        Ok(plans)
    }

    /// Whether this command made a service that was not there before: by its id, or where the answer was lost by its mark.
    fn is_new(&self, service: &Service, wanted: &[Value]) -> bool {
        let who = Who { agent: self.room.agent, command: self.room.command.id };
        let made_it = self
            .done
            .created("service")
            .iter()
            .any(|(name, id)| name == service.name() && id.as_ref().map_or_else(|| who.has_written(service), |id| *id == service.id));
        made_it && !wanted.iter().any(|spec| spec["Name"] == service.name())
    }

    /// What the command removed or changed and nobody remembers.
    fn note_what_is_lost(&mut self, wanted: &[Value], held: &[Service]) {
        let who = Who { agent: self.room.agent, command: self.room.command.id };
        let known: BTreeSet<&str> = wanted.iter().filter_map(|spec| spec["Name"].as_str()).collect();
        let not_new = |name: &&String| !self.done.has_created_service(name);
        for name in self.done.removed.iter().filter(not_new).filter(|name| !known.contains(name.as_str())) {
            self.notes.push(format!("service {name} was removed and no revision has it: it cannot come back"));
        }
        let changed = held.iter().filter(|service| self.done.updated.contains(service.name()) && who.has_written(service));
        for service in changed.filter(|service| !known.contains(service.name())) {
            self.notes.push(format!("service {} was changed and nobody remembers its old spec: it stays", service.name()));
        }
    }

    /// Writes what is to be written, networks first; the plans of what is to be watched.
    fn write(
        &mut self,
        wanted: Vec<Value>,
        held: &[Service],
        new: &[&Service],
        tasks: &BTreeSet<String>,
        good: Option<&Revision>,
    ) -> Result<Vec<ServicePlan>, Broken> {
        let (room, stack) = (self.room, &self.request.target.stack);
        let ids = names::network_ids(room)?;
        let who = Who { agent: room.agent, command: room.command.id };
        let plan = |mut spec: Value| {
            marks::strip(&mut spec);
            let now = held.iter().find(|service| service.name() == spec["Name"]);
            plan::service(spec, now, &ids, who)
        };
        let mut plans: Vec<ServicePlan> = wanted.into_iter().map(plan).collect();
        let mut networks = self.plan_networks(good)?;
        let others: Vec<&Service> = held
            .iter()
            .filter(|other| !new.iter().any(|new| new.id == other.id) && !plans.iter().any(|plan| plan.name == other.name()))
            .collect();
        if let Err(refused) = plan::detach(&networks, &mut plans, others) {
            self.notes.push(refused.to_string());
            networks.iter_mut().for_each(NetworkPlan::leave_as_it_is);
        }
        let mut staying = Vec::new();
        for plan in plans.iter().filter(|plan| plan.action != Action::Unchanged) {
            let Some(note) = self.stays(plan, &ids) else { continue };
            staying.push(plan.name.clone());
            self.notes.push(note);
        }
        // A job that holds a network which goes back cannot stay, and is not run again.
        let (jobs, kept): (Vec<ServicePlan>, Vec<ServicePlan>) = plans
            .into_iter()
            .filter(|plan| !staying.contains(&plan.name) || (is_job(plan) && plan.action == Action::Replace))
            .partition(|plan| staying.contains(&plan.name));
        for held in jobs.iter().filter_map(|job| job.held.as_ref()) {
            apply::remove_service(room, held)?;
        }
        plans = kept;
        // Whatever becomes of a network: services that were taken off it must run again.
        self.note_failure(replace::make_way(room, stack, &networks, &mut plans))?;
        let mut made = BTreeSet::new();
        for network in networks.iter().filter(|plan| plan.action != Action::Unchanged) {
            let id = apply::create_network(room, stack, network).map(|id| made.extend([id]));
            self.note_failure(id)?;
        }
        self.note_failure(addresses::wait(room, &made))?;
        self.write_services(plans, tasks)
    }

    /// Notes what failed, and goes on.
    fn note_failure(&mut self, result: Result<(), Broken>) -> Result<(), Broken> {
        match result {
            Err(Broken::Failed(failure)) => self.notes.push(failure.message),
            other => other?,
        }
        Ok(())
    }

    fn write_services(&mut self, mut plans: Vec<ServicePlan>, tasks: &BTreeSet<String>) -> Result<Vec<ServicePlan>, Broken> {
        let networks = names::network_ids(self.room)?;
        let (room, request) = (self.room, self.request);
        let look = Look { removals: &[], tasks_before: tasks, networks: &networks, phase: "rollback" };
        let (mut unwritten, mut late) = (BTreeMap::new(), Vec::new());
        let write = |due: &mut [&mut ServicePlan]| {
            due.iter_mut().try_for_each(|plan| {
                let auth = images::auth(room, &request.registry_auth, image(&plan.spec));
                plan.login = login_before(room, plan);
                match apply::write_service(room, plan, &networks, auth.as_ref()) {
                    Err(Broken::Failed(failure)) => drop(unwritten.insert(plan.name.clone(), failure.message)),
                    other => other?,
                }
                Ok(())
            })
        };
        let go_on = |failure: Failure| {
            late.push(failure.message);
            Ok(())
        };
        let result = handover::in_order(room, &mut plans, &look, &mut Report::new(request), write, go_on);
        // What this command has made of it failed, and cannot become what it was: it goes.
        for plan in plans.iter().filter(|plan| unwritten.contains_key(&plan.name) && self.done.has_created_service(&plan.name)) {
            if let Some(service) = &plan.held {
                apply::remove_service(room, service)?;
            }
        }
        plans.retain(|plan| !unwritten.contains_key(&plan.name));
        self.notes.extend(late.into_iter().chain(unwritten.into_values()));
        self.note_failure(result)?;
        Ok(plans)
    }

    /// Why a service that is not as in the revision stays as it is, if it does.
    fn stays(&self, plan: &ServicePlan, networks: &BTreeMap<String, String>) -> Option<String> {
        if is_job(plan) {
            let what = if plan.action == Action::Update { "stays as it is" } else { "is not made again" };
            Some(format!("job {} {what}: going back would run it again", plan.name))
        } else if self.is_edited(plan, networks) {
            Some(format!("service {} was changed by somebody else after this command, and stays so", plan.name))
        } else if self.done.has_touched_service(&plan.name) {
            None
        } else if plan.held.is_none() {
            Some(format!("service {} was gone before this command, and is not made again", plan.name))
        } else {
            Some(format!("service {} was no longer as in the last good revision before this command, and stays so", plan.name))
        }
    }

    /// Whether somebody else has changed what this command wrote. Going back by Swarm takes the mark off.
    fn is_edited(&self, plan: &ServicePlan, networks: &BTreeMap<String, String>) -> bool {
        let who = Who { agent: self.room.agent, command: self.room.command.id };
        let sent = self.sent.iter().find(|sent| sent.name == plan.name && matches!(sent.action, Action::Update | Action::Replace));
        let (Some(sent), Some(now)) = (sent, plan.held.as_ref().filter(|now| who.has_written(now))) else { return false };
        let (mut sent, mut now) = (sent.spec.clone(), now.spec.clone());
        if self.done.replaced.exchanged.contains_key(&plan.name) {
            // It may be without ports still that it was to get.
            for spec in [&mut sent, &mut now] {
                spec["EndpointSpec"]["Ports"] = Value::Null;
            }
        }
        !compare::same(&sent, &now, networks)
    }

    /// Removes the networks, secrets and configs that this command made and the revision does not need.
    fn sweep(&mut self, new: &[&Service], good: Option<&Revision>) -> Result<(), Broken> {
        let patience = Deadline::after(PATIENCE);
        loop {
            let busy = self.sweep_once(new, good)?;
            if busy.is_empty() {
                return Ok(());
            }
            if patience.has_passed() {
                self.notes.extend(busy);
                return Ok(());
            }
            self.room.wait_for_change(LOOK_EVERY)?;
        }
    }

    /// One try; what is still in use, with the engine's words.
    fn sweep_once(&self, new: &[&Service], good: Option<&Revision>) -> Result<Vec<String>, Broken> {
        let (room, mut busy) = (self.room, Vec::new());
        let needed = revision::needed(good.map_or(&[], std::slice::from_ref));
        for kind in [StoreKind::Secret, StoreKind::Config] {
            for (name, id) in self.done.created(kind.name()) {
                let Some(store) = revision::find_store(room, kind, id.as_deref().unwrap_or(name))? else { continue };
                // Where the answer was lost, somebody else may have one of this name.
                let is_ours = id.is_some() || store.label(NAMESPACE) == Some(self.request.target.stack.as_str());
                let id = store.id;
                if is_ours && !needed.contains(&id) {
                    let operation = format!("{}.remove", kind.name());
                    busy.extend(refused(name, room.step(&operation, name, |client| client.remove_store(kind, &id)))?);
                }
            }
        }
        let networks: Vec<Network> = self.new_networks(good)?;
        if !networks.is_empty() {
            let names: BTreeSet<&str> = new.iter().map(|service| service.name()).collect();
            leftovers::sweep(room, &self.request.target.stack, |service| service.is_some_and(|name| names.contains(name)))?;
        }
        for network in &networks {
            let removed = room.step("network.remove", &network.name, |client| client.remove_network(&network.id));
            // The node lists it until the last container is off it: the next look says whether it is gone.
            busy.push(refused(&network.name, removed)?.unwrap_or_else(|| format!("network {} goes only slowly", network.name)));
        }
        Ok(busy)
    }

    fn new_networks(&self, good: Option<&Revision>) -> Result<Vec<Network>, Broken> {
        let wanted = self.wanted_networks(good);
        let kept: BTreeSet<&str> = wanted.iter().filter_map(|spec| spec["Name"].as_str()).collect();
        let mut networks = Vec::new();
        let stack = self.request.target.stack.as_str();
        for (name, id) in self.done.created("network").iter().filter(|(name, _)| !kept.contains(name.as_str())) {
            let is_ours = |network: &Network| match id {
                Some(id) => network.id == *id,
                // The answer was lost: somebody else may have one of this name.
                None => network.name == *name && network.labels.get(NAMESPACE).is_some_and(|label| label == stack),
            };
            networks.extend(names::found(self.room, |client| client.network(id.as_ref().unwrap_or(name)))?.filter(is_ours));
        }
        Ok(networks)
    }
}

/// The same for a command that does not go back.
pub(super) fn forget_logins(room: &Room<'_>, stack: &StackName) -> Result<(), Broken> {
    Done::of(room)?.forget_logins(room, stack)
}

/// Whether this command wrote a spec.
fn is_ours(room: &Room<'_>, spec: &Value) -> bool {
    spec["Labels"][marks::COMMAND] == room.command.id.to_string().as_str()
}

/// What a service was before this command, where Swarm still remembers it: only what was before the last write.
fn before<'s>(room: &Room<'_>, service: &'s Service) -> Option<&'s Value> {
    service.previous_spec.as_ref().filter(|previous| is_ours(room, &service.spec) && !is_ours(room, previous))
}

/// The login that the nodes of a service had before this command wrote it.
fn login_before(room: &Room<'_>, plan: &ServicePlan) -> Login {
    match &plan.held {
        None => Login::Holding,
        Some(held) if before(room, held).is_some() => Login::Before,
        // Swarm, or a write of this way back, has done so already; or it was made by this command.
        Some(_) => Login::Kept,
    }
}

fn is_job(plan: &ServicePlan) -> bool {
    Mode::of(&plan.spec).is_job()
}

/// The engine's words if something could not be removed; what is gone is removed.
fn refused(name: &str, result: Result<(), StepError>) -> Result<Option<String>, Broken> {
    match result {
        Ok(()) => Ok(None),
        Err(StepError::Refused(error)) if error.is_not_found() => Ok(None),
        Err(StepError::Refused(error) | StepError::Unknown(error)) => Ok(Some(format!("{name} is still there: {error}"))),
        Err(error) => Err(error.into()),
    }
}

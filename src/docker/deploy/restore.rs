//! Brings a kept revision back: Start the newest one, Rollback an older one.
//!
//! Runs on a lane, in the command's room, from top to bottom: choose, check, write, converge. Services
//! get the specs that were seen to run; what is as in the revision is not written. It takes no secret or
//! config from a command: the revision names the objects, and they must still be there.

use super::handover::{self, Look};
use super::logins::{self, Logins};
use super::report::{NOT_IN_THE_REVISION, Report};
use super::{Broken, Failure, addresses, apply, checks, converge, drift, images, names, orphans, replace, revision, rollback, unfinished};
use crate::docker::ownership::{self, Takeover};
use crate::docker::room::{End, Room};
use crate::docker::types::{Network, OWNER, Service};
use crate::domain::{
    AgentId, Code, KeptStack, Orphan, Outcome, Progress, Revision, Rollback, Selection, StackName, Step, StepOutcome, Target, Timestamp,
};
use crate::stack::plan::{self, Action, Fate, NetworkPlan, Plan, ServicePlan, Who};
use crate::stack::{compare, images::image, marks};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The step that notes to which revision a Rollback goes: the choice must not change with what it does.
pub(super) const CHOSEN: &str = "stack.rollback";

/// Carries a Start out.
pub(in crate::docker) fn start(room: &Room<'_>, request: &Selection) -> End {
    finish(room, &request.target, |report| {
        let held = held(room, &request.target)?;
        let KeptStack { revisions, logins, .. } = room.ledger.stack(&request.target.stack)?;
        let newest = revision::newest(&revisions, &request.target.stack, &held)?;
        report.head_for(newest.number);
        let specs = revision::named(newest, &request.target.stack, &request.services)?;
        let now = Now { held: &held, removals: Vec::new(), given: logins };
        let back = plan_back(room, newest, specs, now, Networks::AsTheyAre, report)?;
        bring_back(room, back, report)?;
        let message = format!("the services of {} run as in revision {}", request.target.stack, newest.number);
        Ok(Outcome::completed(message).with("revision", newest.number))
    })
}

/// Carries a Rollback out.
pub(in crate::docker) fn roll_back(room: &Room<'_>, request: &Rollback) -> End {
    finish(room, &request.target, |report| {
        let stack = &request.target.stack;
        let held = held(room, &request.target)?;
        let KeptStack { revisions, mut orphans, logins, .. } = room.ledger.stack(stack)?;
        let chosen = choose(room, request, &revisions, &held)?;
        report.head_for(chosen.number);
        let wanted = revision::specs_of_services(chosen).filter_map(|spec| spec["Name"].as_str()).collect();
        let (ours, foreign) = plan::leftovers(&held, &wanted, &revision::services(&revisions), room.agent);
        let stay: Vec<&str> = foreign.iter().map(|service| service.name()).collect();
        let ours = ours.into_iter().cloned().collect();
        let becomes = Networks::AsKept { known: revision::networks(&revisions), orphans: &orphans };
        let drift = drift::seen(room, &revisions, &held, &BTreeMap::new())?;
        report.warn(drift.iter().map(|(name, drift)| drift.warning(name)));
        let specs = revision::specs_of_services(chosen).collect();
        let now = Now { held: &held, removals: ours, given: logins };
        let back = plan_back(room, chosen, specs, now, becomes, report)?;
        report.take_drift(&drift);
        if request.dry_run {
            report.take_contents(chosen, &revision::going_after(room, stack, &revisions, &orphans, chosen.specs.clone())?);
            return Ok(report.planned(&format!("revision {}", chosen.number)).with("to_revision", chosen.number));
        }
        orphans.extend(bring_back(room, back, report)?);
        let (number, specs) = (chosen.number, chosen.specs.clone());
        let kept = revision::keep_specs(room, stack, revisions, orphans, specs)?;
        let message = format!("the stack {stack} runs as in revision {number} (kept as revision {kept})");
        let outcome = Outcome::completed(message).with("to_revision", number).with("revision", kept);
        Ok(outcome.with("foreign", json!(stay)).with("warnings", report.warnings()))
    })
}

/// Runs a verb and ends its command with what was seen of the services, however it went.
fn finish(room: &Room<'_>, target: &Target, work: impl FnOnce(&mut Report) -> Result<Outcome, Broken>) -> End {
    let mut report = Report::of(&target.stack);
    let outcome = match work(&mut report) {
        Ok(outcome) => Ok(outcome),
        // Nothing goes back on its own from there: whoever reads it must know whether there is anything to see to.
        Err(Broken::Failed(failure)) => rollback::has_changed_anything(room).map(|changed| {
            let outcome = Outcome::failed(failure.code, failure.message).with("changed", changed);
            match report.to_revision() {
                Some(number) => outcome.with("to_revision", number),
                None => outcome,
            }
        }),
        Err(ended) => Err(ended),
    };
    match outcome {
        Ok(outcome) => End::Finished(outcome.with("services", report.services())),
        Err(Broken::Failed(failure)) => End::Finished(Outcome::failed(failure.code, failure.message)),
        Err(Broken::Ended(end)) => end,
    }
}

fn held(room: &Room<'_>, target: &Target) -> Result<Vec<Service>, Broken> {
    let held = room.observe(|client| client.services(&target.stack))?;
    ownership::check(room, target, &held, Takeover::Refused)?;
    Ok(held)
}

/// The revision to go back to. Once it is chosen it stays so for this command.
fn choose<'a>(room: &Room<'_>, request: &Rollback, revisions: &'a [Revision], held: &[Service]) -> Result<&'a Revision, Broken> {
    let id = room.command.id;
    // An earlier process of this command had all but said so.
    if let Some(done) = revisions.last().filter(|newest| newest.command == id) {
        return Ok(done);
    }
    let chosen_before = room.ledger.steps(id)?.into_iter().find_map(|(step, outcome)| match outcome {
        Some(StepOutcome::Done(Some(number))) if step.operation == CHOSEN => number.parse().ok(),
        _ => None,
    });
    let stack = &request.target.stack;
    let newest = revision::newest(revisions, stack, held)?;
    let found = match chosen_before.or(request.to_revision) {
        Some(number) => revisions.iter().find(|revision| revision.number == number),
        None => {
            let (ids, networks) = (names::network_ids(room)?, names::networks(room, stack)?);
            let there = There { agent: room.agent, held, ids: &ids, networks: &networks };
            revisions.iter().rev().find(|revision| !there.runs(revision, revisions, stack))
        }
    };
    let Some(chosen) = found else {
        let kept: Vec<String> = revisions.iter().map(|revision| revision.number.to_string()).collect();
        let message = match request.to_revision {
            Some(number) => format!("the stack {stack} has no revision {number}; kept are {}", kept.join(", ")),
            None => format!("the stack {stack} runs as in revision {}, and no other is kept", newest.number),
        };
        return Err(Failure::new(Code::NO_REVISION, message).into());
    };
    if request.dry_run {
        return Ok(chosen);
    }
    let step = Step { operation: CHOSEN.to_owned(), object: stack.to_string() };
    room.ledger.note(id, step, StepOutcome::Done(Some(chosen.number.to_string())));
    Ok(chosen)
}

/// What the swarm has of a stack.
pub(super) struct There<'a> {
    pub(super) agent: &'a AgentId,
    pub(super) held: &'a [Service],
    /// Ids of networks by name.
    pub(super) ids: &'a BTreeMap<String, String>,
    pub(super) networks: &'a [Network],
}

impl There<'_> {
    /// Whether these are a revision's networks and services, and no others of later ones, counts of replicas aside: who scaled did not deploy.
    pub(super) fn runs(&self, revision: &Revision, all: &[Revision], stack: &StackName) -> bool {
        let uncounted = |spec: &Value| {
            let mut spec = spec.clone();
            if let Some(mode) = spec.pointer_mut("/Mode/Replicated").and_then(Value::as_object_mut) {
                mode.remove("Replicas");
            }
            spec
        };
        let same = |spec: &Value| {
            let now = self.held.iter().find(|service| service.name() == spec["Name"]);
            now.is_some_and(|now| compare::same(&uncounted(spec), &uncounted(&now.spec), self.ids))
        };
        let wanted: Vec<Value> = revision::specs_of_networks(revision).cloned().collect();
        let plans = plan::networks(stack, self.networks, &wanted);
        plans.is_ok_and(|plans| plans.iter().all(|plan| plan.action == Action::Unchanged))
            && revision::specs_of_services(revision).all(same)
            && !self.held.iter().any(|service| self.came_later(service, revision, all))
    }

    /// Whether a service is of a later revision, or of a deploy since the newest one, which failed. What only older ones have was left
    /// there by a deploy without `prune`.
    fn came_later(&self, service: &Service, revision: &Revision, all: &[Revision]) -> bool {
        let has_it = |revision: &Revision| revision::specs_of_services(revision).any(|spec| spec["Name"] == service.name());
        if has_it(revision) {
            return false;
        }
        if all.iter().any(has_it) {
            return all.iter().any(|later| later.number > revision.number && has_it(later));
        }
        let (made, newest) = (Timestamp::parse(&service.created_at), all.last().map(|newest| newest.at));
        service.label(OWNER) == Some(self.agent.as_str()) && made.is_ok_and(|made| newest.is_some_and(|newest| made > newest))
    }
}

/// What becomes of networks that are there and are not as in the revision.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Networks<'a> {
    /// They stay: only some services may be meant.
    AsTheyAre,
    /// They are made anew, and those go that the revision has not.
    AsKept {
        /// The names of those that a revision has.
        known: BTreeSet<String>,
        /// What failed deploys have left.
        orphans: &'a [Orphan],
    },
}

/// What there is of a stack before the way back.
struct Now<'a> {
    held: &'a [Service],
    /// Of these, those that are not in the revision and go.
    removals: Vec<Service>,
    /// Fingerprints of the logins that nodes were given, by service.
    given: BTreeMap<String, String>,
}

/// The way back to a revision.
struct Back {
    plans: Vec<ServicePlan>,
    networks: Vec<NetworkPlan>,
    /// Networks that are not in it.
    leaving: Vec<Network>,
    /// Services that are not in it.
    removals: Vec<Service>,
    /// The tasks that there were before.
    before: BTreeSet<String>,
    logins: Logins,
}

/// What is to be done that these services are as in a revision.
fn plan_back(
    room: &Room<'_>,
    revision: &Revision,
    specs: Vec<&Value>,
    now: Now<'_>,
    becomes: Networks<'_>,
    report: &mut Report,
) -> Result<Back, Broken> {
    let Now { held, removals, given } = now;
    let stack = report.stack().clone();
    let tasks = room.observe(|client| client.tasks(&stack))?;
    check_contents(room, revision)?;
    let ids = names::network_ids(room)?;
    let logins = Logins::new(given, logins::wanted(room, &stack, &BTreeMap::new(), specs.iter().copied())?, held);
    let mut plans = plan_services(room, specs, held, &ids);
    for plan in plans.iter_mut().filter(|plan| plan.action != Action::Unchanged) {
        plan.compare_logins(logins.given.get(&plan.name), logins.wanted.get(&plan.name));
    }
    report.warn(unfinished::settle(room, &stack, &mut plans, &tasks, &Logins::default(), &ids)?);
    let before = tasks.into_iter().map(|task| task.id).collect();
    let wanted: Vec<Value> = revision::specs_of_networks(revision).cloned().collect();
    let there = names::networks(room, &stack)?;
    let mut networks = plan::networks(&stack, &there, &wanted)?;
    if becomes == Networks::AsTheyAre {
        networks.iter_mut().for_each(NetworkPlan::leave_as_it_is);
    }
    let outsiders = names::outsiders(room, &stack, &networks)?;
    let goes_on = |service: &&Service| !plans.iter().any(|plan| plan.name == service.name()) && !removals.contains(service);
    let others: Vec<&Service> = held.iter().filter(goes_on).chain(&outsiders).collect();
    plan::detach(&networks, &mut plans, others.iter().copied())?;
    let mut leaving = Vec::new();
    if let Networks::AsKept { mut known, orphans } = becomes {
        known.extend(orphans::networks(orphans, &there));
        for (network, fate) in plan::unwanted(&there, &networks, &known, &plans, &others) {
            match fate {
                Fate::Goes => leaving.push(network.clone()),
                Fate::InUse(service) => {
                    let name = &network.name;
                    report.warn(Some(format!("network {name} is not in the revision: it stays, as service {service} is attached to it")));
                }
                Fate::Foreign => {}
            }
        }
    }
    let plan = Plan { networks, services: plans, removals, leaving, ..Plan::default() };
    let found = checks::surroundings(room, &plan)?;
    report.warn(found.warnings);
    report.take_services(&plan.services, &plan.removals, NOT_IN_THE_REVISION);
    report.take_not_here(&found.not_here);
    report.take_networks(&plan.networks, &plan.leaving, NOT_IN_THE_REVISION);
    let message = format!("back to revision {} of {stack}", revision.number);
    room.progress(Progress::new("plan", message).with("services", report.services()));
    let Plan { networks, services: plans, removals, leaving, .. } = plan;
    Ok(Back { plans, networks, leaving, removals, before, logins })
}

/// Writes the services of the plan, removes those that are not in it, waits for the verdict, and removes the networks that are
/// not in it; those that could not be removed.
fn bring_back(room: &Room<'_>, back: Back, report: &mut Report) -> Result<Vec<Orphan>, Broken> {
    let stack = report.stack().clone();
    let Back { mut plans, networks, leaving, removals, before, logins } = back;
    rollback::check_not_taken_back(room, &plans)?;
    for service in &removals {
        apply::remove_service(room, service)?;
    }
    replace::make_way(room, &stack, &networks, &mut plans)?;
    let anew: BTreeSet<String> = plans.iter().filter(|plan| plan.held.is_none()).map(|plan| plan.name.clone()).collect();
    let new = networks.iter().filter(|plan| plan.action != Action::Unchanged);
    let new = new.map(|network| apply::create_network(room, &stack, network)).collect::<Result<_, _>>()?;
    addresses::wait(room, &new)?;
    let networks = names::network_ids(room)?;
    let look = Look { removals: &removals, tasks_before: &before, networks: &networks, phase: "apply" };
    let write = |due: &mut [&mut ServicePlan]| {
        due.iter_mut().try_for_each(|plan| {
            let auth = images::auth(room, &BTreeMap::new(), image(&plan.spec));
            apply::write_service(room, plan, &networks, auth.as_ref())
        })
    };
    handover::in_order(room, &mut plans, &look, report, write, |failure| Err(failure.into()))?;
    let mut watched = converge::Watched::all(&plans, &removals, &before);
    converge::wait(room, &mut watched, &networks, report, "converge")?;
    logins::remember(room, &stack, &logins, &plans, |plan| anew.contains(&plan.name))?;
    let mut orphans = Vec::new();
    for network in &leaving {
        let stays = replace::let_go(room, &stack, network, NOT_IN_THE_REVISION)?;
        orphans.extend(stays.iter().map(|_| orphans::of_network(network)));
        report.warn(stays);
    }
    Ok(orphans)
}

fn plan_services(room: &Room<'_>, specs: Vec<&Value>, held: &[Service], networks: &BTreeMap<String, String>) -> Vec<ServicePlan> {
    let who = Who { agent: room.agent, command: room.command.id };
    let plan = |spec: &Value| {
        let mut bare = spec.clone();
        marks::strip(&mut bare);
        plan::service(bare, held.iter().find(|service| service.name() == spec["Name"]), networks, who)
    };
    specs.into_iter().map(plan).collect()
}

/// The secrets and configs of the revision must be there before anything is written.
fn check_contents(room: &Room<'_>, revision: &Revision) -> Result<(), Broken> {
    for (kind, name, id) in revision::objects(revision) {
        if revision::find_store(room, kind, id)?.is_none() {
            let message = format!("the {} {name} of revision {} is gone: deploy the stack again", kind.name(), revision.number);
            return Err(Failure::new(Code::REFERENCE_MISSING, message).into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Specs;

    #[test]
    fn a_stack_that_was_only_scaled_runs_as_in_its_revision() {
        let spec = |image: &str, mode: Value| json!({"Name": "st_web", "TaskTemplate": {"ContainerSpec": {"Image": image}}, "Mode": mode});
        let kept = |number: u64, specs: &[Value]| Revision {
            number,
            command: crate::domain::CommandId(uuid::Uuid::from_u128(u128::from(number))),
            at: Timestamp::from_millis(1000),
            specs: Specs { services: specs.iter().collect(), ..Specs::default() },
        };
        let (agent, stack) = (AgentId::new("me").unwrap(), StackName::new("st").unwrap());
        let runs = |held: &[Service], revision: &Revision, all: &[Revision]| {
            There { agent: &agent, held, ids: &BTreeMap::new(), networks: &[] }.runs(revision, all, &stack)
        };
        let service = |spec: Value, created_at: &str| -> Service {
            serde_json::from_value(json!({"ID": "s", "Version": {"Index": 1}, "CreatedAt": created_at, "Spec": spec})).unwrap()
        };
        let (two, web) = (json!({"Replicated": {"Replicas": 2}}), |image: &str, mode: &Value| spec(image, mode.clone()));
        let only = [kept(1, &[web("a:1", &two)])];
        let (early, late) = ("1970-01-01T00:00:00.5Z", "1970-01-01T00:00:05Z");
        for (held, expected) in [
            (vec![service(web("a:1", &two), early)], true),
            (vec![service(web("a:1", &json!({"Replicated": {"Replicas": 0}})), early)], true),
            (vec![service(web("a:2", &two), early)], false),
            (vec![service(web("a:1", &json!({"Global": {}})), early)], false),
            (vec![], false),
        ] {
            assert_eq!(runs(&held, &only[0], &only), expected, "{held:?}");
        }
        let db = |owner: Option<&str>| {
            let mut db = web("db:1", &two);
            (db["Name"], db["Labels"]) = (json!("st_db"), json!({OWNER: owner}));
            db
        };
        let both = |owner: Option<&str>, at: &str| vec![service(web("a:1", &two), early), service(db(owner), at)];
        for (owner, at, expected) in [(Some("me"), late, false), (Some("me"), early, true), (Some("you"), late, true), (None, late, true)] {
            assert_eq!(runs(&both(owner, at), &only[0], &only), expected, "{owner:?} {at}: a deploy that failed has left it");
        }
        let added = [kept(1, &[web("a:1", &two)]), kept(2, &[web("a:1", &two), db(None)])];
        assert!(!runs(&both(None, early), &added[0], &added) && runs(&both(None, early), &added[1], &added));
        let left = [kept(1, &[web("a:1", &two), db(None)]), kept(2, &[web("a:1", &two)])];
        assert!(runs(&both(None, early), &left[1], &left), "it was not to be pruned");
    }
}

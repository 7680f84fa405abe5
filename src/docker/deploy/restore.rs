//! Brings a kept revision back: Start the newest one, Rollback an older one.
//!
//! Runs on a lane, in the command's room, from top to bottom: choose, check, write, converge. Services
//! get the specs that were seen to run; what is as in the revision is not written. It takes no secret or
//! config from a command: the revision names the objects, and they must still be there.

use super::handover::{self, Look};
use super::report::{NOT_IN_THE_REVISION, Report};
use super::{Broken, Failure, addresses, apply, checks, converge, drift, images, names, orphans, replace, revision, rollback};
use crate::docker::ownership::{self, Takeover};
use crate::docker::room::{End, Room};
use crate::docker::types::{Network, Service};
use crate::domain::{Code, KeptStack, Orphan, Outcome, Progress, Revision, Rollback, Selection, StackName, Step, StepOutcome, Target};
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
        let revisions = room.ledger.revisions(&request.target.stack)?;
        let newest = revision::newest(&revisions, &request.target.stack, &held)?;
        report.head_for(newest.number);
        let specs = revision::named(newest, &request.target.stack, &request.services)?;
        let back = plan_back(room, newest, specs, &held, Vec::new(), Networks::AsTheyAre, report)?;
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
        let KeptStack { revisions, mut orphans, .. } = room.ledger.stack(stack)?;
        let chosen = choose(room, request, &revisions, &held)?;
        report.head_for(chosen.number);
        let wanted = revision::specs_of_services(chosen).filter_map(|spec| spec["Name"].as_str()).collect();
        let (ours, foreign) = plan::leftovers(&held, &wanted, &revision::services(&revisions), room.agent);
        let stay: Vec<&str> = foreign.iter().map(|service| service.name()).collect();
        let ours = ours.into_iter().cloned().collect();
        let becomes = Networks::AsKept { known: revision::networks(&revisions), orphans: &orphans };
        let drift = drift::seen(room, &revisions, &held, &BTreeMap::new())?;
        report.warn(drift.iter().map(|(name, drift)| drift.warning(name)));
        let back = plan_back(room, chosen, revision::specs_of_services(chosen).collect(), &held, ours, becomes, report)?;
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
            revisions.iter().rev().find(|revision| !runs(revision, held, &ids, stack, &networks))
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

/// Whether the swarm holds a revision's networks and services, counts of replicas aside: who scaled did not deploy. `ids` are
/// those of networks by name.
pub(super) fn runs(revision: &Revision, held: &[Service], ids: &BTreeMap<String, String>, stack: &StackName, networks: &[Network]) -> bool {
    let uncounted = |spec: &Value| {
        let mut spec = spec.clone();
        if let Some(mode) = spec.pointer_mut("/Mode/Replicated").and_then(Value::as_object_mut) {
            mode.remove("Replicas");
        }
        spec
    };
    let same = |spec: &Value| {
        let now = held.iter().find(|service| service.name() == spec["Name"]);
        now.is_some_and(|now| compare::same(&uncounted(spec), &uncounted(&now.spec), ids))
    };
    let wanted: Vec<Value> = revision::specs_of_networks(revision).cloned().collect();
    let are_there = plan::networks(stack, networks, &wanted).is_ok_and(|plans| plans.iter().all(|plan| plan.action == Action::Unchanged));
    are_there && revision::specs_of_services(revision).all(same)
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
}

/// What is to be done that these services are as in a revision.
fn plan_back(
    room: &Room<'_>,
    revision: &Revision,
    specs: Vec<&Value>,
    held: &[Service],
    removals: Vec<Service>,
    becomes: Networks<'_>,
    report: &mut Report,
) -> Result<Back, Broken> {
    let stack = report.stack().clone();
    let before: BTreeSet<String> = room.observe(|client| client.tasks(&stack))?.into_iter().map(|task| task.id).collect();
    check_contents(room, revision)?;
    let ids = names::network_ids(room)?;
    let mut plans = plan_services(room, specs, held, &ids);
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
    Ok(Back { plans, networks, leaving, removals, before })
}

/// Writes the services of the plan, removes those that are not in it, waits for the verdict, and removes the networks that are
/// not in it; those that could not be removed.
fn bring_back(room: &Room<'_>, back: Back, report: &mut Report) -> Result<Vec<Orphan>, Broken> {
    let stack = report.stack().clone();
    let Back { mut plans, networks, leaving, removals, before } = back;
    rollback::check_not_taken_back(room, &plans)?;
    for service in &removals {
        apply::remove_service(room, service)?;
    }
    replace::make_way(room, &stack, &networks, &mut plans)?;
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
        let revision = Revision {
            number: 1,
            command: crate::domain::CommandId(uuid::Uuid::from_u128(1)),
            at: crate::domain::Timestamp::from_millis(0),
            specs: Specs { services: [spec("a:1", json!({"Replicated": {"Replicas": 2}}))].iter().collect(), ..Specs::default() },
        };
        let service =
            |spec: Value| -> Service { serde_json::from_value(json!({"ID": "s", "Version": {"Index": 1}, "Spec": spec})).unwrap() };
        for (held, expected) in [
            (vec![service(spec("a:1", json!({"Replicated": {"Replicas": 2}})))], true),
            (vec![service(spec("a:1", json!({"Replicated": {"Replicas": 0}})))], true),
            (vec![service(spec("a:2", json!({"Replicated": {"Replicas": 2}})))], false),
            (vec![service(spec("a:1", json!({"Global": {}})))], false),
            (vec![], false),
        ] {
            assert_eq!(runs(&revision, &held, &BTreeMap::new(), &StackName::new("st").unwrap(), &[]), expected, "{held:?}");
        }
    }
}

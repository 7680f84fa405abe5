//! Carries a plan out: networks, secrets, configs, what left the file, what is made anew, then services.
//!
//! Each change is a step of the room. A conflict or a lost answer makes it look and decide again: what
//! is there as wanted is done, what is as it was is tried again, anything else is somebody else's work.

use super::handover::Look;
use super::prepare::Prepared;
use super::report::Report;
use super::{Broken, Failure, addresses, contents, handover, images, names, replace};
use crate::docker::api::Credentials;
use crate::docker::client::Client;
use crate::docker::error::EngineError;
use crate::docker::room::{Made, Room, STEPS_AT_ONCE, StepError};
use crate::docker::types::{Created, NAMESPACE, Service, Updated};
use crate::domain::{Code, Deploy, Sensitive, StackName, Step};
use crate::stack::marks::Stamp;
use crate::stack::plan::{self, Action, ContentPlan, Login, NetworkPlan, ServicePlan};
use crate::stack::{compare, images::image, marks};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// How often a step may find that the object changed or that the answer was lost: the manager itself
/// writes to a service once or twice in an update.
const ATTEMPTS: usize = 8;

/// How often a manager is asked again for a network that it has missed …
const LOOKS: usize = 6;
/// … and after which time.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// Carries out all of the plan, and notes in it the ids of what was made.
pub(super) fn apply(room: &Room<'_>, request: &Deploy, prepared: &mut Prepared, report: &mut Report) -> Result<(), Broken> {
    // With what comes before them they share a write of the journal. What is made anew is no such step yet.
    let is_step = |plan: &&ServicePlan| matches!(plan.action, Action::Create | Action::Update);
    room.announce(prepared.plan.services.iter().filter(is_step).take(STEPS_AT_ONCE).map(step).collect());
    let done = carry_out(room, request, prepared, report);
    room.withdraw();
    done
}

fn carry_out(room: &Room<'_>, request: &Deploy, prepared: &mut Prepared, report: &mut Report) -> Result<(), Broken> {
    let stack = &request.target.stack;
    let plan = &mut prepared.plan;
    let (late, new): (Vec<&NetworkPlan>, Vec<&NetworkPlan>) = plan
        .networks
        .iter()
        .filter(|network| network.action.is_sent())
        .partition(|network| network.action == Action::Replace || plan::waits_for_addresses(network, &plan.networks));
    create_networks(room, stack, &new, &mut prepared.network_ids)?;
    for content in &mut plan.contents {
        match content.action {
            Action::Create => content.id = Some(create_content(room, stack, content)?),
            Action::Update => contents::label(room, content)?,
            Action::Unchanged | Action::Replace | Action::Remove => {}
        }
    }
    for service in &plan.removals {
        remove_service(room, service)?;
    }
    // ORDER: what left the file is gone, and all else that can fail is there, before anything is down.
    replace::make_way(room, stack, &plan.networks, &mut plan.services)?;
    create_networks(room, stack, &late, &mut prepared.network_ids)?;
    // A task of a service that is only made is tried again.
    if prepared.lingering || plan.services.iter().any(|service| service.held.is_some() && service.action != Action::Unchanged) {
        let new = plan.networks.iter().filter(|network| network.action.is_sent());
        addresses::wait(room, &new.filter_map(|network| prepared.network_ids.get(&network.name).cloned()).collect())?;
    }
    for service in &mut plan.services {
        // Now the ids of what was just made are known.
        plan::fill(&mut service.spec, &plan.contents, &prepared.external);
    }
    let look = Look { removals: &plan.removals, tasks_before: &prepared.tasks_before, networks: &prepared.network_ids, phase: "apply" };
    let write = |due: &mut [&mut ServicePlan]| {
        due.chunks_mut(STEPS_AT_ONCE).try_for_each(|services| write_services(room, request, services, look.networks))
    };
    handover::in_order(room, &mut plan.services, &look, report, write, |failure| Err(failure.into()))
}

/// Creates or updates services that do not depend on each other: Swarm knows no order of start.
fn write_services(
    room: &Room<'_>,
    request: &Deploy,
    services: &mut [&mut ServicePlan],
    networks: &BTreeMap<String, String>,
) -> Result<(), Broken> {
    let auth = |plan: &ServicePlan| images::auth(room, &request.registry_auth, image(&plan.spec));
    let auths: Vec<_> = services.iter().map(|plan| auth(plan)).collect();
    let steps = services.iter().map(|plan| step(plan)).collect();
    let (all, stamp) = (&*services, Stamp::new(room.command.id, room.agent));
    // One after the other and before the first call: the manager's work takes the processor's caches, and each text would find them cold.
    let texts: Vec<Vec<u8>> = all.iter().map(|plan| stamp.on(&plan.spec)).collect();
    let results = room.steps(steps, |number, client| send(client, all[number], texts[number].clone(), auths[number].as_ref()))?;
    let mut first = Ok(());
    for ((plan, auth), result) in services.iter_mut().zip(&auths).zip(results) {
        let done = match seen(room, plan, result, networks) {
            Ok(Seen::Done) => Ok(()),
            Ok(Seen::Again) => write_service(room, plan, networks, auth.as_ref()),
            Err(broken) => Err(broken),
        };
        first = first.and(done);
    }
    first
}

fn create_networks(room: &Room<'_>, stack: &StackName, plans: &[&NetworkPlan], ids: &mut BTreeMap<String, String>) -> Result<(), Broken> {
    for plan in plans {
        ids.insert(plan.name.clone(), create_network(room, stack, plan)?);
    }
    Ok(())
}

pub(super) fn create_network(room: &Room<'_>, stack: &StackName, plan: &NetworkPlan) -> Result<String, Broken> {
    for _ in 0..ATTEMPTS {
        match room.step("network.create", &plan.name, |client| client.create_network(&plan.spec)) {
            Ok(created) => return Ok(created.id),
            Err(StepError::Refused(error)) if error.is_conflict() => log::debug!("looking at network {}: {error}", plan.name),
            Err(StepError::Unknown(error)) => log::warn!("looking at network {}: {error}", plan.name),
            Err(error) => return Err(refused("network", &plan.name, error)),
        }
        let there = names::found(room, |client| client.network(&plan.name))?.filter(|network| network.name == plan.name);
        if let Some(network) = there {
            plan::check_name("network", &plan.name, network.labels.get(NAMESPACE).map(String::as_str), stack)?;
            return Ok(network.id);
        }
    }
    Err(changed_by_others("network", &plan.name))
}

fn create_content(room: &Room<'_>, stack: &StackName, plan: &ContentPlan) -> Result<String, Broken> {
    let operation = format!("{}.create", plan.kind.name());
    let mut in_doubt = false;
    for _ in 0..ATTEMPTS {
        match room.step(&operation, &plan.name, |client| client.create_store(plan.kind, &plan.spec)) {
            Ok(created) => return Ok(created.id),
            Err(StepError::Unknown(error)) => {
                in_doubt = true;
                log::warn!("looking at {} {}: {error}", plan.kind.name(), plan.name);
            }
            // It was not there at the look, and came of the call whose answer was lost.
            Err(StepError::Refused(error)) if in_doubt && error.is_conflict() => log::debug!("looking at {}: {error}", plan.name),
            Err(error) => return Err(refused(plan.kind.name(), &plan.name, error)),
        }
        // The answer was lost: whoever made one of this name in this instant was this call.
        if let Some(store) = names::usable_store(room, stack, plan.kind, &plan.name)? {
            return Ok(store.id);
        }
    }
    Err(changed_by_others(plan.kind.name(), &plan.name))
}

/// Removes a service; one that is gone is removed.
pub(super) fn remove_service(room: &Room<'_>, service: &Service) -> Result<(), Broken> {
    for _ in 0..ATTEMPTS {
        match room.step("service.remove", service.name(), |client| client.remove_service(&service.id)) {
            Ok(()) => return Ok(()),
            Err(StepError::Refused(error)) if error.is_not_found() => return Ok(()),
            Err(StepError::Unknown(error)) => log::warn!("removing {} again: {error}", service.name()),
            Err(error) => return Err(error.into()),
        }
    }
    Err(changed_by_others("service", service.name()))
}

/// Creates or updates a service, marked as this command's, and notes what then is there.
pub(super) fn write_service(
    room: &Room<'_>,
    plan: &mut ServicePlan,
    networks: &BTreeMap<String, String>,
    auth: Option<&Sensitive<String>>,
) -> Result<(), Broken> {
    let stamp = Stamp::new(room.command.id, room.agent);
    write(room, plan, networks, |plan, client| send(client, plan, stamp.on(&plan.spec), auth))
}

/// The same, with marks that are on the spec already; among them must be the command's.
pub(super) fn write_marked(
    room: &Room<'_>,
    plan: &mut ServicePlan,
    marked: &Value,
    networks: &BTreeMap<String, String>,
    auth: Option<&Sensitive<String>>,
) -> Result<(), Broken> {
    write(room, plan, networks, |plan, client| send(client, plan, marked.to_string().into_bytes(), auth))
}

fn write(
    room: &Room<'_>,
    plan: &mut ServicePlan,
    networks: &BTreeMap<String, String>,
    send: impl Fn(&ServicePlan, &Client) -> Result<Written, EngineError>,
) -> Result<(), Broken> {
    for _ in 0..ATTEMPTS {
        let result = room.step(operation(plan), &plan.name, |client| send(plan, client));
        if seen(room, plan, result, networks)? == Seen::Done {
            return Ok(());
        }
    }
    Err(changed_by_others("service", &plan.name))
}

fn send(client: &Client, plan: &ServicePlan, spec: Vec<u8>, auth: Option<&Sensitive<String>>) -> Result<Written, EngineError> {
    match &plan.held {
        None => client.create_service(spec, auth).map(Written::Created),
        Some(held) => {
            let credentials = match (plan.login, auth) {
                (Login::Before, _) => Credentials::OfPreviousSpec,
                (Login::Holding, Some(auth)) => Credentials::Given(auth),
                (Login::Holding | Login::Kept, _) => Credentials::OfSpec,
            };
            client.update_service(&held.id, held.version, spec, credentials).map(Written::Updated)
        }
    }
}

/// What the engine said of a service that it took.
enum Written {
    Created(Created),
    Updated(Updated),
}

impl Written {
    fn warnings(&self) -> &[String] {
        match self {
            Self::Created(created) => &created.warnings,
            Self::Updated(updated) => &updated.warnings,
        }
    }
}

impl Made for Written {
    fn made(&self) -> Option<&str> {
        match self {
            Self::Created(created) => created.made(),
            Self::Updated(updated) => updated.made(),
        }
    }
}

fn step(plan: &ServicePlan) -> Step {
    Step { operation: operation(plan).to_owned(), object: plan.name.clone() }
}

fn operation(plan: &ServicePlan) -> &'static str {
    if plan.held.is_none() { "service.create" } else { "service.update" }
}

/// What a write has come to.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Done,
    Again,
}

/// Looks where the answer leaves it open, and notes in the plan what is there.
fn seen(
    room: &Room<'_>,
    plan: &mut ServicePlan,
    result: Result<Written, StepError>,
    networks: &BTreeMap<String, String>,
) -> Result<Seen, Broken> {
    match result {
        Ok(written) => {
            written.warnings().iter().for_each(|warning| log::info!("service {}: {warning}", plan.name));
            plan.made = written.made().map(str::to_owned);
            return Ok(Seen::Done);
        }
        Err(StepError::Refused(error)) if error.is_conflict() => log::debug!("looking at service {}: {error}", plan.name),
        Err(StepError::Unknown(error)) => log::warn!("looking at service {}: {error}", plan.name),
        // The service itself, or something that its spec refers to.
        Err(StepError::Refused(error)) if error.is_not_found() => return Err(not_found(room, plan, error)?),
        Err(StepError::Refused(error)) if is_there_all_the_same(room, &error, networks)? => {
            log::info!("service {}: the manager has just taken over and does not see all yet: {error}", plan.name);
        }
        Err(StepError::Refused(error)) => {
            return Err(removed_network(&error, networks).unwrap_or_else(|| refused("service", &plan.name, StepError::Refused(error))));
        }
        Err(error) => return Err(error.into()),
    }
    let now = names::found(room, |client| client.service(&plan.name))?.filter(|service| service.name() == plan.name);
    if is_done(room, now.as_ref(), &plan.spec, networks) {
        return Ok(Seen::Done);
    }
    check_unchanged(plan, now.as_ref(), networks)?;
    plan.held = now;
    Ok(Seen::Again)
}

/// Whether a manager misses a network that is there. One that has just become the leader did so on 28.5, for a moment:
/// "network NAME not found", as an error of its own. What it says after [`LOOKS`] looks holds.
fn is_there_all_the_same(room: &Room<'_>, error: &EngineError, networks: &BTreeMap<String, String>) -> Result<bool, StepError> {
    let Some(name) = missed(error, networks) else { return Ok(false) };
    for _ in 0..LOOKS {
        room.wait_for_change(BETWEEN_LOOKS)?;
        if room.observe(Client::all_networks)?.iter().any(|network| network.name == *name && !network.lingers()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The network of ours that a manager says is not there.
fn missed<'a>(error: &EngineError, networks: &'a BTreeMap<String, String>) -> Option<&'a String> {
    let words = error.to_string();
    networks.keys().find(|name| words.ends_with(&format!("network {name} not found")))
}

/// What it means that a network is not there any more.
fn removed_network(error: &EngineError, networks: &BTreeMap<String, String>) -> Option<Broken> {
    let name = missed(error, networks)?;
    let message = format!("somebody else removed the network {name} at the same time: see who does it, then deploy again");
    Some(Failure::new(Code::CONFLICT, message).into())
}

/// What an update means that met nothing: a service that was there at the look was removed by somebody else.
fn not_found(room: &Room<'_>, plan: &ServicePlan, error: EngineError) -> Result<Broken, StepError> {
    let Some(held) = &plan.held else { return Ok(StepError::Refused(error).into()) };
    if names::found(room, |client| client.service(&held.id))?.is_some() {
        return Ok(StepError::Refused(error).into());
    }
    let message = format!("somebody else removed service {} at the same time: see who does it, then deploy again", plan.name);
    Ok(Failure::new(Code::CONFLICT, message).into())
}

/// Whether a service carries this command's mark and its spec: then the lost answer was a yes.
fn is_done(room: &Room<'_>, now: Option<&Service>, spec: &Value, networks: &BTreeMap<String, String>) -> bool {
    now.is_some_and(|now| {
        now.label(marks::COMMAND) == Some(room.command.id.to_string().as_str()) && compare::same(spec, &now.spec, networks)
    })
}

/// Whether a service is still what the plan was made for. The manager itself moves its version on.
fn check_unchanged(plan: &ServicePlan, now: Option<&Service>, networks: &BTreeMap<String, String>) -> Result<(), Failure> {
    let same = match (&plan.held, now) {
        (None, None) => true,
        (Some(held), Some(now)) => held.id == now.id && compare::same(&held.spec, &now.spec, networks),
        _ => false,
    };
    let message = format!("somebody else changed service {} at the same time: see who does it, then deploy again", plan.name);
    if same { Ok(()) } else { Err(Failure::new(Code::CONFLICT, message)) }
}

/// The engine's words do not say which object they are about.
fn refused(kind: &str, name: &str, error: StepError) -> Broken {
    match error {
        StepError::Refused(error) => {
            let Failure { code, message } = error.into();
            Failure::new(code, format!("{kind} {name}: {message}")).into()
        }
        other => other.into(),
    }
}

fn changed_by_others(kind: &str, name: &str) -> Broken {
    let message = format!("the {kind} {name} changed or the engine lost its answer {ATTEMPTS} times in a row; deploy again");
    Failure::new(Code::CONFLICT, message).into()
}

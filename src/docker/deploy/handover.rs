//! Writes services so that published ports can move between them: who gives a port up first, and who takes it once it
//! is free.
//!
//! The order is `stack::plan`'s. An ingress port is free when the manager has taken it from the service's endpoint, which
//! it does a moment after the write; a port of a node when the tasks of the old spec have ended.

use super::converge::{self, Seen, Watched};
use super::report::Report;
use super::{Broken, Failure, names, replace};
use crate::docker::room::Room;
use crate::docker::types::{Published, Service};
use crate::domain::{Code, StackName};
use crate::stack::plan::{self, Place, Port, ServicePlan};
use std::collections::{BTreeMap, BTreeSet};

/// What is seen of the services that give ports up.
pub(super) struct Look<'a> {
    /// Services that go.
    pub(super) removals: &'a [Service],
    /// The tasks that there were before the command.
    pub(super) tasks_before: &'a BTreeSet<String>,
    /// Ids of networks by name.
    pub(super) networks: &'a BTreeMap<String, String>,
    /// How its progress is called.
    pub(super) phase: &'static str,
}

/// Writes the services of the plans that are to be written. `failed` says whether to go on where one that is to give a
/// port up will not come to run.
pub(super) fn in_order(
    room: &Room<'_>,
    plans: &mut [ServicePlan],
    look: &Look<'_>,
    report: &mut Report,
    mut write: impl FnMut(&mut [&mut ServicePlan]) -> Result<(), Broken>,
    mut failed: impl FnMut(Failure) -> Result<(), Broken>,
) -> Result<(), Broken> {
    let mut bare = BTreeMap::new();
    for wave in plan::waves(plans) {
        if !wave.awaits.is_empty() {
            let as_written = |giver: &usize| bare.get(giver).unwrap_or(&plans[*giver]).clone();
            let givers: Vec<ServicePlan> = wave.awaits.iter().map(as_written).collect();
            match wait(room, &givers, look, report) {
                Err(Broken::Failed(failure)) => failed(failure)?,
                other => other?,
            }
        }
        if wave.without.is_empty() {
            let in_wave = |(n, _): &(usize, &mut ServicePlan)| wave.services.contains(n);
            let mut due: Vec<&mut ServicePlan> = plans.iter_mut().enumerate().filter(in_wave).map(|(_, plan)| plan).collect();
            write(&mut due)?;
        } else {
            for &n in &wave.services {
                bare.insert(n, write_without(room, &mut plans[n], &wave.without, &mut write)?);
            }
        }
    }
    Ok(())
}

/// Writes a service without ports that others still have; as what. What it was before stays known in the journal: Swarm
/// remembers only what was before the last write.
fn write_without(
    room: &Room<'_>,
    plan: &mut ServicePlan,
    without: &[Port],
    write: &mut impl FnMut(&mut [&mut ServicePlan]) -> Result<(), Broken>,
) -> Result<ServicePlan, Broken> {
    let mut bare = plan.clone();
    plan::leave_out(&mut bare.spec, without);
    if let Some(held) = &plan.held {
        replace::remember(room, replace::EXCHANGE, &plan.name, &held.spec);
    }
    write(&mut [&mut bare])?;
    let now = names::found(room, |client| client.service(&plan.name))?.filter(|service| service.name() == plan.name);
    let gone = || Failure::new(Code::CONFLICT, format!("somebody else removed service {} at the same time", plan.name));
    plan.held = Some(now.ok_or_else(gone)?);
    Ok(bare)
}

/// Waits until these services have let go of the ports that they give up, or one of them fails.
fn wait(room: &Room<'_>, givers: &[ServicePlan], look: &Look<'_>, report: &mut Report) -> Result<(), Broken> {
    let stack = report.stack().clone();
    let mut watched = Watched::all(givers, look.removals, look.tasks_before);
    let is_free = |seen: &Seen<'_>| have_let_go(room, &stack, givers, seen);
    converge::wait_for(room, &mut watched, look.networks, report, look.phase, is_free)
}

fn have_let_go(room: &Room<'_>, stack: &StackName, givers: &[ServicePlan], seen: &Seen<'_>) -> Result<bool, Broken> {
    let published = room.observe(|client| client.published(stack))?;
    let has_let_go = |giver: &ServicePlan| {
        let id = giver.held.as_ref().map_or("", |held| held.id.as_str());
        let (mine, given) = (published.iter().find(|one| one.id == id), plan::given_up(giver));
        let on_nodes = given.iter().any(|port| port.place == Place::Host);
        mine.is_none_or(|mine| is_off(mine, &given)) && !(on_nodes && seen.has_old_tasks(id))
    };
    Ok(givers.iter().all(has_let_go))
}

fn is_off(published: &Published, given: &[Port]) -> bool {
    let has = |port: Port| given.iter().any(|given| given.is_of(&port));
    !published.endpoint.ports.iter().filter_map(plan::port).any(has)
}

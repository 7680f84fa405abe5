//! Stop: nothing of some services runs any more, and a Start can bring them back.
//!
//! Runs on a lane, in the command's room. Replicated services go to no replicas; global ones and jobs
//! have no count and are removed. It stops only what a kept revision holds: what that does not know, no
//! Start could bring back. Networks, secrets, configs and volumes stay.

use super::{Broken, Failure, apply, revision};
use crate::docker::census::{Census, down};
use crate::docker::ownership::{self, Takeover};
use crate::docker::room::{End, Halt, Room};
use crate::docker::scale;
use crate::docker::types::{Mode, Service};
use crate::domain::{Code, Outcome, Progress, Selection, StackName, counted};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// Tasks end without an event where they run on other nodes.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Carries the command out.
pub(in crate::docker) fn run(room: &Room<'_>, request: &Selection) -> End {
    match work(room, request) {
        Ok(outcome) => End::Finished(outcome),
        Err(Broken::Failed(failure)) => End::Finished(Outcome::failed(failure.code, failure.message)),
        Err(Broken::Ended(end)) => end,
    }
}

fn work(room: &Room<'_>, request: &Selection) -> Result<Outcome, Broken> {
    let stack = &request.target.stack;
    let held = room.observe(|client| client.services(stack))?;
    ownership::check(room, &request.target, &held, Takeover::Refused)?;
    let revisions = room.ledger.revisions(stack)?;
    let newest = revision::newest(&revisions, stack, &held)?;
    let names: BTreeSet<&str> =
        revision::named(newest, stack, &request.services)?.into_iter().filter_map(|spec| spec["Name"].as_str()).collect();
    let (stopping, staying): (Vec<&Service>, Vec<&Service>) = held.iter().partition(|service| names.contains(service.name()));
    let mut stopped = Vec::new();
    for service in stopping {
        stopped.push(Stopped { service, action: stop(room, service)? });
    }
    wait(room, stack, &stopped, &staying)?;
    let told: Vec<Value> = stopped.iter().map(|one| one.told(stack, 0)).collect();
    let message = match staying.len() {
        0 => format!("the stack {stack} is stopped; Start brings back revision {}", newest.number),
        others => {
            let (stopped, go) = (counted(told.len(), "service"), if others == 1 { "goes" } else { "go" });
            format!("stopped: {stopped} of {stack}; {others} {go} on; Start brings back revision {}", newest.number)
        }
    };
    Ok(Outcome::completed(message).with("services", told).with("revision", newest.number))
}

/// A service whose tasks end.
struct Stopped<'a> {
    service: &'a Service,
    /// What was done to it.
    action: &'static str,
}

impl Stopped<'_> {
    /// As events show it, with so many tasks that have not ended.
    fn told(&self, stack: &StackName, late: u64) -> Value {
        let (name, state) = (stack.descoped(self.service.name()), if late == 0 { "stopped" } else { "stopping" });
        json!({"name": name, "action": self.action, "state": state, "replicas": {"running": late, "desired": 0}})
    }
}

/// Takes the tasks of a service away; what was done.
fn stop(room: &Room<'_>, service: &Service) -> Result<&'static str, Broken> {
    match service.mode() {
        Mode::Replicated(_) => Ok(scale::set(room, &scale::Wanted::of(service, 0))?.name()),
        Mode::Global | Mode::ReplicatedJob(_) | Mode::GlobalJob => {
            apply::remove_service(room, service)?;
            Ok("remove")
        }
    }
}

/// Waits until nothing of the stack runs but what belongs to these services. Those that were removed are
/// known by their tasks alone, as after a restart in the middle.
fn wait(room: &Room<'_>, stack: &StackName, stopped: &[Stopped<'_>], staying: &[&Service]) -> Result<(), Broken> {
    let mut told = Vec::new();
    loop {
        let tasks = room.observe(|client| client.tasks(stack))?;
        let down = down(&room.observe(|client| client.nodes())?);
        let ending = tasks.iter().filter(|task| !staying.iter().any(|service| service.id == task.service_id));
        let census = Census::of(ending, &down);
        let late = census.not_ended();
        if late == 0 {
            return Ok(());
        }
        let own = |one: &Stopped<'_>| Census::of(tasks.iter().filter(|task| task.service_id == one.service.id), &down).not_ended();
        let seen: Vec<Value> = stopped.iter().map(|one| one.told(stack, own(one))).collect();
        if seen != told {
            room.progress(Progress::new("converge", format!("{} left to end", counted(late, "task"))).with("services", seen.clone()));
            told = seen;
        }
        match room.wait_for_change(LOOK_EVERY) {
            Err(Halt::TimedOut) => {
                let message =
                    format!("{} had not ended when the command's time was over; the swarm goes on ending them", counted(late, "task"));
                return Err(Failure::new(Code::TIMED_OUT, message).into());
            }
            other => other?,
        }
    }
}

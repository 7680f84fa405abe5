//! Restart: every task of some services is replaced, at the pace of their own update rules.
//!
//! Runs on a lane, in the command's room. It raises `ForceUpdate` and changes nothing else, so Swarm
//! rolls the service over as after a deploy; the verdict is a deploy's. What this command wrote carries
//! its mark: a restart in the middle rolls nothing over a second time.

use super::report::Report;
use super::{Broken, apply, converge, rollback};
use crate::docker::choose;
use crate::docker::ownership::Takeover;
use crate::docker::room::{End, Room};
use crate::docker::types::{Mode, Service};
use crate::domain::{Outcome, Progress, Selection, StackName, counted};
use crate::stack::change::Change;
use crate::stack::marks;
use crate::stack::plan::{Action, ServicePlan};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Carries the command out.
pub(in crate::docker) fn run(room: &Room<'_>, request: &Selection) -> End {
    let mut report = Report::of(&request.target.stack);
    match work(room, request, &mut report) {
        Ok(message) => End::Finished(Outcome::completed(message).with("services", report.services())),
        Err(Broken::Failed(failure)) => End::Finished(Outcome::failed(failure.code, failure.message).with("services", report.services())),
        Err(Broken::Ended(end)) => end,
    }
}

fn work(room: &Room<'_>, request: &Selection, report: &mut Report) -> Result<String, Broken> {
    let stack = &request.target.stack;
    let held = choose::held(room, &request.target, Takeover::Refused)?;
    let chosen = choose::named(stack, &held, &request.services).map_err(End::Finished)?;
    let before: BTreeSet<String> = room.observe(|client| client.tasks(stack))?.into_iter().map(|task| task.id).collect();
    let mut plans = Vec::new();
    for service in chosen.into_iter().filter(|service| is_meant(service, request)) {
        plans.push(plan(service, &room.command.id.to_string()));
    }
    report.take_services(&plans, &[], "");
    // Specs as the engine has them name networks by id: nothing is to be translated.
    let networks = BTreeMap::new();
    rollback::check_not_taken_back(room, &plans)?;
    for plan in plans.iter_mut().filter(|plan| plan.action == Action::Update) {
        write(room, plan, &networks)?;
    }
    let message = format!("the tasks of {} get new ones in their place", counted(plans.len(), "service"));
    room.progress(Progress::new("apply", message).with("services", report.services()));
    let mut watched = converge::Watched::all(&plans, [], &before);
    converge::wait(room, &mut watched, &networks, report, "converge")?;
    Ok(told(stack, &plans))
}

/// What was done, in words.
fn told(stack: &StackName, plans: &[ServicePlan]) -> String {
    let (jobs, services): (Vec<Mode>, Vec<Mode>) = plans.iter().map(|plan| Mode::of(&plan.spec)).partition(|mode| mode.is_job());
    let idle = services.iter().filter(|mode| matches!(mode, Mode::Replicated(0))).count();
    let parts = [
        match services.len() - idle {
            0 => None,
            1 => Some(format!("one service of {stack} was restarted and runs")),
            count => Some(format!("{count} services of {stack} were restarted and run")),
        },
        match jobs.len() {
            0 => None,
            1 => Some(format!("one job of {stack} has run again")),
            count => Some(format!("{count} jobs of {stack} have run again")),
        },
        match idle {
            0 => None,
            1 => Some(format!("one service of {stack} has no replicas, and nothing of it runs")),
            count => Some(format!("{count} services of {stack} have no replicas, and nothing of them runs")),
        },
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { format!("the stack {stack} has jobs alone, which run again only when they are named") } else { parts.join("; ") }
}

/// Jobs run again only when they are named.
fn is_meant(service: &Service, request: &Selection) -> bool {
    !request.services.is_empty() || !service.mode().is_job()
}

fn plan(service: &Service, command: &str) -> ServicePlan {
    let ours_already = service.label(marks::COMMAND) == Some(command);
    let mut spec = service.spec.clone();
    let mut changes = Vec::new();
    if !ours_already {
        let (before, after) = (force_update(&spec), force_update(&spec) + 1);
        spec["TaskTemplate"]["ForceUpdate"] = json!(after);
        changes.push(Change::new("TaskTemplate.ForceUpdate".to_owned(), &json!(before), &json!(after)));
    }
    let action = if ours_already { Action::Unchanged } else { Action::Update };
    let reason = "its tasks are replaced".to_owned();
    ServicePlan { action, reason, changes, ours_already, ..ServicePlan::of(spec, Some(service.clone())) }
}

fn force_update(spec: &Value) -> u64 {
    spec["TaskTemplate"]["ForceUpdate"].as_u64().unwrap_or(0)
}

/// A restart makes nobody the owner of a service: of the marks only the command's is set.
fn write(room: &Room<'_>, plan: &mut ServicePlan, networks: &BTreeMap<String, String>) -> Result<(), Broken> {
    let mut marked = plan.spec.clone();
    marks::touch(&mut marked, room.command.id);
    apply::write_marked(room, plan, &marked, networks, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ProjectId, Target};

    fn service(mode: &Value, labels: &Value) -> Service {
        let spec = json!({"Name": "st_web", "Labels": labels, "TaskTemplate": {"ForceUpdate": 3}, "Mode": mode});
        serde_json::from_value(json!({"ID": "s", "Version": {"Index": 1}, "Spec": spec})).unwrap()
    }

    #[test]
    fn only_the_counter_changes_and_only_once_for_a_command() {
        let held = service(&json!({"Global": {}}), &json!({marks::COMMAND: "another"}));
        let mut first = plan(&held, "this");
        assert_eq!((first.action, first.spec["TaskTemplate"]["ForceUpdate"].as_u64()), (Action::Update, Some(4)));
        first.spec["TaskTemplate"]["ForceUpdate"] = json!(3);
        assert_eq!(first.spec, held.spec);
        let again = plan(&service(&json!({"Global": {}}), &json!({marks::COMMAND: "this"})), "this");
        assert!(again.action == Action::Unchanged && again.ours_already);
    }

    #[test]
    fn what_was_done_is_told_of_each_kind() {
        let of = |modes: &[Value]| {
            let plans: Vec<ServicePlan> = modes.iter().map(|mode| plan(&service(mode, &json!({})), "this")).collect();
            told(&StackName::new("st").unwrap(), &plans)
        };
        let (some, none, job) = (json!({"Replicated": {"Replicas": 2}}), json!({"Replicated": {"Replicas": 0}}), json!({"GlobalJob": {}}));
        assert_eq!(of(std::slice::from_ref(&some)), "one service of st was restarted and runs");
        assert_eq!(of(std::slice::from_ref(&none)), "one service of st has no replicas, and nothing of it runs");
        assert_eq!(
            of(&[some.clone(), some, none, job]),
            "2 services of st were restarted and run; one job of st has run again; one service of st has no replicas, and nothing of it runs"
        );
        assert!(of(&[]).contains("jobs alone"));
    }

    #[test]
    fn a_job_runs_again_only_when_it_is_named() {
        let target = Target { project: ProjectId::new("p").unwrap(), stack: StackName::new("st").unwrap() };
        let asked = |names: &[&str]| Selection {
            target: target.clone(),
            services: names.iter().map(|name| (*name).to_owned()).collect(),
            timeout_seconds: None,
        };
        let (job, web) = (service(&json!({"GlobalJob": {}}), &json!({})), service(&json!({"Replicated": {}}), &json!({})));
        assert_eq!([is_meant(&job, &asked(&[])), is_meant(&job, &asked(&["web"])), is_meant(&web, &asked(&[]))], [false, true, true]);
    }
}

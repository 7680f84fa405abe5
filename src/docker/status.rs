//! GetStatus: the stacks of the swarm, their services, their tasks.
//!
//! Runs on `docker-query`, and on the threads of those who look on. It only reads.

use super::SwarmRole;
use super::census::{Census, down, errors};
use super::choose;
use super::deploy::{Drift, drift_of_stacks, may_end, revisions_of_stack};
use super::ownership::Takeover;
use super::room::{End, Room};
use super::seat::Seat;
use super::types::{NAMESPACE, Node, OWNER, Service, Task, TaskState};
use crate::domain::{GetStatus, LedgerError, Outcome, StackName, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

/// A task that has run for so long is no attempt of a crash loop: what ended before it is mended.
const STEADY: Duration = Duration::from_secs(30);

/// How much is told of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// What fits into an event, whatever there is.
    Services,
    /// Its tasks and revisions too.
    Tasks,
}

/// Carries the command out.
pub(super) fn run(room: &Room<'_>, request: &GetStatus, role: SwarmRole) -> End {
    look(room, request, role, Depth::Services).map_or_else(|end| end, End::Finished)
}

/// What there is.
pub(super) fn look(room: &Room<'_>, request: &GetStatus, role: SwarmRole, depth: Depth) -> Result<Outcome, End> {
    if role != SwarmRole::Manager {
        let message = match role {
            SwarmRole::Inactive => "the engine is in no swarm: it has no stacks",
            SwarmRole::Worker | SwarmRole::Manager => "this node is a worker: ask the agent of a manager for the stacks",
        };
        return Ok(Outcome::completed(message).with("swarm", role.name()).with("stacks", json!([])));
    }
    let (services, tasks) = match &request.target {
        Some(target) => {
            let services = match depth {
                Depth::Services => choose::held(room, target, Takeover::Allowed)?,
                // Its revisions can be returned to, whatever became of its services.
                Depth::Tasks => choose::seen(room, target)?,
            };
            (services, room.observe(|client| client.tasks(&target.stack))?)
        }
        None => (room.observe(|client| client.services_of_stacks())?, room.observe(|client| client.tasks_of_stacks())?),
    };
    let nodes = room.observe(|client| client.nodes())?;
    let down = down(&nodes);
    let drift = drift_of_stacks(room, &services)?;
    let mut stacks: BTreeMap<&str, Vec<&Service>> = request.target.iter().map(|target| (target.stack.as_str(), Vec::new())).collect();
    for service in &services {
        stacks.entry(service.label(NAMESPACE).unwrap_or_default()).or_default().push(service);
    }
    let count = stacks.len();
    let told: Result<Vec<Value>, LedgerError> =
        stacks.into_iter().map(|(name, services)| stack(room, name, services, &tasks, &down, &drift)).collect();
    let mut told = told?;
    if let (Depth::Tasks, Some(target), [one]) = (depth, &request.target, told.as_mut_slice()) {
        one["tasks"] = all_tasks(&target.stack, &services, &tasks, &nodes);
        one["revisions"] = revisions_of_stack(room, &target.stack, &services)?;
    }
    let message = if count == 1 { "one stack".to_owned() } else { format!("{count} stacks") };
    Ok(Outcome::completed(message).with("swarm", role.name()).with("stacks", told))
}

fn stack(
    room: &Room<'_>,
    name: &str,
    mut services: Vec<&Service>,
    tasks: &[Task],
    down: &BTreeSet<String>,
    drift: &BTreeMap<String, Drift>,
) -> Result<Value, LedgerError> {
    services.sort_by_key(|service| service.name());
    // A name that the agent would not accept was never deployed by it.
    let project = match StackName::new(name) {
        Ok(stack) => room.ledger.owner(&stack)?,
        Err(_) => None,
    };
    let agent = services.iter().find_map(|service| service.label(OWNER));
    let services: Vec<Value> = services.iter().map(|one| service(name, one, tasks, down, drift.get(one.name()))).collect();
    Ok(json!({"name": name, "project_id": project, "agent_id": agent, "services": services}))
}

/// The tasks, the newest of each service and slot first.
fn all_tasks(stack: &StackName, services: &[Service], tasks: &[Task], nodes: &[Node]) -> Value {
    let name_of = |id: &str| services.iter().find(|service| service.id == id).map(|service| stack.descoped(service.name()));
    let mut sorted: Vec<&Task> = tasks.iter().filter(|task| name_of(&task.service_id).is_some()).collect();
    sorted.sort_by(|a, b| {
        let place = |task: &Task| (name_of(&task.service_id).unwrap_or_default().to_owned(), task.slot, task.node_id.clone());
        place(a).cmp(&place(b)).then_with(|| b.created_at.cmp(&a.created_at))
    });
    let told = sorted.into_iter().map(|task| {
        let node = nodes.iter().find(|node| node.id == task.node_id);
        json!({
            "id": task.id,
            "service": name_of(&task.service_id),
            "slot": task.slot,
            "node_id": (!task.node_id.is_empty()).then_some(&task.node_id),
            "node": node.and_then(|node| node.description["Hostname"].as_str()),
            "image": task.spec.container_spec.image,
            "state": task.status.state.to_string(),
            "desired_state": task.desired_state.to_string(),
            "message": task.status.message,
            "error": task.error(),
            "since": task.status.timestamp,
        })
    });
    told.collect()
}

fn service(stack: &str, service: &Service, tasks: &[Task], down: &BTreeSet<String>, drift: Option<&Drift>) -> Value {
    let own: Vec<&Task> = tasks.iter().filter(|task| task.service_id == service.id).collect();
    let census = Census::of(own.iter().copied(), down);
    let (mode, completed) = (service.mode(), completed(service, &own));
    let name = service.name();
    json!({
        "name": name.strip_prefix(stack).and_then(|rest| rest.strip_prefix('_')).unwrap_or(name),
        "image": service.image(),
        "mode": mode.name(),
        "replicas": {"running": census.running, "desired": census.desired(mode), "completed": completed.len()},
        "update": service.update_status.as_ref().map(|update| json!({"state": update.state.name(), "message": update.message})),
        "errors": errors(of_now(service, own, completed)),
        "drift": drift.map(Drift::told),
    })
}

/// The seats whose last task has ended well, where it may: no other follows it.
fn completed(service: &Service, tasks: &[&Task]) -> BTreeSet<Seat> {
    let mut last: BTreeMap<Seat, &Task> = BTreeMap::new();
    if may_end(service) {
        for task in tasks.iter().filter(|task| is_of_present(service, task)) {
            let newest = last.entry(Seat::of(service.mode(), task)).or_insert(task);
            if task.created_at > newest.created_at {
                *newest = task;
            }
        }
    }
    last.into_iter().filter(|(_, task)| task.status.state == TaskState::Complete).map(|(seat, _)| seat).collect()
}

/// Whether it runs what the service runs now, and is of its present run, if that is a job.
fn is_of_present(service: &Service, task: &Task) -> bool {
    let run = service.job_status.as_ref().map(|job| job.job_iteration.index);
    let is_of_run = run.is_none_or(|run| task.job_iteration.unwrap_or_default().index == run);
    is_of_run && task.spec.container_spec.image == service.image()
}

/// The tasks whose errors say why the service does not run now: those of its present image, unless another has run in their
/// place for a while since or has completed, or they waited for a node and are not wanted any more.
fn of_now<'a>(service: &Service, tasks: Vec<&'a Task>, completed: BTreeSet<Seat>) -> Vec<&'a Task> {
    let now = Timestamp::from(SystemTime::now());
    let is_steady = |task: &Task| task.is_running() && task.has_stayed(STEADY, now);
    let mut mended = completed;
    mended.extend(tasks.iter().filter(|task| is_steady(task)).map(|task| Seat::of(service.mode(), task)));
    let has_waited = |task: &Task| task.status.state < TaskState::Assigned && task.desired_state > TaskState::Running;
    let is_of_now = |task: &&Task| is_of_present(service, task) && !mended.contains(&Seat::of(service.mode(), task)) && !has_waited(task);
    tasks.into_iter().filter(is_of_now).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_told_with_its_count_its_update_and_its_errors() {
        let one: Service = serde_json::from_value(json!({
            "ID": "s", "Version": {"Index": 1}, "UpdateStatus": {"State": "paused", "Message": "update paused due to failure"},
            "Spec": {"Name": "st_web", "Mode": {"Replicated": {"Replicas": 2}}, "TaskTemplate": {"ContainerSpec": {"Image": "box:2@sha256:0"}}},
        }))
        .unwrap();
        let task = |state: &str, error: &str, image: &str, at: &str| -> Task {
            let status = json!({"State": state, "Err": error, "Timestamp": at});
            serde_json::from_value(json!({
                "ID": "t", "Version": {"Index": 1}, "CreatedAt": at, "ServiceID": "s", "Slot": 1, "DesiredState": "running", "Status": status,
                "Spec": {"ContainerSpec": {"Image": image}},
            }))
            .unwrap()
        };
        let tell = |tasks: &[Task]| service("st", &one, tasks, &BTreeSet::new(), None);
        let now = Timestamp::from(SystemTime::now());
        let ago = |seconds: i64| Timestamp::from_millis(now.as_millis() - seconds * 1000).to_string();
        let (present, before) = ("box:2@sha256:0", "box:1");
        let failed = task("failed", "exit 1", present, &ago(100));
        let told = tell(&[task("running", "", present, &ago(1)), failed.clone(), task("failed", "no such image", before, &ago(200))]);
        assert_eq!(told["name"], "web");
        assert_eq!(told["replicas"], json!({"running": 1, "desired": 2, "completed": 0}));
        assert_eq!(told["update"]["state"], "paused");
        assert_eq!(told["errors"].as_array().map(Vec::len), Some(1), "what another image did is history");
        assert_eq!(told["errors"][0]["error"], "exit 1");
        assert_eq!(tell(&[task("running", "", present, &ago(60)), failed])["errors"], json!([]), "it is mended");
        let mut waiting = task("pending", "no suitable node (host-mode port already in use on 1 node)", present, &ago(1));
        assert_eq!(tell(std::slice::from_ref(&waiting))["errors"][0]["count"], 1);
        waiting.desired_state = TaskState::Shutdown;
        assert_eq!(tell(&[waiting])["errors"], json!([]), "nobody waits for it any more");
    }

    #[test]
    fn seats_whose_last_task_has_ended_well_have_completed_where_they_may() {
        let tell = |condition: &str, tasks: &[(u64, &str, &str, &str)]| {
            let one: Service = serde_json::from_value(json!({
                "ID": "s", "Version": {"Index": 1},
                "Spec": {"Name": "st_web", "Mode": {"Replicated": {"Replicas": 2}}, "TaskTemplate": {
                    "ContainerSpec": {"Image": "box:2"}, "RestartPolicy": {"Condition": condition},
                }},
            }))
            .unwrap();
            let task = |&(slot, state, image, at): &(u64, &str, &str, &str)| -> Task {
                let error = if state == "failed" { "exit 1" } else { "" };
                serde_json::from_value(json!({
                    "ID": "t", "Version": {"Index": 1}, "CreatedAt": at, "ServiceID": "s", "Slot": slot, "DesiredState": "shutdown",
                    "Status": {"State": state, "Err": error, "Timestamp": at}, "Spec": {"ContainerSpec": {"Image": image}},
                }))
                .unwrap()
            };
            let told = service("st", &one, &tasks.iter().map(task).collect::<Vec<_>>(), &BTreeSet::new(), None);
            (told["replicas"]["completed"].clone(), told["errors"].as_array().map_or(0, Vec::len))
        };
        let tasks =
            [(1, "failed", "box:2", "01"), (1, "complete", "box:2", "02"), (2, "complete", "box:2", "01"), (2, "failed", "box:2", "02")];
        assert_eq!(tell("on-failure", &tasks), (json!(1), 1), "what failed before a success is over");
        assert_eq!(tell("any", &tasks), (json!(0), 1), "it is to run for good");
        assert_eq!(tell("none", &[(1, "complete", "box:1", "01")]), (json!(0), 0), "that was another image");
    }

    #[test]
    fn a_job_that_failed_on_one_node_and_completed_on_another_has_completed() {
        let one: Service = serde_json::from_value(json!({
            "ID": "s", "Version": {"Index": 1}, "JobStatus": {"JobIteration": {"Index": 0}},
            "Spec": {"Name": "st_job", "Mode": {"ReplicatedJob": {"TotalCompletions": 1}}, "TaskTemplate": {"ContainerSpec": {"Image": "box:2"}}},
        }))
        .unwrap();
        let task = |node: &str, state: &str, error: &str, at: &str| -> Task {
            // The API leaves the slot 0 out.
            serde_json::from_value(json!({
                "ID": "t", "Version": {"Index": 1}, "CreatedAt": at, "ServiceID": "s", "NodeID": node, "DesiredState": "complete",
                "Status": {"State": state, "Err": error, "Timestamp": at}, "Spec": {"ContainerSpec": {"Image": "box:2"}},
            }))
            .unwrap()
        };
        let told = service("st", &one, &[task("a", "failed", "exit 1", "01"), task("b", "complete", "", "02")], &BTreeSet::new(), None);
        assert_eq!((&told["replicas"]["completed"], &told["errors"]), (&json!(1), &json!([])));
    }
}

//! Which tasks `logs --task` and `logs --failed` are about. Pure.

use super::Exit;
use super::failure::{Failure, codes};
use super::next::About;
use super::terminal::{ago, tame};
use super::wire::{Stack, Task};
use crate::domain::{Code, Timestamp};
use std::collections::BTreeMap;

/// Ids of tasks are shown so short, as in `ps`.
const SHOWN_ID: usize = 12;
/// What tasks say that did not end as they should.
const FAILED: [&str; 3] = ["failed", "rejected", "orphaned"];

/// The task whose id begins so.
pub(super) fn one<'a>(stack: &'a Stack, beginning: &str, about: &About) -> Result<&'a Task, Failure> {
    let mut found = stack.tasks.iter().filter(|task| task.id.starts_with(beginning));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (Some(one), Some(another)) => {
            let message = format!("{beginning} begins several ids: {} and {}", one.id, another.id);
            Err(Failure::new(Exit::Usage, codes::USAGE, message, "write more of it"))
        }
        (None, _) => Err(none(format!("the swarm remembers no task of {} whose id begins with {beginning}", stack.name), about)),
    }
}

/// The task that failed last of each of these services, or of all.
pub(super) fn failed<'a>(stack: &'a Stack, services: &[String], about: &About) -> Result<Vec<&'a Task>, Failure> {
    let mut newest: BTreeMap<&str, &Task> = BTreeMap::new();
    let chosen = stack.tasks.iter().filter(|task| services.is_empty() || services.contains(&task.service));
    for task in chosen.filter(|task| FAILED.contains(&task.state.as_str())) {
        let known = newest.entry(&task.service).or_insert(task);
        // RFC 3339 in UTC sorts as text.
        if task.since > known.since {
            *known = task;
        }
    }
    if newest.is_empty() {
        return Err(none(format!("no task of {} has failed, as far as the swarm remembers", stack.name), about));
    }
    Ok(newest.into_values().collect())
}

fn none(message: String, about: &About) -> Failure {
    Failure::of_code(Code::TASK_NOT_FOUND.as_str(), message, about)
}

/// What became of a task, above its lines.
pub(super) fn heading(task: &Task, now: Timestamp) -> String {
    let slot = task.slot.map_or_else(String::new, |slot| format!(".{slot}"));
    let id: String = task.id.chars().take(SHOWN_ID).collect();
    let error = task.error.as_deref().filter(|error| !error.is_empty()).map_or_else(String::new, |error| format!(": {}", tame(error)));
    format!("Task {id} of {}{slot}, {} {}{error}", task.service, task.state, ago(&task.since, now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn stack() -> Stack {
        let task = |id: &str, service: &str, state: &str, at: &str| json!({"id": id, "service": service, "slot": 1, "state": state, "since": format!("2026-01-31T11:{at}:00Z"), "error": "exit 1"});
        let tasks = [
            task("aa1", "web", "failed", "10"),
            task("aa2", "web", "failed", "20"),
            task("b", "web", "running", "30"),
            task("c", "db", "rejected", "05"),
        ];
        serde_json::from_value(json!({"name": "shop", "tasks": tasks})).unwrap()
    }

    #[test]
    fn of_each_service_the_task_that_failed_last_is_meant() {
        let stack = stack();
        let ids = |services: &[&str]| {
            let services: Vec<String> = services.iter().map(|name| (*name).to_owned()).collect();
            failed(&stack, &services, &About::default()).map(|tasks| tasks.iter().map(|task| task.id.clone()).collect::<Vec<_>>())
        };
        assert_eq!(ids(&[]).unwrap(), ["c", "aa2"]);
        assert_eq!(ids(&["web"]).unwrap(), ["aa2"]);
        assert_eq!(ids(&["cache"]).unwrap_err().code, "task.not_found");
    }

    #[test]
    fn the_beginning_of_an_id_is_enough() {
        let stack = stack();
        assert_eq!(one(&stack, "b", &About::default()).unwrap().id, "b");
        assert_eq!(one(&stack, "aa", &About::default()).unwrap_err().code, "usage");
        assert_eq!(one(&stack, "x", &About::default()).unwrap_err().code, "task.not_found");
        let now = Timestamp::parse("2026-01-31T12:00:00Z").unwrap();
        assert_eq!(heading(&stack.tasks[0], now), "Task aa1 of web.1, failed 50 min ago: exit 1");
    }
}

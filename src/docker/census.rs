//! Counting tasks: how many of a service run, start and end, and what went wrong with the rest.
//!
//! Pure. Scale, remove and status count with it; a deploy's verdict needs more and has its own.

use super::types::{Mode, Node, Task, TaskState};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// How many different errors of a service are told: a crash loop repeats one.
const MAX_ERRORS: usize = 5;

/// The tasks of one service, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Census {
    /// They run and are meant to.
    pub(super) running: u64,
    /// They are meant to run and do not yet.
    pub(super) starting: u64,
    /// They are meant to end and have not yet.
    pub(super) ending: u64,
}

impl Census {
    /// Counts `tasks`. What the manager still believes of a node that is down says nothing of what
    /// runs there, and would never end.
    pub(super) fn of<'a>(tasks: impl IntoIterator<Item = &'a Task>, down: &BTreeSet<String>) -> Self {
        let mut census = Self::default();
        tasks.into_iter().for_each(|task| census.add(task.status.state, task.desired_state, &task.node_id, down));
        census
    }

    /// Those that take place on a node, or will.
    pub(super) fn not_ended(self) -> u64 {
        self.running + self.starting + self.ending
    }

    /// Counts a task that is in `state` on `node` and is to come to `desired`.
    pub(super) fn add(&mut self, state: TaskState, desired: TaskState, node: &str, down: &BTreeSet<String>) {
        let wanted = desired <= TaskState::Running;
        match state {
            TaskState::Running if wanted => self.running += 1,
            state if state.is_over() || down.contains(node) => {}
            // The manager makes another one in its place.
            _ if wanted => self.starting += 1,
            _ => self.ending += 1,
        }
    }

    /// How many of a service's tasks are to run. A global service has as many as the manager has made.
    pub(super) fn desired(self, mode: Mode) -> u64 {
        match mode {
            Mode::Replicated(replicas) | Mode::ReplicatedJob(replicas) => replicas,
            Mode::Global | Mode::GlobalJob => self.running + self.starting,
        }
    }

    /// Whether exactly so many run and nothing else goes on.
    pub(super) fn is_settled_at(self, replicas: u64) -> bool {
        self == Self { running: replicas, starting: 0, ending: 0 }
    }
}

/// The nodes that are not there.
pub(super) fn down(nodes: &[Node]) -> BTreeSet<String> {
    nodes.iter().filter(|node| node.status.state == "down").map(|node| node.id.clone()).collect()
}

/// The errors of a service's tasks, the newest first, each text once with how often it came.
pub(super) fn errors<'a>(tasks: impl IntoIterator<Item = &'a Task>) -> Vec<Value> {
    let mut by_text: BTreeMap<String, (u64, &Task)> = BTreeMap::new();
    for task in tasks {
        let Some(text) = task.error() else { continue };
        let seen = by_text.entry(text).or_insert((0, task));
        seen.0 += 1;
        // RFC 3339 in UTC sorts as text.
        if task.status.timestamp > seen.1.status.timestamp {
            seen.1 = task;
        }
    }
    let mut found: Vec<(String, (u64, &Task))> = by_text.into_iter().collect();
    found.sort_by(|a, b| b.1.1.status.timestamp.cmp(&a.1.1.status.timestamp));
    let told = found.into_iter().take(MAX_ERRORS).map(|(text, (count, task))| {
        json!({"error": text, "count": count, "state": task.status.state.to_string(), "slot": task.slot, "node_id": task.node_id, "at": task.status.timestamp})
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(state: &str, desired: &str, node: &str, error: &str, at: &str) -> Task {
        serde_json::from_value(json!({
            "ID": "t", "Version": {"Index": 1}, "ServiceID": "s", "Slot": 1, "NodeID": node, "DesiredState": desired,
            "Status": {"State": state, "Err": error, "Timestamp": at},
        }))
        .unwrap()
    }

    #[test]
    fn tasks_are_counted_by_what_they_do_and_what_is_wanted() {
        let down = BTreeSet::from(["gone".to_owned()]);
        let tasks = [
            task("running", "running", "n", "", ""),
            task("preparing", "running", "n", "", ""),
            task("pending", "running", "", "no suitable node", ""),
            task("running", "shutdown", "n", "", ""),
            task("running", "shutdown", "gone", "", ""),
            task("failed", "shutdown", "n", "exit", ""),
            task("complete", "complete", "n", "", ""),
        ];
        let census = Census::of(&tasks, &down);
        assert_eq!(census, Census { running: 1, starting: 2, ending: 1 });
        assert!(!census.is_settled_at(1));
        assert!(Census::of(&tasks[..1], &down).is_settled_at(1));
        assert!(Census::of(&tasks[4..], &down).is_settled_at(0));
    }

    #[test]
    fn the_errors_of_200_services_fit_into_a_record() {
        let long = |n: usize| {
            task("failed", "shutdown", "qbv2d0fxkq1c8gmr8b0vy9n5t", &format!("{n}{}", "x".repeat(5000)), "2026-01-01T00:00:01.123456789Z")
        };
        let tasks: Vec<Task> = (0..20).map(long).collect();
        let told = json!(errors(&tasks)).to_string();
        assert!(told.len() * 200 < 700 * 1024, "{} bytes; the rest of the event needs its place too", told.len());
    }

    #[test]
    fn an_error_that_repeats_is_told_once_and_the_newest_comes_first() {
        let tasks = [
            task("failed", "shutdown", "n", "exit 1", "2026-01-01T00:00:01Z"),
            task("failed", "shutdown", "n", "exit 1", "2026-01-01T00:00:03Z"),
            task("rejected", "shutdown", "n", "no such image", "2026-01-01T00:00:02Z"),
        ];
        let told = errors(&tasks);
        assert_eq!(told.len(), 2);
        assert_eq!((&told[0]["error"], &told[0]["count"], &told[0]["at"]), (&json!("exit 1"), &json!(2), &json!("2026-01-01T00:00:03Z")));
        assert_eq!(told[1]["state"], json!("rejected"));
    }
}

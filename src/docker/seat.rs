//! The place that a task fills in its service: tasks that follow each other in it are tries of the same thing. Pure.

use super::types::{Mode, Task, TaskState};

/// A replica, or a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Seat {
    Slot(u64),
    Node(String),
}

impl Seat {
    /// Of a task of a service of this mode.
    pub(super) fn of(mode: Mode, task: &Task) -> Self {
        match mode {
            // Slots of jobs count from 0, which the API leaves out.
            Mode::Replicated(_) | Mode::ReplicatedJob(_) => Self::Slot(task.slot.unwrap_or(0)),
            Mode::Global | Mode::GlobalJob => Self::Node(task.node_id.clone()),
        }
    }
}

/// Whether a task of the same seat goes on, or ended by itself after this one had done its work: then that was not the last of it.
pub(super) fn outdoes(other: &Task, done: &Task) -> bool {
    let ended = |task: &Task| (task.status.timestamp.clone(), task.created_at.clone());
    match other.status.state {
        TaskState::Complete | TaskState::Failed | TaskState::Rejected => ended(other) > ended(done),
        state if state.is_over() => false,
        _ => other.desired_state <= TaskState::Running,
    }
}

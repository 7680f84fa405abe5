//! The place that a task fills in its service: tasks that follow each other in it are tries of the same thing. Pure.

use super::types::{Mode, Task};

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

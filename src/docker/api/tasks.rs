//! Tasks: only looked at, the manager makes and removes them.

use super::{of_any_stack, of_stack};
use crate::docker::client::{Client, Request};
use crate::docker::error::EngineError;
use crate::docker::types::{NAMESPACE, Task, TaskHead, TaskId};
use crate::domain::StackName;
use serde_json::json;

impl Client {
    /// The tasks of a stack, those that ended included.
    pub(crate) fn tasks(&self, stack: &StackName) -> Result<Vec<Task>, EngineError> {
        self.fetch(Request::get("/tasks").query("filters", &of_stack(stack)))
    }

    /// Those tasks of a stack that are of the present spec of their service, as the manager's own
    /// `IsTaskDirty` tells it (swarmkit, `manager/controlapi/task.go`; the Docker CLI asks it too).
    pub(crate) fn current_tasks(&self, stack: &StackName) -> Result<Vec<TaskId>, EngineError> {
        let filters = json!({"label": [format!("{NAMESPACE}={stack}")], "_up-to-date": ["true"]});
        self.fetch(Request::get("/tasks").query("filters", &filters.to_string()))
    }

    /// All tasks of the swarm, to be counted.
    pub(crate) fn task_heads(&self) -> Result<Vec<TaskHead>, EngineError> {
        self.fetch(Request::get("/tasks"))
    }

    /// The tasks of all stacks.
    pub(crate) fn tasks_of_stacks(&self) -> Result<Vec<Task>, EngineError> {
        self.fetch(Request::get("/tasks").query("filters", &of_any_stack()))
    }
}

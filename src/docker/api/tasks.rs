//! Tasks: only looked at, the manager makes and removes them.

use super::{of_any_stack, of_stack};
use crate::docker::client::{Client, Request};
use crate::docker::error::EngineError;
use crate::docker::types::Task;
use crate::domain::StackName;
use serde_json::json;

impl Client {
    /// The tasks of a stack, those that ended included.
    pub(crate) fn tasks(&self, stack: &StackName) -> Result<Vec<Task>, EngineError> {
        self.fetch(Request::get("/tasks").query("filters", &of_stack(stack)))
    }

    /// The tasks of all stacks.
    pub(crate) fn tasks_of_stacks(&self) -> Result<Vec<Task>, EngineError> {
        self.fetch(Request::get("/tasks").query("filters", &of_any_stack()))
    }

    /// The tasks of one service, those that ended included.
    pub(crate) fn tasks_of_service(&self, service: &str) -> Result<Vec<Task>, EngineError> {
        self.fetch(Request::get("/tasks").query("filters", &json!({"service": [service]}).to_string()))
    }
}

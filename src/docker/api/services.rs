//! Services.

use super::{of_any_stack, of_stack};
use crate::docker::client::{Client, Request, encoded};
use crate::docker::error::EngineError;
use crate::docker::glance::{Glance, Glances};
use crate::docker::types::{Created, Published, Service, ServiceHead, ServiceVersion, Updated, Version};
use crate::domain::{Sensitive, StackName, Timestamp};
use crate::stack::compare::Expected;
use serde_json::json;
use std::io::Read;
use std::time::Duration;

/// A log that says nothing for so long is not waited for: the node of a task does not answer. The lane must
/// come to its checkpoint while the agent leaves.
const QUIET: Duration = Duration::from_secs(3);

/// A log that grows may be silent for long; after so much silence the service is looked for.
const QUIET_FOLLOWED: Duration = Duration::from_secs(30);

/// With which login for its registry the nodes of a service go on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Credentials<'a> {
    /// This one.
    Given(&'a Sensitive<String>),
    /// That of the spec that the service has.
    OfSpec,
    /// That of the spec before; the manager refuses it where there is none.
    OfPreviousSpec,
}

impl Client {
    /// The services of a stack.
    pub(crate) fn services(&self, stack: &StackName) -> Result<Vec<Service>, EngineError> {
        self.fetch(Request::get("/services").query("filters", &of_stack(stack)))
    }

    /// The same without their specs, which are compared with those that are wanted.
    pub(crate) fn glances(&self, stack: &StackName, expected: &Expected<'_>) -> Result<Vec<Glance>, EngineError> {
        self.read(&Request::get("/services").query("filters", &of_stack(stack)), Glances(expected))
    }

    /// The versions at which the services of a stack are: of an answer of some KiB for each, little is kept.
    pub(crate) fn service_versions(&self, stack: &StackName) -> Result<Vec<ServiceVersion>, EngineError> {
        self.fetch(Request::get("/services").query("filters", &of_stack(stack)))
    }

    /// The ports that the services of a stack have now: the manager takes them away a moment after an update.
    pub(crate) fn published(&self, stack: &StackName) -> Result<Vec<Published>, EngineError> {
        self.fetch(Request::get("/services").query("filters", &of_stack(stack)))
    }

    /// The services whose names begin as those of a stack do, whoever made them.
    pub(crate) fn services_named_as_of(&self, stack: &StackName) -> Result<Vec<Service>, EngineError> {
        self.fetch(Request::get("/services").query("filters", &json!({"name": [stack.scoped("")]}).to_string()))
    }

    /// All services of the swarm, to be counted.
    pub(crate) fn service_heads(&self) -> Result<Vec<ServiceHead>, EngineError> {
        self.fetch(Request::get("/services"))
    }

    /// The services of all stacks.
    pub(crate) fn services_of_stacks(&self) -> Result<Vec<Service>, EngineError> {
        self.fetch(Request::get("/services").query("filters", &of_any_stack()))
    }

    /// One service, by id or name, exactly as it is stored (without `insertDefaults`).
    pub(crate) fn service(&self, id: &str) -> Result<Service, EngineError> {
        self.fetch(Request::get(format!("/services/{}", encoded(id))))
    }

    /// Makes a service.
    pub(crate) fn create_service(&self, spec: Vec<u8>, auth: Option<&Sensitive<String>>) -> Result<Created, EngineError> {
        self.fetch(Request::post("/services/create").registry_auth(auth).body(spec))
    }

    /// Replaces the spec of a service if it is still at `version` (compare-and-swap); else a conflict.
    pub(crate) fn update_service(
        &self,
        id: &str,
        version: Version,
        spec: Vec<u8>,
        credentials: Credentials<'_>,
    ) -> Result<Updated, EngineError> {
        let request = Request::post(format!("/services/{}/update", encoded(id))).query("version", &version.index.to_string());
        let request = match credentials {
            Credentials::Given(auth) => request.registry_auth(Some(auth)),
            Credentials::OfSpec => request.query("registryAuthFrom", "spec"),
            Credentials::OfPreviousSpec => request.query("registryAuthFrom", "previous-spec"),
        };
        self.fetch(request.body(spec))
    }

    /// What the tasks of a service wrote last, as a stream that ends: at most `tail` lines of each task,
    /// with time and details in front.
    pub(crate) fn service_logs(&self, id: &str, tail: u64, since: Option<Timestamp>) -> Result<impl Read + use<>, EngineError> {
        self.logs(format!("/services/{}/logs", encoded(id)), tail, since)
    }

    /// The same of one task, whether it runs or has ended.
    pub(crate) fn task_logs(&self, id: &str, tail: u64, since: Option<Timestamp>) -> Result<impl Read + use<>, EngineError> {
        self.logs(format!("/tasks/{}/logs", encoded(id)), tail, since)
    }

    fn logs(&self, path: String, tail: u64, since: Option<Timestamp>) -> Result<impl Read + use<>, EngineError> {
        let request = ["stdout", "stderr", "timestamps", "details"]
            .into_iter()
            .fold(Request::get(path), |request, flag| request.query(flag, "true"))
            .query("tail", &tail.to_string());
        let request = match since.map(Timestamp::as_millis) {
            Some(millis) => request.query("since", &format!("{}.{:03}", millis.div_euclid(1000), millis.rem_euclid(1000))),
            None => request,
        };
        self.stream(&request, QUIET)
    }

    /// The same as it grows; a read that waits for long says so and may be repeated.
    pub(crate) fn follow_service_logs(&self, id: &str, tail: &str, since: Option<&str>) -> Result<impl Read + use<>, EngineError> {
        let request = ["stdout", "stderr", "timestamps", "details", "follow"]
            .into_iter()
            .fold(Request::get(format!("/services/{}/logs", encoded(id))), |request, flag| request.query(flag, "true"))
            .query("tail", tail);
        let request = since.into_iter().fold(request, |request, since| request.query("since", since));
        self.stream(&request, QUIET_FOLLOWED)
    }

    /// Removes a service; its tasks end afterwards.
    pub(crate) fn remove_service(&self, id: &str) -> Result<(), EngineError> {
        self.order(Request::delete(format!("/services/{}", encoded(id))))
    }
}

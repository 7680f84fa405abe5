//! The engine and its swarm: info, version, nodes, registries.

use crate::docker::client::{Client, REGISTRY_CALL, Request};
use crate::docker::error::EngineError;
use crate::docker::types::{Distribution, Info, Node};
use crate::domain::{Sensitive, SwarmLeave};
use serde_json::Value;
use std::time::Duration;

impl Client {
    /// The engine and its place in a swarm: 8 ms.
    pub(crate) fn info(&self) -> Result<Info, EngineError> {
        self.fetch(Request::get("/info"))
    }

    /// Whether a swarm can be managed here: refused elsewhere. Far cheaper than [`Self::info`].
    pub(crate) fn check_swarm(&self, time: Duration) -> Result<(), EngineError> {
        self.order(Request::get("/swarm").within(time))
    }

    /// Makes a swarm of this engine.
    pub(crate) fn init_swarm(&self, body: &Value) -> Result<(), EngineError> {
        self.order(Request::post("/swarm/init").json(body)?)
    }

    /// Joins this engine to a swarm.
    pub(crate) fn join_swarm(&self, body: &Value) -> Result<(), EngineError> {
        self.order(Request::post("/swarm/join").json(body)?)
    }

    /// Takes this engine out of its swarm.
    pub(crate) fn leave_swarm(&self, leave: SwarmLeave) -> Result<(), EngineError> {
        self.order(Request::post("/swarm/leave").query("force", if leave.force { "true" } else { "false" }))
    }

    /// The nodes of the swarm.
    pub(crate) fn nodes(&self) -> Result<Vec<Node>, EngineError> {
        self.fetch(Request::get("/nodes"))
    }

    /// Asks the image's registry for its digest and platforms.
    pub(crate) fn distribution(&self, image: &str, auth: Option<&Sensitive<String>>) -> Result<Distribution, EngineError> {
        // The reference's own slashes are part of the path, as the Docker CLI sends them.
        self.fetch(Request::get(format!("/distribution/{image}/json")).registry_auth(auth).within(REGISTRY_CALL))
    }
}

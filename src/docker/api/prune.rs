//! What the engine itself removes because nothing uses it, and images one by one.

use crate::docker::client::{Client, Request, encoded};
use crate::docker::disk::{DiskUse, HeldImage, PrunedContainers, PrunedNetworks, StoredImage};
use crate::docker::error::EngineError;
use crate::docker::types::{NAMESPACE, Service};
use serde_json::json;
use std::time::Duration;

/// The engine removes one after another, and a file system with many layers is slow.
const PRUNE_CALL: Duration = Duration::from_secs(300);

/// `filters={"label!":["com.docker.stack.namespace"]}`: what carries the label of no stack.
fn of_no_stack() -> String {
    json!({"label!": [NAMESPACE]}).to_string()
}

impl Client {
    /// Removes every container that does not run and is of no stack.
    pub(crate) fn prune_containers(&self) -> Result<PrunedContainers, EngineError> {
        self.fetch(Request::post("/containers/prune").query("filters", &of_no_stack()).within(PRUNE_CALL))
    }

    /// Removes every network that nothing uses and is of no stack.
    pub(crate) fn prune_networks(&self) -> Result<PrunedNetworks, EngineError> {
        self.fetch(Request::post("/networks/prune").query("filters", &of_no_stack()).within(PRUNE_CALL))
    }

    /// The images of this node, without those between two of their layers.
    pub(crate) fn images(&self) -> Result<Vec<StoredImage>, EngineError> {
        self.fetch(Request::get("/images/json"))
    }

    /// The images of all containers of this node, those that ended included.
    pub(crate) fn held_images(&self) -> Result<Vec<HeldImage>, EngineError> {
        self.fetch(Request::get("/containers/json").query("all", "true"))
    }

    /// The services of the swarm, of stacks or not.
    pub(crate) fn all_services(&self) -> Result<Vec<Service>, EngineError> {
        self.fetch(Request::get("/services"))
    }

    /// Takes a name from an image; with the last one the image goes. It is refused while a container uses it.
    pub(crate) fn remove_image(&self, name: &str) -> Result<(), EngineError> {
        self.order(Request::delete(format!("/images/{}", encoded(name))).within(PRUNE_CALL))
    }

    /// How large all images together are. Engines before API 1.42 look at volumes too, which takes longer.
    pub(crate) fn size_of_images(&self) -> Result<u64, EngineError> {
        let used: DiskUse = self.fetch(Request::get("/system/df").query("type", "image").within(PRUNE_CALL))?;
        Ok(used.layers_size)
    }
}

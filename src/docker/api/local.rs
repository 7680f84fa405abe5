//! What lives on this node alone: images, containers, volumes.

use super::of_stack;
use crate::docker::client::{Client, Request, encoded};
use crate::docker::containers::Listed;
use crate::docker::error::EngineError;
use crate::docker::types::{Container, Image, Inspected, Volume, Volumes};
use crate::domain::StackName;
use serde_json::json;

impl Client {
    /// An image of this node, by reference; not found where it would have to be pulled.
    pub(crate) fn image(&self, reference: &str) -> Result<Image, EngineError> {
        self.fetch(Request::get(format!("/images/{}/json", encoded(reference))))
    }

    /// The containers of a stack on this node, those that ended included.
    pub(crate) fn containers(&self, stack: &StackName) -> Result<Vec<Container>, EngineError> {
        self.fetch(Request::get("/containers/json").query("all", "true").query("filters", &of_stack(stack)))
    }

    /// One container of this node.
    pub(crate) fn container(&self, id: &str) -> Result<Inspected, EngineError> {
        self.fetch(Request::get(format!("/containers/{}/json", encoded(id))))
    }

    /// All containers that run on this node.
    pub(crate) fn running_containers(&self) -> Result<Vec<Listed>, EngineError> {
        self.fetch(Request::get("/containers/json"))
    }

    /// The containers of this node that run and are attached to this network, by its id.
    pub(crate) fn containers_on(&self, network: &str) -> Result<Vec<Container>, EngineError> {
        let filters = json!({"network": [network]});
        self.fetch(Request::get("/containers/json").query("filters", &filters.to_string()))
    }

    /// The containers of this node that run and publish this port.
    pub(crate) fn containers_that_publish(&self, port: u16) -> Result<Vec<Container>, EngineError> {
        let filters = json!({"publish": [port.to_string()]});
        self.fetch(Request::get("/containers/json").query("filters", &filters.to_string()))
    }

    /// Removes a container that has ended.
    pub(crate) fn remove_container(&self, id: &str) -> Result<(), EngineError> {
        self.order(Request::delete(format!("/containers/{}", encoded(id))))
    }

    /// The volumes of a stack on this node.
    pub(crate) fn volumes(&self, stack: &StackName) -> Result<Vec<Volume>, EngineError> {
        Ok(self.fetch::<Volumes>(Request::get("/volumes").query("filters", &of_stack(stack)))?.volumes)
    }

    /// Removes a volume; it is refused while a container uses it.
    pub(crate) fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        self.order(Request::delete(format!("/volumes/{}", encoded(name))))
    }
}

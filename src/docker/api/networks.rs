//! Networks.

use super::of_stack;
use crate::docker::client::{Client, Request, encoded};
use crate::docker::error::EngineError;
use crate::docker::types::{Created, Network};
use crate::domain::StackName;
use serde::Serialize;

impl Client {
    /// The networks of a stack.
    pub(crate) fn networks(&self, stack: &StackName) -> Result<Vec<Network>, EngineError> {
        self.fetch(Request::get("/networks").query("filters", &of_stack(stack)))
    }

    /// All networks that this node knows.
    pub(crate) fn all_networks(&self) -> Result<Vec<Network>, EngineError> {
        self.fetch(Request::get("/networks"))
    }

    /// One network, by id or name.
    pub(crate) fn network(&self, id: &str) -> Result<Network, EngineError> {
        self.fetch(Request::get(format!("/networks/{}", encoded(id)))).map(Network::asked_for)
    }

    /// The swarm's own object for a network that every node has, such as `host`: lists leave it out.
    pub(crate) fn network_of_every_node(&self, name: &str) -> Result<Network, EngineError> {
        self.fetch(Request::get(format!("/networks/{}", encoded(name))).query("scope", "swarm"))
    }

    /// Makes a network.
    pub(crate) fn create_network(&self, spec: &impl Serialize) -> Result<Created, EngineError> {
        self.fetch(Request::post("/networks/create").json(spec)?)
    }

    /// Removes a network; it is refused while something uses it.
    pub(crate) fn remove_network(&self, id: &str) -> Result<(), EngineError> {
        self.order(Request::delete(format!("/networks/{}", encoded(id))))
    }
}

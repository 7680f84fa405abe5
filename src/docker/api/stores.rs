//! Secrets and configs: two kinds with the same calls.

use super::of_stack;
use crate::docker::client::{Client, Request, encoded};
use crate::docker::error::EngineError;
use crate::docker::types::{Created, Store, StoreKind, Version};
use crate::domain::StackName;
use serde::Serialize;

const fn path(kind: StoreKind) -> &'static str {
    match kind {
        StoreKind::Secret => "/secrets",
        StoreKind::Config => "/configs",
    }
}

impl Client {
    /// The secrets or configs of a stack.
    pub(crate) fn stores(&self, kind: StoreKind, stack: &StackName) -> Result<Vec<Store>, EngineError> {
        self.fetch(Request::get(path(kind)).query("filters", &of_stack(stack)))
    }

    /// One secret or config, by id or name.
    pub(crate) fn store(&self, kind: StoreKind, id: &str) -> Result<Store, EngineError> {
        self.fetch(Request::get(format!("{}/{}", path(kind), encoded(id))))
    }

    /// Makes one.
    pub(crate) fn create_store(&self, kind: StoreKind, spec: &impl Serialize) -> Result<Created, EngineError> {
        self.fetch(Request::post(format!("{}/create", path(kind))).json(spec)?)
    }

    /// Changes its labels; the manager refuses any other change.
    pub(crate) fn update_store(&self, kind: StoreKind, id: &str, version: Version, spec: &impl Serialize) -> Result<(), EngineError> {
        let request = Request::post(format!("{}/{}/update", path(kind), encoded(id))).query("version", &version.index.to_string());
        self.order(request.json(spec)?)
    }

    /// Removes one; it is refused while a service uses it.
    pub(crate) fn remove_store(&self, kind: StoreKind, id: &str) -> Result<(), EngineError> {
        self.order(Request::delete(format!("{}/{}", path(kind), encoded(id))))
    }
}

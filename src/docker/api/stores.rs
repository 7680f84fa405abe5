//! Secrets and configs: two kinds with the same calls.

use super::of_stack;
use crate::docker::client::{Client, Request, encoded};
use crate::docker::error::EngineError;
use crate::docker::types::{Created, Store, Version};
use crate::domain::StackName;
use serde::Serialize;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreKind {
    /// A secret: its data never comes back.
    Secret,
    /// A config.
    Config,
}

impl StoreKind {
    /// `secret` or `config`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Config => "config",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Secret => "/secrets",
            Self::Config => "/configs",
        }
    }
}

impl Client {
    /// The secrets or configs of a stack.
    pub(crate) fn stores(&self, kind: StoreKind, stack: &StackName) -> Result<Vec<Store>, EngineError> {
        self.fetch(Request::get(kind.path()).query("filters", &of_stack(stack)))
    }

    /// One secret or config, by id or name.
    pub(crate) fn store(&self, kind: StoreKind, id: &str) -> Result<Store, EngineError> {
        self.fetch(Request::get(format!("{}/{}", kind.path(), encoded(id))))
    }

    /// Makes one.
    pub(crate) fn create_store(&self, kind: StoreKind, spec: &impl Serialize) -> Result<Created, EngineError> {
        self.fetch(Request::post(format!("{}/create", kind.path())).json(spec)?)
    }

    /// Changes its labels; the manager refuses any other change.
    pub(crate) fn update_store(&self, kind: StoreKind, id: &str, version: Version, spec: &impl Serialize) -> Result<(), EngineError> {
        let request = Request::post(format!("{}/{}/update", kind.path(), encoded(id))).query("version", &version.index.to_string());
        self.order(request.json(spec)?)
    }

    /// Removes one; it is refused while a service uses it.
    pub(crate) fn remove_store(&self, kind: StoreKind, id: &str) -> Result<(), EngineError> {
        self.order(Request::delete(format!("{}/{}", kind.path(), encoded(id))))
    }
}

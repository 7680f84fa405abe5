//! Values that must not be seen: passwords, tokens, the variables of a deploy.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A value whose `Debug` says only that it is there. It has no `Display`. It is serialised in clear,
/// since the journal must be able to carry a command out again (README, "What the journal holds").
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sensitive<T>(T);

impl<T> Sensitive<T> {
    /// Hides a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for the one place that sends it on.
    pub const fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Sensitive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

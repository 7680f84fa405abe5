//! The containers that run on this node, as their engine names them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// How long an engine's id is, in hexadecimal digits.
const ID_DIGITS: usize = 64;
/// How much of it people see: as `docker ps` shows it.
const SHORT: usize = 12;

/// A container's id. It holds nothing but hexadecimal digits, so that it may be a part of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContainerId(String);

impl ContainerId {
    /// An id as the engine writes it; nothing else is one.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let digits = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (text.len() == ID_DIGITS && digits(text)).then(|| Self(text.to_owned()))
    }

    /// The whole of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As `docker ps` shows it.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..SHORT]
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}

/// One container that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its id.
    pub id: ContainerId,
    /// Its name on its engine.
    pub name: String,
    /// The stack of its service, if it has one.
    pub stack: Option<String>,
    /// Its Swarm service, if it is a task's.
    pub service: Option<String>,
    /// Which task of the service, as Swarm names it without the task's id: `shop_web.1`. It outlives the container.
    pub task: Option<String>,
}

/// All that run. Cheap to clone: who holds it sees what was true when it was published.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Containers(BTreeMap<ContainerId, Arc<Container>>);

impl Containers {
    /// It runs, under this name.
    pub fn insert(&mut self, container: Container) {
        self.0.insert(container.id.clone(), Arc::new(container));
    }

    /// It runs no more.
    pub fn remove(&mut self, id: &ContainerId) {
        self.0.remove(id);
    }

    /// Whether it runs.
    #[must_use]
    pub fn has(&self, id: &ContainerId) -> bool {
        self.0.contains_key(id)
    }

    /// In the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Container>> {
        self.0.values()
    }

    /// How many run.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none runs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Container> for Containers {
    fn from_iter<I: IntoIterator<Item = Container>>(all: I) -> Self {
        Self(all.into_iter().map(|one| (one.id.clone(), Arc::new(one))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_sixty_four_digits_and_never_a_path() {
        let id = "0123456789abcdef".repeat(4);
        assert_eq!(ContainerId::new(&id).unwrap().short(), "0123456789ab");
        for other in ["", "0123", &id.to_uppercase(), &format!("../{}", &id[3..]), &format!("{id}0")] {
            assert_eq!(ContainerId::new(other), None, "{other}");
        }
    }
}

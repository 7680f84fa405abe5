//! The containers that run on this node, as their engine names them.

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

/// All that run, in the order of their ids. Cheap to clone: who holds it sees what was true when it was published.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Containers(Vec<Arc<Container>>);

impl Containers {
    /// It runs, under this name.
    pub fn insert(&mut self, container: Container) {
        match self.place(&container.id) {
            Ok(place) => self.0[place] = Arc::new(container),
            Err(place) => self.0.insert(place, Arc::new(container)),
        }
    }

    /// It runs no more.
    pub fn remove(&mut self, id: &ContainerId) {
        if let Ok(place) = self.place(id) {
            self.0.remove(place);
        }
    }

    /// It, if it runs.
    #[must_use]
    pub fn get(&self, id: &ContainerId) -> Option<&Arc<Container>> {
        self.place(id).ok().map(|place| &self.0[place])
    }

    fn place(&self, id: &ContainerId) -> Result<usize, usize> {
        self.0.binary_search_by(|one| one.id.cmp(id))
    }

    /// In the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Container>> {
        self.0.iter()
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
        let mut containers = Self::default();
        all.into_iter().for_each(|one| containers.insert(one));
        containers
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

    #[test]
    fn they_are_in_the_order_of_their_ids_and_who_holds_them_keeps_them() {
        let one = |digit: char, name: &str| {
            let id = ContainerId::new(&digit.to_string().repeat(64)).unwrap();
            Container { id, name: name.to_owned(), stack: None, service: None, task: None }
        };
        let names = |all: &Containers| all.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
        let mut all: Containers = [one('c', "c"), one('a', "a")].into_iter().collect();
        let held = all.clone();
        all.insert(one('b', "b"));
        all.insert(one('c', "other"));
        assert_eq!((names(&all), names(&held)), (vec!["a".into(), "b".into(), "other".into()], vec!["a".into(), "c".into()]));
        all.remove(&one('a', "").id);
        all.remove(&one('d', "").id);
        assert_eq!((all.len(), all.get(&one('b', "").id).map(|one| one.name.as_str())), (2, Some("b")));
        assert_eq!((all.get(&one('a', "").id), held.len()), (None, 2));
    }
}

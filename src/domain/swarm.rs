//! The swarm, counted: which services run as wanted, what its tasks do, how its nodes are.

use super::Timestamp;
use std::collections::BTreeMap;

/// One look at a whole swarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwarmCount {
    /// When it was looked at.
    pub at: Timestamp,
    /// Every service, by name.
    pub services: Vec<ServiceCount>,
    /// How many tasks are in which state, as the Engine API spells it. Tasks that have ended are among them, as far as the
    /// swarm keeps them.
    pub tasks: BTreeMap<&'static str, u64>,
    /// How many nodes are in which state, as the Engine API spells it.
    pub nodes: BTreeMap<&'static str, u64>,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceCount {
    /// Its stack; none of one that was made by itself.
    pub stack: Option<String>,
    /// Its name in the swarm.
    pub name: String,
    /// As a Compose file has it: `replicated`, `global`, `replicated-job`, `global-job`.
    pub mode: &'static str,
    /// How many of its tasks run and are meant to.
    pub running: u64,
    /// How many are to run.
    pub desired: u64,
    /// Where its last update stands, as the Engine API spells it; none without one.
    pub update: Option<&'static str>,
}

/// The services of one stack together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StackCount {
    /// How many it has.
    pub services: u64,
    /// How many of their tasks run and are meant to.
    pub running: u64,
    /// How many are to run.
    pub desired: u64,
}

impl SwarmCount {
    /// The stacks, by name.
    #[must_use]
    pub fn stacks(&self) -> BTreeMap<&str, StackCount> {
        let mut stacks: BTreeMap<&str, StackCount> = BTreeMap::new();
        for service in &self.services {
            let Some(stack) = &service.stack else { continue };
            let count = stacks.entry(stack).or_default();
            count.services += 1;
            count.running += service.running;
            count.desired += service.desired;
        }
        stacks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_the_sum_of_its_services() {
        let service = |stack: Option<&str>, running, desired| ServiceCount {
            stack: stack.map(str::to_owned),
            name: "n".to_owned(),
            mode: "replicated",
            running,
            desired,
            update: None,
        };
        let services = vec![service(Some("a"), 1, 2), service(Some("b"), 0, 0), service(Some("a"), 3, 3), service(None, 1, 1)];
        let count = SwarmCount { at: Timestamp::from_millis(0), services, tasks: BTreeMap::new(), nodes: BTreeMap::new() };
        let expected =
            [("a", StackCount { services: 2, running: 4, desired: 5 }), ("b", StackCount { services: 1, running: 0, desired: 0 })];
        assert_eq!(count.stacks(), BTreeMap::from(expected));
    }
}

//! Tasks that certainly do not come to run, for those who only set how many there are.
//!
//! The rules are those of a deploy's [`super::watch`], but for what Swarm makes of an update: a count is none.

use super::stopwatch::Stopwatch;
use super::wanted::{Wanted, Written};
use super::watch::Watch;
use super::{Failure, converge};
use crate::docker::types::{Mode, Service, Task};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is known of the tasks of some services.
pub(in crate::docker) struct Stuck {
    /// By the id of the service.
    watches: Vec<(String, Watch)>,
    stopwatch: Stopwatch,
}

impl Stuck {
    /// Of these services, which are to have so many replicas. Errors of tasks that there were `before` do not count.
    pub(in crate::docker) fn new<'a>(services: impl Iterator<Item = (&'a Service, u64)>, before: &BTreeSet<String>) -> Self {
        let before = Arc::new(before.clone());
        let watch = |(service, replicas): (&Service, u64)| {
            let wanted = Wanted::of(&service.spec, Mode::Replicated(replicas), Written::Now);
            (service.id.clone(), Watch::new(wanted, Arc::clone(&before)))
        };
        Self { watches: services.map(watch).collect(), stopwatch: Stopwatch::start(Instant::now()) }
    }

    /// Takes one look: what is certain by now.
    pub(in crate::docker) fn look(&mut self, tasks: &[Task], pull_timeout: Duration) -> Option<Failure> {
        let at = self.stopwatch.at(Instant::now());
        let look = |(id, watch): &mut (String, Watch)| {
            let mut own: Vec<&Task> = tasks.iter().filter(|task| task.service_id == *id).collect();
            own.sort_by(|a, b| a.created_at.cmp(&b.created_at));
            watch.stuck(at, &own, pull_timeout)
        };
        let failures: Vec<Failure> = self.watches.iter_mut().filter_map(look).collect();
        converge::in_one(&failures.iter().collect::<Vec<_>>())
    }
}

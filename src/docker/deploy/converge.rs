//! Waits until every service runs as wanted, or one certainly will not.
//!
//! Events wake it, the tasks decide (the engine has no events of tasks), at most every [`LOOK_EVERY`].

use super::plan::{Action, ServicePlan};
use super::prepare::Prepared;
use super::report::Report;
use super::watch::{AsWanted, Look, State, Wanted, Watch, Written};
use super::{Broken, Failure};
use crate::docker::room::{Halt, Room, StepError};
use crate::docker::types::{Mode, Service, Task};
use crate::domain::{Progress, StackName};
use crate::stack::compare;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Between two looks at the tasks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A service and what is known of it.
pub(super) struct Watched {
    watch: Watch,
    spec: Value,
    state: State,
}

/// One look at a stack.
struct Seen {
    current: BTreeSet<String>,
    tasks: Vec<Task>,
    services: Vec<Service>,
}

/// Waits for the verdict on the services of a plan.
pub(super) fn converge(room: &Room<'_>, prepared: &Prepared, report: &mut Report, phase: &'static str) -> Result<(), Broken> {
    let mut watched: Vec<Watched> = prepared.services.iter().filter_map(|plan| Watched::of(plan, &prepared.tasks_before)).collect();
    wait(room, &mut watched, &prepared.network_ids, report, phase)
}

/// Waits for the verdict on these services.
pub(super) fn wait(
    room: &Room<'_>,
    watched: &mut [Watched],
    networks: &BTreeMap<String, String>,
    report: &mut Report,
    phase: &'static str,
) -> Result<(), Broken> {
    let (started, stack) = (Instant::now(), report.stack().clone());
    let mut told = Vec::new();
    loop {
        let seen = match see(room, &stack) {
            Err(StepError::Halted(Halt::TimedOut)) => return Err(out_of_time(watched).into()),
            other => other?,
        };
        for one in watched.iter_mut() {
            one.look(started.elapsed(), &seen, networks);
            report.take_look(&one.watch, &seen.services, &seen.tasks, one.state == State::Settled);
        }
        let failures: Vec<&Failure> = watched.iter().filter_map(Watched::failure).collect();
        if let Some(first) = failures.first() {
            let messages: Vec<&str> = failures.iter().map(|failure| failure.message.as_str()).collect();
            return Err(Failure::new(first.code, messages.join("; ")).into());
        }
        if watched.iter().all(|one| one.state == State::Settled) {
            return Ok(());
        }
        let counts: Vec<_> = watched.iter().map(|one| one.watch.count()).collect();
        if counts != told {
            room.progress(Progress::new(phase, in_short(watched)).with("services", report.services()));
            told = counts;
        }
        match room.wait_for_change(LOOK_EVERY) {
            Err(Halt::TimedOut) => return Err(out_of_time(watched).into()),
            other => other?,
        }
    }
}

impl Watched {
    /// What is to be watched of a plan. An unchanged job has run before; its end was told then.
    pub(super) fn of(plan: &ServicePlan, before: &BTreeSet<String>) -> Option<Self> {
        let written = if plan.action == Action::Unchanged && !plan.ours_already { Written::Before } else { Written::Now };
        let wanted = Wanted::of(&plan.spec, Mode::of(&plan.spec), written);
        if written == Written::Before && wanted.is_job() {
            return None;
        }
        // What an earlier process wrote for this command has no tasks of before.
        let before = if plan.ours_already { BTreeSet::new() } else { before.clone() };
        Some(Self { watch: Watch::new(wanted, before, plan.registry.clone()), spec: plan.spec.clone(), state: State::Waiting })
    }

    fn look(&mut self, at: Duration, seen: &Seen, networks: &BTreeMap<String, String>) {
        let service = seen.services.iter().find(|service| service.name() == self.watch.wanted().name);
        let same = |service: &Service| compare::differences(&self.spec, &service.spec, networks).is_empty();
        let as_wanted = if service.is_none_or(same) { AsWanted::Yes } else { AsWanted::No };
        let id = service.map_or("", |service| service.id.as_str());
        let tasks: Vec<Task> = seen.tasks.iter().filter(|task| task.service_id == id).cloned().collect();
        self.state = self.watch.look(at, &Look { service, as_wanted, tasks: &tasks, current: &seen.current });
    }

    fn failure(&self) -> Option<&Failure> {
        match &self.state {
            State::Failed(failure) => Some(failure),
            _ => None,
        }
    }
}

/// ORDER: tasks before services. A service that still has the wanted spec when it is read had it when
/// the tasks were read, because a rollback never leads to it.
fn see(room: &Room<'_>, stack: &StackName) -> Result<Seen, StepError> {
    let current = room.observe(|client| client.current_tasks(stack))?.into_iter().map(|task| task.id).collect();
    let tasks = room.observe(|client| client.tasks(stack))?;
    let services = room.observe(|client| client.services(stack))?;
    Ok(Seen { current, tasks, services })
}

fn out_of_time(watched: &[Watched]) -> Failure {
    let late: Vec<Failure> = watched.iter().filter(|one| one.state != State::Settled).map(|one| one.watch.out_of_time()).collect();
    let code = late.first().map_or(crate::domain::Code::TIMED_OUT, |failure| failure.code);
    let messages: Vec<&str> = late.iter().map(|failure| failure.message.as_str()).collect();
    Failure::new(code, messages.join("; "))
}

fn in_short(watched: &[Watched]) -> String {
    let settled = watched.iter().filter(|one| one.state == State::Settled).count();
    let (running, desired) = watched.iter().map(|one| one.watch.count()).fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    format!("{running} of {desired} tasks are as wanted; {settled} of {} services have settled", watched.len())
}

//! Waits until every service runs as wanted, or one certainly will not.
//!
//! Events and the ends of monitors wake it, the tasks decide (the engine has no events of tasks), else every [`LOOK_EVERY`].

use super::prepare::Prepared;
use super::report::Report;
use super::stopwatch::Stopwatch;
use super::wanted::{Wanted, Written, grace};
use super::watch::{Look, State, Watch};
use super::{Broken, Failure, names};
use crate::docker::client::Client;
use crate::docker::glance::Glance;
use crate::docker::room::{Halt, Room, StepError, TELL_EVERY};
use crate::docker::types::{Mode, Service, ServiceVersion, Task, TaskState, UpdateState, Version};
use crate::domain::{Code, Progress, StackName, Timestamp};
use crate::stack::compare::Expected;
use crate::stack::plan::{Action, ServicePlan};
use crate::threads::Deadline;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Between two looks at the tasks.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The same where a monitor is over before that: the verdict need not wait.
const LOOK_SOON: Duration = Duration::from_millis(100);

/// At most so many services are named in a failure; `details.services` has all of them.
const NAMED: usize = 5;

/// The states of a container that runs no more (Engine API, "ContainerState").
const ENDED: [&str; 2] = ["exited", "dead"];

/// What a health check says of a container that is to be stopped (Engine API, "Health").
const UNHEALTHY: &str = "unhealthy";
/// The words for one that then ends well; with a bad end the engine has words of its own.
const STOPPED: &str = "unhealthy container, which ended with exit code 0 when it was stopped";

/// A service and what is known of it.
pub(super) struct Watched<'a> {
    watch: Watch,
    spec: &'a Value,
    /// As it was when the plan was made, if it had this spec.
    held: Option<&'a Service>,
    /// The id of the one that this process has made.
    made: Option<&'a str>,
    /// Whether an earlier process has written it, and nobody knows any more which tasks there were before.
    has_past: bool,
    state: State,
}

/// The services of a stack as they are known, by name.
struct Known {
    services: BTreeMap<String, Glance>,
    from: Source,
}

/// Where that is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The engine's answers of this instant: it has made all of them, and they have no history to look for.
    Making,
    /// What was read at some time.
    Reading,
}

impl Known {
    /// As the plan has found them, or the engine has just made them.
    fn of(watched: &[Watched<'_>]) -> Self {
        let made = |one: &Watched<'_>| one.made.map(|id| Glance::of_new(id, &one.watch.wanted().name));
        if let Some(made) = watched.iter().map(made).collect::<Option<Vec<_>>>().filter(|made| !made.is_empty()) {
            return Self { services: by_name(made), from: Source::Making };
        }
        let held = watched.iter().filter_map(|one| one.held).map(|held| Glance::of(held, true));
        Self { services: by_name(held), from: Source::Reading }
    }

    /// Reads them, unless each still is what it was: most looks find nothing new, and specs are the most of a look.
    fn refresh(&mut self, room: &Room<'_>, stack: &StackName, expected: &Expected<'_>) -> Result<(), StepError> {
        if mem::replace(&mut self.from, Source::Reading) == Source::Making {
            return Ok(());
        }
        let is_news = self.services.is_empty() || !self.are_at(&room.observe(|client| client.service_versions(stack))?);
        if is_news {
            self.services = by_name(room.observe(|client| client.glances(stack, expected))?);
        }
        Ok(())
    }

    fn are_at(&self, versions: &[ServiceVersion]) -> bool {
        let versions: BTreeMap<&str, Version> = versions.iter().map(|one| (one.id.as_str(), one.version)).collect();
        self.services.len() == versions.len() && self.services.values().all(|known| versions.get(known.id.as_str()) == Some(&known.version))
    }
}

fn by_name(glances: impl IntoIterator<Item = Glance>) -> BTreeMap<String, Glance> {
    glances.into_iter().map(|glance| (glance.name.clone(), glance)).collect()
}

/// One look at a stack.
pub(super) struct Seen<'a> {
    current: BTreeSet<String>,
    tasks: Vec<Task>,
    known: &'a Known,
}

impl Seen<'_> {
    fn service(&self, name: &str) -> Option<&Glance> {
        self.known.services.get(name)
    }

    /// Whether tasks of an earlier spec of a service have not ended yet.
    pub(super) fn has_old_tasks(&self, service: &str) -> bool {
        let old = self.tasks.iter().filter(|task| task.service_id == service && !self.current.contains(&task.id));
        old.into_iter().any(|task| !task.status.state.is_over())
    }
}

/// Waits for the verdict on the services of a plan.
pub(super) fn converge(room: &Room<'_>, prepared: &Prepared, report: &mut Report, phase: &'static str) -> Result<(), Broken> {
    let mut watched = Watched::all(&prepared.plan.services, &prepared.plan.removals, &prepared.tasks_before);
    watched.extend(prepared.plan.services.iter().filter_map(|plan| Watched::of_past_run(plan, &prepared.tasks_before)));
    for one in &mut watched {
        one.watch.hear(prepared.registries.get(&one.watch.wanted().name).cloned());
    }
    wait(room, &mut watched, &prepared.network_ids, report, phase)
}

/// Waits for the verdict on these services.
pub(super) fn wait(
    room: &Room<'_>,
    watched: &mut [Watched<'_>],
    networks: &BTreeMap<String, String>,
    report: &mut Report,
    phase: &'static str,
) -> Result<(), Broken> {
    wait_for(room, watched, networks, report, phase, |_| Ok(false))
}

/// Waits until a look is enough, but no longer than for the verdict.
pub(super) fn wait_for(
    room: &Room<'_>,
    watched: &mut [Watched<'_>],
    networks: &BTreeMap<String, String>,
    report: &mut Report,
    phase: &'static str,
    is_enough: impl Fn(&Seen<'_>) -> Result<bool, Broken>,
) -> Result<(), Broken> {
    let (mut stopwatch, stack) = (Stopwatch::start(Instant::now()), report.stack().clone());
    let mut told = Vec::new();
    let mut next_telling = Deadline::after(Duration::ZERO);
    let (mut known, mut healths) = (Known::of(watched), BTreeMap::new());
    let specs = watched.iter().filter_map(|one| Some((one.spec["Name"].as_str()?, one.spec))).collect();
    let expected = Expected { specs, networks };
    loop {
        let mut seen = in_time(see(room, &stack, &mut known, &expected), watched)?;
        in_time(seen.tell_unhealthy(room, watched, &mut healths), watched)?;
        let at = stopwatch.at(Instant::now());
        for one in watched.iter_mut() {
            one.look(at, &seen, room.settings.pull_timeout);
            report.take_look(&one.watch, seen.service(&one.watch.wanted().name), &seen.tasks, one.state == State::Settled);
        }
        if let Some(failure) = in_one(&watched.iter().filter_map(Watched::failure).collect::<Vec<_>>()) {
            return Err(in_time(with_networks(room, failure, networks), watched)?.into());
        }
        let all_are = watched.iter().all(|one| one.state == State::Settled);
        let settled = all_are && !in_time(seen.hides_an_end(room, &stack, watched), watched)?;
        if settled {
            report.warn(watched.iter().filter_map(Watched::passes_over));
        }
        if settled || is_enough(&seen)? {
            return Ok(());
        }
        let counts: Vec<_> = watched.iter().map(|one| (one.watch.count(), one.watch.stage(), one.state == State::Settled)).collect();
        if counts != told && next_telling.has_passed() {
            next_telling = Deadline::after(TELL_EVERY);
            room.progress(Progress::new(phase, in_short(watched)).with("services", report.services()));
            told = counts;
        }
        let waiting = watched.iter().filter(|one| one.state == State::Waiting);
        let monitored = waiting.filter_map(|one| one.watch.monitored(at)).min();
        let pause = monitored.map_or(LOOK_EVERY, |left| left.clamp(LOOK_SOON, LOOK_EVERY));
        in_time(room.wait_for_change(pause).map_err(StepError::Halted), watched)?;
    }
}

/// A command whose time is over fails with the trouble that was seen last.
fn in_time<T>(looked: Result<T, StepError>, watched: &[Watched<'_>]) -> Result<T, Broken> {
    match looked {
        Err(StepError::Halted(Halt::TimedOut)) => Err(out_of_time(watched).into()),
        other => Ok(other?),
    }
}

impl<'a> Watched<'a> {
    /// What is to be watched of these plans, while the tasks of `removed` services end.
    pub(super) fn all<'b>(
        plans: &'a [ServicePlan],
        removed: impl IntoIterator<Item = &'b Service>,
        before: &BTreeSet<String>,
    ) -> Vec<Self> {
        let replaced = plans.iter().filter(|plan| plan.action == Action::Update || plan.ours_already).flat_map(|plan| {
            let held = plan.held.as_ref();
            held.map(|held| &held.spec).into_iter().chain(held.and_then(|held| held.previous_spec.as_ref()))
        });
        let longest = replaced.chain(removed.into_iter().map(|service| &service.spec)).map(grace).max().unwrap_or_default();
        let before = Arc::new(before.clone());
        plans.iter().filter_map(|plan| Self::of(plan, &before, longest)).collect()
    }

    /// What is to be watched of a plan. An unchanged job has run before.
    fn of(plan: &'a ServicePlan, before: &Arc<BTreeSet<String>>, leaving: Duration) -> Option<Self> {
        let written = if plan.action == Action::Unchanged && !plan.ours_already { Written::Before } else { Written::Now };
        let mut wanted = Wanted::of(&plan.spec, Mode::of(&plan.spec), written);
        wanted.outlast(leaving);
        if written == Written::Before && wanted.is_job() {
            return None;
        }
        // What an earlier process wrote for this command has no tasks of before that are known.
        let before = if plan.ours_already { Arc::default() } else { Arc::clone(before) };
        // The plan has compared them already.
        let held = plan.held.as_ref().filter(|_| plan.changes.is_empty());
        let (watch, made, has_past) = (Watch::new(wanted, before), plan.made.as_deref(), plan.ours_already);
        Some(Self { watch, spec: &plan.spec, held, made, has_past, state: State::Waiting })
    }

    /// What a job comes to that this command leaves alone: a stack with one that has failed is not as wanted.
    fn of_past_run(plan: &'a ServicePlan, before: &BTreeSet<String>) -> Option<Self> {
        let wanted = Wanted::of(&plan.spec, Mode::of(&plan.spec), Written::Before);
        let is_past = wanted.is_job() && plan.action == Action::Unchanged && !plan.ours_already;
        let watch = || Watch::new(wanted, Arc::new(before.clone()));
        is_past.then(|| Self {
            watch: watch(),
            spec: &plan.spec,
            held: plan.held.as_ref(),
            made: None,
            has_past: false,
            state: State::Waiting,
        })
    }

    fn look(&mut self, at: Duration, seen: &Seen<'_>, pull_timeout: Duration) {
        let service = seen.service(&self.watch.wanted().name);
        let id = service.map_or("", |service| service.id.as_str());
        let tasks: Vec<&Task> = seen.tasks.iter().filter(|task| task.service_id == id).collect();
        let now = Timestamp::from(SystemTime::now());
        let look = Look { service, tasks: &tasks, current: &seen.current, pull_timeout, now };
        if self.has_past {
            self.watch.leave_out_older(&look);
        }
        self.state = self.watch.look(at, &look);
    }

    /// Whether its containers may have a health check: of services also one of their image.
    fn may_be_unhealthy(&self) -> bool {
        !self.watch.wanted().is_job() || self.spec["TaskTemplate"]["ContainerSpec"]["Healthcheck"].is_object()
    }

    /// What Swarm did not do, and says nothing of.
    fn passes_over(&self) -> Option<String> {
        let (name, tasks) = (&self.watch.wanted().name, self.watch.passed_over());
        (tasks > 0).then(|| format!("service {name}: {} as before: Swarm updates none on nodes that are paused", go_on(tasks)))
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
fn see<'a>(room: &Room<'_>, stack: &StackName, known: &'a mut Known, expected: &Expected<'_>) -> Result<Seen<'a>, StepError> {
    let of_the_spec = match known.from {
        // No service has had another one.
        Source::Making => None,
        Source::Reading => Some(room.observe(|client| client.current_tasks(stack))?),
    };
    let tasks = room.observe(|client| client.tasks(stack))?;
    let current = match of_the_spec {
        None => tasks.iter().map(|task| task.id.clone()).collect(),
        Some(current) => current.into_iter().map(|task| task.id).collect(),
    };
    known.refresh(room, stack, expected)?;
    let mut seen = Seen { current, tasks, known };
    seen.look_again_at_stopped(room, stack)?;
    Ok(seen)
}

impl Seen<'_> {
    /// Whether the container of a task that is said to run has ended on this node: an engine that is busy tells the manager seconds
    /// later, and a crash loop with a short monitor would pass for a service that runs. What this command did not write is not
    /// looked at, and what runs on other nodes cannot be.
    fn hides_an_end(&self, room: &Room<'_>, stack: &StackName, watched: &[Watched<'_>]) -> Result<bool, StepError> {
        let written = watched.iter().filter(|one| one.watch.is_written()).filter_map(|one| self.service(&one.watch.wanted().name));
        let services: BTreeSet<&str> = written.map(|service| service.id.as_str()).collect();
        let said = self.tasks.iter().filter(|task| task.is_running() && services.contains(task.service_id.as_str()));
        let ids: BTreeSet<&str> = said.filter_map(|task| Some(task.status.container_status.as_ref()?.container_id.as_str())).collect();
        if ids.is_empty() {
            return Ok(false);
        }
        let containers = room.observe(|client| client.containers(stack))?;
        let ended = containers.iter().find(|one| ids.contains(one.id.as_str()) && ENDED.contains(&one.state.as_str()));
        if let Some(one) = ended {
            log::debug!("the container {} has ended, and its task is still said to run", one.id);
        }
        Ok(ended.is_some())
    }

    /// Swarm stops a container that is unhealthy, and calls its task complete where the program then ends with exit code 0
    /// (moby, daemon/cluster/executor/container, `Wait`): such a task has failed. Its container still tells, if it is on this node.
    /// `healths` are those that are known, by the task's id. Tasks of jobs are asked about where the file has a health check.
    fn tell_unhealthy(&mut self, room: &Room<'_>, watched: &[Watched<'_>], healths: &mut BTreeMap<String, bool>) -> Result<(), StepError> {
        let (services, tasks) = (&self.known.services, &mut self.tasks);
        let of =
            |task: &Task| watched.iter().find(|one| services.get(&one.watch.wanted().name).is_some_and(|own| own.id == task.service_id));
        for task in tasks.iter_mut().filter(|task| task.status.state == TaskState::Complete) {
            let may_be = |one: &Watched<'_>| one.watch.counts(task) && one.may_be_unhealthy();
            let Some(container) = task.status.container_status.as_ref().filter(|_| of(task).is_some_and(may_be)) else { continue };
            let is_unhealthy = match healths.get(&task.id) {
                Some(known) => *known,
                None => {
                    let container = names::found(room, |client| client.container(&container.container_id))?;
                    let health = container.and_then(|container| container.state.health);
                    let is_unhealthy = health.is_some_and(|health| health.status == UNHEALTHY);
                    healths.insert(task.id.clone(), is_unhealthy);
                    is_unhealthy
                }
            };
            if is_unhealthy {
                task.status.state = TaskState::Failed;
                STOPPED.clone_into(&mut task.status.err);
            }
        }
        Ok(())
    }

    /// Swarm stops an update because of a task whose end it has written since the tasks were read: of such a service they
    /// are read once more, for the cause. Of the others the order holds.
    fn look_again_at_stopped(&mut self, room: &Room<'_>, stack: &StackName) -> Result<(), StepError> {
        use UpdateState::{Paused, RollbackPaused, RollbackStarted};
        let in_state = |states: &[UpdateState]| -> BTreeSet<String> {
            let is_so = |service: &&Glance| service.update_status.as_ref().is_some_and(|update| states.contains(&update.state));
            self.known.services.values().filter(is_so).map(|service| service.id.clone()).collect()
        };
        let (paused, stopped) = (in_state(&[Paused]), in_state(&[Paused, RollbackPaused, RollbackStarted]));
        if stopped.is_empty() {
            return Ok(());
        }
        let current: BTreeSet<String> = room.observe(|client| client.current_tasks(stack))?.into_iter().map(|task| task.id).collect();
        let tasks = room.observe(|client| client.tasks(stack))?;
        self.tasks.retain(|task| !stopped.contains(&task.service_id));
        for task in tasks.into_iter().filter(|task| stopped.contains(&task.service_id)) {
            if paused.contains(&task.service_id) && current.contains(&task.id) {
                self.current.insert(task.id.clone());
            }
            self.tasks.push(task);
        }
        Ok(())
    }
}

/// A failure for lack of addresses with the networks of the stack that the manager has not set up: it says so nowhere else but in its log.
fn with_networks(room: &Room<'_>, failure: Failure, networks: &BTreeMap<String, String>) -> Result<Failure, StepError> {
    if failure.code != Code::NOT_ALLOCATED {
        return Ok(failure);
    }
    let there = room.observe(Client::all_networks)?;
    let of_stack = there.iter().filter(|network| networks.values().any(|id| *id == network.id));
    let unset: Vec<&str> = of_stack.filter(|network| !network.is_allocated()).map(|network| network.name.as_str()).collect();
    Ok(if unset.is_empty() {
        failure
    } else {
        Failure::new(failure.code, format!("{}; not set up: {}", failure.message, unset.join(", ")))
    })
}

fn out_of_time(watched: &[Watched<'_>]) -> Failure {
    let late: Vec<Failure> = watched.iter().filter(|one| one.state != State::Settled).map(|one| one.watch.out_of_time()).collect();
    in_one(&late.iter().collect::<Vec<_>>()).unwrap_or_else(|| Failure::new(Code::TIMED_OUT, "the command's time was over"))
}

/// Several failures as one, with the code of the first.
pub(super) fn in_one(failures: &[&Failure]) -> Option<Failure> {
    let named: Vec<&str> = failures.iter().take(NAMED).map(|failure| failure.message.as_str()).collect();
    let more = match failures.len().saturating_sub(NAMED) {
        0 => String::new(),
        1 => "; and one service more".to_owned(),
        more => format!("; and {more} services more"),
    };
    failures.first().map(|first| Failure::new(first.code, named.join("; ") + &more))
}

fn go_on(tasks: u64) -> String {
    if tasks == 1 { "one task goes on".to_owned() } else { format!("{tasks} tasks go on") }
}

fn in_short(watched: &[Watched<'_>]) -> String {
    let settled = watched.iter().filter(|one| one.state == State::Settled).count();
    let (running, desired) = watched.iter().map(|one| one.watch.count()).fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    format!("tasks running {running}/{desired}, services steady {settled}/{}", watched.len())
}

//! Scale: the replicas of some services of a stack, set by compare-and-swap, and seen to run.
//!
//! Runs on a lane, in the command's room. Everything is checked before anything is changed; a service
//! keeps all of its spec but the count. It never touches a service that the command does not name.

use super::Entry;
use super::api::Credentials;
use super::census::{Census, down, errors};
use super::choose;
use super::deploy::{Stuck, may_end};
use super::ownership::Takeover;
use super::room::{End, Halt, Room, StepError, TELL_EVERY};
use super::seat::outdoes;
use super::types::{Mode, Service, Task, TaskState};
use crate::domain::{Code, Outcome, Progress, Scale, StackName};
use crate::threads::Deadline;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// How often another writer may be faster before it counts as a conflict: the manager itself writes
/// to a service once or twice in an update.
const ATTEMPTS: u32 = 8;
/// Tasks on other nodes change without an event.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// For so long new tasks must go on running before they count: Swarm's own default for `monitor`. A
/// task that ends at once is seen to run for a moment, again and again.
const STEADY: Duration = Duration::from_secs(5);

/// One service that the command names.
#[derive(Debug)]
pub(super) struct Wanted {
    id: String,
    name: String,
    replicas: u64,
    /// Whether a task that ends well has done its work.
    may_end: bool,
}

impl Wanted {
    /// So many replicas of a service.
    pub(super) fn of(service: &Service, replicas: u64) -> Self {
        Self { id: service.id.clone(), name: service.name().to_owned(), replicas, may_end: may_end(service) }
    }

    /// Whether exactly so many of these tasks run and nothing else goes on. A seat whose newest task has done its work counts with those.
    fn is_settled(&self, tasks: &[Task], down: &BTreeSet<String>) -> bool {
        let own = || tasks.iter().filter(|task| task.service_id == self.id);
        let census = Census::of(own(), down);
        if !self.may_end || census.starting + census.ending > 0 {
            return census.is_settled_at(self.replicas);
        }
        let is_last = |task: &&Task| !own().any(|other| other.slot == task.slot && outdoes(other, task));
        // Swarm remembers seats that are not wanted any more.
        let done = own().filter(|task| task.status.state == TaskState::Complete).filter(is_last).count() as u64;
        (census.running..=census.running + done).contains(&self.replicas)
    }
}

/// Tasks that run, and until when the same ones must go on to count as steady.
struct Steady {
    tasks: BTreeSet<String>,
    proven: Deadline,
}

/// What was done to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It gets new tasks.
    Grown,
    /// It loses some.
    Shrunk,
    /// It had as many before.
    Unchanged,
}

impl Change {
    /// As events spell it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Grown | Self::Shrunk => "update",
            Self::Unchanged => "unchanged",
        }
    }
}

/// Carries the command out.
pub(super) fn run(room: &Room<'_>, request: &Scale) -> End {
    work(room, request).map_or_else(|end| end, End::Finished)
}

fn work(room: &Room<'_>, request: &Scale) -> Result<Outcome, End> {
    let target = &request.target;
    let services = choose::held(room, target, Takeover::Refused)?;
    let chosen = choose(request, &services).map_err(End::Finished)?;
    let wanted: Vec<Wanted> = chosen.iter().map(|(service, replicas)| Wanted::of(service, *replicas)).collect();
    let before = room.observe(|client| client.tasks(&target.stack))?.into_iter().map(|task| task.id).collect();
    let stuck = Stuck::new(chosen.into_iter(), &before);
    let mut changes = Vec::new();
    for service in &wanted {
        changes.push(set(room, service)?);
    }
    let text: Vec<String> = wanted.iter().map(|wanted| format!("{}={}", target.stack.descoped(&wanted.name), wanted.replicas)).collect();
    room.progress(Progress::new("apply", format!("the swarm was told: {}", text.join(", "))));
    converge(room, &target.stack, &wanted, &changes, &before, stuck)
}

/// Finds every service that the command names, with its replicas, or says which one cannot be scaled.
fn choose<'a>(request: &Scale, services: &'a [Service]) -> Result<Vec<(&'a Service, u64)>, Outcome> {
    let stack = &request.target.stack;
    let find = |(key, &replicas): (&String, &u64)| {
        let service = choose::one(stack, services, key)?;
        match service.mode() {
            Mode::Replicated(_) => Ok((service, replicas)),
            mode => Err(not_scalable(service.name(), mode)),
        }
    };
    request.services.iter().map(find).collect()
}

fn not_scalable(name: &str, mode: Mode) -> Outcome {
    let message = format!("service {name} has mode {}, which has no replicas to set", mode.name());
    Outcome::failed(Code::NOT_SCALABLE, message)
}

/// Sets the count of one service. Whoever was faster, or a lost answer, makes it look again.
pub(super) fn set(room: &Room<'_>, wanted: &Wanted) -> Result<Change, End> {
    let mut change = Change::Unchanged;
    for _ in 0..ATTEMPTS {
        let service = room.observe(|client| client.service(&wanted.id)).map_err(|error| match error {
            StepError::Refused(error) if error.is_not_found() => {
                failed(Code::SERVICE_NOT_FOUND, format!("service {} was removed by somebody else", wanted.name))
            }
            other => End::from(other),
        })?;
        match service.mode() {
            Mode::Replicated(now) if now == wanted.replicas => return Ok(change),
            Mode::Replicated(now) => change = if now < wanted.replicas { Change::Grown } else { Change::Shrunk },
            mode => return Err(End::Finished(not_scalable(&wanted.name, mode))),
        }
        let spec = with_replicas(&service.spec, wanted.replicas);
        match room.step("service.update", &wanted.name, |client| {
            client.update_service(&wanted.id, service.version, spec.to_string().into_bytes(), Credentials::OfSpec)
        }) {
            Ok(_) => return Ok(change),
            Err(StepError::Unknown(error)) => log::warn!("looking at {} again: {error}", wanted.name),
            Err(StepError::Refused(error)) if error.is_conflict() => log::debug!("looking at {} again: {error}", wanted.name),
            Err(other) => return Err(other.into()),
        }
    }
    let message = format!("service {} was changed by others {ATTEMPTS} times in a row; see who does it, then scale again", wanted.name);
    Err(failed(Code::CONFLICT, message))
}

/// The spec as it was read, with another count.
fn with_replicas(spec: &Value, replicas: u64) -> Value {
    let mut spec = spec.clone();
    spec["Mode"] = json!({"Replicated": {"Replicas": replicas}});
    spec
}

/// Watches until every named service runs as often as was asked, and new tasks have stayed, or one certainly does not. The errors of
/// the tasks that there were `before` are not this command's.
fn converge(
    room: &Room<'_>,
    stack: &StackName,
    wanted: &[Wanted],
    changes: &[Change],
    before: &BTreeSet<String>,
    mut stuck: Stuck,
) -> Result<Outcome, End> {
    // A command that goes on after a restart does not know which tasks are new.
    let patience = if changes.contains(&Change::Grown) || room.entry == Entry::Resumed { STEADY } else { Duration::ZERO };
    let mut steady: Option<Steady> = None;
    let mut told = Vec::new();
    let mut next_telling = Deadline::after(Duration::ZERO);
    loop {
        let tasks = room.observe(|client| client.tasks(stack))?;
        let down = down(&room.observe(|client| client.nodes())?);
        let settled = |wanted: &Wanted| wanted.is_settled(&tasks, &down);
        let late: Vec<&str> = wanted.iter().filter(|wanted| !settled(wanted)).map(|wanted| wanted.name.as_str()).collect();
        steady = if late.is_empty() { Some(Steady::since(steady, running(&tasks, wanted), patience)) } else { None };
        let services = || report(stack, wanted, changes, &Seen { tasks: &tasks, down: &down, before });
        if steady.as_ref().is_some_and(|steady| steady.proven.has_passed()) {
            return Ok(Outcome::completed(format!("the services of {stack} run as often as was asked")).with("services", services()));
        }
        if let Some(failure) = stuck.look(&tasks, room.settings.pull_timeout) {
            let message = format!("{}; the count stays, and the swarm goes on trying", failure.message);
            return Ok(Outcome::failed(failure.code, message).with("services", services()));
        }
        let seen = services();
        if seen != told && next_telling.has_passed() {
            next_telling = Deadline::after(TELL_EVERY);
            let message = format!("services as was asked {}/{}", wanted.len() - late.len(), wanted.len());
            room.progress(Progress::new("converge", message).with("services", seen.clone()));
            told = seen;
        }
        match room.wait_for_change(LOOK_EVERY) {
            Ok(()) => {}
            Err(Halt::TimedOut) => {
                let late = if late.is_empty() { "tasks that have just started".to_owned() } else { late.join(", ") };
                let message = format!("not settled when the command's time was over: {late}; the swarm goes on trying");
                return Ok(Outcome::failed(Code::TIMED_OUT, message).with("services", services()));
            }
            Err(halt) => return Err(halt.into()),
        }
    }
}

impl Steady {
    /// The same tasks as before go on being watched, others begin anew.
    fn since(before: Option<Self>, tasks: BTreeSet<String>, patience: Duration) -> Self {
        match before {
            Some(before) if before.tasks == tasks => before,
            _ => Self { tasks, proven: Deadline::after(patience) },
        }
    }
}

fn running(tasks: &[Task], wanted: &[Wanted]) -> BTreeSet<String> {
    let named = |task: &&Task| wanted.iter().any(|wanted| wanted.id == task.service_id);
    tasks.iter().filter(|task| task.is_running()).filter(named).map(|task| task.id.clone()).collect()
}

/// One look.
struct Seen<'a> {
    tasks: &'a [Task],
    down: &'a BTreeSet<String>,
    /// The tasks that there were before the command.
    before: &'a BTreeSet<String>,
}

fn report(stack: &StackName, wanted: &[Wanted], changes: &[Change], seen: &Seen<'_>) -> Vec<Value> {
    let one = |(wanted, change): (&Wanted, &Change)| {
        let own = || seen.tasks.iter().filter(|task| task.service_id == wanted.id);
        let census = Census::of(own(), seen.down);
        let new = || own().filter(|task| !seen.before.contains(&task.id));
        let is_settled = wanted.is_settled(seen.tasks, seen.down);
        json!({
            "name": stack.descoped(&wanted.name),
            "action": change.name(),
            "replicas": {"running": census.running, "desired": wanted.replicas},
            "state": state(census, wanted.replicas, is_settled),
            "errors": if is_settled { Vec::new() } else { errors(new()) },
        })
    };
    wanted.iter().zip(changes).map(one).collect()
}

/// What its tasks do, in a word.
fn state(census: Census, replicas: u64, is_settled: bool) -> &'static str {
    match (is_settled, replicas) {
        (true, 0) => "stopped",
        (true, _) if census.running == 0 => "done",
        (true, _) => "running",
        (false, _) if census.starting > 0 || census.running < replicas => "starting",
        (false, _) => "stopping",
    }
}

fn failed(code: Code, message: String) -> End {
    End::Finished(Outcome::failed(code, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ProjectId, Target, Verdict};

    fn service(name: &str, mode: &Value) -> Service {
        let spec = json!({"Name": name, "Labels": {"a": "b"}, "TaskTemplate": {"ForceUpdate": 3}, "Mode": mode});
        serde_json::from_value(json!({"ID": format!("id-{name}"), "Version": {"Index": 1}, "Spec": spec})).unwrap()
    }

    fn scale(key: &str, replicas: u64) -> Scale {
        let target = Target { project: ProjectId::new("p").unwrap(), stack: StackName::new("st").unwrap() };
        Scale { target, services: [(key.to_owned(), replicas)].into(), timeout_seconds: None }
    }

    #[test]
    fn only_replicated_services_of_the_stack_can_be_scaled() {
        let services = [service("st_web", &json!({"Replicated": {"Replicas": 1}})), service("st_agent", &json!({"Global": {}}))];
        let found = choose(&scale("web", 3), &services).unwrap();
        assert_eq!(found, [(&services[0], 3)]);
        assert_eq!(choose(&scale("st_web", 3), &services).unwrap(), found, "the whole name is understood too");
        let refused = |key| choose(&scale(key, 1), &services).unwrap_err();
        assert_eq!(refused("agent").verdict, Verdict::Failed(Code::NOT_SCALABLE));
        assert_eq!(refused("db").verdict, Verdict::Failed(Code::SERVICE_NOT_FOUND));
        assert!(refused("db").message.contains("web, agent"));
    }

    #[test]
    fn nothing_but_the_count_changes() {
        let before = service("st_web", &json!({"Replicated": {}})).spec;
        let mut after = with_replicas(&before, 4);
        assert_eq!(after["Mode"], json!({"Replicated": {"Replicas": 4}}));
        after["Mode"] = before["Mode"].clone();
        assert_eq!(after, before);
    }
}

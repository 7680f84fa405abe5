//! Remove: `docker stack rm`, until nothing of the stack is left.
//!
//! Runs on a lane, in the command's room. It looks, removes what it sees and looks again until there is
//! nothing: so a lost answer, a restart in the middle and somebody else's removal are all the same to it.
//! It touches only what carries the stack's label, and volumes only when asked.

use super::census::{Census, down};
use super::leftovers;
use super::ownership::{self, Takeover};
use super::room::{End, Halt, Room, STEPS_AT_ONCE, StepError};
use super::types::{Container, Network, Service, Store, StoreKind, Task, Volume};
use super::{Entry, error::EngineError};
use crate::domain::{Code, Note, Outcome, Progress, Remove, StackName, Step, counted};
use crate::threads::Deadline;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long an object may go on being refused once no task of the stack runs any more.
const PATIENCE: Duration = Duration::from_secs(30);
/// Tasks end without an event where they run on other nodes; a busy network is tried again.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is left of a stack.
#[derive(Debug, Default)]
struct Left {
    services: Vec<Service>,
    secrets: Vec<Store>,
    configs: Vec<Store>,
    networks: Vec<Network>,
    tasks: Vec<Task>,
    containers: Vec<Container>,
    volumes: Vec<Volume>,
    down: BTreeSet<String>,
}

/// What was removed, by kind, and what is refused, with the engine's words.
#[derive(Debug, Default)]
struct Tally {
    removed: BTreeMap<&'static str, BTreeSet<String>>,
    refused: BTreeMap<String, String>,
}

/// Carries the command out.
pub(super) fn run(room: &Room<'_>, request: &Remove) -> End {
    work(room, request).map_or_else(|end| end, End::Finished)
}

fn work(room: &Room<'_>, request: &Remove) -> Result<Outcome, End> {
    let stack = &request.target.stack;
    let mut left = look(room, request)?;
    ownership::check(room, &request.target, &left.services, Takeover::Refused)?;
    if left.is_empty() && room.entry == Entry::Fresh && room.ledger.owner(stack)?.is_none() {
        return Ok(Outcome::failed(Code::STACK_NOT_FOUND, format!("nothing in the swarm carries the label of a stack {stack}")));
    }
    let mut tally = Tally::default();
    let mut patience = None;
    let (services, mut told) = (left.services.clone(), Vec::new());
    while !left.is_empty() {
        tally.refused.clear();
        let seen = left.told(&services, stack);
        if told != [json!(left.in_short()), json!(seen)] {
            room.progress(Progress::new("remove", left.in_short()).with("services", seen.clone()));
            told = vec![json!(left.in_short()), json!(seen)];
        }
        sweep(room, &left, &mut tally)?;
        let patient = if left.still_runs() { None } else { patience.or_else(|| Some(Deadline::after(PATIENCE))) };
        patience = patient;
        match room.wait_for_change(LOOK_EVERY) {
            Ok(()) => left = look(room, request)?,
            Err(Halt::TimedOut) => return Ok(tally.failed(Code::TIMED_OUT, &left, stack)),
            Err(halt) => return Err(halt.into()),
        }
        if patience.is_some_and(Deadline::has_passed) && !left.is_empty() {
            return Ok(tally.failed(Code::ENGINE_REFUSED, &left, stack));
        }
    }
    room.ledger.write(Note::Forget(stack.clone()))?;
    Ok(Outcome::completed(format!("the stack {stack} is removed")).with("removed", json!(tally.removed)))
}

fn look(room: &Room<'_>, request: &Remove) -> Result<Left, StepError> {
    let stack = &request.target.stack;
    let tasks = room.observe(|client| client.tasks(stack))?;
    // A task that ends on a node that is down ends when the node comes back.
    let nodes = if tasks.is_empty() { Vec::new() } else { room.observe(|client| client.nodes())? };
    Ok(Left {
        services: room.observe(|client| client.services(stack))?,
        secrets: room.observe(|client| client.stores(StoreKind::Secret, stack))?,
        configs: room.observe(|client| client.stores(StoreKind::Config, stack))?,
        networks: room.observe(|client| client.networks(stack))?,
        containers: room.observe(|client| client.containers(stack))?,
        volumes: if request.volumes { room.observe(|client| client.volumes(stack))? } else { Vec::new() },
        tasks,
        down: down(&nodes),
    })
}

/// Removes what can be removed now: services first, what they use as soon as it is free.
fn sweep(room: &Room<'_>, left: &Left, tally: &mut Tally) -> Result<(), End> {
    let mut services: Vec<&Service> = left.services.iter().collect();
    services.sort_by_key(|service| service.name());
    let step = |service: &&Service| Step { operation: "service.remove".to_owned(), object: service.name().to_owned() };
    for services in services.chunks(STEPS_AT_ONCE) {
        let steps: Vec<Step> = services.iter().map(step).collect();
        let results = room.steps(steps, |number, client| client.remove_service(&services[number].id))?;
        services.iter().zip(results).try_for_each(|(service, result)| tally.note("service", service.name(), result))?;
    }
    for (kind, stores) in [(StoreKind::Secret, &left.secrets), (StoreKind::Config, &left.configs)] {
        for store in stores {
            let operation = format!("{}.remove", kind.name());
            tally.note(kind.name(), store.name(), room.step(&operation, store.name(), |client| client.remove_store(kind, &store.id)))?;
        }
    }
    if left.still_runs() {
        return Ok(());
    }
    for (id, removed) in leftovers::remove(room, &left.containers, |_| true)? {
        tally.note("container", &id, removed.map_err(StepError::Refused))?;
    }
    for network in &left.networks {
        tally.note("network", &network.name, room.step("network.remove", &network.name, |client| client.remove_network(&network.id)))?;
    }
    for volume in &left.volumes {
        tally.note("volume", &volume.name, room.step("volume.remove", &volume.name, |client| client.remove_volume(&volume.name)))?;
    }
    Ok(())
}

impl Left {
    /// Nothing that the command is about. Ended tasks and containers are the manager's own history.
    fn is_empty(&self) -> bool {
        let objects = self.services.len() + self.secrets.len() + self.configs.len() + self.networks.len() + self.volumes.len();
        objects == 0 && !self.still_runs() && !self.containers.iter().any(|container| container.state == "running")
    }

    /// Whether a task runs or will, as far as its node can say.
    fn still_runs(&self) -> bool {
        let census = Census::of(&self.tasks, &self.down);
        !self.services.is_empty() || census.not_ended() > 0
    }

    fn in_short(&self) -> String {
        let tasks = usize::try_from(Census::of(&self.tasks, &self.down).not_ended()).unwrap_or(usize::MAX);
        let counts = [
            (self.services.len(), "service"),
            (tasks, "task"),
            (self.secrets.len(), "secret"),
            (self.configs.len(), "config"),
            (self.networks.len(), "network"),
            (self.volumes.len(), "volume"),
        ];
        let there = counts.iter().filter(|(count, _)| *count > 0);
        let told: Vec<String> = there.map(|(count, kind)| counted(*count, kind)).collect();
        if told.is_empty() { "containers that have not ended are left".to_owned() } else { format!("left: {}", told.join(", ")) }
    }

    /// How far these services, which there were, are gone.
    fn told(&self, services: &[Service], stack: &StackName) -> Vec<Value> {
        let one = |service: &Service| {
            let tasks = Census::of(self.tasks.iter().filter(|task| task.service_id == service.id), &self.down).not_ended();
            let is_there = tasks > 0 || self.services.iter().any(|left| left.id == service.id);
            json!({
                "name": stack.descoped(service.name()),
                "action": "remove",
                "state": if is_there { "stopping" } else { "removed" },
                "replicas": {"running": tasks, "desired": 0},
            })
        };
        services.iter().map(one).collect()
    }

    fn names(&self) -> Vec<String> {
        let services = self.services.iter().map(|service| format!("service {}", service.name()));
        let secrets = self.secrets.iter().map(|secret| format!("secret {}", secret.name()));
        let configs = self.configs.iter().map(|config| format!("config {}", config.name()));
        let networks = self.networks.iter().map(|network| format!("network {}", network.name));
        let volumes = self.volumes.iter().map(|volume| format!("volume {}", volume.name));
        services.chain(secrets).chain(configs).chain(networks).chain(volumes).collect()
    }
}

impl Tally {
    /// Notes what became of one removal. What is refused now may be free at the next look; what is gone is removed.
    fn note(&mut self, kind: &'static str, name: &str, result: Result<(), StepError>) -> Result<(), End> {
        match result {
            Ok(()) => self.removed(kind, name),
            Err(StepError::Refused(EngineError::NotFound { .. })) => self.removed(kind, name),
            // The next look says whether it was done.
            Err(StepError::Unknown(error)) => log::warn!("looking again: {error}"),
            Err(StepError::Refused(error)) => drop(self.refused.insert(format!("{kind} {name}"), error.to_string())),
            Err(StepError::Halted(halt)) => return Err(halt.into()),
        }
        Ok(())
    }

    fn removed(&mut self, kind: &'static str, name: &str) {
        self.removed.entry(kind).or_default().insert(name.to_owned());
    }

    fn failed(&self, code: Code, left: &Left, stack: &StackName) -> Outcome {
        let names = left.names();
        let first = self.refused.iter().next().map(|(object, words)| format!("; {object}: {words}")).unwrap_or_default();
        let message =
            format!("of the stack {stack} is left: {}{first}", if names.is_empty() { "tasks".to_owned() } else { names.join(", ") });
        Outcome::failed(code, message).with("removed", json!(self.removed)).with("left", json!(names)).with("refused", json!(self.refused))
    }
}

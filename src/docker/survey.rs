//! Counts the whole swarm now and then: one look that heartbeats, status and metrics share.
//!
//! Owns the thread `docker-survey`. On a manager it reads the services and the tasks every [`EVERY`], and the nodes when the
//! engine or one of its nodes has changed; what it has counted is published. Elsewhere, and while the engine is away, nothing
//! is known and nothing is asked. It only reads, and nobody waits for it.

use super::census::{Census, down};
use super::client::Client;
use super::error::EngineError;
use super::events::Engine;
use super::types::{Mode, NAMESPACE, Node, ServiceHead, TaskHead, TaskState};
use super::{Counting, Settings, SwarmRole};
use crate::domain::{ServiceCount, SwarmCount, Timestamp};
use crate::threads::{Deadline, Published, Stop, alive_by, at_rest};
use crossbeam_channel::{at, select_biased};
use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Between two looks: a service that goes down is seen within half a minute, and a swarm of fifty tasks costs the engine a
/// thousandth of a core.
const EVERY: Duration = Duration::from_secs(30);
/// A look that took long, at a swarm with thousands of tasks, is taken less often: it makes up no more than this part of the time.
const SHARE: u32 = 200;
/// News of the engine comes in bursts; no look follows another as closely.
const SHORTEST: Duration = Duration::from_secs(2);
/// One call. Who counts can wait for the next look.
const CALL: Duration = Duration::from_secs(10);
/// The longest look: three calls, each with the version asked for before it.
const LOOK: Duration = Duration::from_secs(60);
/// The states of a node (swarmkit, api/types.proto, NodeStatus.State).
const NODE_STATES: [&str; 4] = ["unknown", "down", "ready", "disconnected"];

/// What the thread needs.
pub(super) struct Survey {
    pub(super) client: Client,
    pub(super) engine: Arc<Engine>,
    pub(super) settings: Published<Settings>,
    pub(super) count: Published<Option<SwarmCount>>,
}

impl Survey {
    /// The body of the thread.
    pub(super) fn run(&self, stop: &Stop) -> Result<(), Infallible> {
        let mut nodes = Vec::new();
        let (mut due, mut news) = (Instant::now(), News::OfNodes);
        loop {
            at_rest();
            select_biased! {
                recv(stop.receiver()) -> _ => return Ok(()),
                recv(self.engine.news()) -> _ => {
                    news = News::OfNodes;
                    due = due.min(Instant::now() + SHORTEST);
                    continue;
                }
                recv(at(due)) -> _ => {}
            }
            alive_by(Deadline::after(LOOK));
            let began = Instant::now();
            let count = self.look(&mut nodes, news);
            self.publish(count);
            due = began + EVERY.max(began.elapsed() * SHARE);
            news = News::None;
        }
    }

    /// What is there now; nothing where nothing can be known.
    fn look(&self, nodes: &mut Vec<Node>, news: News) -> Option<SwarmCount> {
        let counts = self.settings.newest().counting == Counting::On;
        if !counts || self.engine.role() != Some(SwarmRole::Manager) {
            return None;
        }
        let client = self.client.until(Deadline::after(CALL));
        let mut look = || -> Result<SwarmCount, EngineError> {
            if news == News::OfNodes || nodes.is_empty() {
                *nodes = client.nodes()?;
            }
            // ORDER: services first; a task of a service that was made in between is only counted as a task.
            let services = client.service_heads()?;
            let tasks = client.task_heads()?;
            Ok(count(Timestamp::from(SystemTime::now()), &services, &tasks, nodes))
        };
        look().map_err(|error| log::debug!("the swarm cannot be counted: {error}")).ok()
    }

    fn publish(&self, count: Option<SwarmCount>) {
        if count.is_some() || self.count.newest().is_some() {
            self.count.publish(count);
        }
    }
}

/// Whether the nodes are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    None,
    OfNodes,
}

/// Counts what was read.
fn count(at: Timestamp, services: &[ServiceHead], tasks: &[TaskHead], nodes: &[Node]) -> SwarmCount {
    let down = down(nodes);
    let mut by_service: HashMap<&str, Census> = HashMap::new();
    let mut by_state: BTreeMap<&str, u64> = TaskState::ALL.iter().map(|state| (state.name(), 0)).collect();
    for task in tasks {
        by_service.entry(&task.service_id).or_default().add(task.status.state, task.desired_state, &task.node_id, &down);
        *by_state.entry(task.status.state.name()).or_default() += 1;
    }
    let mut services: Vec<ServiceCount> = services.iter().map(|service| of_service(service, &by_service)).collect();
    services.sort_by(|a, b| a.name.cmp(&b.name));
    SwarmCount { at, services, tasks: by_state, nodes: by_node_state(nodes) }
}

fn of_service(service: &ServiceHead, by_service: &HashMap<&str, Census>) -> ServiceCount {
    let census = by_service.get(service.id.as_str()).copied().unwrap_or_default();
    let mode = Mode::of_mode(&service.spec.mode);
    ServiceCount {
        stack: service.spec.labels.get(NAMESPACE).cloned(),
        name: service.spec.name.clone(),
        mode: mode.name(),
        running: census.running,
        desired: census.desired(mode),
        update: service.update_status.as_ref().map(|update| update.state.name()),
    }
}

/// A state that is not known counts as `unknown`.
fn by_node_state(nodes: &[Node]) -> BTreeMap<&'static str, u64> {
    let mut states: BTreeMap<&str, u64> = NODE_STATES.iter().map(|state| (*state, 0)).collect();
    for node in nodes {
        let known = NODE_STATES.iter().find(|state| **state == node.status.state);
        *states.entry(known.copied().unwrap_or(NODE_STATES[0])).or_default() += 1;
    }
    states
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::fake_engine::{FakeEngine, Reply};
    use crate::threads::stop_pair;
    use crossbeam_channel::bounded;
    use serde_json::{Value, json};

    fn services() -> Value {
        json!([
            {"ID": "w", "Spec": {"Name": "st_web", "Labels": {NAMESPACE: "st"}, "Mode": {"Replicated": {"Replicas": 2}}}, "UpdateStatus": {"State": "paused"}},
            {"ID": "g", "Spec": {"Name": "alone", "Labels": null, "Mode": {"Global": {}}}},
        ])
    }

    fn tasks() -> Value {
        let task = |service: &str, node: &str, state: &str, desired: &str| json!({"ID": "t", "ServiceID": service, "NodeID": node, "Status": {"State": state}, "DesiredState": desired});
        json!([
            task("w", "up", "running", "running"),
            task("w", "gone", "running", "shutdown"),
            task("w", "up", "failed", "shutdown"),
            task("g", "up", "running", "running"),
            task("g", "up", "starting", "running"),
        ])
    }

    fn nodes() -> Value {
        json!([{"ID": "up", "Status": {"State": "ready"}}, {"ID": "gone", "Status": {"State": "down"}}, {"ID": "odd", "Status": {"State": "asleep"}}])
    }

    #[test]
    fn services_tasks_and_nodes_are_counted() {
        let read = |value: Value| serde_json::from_value::<Vec<ServiceHead>>(value).unwrap();
        let tasks: Vec<TaskHead> = serde_json::from_value(tasks()).unwrap();
        let nodes: Vec<Node> = serde_json::from_value(nodes()).unwrap();
        let count = count(Timestamp::from_millis(1), &read(services()), &tasks, &nodes);
        let service = |name: &str, stack: Option<&str>, mode, running, desired, update| ServiceCount {
            stack: stack.map(str::to_owned),
            name: name.to_owned(),
            mode,
            running,
            desired,
            update,
        };
        let expected = [service("alone", None, "global", 1, 2, None), service("st_web", Some("st"), "replicated", 1, 2, Some("paused"))];
        assert_eq!(count.services, expected);
        assert_eq!((count.tasks["running"], count.tasks["failed"], count.tasks["starting"], count.tasks["rejected"]), (3, 1, 1, 0));
        assert_eq!(count.nodes, BTreeMap::from([("disconnected", 0), ("down", 1), ("ready", 1), ("unknown", 1)]));
    }

    /// The look of an engine that was seen in this role, and what it was asked.
    fn look_at(role: Option<SwarmRole>, counting: Counting) -> (Option<SwarmCount>, Vec<String>) {
        let fake = FakeEngine::start(|asked| match asked.line.as_str() {
            "GET /services" => Some(Reply::Json(200, services())),
            "GET /tasks" => Some(Reply::Json(200, tasks())),
            "GET /nodes" => Some(Reply::Json(200, nodes())),
            _ => None,
        });
        let settings = Published::new(Settings { counting, ..Settings::of(fake.socket().to_owned()) });
        let (events, _inbox) = bounded(8);
        let client = Client::connect(fake.socket());
        let engine = Arc::new(Engine::new(client.clone(), settings.clone(), events));
        if let Some(role) = role {
            engine.seen_as(role);
        }
        let survey = Survey { client, engine, settings, count: Published::new(None) };
        let mut nodes = Vec::new();
        let count = survey.look(&mut nodes, News::None);
        survey.look(&mut nodes, News::None);
        let asked = fake.calls().into_iter().filter(|line| !line.contains("_ping")).collect();
        (count, asked)
    }

    #[test]
    fn a_manager_is_asked_for_services_and_tasks_and_once_for_its_nodes() {
        let (count, asked) = look_at(Some(SwarmRole::Manager), Counting::On);
        assert_eq!(count.map(|count| count.services.len()), Some(2));
        assert_eq!(asked, ["GET /nodes", "GET /services", "GET /tasks", "GET /services", "GET /tasks"]);
    }

    #[test]
    fn nobody_else_is_asked_anything() {
        for (role, counting) in [
            (None, Counting::On),
            (Some(SwarmRole::Worker), Counting::On),
            (Some(SwarmRole::Inactive), Counting::On),
            (Some(SwarmRole::Manager), Counting::Off),
        ] {
            assert_eq!(look_at(role, counting), (None, Vec::new()), "{role:?} {counting:?}");
        }
    }

    #[test]
    fn the_stop_ends_it() {
        let settings = Published::new(Settings::of("/nowhere".into()));
        let (events, _inbox) = bounded(8);
        let client = Client::connect(std::path::Path::new("/nowhere"));
        let engine = Arc::new(Engine::new(client.clone(), settings.clone(), events));
        let (source, stop) = stop_pair();
        drop(source);
        Survey { client, engine, settings, count: Published::new(None) }.run(&stop).unwrap();
    }
}

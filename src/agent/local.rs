//! What the local socket shows beside what is published: each question goes to the room that knows.

use super::diagnosis;
use crate::config::{Config, Local};
use crate::docker::View;
use crate::doctor;
use crate::domain::{AgentId, Code, Health, Outcome, StackName, Verdict};
use crate::ipc::{Failure, LogQuery, Reads, Settings};
use crate::journal::Journal;
use crate::telemetry::Metrics;
use crate::threads::Published;
use crate::update::Desk;
use serde_json::{Map, Value, json};
use std::sync::{Arc, Mutex};

/// The rooms that know.
pub(super) struct Rooms {
    pub(super) view: View,
    pub(super) journal: Journal,
    pub(super) metrics: Arc<Metrics>,
    pub(super) config: Published<Config>,
    pub(super) health: Published<Health>,
    pub(super) update: Desk,
    /// Held while the doctor looks, with threads and connections of its own: one look at a time.
    pub(super) look: Mutex<()>,
}

/// Where the socket is.
pub(super) fn settings(local: &Local, config: &Config) -> Settings {
    Settings {
        path: local.socket.clone(),
        mode: local.mode,
        group: local.group.clone(),
        max_message_bytes: config.limits.max_message_bytes,
    }
}

impl Rooms {
    fn agent(&self) -> Result<AgentId, Failure> {
        // An id that the configuration gives is not in the journal, unless a token may bring another one.
        let config = self.config.newest();
        let enrols = config.control_plane.is_some() && config.agent.token.is_some();
        if let Some(wished) = config.agent.id.clone().filter(|_| !enrols) {
            return Ok(wished);
        }
        let identity = self.journal.identity().map_err(|error| Failure::of(Code::JOURNAL_UNAVAILABLE, error.to_string()))?;
        identity.map(|identity| identity.agent_id).ok_or_else(|| Failure::of(Code::NOT_ENROLLED, "the agent was not enrolled yet"))
    }
}

impl Reads for Rooms {
    fn stacks(&self) -> Result<Value, Failure> {
        let details = details(self.view.status(&self.agent()?, None))?;
        Ok(Value::Object(details))
    }

    fn stack(&self, stack: &StackName) -> Result<Value, Failure> {
        let mut details = details(self.view.status(&self.agent()?, Some(stack)))?;
        match details.remove("stacks") {
            Some(Value::Array(mut stacks)) if !stacks.is_empty() => Ok(stacks.swap_remove(0)),
            _ => Err(Failure::of(Code::SWARM_INACTIVE, "this node manages no swarm: see `axion-agent status`")),
        }
    }

    fn services(&self, stack: &StackName) -> Result<Vec<String>, Failure> {
        let told = self.stack(stack)?;
        let services = told["services"].as_array().into_iter().flatten();
        Ok(services.filter_map(|service| Some(service["name"].as_str()?.to_owned())).collect())
    }

    fn logs(&self, stack: &StackName, query: &LogQuery) -> Result<Vec<Value>, Failure> {
        let agent = self.agent()?;
        if let Some(task) = &query.task {
            let mut details = details(self.view.task_logs(&agent, stack, task, u64::from(query.tail), query.since))?;
            return Ok(lines(&mut details));
        }
        let services = if query.services.is_empty() { self.services(stack)? } else { query.services.clone() };
        let mut all = Vec::new();
        for service in services {
            all.extend(lines(&mut details(self.view.logs(&agent, stack, &service, u64::from(query.tail), query.since))?));
        }
        // RFC 3339 with nine digits: texts are in order of time.
        all.sort_by(|a, b| a["at"].as_str().cmp(&b["at"].as_str()));
        Ok(all)
    }

    fn doctor(&self) -> Result<Value, Failure> {
        let Ok(_alone) = self.look.try_lock() else {
            let seconds = doctor::TOTAL.as_secs();
            return Err(Failure::of(Code::BUSY, format!("the doctor looks for somebody else: ask again within {seconds} s")));
        };
        let identity = self.journal.identity().map_err(|error| Failure::of(Code::JOURNAL_UNAVAILABLE, error.to_string()))?;
        let settings = diagnosis::of_agent(&self.config.newest(), identity.as_ref(), &self.health.newest());
        Ok(json!({"checks": doctor::examine(&settings)}))
    }

    fn update(&self) -> Value {
        self.update.status()
    }

    fn check_for_update(&self) -> Result<Value, Failure> {
        let checked = self.update.check().map_err(|fault| Failure::of(fault.code(), fault.to_string()))?;
        Ok(json!(checked))
    }

    fn resources(&self) -> Value {
        Value::Object(self.metrics.process().into_iter().map(|sample| (sample.name.to_owned(), json!(sample.value))).collect())
    }

    fn consumer_lag(&self) -> Option<u64> {
        *self.metrics.consumer_lag().newest()
    }

    fn identity(&self) -> Option<String> {
        self.agent().ok().map(|agent| agent.to_string())
    }
}

/// The lines of a service's log, each with its name.
fn lines(details: &mut Map<String, Value>) -> Vec<Value> {
    let service = details.remove("service").unwrap_or_default();
    let Some(Value::Array(mut found)) = details.remove("lines") else { return Vec::new() };
    found.iter_mut().for_each(|line| line["service"] = service.clone());
    found
}

/// What a look has found.
fn details(outcome: Outcome) -> Result<Map<String, Value>, Failure> {
    match outcome.verdict {
        Verdict::Completed => Ok(outcome.details),
        Verdict::Failed(code) => Err(Failure::of(code, outcome.message)),
    }
}

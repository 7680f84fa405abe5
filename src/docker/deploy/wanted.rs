//! What is wanted of one service, as its spec says it: how many tasks, for how long, and whether they may end.
//!
//! Pure.

use super::trouble;
use crate::docker::types::{Mode, Service, Task, TaskState};
use crate::domain::Code;
use crate::stack::plan::monitor;
use serde_json::Value;
use std::time::Duration;

/// How long tasks may wait for a node before none is certain to come: the old tasks of an update go
/// first, and a node that restarts is back within seconds or within minutes.
const UNPLACED: Duration = Duration::from_secs(10);
/// The time that Swarm leaves a container to end where the spec names none.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// Whether this command wrote the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// Made or updated.
    Now,
    /// It was as wanted already.
    Before,
}

/// What is wanted of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Its name in the swarm.
    pub(super) name: String,
    /// How many tasks.
    pub(super) mode: Mode,
    /// Whether a task that ends may stay ended.
    pub(super) restart: Restart,
    /// How long new tasks must run.
    pub(super) monitor: Duration,
    /// How long tasks may wait for a node.
    pub(super) patience: Duration,
    /// Whether this command wrote it.
    pub(super) written: Written,
}

/// What Swarm does with a task that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restart {
    /// It starts the next one, for ever.
    Always,
    /// So many times, whichever way it ended: it is to run for good.
    Counted,
    /// For ever after an error; a success stays.
    OnFailure,
    /// It gives up: never again, or not after so many errors; a success stays.
    Limited,
}

/// How long Swarm waits for a container of this spec to end; it takes 0 for none.
pub(super) fn grace(spec: &Value) -> Duration {
    let given = spec["TaskTemplate"]["ContainerSpec"]["StopGracePeriod"].as_u64();
    given.filter(|&nanos| nanos > 0).map_or(STOP_GRACE, Duration::from_nanos)
}

impl Wanted {
    /// What a spec wants, as it is sent.
    pub(super) fn of(spec: &Value, mode: Mode, written: Written) -> Self {
        let task = &spec["TaskTemplate"];
        Self {
            name: spec["Name"].as_str().unwrap_or_default().to_owned(),
            mode,
            restart: Restart::of(&task["RestartPolicy"]),
            monitor: monitor(spec),
            patience: UNPLACED + grace(spec),
            written,
        }
    }

    /// Lets tasks wait for a node until others, which end with this grace, have left their ports and their share.
    pub(super) fn outlast(&mut self, grace: Duration) {
        self.patience = self.patience.max(UNPLACED + grace);
    }

    pub(super) fn is_job(&self) -> bool {
        self.mode.is_job()
    }

    /// Whether a task that ends without an error has done its work.
    pub(super) fn may_end(&self) -> bool {
        self.is_job() || matches!(self.restart, Restart::OnFailure | Restart::Limited)
    }

    /// Why a task that is over should not be. One that ended well has failed too where it is to run for good.
    pub(super) fn ended_badly(&self, task: &Task) -> Option<Code> {
        let well = task.status.state == TaskState::Complete;
        let over = task.status.state.is_over();
        over.then(|| trouble::of_task(task).or((well && !self.may_end()).then_some(Code::CRASH_LOOP))).flatten()
    }
}

/// Whether a task of this service that ends without an error has done its work.
pub(in crate::docker) fn may_end(service: &Service) -> bool {
    Wanted::of(&service.spec, service.mode(), Written::Before).may_end()
}

impl Restart {
    fn of(policy: &Value) -> Self {
        let counted = policy["MaxAttempts"].as_u64().is_some_and(|attempts| attempts > 0);
        match policy["Condition"].as_str().map(str::to_ascii_lowercase).as_deref() {
            Some("none") => Self::Limited,
            Some("on-failure") if counted => Self::Limited,
            Some("on-failure") => Self::OnFailure,
            _ if counted => Self::Counted,
            _ => Self::Always,
        }
    }
}

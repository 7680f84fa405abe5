//! What the swarm shows to those who look on: read at once, beside all commands, on the thread of whoever asks.
//!
//! It uses the verbs that answer commands, in a room of their own that nobody hears of. It only reads.

use super::lane::Work;
use super::notebook::Notebook;
use super::room::{End, Lane, Room};
use super::status::{self, Depth};
use super::{Entry, Job, SwarmRole, logs};
use crate::domain::{
    Action, AgentId, Code, Command, CommandId, Context, GetStatus, Logs, Outcome, ProjectId, StackName, Target, Timestamp,
};
use crate::stack::Veil;
use crate::threads::{Deadline, Stop};
use crossbeam_channel::bounded;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Who looks on waits at a terminal: an engine that does not answer by then is said to be away.
const LOOK: Duration = Duration::from_secs(5);
/// Logs of services on other nodes come through them.
const LOGS: Duration = Duration::from_secs(20);

/// The handle: cheap to clone.
#[derive(Clone)]
pub struct View {
    work: Arc<Work>,
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").finish_non_exhaustive()
    }
}

impl View {
    pub(super) fn new(work: Arc<Work>) -> Self {
        Self { work }
    }

    /// All stacks, or one with its tasks and revisions; as the details of a `StatusReport`.
    #[must_use]
    pub fn status(&self, agent: &AgentId, stack: Option<&StackName>) -> Outcome {
        let target = match stack.map(|stack| self.target(stack)).transpose() {
            Ok(target) => target,
            Err(outcome) => return outcome,
        };
        let (request, depth) = (GetStatus { target }, if stack.is_some() { Depth::Tasks } else { Depth::Services });
        let action = Action::GetStatus(request.clone());
        let role = self.work.engine.role().unwrap_or(SwarmRole::Manager);
        self.in_a_room(agent, action, LOOK, |room| status::look(room, &request, role, depth))
    }

    /// The newest lines of one service; as the details of the end of `Logs`.
    #[must_use]
    pub fn logs(&self, agent: &AgentId, stack: &StackName, service: &str, tail: u64, since: Option<Timestamp>) -> Outcome {
        let target = match self.target(stack) {
            Ok(target) => target,
            Err(outcome) => return outcome,
        };
        let request = Logs { target, service: service.to_owned(), tail, since };
        self.in_a_room(agent, Action::Logs(request.clone()), LOGS, |room| match logs::run(room, &request) {
            End::Finished(outcome) => Ok(outcome),
            end @ End::Suspended => Err(end),
        })
    }

    /// The same of one task, which may have ended.
    #[must_use]
    pub fn task_logs(&self, agent: &AgentId, stack: &StackName, task: &str, tail: u64, since: Option<Timestamp>) -> Outcome {
        let target = match self.target(stack) {
            Ok(target) => target,
            Err(outcome) => return outcome,
        };
        let request = Logs { target, service: String::new(), tail, since };
        self.in_a_room(agent, Action::Logs(request.clone()), LOGS, |room| logs::of_task(room, &request, task))
    }

    /// On its host nobody is a stranger to a stack: it is looked at in its owner's name.
    fn target(&self, stack: &StackName) -> Result<Target, Outcome> {
        let owner = self.work.ledger.owner(stack).map_err(|error| Outcome::failed(Code::JOURNAL_UNAVAILABLE, error.to_string()))?;
        Ok(Target { project: owner.unwrap_or_else(ProjectId::local), stack: stack.clone() })
    }

    fn in_a_room(&self, agent: &AgentId, action: Action, time: Duration, look: impl FnOnce(&Room<'_>) -> Result<Outcome, End>) -> Outcome {
        let id = CommandId(Uuid::new_v4());
        let command = Command { id, action, issued_at: None, expires_at: None, signed_by: None, context: Context::default() };
        let job = Job { command: Arc::new(command), agent: agent.clone(), entry: Entry::Fresh, cancelled: Stop::never() };
        let (work, settings) = (&*self.work, self.work.settings.newest());
        let watch = work.engine.changes.watch(id, None);
        let (nobody, _) = bounded(0);
        let ledger = Notebook::over(&*work.ledger);
        let lane =
            Lane { client: &work.client, ledger: &ledger, settings: &settings, events: &nobody, stop: &work.stop, veil: &Veil::default() };
        let room = Room::new(&lane, &job, Deadline::after(time), &watch);
        match look(&room) {
            Ok(outcome) | Err(End::Finished(outcome)) => outcome,
            Err(End::Suspended) => Outcome::failed(Code::LEAVING, "the agent is on its way out"),
        }
    }
}

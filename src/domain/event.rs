//! An event to the outside, before any wire shapes it.

use super::{Action, AgentId, Command, CommandId, Context, EventId, Outcome, ProjectId, Timestamp, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io;
use uuid::Uuid;

/// The kinds of event, spelled as on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EventKind {
    /// The command is in the journal and will be carried out.
    CommandAccepted,
    /// The command will not be carried out. Terminal.
    CommandRejected,
    /// A command other than a deploy or a query was carried out. Terminal.
    CommandCompleted,
    /// It failed. Terminal.
    CommandFailed,
    /// A deploy begins.
    DeployStarted,
    /// A deploy goes on.
    DeployProgress,
    /// Every service runs as the file says. Terminal.
    DeployCompleted,
    /// The deploy failed. Terminal.
    DeployFailed,
    /// A rollback begins.
    RollbackStarted,
    /// Every service runs as in the revision. Terminal.
    RollbackCompleted,
    /// The rollback failed. Terminal.
    RollbackFailed,
    /// A command other than a deploy goes on. Only those who listen on the local socket are told: each reader of the event
    /// topic learns from the end all that there is.
    CommandProgress,
    /// What runs, or how the agent is. Terminal when it answers GetStatus or HealthCheck.
    StatusReport,
    /// What was measured of the agent, its host and the containers there.
    MetricsReport,
    /// Something went wrong that belongs to no command.
    ErrorReport,
}

impl EventKind {
    /// The event_type on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CommandAccepted => "CommandAccepted",
            Self::CommandRejected => "CommandRejected",
            Self::CommandCompleted => "CommandCompleted",
            Self::CommandFailed => "CommandFailed",
            Self::DeployStarted => "DeployStarted",
            Self::DeployProgress => "DeployProgress",
            Self::DeployCompleted => "DeployCompleted",
            Self::DeployFailed => "DeployFailed",
            Self::RollbackStarted => "RollbackStarted",
            Self::RollbackCompleted => "RollbackCompleted",
            Self::RollbackFailed => "RollbackFailed",
            Self::CommandProgress => "CommandProgress",
            Self::StatusReport => "StatusReport",
            Self::MetricsReport => "MetricsReport",
            Self::ErrorReport => "ErrorReport",
        }
    }

    /// The event that says that a command begins, for those which have one.
    #[must_use]
    pub fn of_begin(action: &Action) -> Option<Self> {
        match action {
            Action::Deploy(_) => Some(Self::DeployStarted),
            Action::Rollback(_) => Some(Self::RollbackStarted),
            _ => None,
        }
    }

    /// The terminal event of a command that was carried out.
    #[must_use]
    pub fn of_outcome(action: &Action, verdict: Verdict) -> Self {
        match (action, verdict) {
            (Action::Deploy(_), Verdict::Completed) => Self::DeployCompleted,
            (Action::Deploy(_), Verdict::Failed(_)) => Self::DeployFailed,
            (Action::Rollback(_), Verdict::Completed) => Self::RollbackCompleted,
            (Action::Rollback(_), Verdict::Failed(_)) => Self::RollbackFailed,
            (Action::GetStatus(_) | Action::HealthCheck, Verdict::Completed) => Self::StatusReport,
            (_, Verdict::Completed) => Self::CommandCompleted,
            (_, Verdict::Failed(_)) => Self::CommandFailed,
        }
    }
}

/// Which of a command's events one is. With the command id it decides the event id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// CommandAccepted.
    Accepted,
    /// DeployStarted, RollbackStarted.
    Started,
    /// The n-th progress since this process took the command up. After a restart it begins anew, with
    /// other content: the time tells the two apart.
    Progress {
        /// When it took it up.
        since: Timestamp,
        /// Counts from 0.
        n: u32,
    },
    /// The one terminal event.
    Terminal,
}

/// One event, ready to be written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The same however often it is sent.
    pub id: EventId,
    /// What happened.
    pub kind: EventKind,
    /// Whether it is the command's last word.
    pub terminal: bool,
    /// The kind's own fields.
    pub payload: Value,
    /// The command it answers, if any.
    pub causation_id: Option<CommandId>,
    /// What it carries on from the command.
    pub context: Context,
    /// The project it is about.
    pub project: Option<ProjectId>,
    /// When it was made.
    pub timestamp: Timestamp,
    /// Who says it.
    pub agent_id: AgentId,
}

impl Event {
    /// The event of `command` at `stage`.
    #[must_use]
    pub fn of_command(agent: &AgentId, command: &Command, kind: EventKind, stage: Stage, payload: Value, at: Timestamp) -> Self {
        Self { project: command.project().cloned(), ..Self::of_id(agent, command.id, kind, stage, command.context.clone(), payload, at) }
    }

    /// The event of a command of which only the id and the context could be read.
    #[must_use]
    pub fn of_id(
        agent: &AgentId,
        command: CommandId,
        kind: EventKind,
        stage: Stage,
        context: Context,
        payload: Value,
        at: Timestamp,
    ) -> Self {
        Self {
            id: event_id(agent, command, stage),
            kind,
            terminal: stage == Stage::Terminal,
            payload,
            causation_id: Some(command),
            project: context.project_id.clone(),
            context,
            timestamp: at,
            agent_id: agent.clone(),
        }
    }

    /// A report that nobody asked for. `about` decides its id, so that a repeat is the same event.
    #[must_use]
    pub fn report(agent: &AgentId, kind: EventKind, about: &str, payload: Value, at: Timestamp) -> Self {
        Self {
            id: EventId::about(agent, about),
            kind,
            terminal: false,
            payload,
            causation_id: None,
            context: Context::default(),
            project: None,
            timestamp: at,
            agent_id: agent.clone(),
        }
    }

    /// The terminal event of `command` with this outcome.
    #[must_use]
    pub fn terminal(agent: &AgentId, command: &Command, outcome: &Outcome, at: Timestamp) -> Self {
        let kind = EventKind::of_outcome(&command.action, outcome.verdict);
        Self::of_command(agent, command, kind, Stage::Terminal, outcome.payload(command), at)
    }

    /// About the length of its record in bytes: the rest is some hundred.
    #[must_use]
    pub fn size(&self) -> usize {
        let mut written = Written(0);
        // It counts, which cannot fail.
        drop(serde_json::to_writer(&mut written, &self.payload));
        written.0
    }

    /// The key of its record: the project, else the agent.
    #[must_use]
    pub fn key(&self) -> &str {
        self.project.as_ref().map_or(self.agent_id.as_str(), ProjectId::as_str)
    }
}

/// Counts the bytes that are written, and keeps none.
struct Written(usize);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl EventId {
    /// The id of what an agent has to tell about something once.
    #[must_use]
    pub fn about(agent: &AgentId, about: &str) -> Self {
        Self(Uuid::new_v5(&namespace(agent), about.as_bytes()))
    }
}

/// UUID version 5 over the agent, the command and the stage (RFC 9562, section 5.5).
fn event_id(agent: &AgentId, command: CommandId, stage: Stage) -> EventId {
    let stage = match stage {
        Stage::Accepted => "accepted".to_owned(),
        Stage::Started => "started".to_owned(),
        Stage::Progress { since, n } => format!("progress/{}/{n}", since.as_millis()),
        Stage::Terminal => "terminal".to_owned(),
    };
    EventId(Uuid::new_v5(&namespace(agent), format!("{command}/{stage}").as_bytes()))
}

fn namespace(agent: &AgentId) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("axion-agent:{agent}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_depends_on_agent_command_and_stage_only() {
        let agent = AgentId::new("a").unwrap();
        let command = CommandId(Uuid::from_u128(7));
        let id = event_id(&agent, command, Stage::Terminal);
        assert_eq!(id, event_id(&agent, command, Stage::Terminal));
        let progress = |since, n| event_id(&agent, command, Stage::Progress { since: Timestamp::from_millis(since), n });
        assert_ne!(id, progress(1, 0));
        assert_ne!(progress(1, 0), progress(1, 1));
        assert_ne!(progress(1, 0), progress(2, 0), "after a restart");
        assert_ne!(id, event_id(&AgentId::new("b").unwrap(), command, Stage::Terminal));
    }
}

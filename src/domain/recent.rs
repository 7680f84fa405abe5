//! The commands of late, in short: those that are open, and the last ones that have ended. For people who look on; those
//! that have ended are in the journal too, so that a restart does not cost the list.

use super::{Command, CommandId, Event, Outcome, Progress, Refusal, Timestamp, Verdict, Way};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

/// How many that have ended are kept: a screen or two. Open ones do not count; the window bounds them.
pub const MAX_ENDED: usize = 100;
/// Beyond it a terminal event is not kept with its command, in bytes: a hundred of them stay below a megabyte.
pub const MAX_KEPT_EVENT: usize = 8 << 10;
/// What is kept of a message over a restart, in characters: some sentences.
const MAX_KEPT_MESSAGE: usize = 2000;

/// Where a command stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CommandState {
    /// It is accepted and has not begun.
    Waiting,
    /// It is being carried out.
    Running,
    /// It did what it was to do.
    Done,
    /// It did not.
    Failed,
    /// It was not accepted.
    Rejected,
}

/// One command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandBrief {
    /// Which.
    pub command_id: CommandId,
    /// Its command_type; a refused one may have none that can be read.
    pub command_type: String,
    /// Whether it only plans.
    pub dry_run: bool,
    /// The stack that it is about, if it is about one.
    pub stack: Option<String>,
    /// The project in whose name it came.
    pub project_id: Option<String>,
    /// `kafka`, `session` or `local`.
    pub way: Cow<'static, str>,
    /// On whose behalf, where the sender said so.
    pub user: Option<String>,
    /// Where it stands.
    pub state: CommandState,
    /// What it was doing last, while it runs.
    pub progress: Option<String>,
    /// The stable code of a failure or refusal.
    pub code: Option<Cow<'static, str>>,
    /// What it came to, in a sentence.
    pub message: Option<String>,
    /// Of a command that failed: whether it changed anything, if it says so.
    pub changed: Option<bool>,
    /// Of a deploy that failed: how far the stack went back, as its event spells it.
    pub rolled_back: Option<Value>,
    /// When it was accepted, or refused.
    pub accepted_at: Timestamp,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Its terminal event, unless that is long.
    #[serde(skip)]
    pub terminal: Option<Arc<Event>>,
}

/// One that has ended, as the journal has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Past {
    brief: CommandBrief,
    terminal: Option<Event>,
}

impl Past {
    /// One with its terminal event, unless that is longer than what is kept.
    #[must_use]
    pub fn of(brief: &CommandBrief, terminal: Option<&Event>) -> Self {
        let mut brief = CommandBrief { terminal: None, ..brief.clone() };
        brief.message = brief.message.map(|message| message.chars().take(MAX_KEPT_MESSAGE).collect());
        Self { brief, terminal: terminal.filter(|event| event.size() <= MAX_KEPT_EVENT).cloned() }
    }
}

/// The commands in the order in which they came. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Recent {
    commands: VecDeque<Arc<CommandBrief>>,
    /// Those of them that have ended, in the order of their ends.
    ended: VecDeque<CommandId>,
}

impl Recent {
    /// Those that an earlier process has left, in the order of their ends.
    #[must_use]
    pub fn of(past: Vec<Past>) -> Self {
        let ended = past.iter().map(|past| past.brief.command_id).collect();
        let brief = |Past { brief, terminal }| Arc::new(CommandBrief { terminal: terminal.map(Arc::new), ..brief });
        let mut commands: Vec<_> = past.into_iter().map(brief).collect();
        commands.sort_by_key(|brief| brief.accepted_at);
        Self { commands: commands.into(), ended }
    }

    /// The newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &CommandBrief> {
        self.commands.iter().rev().map(AsRef::as_ref)
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, command: CommandId) -> Option<&CommandBrief> {
        self.newest_first().find(|brief| brief.command_id == command)
    }

    /// A command was accepted.
    pub fn accepted(&mut self, command: &Command, way: &Way, at: Timestamp) {
        self.commands.push_back(Arc::new(CommandBrief {
            command_id: command.id,
            command_type: command.action.name().to_owned(),
            dry_run: command.action.is_dry_run(),
            stack: command.action.target().map(|target| target.stack.to_string()),
            project_id: command.project().map(ToString::to_string),
            way: Cow::Borrowed(way.name()),
            user: command.context.user_id.clone(),
            state: CommandState::Waiting,
            progress: None,
            code: None,
            message: None,
            changed: None,
            rolled_back: None,
            accepted_at: at,
            started_at: None,
            ended_at: None,
            terminal: None,
        }));
    }

    /// It begins.
    pub fn started(&mut self, command: CommandId, at: Timestamp) {
        self.change(command, |brief| {
            brief.state = CommandState::Running;
            brief.started_at = Some(at);
        });
    }

    /// It goes on.
    pub fn goes_on(&mut self, command: CommandId, progress: &Progress) {
        self.change(command, |brief| brief.progress = Some(progress.message.clone()));
    }

    /// It has ended.
    pub fn ended(&mut self, command: CommandId, outcome: &Outcome, terminal: &Event) {
        self.change(command, |brief| {
            (brief.state, brief.code) = match outcome.verdict {
                Verdict::Completed => (CommandState::Done, None),
                Verdict::Failed(code) => (CommandState::Failed, Some(Cow::Borrowed(code.as_str()))),
            };
            brief.progress = None;
            brief.message = Some(outcome.message.clone());
            if let Verdict::Failed(_) = outcome.verdict {
                brief.changed = outcome.details.get("changed").and_then(Value::as_bool);
                brief.rolled_back = outcome.details.get("rolled_back").cloned();
            }
            brief.ended_at = Some(terminal.timestamp);
        });
        self.note_end(command);
    }

    /// One was refused.
    pub fn refused(&mut self, refusal: &Refusal, way: &Way, at: Timestamp) {
        self.commands.push_back(Arc::new(CommandBrief {
            command_id: refusal.command_id,
            command_type: refusal.command_type.clone().unwrap_or_default(),
            dry_run: false,
            stack: None,
            project_id: refusal.context.project_id.as_ref().map(ToString::to_string),
            way: Cow::Borrowed(way.name()),
            user: refusal.context.user_id.clone(),
            state: CommandState::Rejected,
            progress: None,
            code: Some(Cow::Borrowed(refusal.code.as_str())),
            message: Some(refusal.message.clone()),
            changed: None,
            rolled_back: None,
            accepted_at: at,
            started_at: None,
            ended_at: Some(at),
            terminal: None,
        }));
        self.note_end(refusal.command_id);
    }

    /// Its last word, as it goes out.
    pub fn told(&mut self, command: CommandId, terminal: &Arc<Event>) {
        if terminal.size() <= MAX_KEPT_EVENT {
            self.change(command, |brief| brief.terminal = Some(Arc::clone(terminal)));
        }
    }

    fn change(&mut self, command: CommandId, change: impl FnOnce(&mut CommandBrief)) {
        if let Some(brief) = self.commands.iter_mut().rev().find(|brief| brief.command_id == command) {
            change(Arc::make_mut(brief));
        }
    }

    fn note_end(&mut self, command: CommandId) {
        self.ended.push_back(command);
        if self.ended.len() > MAX_ENDED
            && let Some(oldest) = self.ended.pop_front()
            && let Some(index) = self.commands.iter().position(|brief| brief.command_id == oldest)
        {
            self.commands.remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Action, AgentId, Code, Context, Direct};
    use uuid::Uuid;

    fn command(n: u128) -> Command {
        Command {
            id: CommandId(Uuid::from_u128(n)),
            action: Action::HealthCheck,
            issued_at: None,
            expires_at: None,
            signed_by: None,
            context: Context::default(),
        }
    }

    fn end(recent: &mut Recent, n: u128, outcome: &Outcome) {
        let terminal = Event::terminal(&AgentId::new("a").unwrap(), &command(n), outcome, Timestamp::from_millis(9));
        recent.ended(command(n).id, outcome, &terminal);
        recent.told(command(n).id, &Arc::new(terminal));
    }

    #[test]
    fn a_command_is_followed_from_its_acceptance_to_its_end() {
        let mut recent = Recent::default();
        recent.accepted(&command(1), &Way::Direct(Direct::Local), Timestamp::from_millis(1));
        assert_eq!(recent.get(command(1).id).unwrap().state, CommandState::Waiting);
        recent.started(command(1).id, Timestamp::from_millis(2));
        recent.goes_on(command(1).id, &Progress::new("converge", "1 of 2"));
        assert_eq!(recent.get(command(1).id).unwrap().progress.as_deref(), Some("1 of 2"));
        end(&mut recent, 1, &Outcome::failed(Code::CANCELLED, "no more").with("changed", true).with("rolled_back", "partial"));
        let brief = recent.get(command(1).id).unwrap();
        assert_eq!((brief.changed, brief.rolled_back.clone()), (Some(true), Some(Value::from("partial"))));
        assert_eq!((brief.state, brief.code.as_deref(), &*brief.way), (CommandState::Failed, Some("cancelled"), "local"));
        assert!(brief.terminal.as_ref().is_some_and(|event| event.terminal));
        assert_eq!(brief.ended_at, Some(Timestamp::from_millis(9)));
    }

    #[test]
    fn open_ones_stay_and_the_oldest_that_ended_go() {
        let mut recent = Recent::default();
        recent.accepted(&command(0), &Way::Direct(Direct::Local), Timestamp::from_millis(1));
        for n in 1..=MAX_ENDED as u128 + 5 {
            recent.accepted(&command(n), &Way::Direct(Direct::Local), Timestamp::from_millis(1));
            end(&mut recent, n, &Outcome::completed("yes"));
        }
        assert_eq!(recent.newest_first().count(), MAX_ENDED + 1);
        assert!(recent.get(command(0).id).is_some() && recent.get(command(5).id).is_none());
        assert_eq!(recent.newest_first().next().unwrap().command_id, command(MAX_ENDED as u128 + 5).id);
        end(&mut recent, 0, &Outcome::completed("at last"));
        assert_eq!(recent.newest_first().count(), MAX_ENDED);
        assert!(recent.get(command(0).id).is_some(), "the last that ended, however long ago it came");
    }

    #[test]
    fn what_is_remembered_is_the_list_as_it_was() {
        let mut recent = Recent::default();
        let mut past = Vec::new();
        for n in [2, 1] {
            let at = Timestamp::from_millis(i64::try_from(n).unwrap());
            recent.accepted(&command(n), &Way::Direct(Direct::Local), at);
            let message = "ä".repeat(MAX_KEPT_MESSAGE + 1);
            let outcome = Outcome::failed(Code::CANCELLED, if n == 1 { &message } else { "no more" });
            end(&mut recent, n, &outcome);
            let brief = recent.get(command(n).id).unwrap();
            past.push(Past::of(brief, brief.terminal.as_deref()));
        }
        let written = serde_json::to_vec(&past).unwrap();
        let again = Recent::of(serde_json::from_slice(&written).unwrap());
        assert_eq!(again.get(command(2).id), recent.get(command(2).id));
        let ids: Vec<_> = again.newest_first().map(|brief| brief.command_id).collect();
        assert_eq!((ids, again.ended.front()), (vec![command(2).id, command(1).id], Some(&command(2).id)));
        assert_eq!(again.get(command(1).id).unwrap().message.as_ref().unwrap().chars().count(), MAX_KEPT_MESSAGE);
        let long = Event::terminal(
            &AgentId::new("a").unwrap(),
            &command(1),
            &Outcome::completed("x".repeat(MAX_KEPT_EVENT)),
            Timestamp::from_millis(9),
        );
        assert_eq!(Past::of(recent.get(command(1).id).unwrap(), Some(&long)).terminal, None);
    }
}

//! A lane goes on or has ended; the engine came or went.

use super::on_cancel::of_cancel;
use super::on_report::Ended;
use super::state::{State, now};
use crate::docker;
use crate::domain::{Action, Command, CommandId, Event, EventKind, LastCommand, Outcome, Past, Progress, StackName, Stage, Verdict};
use crate::journal::Finished;
use crate::threads::Errand;
use std::borrow::Cow;
use std::mem;
use std::sync::Arc;

/// A command that has ended, before that is on disk.
#[derive(Debug)]
pub(super) struct Ending {
    ended: Ended,
    finished: Finished,
    stack: Option<StackName>,
}

impl State {
    pub(super) fn on_docker(&mut self, event: docker::Event) {
        match event {
            docker::Event::Progress(id, progress) => self.on_progress(id, progress),
            docker::Event::Finished(id, outcome) => self.note_end(id, &outcome),
            docker::Event::Suspended(id) => self.on_suspended(id),
            docker::Event::Engine(engine) => self.on_engine(engine),
        }
    }

    /// It stays accepted in the journal and goes on at the next start.
    pub(super) fn on_suspended(&mut self, id: CommandId) {
        let _errand = self.open.get(&id).map(|open| Errand::of(open.command.errand()).begin());
        log::info!("command {id} stopped at a checkpoint and goes on at the next start");
        self.admission.finish(id);
    }

    pub(super) fn on_progress(&mut self, id: CommandId, progress: Progress) {
        let Some(open) = self.open.get_mut(&id) else { return };
        let stage = Stage::Progress { since: open.since, n: open.progress };
        open.progress += 1;
        let command = Arc::clone(&open.command);
        let _errand = Errand::of(command.errand()).begin();
        log::info!("{} {id}: {}: {}", command.action.name(), progress.phase, progress.message);
        self.listeners.note(|recent| recent.goes_on(id, &progress));
        // On the wire only deploys have a progress event; other commands say there what they came to.
        if matches!(command.action, Action::Deploy(_)) {
            self.tell(&command, EventKind::DeployProgress, stage, progress.payload(&command));
        } else if let Some(agent) = self.agent.as_ref().filter(|_| self.listeners.hears(id)) {
            let event = Event::of_command(agent, &command, EventKind::CommandProgress, stage, progress.payload(&command), now());
            self.listeners.tell(&Arc::new(event));
        }
    }

    pub(super) fn on_finished(&mut self, id: CommandId, outcome: &Outcome) {
        self.note_end(id, outcome);
        self.write_ends();
    }

    /// A command has ended, and with it those that were to cancel it: a Cancel says what became of its command. Nobody hears
    /// of it before [`Self::write_ends`].
    fn note_end(&mut self, id: CommandId, outcome: &Outcome) {
        self.admission.finish(id);
        let (Some(open), Some(agent)) = (self.open.remove(&id), self.agent.clone()) else {
            log::error!("command {id} has ended, which is not open: ignored");
            return;
        };
        let _errand = Errand::of(open.command.errand()).begin();
        let name = open.command.action.name();
        match outcome.verdict {
            Verdict::Completed => log::info!("{name} {id} completed: {}", outcome.message),
            Verdict::Failed(code) => log::warn!("{name} {id} failed: {code}: {}", outcome.message),
        }
        let outcome = &*self.with_what_became(&open.command, outcome);
        let terminal = Event::terminal(&agent, &open.command, outcome, now());
        self.metrics.command_finished(name, outcome.verdict, terminal.timestamp.since(open.since));
        self.listeners.note(|recent| recent.ended(id, outcome, &terminal));
        self.last_command = Some(LastCommand { id, command_type: name, result: terminal.kind.name(), finished_at: terminal.timestamp });
        let timely_until = self.timely_until(&open.command);
        let stack = open.command.action.target().map(|target| target.stack.clone());
        let ended = Ended { command: id, way: open.way, readers: open.readers, timely_until };
        // An answer is what was so at its moment, and a log's lines may hold anything: they are not written down for longer than they must.
        let is_answer = matches!(open.command.action, Action::Logs(_) | Action::GetStatus(_) | Action::HealthCheck);
        let kept = (!is_answer).then_some(&terminal);
        let past = self.listeners.recent().get(id).map(|brief| Box::new(Past::of(brief, kept)));
        self.ending.push(Ending { ended, finished: Finished { command: id, terminal, past }, stack });
        for cancel in self.cancels.remove(&id).unwrap_or_default() {
            self.note_end(cancel, &of_cancel(id, outcome.verdict));
        }
    }

    /// Every deploy that fails says what became of its stack. One that its lane did not begin, as it was refused or had expired,
    /// has changed nothing; one that goes on after a restart and ends before it could look may have.
    fn with_what_became<'a>(&mut self, command: &Command, outcome: &'a Outcome) -> Cow<'a, Outcome> {
        let has_failed = matches!((&command.action, outcome.verdict), (Action::Deploy(_), Verdict::Failed(_)));
        if !has_failed || outcome.details.contains_key("rolled_back") {
            return Cow::Borrowed(outcome);
        }
        Cow::Owned(outcome.clone().with("changed", self.was_begun(command.id)).with("rolled_back", false))
    }

    /// Writes down how commands have ended, and reports it: those of a burst share one write. Nothing is kept of an end that
    /// is owed to nobody: its command is reported with it.
    pub(super) fn write_ends(&mut self) {
        let endings = mem::take(&mut self.ending);
        if endings.is_empty() {
            return;
        }
        let (owed, over): (Vec<&Ending>, Vec<&Ending>) = endings.iter().partition(|ending| ending.ended.is_owed());
        // The result is on disk before anybody hears of it, and before the next command for the same stack begins.
        if !owed.is_empty() {
            let ends = owed.into_iter().map(|ending| ending.finished.clone()).collect();
            if let Err(error) = self.journal.finish(ends) {
                self.fail(super::ExitReason::Journal(error.to_string()));
                return;
            }
        }
        for Ending { ended, finished, .. } in over {
            self.note_over(ended, finished.past.clone());
        }
        if self.write_reports().is_err() {
            return;
        }
        for Ending { ended, finished, stack } in endings {
            if let Some(stack) = stack {
                self.look_at(&stack);
            }
            let event = self.tell_end(ended.command, finished.terminal);
            if ended.is_owed() {
                self.owe_end(ended, event);
            }
        }
    }

    /// A command may have changed whose a stack is, and its newest revision.
    fn look_at(&mut self, stack: &StackName) {
        match self.journal.brief(stack) {
            brief if self.stacks.get(stack) == brief.as_ref() => {}
            Some(brief) => drop(Arc::make_mut(&mut self.stacks).insert(stack.clone(), brief)),
            None => drop(Arc::make_mut(&mut self.stacks).remove(stack)),
        }
    }
}

//! Deploy: makes the swarm hold a Compose file as a stack, and says truthfully whether it runs.
//!
//! Runs on a lane (a dry run on the query thread), in the command's room, from top to bottom: load,
//! observe, plan, apply, converge, and back if it failed. It begins by looking whatever happened before,
//! so a restart in the middle goes the same way: what this command wrote already carries its mark and
//! is not written again. The decisions are pure: [`watch`], [`trouble`], and `crate::stack`, above all its `plan`.
//!
//! Verbs that write whole specs too, and wait for the same verdict, live here with it: `restart.rs`, `stop.rs`,
//! and `restore.rs` for Start and Rollback.

mod addresses;
mod apply;
mod checks;
mod contents;
mod converge;
mod drift;
mod handover;
mod images;
mod logins;
mod names;
mod orphans;
mod prepare;
mod replace;
mod report;
mod restart;
mod restore;
mod revision;
mod rollback;
mod stop;
mod stopwatch;
mod stuck;
mod taken;
mod told;
mod trouble;
mod unfinished;
mod wanted;
mod watch;

use super::error::EngineError;
use super::ownership::Standing;
use super::room::{End, Halt, Room, StepError};
use crate::domain::{Code, Deploy, LedgerError, Note, OnFailure, Outcome, Progress};
use crate::stack::plan::{ServicePlan, Unplannable};
use crate::threads::Deadline;
pub(super) use drift::{Drift, of_stacks as drift_of_stacks};
use prepare::Prepared;
use report::Report;
pub(super) use restart::run as restart;
pub(super) use restore::{roll_back, start};
use rollback::RolledBack;
use serde_json::Value;
use std::time::Duration;
pub(super) use stop::run as stop;
pub(super) use stuck::Stuck;
pub(super) use told::revisions_of_stack;
pub(super) use wanted::may_end;

/// Why a deploy cannot go on.
#[derive(Debug)]
pub(super) enum Broken {
    /// It failed, and the stack may have to go back.
    Failed(Failure),
    /// It ends here whatever has been done: the agent leaves, the journal is gone, or it was refused.
    Ended(End),
}

/// What failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// The kind.
    pub(super) code: Code,
    /// One sentence with the engine's own words.
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let words = error.to_string();
        // An ingress port that another service has is refused at once, in words alone.
        Self { code: trouble::of_words(&words).filter(|code| *code == Code::PORT_CLASH).unwrap_or(error.code()), message: words }
    }
}

impl From<Unplannable> for Failure {
    fn from(error: Unplannable) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<Unplannable> for Broken {
    fn from(error: Unplannable) -> Self {
        Self::Failed(error.into())
    }
}

impl From<StepError> for Broken {
    fn from(error: StepError) -> Self {
        match error {
            StepError::Refused(error) | StepError::Unknown(error) => Self::Failed(error.into()),
            StepError::Halted(halt) => halt.into(),
        }
    }
}

impl From<Halt> for Broken {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Cancelled => Self::Failed(Failure::new(Code::CANCELLED, "the command was cancelled before all was done")),
            Halt::TimedOut => Self::Failed(Failure::new(Code::TIMED_OUT, "the command's time was over before all was done")),
            Halt::Away(error) => Self::Failed(Failure::new(error.code(), format!("the engine stayed away: {error}"))),
            halt @ (Halt::Suspended | Halt::Journal(_)) => Self::Ended(halt.into()),
        }
    }
}

impl From<LedgerError> for Broken {
    fn from(error: LedgerError) -> Self {
        Self::Ended(error.into())
    }
}

impl From<End> for Broken {
    fn from(end: End) -> Self {
        Self::Ended(end)
    }
}

/// Carries the command out.
pub(super) fn run(room: &Room<'_>, request: &Deploy) -> End {
    match work(room, request) {
        Ok(outcome) => End::Finished(outcome),
        Err(Broken::Ended(end)) => end,
        // Before anything was changed: there is nothing to go back from.
        Err(Broken::Failed(failure)) => {
            let outcome = Outcome::failed(failure.code, failure.message);
            End::Finished(outcome.with("changed", false).with("rolled_back", RolledBack::No.value()).with("dry_run", request.dry_run))
        }
    }
}

fn work(room: &Room<'_>, request: &Deploy) -> Result<Outcome, Broken> {
    if let Some(failure) = rollback::begun(room)? {
        return go_back(room, request, &[], &mut Report::new(request), failure);
    }
    let mut prepared = match prepare::prepare(room, request) {
        // It goes on after a restart: what an earlier process has changed must go back too.
        Err(Broken::Failed(failure)) if rollback::has_changed_anything(room)? => {
            return undo(room, request, &[], &mut Report::new(request), failure);
        }
        other => other?,
    };
    let mut report = Report::new(request);
    report.take_plan(&prepared);
    room.progress(report.of_plan(&prepared));
    if request.dry_run {
        return Ok(report.completed(&prepared, None));
    }
    if prepared.owner.as_ref() != Some(&request.target.project) {
        room.ledger.own(&request.target.stack, &request.target.project);
    }
    match carry_out(room, request, &mut prepared, &mut report) {
        Ok(number) => Ok(report.completed(&prepared, Some(number))),
        Err(Broken::Failed(failure)) => fail(room, request, &prepared, &mut report, failure),
        Err(ended) => Err(ended),
    }
}

/// Applies the plan, waits for the verdict, keeps the revision; its number.
fn carry_out(room: &Room<'_>, request: &Deploy, prepared: &mut Prepared, report: &mut Report) -> Result<u64, Broken> {
    rollback::check_not_taken_back(room, &prepared.plan.services)?;
    apply::apply(room, request, prepared, report)?;
    if prepared.changes_something() {
        room.progress(Progress::new("apply", report.applied()));
    }
    converge::converge(room, prepared, report, "converge")?;
    let was_made_anew = |plan: &ServicePlan| prepared.replaced_before.contains(&plan.name);
    logins::remember(room, &request.target.stack, &prepared.logins, &prepared.plan.services, was_made_anew)?;
    for network in &prepared.plan.leaving {
        let stays = replace::let_go(room, &request.target.stack, network, report::LEFT_THE_FILE)?;
        prepared.orphans.extend(stays.iter().map(|_| orphans::of_network(network)));
        report.warn(stays);
    }
    revision::keep(room, request, prepared)
}

fn fail(room: &Room<'_>, request: &Deploy, prepared: &Prepared, report: &mut Report, failure: Failure) -> Result<Outcome, Broken> {
    let failure = taken::in_plain_words(room, failure);
    if rollback::has_changed_anything(room)? {
        return undo(room, request, &prepared.plan.services, report, failure);
    }
    if prepared.standing == Standing::Nobodys && prepared.owner.is_none() {
        // Nothing became of it: the stack's name stays as free as it was.
        room.ledger.write(Note::Forget(request.target.stack.clone()))?;
    }
    Ok(report.failed(&failure, RolledBack::No).with("changed", false))
}

/// Something was changed: what becomes of it is what `on_failure` says.
fn undo(room: &Room<'_>, request: &Deploy, sent: &[ServicePlan], report: &mut Report, failure: Failure) -> Result<Outcome, Broken> {
    if request.on_failure != OnFailure::Rollback {
        orphans::remember(room, &request.target.stack)?;
        rollback::forget_logins(room, &request.target.stack)?;
        return Ok(report.failed(&failure, RolledBack::No).with("changed", true));
    }
    rollback::begin(room, request, &failure)?;
    go_back(room, request, sent, report, failure)
}

/// How long images may be removed for after a deploy that failed: its own time may be over.
const TIDY_UP: Duration = Duration::from_secs(30);

/// `sent` are the services as this process sent them, as far as it did.
fn go_back(room: &Room<'_>, request: &Deploy, sent: &[ServicePlan], report: &mut Report, failure: Failure) -> Result<Outcome, Broken> {
    room.progress(Progress::new("rollback", format!("going back: {}", failure.message)).with("code", failure.code.as_str()));
    let back = rollback::run(room, request, sent)?;
    if back.how_far == RolledBack::Yes {
        // What it has pulled: deploys that fail again and again fill the disk too.
        let specs: Vec<&Value> = sent.iter().map(|plan| &plan.spec).collect();
        let tidying = room.extended(room.deadline.max(Deadline::after(TIDY_UP)));
        if revision::remove_outgrown_images(&tidying, &request.target.stack, &specs).is_err() {
            log::warn!("images that the failed deploy of {} has pulled may stay: there was no time", request.target.stack);
        }
    } else {
        orphans::remember(room, &request.target.stack)?;
    }
    let mut outcome = report.failed(&failure, back.how_far).with("changed", true);
    if let Some(to) = back.to {
        outcome = outcome.with("to_revision", to);
    }
    Ok(if back.notes.is_empty() { outcome } else { outcome.with("rollback", back.notes) })
}

#[cfg(test)]
mod tests;

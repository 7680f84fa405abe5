//! What one running command works with: the engine, the journal, its time, its stop.
//!
//! Lives on the lane or query thread that runs the command. A verb (deploy, remove, scale, status)
//! talks to the engine only through [`Room::observe`] and [`Room::step`]: reads wait for an engine
//! that is away, changes are in the journal before they are made, and neither outlives the stop or
//! the command's time. It decides nothing about a stack.

use super::changes::Watch;
use super::client::{Client, PING};
use super::error::EngineError;
use super::notebook::Notebook;
use super::types::{Created, Updated};
use super::{Entry, Event, Job, Settings};
use crate::domain::{AgentId, Code, Command, LedgerError, Outcome, Progress, Step, StepOutcome};
use crate::stack::Veil;
use crate::threads::{Backoff, Deadline, Stop, ThreadName, alive_by, side_by_side};
use crossbeam_channel::{Sender, select_biased};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// First wait for an engine that is away …
const FIRST_RETRY: Duration = Duration::from_millis(200);
/// … and the longest: a restarted engine is noticed soon, and a dead one costs little.
const LONGEST_RETRY: Duration = Duration::from_secs(2);
/// The shortest time between two looks at a stack, unless the caller knows that something is over before: a crash loop makes a storm
/// of events, and each look is some calls.
const SHORTEST_WAIT: Duration = Duration::from_millis(500);

/// When its time is over a command still writes down what it came to; a lane that has not done so after
/// this hangs. The disk and a full queue to the coordinator may be slow.
const LAST_WORDS: Duration = Duration::from_secs(60);

/// The thread that helps a lane with calls that may be made at once, beside its own: the manager's raft takes changes one
/// after another. With a second call on its way it is never idle; three threads more made fifty services no faster than this one.
const HELPERS: &[ThreadName] = &[ThreadName::new("docker-helper")];

/// So many changes are made between two writes of the journal.
pub(super) const STEPS_AT_ONCE: usize = 64;

/// Between two progress events of a command that waits: each tells of all services, and a crash loop changes the counts all the time.
pub(super) const TELL_EVERY: Duration = Duration::from_secs(2);

/// What one running command works with.
pub(super) struct Room<'a> {
    /// The engine. No call goes on past the deadline.
    pub(super) client: Client,
    /// The part of the journal that a command sees.
    pub(super) ledger: &'a Notebook<'a>,
    /// The configuration.
    pub(super) settings: &'a Settings,
    /// In whose name.
    pub(super) agent: &'a AgentId,
    /// What to do.
    pub(super) command: &'a Command,
    /// Whether it was begun before.
    pub(super) entry: Entry,
    /// When its time is over.
    pub(super) deadline: Deadline,
    events: &'a Sender<Event>,
    stop: &'a Stop,
    veil: &'a Veil,
    cancelled: Stop,
    watch: &'a Watch<'a>,
    /// Whether somebody was told that the engine is away, so that it is said once per absence.
    told_away: Cell<bool>,
}

/// Why a command cannot go on, whatever it was about to do.
#[derive(Debug)]
pub(super) enum Halt {
    /// The agent leaves: the command stays open and goes on at the next start.
    Suspended,
    /// Somebody cancelled it.
    Cancelled,
    /// Its time is over.
    TimedOut,
    /// Its time is over, and the engine was away until then.
    Away(EngineError),
    /// The journal cannot be written: nothing may be changed any more.
    Journal(LedgerError),
}

/// Why a call through the room has no result.
#[derive(Debug)]
pub(super) enum StepError {
    /// The engine refused it: nothing was changed.
    Refused(EngineError),
    /// No answer came: whether it was done must be observed.
    Unknown(EngineError),
    /// The command cannot go on.
    Halted(Halt),
}

/// How a command leaves its room.
#[derive(Debug)]
pub(super) enum End {
    /// With an outcome.
    Finished(Outcome),
    /// Open, to go on at the next start.
    Suspended,
}

impl From<Halt> for StepError {
    fn from(halt: Halt) -> Self {
        Self::Halted(halt)
    }
}

impl From<LedgerError> for Halt {
    fn from(error: LedgerError) -> Self {
        Self::Journal(error)
    }
}

impl From<LedgerError> for End {
    fn from(error: LedgerError) -> Self {
        Self::from(Halt::Journal(error))
    }
}

impl From<Halt> for End {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Suspended => Self::Suspended,
            Halt::Cancelled => Self::Finished(Outcome::failed(Code::CANCELLED, "the command was cancelled; what it has done so far stays")),
            Halt::TimedOut => Self::Finished(Outcome::failed(Code::TIMED_OUT, "the command's time is over")),
            Halt::Away(error) => {
                Self::Finished(Outcome::failed(error.code(), format!("the engine stayed away until the command's time was over: {error}")))
            }
            Halt::Journal(error) => Self::Finished(Outcome::failed(Code::JOURNAL_UNAVAILABLE, error.to_string())),
        }
    }
}

impl From<StepError> for End {
    fn from(error: StepError) -> Self {
        match error {
            StepError::Refused(error) | StepError::Unknown(error) => Self::Finished(Outcome::failed(error.code(), error.to_string())),
            StepError::Halted(halt) => Self::from(halt),
        }
    }
}

/// A result of a call, with the id of what it made.
pub(super) trait Made {
    /// The id of the new object, if there is one.
    fn made(&self) -> Option<&str>;
}

impl Made for () {
    fn made(&self) -> Option<&str> {
        None
    }
}

impl Made for Updated {
    fn made(&self) -> Option<&str> {
        None
    }
}

impl Made for Created {
    fn made(&self) -> Option<&str> {
        Some(&self.id)
    }
}

/// The lane's own things that every room is made from.
pub(super) struct Lane<'a> {
    pub(super) client: &'a Client,
    pub(super) ledger: &'a Notebook<'a>,
    pub(super) settings: &'a Settings,
    pub(super) events: &'a Sender<Event>,
    pub(super) stop: &'a Stop,
    pub(super) veil: &'a Veil,
}

impl<'a> Room<'a> {
    /// A room for a command, whose time is over at `deadline`.
    pub(super) fn new(lane: &Lane<'a>, job: &'a Job, deadline: Deadline, watch: &'a Watch<'a>) -> Self {
        alive_by(deadline.plus(LAST_WORDS));
        Self {
            client: lane.client.until(deadline),
            ledger: lane.ledger,
            settings: lane.settings,
            agent: &job.agent,
            command: &job.command,
            entry: job.entry,
            deadline,
            events: lane.events,
            stop: lane.stop,
            veil: lane.veil,
            cancelled: job.cancelled.clone(),
            watch,
            told_away: Cell::new(false),
        }
    }

    /// The same room with other time, which no cancellation reaches: for what must still be done when the
    /// command's own time is over, or it was cancelled.
    pub(super) fn extended(&self, deadline: Deadline) -> Room<'a> {
        alive_by(deadline.plus(LAST_WORDS));
        Room {
            client: self.client.until(deadline),
            ledger: self.ledger,
            settings: self.settings,
            agent: self.agent,
            command: self.command,
            entry: self.entry,
            deadline,
            events: self.events,
            stop: self.stop,
            veil: self.veil,
            cancelled: Stop::never(),
            watch: self.watch,
            told_away: Cell::new(self.told_away.get()),
        }
    }

    /// Says that the command goes on.
    pub(super) fn progress(&self, mut progress: Progress) {
        self.veil.fields(&mut progress.details);
        progress.message = self.veil.text(progress.message);
        // It may wait for room; nobody listens any more only once the process leaves.
        let _gone = self.events.send(Event::Progress(self.command.id, progress));
    }

    /// Whether the command may go on.
    pub(super) fn checkpoint(&self) -> Result<(), Halt> {
        if self.stop.is_stopped() {
            Err(Halt::Suspended)
        } else if self.cancelled.is_stopped() {
            Err(Halt::Cancelled)
        } else if self.deadline.has_passed() {
            Err(Halt::TimedOut)
        } else {
            Ok(())
        }
    }

    /// Reads from the engine. While it is away this waits for it, until the command's time is over.
    /// It may ask several times: the call must not change anything.
    pub(super) fn observe<T>(&self, call: impl Fn(&Client) -> Result<T, EngineError>) -> Result<T, StepError> {
        let mut backoff = Backoff::new(FIRST_RETRY, LONGEST_RETRY);
        loop {
            self.checkpoint()?;
            match call(&self.client) {
                // The command's time cut the call short: that says nothing of an engine which answered until then.
                Err(EngineError::Timeout { after, .. }) if after < PING && !self.told_away.get() && self.deadline.has_passed() => {
                    return Err(Halt::TimedOut.into());
                }
                Err(error) if error.is_absence() => self.wait_for_engine(error, &mut backoff)?,
                Err(EngineError::TooLate { .. }) => return Err(Halt::TimedOut.into()),
                result => return self.answered(result.map_err(StepError::Refused)),
            }
        }
    }

    /// Changes something: the intent is on disk, then the call is made, and its outcome is on disk before anything else is
    /// waited for, or changed that was not announced.
    /// `operation` is such as `service.update`, `object` the Swarm name. While no connection can be made
    /// this waits for the engine and calls again; a call whose answer was lost is never made again.
    pub(super) fn step<T: Made>(
        &self,
        operation: &str,
        object: &str,
        call: impl Fn(&Client) -> Result<T, EngineError>,
    ) -> Result<T, StepError> {
        let step = Step { operation: operation.to_owned(), object: object.to_owned() };
        let mut backoff = Backoff::new(FIRST_RETRY, LONGEST_RETRY);
        loop {
            self.checkpoint()?;
            self.ledger.intend(self.command.id, vec![step.clone()]).map_err(Halt::from)?;
            let result = told(&step, || call(&self.client));
            self.ledger.settle(self.command.id, vec![(step.clone(), outcome(&result))]);
            match result {
                Err(error @ EngineError::Away { .. }) => self.wait_for_engine(error, &mut backoff)?,
                Err(EngineError::TooLate { .. }) => return Err(Halt::TimedOut.into()),
                Err(error) if error.leaves_doubt() => return Err(StepError::Unknown(error)),
                result => return self.answered(result.map_err(StepError::Refused)),
            }
        }
    }

    /// Says which changes follow the next ones, whatever these come to: their intents are on disk with those.
    pub(super) fn announce(&self, steps: Vec<Step>) {
        self.ledger.announce(self.command.id, steps);
    }

    /// None of the announced changes is made any more.
    pub(super) fn withdraw(&self) {
        self.ledger.withdraw(self.command.id);
    }

    /// Changes several objects at once, in no order, one call for each: all intents are on disk before the first call is made.
    /// It waits for nothing: a call that could not be made is in doubt like one whose answer was lost, and the caller looks.
    pub(super) fn steps<T: Made + Send>(
        &self,
        steps: Vec<Step>,
        call: impl Fn(usize, &Client) -> Result<T, EngineError> + Sync,
    ) -> Result<Vec<Result<T, StepError>>, Halt> {
        self.checkpoint()?;
        self.ledger.intend(self.command.id, steps.clone())?;
        let (client, stop, cancelled) = (&self.client, self.stop, &self.cancelled);
        let results = side_by_side(HELPERS, steps.len(), |number| {
            let goes_on = !stop.is_stopped() && !cancelled.is_stopped();
            goes_on.then(|| told(&steps[number], || call(number, client)))
        });
        let known = steps.into_iter().zip(&results).filter_map(|(step, result)| Some((step, outcome(result.as_ref()?))));
        self.ledger.settle(self.command.id, known.collect());
        // What was not called is open: the next look finds it as it was.
        self.checkpoint()?;
        let known = |result: Option<Result<T, EngineError>>| match result {
            Some(Ok(done)) => Ok(done),
            Some(Err(error)) if error.leaves_doubt() || error.is_absence() => Err(StepError::Unknown(error)),
            Some(Err(EngineError::TooLate { .. })) | None => Err(Halt::TimedOut.into()),
            Some(Err(error)) => Err(StepError::Refused(error)),
        };
        Ok(results.into_iter().map(known).collect())
    }

    /// Waits until the engine says that something of this stack changed, at most `span`. Changes on
    /// other nodes make no event: the caller looks again after `span`.
    pub(super) fn wait_for_change(&self, span: Duration) -> Result<(), Halt> {
        let span = span.min(self.deadline.left());
        let shortest = SHORTEST_WAIT.min(span);
        self.rest(shortest)?;
        select_biased! {
            recv(self.stop.receiver()) -> _ => {}
            recv(self.cancelled.receiver()) -> _ => {}
            recv(self.watch.receiver()) -> _ => {}
            default(span.saturating_sub(shortest)) => {}
        }
        self.checkpoint()
    }

    /// The engine is away: says so once, and waits a little.
    fn wait_for_engine(&self, error: EngineError, backoff: &mut Backoff) -> Result<(), Halt> {
        if self.deadline.has_passed() {
            return Err(Halt::Away(error));
        }
        if !self.told_away.replace(true) {
            self.progress(Progress::new("wait", format!("waiting for the engine: {error}")));
        }
        let wait = backoff.next().min(self.deadline.left());
        self.rest(wait)?;
        if self.deadline.has_passed() { Err(Halt::Away(error)) } else { Ok(()) }
    }

    /// Waits for `span`, unless the agent leaves or the command is cancelled.
    fn rest(&self, span: Duration) -> Result<(), Halt> {
        self.ledger.flush()?;
        select_biased! {
            recv(self.stop.receiver()) -> _ => Err(Halt::Suspended),
            recv(self.cancelled.receiver()) -> _ => Err(Halt::Cancelled),
            default(span) => Ok(()),
        }
    }

    fn answered<T>(&self, result: T) -> T {
        self.told_away.set(false);
        result
    }
}

/// Makes the call of a step; the log says what came of it, at a fine level.
fn told<T>(step: &Step, call: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    let (Step { operation, object }, begun) = (step, Instant::now());
    let result = call();
    let took = begun.elapsed().as_millis();
    match &result {
        Ok(_) => log::debug!("{operation} {object}: done in {took} ms"),
        Err(error) => log::debug!("{operation} {object}: after {took} ms: {error}"),
    }
    result
}

/// What the journal keeps of a call.
fn outcome<T: Made>(result: &Result<T, EngineError>) -> StepOutcome {
    match result {
        Ok(done) => StepOutcome::Done(done.made().map(str::to_owned)),
        Err(error) if error.leaves_doubt() => StepOutcome::Unknown(error.to_string()),
        Err(error) => StepOutcome::Refused(error.to_string()),
    }
}

//! The start of the service: before anything else the package's copy looks whether a newer version is to run in its
//! place, and becomes it. Runs on the main thread, alone; it needs no network and starts no process: exec(2) keeps the
//! process that the service manager knows.
//!
//! A version on trial is counted on disk before it is started, by the copy that is not on trial: one that cannot even
//! start has used up an attempt. Once they are used up, or the trial has ended against it, the version before starts.
//!
//! INVARIANT: what is started is whole, and lies in the folder of versions where nobody but root (or the owner of this
//! program) can have put it. What the agent writes decides only whether that is so, never what it is.

use super::fault::Fault;
use super::files::Owner;
use super::staging::{Course, End, Staging, Verdict};
use super::version::Version;
use super::versions::{Trial, Versions};
use crate::domain::Timestamp;
use std::env;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process;
use std::time::SystemTime;

/// Says, to the version that was started, by which one: it does not start another.
const STARTED_BY: &str = "AXION_AGENT_STARTED_BY";

/// Where the files of updates are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The agent's own: `agent.state_dir`.
    pub state_dir: PathBuf,
    /// Root's: `update.versions_dir`.
    pub versions_dir: PathBuf,
}

/// How this process came to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// The version of the package, which may have started this one.
    pub package: Version,
    /// Why the current version does not run, where it should.
    pub held: Option<String>,
}

/// What there is to choose from.
struct Seen {
    own: Version,
    current: Version,
    trial: Option<Trial>,
    course: Option<Course>,
    /// Of the last version that was confirmed.
    previous: Option<Version>,
}

/// What is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Choice {
    /// This copy: there is nothing newer.
    Own,
    /// The current version.
    Current,
    /// The same, on trial, for so manieth time.
    Trial(u32),
    /// The version before, for a reason.
    Before(String),
}

impl Seen {
    /// The trial, if it is that of the current version.
    fn trial(&self) -> Option<&Trial> {
        self.trial.as_ref().filter(|trial| trial.version == self.current)
    }

    /// Where to go back to: one that is newer than this copy, else this copy.
    fn before(&self) -> Option<&Version> {
        let before = self.trial().map_or(self.previous.as_ref(), |trial| trial.previous.as_ref());
        before.filter(|before| **before > self.own && **before != self.current)
    }

    fn choose(&self) -> Choice {
        if self.current <= self.own {
            return Choice::Own;
        }
        let Some(trial) = self.trial() else { return Choice::Current };
        let course = self.course.as_ref();
        let made = course.map_or(0, |course| course.attempts);
        match course.and_then(|course| course.end.as_ref()) {
            Some(End { verdict: Verdict::Returned, why, .. }) => Choice::Before(why.clone()),
            Some(_) => Choice::Current,
            None if trial.attempts.is_some_and(|allowed| made >= allowed) => {
                Choice::Before(format!("it was started {made} times and did not become healthy"))
            }
            None => Choice::Trial(made.saturating_add(1)),
        }
    }
}

/// Starts the version that is to run in place of this one; returns where that is this one. `say` is heard before
/// another version takes over.
pub fn launch(places: &Places, say: &dyn Fn(&str)) -> Started {
    let own = Version::own();
    if let Some(package) = started_by() {
        return Started { package, held: None };
    }
    let mut launcher = Launcher { places, own: own.clone(), say, start: &start };
    Started { package: own, held: launcher.run() }
}

/// By which version this process was started, if it is not the package's copy.
fn started_by() -> Option<Version> {
    Version::parse(env::var(STARTED_BY).ok()?.as_str()).ok()
}

/// Becomes another program. Returns only when that cannot be.
#[expect(clippy::disallowed_methods, reason = "exec replaces this process: no child comes of it")]
fn start(binary: &Path) -> io::Error {
    process::Command::new(binary).args(env::args_os().skip(1)).env(STARTED_BY, super::OWN_VERSION).exec()
}

struct Launcher<'a> {
    places: &'a Places,
    own: Version,
    say: &'a dyn Fn(&str),
    start: &'a dyn Fn(&Path) -> io::Error,
}

impl Launcher<'_> {
    /// Why the current version does not run, where it should.
    fn run(&mut self) -> Option<String> {
        if !self.places.versions_dir.is_dir() {
            return None;
        }
        let versions = match Owner::of_program() {
            Ok(owner) => Versions::at(&self.places.versions_dir, owner),
            Err(error) => return Some(format!("cannot tell whose this program is: {error}")),
        };
        let staging = Staging::of(&self.places.state_dir);
        match self.look(&versions, &staging) {
            Ok(Some(seen)) => self.act(&versions, &staging, &seen),
            Ok(None) => None,
            Err(fault) => Some(fault.to_string()),
        }
    }

    fn look(&self, versions: &Versions, staging: &Staging) -> Result<Option<Seen>, Fault> {
        let Some(current) = versions.current()? else { return Ok(None) };
        let state = versions.state()?;
        let course = state.trial.as_ref().and_then(|trial| staging.course(trial.id));
        Ok(Some(Seen { own: self.own.clone(), current, trial: state.trial, course, previous: state.previous }))
    }

    fn act(&mut self, versions: &Versions, staging: &Staging, seen: &Seen) -> Option<String> {
        let why = match seen.choose() {
            Choice::Own => return None,
            Choice::Before(why) => {
                self.note(staging, seen, &why);
                why
            }
            Choice::Current => self.try_to_start(versions, &seen.current, || Ok(())),
            Choice::Trial(attempt) => {
                let counted = || {
                    let trial = seen.trial().ok_or(Fault::Busy)?;
                    let course = seen.course.clone().unwrap_or_else(|| Course::new(trial.id, trial.version.clone(), Vec::new()));
                    staging.note(&Course { attempts: attempt, ..course })
                };
                let why = self.try_to_start(versions, &seen.current, counted);
                self.note(staging, seen, &why);
                why
            }
        };
        let held = format!("{} does not run: {why}", seen.current);
        (self.say)(&format!("axion-agent: {held}"));
        if let Some(before) = seen.before() {
            let why = self.try_to_start(versions, before, || Ok(()));
            (self.say)(&format!("axion-agent: {before}, the version before, does not run either: {why}"));
        }
        Some(held)
    }

    /// Starts a version that is whole, once `first` is done. Returns why it does not run.
    fn try_to_start(&self, versions: &Versions, version: &Version, first: impl FnOnce() -> Result<(), Fault>) -> String {
        match versions.whole(version).and_then(|(binary, _)| first().map(|()| binary)) {
            Ok(binary) => format!("it cannot be started: {}", (self.start)(&binary)),
            Err(fault) => fault.to_string(),
        }
    }

    /// Writes down that the version on trial does not run, so that it is not tried again. Where that cannot be written, it
    /// is: nothing of it was counted.
    fn note(&self, staging: &Staging, seen: &Seen, why: &str) {
        let Some(trial) = seen.trial().filter(|trial| trial.attempts.is_some()) else { return };
        let course = seen.course.clone().unwrap_or_else(|| Course::new(trial.id, trial.version.clone(), Vec::new()));
        if course.end.is_some() {
            return;
        }
        // The attempt may have been counted meanwhile.
        let attempts = staging.course(trial.id).map_or(course.attempts, |newer| newer.attempts);
        let end = Some(End { verdict: Verdict::Returned, why: why.to_owned(), at: Timestamp::from(SystemTime::now()) });
        if let Err(fault) = staging.note(&Course { attempts, end, ..course }) {
            (self.say)(&format!("axion-agent: {fault}"));
        }
    }
}

/// Ends the trial of this version, if it is on trial, because it cannot even begin. Whether it is over: then the version
/// before takes its place with the next start.
#[must_use]
pub fn condemn(places: &Places, why: &str) -> bool {
    let Some(on_trial) = OnTrial::look(places) else { return false };
    on_trial.trial.attempts.is_some() && on_trial.end(Verdict::Returned, why).is_ok()
}

/// The trial of this version, which has not ended.
#[derive(Debug, Clone)]
pub(super) struct OnTrial {
    pub(super) trial: Trial,
    pub(super) course: Course,
    staging: Staging,
}

impl OnTrial {
    /// If it is on trial, and was started by another copy.
    pub(super) fn look(places: &Places) -> Option<Self> {
        started_by()?;
        let versions = Versions::at(&places.versions_dir, Owner::of_program().ok()?);
        let own = Version::own();
        let trial = versions.state().ok()?.trial.filter(|trial| trial.version == own)?;
        versions.current().ok()?.filter(|current| *current == own)?;
        let staging = Staging::of(&places.state_dir);
        let course = staging.course(trial.id).filter(|course| course.end.is_none())?;
        Some(Self { trial, course, staging })
    }

    /// Writes down how it has ended.
    pub(super) fn end(&self, verdict: Verdict, why: &str) -> Result<(), Fault> {
        let end = Some(End { verdict, why: why.to_owned(), at: Timestamp::from(SystemTime::now()) });
        self.staging.note(&Course { end, ..self.course.clone() })
    }
}

#[cfg(test)]
#[path = "launch_tests.rs"]
pub(super) mod tests;

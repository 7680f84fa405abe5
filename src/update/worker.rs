//! The thread `update`: asleep until somebody asks, an offer comes or `update.check_interval` is over; while a version is
//! on trial it looks once a second how the agent is. What is offered is `worker/look.rs`.

mod look;

use super::decide::Decision;
use super::fault::Fault;
use super::fetch::Fetcher;
use super::files::Owner;
use super::install::room;
use super::launch::OnTrial;
use super::manifest::verify;
use super::staging::{Course, End, Request as Ask, Staging, Verdict, What};
use super::status::Checked;
use super::trial::{Sight, Watch, hindrances};
use super::version::Version;
use super::versions::{State, Versions};
use super::{Entry, Event, Job, OnFailure, Places, Request, Settings, Sources, Wanted, code_of};
use crate::domain::{Action, Code, CommandId, Note, Outcome, Progress, Release, Step, Timestamp};
use crate::threads::{Backoff, Deadline, Errand, Published, Stop, Waited};
use crossbeam_channel::{Receiver, Sender, at, never, select_biased};
use serde_json::json;
use std::convert::Infallible;
use std::time::{Duration, Instant, SystemTime};

/// How often the health is looked at during a trial.
const TICK: Duration = Duration::from_secs(1);
/// How often it is looked whether the helper has answered; only while it works.
const LOOK: Duration = Duration::from_millis(100);
/// The first look comes within this: hosts that started together spread out.
const FIRST_CHECK_SPREAD: Duration = Duration::from_secs(60);

/// Whether a trial is open, or nobody has told the helper yet how it ended.
pub(super) fn has_trial(places: &Places) -> bool {
    let versions = Owner::of_program().map(|owner| Versions::at(&places.versions_dir, owner));
    versions.is_ok_and(|versions| versions.exist() && versions.state().is_ok_and(|state| state.trial.is_some()))
}

/// What the thread knows.
pub(super) struct Worker {
    settings: Settings,
    sources: Sources,
    checked: Published<Checked>,
    events: Sender<Event>,
    stop: Stop,
    inbox: Receiver<Request>,
    staging: Staging,
    /// What the control plane offers.
    offered: Option<Vec<u8>>,
    trial: Option<(OnTrial, Watch)>,
    /// The command that waits for the end of the trial.
    waiting: Option<Job>,
    next_check: Option<Instant>,
}

/// What became of a command.
enum Carried {
    Ended(Outcome),
    /// It goes on with the next start, for which the agent leaves.
    Restart(String),
    /// It goes on when the trial is over.
    Waits,
}

impl Worker {
    pub(super) fn new(
        settings: Settings,
        sources: Sources,
        checked: Published<Checked>,
        events: Sender<Event>,
        stop: Stop,
        inbox: Receiver<Request>,
    ) -> Self {
        let staging = Staging::of(&settings.places.state_dir);
        let watch = |on_trial| (on_trial, Watch::new(settings.health_window, Instant::now()));
        let trial = OnTrial::look(&settings.places).map(watch);
        let polls = settings.wanted == Wanted::Yes && settings.manifest_url.is_some() && settings.refusal().is_none();
        let spread = || Backoff::new(FIRST_CHECK_SPREAD, FIRST_CHECK_SPREAD).spread(settings.check_interval.min(FIRST_CHECK_SPREAD));
        let next_check = polls.then(|| Instant::now() + spread());
        Self { settings, sources, checked, events, stop, inbox, staging, offered: None, trial, waiting: None, next_check }
    }

    pub(super) fn run(&mut self) -> Result<(), Infallible> {
        self.begin();
        loop {
            let tick = if self.trial.is_some() { Some(Instant::now() + TICK) } else { self.next_check };
            let tick = tick.map_or_else(never, at);
            select_biased! {
                recv(self.stop.receiver()) -> _ => break,
                recv(self.inbox) -> request => match request {
                    Ok(request) => self.on_request(request),
                    Err(_) => break,
                },
                recv(tick) -> _ => {}
            }
            self.watch_trial();
            self.look_in_time();
        }
        if let Some(job) = self.waiting.take() {
            self.tell(Event::Suspended(job.command.id));
        }
        Ok(())
    }

    /// What the process before could not finish.
    fn begin(&mut self) {
        if let Some(held) = &self.settings.started.held {
            log::warn!("{held}");
        }
        if let Some((on_trial, watch)) = &self.trial {
            let (version, attempt, most) = (&on_trial.trial.version, on_trial.course.attempts, watch.patience().as_secs());
            log::info!(
                "{version} is on trial (start {attempt}): it counts once it was ready for {:?}, within {most} s",
                self.settings.health_window
            );
        }
        let ended = self.state().and_then(|state| state.trial).and_then(|trial| self.staging.course(trial.id)?.end.map(|_| trial.id));
        if let Some(id) = ended.filter(|_| !self.staging.is_asking()) {
            self.ask_to_settle(id);
        }
    }

    fn on_request(&mut self, request: Request) {
        match request {
            Request::Offered(envelope) => {
                self.offered = envelope;
                if self.offered.is_some() {
                    drop(self.look());
                }
            }
            Request::Check(answer) => {
                let found = self.look();
                // Whoever asked may have gone.
                drop(answer.try_send(found));
            }
            Request::Carry(job) => {
                let _errand = Errand::of(job.command.errand()).begin();
                let id = job.command.id;
                let carried = match job.entry {
                    Entry::Fresh => self.carry_out(&job),
                    Entry::Resumed => self.go_on(&job),
                };
                match carried {
                    Ok(Carried::Ended(outcome)) => self.tell(Event::Finished(id, outcome)),
                    Ok(Carried::Restart(reason)) => self.tell(Event::Restart(reason)),
                    Ok(Carried::Waits) => self.waiting = Some(job),
                    Err(Fault::Leaving) => self.tell(Event::Suspended(id)),
                    Err(fault) => self.tell(Event::Finished(id, Outcome::failed(fault.code(), fault.to_string()))),
                }
            }
        }
    }

    /// Nobody listens any more only once the process leaves.
    fn tell(&self, event: Event) {
        let _gone = self.events.send(event);
    }

    fn progress(&self, job: &Job, progress: Progress) {
        self.tell(Event::Progress(job.command.id, progress));
    }

    fn versions(&self) -> Result<Versions, Fault> {
        let owner = Owner::of_program().map_err(Fault::file("look at", "/proc/self/exe"))?;
        Ok(Versions::at(&self.settings.places.versions_dir, owner))
    }

    fn state(&self) -> Option<State> {
        self.versions().ok().filter(Versions::exist)?.state().ok()
    }

    /// An `Update` that is new.
    fn carry_out(&mut self, job: &Job) -> Result<Carried, Fault> {
        if let Some(fault) = self.settings.refusal() {
            return Err(fault);
        }
        if self.trial.is_some() {
            return Err(Fault::Busy);
        }
        let Action::Update(update) = &job.command.action else {
            return Err(Fault::Install("no update is asked for".to_owned()));
        };
        match &update.to {
            Release::Previous => self.go_back(job),
            wanted => self.install(job, wanted),
        }
    }

    fn install(&mut self, job: &Job, wanted: &Release) -> Result<Carried, Fault> {
        let id = job.command.id;
        let stops = vec![self.stop.clone(), job.cancelled.clone()];
        let (envelope, _) = self.envelope(wanted, &stops)?;
        let (manifest, _) = verify(&envelope, &self.settings.keys, now())?;
        if let Release::Version(version) = wanted
            && manifest.version.to_string() != *version
        {
            return Err(Fault::NotOffered(format!("{version} is wanted, and the manifest that is offered is of {}", manifest.version)));
        }
        let own = Version::own();
        let Decision::Install(artifact) = self.decide(&manifest)? else {
            return Ok(Carried::Ended(Outcome::completed(format!("{own} runs already")).with("version", own.to_string())));
        };
        let version = manifest.version.clone();
        room(&self.settings.places.state_dir, artifact.size, self.settings.min_free_disk)?;
        self.staging.prepare()?;
        let size = artifact.size;
        self.progress(
            job,
            Progress::new("download", format!("fetching {version}, {} KiB", size >> 10)).with("version", version.to_string()),
        );
        Fetcher { net: &self.settings.net, time: self.settings.download_timeout, stops }
            .binary(artifact, &self.staging)
            .map_err(|fault| self.stopped(job).unwrap_or(fault))?;
        self.staging.keep_manifest(&envelope)?;
        let outages = hindrances(&self.sources.health.newest(), Instant::now());
        self.staging.note(&Course::new(id, version.clone(), outages))?;
        self.intend(id, &version)?;
        self.progress(job, Progress::new("install", format!("the helper installs {version}")).with("version", version.to_string()));
        self.ask_helper(job, What::Install)?;
        self.staging.clear()?;
        let message = format!("{version} is installed: the agent starts again, and it is on trial");
        self.progress(job, Progress::new("restart", message).with("version", version.to_string()));
        Ok(Carried::Restart(format!("an update from {own} to {version}")))
    }

    fn go_back(&mut self, job: &Job) -> Result<Carried, Fault> {
        let (versions, package, own) = (self.versions()?, &self.settings.started.package, Version::own());
        let current = versions.current()?.filter(|current| current > package);
        let Some(current) = current else {
            let message = format!("{package} is the package's version: what was before it, its package manager knows");
            return Err(Fault::NoPrevious(message));
        };
        let before = versions.state()?.previous.filter(|before| before > package && versions.whole(before).is_ok());
        let target = before.clone().unwrap_or_else(|| package.clone());
        self.intend(job.command.id, &target)?;
        self.progress(job, Progress::new("install", format!("the helper goes back to {target}")).with("version", target.to_string()));
        self.ask_helper(job, What::Return(before))?;
        let message = format!("{target} takes the place of {current}: the agent starts again");
        self.progress(job, Progress::new("restart", message).with("version", target.to_string()));
        Ok(Carried::Restart(format!("the way back from {own} to {target}")))
    }

    /// An `Update` that an earlier process accepted: it may have come to any point.
    fn go_on(&mut self, job: &Job) -> Result<Carried, Fault> {
        let id = job.command.id;
        let (course, state) = (self.staging.course(id), self.state().unwrap_or_default());
        if let Some(course) = course.as_ref()
            && let Some(end) = &course.end
        {
            return Ok(Carried::Ended(outcome(end, &course.version)));
        }
        if self.trial.as_ref().is_some_and(|(on_trial, _)| on_trial.trial.id == id) {
            return Ok(Carried::Waits);
        }
        let held = self.settings.started.held.clone();
        if let Some(trial) = state.trial.as_ref().filter(|trial| trial.id == id) {
            // It was installed, and does not run: the process before ended before it could leave, or this start says why.
            let Some(why) = held else { return Ok(Carried::Restart(format!("an update to {}", trial.version))) };
            let end = End { verdict: Verdict::Returned, why, at: now() };
            let course = course.unwrap_or_else(|| Course::new(id, trial.version.clone(), Vec::new()));
            self.staging.note(&Course { end: Some(end.clone()), ..course })?;
            self.ask_to_settle(id);
            return Ok(Carried::Ended(outcome(&end, &trial.version)));
        }
        let Some(answer) = state.answer.filter(|answer| answer.id == id && !self.staging.is_asking()) else {
            return self.carry_out(job);
        };
        match answer.refused {
            Some(refused) => Err(Fault::Refused { code: code_of(&refused.code), message: refused.message }),
            None => {
                let (own, package) = (Version::own(), &self.settings.started.package);
                let current = self.versions()?.current()?.filter(|current| current > package);
                match (current.as_ref().unwrap_or(package), held) {
                    (expected, _) if *expected == own => {
                        Ok(Carried::Ended(Outcome::completed(format!("{own} runs again")).with("version", own.to_string())))
                    }
                    (expected, None) => Ok(Carried::Restart(format!("the way back to {expected}"))),
                    (_, Some(why)) => Err(Fault::Install(why)),
                }
            }
        }
    }

    /// Before any effect: journal, synced.
    fn intend(&self, id: CommandId, version: &Version) -> Result<(), Fault> {
        let step = Step { operation: "update.install".to_owned(), object: version.to_string() };
        let noted = self.sources.ledger.note(vec![Note::Intend(id, vec![step])]);
        noted.map(drop).map_err(|error| Fault::Refused { code: Code::JOURNAL_UNAVAILABLE, message: error.to_string() })
    }

    /// Asks the helper, and waits for its answer.
    fn ask_helper(&self, job: &Job, what: What) -> Result<(), Fault> {
        let (id, versions) = (job.command.id, self.versions()?);
        self.staging.ask(&Ask { id, what })?;
        let deadline = Deadline::after(self.settings.install_timeout);
        loop {
            let answer = versions.state()?.answer.filter(|answer| answer.id == id && !self.staging.is_asking());
            if let Some(answer) = answer {
                return match answer.refused {
                    None => Ok(()),
                    Some(refused) => Err(Fault::Refused { code: code_of(&refused.code), message: refused.message }),
                };
            }
            if job.cancelled.is_stopped() && !self.stop.is_stopped() {
                self.staging.withdraw()?;
                return Err(Fault::Cancelled);
            }
            if deadline.has_passed() {
                self.staging.withdraw()?;
                let seconds = self.settings.install_timeout.as_secs();
                let mend = "systemctl status axion-agent-update.path axion-agent-update.service";
                return Err(Fault::ManagedElsewhere(format!("its helper has not answered within {seconds} s: see {mend}")));
            }
            if self.stop.wait(LOOK) == Waited::Stopped {
                return Err(Fault::Leaving);
            }
        }
    }

    /// Why the thread was interrupted, if it was.
    fn stopped(&self, job: &Job) -> Option<Fault> {
        if self.stop.is_stopped() { Some(Fault::Leaving) } else { job.cancelled.is_stopped().then_some(Fault::Cancelled) }
    }

    fn ask_to_settle(&self, id: CommandId) {
        if let Err(fault) = self.staging.ask(&Ask { id, what: What::Settle }) {
            log::warn!("the helper was not told how the trial has ended: {fault}");
        }
    }

    /// Whoever hears that the version counts finds the floors risen. Without the helper it counts all the same: what the
    /// agent has written down is taken over with its next request.
    fn wait_for_settlement(&self) {
        let deadline = Deadline::after(self.settings.install_timeout);
        while self.staging.is_asking() {
            if deadline.has_passed() {
                return log::warn!("the helper has not taken over yet how the trial has ended: see axion-agent-update.path");
            }
            if self.stop.wait(LOOK) == Waited::Stopped {
                return;
            }
        }
    }

    fn watch_trial(&mut self) {
        let Some((on_trial, watch)) = &mut self.trial else { return };
        let sight = watch.look(&self.sources.health.newest(), &on_trial.course.outages, Instant::now());
        let (verdict, why) = match (sight, self.settings.on_failure) {
            (Sight::Open, _) => return,
            (Sight::Healthy, _) => (Verdict::Healthy, format!("it was ready for {} s", self.settings.health_window.as_secs())),
            (Sight::Unhealthy(why), OnFailure::Returns) => (Verdict::Returned, why),
            (Sight::Unhealthy(why), OnFailure::Stays) => (Verdict::Kept, why),
        };
        let (id, version) = (on_trial.trial.id, on_trial.trial.version.clone());
        if let Err(fault) = on_trial.end(verdict, &why) {
            // It is tried again with the next look: nothing counts that is not on disk.
            return log::warn!("the end of the trial cannot be written down: {fault}");
        }
        self.trial = None;
        self.ask_to_settle(id);
        if verdict == Verdict::Returned {
            log::error!("{version} did not become healthy and makes way for the version before: {why}");
            // Whoever comes back tells how the command ended.
            self.waiting = None;
            return self.tell(Event::Restart(format!("{version} did not become healthy")));
        }
        log::info!("the trial of {version} is over: {why}");
        self.wait_for_settlement();
        if let Some(job) = self.waiting.take() {
            let end = End { verdict, why, at: now() };
            self.tell(Event::Finished(job.command.id, outcome(&end, &version)));
        }
    }
}

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// What a command says when its trial has ended.
fn outcome(end: &End, named: &Version) -> Outcome {
    let outcome = match end.verdict {
        Verdict::Healthy => Outcome::completed(format!("{named} runs and counts: {}", end.why)),
        Verdict::Returned => {
            let message = format!("{named} did not become healthy, and the version before is back: {}", end.why);
            Outcome::failed(Code::UPDATE_UNHEALTHY, message).with("returned", true)
        }
        Verdict::Kept => {
            let message = format!("{named} did not become healthy, and stays (update.rollback_on_failure is off): {}", end.why);
            Outcome::failed(Code::UPDATE_UNHEALTHY, message).with("returned", false)
        }
    };
    outcome.with("version", json!(named)).with("running_version", Version::own().to_string())
}

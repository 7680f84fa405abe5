//! Whether one service has become what its spec says, told from one look after another.
//!
//! Pure: the caller looks and gives the time. A verdict comes from Swarm's own update status and from
//! the tasks of the spec that is wanted, never from counts of replicas: while Swarm goes back to the
//! old spec, its tasks run and count too.

use super::wanted::{Restart, Wanted, Written};
use super::{Failure, trouble};
use crate::docker::glance::Glance;
use crate::docker::seat::{Seat, outdoes};
use crate::docker::types::{Mode, Task, TaskState, UpdateState};
use crate::domain::{Code, Timestamp};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How much longer than for a node tasks may wait for addresses: the manager gives them within a second, unless it cannot or has
/// just become the leader.
const UNALLOCATED: Duration = Duration::from_secs(20);
/// So many tasks of one seat could not be made: the node will not take the next one either.
const REJECTIONS: usize = 3;
/// So many tasks of one seat ended by themselves. More than rejections, because a service that ends
/// while its database still starts is well a few tries later (Swarm knows no order of start).
const ENDINGS: usize = 5;
const NOWHERE: &str = "no node satisfies its placement constraints";
/// How long a seat stays without a next try before it is certain that none comes.
const LAST_TRY: Duration = Duration::from_secs(2);
/// How long after a write tasks must still be seen to run on that the manager does not replace: it acts on the write within that.
const UNTOUCHED: Duration = Duration::from_millis(500);
/// In milliseconds. So long after a service was written, at most, the manager notes down for itself what it has given it.
const LATER_WRITES: i64 = 1000;
/// Different errors of a service that a report names.
const ERRORS: usize = 5;

/// One look at a service.
#[derive(Debug)]
pub(super) struct Look<'a> {
    /// The service; none if it is gone.
    pub(super) service: Option<&'a Glance>,
    /// All of its tasks.
    pub(super) tasks: &'a [&'a Task],
    /// Those that are of its present spec.
    pub(super) current: &'a BTreeSet<String>,
    /// How long a node may prepare one.
    pub(super) pull_timeout: Duration,
    /// When it was taken, by the clock.
    pub(super) now: Timestamp,
}

/// Whether tasks ran before the command and have not ended since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StillRuns {
    /// They have.
    Yes,
    /// It has to be seen.
    Unknown,
}

/// What a look came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// Not there yet, and not failed.
    Waiting,
    /// It runs as wanted.
    Settled,
    /// It will not come to run.
    Failed(Failure),
}

/// What is known of one service so far.
#[derive(Debug)]
pub(super) struct Watch {
    wanted: Wanted,
    /// The tasks that there were before this command: their failures are not its own.
    before: Arc<BTreeSet<String>>,
    /// What the registry of its image said: of a pull that failed, tasks say only that there is no such image.
    registry: Option<Failure>,
    /// Tasks that ended badly, by seat, in their order: Swarm forgets old ones, so they are counted here.
    endings: BTreeMap<Seat, Vec<(String, Code)>>,
    /// The code of the task that ended badly last.
    cause: Option<Code>,
    /// What the engine said of those, the newest last.
    errors: Vec<String>,
    /// Why a task has no node now. It may be over with the next look, so it is no cause of what comes later.
    waits: Option<(Code, String)>,
    /// The tasks that wait for no more than a port that their own service's old tasks are about to leave.
    passing: BTreeSet<String>,
    /// What a task does that does not run yet.
    on_its_way: Option<TaskState>,
    /// The tasks that a node prepares.
    preparing: Since,
    /// The tasks that wait for addresses.
    unallocated: Since,
    /// The tasks that wait for a node; one without a name where there should be some and are none.
    unplaced: Since,
    /// Since when a seat gets no further try.
    given_up_since: Option<Duration>,
    /// Since when exactly these tasks run.
    good: Option<(Duration, BTreeSet<String>)>,
    /// The tasks that ran at the first look.
    at_first: Option<BTreeSet<String>>,
    /// Whether a task of the present spec has ended badly, be it before this command.
    has_trouble: bool,
    /// Tasks that are as wanted, those among them that have ended well, and how many there should be.
    running: u64,
    ended: u64,
    desired: u64,
    /// Tasks of an older spec that Swarm has left as they are at the end of its update.
    passed_over: u64,
}

/// Since when each of some tasks has been in a state that it is to leave.
#[derive(Debug, Default)]
struct Since(BTreeMap<String, Duration>);

impl Since {
    /// Takes those that are in it now. Which is so for the longest, and since when.
    fn look<'t>(&mut self, at: Duration, now: impl Iterator<Item = &'t str>) -> Option<(&str, Duration)> {
        self.0 = now.map(|id| (id.to_owned(), self.0.get(id).copied().unwrap_or(at))).collect();
        self.0.iter().min_by_key(|(_, since)| **since).map(|(id, since)| (id.as_str(), *since))
    }

    /// The same of tasks that are to leave this state.
    fn look_at(&mut self, at: Duration, current: &[&Task], state: TaskState) -> Option<Duration> {
        let is_in_it = |task: &&&Task| task.status.state == state && task.desired_state <= TaskState::Complete;
        self.look(at, current.iter().filter(is_in_it).map(|task| task.id.as_str())).map(|(_, since)| since)
    }
}

impl Watch {
    /// Begins to watch, knowing the tasks that there were before.
    pub(super) fn new(wanted: Wanted, before: Arc<BTreeSet<String>>) -> Self {
        let (registry, cause, given_up_since, good, at_first) = (None, None, None, None, None);
        Self {
            wanted,
            before,
            registry,
            endings: BTreeMap::new(),
            cause,
            errors: Vec::new(),
            waits: None,
            passing: BTreeSet::new(),
            on_its_way: None,
            preparing: Since::default(),
            unallocated: Since::default(),
            unplaced: Since::default(),
            given_up_since,
            good,
            at_first,
            has_trouble: false,
            running: 0,
            ended: 0,
            desired: 0,
            passed_over: 0,
        }
    }

    /// Takes those for tasks of before that are older than all of the present spec, or than the update or write that made it so: what they
    /// said is of another deploy.
    pub(super) fn leave_out_older(&mut self, look: &Look<'_>) {
        let current = look.tasks.iter().filter(|task| look.current.contains(&task.id));
        let Some(first) = current.map(|task| &task.created_at).min() else { return };
        let written = look.service.and_then(|service| {
            let started = service.update_status.as_ref().and_then(|update| update.started_at.as_deref());
            Some(Timestamp::parse(started.unwrap_or(&service.updated_at)).ok()?.as_millis() - LATER_WRITES)
        });
        let is_older = |task: &&&Task| {
            let made = Timestamp::parse(&task.created_at).ok().map(Timestamp::as_millis);
            task.created_at < *first || made.is_some_and(|made| written.is_some_and(|written| made < written))
        };
        self.before = Arc::new(look.tasks.iter().filter(is_older).map(|task| task.id.clone()).collect());
    }

    /// Notes what the registry of its image said instead of a digest.
    pub(super) fn hear(&mut self, registry: Option<Failure>) {
        self.registry = registry;
    }

    /// What is wanted.
    pub(super) fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Whether this command has written it.
    pub(super) fn is_written(&self) -> bool {
        self.wanted.written == Written::Now
    }

    /// Tasks that run as wanted, and how many there should be.
    pub(super) fn count(&self) -> (u64, u64) {
        (self.running, self.desired)
    }

    /// Whether all of it has ended, well: nothing of it runs.
    pub(super) fn is_over(&self) -> bool {
        self.ended > 0 && self.ended == self.running
    }

    /// How many of its tasks Swarm leaves as they are, although they are of an older spec: those of a global service on nodes that are paused.
    pub(super) fn passed_over(&self) -> u64 {
        self.passed_over
    }

    /// What its tasks do that do not run yet, as events spell it.
    pub(super) fn stage(&self) -> &'static str {
        match self.on_its_way {
            Some(TaskState::Preparing) => "pulling",
            Some(TaskState::Ready | TaskState::Starting) => "starting",
            Some(_) => "waiting",
            None if self.running < self.desired => "waiting",
            None => "running",
        }
    }

    /// How long its tasks must still run as they do.
    pub(super) fn monitored(&self, at: Duration) -> Option<Duration> {
        self.good.as_ref().map(|(since, _)| (*since + self.wanted.monitor).saturating_sub(at))
    }

    /// Whether a task's errors are this command's, and say what is wrong.
    pub(super) fn counts(&self, task: &Task) -> bool {
        !self.before.contains(&task.id) && !self.passing.contains(&task.id)
    }

    /// Takes one look, `at` this time since watching began.
    pub(super) fn look(&mut self, at: Duration, look: &Look<'_>) -> State {
        let Some(service) = look.service else { return self.failed(Code::CONFLICT, "somebody removed it meanwhile") };
        let iteration = service.job_status.as_ref().map_or(0, |job| job.job_iteration.index);
        let of_this_run = |task: &&Task| !self.wanted.is_job() || task.job_iteration.unwrap_or_default().index == iteration;
        let mut current: Vec<&Task> =
            look.tasks.iter().copied().filter(|task| look.current.contains(&task.id)).filter(of_this_run).collect();
        current.sort_by(|a, b| a.created_at.cmp(&b.created_at));
        let good = self.good_tasks(look.tasks, &current);
        let update = service.update_status.as_ref().map(|update| update.state);
        self.running = good.len() as u64;
        let has_ended = |task: &&&Task| task.status.state == TaskState::Complete && good.contains(&task.id);
        self.ended = current.iter().filter(has_ended).count() as u64;
        let of_older_specs = |task: &&Task| !look.current.contains(&task.id) && task.desired_state <= TaskState::Running;
        let older = look.tasks.iter().copied().filter(of_older_specs);
        let is_at_its_end = update == Some(UpdateState::Completed) || (update.is_none() && at >= LAST_TRY);
        let ends = is_at_its_end && self.wanted.mode == Mode::Global;
        self.passed_over = if ends { older.count() as u64 } else { 0 };
        self.desired = self.desired_count(if ends { &current } else { look.tasks }, &current);
        if self.wanted.is_job() && self.wanted.written == Written::Before {
            return self.past_run(at, look, &current);
        }
        self.note_endings(&current);
        let has_ended_badly = current.iter().any(|task| self.wanted.ended_badly(task).is_some());
        self.has_trouble = has_ended_badly && !self.run_for_long(&current, &good, look.now);
        let still_runs = self.still_runs(at, &good);
        let on_its_way =
            current.iter().rev().find(|task| task.status.state < TaskState::Running && task.desired_state <= TaskState::Complete);
        self.on_its_way = on_its_way.map(|task| task.status.state);
        // While Swarm brings an update to one seat after the other, those of the spec before go on.
        let is_under_way = matches!(update, None | Some(UpdateState::Updating));
        let going_on = if is_under_way && !self.wanted.is_job() { look.tasks } else { &current };
        let tasks = self.worn_out(at, going_on, &current).or_else(|| self.waits_in_vain(at, look, &current));
        let failure = self.of_update(service, look).or(tasks);
        match failure {
            Some(failure) => State::Failed(failure),
            None => self.progress(at, service, good, still_runs),
        }
    }

    /// Takes one look at the tasks alone, in the order in which they were made: what is certain whatever becomes of an update.
    pub(super) fn stuck(&mut self, at: Duration, tasks: &[&Task], pull_timeout: Duration) -> Option<Failure> {
        self.note_endings(tasks);
        let current = tasks.iter().map(|task| task.id.clone()).collect();
        let look = Look { service: None, tasks, current: &current, pull_timeout, now: Timestamp::from(SystemTime::now()) };
        self.desired = self.desired_count(tasks, tasks);
        self.worn_out(at, tasks, tasks).or_else(|| self.waits_in_vain(at, &look, tasks))
    }

    /// What the last run of a job has come to, that nobody has asked to run again. The manager forgets old tasks: where there is none,
    /// nothing speaks against it.
    fn past_run(&mut self, at: Duration, look: &Look<'_>, current: &[&Task]) -> State {
        if let Some(failure) = self.waits_in_vain(at, look, current) {
            return State::Failed(failure);
        }
        let last: BTreeMap<Seat, &Task> = current.iter().map(|task| (Seat::of(self.wanted.mode, task), *task)).collect();
        // Of a try that has failed the manager takes the wish back once it has seen that. A task on a node that is away is not wanted
        // any more, and does not end.
        let goes_on = |task: &&Task| task.desired_state <= TaskState::Complete && task.status.state != TaskState::Complete;
        if last.values().any(goes_on) {
            return State::Waiting;
        }
        match last.values().find_map(|task| Some((self.wanted.ended_badly(task)?, trouble::words(task)))) {
            Some((code, words)) => {
                self.failed(code, &format!("its last run has failed, and is not repeated unasked (Restart does that): {words}"))
            }
            None => State::Settled,
        }
    }

    /// The verdict when the time is over: the trouble that was seen, else only that it was not enough.
    pub(super) fn out_of_time(&self) -> Failure {
        let waited = format!("{} of {} tasks ran when the time was over", self.running, self.desired);
        let of_ends = self.cause.zip(self.errors.last());
        let trouble = of_ends.or(self.waits.as_ref().map(|(code, words)| (*code, words)));
        match (trouble, &self.on_its_way) {
            (Some((code, words)), _) => self.failure(code, &format!("{waited}: {words}")),
            (_, Some(state)) => self.failure(Code::TIMED_OUT, &format!("{waited}; a task is {state}")),
            _ if self.good.is_some() => {
                let monitor = self.wanted.monitor.as_secs_f64();
                self.failure(Code::TIMED_OUT, &format!("{waited}, but not yet for the {monitor} s of its monitor"))
            }
            _ => self.failure(Code::TIMED_OUT, &waited),
        }
    }

    fn failure(&self, code: Code, what: &str) -> Failure {
        let message = format!("service {}: {what}", self.wanted.name);
        match (code, &self.registry) {
            (Code::CRASH_LOOP, _) if self.wanted.is_job() => Failure::new(Code::JOB_FAILED, message),
            (Code::IMAGE_NOT_FOUND, Some(said)) => Failure::new(said.code, format!("{message}; its registry: {}", said.message)),
            _ => Failure::new(code, message),
        }
    }

    fn failed(&self, code: Code, what: &str) -> State {
        State::Failed(self.failure(code, what))
    }

    /// Whether these tasks ran before this command and have run since. Between two ends a crash loop looks
    /// so too: where a task of this spec has ended badly, they must show for how long they run. What the manager makes of a write is not
    /// there yet with the answer to it.
    fn still_runs(&mut self, at: Duration, good: &BTreeSet<String>) -> StillRuns {
        let at_first = self.at_first.get_or_insert_with(|| good.clone());
        let ran = good.is_subset(&self.before) && good.is_subset(at_first);
        let is_untouched = !self.is_written() || at >= UNTOUCHED || self.wanted.mode == Mode::Replicated(0);
        if ran && is_untouched && !self.has_trouble { StillRuns::Yes } else { StillRuns::Unknown }
    }

    /// Whether these tasks have run for as long as new ones must: what failed before them is over.
    fn run_for_long(&self, current: &[&Task], good: &BTreeSet<String>, now: Timestamp) -> bool {
        current.iter().filter(|task| good.contains(&task.id)).all(|task| task.has_stayed(self.wanted.monitor, now))
    }

    fn note_endings(&mut self, current: &[&Task]) {
        for task in current.iter().filter(|task| !self.before.contains(&task.id)) {
            let Some(code) = self.wanted.ended_badly(task) else { continue };
            let seat = self.endings.entry(Seat::of(self.wanted.mode, task)).or_default();
            if !seat.iter().any(|(id, _)| *id == task.id) {
                seat.push((task.id.clone(), code));
                note(&mut self.errors, trouble::words(task));
                self.cause = Some(code);
            }
        }
    }

    /// What Swarm itself decided about the update.
    fn of_update(&self, service: &Glance, look: &Look<'_>) -> Option<Failure> {
        use UpdateState::{Paused, RollbackCompleted, RollbackPaused, RollbackStarted};
        let update = service.update_status.as_ref();
        let said = update.map_or("", |update| update.message.as_str());
        let because = self.errors.last().map_or(String::new(), |error| format!(": {error}"));
        match (update.map(|update| update.state), self.wanted.written) {
            (Some(RollbackStarted | RollbackPaused | RollbackCompleted), Written::Now) => {
                // The tasks that failed are not of its present spec any more.
                let because = if because.is_empty() { self.newest_trouble(look.tasks) } else { because };
                Some(self.failure(Code::UPDATE_ROLLED_BACK, &format!("Swarm rolled the update back ({said}){because}")))
            }
            // It did what it was to do sooner than Swarm thinks right (updater.go, "early termination").
            (Some(Paused), _) if self.has_done_its_work() => None,
            (Some(Paused), _) => {
                Some(self.failure(self.cause.unwrap_or(Code::UPDATE_PAUSED), &format!("Swarm paused the update ({said}){because}")))
            }
            _ => (!service.is_as_wanted).then(|| self.failure(Code::CONFLICT, "somebody else changed its spec meanwhile")),
        }
    }

    /// Whether it may end, and all of it has, well.
    fn has_done_its_work(&self) -> bool {
        let is_well = self.endings.is_empty() && !self.has_trouble;
        self.wanted.may_end() && is_well && self.running == self.desired && self.desired > 0
    }

    /// Whether all that a service was to do is done: its tasks, all and those of its present spec.
    pub(super) fn is_done(spec: &Value, tasks: &[&Task], current: &[&Task]) -> bool {
        let watch = Self::new(Wanted::of(spec, Mode::of(spec), Written::Before), Arc::default());
        let have_ended = current.iter().all(|task| task.status.state == TaskState::Complete);
        let desired = watch.desired_count(tasks, current);
        watch.wanted.may_end() && have_ended && desired > 0 && watch.good_tasks(tasks, current).len() as u64 == desired
    }

    /// What a task of this command said that ended badly last, of whichever spec.
    fn newest_trouble(&self, tasks: &[&Task]) -> String {
        let ended = tasks.iter().filter(|task| self.counts(task) && self.wanted.ended_badly(task).is_some());
        ended.max_by(|a, b| a.created_at.cmp(&b.created_at)).map_or(String::new(), |task| format!(": {}", trouble::words(task)))
    }

    /// Whether a seat has failed too often, or Swarm has given it up. Of those tasks seats may be `going_on` with.
    fn worn_out(&mut self, at: Duration, going_on: &[&Task], current: &[&Task]) -> Option<Failure> {
        let too_often = self.endings.values().find_map(|endings| {
            let (_, code) = endings.last()?;
            let allowed = if *code == Code::CRASH_LOOP { ENDINGS } else { REJECTIONS };
            let words = self.errors.last().map_or("", String::as_str);
            (endings.len() >= allowed).then(|| (*code, format!("{} tasks in a row failed: {words}", endings.len())))
        });
        let given_up = self.given_up(going_on, current);
        self.given_up_since = given_up.as_ref().map(|_| self.given_up_since.unwrap_or(at));
        let certain = self.given_up_since.is_some_and(|since| at.saturating_sub(since) >= LAST_TRY);
        let (code, what) = too_often.or(given_up.filter(|_| certain))?;
        Some(self.failure(code, &what))
    }

    /// A seat whose last task failed and that gets no other, where it is missed: Swarm keeps what it remembers of seats that are not wanted
    /// any more.
    fn given_up(&self, going_on: &[&Task], current: &[&Task]) -> Option<(Code, String)> {
        if !matches!(self.wanted.restart, Restart::Counted | Restart::Limited) {
            return None;
        }
        // Whenever a task of a job ends, the manager fills all of its seats again, whatever the policy says of those that failed.
        if self.wanted.is_job() && current.iter().any(|task| task.desired_state <= TaskState::Complete && !task.status.state.is_over()) {
            return None;
        }
        let seat = |task: &&Task| Seat::of(self.wanted.mode, task);
        // A task that failed a moment ago is wanted until the manager has seen it.
        let goes_on = going_on.iter().filter(|task| task.desired_state <= TaskState::Complete);
        let ended_well = current.iter().filter(|task| self.wanted.may_end() && task.status.state == TaskState::Complete);
        let taken: BTreeSet<Seat> = goes_on.chain(ended_well).map(seat).collect();
        // Of a node nothing says that it is not wanted.
        if !self.is_global() && taken.len() as u64 >= self.desired {
            return None;
        }
        current.iter().rev().filter(|task| !taken.contains(&seat(task))).find_map(|task| {
            let code = self.wanted.ended_badly(task)?;
            Some((code, format!("its restart policy allows no further try: {}", trouble::words(task))))
        })
    }

    /// Whether tasks have waited too long for what comes before they run.
    fn waits_in_vain(&mut self, at: Duration, look: &Look<'_>, current: &[&Task]) -> Option<Failure> {
        let for_addresses = self.unallocated(at, current);
        let for_a_node = self.unplaced(at, look, current);
        let for_an_image = self.slow_pull(at, current, look.pull_timeout);
        for_addresses.or(for_a_node).or(for_an_image)
    }

    /// Whether the manager does not give a task its addresses: without them no node is looked for, and the task says nothing.
    fn unallocated(&mut self, at: Duration, current: &[&Task]) -> Option<Failure> {
        let waited = at.saturating_sub(self.unallocated.look_at(at, current, TaskState::New)?);
        (waited >= UNALLOCATED + self.wanted.patience).then(|| {
            let what = "the manager gives its tasks no addresses: a network has none left, or cannot be set up";
            self.failure(Code::NOT_ALLOCATED, what)
        })
    }

    /// Whether tasks have waited for a node for too long.
    fn unplaced(&mut self, at: Duration, look: &Look<'_>, current: &[&Task]) -> Option<Failure> {
        self.passing.clear();
        let waiting = || current.iter().filter(|task| !task.status.state.is_over() && task.desired_state <= TaskState::Complete);
        let troubled = || waiting().filter_map(|task| Some((task, trouble::of_task(task)?)));
        let is_placed = |task: &&&Task| (TaskState::Assigned..=TaskState::Running).contains(&task.status.state);
        if self.wanted.is_job() && current.iter().any(|task| is_placed(&task)) {
            // It ends, and the next one gets its place.
            (self.unplaced, self.waits) = (Since::default(), troubled().next().map(|(task, code)| (code, trouble::words(task))));
            return None;
        }
        // The manager makes the tasks of a global service only for nodes that satisfy its constraints.
        let nowhere = (self.has_no_node() && troubled().next().is_none()).then_some("");
        let Some((id, since)) = self.unplaced.look(at, troubled().map(|(task, _)| task.id.as_str()).chain(nowhere)) else {
            self.waits = None;
            return None;
        };
        let longest = troubled().find(|(task, _)| task.id == id);
        let (code, words) =
            longest.map_or_else(|| (Code::NO_SUITABLE_NODE, NOWHERE.to_owned()), |(task, code)| (code, trouble::words(task)));
        if at.saturating_sub(since) >= self.wanted.patience {
            return Some(self.failure(code, &words));
        }
        let leave = |task: &&Task| !look.current.contains(&task.id) && !task.status.state.is_over();
        if look.tasks.iter().copied().any(|task| leave(&task)) {
            let for_a_port = waiting().filter(|task| trouble::of_task(task) == Some(Code::PORT_CLASH));
            self.passing = for_a_port.map(|task| task.id.clone()).collect();
        }
        self.waits = Some((code, words));
        None
    }

    /// Whether a node has prepared a task for too long. It pulls the image then; nothing else of it takes minutes.
    fn slow_pull(&mut self, at: Duration, current: &[&Task], allowed: Duration) -> Option<Failure> {
        let waited = at.saturating_sub(self.preparing.look_at(at, current, TaskState::Preparing)?);
        (waited >= allowed).then(|| {
            let allowed = allowed.as_secs();
            let what = format!("a node has prepared a task for {allowed} s, and still pulls its image: docker.pull_timeout is over");
            self.failure(Code::IMAGE_PULL, &what)
        })
    }

    /// Whether no node takes a global service that this command wrote. One that was so before waits for nodes to come.
    fn has_no_node(&self) -> bool {
        self.is_global() && self.desired == 0 && self.is_written()
    }

    fn is_global(&self) -> bool {
        matches!(self.wanted.mode, Mode::Global | Mode::GlobalJob)
    }

    /// The tasks that are as wanted, one per seat: running (with a health check Swarm says so only of
    /// healthy ones), or ended well where that is enough.
    fn good_tasks(&self, tasks: &[&Task], current: &[&Task]) -> BTreeSet<String> {
        let mut seats: BTreeMap<Seat, &str> = BTreeMap::new();
        let seat = |task: &Task| Seat::of(self.wanted.mode, task);
        // A seat may have done this work once, and another since.
        let is_outdone = |done: &Task| tasks.iter().any(|other| seat(other) == seat(done) && outdoes(other, done));
        for task in current {
            let ended_well = self.wanted.may_end() && task.status.state == TaskState::Complete && !is_outdone(task);
            if ended_well || (task.is_running() && !self.wanted.is_job()) {
                seats.insert(seat(task), &task.id);
            }
        }
        seats.into_values().map(str::to_owned).collect()
    }

    fn desired_count(&self, tasks: &[&Task], current: &[&Task]) -> u64 {
        let nodes: BTreeSet<&str> = match self.wanted.mode {
            Mode::Replicated(count) | Mode::ReplicatedJob(count) => return count,
            Mode::Global => {
                // The manager no longer wants a task that has done its work; its node had its turn all the same.
                let done = current.iter().filter(|task| self.wanted.may_end() && task.status.state == TaskState::Complete).copied();
                let meant_to_run = tasks.iter().copied().filter(|task| task.desired_state <= TaskState::Running);
                meant_to_run.chain(done).map(|task| task.node_id.as_str()).collect()
            }
            // What is not wanted any more and has not ended is on a node that is away.
            Mode::GlobalJob => {
                let counts = |task: &&&Task| task.desired_state <= TaskState::Complete || task.status.state.is_over();
                current.iter().filter(counts).map(|task| task.node_id.as_str()).collect()
            }
        };
        nodes.len() as u64
    }

    /// Nothing has failed: whether all run, and for long enough.
    fn progress(&mut self, at: Duration, service: &Glance, good: BTreeSet<String>, still_runs: StillRuns) -> State {
        let update = service.update_status.as_ref().map(|update| update.state);
        let short = self.running != self.desired || self.has_no_node();
        if short || update == Some(UpdateState::Updating) {
            self.good = None;
            return State::Waiting;
        }
        // At once for jobs, for tasks that ran before, and where Swarm has watched the new ones itself. It
        // completes an update although tasks fail where `failure_action` or `max_failure_ratio` let it, and at once
        // where it had to replace none.
        let watched = update == Some(UpdateState::Completed) && self.wanted.written == Written::Now;
        let watched = watched && self.endings.is_empty() && !self.has_trouble;
        if self.wanted.is_job() || watched || still_runs == StillRuns::Yes {
            return State::Settled;
        }
        match &self.good {
            Some((since, same)) if *same == good => {
                let long_enough = at.saturating_sub(*since) >= self.wanted.monitor;
                if long_enough { State::Settled } else { State::Waiting }
            }
            _ => {
                self.good = Some((at, good));
                State::Waiting
            }
        }
    }
}

/// Keeps the newest few different errors, the newest last.
fn note(errors: &mut Vec<String>, error: String) {
    errors.retain(|known| *known != error);
    errors.push(error);
    let surplus = errors.len().saturating_sub(ERRORS);
    errors.drain(..surplus);
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;

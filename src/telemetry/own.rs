//! What the agent counts about itself: a handful of atomic numbers, which any thread counts and who serves the page reads.
//!
//! It never blocks and keeps no history. Label values come from fixed lists, so that no message from outside can make the page grow.

use super::family as f;
use super::family::Family;
use super::files::Files;
use super::look::Look;
use super::loop_state::{LoopState, Queue, ThreadState};
use super::page::Page;
use super::process::Process;
use super::value::Value;
use crate::domain::{Action, Code, DependencyState, Health, Phase, Sample, Timestamp, Verdict};
use crate::threads::Published;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The label of a command that is none of [`Action::NAMES`].
const OTHER: &str = "other";
/// The command_types with a line of their own, and one for all others.
const LABELS: usize = Action::NAMES.len() + 1;
const PHASES: [(Phase, &str); 4] =
    [(Phase::Starting, "starting"), (Phase::Ready, "ready"), (Phase::Degraded, "degraded"), (Phase::Stopping, "stopping")];

/// What is written at each scrape has about so many bytes.
const PAGE: usize = 8 * 1024;

type PerCommand = [AtomicU64; LABELS];
type PerCode = [AtomicU64; Code::ALL.len()];

/// The counters of the process.
#[derive(Debug)]
pub struct Metrics {
    started: Timestamp,
    records_read: AtomicU64,
    accepted: PerCommand,
    completed: PerCommand,
    failed: PerCommand,
    /// Milliseconds.
    spent: PerCommand,
    failures: PerCode,
    refused: PerCode,
    duplicates: AtomicU64,
    dead_letters: AtomicU64,
    events_published: AtomicU64,
    events_shed: AtomicU64,
    loop_state: LoopState,
    health: Published<Option<Arc<Health>>>,
    consumer_lag: Published<Option<u64>>,
    /// Counts what was counted, so that nothing is written again that has not changed.
    changes: AtomicU64,
    written: Published<Written>,
    /// What the thread `telemetry` found last; nothing where it is switched off.
    found: Published<Option<Look>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(Timestamp::from_millis(0))
    }
}

impl Metrics {
    /// All at zero; the process was started `at`.
    #[must_use]
    pub fn new(at: Timestamp) -> Self {
        Self {
            started: at,
            records_read: AtomicU64::new(0),
            accepted: zeros(),
            completed: zeros(),
            failed: zeros(),
            spent: zeros(),
            failures: zeros(),
            refused: zeros(),
            duplicates: AtomicU64::new(0),
            dead_letters: AtomicU64::new(0),
            events_published: AtomicU64::new(0),
            events_shed: AtomicU64::new(0),
            loop_state: LoopState::new(),
            health: Published::new(None),
            consumer_lag: Published::new(None),
            changes: AtomicU64::new(0),
            written: Published::new(Written::default()),
            found: Published::new(None),
        }
    }

    /// A record came from the command topic, whatever it held.
    pub fn record_read(&self) {
        self.add(&self.records_read);
    }

    /// A command is in the journal and will be carried out.
    pub fn command_accepted(&self, command_type: &str) {
        self.add(&self.accepted[command_index(command_type)]);
    }

    /// A command was answered with CommandRejected.
    pub fn command_refused(&self, code: Code) {
        self.add_code(&self.refused, code);
    }

    /// A command came again.
    pub fn duplicate(&self) {
        self.add(&self.duplicates);
    }

    /// A record went to the dead-letter topic.
    pub fn dead_letter(&self) {
        self.add(&self.dead_letters);
    }

    /// A command has ended, so long after it was accepted or taken up again.
    pub fn command_finished(&self, command_type: &str, verdict: Verdict, took: Duration) {
        let index = command_index(command_type);
        self.spent[index].fetch_add(u64::try_from(took.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        match verdict {
            Verdict::Completed => self.add(&self.completed[index]),
            Verdict::Failed(code) => {
                self.add(&self.failed[index]);
                self.add_code(&self.failures, code);
            }
        }
    }

    /// The broker has confirmed an event.
    pub fn event_published(&self) {
        self.add(&self.events_published);
    }

    /// An event that is not terminal was given up for want of room.
    pub fn event_shed(&self) {
        self.add(&self.events_shed);
    }

    /// The newest health, where it is another.
    pub fn observe_health(&self, health: Arc<Health>) {
        self.loop_state.observe(&health);
        self.health.publish(Some(health));
        self.changed();
    }

    // Each number stands for itself: no order between them is promised.
    fn add(&self, counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
        self.changed();
    }

    fn add_code(&self, counters: &PerCode, code: Code) {
        if let Some(index) = Code::ALL.iter().position(|known| *known == code) {
            self.add(&counters[index]);
        }
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// So much waits in a queue.
    pub fn queue(&self, queue: Queue, waiting: usize) {
        self.loop_state.queue(queue, waiting);
    }

    /// The coordinator had a turn.
    pub fn turned(&self, at: Timestamp) {
        self.loop_state.turned(at);
        self.changed();
    }

    /// How the threads are.
    pub fn threads(&self, states: Vec<ThreadState>) {
        self.loop_state.threads(states);
    }

    /// The journal holds so many bytes, and so many are free where it is.
    pub fn journal_space(&self, held: u64, free: u64) {
        self.loop_state.space(held, free);
    }

    /// Where whoever reads the command topic shows how many records wait there.
    #[must_use]
    pub fn consumer_lag(&self) -> &Published<Option<u64>> {
        &self.consumer_lag
    }

    /// Where the thread `telemetry` puts what it finds.
    pub(super) fn found(&self) -> Published<Option<Look>> {
        self.found.clone()
    }

    /// The page, in the Prometheus text format 0.0.4: what is counted, and what the newest look has found.
    #[must_use]
    pub fn render(&self) -> [Arc<String>; 2] {
        let counted = self.counted();
        let found = self.found.newest();
        match found.as_ref() {
            Some(look) => [counted, Arc::clone(&look.text)],
            None => {
                let mut page = Page::default();
                Process::read(&mut Files::below("")).render(&mut page);
                [counted, Arc::new(page.finish())]
            }
        }
    }

    /// What is counted, as it was written last unless something has changed since.
    fn counted(&self) -> Arc<String> {
        // ORDER: looked at before the numbers are: what changes while they are written is written with the next page.
        let now = (self.changes.load(Ordering::Acquire), *self.consumer_lag.newest());
        let last = self.written.newest();
        if last.of == Some(now) {
            return Arc::clone(&last.text);
        }
        let text = Arc::new(self.write());
        self.written.publish(Written { of: Some(now), text: Arc::clone(&text) });
        text
    }

    fn write(&self) -> String {
        let mut page = Page::upon(String::with_capacity(PAGE));
        page.family(&f::BUILD_INFO);
        page.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1_u64);
        single(&mut page, &f::START_TIME, Value::Thousandths(self.started.as_millis()));
        self.render_commands(&mut page);
        if let Some(lag) = *self.consumer_lag.newest() {
            single(&mut page, &f::CONSUMER_LAG, lag);
        }
        self.render_events(&mut page);
        self.render_health(&mut page);
        page.finish()
    }

    /// What the control plane is told: few numbers, since each costs bytes on every link. Commands that have ended are
    /// counted over all types.
    #[must_use]
    pub fn samples(&self) -> Vec<Sample> {
        let newest = self.health.newest();
        let (open, unreported) = newest.as_ref().as_ref().map_or((0, 0), |health| (health.commands_open, health.events_unreported));
        let all = |counters: &PerCommand| counters.iter().map(value).sum::<u64>() as f64;
        let mut samples = vec![
            Sample::of(f::OPEN.name, &[], open as f64),
            Sample::of(f::UNREPORTED.name, &[], unreported as f64),
            Sample::of(f::FINISHED.name, &[("result", "completed")], all(&self.completed)),
            Sample::of(f::FINISHED.name, &[("result", "failed")], all(&self.failed)),
        ];
        match self.found.newest().as_ref() {
            Some(look) => samples.extend_from_slice(&look.samples),
            None => samples.extend(self.process()),
        }
        samples
    }

    /// What the process uses, of what is reported.
    #[must_use]
    pub fn process(&self) -> Vec<Sample> {
        match self.found.newest().as_ref() {
            Some(look) => look.process.samples(),
            None => Process::read(&mut Files::below("")).samples(),
        }
    }

    fn render_commands(&self, page: &mut Page) {
        single(page, &f::RECORDS_READ, value(&self.records_read));
        page.family(&f::ACCEPTED);
        for (name, count) in labels().zip(&self.accepted) {
            page.sample(&[("command_type", name)], value(count));
        }
        page.family(&f::FINISHED);
        for (index, name) in labels().enumerate() {
            page.sample(&[("command_type", name), ("result", "completed")], value(&self.completed[index]));
            page.sample(&[("command_type", name), ("result", "failed")], value(&self.failed[index]));
        }
        page.family(&f::SPENT);
        for (name, spent) in labels().zip(&self.spent) {
            page.sample(&[("command_type", name)], Value::Thousandths(i64::try_from(value(spent)).unwrap_or(i64::MAX)));
        }
        page.family(&f::FAILURES);
        codes_seen(page, &self.failures);
        page.family(&f::REFUSED);
        codes_seen(page, &self.refused);
        single(page, &f::DUPLICATES, value(&self.duplicates));
        single(page, &f::DEAD_LETTERS, value(&self.dead_letters));
    }

    fn render_events(&self, page: &mut Page) {
        single(page, &f::EVENTS_PUBLISHED, value(&self.events_published));
        single(page, &f::EVENTS_SHED, value(&self.events_shed));
    }

    fn render_health(&self, page: &mut Page) {
        let newest = self.health.newest();
        let Some(health) = newest.as_ref() else { return };
        page.family(&f::PHASE);
        for (phase, name) in PHASES {
            page.sample(&[("phase", name)], health.phase == phase);
        }
        page.family(&f::DEPENDENCY_UP);
        for dependency in health.dependencies.iter().filter(|dependency| dependency.state != DependencyState::Off) {
            page.sample(&[("dependency", dependency.name)], dependency.state == DependencyState::Ready);
        }
        self.loop_state.render(page);
        single(page, &f::PAUSED, health.paused_since.is_some());
        single(page, &f::OPEN, health.commands_open);
        single(page, &f::UNREPORTED, health.events_unreported);
    }
}

/// What was counted when.
#[derive(Debug, Default)]
struct Written {
    /// How much had changed by then, and how many records waited.
    of: Option<(u64, Option<u64>)>,
    text: Arc<String>,
}

fn single(page: &mut Page, family: &'static Family, value: impl Into<Value>) {
    page.family(family);
    page.sample(&[], value);
}

fn zeros<const N: usize>() -> [AtomicU64; N] {
    std::array::from_fn(|_| AtomicU64::new(0))
}

fn value(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn labels() -> impl Iterator<Item = &'static str> {
    Action::NAMES.iter().copied().chain([OTHER])
}

fn codes_seen(page: &mut Page, counters: &PerCode) {
    for (code, counter) in Code::ALL.iter().zip(counters) {
        if value(counter) > 0 {
            page.sample(&[("code", code.as_str())], value(counter));
        }
    }
}

fn command_index(command_type: &str) -> usize {
    Action::NAMES.iter().position(|known| *known == command_type).unwrap_or(LABELS - 1)
}

#[cfg(test)]
mod tests {
    use super::super::look::Looker;
    use super::*;
    use crate::domain::{Dependency, Weight};

    fn lines(metrics: &Metrics) -> Vec<String> {
        let [counted, looked] = metrics.render();
        counted.lines().chain(looked.lines()).map(str::to_owned).collect()
    }

    #[test]
    fn what_was_counted_is_on_the_page() {
        let metrics = Metrics::new(Timestamp::from_millis(1_769_853_600_250));
        metrics.record_read();
        metrics.record_read();
        metrics.command_accepted("Deploy");
        metrics.command_accepted("Dance");
        metrics.command_finished("Deploy", Verdict::Failed(Code::IMAGE_NOT_FOUND), Duration::from_millis(1500));
        metrics.command_refused(Code::EXPIRED);
        metrics.duplicate();
        let lines = lines(&metrics);
        for expected in [
            "axion_agent_start_time_seconds 1769853600.250",
            "axion_agent_records_read_total 2",
            "axion_agent_commands_accepted_total{command_type=\"Deploy\"} 1",
            "axion_agent_commands_accepted_total{command_type=\"other\"} 1",
            "axion_agent_commands_finished_total{command_type=\"Deploy\",result=\"completed\"} 0",
            "axion_agent_commands_finished_total{command_type=\"Deploy\",result=\"failed\"} 1",
            "axion_agent_commands_duration_seconds_total{command_type=\"Deploy\"} 1.500",
            "axion_agent_command_failures_total{code=\"image.not_found\"} 1",
            "axion_agent_commands_refused_total{code=\"command.expired\"} 1",
            "axion_agent_commands_duplicate_total 1",
            "axion_agent_events_shed_total 0",
        ] {
            assert!(lines.iter().any(|line| line == expected), "{expected} is not in\n{}", lines.join("\n"));
        }
    }

    #[test]
    fn the_page_is_written_again_when_something_has_changed_and_not_before() {
        let metrics = Metrics::default();
        let text = || metrics.render()[0].clone();
        let first = text();
        assert!(Arc::ptr_eq(&first, &text()));
        metrics.duplicate();
        let second = text();
        assert!(second.contains("duplicate_total 1") && Arc::ptr_eq(&second, &text()));
        metrics.consumer_lag().publish(Some(7));
        let third = text();
        assert!(third.contains("consumer_lag_records 7") && Arc::ptr_eq(&third, &text()));
        metrics.observe_health(Arc::new(Health::of(Phase::Ready, Vec::new())));
        assert!(text().contains("phase{phase=\"ready\"} 1"));
        metrics.turned(Timestamp::from_millis(1500));
        let turned = text();
        assert!(turned.contains("turn_time_seconds 1.500") && Arc::ptr_eq(&turned, &text()));
        metrics.command_refused(Code::EXPIRED);
        assert!(text().contains("refused_total{code=\"command.expired\"} 1"));
    }

    #[test]
    fn a_dependency_that_is_off_has_no_line() {
        let at = Timestamp::from_millis(0);
        let dependency = |name, state| Dependency::new(name, state, Weight::Shown, at);
        let dependencies = vec![dependency("docker", DependencyState::NotReady), dependency("control_plane", DependencyState::Off)];
        let metrics = Metrics::default();
        let health = Health { commands_open: 3, events_unreported: 1, ..Health::of(Phase::Degraded, dependencies) };
        metrics.observe_health(Arc::new(health));
        let lines = lines(&metrics);
        for expected in
            ["axion_agent_dependency_up{dependency=\"docker\"} 0", "axion_agent_phase{phase=\"degraded\"} 1", "axion_agent_commands_open 3"]
        {
            assert!(lines.iter().any(|line| line == expected), "{expected}");
        }
        assert!(!lines.iter().any(|line| line.contains("dependency=\"control_plane\"")));
    }

    #[test]
    fn what_is_reported_has_the_names_of_the_page() {
        let metrics = Metrics::default();
        metrics.command_finished("Deploy", Verdict::Completed, Duration::from_millis(1500));
        metrics.command_finished("Scale", Verdict::Completed, Duration::from_millis(1500));
        metrics.command_finished("Scale", Verdict::Failed(Code::IMAGE_NOT_FOUND), Duration::from_millis(1500));
        let value = |samples: &[Sample], name: &str, label: Option<&str>| {
            let found =
                samples.iter().find(|sample| sample.name == name && label == sample.labels.first().map(|(_, value)| value.as_str()));
            found.unwrap_or_else(|| panic!("{name} {label:?} is not in {samples:?}")).value
        };
        let alone = metrics.samples();
        assert_eq!((value(&alone, f::FINISHED.name, Some("completed")), value(&alone, f::FINISHED.name, Some("failed"))), (2.0, 1.0));
        assert_eq!((value(&alone, f::OPEN.name, None), value(&alone, f::UNREPORTED.name, None)), (0.0, 0.0));
        assert!(value(&alone, "process_resident_memory_bytes", None) > 100_000.0);
        assert_eq!((alone.len(), metrics.process().len()), (8, 4));

        let look = Looker::new("").look(&Arc::default(), None);
        metrics.found().publish(Some(look));
        let samples = metrics.samples();
        assert!(value(&samples, "axion_host_memory_total_bytes", None) > 1e6);
        let families = |sample: &&Sample| f::FAMILIES.iter().any(|family| family.name == sample.name && family.reach == f::Reach::Reported);
        assert_eq!((samples.iter().filter(families).count(), metrics.process().len()), (samples.len(), 4));
        let page = lines(&metrics);
        for sample in samples.iter().filter(|sample| ![f::OPEN.name, f::UNREPORTED.name].contains(&sample.name)) {
            assert!(page.iter().any(|line| line.starts_with(&format!("# TYPE {} ", sample.name))), "{} is not on the page", sample.name);
        }
    }

    #[test]
    fn every_sample_follows_the_help_and_type_of_its_family() {
        let metrics = Metrics::default();
        metrics.found().publish(Some(Looker::new("").look(&Arc::default(), None)));
        let mut family = "";
        let (lines, mut seen) = (lines(&metrics), std::collections::BTreeSet::new());
        for line in &lines {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                family = rest.split(' ').next().unwrap();
                assert!(seen.insert(family), "{family} has two places");
            } else if !line.starts_with('#') {
                assert_eq!(line.split(['{', ' ']).next(), Some(family), "{line}");
                assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
            }
        }
    }
}

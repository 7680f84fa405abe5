//! What the agent counts about itself, the page that Prometheus reads, and the samples that the control plane is told.
//!
//! [`Metrics`] is a handful of atomic numbers: any thread counts, the thread `health-http` renders, the thread
//! `control-plane` samples. It has no thread, never blocks and keeps no history. Label values come from fixed lists, so that no
//! message from outside can make the page grow.

mod page;
mod process;

use crate::domain::{Action, Code, DependencyState, Health, Phase, Sample, Timestamp, Verdict};
use crate::threads::Published;
use page::Page;
use std::sync::atomic::{AtomicU64, Ordering};

/// The label of a command that is none of [`Action::NAMES`].
const OTHER: &str = "other";
/// The command_types with a line of their own, and one for all others.
const LABELS: usize = Action::NAMES.len() + 1;
const PHASES: [(Phase, &str); 4] =
    [(Phase::Starting, "starting"), (Phase::Ready, "ready"), (Phase::Degraded, "degraded"), (Phase::Stopping, "stopping")];

const FINISHED: &str = "axion_agent_commands_finished_total";
const OPEN: &str = "axion_agent_commands_open";
const UNREPORTED: &str = "axion_agent_events_unreported";

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
    failures: PerCode,
    refused: PerCode,
    duplicates: AtomicU64,
    dead_letters: AtomicU64,
    events_published: AtomicU64,
    events_shed: AtomicU64,
    health: Published<Option<Health>>,
    consumer_lag: Published<Option<u64>>,
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
            failures: zeros(),
            refused: zeros(),
            duplicates: AtomicU64::new(0),
            dead_letters: AtomicU64::new(0),
            events_published: AtomicU64::new(0),
            events_shed: AtomicU64::new(0),
            health: Published::new(None),
            consumer_lag: Published::new(None),
        }
    }

    /// A record came from the command topic, whatever it held.
    pub fn record_read(&self) {
        add(&self.records_read);
    }

    /// A command is in the journal and will be carried out.
    pub fn command_accepted(&self, command_type: &str) {
        add(&self.accepted[command_index(command_type)]);
    }

    /// A command was answered with CommandRejected.
    pub fn command_refused(&self, code: Code) {
        add_code(&self.refused, code);
    }

    /// A command came again.
    pub fn duplicate(&self) {
        add(&self.duplicates);
    }

    /// A record went to the dead-letter topic.
    pub fn dead_letter(&self) {
        add(&self.dead_letters);
    }

    /// A command has ended.
    pub fn command_finished(&self, command_type: &str, verdict: Verdict) {
        let index = command_index(command_type);
        match verdict {
            Verdict::Completed => add(&self.completed[index]),
            Verdict::Failed(code) => {
                add(&self.failed[index]);
                add_code(&self.failures, code);
            }
        }
    }

    /// The broker has confirmed an event.
    pub fn event_published(&self) {
        add(&self.events_published);
    }

    /// An event that is not terminal was given up for want of room.
    pub fn event_shed(&self) {
        add(&self.events_shed);
    }

    /// The newest health.
    pub fn observe_health(&self, health: &Health) {
        self.health.publish(Some(health.clone()));
    }

    /// Where whoever reads the command topic shows how many records wait there.
    #[must_use]
    pub fn consumer_lag(&self) -> &Published<Option<u64>> {
        &self.consumer_lag
    }

    /// The page, in the Prometheus text format 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        let mut page = Page::default();
        page.gauge("axion_agent_build_info", "Always 1; the label says which version runs.");
        page.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
        page.gauge("axion_agent_start_time_seconds", "When the agent was started, in seconds since the Unix epoch.");
        page.sample(&[], Millis(self.started.as_millis()));
        self.render_commands(&mut page);
        self.render_lag(&mut page);
        self.render_events(&mut page);
        self.render_health(&mut page);
        process::render(&mut page);
        page.finish()
    }

    /// What the control plane is told: few numbers, since each costs bytes on every link. Commands that have ended are
    /// counted over all types.
    #[must_use]
    pub fn samples(&self) -> Vec<Sample> {
        let newest = self.health.newest();
        let (open, unreported) = newest.as_ref().as_ref().map_or((0, 0), |health| (health.commands_open, health.events_unreported));
        let all = |counters: &PerCommand| counters.iter().map(value).sum::<u64>() as f64;
        let own = [
            Sample { name: OPEN, labels: &[], value: open as f64 },
            Sample { name: UNREPORTED, labels: &[], value: unreported as f64 },
            Sample { name: FINISHED, labels: &[("result", "completed")], value: all(&self.completed) },
            Sample { name: FINISHED, labels: &[("result", "failed")], value: all(&self.failed) },
        ];
        own.into_iter().chain(process::samples()).collect()
    }

    fn render_commands(&self, page: &mut Page) {
        page.counter("axion_agent_records_read_total", "Records read from the command topic.");
        page.sample(&[], value(&self.records_read));
        page.counter("axion_agent_commands_accepted_total", "Commands taken into the journal.");
        for (name, count) in labels().zip(&self.accepted) {
            page.sample(&[("command_type", name)], value(count));
        }
        page.counter(FINISHED, "Commands that have ended.");
        for (index, name) in labels().enumerate() {
            page.sample(&[("command_type", name), ("result", "completed")], value(&self.completed[index]));
            page.sample(&[("command_type", name), ("result", "failed")], value(&self.failed[index]));
        }
        page.counter(
            "axion_agent_command_failures_total",
            "Commands that failed, by the stable code of the reason; codes not seen are left out.",
        );
        codes_seen(page, &self.failures);
        page.counter(
            "axion_agent_commands_refused_total",
            "Commands refused, by the stable code of the reason; codes not seen are left out.",
        );
        codes_seen(page, &self.refused);
        page.counter("axion_agent_commands_duplicate_total", "Commands that came again and had no effect.");
        page.sample(&[], value(&self.duplicates));
        page.counter("axion_agent_dead_letters_total", "Records that went to the dead-letter topic.");
        page.sample(&[], value(&self.dead_letters));
    }

    fn render_lag(&self, page: &mut Page) {
        if let Some(lag) = *self.consumer_lag.newest() {
            page.gauge("axion_agent_consumer_lag_records", "Records of the command topic that wait to be taken in.");
            page.sample(&[], lag);
        }
    }

    fn render_events(&self, page: &mut Page) {
        page.counter("axion_agent_events_published_total", "Events that the broker has confirmed.");
        page.sample(&[], value(&self.events_published));
        page.counter("axion_agent_events_shed_total", "Events, none of them terminal, given up for want of room.");
        page.sample(&[], value(&self.events_shed));
    }

    fn render_health(&self, page: &mut Page) {
        let newest = self.health.newest();
        let Some(health) = newest.as_ref() else { return };
        page.gauge("axion_agent_phase", "1 at the phase that the agent is in.");
        for (phase, name) in PHASES {
            page.sample(&[("phase", name)], u8::from(health.phase == phase));
        }
        page.gauge("axion_agent_dependency_up", "Whether a dependency works; those that are not configured are left out.");
        for dependency in health.dependencies.iter().filter(|dependency| dependency.state != DependencyState::Off) {
            page.sample(&[("dependency", dependency.name)], u8::from(dependency.state == DependencyState::Ready));
        }
        page.gauge("axion_agent_paused", "1 while nothing starts that changes something, because somebody asked for it.");
        page.sample(&[], u8::from(health.paused_since.is_some()));
        page.gauge(OPEN, "Commands admitted and not finished.");
        page.sample(&[], health.commands_open);
        page.gauge(UNREPORTED, "Terminal events that the broker has not confirmed yet.");
        page.sample(&[], health.events_unreported);
    }
}

/// Milliseconds, shown as seconds.
struct Millis(i64);

impl std::fmt::Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:03}", self.0.div_euclid(1000), self.0.rem_euclid(1000))
    }
}

fn zeros<const N: usize>() -> [AtomicU64; N] {
    std::array::from_fn(|_| AtomicU64::new(0))
}

// Each number stands for itself: no order between them is promised.
fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn value(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn add_code(counters: &PerCode, code: Code) {
    if let Some(index) = Code::ALL.iter().position(|known| *known == code) {
        add(&counters[index]);
    }
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
    use super::*;
    use crate::domain::Dependency;

    fn lines(metrics: &Metrics) -> Vec<String> {
        metrics.render().lines().map(str::to_owned).collect()
    }

    #[test]
    fn what_was_counted_is_on_the_page() {
        let metrics = Metrics::new(Timestamp::from_millis(1_769_853_600_250));
        metrics.record_read();
        metrics.record_read();
        metrics.command_accepted("Deploy");
        metrics.command_accepted("Dance");
        metrics.command_finished("Deploy", Verdict::Failed(Code::IMAGE_NOT_FOUND));
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
            "axion_agent_command_failures_total{code=\"image.not_found\"} 1",
            "axion_agent_commands_refused_total{code=\"command.expired\"} 1",
            "axion_agent_commands_duplicate_total 1",
            "axion_agent_events_shed_total 0",
        ] {
            assert!(lines.iter().any(|line| line == expected), "{expected} is not in\n{}", lines.join("\n"));
        }
    }

    #[test]
    fn a_dependency_that_is_off_has_no_line() {
        let at = Timestamp::from_millis(0);
        let dependency = |name, state| Dependency { name, state, since: at, last_error: None, detail: None };
        let dependencies = vec![dependency("docker", DependencyState::NotReady), dependency("control_plane", DependencyState::Off)];
        let metrics = Metrics::default();
        metrics.observe_health(&Health {
            phase: Phase::Degraded,
            dependencies,
            paused_since: None,
            commands_open: 3,
            events_unreported: 1,
            last_command: None,
            update_offered: None,
            stacks: Default::default(),
        });
        let lines = lines(&metrics);
        for expected in
            ["axion_agent_dependency_up{dependency=\"docker\"} 0", "axion_agent_phase{phase=\"degraded\"} 1", "axion_agent_commands_open 3"]
        {
            assert!(lines.iter().any(|line| line == expected), "{expected}");
        }
        assert!(!lines.iter().any(|line| line.contains("control_plane")));
    }

    #[test]
    fn what_is_reported_has_the_names_of_the_page() {
        let metrics = Metrics::default();
        metrics.command_finished("Deploy", Verdict::Completed);
        metrics.command_finished("Scale", Verdict::Completed);
        metrics.command_finished("Scale", Verdict::Failed(Code::IMAGE_NOT_FOUND));
        let (samples, page) = (metrics.samples(), metrics.render());
        let value = |name: &str, label: Option<&str>| {
            let found = samples.iter().find(|sample| sample.name == name && label == sample.labels.first().map(|(_, value)| *value));
            found.unwrap_or_else(|| panic!("{name} {label:?} is not in {samples:?}")).value
        };
        assert_eq!((value(FINISHED, Some("completed")), value(FINISHED, Some("failed"))), (2.0, 1.0));
        assert_eq!((value(OPEN, None), value(UNREPORTED, None)), (0.0, 0.0));
        assert!(value("process_resident_memory_bytes", None) > 100_000.0);
        assert_eq!(samples.len(), 8);
        for sample in samples.iter().filter(|sample| ![OPEN, UNREPORTED].contains(&sample.name)) {
            assert!(page.contains(&format!("# TYPE {} ", sample.name)), "{} is not on the page", sample.name);
        }
    }

    #[test]
    fn every_sample_follows_the_help_and_type_of_its_family() {
        let metrics = Metrics::default();
        let mut family = String::new();
        for line in lines(&metrics) {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                family = rest.split(' ').next().unwrap().to_owned();
            } else if !line.starts_with('#') {
                assert_eq!(line.split(['{', ' ']).next(), Some(family.as_str()), "{line}");
                assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
            }
        }
    }

    #[test]
    fn the_process_knows_its_own_size() {
        let lines = lines(&Metrics::default());
        let number = |name: &str| {
            let line = lines.iter().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("no {name}"));
            line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
        };
        assert!(number("process_resident_memory_bytes") > 100_000.0);
        assert!(number("process_threads") >= 1.0);
        assert!(number("process_open_fds") >= 3.0);
        assert!(number("process_max_fds") >= number("process_open_fds"));
        assert!(number("process_cpu_seconds_total") >= 0.0);
    }
}

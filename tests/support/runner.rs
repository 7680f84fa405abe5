//! Runs the tests of one program: side by side where they allow it, each named, none skipped in silence.
//!
//! It exists because libtest can neither skip a test for a reason that shows at run time, nor take down
//! at the end what all tests share.

use super::agent::Launch;
use super::broker::Supply;
use super::child;
use super::control_plane::ControlPlane;
use super::engine::{Engine, Kind};
use super::network;
use super::registry::Registry;
use super::small_disk::SmallDisk;
use super::swarm::Swarm;
use std::collections::VecDeque;
use std::net::{Ipv6Addr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Tests wait for most of their time: more of them than cores.
const SIDE_BY_SIDE: usize = 4;

/// What a test needs of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// An engine with a swarm.
    Engine,
    /// An engine that it may stop, alone.
    EngineToStop,
    /// Engines of its own, which it starts itself ([`Swarm`], [`Engine::with_disk`]), alone.
    OwnEngines,
    /// A registry beside the engine, which it starts itself ([`Registry`]).
    Registry,
    /// The Docker CLI, to compare with.
    DockerCli,
    /// Prometheus' own look at a page of metrics.
    Promtool,
    /// Prometheus itself.
    Prometheus,
    /// A broker, be it the mock cluster.
    Broker,
    /// A broker that it may stop, alone.
    BrokerToStop,
    /// A broker that forgets a transactional id that is idle for seconds instead of days.
    ForgetfulBroker,
    /// A broker with listeners for TLS and SASL: a real one.
    SecureBroker,
    /// Such a broker that denies what nobody has granted.
    ClosedBroker,
    /// The development control plane as a program.
    ControlPlane,
    /// A systemd of its own, for the package's unit.
    Systemd,
    /// The right to lay files over the machine's, for one agent.
    OtherEtc,
    /// The right to mount a small file system that only one agent sees.
    SmallDisk,
    /// A network of its own, of which it may drop packets.
    OwnNetwork,
    /// IPv6, on the loopback at least.
    Ipv6,
    /// A minute without other work, alone: it measures.
    QuietMachine,
}

/// What the whole agent needs.
pub const AGENT: &[Need] = &[Need::Engine, Need::Broker];

/// A test: its name, what it needs and what it does.
pub struct Test {
    pub name: &'static str,
    pub needs: &'static [Need],
    pub body: fn(&Stage),
}

impl Test {
    fn is_alone(&self) -> bool {
        self.needs.iter().any(|need| matches!(need, Need::EngineToStop | Need::OwnEngines | Need::BrokerToStop | Need::QuietMachine))
    }
}

/// What all tests of a program share: only what some of them need is started.
pub struct Stage {
    engine: Option<Result<Engine, String>>,
    supply: Option<Supply>,
    directory: PathBuf,
}

impl Stage {
    fn set(directory: &Path, tests: &[&Test]) -> Self {
        let any = |wanted: &[Need]| tests.iter().any(|test| test.needs.iter().any(|need| wanted.contains(need)));
        let kind = if any(&[Need::EngineToStop]) { Kind::Private } else { Kind::Any };
        let engine = any(&[Need::Engine, Need::EngineToStop]).then(|| Engine::start(&directory.join("engine"), kind));
        let broker = any(&[Need::Broker, Need::BrokerToStop, Need::ForgetfulBroker, Need::SecureBroker, Need::ClosedBroker]);
        Self { engine, supply: broker.then(Supply::find), directory: directory.to_owned() }
    }

    /// The engine; a test without one is not run.
    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().and_then(|engine| engine.as_ref().ok()).expect("the test said that it needs an engine")
    }

    /// Where brokers come from.
    pub fn supply(&self) -> &Supply {
        self.supply.as_ref().expect("the test said that it needs a broker")
    }

    /// For files of tests; gone at the end.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Why this machine cannot run a test.
    fn lacks(&self, test: &Test) -> Option<String> {
        test.needs.iter().find_map(|&need| self.lacks_one(need))
    }

    fn lacks_one(&self, need: Need) -> Option<String> {
        match need {
            Need::Engine => reason(self.engine.as_ref()),
            Need::EngineToStop => reason(self.engine.as_ref())
                .or_else(|| (!self.engine().is_private()).then(|| "needs an engine that it may stop".to_owned())),
            Need::Registry => Registry::program().err(),
            Need::DockerCli => child::output("docker", &["--version"]).err(),
            Need::Promtool => child::output("promtool", &["--version"]).err(),
            Need::Prometheus => child::output("prometheus", &["--version"]).err(),
            Need::Broker => None,
            Need::ControlPlane => ControlPlane::program().err(),
            Need::BrokerToStop => (!self.supply().may_stop()).then(|| "needs a broker that it may stop".to_owned()),
            Need::ForgetfulBroker => (!self.supply().is_forgetful())
                .then(|| "needs a real broker that forgets: AXION_TEST_KAFKA_PROPERTIES has no transactional.id.expiration.ms".to_owned()),
            Need::SecureBroker => self.supply().secure().err(),
            Need::ClosedBroker => self.supply().secure().err().or_else(|| self.supply().administrator().err()),
            Need::Systemd => Launch::unit_lacks(),
            Need::OtherEtc => Launch::other_etc_lacks(),
            Need::OwnEngines => Swarm::lacks(),
            Need::SmallDisk => SmallDisk::lacks(),
            Need::OwnNetwork => network::lacks(),
            Need::Ipv6 => TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).err().map(|error| format!("needs IPv6: {error}")),
            Need::QuietMachine => std::env::var_os("AXION_TEST_MEASURE")
                .is_none()
                .then(|| "measures for a minute on a quiet machine, when AXION_TEST_MEASURE is set".to_owned()),
        }
    }

    /// ` against …`, or nothing.
    fn describe(&self) -> String {
        let engine = match &self.engine {
            Some(Ok(engine)) if engine.is_private() => Some("an engine of our own".to_owned()),
            Some(Ok(engine)) => Some(format!("the engine at {}", engine.socket().display())),
            _ => None,
        };
        let parts: Vec<String> = engine.into_iter().chain(self.supply.as_ref().map(Supply::describe)).collect();
        if parts.is_empty() { String::new() } else { format!(" against {}", parts.join(" and ")) }
    }
}

/// The last line says why.
fn reason(part: Option<&Result<Engine, String>>) -> Option<String> {
    let Err(error) = part? else { return None };
    Some(error.lines().last().unwrap_or("it did not start").to_owned())
}

/// How a test ended.
enum End {
    Passed(Duration),
    Failed(Duration),
    Skipped(String),
}

/// The main function of a test program. Takes libtest's usual words: a part of a name, and `--list`.
pub fn run(program: &str, tests: &[Test]) -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let filters: Vec<&str> = words.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
    let chosen = |test: &&Test| filters.is_empty() || filters.iter().any(|part| test.name.contains(part));
    let chosen: Vec<&Test> = tests.iter().filter(chosen).collect();
    if words.iter().any(|word| word == "--list") {
        chosen.iter().for_each(|test| println!("{}: test", test.name));
        return ExitCode::SUCCESS;
    }
    if chosen.is_empty() {
        return ExitCode::SUCCESS;
    }
    let directory = std::env::temp_dir().join(format!("axion-{program}-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory for the tests");
    let stage = Stage::set(&directory, &chosen);
    println!("\nrunning {} tests{}", chosen.len(), stage.describe());
    let ends = run_all(&stage, &chosen);
    // Takes down the engine.
    drop(stage);
    let _gone = std::fs::remove_dir_all(&directory);
    summary(program, &ends)
}

fn run_all<'a>(stage: &Stage, tests: &[&'a Test]) -> Vec<(&'a str, End)> {
    let (together, alone): (Vec<&Test>, Vec<&Test>) = tests.iter().partition(|test| !test.is_alone());
    let queue = Mutex::new(VecDeque::from(together));
    let ends = Mutex::new(Vec::new());
    let next = || queue.lock().expect("no test runs while the queue is held").pop_front();
    let keep = |test: &'a Test| {
        let end = run_one(stage, test);
        ends.lock().expect("no test runs while the list is held").push((test.name, end));
    };
    std::thread::scope(|scope| {
        for number in 0..SIDE_BY_SIDE {
            let worker = std::thread::Builder::new().name(format!("tests-{number}"));
            let body = || std::iter::from_fn(next).for_each(keep);
            worker.spawn_scoped(scope, body).expect("a thread for tests");
        }
    });
    alone.into_iter().for_each(keep);
    ends.into_inner().expect("the threads have ended")
}

fn run_one(stage: &Stage, test: &Test) -> End {
    if let Some(reason) = stage.lacks(test) {
        println!("test {} ... skipped: {reason}", test.name);
        return End::Skipped(reason);
    }
    let start = Instant::now();
    // A test that panicked is over; nothing of it is used again.
    let result = catch_unwind(AssertUnwindSafe(|| (test.body)(stage)));
    let took = start.elapsed();
    let word = if result.is_ok() { "ok" } else { "FAILED" };
    println!("test {} ... {word} ({:.1} s)", test.name, took.as_secs_f64());
    if result.is_ok() { End::Passed(took) } else { End::Failed(took) }
}

fn summary(program: &str, ends: &[(&str, End)]) -> ExitCode {
    let names = |wanted: fn(&End) -> bool| ends.iter().filter(move |(_, end)| wanted(end)).map(|(name, _)| *name).collect::<Vec<_>>();
    let passed = names(|end| matches!(end, End::Passed(_)));
    let failed = names(|end| matches!(end, End::Failed(_)));
    let skipped = names(|end| matches!(end, End::Skipped(_)));
    if !failed.is_empty() {
        println!("\nfailed: {}", failed.join(", "));
    }
    if !skipped.is_empty() {
        println!("\nskipped: {}", skipped.join(", "));
    }
    println!("\n{program}: {} passed, {} failed, {} skipped", passed.len(), failed.len(), skipped.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

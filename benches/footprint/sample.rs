//! One run of an agent, and what the kernel says of it: proc(5) `status`, `schedstat` and `io`.

use super::situation::{Situation, Surroundings};
use super::support::{READY, free_port};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Between becoming ready and the first look: connections settle, caches fill.
const SETTLE: Duration = Duration::from_secs(10);
/// The same where nothing is there: what an outage begins with is said and done, other clients that look for brokers too.
const SETTLE_AWAY: Duration = Duration::from_secs(30);
/// Between two looks while the agent starts or stops.
const LOOK: Duration = Duration::from_micros(200);
/// An agent that needs longer to start or to stop is broken.
const PATIENCE: Duration = Duration::from_secs(15);

/// What one run cost.
#[derive(Debug, Clone)]
pub struct Figures {
    pub resident_mb: f64,
    pub anonymous_mb: f64,
    pub threads: f64,
    pub switches: f64,
    /// Those of `switches` in which the kernel gave the processor to somebody else.
    pub forced: f64,
    pub processor_percent: f64,
    pub written: f64,
    pub alive_ms: f64,
    /// Not a number where the agent does not become ready.
    pub ready_ms: f64,
    pub stop_ms: f64,
}

/// A running agent with a folder of its own; dropped, both are gone.
pub struct Running {
    process: Process,
    port: u16,
    began: Instant,
    _folder: Folder,
}

/// A child of ours; dropped, it is killed.
struct Process(Child);

/// A directory; dropped, it is removed.
struct Folder(PathBuf);

impl Running {
    /// Starts an agent and waits until it answers.
    pub fn start(surroundings: &Surroundings, situation: Situation) -> Self {
        let folder = Folder(std::env::temp_dir().join(format!("axion-footprint-{}", Uuid::new_v4().simple())));
        fs::create_dir_all(&folder.0).expect("a directory for the agent");
        let port = free_port();
        let configure =
            |situation| fs::write(folder.config(), surroundings.configuration(situation, &folder.0, port)).expect("its configuration");
        if situation == Situation::Away {
            // Only an agent that was enrolled starts Kafka's clients.
            configure(Situation::Plain);
            let mut enrolled = Process::launch(&folder);
            wait_ready(port);
            enrolled.stop();
        }
        configure(situation);
        let began = Instant::now();
        let process = Process::launch(&folder);
        wait(PATIENCE, "alive", || page(port, "/livez").is_some());
        Self { process, port, began, _folder: folder }
    }

    fn milliseconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64() * 1e3
    }

    /// What the kernel says of it now.
    pub fn reading(&self) -> Reading {
        Reading::of(self.process.0.id())
    }
}

impl Process {
    #[allow(clippy::disallowed_methods, reason = "what is measured is a process")]
    fn launch(folder: &Folder) -> Self {
        let config = folder.config();
        let log = File::create(folder.0.join("agent.log")).expect("its log");
        let binary = std::env::var_os("AXION_TEST_AGENT").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_axion-agent")), PathBuf::from);
        let mut command = Command::new(binary);
        command.args(["run".as_ref(), "--config".as_ref(), config.as_os_str()]).env_remove("DOCKER_HOST");
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("the agent starts"))
    }

    /// Gives the milliseconds that it took to leave.
    fn stop(&mut self) -> f64 {
        let began = Instant::now();
        // SAFETY: the process is a child of ours that was not waited for: the number is its own.
        let told = unsafe { libc::kill(i32::try_from(self.0.id()).expect("a process number"), libc::SIGTERM) };
        assert_eq!(told, 0, "the agent can be told to stop");
        wait(PATIENCE, "gone", || self.0.try_wait().expect("a child of ours").is_some());
        began.elapsed().as_secs_f64() * 1e3
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

impl Folder {
    fn config(&self) -> PathBuf {
        self.0.join("agent.toml")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is in a place for such things.
        let _removed = fs::remove_dir_all(&self.0);
    }
}

/// Starts an agent, lets it be idle for `span`, and stops it.
pub fn measure(surroundings: &Surroundings, situation: Situation, span: Duration) -> Figures {
    let mut agent = Running::start(surroundings, situation);
    let alive_ms = agent.milliseconds();
    let mut ready_ms = f64::NAN;
    if Surroundings::is_reached(situation) {
        wait_ready(agent.port);
        ready_ms = agent.milliseconds();
    }
    std::thread::park_timeout(if situation == Situation::Away { SETTLE_AWAY } else { SETTLE });
    let before = agent.reading();
    let began = Instant::now();
    std::thread::park_timeout(span);
    let after = agent.reading();
    let seconds = began.elapsed().as_secs_f64();
    Figures {
        resident_mb: megabytes(after.resident_kb),
        anonymous_mb: megabytes(after.anonymous_kb),
        threads: after.threads,
        switches: (after.switches - before.switches) / seconds,
        forced: (after.forced - before.forced) / seconds,
        processor_percent: (after.running_ns - before.running_ns) / seconds / 1e7,
        written: after.written - before.written,
        alive_ms,
        ready_ms,
        stop_ms: agent.process.stop(),
    }
}

/// The kernel counts in 1024 bytes, the budget in millions.
pub fn megabytes(kilobytes: f64) -> f64 {
    kilobytes * 1.024 / 1000.0
}

fn wait_ready(port: u16) {
    wait(READY, "ready", || page(port, "/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")));
}

fn wait(within: Duration, what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < within, "the agent is not {what} within {} s", within.as_secs());
        std::thread::park_timeout(LOOK);
    }
}

fn page(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// What the kernel counts.
pub struct Reading {
    pub resident_kb: f64,
    anonymous_kb: f64,
    pub threads: f64,
    switches: f64,
    forced: f64,
    running_ns: f64,
    written: f64,
}

impl Reading {
    fn of(pid: u32) -> Self {
        let process = PathBuf::from(format!("/proc/{pid}"));
        let status = read(&process.join("status"));
        let mut reading = Self {
            resident_kb: field(&status, "VmRSS:"),
            anonymous_kb: field(&status, "RssAnon:"),
            threads: field(&status, "Threads:"),
            switches: 0.0,
            forced: 0.0,
            running_ns: 0.0,
            written: field(&read(&process.join("io")), "write_bytes:"),
        };
        for task in fs::read_dir(process.join("task")).expect("its threads").flatten() {
            let status = read(&task.path().join("status"));
            let forced = field(&status, "nonvoluntary_ctxt_switches:");
            reading.switches += field(&status, "voluntary_ctxt_switches:") + forced;
            reading.forced += forced;
            reading.running_ns += read(&task.path().join("schedstat")).split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0.0);
        }
        reading
    }
}

/// A thread may end between the list and the look.
fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn field(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
}

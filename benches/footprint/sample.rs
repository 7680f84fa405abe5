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
    pub processor_percent: f64,
    pub written: f64,
    pub alive_ms: f64,
    pub stop_ms: f64,
}

/// A running agent; dropped, it is killed.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

/// Starts an agent, lets it be idle for `span`, and stops it.
pub fn measure(surroundings: &Surroundings, situation: Situation, span: Duration) -> Figures {
    let folder = std::env::temp_dir().join(format!("axion-footprint-{}", Uuid::new_v4().simple()));
    fs::create_dir_all(&folder).expect("a directory for the agent");
    let port = free_port();
    let config = folder.join("agent.toml");
    fs::write(&config, surroundings.configuration(situation, &folder, port)).expect("its configuration");
    let (mut process, alive) = start(&config, &folder, port);
    if Surroundings::is_reached(situation) {
        wait(READY, "ready", || page(port, "/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")));
    }
    std::thread::park_timeout(SETTLE);
    let before = Reading::of(process.0.id());
    let began = Instant::now();
    std::thread::park_timeout(span);
    let after = Reading::of(process.0.id());
    let seconds = began.elapsed().as_secs_f64();
    let stop = stop(&mut process.0);
    fs::remove_dir_all(&folder).expect("the agent's directory goes");
    Figures {
        resident_mb: after.resident_kb / 1000.0 * 1.024,
        anonymous_mb: after.anonymous_kb / 1000.0 * 1.024,
        threads: after.threads,
        switches: (after.switches - before.switches) / seconds,
        processor_percent: (after.running_ns - before.running_ns) / seconds / 1e7,
        written: after.written - before.written,
        alive_ms: alive.as_secs_f64() * 1e3,
        stop_ms: stop.as_secs_f64() * 1e3,
    }
}

#[allow(clippy::disallowed_methods, reason = "what is measured is a process")]
fn start(config: &Path, folder: &Path, port: u16) -> (Running, Duration) {
    let log = File::create(folder.join("agent.log")).expect("its log");
    let binary = std::env::var_os("AXION_TEST_AGENT").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_axion-agent")), PathBuf::from);
    let began = Instant::now();
    let mut command = Command::new(binary);
    command.args(["run".as_ref(), "--config".as_ref(), config.as_os_str()]).env_remove("DOCKER_HOST");
    let process = Running(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("the agent starts"));
    wait(PATIENCE, "alive", || page(port, "/livez").is_some());
    (process, began.elapsed())
}

fn stop(process: &mut Child) -> Duration {
    let began = Instant::now();
    // SAFETY: the process is a child of ours that was not waited for: the number is its own.
    let told = unsafe { libc::kill(i32::try_from(process.id()).expect("a process number"), libc::SIGTERM) };
    assert_eq!(told, 0, "the agent can be told to stop");
    wait(PATIENCE, "gone", || process.try_wait().expect("a child of ours").is_some());
    began.elapsed()
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
struct Reading {
    resident_kb: f64,
    anonymous_kb: f64,
    threads: f64,
    switches: f64,
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
            running_ns: 0.0,
            written: field(&read(&process.join("io")), "write_bytes:"),
        };
        for task in fs::read_dir(process.join("task")).expect("its threads").flatten() {
            let status = read(&task.path().join("status"));
            reading.switches += field(&status, "voluntary_ctxt_switches:") + field(&status, "nonvoluntary_ctxt_switches:");
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

//! The engine that the tests deploy to: `packaging/dev/engine.sh` uses one that runs already, or starts a
//! private one. Here is how tests look into it, past the agent.

use super::http::{self, Answer, Request};
use super::small_disk::fill;
use super::{child, until};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The image that the engine has: BusyBox alone.
pub const IMAGE: &str = "axion-test/box:1";
/// The script needs this long at the very most to take everything down.
const DOWN: Duration = Duration::from_secs(30);

/// Which engine tests want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The one that runs on this machine, or a private one.
    Any,
    /// One that may be stopped, where this machine lets us start it.
    Private,
}

/// A running engine; dropped, it is gone, or as it was found.
pub struct Engine {
    /// None for one of a swarm, whose script is that one's.
    script: Option<Child>,
    socket: PathBuf,
    directory: PathBuf,
    /// The first process inside a private engine's namespaces.
    inside: Option<u32>,
}

impl Engine {
    /// # Errors
    /// Why this machine has none to give.
    pub fn start(directory: &Path, kind: Kind) -> Result<Self, String> {
        Self::run(script(), directory, kind)
    }

    /// A private one whose disk has so many MiB; [`Self::fill_disk`] fills it up.
    ///
    /// # Errors
    /// Why this machine has none to give.
    pub fn with_disk(directory: &Path, mebibytes: u32) -> Result<Self, String> {
        let mut command = script();
        command.env("AXION_TEST_ENGINE_DISK", mebibytes.to_string());
        Self::run(command, directory, Kind::Private)
    }

    fn run(mut command: Command, directory: &Path, kind: Kind) -> Result<Self, String> {
        command.arg(directory).stdout(Stdio::piped()).stderr(Stdio::piped());
        if kind == Kind::Private {
            command.arg("private");
        }
        let mut script = command.spawn().map_err(|error| format!("engine.sh: {error}"))?;
        let line = child::first_line(&mut script)?;
        let mut engine = Self::of_line(&line, directory);
        engine.script = Some(script);
        Ok(engine)
    }

    /// What a line of the script says: `ready SOCKET PID`.
    pub(super) fn of_line(line: &str, directory: &Path) -> Self {
        let mut words = line.split_whitespace().skip(1);
        let (socket, inside) = (words.next().unwrap_or_default(), words.next().and_then(|pid| pid.parse().ok()));
        let inside = inside.filter(|&pid| pid != 0);
        Self { script: None, socket: PathBuf::from(socket), directory: directory.to_owned(), inside }
    }

    /// For `docker.host`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Whether tests may stop and start it.
    pub fn is_private(&self) -> bool {
        self.inside.is_some()
    }

    /// Its API socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The network namespace of a private engine, as arguments of `nsenter`.
    pub fn network(&self) -> Option<[String; 3]> {
        self.inside.map(|pid| ["--target".to_owned(), pid.to_string(), "--net".to_owned()])
    }

    /// One request of the Engine API.
    pub fn ask(&self, method: &str, path: &str) -> Result<Answer, String> {
        http::over_unix(&self.socket, &Request { method, path, headers: &[], body: &Value::Null })
    }

    /// A request that must be granted; gives what the answer holds.
    pub fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let answer = http::over_unix(&self.socket, &Request { method, path, headers: &[], body })?;
        if answer.status < 300 { Ok(answer.json()) } else { Err(format!("{method} {path}: {} {}", answer.status, answer.body)) }
    }

    /// What a stack has of a kind: `services`, `tasks`, `networks`, `volumes`, `secrets`, `configs`.
    pub fn of_stack(&self, kind: &str, stack: &str) -> Result<Vec<Value>, String> {
        let mut answer = self.call("GET", &format!("/{kind}?filters={}", label_filter(stack)), &Value::Null)?;
        let list = if kind == "volumes" { answer["Volumes"].take() } else { answer };
        match list {
            Value::Array(all) => Ok(all),
            // The engine's empty list of volumes.
            Value::Null => Ok(Vec::new()),
            other => Err(other.to_string()),
        }
    }

    /// The services of a stack.
    pub fn services(&self, stack: &str) -> Result<Vec<Value>, String> {
        self.of_stack("services", stack)
    }

    /// The tasks of a stack that run and are meant to.
    pub fn running_tasks(&self, stack: &str) -> Result<Vec<Value>, String> {
        let mut tasks = self.of_stack("tasks", stack)?;
        tasks.retain(|task| task["DesiredState"] == "running" && task["Status"]["State"] == "running");
        Ok(tasks)
    }

    /// How many tasks of `service` run and are meant to.
    pub fn running(&self, stack: &str, service: &str) -> Result<usize, String> {
        let services = self.services(stack)?;
        let name = format!("{stack}_{service}");
        let found = services.iter().find(|one| one["Spec"]["Name"] == name.as_str()).ok_or_else(|| format!("no service {name}"))?;
        Ok(self.running_tasks(stack)?.iter().filter(|task| task["ServiceID"] == found["ID"]).count())
    }

    /// What is left of a stack: services, networks, secrets and configs.
    pub fn remains(&self, stack: &str) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        for kind in ["services", "networks", "secrets", "configs"] {
            for one in self.of_stack(kind, stack)? {
                let name = one["Spec"]["Name"].as_str().or_else(|| one["Name"].as_str()).unwrap_or_default();
                found.push(format!("{kind} {name}"));
            }
        }
        Ok(found)
    }

    /// Asks a published port, as a user of the service would.
    pub fn fetch(&self, port: u16) -> Result<String, String> {
        let url = format!("http://127.0.0.1:{port}/");
        let curl = ["curl", "-sS", "--fail", "--max-time", "2", url.as_str()];
        match self.network() {
            Some(network) => child::output("nsenter", &[network.each_ref().map(String::as_str).as_slice(), &curl].concat()),
            None => child::output("curl", &curl[1..]),
        }
    }

    /// Ends the private engine; [`Self::let_go`] lets it start again.
    pub fn stop(&self) {
        self.end("TERM");
    }

    /// The same without a word to anybody, as when the power fails; its containers stay.
    pub fn lose(&self) {
        self.end("KILL");
    }

    fn end(&self, signal: &str) {
        std::fs::write(self.directory.join("hold"), "").expect("the engine's directory is writable");
        self.kill(signal);
        until("the engine has ended", DOWN, || match self.daemon() {
            None => Ok(()),
            Some(pid) => Err(format!("dockerd runs as {pid}")),
        });
    }

    /// Starts an engine again that was stopped.
    pub fn let_go(&self) {
        std::fs::remove_file(self.directory.join("hold")).expect("the engine was stopped");
        until("the engine answers", DOWN, || {
            self.ask("GET", "/_ping").and_then(|answer| (answer.status == 200).then_some(()).ok_or(answer.body))
        });
    }

    /// Sends a signal to dockerd; it is started again at once.
    pub fn kill(&self, signal: &str) {
        let pid = self.daemon().expect("dockerd runs");
        child::signal(pid, signal).expect("dockerd can be signalled");
    }

    /// Writes to the disk of [`Self::with_disk`] until there is no room for a single byte.
    pub fn fill_disk(&self) {
        fill(&self.filler());
    }

    /// Makes room again.
    pub fn clear_disk(&self) {
        std::fs::remove_file(self.filler()).expect("the disk was filled");
    }

    /// What is free on the disk of [`Self::with_disk`], in bytes.
    pub fn room(&self) -> u64 {
        axion_agent::filesystem::free(&self.directory.join("data")).expect("the disk is mounted here too")
    }

    fn filler(&self) -> PathBuf {
        let inside = self.inside.expect("a private engine");
        let root = std::env::var("AXION_TEST_ENGINE_ROOT").unwrap_or_default();
        PathBuf::from(format!("/proc/{inside}/root{root}{}/data/filler", self.directory.display()))
    }

    fn daemon(&self) -> Option<u32> {
        let inside = self.inside.expect("only a private engine may be stopped");
        child::children(inside).into_iter().find(|(_, name)| name == "dockerd").map(|(pid, _)| pid)
    }

    /// Services and tasks of a stack in short, for a failed test.
    pub fn describe(&self, stack: &str) -> String {
        let mut lines = Vec::new();
        for task in self.of_stack("tasks", stack).unwrap_or_default() {
            let (status, image) = (&task["Status"], &task["Spec"]["ContainerSpec"]["Image"]);
            lines.push(format!(
                "task {image} of {} wants {} is {} since {} {} {}",
                task["CreatedAt"], task["DesiredState"], status["State"], status["Timestamp"], status["Message"], status["Err"]
            ));
        }
        lines.extend(self.remains(stack).unwrap_or_else(|error| vec![error]));
        lines.join("\n")
    }

    /// Removes what a test that failed left of its stack.
    pub fn remove(&self, stack: &str) {
        for service in self.services(stack).unwrap_or_default() {
            let _gone = self.ask("DELETE", &format!("/services/{}", service["ID"].as_str().unwrap_or_default()));
        }
    }
}

fn script() -> Command {
    child::bound("TERM", concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/dev/engine.sh"))
}

/// `{"label":["com.docker.stack.namespace=NAME"]}`, percent-encoded where it must be.
fn label_filter(stack: &str) -> String {
    format!("%7B%22label%22%3A%5B%22com.docker.stack.namespace%3D{stack}%22%5D%7D")
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(script) = &mut self.script {
            let _gone = child::signal(script.id(), "TERM");
            let _ended = script.wait();
        }
    }
}

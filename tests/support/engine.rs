//! The engine that the tests deploy to: `packaging/dev/engine.sh` uses one that runs already, or starts a
//! private one. Here is how tests look into it, past the agent.

use super::http::{self, Answer};
use super::{child, until};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
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
    script: Child,
    socket: PathBuf,
    directory: PathBuf,
    /// The first process inside a private engine's namespaces.
    inside: Option<u32>,
}

impl Engine {
    /// # Errors
    /// Why this machine has none to give.
    pub fn start(directory: &Path, kind: Kind) -> Result<Self, String> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/dev/engine.sh");
        let mut command = child::bound("TERM", path);
        command.arg(directory).stdout(Stdio::piped()).stderr(Stdio::piped());
        if kind == Kind::Private {
            command.arg("private");
        }
        let mut script = command.spawn().map_err(|error| format!("{path}: {error}"))?;
        let line = child::first_line(&mut script)?;
        let mut words = line.split_whitespace().skip(1);
        let (socket, inside) = (words.next().unwrap_or_default(), words.next().and_then(|pid| pid.parse().ok()));
        let inside = inside.filter(|&pid| pid != 0);
        Ok(Self { script, socket: PathBuf::from(socket), directory: directory.to_owned(), inside })
    }

    /// For `docker.host`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Whether tests may stop and start it.
    pub fn is_private(&self) -> bool {
        self.inside.is_some()
    }

    /// One request of the Engine API.
    pub fn ask(&self, method: &str, path: &str) -> Result<Answer, String> {
        http::over_unix(&self.socket, method, path)
    }

    /// The services of a stack, by their name in the stack.
    pub fn services(&self, stack: &str) -> Result<Vec<Value>, String> {
        let answer = self.ask("GET", &format!("/services?filters={}", label_filter(stack)))?;
        match answer.json() {
            Value::Array(services) => Ok(services),
            _ => Err(answer.body),
        }
    }

    /// The tasks of a stack.
    pub fn tasks(&self, stack: &str) -> Result<Vec<Value>, String> {
        let answer = self.ask("GET", &format!("/tasks?filters={}", label_filter(stack)))?;
        match answer.json() {
            Value::Array(tasks) => Ok(tasks),
            _ => Err(answer.body),
        }
    }

    /// How many tasks of `service` run and are meant to.
    pub fn running(&self, stack: &str, service: &str) -> Result<usize, String> {
        let services = self.services(stack)?;
        let name = format!("{stack}_{service}");
        let id =
            services.iter().find(|one| one["Spec"]["Name"] == name.as_str()).ok_or_else(|| format!("no service {name}"))?["ID"].clone();
        let runs = |task: &&Value| task["ServiceID"] == id && task["DesiredState"] == "running" && task["Status"]["State"] == "running";
        Ok(self.tasks(stack)?.iter().filter(runs).count())
    }

    /// What is left of a stack: services, networks, secrets and configs.
    pub fn remains(&self, stack: &str) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        for kind in ["services", "networks", "secrets", "configs"] {
            let answer = self.ask("GET", &format!("/{kind}?filters={}", label_filter(stack)))?.json();
            for one in answer.as_array().into_iter().flatten() {
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
        match self.inside {
            Some(pid) => {
                let pid = pid.to_string();
                child::output("nsenter", &[["--target", &pid, "--net"].as_slice(), &curl].concat())
            }
            None => child::output("curl", &curl[1..]),
        }
    }

    /// Ends the private engine; [`Self::let_go`] lets it start again.
    pub fn stop(&self) {
        std::fs::write(self.directory.join("hold"), "").expect("the engine's directory is writable");
        self.kill("TERM");
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

    fn daemon(&self) -> Option<u32> {
        let inside = self.inside.expect("only a private engine may be stopped");
        child::children(inside).into_iter().find(|(_, name)| name == "dockerd").map(|(pid, _)| pid)
    }

    /// Services and tasks of a stack in short, for a failed test.
    pub fn describe(&self, stack: &str) -> String {
        let mut lines = Vec::new();
        for task in self.tasks(stack).unwrap_or_default() {
            let (status, image) = (&task["Status"], &task["Spec"]["ContainerSpec"]["Image"]);
            lines.push(format!(
                "task {image} wants {} is {} {} {}",
                task["DesiredState"], status["State"], status["Message"], status["Err"]
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

/// `{"label":["com.docker.stack.namespace=NAME"]}`, percent-encoded where it must be.
fn label_filter(stack: &str) -> String {
    format!("%7B%22label%22%3A%5B%22com.docker.stack.namespace%3D{stack}%22%5D%7D")
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _gone = child::signal(self.script.id(), "TERM");
        let _ended = self.script.wait();
    }
}

//! Several private engines that form one swarm: `packaging/dev/swarm.sh` starts them and takes them down.

use super::child;
use super::engine::Engine;
use super::until;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

/// A node is told to be down 12 to 16 s after its last sign of life; a new leader is there as soon.
const NOTICED: Duration = Duration::from_secs(60);

/// The engines; dropped, they are gone.
pub struct Swarm {
    script: Child,
    pub engines: Vec<Engine>,
}

impl Swarm {
    /// Why this machine has none.
    pub fn lacks() -> Option<String> {
        let probe = "ip link add axt0 type bridge && command -v dockerd busybox iptables curl";
        child::output("unshare", &["--net", "sh", "-c", probe]).err().map(|_| "needs root, dockerd, a network bridge".to_owned())
    }

    /// One for each of these roles, `manager` or `worker`; the first is a manager, and leads.
    pub fn start(directory: &Path, roles: &[&str]) -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/dev/swarm.sh");
        let mut script = child::bound("TERM", path);
        let mut script = script.arg(directory).args(roles).stdout(Stdio::piped()).spawn().expect("the script starts");
        let lines = BufReader::new(script.stdout.take().expect("it is piped")).lines();
        let lines: Vec<String> = lines.take(roles.len()).map(|line| line.expect("the script's output")).collect();
        assert_eq!(lines.len(), roles.len(), "the swarm does not start");
        let engine = |(n, line): (usize, &String)| Engine::of_line(line, &directory.join((n + 1).to_string()));
        Self { engines: lines.iter().enumerate().map(engine).collect(), script }
    }

    /// The id of the node that an engine is.
    pub fn node(&self, engine: usize) -> String {
        let info = self.engines[engine].call("GET", "/info", &Value::Null).expect("the engine answers");
        info["Swarm"]["NodeID"].as_str().expect("it is in the swarm").to_owned()
    }

    /// Asks the first engine to let a node take tasks, or not.
    pub fn set_availability(&self, node: &str, word: &str) {
        let engine = &self.engines[0];
        let now = engine.call("GET", &format!("/nodes/{node}"), &Value::Null).expect("the node is there");
        let mut spec = now["Spec"].clone();
        spec["Availability"] = json!(word);
        let path = format!("/nodes/{node}/update?version={}", now["Version"]["Index"]);
        engine.call("POST", &path, &spec).expect("the node is updated");
    }

    /// Waits until an engine says that a node is `ready` or `down`.
    pub fn until_node_is(&self, engine: usize, node: &str, state: &str) {
        until(&format!("the node is {state}"), NOTICED, || {
            let now = self.engines[engine].call("GET", &format!("/nodes/{node}"), &Value::Null)?;
            if now["Status"]["State"] == state { Ok(()) } else { Err(now["Status"].to_string()) }
        });
    }
}

impl Drop for Swarm {
    fn drop(&mut self) {
        let _gone = child::signal(self.script.id(), "TERM");
        let _ended = self.script.wait();
    }
}

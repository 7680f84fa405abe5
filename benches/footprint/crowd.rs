//! A private engine with fifty containers that sleep.

use super::support::engine::{Engine, IMAGE, Kind};
use super::support::{child, processor};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;
use uuid::Uuid;

/// The number that the budgets speak of.
pub const CONTAINERS: usize = 50;

/// They run; dropped, they are gone with their engine.
pub struct Crowd {
    engine: Engine,
    /// The engine's own processes: itself and its containerd.
    processes: Vec<u32>,
}

impl Crowd {
    /// Starts the engine and the containers.
    pub fn gather() -> Self {
        let folder: PathBuf = std::env::temp_dir().join(format!("axion-footprint-{}", Uuid::new_v4().simple()));
        let engine = Engine::start(&folder, Kind::Private).expect("a private engine");
        for _ in 0..CONTAINERS {
            let body = json!({"Image": IMAGE, "Cmd": ["sleep", "1000000"]});
            let made = engine.call("POST", "/containers/create", &body).expect("a container is made");
            let id = made["Id"].as_str().expect("its id");
            engine.call("POST", &format!("/containers/{id}/start"), &json!(null)).expect("it starts");
        }
        let dockerd = processor::listener(engine.socket());
        let containerd = child::children(dockerd).into_iter().filter(|(_, name)| name == "containerd").map(|(pid, _)| pid);
        let processes = [dockerd].into_iter().chain(containerd).collect();
        Self { engine, processes }
    }

    /// For `docker.host`.
    pub fn host(&self) -> String {
        self.engine.host()
    }

    /// Processor time that the engine has used, its containerd with it.
    pub fn used(&self) -> Duration {
        self.processes.iter().map(|&pid| processor::of_process(pid)).sum()
    }
}

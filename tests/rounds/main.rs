//! The Docker CLI and the agent take turns with the same file, and no task notices: thirty files with much of what
//! a Compose file can say, against a real engine.
//!
//! For each: the CLI deploys it, the agent adopts it, the agent deploys it again and writes nothing, the CLI deploys it
//! again, the agent too, and the agent goes back to the revision that it adopted.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests, though clippy cannot see it: they have no libtest"
)]

#[path = "../support/mod.rs"]
mod support;

use axion_agent::domain::{Action, Deploy, Rollback, Sensitive};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::{Lanes, Need, Stage, Test, Told, free_port, run, until};

/// What the files name.
const SHIPPED: [(&str, &str); 2] = [("word.txt", "one"), ("app.env", "C=3\nA=from the file\n")];
/// At least so many there are.
const FILES: usize = 30;
/// The tests run side by side, each with every fifth file.
const PARTS: usize = 5;
/// For tasks that start.
const SOON: Duration = Duration::from_secs(90);

const NEEDS: &[Need] = &[Need::Engine, Need::DockerCli];

const TESTS: &[Test] = &[
    Test { name: "taking_turns_with_the_cli_replaces_no_task_1", needs: NEEDS, body: |stage| part(stage, 0) },
    Test { name: "taking_turns_with_the_cli_replaces_no_task_2", needs: NEEDS, body: |stage| part(stage, 1) },
    Test { name: "taking_turns_with_the_cli_replaces_no_task_3", needs: NEEDS, body: |stage| part(stage, 2) },
    Test { name: "taking_turns_with_the_cli_replaces_no_task_4", needs: NEEDS, body: |stage| part(stage, 3) },
    Test { name: "taking_turns_with_the_cli_replaces_no_task_5", needs: NEEDS, body: |stage| part(stage, 4) },
];

fn main() -> std::process::ExitCode {
    run("rounds", TESTS)
}

fn part(stage: &Stage, part: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rounds");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= FILES, "{files:?}");
    for file in files.iter().skip(part).step_by(PARTS) {
        round(stage, file);
    }
}

fn round(stage: &Stage, file: &Path) {
    let name = file.file_stem().unwrap().to_str().unwrap();
    let both = Both::new(stage, file);
    both.cli();
    both.until_all_run();
    let tasks = both.lanes.running();

    // Whether a content is the same is asked by an update of its labels: the one write of an adoption.
    let services = both.versions(&["services"]);
    both.agent(name);
    assert_eq!(both.lanes.running(), tasks, "{name}: the agent adopts it");
    assert_eq!(both.versions(&["services"]), services, "{name}: the agent adopts it");

    let versions = both.versions(&KINDS);
    let told = both.agent(name);
    assert_eq!(told.detail("changed"), false, "{name}");
    assert_eq!((both.lanes.running(), both.versions(&KINDS)), (tasks.clone(), versions), "{name}: the agent again");

    both.cli();
    assert_eq!(both.lanes.running(), tasks, "{name}: the CLI again");
    both.agent(name);
    assert_eq!(both.lanes.running(), tasks, "{name}: the agent after the CLI");

    let versions = both.versions(&KINDS);
    let back = Rollback { target: both.lanes.target(), to_revision: Some(1), timeout_seconds: None, dry_run: false };
    both.lanes.run(Action::Rollback(back)).completed();
    assert_eq!((both.lanes.running(), both.versions(&KINDS)), (tasks, versions), "{name}: back to what was adopted");
}

/// Objects that a write shows on: their versions, and the ids of networks.
const KINDS: [&str; 4] = ["services", "secrets", "configs", "networks"];

/// One stack that both deploy.
struct Both<'a> {
    lanes: Lanes<'a>,
    text: String,
    variables: BTreeMap<String, String>,
}

impl<'a> Both<'a> {
    fn new(stage: &'a Stage, file: &Path) -> Self {
        let lanes = Lanes::start(stage);
        let text = std::fs::read_to_string(file).unwrap();
        for (name, content) in SHIPPED {
            std::fs::write(lanes.folder.join(name), content).unwrap();
        }
        std::fs::write(lanes.folder.join("stack.yml"), &text).unwrap();
        let (port, stack) = (free_port().to_string(), lanes.stack.to_string());
        let variables = [("PORT", port), ("STACK", stack), ("WORD", "two words".to_owned())];
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { lanes, text, variables }
    }

    #[allow(clippy::disallowed_methods, reason = "the agent has no children, this is the program that it takes turns with")]
    fn cli(&self) {
        let mut docker = std::process::Command::new("docker");
        docker.arg("-H").arg(self.lanes.engine.host()).args(["stack", "deploy", "--detach=true", "--resolve-image", "never", "-c"]);
        docker.arg("stack.yml").arg(self.lanes.stack.as_str()).current_dir(&self.lanes.folder).envs(&self.variables);
        let output = docker.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn agent(&self, name: &str) -> Told {
        let files = SHIPPED.iter().map(|(name, content)| ((*name).to_owned(), content.as_bytes().to_vec())).collect();
        let (env, files) = (Sensitive::new(self.variables.clone()), Sensitive::new(files));
        let request = Deploy { env, files, ..self.lanes.deploy(self.text.clone()) };
        let told = self.lanes.run(Action::Deploy(request)).completed();
        for service in told.detail("services").as_array().unwrap() {
            assert_eq!(service["action"], "unchanged", "{name}: {:#?}", told.outcome);
        }
        told
    }

    /// Each object with what changes when it is written.
    fn versions(&self, kinds: &[&str]) -> BTreeMap<String, Value> {
        let of_kind = |kind: &&str| self.lanes.list(kind).into_iter().map(|object| (identity(&object), object["Version"].clone()));
        kinds.iter().flat_map(of_kind).collect()
    }

    /// Waits until every task that is wanted runs.
    fn until_all_run(&self) {
        until("all tasks run", SOON, || {
            let services = self.lanes.engine.call("GET", "/services?status=true", &Value::Null)?;
            let of_stack = |service: &&Value| service["Spec"]["Labels"]["com.docker.stack.namespace"] == self.lanes.stack.as_str();
            let own: Vec<&Value> = services.as_array().unwrap().iter().filter(of_stack).collect();
            let runs = |service: &&Value| {
                let (status, replicas) = (&service["ServiceStatus"], &service["Spec"]["Mode"]["Replicated"]["Replicas"]);
                // A service is there before its tasks are.
                status["RunningTasks"] == status["DesiredTasks"] && (status["DesiredTasks"] != 0 || *replicas == 0)
            };
            if own.iter().all(runs) { Ok(()) } else { Err(self.lanes.engine.describe(self.lanes.stack.as_str())) }
        });
    }
}

fn identity(object: &Value) -> String {
    object["ID"].as_str().or_else(|| object["Id"].as_str()).unwrap().to_owned()
}

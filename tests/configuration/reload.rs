//! SIGHUP: what is taken over, what waits for a restart, and what a broken file does.

use super::support::{Agent, Bed, Launch, Stage, free_port, until};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use uuid::Uuid;

/// The agent looks at its engine, which is not there, every few seconds.
const NOTICE: Duration = Duration::from_secs(10);

/// An agent with a file of its own and nothing around it.
pub struct Alone {
    file: PathBuf,
    log: PathBuf,
    fixed: String,
    agent: Option<Agent>,
}

impl Alone {
    pub fn start(stage: &Stage, text: &str) -> Self {
        Self::with(stage, "id = \"alone\"", text)
    }

    /// One that shows a token.
    pub fn enrolling(stage: &Stage, token: &str, text: &str) -> Self {
        Self::with(stage, &format!("id = \"alone\"\ntoken = \"{token}\""), text)
    }

    fn with(stage: &Stage, identity: &str, text: &str) -> Self {
        let directory = stage.directory().join(Uuid::new_v4().simple().to_string());
        std::fs::create_dir_all(&directory).unwrap();
        let port = free_port();
        let place = directory.display();
        let fixed = format!(
            "[agent]\n{identity}\nstate_dir = \"{place}/state\"\n[local]\nipc_socket_path = \"{place}/agent.sock\"\n\
             [health]\nport = {port}\n[docker]\nhost = \"{place}/none\"\n"
        );
        let mut alone = Self { file: directory.join("agent.toml"), log: directory.join("agent.log"), fixed, agent: None };
        alone.write(text);
        alone.agent = Some(Agent::start(Launch::Direct, &alone.file, port, &alone.log));
        alone
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.file, format!("{}{text}", self.fixed)).unwrap();
    }

    pub fn agent(&self) -> &Agent {
        self.agent.as_ref().unwrap()
    }

    pub fn reload(&self, text: &str) {
        self.write(text);
        self.agent.as_ref().unwrap().reload();
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// What `/readyz` says of the configuration.
    pub fn configuration(&self) -> Value {
        let health = self.agent.as_ref().unwrap().page("/readyz").unwrap().json();
        health["dependencies"].as_array().unwrap().iter().find(|one| one["name"] == "configuration").unwrap().clone()
    }
}

pub fn local(stage: &Stage) {
    let alone = Alone::start(stage, "revisions = 3\n[logging]\nlevel = \"info\"\nformat = \"json\"\n");
    assert!(!alone.log().contains("DEBUG"), "{}", alone.log());

    // What can be taken over is, without another process.
    alone.reload("revisions = 4\n[logging]\nlevel = \"debug\"\nformat = \"text\"\n");
    assert!(alone.log().contains("changed: docker.revisions, logging.level, logging.format"), "{}", alone.log());
    until("the log is finer", NOTICE, || if alone.log().contains(" DEBUG [docker-events]") { Ok(()) } else { Err(alone.log()) });
    assert_eq!(alone.configuration()["state"], "ready");
    assert_eq!(alone.configuration()["detail"], Value::Null);

    // The rest is named until it is taken back.
    alone.reload("lanes = 5\nrevisions = 4\n[logging]\nlevel = \"debug\"\n[kafka]\ncommand_topic = \"other\"\n");
    let found = alone.configuration();
    assert_eq!(found["detail"], "needs a restart: kafka.command_topic, docker.lanes", "{found}");
    assert_eq!(found["state"], "ready", "{found}");
    alone.reload("lanes = 5\n");
    assert_eq!(alone.configuration()["detail"], "needs a restart: docker.lanes");
    alone.reload("");
    assert_eq!(alone.configuration()["detail"], Value::Null);
}

pub fn broken(stage: &Stage) {
    let alone = Alone::start(stage, "revisions = 3\n[logging]\nlevel = \"debug\"\n");
    alone.reload("revisions = 0\ndeploy_timeout = \"soon\"\n[logging]\nlevel = \"error\"\n");
    let found = alone.configuration();
    assert_eq!(found["state"], "not_ready", "{found}");
    let error = found["last_error"].as_str().unwrap();
    for words in [
        "the new configuration is not used, the one before holds on: ",
        "agent.toml:10:13: docker.revisions: 0 is outside of 1 to 100; ",
        "agent.toml:11:18: docker.deploy_timeout: \"soon\" is no span of time",
    ] {
        assert!(error.contains(words), "{words} is not in {error}");
    }
    let before = alone.log().matches("DEBUG").count();
    until("the log is as fine as before", NOTICE, || match alone.log().matches("DEBUG").count() {
        now if now > before => Ok(()),
        now => Err(now.to_string()),
    });

    std::fs::remove_file(&alone.file).unwrap();
    alone.agent.as_ref().unwrap().reload();
    assert!(alone.configuration()["last_error"].as_str().unwrap().contains("cannot read the configuration"));

    alone.reload("");
    assert_eq!(alone.configuration()["state"], "ready");
}

pub fn commands(stage: &Stage) {
    let bed = Bed::start(stage);
    let code = |command_type: &str| {
        let end = bed.carry_out(bed.draft(command_type));
        (end.event_type, end.payload["details"]["code"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(code("Remove").0, "CommandFailed", "there is no such stack");
    let text = bed.configuration();
    bed.reconfigure(&format!("{text}[security]\nallowed_commands = [\"GetStatus\", \"HealthCheck\"]\n"));
    bed.agent().reload();
    assert_eq!(code("Remove"), ("CommandRejected".to_owned(), "command.not_allowed".to_owned()));
    assert_eq!(code("HealthCheck").0, "StatusReport");
    bed.reconfigure(&text);
    bed.agent().reload();
    assert_eq!(code("Remove").0, "CommandFailed");
}

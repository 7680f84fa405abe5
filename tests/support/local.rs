//! An agent in local mode for one test, with a folder of its own, and the command line that speaks to it.

use super::agent::{Agent, Launch};
use super::bed::free_port;
use super::runner::Stage;
use super::{processor, schema};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// From its start until it is ready, engine included.
const READY: Duration = Duration::from_secs(20);

/// Of a service that is there at once and ends at once.
pub const QUICK: &str = "image: 'axion-test/box:1', init: true, stop_grace_period: 1s";

pub struct Local<'a> {
    stage: &'a Stage,
    folder: PathBuf,
    config: PathBuf,
    port: u16,
    agent: Option<Agent>,
    /// The stack of the test: its own on an engine that several share.
    pub stack: String,
}

impl<'a> Local<'a> {
    /// Starts it, with these lines more in its configuration.
    pub fn start(stage: &'a Stage, name: &str, more: &str) -> Self {
        let folder = stage.directory().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let (config, port) = (folder.join("agent.toml"), free_port());
        let text = format!(
            "[agent]\nid = \"{name}\"\nstate_dir = \"{0}/state\"\n[docker]\nhost = \"{1}\"\n[health]\nport = {port}\n[local]\n\
             ipc_socket_path = \"{0}/s\"\n{more}",
            folder.display(),
            stage.engine().host()
        );
        std::fs::write(&config, text).unwrap();
        let stack = format!("local-{name}-{}", std::process::id());
        let mut local = Self { stage, folder, config, port, agent: None, stack };
        local.start_agent();
        local
    }

    pub fn start_agent(&mut self) {
        let agent = Agent::start(Launch::Direct, &self.config, self.port, &self.folder.join("log"));
        agent.wait_ready(READY);
        self.agent = Some(agent);
    }

    pub fn stop_agent(&mut self) {
        let (status, _) = self.agent.take().expect("it runs").terminate();
        assert!(status.success(), "{status}");
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.join(name), text).unwrap();
    }

    /// The command line, with `STACK` in its words for the test's own.
    #[allow(clippy::disallowed_methods, reason = "the program under test is a child process of its test")]
    pub fn command(&self, words: &[&str]) -> Command {
        let program = std::env::var_os("AXION_TEST_AGENT").map_or_else(|| env!("CARGO_BIN_EXE_axion-agent").into(), PathBuf::from);
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AXION_AGENT")) {
            command.env_remove(name);
        }
        command.env("AXION_AGENT_CONFIG", &self.config).env("HOME", &self.folder).env_remove("DOCKER_HOST").current_dir(&self.folder);
        command.args(words.iter().map(|word| word.replace("STACK", &self.stack))).stdin(Stdio::null());
        command
    }

    pub fn run(&self, words: &[&str]) -> Said {
        let output = self.command(words).output().unwrap();
        Said { words: words.join(" "), output }
    }

    /// A script of its folder, to which the program is `axion-agent`.
    #[allow(clippy::disallowed_methods, reason = "the program under test is a child process of its test")]
    pub fn shell(&self, script: &str) -> Said {
        let words = self.command(&[]);
        let program = PathBuf::from(words.get_program());
        let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("bash");
        shell.arg(script).env("PATH", path).current_dir(&self.folder).stdin(Stdio::null());
        for (name, value) in words.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        Said { words: script.to_owned(), output: shell.output().unwrap() }
    }

    /// Runs it so that it may go on.
    pub fn begin(&self, words: &[&str]) -> Child {
        self.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// What it prints on success.
    pub fn good(&self, words: &[&str]) -> String {
        let told = self.run(words);
        assert_eq!(told.code(), 0, "{told:?}\n{}", self.log());
        told.out()
    }

    /// The same with --json: a document that is as its schema says.
    pub fn document(&self, name: &str, words: &[&str]) -> Value {
        let text = self.good(&[words, &["--json"]].concat());
        let document = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{words:?}: {error}: {text}"));
        schema::check(name, &document);
        document
    }

    /// The same for lines; all of them.
    pub fn lines(&self, name: &str, words: &[&str]) -> Vec<Value> {
        let text = self.good(&[words, &["--json"]].concat());
        assert!(schema::check_lines(name, &text) > 0, "{words:?}");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The commands that the help names.
    pub fn commands(&self) -> Vec<String> {
        let overview = self.good(&["--help"]);
        let named = overview.lines().skip_while(|line| !line.ends_with(':')).take_while(|line| *line != "Options:");
        let named = named.filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
        named.map(|line| line.split("  ").next().unwrap_or_default().to_owned()).collect()
    }

    /// The processor time of the agent so far.
    pub fn used(&self) -> Duration {
        processor::of_process(self.agent.as_ref().expect("it runs").pid())
    }

    pub fn log(&self) -> String {
        self.agent.as_ref().map(Agent::log_tail).unwrap_or_default()
    }
}

impl Drop for Local<'_> {
    fn drop(&mut self) {
        drop(self.agent.take());
        self.stage.engine().remove(&self.stack);
    }
}

/// What a command line said.
#[derive(Debug)]
pub struct Said {
    words: String,
    output: Output,
}

impl Said {
    pub fn code(&self) -> i32 {
        self.output.status.code().unwrap_or(-1)
    }

    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// It ended so, with this code and a next step.
    pub fn fails(&self, exit: i32, code: &str) {
        assert_eq!(self.code(), exit, "{}: {}{}", self.words, self.out(), self.err());
        assert!(self.err().contains(&format!(" [{code}]\n")) && self.err().contains("\n  next: "), "{}: {}", self.words, self.err());
    }
}

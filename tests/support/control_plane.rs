//! The development control plane as a process of its own: killed and started again, it must forget nothing.

use super::commands::{Draft, Record};
use super::events::EventRecord;
use super::session::book::{Follow, Line};
use super::session::local::{self, Enough, Reply, Request};
use super::{TOKEN, child, until};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// From the start of the process to its word that it is ready.
const START: Duration = Duration::from_secs(20);
/// How long it may take to write something down.
const KEEP: Duration = Duration::from_secs(20);

/// The process; dropped, it is killed.
pub struct ControlPlane {
    process: Child,
    listen: String,
    brokers: String,
    folder: PathBuf,
    agent: String,
    /// Further words of its command line.
    more: Vec<String>,
}

impl ControlPlane {
    /// Where the program is, if it was built.
    pub fn program() -> Result<PathBuf, String> {
        let path = Path::new(env!("CARGO_BIN_EXE_axion-agent")).with_file_name("examples").join("control_plane");
        if path.is_file() { Ok(path) } else { Err("needs the program: cargo build --example control_plane".to_owned()) }
    }

    /// Starts it for one agent; what it must not forget is in `folder`.
    pub fn start(listen: &str, brokers: &str, folder: &Path, agent: &str, more: &[&str]) -> Self {
        let (listen, brokers, folder, agent) = (listen.to_owned(), brokers.to_owned(), folder.to_owned(), agent.to_owned());
        let more: Vec<String> = more.iter().map(|&word| word.to_owned()).collect();
        let process = spawn(&listen, &brokers, &folder, &more);
        Self { process, listen, brokers, folder, agent, more }
    }

    /// Ends it as a power cut would, and starts it again.
    pub fn kill_and_restart(&mut self) {
        self.process.kill().expect("the control plane can be killed");
        self.process.wait().expect("the control plane was ours");
        self.process = spawn(&self.listen, &self.brokers, &self.folder, &self.more);
    }

    /// Gives it an action for the agent.
    pub fn act(&self, draft: Draft) -> Uuid {
        self.act_record(draft.record())
    }

    /// The same with a record that is made already.
    pub fn act_record(&self, record: Record) -> Uuid {
        let id = record.command_id.expect("a draft has an id");
        let command = String::from_utf8(record.body).expect("a record is text");
        self.keep(&Request::Send { agent: self.agent.clone(), id, command });
        id
    }

    /// The terminal event of an action.
    pub fn end_of(&self, id: Uuid, within: Duration) -> EventRecord {
        let mut end = None;
        let waited = local::insist(
            &self.folder,
            Instant::now() + within,
            || Request::Wait { id, seen: 0 },
            |reply| {
                let Reply::Event(event) = reply else { return Enough::NotYet };
                let event: EventRecord = serde_json::from_value(event).expect("an event");
                end = Some(event).filter(|event| event.terminal);
                if end.is_some() { Enough::Yes } else { Enough::NotYet }
            },
        );
        waited.unwrap_or_else(|error| panic!("no end of {id} within {} s: {error}", within.as_secs()));
        let end: EventRecord = end.expect("it waited for the end");
        assert!(super::bed::is_in_the_trace_of_its_command(&end), "{end:?}");
        end
    }

    /// What its program prints as a client of it.
    pub fn by_hand(&self, verb: &str, words: &[&str]) -> Result<String, String> {
        let (program, folder) = (Self::program()?, self.folder.display().to_string());
        let whole = [&[verb, "--sessions", &folder, "--agent", &self.agent], words].concat();
        child::output(&program.display().to_string(), &whole)
    }

    /// Follows the log of a service, from some lines back.
    pub fn follow(&self, project: &str, stack: &str, service: &str, tail: u32) -> String {
        let id = Uuid::new_v4().to_string();
        let (agent, project, stack, service) = (self.agent.clone(), project.to_owned(), stack.to_owned(), service.to_owned());
        self.keep(&Request::Follow { follow: Follow { id: id.clone(), agent, project, stack, service, tail }, after: 0 });
        id
    }

    /// The code with which the agent has ended a log.
    pub fn end_of_log(&self, id: &str, within: Duration) -> String {
        // It is known: only its id counts.
        let text = String::new;
        let follow = Follow { id: id.to_owned(), agent: text(), project: text(), stack: text(), service: text(), tail: 0 };
        let mut end = None;
        let request = || Request::Follow { follow: follow.clone(), after: u64::MAX };
        let waited = local::insist(&self.folder, Instant::now() + within, request, |reply| {
            let Reply::End { code, .. } = reply else { return Enough::NotYet };
            end = Some(code);
            Enough::Yes
        });
        waited.unwrap_or_else(|error| panic!("no end of the log {id} within {} s: {error}", within.as_secs()));
        end.expect("it waited for the end")
    }

    /// Ends it.
    pub fn end_follow(&self, id: &str) {
        self.keep(&Request::EndFollow { id: id.to_owned() });
    }

    /// The lines of a log that were written down so far.
    pub fn lines(&self, id: &str) -> Vec<Line> {
        let Ok(file) = File::open(self.folder.join("logs").join(format!("{id}.jsonl"))) else { return Vec::new() };
        BufReader::new(file).lines().map_while(|line| serde_json::from_str(&line.ok()?).ok()).collect()
    }

    /// What the agent did wrong with a log, in words.
    pub fn faults(&self, id: &str) -> String {
        std::fs::read_to_string(self.folder.join("logs").join(format!("{id}.faults"))).unwrap_or_default()
    }

    fn keep(&self, request: &Request) {
        let kept = |reply| if matches!(reply, Reply::Kept) { Enough::Yes } else { Enough::NotYet };
        local::insist(&self.folder, Instant::now() + KEEP, || request.clone(), kept).expect("the control plane writes it down");
    }
}

fn spawn(listen: &str, brokers: &str, folder: &Path, more: &[String]) -> Child {
    std::fs::create_dir_all(folder).expect("a folder for the control plane");
    let output = folder.join("output");
    let mut command = child::bound("KILL", ControlPlane::program().expect("the test said that it needs the program"));
    command.args(["serve", "--token", TOKEN, "--listen", listen, "--brokers", brokers, "--sessions"]).arg(folder).args(more);
    let text = File::create(&output).expect("a file for its output");
    let errors = text.try_clone().expect("the same file again");
    let mut process = command.stdout(Stdio::from(text)).stderr(Stdio::from(errors)).spawn().expect("setpriv and the control plane start");
    until("the control plane is ready", START, || {
        let said = std::fs::read_to_string(&output).unwrap_or_default();
        match process.try_wait() {
            Ok(None) if said.lines().any(|line| line == "ready") => Ok(()),
            Ok(None) => Err(said),
            ended => panic!("the control plane has ended ({ended:?}): {said}"),
        }
    });
    process
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.process.kill();
        let _status = self.process.wait();
    }
}

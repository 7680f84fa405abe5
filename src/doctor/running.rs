//! The agent that runs, if one does: found by the lock on its journal and by its health pages, and what it says of itself.

use super::catalogue::{AGENT_RUNNING, AGENT_SOCKET};
use super::process::Process;
use super::{Finding, Settings, Vantage, http};
use crate::journal::{self, Holder};
use crate::threads::Deadline;
use serde::Deserialize;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::time::Duration;

/// A page of an agent that lives comes within milliseconds.
const PAGE: Duration = Duration::from_secs(2);
/// So long is the name of its process, in `comm`.
const NAME: &str = "axion-agent";

/// A dependency as the agent reports it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Reported {
    /// Such as `kafka_producer`.
    pub name: String,
    /// `off`, `connecting`, `ready`, `not_ready`.
    pub state: String,
    /// What went wrong last.
    #[serde(default)]
    pub last_error: Option<String>,
}

/// What is known of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Running {
    /// Who holds the journal; none where that cannot be seen.
    pub(super) holder: Option<Holder>,
    /// The agent's process, where it is known.
    pub(super) process: Option<Process>,
    /// What it says of its dependencies; none where nobody answers.
    pub(super) reported: Option<Vec<Reported>>,
}

impl Running {
    /// Whether an agent runs.
    pub(super) fn is(&self) -> bool {
        self.process.is_some() || self.reported.is_some()
    }

    /// What it says of one dependency.
    pub(super) fn dependency(&self, name: &str) -> Option<&Reported> {
        self.reported.as_ref()?.iter().find(|one| one.name == name)
    }
}

/// Looks for it.
pub(super) fn find(settings: &Settings) -> Running {
    let holder = journal::holder(&settings.journal.directory).ok();
    if let Vantage::Agent(reported) = &settings.vantage {
        return Running { holder, process: Process::own(), reported: Some(reported.clone()) };
    }
    let process = match holder {
        Some(Holder::Process(pid)) => Process::read(pid).filter(|process| process.name == NAME),
        _ => None,
    };
    Running { holder, process, reported: ask(settings.health) }
}

/// The process of the agent that runs, where it can be seen.
#[must_use]
pub fn agent_process(settings: &Settings) -> Option<u32> {
    find(settings).process.map(|process| process.pid)
}

/// One of the health pages.
///
/// # Errors
/// When nobody answers in time, or not with HTTP.
pub fn page(health: SocketAddr, path: &str, time: Duration) -> io::Result<http::Answer> {
    http::over_tcp(reachable(health), path, Deadline::after(time))
}

fn ask(health: SocketAddr) -> Option<Vec<Reported>> {
    #[derive(Deserialize)]
    struct Page {
        dependencies: Vec<Reported>,
    }
    let answer = page(health, "/readyz", PAGE).ok()?;
    serde_json::from_slice::<Page>(&answer.body).ok().map(|page| page.dependencies)
}

/// Where a server that is bound to every address is found.
pub(super) fn reachable(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    SocketAddr::new(ip, bound.port())
}

pub(super) fn look(settings: &Settings, running: &Running) -> Vec<Finding> {
    let mut found = vec![judge(running)];
    if let Some(socket) = &settings.socket {
        found.push(judge_socket(&see(socket), running).about(socket.display().to_string()));
    }
    found
}

fn judge(running: &Running) -> Finding {
    let who = running.process.as_ref().map_or_else(|| "an agent".to_owned(), Process::label);
    let Some(reported) = &running.reported else {
        return match &running.process {
            Some(_) => AGENT_RUNNING
                .warn(format!("{who} runs, and its health pages do not answer"))
                .mend("See health.bind and health.port, and the agent's log: `journalctl -u axion-agent`."),
            None => AGENT_RUNNING.warn("no agent runs with this state directory and health port"),
        };
    };
    let in_state = |state: &str| {
        let told = |one: &Reported| match &one.last_error {
            Some(error) => format!("{} is {state} ({error})", one.name),
            None => format!("{} is {state}", one.name),
        };
        reported.iter().filter(|one| one.state == state).map(told).collect::<Vec<String>>()
    };
    let (wrong, waiting) = (in_state("not_ready"), in_state("connecting"));
    match (wrong.is_empty(), waiting.is_empty()) {
        (true, true) => AGENT_RUNNING.ok(format!("{who} runs and is ready")),
        (true, false) => AGENT_RUNNING.warn(format!("{who} runs: {}", waiting.join("; "))),
        (false, _) => AGENT_RUNNING.fail(format!("{who} runs: {}", [wrong, waiting].concat().join("; "))),
    }
}

/// What is where a socket should be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Nothing,
    SomethingElse,
    Answers,
    Refuses(String),
}

fn see(socket: &Path) -> Place {
    let Ok(metadata) = std::fs::metadata(socket) else { return Place::Nothing };
    if !metadata.file_type().is_socket() {
        return Place::SomethingElse;
    }
    match std::os::unix::net::UnixStream::connect(socket) {
        Ok(_) => Place::Answers,
        Err(error) => Place::Refuses(error.to_string()),
    }
}

fn judge_socket(place: &Place, running: &Running) -> Finding {
    match place {
        Place::Answers => AGENT_SOCKET.ok("it takes connections"),
        Place::Nothing | Place::Refuses(_) if !running.is() => AGENT_SOCKET.skipped("no agent runs"),
        Place::Nothing => AGENT_SOCKET.warn("an agent runs, and its socket is not there"),
        Place::SomethingElse => AGENT_SOCKET.fail("that is no socket").mend("Remove the file, and restart the agent."),
        Place::Refuses(reason) => AGENT_SOCKET.fail(format!("it takes no connections: {reason}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn an_agent_that_waits_for_something_fails_with_its_own_words() {
        let one =
            |state: &str, error: Option<&str>| Reported { name: "docker".into(), state: state.into(), last_error: error.map(Into::into) };
        let with = |reported: Vec<Reported>| Running { reported: Some(reported), ..Running::default() };
        let process = || Some(Process { pid: 5, name: "axion-agent".into(), ..Process::default() });
        for (running, state, part) in [
            (Running::default(), State::Warn, "no agent runs"),
            (Running { process: process(), ..Running::default() }, State::Warn, "do not answer"),
            (with(vec![one("ready", Some("old")), one("off", None)]), State::Ok, "is ready"),
            (with(vec![one("not_ready", Some("socket away"))]), State::Fail, "socket away"),
            (with(vec![one("connecting", None)]), State::Warn, "docker is connecting"),
        ] {
            let finding = judge(&running);
            assert_eq!(finding.state, state, "{finding:?}");
            assert!(finding.summary.contains(part), "{finding:?}");
        }
    }

    #[test]
    fn a_socket_matters_while_an_agent_runs() {
        let refuses = Place::Refuses("refused".into());
        let (idle, runs) = (Running::default(), Running { reported: Some(Vec::new()), ..Running::default() });
        for (place, running, state) in [
            (&Place::Answers, &idle, State::Ok),
            (&Place::Nothing, &idle, State::Skipped),
            (&refuses, &idle, State::Skipped),
            (&Place::Nothing, &runs, State::Warn),
            (&refuses, &runs, State::Fail),
            (&Place::SomethingElse, &idle, State::Fail),
        ] {
            assert_eq!(judge_socket(place, running).state, state, "{place:?} {running:?}");
        }
    }
}

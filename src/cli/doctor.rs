//! `doctor`: looks at everything that the agent needs, in this process, and adds what a running agent sees otherwise.

use super::client::socket_of_environment;
use super::invocation::Output;
use super::{Exit, print};
use crate::agent::diagnosis;
use crate::config::{Salvaged, Sources, salvage};
use crate::doctor::{self, Finding, Line, Seen, State};
use crate::threads::{ThreadName, side_by_side};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The agent's own look takes as long as ours.
const AGENT: Duration = doctor::TOTAL.saturating_add(Duration::from_secs(2));

/// All that was found.
pub(super) struct Examined {
    ours: Vec<Finding>,
    agent: Agent,
}

/// What the running agent says.
enum Agent {
    /// It sees these things otherwise.
    Differs(Vec<Seen>),
    /// Nobody could be asked; why.
    Silent(String),
}

/// Looks, and prints what was found.
pub(super) fn doctor(file: Option<PathBuf>, output: Output) -> Exit {
    let read = salvage(&Sources::of_process(file.clone()).with_credentials_of_unit());
    let examined = examine(&read, agents_socket(file.as_deref(), &read));
    let printed = match output {
        Output::Text | Output::Names => print::out(&examined.text()),
        Output::Json => print::out(&format!("{}\n", examined.json())),
    };
    if examined.has_failed() { Exit::Failed } else { printed }
}

/// Where the running agent is asked, as every other command finds it: a configuration `file` that is named is meant,
/// whatever the environment says.
pub(super) fn agents_socket(file: Option<&Path>, read: &Salvaged) -> Option<PathBuf> {
    let named = socket_of_environment().filter(|_| file.is_none());
    named.or_else(|| read.config.local.as_ref().map(|local| local.socket.clone()))
}

/// Looks, while a running agent does, if there is one to be asked.
pub(super) fn examine(read: &Salvaged, socket: Option<PathBuf>) -> Examined {
    let both = side_by_side(&[ThreadName::new("doctor-agent")], 2, |number| match (number, &socket) {
        (0, _) => Look::Ours(doctor::examine(&diagnosis::of_operator(read))),
        (_, Some(socket)) => Look::Agents(ask(socket)),
        (_, None) => Look::Agents(Err("local.enabled is false".to_owned())),
    });
    let (mut ours, mut agents) = (Vec::new(), Err(String::new()));
    for look in both {
        match look {
            Look::Ours(findings) => ours = findings,
            Look::Agents(seen) => agents = seen,
        }
    }
    let agent = agents.map_or_else(Agent::Silent, |seen| Agent::Differs(doctor::differing(&ours, seen)));
    Examined { ours, agent }
}

/// One of the two looks.
enum Look {
    Ours(Vec<Finding>),
    Agents(Result<Vec<Seen>, String>),
}

fn ask(socket: &Path) -> Result<Vec<Seen>, String> {
    #[derive(Deserialize)]
    struct Page {
        checks: Vec<Seen>,
    }
    let answer = doctor::over_unix(socket, "/v1/doctor", AGENT).map_err(|error| format!("{}: {error}", socket.display()))?;
    if answer.status != 200 {
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let message = said["error"]["message"].as_str().unwrap_or("it does not say why");
        return Err(format!("{} answers with status {}: {message}", socket.display(), answer.status));
    }
    let page: Page =
        serde_json::from_slice(&answer.body).map_err(|error| format!("{} answers with something else: {error}", socket.display()))?;
    Ok(page.checks)
}

impl Examined {
    fn agents(&self) -> &[Seen] {
        match &self.agent {
            Agent::Differs(seen) => seen,
            Agent::Silent(_) => &[],
        }
    }

    fn has_failed(&self) -> bool {
        self.count(State::Fail) > 0
    }

    fn count(&self, state: State) -> usize {
        let ours = self.ours.iter().filter(|finding| finding.state == state).count();
        ours + self.agents().iter().filter(|seen| seen.state == state).count()
    }

    pub(super) fn json(&self) -> Value {
        let agent = match &self.agent {
            Agent::Differs(seen) => json!({ "answers": true, "checks": seen }),
            Agent::Silent(reason) => json!({ "answers": false, "reason": reason, "checks": [] }),
        };
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "ok": !self.has_failed(),
            "counts": {
                "ok": self.count(State::Ok),
                "warn": self.count(State::Warn),
                "fail": self.count(State::Fail),
                "skipped": self.count(State::Skipped),
            },
            "checks": self.ours,
            "agent": agent,
        })
    }

    fn text(&self) -> String {
        let mut text = doctor::text(self.ours.iter().map(Line::from));
        text.push('\n');
        match &self.agent {
            Agent::Differs(seen) if seen.is_empty() => text.push_str("The running agent sees the same.\n"),
            Agent::Differs(seen) => {
                text.push_str("The running agent sees otherwise:\n\n");
                text.push_str(&doctor::text(seen.iter().map(Line::from)));
                text.push('\n');
            }
            Agent::Silent(reason) => text.push_str(&format!("No running agent was asked: {reason}\n")),
        }
        let [ok, warn, fail, skipped] = [State::Ok, State::Warn, State::Fail, State::Skipped].map(|state| self.count(state));
        text.push_str(&format!("{ok} ok, {warn} to look at, {fail} failed, {skipped} skipped\n"));
        text
    }
}

//! `update status`, `check`, `apply` and `rollback`: the agent is asked. `update helper` is root's side of it, and asks
//! nobody.

use super::client::{Client, Request};
use super::config::invalid;
use super::deploy::{Given, command};
use super::failure::Failure;
use super::invocation::{Call, Output, Update, Wait};
use super::look::read;
use super::next::About;
use super::terminal::{Page, ago, tame};
use super::{Exit, print, wire};
use crate::agent;
use crate::config::{Sources, load_for_helper};
use crate::domain::Release;
use crate::update::{Fault, Served, trusted};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// The agent may look over the network first.
const CHECK: Duration = Duration::from_secs(60);

/// Does it.
pub(super) fn update(call: &Call, what: &Update) -> Result<Exit, Failure> {
    let client = Client::of(&call.reach);
    match what {
        Update::Status => {
            let answer = client.fetch(&Request::get("/v1/update"))?;
            let status: wire::Versions = read(&answer)?;
            Ok(match call.output {
                Output::Json => print::out(&format!("{answer}\n")),
                Output::Text | Output::Names => print::out(&status_text(&status, &Page::of_stdout())),
            })
        }
        Update::Check => {
            let answer = client.fetch(&Request::post("/v1/update/check").within(CHECK))?;
            let checked: wire::Checked = read(&answer)?;
            if let (Some(code), Some(message)) = (&checked.code, &checked.message) {
                return Err(Failure::of_code(code, tame(message), &About::default()));
            }
            Ok(match call.output {
                Output::Json => print::out(&format!("{answer}\n")),
                Output::Text | Output::Names => print::out(&format!("{}\n", offer(&checked))),
            })
        }
        Update::Apply(to, wait) => apply(&client, to, *wait, call.output),
    }
}

fn apply(client: &Client, to: &Release, wait: Wait, output: Output) -> Result<Exit, Failure> {
    let request = match to {
        Release::Newest => Request::post("/v1/update/apply"),
        Release::Version(version) => Request::post("/v1/update/apply").body(json!({"version": version})),
        Release::Manifest(url) => Request::post("/v1/update/apply").body(json!({"manifest_url": url})),
        Release::Previous => Request::post("/v1/update/rollback"),
    };
    command(client, request, output, Given::new(wait, None, About::default()))
}

/// Root's side.
pub(super) fn help(file: Option<PathBuf>) -> Result<Exit, Failure> {
    let sources = Sources::of_process(file);
    let config = load_for_helper(&sources).map_err(|error| invalid(&error))?;
    let failed = |fault: Fault| Failure::of_code(fault.code().as_str(), fault.to_string(), &About::default());
    // Its keys are what is believed.
    sources.path().map_or(Ok(()), |path| trusted(&path)).map_err(failed)?;
    match agent::help(&config).map_err(failed)? {
        Served::Nothing => Ok(print::out("nothing was asked for\n")),
        Served::Done(words) => Ok(print::out(&format!("{words}\n"))),
        // The agent is told why, and tells whoever gave the command; the helper itself has done what it should.
        Served::Refused(words) => {
            print::err(format!("axion-agent: refused: {words}"));
            Ok(Exit::Done)
        }
    }
}

fn offer(checked: &wire::Checked) -> String {
    match (&checked.version, checked.installable) {
        (Some(version), true) => format!("{} is offered: axion-agent update apply installs it", tame(version)),
        (Some(version), false) => format!("{} is offered, and runs already", tame(version)),
        (None, _) => "nothing was looked at yet".to_owned(),
    }
}

fn status_text(status: &wire::Versions, page: &Page) -> String {
    let mut text = format!("axion-agent {} runs\n", tame(&status.running));
    let mut line = |name: &str, value: String| text += &format!("  {name:<10}{}\n", tame(&value));
    line("package", status.package.clone());
    if let Some(current) = &status.current {
        let runs = if *current == status.running { "" } else { ", which does not run" };
        line("current", format!("{current}{runs}"));
    }
    if let Some(previous) = &status.previous {
        line("previous", previous.clone());
    }
    if let Some(trial) = &status.trial {
        line("trial", trial_text(trial, page));
        if !trial.outages_before.is_empty() {
            line("", format!("not ready before it, and not held against it: {}", trial.outages_before.join(", ")));
        }
    }
    if let Some(held) = &status.held {
        line("held", held.clone());
    }
    line("channel", status.channel.clone());
    let checked = &status.last_check;
    line(
        "offered",
        match (&checked.at, &checked.message) {
            (None, _) => "nobody has looked yet: axion-agent update check does".to_owned(),
            (Some(at), Some(message)) => format!("{message} [{}] ({})", checked.code.as_deref().unwrap_or_default(), ago(at, page.now)),
            (Some(at), None) => {
                let source = checked.source.as_deref().unwrap_or_default().replace('_', " ");
                format!("{} ({source}, {})", offer(checked), ago(at, page.now))
            }
        },
    );
    let floors = [("version", &status.version_floor), ("security", &status.security_floor)];
    let floors: Vec<String> = floors.iter().filter_map(|(name, floor)| Some(format!("{name} {}", floor.as_ref()?))).collect();
    if !floors.is_empty() {
        line("floors", floors.join(", "));
    }
    if let Some(refused) = &status.refused {
        line("refused", format!("{} [{}]", refused.message, refused.code));
    }
    text
}

fn trial_text(trial: &wire::Trial, page: &Page) -> String {
    let allowed = trial.attempts_allowed.map_or_else(String::new, |allowed| format!(" of {allowed}"));
    let how = match (&trial.verdict, &trial.reason) {
        (Some(verdict), Some(reason)) => format!("{}: {reason}", verdict.replace('_', " ")),
        _ => format!("goes on, start {}{allowed}; else {} comes back", trial.attempts, trial.goes_back_to),
    };
    format!("of {} since {}: {how}", trial.version, ago(&trial.since, page.now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::terminal::Colour;
    use crate::domain::Timestamp;
    use serde_json::Value;

    fn shown(answer: Value) -> String {
        let page = Page { width: None, colour: Colour::Off, now: Timestamp::parse("2026-01-31T12:03:00Z").unwrap() };
        status_text(&read(&answer).unwrap(), &page)
    }

    #[test]
    fn the_status_says_what_runs_and_why_not() {
        let text = shown(json!({
            "running": "1.0.0", "package": "1.0.0", "channel": "stable", "last_check": {},
            "refused": {"code": "update.disabled", "message": "updates are turned off"},
        }));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "axion-agent 1.0.0 runs",
                "  package   1.0.0",
                "  channel   stable",
                "  offered   nobody has looked yet: axion-agent update check does",
                "  refused   updates are turned off [update.disabled]",
            ]
        );
        let text = shown(json!({
            "running": "1.2.0", "package": "1.0.0", "channel": "stable", "current": "1.2.0", "previous": "1.1.0",
            "version_floor": "1.1.0", "security_floor": "1.0.5",
            "last_check": {"at": "2026-01-31T12:00:00Z", "source": "manifest_url", "version": "1.2.0", "installable": false},
            "trial": {"version": "1.2.0", "since": "2026-01-31T12:02:00Z", "goes_back_to": "1.1.0", "attempts": 1, "attempts_allowed": 3,
                      "outages_before": ["kafka_consumer"]},
        }));
        for line in [
            "  current   1.2.0\n",
            "  trial     of 1.2.0 since 1 min ago: goes on, start 1 of 3; else 1.1.0 comes back\n",
            "not held against it: kafka_consumer\n",
            "  offered   1.2.0 is offered, and runs already (manifest url, 3 min ago)\n",
            "  floors    version 1.1.0, security 1.0.5\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}

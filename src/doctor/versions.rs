//! What runs here: agent, kernel, distribution, engine. Facts for people who help from afar; no verdicts.

use super::{QUESTION, Settings};
use crate::docker;
use crate::threads::Deadline;
use serde_json::{Value, json};
use std::fs;

/// As JSON.
#[must_use]
pub fn versions(settings: &Settings) -> Value {
    let line = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    let engine = match docker::examine(&settings.engine, Deadline::after(QUESTION)) {
        Ok(engine) => {
            json!({ "version": engine.version, "api": engine.api, "cgroup_version": engine.cgroup_version, "cgroup_driver": engine.cgroup_driver })
        }
        Err(error) => json!({ "error": error.to_string() }),
    };
    json!({
        "agent": env!("CARGO_PKG_VERSION"),
        "build": {
            "architecture": std::env::consts::ARCH,
            "environment": if cfg!(target_env = "musl") { "musl" } else { "gnu" },
            "profile": if cfg!(debug_assertions) { "debug" } else { "release" },
        },
        "kernel": line("/proc/sys/kernel/osrelease"),
        "os": os(&line("/etc/os-release")),
        "init": line("/proc/1/comm"),
        "engine": engine,
    })
}

/// os-release(5).
fn os(text: &str) -> Value {
    let value = |key: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        lines.find(|(found, _)| *found == key).map(|(_, value)| value.trim_matches('"').to_owned())
    };
    json!({ "id": value("ID"), "version": value("VERSION_ID"), "name": value("PRETTY_NAME") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_says_what_it_is() {
        let seen = os("NAME=x\nID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n");
        assert_eq!(seen, json!({ "id": "debian", "version": "12", "name": "Debian GNU/Linux 12 (bookworm)" }));
    }
}

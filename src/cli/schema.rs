//! The published JSON Schemas (draft 2020-12), compiled in: what `--json` prints, what goes over Kafka, what IPC takes.

use super::failure::{Failure, codes};
use super::{Exit, print};

macro_rules! schemas {
    ($($name:literal: $what:literal,)*) => {
        /// Every name.
        pub const NAMES: &[&str] = &[$($name),*];

        /// Each with what it describes, and its text.
        const ALL: &[(&str, &str, &str)] =
            &[$(($name, $what, include_str!(concat!("../../docs/schema/", $name, ".json")))),*];
    };
}

schemas! {
    "command-record": "a command in the Kafka command topic",
    "event": "an event: in the event topic, of `plan --json`",
    "event-line": "a line of `deploy --json`, `events --json` and their like",
    "error": "what a command prints with --json when it fails, and what IPC answers then",
    "accepted": "`deploy --detach --json` and its like",
    "stacks": "`stacks --json`",
    "stack": "`services --json` and `ps --json`",
    "status": "`status --json`",
    "commands": "`commands --json`",
    "command": "`commands ID --json`",
    "log-level": "`log-level --json`, and what /v1/logging answers",
    "log-line": "a line of `logs --json`",
    "update": "`update status --json`",
    "update-check": "`update check --json`",
    "render": "`render`",
    "config-check": "`config check --json`",
    "config-show": "`config show --json`",
    "doctor": "`doctor --json`",
    "enroll": "`enroll --json`",
    "unenroll": "`unenroll --json`",
    "envelope": "what `keys sign` prints: a command, or the manifest of an update, with its signatures",
    "keys-generate": "`keys generate --json`",
    "keys-verify": "`keys verify --json`",
    "ipc-deploy": "the body of POST /v1/stacks/NAME/deploy and plan",
    "ipc-change": "the body of POST /v1/stacks/NAME/scale, rollback, stop, start and restart",
}

/// Prints one, or the list of them.
pub(super) fn schema(name: Option<&str>) -> Result<Exit, Failure> {
    let Some(name) = name else {
        let width = NAMES.iter().map(|name| name.len()).max().unwrap_or_default();
        return Ok(print::out(&ALL.iter().map(|(name, what, _)| format!("{name:width$}  {what}\n")).collect::<String>()));
    };
    match ALL.iter().find(|(known, ..)| *known == name) {
        Some((_, _, text)) => Ok(print::out(text)),
        None => Err(Failure::new(Exit::Usage, codes::USAGE, format!("there is no schema {name:?}"), "axion-agent schema lists them")),
    }
}

//! What the engine says of one task, and which stable code its trouble has.
//!
//! Pure. [`super::watch`] counts these; nothing here decides how often is too often.

use crate::docker::types::{Task, TaskState};
use crate::domain::Code;

/// How the engine words each trouble; the first that fits counts. The texts are those of moby
/// 20.10 to 28 (daemon/cluster/executor, daemon/images, libnetwork) and of the registry API.
const WORDS: &[(&str, Code)] = &[
    ("no such image", Code::IMAGE_NOT_FOUND),
    ("manifest unknown", Code::IMAGE_NOT_FOUND),
    ("repository does not exist", Code::IMAGE_NOT_FOUND),
    ("no basic auth credentials", Code::IMAGE_AUTH),
    ("authentication required", Code::IMAGE_AUTH),
    ("unauthorized", Code::IMAGE_AUTH),
    ("access denied", Code::IMAGE_AUTH),
    ("toomanyrequests", Code::IMAGE_PULL),
    ("failed to pull", Code::IMAGE_PULL),
    ("error pulling image", Code::IMAGE_PULL),
    ("/v2/", Code::IMAGE_PULL),
    ("port is already allocated", Code::PORT_CLASH),
    ("address already in use", Code::PORT_CLASH),
    ("already in use by service", Code::PORT_CLASH),
    ("unhealthy container", Code::UNHEALTHY),
    ("starting container failed", Code::TASK_REJECTED),
    ("oci runtime", Code::TASK_REJECTED),
];

/// The code of an error by its words; none if they say nothing special.
pub(super) fn of_words(error: &str) -> Option<Code> {
    let error = error.to_lowercase();
    WORDS.iter().find(|(words, _)| error.contains(words)).map(|(_, code)| *code)
}

/// What is wrong with a task, if anything is.
pub(super) fn of_task(task: &Task) -> Option<Code> {
    let error = &task.status.err;
    match task.status.state {
        TaskState::Rejected => Some(of_words(error).unwrap_or(Code::TASK_REJECTED)),
        TaskState::Failed => Some(of_words(error).unwrap_or(Code::CRASH_LOOP)),
        TaskState::New | TaskState::Allocated | TaskState::Pending => of_waiting(error),
        _ => None,
    }
}

/// Why a task has no node: swarmkit's scheduler explains it as `no suitable node (…)`, and of a global service, whose nodes are given, as what
/// stands there in brackets. Nobody else says anything of a task that waits.
fn of_waiting(error: &str) -> Option<Code> {
    if error.contains("host-mode port already in use") {
        Some(Code::PORT_CLASH)
    } else {
        (!error.is_empty()).then_some(Code::NO_SUITABLE_NODE)
    }
}

/// The trouble of a task in the engine's words, or in ours where it has none.
pub(super) fn words(task: &Task) -> String {
    match task.error() {
        Some(error) => error,
        None if task.status.state == TaskState::Complete => "the task ended with exit code 0, but it is to run for good".to_owned(),
        None => format!("the task is {} without a reason", task.status.state),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn task(state: &str, error: &str) -> Task {
        let status = json!({"State": state, "Err": error});
        serde_json::from_value(json!({"ID": "t", "Version": {"Index": 1}, "Status": status, "DesiredState": "running"})).unwrap()
    }

    /// Words recorded from engines 20.10.24 and 28.5.
    #[test]
    fn each_trouble_has_its_code() {
        for (state, error, code) in [
            ("rejected", "No such image: nosuch/image:1", Some(Code::IMAGE_NOT_FOUND)),
            (
                "rejected",
                "invalid mount config for type \"bind\": bind source path does not exist: /no/such/dir",
                Some(Code::TASK_REJECTED),
            ),
            ("failed", "task: non-zero exit (3)", Some(Code::CRASH_LOOP)),
            ("failed", "", Some(Code::CRASH_LOOP)),
            ("failed", "task: non-zero exit (143): dockerexec: unhealthy container", Some(Code::UNHEALTHY)),
            (
                "failed",
                "starting container failed: failed to create shim task: OCI runtime create failed: exec: \"/no/such/binary\": no such file",
                Some(Code::TASK_REJECTED),
            ),
            (
                "failed",
                "starting container failed: driver failed programming external connectivity: Bind for 0.0.0.0:80 failed: port is already allocated",
                Some(Code::PORT_CLASH),
            ),
            ("pending", "no suitable node (scheduling constraints not satisfied on 1 node)", Some(Code::NO_SUITABLE_NODE)),
            ("pending", "no suitable node (insufficient resources on 1 node)", Some(Code::NO_SUITABLE_NODE)),
            ("pending", "no suitable node (host-mode port already in use on 1 node)", Some(Code::PORT_CLASH)),
            ("pending", "insufficient resources on 1 node", Some(Code::NO_SUITABLE_NODE)),
            ("pending", "", None),
            ("preparing", "", None),
            ("running", "", None),
        ] {
            assert_eq!(of_task(&task(state, error)), code, "{state} {error}");
        }
    }

    #[test]
    fn a_registry_that_refuses_is_not_a_missing_image() {
        for (words, code) in [
            ("Head \"http://127.0.0.1:5000/v2/box/manifests/1\": no basic auth credentials", Some(Code::IMAGE_AUTH)),
            ("unauthorized: authentication required", Some(Code::IMAGE_AUTH)),
            ("manifest unknown: manifest unknown", Some(Code::IMAGE_NOT_FOUND)),
            ("pull access denied for a/b, repository does not exist or may require 'docker login'", Some(Code::IMAGE_NOT_FOUND)),
            ("Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io: no such host", Some(Code::IMAGE_PULL)),
            ("something else", None),
        ] {
            assert_eq!(of_words(words), code, "{words}");
        }
    }
}

//! The end of a command as an exit code and words. Pure.

use super::Exit;
use super::failure::{Failure, exit_of};
use super::next::{About, step, step_without_tasks};
use super::wire::{Event, Service};
use crate::domain::Code;
use serde_json::Value;
use std::fmt::Write as _;

const ROLLED_BACK: &str = "The stack was rolled back.";
/// The same in full: to which revision …
const TO_REVISION: &str = "The stack was rolled back: it is at its last good revision";
/// … and where there was none.
const AS_BEFORE: &str = "The stack was rolled back: it is as it was before this deploy.";
const REMOVED_AGAIN: &str = "The stack was rolled back: what this deploy had made was removed again.";
const LEFT: &str = "The stack was not rolled back: it is as the deploy left it.";
const LEFT_TO_SWARM: &str = "The stack was not rolled back: but for the services that Swarm takes back itself it is as the deploy left it.";
const UNCHANGED: &str = "Nothing was changed.";
/// What a Rollback or a Start leaves that failed …
const HALF_WAY: &str = "The stack is left half-way";
/// … and what can be done about it.
const OUT_OF_IT: &str = "give the command again, roll back to another revision, or deploy";

/// How the process exits after a terminal event.
pub(super) fn exit(end: &Event) -> Exit {
    if !end.is_failed() {
        return Exit::Done;
    }
    let code = end.code().unwrap_or_default();
    let details = &end.payload.details;
    match exit_of(code) {
        Exit::Failed if end.event_type == "DeployFailed" => match details.rolled_back {
            Some(Value::Bool(true)) => Exit::RolledBack,
            // There is nothing to roll back: the stack is as it was.
            _ if details.changed == Some(false) => Exit::Failed,
            _ => Exit::NotRolledBack,
        },
        exit => exit,
    }
}

/// A bad end.
pub(super) fn failure(end: &Event, about: &About) -> Failure {
    let code = end.code().unwrap_or("command.failed");
    let details = &end.payload.details;
    let said = &end.payload.message;
    let mut message = said.clone();
    for service in &details.services {
        for error in service.errors.iter().filter(|error| !said.contains(&error.error)) {
            let times = if error.count > 1 { format!(" ({} times)", error.count) } else { String::new() };
            let _ = write!(message, "\n  {}: {}{times}", service.name, error.error);
        }
    }
    if let Some(state) = what_became(details.rolled_back.as_ref(), details.changed) {
        let all_new = !details.services.is_empty() && details.services.iter().all(|service| service.action == "create");
        let state = match (state, details.to_revision) {
            (ROLLED_BACK, Some(number)) => format!("{TO_REVISION} ({number})."),
            (ROLLED_BACK, None) if all_new => REMOVED_AGAIN.to_owned(),
            (ROLLED_BACK, None) => AS_BEFORE.to_owned(),
            (LEFT, _) if code == Code::UPDATE_ROLLED_BACK.as_str() => LEFT_TO_SWARM.to_owned(),
            (HALF_WAY, Some(number)) => format!("{HALF_WAY} to revision {number}: {OUT_OF_IT}."),
            (HALF_WAY, None) => format!("{HALF_WAY}: {OUT_OF_IT}."),
            (other, _) => other.to_owned(),
        };
        let _ = write!(message, "\n  {state}");
    }
    for note in &details.rollback {
        let _ = write!(message, "\n  on the way back: {note}");
    }
    let next = if have_gone(end) { step_without_tasks(code, about) } else { step(code, about) };
    Failure::new(exit(end), code, message, next)
}

/// Whether the tasks that failed were of services that this deploy made, and that went on the way back.
fn have_gone(end: &Event) -> bool {
    let details = &end.payload.details;
    let failed: Vec<&Service> = details.services.iter().filter(|service| !service.errors.is_empty()).collect();
    let went_back = details.rolled_back.as_ref().is_some_and(|rolled_back| *rolled_back != Value::Bool(false));
    went_back && !failed.is_empty() && failed.iter().all(|service| service.action == "create")
}

/// What a command that failed has left, as far as it says so: only a deploy can have been rolled back.
pub(super) fn what_became(rolled_back: Option<&Value>, changed: Option<bool>) -> Option<&'static str> {
    match (rolled_back, changed) {
        (Some(Value::Bool(true)), _) => Some(ROLLED_BACK),
        (Some(Value::String(_)), _) => Some("The stack could be rolled back only in part."),
        (_, Some(false)) => Some(UNCHANGED),
        (Some(Value::Bool(false)), _) => Some(LEFT),
        (None, Some(true)) => Some(HALF_WAY),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn end(kind: &str, details: &Value) -> Event {
        serde_json::from_value(json!({"event_type": kind, "terminal": true, "payload": {"message": "m", "details": details}})).unwrap()
    }

    #[test]
    fn each_end_has_its_exit_code() {
        for (kind, details, code) in [
            ("DeployCompleted", json!({"changed": true}), 0),
            ("StatusReport", json!({}), 0),
            ("CommandCompleted", json!({}), 0),
            ("DeployFailed", json!({"code": "task.crash_loop", "rolled_back": true, "changed": true}), 5),
            ("DeployFailed", json!({"code": "task.crash_loop", "rolled_back": "partial", "changed": true}), 6),
            ("DeployFailed", json!({"code": "task.crash_loop", "rolled_back": false, "changed": true}), 6),
            ("DeployFailed", json!({"code": "image.not_found", "rolled_back": false, "changed": false}), 1),
            ("DeployFailed", json!({"code": "command.timed_out", "rolled_back": true, "changed": true}), 8),
            ("DeployFailed", json!({"code": "stack.foreign_project", "rolled_back": false, "changed": false}), 7),
            ("DeployFailed", json!({"code": "cancelled", "rolled_back": false, "changed": false}), 1),
            ("DeployFailed", json!({"code": "cancelled", "rolled_back": true, "changed": true}), 5),
            ("RollbackFailed", json!({"code": "revision.not_found"}), 1),
            ("CommandFailed", json!({"code": "service.not_found"}), 1),
            ("CommandFailed", json!({"code": "command.timed_out"}), 8),
            ("CommandFailed", json!({"code": "stack.owned_elsewhere"}), 7),
            ("CommandRejected", json!({"code": "command.not_allowed"}), 7),
            ("CommandRejected", json!({"code": "policy.privileged"}), 7),
            ("CommandRejected", json!({"code": "journal.full"}), 1),
            ("CommandRejected", json!({"code": "command.expired"}), 8),
        ] {
            assert_eq!(exit(&end(kind, &details)).code(), code, "{kind} {details}");
        }
    }

    #[test]
    fn a_failure_says_what_became_of_the_stack_and_what_tasks_said() {
        let details = json!({
            "code": "task.crash_loop", "rolled_back": true, "changed": true, "to_revision": 4,
            "services": [{"name": "web", "errors": [{"error": "exit 1", "count": 5}, {"error": "m", "count": 1}]}],
        });
        let failure = failure(&end("DeployFailed", &details), &About::default());
        assert_eq!(failure.message, "m\n  web: exit 1 (5 times)\n  The stack was rolled back: it is at its last good revision (4).");
        assert!(failure.next.starts_with("axion-agent logs"), "{}", failure.next);
        let details = json!({
            "code": "task.crash_loop", "rolled_back": true, "changed": true,
            "services": [{"name": "web", "action": "create", "errors": [{"error": "m", "count": 1}]}],
        });
        let failure = super::failure(&end("DeployFailed", &details), &About::default());
        assert!(failure.message.ends_with(REMOVED_AGAIN), "{}", failure.message);
        assert!(failure.next.contains("--on-failure leave"), "its service is gone: {}", failure.next);
        let rollback = |details: Value| super::failure(&end("RollbackFailed", &details), &About::default()).message;
        let half_way = rollback(json!({"code": "task.crash_loop", "changed": true, "to_revision": 3}));
        assert_eq!(half_way, format!("m\n  The stack is left half-way to revision 3: {OUT_OF_IT}."));
        assert_eq!(rollback(json!({"code": "task.crash_loop", "changed": true})), format!("m\n  The stack is left half-way: {OUT_OF_IT}."));
        assert_eq!(rollback(json!({"code": "revision.not_found", "changed": false})), "m\n  Nothing was changed.");
        assert_eq!(rollback(json!({"code": "revision.not_found"})), "m", "an older agent does not say");
    }
}

//! What a client is told that does not get what it asked for: a stable code, words, and the HTTP status that fits.

use crate::domain::Code;
use serde_json::{Value, json};

/// A refusal or a failure.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// The HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: &'static str,
    /// One sentence with the next step.
    pub message: String,
}

impl Failure {
    /// With the status that fits the code.
    #[must_use]
    pub fn of(code: Code, message: impl Into<String>) -> Self {
        Self { status: status_of(code), code: code.as_str(), message: message.into() }
    }

    /// Of the wire itself.
    pub(super) fn http(status: u16, code: Code, message: impl Into<String>) -> Self {
        Self { status, ..Self::of(code, message) }
    }

    pub(super) fn body(&self) -> Value {
        json!({"error": {"code": self.code, "message": self.message, "details": {}}})
    }
}

/// By what a person can do about it: mend the request, ask for permission, look for the right name, wait.
fn status_of(code: Code) -> u16 {
    match code {
        Code::NOT_ALLOWED | Code::FOREIGN_PROJECT | Code::OWNED_ELSEWHERE => 403,
        Code::UPDATE_DISABLED | Code::UPDATE_BAD_SIGNATURE | Code::UPDATE_DOWNGRADE | Code::UPDATE_EXPIRED => 403,
        Code::STACK_NOT_FOUND | Code::SERVICE_NOT_FOUND | Code::TASK_NOT_FOUND | Code::NO_REVISION | Code::COMMAND_NOT_FOUND => 404,
        Code::UPDATE_NOT_OFFERED | Code::UPDATE_NO_PREVIOUS => 404,
        Code::CONFLICT | Code::NOT_OPEN | Code::SWARM_ACTIVE | Code::NETWORK_IN_USE | Code::SUBNET_TAKEN | Code::CONTENT_CHANGED => 409,
        Code::UPDATE_BUSY | Code::UPDATE_NOT_FOR_THIS_HOST => 409,
        Code::TOO_LARGE => 413,
        Code::BUSY | Code::TOO_MANY_FOLLOWS => 429,
        Code::UNSUPPORTED | Code::UPDATE_MANAGED_ELSEWHERE => 501,
        Code::ENGINE_AWAY | Code::NOT_MANAGER | Code::SWARM_INACTIVE | Code::LEAVING | Code::NOT_ENROLLED => 503,
        Code::ENGINE_REFUSED | Code::ENGINE_ERROR => 502,
        Code::UPDATE_UNREACHABLE | Code::UPDATE_CHECKSUM | Code::UPDATE_BAD_MANIFEST => 502,
        Code::TIMED_OUT => 504,
        Code::JOURNAL_FULL | Code::JOURNAL_UNAVAILABLE | Code::UPDATE_NO_SPACE => 507,
        _ => 400,
    }
}

//! Why a record is no command: where in it, and what belongs there. Never what stood there.

use crate::domain::{Action, AgentId, Code, Timestamp};
use serde_json::Value;

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum WireError {
    #[error("the record has no value: a command is a JSON object")]
    Empty,
    #[error("the record has {length} bytes, limits.max_message_bytes allows {limit}: send less, or ship large files another way")]
    TooLarge { length: usize, limit: usize },
    #[error("the record is not one JSON object: {0}")]
    NotJson(String),
    #[error("the record has no command_id that can be read: $.command_id must be a UUID, as text")]
    NoCommandId,
    #[error("{path} is missing: expected {expected}")]
    Missing { path: String, expected: &'static str },
    #[error("{path} holds {found}: expected {expected}")]
    Shape { path: String, expected: &'static str, found: &'static str },
    #[error("{path}: {problem}")]
    Value { path: String, problem: String },
    #[error("{path} has {count} entries, at most {limit} are accepted")]
    TooMany { path: String, count: usize, limit: usize },
    #[error("{path} is nested deeper than {limit} levels")]
    TooDeep { path: String, limit: usize },
    #[error("the command is signed for the agent {found}, and this one is {own}: sign it for each agent that is to carry it out")]
    WrongAgent { found: AgentId, own: AgentId },
    #[error("$.expires_at of a signed command must be after $.timestamp, by at most {days} days")]
    Lifetime { days: u64 },
    #[error("the command was issued at {issued}, which is in the future: compare the clocks")]
    NotYetIssued { issued: Timestamp },
    #[error("$.command_type {0:?} is unknown; there are {known}", known = Action::NAMES.join(", "))]
    Unknown(String),
}

impl WireError {
    pub(super) fn code(&self) -> Code {
        match self {
            Self::TooLarge { .. } => Code::TOO_LARGE,
            Self::Unknown(_) => Code::UNSUPPORTED,
            Self::WrongAgent { .. } => Code::SIGNATURE_WRONG_AGENT,
            Self::Lifetime { .. } | Self::NotYetIssued { .. } => Code::SIGNATURE_LIFETIME,
            Self::Empty
            | Self::NotJson(_)
            | Self::NoCommandId
            | Self::Missing { .. }
            | Self::Shape { .. }
            | Self::Value { .. }
            | Self::TooMany { .. }
            | Self::TooDeep { .. } => Code::MALFORMED,
        }
    }
}

/// What a value is, without saying what it holds.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

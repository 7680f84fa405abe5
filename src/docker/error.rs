//! What can go wrong between the agent and the engine, and what each kind means for a command.
//!
//! Pure. The client makes these; rooms and verbs decide by them.

use crate::domain::Code;
use crate::unix_http::Unreachable;
use serde::Deserialize;
use std::time::Duration;

/// The longest text of the engine that is passed on, in characters.
const MAX_MESSAGE: usize = 1000;

/// A call to the engine that did not work. `call` is the method and the path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// No connection: the call was certainly not made.
    #[error(
        "the engine's socket {socket} cannot be reached: {reason}; see that the Docker Engine runs and that the agent may use its socket"
    )]
    Away {
        /// The socket's path.
        socket: String,
        /// What the kernel said.
        reason: String,
    },
    /// The connection broke before the answer was complete: the call may have been carried out.
    #[error("{call}: the connection to the engine broke before its answer came: {reason}")]
    Lost {
        /// The call.
        call: String,
        /// How it broke.
        reason: String,
    },
    /// No answer in time: the call may have been carried out.
    #[error("{call}: no answer of the engine within {:.1} s", after.as_secs_f64())]
    Timeout {
        /// The call.
        call: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The time was over before the call was made.
    #[error("{call}: not asked any more, the time was over")]
    TooLate {
        /// The call.
        call: String,
    },
    /// There is no such object (404).
    #[error("{call}: {message}")]
    NotFound {
        /// The call.
        call: String,
        /// The engine's words.
        message: String,
    },
    /// Another change came first, or the name is taken (409, or an update out of sequence).
    #[error("{call}: {message}")]
    Conflict {
        /// The call.
        call: String,
        /// The engine's words.
        message: String,
    },
    /// Any other refusal.
    #[error("{call}: the engine refused it ({status}): {message}")]
    Refused {
        /// The call.
        call: String,
        /// The HTTP status.
        status: u16,
        /// The engine's words.
        message: String,
    },
    /// An answer that this agent cannot read.
    #[error("{call}: the engine's answer cannot be read: {reason}")]
    Malformed {
        /// The call.
        call: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An engine older than the agent can work with.
    #[error("the engine speaks API {found}, the agent needs at least {needed}: update the Docker Engine")]
    TooOld {
        /// What the engine offers.
        found: String,
        /// What is needed.
        needed: String,
    },
}

/// What a failure means for whoever made the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It may work later.
    Transient,
    /// It will fail again until somebody changes something.
    Permanent,
    /// The agent and the engine misunderstand each other.
    Bug,
}

#[derive(Deserialize)]
struct Body {
    message: String,
}

/// swarmkit's ErrSequenceConflict, which engines pass on with status 500 (moby, daemon/cluster).
const OUT_OF_SEQUENCE: &str = "update out of sequence";
/// What managers say while they have no leader or lose one (moby, daemon/cluster/errors.go; swarmkit, manager/state/raft).
const UNSETTLED: [&str; 4] = ["does not have a leader", "losing leader status", "context deadline exceeded", "raft:"];
/// On a worker (moby, daemon/cluster/errors.go).
const NOT_MANAGER: &str = "is not a swarm manager";

impl EngineError {
    /// From the answer to `call`, which is no success.
    pub(super) fn from_answer(call: String, status: u16, body: &[u8]) -> Self {
        let message = match serde_json::from_slice::<Body>(body) {
            Ok(body) => body.message,
            Err(_) => String::from_utf8_lossy(body).into_owned(),
        };
        // Some have a list in lines of its own; ours are one line.
        let lines: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let message: String = lines.join("; ").replace(":; ", ": ").chars().take(MAX_MESSAGE).collect();
        match status {
            404 => Self::NotFound { call, message },
            409 => Self::Conflict { call, message },
            _ if message.contains(OUT_OF_SEQUENCE) => Self::Conflict { call, message },
            _ => Self::Refused { call, status, message },
        }
    }

    /// From ureq, for a call that was given `after` to end.
    pub(super) fn from_ureq(call: String, socket: &str, after: Duration, error: ureq::Error) -> Self {
        match error {
            ureq::Error::Timeout(_) => Self::Timeout { call, after },
            ureq::Error::Io(error) => Self::Lost { call, reason: error.to_string() },
            ureq::Error::Other(inner) => match inner.downcast::<Unreachable>() {
                Ok(unreachable) => Self::Away { socket: socket.to_owned(), reason: unreachable.to_string() },
                Err(other) => Self::Malformed { call, reason: other.to_string() },
            },
            // Half an answer: the protocol broke off, the effect is as unknown as with a broken connection.
            ureq::Error::Protocol(error) => Self::Lost { call, reason: error.to_string() },
            ureq::Error::BodyStalled => Self::Lost { call, reason: "the answer's body broke off".to_owned() },
            other => Self::Malformed { call, reason: other.to_string() },
        }
    }

    /// What it means for whoever made the call.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Away { .. } | Self::Lost { .. } | Self::Timeout { .. } | Self::TooLate { .. } | Self::Conflict { .. } => Kind::Transient,
            // gRPC's Unavailable and DeadlineExceeded: a manager that starts, or that asked a leader in vain.
            Self::Refused { status: 503 | 504, .. } => Kind::Transient,
            Self::Refused { status: 500, message, .. } if UNSETTLED.iter().any(|words| message.contains(words)) => Kind::Transient,
            Self::NotFound { .. } | Self::Refused { .. } | Self::TooOld { .. } => Kind::Permanent,
            Self::Malformed { .. } => Kind::Bug,
        }
    }

    /// Whether nobody answers, or only a manager without a leader: waiting may help, nothing else does.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        self.kind() == Kind::Transient && !matches!(self, Self::Conflict { .. } | Self::TooLate { .. })
    }

    /// Whether the call may have been carried out although no answer says so.
    #[must_use]
    pub fn leaves_doubt(&self) -> bool {
        // A manager may lose its leader after the leader has written: the same doubt.
        matches!(self, Self::Lost { .. } | Self::Timeout { .. } | Self::Malformed { .. })
            || matches!(self, Self::Refused { .. } if self.kind() == Kind::Transient)
    }

    /// Whether there is no such object.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether somebody else was faster.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }

    /// The stable code of a command that fails because of it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Away { .. } | Self::Lost { .. } | Self::Timeout { .. } => Code::ENGINE_AWAY,
            Self::TooLate { .. } => Code::TIMED_OUT,
            Self::Conflict { .. } => Code::CONFLICT,
            Self::Refused { message, .. } if message.contains(NOT_MANAGER) => Code::NOT_MANAGER,
            // Its swarm has no leader.
            Self::Refused { .. } if self.is_absence() => Code::ENGINE_AWAY,
            Self::Refused { status, .. } if *status >= 500 => Code::ENGINE_ERROR,
            Self::NotFound { .. } | Self::Refused { .. } => Code::ENGINE_REFUSED,
            Self::Malformed { .. } | Self::TooOld { .. } => Code::ENGINE_ERROR,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, message: &str) -> EngineError {
        EngineError::from_answer("POST /x".into(), status, format!(r#"{{"message":"{message}"}}"#).as_bytes())
    }

    #[test]
    fn each_answer_has_its_kind_and_code() {
        for (status, message, kind, code) in [
            (404, "service x not found", Kind::Permanent, Code::ENGINE_REFUSED),
            (409, "name conflicts with an existing object", Kind::Transient, Code::CONFLICT),
            (500, "rpc error: code = Unknown desc = update out of sequence", Kind::Transient, Code::CONFLICT),
            (400, "invalid reference", Kind::Permanent, Code::ENGINE_REFUSED),
            (500, "no space left on device", Kind::Permanent, Code::ENGINE_ERROR),
            (503, "The swarm does not have a leader.", Kind::Transient, Code::ENGINE_AWAY),
            (500, "rpc error: code = DeadlineExceeded desc = context deadline exceeded", Kind::Transient, Code::ENGINE_AWAY),
            (503, "This node is not a swarm manager.", Kind::Transient, Code::NOT_MANAGER),
        ] {
            let error = answer(status, message);
            assert_eq!((error.kind(), error.code()), (kind, code), "{status} {message}");
            assert!(error.to_string().contains(message), "{error}");
        }
    }

    #[test]
    fn an_answer_without_json_is_passed_on_in_short() {
        let error = EngineError::from_answer("GET /x".into(), 502, "é".repeat(5000).as_bytes());
        assert_eq!(error, EngineError::Refused { call: "GET /x".into(), status: 502, message: "é".repeat(MAX_MESSAGE) });
        assert!(answer(400, r"invalid network config:\ninvalid subnet\n").to_string().ends_with("invalid network config: invalid subnet"));
    }

    #[test]
    fn only_a_call_that_was_sent_leaves_doubt() {
        let call = String::from("POST /services/create");
        assert!(EngineError::Lost { call: call.clone(), reason: String::new() }.leaves_doubt());
        assert!(EngineError::Timeout { call: call.clone(), after: Duration::from_secs(1) }.leaves_doubt());
        assert!(!EngineError::TooLate { call }.leaves_doubt());
        assert!(!EngineError::Away { socket: String::new(), reason: String::new() }.leaves_doubt());
        assert!(!answer(500, "update out of sequence").leaves_doubt());
    }
}

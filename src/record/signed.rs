//! A command from afar: plain, or in an envelope that a known key has signed.
//!
//! ORDER: the signature before the body. Of an envelope that proves nothing nothing is read, its command_id included:
//! anybody can write that of another command into a forged one. It has no answer but that it is no command.

use super::command::answer;
use super::error::WireError;
use super::fields::Fields;
use super::head::Head;
use super::limits::MAX_SIGNED_LIFETIME;
use super::{Bearer, Read};
use crate::domain::{AgentId, CLOCK_SKEW, Timestamp};
use crate::signing::{self, KeyId, Keys, PayloadType, Verified};

const SECONDS_OF_A_DAY: u64 = 24 * 60 * 60;

/// What a command from afar is held against.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// Who this agent is: a signed command names whom it is for.
    pub agent: &'a AgentId,
    /// Who may sign.
    pub keys: &'a Keys,
    /// The largest record, in bytes.
    pub max_message_bytes: usize,
}

/// By whom a command is, where that is proven, and what it has to say for itself then.
#[derive(Debug)]
pub(super) struct Signed<'a> {
    pub(super) key: KeyId,
    agent: &'a AgentId,
    at: Timestamp,
}

/// Reads what came at this time; what is wrong with it is part of the answer. What the bearer says counts for a command
/// that is not signed, and only there.
#[must_use]
pub fn receive(bytes: &[u8], bearer: Bearer, terms: &Terms<'_>, at: Timestamp) -> Read {
    let (head, whole) = Head::read(bytes);
    let limit = terms.max_message_bytes;
    if head.payload_type.is_none() {
        return answer(bytes, (head, whole), bearer, limit, None);
    }
    if bytes.len() > limit {
        let error = WireError::TooLarge { length: bytes.len(), limit };
        return Read::Unreadable { code: error.code(), message: error.to_string() };
    }
    match signing::verify(PayloadType::COMMAND, bytes, terms.keys, at) {
        Ok(Verified { key, body }) => {
            let signed = Signed { key, agent: terms.agent, at };
            answer(body.reveal(), Head::read(body.reveal()), Bearer::default(), limit, Some(&signed))
        }
        Err(fault) => Read::Unreadable { code: fault.code(), message: fault.to_string() },
    }
}

impl Signed<'_> {
    /// Whether it is for this agent, and for a bounded time.
    pub(super) fn check(&self, body: &mut Fields, issued: Option<Timestamp>, expires: Option<Timestamp>) -> Result<(), WireError> {
        const AGENT: &str = "the id of the agent that a signed command is for";
        const TIME: &str = "an RFC 3339 time, since the command is signed";
        let missing = |key: &str, expected| WireError::Missing { path: body.path(key), expected };
        let issued = issued.ok_or_else(|| missing("timestamp", TIME));
        let expires = expires.ok_or_else(|| missing("expires_at", TIME));
        let found = body.parsed("agent_id", AGENT, |text| AgentId::new(text))?;
        let found = found.ok_or_else(|| WireError::Missing { path: body.path("agent_id"), expected: AGENT })?;
        if found != *self.agent {
            return Err(WireError::WrongAgent { found, own: self.agent.clone() });
        }
        let (issued, expires) = (issued?, expires?);
        if expires <= issued || expires.since(issued) > MAX_SIGNED_LIFETIME {
            return Err(WireError::Lifetime { days: MAX_SIGNED_LIFETIME.as_secs() / SECONDS_OF_A_DAY });
        }
        if issued > self.at.plus(CLOCK_SKEW) {
            return Err(WireError::NotYetIssued { issued });
        }
        Ok(())
    }
}

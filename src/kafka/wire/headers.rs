//! The headers of the contract: honoured on commands where the body says nothing, written on events.

use crate::domain::{Context, ProjectId, Timestamp, Traceparent};
use crate::record::limits::MAX_CONTEXT_BYTES;
use uuid::Uuid;

pub(super) const CORRELATION_ID: &str = "x-correlation-id";
pub(super) const CAUSATION_ID: &str = "x-causation-id";
pub(super) const USER_ID: &str = "x-user-id";
pub(super) const PROJECT_ID: &str = "x-project-id";
pub(super) const TIMESTAMP: &str = "x-timestamp";
pub(super) const TRACEPARENT: &str = "traceparent";
pub(super) const AGENT_ID: &str = "x-agent-id";
pub(super) const EVENT_ID: &str = "x-event-id";
pub(super) const CONTENT_TYPE: &str = "content-type";
pub(super) const JSON: &str = "application/json";

/// The headers of a record, in order. Kafka allows a name to stand more than once: the last one holds.
pub type Headers = Vec<(String, Vec<u8>)>;

/// A header's text, if it has one.
fn text<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    let (_, value) = headers.iter().rev().find(|(header, _)| header.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(value).ok().filter(|text| !text.is_empty())
}

/// What the headers say of the context. A header that cannot be read is as good as none: the body
/// wins over headers anyhow.
pub(super) fn context(headers: &Headers) -> Context {
    let short = |name| text(headers, name).filter(|text| text.len() <= MAX_CONTEXT_BYTES).map(str::to_owned);
    Context {
        correlation_id: text(headers, CORRELATION_ID).and_then(|text| Uuid::try_parse(text).ok()),
        user_id: short(USER_ID),
        project_id: text(headers, PROJECT_ID).and_then(|text| ProjectId::new(text).ok()),
        traceparent: text(headers, TRACEPARENT).and_then(Traceparent::read),
        retry_attempt: 0,
    }
}

/// When the sender made the record, in Unix milliseconds.
pub(super) fn timestamp(headers: &Headers) -> Option<Timestamp> {
    text(headers, TIMESTAMP)?.parse().ok().and_then(Timestamp::from_foreign_millis)
}

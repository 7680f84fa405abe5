//! Events and dead letters → records.

use super::headers::{self, Headers};
use crate::domain::Event;
use crate::kafka::DeadLetter;
use crate::record;

/// A record to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Decides the partition.
    pub key: Option<Vec<u8>>,
    /// The bytes.
    pub value: Vec<u8>,
    /// In order.
    pub headers: Headers,
}

/// The record of an event.
///
/// # Errors
/// When a timestamp is outside what RFC 3339 can say.
pub fn write_event(event: &Event) -> Result<Outgoing, serde_json::Error> {
    let value = record::write_event(event)?;
    let context = &event.context;
    let project = event.project.as_ref().or(context.project_id.as_ref());
    let headers = [
        (headers::CORRELATION_ID, context.correlation_id.map(|id| id.to_string())),
        (headers::CAUSATION_ID, event.causation_id.map(|id| id.to_string())),
        (headers::USER_ID, context.user_id.clone()),
        (headers::PROJECT_ID, project.map(|project| project.as_str().to_owned())),
        (headers::TIMESTAMP, Some(event.timestamp.as_millis().to_string())),
        (headers::TRACEPARENT, context.traceparent.as_ref().map(ToString::to_string)),
        (headers::AGENT_ID, Some(event.agent_id.as_str().to_owned())),
        (headers::EVENT_ID, Some(event.id.to_string())),
        (headers::CONTENT_TYPE, Some(headers::JSON.to_owned())),
    ];
    Ok(Outgoing { key: Some(event.key().as_bytes().to_vec()), value, headers: present(headers) })
}

/// The record of a dead letter: what was read, and in its headers where, why and how much of it, and the trace that it belongs to.
#[must_use]
pub fn write_dead_letter(letter: &DeadLetter) -> Outgoing {
    let position = &letter.position;
    let headers = [
        ("x-dead-letter-topic", Some(position.topic.clone())),
        ("x-dead-letter-partition", Some(position.partition.to_string())),
        ("x-dead-letter-offset", Some(position.offset.to_string())),
        ("x-dead-letter-length", Some(letter.length.to_string())),
        ("x-dead-letter-sha256", Some(letter.sha256.clone())),
        ("x-dead-letter-code", Some(letter.code.to_string())),
        ("x-dead-letter-message", Some(letter.message.clone())),
        (headers::CORRELATION_ID, letter.context.correlation_id.map(|id| id.to_string())),
        (headers::TRACEPARENT, letter.context.traceparent.as_ref().map(ToString::to_string)),
    ];
    Outgoing { key: letter.key.clone(), value: letter.value.clone(), headers: present(headers) }
}

fn present<const N: usize>(headers: [(&str, Option<String>); N]) -> Headers {
    headers.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.into_bytes()))).collect()
}

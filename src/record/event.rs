//! An event → its bytes.

use crate::domain::{CommandId, Event, EventId, Timestamp, Traceparent};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// The event on the wire, in the order of the contract.
#[derive(Serialize)]
struct EventBody<'a> {
    event_id: EventId,
    event_type: &'static str,
    terminal: bool,
    payload: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causation_id: Option<CommandId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a Traceparent>,
    timestamp: Timestamp,
    agent_id: &'a str,
}

/// The bytes of an event.
///
/// # Errors
/// When a timestamp is outside what RFC 3339 can say.
pub fn write_event(event: &Event) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&EventBody {
        event_id: event.id,
        event_type: event.kind.name(),
        terminal: event.terminal,
        payload: &event.payload,
        correlation_id: event.context.correlation_id,
        causation_id: event.causation_id,
        traceparent: event.context.traceparent.as_ref(),
        timestamp: event.timestamp,
        agent_id: event.agent_id.as_str(),
    })
}

/// What is read of an event that this agent has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Written {
    /// Its id.
    pub event_id: EventId,
    /// Whether it is its command's last word.
    pub terminal: bool,
    /// The command.
    pub causation_id: Option<CommandId>,
}

/// Looks at the bytes of an event; none where they are none.
#[must_use]
pub fn read_event(bytes: &[u8]) -> Option<Written> {
    serde_json::from_slice(bytes).ok()
}

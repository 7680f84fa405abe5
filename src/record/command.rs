//! The bytes of a command → the command, or why they are none.

use super::error::{WireError, kind};
use super::fields::Fields;
use super::head::Head;
use super::limits::{MAX_CONTEXT_BYTES, MAX_DEPTH};
use super::signed::Signed;
use super::{Bearer, Read, payload};
use crate::domain::{Action, CLOCK_SKEW, Command, CommandId, Context, ProjectId, Refusal, Timestamp, Traceparent};
use serde_json::{Map, Value};
use uuid::Uuid;

/// The longest unknown command_type that an answer repeats, in characters.
const SHOWN_TYPE_CHARS: usize = 64;

/// Reads a command whose record the bearer has put together around a payload that came by itself, in these bytes; what is wrong with
/// it is part of the answer. Whoever takes bodies in limits their length.
#[must_use]
pub fn read_around(payload: &[u8], id: CommandId, record: Map<String, Value>, bearer: Bearer) -> Read {
    let Bearer { mut context, made_at } = bearer;
    let command_type = record.get("command_type").and_then(Value::as_str).map(shown);
    let parsed = check_depth(depth(payload) + 1, "$").and_then(|()| command(Fields::root(record), id, &mut context, made_at, None));
    told(parsed, id, command_type, context, None)
}

/// What becomes of bytes that have been looked at; `signed` says by whom they are, where that is proven.
pub(super) fn answer(
    bytes: &[u8],
    (head, whole): (Head, Result<(), WireError>),
    bearer: Bearer,
    max_message_bytes: usize,
    signed: Option<&Signed<'_>>,
) -> Read {
    let Some(id) = head.command_id.as_deref().and_then(|text| CommandId::parse(text).ok()) else {
        let error = match whole {
            _ if bytes.is_empty() => WireError::Empty,
            _ if bytes.len() > max_message_bytes => WireError::TooLarge { length: bytes.len(), limit: max_message_bytes },
            Err(error) => error,
            Ok(()) => WireError::NoCommandId,
        };
        return Read::Unreadable { code: error.code(), message: error.to_string() };
    };
    let Bearer { mut context, made_at } = bearer;
    if let Some(correlation_id) = head.correlation_id.as_deref().and_then(|text| Uuid::try_parse(text).ok()) {
        context.correlation_id = Some(correlation_id);
    }
    // Unlike the rest of the body one that cannot be read refuses nothing, as the recommendation wants it.
    if let Some(traceparent) = head.traceparent.as_deref().and_then(Traceparent::read) {
        context.traceparent = Some(traceparent);
    }
    let command_type = head.command_type.as_deref().map(shown);
    let mut timely_until = None;
    let parsed = if bytes.len() > max_message_bytes {
        Err(WireError::TooLarge { length: bytes.len(), limit: max_message_bytes })
    } else {
        let signed = signed.map(|signed| (signed, &mut timely_until));
        whole.and_then(|()| parse(bytes, "$")).and_then(|envelope| command(Fields::root(envelope), id, &mut context, made_at, signed))
    };
    told(parsed, id, command_type, context, timely_until)
}

fn shown(command_type: &str) -> String {
    command_type.chars().take(SHOWN_TYPE_CHARS).collect()
}

fn told(
    parsed: Result<Command, WireError>,
    id: CommandId,
    command_type: Option<String>,
    context: Context,
    timely_until: Option<Timestamp>,
) -> Read {
    match parsed {
        Ok(command) => Read::Command(command),
        Err(error) => {
            let (code, message) = (error.code(), error.to_string());
            Read::Refused(Refusal { command_id: id, command_type, context, timely_until, code, message })
        }
    }
}

/// The whole command. What could be read of the context, and until when a signed one is timely, stays when the rest is
/// refused.
fn command(
    mut envelope: Fields,
    id: CommandId,
    context: &mut Context,
    made_at: Option<Timestamp>,
    signed: Option<(&Signed<'_>, &mut Option<Timestamp>)>,
) -> Result<Command, WireError> {
    read_context(&mut envelope, context)?;
    let issued_at = envelope.parsed("timestamp", "an RFC 3339 time", Timestamp::parse)?;
    let expires_at = envelope.parsed("expires_at", "an RFC 3339 time", Timestamp::parse)?;
    let signed_by = signed.map(|(signed, timely_until)| {
        *timely_until = expires_at.map(|expires| expires.plus(CLOCK_SKEW));
        signed.check(&mut envelope, issued_at, expires_at).map(|()| signed.key.to_string())
    });
    let signed_by = signed_by.transpose()?;
    let command_type = envelope.required_text("command_type", "the name of a command, such as Deploy")?;
    let payload = payload_object(&mut envelope)?;
    let action = action(&command_type, payload, context)?;
    Ok(Command { id, action, issued_at: issued_at.or(made_at), expires_at, signed_by, context: context.clone() })
}

fn action(command_type: &str, payload: Fields, context: &mut Context) -> Result<Action, WireError> {
    match command_type {
        "Deploy" => payload::deploy(payload, context).map(Action::Deploy),
        "Remove" => payload::remove(payload, context).map(Action::Remove),
        "Scale" => payload::scale(payload, context).map(Action::Scale),
        "Restart" => payload::selection(payload, context).map(Action::Restart),
        "Stop" => payload::selection(payload, context).map(Action::Stop),
        "Start" => payload::selection(payload, context).map(Action::Start),
        "Rollback" => payload::rollback(payload, context).map(Action::Rollback),
        "SwarmInit" => payload::swarm_init(payload, context).map(Action::SwarmInit),
        "SwarmJoin" => payload::swarm_join(payload, context).map(Action::SwarmJoin),
        "SwarmLeave" => payload::swarm_leave(payload, context).map(Action::SwarmLeave),
        "Prune" => payload::prune(payload, context).map(Action::Prune),
        "Update" => payload::update(payload, context).map(Action::Update),
        "Pause" => payload::nothing(payload, context).map(|()| Action::Pause),
        "Resume" => payload::nothing(payload, context).map(|()| Action::Resume),
        "Cancel" => payload::cancel(payload, context).map(Action::Cancel),
        "HealthCheck" => Ok(Action::HealthCheck),
        "Logs" => payload::logs(payload, context).map(Action::Logs),
        "GetStatus" => payload::get_status(payload, context).map(Action::GetStatus),
        other => Err(WireError::Unknown(shown(other))),
    }
}

/// The body wins over the headers, which are in `context` already.
fn read_context(envelope: &mut Fields, context: &mut Context) -> Result<(), WireError> {
    let correlation_id = envelope.parsed("correlation_id", "a UUID", |text| Uuid::try_parse(text).map_err(|_| "expected a UUID"))?;
    let mut metadata = envelope.object("metadata", "an object", usize::MAX)?;
    let user_id = metadata.parsed("user_id", "a string", short)?;
    let project_id = metadata.parsed("project_id", "a string", |text| ProjectId::new(text))?;
    let retry_attempt = metadata.whole("retry_attempt", 0..=u64::from(u32::MAX))?;
    context.correlation_id = correlation_id.or(context.correlation_id);
    context.user_id = user_id.or(context.user_id.take());
    context.project_id = project_id.or(context.project_id.take());
    context.retry_attempt = retry_attempt.and_then(|attempt| u32::try_from(attempt).ok()).unwrap_or(0);
    Ok(())
}

fn short(text: &str) -> Result<String, String> {
    if text.len() > MAX_CONTEXT_BYTES {
        return Err(format!("is longer than {MAX_CONTEXT_BYTES} bytes"));
    }
    Ok(text.to_owned())
}

/// The payload: an object, or the same JSON as an array of bytes (the older encoding). Absent is empty:
/// what a command needs of it is then missing by its own name.
fn payload_object(envelope: &mut Fields) -> Result<Fields, WireError> {
    const EXPECTED: &str = "an object, or an array of bytes holding one";
    let path = envelope.path("payload");
    match envelope.take("payload") {
        None => Fields::of(path, Value::Object(Map::new()), EXPECTED),
        Some(Value::Array(bytes)) => {
            let bytes = bytes
                .iter()
                .enumerate()
                .map(|(index, value)| {
                    let byte = value.as_u64().and_then(|number| u8::try_from(number).ok());
                    byte.ok_or_else(|| WireError::Shape {
                        path: format!("{path}[{index}]"),
                        expected: "a byte (0–255)",
                        found: kind(value),
                    })
                })
                .collect::<Result<Vec<u8>, _>>()?;
            Fields::of(path.clone(), Value::Object(parse(&bytes, &path)?), EXPECTED)
        }
        Some(value) => Fields::of(path, value, EXPECTED),
    }
}

/// The JSON object in `bytes`, which stands at `path`, within the allowed depth.
fn parse(bytes: &[u8], path: &str) -> Result<Map<String, Value>, WireError> {
    check_depth(depth(bytes), path)?;
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(other) => Err(WireError::Shape { path: path.to_owned(), expected: "a JSON object", found: kind(&other) }),
        Err(error) => Err(WireError::Value { path: path.to_owned(), problem: format!("is not JSON: {error}") }),
    }
}

fn check_depth(depth: usize, path: &str) -> Result<(), WireError> {
    if depth > MAX_DEPTH { Err(WireError::TooDeep { path: path.to_owned(), limit: MAX_DEPTH }) } else { Ok(()) }
}

/// How deep objects and arrays are nested; the text need not be well-formed.
fn depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in bytes {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

//! Signed commands by table: whose they are, whom they are for, and until when.

use super::{Bearer, Read, Terms, limits, receive};
use crate::domain::{AgentId, CLOCK_SKEW, Code, Command, CommandId, Context, ProjectId, Refusal, Timestamp};
use crate::signing::{KeyId, Keys, PayloadType, PrivateKey, sign};
use serde_json::{Value, json};
use std::time::Duration;

const ID: &str = "0190a5f0-0000-7000-8000-000000000001";
const CORRELATION: &str = "0190a5f0-0000-7000-8000-000000000002";
const LIMIT: usize = 1 << 20;

struct Desk {
    key: PrivateKey,
    keys: Keys,
    agent: AgentId,
    now: Timestamp,
}

impl Desk {
    fn new() -> Self {
        let key = PrivateKey::generate(KeyId::parse("ops-1").unwrap()).unwrap();
        let mut keys = Keys::default();
        keys.add(key.public().unwrap()).unwrap();
        Self { key, keys, agent: AgentId::new("edge-7").unwrap(), now: Timestamp::parse("2026-06-01T12:00:00Z").unwrap() }
    }

    /// A command that is good.
    fn body(&self) -> Value {
        json!({
            "agent_id": "edge-7", "command_id": ID, "command_type": "Remove", "payload": {"project_id": "p"},
            "timestamp": self.now, "expires_at": self.now.plus(Duration::from_secs(3600)),
        })
    }

    fn signed(&self, body: &Value) -> Vec<u8> {
        sign(PayloadType::COMMAND, body.to_string().as_bytes(), std::slice::from_ref(&self.key)).unwrap()
    }

    fn receive(&self, bytes: &[u8]) -> Read {
        let context = Context { user_id: Some("a header".to_owned()), ..Context::default() };
        let bearer = Bearer { context, made_at: Some(Timestamp::from_millis(1)) };
        receive(bytes, bearer, &Terms { agent: &self.agent, keys: &self.keys, max_message_bytes: LIMIT }, self.now)
    }

    fn command(&self, body: &Value) -> Command {
        match self.receive(&self.signed(body)) {
            Read::Command(command) => command,
            other => panic!("no command: {other:?}"),
        }
    }

    fn refusal(&self, body: &Value) -> Refusal {
        match self.receive(&self.signed(body)) {
            Read::Refused(refusal) => refusal,
            other => panic!("not refused: {other:?}"),
        }
    }

    fn unreadable(&self, bytes: &[u8]) -> (Code, String) {
        match self.receive(bytes) {
            Read::Unreadable { code, message } => (code, message),
            other => panic!("readable: {other:?}"),
        }
    }
}

fn with(mut body: Value, key: &str, value: Value) -> Value {
    body[key] = value;
    body
}

#[test]
fn a_signed_command_is_its_signer_s_and_headers_add_nothing_to_it() {
    let desk = Desk::new();
    let command = desk.command(&desk.body());
    assert_eq!((command.id, command.signed_by.as_deref()), (CommandId::parse(ID).unwrap(), Some("ops-1")));
    let own = Context { project_id: ProjectId::new("p").ok(), ..Context::default() };
    assert_eq!((command.issued_at, command.context), (Some(desk.now), own));
    assert_eq!(command.expires_at.map(|expires| expires.since(desk.now)), Some(Duration::from_secs(3600)));
    let plain = with(desk.body(), "timestamp", Value::Null).to_string();
    let Read::Command(unsigned) = desk.receive(plain.as_bytes()) else { panic!("no command") };
    assert_eq!((unsigned.signed_by, unsigned.context.user_id.as_deref()), (None, Some("a header")));
    assert_eq!(unsigned.issued_at, Some(Timestamp::from_millis(1)));
}

#[test]
fn of_what_nobody_has_signed_nothing_is_believed() {
    let desk = Desk::new();
    let other = Desk::new();
    let envelope: Value = serde_json::from_slice(&desk.signed(&desk.body())).unwrap();
    let forged = |field: &str, value: Value| with(envelope.clone(), field, value).to_string().into_bytes();
    let table = [
        (other.signed(&desk.body()), Code::SIGNATURE_INVALID),
        (forged("payload", json!("e30=")), Code::SIGNATURE_INVALID),
        (forged("payload", json!("?")), Code::SIGNATURE_MALFORMED),
        (forged("payloadType", json!("text/plain")), Code::SIGNATURE_MALFORMED),
        (forged("signatures", json!([{"keyid": "eve-1", "sig": ""}])), Code::SIGNATURE_UNKNOWN_KEY),
    ];
    for (bytes, expected) in table {
        let (code, message) = desk.unreadable(&bytes);
        assert_eq!(code, expected, "{message}");
        assert!(!message.contains(ID), "{message}");
    }
    // What an unsigned command would say counts for nothing beside an envelope, good or forged.
    let Read::Command(command) = desk.receive(&forged("command_id", json!(CORRELATION))) else { panic!("no command") };
    assert_eq!(command.id, CommandId::parse(ID).unwrap());
    let disguised = with(with(envelope.clone(), "payload", json!("e30=")), "command_id", json!(ID));
    assert_eq!(desk.unreadable(disguised.to_string().as_bytes()).0, Code::SIGNATURE_INVALID);
    let broken = [&desk.signed(&desk.body())[..], b"x"].concat();
    assert_eq!(desk.unreadable(&broken).0, Code::SIGNATURE_MALFORMED);
    let nobody = Desk { keys: Keys::default(), ..desk };
    assert_eq!(nobody.unreadable(&nobody.signed(&nobody.body())).0, Code::SIGNATURE_UNKNOWN_KEY);
}

#[test]
fn a_signed_command_says_whom_it_is_for_and_for_how_long() {
    let desk = Desk::new();
    let at = |seconds: i64| json!(Timestamp::from_millis(desk.now.as_millis() + seconds * 1000));
    let times = |issued: i64, expires: i64| with(with(desk.body(), "timestamp", at(issued)), "expires_at", at(expires));
    let (skew, life) = (CLOCK_SKEW.as_secs() as i64, limits::MAX_SIGNED_LIFETIME.as_secs() as i64);
    // Whether it is over is asked when it is let in.
    for good in [times(0, 1), times(0, life), times(skew, skew + 1), times(-life, 0), times(-life - 1, -1)] {
        assert_eq!(desk.command(&good).signed_by.as_deref(), Some("ops-1"), "{good}");
    }
    let table = [
        (
            with(desk.body(), "agent_id", json!("edge-8")),
            Code::SIGNATURE_WRONG_AGENT,
            "signed for the agent edge-8, and this one is edge-7",
        ),
        (with(desk.body(), "agent_id", Value::Null), Code::MALFORMED, "$.agent_id is missing"),
        (with(desk.body(), "agent_id", json!(["edge-7"])), Code::MALFORMED, "$.agent_id holds an array"),
        (with(desk.body(), "agent_id", json!("EDGE-7")), Code::SIGNATURE_WRONG_AGENT, "EDGE-7"),
        (with(desk.body(), "agent_id", json!("edge-7 ")), Code::MALFORMED, "$.agent_id: "),
        (with(desk.body(), "timestamp", Value::Null), Code::MALFORMED, "$.timestamp is missing: expected an RFC 3339 time, since"),
        (with(desk.body(), "expires_at", Value::Null), Code::MALFORMED, "$.expires_at is missing: expected an RFC 3339 time, since"),
        (times(0, 0), Code::SIGNATURE_LIFETIME, "by at most 7 days"),
        (times(0, -1), Code::SIGNATURE_LIFETIME, "by at most 7 days"),
        (times(0, life + 1), Code::SIGNATURE_LIFETIME, "by at most 7 days"),
        (times(skew + 1, skew + 2), Code::SIGNATURE_LIFETIME, "in the future: compare the clocks"),
    ];
    for (body, code, words) in table {
        let refusal = desk.refusal(&body);
        assert_eq!((refusal.code, refusal.command_id), (code, CommandId::parse(ID).unwrap()), "{}", refusal.message);
        assert!(refusal.message.contains(words), "{} for {body}", refusal.message);
    }
}

#[test]
fn a_refusal_of_a_signed_command_is_remembered_for_as_long_as_it_could_come_again() {
    let desk = Desk::new();
    let body = with(with(desk.body(), "command_type", json!("Dance")), "correlation_id", json!(CORRELATION));
    let refusal = desk.refusal(&body);
    assert_eq!((refusal.code, refusal.command_type.as_deref()), (Code::UNSUPPORTED, Some("Dance")));
    assert_eq!(refusal.timely_until, Some(desk.now.plus(Duration::from_secs(3600) + CLOCK_SKEW)));
    assert_eq!(refusal.context.correlation_id.map(|id| id.to_string()).as_deref(), Some(CORRELATION));
    let Read::Refused(unsigned) = desk.receive(body.to_string().as_bytes()) else { panic!("not refused") };
    assert_eq!(unsigned.timely_until, None);
    let nameless = with(desk.body(), "command_id", json!("no"));
    assert_eq!(desk.unreadable(&desk.signed(&nameless)).0, Code::MALFORMED, "true, but nobody can be answered");
    assert_eq!(desk.unreadable(&desk.signed(&json!("no object"))).0, Code::MALFORMED);
    let within: Value = serde_json::from_slice(&desk.signed(&desk.body())).unwrap();
    assert_eq!(desk.unreadable(&desk.signed(&within)).0, Code::MALFORMED, "an envelope within an envelope is no command");
}

#[test]
fn an_envelope_has_the_bounds_of_a_record_and_its_body_those_of_a_command() {
    let desk = Desk::new();
    let large = with(desk.body(), "x", json!("x".repeat(LIMIT)));
    assert_eq!(desk.unreadable(&desk.signed(&large)).0, Code::TOO_LARGE);
    let nested = (0..limits::MAX_DEPTH).fold(json!(1), |inner, _| json!([inner]));
    let refusal = desk.refusal(&with(desk.body(), "x", nested));
    assert!(refusal.message.contains("nested deeper than 32 levels"), "{}", refusal.message);
}

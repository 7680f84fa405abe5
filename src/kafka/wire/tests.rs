//! Records by table: what each turns out to be, and what its answer says and never says.

use super::headers::Headers;
use super::*;
use crate::domain::{
    Action, AgentId, Code, Command, CommandId, Context, Event, EventKind, OnFailure, ProjectId, Prune, Refusal, Release, ResolveImage,
    Stage, SwarmAddresses, SwarmLeave, Timestamp, Traceparent,
};
use crate::kafka::{DeadLetter, Inbound};
use crate::record::{Terms, limits};
use crate::signing::{KeyId, Keys, PayloadType, PrivateKey, sign};
use serde_json::{Value, json};
use uuid::Uuid;

const ID: &str = "0190a5f0-0000-7000-8000-000000000001";
const CORRELATION: &str = "0190a5f0-0000-7000-8000-000000000002";
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const OTHER_TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b8-00";
const LIMIT: usize = 1 << 20;

fn read_bytes(value: Option<&[u8]>, headers: &Headers, limit: usize) -> Inbound {
    let record = RawRecord { topic: "t", partition: 3, offset: 7, key: Some(b"p"), value, headers, timestamp: None };
    let agent = AgentId::new("edge-7").unwrap();
    read(&record, &Terms { agent: &agent, keys: &Keys::default(), max_message_bytes: limit }, Timestamp::from_millis(0))
}

fn read_json(value: &Value) -> Inbound {
    read_bytes(Some(&serde_json::to_vec(value).unwrap()), &Headers::new(), LIMIT)
}

fn envelope(command_type: &str, payload: Value) -> Value {
    json!({"command_id": ID, "command_type": command_type, "payload": payload})
}

fn command(value: &Value) -> Command {
    match read_json(value) {
        Inbound::Command(command) => command,
        other => panic!("no command: {other:?}"),
    }
}

fn refusal(inbound: Inbound) -> Refusal {
    match inbound {
        Inbound::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

fn letter(inbound: Inbound) -> DeadLetter {
    match inbound {
        Inbound::Unreadable(letter) => letter,
        other => panic!("readable: {other:?}"),
    }
}

#[test]
fn a_deploy_has_the_defaults_of_the_contract() {
    let Action::Deploy(deploy) = command(&envelope("Deploy", json!({"project_id": "p1", "docker_stack_yml": "services: {}"}))).action
    else {
        panic!("no deploy")
    };
    assert_eq!((deploy.target.project.as_str(), deploy.target.stack.as_str()), ("p1", "axion-p1"));
    assert_eq!(deploy.compose.reveal(), "services: {}");
    assert_eq!((deploy.prune, deploy.dry_run, deploy.adopt), (true, false, false));
    assert_eq!((deploy.resolve_image, deploy.on_failure, deploy.timeout_seconds), (ResolveImage::Always, OnFailure::Rollback, None));
    assert!(deploy.env.reveal().is_empty() && deploy.files.reveal().is_empty() && deploy.registry_auth.is_empty());
}

#[test]
fn a_deploy_takes_everything_the_contract_names() {
    let payload = json!({
        "project_id": "p1", "stack_name": "shop", "docker_stack_yml": "services: {}",
        "env_vars": {"A": "x", "B": 3, "C": true}, "files": {"conf/a.txt": "aGVs\nbG8", "b": "aGVsbG8="},
        "prune": false, "resolve_image": "changed", "registry_auth": {"r.example": {"username": "u", "password": "pw"}},
        "on_failure": "pause", "timeout_seconds": 60, "dry_run": true, "adopt": true, "a_later_field": {"x": [1]},
    });
    let Action::Deploy(deploy) = command(&envelope("Deploy", payload)).action else { panic!("no deploy") };
    assert_eq!(deploy.target.stack.as_str(), "shop");
    let env: Vec<_> = deploy.env.reveal().iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(env, ["A=x", "B=3", "C=true"]);
    assert_eq!(deploy.files.reveal().get("conf/a.txt").unwrap(), b"hello");
    assert_eq!(deploy.files.reveal().get("b").unwrap(), b"hello");
    assert_eq!(deploy.registry_auth.get("r.example").unwrap().password.reveal(), "pw");
    assert_eq!((deploy.resolve_image, deploy.on_failure, deploy.timeout_seconds), (ResolveImage::Changed, OnFailure::Pause, Some(60)));
    assert_eq!((deploy.prune, deploy.dry_run, deploy.adopt), (false, true, true));
}

#[test]
fn the_other_commands_are_read_too() {
    let Action::Remove(remove) = command(&envelope("Remove", json!({"project_id": "p", "volumes": true}))).action else {
        panic!("no remove")
    };
    assert!(remove.volumes);
    let Action::Scale(scale) = command(&envelope("Scale", json!({"project_id": "p", "services": {"web": 3, "db": 0}}))).action else {
        panic!("no scale")
    };
    assert_eq!(scale.services.into_iter().collect::<Vec<_>>(), [("db".to_owned(), 0), ("web".to_owned(), 3)]);
    let Action::Restart(chosen) = command(&envelope("Restart", json!({"project_id": "p", "services": ["web", "db", "web"]}))).action else {
        panic!("no restart")
    };
    assert_eq!(chosen.services.into_iter().collect::<Vec<_>>(), ["db", "web"]);
    let Action::Rollback(rollback) = command(&envelope("Rollback", json!({"project_id": "p", "to_revision": 3}))).action else {
        panic!("no rollback")
    };
    assert_eq!((rollback.to_revision, rollback.timeout_seconds), (Some(3), None));
    let prune = |payload| read_json(&envelope("Prune", payload));
    let expected = Prune { images: true, containers: false, networks: false, keep: 1 };
    assert!(matches!(prune(json!({"images": true})), Inbound::Command(command) if command.action == Action::Prune(expected)));
    assert!(refusal(prune(json!({"keep": 3}))).message.contains("images, containers or networks"));
    assert_eq!(command(&envelope("Pause", json!({}))).action, Action::Pause);
    assert_eq!(command(&envelope("Resume", Value::Null)).action, Action::Resume);
    for name in ["Stop", "Start"] {
        assert_eq!(command(&envelope(name, json!({"project_id": "p"}))).action.name(), name);
    }
    let Action::Cancel(cancel) = command(&envelope("Cancel", json!({"command_id": CORRELATION}))).action else { panic!("no cancel") };
    assert_eq!(cancel.command, CommandId::parse(CORRELATION).unwrap());
    assert_eq!(command(&envelope("HealthCheck", Value::Null)).action, Action::HealthCheck);
    let payload = json!({"remote_addrs": ["10.0.0.5:2377"], "join_token": "SWMTKN-1", "advertise_addr": "eth1"});
    let Action::SwarmJoin(join) = command(&envelope("SwarmJoin", payload)).action else { panic!("no join") };
    assert_eq!(
        (join.token.reveal().as_str(), join.addresses.advertise.as_deref(), join.addresses.listen),
        ("SWMTKN-1", Some("eth1"), None)
    );
    assert_eq!(command(&envelope("SwarmInit", json!({}))).action, Action::SwarmInit(SwarmAddresses::default()));
    assert_eq!(command(&envelope("SwarmLeave", json!({"force": true}))).action, Action::SwarmLeave(SwarmLeave { force: true }));
    let payload = json!({"project_id": "p", "service": "web", "since": "2026-01-31T10:00:00Z"});
    let Action::Logs(logs) = command(&envelope("Logs", payload)).action else { panic!("no logs") };
    assert_eq!((logs.service.as_str(), logs.tail, logs.since), ("web", 100, Some(Timestamp::parse("2026-01-31T10:00:00Z").unwrap())));
    for (payload, target) in [(json!({}), None), (Value::Null, None), (json!({"project_id": "p"}), Some("axion-p"))] {
        let Action::GetStatus(status) = command(&envelope("GetStatus", payload)).action else { panic!("no status") };
        assert_eq!(status.target.as_ref().map(|target| target.stack.as_str()), target);
    }
}

#[test]
fn a_payload_may_be_an_array_of_bytes() {
    let bytes = serde_json::to_vec(&json!({"project_id": "p"})).unwrap();
    assert_eq!(command(&envelope("Remove", json!(bytes))).action.name(), "Remove");
    let refused = refusal(read_json(&envelope("Remove", json!([123, 300]))));
    assert!(refused.message.starts_with("$.payload[1] holds a number: expected a byte"), "{}", refused.message);
}

#[test]
fn the_body_wins_over_headers_and_headers_fill_what_is_absent() {
    let headers: Headers = [
        ("x-correlation-id", CORRELATION),
        ("x-user-id", "header-user"),
        ("x-project-id", "header-project"),
        ("x-timestamp", "1769853600250"),
        ("traceparent", TRACE),
    ]
    .map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()))
    .to_vec();
    let read_with = |body: &Value| match read_bytes(Some(&serde_json::to_vec(body).unwrap()), &headers, LIMIT) {
        Inbound::Command(command) => command,
        other => panic!("no command: {other:?}"),
    };
    let filled = read_with(&envelope("Remove", json!({})));
    assert_eq!(filled.context.correlation_id, Some(Uuid::try_parse(CORRELATION).unwrap()));
    assert_eq!(filled.context.user_id.as_deref(), Some("header-user"));
    assert_eq!(filled.issued_at, Some(Timestamp::from_millis(1_769_853_600_250)));
    assert_eq!(filled.context.traceparent, Traceparent::read(TRACE));
    assert_eq!(filled.action.target().unwrap().stack.as_str(), "axion-header-project");

    let mut body = envelope("Remove", json!({"project_id": "payload-project"}));
    body["correlation_id"] = json!(ID);
    body["traceparent"] = json!(OTHER_TRACE);
    body["timestamp"] = json!("2026-01-31T12:00:00Z");
    body["expires_at"] = json!("2026-01-31T13:00:00Z");
    body["metadata"] = json!({"user_id": "body-user", "project_id": "body-project", "retry_attempt": 2});
    let own = read_with(&body);
    assert_eq!(own.context.correlation_id, Some(Uuid::try_parse(ID).unwrap()));
    assert_eq!(own.context.traceparent, Traceparent::read(OTHER_TRACE));
    assert_eq!((own.context.user_id.as_deref(), own.context.retry_attempt), (Some("body-user"), 2));
    assert_eq!(own.context.project_id.as_ref().unwrap().as_str(), "body-project");
    assert_eq!(own.issued_at, Some(Timestamp::parse("2026-01-31T12:00:00Z").unwrap()));
    assert_eq!(own.expires_at, Some(Timestamp::parse("2026-01-31T13:00:00Z").unwrap()));
    assert_eq!(own.action.target().unwrap().stack.as_str(), "axion-payload-project");
}

#[test]
fn a_time_header_that_no_clock_can_show_is_as_good_as_none() {
    let body = serde_json::to_vec(&envelope("Remove", json!({"project_id": "p"}))).unwrap();
    // Nanoseconds, where milliseconds belong.
    for text in ["1769853600250000000", "-9223372036854775808", "soon"] {
        let headers = vec![("x-timestamp".to_owned(), text.as_bytes().to_vec())];
        let Inbound::Command(command) = read_bytes(Some(&body), &headers, LIMIT) else { panic!("no command") };
        assert_eq!(command.issued_at, None, "{text}");
    }
}

#[test]
fn a_refusal_names_the_path_and_what_belongs_there_but_never_what_stood_there() {
    let secret = "hunter2";
    let deploy = |key: &str, value: Value| {
        let mut payload = json!({"project_id": "p", "docker_stack_yml": "x"});
        payload[key] = value;
        envelope("Deploy", payload)
    };
    let with = |key: &str, value: Value| {
        let mut body = envelope("Remove", json!({"project_id": "p"}));
        body[key] = value;
        body
    };
    let table = [
        (envelope("Deploy", json!({"project_id": "p"})), "$.payload.docker_stack_yml is missing: expected the text of the Compose file"),
        (envelope("Deploy", json!({"docker_stack_yml": "x"})), "$.payload.project_id is missing"),
        (envelope("Deploy", json!(secret)), "$.payload holds a string: expected an object, or an array of bytes holding one"),
        (deploy("docker_stack_yml", json!({secret: secret})), "$.payload.docker_stack_yml holds an object"),
        (deploy("env_vars", json!({"PASSWORD": [secret]})), "$.payload.env_vars.PASSWORD holds an array: expected a string"),
        (deploy("env_vars", json!({"VERSION": 1.10})), "$.payload.env_vars.VERSION holds a number: expected a string"),
        (deploy("env_vars", json!([secret])), "$.payload.env_vars holds an array"),
        (deploy("files", json!({"a": "hunter2!"})), "$.payload.files.a: expected the file's content in base64"),
        (deploy("registry_auth", json!({"r": {"username": "u", "password": 7}})), "$.payload.registry_auth.r.password holds a number"),
        (deploy("registry_auth", json!({"r": {"password": secret}})), "$.payload.registry_auth.r.username is missing"),
        (deploy("on_failure", json!(secret)), "$.payload.on_failure: expected one of rollback, pause, leave"),
        (deploy("prune", json!("yes")), "$.payload.prune holds a string: expected true or false"),
        (deploy("timeout_seconds", json!(0)), "$.payload.timeout_seconds: expected a whole number from 1 to 86400"),
        (deploy("timeout_seconds", json!(-1.5)), "$.payload.timeout_seconds: expected a whole number"),
        (deploy("stack_name", json!("a\nb")), "$.payload.stack_name: stack_name"),
        (envelope("Scale", json!({"project_id": "p"})), "$.payload.services is missing"),
        (envelope("Scale", json!({"project_id": "p", "services": {"web": null}})), "$.payload.services.web is missing"),
        (envelope("Scale", json!({"project_id": "p", "services": {"web": "3"}})), "$.payload.services.web holds a string"),
        (envelope("Restart", json!({"project_id": "p", "services": {"web": 1}})), "$.payload.services holds an object: expected an array"),
        (
            envelope("Restart", json!({"project_id": "p", "services": ["web", 1]})),
            "$.payload.services[1] holds a number: expected a string",
        ),
        (envelope("Rollback", json!({"project_id": "p", "to_revision": 0})), "$.payload.to_revision: expected a whole number from 1"),
        (envelope("Cancel", json!({})), "$.payload.command_id is missing: expected the UUID of the command to cancel"),
        (envelope("Cancel", json!({"command_id": secret})), "$.payload.command_id: expected a UUID"),
        (envelope("Logs", json!({"project_id": "p"})), "$.payload.service is missing: expected the name of a service"),
        (
            envelope("Logs", json!({"project_id": "p", "service": "web", "tail": 1001})),
            "$.payload.tail: expected a whole number from 1 to 1000",
        ),
        (envelope("SwarmJoin", json!({"join_token": secret})), "$.payload.remote_addrs is missing: expected an array of managers"),
        (envelope("SwarmJoin", json!({"remote_addrs": ["a"], "join_token": [secret]})), "$.payload.join_token holds an array"),
        (envelope("GetStatus", json!({"stack_name": "s"})), "$.payload.project_id is missing"),
        (with("correlation_id", json!("x")), "$.correlation_id: expected a UUID"),
        (with("expires_at", json!(5)), "$.expires_at holds a number: expected an RFC 3339 time"),
        (with("timestamp", json!("soon")), "$.timestamp: \"soon\" is not an RFC 3339 time"),
        // A second before the year 10000, by a clock that is behind UTC.
        (with("expires_at", json!("9999-12-31T23:59:59-01:00")), "$.expires_at: \"9999-12-31T23:59:59-01:00\" is not"),
        (with("metadata", json!([])), "$.metadata holds an array"),
        (with("command_type", json!(9)), "$.command_type holds a number"),
        (json!({"command_id": ID}), "$.command_type is missing"),
    ];
    for (body, expected) in table {
        let refused = refusal(read_json(&body));
        assert_eq!(refused.code, Code::MALFORMED, "{body}");
        assert!(refused.message.starts_with(expected), "{:?} for {body}", refused.message);
        assert!(!refused.message.contains(secret), "{}", refused.message);
        assert_eq!(refused.command_id, CommandId::parse(ID).unwrap());
    }
}

#[test]
fn what_this_version_does_not_carry_out_is_said_with_what_it_does() {
    let refused = refusal(read_json(&envelope("Dance", json!({}))));
    assert_eq!((refused.code, refused.command_type.as_deref()), (Code::UNSUPPORTED, Some("Dance")));
    let says = |words| refused.message.contains(words);
    assert!(says("\"Dance\" is unknown") && says("Deploy, Remove, Scale, Restart"), "{}", refused.message);
}

#[test]
fn an_update_names_a_version_or_a_manifest_or_the_way_back_or_nothing() {
    let to = |payload: Value| match read_json(&envelope("Update", payload)) {
        Inbound::Command(command) => match command.action {
            Action::Update(update) => Ok(update.to),
            other => panic!("{other:?}"),
        },
        other => Err(refusal(other).message),
    };
    assert_eq!(to(json!({})), Ok(Release::Newest));
    assert_eq!(to(json!({"version": "1.4.0", "project_id": "p"})), Ok(Release::Version("1.4.0".to_owned())));
    assert_eq!(to(json!({"manifest_url": "https://h/m"})), Ok(Release::Manifest("https://h/m".to_owned())));
    assert_eq!(to(json!({"rollback": true})), Ok(Release::Previous));
    for (payload, words) in [
        (json!({"version": "1.4.0", "manifest_url": "https://h/m"}), "$.payload.version: stands beside another"),
        (json!({"version": "1.4.0", "rollback": true}), "give one"),
        (json!({"manifest_url": "http://h/m"}), "$.payload.manifest_url: must be an https:// address"),
        (json!({"version": 1}), "$.payload.version holds a number"),
    ] {
        let problem = to(payload.clone()).unwrap_err();
        assert!(problem.contains(words), "{payload}: {problem}");
    }
}

#[test]
fn a_refusal_keeps_the_context_that_could_be_read() {
    let mut body = envelope("Deploy", json!({"project_id": "p"}));
    body["correlation_id"] = json!(CORRELATION);
    body["metadata"] = json!({"user_id": "u"});
    let context = refusal(read_json(&body)).context;
    assert_eq!(context.correlation_id, Some(Uuid::try_parse(CORRELATION).unwrap()));
    assert_eq!((context.user_id.as_deref(), context.project_id.as_ref().unwrap().as_str()), (Some("u"), "p"));
}

#[test]
fn a_record_that_breaks_off_is_answered_if_its_id_came_before() {
    let text = format!(r#"{{"command_id":"{ID}","correlation_id":"{CORRELATION}","command_type":"Deploy","payload":{{"a":"hunter2"#);
    let refused = refusal(read_bytes(Some(text.as_bytes()), &Headers::new(), LIMIT));
    assert_eq!((refused.code, refused.command_type.as_deref()), (Code::MALFORMED, Some("Deploy")));
    assert!(refused.message.contains("not one JSON object") && !refused.message.contains("hunter2"), "{}", refused.message);
    assert!(refused.context.correlation_id.is_some());
}

#[test]
fn a_record_without_a_readable_id_is_a_dead_letter() {
    let table: [(Option<&[u8]>, &str); 8] = [
        (None, "has no value"),
        (Some(b""), "has no value"),
        (Some(b"hunter2"), "not one JSON object"),
        (Some(b"\"hunter2\""), "not one JSON object"),
        (Some(b"[1]"), "not one JSON object"),
        (Some(b"\xff\xfe"), "not one JSON object"),
        (Some(b"{\"command_type\":\"Deploy\"}"), "no command_id that can be read"),
        (Some(b"{\"command_id\":[[1]],\"x\":{\"y\":null}}"), "no command_id that can be read"),
    ];
    for (value, expected) in table {
        let letter = letter(read_bytes(value, &Headers::new(), LIMIT));
        assert!(letter.message.contains(expected) && !letter.message.contains("hunter2"), "{}", letter.message);
        assert_eq!((letter.code, letter.position.partition, letter.position.offset), (Code::MALFORMED, 3, 7));
        assert_eq!((letter.value.as_slice(), letter.key.as_deref()), (value.unwrap_or_default(), Some(&b"p"[..])));
    }
    let letter = letter(read_bytes(Some(b"abc"), &Headers::new(), LIMIT));
    assert_eq!(letter.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn headers_fill_nothing_of_a_signed_command_and_name_what_a_forged_one_belongs_to() {
    let key = PrivateKey::generate(KeyId::parse("ops-1").unwrap()).unwrap();
    let mut keys = Keys::default();
    keys.add(key.public().unwrap()).unwrap();
    let agent = AgentId::new("edge-7").unwrap();
    let times = ("2026-01-31T12:00:00Z", "2026-01-31T13:00:00Z");
    let mut body = envelope("Remove", json!({"project_id": "p"}));
    body["agent_id"] = json!(agent);
    (body["timestamp"], body["expires_at"]) = (json!(times.0), json!(times.1));
    let signed = sign(PayloadType::COMMAND, body.to_string().as_bytes(), &[key]).unwrap();
    let headers = [("x-correlation-id", CORRELATION), ("x-user-id", "eve"), ("x-project-id", "other"), ("x-timestamp", "1")];
    let headers: Headers = headers.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).to_vec();
    let receive = |keys: &Keys| {
        let record =
            RawRecord { topic: "t", partition: 3, offset: 7, key: Some(b"p"), value: Some(&signed), headers: &headers, timestamp: None };
        read(&record, &Terms { agent: &agent, keys, max_message_bytes: LIMIT }, Timestamp::parse(times.0).unwrap())
    };
    let Inbound::Command(command) = receive(&keys) else { panic!("no command") };
    let own = Context { project_id: ProjectId::new("p").ok(), ..Context::default() };
    assert_eq!((command.context, command.issued_at), (own, Some(Timestamp::parse(times.0).unwrap())));
    assert_eq!(command.signed_by.as_deref(), Some("ops-1"));
    let letter = letter(receive(&Keys::default()));
    assert_eq!((letter.code, letter.value == signed), (Code::SIGNATURE_UNKNOWN_KEY, true));
    assert_eq!(letter.message, "the envelope is signed with ops-1, and the known keys are none");
    assert_eq!(letter.context.correlation_id, Some(Uuid::try_parse(CORRELATION).unwrap()));
    let told = write_dead_letter(&letter).headers;
    assert!(told.iter().any(|(name, value)| name == "x-dead-letter-code" && value == b"signature.unknown_key"), "{told:?}");
}

#[test]
fn what_is_too_large_is_answered_or_buried_in_part() {
    let mut body = envelope("Deploy", json!({"project_id": "p", "docker_stack_yml": "x".repeat(2000)}));
    let bytes = serde_json::to_vec(&body).unwrap();
    let refused = refusal(read_bytes(Some(&bytes), &Headers::new(), 1000));
    assert_eq!(refused.code, Code::TOO_LARGE);
    body["command_id"] = json!("no");
    body["payload"]["docker_stack_yml"] = json!("x".repeat(1_200_000));
    let bytes = serde_json::to_vec(&body).unwrap();
    let letter = letter(read_bytes(Some(&bytes), &Headers::new(), LIMIT));
    assert_eq!((letter.code, letter.value.len(), letter.length), (Code::TOO_LARGE, DeadLetter::MAX_KEPT_BYTES, bytes.len()));
}

#[test]
fn depth_and_counts_have_limits() {
    let nested =
        |levels: usize| format!(r#"{{"command_id":"{ID}","command_type":"GetStatus","x":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
    assert!(matches!(read_bytes(Some(nested(limits::MAX_DEPTH - 1).as_bytes()), &Headers::new(), LIMIT), Inbound::Command(_)));
    for levels in [limits::MAX_DEPTH, 100_000] {
        let refused = refusal(read_bytes(Some(nested(levels).as_bytes()), &Headers::new(), LIMIT));
        assert!(refused.message.contains("nested deeper than 32 levels"), "{}", refused.message);
    }
    // Brackets in texts are no depth.
    let text = json!({"command_id": ID, "command_type": "GetStatus", "x": "[".repeat(50), "y": "\\\"[[".repeat(50)});
    assert!(matches!(read_json(&text), Inbound::Command(_)));
    let services: serde_json::Map<String, Value> = (0..=limits::MAX_SERVICES).map(|n| (format!("s{n}"), json!(1))).collect();
    let refused = refusal(read_json(&envelope("Scale", json!({"project_id": "p", "services": services}))));
    assert_eq!(refused.message, "$.payload.services has 1001 entries, at most 1000 are accepted");
}

#[test]
fn a_trace_context_that_is_none_refuses_nothing_and_one_that_is_stands_in_a_refusal() {
    let header = |text: &str| vec![("traceparent".to_owned(), text.as_bytes().to_vec())];
    let mut body = envelope("GetStatus", json!({}));
    for none in [json!("00-4BF9-x"), json!(7), json!({"a": [1]}), json!("")] {
        body["traceparent"] = none;
        assert_eq!(command(&body).context.traceparent, None, "{body}");
        let Inbound::Command(with_header) = read_bytes(Some(body.to_string().as_bytes()), &header(TRACE), LIMIT) else { panic!("{body}") };
        assert_eq!(with_header.context.traceparent, Traceparent::read(TRACE), "the header fills what the body does not say");
    }
    let Inbound::Command(plain) = read_bytes(Some(envelope("GetStatus", json!({})).to_string().as_bytes()), &header("none"), LIMIT) else {
        panic!("no command")
    };
    assert_eq!(plain.context.traceparent, None);
    let broken = format!(r#"{{"command_id":"{ID}","traceparent":"{TRACE}","command_type":"Deploy","payload":{{"a":"#);
    let refused = refusal(read_bytes(Some(broken.as_bytes()), &header(OTHER_TRACE), LIMIT));
    assert_eq!(refused.context.traceparent, Traceparent::read(TRACE));
}

#[test]
fn an_event_is_written_as_the_contract_says() {
    let agent = AgentId::new("edge-7").unwrap();
    let mut body = envelope("Remove", json!({"project_id": "p1"}));
    body["correlation_id"] = json!(CORRELATION);
    body["traceparent"] = json!(TRACE);
    body["metadata"] = json!({"user_id": "u"});
    let command = command(&body);
    let at = Timestamp::from_millis(1_769_853_600_250);
    let event = Event::of_command(&agent, &command, EventKind::CommandCompleted, Stage::Terminal, json!({"status": "Completed"}), at);
    let out = write_event(&event).unwrap();
    assert_eq!(out.key.as_deref(), Some(&b"p1"[..]));
    let expected = format!(
        r#"{{"event_id":"{}","event_type":"CommandCompleted","terminal":true,"payload":{{"status":"Completed"}},"correlation_id":"{CORRELATION}","causation_id":"{ID}","traceparent":"{TRACE}","timestamp":"2026-01-31T10:00:00.25Z","agent_id":"edge-7"}}"#,
        event.id
    );
    assert_eq!(String::from_utf8(out.value).unwrap(), expected);
    let headers: Vec<(&str, String)> =
        out.headers.iter().map(|(name, value)| (name.as_str(), String::from_utf8(value.clone()).unwrap())).collect();
    let expected = [
        ("x-correlation-id", CORRELATION.to_owned()),
        ("x-causation-id", ID.to_owned()),
        ("x-user-id", "u".to_owned()),
        ("x-project-id", "p1".to_owned()),
        ("x-timestamp", "1769853600250".to_owned()),
        ("traceparent", TRACE.to_owned()),
        ("x-agent-id", "edge-7".to_owned()),
        ("x-event-id", event.id.to_string()),
        ("content-type", "application/json".to_owned()),
    ];
    assert_eq!(headers, expected);
}

#[test]
fn a_report_has_no_cause_and_the_agents_key() {
    let agent = AgentId::new("edge-7").unwrap();
    let event = Event::report(&agent, EventKind::ErrorReport, "x", json!({}), Timestamp::from_millis(0));
    assert_eq!(event.context, Context::default());
    let out = write_event(&event).unwrap();
    let body: Value = serde_json::from_slice(&out.value).unwrap();
    assert_eq!((body.get("causation_id"), body.get("correlation_id")), (None, None));
    assert_eq!(out.key.as_deref(), Some(&b"edge-7"[..]));
}

#[test]
fn a_dead_letter_says_where_it_stood_and_why() {
    let headers = [("traceparent", TRACE), ("x-correlation-id", CORRELATION)];
    let headers = headers.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).to_vec();
    let letter = letter(read_bytes(Some(b"abc"), &headers, LIMIT));
    let out = write_dead_letter(&letter);
    assert_eq!((out.key.as_deref(), out.value.as_slice()), (Some(&b"p"[..]), &b"abc"[..]));
    let header = |name: &str| {
        let (_, value) = out.headers.iter().find(|(header, _)| header == name).unwrap();
        String::from_utf8(value.clone()).unwrap()
    };
    assert_eq!(
        (header("x-dead-letter-topic"), header("x-dead-letter-partition"), header("x-dead-letter-offset")),
        ("t".into(), "3".into(), "7".into())
    );
    assert_eq!((header("x-dead-letter-length"), header("x-dead-letter-code")), ("3".into(), "command.malformed".into()));
    assert_eq!(header("x-dead-letter-sha256"), letter.sha256);
    assert_eq!((header("traceparent"), header("x-correlation-id")), (TRACE.into(), CORRELATION.into()));
}

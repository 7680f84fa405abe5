//! `keys generate`, `keys sign` and `keys verify`, as somebody types them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests, of which clippy knows only the functions marked so")]
#![allow(clippy::disallowed_methods, reason = "the program under test is a child process of its test")]

#[path = "support/schema.rs"]
mod schema;

use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use uuid::Uuid;

/// A folder that the program runs in, and that is removed at the end.
struct Desk(PathBuf);

impl Desk {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("axion-keys-{}", Uuid::new_v4()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// One with a key, and its public half.
    fn with_key(id: &str) -> (Self, String) {
        let desk = Self::new();
        let public = desk.good(&format!("keys generate {id}"));
        (desk, public.trim_end().to_owned())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn run(&self, line: &str) -> Output {
        self.run_with(line, "")
    }

    fn run_with(&self, line: &str, input: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_axion-agent"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AXION_AGENT")) {
            command.env_remove(name);
        }
        command.args(line.split(' ')).current_dir(&self.0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // One that reads nothing of it may be gone.
        let _gone = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn good(&self, line: &str) -> String {
        let output = self.run(line);
        assert_eq!(output.status.code(), Some(0), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// How it fails: the exit code and the stable one, and all that is said.
    fn fails(&self, line: &str) -> (i32, String, String) {
        let output = self.run(&format!("{line} --json"));
        let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{line}: {error}: {output:?}"));
        schema::check("error", &document);
        let text = |key: &str| document["error"][key].as_str().unwrap().to_owned();
        (output.status.code().unwrap(), text("code"), format!("{} / {}", text("message"), text("next")))
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

const REMOVE: &str = r#"{"command_type": "Remove", "payload": {"project_id": "shop"}}"#;

#[test]
fn a_private_key_is_for_its_owner_alone_and_never_written_over_by_the_way() {
    let (desk, public) = Desk::with_key("ops-1");
    assert!(public.starts_with("ops-1:") && public.len() == 50, "{public}");
    let before = desk.read("ops-1.key");
    assert!(before.starts_with("axion-agent-key: ops-1\n-----BEGIN PRIVATE KEY-----\n"));
    assert_eq!(mode(&desk.path("ops-1.key")), 0o600);
    let (exit, code, told) = desk.fails("keys generate ops-1");
    assert_eq!((exit, code.as_str()), (1, "file.unwritable"));
    assert!(told.contains("ops-1.key") && told.contains("--force"), "{told}");
    assert_eq!(desk.read("ops-1.key"), before);
    fs::set_permissions(desk.path("ops-1.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let made: Value = serde_json::from_str(&desk.good("keys generate ops-1 --force --json")).unwrap();
    schema::check("keys-generate", &made);
    assert_eq!((&made["id"], &made["file"]), (&json!("ops-1"), &json!("ops-1.key")));
    assert_ne!((made["public_key"].as_str().unwrap(), desk.read("ops-1.key")), (public.as_str(), before));
    assert_eq!(mode(&desk.path("ops-1.key")), 0o600, "one that others could read is not written into");
    let told = String::from_utf8(desk.run("keys generate ops-2 -o elsewhere").stderr).unwrap();
    assert!(told.contains("in elsewhere, for you alone to read") && told.contains("security.command_public_keys"), "{told}");
}

#[test]
fn what_is_absent_of_a_command_is_filled_in_and_what_is_there_stays() {
    let (desk, public) = Desk::with_key("ops-1");
    desk.write("c.json", REMOVE);
    let output = desk.run("keys sign c.json --key ops-1.key --agent edge-7 --expires 15m");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("Signed with ops-1: Remove ") && told.contains(" for edge-7, until "), "{told}");
    let envelope = String::from_utf8(output.stdout).unwrap();
    assert_eq!(schema::check_lines("envelope", &envelope), 1, "a line is a record for a producer of the console");
    desk.write("signed.json", &envelope);
    let told: Value = serde_json::from_str(&desk.good(&format!("keys verify signed.json --public-key {public} --json"))).unwrap();
    schema::check("keys-verify", &told);
    assert_eq!((&told["key"], &told["agent_id"], &told["command_type"]), (&json!("ops-1"), &json!("edge-7"), &json!("Remove")));
    let id = told["command_id"].as_str().unwrap();
    assert!(desk.good(&format!("keys verify signed.json --public-key {public}")).contains(&format!("Remove {id} for edge-7\nIssued 2")));

    // All there: not a byte is another, and it comes through a pipe.
    let (from, until) = (told["issued_at"].as_str().unwrap(), told["expires_at"].as_str().unwrap());
    let whole = format!(
        "{{ \"command_type\":\"Remove\",\n \"agent_id\":\"edge-7\", \"command_id\":\"{id}\", \"payload\":{{\"project_id\":\"p\", \"x\":1.50}},\
         \"timestamp\":\"{from}\",\"expires_at\":\"{until}\"}}\n"
    );
    let output = desk.run_with("keys sign - --key ops-1.key --agent edge-7 -o whole.json", &whole);
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    let envelope: Value = serde_json::from_str(&desk.read("whole.json")).unwrap();
    use base64::Engine as _;
    assert_eq!(base64::engine::general_purpose::STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap(), whole.as_bytes());
    let (exit, code, told) = desk.fails("keys sign c.json --key ops-1.key --agent edge-7 -o whole.json");
    assert_eq!((exit, code.as_str()), (1, "file.unwritable"), "{told}");
    desk.good("keys sign c.json --key ops-1.key --agent edge-7 -o whole.json --force");
}

#[test]
fn a_command_that_its_agent_would_refuse_is_not_signed() {
    let (desk, _) = Desk::with_key("ops-1");
    let table = [
        ("no json", 1, "command.malformed", "x.json is no JSON object (line 1 column 2)"),
        ("[1]", 1, "command.malformed", "is no JSON object"),
        (r#"{"command_type": "Remove"}"#, 1, "command.malformed", "$.payload.project_id is missing"),
        (r#"{"command_type": "Dance"}"#, 1, "command.unsupported", "Dance"),
        (r#"{"command_type": "HealthCheck", "agent_id": "edge-8"}"#, 2, "usage", "for edge-8 already, and --agent says edge-7"),
        (r#"{"command_type": "HealthCheck", "agent_id": 7}"#, 1, "command.malformed", "$.agent_id: "),
        (r#"{"command_type": "HealthCheck", "command_id": "x"}"#, 1, "command.malformed", "$.command_id must be a UUID"),
        (r#"{"command_type": "HealthCheck", "expires_at": "2020-01-01T00:00:00Z"}"#, 7, "signature.lifetime", "at most 7 days"),
        (
            r#"{"command_type": "HealthCheck", "expires_at": "2020-01-02T00:00:00Z", "timestamp": "2020-01-01T00:00:00Z"}"#,
            8,
            "command.expired",
            "",
        ),
        (
            r#"{"command_type": "HealthCheck", "timestamp": "2099-01-01T00:00:00Z", "expires_at": "2099-01-02T00:00:00Z"}"#,
            7,
            "signature.lifetime",
            "in the future",
        ),
    ];
    for (text, exit, code, words) in table {
        desk.write("x.json", text);
        let told = desk.fails("keys sign x.json --key ops-1.key --agent edge-7");
        assert_eq!((told.0, told.1.as_str()), (exit, code), "{text}: {}", told.2);
        assert!(told.2.contains(words), "{text}: {}", told.2);
    }
    desk.write("c.json", REMOVE);
    let told = desk.fails("keys sign c.json --key ops-1.key");
    assert!(told.0 == 2 && told.2.contains("--agent ID"), "{told:?}");
    let told = desk.fails("keys sign c.json --key ops-1.key --agent edge-7 --expires 8d");
    assert_eq!((told.0, told.1.as_str()), (7, "signature.lifetime"), "{told:?}");
    assert!(!desk.path("c.signed").exists());
}

#[test]
fn what_is_no_key_says_so() {
    let (desk, _) = Desk::with_key("ops-1");
    desk.write("c.json", REMOVE);
    desk.write("text", "no key\n");
    let plain: String = desk.read("ops-1.key").lines().skip(1).map(|line| format!("{line}\n")).collect();
    desk.write("plain", &plain);
    for (key, exit, code, words) in [
        ("none", 1, "file.unreadable", "cannot read none"),
        ("text", 1, "file.unreadable", "holds no Ed25519 private key"),
        ("plain", 2, "usage", "--key-id"),
        ("ops-1.key --key ops-1.key", 2, "usage", "two keys ops-1"),
    ] {
        let told = desk.fails(&format!("keys sign c.json --key {key} --agent edge-7"));
        assert_eq!((told.0, told.1.as_str()), (exit, code), "{key}: {}", told.2);
        assert!(told.2.contains(words), "{key}: {}", told.2);
    }
    desk.good("keys sign c.json --key plain --key-id ops-9 --agent edge-7");
    fs::set_permissions(desk.path("ops-1.key"), fs::Permissions::from_mode(0o640)).unwrap();
    let told = desk.run("keys sign c.json --key ops-1.key --agent edge-7");
    assert!(String::from_utf8_lossy(&told.stderr).contains("warning: others than its owner may use ops-1.key (mode 0640)"), "{told:?}");
}

#[test]
fn verify_believes_what_the_agent_would_believe() {
    let (desk, first) = Desk::with_key("ops-1");
    let second = desk.good("keys generate ops-2").trim_end().to_owned();
    let foreign = Desk::with_key("ops-1").1;
    desk.write("c.json", REMOVE);
    desk.good("keys sign c.json --key ops-1.key --agent edge-7 -o one");
    desk.good("keys sign c.json --key ops-1.key --key ops-2.key --agent edge-7 -o both");
    let envelope: Value = serde_json::from_str(&desk.read("one")).unwrap();
    let forged = Value::Object(
        envelope
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| (key.clone(), if key == "payload" { json!("e30=") } else { value.clone() }))
            .collect(),
    );
    desk.write("forged", &forged.to_string());
    desk.write("agent.toml", &format!("[agent]\nid = \"edge-7\"\n[security]\ncommand_public_keys = [\"{first}\"]\n"));
    desk.write("other.toml", &format!("[agent]\nid = \"edge-8\"\n[security]\ncommand_public_keys = [\"{first}\"]\n"));
    desk.write("over.toml", &format!("[security]\ncommand_public_keys = [\"{first};until=2026-01-01T00:00:00Z\"]\n"));
    desk.write("none.toml", "");
    for line in [
        "one --config agent.toml",
        "both --config agent.toml",
        &format!("both --public-key {second}"),
        &format!("one --public-key {first}"),
    ] {
        assert!(desk.good(&format!("keys verify {line}")).starts_with("Good: signed by ops-"), "{line}");
    }
    for (line, exit, code) in [
        ("forged --config agent.toml".to_owned(), 7, "signature.invalid"),
        (format!("one --public-key {foreign}"), 7, "signature.invalid"),
        (format!("one --public-key {second}"), 7, "signature.unknown_key"),
        ("c.json --config agent.toml".to_owned(), 7, "signature.malformed"),
        ("one --config other.toml".to_owned(), 7, "signature.wrong_agent"),
        ("one --config agent.toml --agent edge-9".to_owned(), 7, "signature.wrong_agent"),
        ("one --config over.toml".to_owned(), 7, "signature.key_not_valid"),
        ("one --config none.toml".to_owned(), 3, "config.invalid"),
        ("gone --config agent.toml".to_owned(), 1, "file.unreadable"),
        ("one --public-key ops-1:K".to_owned(), 2, "usage"),
        (format!("one --manifest --public-key {first}"), 7, "signature.malformed"),
        ("one --manifest".to_owned(), 2, "usage"),
    ] {
        let told = desk.fails(&format!("keys verify {line}"));
        assert_eq!((told.0, told.1.as_str()), (exit, code), "{line}: {}", told.2);
    }
}

#[test]
fn a_manifest_is_signed_as_it_is() {
    let (desk, public) = Desk::with_key("release-1");
    desk.write("m.json", "{\"version\": \"1.2.3\"}\n");
    desk.good("keys sign m.json --manifest --key release-1.key -o m.signed");
    let told: Value = serde_json::from_str(&desk.good(&format!("keys verify m.signed --manifest --public-key {public} --json"))).unwrap();
    schema::check("keys-verify", &told);
    assert_eq!((&told["key"], &told["bytes"], told.get("agent_id")), (&json!("release-1"), &json!(21), None));
    let told = desk.fails(&format!("keys verify m.signed --public-key {public}"));
    assert_eq!(told.1, "signature.malformed", "a manifest is no command");
}

//! `axion-agent enroll` and `unenroll`, between the agent's own binary and the development control plane.

use crate::agents::{Shown, Sighting};
use crate::bed::*;
use crate::schema;
use serde_json::{Value, json};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

#[allow(clippy::disallowed_methods, reason = "the program under test is a child process of its test")]
fn agent(arguments: &[&str], config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_axion-agent"));
    command.args(arguments).arg("--config").arg(config).stdin(Stdio::null());
    command
}

fn enroll(more: &[&str], config: &Path) -> (Option<i32>, String) {
    call("enroll", more, config)
}

fn unenroll(more: &[&str], config: &Path) -> (Option<i32>, String) {
    call("unenroll", more, config)
}

fn call(command: &str, more: &[&str], config: &Path) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = agent(&[&[command], more].concat(), config).output().unwrap();
    (status.code(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

/// What it prints for programs, which is as its schema says.
fn document(command: &str, more: &[&str], config: &Path) -> Value {
    let (code, said) = call(command, &[more, &["--json"]].concat(), config);
    let document = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
    schema::check(if code == Some(0) { command } else { "error" }, &document);
    document
}

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

#[test]
fn an_agent_is_enrolled_before_its_start_and_taken_out_of_service_when_it_does_not_run() {
    let ((ca, authority), state) = (authority(LONG), Folder::new());
    let server = Server::start(|serve| serve.issuing = Some(issuing(&authority)));
    let (folder, token) = (state.0.join("state"), state.0.join("state/token"));
    fs::create_dir(&folder).unwrap();
    fs::write(&token, TOKEN).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = state.0.join("agent.toml");
    let text = format!(
        "[agent]\nname = \"edge-7\"\nstate_dir = \"{}\"\ntoken_file = \"{}\"\n[control_plane]\ngrpc_url = \"https://localhost:{}\"\n\
         ca_file = \"{}\"\n[docker]\nhost = \"unix:///nonexistent/docker.sock\"\n[health]\nport = {port}\n",
        folder.display(),
        token.display(),
        server.port(),
        authority.ca_file().display()
    );
    fs::write(&config, text).unwrap();
    let (code, said) = unenroll(&["--yes"], &config);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is not enrolled"), "{said}");

    // One try with a wrong token, and one with the right one, which is told from a later one.
    let wrong = state.0.join("wrong");
    fs::write(&wrong, "canary-wrong").unwrap();
    let (code, said) = enroll(&["--token-file", wrong.to_str().unwrap()], &config);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("control_plane.unauthenticated") && !said.contains("canary"), "{said}");
    let (code, said) = enroll(&[], &config);
    assert_eq!((code, said.as_str()), (Some(0), "edge-7\n"));
    assert!(!token.exists(), "the used token is removed");
    let (code, said) = enroll(&[], &config);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("enrolled already"), "{said}");
    assert_eq!(document("enroll", &[], &config), json!({"agent_id": "edge-7", "enrolled_before": true}));

    let log = fs::File::create(state.0.join("log")).unwrap();
    let running = Running(agent(&["run"], &config).stderr(log).spawn().unwrap());
    assert_eq!(server.beat("a beat", |_| true).shown, Shown::Certificate);
    let (code, said) = unenroll(&["--yes"], &config);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("another agent uses the state directory"), "{said}");
    drop(running);

    let (code, said) = unenroll(&[], &config);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("This takes edge-7 out of service") && said.contains("--yes"), "{said}");
    fs::write(ca.0.join("revoked"), "edge-7").unwrap();
    let (code, said) = unenroll(&["--yes"], &config);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("control_plane.unauthenticated") && said.contains("--local"), "{said}");
    assert!(folder.join("control-plane.pem").exists(), "nothing was changed");
    fs::remove_file(ca.0.join("revoked")).unwrap();

    let (code, said) = unenroll(&["--yes"], &config);
    assert_eq!((code, said.as_str()), (Some(0), "edge-7 is out of service\n"));
    assert_eq!(document("unenroll", &["--yes"], &config)["error"]["code"], "enrolment.failed");
    assert!(server.seen().iter().any(|seen| matches!(seen, Sighting::Unregistered { agent } if agent == "edge-7")));
    let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".pem")), "{left:?}");
    assert_eq!(unenroll(&["--yes"], &config).0, Some(1), "it is not enrolled any more");
}

//! What is printed with --json: each command, where it does what it is to do and where it does not.

use crate::support::{Local, QUICK, Stage, schema};
use std::collections::BTreeSet;

/// What stands on standard output.
enum Form {
    /// One document.
    One(&'static str),
    /// One on each line.
    Lines(&'static str),
    /// Nothing: it is in a file.
    Nothing,
}

const ERROR: Form = Form::One("error");
const EVENTS: Form = Form::Lines("event-line");

/// What is typed, how it exits, and what is printed; ID is the newest command that was completed or left alone.
const TYPED: &[(&str, i32, Form)] = &[
    ("deploy STACK -c a.yml --resolve-image never", 0, EVENTS),
    ("deploy STACK -c a.yml --resolve-image never --dry-run", 0, Form::One("event")),
    ("deploy STACK -c a.yml --resolve-image never --detach", 0, Form::One("accepted")),
    ("deploy STACK -c bad.yml --resolve-image never", 5, EVENTS),
    ("deploy STACK -c no.yml", 1, ERROR),
    ("plan STACK -c a.yml --resolve-image never", 0, Form::One("event")),
    ("plan STACK -c no.yml", 1, ERROR),
    ("scale STACK app=2", 0, EVENTS),
    ("scale STACK none=2", 1, EVENTS),
    ("scale STACK app=1 --detach", 0, Form::One("accepted")),
    ("rollback STACK --list", 0, Form::One("stack")),
    ("rollback STACK --to 1 --dry-run", 0, Form::One("event")),
    ("rollback STACK --to 1", 0, EVENTS),
    ("rollback STACK --to 99", 1, EVENTS),
    ("rollback none-of-that-name --list", 1, ERROR),
    ("stop STACK", 0, EVENTS),
    ("stop STACK none", 1, EVENTS),
    ("start STACK", 0, EVENTS),
    ("start STACK none", 1, EVENTS),
    ("restart STACK", 0, EVENTS),
    ("restart STACK none", 1, EVENTS),
    ("stacks", 0, Form::One("stacks")),
    ("services STACK", 0, Form::One("stack")),
    ("services none-of-that-name", 1, ERROR),
    ("ps STACK --all", 0, Form::One("stack")),
    ("ps STACK none", 1, ERROR),
    ("logs STACK", 0, Form::Lines("log-line")),
    ("logs STACK none", 1, ERROR),
    ("status", 0, Form::One("status")),
    ("commands", 0, Form::One("commands")),
    ("commands ID", 0, Form::One("command")),
    ("commands ID --follow", 0, EVENTS),
    ("commands 8d0d6c1e-8c0f-4d7e-9a53-0f3c7a1c1f11", 1, ERROR),
    ("cancel ID", 1, EVENTS),
    ("cancel 8d0d", 1, ERROR),
    ("pause", 0, EVENTS),
    ("deploy STACK -c a.yml --resolve-image never --detach", 0, Form::One("accepted")),
    ("commands ID", 0, Form::One("command")),
    ("cancel ID", 0, EVENTS),
    ("resume", 0, EVENTS),
    ("log-level", 0, Form::One("log-level")),
    ("log-level debug --for 1m", 0, Form::One("log-level")),
    ("log-level louder", 2, ERROR),
    ("log-level --reset", 0, Form::One("log-level")),
    ("config check", 0, Form::One("config-check")),
    ("config check --config bad.toml", 3, Form::One("config-check")),
    ("config show", 0, Form::One("config-show")),
    ("config show --config none.toml", 3, ERROR),
    ("render STACK -c a.yml", 0, Form::One("render")),
    ("render STACK -c no.yml", 1, ERROR),
    ("update check", 7, ERROR),
    ("update apply", 7, ERROR),
    ("update rollback", 7, ERROR),
    ("update status", 0, Form::One("update")),
    ("keys generate ops-1", 0, Form::One("keys-generate")),
    ("keys generate ops-1", 1, ERROR),
    ("keys sign a.json --key ops-1.key --agent edge-7", 0, Form::One("envelope")),
    ("keys sign a.json --key ops-1.key", 2, ERROR),
    ("keys sign a.json --key ops-1.key --agent edge-7 -o a.signed", 0, Form::Nothing),
    ("keys verify a.signed --public-key PUBLIC", 0, Form::One("keys-verify")),
    ("keys verify a.json --public-key PUBLIC", 7, ERROR),
    ("rm STACK --volumes", 2, ERROR),
    ("rm STACK", 0, EVENTS),
    ("events --socket none", 4, ERROR),
    ("enroll", 1, ERROR),
    ("unenroll", 1, ERROR),
    ("doctor --frobnicate", 2, ERROR),
];
/// They fail whatever is typed, or are seen to do what they are to do by others: with a control plane, broker and doctor, or
/// as lines that go on.
const ONE_WAY: [&str; 10] = ["stacks", "status", "events", "enroll", "unenroll", "doctor", "pause", "resume", "update", "support-bundle"];

pub fn every(stage: &Stage) {
    let local = Local::start(stage, "documents", "");
    let app = |command: &str| {
        format!(
            "services:\n  app: {{{QUICK}, command: [sh, -c, '{command}'], deploy: {{update_config: {{monitor: 1s}}, restart_policy: {{delay: 0s}}}}}}\n"
        )
    };
    local.write("a.yml", &app("echo here; exec sleep 1000"));
    local.write("bad.yml", &app("exit 3"));
    local.write("no.yml", "services: {app: {imag: box}}\n");
    local.write("bad.toml", "[agent]\nnmae = 1\n");
    local.write("a.json", r#"{"command_type": "HealthCheck"}"#);
    let (mut newest, mut public) = (String::new(), String::new());
    for (line, exit, form) in TYPED {
        let line = line.replace("ID", &newest).replace("PUBLIC", &public);
        let told = local.run(&line.split(' ').chain(["--json"]).collect::<Vec<_>>());
        assert_eq!(told.code(), *exit, "{line}: {told:?}\n{}", local.log());
        assert_eq!(told.err(), "", "{line}: a program reads standard output alone");
        let (name, lines) = match form {
            Form::Nothing => {
                assert_eq!(told.out(), "", "{line}: {told:?}");
                continue;
            }
            Form::One(name) => (name, 1),
            Form::Lines(name) => (name, told.out().lines().count()),
        };
        assert!(schema::check_lines(name, &told.out()) == lines && lines > 0, "{line}: {told:?}");
        let last: serde_json::Value = serde_json::from_str(told.out().lines().last().unwrap()).unwrap();
        if *name == "event-line" {
            assert_eq!((&last["terminal"], last["payload"]["details"]["code"].is_string()), (&true.into(), *exit != 0), "{line}: {told:?}");
            if *exit == 0 {
                last["causation_id"].as_str().unwrap().clone_into(&mut newest);
            }
        }
        if *name == "keys-generate" {
            last["public_key"].as_str().unwrap().clone_into(&mut public);
        }
        if *name == "accepted" {
            last["command_id"].as_str().unwrap().clone_into(&mut newest);
        }
        if *name == "error" {
            assert!(
                last["error"]["exit"] == *exit && last["error"]["next"].as_str().is_some_and(|next| !next.is_empty()),
                "{line}: {told:?}"
            );
        }
    }
    // None is forgotten, and each says so that programs can read it where it was typed wrong, or no agent is there.
    let mut looked_at = 0;
    for command in local.commands() {
        let words: Vec<&str> = command.split(' ').collect();
        let help = local.good(&[&words[..], &["--help"]].concat());
        let has = |option: &str| help.lines().any(|line| line.trim_start().starts_with(option));
        if !has("--json ") {
            continue;
        }
        looked_at += 1;
        let of_it = TYPED.iter().filter(|(line, ..)| **line == command || line.starts_with(&format!("{command} ")));
        let good: BTreeSet<bool> = of_it.clone().map(|(_, exit, _)| *exit == 0).collect();
        let is_told = good.len() == 2 || ONE_WAY.contains(&words[0]);
        assert!(is_told && !good.is_empty(), "{command} is typed in one way alone: {good:?}");
        let mut wrong = vec![[&words[..], &["--frobnicate"]].concat()];
        if has("--socket ") {
            let (line, ..) = of_it.clone().find(|(_, exit, _)| *exit == 0).or(of_it.clone().next()).unwrap();
            wrong.push(line.split(' ').map(|word| if word == "ID" { "8d0d" } else { word }).chain(["--socket", "none"]).collect());
        }
        for (words, exit) in wrong.iter().zip([2, 4]) {
            let told = local.run(&[&words[..], &["--json"]].concat());
            assert_eq!((told.code(), told.err()), (exit, String::new()), "{words:?}: {told:?}");
            assert_eq!(schema::check_lines("error", &told.out()), 1, "{words:?}: {told:?}");
        }
    }
    assert!(looked_at > 25, "{looked_at}");
}

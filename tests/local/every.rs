//! Each command that the help names, once. The tests beside this one look closer at those that change a stack.

use crate::support::{Local, QUICK, Stage};

/// What is typed, and how it exits. Those that go on for ever are typed by others.
const TYPED: &[(&str, i32)] = &[
    ("deploy STACK -c a.yml --resolve-image never", 0),
    ("plan STACK -c a.yml --resolve-image never", 0),
    ("scale STACK app=1", 0),
    ("rollback STACK --to 1", 0),
    ("rollback STACK --to 1 --dry-run", 0),
    ("rollback STACK --list", 0),
    ("stop STACK", 0),
    ("start STACK", 0),
    ("restart STACK", 0),
    ("stacks", 0),
    ("services STACK", 0),
    ("ps STACK", 0),
    ("logs STACK", 0),
    ("log-level", 0),
    ("status", 0),
    ("status --json", 0),
    ("commands", 0),
    ("cancel 8d0d6c1e-8c0f-4d7e-9a53-0f3c7a1c1f11", 1),
    ("pause", 0),
    ("resume", 0),
    ("update check", 7),
    ("update apply", 7),
    ("update rollback", 7),
    ("update status", 0),
    ("update helper", 0),
    ("rm STACK", 0),
    ("config check", 0),
    ("config show", 0),
    ("config example", 0),
    ("render STACK -c a.yml", 0),
    ("keys generate ops-1", 0),
    ("keys sign a.json --key ops-1.key --agent edge-7", 0),
    ("keys verify a.json", 3),
    ("schema", 0),
    ("completions bash", 0),
    ("man deploy", 0),
];
/// Looked at elsewhere: they go on, need an agent that does not run, or look at more than this test has.
const ELSEWHERE: [&str; 6] = ["run", "events", "enroll", "unenroll", "doctor", "support-bundle"];

pub fn command(stage: &Stage) {
    let local = Local::start(stage, "every", "");
    local.write(
        "a.yml",
        &format!(
            "services:\n  app: {{{QUICK}, command: [sh, -c, 'echo here; exec sleep 1000'], deploy: {{update_config: {{monitor: 1s}}}}}}\n"
        ),
    );
    local.write("a.json", r#"{"command_type": "HealthCheck"}"#);
    for (line, exit) in TYPED {
        let told = local.run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(told.code(), *exit, "{line}: {told:?}\n{}", local.log());
        assert!(if *exit == 0 { !told.out().is_empty() } else { told.err().contains("\n  next: ") }, "{line}: {told:?}");
    }
    local.document("status", &["status"]);
    local.document("config-check", &["config", "check"]);
    local.document("config-show", &["config", "show"]);
    local.document("render", &["render", "STACK", "-c", "a.yml"]);
    for name in local.commands() {
        let typed = TYPED.iter().any(|(line, _)| line.starts_with(&name));
        assert!(typed || ELSEWHERE.contains(&name.as_str()), "{name} is tried by no test");
    }
}

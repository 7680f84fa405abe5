//! A stack's life by the command line.

use crate::support::{Local, QUICK, Stage, until};
use std::io::{BufRead as _, BufReader, Read as _};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

fn shop(tag: &str, replicas: u32) -> String {
    format!(
        "services:\n  web: {{{QUICK}, command: [sh, -c, 'echo {tag} ready; echo careful >&2; exec sleep 1000'], configs: [page],\n        \
         deploy: {{replicas: {replicas}, update_config: {{monitor: 1s}}}}}}\n  worker: {{{QUICK}, command: [sleep, '1000'], \
         environment: [\"TAG=${{TAG:-none}}\"], deploy: {{update_config: {{monitor: 1s}}}}}}\nconfigs: {{page: {{file: ./page.html}}}}\n"
    )
}

pub fn life(stage: &Stage) {
    let local = Local::start(stage, "life", "");
    local.write("page.html", "<p>one");
    local.write("shop.yml", &shop("one", 2));
    let deploy = ["deploy", "STACK", "-c", "shop.yml", "--resolve-image", "never"];
    let plan = ["plan", "STACK", "-c", "shop.yml", "--resolve-image", "never"];

    // From nothing.
    let planned = local.good(&plan);
    assert!(planned.contains("+ service web  axion-test/box:1, 2 replicas\n") && planned.contains("+ config "), "{planned}");
    let told = local.good(&deploy);
    assert!(
        told.contains("web: ") && told.contains(&format!("Done: the stack {} runs as the file says (revision 1)", local.stack)),
        "{told}"
    );
    assert!(local.good(&deploy).contains("nothing was changed"));
    assert!(local.good(&plan).ends_with(&format!("Nothing changes: {} is as the files say.\n", local.stack)));
    assert_eq!(local.document("event", &plan)["payload"]["details"]["dry_run"], true);

    // What is there.
    let stacks = local.good(&["stacks"]);
    let own = stacks.lines().find(|line| line.starts_with(&local.stack)).map(|line| line.split_whitespace().collect::<Vec<_>>());
    assert_eq!(own.as_deref(), Some(&[local.stack.as_str(), "local", "2", "3/3", "running"][..]), "{stacks}");
    assert!(local.good(&["stacks", "--quiet"]).lines().any(|line| line == local.stack));
    assert_eq!(local.good(&["services", "STACK", "-q"]), "web\nworker\n");
    let services = local.good(&["services", "STACK"]);
    assert!(services.contains("web      replicated  2/2    axion-test/box:1  running\n"), "{services}");
    let tasks = local.good(&["ps", "STACK"]);
    assert_eq!(tasks.lines().filter(|line| line.contains("  running  ")).count(), 3, "{tasks}");
    assert!(tasks.contains("Revisions: "), "{tasks}");
    local.document("stacks", &["stacks"]);
    assert_eq!(local.document("stack", &["services", "STACK"])["revisions"][0]["revision"], 1);
    assert_eq!(local.document("stack", &["ps", "STACK"])["tasks"].as_array().unwrap().len(), 3);
    local.run(&["ps", "STACK", "wbe"]).fails(1, "service.not_found");

    // A change.
    local.write("page.html", "<p>two");
    local.write("shop.yml", &shop("two", 1));
    let planned = local.good(&plan);
    assert!(planned.contains("~ service web  every task is replaced") && planned.contains("deploy.replicas  2 → 1"), "{planned}");
    let events = local.lines("event-line", &deploy);
    assert_eq!(events[0]["event_type"], "CommandAccepted");
    let end = events.last().unwrap();
    assert_eq!((&end["event_type"], &end["payload"]["details"]["services"][0]["state"]), (&"DeployCompleted".into(), &"healthy".into()));
    assert_eq!(stage.engine().running(&local.stack, "web"), Ok(1));

    // By the other commands.
    let told = local.good(&["scale", "STACK", "worker=2"]);
    assert!(told.contains("worker: ") && told.contains("changing: the swarm was told: worker=2") && told.contains("Done: "), "{told}");
    assert_eq!(stage.engine().running(&local.stack, "worker"), Ok(2));
    local.run(&["scale", "STACK", "wroker=2"]).fails(1, "service.not_found");
    let told = local.good(&["restart", "STACK", "worker"]);
    assert!(told.contains("worker: ") && told.contains("waiting: "), "{told}");
    let told = local.good(&["stop", "STACK", "worker"]);
    assert!(told.contains("worker: stopping "), "{told}");
    assert!(local.good(&["services", "STACK"]).contains("stopped"));
    local.good(&["start", "STACK", "worker"]);
    // The way back: what there is, what would change, and there.
    let list = local.good(&["rollback", "STACK", "--list"]);
    assert!(list.lines().any(|line| line.starts_with("2 ") && line.contains("Deploy ") && line.contains("  runs now  ")), "{list}");
    assert!(list.lines().any(|line| line.starts_with("1 ") && line.contains("web=axion-test/box:1")), "{list}");
    assert_eq!(local.document("stack", &["rollback", "STACK", "--list"])["revisions"][0]["runs_now"], true);
    let planned = local.good(&["rollback", "STACK", "--dry-run"]);
    assert!(planned.contains("~ service web  ") && planned.contains(" to return to revision 1: change "), "{planned}");
    local.document("event", &["rollback", "STACK", "--dry-run"]);
    assert_eq!(stage.engine().running(&local.stack, "web"), Ok(1), "nothing was changed");
    let told = local.good(&["rollback", "STACK"]);
    assert!(told.contains("web: ") && told.contains("waiting: "), "it shows how it goes on: {told}");
    assert!(told.contains("Done: "), "{told}");
    assert_eq!(stage.engine().running(&local.stack, "web"), Ok(2), "the first revision had two");
    local.run(&["rollback", "STACK", "--to", "99"]).fails(1, "revision.not_found");

    // And back to nothing.
    local.run(&["rm", "STACK", "--volumes"]).fails(2, "confirmation.needed");
    let told = local.good(&["rm", "STACK"]);
    assert!(told.contains("removing: left: 2 services") && told.contains("web: stopping ") && told.contains("is removed"), "{told}");
    local.run(&["services", "STACK"]).fails(1, "stack.not_found");
    assert_eq!(stage.engine().remains(&local.stack), Ok(Vec::new()));
    assert!(local.good(&["commands"]).lines().filter(|line| line.contains(&local.stack)).count() >= 10);
}

pub fn logs(stage: &Stage) {
    let local = Local::start(stage, "logs", "");
    let talks = |name: &str| {
        format!("  {name}: {{{QUICK}, command: [sh, -c, 'echo {name} begins; while sleep 0.2; do echo {name} goes on; done']}}\n")
    };
    local.write("a.yml", &format!("services:\n{}{}", talks("db"), talks("web")));
    local.good(&["deploy", "STACK", "-c", "a.yml", "--resolve-image", "never"]);
    until("both have begun", SOON, || {
        let text = local.good(&["logs", "STACK"]);
        if text.contains("db.1  | db begins\n") && text.contains("web.1 | web begins\n") { Ok(()) } else { Err(text) }
    });
    assert_eq!(local.good(&["logs", "STACK", "web", "--tail", "1"]).lines().count(), 1);
    for line in local.lines("log-line", &["logs", "STACK", "--tail", "3"]) {
        assert!(line["text"].is_string(), "{line}");
    }
    let mut follow = local.begin(&["logs", "STACK", "-f", "--tail", "0"]);
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    let mut wanted = vec!["db.1  | db goes on", "web.1 | web goes on"];
    while !wanted.is_empty() {
        let line = lines.next().expect("it goes on").unwrap();
        wanted.retain(|text| *text != line);
    }
    follow.kill().unwrap();
    follow.wait().unwrap();
}

pub fn restart(stage: &Stage) {
    let mut local = Local::start(stage, "restart", "");
    // It is well after some seconds, in which the agent ends and comes back.
    let check = "healthcheck: {test: ['CMD-SHELL', 'test -e /tmp/well'], interval: 1s, retries: 60}";
    local.write(
        "a.yml",
        &format!("services:\n  slow: {{{QUICK}, command: [sh, -c, 'sleep 4; touch /tmp/well; exec sleep 1000'], {check}}}\n"),
    );
    let mut deploy = local.begin(&["deploy", "STACK", "-c", "a.yml", "--resolve-image", "never"]);
    until("the service is made", SOON, || match stage.engine().services(&local.stack)?.len() {
        1 => Ok(()),
        other => Err(format!("{other} services")),
    });
    local.stop_agent();
    local.start_agent();
    let status = deploy.wait().unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    deploy.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    deploy.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert!(status.success() && out.contains("Done: ") && err.contains("waiting for it"), "{status}: {out}{err}\n{}", local.log());
    local.good(&["rm", "STACK"]);
}

/// The lines as they stand there, typed into a shell; but for the image, which the engine of the test has not.
pub fn readme(stage: &Stage) {
    let local = Local::start(stage, "readme", "");
    let page = include_str!("../../README.md");
    let section = page.split("\n## From nothing to a stack, by hand\n").nth(1).expect("README has the section");
    let lines = section.split("```\n").nth(1).expect("it has lines to type");
    let image = "image: axion-test/box:1\n    command: [sh, -c, 'echo here; exec sleep 1000']\n    init: true\n    stop_grace_period: 1s";
    let typed = lines.replace("image: nginx:alpine", image).replace(" shop ", &format!(" {} ", local.stack));
    let typed = typed.lines().map(|line| line.strip_suffix(" shop").map_or(line.to_owned(), |line| format!("{line} {}", local.stack)));
    local.write("typed.sh", &(String::from("set -e\n") + &typed.collect::<Vec<_>>().join("\n")));
    let told = local.shell("typed.sh");
    assert_eq!(told.code(), 0, "{told:?}\n{}", local.log());
    let out = told.out();
    for part in [
        "is ready (local mode)",
        "+ service web",
        "(revision 1)",
        "2/2",
        "~ service web  every task is replaced",
        "Revisions: ",
        "is removed",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
}

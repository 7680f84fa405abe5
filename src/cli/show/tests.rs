//! Golden texts: answers as the agent gives them, and what a person sees of them on a terminal of a known width.

use super::*;
use crate::cli::invocation::Which;
use crate::cli::terminal::{Colour, Page};
use crate::domain::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn page(width: usize) -> Page {
    Page { width: Some(width), colour: Colour::Off, now: Timestamp::parse("2026-01-31T12:00:00Z").unwrap() }
}

fn read<T: DeserializeOwned>(document: Value) -> T {
    serde_json::from_value(document).unwrap()
}

fn stack_of_three() -> Value {
    json!({
        "name": "shop", "project_id": "local", "agent_id": "edge-7",
        "services": [
            {"name": "db", "image": "postgres:16@sha256:0123456789abcdef0123", "mode": "replicated", "replicas": {"running": 1, "desired": 1},
             "update": null, "errors": [{"error": "exit code 2", "count": 1, "at": "2026-01-30T12:00:00Z"}], "drift": null},
            {"name": "web", "image": "registry.example.com/shop/web:1.4", "mode": "replicated", "replicas": {"running": 1, "desired": 3},
             "update": {"state": "paused", "message": "update paused due to failure"},
             "errors": [{"error": "exit code 1", "count": 4, "at": "2026-01-31T11:58:00Z"}],
             "drift": {"revision": 3, "changes": [{"field": "Mode.Replicated.Replicas"}]}},
            {"name": "gpu", "image": "model@sha256:0123456789abcdef0123", "mode": "global", "replicas": {"running": 0, "desired": 0},
             "errors": [{"error": "no suitable node (scheduling constraints not satisfied on 1 node)", "count": 1, "at": ""}]},
            {"name": "migrate", "image": "shop/migrate:1.4", "mode": "replicated-job", "replicas": {"running": 0, "desired": 1, "completed": 1}, "errors": []},
        ],
    })
}

#[test]
fn services_say_why_they_do_not_run() {
    assert_eq!(
        services(&read(stack_of_three()), &page(80)),
        "SERVICE  MODE            TASKS  IMAGE                            STATE\n\
         db       replicated      1/1    postgres:16                      running\n\
         web      replicated      1/3    registry.example.com/shop/web:…  not all running\n    \
             4 × exit code 1 (2 min ago)\n    \
             update paused: update paused due to failure\n    \
             somebody else changed it since revision 3: deploy.replicas\n\
         gpu      global          0/0    model@sha256:0123456789ab        not running\n    \
             no suitable node (scheduling constraints not satisfied on 1 node)\n\
         migrate  replicated job  0/1    shop/migrate:1.4                 done\n"
    );
}

#[test]
fn services_that_have_ended_well_are_done() {
    let state = |mode: &str, running: u64, desired: u64, completed: u64, errors: &[&str]| {
        let errors: Vec<Value> = errors.iter().map(|error| json!({"error": error, "count": 1, "at": ""})).collect();
        let replicas = json!({"running": running, "desired": desired, "completed": completed});
        let stack = json!({"name": "st", "services": [{"name": "s", "image": "i", "mode": mode, "replicas": replicas, "errors": errors}]});
        let told = services(&read(stack), &page(100));
        let row = told.lines().nth(1).unwrap().split_once(mode.replace('-', " ").as_str()).unwrap().1.trim().to_owned();
        row.split("  i  ").map(str::trim).collect::<Vec<_>>().join(": ")
    };
    assert_eq!(state("replicated", 0, 1, 1, &[]), "0/1: done");
    assert_eq!(state("replicated", 2, 3, 1, &[]), "2/3: running (1 done)");
    assert_eq!(state("replicated", 1, 3, 1, &[]), "1/3: not all running (1 done)");
    assert_eq!(state("replicated", 0, 2, 1, &["exit code 1"]), "0/2: not running (1 done)");
    assert_eq!(state("global", 0, 0, 2, &[]), "0/2: done");
    assert_eq!(state("global", 0, 1, 1, &[]), "0/2: not running (1 done)");
    assert_eq!(state("global-job", 0, 0, 2, &[]), "0/2: done");
    assert_eq!(state("replicated-job", 0, 2, 0, &[]), "0/2: not running", "nothing of it has run yet");
}

#[test]
fn stacks_say_it_in_a_line_for_each_service() {
    let answer = json!({"swarm": "manager", "stacks": [
        stack_of_three(),
        {"name": "blog", "project_id": null, "services": [{"name": "app", "mode": "replicated", "image": "b", "replicas": {"running": 1, "desired": 1}}]},
        {"name": "old", "project_id": "p", "services": [{"name": "app", "mode": "replicated", "image": "b", "replicas": {"running": 0, "desired": 0}}]},
    ]});
    assert_eq!(
        stacks(&read(answer), &page(80)),
        "STACK  PROJECT  SERVICES  TASKS  STATE\n\
         shop   local    4         2/5    not running\n    \
             web 1/3: 4 × exit code 1 (2 min ago)\n    \
             gpu 0/0: no suitable node (scheduling constraints not satisfied on 1 node)\n\
         blog   -        1         1/1    running\n\
         old    p        1         0/0    stopped\n"
    );
    assert!(stacks(&read(json!({"swarm": "inactive", "stacks": []})), &page(80)).contains("docker swarm init"));
    assert!(stacks(&read(json!({"swarm": "manager", "stacks": []})), &page(80)).contains("axion-agent deploy"));
}

#[test]
fn tasks_are_told_that_run_and_that_failed_last() {
    let task = |id: &str, slot: u64, state: &str, desired: &str, since: &str, error: &str| {
        json!({"id": id, "service": "web", "slot": slot, "node": "host-1", "state": state, "desired_state": desired, "message": "m",
            "error": error, "image": "web:1", "since": format!("2026-01-31T11:{since}Z")})
    };
    let stack = json!({"name": "shop", "services": [], "revisions": [{"revision": 4, "runs_now": true}, {"revision": 3, "kept_at": "2026-01-30T12:00:00Z"}],
    "tasks": [
        task("aaaaaaaaaaaaaaaa", 1, "failed", "shutdown", "50:00", "older"),
        task("bbbbbbbbbbbbbbbb", 1, "failed", "shutdown", "55:00", "exit code 1"),
        task("cccccccccccccccc", 1, "running", "running", "59:00", ""),
        task("dddddddddddddddd", 2, "pending", "running", "59:30", ""),
        task("eeeeeeeeeeeeeeee", 3, "shutdown", "shutdown", "40:00", ""),
    ]});
    assert_eq!(
        tasks(&read(stack.clone()), &[], Which::Telling, &page(90)),
        "TASK              SLOT  NODE    STATE             SINCE      IMAGE\n\
         web cccccccccccc  1     host-1  running           1 min ago  web:1\n\
         web bbbbbbbbbbbb  1     host-1  failed (earlier)  5 min ago  web:1\n    \
             exit code 1\n\
         web dddddddddddd  2     host-1  pending           30 s ago   web:1\n    \
             m\n\
         \n\
         What a task wrote that failed: axion-agent logs shop --task bbbbbbbbbbbb\n\
         \n\
         Revisions: 4 runs now, 3 (axion-agent rollback shop --list tells more)\n"
    );
    assert_eq!(tasks(&read(stack), &["web".to_owned()], Which::All, &page(90)).lines().filter(|line| line.starts_with("web")).count(), 5);
}

#[test]
fn revisions_are_told_with_what_they_hold() {
    let stack = json!({"name": "shop", "revisions": [
        {"revision": 4, "kept_at": "2026-01-31T11:30:00Z", "command_id": "8d0d6c1e-8c0f", "images": {"db": "pg:16@sha256:0", "web": "web:2"}, "runs_now": true},
        {"revision": 3, "kept_at": "2026-01-30T12:00:00Z", "command_id": "9d0d6c1e-8c0f", "images": {"web": "web:1"}, "runs_now": false},
    ]});
    let recent: crate::cli::wire::Commands = read(json!({"commands": [{"command_id": "8d0d6c1e-8c0f", "command_type": "Deploy"}]}));
    assert_eq!(
        revisions(&read(stack), &recent.commands, &page(90)),
        "REVISION  KEPT        BY               STATE     IMAGES\n\
         4         30 min ago  Deploy 8d0d6c1e  runs now  db=pg:16, web=web:2\n\
         3         1 d ago     9d0d6c1e         -         web=web:1\n\
         \n\
         Return to one: axion-agent rollback shop --to N; --dry-run shows first what that would change.\n"
    );
    assert!(revisions(&read(json!({"name": "shop"})), &[], &page(90)).starts_with("No revision of shop is kept"));
}

#[test]
fn the_status_names_the_link_that_is_broken_and_its_mend() {
    let answer = json!({
        "agent_id": "edge-7", "version": "0.1.0", "pid": 4711, "uptime_seconds": 7500, "phase": "DEGRADED", "mode": "connected",
        "paused_since": "2026-01-31T11:00:00Z", "commands_open": 2, "events_unreported": 1, "consumer_lag": 12,
        "dependencies": [
            {"name": "docker", "state": "ready", "since": "2026-01-31T10:00:00Z", "last_error": "old", "detail": "28.2.2, manager"},
            {"name": "kafka_consumer", "state": "not_ready", "since": "2026-01-31T11:59:00Z", "last_error": "kafka.tls: the broker's certificate is not trusted; set kafka.ssl_ca_location", "detail": null},
            {"name": "control_plane", "state": "off", "since": "2026-01-31T10:00:00Z", "last_error": null, "detail": null},
        ],
        "last_command": {"id": "8d0d6c1e-8c0f-4d7e-9a53-0f3c7a1c1f11", "command_type": "Deploy", "result": "DeployCompleted", "finished_at": "2026-01-31T11:30:00Z"},
        "resources": {"process_resident_memory_bytes": 6_291_456.0, "process_cpu_seconds_total": 0.42, "process_threads": 12.0},
    });
    let stacks = read(json!({"swarm": "manager", "stacks": [
        {"name": "good", "project_id": "local", "services": [{"name": "web", "mode": "replicated", "replicas": {"running": 1, "desired": 1}}]},
        {"name": "shop", "project_id": "local", "services": [{"name": "web", "mode": "replicated", "replicas": {"running": 0, "desired": 1}, "errors": [{"error": "exit code 1", "count": 1}]}]},
    ]}));
    let recent: crate::cli::wire::Commands =
        read(json!({"commands": [{"command_id": "8d0d6c1e-8c0f-4d7e-9a53-0f3c7a1c1f11", "command_type": "Stop",
        "stack": "shop", "way": "kafka", "state": "done", "accepted_at": "2026-01-31T11:30:00Z"}]}));
    assert_eq!(
        status(&read(answer), &recent.commands, Some(&stacks), &page(80)),
        "axion-agent 0.1.0 is degraded\n  \
           agent     edge-7\n  \
           up for    2 h 5 min, process 4711\n  \
           paused    since 1 h 0 min ago: nothing starts that changes something; axion-agent resume lets it go on\n  \
           commands  2 open, 1 end not confirmed by the broker yet, 12 records of the command topic not taken in yet\n  \
           stacks    2, one of them not as wanted: see below\n  \
           uses      6.0 MiB of memory, 0.4 s of CPU time, 12 threads\n\
         \n\
         LINK            STATE      SINCE          DETAIL\n\
         docker          ready      2 h 0 min ago  28.2.2, manager\n\
         kafka consumer  not ready  1 min ago\n    \
             kafka.tls: the broker's certificate is not trusted; set\n    \
             kafka.ssl_ca_location\n\
         \n\
         STACK  PROJECT  SERVICES  TASKS  STATE\n\
         shop   local    1         0/1    not running\n    \
             web 0/1: exit code 1\n\
         \n\
         ID        COMMAND  STACK  FROM   STATE  WHEN        TOOK\n\
         8d0d6c1e  Stop     shop   kafka  done   30 min ago  -\n"
    );
}

#[test]
fn without_a_list_the_status_has_the_last_command() {
    let last = json!({"id": "8d0d6c1e-8c0f", "command_type": "Deploy", "stack": "shop", "result": "DeployFailed", "finished_at": "2026-01-31T11:30:00Z",
        "code": "image.not_found", "message": "no such image"});
    let text = status(&read(json!({"phase": "READY", "last_command": last})), &[], None, &page(80));
    assert!(text.contains("  last      Deploy 8d0d6c1e of shop: DeployFailed 30 min ago: no such image [image.not_found]\n"), "{text}");
}

#[test]
fn the_status_has_the_stacks_as_they_were_counted_where_the_engine_does_not_answer() {
    let swarm = |running: u64| json!({"counted_at": "2026-01-31T11:59:48Z", "stacks": [{"running": running, "desired": 2}, {"running": 1, "desired": 1}]});
    for (running, words) in [(2, "2, counted 12 s ago: all their tasks ran"), (1, "2, counted 12 s ago: 1 of them short of tasks")] {
        let text = status(&read(json!({"phase": "READY", "swarm": swarm(running)})), &[], None, &page(80));
        assert!(text.contains(&format!("  stacks    {words}; the engine does not answer now\n")), "{text}");
    }
}

#[test]
fn a_plan_reads_like_a_diff() {
    let end = json!({"event_type": "DeployCompleted", "terminal": true, "payload": {"stack_name": "shop", "message": "dry run", "details": {
        "dry_run": true,
        "networks": [
            {"name": "shop_default", "action": "unchanged"},
            {"name": "shop_back", "action": "replace", "reason": "Swarm cannot change it", "changes": [{"field": "Internal", "old": false, "new": true}]},
        ],
        "secrets": [{"name": "shop_key", "object": "shop_key-1a2b3c4d", "action": "create", "reason": "its content changed"}],
        "configs": [],
        "services": [
            {"name": "db", "action": "unchanged", "image": "postgres:16"},
            {"name": "web", "action": "update", "image": "web:1.5", "tasks": "replaced", "image_here": false, "changes": [
                {"field": "TaskTemplate.ContainerSpec.Image", "old": "web:1.4", "new": "web:1.5"},
                {"field": "TaskTemplate.ContainerSpec.Env.PASSWORD"},
                {"field": "TaskTemplate.ContainerSpec.Env.OLD", "new": null},
                {"field": "TaskTemplate.ContainerSpec.Env.NEW", "old": null},
                {"field": "Labels.tier", "old": null, "new": "front"},
                {"field": "TaskTemplate.ContainerSpec.Args", "old": ["sh", "-c", "echo one ready; exec sleep 1000"], "new": ["sh", "-c", "echo two ready; exec sleep 1000"]},
            ]},
            {"name": "worker", "action": "create", "image": "worker:1", "replicas": {"desired": 2}},
            {"name": "agent", "action": "create", "image": "agent:1"},
            {"name": "old", "action": "remove", "reason": "it left the file", "image": "old:1"},
        ],
        "warnings": ["base.yml:3:5: services.web.build: is not honoured"],
    }}});
    assert_eq!(
        plan(&read(end), &page(80)),
        "-/+ network shop_back  Swarm cannot change it\n    \
             internal  false → true\n\
         + secret shop_key as shop_key-1a2b3c4d  its content changed\n\
         ~ service web  every task is replaced\n    \
             image                 web:1.4 → web:1.5\n    \
             environment.PASSWORD  changes; its value is not shown\n    \
             environment.OLD       is removed; its value is not shown\n    \
             environment.NEW       is added; its value is not shown\n    \
             deploy.labels.tier    (none) → front\n    \
             command\n      \
               - [\"sh\",\"-c\",\"echo one ready; exec sleep 1000\"]\n      \
               + [\"sh\",\"-c\",\"echo two ready; exec sleep 1000\"]\n    \
             ! this node has to pull its image first\n\
         + service worker  worker:1, 2 replicas\n\
         + service agent  agent:1, on every node\n\
         - service old  it left the file\n\
         \n\
         Plan for shop: make 3, change 1, make anew 1, remove 1; 2 stay as they are.\n\
         \n\
         Warnings:\n  ! base.yml:3:5: services.web.build: is not honoured\n"
    );
    let back = json!({"payload": {"stack_name": "shop", "details": {"to_revision": 3, "services": [{"name": "old", "action": "remove", "reason": "it is not in the revision"}]}}});
    assert!(plan(&read(back), &page(80)).ends_with("\nPlan for shop to return to revision 3: remove 1.\n"));
    let same = json!({"event_type": "DeployCompleted", "payload": {"stack_name": "shop", "details": {"services": [{"name": "db", "action": "unchanged"}]}}});
    assert_eq!(plan(&read(same), &page(80)), "Nothing changes: shop is as the files say.\n");
}

#[test]
fn commands_say_who_gave_them_and_how_they_ended() {
    let list: crate::cli::wire::Commands = read(json!({"commands": [
        {"command_id": "8d0d6c1e-8c0f-4d7e-9a53-0f3c7a1c1f11", "command_type": "Deploy", "stack": "shop", "way": "local", "user": "uid:0", "state": "running",
         "progress": "1 of 2 tasks run as wanted", "accepted_at": "2026-01-31T11:59:50Z", "started_at": "2026-01-31T11:59:52Z"},
        {"command_id": "9d0d6c1e-8c0f-4d7e-9a53-0f3c7a1c1f11", "command_type": "Scale", "stack": "shop", "way": "kafka", "state": "failed",
         "code": "service.not_found", "message": "the stack shop has no service wbe", "accepted_at": "2026-01-31T11:00:00Z",
         "started_at": "2026-01-31T11:00:00Z", "ended_at": "2026-01-31T11:00:01Z"},
    ]}));
    assert_eq!(
        commands(&list.commands, &page(90)),
        "ID        COMMAND  STACK  FROM           STATE    WHEN           TOOK\n\
         8d0d6c1e  Deploy   shop   local (uid:0)  running  10 s ago       8 s\n    \
             1 of 2 tasks run as wanted\n\
         9d0d6c1e  Scale    shop   kafka          failed   1 h 0 min ago  1 s\n    \
             the stack shop has no service wbe [service.not_found]\n"
    );
    assert_eq!(
        command(&list.commands[1], &page(80)),
        "Scale failed\n  \
           id        9d0d6c1e-8c0f-4d7e-9a53-0f3c7a1c1f11\n  \
           stack     shop\n  \
           from      kafka\n  \
           accepted  2026-01-31T11:00:00Z (1 h 0 min ago)\n  \
           started   2026-01-31T11:00:00Z (1 h 0 min ago)\n  \
           ended     2026-01-31T11:00:01Z (59 min ago)\n  \
           took      1 s\n  \
           code      service.not_found\n  \
           message   the stack shop has no service wbe\n"
    );
}

#[test]
fn an_event_is_a_line() {
    let told = json!({"event_type": "DeployFailed", "terminal": true, "timestamp": "2026-01-31T11:59:50.25Z", "causation_id": "8d0d6c1e-8c0f-4d7e-9a53-0f3c7a1c1f11",
        "payload": {"stack_name": "shop", "command_type": "Deploy", "message": "no\nsuch image", "details": {"code": "image.not_found"}}});
    assert_eq!(event(&read(told), &page(80)), "11:59:50 8d0d6c1e DeployFailed shop no such image [image.not_found]\n");
    let progress = json!({"event_type": "CommandAccepted", "timestamp": "2026-01-31T11:59:50Z", "causation_id": "8d0d6c1e-8c0f-4d7e-9a53-0f3c7a1c1f11",
        "payload": {"stack_name": "shop", "command_type": "Scale", "message": ""}});
    assert_eq!(event(&read(progress), &page(80)), "11:59:50 8d0d6c1e CommandAccepted of Scale shop\n");
}

//! The session between the agent's own binary and the development control plane: actions and logs, while one
//! side is killed or does not listen.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests, though clippy cannot see it: they have no libtest"
)]

mod support;

use axion_agent::signing::{KeyId, PrivateKey};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use support::agents::Sighting;
use support::session::book::Follow;
use support::session::{Hearing, Sessions};
use support::{AGENT, Bed, COMMAND, ControlPlane, Draft, Need, Plan, READY, Record, Stage, Test, run, until};
use uuid::Uuid;

const WITH_PROGRAM: &[Need] = &[Need::Engine, Need::Broker, Need::ControlPlane];

const TESTS: &[Test] = &[
    Test { name: "a_control_plane_that_is_killed_again_and_again_loses_no_action_and_no_line", needs: WITH_PROGRAM, body: killed },
    Test { name: "an_agent_that_is_killed_ends_its_actions_once", needs: WITH_PROGRAM, body: agent_killed },
    Test { name: "a_log_goes_on_with_the_next_task_and_ends_with_its_service", needs: WITH_PROGRAM, body: log_of_a_life },
    Test {
        name: "a_log_goes_on_after_its_engine_died",
        needs: &[Need::EngineToStop, Need::Broker, Need::ControlPlane],
        body: log_of_an_engine,
    },
    Test { name: "certificates_are_renewed_under_load_and_no_command_fails", needs: WITH_PROGRAM, body: rotated },
    Test { name: "an_action_is_believed_that_a_key_of_the_enrolment_has_signed", needs: WITH_PROGRAM, body: signed },
    Test { name: "heartbeats_keep_their_time_while_a_session_is_not_read", needs: AGENT, body: deaf },
];

/// The session is there again this long after its control plane; the first try comes within 5 s.
const RECOVERY: Duration = Duration::from_secs(20);
/// All the actions of one run, in the end.
const ENDS: Duration = Duration::from_secs(120);
const ACTIONS: usize = 50;
/// What an agent may grow by, in KiB: caches and buffers reach their size once.
const GROWTH: u64 = 2048;

fn main() -> std::process::ExitCode {
    run("session", TESTS)
}

/// How often the control plane is killed; `make soak` asks for more.
fn kills() -> usize {
    std::env::var("AXION_TEST_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(3)
}

/// A service that writes about 50 numbered lines a second, and one to be scaled.
fn talker() -> String {
    let base = "    image: axion-test/box:1\n    init: true\n    stop_grace_period: 1s\n    deploy: {update_config: {monitor: 1s}}\n";
    let talk = "i=0; while true; do i=$$((i+1)); echo line $$i; sleep 0.02; done";
    format!("services:\n  talker:\n{base}    command: [\"/bin/sh\", \"-c\", \"{talk}\"]\n  app:\n{base}    command: [sleep, infinity]\n")
}

/// The n-th action: most ask, some change.
fn action(bed: &Bed<'_>, n: usize) -> Draft {
    match n % 5 {
        0 => bed.draft("Scale").with("services", json!({"app": 1 + n / 5 % 2})),
        1 => bed.draft("Logs").with("service", "talker").with("tail", 5),
        2 => Draft { command_type: "HealthCheck".to_owned(), ..Draft::default() },
        _ => bed.draft("GetStatus"),
    }
}

fn prepared(stage: &Stage) -> (Bed<'_>, ControlPlane) {
    let mut bed = Bed::prepare(stage, Plan::Enrolled);
    let plane = bed.start_control_plane_apart();
    bed.start_agent();
    bed.agent().wait_ready(READY);
    let end = plane.end_of(plane.act(bed.deploy(&talker())), COMMAND);
    assert_eq!(end.event_type, "DeployCompleted", "{end:?}");
    (bed, plane)
}

fn killed(stage: &Stage) {
    let (bed, mut plane) = prepared(stage);
    let follow = plane.follow(&bed.id, "", "talker", 0);
    until("lines come", RECOVERY, || some(plane.lines(&follow).len(), "lines"));
    let (rounds, mut ids) = (kills(), Vec::new());
    let (mut early, mut resident) = (0, Vec::new());
    for round in 0..rounds {
        // Each round gives some actions and kills the control plane at another moment of the lines that come.
        while ids.len() < ACTIONS * (round + 1) / rounds {
            ids.push(plane.act(action(&bed, ids.len())));
        }
        let before = plane.lines(&follow).len();
        until("lines come again", RECOVERY, || some(plane.lines(&follow).len().saturating_sub(before + round * 7 % 40), "further lines"));
        resident.push(rss(bed.agent().pid()));
        if round == rounds / 4 {
            early = rss(bed.agent().pid());
        }
        plane.kill_and_restart();
    }
    for id in &ids {
        let end = plane.end_of(*id, ENDS);
        assert!(!end.event_type.contains("Rejected"), "{end:?}");
    }
    let last = plane.lines(&follow).len();
    until("lines come after the last kill", RECOVERY, || some(plane.lines(&follow).len().saturating_sub(last), "further lines"));
    let late = rss(bed.agent().pid());
    plane.end_follow(&follow);

    check_once(&bed, &ids);
    check_lines(&plane, &follow);
    let lines = plane.lines(&follow);
    println!("{rounds} kills, {} actions, {} lines, resident {resident:?} KiB, then {late}", ids.len(), lines.len());
    assert!(late <= early + GROWTH, "from {early} to {late} KiB: {resident:?}");
}

/// Keys come with the identity, and the configuration has the last word.
fn signed(stage: &Stage) {
    let [key, own] = ["plane-1", "ops-1"].map(|id| PrivateKey::generate(KeyId::parse(id).unwrap()).unwrap());
    let mut bed = Bed::prepare(stage, Plan::Enrolled);
    let mut plane = bed.start_control_plane_naming(&[key.public().unwrap().to_string()]);
    bed.start_agent();
    bed.agent().wait_ready(READY);
    let end = |plane: &ControlPlane, record: Record| {
        let end = plane.end_of(plane.act_record(record), COMMAND);
        (end.event_type.clone(), end.code().unwrap_or_default().to_owned())
    };
    let missing = ("CommandRejected".to_owned(), "signature.missing".to_owned());
    assert_eq!(end(&plane, bed.deploy(&talker()).signed_for(&bed.id, &key)).0, "DeployCompleted");
    // Who only asks needs no key.
    assert_eq!(end(&plane, bed.draft("GetStatus").record()).0, "StatusReport");
    let scale = || bed.draft("Scale").with("services", json!({"app": 2}));
    assert_eq!(end(&plane, scale().record()), missing);
    assert_eq!(end(&plane, scale().signed_for(&bed.id, &key)).0, "CommandCompleted");
    // An action that is sent again after a break is the same.
    let id = plane.act_record(scale().signed_for(&bed.id, &key));
    plane.kill_and_restart();
    assert_eq!(plane.end_of(id, ENDS).event_type, "CommandCompleted");

    // They are kept with the identity.
    let agent = bed.take_agent();
    agent.terminate();
    bed.start_agent();
    bed.agent().wait_ready(READY);
    let scale = || bed.draft("Scale").with("services", json!({"app": 1}));
    assert_eq!(end(&plane, scale().record()), missing);
    assert_eq!(end(&plane, scale().signed_for(&bed.id, &key)).0, "CommandCompleted");

    let keys = [own.public().unwrap().to_string()];
    bed.reconfigure(&format!("{}[security]\ncommand_public_keys = {keys:?}\n", bed.configuration()));
    bed.agent().reload();
    assert_eq!(end(&plane, scale().signed_for(&bed.id, &own)).0, "CommandCompleted");
    assert!(bed.whole_log().contains("signed by plane-1") && bed.whole_log().contains("signed by ops-1"), "{}", bed.whole_log());
}

/// Certificates of seconds, while actions and commands come and a log is followed.
fn rotated(stage: &Stage) {
    const RENEWALS: usize = 4;
    let mut bed = Bed::prepare(stage, Plan::Enrolled);
    let plane = bed.start_issuing_control_plane("9s");
    bed.start_agent();
    bed.agent().wait_ready(READY);
    let end = plane.end_of(plane.act(bed.deploy(&talker())), COMMAND);
    assert_eq!(end.event_type, "DeployCompleted", "{end:?}");
    let follow = plane.follow(&bed.id, "", "talker", 0);
    let file = bed.directory().join("state/control-plane.pem");
    let mut certificates = BTreeSet::new();
    let (mut actions, mut commands) = (Vec::new(), Vec::new());
    let begun = Instant::now();
    while certificates.len() <= RENEWALS {
        assert!(begun.elapsed() < COMMAND, "only {} certificates in {:?}", certificates.len(), begun.elapsed());
        certificates.insert(std::fs::read(&file).unwrap());
        actions.push(plane.act(action(&bed, actions.len())));
        commands.push(bed.send(bed.query()));
        std::thread::park_timeout(Duration::from_millis(300));
        assert_eq!(bed.agent().dependency("control_plane").as_deref(), Ok("ready"));
    }
    for id in &actions {
        let end = plane.end_of(*id, ENDS);
        assert!(!end.event_type.contains("Failed") && !end.event_type.contains("Rejected"), "{end:?}");
    }
    for id in &commands {
        assert_eq!(bed.terminal(*id).event_type, "StatusReport");
    }
    let last = plane.lines(&follow).len();
    until("lines come after the last renewal", RECOVERY, || some(plane.lines(&follow).len().saturating_sub(last), "further lines"));
    plane.end_follow(&follow);
    assert_eq!(plane.faults(&follow), "", "lines that came twice, or not at all");
    check_once(&bed, &actions);
    println!("{} certificates, {} actions and {} commands in {:?}", certificates.len(), actions.len(), commands.len(), begun.elapsed());
}

fn agent_killed(stage: &Stage) {
    let (mut bed, plane) = prepared(stage);
    let ids: Vec<Uuid> = (0..10).map(|n| plane.act(action(&bed, n))).collect();
    plane.end_of(ids[2], COMMAND);
    bed.take_agent().kill();
    let more: Vec<Uuid> = (10..20).map(|n| plane.act(action(&bed, n))).collect();
    bed.start_agent();
    let ids = [ids, more].concat();
    for id in &ids {
        plane.end_of(*id, ENDS);
    }
    check_once(&bed, &ids);
    let (status, took) = bed.take_agent().terminate();
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(2), "{took:?}: an idle session holds nothing up");
}

fn log_of_a_life(stage: &Stage) {
    let (bed, plane) = prepared(stage);
    for (project, stack, service, code) in [
        (bed.id.as_str(), "", "nobody", "service.not_found"),
        ("nobody", "", "talker", "stack.not_found"),
        ("nobody", bed.stack.as_str(), "talker", "stack.foreign_project"),
    ] {
        let id = plane.follow(project, stack, service, 0);
        assert_eq!(plane.end_of_log(&id, RECOVERY), code, "{project} {stack} {service}");
    }
    let follow = plane.follow(&bed.id, "", "talker", 3);
    until("lines come", RECOVERY, || some(plane.lines(&follow).len(), "lines"));
    let printed = plane.by_hand("logs", &["--project", &bed.id, "--service", "talker", "--lines", "3"]).expect("a log");
    assert!(printed.lines().count() == 3 && printed.lines().all(|line| line.contains("stdout  line ")), "{printed}");
    let printed = plane.by_hand("send", &["--via", "session", "--wait", "--type", "GetStatus", "--project", &bed.id]).expect("an end");
    assert!(printed.contains("StatusReport") && printed.contains("talker: 1/1 running"), "{printed}");
    let end = plane.end_of(plane.act(bed.draft("Restart").with("services", json!(["talker"]))), COMMAND);
    assert_eq!(end.event_type, "CommandCompleted", "{end:?}");
    until("the next task speaks", RECOVERY, || some(tasks(&plane, &follow).len().saturating_sub(1), "second task"));
    plane.act(bed.draft("Remove"));
    // It is looked for after a silence.
    assert_eq!(plane.end_of_log(&follow, Duration::from_secs(60)), "service.not_found");
    check_lines(&plane, &follow);
}

fn log_of_an_engine(stage: &Stage) {
    let (bed, plane) = prepared(stage);
    let follow = plane.follow(&bed.id, "", "talker", 1000);
    until("lines come", RECOVERY, || some(plane.lines(&follow).len(), "lines"));
    bed.engine().kill("KILL");
    let before = tasks(&plane, &follow).len();
    until("a task speaks after the engine's return", COMMAND, || some(tasks(&plane, &follow).len().saturating_sub(before), "further task"));
    plane.end_follow(&follow);
    check_lines(&plane, &follow);
}

/// Who wrote lines of a log.
fn tasks(plane: &ControlPlane, follow: &str) -> BTreeSet<String> {
    plane.lines(follow).into_iter().map(|line| line.task).collect()
}

/// Each task's lines came once and in order, without a gap behind its first.
fn check_lines(plane: &ControlPlane, follow: &str) {
    assert_eq!(plane.faults(follow), "", "lines that came twice, or not at all");
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    for (index, line) in plane.lines(follow).into_iter().enumerate() {
        assert_eq!(line.number, index as u64 + 1, "{line:?}");
        let said: u64 = line.text.strip_prefix("line ").and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{line:?}"));
        let before = last.insert(line.task.clone(), said);
        assert!(before.is_none_or(|before| said == before + 1), "after line {before:?}: {line:?}");
    }
}

/// Each action was accepted once and ended once, for the readers of the topic too.
fn check_once(bed: &Bed<'_>, ids: &[Uuid]) {
    bed.settle();
    let log = std::fs::read_to_string(bed.log()).expect("the agent's log");
    let mut accepted: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, _) in log.match_indices("accepted ") {
        if let Some(id) = log[at..].split(' ').nth(2) {
            *accepted.entry(id).or_default() += 1;
        }
    }
    for id in ids {
        // An agent that is killed between its journal and its log has accepted it and never says so; it ends all the same.
        let times = accepted.get(id.to_string().as_str()).copied().unwrap_or_default();
        assert!(times <= 1, "{id} was accepted {times} times");
        let events = bed.all_of_so_far(*id);
        // An agent that was killed before it heard of a delivery sends the same event again.
        let ends: BTreeSet<Uuid> = events.iter().filter(|event| event.terminal).map(|event| event.event_id).collect();
        assert_eq!(ends.len(), 1, "{events:?}");
    }
}

fn deaf(stage: &Stage) {
    let mut bed = Bed::prepare(stage, Plan::Enrolled);
    let sessions = Sessions::open(&bed.directory().join("sessions"), Hearing::Deaf).expect("a book");
    bed.start_control_plane_with(sessions.clone());
    bed.start_agent();
    bed.agent().wait_ready(READY);
    // A service that writes as fast as it can, and a log of it that nobody takes.
    let flood = "services:\n  flood:\n    image: axion-test/box:1\n    init: true\n    stop_grace_period: 1s\n    command: [\"yes\"]\n    \
                 logging: {driver: json-file, options: {max-size: 1m}}\n";
    assert_eq!(bed.carry_out(bed.deploy(flood)).event_type, "DeployCompleted");
    let before = rss(bed.agent().pid());
    let (agent, project) = (bed.id.clone(), bed.id.clone());
    let (id, stack, service) = (Uuid::new_v4().to_string(), String::new(), "flood".to_owned());
    sessions.change(|book| book.add_follow(Follow { id, agent, project, stack, service, tail: 0 })).expect("the book");
    for n in 0..32 {
        let record = action(&bed, 2 + 5 * n).record();
        let (id, command) = (record.command_id.expect("an id"), String::from_utf8(record.body).expect("text"));
        sessions.change(|book| book.add_action(&bed.id, id, command)).expect("the book");
    }
    // Those that came before are not looked at one by one.
    drop(bed.sightings());
    let mut beats = Vec::new();
    until("five beats came", Duration::from_secs(40), || {
        for sighting in bed.sightings() {
            if let Sighting::Beat(_) = sighting {
                beats.push(Instant::now());
            }
        }
        if beats.len() >= 5 { Ok(()) } else { Err(format!("{} beats", beats.len())) }
    });
    for pair in beats.windows(2) {
        let gap = pair[1] - pair[0];
        assert!((4000..=6500).contains(&gap.as_millis()), "{gap:?}: 5 s and a tenth were meant");
    }
    assert_eq!(bed.agent().dependency("session").unwrap(), "ready", "nobody can tell a slow reader from a deaf one");
    let asked = Instant::now();
    let answer = bed.carry_out(bed.query());
    assert_eq!(answer.event_type, "StatusReport", "the topic's commands go on");
    let after = rss(bed.agent().pid());
    println!("a log that nobody takes: from {before} to {after} KiB; a query took {} ms", asked.elapsed().as_millis());
    assert!(after <= before + 2 * GROWTH, "from {before} to {after} KiB");
    let (_, took) = bed.take_agent().terminate();
    assert!(took < Duration::from_secs(10), "{took:?}");
}

fn some(count: usize, what: &str) -> Result<(), String> {
    if count > 0 { Ok(()) } else { Err(format!("no {what}")) }
}

/// The resident memory of a process, in KiB (proc(5)).
fn rss(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the agent runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its resident memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

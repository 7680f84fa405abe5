//! Verdicts by table: what was seen of a service, look by look, and what it came to.
//!
//! The shapes are those of `GET /tasks` and `GET /services` of a 20.10.24 manager.

#[path = "watch_history_tests.rs"]
mod history;

use super::*;
use serde_json::json;
use std::sync::Arc;

const NEW: &[&str] = &[];
const PULL: Duration = Duration::from_secs(600);

fn wanted(mode: Mode, policy: &Value, written: Written) -> Wanted {
    let task = json!({"RestartPolicy": policy, "ContainerSpec": {"StopGracePeriod": 1_000_000_000}});
    Wanted::of(&json!({"Name": "st_web", "TaskTemplate": task}), mode, written)
}

fn watch(mode: Mode, policy: &Value, written: Written, before: &[&str]) -> Watch {
    Watch::new(wanted(mode, policy, written), Arc::new(before.iter().map(|&id| id.to_owned()).collect()))
}

fn replicated(count: u64) -> Watch {
    watch(Mode::Replicated(count), &json!(null), Written::Now, NEW)
}

/// `id slot desired state[ error]`, made in the order of the list.
fn tasks(lines: &[&str]) -> Vec<Task> {
    let task = |(at, line): (usize, &&str)| {
        let words: Vec<&str> = line.splitn(5, ' ').collect();
        let node = if words[2] == "running" && words[3] == "pending" { "" } else { "n1" };
        let mut task = json!({
            "ID": words[0], "Version": {"Index": 5}, "CreatedAt": format!("2026-11-26T05:46:{at:02}Z"), "ServiceID": "s", "NodeID": node,
            "DesiredState": words[2], "Status": {"State": words[3], "Err": words.get(4).unwrap_or(&"")}, "JobIteration": {},
        });
        if let Ok(slot) = words[1].parse::<u64>() {
            task["Slot"] = json!(slot);
        }
        serde_json::from_value(task).unwrap()
    };
    lines.iter().enumerate().map(task).collect()
}

/// A minute in which the first tasks of a list have just been made.
fn now() -> Timestamp {
    Timestamp::parse("2026-11-26T05:46:30Z").unwrap()
}

fn service(update: Option<(&str, &str)>) -> Glance {
    glance(&json!({"Index": 0}), update)
}

/// As wanted, in this run of a job.
fn glance(iteration: &Value, update: Option<(&str, &str)>) -> Glance {
    let mut service = json!({"ID": "s", "Version": {"Index": 9}, "Spec": {"Name": "st_web"}, "JobStatus": {"JobIteration": iteration}});
    if let Some((state, message)) = update {
        service["UpdateStatus"] = json!({"State": state, "Message": message});
    }
    Glance::of(&serde_json::from_value(service).unwrap(), true)
}

fn look(watch: &mut Watch, seconds: u64, lines: &[&str], update: Option<(&str, &str)>) -> State {
    let tasks = tasks(lines);
    // A task of the old spec is written with a capital letter.
    let current = tasks.iter().filter(|task| task.id.starts_with(char::is_lowercase)).map(|task| task.id.clone()).collect();
    let (service, tasks): (_, Vec<&Task>) = (service(update), tasks.iter().collect());
    watch.look(
        Duration::from_secs(seconds),
        &Look { service: Some(&service), tasks: &tasks, current: &current, pull_timeout: PULL, now: now() },
    )
}

#[test]
fn how_far_the_tasks_are_is_said_by_the_newest_that_does_not_run() {
    for (lines, stage) in [
        (&[][..], "waiting"),
        (&["a 1 running pending"], "waiting"),
        (&["a 1 running running", "b 2 running preparing"], "pulling"),
        (&["a 1 running starting", "b 2 running running"], "starting"),
        (&["a 1 running running"], "waiting"),
        (&["a 1 running running", "b 2 running running"], "running"),
        (&["a 1 shutdown failed", "b 2 running running", "c 1 running preparing"], "pulling"),
    ] {
        let mut watch = replicated(2);
        look(&mut watch, 0, lines, None);
        assert_eq!(watch.stage(), stage, "{lines:?}");
    }
}

#[test]
fn what_is_older_than_the_present_spec_is_of_another_deploy() {
    let lines = tasks(&["A 1 shutdown rejected nope", "b 1 shutdown rejected nope", "C 1 running running", "d 1 running pending"]);
    let all: Vec<&Task> = lines.iter().collect();
    let told = |current: &[&str], service: Glance| {
        let mut watch = replicated(1);
        let current = current.iter().map(|&id| id.to_owned()).collect();
        watch.leave_out_older(&Look { service: Some(&service), tasks: &all, current: &current, pull_timeout: PULL, now: now() });
        all.iter().filter(|task| watch.counts(task)).map(|task| task.id.clone()).collect::<Vec<_>>()
    };
    let written = |second: u64| Glance { updated_at: format!("2026-11-26T05:46:{second:02}.5Z"), ..service(None) };
    assert_eq!(told(&["b", "d"], written(0)), ["b", "C", "d"]);
    assert_eq!(told(&[], written(0)), ["A", "b", "C", "d"], "it is not known yet");
    assert_eq!(told(&["b", "d"], written(3)), ["d"], "the spec is one that was there once, or only its labels have changed");
    let mut updating = written(9);
    updating.update_status = Some(serde_json::from_value(json!({"State": "updating", "StartedAt": "2026-11-26T05:46:03.1Z"})).unwrap());
    assert_eq!(told(&["b", "d"], updating), ["d"], "the manager writes to it while it updates");
}

fn code(state: &State) -> Option<Code> {
    match state {
        State::Failed(failure) => Some(failure.code),
        _ => None,
    }
}

#[test]
fn new_tasks_must_run_for_the_monitor() {
    let mut watch = replicated(2);
    assert_eq!(look(&mut watch, 0, &[], None), State::Waiting);
    assert_eq!(look(&mut watch, 1, &["a 1 running running", "b 2 running starting"], None), State::Waiting);
    assert_eq!(watch.count(), (1, 2));
    let both = ["a 1 running running", "b 2 running running"];
    assert_eq!(look(&mut watch, 2, &both, None), State::Waiting);
    assert_eq!(look(&mut watch, 6, &both, None), State::Waiting);
    assert_eq!(look(&mut watch, 7, &both, None), State::Settled);
}

#[test]
fn a_task_that_was_replaced_unseen_starts_the_time_again() {
    let mut watch = replicated(1);
    assert_eq!(look(&mut watch, 0, &["a 1 running running"], None), State::Waiting);
    let replaced = ["a 1 shutdown failed x", "b 1 running running"];
    assert_eq!(look(&mut watch, 6, &replaced, None), State::Waiting);
    assert_eq!(look(&mut watch, 11, &replaced, None), State::Settled);
}

#[test]
fn what_ran_before_and_still_does_has_settled_at_once() {
    let mut unchanged = watch(Mode::Replicated(1), &json!(null), Written::Before, &["a"]);
    assert_eq!(look(&mut unchanged, 0, &["a 1 running running"], Some(("completed", ""))), State::Settled);
    // Only labels changed: no task is replaced.
    let mut relabelled = watch(Mode::Replicated(1), &json!(null), Written::Now, &["a"]);
    assert_eq!(look(&mut relabelled, 0, &["a 1 running running"], None), State::Waiting);
    assert_eq!(look(&mut relabelled, 1, &["a 1 running running"], None), State::Settled);
}

#[test]
fn a_crash_loop_of_before_is_not_taken_for_running() {
    // At a look between two ends; then the next try, which was waiting before.
    for (before, first) in [("b", "b 1 running running"), ("b", "b 1 ready ready")] {
        let mut unchanged = watch(Mode::Replicated(1), &json!(null), Written::Before, &["a", before]);
        let ended = "a 1 shutdown failed task: non-zero exit (7)";
        assert_eq!(look(&mut unchanged, 0, &[ended, first], None), State::Waiting, "{first}");
        assert_eq!(look(&mut unchanged, 1, &[ended, "b 1 running running"], None), State::Waiting, "{first}");
        let mut lines = vec![ended.to_owned(), "b 1 shutdown failed task: non-zero exit (7)".to_owned()];
        for n in 0..ENDINGS {
            lines.push(format!("t{n} 1 shutdown failed task: non-zero exit (7)"));
        }
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        assert_eq!(code(&look(&mut unchanged, 20, &lines, None)), Some(Code::CRASH_LOOP), "{first}");
    }
    // What started only a moment before must show that it stays, too.
    let mut starting = watch(Mode::Replicated(1), &json!(null), Written::Before, &["a"]);
    assert_eq!(look(&mut starting, 0, &["a 1 running starting"], None), State::Waiting);
    assert_eq!(look(&mut starting, 1, &["a 1 running running"], None), State::Waiting);
    assert_eq!(look(&mut starting, 6, &["a 1 running running"], None), State::Settled);
}

#[test]
fn an_update_has_settled_when_swarm_says_so_and_not_by_counts() {
    let mut update = watch(Mode::Replicated(1), &json!(null), Written::Now, &["A"]);
    assert_eq!(look(&mut update, 0, &["A 1 running running"], None), State::Waiting, "the old task does not count");
    let replaced = ["A 1 shutdown shutdown", "b 1 running running"];
    assert_eq!(look(&mut update, 1, &replaced, Some(("updating", "update in progress"))), State::Waiting);
    assert_eq!(look(&mut update, 20, &replaced, Some(("updating", "update in progress"))), State::Waiting);
    assert_eq!(look(&mut update, 21, &replaced, Some(("completed", "update completed"))), State::Settled);
}

#[test]
fn an_update_that_replaces_no_task_says_nothing_of_those_that_crashed() {
    let mut update = watch(Mode::Replicated(1), &json!(null), Written::Now, &["a", "b"]);
    let lines = ["a 1 shutdown failed task: non-zero exit (7)", "b 1 running running"];
    let completed = Some(("completed", "update completed"));
    assert_eq!(look(&mut update, 0, &lines, completed), State::Waiting);
    assert_eq!(look(&mut update, 6, &lines, completed), State::Settled, "it ran for the monitor");
}

#[test]
fn what_swarm_took_back_tells_why() {
    let mut update = watch(Mode::Replicated(1), &json!(null), Written::Now, &["A"]);
    let lines = ["A 1 shutdown shutdown", "B 1 shutdown failed task: non-zero exit (7)", "c 1 running running"];
    let State::Failed(failure) = look(&mut update, 3, &lines, Some(("rollback_started", "update rolled back"))) else { panic!() };
    assert_eq!(failure.code, Code::UPDATE_ROLLED_BACK);
    assert!(failure.message.ends_with("(update rolled back): task: non-zero exit (7)"), "{failure:?}");
}

#[test]
fn scaling_down_has_settled_when_the_surplus_is_gone() {
    let mut watch = watch(Mode::Replicated(1), &json!(null), Written::Now, &["a", "b"]);
    assert_eq!(look(&mut watch, 0, &["a 1 running running", "b 2 running running"], None), State::Waiting);
    assert_eq!(look(&mut watch, 1, &["a 1 running running", "b 2 remove running"], None), State::Settled);
}

#[test]
fn a_rollback_of_swarm_is_a_failure_although_tasks_run() {
    for state in ["rollback_started", "rollback_paused", "rollback_completed"] {
        let mut watch = replicated(1);
        let seen = look(&mut watch, 3, &["a 1 running running"], Some((state, "update rolled back due to failure")));
        assert_eq!(code(&seen), Some(Code::UPDATE_ROLLED_BACK), "{state}");
    }
    // A service that this command did not write may show the end of an older story.
    let mut unchanged = watch(Mode::Replicated(1), &json!(null), Written::Before, &["a"]);
    assert_eq!(look(&mut unchanged, 0, &["a 1 running running"], Some(("rollback_completed", ""))), State::Settled);
}

#[test]
fn a_paused_update_tells_its_cause() {
    let mut unknown = replicated(1);
    assert_eq!(code(&look(&mut unknown, 3, &[], Some(("paused", "update paused due to failure")))), Some(Code::UPDATE_PAUSED));
    let mut crashed = replicated(1);
    let seen = look(&mut crashed, 3, &["a 1 shutdown failed task: non-zero exit (3)"], Some(("paused", "update paused due to failure")));
    assert_eq!(code(&seen), Some(Code::CRASH_LOOP));
    assert!(matches!(&seen, State::Failed(failure) if failure.message.contains("non-zero exit (3)")), "{seen:?}");
}

#[test]
fn failures_are_counted_per_seat_until_they_are_certain() {
    for (error, state, code_wanted, tries) in [
        ("task: non-zero exit (3)", "failed", Code::CRASH_LOOP, ENDINGS),
        ("task: non-zero exit (143): dockerexec: unhealthy container", "failed", Code::UNHEALTHY, REJECTIONS),
        ("No such image: nosuch/image:1", "rejected", Code::IMAGE_NOT_FOUND, REJECTIONS),
        ("invalid mount config for type \"bind\": bind source path does not exist: /x", "rejected", Code::TASK_REJECTED, REJECTIONS),
        ("", "complete", Code::CRASH_LOOP, ENDINGS),
    ] {
        let mut watch = replicated(1);
        for n in 0..tries {
            // The manager keeps only the newest few.
            let failed = format!("t{n} 1 shutdown {state} {error}");
            let seen = look(&mut watch, n as u64, &[&failed, "u 1 running starting"], None);
            assert_eq!(code(&seen), (n + 1 == tries).then_some(code_wanted), "{error} {n}: {seen:?}");
        }
    }
}

#[test]
fn failures_of_other_seats_and_of_before_do_not_add_up() {
    let mut watch = watch(Mode::Replicated(5), &json!(null), Written::Now, &["z"]);
    let one_each: Vec<String> = (1..=5).map(|slot| format!("t{slot} {slot} shutdown failed x")).collect();
    let mut lines: Vec<&str> = one_each.iter().map(String::as_str).collect();
    lines.push("z 1 shutdown failed x");
    assert_eq!(look(&mut watch, 0, &lines, None), State::Waiting);
}

#[test]
fn what_the_registry_said_explains_a_missing_image() {
    let said = Failure::new(Code::IMAGE_PULL, "Get \"https://127.0.0.1:1/v2/\": connection refused");
    let mut watch = Watch::new(wanted(Mode::Replicated(1), &json!(null), Written::Now), Arc::default());
    watch.hear(Some(said));
    let lines =
        ["a 1 shutdown rejected No such image: x:1", "b 1 shutdown rejected No such image: x:1", "c 1 ready rejected No such image: x:1"];
    let seen = look(&mut watch, 11, &lines, None);
    assert_eq!(code(&seen), Some(Code::IMAGE_PULL));
    assert!(matches!(&seen, State::Failed(failure) if failure.message.contains("connection refused")), "{seen:?}");
}

#[test]
fn no_node_is_certain_only_after_a_while() {
    let stuck = ["a 1 running pending no suitable node (scheduling constraints not satisfied on 1 node)"];
    let mut constraint = replicated(1);
    assert_eq!(look(&mut constraint, 0, &stuck, None), State::Waiting);
    assert_eq!(look(&mut constraint, 10, &stuck, None), State::Waiting);
    assert_eq!(code(&look(&mut constraint, 11, &stuck, None)), Some(Code::NO_SUITABLE_NODE));

    let mut again = replicated(1);
    assert_eq!(look(&mut again, 0, &stuck, None), State::Waiting);
    assert_eq!(look(&mut again, 9, &["a 1 running starting"], None), State::Waiting, "it found one");
    assert_eq!(look(&mut again, 12, &stuck, None), State::Waiting, "the time starts again");

    let mut port = replicated(1);
    let taken = ["a 1 running pending no suitable node (host-mode port already in use on 1 node)"];
    assert_eq!(look(&mut port, 0, &taken, None), State::Waiting);
    assert_eq!(code(&look(&mut port, 11, &taken, None)), Some(Code::PORT_CLASH));

    let mut global = watch(Mode::Global, &json!(null), Written::Now, NEW);
    assert_eq!(look(&mut global, 0, &[], None), State::Waiting);
    assert_eq!(code(&look(&mut global, 11, &[], None)), Some(Code::NO_SUITABLE_NODE));
    let mut before = watch(Mode::Global, &json!(null), Written::Before, NEW);
    look(&mut before, 0, &[], None);
    assert_eq!(look(&mut before, 6, &[], None), State::Settled, "it waits for nodes to come");
}

#[test]
fn a_global_service_runs_on_every_node_that_has_a_task() {
    let mut global = watch(Mode::Global, &json!(null), Written::Now, &["A"]);
    assert_eq!(look(&mut global, 0, &["A - running running"], None), State::Waiting);
    assert_eq!(look(&mut global, 1, &["A - shutdown shutdown", "b - running running"], Some(("completed", ""))), State::Settled);
}

#[test]
fn a_limited_restart_policy_ends_at_its_last_try() {
    for (policy, tries) in [(json!({"Condition": "none"}), 1), (json!({"Condition": "on-failure", "MaxAttempts": 1}), 2)] {
        let mut watch = watch(Mode::Replicated(1), &policy, Written::Now, NEW);
        let failed: Vec<String> = (0..tries).map(|n| format!("t{n} 1 shutdown failed task: non-zero exit (1)")).collect();
        let mut lines: Vec<&str> = failed.iter().map(String::as_str).collect();
        lines.push("u 1 ready ready");
        assert_eq!(look(&mut watch, 0, &lines, None), State::Waiting, "{policy}: one more try waits");
        lines.pop();
        assert_eq!(look(&mut watch, 1, &lines, None), State::Waiting, "{policy}: one may be about to be made");
        assert_eq!(code(&look(&mut watch, 3, &lines, None)), Some(Code::CRASH_LOOP), "{policy}");
    }
    let mut once = watch(Mode::Replicated(1), &json!({"Condition": "none"}), Written::Now, NEW);
    assert_eq!(look(&mut once, 0, &["a 1 shutdown complete"], None), State::Waiting);
    assert_eq!(look(&mut once, 5, &["a 1 shutdown complete"], None), State::Settled, "a success is enough");
}

#[test]
fn a_job_ends_with_its_completions_or_with_its_last_try() {
    let policy = json!({"Condition": "on-failure", "MaxAttempts": 2});
    let mut job = watch(Mode::ReplicatedJob(2), &policy, Written::Now, NEW);
    assert_eq!(look(&mut job, 0, &["a - complete running", "b 1 complete complete"], None), State::Waiting);
    assert_eq!(look(&mut job, 1, &["a - complete complete", "b 1 complete complete"], None), State::Settled);

    let mut failing = watch(Mode::ReplicatedJob(1), &policy, Written::Now, NEW);
    let tries = ["a - shutdown failed x", "b - shutdown failed x", "c - shutdown failed task: non-zero exit (1)"];
    assert_eq!(look(&mut failing, 1, &tries[..2], None), State::Waiting, "b may be followed by c");
    assert_eq!(look(&mut failing, 2, &["c - complete running"], None), State::Waiting);
    assert_eq!(look(&mut failing, 3, &tries, None), State::Waiting);
    assert_eq!(code(&look(&mut failing, 5, &tries, None)), Some(Code::JOB_FAILED));
}

#[test]
fn tasks_of_a_job_wait_for_the_places_of_those_that_run() {
    let waits = "b 1 complete pending no suitable node (max replicas per node limit exceed)";
    let mut job = watch(Mode::ReplicatedJob(2), &json!({"Condition": "none"}), Written::Now, NEW);
    assert_eq!(look(&mut job, 0, &["a - complete running", waits], None), State::Waiting);
    assert_eq!(look(&mut job, 3600, &["a - complete running", waits], None), State::Waiting, "however long that takes");
    assert_eq!(look(&mut job, 3601, &["a - complete complete", waits], None), State::Waiting);
    assert_eq!(code(&look(&mut job, 3640, &["a - complete complete", waits], None)), Some(Code::NO_SUITABLE_NODE), "nobody is in its way");
}

#[test]
fn a_job_that_was_not_asked_to_run_again_is_as_its_last_run() {
    let all = ["a", "b", "c"];
    let job = || watch(Mode::ReplicatedJob(1), &json!({"Condition": "on-failure"}), Written::Before, &all);
    for (tasks, expected) in [
        (&["a - complete complete"][..], State::Settled),
        (&["a - shutdown failed x", "b - complete complete"], State::Settled),
        (&["a - shutdown failed x", "b - complete running"], State::Waiting),
        (&["a - shutdown failed x", "b - complete failed x"], State::Waiting),
        // Its node is away.
        (&["a - shutdown running"], State::Settled),
        // The manager has forgotten how it ended.
        (&[], State::Settled),
    ] {
        assert_eq!(look(&mut job(), 0, tasks, None), expected, "{tasks:?}");
    }
    let State::Failed(failure) = look(&mut job(), 0, &["a - complete complete", "b - shutdown failed task: non-zero exit (1)"], None)
    else {
        panic!("its last run has failed");
    };
    assert!(failure.code == Code::JOB_FAILED && failure.message.ends_with("task: non-zero exit (1)"), "{failure:?}");
}

#[test]
fn what_has_done_its_work_early_has_not_failed_though_swarm_pauses_its_update() {
    let paused = Some(("paused", "update paused due to failure or early termination of task a"));
    let once = || watch(Mode::Replicated(1), &json!({"Condition": "none"}), Written::Now, NEW);
    let mut well = once();
    assert_eq!(look(&mut well, 0, &["a 1 shutdown complete"], paused), State::Waiting);
    assert_eq!(look(&mut well, 5, &["a 1 shutdown complete"], paused), State::Settled);
    assert_eq!(code(&look(&mut once(), 0, &["a 1 shutdown failed x"], paused)), Some(Code::CRASH_LOOP));
    let mut half = watch(Mode::Replicated(2), &json!({"Condition": "none"}), Written::Now, NEW);
    let left = ["a 1 shutdown complete", "B 2 running running"];
    assert_eq!(code(&look(&mut half, 0, &left, paused)), Some(Code::UPDATE_PAUSED), "the second one is as it was");
    let (spec, ended) =
        (json!({"TaskTemplate": {"RestartPolicy": {"Condition": "none"}}, "Mode": {"Replicated": {"Replicas": 1}}}), tasks(&left));
    let ended: Vec<&Task> = ended.iter().collect();
    assert!(
        Watch::is_done(&spec, &ended[..1], &ended[..1]) && !Watch::is_done(&spec, &ended, &ended) && !Watch::is_done(&spec, &ended, &[])
    );
}

#[test]
fn a_job_that_ran_before_has_tasks_of_other_runs() {
    let mut job = watch(Mode::ReplicatedJob(1), &json!({"Condition": "none"}), Written::Now, NEW);
    let mut lines = tasks(&["a - complete complete"]);
    let run = glance(&json!({"Index": 77}), None);
    let current = BTreeSet::from(["a".to_owned()]);
    let mut ask = |tasks: &[Task]| {
        let tasks: Vec<&Task> = tasks.iter().collect();
        job.look(Duration::ZERO, &Look { service: Some(&run), tasks: &tasks, current: &current, pull_timeout: PULL, now: now() })
    };
    assert_eq!(ask(&lines), State::Waiting);
    lines[0].job_iteration.as_mut().unwrap().index = 77;
    assert_eq!(ask(&lines), State::Settled);
}

#[test]
fn what_failed_before_tasks_that_have_run_for_long_is_over() {
    let since = |made: &str, runs: &str| {
        let mut all = tasks(&["a 1 shutdown failed task: non-zero exit (1)", "b 1 running running"]);
        (all[1].created_at, all[1].status.timestamp) = (format!("2026-11-26T05:46:{made}Z"), format!("2026-11-26T05:46:{runs}Z"));
        let (service, all): (_, Vec<&Task>) = (service(None), all.iter().collect());
        let current = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
        let look = Look { service: Some(&service), tasks: &all, current: &current, pull_timeout: PULL, now: now() };
        watch(Mode::Replicated(1), &json!(null), Written::Before, &["a", "b"]).look(Duration::ZERO, &look)
    };
    assert_eq!(since("10", "11"), State::Settled);
    assert_eq!(since("10", "28"), State::Waiting, "the monitor has 5 s");
    assert_eq!(since("28", "11"), State::Waiting, "its node's clock is late");
}

#[test]
fn a_task_that_gets_no_addresses_has_failed_after_a_while() {
    let mut watch = replicated(1);
    let mut at = |seconds: u64, state: &str| look(&mut watch, seconds, &[&format!("a 1 running {state}")], None);
    assert_eq!([at(0, "new"), at(30, "new")], [State::Waiting, State::Waiting], "20 s, and 11 s until old tasks have left theirs");
    let State::Failed(failure) = at(31, "new") else { panic!("it waits for ever") };
    assert_eq!(failure.code, Code::NOT_ALLOCATED);
    assert!(failure.message.contains("no addresses"), "{}", failure.message);
    assert_eq!([at(41, "pending"), at(90, "new")], [State::Waiting, State::Waiting], "it had them meanwhile");
}

#[test]
fn a_job_of_which_something_goes_on_is_not_given_up() {
    let mut watch = watch(Mode::ReplicatedJob(2), &json!({"Condition": "none"}), Written::Now, NEW);
    let failed = "a 0 shutdown failed task: non-zero exit (1)";
    let mut at = |seconds: u64, other: &str| look(&mut watch, seconds, &[failed, &format!("b 1 {other}")], None);
    assert_eq!([at(0, "complete running"), at(9, "complete running")], [State::Waiting, State::Waiting]);
    assert_eq!(at(10, "complete complete"), State::Waiting);
    assert_eq!(code(&at(12, "complete complete")), Some(Code::JOB_FAILED));
}

#[test]
fn somebody_elses_change_is_a_conflict() {
    let mut watch = replicated(1);
    let service = Glance { is_as_wanted: false, ..service(None) };
    let look = Look { service: Some(&service), tasks: &[], current: &BTreeSet::new(), pull_timeout: PULL, now: now() };
    assert_eq!(code(&watch.look(Duration::ZERO, &look)), Some(Code::CONFLICT));
    let gone = Look { service: None, tasks: &[], current: &BTreeSet::new(), pull_timeout: PULL, now: now() };
    assert_eq!(code(&watch.look(Duration::ZERO, &gone)), Some(Code::CONFLICT));
}

#[test]
fn when_the_time_is_over_the_trouble_that_was_seen_is_told() {
    let mut slow = replicated(2);
    look(&mut slow, 0, &["a 1 running running", "b 2 running preparing"], None);
    let failure = slow.out_of_time();
    assert_eq!(failure.code, Code::TIMED_OUT);
    assert!(failure.message.contains("1 of 2"), "{failure:?}");
    let mut crashing = replicated(1);
    look(&mut crashing, 0, &["a 1 shutdown failed task: non-zero exit (3)", "b 1 running starting"], None);
    let failure = crashing.out_of_time();
    assert_eq!(failure.code, Code::CRASH_LOOP);
    assert!(failure.message.contains("non-zero exit (3)"), "{failure:?}");
}

/// Words recorded from an engine 28.5: the old task has the port until it has ended.
const PORT: &str = "no suitable node (host-mode port already in use on 1 node)";

#[test]
fn a_port_that_the_service_itself_is_about_to_leave_is_no_cause_of_what_comes_later() {
    let update = || watch(Mode::Replicated(1), &json!(null), Written::Now, &["A"]);
    let waiting = format!("b 1 running pending {PORT}");
    let counted = |watch: &Watch| watch.counts(&tasks(&[&waiting])[0]);
    let mut watch = update();
    assert_eq!(look(&mut watch, 0, &["A 1 shutdown running", &waiting], None), State::Waiting);
    assert!(!counted(&watch), "its words are not told while the old task ends");
    assert_eq!(look(&mut watch, 2, &["A 1 shutdown shutdown", "b 1 running starting"], None), State::Waiting);
    assert_eq!((watch.out_of_time().code, watch.out_of_time().message.contains(PORT)), (Code::TIMED_OUT, false));
    let paused = look(&mut watch, 3, &["A 1 shutdown shutdown", "b 1 running starting"], Some(("paused", "update paused")));
    assert!(
        matches!(&paused, State::Failed(failure) if failure.code == Code::UPDATE_PAUSED && !failure.message.contains(PORT)),
        "{paused:?}"
    );

    // What ended badly goes before what waits.
    let mut watch = update();
    let lines = [
        "A 2 running running",
        "c 1 shutdown failed task: non-zero exit (3)",
        "d 1 running pending no suitable node (host-mode port already in use on 1 node)",
    ];
    assert_eq!(look(&mut watch, 0, &lines, None), State::Waiting);
    assert_eq!(watch.out_of_time().code, Code::CRASH_LOOP);

    // One that nobody leaves is told: at once beside the service, and as the cause when it is certain.
    for old in ["A 1 shutdown shutdown", "A 1 running running"] {
        let mut watch = update();
        assert_eq!(look(&mut watch, 0, &[old, &waiting], None), State::Waiting);
        assert_eq!(counted(&watch), old.ends_with("shutdown"));
        assert_eq!((watch.out_of_time().code, watch.out_of_time().message.contains(PORT)), (Code::PORT_CLASH, true));
        let seen = look(&mut watch, 20, &[old, &waiting], None);
        assert_eq!((code(&seen), counted(&watch)), (Some(Code::PORT_CLASH), true), "{old}: {seen:?}");
    }
}

#[test]
fn an_update_that_swarm_completes_although_tasks_fail_must_prove_itself() {
    // failure_action: continue, and a task that runs for 3 s each time.
    let mut update = replicated(1);
    let completed = Some(("completed", "update completed"));
    assert_eq!(look(&mut update, 3, &["a 1 shutdown failed x", "b 1 ready ready"], Some(("updating", ""))), State::Waiting);
    for n in 1..5 {
        let (failed, next) = (format!("t{n} 1 shutdown failed x"), format!("u{n} 1 running running"));
        assert_eq!(look(&mut update, 8 * n, &[&next], completed), State::Waiting);
        let seen = look(&mut update, 8 * n + 3, &[&failed], completed);
        assert_eq!(code(&seen), (n == 4).then_some(Code::CRASH_LOOP), "{n}: {seen:?}");
    }
}

#[test]
fn a_success_is_not_enough_where_the_task_is_to_run_for_good() {
    let mut server = watch(Mode::Replicated(1), &json!({"Condition": "any", "MaxAttempts": 1}), Written::Now, NEW);
    let ended = ["a 1 shutdown complete", "b 1 shutdown complete"];
    assert_eq!(look(&mut server, 0, &ended, None), State::Waiting);
    assert_eq!(code(&look(&mut server, 2, &ended, None)), Some(Code::CRASH_LOOP));
}

#[test]
fn a_global_service_may_do_its_work_once_on_each_node() {
    let mut once = watch(Mode::Global, &json!({"Condition": "none"}), Written::Now, NEW);
    assert_eq!(look(&mut once, 0, &["a - running running"], None), State::Waiting);
    assert_eq!(look(&mut once, 1, &["a - shutdown complete"], None), State::Waiting);
    assert_eq!(once.count(), (1, 1));
    assert_eq!(look(&mut once, 60, &["a - shutdown complete"], None), State::Settled);
}

#[test]
fn a_port_is_waited_for_until_those_that_leave_have_left() {
    let mut wanted = wanted(Mode::Replicated(1), &json!(null), Written::Now);
    wanted.outlast(Duration::from_secs(60));
    let mut port = Watch::new(wanted, Arc::default());
    let taken = ["a 1 ready pending no suitable node (host-mode port already in use on 1 node)"];
    assert_eq!(look(&mut port, 0, &taken, None), State::Waiting);
    assert_eq!(look(&mut port, 60, &taken, None), State::Waiting);
    assert_eq!(code(&look(&mut port, 70, &taken, None)), Some(Code::PORT_CLASH));
}

#[test]
fn when_the_time_is_over_it_is_told_what_was_waited_for() {
    let mut pulling = replicated(1);
    look(&mut pulling, 0, &["a 1 running preparing"], None);
    assert!(pulling.out_of_time().message.ends_with("a task is preparing"), "{:?}", pulling.out_of_time());
    let mut young = replicated(1);
    look(&mut young, 0, &["a 1 running running"], None);
    assert!(young.out_of_time().message.ends_with("5 s of its monitor"), "{:?}", young.out_of_time());
}

#[test]
fn a_pull_that_takes_too_long_fails_and_the_next_task_has_its_own_time() {
    let mut watch = replicated(1);
    assert_eq!(look(&mut watch, 0, &["a 1 running preparing"], None), State::Waiting);
    assert_eq!(look(&mut watch, 599, &["a 1 running preparing"], None), State::Waiting);
    assert_eq!(look(&mut watch, 600, &["b 1 running preparing"], None), State::Waiting);
    assert_eq!(look(&mut watch, 1199, &["b 1 running preparing"], None), State::Waiting);
    assert_eq!(code(&look(&mut watch, 1200, &["b 1 running preparing"], None)), Some(Code::IMAGE_PULL));
}

//! What Swarm remembers of earlier tasks says nothing about those that are wanted now.

use super::*;

const LIMITED: &str = r#"{"MaxAttempts": 1}"#;

fn limited(mode: Mode, written: Written, before: &[&str]) -> Watch {
    watch(mode, &serde_json::from_str(LIMITED).unwrap(), written, before)
}

#[test]
fn a_seat_that_waits_for_its_turn_is_not_given_up() {
    // The first spec is written again, of which a task has crashed long ago; those of the second one (in capitals) are replaced one by one.
    let mut again = limited(Mode::Replicated(2), Written::Now, &["a", "B", "C"]);
    let waits = ["a 2 shutdown failed task: non-zero exit (1)", "B 1 shutdown shutdown", "C 2 running running", "d 1 running starting"];
    for seconds in [0, 5, 60] {
        assert_eq!(look(&mut again, seconds, &waits, Some(("updating", ""))), State::Waiting);
    }
    // Where the update is at its end nothing comes any more.
    let mut ended = |seconds| look(&mut again, seconds, &waits, Some(("completed", "")));
    assert_eq!(ended(61), State::Waiting);
    let State::Failed(failure) = ended(63) else { panic!("no further try comes") };
    assert_eq!(failure.code, Code::CRASH_LOOP);
    assert!(failure.message.ends_with("allows no further try: task: non-zero exit (1)"), "{}", failure.message);
}

#[test]
fn a_seat_that_is_not_wanted_any_more_is_not_given_up() {
    let left = ["a 3 shutdown failed task: non-zero exit (1)", "b 1 running running", "c 2 running running"];
    let mut unchanged = limited(Mode::Replicated(2), Written::Before, &["a", "b", "c"]);
    for seconds in [0, 5, 60] {
        assert_ne!(code(&look(&mut unchanged, seconds, &left, Some(("completed", "")))), Some(Code::CRASH_LOOP));
    }
    let tasks = tasks(&left);
    let all: Vec<&Task> = tasks.iter().collect();
    for (replicas, is_stuck) in [(2, false), (3, true)] {
        let mut scaled = limited(Mode::Replicated(replicas), Written::Now, &["a", "b", "c"]);
        scaled.stuck(Duration::ZERO, &all, PULL);
        assert_eq!(scaled.stuck(Duration::from_secs(9), &all, PULL).is_some(), is_stuck, "{replicas}");
    }
}

#[test]
fn work_that_was_done_once_is_not_done_again() {
    // The first spec has come back after the second one (in capitals).
    let before = ["a 1 shutdown complete", "B 1 shutdown complete"];
    let mut once = watch(Mode::Replicated(1), &json!({"Condition": "on-failure"}), Written::Now, &["a", "B"]);
    for seconds in [0, 1, 9] {
        assert_eq!(look(&mut once, seconds, &before, None), State::Waiting);
    }
    let [a, b] = before;
    assert_eq!(look(&mut once, 10, &[a, b, "c 1 running running"], Some(("updating", ""))), State::Waiting);
    assert_eq!(look(&mut once, 20, &[a, b, "c 1 shutdown complete"], Some(("completed", ""))), State::Settled);
}

#[test]
fn a_write_takes_effect_a_moment_after_its_answer() {
    // The task of the node that has come to fit is not made yet.
    let mut wider = watch(Mode::Global, &json!(null), Written::Now, &["a"]);
    assert_eq!(look(&mut wider, 0, &["a - running running"], None), State::Waiting);
    assert_eq!(look(&mut wider, 1, &["a - running running"], None), State::Settled);
    let mut none = watch(Mode::Replicated(0), &json!(null), Written::Now, NEW);
    assert_eq!(look(&mut none, 0, &[], None), State::Settled, "nothing can come");
}

#[test]
fn tasks_on_paused_nodes_are_not_waited_for() {
    let mut all = tasks(&["A - running running", "b - running running"]);
    all[1].node_id = "n2".to_owned();
    let all: Vec<&Task> = all.iter().collect();
    let current = BTreeSet::from(["b".to_owned()]);
    let mut watch = watch(Mode::Global, &json!(null), Written::Now, &["A"]);
    let mut at = |update: &str| {
        let service = service(Some((update, "")));
        let look = Look { service: Some(&service), tasks: &all, current: &current, pull_timeout: PULL, now: now() };
        (watch.look(Duration::from_secs(1), &look), watch.count(), watch.passed_over())
    };
    assert_eq!(at("updating"), (State::Waiting, (1, 2), 0));
    assert_eq!(at("completed"), (State::Settled, (1, 1), 1));
    // With the next deploy Swarm has nothing to do.
    let mut again = super::watch(Mode::Global, &json!(null), Written::Now, &["A", "b"]);
    let mut at = |seconds: u64| {
        let look = Look { service: Some(&service(None)), tasks: &all, current: &current, pull_timeout: PULL, now: now() };
        again.look(Duration::from_secs(seconds), &look)
    };
    assert_eq!([at(0), at(1), at(2)], [State::Waiting, State::Waiting, State::Settled]);
}

#[test]
fn a_global_job_does_not_wait_for_a_node_that_is_away() {
    let mut all = tasks(&["a - complete complete", "b - shutdown running"]);
    all[1].node_id = "n2".to_owned();
    let all: Vec<&Task> = all.iter().collect();
    let (service, current) = (service(None), BTreeSet::from(["a".to_owned(), "b".to_owned()]));
    let mut job = watch(Mode::GlobalJob, &json!({"Condition": "none"}), Written::Now, NEW);
    let look = Look { service: Some(&service), tasks: &all, current: &current, pull_timeout: PULL, now: now() };
    assert_eq!((job.look(Duration::ZERO, &look), job.count()), (State::Settled, (1, 1)));
}

#[test]
fn each_task_has_its_own_patience_for_a_node() {
    let mut watch = replicated(3);
    let mut at = |seconds: u64, waiting: &str| {
        let lines = ["a 1 running", "b 2 running", "c 3 running"].map(|task| {
            let state = if task.starts_with(waiting) { "pending insufficient resources on 1 node" } else { "running" };
            format!("{task} {state}")
        });
        look(&mut watch, seconds, &lines.each_ref().map(String::as_str), Some(("updating", "")))
    };
    // Each waits for less than 11 s, one after the other.
    assert_eq!([at(0, "a"), at(8, "a"), at(9, "b"), at(17, "b"), at(18, "c")], [const { State::Waiting }; 5]);
    let State::Failed(failure) = at(29, "c") else { panic!("this one has waited for long enough") };
    assert_eq!(failure.code, Code::NO_SUITABLE_NODE);
}

#[test]
fn a_node_whose_last_try_failed_is_missed() {
    let failed = ["a - shutdown failed task: non-zero exit (1)", "b - running running"];
    let mut all = tasks(&failed);
    all[1].node_id = "n2".to_owned();
    let all: Vec<&Task> = all.iter().collect();
    let (service, current) = (service(None), BTreeSet::from(["a".to_owned(), "b".to_owned()]));
    let mut watch = limited(Mode::Global, Written::Now, NEW);
    let mut at = |seconds: u64| {
        let look = Look { service: Some(&service), tasks: &all, current: &current, pull_timeout: PULL, now: now() };
        watch.look(Duration::from_secs(seconds), &look)
    };
    assert_eq!(at(0), State::Waiting);
    assert_eq!(code(&at(2)), Some(Code::CRASH_LOOP));
}

#[test]
fn an_earlier_run_of_a_job_is_no_try_of_the_present_one() {
    let mut lines = tasks(&["a 0 complete complete", "b 0 shutdown failed task: non-zero exit (1)"]);
    lines[1].job_iteration.as_mut().unwrap().index = 77;
    let (run, all): (_, Vec<&Task>) = (glance(&json!({"Index": 77}), None), lines.iter().collect());
    let current = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
    let mut job = watch(Mode::ReplicatedJob(1), &json!({"Condition": "none"}), Written::Now, &["a"]);
    let mut at = |seconds: u64| {
        let look = Look { service: Some(&run), tasks: &all, current: &current, pull_timeout: PULL, now: now() };
        job.look(Duration::from_secs(seconds), &look)
    };
    assert_eq!(at(0), State::Waiting);
    assert_eq!(code(&at(2)), Some(Code::JOB_FAILED));
}

#[test]
fn work_that_ended_after_a_failed_update_is_done() {
    // The update started its task (in capitals) beside the one of before, which went on when it failed.
    let mut all = tasks(&["a 1 shutdown complete", "B 1 shutdown failed task: non-zero exit (1)"]);
    all[0].status.timestamp = "2026-11-26T05:46:20Z".to_owned();
    all[1].status.timestamp = "2026-11-26T05:46:10Z".to_owned();
    let all: Vec<&Task> = all.iter().collect();
    let (service, current) = (service(None), BTreeSet::from(["a".to_owned()]));
    let mut once = watch(Mode::Replicated(1), &json!({"Condition": "on-failure"}), Written::Before, &["a", "B"]);
    let look = Look { service: Some(&service), tasks: &all, current: &current, pull_timeout: PULL, now: now() };
    assert_eq!(once.look(Duration::ZERO, &look), State::Settled);
}

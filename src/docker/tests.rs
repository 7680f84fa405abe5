//! The room against a fake engine that fails on demand: away, slow, half an answer, conflicts, refusals.

use super::client::{Client, Request};
use super::error::EngineError;
use super::fake_engine::{Asked, FakeEngine, Reply, info};
use super::fake_ledger::FakeLedger;
use super::*;
use crate::domain::{
    Action, Code, Context, GetStatus, Logs, Note, ProjectId, Remove, Rollback, Scale, Scope, Selection, StackName, SwarmAddresses,
    SwarmLeave, Target, Timestamp, Verdict,
};
use crate::threads::{Deadline, Published, Stop, StopSource, stop_pair};
use crossbeam_channel::Receiver;
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use uuid::Uuid;

/// The longest wait for anything in these tests.
pub(super) const SOON: Duration = Duration::from_secs(10);

/// The threads of the room, as the coordinator sees them.
pub(super) struct Desk {
    docker: Option<Docker>,
    pub(super) ledger: Arc<FakeLedger>,
    events: Receiver<Event>,
    /// Dropped, it cancels every command.
    cancel: Option<StopSource>,
    cancelled: Stop,
}

impl Desk {
    pub(super) fn new(engine: &FakeEngine, deploy_timeout: Duration) -> Self {
        let settings = Published::new(Settings { deploy_timeout, ..Settings::of(engine.socket().to_owned()) });
        let (events, inbox) = bounded(64);
        let (exits, _) = bounded(8);
        let ledger = Arc::new(FakeLedger::default());
        let docker = start(settings, Arc::<FakeLedger>::clone(&ledger), events, exits).unwrap();
        let (cancel, cancelled) = stop_pair();
        Self { docker: Some(docker), ledger, events: inbox, cancel: Some(cancel), cancelled }
    }

    pub(super) fn send(&self, action: Action) {
        self.enter(action, Entry::Fresh);
    }

    fn enter(&self, action: Action, entry: Entry) {
        let reads = action.changes() == Scope::Nothing;
        let command = Command { id: id(), action, issued_at: None, expires_at: None, signed_by: None, context: Context::default() };
        let job = Job { command: Arc::new(command), agent: AgentId::new("me").unwrap(), entry, cancelled: self.cancelled.clone() };
        let docker = self.docker.as_ref().unwrap();
        if reads { &docker.queries } else { &docker.jobs }.try_send(job).unwrap();
    }

    /// The first event that `wanted` takes.
    fn wait<T>(&self, wanted: impl Fn(&Event) -> Option<T>) -> T {
        let deadline = Instant::now() + SOON;
        let mut seen = Vec::new();
        loop {
            match self.events.recv_deadline(deadline) {
                Ok(event) => match wanted(&event) {
                    Some(found) => return found,
                    None => seen.push(event),
                },
                Err(_) => panic!("not within {SOON:?}; seen: {seen:#?}"),
            }
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        self.wait(|event| match event {
            Event::Finished(_, outcome) => Some(outcome.clone()),
            _ => None,
        })
    }

    fn engine(&self) -> EngineState {
        self.wait(|event| match event {
            Event::Engine(state) => Some(state.clone()),
            _ => None,
        })
    }

    /// Stops all and waits for the threads' end.
    fn stop(&mut self) -> Duration {
        let docker = self.docker.take().unwrap();
        let began = Instant::now();
        drop(docker.stop);
        docker.threads.into_iter().for_each(Thread::join);
        began.elapsed()
    }
}

fn id() -> CommandId {
    CommandId(Uuid::from_u128(1))
}

fn target() -> Target {
    Target { project: ProjectId::new("p").unwrap(), stack: StackName::new("st").unwrap() }
}

fn scale(replicas: u64) -> Action {
    Action::Scale(Scale { target: target(), services: [("web".to_owned(), replicas)].into(), timeout_seconds: None })
}

fn all() -> Selection {
    Selection { target: target(), services: [].into(), timeout_seconds: None }
}

fn rollback(to_revision: Option<u64>) -> Action {
    Action::Rollback(Rollback { target: target(), to_revision, timeout_seconds: None, dry_run: false })
}

fn remove() -> Action {
    Action::Remove(Remove { target: target(), volumes: false })
}

fn web(version: u64, replicas: u64) -> Value {
    let labels = json!({"com.docker.stack.namespace": "st", "io.axion.owner": "me"});
    let spec = json!({"Name": "st_web", "Labels": labels, "Mode": {"Replicated": {"Replicas": replicas}}, "NewField": {"kept": true}});
    json!({"ID": "web-id", "Version": {"Index": version}, "Spec": spec})
}

fn running(count: usize) -> Value {
    let task = |slot| json!({"ID": format!("t{slot}"), "Version": {"Index": 1}, "ServiceID": "web-id", "Slot": slot, "NodeID": "n", "DesiredState": "running", "Status": {"State": "running"}});
    Value::Array((1..=count).map(task).collect())
}

pub(super) fn refusal(status: u16, message: &str) -> Option<Reply> {
    Some(Reply::Json(status, json!({"message": message})))
}

pub(super) fn is(asked: &Asked, start: &str) -> bool {
    asked.line.starts_with(start)
}

#[test]
fn a_connection_is_kept_and_its_version_negotiated_once() {
    let mut engine = FakeEngine::speaking("1.99", |_| None);
    let client = Client::connect(engine.socket());
    for _ in 0..3 {
        client.info().unwrap();
    }
    assert_eq!((client.api().unwrap().to_string().as_str(), engine.accepted()), ("1.50", 1));
    // The engine is restarted: the kept connection is dead, the next call finds out before it is sent.
    engine.go_away();
    assert!(matches!(client.info(), Err(EngineError::Away { .. })));
    engine.come_back();
    client.info().unwrap();
    assert_eq!(engine.accepted(), 2);
}

#[test]
fn an_engine_that_is_too_old_is_refused_with_the_mend() {
    let engine = FakeEngine::speaking("1.39", |_| None);
    let error = Client::connect(engine.socket()).info().unwrap_err();
    assert_eq!(error.to_string(), "the engine speaks API 1.39, the agent needs at least 1.40: update the Docker Engine");
}

#[test]
fn each_fault_has_its_error() {
    let engine = FakeEngine::start(|asked| match asked.line.split('/').next_back() {
        Some("half") => Some(Reply::Half),
        Some("hangup") => Some(Reply::Hangup),
        Some("silence") => Some(Reply::Silence),
        Some("garbage") => Some(Reply::Json(200, json!("text"))),
        _ => None,
    });
    let client = Client::connect(engine.socket());
    let ask = |name: &str| client.until(Deadline::after(Duration::from_millis(200))).network(name).unwrap_err();
    assert!(matches!(ask("half"), EngineError::Lost { .. }));
    assert!(matches!(ask("hangup"), EngineError::Lost { .. }));
    assert!(matches!(ask("garbage"), EngineError::Malformed { .. }));
    let began = Instant::now();
    assert!(matches!(ask("silence"), EngineError::Timeout { .. }));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let late = client.until(Deadline::after(Duration::ZERO));
    let made = engine.calls().len();
    assert!(matches!(late.fetch::<Value>(Request::get("/x")), Err(EngineError::TooLate { .. })));
    assert_eq!(engine.calls().len(), made, "what is too late is not sent");
}

#[test]
fn scaling_looks_again_after_a_conflict_and_changes_nothing_else() {
    let version = AtomicUsize::new(7);
    let engine = FakeEngine::start(move |asked| match asked.line.as_str() {
        line if line.starts_with("GET /services?") => Some(Reply::Json(200, json!([web(7, 1)]))),
        "GET /services/web-id" => Some(Reply::Json(200, web(version.load(Ordering::SeqCst) as u64, 1))),
        line if line.starts_with("POST") && line.contains("version=7") => {
            version.store(8, Ordering::SeqCst);
            refusal(500, "rpc error: code = Unknown desc = update out of sequence")
        }
        line if line.starts_with("POST") => Some(Reply::Json(200, json!({"Warnings": null}))),
        line if line.starts_with("GET /tasks") => Some(Reply::Json(200, running(3))),
        _ => None,
    });
    let desk = Desk::new(&engine, SOON);
    desk.send(scale(3));
    let outcome = desk.outcome();
    assert_eq!(outcome.verdict, Verdict::Completed, "{outcome:?}");
    assert_eq!(outcome.details["services"][0]["replicas"], json!({"running": 3, "desired": 3}));
    assert_eq!(desk.ledger.history(), ["service.update st_web: refused", "service.update st_web: done"]);
    let posts: Vec<Asked> = engine.asked().into_iter().filter(|asked| is(asked, "POST")).collect();
    assert_eq!(posts[1].line, "POST /services/web-id/update?version=8&registryAuthFrom=spec");
    let mut expected = web(8, 1)["Spec"].clone();
    expected["Mode"]["Replicated"]["Replicas"] = json!(3);
    assert_eq!(posts[1].body, expected);
}

#[test]
fn a_restart_that_goes_on_after_a_crash_rolls_nothing_over_a_second_time() {
    let written = Mutex::new(Value::Null);
    let engine = FakeEngine::start(move |asked| {
        let mut written = written.lock().unwrap();
        let mut now = web(7, 1);
        if written.is_object() {
            now["Version"]["Index"] = json!(8);
            now["Spec"] = written.clone();
            now["UpdateStatus"] = json!({"State": "completed"});
        }
        match asked.line.as_str() {
            line if line.starts_with("GET /services?") => Some(Reply::Json(200, json!([now]))),
            "GET /services/st_web" => Some(Reply::Json(200, now)),
            line if line.starts_with("POST") => {
                *written = asked.body.clone();
                Some(Reply::Hangup)
            }
            line if line.starts_with("GET /tasks") => Some(Reply::Json(200, running(1))),
            _ => None,
        }
    });
    let desk = Desk::new(&engine, SOON);
    for entry in [Entry::Fresh, Entry::Resumed] {
        desk.enter(Action::Restart(all()), entry);
        let outcome = desk.outcome();
        assert_eq!(outcome.verdict, Verdict::Completed, "{outcome:?}");
        assert_eq!(outcome.details["services"][0]["action"], "update");
    }
    let posts: Vec<Asked> = engine.asked().into_iter().filter(|asked| is(asked, "POST")).collect();
    assert_eq!(posts.len(), 1);
    assert_eq!(posts[0].body["TaskTemplate"]["ForceUpdate"], 1);
    assert_eq!(posts[0].body["NewField"], json!({"kept": true}));
    assert_eq!(desk.ledger.history(), ["service.update st_web: unknown"]);
}

#[test]
fn what_no_revision_holds_is_neither_stopped_nor_brought_back() {
    for (services, code) in [(json!([web(7, 1)]), Code::NO_REVISION), (json!([]), Code::STACK_NOT_FOUND)] {
        let engine = FakeEngine::start(move |asked| is(asked, "GET /services?").then(|| Reply::Json(200, services.clone())));
        let desk = Desk::new(&engine, SOON);
        for action in [Action::Stop(all()), Action::Start(all()), rollback(None), rollback(Some(3))] {
            desk.send(action);
            assert_eq!(desk.outcome().verdict, Verdict::Failed(code));
        }
        assert!(engine.asked().iter().all(|asked| is(asked, "GET")), "{:?}", engine.calls());
    }
}

#[test]
fn a_lost_answer_is_looked_for_and_not_asked_for_again() {
    let asked_for = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked_for);
    let engine = FakeEngine::start(move |asked| match asked.line.as_str() {
        line if line.starts_with("GET /services?") => Some(Reply::Json(200, json!([web(7, 1)]))),
        "GET /services/web-id" if counted.load(Ordering::SeqCst) == 0 => Some(Reply::Json(200, web(7, 1))),
        "GET /services/web-id" => Some(Reply::Json(200, web(8, 2))),
        line if line.starts_with("POST") => {
            counted.fetch_add(1, Ordering::SeqCst);
            Some(Reply::Half)
        }
        line if line.starts_with("GET /tasks") => Some(Reply::Json(200, running(2))),
        _ => None,
    });
    let desk = Desk::new(&engine, SOON);
    desk.send(scale(2));
    let outcome = desk.outcome();
    assert_eq!(outcome.verdict, Verdict::Completed, "{outcome:?}");
    assert_eq!(outcome.details["services"][0]["action"], "update");
    assert_eq!(asked_for.load(Ordering::SeqCst), 1);
    assert_eq!(desk.ledger.history(), ["service.update st_web: unknown"]);
}

#[test]
fn a_refusal_fails_the_command_with_the_engines_words() {
    let engine = FakeEngine::start(|asked| match asked.line.as_str() {
        line if line.starts_with("GET /services?") => Some(Reply::Json(200, json!([web(7, 1)]))),
        "GET /services/web-id" => Some(Reply::Json(200, web(7, 1))),
        line if line.starts_with("POST") => refusal(500, "no space left on device"),
        _ => None,
    });
    let desk = Desk::new(&engine, SOON);
    desk.send(scale(2));
    let outcome = desk.outcome();
    assert_eq!(outcome.verdict, Verdict::Failed(Code::ENGINE_ERROR));
    assert!(outcome.message.contains("no space left on device"), "{}", outcome.message);
}

#[test]
fn a_command_waits_for_an_engine_that_is_away_and_goes_on() {
    let mut engine = FakeEngine::start(|asked| match asked.line.as_str() {
        line if line.starts_with("GET /services?") => Some(Reply::Json(200, json!([web(7, 1)]))),
        _ => None,
    });
    engine.go_away();
    let desk = Desk::new(&engine, SOON);
    assert!(matches!(desk.engine(), EngineState::Away(_)));
    desk.send(Action::GetStatus(GetStatus { target: None }));
    desk.wait(|event| matches!(event, Event::Progress(_, progress) if progress.phase == "wait").then_some(()));
    engine.come_back();
    assert_eq!(desk.outcome().verdict, Verdict::Completed);
}

#[test]
fn an_engine_that_stays_away_fails_the_command_when_its_time_is_over() {
    let mut engine = FakeEngine::start(|_| None);
    engine.go_away();
    let desk = Desk::new(&engine, Duration::from_millis(600));
    desk.send(scale(2));
    let outcome = desk.outcome();
    assert_eq!(outcome.verdict, Verdict::Failed(Code::ENGINE_AWAY));
    assert!(outcome.message.contains("see that the Docker Engine runs"), "{}", outcome.message);
}

#[test]
fn a_call_that_the_commands_time_cuts_short_says_nothing_of_the_engine() {
    let engine = FakeEngine::start(|asked| match asked.line.as_str() {
        line if line.starts_with("GET /services?") => Some(Reply::Json(200, json!([web(7, 2)]))),
        "GET /services/web-id" => Some(Reply::Json(200, web(7, 2))),
        line if line.starts_with("GET /tasks") => Some(Reply::Silence),
        _ => None,
    });
    let desk = Desk::new(&engine, Duration::from_millis(300));
    desk.send(scale(2));
    assert_eq!(desk.outcome().verdict, Verdict::Failed(Code::TIMED_OUT));
}

#[test]
fn a_stop_suspends_the_command_and_ends_every_thread() {
    // The swarm never gets there, and the event stream says nothing.
    let engine = FakeEngine::start(|asked| match asked.line.as_str() {
        line if line.starts_with("GET /services?") => Some(Reply::Json(200, json!([web(7, 2)]))),
        "GET /services/web-id" => Some(Reply::Json(200, web(7, 2))),
        line if line.starts_with("GET /tasks") => Some(Reply::Json(200, running(1))),
        _ => None,
    });
    let mut desk = Desk::new(&engine, SOON);
    desk.send(scale(2));
    desk.wait(|event| matches!(event, Event::Progress(_, progress) if progress.phase == "converge").then_some(()));
    let took = desk.stop();
    desk.wait(|event| matches!(event, Event::Suspended(command) if *command == id()).then_some(()));
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn a_cancelled_command_ends_at_its_next_checkpoint_and_says_so() {
    let engine = FakeEngine::start(|asked| match asked.line.as_str() {
        line if line.starts_with("GET /services?") => Some(Reply::Json(200, json!([web(7, 2)]))),
        "GET /services/web-id" => Some(Reply::Json(200, web(7, 2))),
        line if line.starts_with("GET /tasks") => Some(Reply::Json(200, running(1))),
        _ => None,
    });
    let mut desk = Desk::new(&engine, SOON);
    desk.send(scale(2));
    desk.wait(|event| matches!(event, Event::Progress(_, progress) if progress.phase == "converge").then_some(()));
    let began = Instant::now();
    desk.cancel = None;
    assert_eq!(desk.outcome().verdict, Verdict::Failed(Code::CANCELLED));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

fn logs(service: &str) -> Action {
    Action::Logs(Logs { target: target(), service: service.to_owned(), tail: 5, since: Some(Timestamp::from_millis(1250)) })
}

#[test]
fn a_log_is_told_line_by_line_and_what_breaks_off_is_said_to() {
    let text = "2026-01-01T00:00:00.000000000Z com.docker.swarm.task.id=t1 hello\n";
    let frame = [&[2, 0, 0, 0][..], &u32::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat();
    for (output, complete) in [(frame.clone(), true), ([&frame[..], &[1, 0]].concat(), false)] {
        let engine = FakeEngine::start(move |asked| match asked.line.as_str() {
            line if line.starts_with("GET /services?") => Some(Reply::Json(200, json!([web(7, 1)]))),
            line if line.starts_with("GET /services/web-id/logs?") => Some(Reply::Bytes(output.clone())),
            line if line.starts_with("GET /tasks") => Some(Reply::Json(200, running(1))),
            _ => None,
        });
        let desk = Desk::new(&engine, SOON);
        desk.send(logs("web"));
        let outcome = desk.outcome();
        assert_eq!((outcome.verdict, &outcome.details["complete"]), (Verdict::Completed, &json!(complete)), "{outcome:?}");
        let line = json!({"at": "2026-01-01T00:00:00.000000000Z", "stream": "stderr", "task_id": "t1", "slot": 1, "node_id": "n", "text": "hello"});
        assert_eq!(outcome.details["lines"], json!([line]));
        let asked = engine.calls().into_iter().find(|call| call.contains("/logs?")).unwrap();
        assert_eq!(asked, "GET /services/web-id/logs?stdout=true&stderr=true&timestamps=true&details=true&tail=5&since=1.250");
        desk.send(logs("db"));
        assert_eq!(desk.outcome().verdict, Verdict::Failed(Code::SERVICE_NOT_FOUND));
    }
}

#[test]
fn a_full_disk_changes_nothing_in_the_swarm() {
    let engine = FakeEngine::start(|asked| match asked.line.as_str() {
        line if line.starts_with("GET /services?") => Some(Reply::Json(200, json!([web(7, 1)]))),
        "GET /services/web-id" => Some(Reply::Json(200, web(7, 1))),
        _ => None,
    });
    let desk = Desk::new(&engine, SOON);
    desk.ledger.full.store(true, Ordering::SeqCst);
    desk.send(scale(2));
    assert_eq!(desk.outcome().verdict, Verdict::Failed(Code::JOURNAL_UNAVAILABLE));
    assert!(engine.asked().iter().all(|asked| is(asked, "GET")), "{:?}", engine.calls());
}

#[test]
fn changing_commands_are_refused_where_this_node_manages_nothing() {
    for (state, control, code) in [("inactive", false, Code::SWARM_INACTIVE), ("active", false, Code::NOT_MANAGER)] {
        let engine = FakeEngine::start(move |asked| is(asked, "GET /info").then(|| Reply::Json(200, info(state, control))));
        let desk = Desk::new(&engine, SOON);
        desk.send(remove());
        assert_eq!(desk.outcome().verdict, Verdict::Failed(code));
        desk.send(Action::GetStatus(GetStatus { target: None }));
        let outcome = desk.outcome();
        assert_eq!((outcome.verdict, &outcome.details["stacks"]), (Verdict::Completed, &json!([])));
    }
}

#[test]
fn a_swarm_is_made_and_left_once_though_answers_are_lost() {
    let manager = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let state = Arc::clone(&manager);
    let engine = FakeEngine::start(move |asked| match asked.line.as_str() {
        "GET /info" if state.load(Ordering::SeqCst) => Some(Reply::Json(200, info("active", true))),
        "GET /info" => Some(Reply::Json(200, info("inactive", false))),
        line if line.starts_with("POST /swarm/") => {
            state.fetch_xor(true, Ordering::SeqCst);
            Some(Reply::Hangup)
        }
        _ => None,
    });
    let desk = Desk::new(&engine, SOON);
    let init = || Action::SwarmInit(SwarmAddresses { advertise: Some("10.0.0.1".into()), ..SwarmAddresses::default() });
    let leave = |force| Action::SwarmLeave(SwarmLeave { force });
    let completed = Verdict::Completed;
    for (action, entry, verdict) in [
        (leave(true), Entry::Fresh, Verdict::Failed(Code::SWARM_INACTIVE)),
        (init(), Entry::Fresh, completed),
        (init(), Entry::Resumed, completed),
        (init(), Entry::Fresh, Verdict::Failed(Code::SWARM_ACTIVE)),
        (leave(false), Entry::Fresh, Verdict::Failed(Code::ENGINE_REFUSED)),
        (leave(true), Entry::Fresh, completed),
        (leave(true), Entry::Resumed, completed),
    ] {
        desk.enter(action.clone(), entry);
        let outcome = desk.outcome();
        assert_eq!(outcome.verdict, verdict, "{action:?} {entry:?}: {outcome:?}");
    }
    let posts: Vec<Asked> = engine.asked().into_iter().filter(|asked| is(asked, "POST")).collect();
    assert_eq!(posts[0].body, json!({"ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": "10.0.0.1"}));
    assert_eq!((posts.len(), posts[1].line.as_str()), (2, "POST /swarm/leave?force=true"));
}

#[test]
fn an_engine_that_is_still_joining_its_swarm_is_waited_for() {
    let looks = AtomicUsize::new(0);
    let engine = FakeEngine::start(move |asked| {
        let joined = looks.load(Ordering::SeqCst) > 2;
        is(asked, "GET /info").then(|| {
            looks.fetch_add(1, Ordering::SeqCst);
            Reply::Json(200, if joined { info("active", true) } else { info("pending", false) })
        })
    });
    let desk = Desk::new(&engine, SOON);
    desk.send(remove());
    assert_eq!(desk.outcome().verdict, Verdict::Failed(Code::STACK_NOT_FOUND));
}

#[test]
fn what_belongs_to_others_is_left_alone() {
    let engine = FakeEngine::start(|asked| is(asked, "GET /services?").then(|| Reply::Json(200, json!([web(7, 1)]))));
    let desk = Desk::new(&engine, SOON);
    use crate::domain::Ledger as _;
    desk.ledger.note(vec![Note::Own(target().stack, ProjectId::new("q").unwrap())]).unwrap();
    for action in [
        remove(),
        scale(2),
        Action::Restart(all()),
        Action::Stop(all()),
        Action::Start(all()),
        rollback(None),
        Action::GetStatus(GetStatus { target: Some(target()) }),
    ] {
        desk.send(action);
        assert_eq!(desk.outcome().verdict, Verdict::Failed(Code::FOREIGN_PROJECT));
    }
    assert!(engine.asked().iter().all(|asked| is(asked, "GET")), "{:?}", engine.calls());
}

/// A stack of one service and one network that is held until the task has ended.
#[derive(Default)]
struct Removal {
    service_gone: bool,
    looks_after: u32,
    network_gone: bool,
}

fn removing(answer_to_removal: fn() -> Option<Reply>) -> FakeEngine {
    let state = Mutex::new(Removal::default());
    FakeEngine::start(move |asked| {
        let mut state = state.lock().unwrap();
        match asked.line.as_str() {
            line if line.starts_with("GET /services?") && !state.service_gone => Some(Reply::Json(200, json!([web(7, 1)]))),
            line if line.starts_with("GET /tasks") && state.service_gone => {
                state.looks_after += 1;
                Some(Reply::Json(200, if state.looks_after < 3 { running(1) } else { json!([]) }))
            }
            line if line.starts_with("GET /networks") && !state.network_gone => {
                Some(Reply::Json(200, json!([{"Id": "net-id", "Name": "st_default", "Scope": "swarm", "Labels": null}])))
            }
            "DELETE /services/web-id" => {
                state.service_gone = true;
                answer_to_removal()
            }
            "DELETE /networks/net-id" if state.looks_after < 3 => refusal(400, "network st_default is in use by task t1"),
            "DELETE /networks/net-id" => {
                state.network_gone = true;
                Some(Reply::Json(200, json!(null)))
            }
            _ => None,
        }
    })
}

#[test]
fn a_stack_is_removed_in_order_and_forgotten() {
    use crate::domain::Ledger as _;
    let engine = removing(|| Some(Reply::Json(200, json!(null))));
    let desk = Desk::new(&engine, SOON);
    desk.ledger.note(vec![Note::Own(target().stack, target().project)]).unwrap();
    desk.send(remove());
    let outcome = desk.outcome();
    assert_eq!(outcome.verdict, Verdict::Completed, "{outcome:?}");
    assert_eq!(outcome.details["removed"], json!({"service": ["st_web"], "network": ["st_default"]}));
    assert_eq!(desk.ledger.history(), ["service.remove st_web: done", "network.remove st_default: done"]);
    assert_eq!(desk.ledger.owner(&target().stack), Ok(None));
}

#[test]
fn a_removal_whose_answer_was_lost_is_seen_to_be_done() {
    let engine = removing(|| Some(Reply::Hangup));
    let desk = Desk::new(&engine, SOON);
    desk.send(remove());
    assert_eq!(desk.outcome().verdict, Verdict::Completed);
    assert_eq!(desk.ledger.history(), ["service.remove st_web: unknown", "network.remove st_default: done"]);
}

#[test]
fn removing_what_is_gone_succeeds_only_for_what_was_ours_or_begun() {
    use crate::domain::Ledger as _;
    let engine = FakeEngine::start(|_| None);
    let desk = Desk::new(&engine, SOON);
    desk.send(remove());
    assert_eq!(desk.outcome().verdict, Verdict::Failed(Code::STACK_NOT_FOUND));
    desk.enter(remove(), Entry::Resumed);
    assert_eq!(desk.outcome().verdict, Verdict::Completed);
    desk.ledger.note(vec![Note::Own(target().stack, target().project)]).unwrap();
    desk.send(remove());
    assert_eq!(desk.outcome().verdict, Verdict::Completed);
}

#[test]
fn the_engines_absence_and_return_are_told_once_each() {
    let mut engine = FakeEngine::start(|_| None);
    let mut desk = Desk::new(&engine, SOON);
    let up = EngineState::Up { version: "20.10.24".into(), api: "1.41".into(), swarm: SwarmRole::Manager };
    assert_eq!(desk.engine(), up);
    engine.go_away();
    assert!(matches!(desk.engine(), EngineState::Away(_)));
    engine.come_back();
    assert_eq!(desk.engine(), up);
    desk.stop();
    assert_eq!(desk.events.try_iter().count(), 0);
}

#[test]
fn a_node_event_makes_it_look_at_the_role_again() {
    let looks = AtomicUsize::new(0);
    let engine = FakeEngine::start(move |asked| match asked.line.as_str() {
        "GET /info" => Some(Reply::Json(200, info("active", looks.fetch_add(1, Ordering::SeqCst) == 0))),
        line if line.starts_with("GET /events") => Some(Reply::Events(vec![
            json!({"Type": "node", "Action": "update", "Actor": {"ID": "n", "Attributes": {"role.new": "worker"}}}),
        ])),
        _ => None,
    });
    let desk = Desk::new(&engine, SOON);
    let role = |state| match state {
        EngineState::Up { swarm, .. } => swarm,
        EngineState::Away(reason) => panic!("{reason}"),
    };
    assert_eq!([role(desk.engine()), role(desk.engine())], [SwarmRole::Manager, SwarmRole::Worker]);
}

//! Deploys against a fake swarm that loses answers and moves versions: what is written, and how often.

mod ports;

use crate::docker::fake_engine::FakeEngine;
use crate::docker::fake_ledger::FakeLedger;
use crate::docker::fake_swarm::{Fault, NO_PORT, Swarm};
use crate::docker::{Docker, Event, Job, Settings, start};
use crate::domain::{
    Action, AgentId, Code, Command, CommandId, Context, Deploy, Entry, Ledger, Note, OnFailure, Outcome, ProjectId, ResolveImage,
    StackName, Step, StepOutcome, Target, Verdict,
};
use crate::threads::{Published, Stop, stop_pair};
use crossbeam_channel::{Receiver, bounded};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The longest wait for a command here.
const SOON: Duration = Duration::from_secs(20);
/// A deploy of one service that has settled as soon as it runs.
const FILE: &str = "services: {web: {image: 'box:2', deploy: {update_config: {monitor: 1ms}}}}";

fn request(file: &str) -> Deploy {
    let target = Target { project: ProjectId::new("p").unwrap(), stack: StackName::new("st").unwrap() };
    Deploy { resolve_image: ResolveImage::Never, ..Deploy::of(target, file.to_owned()) }
}

/// The room's threads on a fake swarm.
struct Bed {
    swarm: Arc<Mutex<Swarm>>,
    engine: FakeEngine,
    ledger: Arc<FakeLedger>,
    docker: Docker,
    events: Receiver<Event>,
    /// Comes to every command that is run.
    cancelled: Stop,
}

impl Bed {
    fn new() -> Self {
        let swarm = Arc::new(Mutex::new(Swarm::default()));
        let script = Arc::clone(&swarm);
        let engine = FakeEngine::start(move |asked| script.lock().unwrap().answer(asked));
        let ledger = Arc::new(FakeLedger::default());
        let (events, inbox) = bounded(64);
        let (exits, _) = bounded(8);
        let settings = Published::new(Settings { lanes: 1, deploy_timeout: SOON, ..Settings::of(engine.socket().to_owned()) });
        let docker = start(settings, Arc::<FakeLedger>::clone(&ledger), events, exits).unwrap();
        Self { swarm, engine, ledger, docker, events: inbox, cancelled: Stop::never() }
    }

    /// What goes wrong next with a call that begins with `line`.
    fn fault(&self, line: &'static str, fault: Fault) {
        self.swarm.lock().unwrap().fault = Some((line, fault));
    }

    fn deploy(&self, number: u128, file: &str, entry: Entry) -> Outcome {
        self.run(number, request(file), entry)
    }

    fn run(&self, number: u128, deploy: Deploy, entry: Entry) -> Outcome {
        let (id, action) = (CommandId(Uuid::from_u128(number)), Action::Deploy(deploy));
        let command = Command { id, action, issued_at: None, expires_at: None, signed_by: None, context: Context::default() };
        self.docker
            .jobs
            .send(Job { command: Arc::new(command), agent: AgentId::new("me").unwrap(), entry, cancelled: self.cancelled.clone() })
            .unwrap();
        let deadline = Instant::now() + SOON + SOON;
        loop {
            match self.events.recv_deadline(deadline) {
                Ok(Event::Finished(_, outcome)) => return outcome,
                Ok(_) => {}
                Err(_) => panic!("no end in time; the engine was asked: {:#?}", self.engine.calls()),
            }
        }
    }

    fn completed(&self, number: u128, file: &str, entry: Entry) -> Outcome {
        let outcome = self.deploy(number, file, entry);
        assert_eq!(outcome.verdict, Verdict::Completed, "{outcome:#?}");
        outcome
    }

    /// The calls so far that change something.
    fn changes(&self) -> Vec<String> {
        let calls = self.engine.calls().into_iter().filter(|call| !call.starts_with("GET "));
        calls.map(|call| call.split('?').next().unwrap_or_default().to_owned()).collect()
    }

    /// As if an earlier process had begun the command, done this to `object`, and ended.
    fn begun(&self, number: u128, operation: &str, object: &str, outcome: &StepOutcome) {
        let (id, step) = (CommandId(Uuid::from_u128(number)), Step { operation: operation.into(), object: object.into() });
        self.ledger.note(vec![Note::Intend(id, vec![step.clone()]), Note::Settle(id, vec![(step, outcome.clone())])]).unwrap();
    }

    fn env(&self) -> Value {
        self.swarm.lock().unwrap().find("st_web").unwrap()["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"].clone()
    }
}

const CREATIONS: [&str; 2] = ["POST /networks/create", "POST /services/create"];

fn with_env(value: &str) -> String {
    FILE.replace("'box:2',", &format!("'box:2', environment: [A={value}],"))
}

#[test]
fn a_lost_answer_is_looked_up_and_not_asked_for_again() {
    for line in CREATIONS {
        let bed = Bed::new();
        bed.fault(line, Fault::LostAnswer);
        let outcome = bed.completed(1, FILE, Entry::Fresh);
        assert_eq!(bed.changes(), CREATIONS, "{line}");
        assert_eq!(outcome.details["services"][0]["replicas"], json!({"running": 1, "desired": 1}));
        assert_eq!(outcome.details["services"][0]["state"], "healthy");
    }
    let bed = Bed::new();
    bed.completed(1, FILE, Entry::Fresh);
    bed.fault("POST /services/id", Fault::LostAnswer);
    bed.completed(2, &with_env("1"), Entry::Fresh);
    assert_eq!(bed.changes().len(), CREATIONS.len() + 1, "{:?}", bed.changes());
}

#[test]
fn a_version_that_the_manager_moved_on_is_no_conflict() {
    let bed = Bed::new();
    bed.completed(1, FILE, Entry::Fresh);
    bed.fault("POST /services/id", Fault::VersionMoved);
    bed.completed(2, &with_env("1"), Entry::Fresh);
    assert_eq!(bed.env(), json!(["A=1"]));
}

#[test]
fn somebody_elses_edit_is_a_conflict_and_stays() {
    let bed = Bed::new();
    bed.completed(1, FILE, Entry::Fresh);
    bed.fault("POST /services/id", Fault::ForeignEdit);
    let outcome = bed.deploy(2, &with_env("1"), Entry::Fresh);
    assert_eq!(outcome.verdict, Verdict::Failed(Code::CONFLICT), "{outcome:#?}");
    assert_eq!((&outcome.details["changed"], &outcome.details["rolled_back"]), (&json!(false), &json!(false)));
    assert_eq!(bed.env(), json!(["A=b"]));
}

#[test]
fn a_deploy_that_was_cut_off_anywhere_goes_on_without_a_second_write() {
    let whole = Bed::new();
    whole.completed(1, FILE, Entry::Fresh);
    let steps = whole.ledger.steps(CommandId(Uuid::from_u128(1))).unwrap();
    assert_eq!(steps.len(), CREATIONS.len());
    // The power goes after each call, before its outcome is on disk.
    for done in 0..=steps.len() {
        let bed = Bed::new();
        for (step, _) in &steps[..done] {
            bed.ledger.note(vec![Note::Intend(CommandId(Uuid::from_u128(1)), vec![step.clone()])]).unwrap();
        }
        let asked = whole.engine.asked().into_iter().filter(|asked| asked.line.starts_with("POST")).take(done);
        for call in asked {
            bed.swarm.lock().unwrap().answer(&call);
        }
        let outcome = bed.completed(1, FILE, Entry::Resumed);
        assert_eq!(bed.changes(), CREATIONS[done..], "after {done}");
        assert_eq!(outcome.details["changed"], true);
    }
}

#[test]
fn a_deploy_that_had_failed_before_the_restart_only_goes_back() {
    let bed = Bed::new();
    bed.completed(1, FILE, Entry::Fresh);
    bed.completed(2, &with_env("bad"), Entry::Fresh);
    // As if the second one had failed instead, and the agent had ended on the way back.
    bed.ledger.forget_revision(2);
    bed.begun(2, "stack.deploy", "st", &StepOutcome::Refused("task.crash_loop: service st_web: 5 tasks in a row failed".into()));
    let outcome = bed.deploy(2, &with_env("bad"), Entry::Resumed);
    assert_eq!(outcome.verdict, Verdict::Failed(Code::CRASH_LOOP), "{outcome:#?}");
    assert_eq!(outcome.details["rolled_back"], true, "{outcome:#?}");
    assert!(outcome.message.contains("5 tasks in a row"));
    assert_eq!(bed.env(), Value::Null);
}

#[test]
fn a_deploy_that_is_cancelled_goes_back_as_its_on_failure_says() {
    for (on_failure, env, rolled_back) in [(OnFailure::Rollback, Value::Null, true), (OnFailure::Leave, json!(["A=1"]), false)] {
        let mut bed = Bed::new();
        bed.completed(1, FILE, Entry::Fresh);
        bed.completed(2, &with_env("1"), Entry::Fresh);
        // As if the agent had ended in the middle, with the cancellation read.
        bed.ledger.forget_revision(2);
        bed.cancelled = stop_pair().1;
        let outcome = bed.run(2, Deploy { on_failure, ..request(&with_env("1")) }, Entry::Resumed);
        assert_eq!(outcome.verdict, Verdict::Failed(Code::CANCELLED), "{outcome:#?}");
        assert_eq!((&outcome.details["changed"], &outcome.details["rolled_back"]), (&json!(true), &json!(rolled_back)));
        assert_eq!(bed.env(), env);
    }
}

#[test]
fn a_stack_of_another_agent_is_taken_over_only_when_asked() {
    let bed = Bed::new();
    bed.completed(1, FILE, Entry::Fresh);
    bed.swarm.lock().unwrap().write(|spec| spec["Labels"]["io.axion.owner"] = json!("you"));
    let changes = bed.changes();
    let outcome = bed.deploy(2, FILE, Entry::Fresh);
    assert_eq!(outcome.verdict, Verdict::Failed(Code::OWNED_ELSEWHERE), "{outcome:#?}");
    assert_eq!(bed.changes(), changes);
    let outcome = bed.run(3, Deploy { adopt: true, ..request(FILE) }, Entry::Fresh);
    assert_eq!(outcome.verdict, Verdict::Completed, "{outcome:#?}");
    assert_eq!(outcome.details["services"][0]["reason"], "it is taken over from agent you");
    assert_eq!(bed.swarm.lock().unwrap().find("st_web").unwrap()["Spec"]["Labels"]["io.axion.owner"], "me");
}

#[test]
fn the_network_of_the_node_is_known_again_by_its_id() {
    let bed = Bed::new();
    let file = "services: {web: {image: 'box:2', networks: [outside], deploy: {update_config: {monitor: 1ms}}}}
networks: {outside: {external: true, name: host}}";
    bed.completed(1, file, Entry::Fresh);
    bed.completed(2, file, Entry::Fresh);
    assert_eq!(bed.changes(), ["POST /services/create"]);
}

#[test]
fn a_service_name_of_another_stack_is_refused_before_anything_is_made() {
    let bed = Bed::new();
    let labels = json!({"com.docker.stack.namespace": "st_web"});
    let foreign = json!({"ID": "f", "Version": {"Index": 1}, "Spec": {"Name": "st_web_db", "Labels": labels}});
    bed.swarm.lock().unwrap().foreign = Some(foreign);
    let outcome = bed.deploy(1, &FILE.replace("web:", "web_db:"), Entry::Fresh);
    assert_eq!(outcome.verdict, Verdict::Failed(Code::CONFLICT), "{outcome:#?}");
    assert!(outcome.message.contains("belongs to the stack st_web"), "{outcome:#?}");
    assert_eq!(bed.changes(), Vec::<String>::new());
}

#[test]
fn an_update_that_swarm_took_back_while_the_agent_was_away_is_not_sent_again() {
    let bed = Bed::new();
    bed.completed(1, FILE, Entry::Fresh);
    bed.begun(2, "service.update", "st_web", &StepOutcome::Done(None));
    let update = json!({"State": "rollback_completed", "Message": "rollback completed"});
    bed.swarm.lock().unwrap().services.get_mut("st_web").unwrap()["UpdateStatus"] = update;
    let outcome = bed.deploy(2, &with_env("bad"), Entry::Resumed);
    assert_eq!(outcome.verdict, Verdict::Failed(Code::UPDATE_ROLLED_BACK), "{outcome:#?}");
    assert_eq!(outcome.details["rolled_back"], true, "{outcome:#?}");
    assert_eq!(bed.changes(), CREATIONS);
}

#[test]
fn an_update_that_swarm_paused_is_told_as_such() {
    let bed = Bed::new();
    bed.completed(1, FILE, Entry::Fresh);
    bed.begun(2, "service.update", "st_web", &StepOutcome::Done(None));
    let update = json!({"State": "paused", "Message": "update paused due to failure or early termination of task x"});
    bed.swarm.lock().unwrap().services.get_mut("st_web").unwrap()["UpdateStatus"] = update;
    let left = Deploy { on_failure: OnFailure::Leave, ..request(&with_env("bad")) };
    let outcome = bed.run(2, left, Entry::Resumed);
    assert_eq!(outcome.verdict, Verdict::Failed(Code::UPDATE_PAUSED), "{outcome:#?}");
    assert!(outcome.message.contains("early termination of task x"), "{outcome:#?}");
}

#[test]
fn a_port_that_the_old_task_was_about_to_leave_is_no_reason_of_what_fails_later() {
    let bed = Bed::new();
    bed.completed(1, &with_env("1"), Entry::Fresh);
    bed.swarm.lock().unwrap().yielding = Some("A=2");
    let slow = Deploy { timeout_seconds: Some(4), ..request(&with_env("2")) };
    let outcome = bed.run(2, slow, Entry::Fresh);
    assert_eq!(outcome.verdict, Verdict::Failed(Code::TIMED_OUT), "{outcome:#?}");
    assert!(!format!("{outcome:?}").contains(NO_PORT), "{outcome:#?}");
    assert_eq!((&outcome.details["rolled_back"], bed.env()), (&json!(true), json!(["A=1"])));
}

#[test]
fn a_deploy_that_changed_nothing_leaves_the_name_free() {
    let bed = Bed::new();
    bed.fault("POST /networks/create", Fault::Refusal);
    let outcome = bed.deploy(1, FILE, Entry::Fresh);
    assert_eq!(outcome.verdict, Verdict::Failed(Code::ENGINE_REFUSED), "{outcome:#?}");
    assert_eq!(bed.ledger.owner(&StackName::new("st").unwrap()).unwrap(), None);
}

#[test]
fn a_manager_that_misses_a_network_for_a_moment_is_asked_again() {
    let bed = Bed::new();
    bed.fault("POST /services/create", Fault::MissesNetwork);
    bed.completed(1, FILE, Entry::Fresh);
    bed.fault("POST /services/id", Fault::MissesNetwork);
    let outcome = bed.deploy(2, &with_env("1"), Entry::Fresh);
    assert_eq!(outcome.verdict, Verdict::Completed, "{outcome:#?}");
    let asked = |call: &str| bed.changes().iter().filter(|change| change.starts_with(call)).count();
    assert_eq!((asked("POST /services/create"), asked("POST /services/id")), (2, 2));
}

#[test]
fn an_edit_of_somebody_else_after_the_update_stays_on_the_way_back() {
    let bed = Bed::new();
    bed.completed(1, FILE, Entry::Fresh);
    bed.fault("GET /tasks?filters=%7B%22_up-to-date", Fault::ForeignEdit);
    let outcome = bed.deploy(2, &with_env("1"), Entry::Fresh);
    assert_eq!(outcome.verdict, Verdict::Failed(Code::CONFLICT), "{outcome:#?}");
    assert_eq!(outcome.details["rolled_back"], "partial");
    assert_eq!(bed.env(), json!(["A=b"]));
}

#[test]
fn a_tag_that_moves_while_the_agent_is_away_makes_no_second_update() {
    let bed = Bed::new();
    let always = || Deploy { resolve_image: ResolveImage::Always, ..request(FILE) };
    for (digest, entry) in [("sha256:1", Entry::Fresh), ("sha256:2", Entry::Resumed)] {
        bed.swarm.lock().unwrap().digest = Some(digest);
        let outcome = bed.run(1, always(), entry);
        assert_eq!(outcome.verdict, Verdict::Completed, "{outcome:#?}");
        assert_eq!(outcome.details["services"][0]["image"], "box:2@sha256:1");
    }
    assert_eq!(bed.changes(), CREATIONS);
    assert_eq!(bed.run(2, always(), Entry::Fresh).details["services"][0]["image"], "box:2@sha256:2", "the next command asks");
}

#[test]
fn an_adopted_service_that_went_back_before_a_restart_stays_back() {
    let bed = Bed::new();
    bed.completed(1, FILE, Entry::Fresh);
    bed.completed(2, &with_env("bad"), Entry::Fresh);
    // As if the stack had been adopted, so that only Swarm remembers what was before.
    bed.ledger.forget_revision(2);
    bed.ledger.forget_revision(1);
    bed.begun(2, "stack.deploy", "st", &StepOutcome::Refused("task.crash_loop: service st_web: it failed".into()));
    for _ in 0..2 {
        let outcome = bed.deploy(2, &with_env("bad"), Entry::Resumed);
        assert_eq!(outcome.details["rolled_back"], true, "{outcome:#?}");
        assert_eq!(bed.env(), Value::Null);
    }
}

#[test]
fn going_back_removes_only_what_the_command_made() {
    let bed = Bed::new();
    bed.completed(1, FILE, Entry::Fresh);
    bed.ledger.forget_revision(1);
    // The answers to the command's creations were lost, and somebody else made these.
    let unknown = StepOutcome::Unknown("no answer".into());
    bed.begun(2, "service.create", "st_web", &unknown);
    bed.begun(2, "network.create", "outside", &unknown);
    let foreign = json!({"Id": "f", "Name": "outside", "Scope": "swarm", "Labels": {}});
    bed.swarm.lock().unwrap().networks.insert("outside".into(), foreign);
    bed.begun(2, "service.remove", "st_old", &StepOutcome::Done(None));
    bed.begun(2, "stack.deploy", "st", &StepOutcome::Refused("swarm.conflict: somebody else".into()));
    let outcome = bed.deploy(2, FILE, Entry::Resumed);
    assert_eq!(bed.changes(), CREATIONS, "{outcome:#?}");
    assert_eq!(outcome.details["rolled_back"], "partial");
    assert!(outcome.details["rollback"][0].as_str().unwrap().contains("st_old"), "{outcome:#?}");
}

#[test]
fn what_the_engine_would_drop_is_left_out_and_said() {
    let bed = Bed::new();
    let outcome = bed.completed(1, &FILE.replace("'box:2',", "'box:2', oom_score_adj: 100,"), Entry::Fresh);
    assert!(outcome.details["warnings"][0].as_str().unwrap().contains("oom_score_adj"), "{outcome:#?}");
    let swarm = bed.swarm.lock().unwrap();
    assert_eq!(swarm.find("st_web").unwrap()["Spec"]["TaskTemplate"]["ContainerSpec"]["OomScoreAdj"], Value::Null);
}

#[test]
fn a_plan_names_the_variables_that_are_not_set() {
    let bed = Bed::new();
    let plan = Deploy { dry_run: true, ..request("services: {web: {image: 'box:2', command: ['$GREETING', '${GIVEN:-}']}}") };
    let told = bed.run(1, plan, Entry::Fresh).details["warnings"].to_string();
    assert!(told.contains("the variable GREETING is not set and counts as empty") && !told.contains("GIVEN is"), "{told}");
}

#[test]
fn a_plan_says_that_there_is_little_room_for_what_has_to_be_pulled() {
    let bed = Bed::new();
    // Nothing can be written there, so that nothing is free.
    bed.swarm.lock().unwrap().root = Some("/proc");
    let outcome = bed.run(1, Deploy { dry_run: true, ..request(FILE) }, Entry::Fresh);
    let warning = outcome.details["warnings"][0].as_str().unwrap();
    assert!(warning.contains("in /proc, only 0 MiB are free") && bed.changes().is_empty(), "{outcome:#?}");
    // A service that stays as it is pulls nothing.
    bed.swarm.lock().unwrap().root = None;
    bed.completed(2, FILE, Entry::Fresh);
    bed.swarm.lock().unwrap().root = Some("/proc");
    let again = bed.completed(3, FILE, Entry::Fresh);
    assert_eq!(again.details["warnings"], json!([]), "{again:#?}");
}

/// The same service, with its network defined otherwise.
fn redefined() -> String {
    format!("{FILE}\nnetworks: {{default: {{attachable: true}}}}")
}

const REPLACEMENT: [&str; 4] = ["DELETE /services/", "DELETE /networks/", "POST /networks/create", "POST /services/create"];

impl Bed {
    fn network(&self) -> Value {
        self.swarm.lock().unwrap().networks["st_default"].clone()
    }

    /// The changes after the first `before`, with ids cut off.
    fn changes_since(&self, before: usize) -> Vec<String> {
        let cut =
            |call: String| REPLACEMENT.iter().find(|known| call.starts_with(**known)).map_or(call.clone(), |known| (*known).to_owned());
        self.changes().into_iter().skip(before).map(cut).collect()
    }
}

#[test]
fn a_network_that_is_redefined_is_made_anew_with_its_services() {
    let bed = Bed::new();
    bed.completed(1, FILE, Entry::Fresh);
    let outcome = bed.completed(2, &redefined(), Entry::Fresh);
    assert_eq!(bed.changes_since(2), REPLACEMENT);
    assert_eq!(bed.network()["Attachable"], true);
    let (network, service) = (&outcome.details["networks"][0], &outcome.details["services"][0]);
    assert_eq!((&network["action"], &network["changes"][0]["field"]), (&json!("replace"), &json!("Attachable")));
    assert_eq!((&service["action"], &service["tasks"]), (&json!("replace"), &json!("replaced")));
    bed.completed(3, &redefined(), Entry::Fresh);
    assert_eq!(bed.changes_since(2), REPLACEMENT, "once");
}

#[test]
fn a_replacement_that_was_cut_off_anywhere_goes_on_where_it_was() {
    let whole = Bed::new();
    whole.completed(1, FILE, Entry::Fresh);
    whole.completed(2, &redefined(), Entry::Fresh);
    let steps = whole.ledger.steps(CommandId(Uuid::from_u128(2))).unwrap();
    let calls: Vec<_> = whole.engine.asked().into_iter().filter(|asked| !asked.line.starts_with("GET")).skip(2).collect();
    assert_eq!(steps.len(), REPLACEMENT.len() + 2, "{steps:?}");
    // The power goes after each call, before its outcome is on disk; the notes have none.
    for cut in 0..=steps.len() {
        let bed = Bed::new();
        bed.completed(1, FILE, Entry::Fresh);
        let before = bed.changes().len();
        let mut made = 0;
        for (step, outcome) in &steps[..cut] {
            bed.ledger.note(vec![Note::Intend(CommandId(Uuid::from_u128(2)), vec![step.clone()])]).unwrap();
            let mut swarm = bed.swarm.lock().unwrap();
            match step.operation.as_str() {
                "service.remove" => swarm.services.clear(),
                "network.remove" => swarm.networks.clear(),
                "service.create" | "network.create" => drop(swarm.answer(&calls[made])),
                _ => {
                    let settled = Note::Settle(CommandId(Uuid::from_u128(2)), vec![(step.clone(), outcome.clone().unwrap())]);
                    bed.ledger.note(vec![settled]).unwrap();
                }
            }
            made += usize::from(!step.operation.ends_with(".replace"));
        }
        let outcome = bed.completed(2, &redefined(), Entry::Resumed);
        assert_eq!(outcome.details["services"][0]["action"], "replace", "after {cut} steps");
        assert_eq!(bed.changes_since(before), REPLACEMENT[made..], "after {cut} steps");
        assert_eq!(bed.network()["Attachable"], true);
    }
}

#[test]
fn a_replacement_that_fails_goes_back_with_a_revision_and_without() {
    for revision in [true, false] {
        let bed = Bed::new();
        bed.completed(1, FILE, Entry::Fresh);
        if !revision {
            bed.ledger.forget_revision(1);
        }
        bed.fault("POST /services/create", Fault::Refusal);
        let outcome = bed.deploy(2, &redefined(), Entry::Fresh);
        assert_eq!(outcome.verdict, Verdict::Failed(Code::ENGINE_REFUSED), "{outcome:#?}");
        assert_eq!(outcome.details["rolled_back"], true, "{outcome:#?}");
        assert_eq!((bed.network()["Attachable"] == true, bed.env()), (false, Value::Null));
    }
}

#[test]
fn a_service_of_another_mode_is_made_anew() {
    let global = FILE.replace("deploy: {", "deploy: {mode: global, ");
    let bed = Bed::new();
    bed.completed(1, FILE, Entry::Fresh);
    let outcome = bed.completed(2, &global, Entry::Fresh);
    assert_eq!(bed.changes_since(2), ["DELETE /services/", "POST /services/create"]);
    assert_eq!(
        (&outcome.details["services"][0]["action"], &outcome.details["services"][0]["tasks"]),
        (&json!("replace"), &json!("replaced"))
    );
    assert!(bed.swarm.lock().unwrap().find("st_web").unwrap()["Spec"]["Mode"]["Global"].is_object());
}

#[test]
fn what_can_go_back_does_although_a_network_cannot() {
    let bed = Bed::new();
    bed.completed(1, FILE, Entry::Fresh);
    bed.completed(2, &redefined(), Entry::Fresh);
    // As if the second one had failed instead, and a network like it could not be made any more.
    bed.ledger.forget_revision(2);
    bed.begun(2, "stack.deploy", "st", &StepOutcome::Refused("task.crash_loop: service st_web: it failed".into()));
    bed.fault("POST /networks/create", Fault::Refusal);
    let outcome = bed.deploy(2, &redefined(), Entry::Resumed);
    assert_eq!(outcome.details["rolled_back"], "partial", "{outcome:#?}");
    assert!(outcome.details["rollback"].to_string().contains("address pool"), "{outcome:#?}");
    assert!(bed.swarm.lock().unwrap().find("st_web").is_some());
}

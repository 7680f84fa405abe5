//! Deploys against a real engine, through the Docker room's face and with a real journal: what is made,
//! what is left alone, how a failure is told, and the way back.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests, though clippy cannot see it: they have no libtest"
)]

mod before;
mod earlier;
mod ports;
mod refused;
mod replaced;
#[path = "../support/mod.rs"]
mod support;

use axion_agent::domain::{
    Action, Code, CommandId, Deploy, Entry, Ledger, Note, OnFailure, ProjectId, RegistryCredential, Remove, ResolveImage, Rollback, Scale,
    Selection, Sensitive, Target,
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use support::{Lanes, Need, PASSWORD, Registry, Stage, Test, Told, USERNAME, free_port, run};
use uuid::Uuid;

/// Settings of a service that ends at once when told to.
const QUICK: &str = "image: 'axion-test/box:1', init: true, stop_grace_period: 1s";

const TESTS: &[Test] = &[
    Test { name: "a_stack_comes_is_left_alone_changes_and_goes", needs: &[Need::Engine], body: whole_life },
    Test { name: "a_dry_run_plans_and_touches_nothing", needs: &[Need::Engine], body: dry_run },
    Test { name: "what_the_file_gets_wrong_is_told_before_anything_is_made", needs: &[Need::Engine], body: mistakes },
    Test { name: "what_the_manager_refuses_is_refused_before", needs: &[Need::Engine, Need::DockerCli], body: refused::by_the_manager },
    Test { name: "a_missing_image", needs: &[Need::Engine], body: missing_image },
    Test { name: "a_crash_loop", needs: &[Need::Engine], body: crash_loop },
    Test { name: "a_crash_loop_that_was_left_fails_again", needs: &[Need::Engine], body: crash_loop_again },
    Test { name: "an_unhealthy_service", needs: &[Need::Engine], body: unhealthy },
    Test { name: "an_unhealthy_service_that_ends_well_when_it_is_stopped", needs: &[Need::Engine], body: unhealthy_and_polite },
    Test { name: "a_service_that_fits_no_node", needs: &[Need::Engine], body: no_suitable_node },
    Test { name: "a_port_that_another_service_has", needs: &[Need::Engine], body: taken_port },
    Test { name: "a_port_of_the_node_moves_to_another_service", needs: &[Need::Engine], body: ports::moving },
    Test { name: "a_port_of_the_node_changes_with_the_placement", needs: &[Need::Engine], body: ports::with_the_placement },
    Test { name: "a_scale_fails_once_it_is_certain", needs: &[Need::Engine], body: ports::scaled },
    Test { name: "a_rollback_that_fails_says_that_it_has_changed_the_stack", needs: &[Need::Engine], body: ports::half_way },
    Test { name: "services_exchange_ports_of_the_node", needs: &[Need::Engine], body: ports::exchanged },
    Test { name: "a_mount_that_a_node_rejects", needs: &[Need::Engine], body: rejected_mount },
    Test { name: "a_job_that_fails", needs: &[Need::Engine], body: failing_job },
    Test { name: "a_job_that_failed_or_runs_is_no_good_end_the_next_time_either", needs: &[Need::Engine], body: before::failed_job },
    Test { name: "work_that_is_done_sooner_than_swarm_thinks_right_is_done", needs: &[Need::Engine], body: before::done_early },
    Test { name: "a_restart_makes_no_other_state_of_a_stack", needs: &[Need::Engine], body: before::restarted },
    Test { name: "words_that_the_manager_writes_small_may_be_large", needs: &[Need::Engine], body: before::in_any_case },
    Test { name: "a_service_on_a_network_of_others_has_not_drifted", needs: &[Need::Engine], body: before::on_a_foreign_network },
    Test { name: "labels_of_contents_are_written_and_replace_no_task", needs: &[Need::Engine], body: before::labelled },
    Test { name: "contents_are_known_again_without_a_journal", needs: &[Need::Engine], body: before::lost_journal },
    Test { name: "a_subnet_that_another_network_has", needs: &[Need::Engine], body: before::taken_subnet },
    Test { name: "a_way_back_whose_contents_are_gone_leaves_nothing_that_fails", needs: &[Need::Engine], body: before::gone_contents },
    Test { name: "a_failed_update_goes_back_to_the_last_good_revision", needs: &[Need::Engine], body: failed_update },
    Test { name: "changed_contents_rotate_and_old_ones_go_with_their_revision", needs: &[Need::Engine], body: contents },
    Test { name: "a_content_whose_name_leaves_no_room_for_another_is_not_changed", needs: &[Need::Engine], body: fixed_name },
    Test { name: "a_stack_of_the_command_line_is_adopted_without_a_restart", needs: &[Need::Engine], body: adoption },
    Test { name: "a_command_that_comes_again_writes_nothing_twice", needs: &[Need::Engine], body: repeated },
    Test { name: "a_stack_on_the_network_of_the_node_is_left_alone", needs: &[Need::Engine], body: on_the_node },
    Test { name: "an_update_that_swarm_completes_although_it_fails", needs: &[Need::Engine], body: continued_update },
    Test { name: "a_server_that_ends_well_until_its_last_try", needs: &[Need::Engine], body: last_try },
    Test { name: "a_global_service_that_does_its_work_once", needs: &[Need::Engine], body: once_on_each_node },
    Test { name: "a_stopped_stack_starts_as_it_was_kept", needs: &[Need::Engine], body: stop_and_start },
    Test { name: "a_rollback_goes_to_the_revision_before_and_to_any_other", needs: &[Need::Engine], body: roll_back },
    Test { name: "a_network_that_is_redefined_is_made_anew_with_its_services", needs: &[Need::Engine], body: replaced::network },
    Test { name: "a_redefined_network_with_other_users_is_left_before_anything_is_done", needs: &[Need::Engine], body: replaced::in_use },
    Test { name: "a_service_of_another_mode_is_made_anew_and_goes_back_so", needs: &[Need::Engine], body: replaced::mode },
    Test { name: "networks_that_left_the_file_go_and_foreign_ones_are_named", needs: &[Need::Engine], body: replaced::leaving },
    Test { name: "networks_that_a_revision_has_not_go_with_a_rollback", needs: &[Need::Engine], body: replaced::back_without },
    Test { name: "what_failed_deploys_have_left_goes_with_the_next_good_one", needs: &[Need::Engine], body: replaced::orphans },
    Test { name: "a_stack_that_somebody_just_removed_is_made_again", needs: &[Need::Engine], body: replaced::lingering },
    Test { name: "a_count_that_was_set_before_a_failed_deploy_comes_back", needs: &[Need::Engine], body: replaced::scaled },
    Test { name: "what_somebody_else_changed_is_told_and_not_undone_unasked", needs: &[Need::Engine], body: replaced::drift },
    Test { name: "ports_change_although_an_earlier_update_passed_tasks_over", needs: &[Need::Engine], body: earlier::moved_before },
    Test { name: "what_nodes_have_of_logins", needs: &[Need::Engine, Need::Registry], body: earlier::logins },
    Test { name: "a_login_does_not_run_again_what_is_done", needs: &[Need::Engine, Need::Registry], body: earlier::login_of_what_is_done },
    Test { name: "a_rollback_goes_back_from_an_added_service", needs: &[Need::Engine], body: earlier::added },
    Test { name: "a_service_that_was_removed_by_hand_goes_back_to_its_own_count", needs: &[Need::Engine], body: earlier::removed_by_hand },
    Test { name: "a_takeover_leaves_jobs_alone", needs: &[Need::Engine], body: earlier::job_of_another_agent },
    Test { name: "what_a_killed_process_has_made_goes_with_its_revision", needs: &[Need::Engine], body: earlier::killed },
    Test { name: "the_time_of_the_command_is_kept", needs: &[Need::Engine], body: time_is_over },
    Test { name: "a_registry_gives_digests_and_says_what_it_has_not", needs: &[Need::Engine, Need::Registry], body: registry },
    Test { name: "a_registry_that_cannot_be_asked", needs: &[Need::Engine], body: no_registry },
    Test { name: "a_deviation_from_the_cli_is_named_beside_the_restart", needs: &[Need::Engine, Need::DockerCli], body: deviation },
    Test { name: "after_docker_stack_deploy_nothing_restarts", needs: &[Need::Engine, Need::DockerCli], body: after_the_cli },
];

fn main() -> std::process::ExitCode {
    run("deploy", TESTS)
}

/// A deploy of services with `endpoint_mode: dnsrr`, for kernels without IPVS.
fn request(lanes: &Lanes, services: &[(&str, &str)], rest: &str) -> Deploy {
    let services: Vec<String> = services.iter().map(|(name, keys)| format!("  {name}: {{{keys}}}\n")).collect();
    lanes.deploy(format!("services:\n{}{rest}", services.concat()))
}

fn deploy(lanes: &Lanes, services: &[(&str, &str)]) -> Told {
    lanes.run(Action::Deploy(request(lanes, services, "")))
}

/// A service that runs `command` and is quick to stop.
fn quick(command: &str, more: &str) -> String {
    format!("{QUICK}, command: [{command}]{more}")
}

fn sleeper(more: &str) -> String {
    quick("sleep, '1000'", &format!(", deploy: {{endpoint_mode: dnsrr{more}}}"))
}

fn whole_life(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let (web, everywhere) = (sleeper(", replicas: 2"), sleeper(", mode: global"));
    let job = quick("'true'", ", deploy: {mode: replicated-job, restart_policy: {condition: none}}");
    let first = deploy(&lanes, &[("web", &web), ("everywhere", &everywhere), ("once", &job)]).completed();
    assert_eq!(first.service("web")["action"], "create");
    assert_eq!(first.service("web")["replicas"], json!({"running": 2, "desired": 2}));
    assert_eq!(first.phases()[..2], ["plan", "apply"]);
    assert_eq!(first.detail("revision"), 1);
    let marks = lanes.service("web")["Spec"]["Labels"].clone();
    assert_eq!((&marks["io.axion.command"], &marks["io.axion.owner"]), (&json!(first.id.to_string()), &json!("me")));

    let (tasks, job_version) = (lanes.running(), lanes.service("once")["Version"].clone());
    assert_eq!(tasks.len(), 3);
    let started = Instant::now();
    let again = deploy(&lanes, &[("web", &web), ("everywhere", &everywhere), ("once", &job)]).completed();
    assert!(started.elapsed() < Duration::from_secs(2), "nothing to wait for took {:?}", started.elapsed());
    assert_eq!(again.service("web")["action"], "unchanged");
    assert_eq!((again.detail("changed"), again.detail("revision")), (&json!(false), &json!(1)));
    assert_eq!((lanes.running(), &lanes.service("once")["Version"]), (tasks.clone(), &job_version), "neither a task nor the job ran again");
    assert_eq!(lanes.service("web")["Spec"]["Labels"]["io.axion.command"], first.id.to_string());

    let changed = sleeper(", replicas: 2, labels: {a: b}");
    let relabelled = deploy(&lanes, &[("web", &changed), ("everywhere", &everywhere), ("once", &job)]).completed();
    assert_eq!(relabelled.service("web")["action"], "update");
    assert!(relabelled.service("web")["reason"].as_str().unwrap().contains("Labels.a"), "{relabelled:#?}", relabelled = relabelled.outcome);
    assert_eq!(lanes.running(), tasks, "labels replace no task");

    let updated = deploy(&lanes, &[("web", &quick("sleep, '2000'", ", deploy: {endpoint_mode: dnsrr}"))]).completed();
    assert_eq!((updated.service("web")["action"].as_str(), updated.service("once")["action"].as_str()), (Some("update"), Some("remove")));
    assert_eq!(lanes.counts()[0], 1, "what left the file is gone");
    assert!(lanes.running().iter().all(|task| !tasks.contains(task)));
    assert_eq!(lanes.revisions(), [2, 3], "two are kept");

    lanes.run(Action::Remove(Remove { target: lanes.target(), volumes: false })).completed();
    assert_eq!(lanes.counts(), [0; 4]);
}

fn dry_run(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let request = Deploy { dry_run: true, ..request(&lanes, &[("web", &sleeper(""))], "") };
    let told = lanes.run(Action::Deploy(request)).completed();
    assert_eq!((told.detail("dry_run"), &told.service("web")["action"]), (&json!(true), &json!("create")));
    assert_eq!(told.service("web")["image_here"], Value::Null, "it is here");
    assert_eq!(lanes.counts(), [0; 4]);
    assert_eq!(lanes.journal.owner(&lanes.stack).unwrap(), None);
}

fn mistakes(stage: &Stage) {
    let lanes = Lanes::start(stage);
    deploy(&lanes, &[("web", "image: x, comand: y")]).failed(Code::COMPOSE_INVALID, "comand");
    let foreign = sleeper("").replacen("init: true", "init: true, platform: windows/riscv64", 1);
    let told = deploy(&lanes, &[("web", &foreign)]).failed(Code::NO_SUITABLE_NODE, "windows/riscv64");
    assert_eq!(told.detail("changed"), false);
    let external = request(&lanes, &[("web", &sleeper(""))], "networks: {default: {external: true, name: axd-nowhere}}\n");
    let told = lanes.run(Action::Deploy(external)).failed(Code::REFERENCE_MISSING, "axd-nowhere");
    assert_eq!(told.detail("changed"), false);
    assert_eq!(lanes.counts(), [0; 4]);
}

/// The first deploy of a stack fails: what it made is gone again.
fn fails_at_first(stage: &Stage, service: &str, code: Code, words: &str) {
    let lanes = Lanes::start(stage);
    let told = deploy(&lanes, &[("good", &sleeper("")), ("bad", service)]).failed(code, words);
    let is_missing = code == Code::IMAGE_NOT_FOUND;
    assert_eq!(told.service("bad")["image_here"], if is_missing { json!(false) } else { Value::Null });
    assert_eq!(told.detail("rolled_back"), true, "{:#?}", told.outcome);
    assert!(told.phases().contains(&"rollback"));
    assert_eq!(lanes.counts(), [0; 4], "{:#?}", told.outcome);
    assert_eq!(lanes.journal.owner(&lanes.stack).unwrap(), None, "the name is free again");
}

fn missing_image(stage: &Stage) {
    let service = "image: 'axd-nosuch/image:1', deploy: {endpoint_mode: dnsrr, restart_policy: {delay: 1s}}";
    fails_at_first(stage, service, Code::IMAGE_NOT_FOUND, "No such image");
}

fn crash_loop(stage: &Stage) {
    let service = quick("sh, -c, exit 7", ", deploy: {endpoint_mode: dnsrr, restart_policy: {delay: 1s}}");
    fails_at_first(stage, &service, Code::CRASH_LOOP, "non-zero exit (7)");
}

fn crash_loop_again(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let broken = quick("sh, -c, exit 7", ", deploy: {endpoint_mode: dnsrr, restart_policy: {delay: 1s}}");
    // The second time nothing is written, and between two ends its task runs.
    for action in ["create", "unchanged"] {
        let left = Deploy { on_failure: OnFailure::Leave, ..request(&lanes, &[("web", &broken)], "") };
        let told = lanes.run(Action::Deploy(left)).failed(Code::CRASH_LOOP, "non-zero exit (7)");
        assert_eq!(told.service("web")["action"], action);
    }
}

fn unhealthy(stage: &Stage) {
    let check =
        ", healthcheck: {test: [CMD, 'false'], interval: 1s, retries: 1}, deploy: {endpoint_mode: dnsrr, restart_policy: {delay: 1s}}";
    fails_at_first(stage, &quick("sleep, '1000'", check), Code::UNHEALTHY, "unhealthy");
}

/// Swarm calls its tasks complete.
fn unhealthy_and_polite(stage: &Stage) {
    for policy in ["condition: on-failure", "condition: none", "condition: any, delay: 1s"] {
        let check = format!(
            ", healthcheck: {{test: [CMD, 'false'], interval: 1s, retries: 1}}, deploy: {{endpoint_mode: dnsrr, restart_policy: {{{policy}}}}}"
        );
        fails_at_first(
            stage,
            &quick("sh, -c, \"trap 'exit 0' TERM; while :; do sleep 1 & wait; done\"", &check),
            Code::UNHEALTHY,
            "ended with exit code 0",
        );
    }
}

fn no_suitable_node(stage: &Stage) {
    let service = sleeper(", placement: {constraints: [node.labels.moon == yes]}");
    fails_at_first(stage, &service, Code::NO_SUITABLE_NODE, "no suitable node");
}

fn taken_port(stage: &Stage) {
    let port = format!("ports: [{{target: 80, published: {}, mode: host}}]", free_port());
    let first = sleeper("").replacen("init: true", &format!("init: true, {port}"), 1);
    let lanes = Lanes::start(stage);
    deploy(&lanes, &[("first", &first)]).completed();
    let told = deploy(&lanes, &[("first", &first), ("second", &first)]).failed(Code::PORT_CLASH, " is published by service ");
    assert_eq!((told.detail("changed"), lanes.counts()[0]), (&json!(false), 1), "{:#?}", told.outcome);
    let other = Lanes::start(stage);
    let told = deploy(&other, &[("web", &first)]).failed(Code::PORT_CLASH, &format!("service {}_first already", lanes.stack));
    assert_eq!((told.detail("changed"), other.counts()), (&json!(false), [0; 4]));
    // Two tasks of one service on one node: another node may still come.
    let twice = first.replace("endpoint_mode: dnsrr", "endpoint_mode: dnsrr, replicas: 2");
    let told = deploy(&lanes, &[("first", &twice)]).failed(Code::PORT_CLASH, "host-mode port already in use");
    assert_eq!((told.detail("rolled_back"), lanes.counts()[0]), (&json!(true), 1), "{:#?}", told.outcome);
    assert!(told.detail("warnings").to_string().contains("wants 2 nodes, and 1 can take tasks now"), "{:#?}", told.outcome);
    assert_eq!(told.detail("to_revision"), 1);
}

fn rejected_mount(stage: &Stage) {
    let service = quick("sleep, '1000'", ", volumes: ['/axd/no/such/dir:/x'], deploy: {endpoint_mode: dnsrr, restart_policy: {delay: 1s}}");
    fails_at_first(stage, &service, Code::TASK_REJECTED, "/axd/no/such/dir");
}

fn failing_job(stage: &Stage) {
    let service = quick("'false'", ", deploy: {mode: replicated-job, restart_policy: {condition: none}}");
    fails_at_first(stage, &service, Code::JOB_FAILED, "non-zero exit (1)");
}

fn failed_update(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let (web, side) = (sleeper(""), sleeper(""));
    deploy(&lanes, &[("web", &web), ("side", &side)]).completed();
    let side_task = lanes.running();
    let spec = |lanes: &Lanes| lanes.service("web")["Spec"]["TaskTemplate"]["ContainerSpec"].clone();
    let before = spec(&lanes);

    let broken = quick("sh, -c, exit 7", ", deploy: {endpoint_mode: dnsrr}");
    let told = deploy(&lanes, &[("web", &broken), ("side", &side), ("new", &sleeper(""))]).failed(Code::CRASH_LOOP, "non-zero exit (7)");
    assert_eq!(told.detail("rolled_back"), true, "{:#?}", told.outcome);
    assert_eq!(told.service("web")["update"]["state"], "paused");
    assert!(told.service("web")["errors"].to_string().contains("non-zero exit (7)"), "{:#?}", told.outcome);
    assert_eq!(spec(&lanes), before);
    let now = lanes.running();
    assert_eq!((lanes.counts()[0], now.len()), (2, 2), "the new service is gone, the old ones run");
    assert!(now.iter().any(|task| side_task.contains(task)), "what did not change was not touched");
    assert_eq!(lanes.revisions(), [1]);

    // Swarm's own rollback is a failure too.
    let own = quick("sh, -c, exit 7", ", deploy: {endpoint_mode: dnsrr, update_config: {failure_action: rollback, monitor: 3s}}");
    let told = deploy(&lanes, &[("web", &own), ("side", &side)]).failed(Code::UPDATE_ROLLED_BACK, "rolled the update back");
    assert_eq!(told.detail("rolled_back"), true, "{:#?}", told.outcome);
    assert_eq!(spec(&lanes), before);

    let left = Deploy { on_failure: OnFailure::Leave, ..request(&lanes, &[("web", &broken), ("side", &side)], "") };
    let told = lanes.run(Action::Deploy(left)).failed(Code::CRASH_LOOP, "non-zero exit (7)");
    assert_eq!(told.detail("rolled_back"), false);
    assert_ne!(spec(&lanes), before);
    // The good file again mends it.
    deploy(&lanes, &[("web", &web), ("side", &side)]).completed();
    assert_eq!(spec(&lanes), before);
}

fn on_the_node(stage: &Stage) {
    let lanes = Lanes::start(stage);
    // The swarm refers to this network by an id that no list has; an older engine drops the other field.
    let web = sleeper("")
        .replacen("init: true", "init: true, networks: [node], oom_score_adj: 100", 1)
        .replace("endpoint_mode: dnsrr", "replicas: 1");
    let run = || {
        let request = request(&lanes, &[("web", &web)], "networks: {node: {external: true, name: host}}\n");
        lanes.run(Action::Deploy(request)).completed()
    };
    run();
    let told = run();
    assert_eq!((told.service("web")["action"].as_str(), told.detail("changed")), (Some("unchanged"), &json!(false)));
}

fn continued_update(stage: &Stage) {
    let lanes = Lanes::start(stage);
    deploy(&lanes, &[("web", &sleeper(""))]).completed();
    // It runs for 1 s each time, and Swarm says after 10 s that the update is completed; a busy machine may see it end seconds late.
    let rules = ", deploy: {endpoint_mode: dnsrr, restart_policy: {delay: 1s}, update_config: {failure_action: continue, monitor: 10s}}";
    let told = deploy(&lanes, &[("web", &quick("sh, -c, sleep 1; exit 7", rules))]).failed(Code::CRASH_LOOP, "non-zero exit (7)");
    assert_eq!(told.detail("rolled_back"), true, "{:#?}", told.outcome);
}

fn last_try(stage: &Stage) {
    let rules = ", deploy: {endpoint_mode: dnsrr, restart_policy: {condition: any, max_attempts: 2, delay: 1s}}";
    fails_at_first(stage, &quick("'true'", rules), Code::CRASH_LOOP, "is to run for good");
}

fn once_on_each_node(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let once = quick("'true'", ", deploy: {mode: global, endpoint_mode: dnsrr, restart_policy: {condition: on-failure}}");
    let told = deploy(&lanes, &[("once", &once)]).completed();
    assert_eq!(told.service("once")["replicas"], json!({"running": 1, "desired": 1}));
}

fn fixed_name(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let service = quick("sleep, '1000'", ", configs: [{source: page, target: /page}], deploy: {endpoint_mode: dnsrr}");
    let deploy = |page: &str| {
        // 60 characters, of 64 that an object's name may have.
        let rest =
            format!("configs: {{page: {{name: '{}{}', file: page.txt}}}}\n", lanes.stack, "x".repeat(60 - lanes.stack.as_str().len()));
        let files = [("page.txt".to_owned(), page.as_bytes().to_vec())];
        lanes.run(Action::Deploy(Deploy { files: Sensitive::new(files.into()), ..request(&lanes, &[("web", &service)], &rest) }))
    };
    deploy("first").completed();
    let running = lanes.running();
    deploy("second").failed(Code::CONTENT_CHANGED, "xxx");
    assert_eq!(lanes.running(), running);
}

fn contents(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let service = quick("sleep, '1000'", ", secrets: [word], configs: [{source: page, target: /page}], deploy: {endpoint_mode: dnsrr}");
    let deploy = |word: &str, page: &str| {
        let rest = "secrets: {word: {file: word.txt}}\nconfigs: {page: {file: page.txt}}\n";
        let files = [("word.txt", word), ("page.txt", page)].map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
        let request = Deploy { files: Sensitive::new(files.into()), ..request(&lanes, &[("web", &service)], rest) };
        lanes.run(Action::Deploy(request)).completed()
    };
    let names = |kind: &str| -> Vec<String> {
        let mut names: Vec<String> = lanes.list(kind).iter().map(|one| one["Spec"]["Name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    let (secret, config) = (lanes.stack.scoped("word"), lanes.stack.scoped("page"));
    deploy("one", "first");
    assert_eq!((names("secrets"), names("configs")), (vec![secret.clone()], vec![config.clone()]), "the plain names first");
    let tasks = lanes.running();
    deploy("one", "first");
    assert_eq!(lanes.running(), tasks);

    let told = deploy("two", "first");
    let object = told.detail("secrets")[0]["object"].as_str().unwrap().to_owned();
    assert!(object.starts_with(&format!("{secret}-")) && object.len() == secret.len() + 9, "{object}");
    assert_eq!(names("secrets"), [secret.clone(), object.clone()], "the old revision needs the old one");
    assert_eq!(lanes.service("web")["Spec"]["TaskTemplate"]["ContainerSpec"]["Secrets"][0]["SecretName"], object);
    assert_eq!(names("configs"), std::slice::from_ref(&config));

    let told = deploy("three", "second");
    let going = told.detail("secrets").as_array().unwrap().iter().filter(|told| told["action"] == "remove");
    assert_eq!(going.map(|told| &told["object"]).collect::<Vec<_>>(), [&json!(secret)], "{:#?}", told.outcome);
    let third = names("secrets");
    assert_eq!(third.len(), 2, "{third:?}: the first one is needed by no kept revision");
    assert!(third.contains(&object) && !third.contains(&secret));
    assert_eq!(names("configs").len(), 2);
}

fn adoption(stage: &Stage) {
    let lanes = Lanes::start(stage);
    deploy(&lanes, &[("web", &sleeper(""))]).completed();
    let tasks = lanes.running();
    // As `docker stack deploy` would have left it: without our labels, and unknown to the journal.
    let mut service = lanes.service("web");
    let labels = service["Spec"]["Labels"].as_object_mut().unwrap();
    labels.retain(|label, _| !label.starts_with("io.axion."));
    let path = format!("/services/{}/update?version={}", service["ID"].as_str().unwrap(), service["Version"]["Index"]);
    lanes.call("POST", &path, &service["Spec"]);
    lanes.journal.note(vec![Note::Forget(lanes.stack.clone())]).unwrap();

    let told = deploy(&lanes, &[("web", &sleeper(""))]).completed();
    assert_eq!(told.service("web")["action"], "unchanged");
    assert!(told.detail("warnings").to_string().contains("adopts"), "{:#?}", told.outcome);
    assert_eq!(lanes.running(), tasks);

    // With no revision of ours a failed deploy goes back to what Swarm remembers.
    lanes.journal.note(vec![Note::Forget(lanes.stack.clone())]).unwrap();
    let before = lanes.service("web")["Spec"].clone();
    let broken = quick("sh, -c, exit 7", ", deploy: {endpoint_mode: dnsrr}");
    let told = deploy(&lanes, &[("web", &broken)]).failed(Code::CRASH_LOOP, "non-zero exit (7)");
    assert_eq!(told.detail("rolled_back"), true, "{:#?}", told.outcome);
    assert_eq!(lanes.service("web")["Spec"]["TaskTemplate"], before["TaskTemplate"]);
    deploy(&lanes, &[("web", &sleeper(""))]).completed();
    let foreign = Target { project: ProjectId::new("q").unwrap(), stack: lanes.stack.clone() };
    let request = Deploy { target: foreign, ..request(&lanes, &[("web", &sleeper(""))], "") };
    lanes.run(Action::Deploy(request)).failed(Code::FOREIGN_PROJECT, "belongs to project p");
}

fn repeated(stage: &Stage) {
    let lanes = Lanes::start(stage);
    deploy(&lanes, &[("web", &sleeper(""))]).completed();
    let changed = Action::Deploy(request(&lanes, &[("web", &sleeper(", labels: {a: b}"))], ""));
    let id = CommandId(Uuid::new_v4());
    lanes.run_as(id, changed.clone(), Entry::Fresh).completed();
    let version = lanes.service("web")["Version"].clone();
    let told = lanes.run_as(id, changed, Entry::Resumed).completed();
    assert_eq!(lanes.service("web")["Version"], version);
    assert_eq!(told.service("web")["action"], "update", "whoever reads the end learns what the command did");
}

fn time_is_over(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let check = ", healthcheck: {test: [CMD, 'false'], interval: 60s}, deploy: {endpoint_mode: dnsrr}";
    let request = Deploy { timeout_seconds: Some(4), ..request(&lanes, &[("web", &quick("sleep, '1000'", check))], "") };
    let told = lanes.run(Action::Deploy(request)).failed(Code::TIMED_OUT, "0 of 1 tasks");
    assert_eq!(told.detail("rolled_back"), true, "{:#?}", told.outcome);
    assert_eq!(lanes.counts(), [0; 4]);
}

fn registry(stage: &Stage) {
    let registry = Registry::start(stage);
    let host = &registry.host;
    let lanes = Lanes::start(stage);
    let deploy = |image: &str, logins: &[&str]| {
        let service = format!(
            "image: '{host}/{image}', init: true, stop_grace_period: 1s, command: [sleep, '1000'], deploy: {{endpoint_mode: dnsrr}}"
        );
        let login = |host: &&str| {
            let login = RegistryCredential { username: USERNAME.to_owned(), password: Sensitive::new(PASSWORD.to_owned()) };
            ((*host).to_owned(), login)
        };
        let registry_auth = logins.iter().map(login).collect();
        lanes.run(Action::Deploy(Deploy {
            resolve_image: ResolveImage::Always,
            registry_auth,
            ..request(&lanes, &[("web", &service)], "")
        }))
    };
    let told = deploy("box:hidden", &[]).failed(Code::IMAGE_AUTH, "no basic auth credentials");
    assert_eq!(told.detail("changed"), false, "it is certain before anything is made");
    deploy("box:none", &[host]).failed(Code::IMAGE_NOT_FOUND, "manifest unknown");
    let told = deploy("box:1", &[&format!("https://{host}/v2/")]).completed();
    let image = told.service("web")["image"].as_str().unwrap().to_owned();
    assert!(image.starts_with(&format!("{host}/box:1@sha256:")), "{image}");
    let tasks = lanes.running();
    assert_eq!(deploy("box:1", &[host]).completed().service("web")["action"], "unchanged");
    // The nodes get another login, and their tasks run on.
    let other = RegistryCredential { username: USERNAME.to_owned(), password: Sensitive::new("another".to_owned()) };
    let service =
        format!("image: '{host}/box:1', init: true, stop_grace_period: 1s, command: [sleep, '1000'], deploy: {{endpoint_mode: dnsrr}}");
    let renewed = || Deploy { registry_auth: [(host.clone(), other.clone())].into(), ..request(&lanes, &[("web", &service)], "") };
    let told = lanes.run(Action::Deploy(renewed())).completed();
    assert_eq!((&told.service("web")["action"], &told.service("web")["tasks"]), (&json!("update"), &json!("kept")), "{:#?}", told.outcome);
    assert!(told.service("web")["reason"].as_str().unwrap().contains("login"));
    assert_eq!(lanes.running(), tasks);
    let version = lanes.service("web")["Version"].clone();
    assert_eq!(lanes.run(Action::Deploy(renewed())).completed().service("web")["action"], "unchanged");
    assert_eq!(lanes.service("web")["Version"], version);
    // One that the registry refuses is not for the nodes.
    let wrong = RegistryCredential { username: USERNAME.to_owned(), password: Sensitive::new("wrong".to_owned()) };
    let refused = Deploy { resolve_image: ResolveImage::Always, registry_auth: [(host.clone(), wrong)].into(), ..renewed() };
    let told = lanes.run(Action::Deploy(refused)).completed();
    assert_eq!((&told.service("web")["action"], &lanes.service("web")["Version"]), (&json!("unchanged"), &version), "{:#?}", told.outcome);
    assert!(told.detail("warnings").to_string().contains("unauthorized"), "{:#?}", told.outcome);
    // A registry that does not answer is no reason to replace what runs.
    let told = deploy("box:1", &[]).completed();
    assert_eq!((told.service("web")["image"].as_str(), lanes.running()), (Some(image.as_str()), tasks));
    assert!(told.detail("warnings").to_string().contains("no basic auth credentials"), "{:#?}", told.outcome);
}

fn no_registry(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let service = "image: '127.0.0.1:1/axd/none:1', deploy: {endpoint_mode: dnsrr, restart_policy: {delay: 1s}}";
    let request = Deploy { resolve_image: ResolveImage::Always, ..request(&lanes, &[("web", service)], "") };
    let told = lanes.run(Action::Deploy(request)).failed(Code::IMAGE_PULL, "127.0.0.1:1");
    assert!(told.outcome.message.contains("No such image"), "{:#?}", told.outcome);
    assert_eq!(told.detail("rolled_back"), true);
}

#[allow(clippy::disallowed_methods, reason = "the Docker CLI is what is compared with")]
fn after_the_cli(stage: &Stage) {
    let lanes = Lanes::start(stage);
    std::fs::write(lanes.folder.join("word.txt"), "one").unwrap();
    let service = quick(
        "sleep, '1000'",
        ", secrets: [word], configs: [word], environment: {A: b}, deploy: {endpoint_mode: dnsrr, update_config: {delay: 1s}}",
    );
    let rest = "secrets: {word: {file: word.txt}}\nconfigs: {word: {file: word.txt}}\n";
    let deploy = |word: &str| {
        let files = [("word.txt".to_owned(), word.as_bytes().to_vec())];
        Deploy { files: Sensitive::new(files.into()), ..request(&lanes, &[("web", &service)], rest) }
    };
    let file = lanes.folder.join("stack.yml");
    std::fs::write(&file, format!("version: '3.13'\n{}", deploy("one").compose.reveal())).unwrap();
    let mut docker = std::process::Command::new("docker");
    docker.arg("-H").arg(lanes.engine.host()).args(["stack", "deploy", "--resolve-image", "never", "-c"]);
    let output = docker.arg(&file).arg(lanes.stack.as_str()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let version = lanes.service("web")["Version"]["Index"].as_u64().unwrap();

    let told = lanes.run(Action::Deploy(deploy("one"))).completed();
    assert_eq!(told.service("web")["action"], "unchanged", "{:#?}", told.outcome);
    assert_eq!(lanes.service("web")["Version"]["Index"].as_u64(), Some(version));
    let told = lanes.run(Action::Deploy(deploy("two"))).completed();
    assert!(told.service("web")["reason"].as_str().unwrap().contains("Secrets"), "{:#?}", told.outcome);
    assert!(told.detail("secrets")[0]["object"].as_str().unwrap().contains("word-"));
}

#[allow(clippy::disallowed_methods, reason = "the Docker CLI is what is compared with")]
fn deviation(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let service = quick("sleep, '1000'", ", environment: {A: '${UNSET?a-b}'}, deploy: {endpoint_mode: dnsrr}");
    let deploy =
        Deploy { env: Sensitive::new([("UNSET".to_owned(), "set".to_owned())].into()), ..request(&lanes, &[("web", &service)], "") };
    let file = lanes.folder.join("stack.yml");
    std::fs::write(&file, deploy.compose.reveal()).unwrap();
    let mut docker = std::process::Command::new("docker");
    docker.arg("-H").arg(lanes.engine.host()).args(["stack", "deploy", "--detach=true", "--resolve-image", "never", "-c"]);
    let output = docker.arg(&file).arg(lanes.stack.as_str()).env("UNSET", "set").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(
        lanes.service("web")["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"],
        json!(["A=b"]),
        "the CLI takes the hyphen for an operator"
    );

    let told = lanes.run(Action::Deploy(Deploy { dry_run: true, ..deploy })).completed();
    let web = told.service("web");
    assert_eq!((&web["action"], &web["tasks"]), (&json!("update"), &json!("replaced")), "{:#?}", told.outcome);
    assert!(web["deviations"][0].as_str().unwrap().starts_with("D1: docker_stack_yml:2:"), "{:#?}", told.outcome);
}

fn all(lanes: &Lanes) -> Selection {
    Selection { target: lanes.target(), services: [].into(), timeout_seconds: None }
}

fn stop_and_start(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let job =
        format!("{QUICK}, command: ['true'], deploy: {{mode: replicated-job, endpoint_mode: dnsrr, restart_policy: {{condition: none}}}}");
    deploy(&lanes, &[("web", &sleeper(", replicas: 2")), ("agent", &sleeper(", mode: global")), ("once", &job)]).completed();
    lanes.run(Action::Scale(Scale { target: lanes.target(), services: [("web".to_owned(), 3)].into(), timeout_seconds: None })).completed();

    let told = lanes.run(Action::Stop(all(&lanes))).completed();
    assert_eq!(told.service("agent")["action"], "remove");
    assert!(lanes.running().is_empty());
    assert_eq!(lanes.counts()[..2], [1, 1], "the replicated service and the network stay");
    let again = lanes.run(Action::Stop(all(&lanes))).completed();
    assert_eq!(again.service("web")["action"], "unchanged");

    let web = Selection { services: ["web".to_owned()].into(), ..all(&lanes) };
    lanes.run(Action::Start(web)).completed();
    assert_eq!(lanes.running().len(), 2, "its count is the revision's");
    let told = lanes.run(Action::Start(all(&lanes))).completed();
    assert_eq!([told.service("web"), told.service("agent")].map(|service| &service["action"]), ["unchanged", "create"]);
    assert_eq!((lanes.running().len(), lanes.revisions()), (3, vec![1]));
    let running = lanes.running();
    lanes.run(Action::Start(all(&lanes))).completed();
    assert_eq!(lanes.running(), running, "what runs is left alone");
    let unknown = Selection { services: ["cache".to_owned()].into(), ..all(&lanes) };
    lanes.run(Action::Stop(unknown)).failed(Code::SERVICE_NOT_FOUND, "it has agent, once, web");
}

fn roll_back(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let go =
        |to_revision| lanes.run(Action::Rollback(Rollback { target: lanes.target(), to_revision, timeout_seconds: None, dry_run: false }));
    let env = |value: &str| quick("sleep, '1000'", &format!(", environment: {{V: {value}}}, deploy: {{endpoint_mode: dnsrr}}"));
    let seen = |name: &str| lanes.service(name)["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"][0].clone();
    deploy(&lanes, &[("web", &env("one")), ("old", &sleeper(""))]).completed();
    let told = go(None).failed(Code::NO_REVISION, "no other is kept");
    assert_eq!(told.detail("changed"), false);
    deploy(&lanes, &[("web", &env("two")), ("new", &sleeper(""))]).completed();
    assert_eq!(lanes.revisions(), [1, 2]);

    let plan = Rollback { target: lanes.target(), to_revision: None, timeout_seconds: None, dry_run: true };
    let (before, planned) = (lanes.list("services"), lanes.run(Action::Rollback(plan)).completed());
    assert_eq!((planned.detail("dry_run"), planned.detail("to_revision")), (&json!(true), &json!(1)));
    let actions = ["web", "old", "new"].map(|name| planned.service(name)["action"].clone());
    assert_eq!(actions, ["update", "create", "remove"], "{:#?}", planned.outcome);
    assert_eq!(planned.service("web")["changes"][0]["field"], "TaskTemplate.ContainerSpec.Env.V");
    assert_eq!((lanes.list("services"), lanes.revisions()), (before, vec![1, 2]), "nothing was changed");

    let told = go(None).completed();
    assert_eq!((told.detail("to_revision"), told.detail("revision")), (&json!(1), &json!(3)));
    assert_eq!(seen("web"), "V=one");
    let names: Vec<String> = lanes.list("services").iter().map(|service| service["Spec"]["Name"].as_str().unwrap().to_owned()).collect();
    assert!(names.contains(&lanes.stack.scoped("old")) && !names.contains(&lanes.stack.scoped("new")), "{names:?}");

    go(Some(1)).failed(Code::NO_REVISION, "no revision 1; kept are 2, 3");
    let id = CommandId(Uuid::new_v4());
    let request = Rollback { target: lanes.target(), to_revision: Some(2), timeout_seconds: None, dry_run: false };
    lanes.run_as(id, Action::Rollback(request.clone()), Entry::Fresh).completed();
    let running = lanes.running();
    assert_eq!((seen("web"), lanes.revisions()), (json!("V=two"), vec![3, 4]));
    // The same command after a restart, though its revision is not kept any more.
    lanes.run_as(id, Action::Rollback(request), Entry::Resumed).completed();
    assert_eq!((lanes.running(), lanes.revisions()), (running, vec![3, 4]));
}

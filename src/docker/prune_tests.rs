//! Prune against the fake engine: what is asked for, what stays, what is told.

use super::fake_engine::{Asked, FakeEngine, Reply};
use super::tests::{Desk, SOON, is, refusal};
use crate::domain::{Action, Code, CommandId, Ledger as _, Note, Prune, Revision, Specs, StackName, Timestamp, Verdict};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

fn spec(image: &str) -> Value {
    json!({"Name": "x", "TaskTemplate": {"ContainerSpec": {"Image": image}, "Networks": [{"Target": "proxy"}]}})
}

fn everything() -> Action {
    Action::Prune(Prune { images: true, containers: true, networks: true, keep: 1 })
}

/// An engine with five images: one in a container, one of a service, one of a kept revision, two that are free.
fn engine(size: &'static AtomicU64) -> impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static {
    move |asked| {
        let image = |id: &str, tag: &str, created: i64| json!({"Id": id, "RepoTags": [tag], "RepoDigests": null, "Created": created});
        let images = [("c", "held:1", 1), ("s", "app:1", 2), ("r", "app:2", 3), ("o", "app:3", 4), ("n", "app:4", 5)];
        if is(asked, "POST /containers/prune") {
            Some(Reply::Json(200, json!({"ContainersDeleted": ["one"], "SpaceReclaimed": 10})))
        } else if is(asked, "POST /networks/prune") {
            Some(Reply::Json(200, json!({"NetworksDeleted": null})))
        } else if is(asked, "GET /images/json") {
            Some(Reply::Json(200, images.map(|(id, tag, created)| image(id, tag, created)).into_iter().collect()))
        } else if is(asked, "GET /containers/json?all=true") {
            Some(Reply::Json(200, json!([{"Id": "x", "ImageID": "c", "Image": "held:1"}])))
        } else if is(asked, "GET /services") {
            Some(Reply::Json(200, json!([{"ID": "s", "Version": {"Index": 1}, "Spec": spec("app:1")}])))
        } else if is(asked, "GET /system/df?type=image") {
            Some(Reply::Json(200, json!({"LayersSize": size.fetch_sub(100, Ordering::SeqCst)})))
        } else if is(asked, "DELETE /images/app%3A3") {
            Some(Reply::Json(200, json!([{"Untagged": "app:3"}, {"Deleted": "o"}])))
        } else {
            None
        }
    }
}

fn keep_revision(desk: &Desk) {
    let revision = Revision {
        number: 0,
        command: CommandId(Uuid::from_u128(9)),
        at: Timestamp::from_millis(0),
        specs: Specs { services: [spec("app:2@sha256:d")].iter().collect(), ..Specs::default() },
    };
    desk.ledger.note(vec![Note::Keep(StackName::new("st").unwrap(), Box::new(revision), 5)]).unwrap();
}

#[test]
fn what_is_held_run_or_kept_stays_with_the_newest_and_the_rest_goes() {
    static SIZE: AtomicU64 = AtomicU64::new(1000);
    let engine = FakeEngine::start(engine(&SIZE));
    let desk = Desk::new(&engine, SOON);
    keep_revision(&desk);
    desk.send(everything());
    let outcome = desk.outcome();
    assert_eq!(outcome.verdict, Verdict::Completed, "{outcome:?}");
    let removed: Vec<String> = engine.calls().into_iter().filter(|call| call.starts_with("DELETE")).collect();
    assert_eq!(removed, ["DELETE /images/app%3A3"], "app:4 is the newest that is free");
    let expected = json!({"removed": 1, "names": ["app:3"], "kept": 4});
    assert_eq!((&outcome.details["images"], &outcome.details["containers"]["names"]), (&expected, &json!(["one"])));
    assert_eq!(outcome.details["bytes_reclaimed"], 110, "of containers, and of all images before and after");
    let filter = "filters=%7B%22label%21%22%3A%5B%22com.docker.stack.namespace%22%5D%7D";
    for call in [format!("POST /containers/prune?{filter}"), format!("POST /networks/prune?{filter}")] {
        assert!(engine.calls().contains(&call), "{call}");
    }
    assert_eq!(desk.ledger.history(), ["containers.prune engine: done", "networks.prune engine: done", "image.remove app:3: done"]);
}

#[test]
fn a_network_that_a_kept_revision_needs_and_nothing_holds_spares_all_networks() {
    let engine = FakeEngine::start(|asked| {
        is(asked, "GET /networks").then(|| Reply::Json(200, json!([{"Id": "n1", "Name": "proxy", "Scope": "swarm", "Driver": "overlay"}])))
    });
    let desk = Desk::new(&engine, SOON);
    keep_revision(&desk);
    desk.send(Action::Prune(Prune { images: false, containers: false, networks: true, keep: 0 }));
    let outcome = desk.outcome();
    assert_eq!(outcome.verdict, Verdict::Completed, "{outcome:?}");
    assert!(outcome.details["networks"]["reason"].as_str().unwrap().contains("proxy"), "{outcome:?}");
    assert!(!engine.calls().iter().any(|call| call.starts_with("POST")), "{:?}", engine.calls());
}

#[test]
fn what_the_engine_will_not_remove_is_told_and_the_rest_goes_on() {
    let engine = FakeEngine::start(|asked| {
        if is(asked, "POST /containers/prune") {
            return refusal(409, "a prune operation is already running");
        }
        if is(asked, "GET /images/json") {
            return Some(Reply::Json(
                200,
                json!([{"Id": "a", "RepoTags": ["a:1"], "Created": 1}, {"Id": "b", "RepoTags": [], "Created": 2}]),
            ));
        }
        match asked.line.as_str() {
            "DELETE /images/a%3A1" => refusal(409, "conflict: container x is using it"),
            "DELETE /images/b" => Some(Reply::Json(200, json!([]))),
            _ => None,
        }
    });
    let desk = Desk::new(&engine, SOON);
    desk.send(Action::Prune(Prune { images: true, containers: true, networks: false, keep: 0 }));
    let outcome = desk.outcome();
    assert_eq!(outcome.verdict, Verdict::Failed(Code::CONFLICT), "{outcome:?}");
    assert_eq!(outcome.details["images"], json!({"removed": 1, "names": ["b"], "kept": 1}));
}

//! The agent's updates with real processes: the package's copy, root's helper, releases over HTTPS, and what comes of
//! them. The test plays the service manager ([`host::Host`]): it starts the agent again when it has left, and the helper
//! when there is a request.
//!
//! A release is the agent's own binary with another version number in it, or a script.

#![cfg(test)]

#[path = "../../examples/control_plane/authority.rs"]
#[allow(dead_code, reason = "this test needs a server's certificate alone")]
mod authority;
#[path = "../support/child.rs"]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod child;
mod host;
mod release;
mod server;

use host::Host;
use release::Release;
use serde_json::json;
use std::fs;
use std::time::Duration;

/// A version is fetched, installed, started again and ready within this on a busy machine.
const SOON: Duration = Duration::from_secs(60);

#[test]
fn a_release_is_installed_tried_and_counts_and_the_way_back_leads_to_the_one_before() {
    let mut host = Host::start("");
    let before = host.status();
    assert_eq!(
        (&before["running"], &before["package"], &before["current"]),
        (&json!(host.package()), &json!(host.package()), &json!(null))
    );
    let release = Release::agent("9.1.0").security_floor("0.0.1");
    host.publish(&release);
    let checked = host.json(&["update", "check"]);
    assert_eq!((&checked["version"], &checked["installable"], &checked["source"]), (&json!("9.1.0"), &json!(true), &json!("manifest_url")));

    let told = host.follow(&["update", "apply", "--release", "9.1.0"], SOON);
    assert_eq!(told.code, Some(0), "{told:?}\n{}", host.log());
    assert!(told.out.contains("9.1.0 runs and counts") && told.err.contains("waiting for it"), "{told:?}");
    let status = host.status();
    assert_eq!((&status["running"], &status["package"], &status["current"]), (&json!("9.1.0"), &json!(host.package()), &json!("9.1.0")));
    assert_eq!((&status["version_floor"], &status["security_floor"], &status["trial"]), (&json!("9.1.0"), &json!("0.0.1"), &json!(null)));
    assert_eq!(host.starts(), 2, "the package's copy became it, in the same process");
    let again = host.follow(&["update", "apply"], SOON);
    assert!(again.code == Some(0) && again.out.contains("9.1.0 runs already"), "{again:?}");

    host.publish(&Release::agent("9.2.0"));
    let told = host.follow(&["update", "apply"], SOON);
    assert_eq!(told.code, Some(0), "{told:?}\n{}", host.log());
    assert_eq!(host.status()["previous"], "9.1.0");
    for (expected, current) in [("9.1.0", json!("9.1.0")), (host.package().as_str(), json!(null))] {
        let told = host.follow(&["update", "rollback"], SOON);
        assert!(told.code == Some(0) && told.out.contains(&format!("{expected} runs again")), "{told:?}\n{}", host.log());
        let status = host.status();
        assert_eq!((&status["running"], &status["current"], &status["version_floor"]), (&json!(expected), &current, &json!("9.2.0")));
    }
    let told = host.follow(&["update", "rollback"], SOON);
    told.failed(1, "update.no_previous");
    let told = host.follow(&["update", "apply", "--release", "9.1.0"], SOON);
    told.failed(1, "update.not_offered");
    host.publish(&Release::agent("9.1.0"));
    let told = host.follow(&["update", "apply"], SOON);
    told.failed(7, "update.downgrade");
    host.publish(&Release::agent("9.1.0").allow_downgrade());
    let told = host.follow(&["update", "apply"], SOON);
    assert!(told.code == Some(0), "{told:?}\n{}", host.log());
}

#[test]
fn a_version_that_ends_at_once_is_tried_three_times_and_the_one_before_comes_back() {
    let mut host = Host::start("");
    host.publish(&Release::script("9.1.0", "exit 1"));
    let told = host.follow(&["update", "apply"], SOON);
    told.failed(1, "update.unhealthy");
    assert!(told.err.contains("it was started 3 times"), "{told:?}");
    let status = host.status();
    assert_eq!((&status["running"], &status["version_floor"]), (&json!(host.package()), &json!(null)));
    assert_eq!(host.starts(), 5, "once before, three times on trial, and back");
    host.settled();
    assert_eq!((&host.status()["current"], &host.status()["trial"]), (&json!(null), &json!(null)), "the helper has put the link back");
}

#[test]
fn a_version_that_is_not_ready_makes_way_without_any_network() {
    let mut host = Host::start("");
    host.publish(&Release::agent("9.1.0"));
    // From the restart on there is no place for the local socket: in local mode the agent is not ready without. The engine is
    // away all the time, and no reason.
    let id = host.detached(&["update", "apply"]);
    host.until("the agent has left for the new version", SOON, |host| host.starts() == 2);
    host.close_socket_folder();
    host.close_server();
    host.until("the version before is back", Duration::from_secs(120), |host| host.starts() == 3);
    host.open_socket_folder();
    host.restart();
    let told = host.follow(&["commands", &id, "--follow"], SOON);
    told.failed(1, "update.unhealthy");
    assert!(told.err.contains("not ready: local_socket"), "{told:?}");
    assert_eq!(host.status()["running"], json!(host.package()));
}

#[test]
fn the_power_may_go_at_any_moment_of_an_update() {
    // The times are from the command on: within the download, the helper, the restart, the trial.
    for millis in [0, 60, 150, 300, 600, 1000, 1600, 2500] {
        let mut host = Host::start("");
        host.publish(&Release::agent("9.1.0"));
        let id = host.detached(&["update", "apply"]);
        host.run_for(Duration::from_millis(millis));
        host.cut_power();
        let told = host.follow(&["commands", &id, "--follow"], SOON);
        assert!(told.code == Some(0) && told.out.contains("9.1.0 runs and counts"), "after {millis} ms: {told:?}\n{}", host.log());
        assert_eq!(host.status()["running"], "9.1.0", "after {millis} ms");
    }
}

#[test]
fn what_must_not_be_installed_is_refused_with_its_code() {
    let mut host = Host::start("");
    let good = || Release::script("9.1.0", "exit 1");
    for (case, release, code, exit) in [
        ("another key", good().signed_by_another_key(), "update.bad_signature", 7),
        ("not signed", good().unsigned(), "update.bad_signature", 7),
        ("over", good().with("expires_at", json!("2020-01-01T00:00:00Z")), "update.expired", 7),
        ("another channel", good().with("channel", json!("beta")), "update.not_for_this_host", 1),
        ("no binary for this machine", good().with("artifacts", json!({})), "update.not_for_this_host", 1),
        ("no manifest", good().with("version", json!("new")), "update.bad_manifest", 1),
        ("older than the package", good().with("version", json!("0.0.1")), "update.downgrade", 7),
        ("another binary", good().serving(b"#!/bin/sh\nexit 7".to_vec()), "update.checksum", 1),
        ("a longer one", good().serving(vec![b' '; 1 << 20]), "update.checksum", 1),
        ("no such file", good().missing(), "update.unreachable", 1),
        ("it says that it is another version", good().with("version", json!("9.1.1")), "update.install_failed", 1),
    ] {
        host.publish(&release);
        let told = host.follow(&["update", "apply"], SOON);
        told.failed(exit, code);
        assert_eq!(host.status()["current"], json!(null), "{case}");
    }
    let elsewhere = host.url("/nothing");
    let told = host.follow(&["update", "apply", "--manifest-url", &elsewhere], SOON);
    told.failed(1, "update.unreachable");
    assert!(told.err.contains("status 404"), "{told:?}");
    assert_eq!(host.starts(), 1, "the agent has run all the time");

    let mut host = Host::start("min_free_disk = \"1000GiB\"");
    host.publish(&good());
    // The journal goes by the same bound, and refuses first.
    let told = host.follow(&["update", "apply"], SOON);
    assert!(told.err.contains("[journal.full]") || told.err.contains("[update.no_space]"), "{told:?}");
}

#[test]
fn without_a_helper_or_a_folder_of_versions_the_agent_is_managed_elsewhere() {
    let mut host = Host::start("");
    host.publish(&Release::script("9.1.0", "exit 1"));
    host.without_helper();
    let told = host.follow(&["update", "apply"], SOON);
    told.failed(1, "update.managed_elsewhere");
    assert!(told.err.contains("has not answered within 3 s"), "{told:?}");
    assert!(!host.is_asking(), "nobody finds the request later");

    fs::remove_dir_all(host.versions()).unwrap();
    host.restart();
    let told = host.follow(&["update", "apply"], SOON);
    told.failed(1, "update.managed_elsewhere");
    assert!(told.err.contains("there is no folder"), "{told:?}");
    let refused = &host.status()["refused"];
    assert_eq!(refused["code"], "update.managed_elsewhere");

    let mut host = Host::off();
    let told = host.follow(&["update", "apply"], SOON);
    told.failed(7, "update.disabled");
    assert_eq!(host.status()["refused"]["code"], "update.disabled");
}

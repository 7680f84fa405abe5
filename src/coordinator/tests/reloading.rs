//! What is said of a configuration that was read again, and from when its bounds hold; and of an update.

use super::*;
use crate::domain::Manifest;
use std::collections::BTreeSet;

/// What health shows of it, without a turn of the loop since it was read again.
fn configuration(desk: &Desk) -> (DependencyState, String, String) {
    let health = desk.health.newest();
    let part = health.dependencies.iter().find(|part| part.name == "configuration").unwrap();
    (part.state, part.last_error.clone().unwrap_or_default(), part.detail.clone().unwrap_or_default())
}

fn taken(rules: Rules, understood: LinkState, after_restart: &[&str]) -> Reloaded {
    let after_restart = after_restart.iter().map(|key| (*key).to_owned()).collect();
    Reloaded::Taken(Fresh { rules, understood, changed: Vec::new(), after_restart })
}

#[test]
fn one_that_cannot_be_used_is_shown_and_the_bounds_stay() {
    let mut desk = Desk::new();
    desk.state.rules.allowed_commands = Some(BTreeSet::from(["Remove"]));
    desk.state.on_reload(Reloaded::Refused("agent.toml:1:1: no".to_owned()));
    let (state, error, _) = configuration(&desk);
    assert_eq!(state, DependencyState::NotReady);
    assert!(error.contains("the one before holds on: agent.toml:1:1: no"), "{error}");
    desk.read(0, Inbound::Command(status(1)));
    assert_eq!(desk.out().0, [EventKind::CommandRejected]);

    desk.state.on_reload(taken(rules::tests::open(2), LinkState::Up, &[]));
    assert_eq!(configuration(&desk).0, DependencyState::Ready);
    desk.read(1, Inbound::Command(status(2)));
    assert_eq!(desk.running(), [2]);
}

#[test]
fn keys_that_wait_for_a_restart_are_named_until_they_do_not() {
    let mut desk = Desk::new();
    desk.state.on_reload(taken(rules::tests::open(2), LinkState::Up, &["docker.lanes", "agent.id"]));
    let (state, _, detail) = configuration(&desk);
    assert_eq!((state, detail.as_str()), (DependencyState::Ready, "needs a restart: docker.lanes, agent.id"));
    desk.state.on_reload(taken(rules::tests::open(2), LinkState::Down("agent.wings: unknown key".to_owned()), &[]));
    let (state, error, detail) = configuration(&desk);
    assert_eq!((state, error.as_str(), detail.as_str()), (DependencyState::NotReady, "agent.wings: unknown key", ""));
}

#[test]
fn an_update_is_on_the_health_pages_while_it_is_offered() {
    let mut desk = Desk::new();
    let mut told = |manifest: Option<Manifest>| {
        let offer = manifest.map(|manifest| control_plane::Offer { manifest, envelope: b"seven b".to_vec() });
        assert!(desk.state.on_control_plane(control_plane::Event::Update(offer)).is_none());
        desk.state.settle();
        desk.health.newest().update_offered.clone()
    };
    let manifest = Manifest { sha256: "0a".to_owned(), bytes: 7 };
    let offer = told(Some(manifest.clone())).unwrap();
    assert_eq!(offer.manifest, manifest);
    assert!(offer.since > Timestamp::from_millis(0));
    assert_eq!(told(None), None);
}

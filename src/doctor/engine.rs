//! The engine: its socket, whether the agent may use it, what it is, its swarm, its ports.

use super::account::Account;
use super::catalogue::{
    DOCKER_ANSWERS, DOCKER_API, DOCKER_CGROUPS, DOCKER_DISK, DOCKER_NODES, DOCKER_PERMISSIONS, DOCKER_PORTS, DOCKER_SOCKET, DOCKER_SWARM,
};
use super::running::Running;
use super::state::bytes;
use super::{AutoInit, Finding, QUESTION, Settings};
use crate::docker::{self, Examined, PublishedPort, Reachability, Readiness, Swarm, SwarmRole, Unexamined};
use crate::domain::counted;
use crate::filesystem;
use crate::threads::Deadline;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::time::Duration;

/// An engine that takes longer to say that it is there is overloaded.
const SLOW: Duration = Duration::from_secs(1);
/// With less room for images pulls fail soon; deploys that need it are warned of the same.
const LITTLE_ROOM: u64 = 2 << 30;
const NO_ROOM: u64 = 256 << 20;

/// What is at the socket's path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Socket { owner: u32, group: u32, mode: u32 },
    Other,
    Nothing(String),
}

pub(super) fn look(settings: &Settings, running: &Running, deadline: Deadline) -> Vec<Finding> {
    let socket = &settings.engine;
    let shown = socket.display().to_string();
    let place = place(socket);
    let mut found = vec![judge_place(&shown, &place)];
    let Place::Socket { owner, group, mode } = place else { return found };
    found.push(judge_permissions(&shown, (owner, group, mode), Account::of_agent(running).as_ref()));
    if Account::own().is_some_and(|own| !own.may_write(owner, group, mode)) {
        found.push(DOCKER_ANSWERS.skipped("this user may not use the socket; call the doctor as root to look further"));
        return found;
    }
    match docker::examine(socket, deadline.min(Deadline::after(QUESTION))) {
        Err(Unexamined::Away(reason)) => found.push(DOCKER_ANSWERS.fail(reason)),
        Err(Unexamined::Version(reason)) => found.push(DOCKER_API.fail(reason)),
        Ok(engine) => found.extend(judge(&engine, settings)),
    }
    found
}

fn place(socket: &Path) -> Place {
    match fs::metadata(socket) {
        Ok(found) if found.file_type().is_socket() => Place::Socket { owner: found.uid(), group: found.gid(), mode: found.mode() },
        Ok(_) => Place::Other,
        Err(error) if error.kind() == ErrorKind::NotFound => Place::Nothing("there is no such file".to_owned()),
        Err(error) => Place::Nothing(error.to_string()),
    }
}

fn judge_place(shown: &str, place: &Place) -> Finding {
    match place {
        Place::Socket { .. } => DOCKER_SOCKET.ok(shown),
        Place::Other => DOCKER_SOCKET.fail(format!("{shown} is no socket")),
        Place::Nothing(reason) => DOCKER_SOCKET.fail(format!("{shown}: {reason}")),
    }
}

fn judge_permissions(shown: &str, (owner, group, mode): (u32, u32, u32), account: Option<&Account>) -> Finding {
    let what = format!("owner {owner}, group {group}, mode {:04o}", mode & 0o7777);
    match account {
        None => DOCKER_PERMISSIONS.skipped(format!("{shown} ({what}): it is not known who the agent is")),
        Some(account) if account.may_write(owner, group, mode) => DOCKER_PERMISSIONS.ok(format!("{} may use it ({what})", account.words)),
        Some(account) => DOCKER_PERMISSIONS.fail(format!("{} may not use {shown} ({what})", account.words)),
    }
}

fn judge(engine: &Examined, settings: &Settings) -> Vec<Finding> {
    vec![
        judge_answer(engine),
        judge_api(engine),
        judge_swarm(&engine.swarm, settings.auto_init),
        judge_nodes(&engine.swarm),
        judge_cgroups(engine),
        judge_disk(&engine.root, room(&engine.root)),
        judge_ports(settings.health.port(), engine.ports.as_deref()),
    ]
}

fn judge_answer(engine: &Examined) -> Finding {
    let summary = format!("Docker {} answers in {} ms", engine.version, engine.took.as_millis());
    if engine.took > SLOW { DOCKER_ANSWERS.warn(summary) } else { DOCKER_ANSWERS.ok(summary) }
}

fn judge_api(engine: &Examined) -> Finding {
    let Examined { api, api_offered: (least, most), api_known: (oldest, newest), .. } = engine;
    let summary = format!("{api} is used; the engine speaks {least} to {most}, the agent {oldest} to {newest}");
    DOCKER_API.ok(summary)
}

fn judge_swarm(swarm: &Swarm, auto_init: AutoInit) -> Finding {
    let Swarm { state, error, role, leader, .. } = swarm;
    match (state.as_str(), role, leader) {
        ("active", SwarmRole::Manager, Err(reason)) => DOCKER_SWARM
            .fail(format!("a manager, and the swarm cannot be managed: {reason}"))
            .mend("Bring managers back until most of them are there (`docker node ls`), or `docker swarm init --force-new-cluster` on one that is left."),
        ("active", SwarmRole::Manager, Ok(())) => DOCKER_SWARM.ok("a manager of a swarm that has a leader"),
        ("active", _, _) => DOCKER_SWARM
            .warn("a worker: commands that change stacks are refused here (swarm.not_manager)")
            .mend("Send commands to the agent of a manager, or make this node one: `docker node promote`."),
        ("inactive", _, _) if auto_init == AutoInit::On => DOCKER_SWARM.ok("in no swarm; the first command for a stack makes one"),
        ("inactive", _, _) => DOCKER_SWARM.warn("in no swarm: commands that change stacks are refused (swarm.inactive)"),
        ("locked", _, _) => DOCKER_SWARM.fail("the swarm is locked").mend("Unlock it: `docker swarm unlock`."),
        (other, _, _) => DOCKER_SWARM.fail(format!("its swarm is {other}{}", if error.is_empty() { String::new() } else { format!(": {error}") })),
    }
}

fn judge_nodes(swarm: &Swarm) -> Finding {
    let Some(nodes) = &swarm.nodes else { return DOCKER_NODES.skipped("only a manager of a swarm knows") };
    let away: Vec<&str> = nodes.iter().filter(|node| node.readiness == Readiness::Away).map(|node| node.name.as_str()).collect();
    let managers = nodes.iter().filter(|node| node.manager.is_some()).count();
    let reachable = nodes.iter().filter(|node| node.manager == Some(Reachability::Reachable)).count();
    // Raft needs more than half of all managers.
    let spare = reachable.saturating_sub(managers / 2 + 1);
    let summary = format!("{}, {reachable} of {managers} managers reachable, {spare} may be lost", counted(nodes.len(), "node"));
    if !away.is_empty() {
        DOCKER_NODES.warn(format!("{summary}; not ready: {}", away.join(", ")))
    } else if managers > 1 && spare == 0 {
        DOCKER_NODES.warn(summary)
    } else {
        DOCKER_NODES.ok(summary)
    }
}

fn judge_cgroups(engine: &Examined) -> Finding {
    let version = if engine.cgroup_version.is_empty() { "1" } else { &engine.cgroup_version };
    let summary = format!("version {version}, driver {}", engine.cgroup_driver);
    if engine.warnings.is_empty() {
        DOCKER_CGROUPS.ok(summary)
    } else {
        DOCKER_CGROUPS.warn(format!("{summary}; {}", engine.warnings.join("; ")))
    }
}

fn room(root: &str) -> Option<u64> {
    Some(root).filter(|root| !root.is_empty()).and_then(|root| filesystem::free(Path::new(root)).ok())
}

fn judge_disk(root: &str, free: Option<u64>) -> Finding {
    match free {
        None => DOCKER_DISK.skipped(format!("{root} cannot be seen from here")),
        Some(free) if free < NO_ROOM => DOCKER_DISK.fail(format!("{} are free in {root}", bytes(free))),
        Some(free) if free < LITTLE_ROOM => DOCKER_DISK.warn(format!("{} are free in {root}", bytes(free))),
        Some(free) => DOCKER_DISK.ok(format!("{} are free in {root}", bytes(free))),
    }
}

fn judge_ports(health: u16, ports: Option<&[PublishedPort]>) -> Finding {
    let Some(ports) = ports else { return DOCKER_PORTS.skipped("the engine does not say what is published") };
    let clashing: Vec<&str> = ports.iter().filter(|one| one.port == health).map(|one| one.by.as_str()).collect();
    if clashing.is_empty() {
        DOCKER_PORTS.ok(format!("nobody publishes {health}"))
    } else {
        DOCKER_PORTS.fail(format!("port {health} is published by {}", clashing.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;
    use docker::SeenNode;

    fn swarm(state: &str, role: SwarmRole, leader: Result<(), String>) -> Swarm {
        Swarm { state: state.into(), error: String::new(), role, leader, nodes: None }
    }

    #[test]
    fn a_socket_is_there_and_the_agents_to_use() {
        for (place, state) in [
            (Place::Socket { owner: 0, group: 1, mode: 0o660 }, State::Ok),
            (Place::Other, State::Fail),
            (Place::Nothing("gone".into()), State::Fail),
        ] {
            assert_eq!(judge_place("/s", &place).state, state);
        }
        let account = |groups: &[u32]| Account { words: "user agent".into(), uid: 9, groups: groups.to_vec() };
        for (account, state) in [(Some(account(&[9, 42])), State::Ok), (Some(account(&[9])), State::Fail), (None, State::Skipped)] {
            let finding = judge_permissions("/s", (0, 42, 0o140_660), account.as_ref());
            assert_eq!(finding.state, state, "{finding:?}");
        }
    }

    #[test]
    fn each_place_in_a_swarm_has_its_verdict() {
        let no_leader = || Err("The swarm does not have a leader".to_owned());
        for (swarm, auto, state, part) in [
            (swarm("active", SwarmRole::Manager, Ok(())), AutoInit::Off, State::Ok, "manager"),
            (swarm("active", SwarmRole::Manager, no_leader()), AutoInit::Off, State::Fail, "does not have a leader"),
            (swarm("active", SwarmRole::Worker, no_leader()), AutoInit::Off, State::Warn, "worker"),
            (swarm("inactive", SwarmRole::Worker, no_leader()), AutoInit::Off, State::Warn, "swarm.inactive"),
            (swarm("inactive", SwarmRole::Worker, no_leader()), AutoInit::On, State::Ok, "makes one"),
            (swarm("locked", SwarmRole::Worker, no_leader()), AutoInit::Off, State::Fail, "locked"),
            (swarm("error", SwarmRole::Worker, no_leader()), AutoInit::Off, State::Fail, "error"),
        ] {
            let finding = judge_swarm(&swarm, auto);
            assert_eq!(finding.state, state, "{finding:?}");
            assert!(finding.summary.contains(part), "{finding:?}");
        }
    }

    #[test]
    fn managers_need_a_majority_and_nodes_should_be_there() {
        let manager = |name: &str| SeenNode { name: name.into(), readiness: Readiness::Ready, manager: Some(Reachability::Reachable) };
        let away = SeenNode { name: "w".into(), readiness: Readiness::Away, manager: None };
        let of = |nodes: Vec<SeenNode>| judge_nodes(&Swarm { nodes: Some(nodes), ..swarm("active", SwarmRole::Manager, Ok(())) });
        assert_eq!(of(vec![manager("a")]).state, State::Ok);
        assert_eq!(of(vec![manager("a"), manager("b"), manager("c")]).state, State::Ok);
        let two = of(vec![manager("a"), manager("b")]);
        assert!(two.state == State::Warn && two.summary.contains("0 may be lost"), "{two:?}");
        let away = of(vec![manager("a"), away]);
        assert!(away.state == State::Warn && away.summary.contains("not ready: w"), "{away:?}");
        assert_eq!(judge_nodes(&swarm("active", SwarmRole::Worker, Ok(()))).state, State::Skipped);
    }

    #[test]
    fn a_published_port_and_little_room_are_told() {
        let ports = [PublishedPort { port: 9469, by: "service web".into() }, PublishedPort { port: 80, by: "service web".into() }];
        for (port, ports, state) in [(9469, Some(&ports[..]), State::Fail), (9470, Some(&ports), State::Ok), (1, None, State::Skipped)] {
            assert_eq!(judge_ports(port, ports).state, state);
        }
        for (free, state) in
            [(Some(1 << 40), State::Ok), (Some(1 << 30), State::Warn), (Some(1 << 20), State::Fail), (None, State::Skipped)]
        {
            assert_eq!(judge_disk("/var/lib/docker", free).state, state);
        }
    }
}

//! A published port that is taken, in plain words: who has it stands first, what the engine says of it behind.
//!
//! Services of the swarm are looked at before anything is made (`checks.rs`). What is left are containers that are no tasks,
//! and programs that are no containers: they show when a task fails. One read of the engine; the rest is pure.

use super::Failure;
use crate::docker::room::Room;
use crate::docker::types::Container;
use crate::domain::Code;

/// How engines say that a port is taken (libnetwork, and the system); the number stands before it.
const TAKEN: [&str; 2] = [" failed: port is already allocated", ": bind: address already in use"];
/// What the scheduler says where no node has the port free (swarmkit, manager/scheduler).
const NOWHERE: &str = "host-mode port already in use";

/// The failure with who has the port before it, as far as that can be seen from here.
pub(super) fn in_plain_words(room: &Room<'_>, failure: Failure) -> Failure {
    if failure.code != Code::PORT_CLASH {
        return failure;
    }
    let known = if let Some(port) = port(&failure.message) {
        // It explains a failure that is certain: one that cannot be explained is told as it is.
        let containers = room.observe(|client| client.containers_that_publish(port)).unwrap_or_default();
        has_it(port, &containers)
    } else if failure.message.contains(NOWHERE) {
        "a port that it publishes is taken on every node that may run it".to_owned()
    } else {
        return failure;
    };
    Failure::new(failure.code, format!("{known}; {}", failure.message))
}

fn has_it(port: u16, containers: &[Container]) -> String {
    match containers.iter().find_map(|container| container.names.first()) {
        Some(name) => format!("port {port} is published by the container {} already", name.trim_start_matches('/')),
        None => format!("port {port} is taken on its node already, by a program that is no container (`ss -ltnp` there names it)"),
    }
}

/// The number of the port that is taken, where the engine says it.
fn port(message: &str) -> Option<u16> {
    let before = TAKEN.iter().find_map(|words| message.split_once(words).map(|(before, _)| before))?;
    let digits = before.len() - before.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    before[before.len() - digits..].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Words recorded from engines 20.10.24 and 28.5.
    #[test]
    fn the_port_is_found_in_the_engines_words() {
        for (words, number) in [
            ("driver failed programming external connectivity: Bind for 0.0.0.0:8080 failed: port is already allocated", Some(8080)),
            ("Error starting userland proxy: listen tcp4 0.0.0.0:80: bind: address already in use", Some(80)),
            ("listen tcp [::]:443: bind: address already in use", Some(443)),
            ("no suitable node (host-mode port already in use on 1 node)", None),
            ("task: non-zero exit (1)", None),
        ] {
            assert_eq!(port(words), number, "{words}");
        }
    }

    #[test]
    fn who_has_it_is_named() {
        let container: Container = serde_json::from_value(json!({"Id": "c", "Names": ["/proxy"]})).unwrap();
        assert_eq!(has_it(80, &[container]), "port 80 is published by the container proxy already");
        assert!(has_it(80, &[]).contains("a program that is no container"));
    }
}

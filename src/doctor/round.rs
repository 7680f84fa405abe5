//! All parts side by side, within one bound: a part that hangs (a resolver, a disk) is told and left behind.

use super::catalogue::Check;
use super::running::Running;
use super::{Finding, Settings, TOTAL, catalogue as checks};
use super::{certificates, configuration, control_plane, engine, host, kafka, names, ports, running, sandbox, signers, state};
use crate::threads::{Deadline, ThreadName, spawn};
use crossbeam_channel::bounded;
use std::convert::Infallible;
use std::sync::Arc;

/// One part: its thread, the check that stands for it where it never ends, and what it does.
struct Part {
    thread: ThreadName,
    stands_for: &'static Check,
    look: fn(&Settings, &Running, Deadline) -> Vec<Finding>,
}

/// What only reads files that are always there comes first, and on one thread.
static PARTS: [Part; 8] = [
    Part { thread: ThreadName::new("doctor-config"), stands_for: &checks::CONFIG_VALID, look: of_configuration },
    Part {
        thread: ThreadName::new("doctor-state"),
        stands_for: &checks::STATE_DIRECTORY,
        look: |all, running, _| state::look(&all.journal, running, &all.vantage),
    },
    Part { thread: ThreadName::new("doctor-host"), stands_for: &checks::HOST_KERNEL, look: of_host },
    Part { thread: ThreadName::new("doctor-docker"), stands_for: &checks::DOCKER_ANSWERS, look: engine::look },
    Part { thread: ThreadName::new("doctor-network"), stands_for: &checks::NETWORK_DNS, look: of_network },
    Part { thread: ThreadName::new("doctor-tls"), stands_for: &checks::TLS_CERTIFICATES, look: certificates::look },
    Part { thread: ThreadName::new("doctor-kafka"), stands_for: &checks::KAFKA_BROKERS, look: kafka::look },
    Part { thread: ThreadName::new("doctor-control"), stands_for: &checks::CONTROL_PLANE_REACH, look: control_plane::look },
];

fn of_configuration(settings: &Settings, _: &Running, _: Deadline) -> Vec<Finding> {
    let mut found = configuration::look(&settings.configuration);
    found.extend(signers::look(&settings.signers));
    found
}

fn of_host(settings: &Settings, running: &Running, _: Deadline) -> Vec<Finding> {
    let mut found = running::look(settings, running);
    found.extend(sandbox::look(settings, running));
    found.extend(host::look(running));
    found
}

fn of_network(settings: &Settings, running: &Running, deadline: Deadline) -> Vec<Finding> {
    let mut found = vec![ports::look(settings.health, running)];
    found.extend(names::look(settings, deadline));
    found
}

/// Does all of it.
pub(super) fn all(settings: &Settings, running: &Running) -> Vec<Finding> {
    let deadline = Deadline::after(TOTAL);
    let shared = Arc::new((settings.clone(), running.clone()));
    // Room for all: a part that comes too late ends without waiting.
    let (answers, answered) = bounded(PARTS.len());
    let (exits, _unread) = bounded(PARTS.len());
    let mut waiting: Vec<&Part> = Vec::new();
    let mut found = Vec::new();
    for part in &PARTS {
        let (shared, answers) = (Arc::clone(&shared), answers.clone());
        let body = move || {
            drop(answers.send((part.thread, (part.look)(&shared.0, &shared.1, deadline))));
            Ok::<(), Infallible>(())
        };
        match spawn(part.thread, exits.clone(), body) {
            Ok(_) => waiting.push(part),
            Err(error) => found.push(part.stands_for.fail(format!("no thread to look: {error}"))),
        }
    }
    while !waiting.is_empty() {
        let Ok((thread, findings)) = answered.recv_deadline(deadline.instant()) else { break };
        waiting.retain(|part| part.thread != thread);
        found.extend(findings);
    }
    found.extend(waiting.into_iter().map(|part| part.stands_for.fail(format!("this part has not ended within {} s", TOTAL.as_secs()))));
    found
}

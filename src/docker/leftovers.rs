//! Containers that outlive their service: those of finished jobs stay on their node, and hold its networks.
//!
//! Runs in the command's room. Only containers that have ended are touched, and only those that the caller chooses by
//! their service.

use super::error::EngineError;
use super::room::{Halt, Room, StepError};
use super::types::Container;
use crate::domain::StackName;

/// The label of a container that names its service (moby, daemon/cluster/executor/container).
pub(super) const SERVICE_OF: &str = "com.docker.swarm.service.name";

/// A container's id, and what became of it.
pub(super) type Removed = (String, Result<(), EngineError>);

/// Removes those that have ended and are `of` a chosen service; each with what became of it.
pub(super) fn remove(room: &Room<'_>, containers: &[Container], of: impl Fn(Option<&str>) -> bool) -> Result<Vec<Removed>, Halt> {
    let ended = containers.iter().filter(|container| container.state != "running");
    let mut told = Vec::new();
    for container in ended.filter(|container| of(container.labels.get(SERVICE_OF).map(String::as_str))) {
        let removed = match room.step("container.remove", &container.id, |client| client.remove_container(&container.id)) {
            Ok(()) => Ok(()),
            // The manager may remove it in the same instant.
            Err(StepError::Refused(error)) if error.is_not_found() => Ok(()),
            Err(StepError::Refused(error) | StepError::Unknown(error)) => Err(error),
            Err(StepError::Halted(halt)) => return Err(halt),
        };
        told.push((container.id.clone(), removed));
    }
    Ok(told)
}

/// The same of a stack on this node; what stays is tried again, or told by whoever needs it gone.
pub(super) fn sweep(room: &Room<'_>, stack: &StackName, of: impl Fn(Option<&str>) -> bool) -> Result<(), StepError> {
    let containers = room.observe(|client| client.containers(stack))?;
    for (id, removed) in remove(room, &containers, of)? {
        if let Err(error) = removed {
            log::debug!("container {id} stays: {error}");
        }
    }
    Ok(())
}

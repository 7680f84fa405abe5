//! SwarmInit, SwarmJoin, SwarmLeave: the engine's own place in a swarm; and the swarm of one that a command for a
//! stack makes where it is wanted.
//!
//! Runs on a lane, in the command's room; the three commands while no other command changes anything. The engine's state
//! decides, before and after: a lost answer and a restart in the middle are looked for, never asked again.
//! Join tokens are never told: `docker swarm join-token` shows them on a manager.

use super::client::Client;
use super::events::{is_pending, role};
use super::room::{End, Halt, Room, StepError};
use super::types::Info;
use super::{Entry, SwarmRole};
use crate::domain::{Code, Outcome, StepOutcome, SwarmAddresses, SwarmJoin, SwarmLeave};
use serde_json::{Value, json};
use std::time::Duration;

/// Where managers listen where the command does not say: the Docker CLI's own default.
const LISTEN: &str = "0.0.0.0:2377";
/// Where a swarm of one listens.
const ALONE: &str = "127.0.0.1";
/// An engine that joins or leaves is asked again after so long.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Makes a swarm of this engine.
pub(super) fn init(room: &Room<'_>, request: &SwarmAddresses, info: &Info) -> End {
    enter(room, "swarm.init", &body(request), info, Client::init_swarm, |info| role(info) == SwarmRole::Manager)
}

/// Makes a swarm of this engine alone, for a command that needs one. Nobody else can join it: it listens on the
/// loopback. Two commands may do so at the same time; one of them is told that there is a swarm already.
pub(super) fn make_one(room: &Room<'_>) -> Result<(), End> {
    let body = json!({"ListenAddr": format!("{ALONE}:2377"), "AdvertiseAddr": ALONE});
    log::info!("docker.swarm_auto_init: making a swarm of this engine");
    let refused = match room.step("swarm.init", "swarm", |client| client.init_swarm(&body)) {
        Ok(()) => None,
        Err(StepError::Unknown(error) | StepError::Refused(error)) => Some(error),
        Err(halted) => return Err(halted.into()),
    };
    let info = room.observe(Client::info)?;
    match refused {
        Some(error) if is_out(&info) => Err(End::Finished(Outcome::failed(error.code(), error.to_string()))),
        _ => wait(room, |info| role(info) == SwarmRole::Manager).map(drop),
    }
}

/// Joins this engine to a swarm.
pub(super) fn join(room: &Room<'_>, request: &SwarmJoin, info: &Info) -> End {
    let mut body = body(&request.addresses);
    body["RemoteAddrs"] = json!(request.remotes);
    body["JoinToken"] = json!(request.token.reveal());
    enter(room, "swarm.join", &body, info, Client::join_swarm, |info| role(info) != SwarmRole::Inactive)
}

/// Takes this engine out of its swarm.
pub(super) fn leave(room: &Room<'_>, request: SwarmLeave, info: &Info) -> End {
    let work = || {
        if is_out(info) {
            return if begun(room, "swarm.leave")? { Ok(left()) } else { Err(failed(Code::SWARM_INACTIVE, "the engine is in no swarm")) };
        }
        if role(info) == SwarmRole::Manager && !request.force {
            let words = "this node is a manager: with force it leaves, and the last manager takes the swarm and its stacks with it";
            return Err(failed(Code::ENGINE_REFUSED, words));
        }
        change(room, "swarm.leave", |client| client.leave_swarm(request))?;
        wait(room, is_out)?;
        Ok(left())
    };
    work().map_or_else(|end| end, End::Finished)
}

fn enter(
    room: &Room<'_>,
    operation: &str,
    body: &Value,
    info: &Info,
    call: fn(&Client, &Value) -> Result<(), super::error::EngineError>,
    is_in: fn(&Info) -> bool,
) -> End {
    let work = || {
        if !begun(room, operation)? && !is_out(info) {
            let words = format!("the engine is in a swarm already (state {}): take it out first", info.swarm.local_node_state);
            return Err(failed(Code::SWARM_ACTIVE, words));
        }
        if is_out(info) {
            change(room, operation, |client| call(client, body))?;
        }
        let info = wait(room, is_in)?;
        let told = Outcome::completed(format!("the engine is in a swarm as a {}", role(&info).name()));
        Ok(told.with("swarm", role(&info).name()).with("node_id", info.swarm.node_id))
    };
    work().map_or_else(|end| end, End::Finished)
}

fn body(addresses: &SwarmAddresses) -> Value {
    let mut body = json!({"ListenAddr": addresses.listen.as_deref().unwrap_or(LISTEN)});
    for (key, address) in [("AdvertiseAddr", &addresses.advertise), ("DataPathAddr", &addresses.data_path)] {
        if let Some(address) = address {
            body[key] = json!(address);
        }
    }
    body
}

/// Whether an earlier process of this command has done it, or may have.
fn begun(room: &Room<'_>, operation: &str) -> Result<bool, End> {
    if room.entry == Entry::Fresh {
        return Ok(false);
    }
    let steps = room.ledger.steps(room.command.id)?;
    Ok(steps.iter().any(|(step, outcome)| step.operation == operation && !matches!(outcome, Some(StepOutcome::Refused(_)))))
}

fn change(room: &Room<'_>, operation: &str, call: impl Fn(&Client) -> Result<(), super::error::EngineError>) -> Result<(), End> {
    match room.step(operation, "swarm", call) {
        // The state says whether it was done, or is being done.
        Err(StepError::Unknown(error)) => log::warn!("looking at the engine: {error}"),
        other => other?,
    }
    Ok(())
}

fn wait(room: &Room<'_>, wanted: fn(&Info) -> bool) -> Result<Info, End> {
    loop {
        let info = room.observe(Client::info)?;
        if wanted(&info) && !is_pending(&info) {
            return Ok(info);
        }
        match room.wait_for_change(LOOK_EVERY) {
            Ok(()) => {}
            Err(Halt::TimedOut) => {
                let words =
                    format!("when the command's time was over the engine's swarm was {} {}", info.swarm.local_node_state, info.swarm.error);
                return Err(failed(Code::TIMED_OUT, words.trim_end()));
            }
            Err(halt) => return Err(halt.into()),
        }
    }
}

/// Whether the engine is in no swarm at all.
pub(super) fn is_out(info: &Info) -> bool {
    info.swarm.local_node_state == "inactive"
}

fn left() -> Outcome {
    Outcome::completed("the engine is in no swarm").with("swarm", SwarmRole::Inactive.name())
}

fn failed(code: Code, message: impl Into<String>) -> End {
    End::Finished(Outcome::failed(code, message))
}

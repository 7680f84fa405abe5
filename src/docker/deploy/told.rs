//! The kept revisions of a stack, for whoever wants to return to one.
//!
//! It only reads, in the room of whoever asks.

use super::restore::There;
use super::{names, revision};
use crate::docker::room::{End, Room};
use crate::docker::types::Service;
use crate::domain::{Revision, StackName};
use crate::stack::images::image;
use serde_json::{Map, Value, json};

/// They, the newest first: number, when and by which command it was kept, the image of each service, and whether the stack
/// runs as in it now.
pub(in crate::docker) fn revisions_of_stack(room: &Room<'_>, stack: &StackName, held: &[Service]) -> Result<Value, End> {
    let revisions = room.ledger.revisions(stack)?;
    if revisions.is_empty() {
        return Ok(json!([]));
    }
    let services: Vec<&Service> = held.iter().collect();
    let (ids, networks) = (names::network_ids_of(room, &services)?, room.observe(|client| client.networks(stack))?);
    let there = There { agent: room.agent, held, ids: &ids, networks: &networks };
    let now = revisions.iter().rev().find(|revision| there.runs(revision, &revisions, stack)).map(|revision| revision.number);
    Ok(revisions.iter().rev().map(|revision| told(stack, revision, now)).collect())
}

fn told(stack: &StackName, revision: &Revision, now: Option<u64>) -> Value {
    let images: Map<String, Value> = revision::specs_of_services(revision)
        .filter_map(|spec| Some((stack.descoped(spec["Name"].as_str()?).to_owned(), json!(image(spec)))))
        .collect();
    json!({
        "revision": revision.number,
        "kept_at": revision.at,
        "command_id": revision.command,
        "images": images,
        "runs_now": now == Some(revision.number),
    })
}

//! Networks, secrets and configs of ours that no revision has: what failed deploys have made and left behind, and what could
//! not be removed when its time had come.
//!
//! A command's steps are forgotten with it, so what it leaves is written down at its end. From then on it is ours like what
//! a revision has: it goes with the next deploy or Rollback that succeeds and does not need it. It stays written down until
//! it is gone, or the newest revision has it.

use super::{Broken, Failure, names, revision};
use crate::docker::room::Room;
use crate::docker::types::{NAMESPACE, Network, Store, StoreKind};
use crate::domain::{KeptStack, Note, Orphan, StackName, StepOutcome};
use crate::threads::Deadline;
use std::collections::BTreeSet;
use std::time::Duration;

/// What networks are called among the kinds.
const NETWORK: &str = "network";
/// How long may be looked for what a lost answer has left in doubt: the command's own time may be over.
const LOOK: Duration = Duration::from_secs(10);

/// Writes down what this command has made, as it does not go back, or has not wholly.
pub(super) fn remember(room: &Room<'_>, stack: &StackName) -> Result<(), Broken> {
    let before = room.ledger.stack(stack)?.orphans;
    let mut orphans = before.clone();
    let looking = room.extended(Deadline::after(LOOK));
    for (step, outcome) in room.ledger.steps(room.command.id)? {
        let Some((kind, "create")) = step.operation.split_once('.') else { continue };
        if kind != NETWORK && store_kind(kind).is_none() {
            continue;
        }
        let id = match outcome {
            Some(StepOutcome::Done(id)) => id,
            Some(StepOutcome::Refused(_)) => None,
            Some(StepOutcome::Unknown(_)) | None => look_for(&looking, stack, kind, &step.object)?,
        };
        if let Some(id) = id.filter(|id| !orphans.iter().any(|orphan| orphan.id == *id)) {
            orphans.push(Orphan { kind: kind.to_owned(), name: step.object, id });
        }
    }
    if orphans.len() > before.len() {
        room.ledger.write(Note::KeepOrphans(stack.clone(), orphans))?;
    }
    Ok(())
}

/// The id of what was made by a call whose answer was lost; an engine that cannot be asked leaves it unknown.
fn look_for(room: &Room<'_>, stack: &StackName, kind: &str, name: &str) -> Result<Option<String>, Broken> {
    let found = match store_kind(kind) {
        Some(kind) => names::found(room, |client| client.store(kind, name)).map(|store| {
            store.filter(|store| store.name() == name && store.label(NAMESPACE) == Some(stack.as_str())).map(|store| store.id)
        }),
        None => names::found(room, |client| client.network(name)).map(|network| {
            let is_ours =
                |network: &Network| network.name == name && network.labels.get(NAMESPACE).is_some_and(|label| label == stack.as_str());
            network.filter(is_ours).map(|network| network.id)
        }),
    };
    match found.map_err(Broken::from) {
        Ok(id) => Ok(id),
        Err(Broken::Failed(Failure { message, .. })) => {
            log::warn!("whether the {kind} {name} was made is not known: {message}");
            Ok(None)
        }
        Err(ended) => Err(ended),
    }
}

fn store_kind(kind: &str) -> Option<StoreKind> {
    [StoreKind::Secret, StoreKind::Config].into_iter().find(|known| known.name() == kind)
}

/// The names of those of these networks that are orphans.
pub(super) fn networks(orphans: &[Orphan], held: &[Network]) -> BTreeSet<String> {
    let is_one = |network: &&Network| orphans.iter().any(|orphan| orphan.id == network.id);
    held.iter().filter(is_one).map(|network| network.name.clone()).collect()
}

/// The ids of all.
pub(super) fn ids(orphans: &[Orphan]) -> impl Iterator<Item = String> {
    orphans.iter().map(|orphan| orphan.id.clone())
}

/// A network that could not be removed.
pub(super) fn of_network(network: &Network) -> Orphan {
    Orphan { kind: NETWORK.to_owned(), name: network.name.clone(), id: network.id.clone() }
}

/// A secret or config that could not be removed.
pub(super) fn of_store(kind: StoreKind, store: &Store) -> Orphan {
    Orphan { kind: kind.name().to_owned(), name: store.name().to_owned(), id: store.id.clone() }
}

/// Writes down which of these are orphans still: those that are there, and that the newest revision has not.
pub(super) fn settle(room: &Room<'_>, stack: &StackName, mut orphans: Vec<Orphan>) -> Result<(), Broken> {
    if orphans.is_empty() {
        return Ok(());
    }
    let networks = room.observe(|client| client.networks(stack))?;
    let mut there: BTreeSet<String> = networks.into_iter().map(|network| network.id).collect();
    for kind in [StoreKind::Secret, StoreKind::Config] {
        there.extend(room.observe(|client| client.stores(kind, stack))?.into_iter().map(|store| store.id));
    }
    let KeptStack { revisions, orphans: before, .. } = room.ledger.stack(stack)?;
    let newest = &revisions[revisions.len().saturating_sub(1)..];
    let (contents, networks) = (revision::needed(newest), revision::networks(newest));
    let is_kept = |orphan: &Orphan| contents.contains(&orphan.id) || (orphan.kind == NETWORK && networks.contains(&orphan.name));
    let mut seen = BTreeSet::new();
    orphans.retain(|orphan| there.contains(&orphan.id) && !is_kept(orphan) && seen.insert(orphan.id.clone()));
    if orphans != before {
        room.ledger.write(Note::KeepOrphans(stack.clone(), orphans))?;
    }
    Ok(())
}

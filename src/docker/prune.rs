//! Prune: what nothing needs any more is removed from this engine. Never a volume, never what carries a
//! stack's label, never an image that a container, a service or a kept revision refers to.
//!
//! Runs on a lane, in the command's room, while no other command changes anything. What the engine refuses to
//! remove is in use, and stays. After a restart it looks again and removes what is left: doing it twice is no harm.

use super::SwarmRole;
use super::client::Client;
use super::disk::{Needed, PrunedContainers, PrunedNetworks, StoredImage, pinned_repository, unused};
use super::error::EngineError;
use super::room::{End, Halt, Made, Room, StepError};
use super::types::Service;
use crate::domain::{Code, Outcome, Prune, Revision};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// How many names of a kind the result lists; the counts tell the whole.
const LISTED: usize = 100;

impl Made for PrunedContainers {
    fn made(&self) -> Option<&str> {
        None
    }
}

impl Made for PrunedNetworks {
    fn made(&self) -> Option<&str> {
        None
    }
}

/// What was removed so far, and what went wrong.
#[derive(Debug, Default)]
struct Done {
    containers: Vec<String>,
    networks: Vec<String>,
    images: Vec<String>,
    /// In bytes; of images only once both ends are known.
    reclaimed: u64,
    kept_images: usize,
    /// Why networks were left alone.
    spared: Option<String>,
    trouble: Option<(Code, String)>,
}

/// Carries the command out.
pub(super) fn run(room: &Room<'_>, request: &Prune, role: SwarmRole) -> End {
    let mut done = Done::default();
    match work(room, request, role, &mut done) {
        Ok(()) => End::Finished(done.outcome()),
        Err(End::Suspended) => End::Suspended,
        // What was removed before is told too.
        Err(End::Finished(outcome)) => End::Finished(done.told_with(outcome)),
    }
}

fn work(room: &Room<'_>, request: &Prune, role: SwarmRole, done: &mut Done) -> Result<(), End> {
    // Only a manager knows the services; on a worker the containers alone tell what is in use.
    let services = if role == SwarmRole::Manager { room.observe(Client::all_services)? } else { Vec::new() };
    let revisions = kept_revisions(room)?;
    // ORDER: containers hold images and networks.
    if request.containers
        && let Some(pruned) = done.note(room.step("containers.prune", "engine", Client::prune_containers))?
    {
        done.reclaimed += pruned.space_reclaimed;
        done.containers = pruned.containers_deleted;
    }
    if request.networks {
        done.spared = spared_network(room, &services, &revisions)?;
        if done.spared.is_none()
            && let Some(pruned) = done.note(room.step("networks.prune", "engine", Client::prune_networks))?
        {
            done.networks = pruned.networks_deleted;
        }
    }
    if request.images {
        images(room, request.keep, &services, &revisions, done)?;
    }
    Ok(())
}

fn images(room: &Room<'_>, keep: u64, services: &[Service], revisions: &[Revision], done: &mut Done) -> Result<(), End> {
    let before = size(room)?;
    let images = room.observe(Client::images)?;
    let needed = needed(room, services, revisions)?;
    let free = unused(&images, &needed, keep);
    done.kept_images = images.len() - free.len();
    free.into_iter().try_for_each(|image| done.remove(room, image))?;
    if let Some((before, after)) = before.zip(size(room)?) {
        done.reclaimed += before.saturating_sub(after);
    }
    Ok(())
}

/// What containers, services and kept revisions need.
fn needed(room: &Room<'_>, services: &[Service], revisions: &[Revision]) -> Result<Needed, StepError> {
    let mut needed = Needed::default();
    room.observe(Client::held_images)?.iter().for_each(|held| needed.by_container(held));
    services.iter().flat_map(specs_of).for_each(|spec| needed.by_reference(image_of(spec)));
    revisions.iter().flat_map(services_of).for_each(|spec| needed.by_reference(image_of(spec)));
    Ok(needed)
}

/// Removes from this node what earlier deploys of these services have pulled and nothing needs any more: images without
/// a tag, which only a deploy by digest leaves, of the repositories that the services name. Else a deploy a day
/// fills the disk.
pub(super) fn remove_outgrown_images(room: &Room<'_>, specs: &[&Value]) -> Result<(), End> {
    let repositories: BTreeSet<&str> = specs.iter().filter_map(|spec| pinned_repository(image_of(spec))).collect();
    if repositories.is_empty() {
        return Ok(());
    }
    let images = room.observe(Client::images)?;
    let may_go = |image: &StoredImage| image.has_no_tag() && image.repositories().iter().any(|name| repositories.contains(name));
    if !images.iter().any(may_go) {
        return Ok(());
    }
    let needed = needed(room, &room.observe(Client::all_services)?, &kept_revisions(room)?)?;
    let mut done = Done::default();
    unused(&images, &needed, 0).into_iter().filter(|image| may_go(image)).try_for_each(|image| done.remove(room, image))?;
    if !done.images.is_empty() {
        log::info!("removed images of earlier deploys that nothing needs any more: {}", done.images.join(", "));
    }
    if let Some((_, words)) = done.trouble {
        log::warn!("not all images of earlier deploys could be removed: {words}");
    }
    Ok(())
}

/// How large the images are; none where the engine is busy counting for somebody else.
fn size(room: &Room<'_>) -> Result<Option<u64>, Halt> {
    match room.observe(Client::size_of_images) {
        Ok(size) => Ok(Some(size)),
        Err(StepError::Refused(error) | StepError::Unknown(error)) => {
            log::debug!("the size of the images is not known: {error}");
            Ok(None)
        }
        Err(StepError::Halted(halt)) => Err(halt),
    }
}

fn kept_revisions(room: &Room<'_>) -> Result<Vec<Revision>, End> {
    let mut revisions = Vec::new();
    for stack in room.ledger.stacks()? {
        revisions.extend(room.ledger.revisions(&stack)?);
    }
    Ok(revisions)
}

/// Why networks must be left alone, if so: a kept revision needs one that no service holds now, and the engine
/// would take it for unused. It can leave out by label only, and such a network has none.
fn spared_network(room: &Room<'_>, services: &[Service], revisions: &[Revision]) -> Result<Option<String>, End> {
    let networks = room.observe(Client::all_networks)?;
    let held: BTreeSet<&str> = services.iter().flat_map(|service| networks_of(&service.spec)).collect();
    let wanted: BTreeSet<&str> = revisions.iter().flat_map(services_of).flat_map(networks_of).collect();
    let spared = networks.iter().find(|network| {
        let named = |set: &BTreeSet<&str>| set.contains(network.id.as_str()) || set.contains(network.name.as_str());
        !network.labels.contains_key(super::types::NAMESPACE) && network.scope == "swarm" && named(&wanted) && !named(&held)
    });
    Ok(spared
        .map(|network| format!("a kept revision needs the network {}, which nothing uses now: networks were left alone", network.name)))
}

/// What a service is, and what it would go back to.
fn specs_of(service: &Service) -> impl Iterator<Item = &Value> {
    std::iter::once(&service.spec).chain(&service.previous_spec)
}

fn services_of(revision: &Revision) -> impl Iterator<Item = &Value> {
    revision.specs.services.list().iter()
}

fn image_of(spec: &Value) -> &str {
    spec["TaskTemplate"]["ContainerSpec"]["Image"].as_str().unwrap_or_default()
}

fn networks_of(spec: &Value) -> impl Iterator<Item = &str> {
    spec["TaskTemplate"]["Networks"].as_array().into_iter().flatten().filter_map(|network| network["Target"].as_str())
}

impl Done {
    /// Removes an image by each of its names. What somebody has begun to use stays.
    fn remove(&mut self, room: &Room<'_>, image: &StoredImage) -> Result<(), Halt> {
        let mut stays = false;
        for name in image.names() {
            match room.step("image.remove", name, |client| client.remove_image(name)) {
                Ok(()) | Err(StepError::Refused(EngineError::NotFound { .. })) => {}
                Err(StepError::Refused(EngineError::Conflict { .. })) => stays = true,
                other => {
                    stays |= self.note(other)?.is_none();
                }
            }
        }
        if stays {
            self.kept_images += 1;
        } else {
            self.images.push(image.title().to_owned());
        }
        Ok(())
    }

    /// What a step gave; none where it went wrong, and the rest may go on.
    fn note<T>(&mut self, result: Result<T, StepError>) -> Result<Option<T>, Halt> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(StepError::Refused(error) | StepError::Unknown(error)) => {
                self.trouble.get_or_insert_with(|| (error.code(), error.to_string()));
                Ok(None)
            }
            Err(StepError::Halted(halt)) => Err(halt),
        }
    }

    fn outcome(self) -> Outcome {
        let outcome = match self.trouble.clone() {
            Some((code, words)) => Outcome::failed(code, format!("not all could be removed: {words}")),
            None => Outcome::completed(format!(
                "removed {} containers, {} networks and {} images: {} bytes",
                self.containers.len(),
                self.networks.len(),
                self.images.len(),
                self.reclaimed
            )),
        };
        self.told_with(outcome)
    }

    fn told_with(self, outcome: Outcome) -> Outcome {
        let list = |names: &[String]| json!({"removed": names.len(), "names": names.iter().take(LISTED).collect::<Vec<_>>()});
        let mut images = list(&self.images);
        images["kept"] = json!(self.kept_images);
        let mut networks = list(&self.networks);
        if let Some(spared) = self.spared {
            networks["reason"] = json!(spared);
        }
        outcome
            .with("containers", list(&self.containers))
            .with("networks", networks)
            .with("images", images)
            .with("bytes_reclaimed", self.reclaimed)
    }
}

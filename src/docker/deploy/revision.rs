//! The states of a stack that were seen to run: what is kept of one, and what an old one still needs.
//!
//! A revision holds the specs as they were sent, and of secrets and configs the object, never the
//! content. Objects that no kept revision needs any more, and that were made here, are removed.

use super::prepare::Prepared;
use super::{Broken, Failure, names, orphans};
use crate::docker::room::{End, Room, StepError};
use crate::docker::types::{Service, Store, StoreKind};
use crate::docker::{OldImages, prune};
use crate::domain::{Code, CommandId, Deploy, Orphan, Outcome, Revision, Specs, StackName, StepOutcome, Timestamp};
use crate::stack::plan::{Action, ContentPlan, Plan};
use crate::stack::rotate;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::slice;
use std::time::SystemTime;

/// The two kinds of content.
const KINDS: [StoreKind; 2] = [StoreKind::Secret, StoreKind::Config];

/// Keeps what runs now as a revision, unless it is the newest one already; its number.
pub(super) fn keep(room: &Room<'_>, request: &Deploy, prepared: &mut Prepared) -> Result<u64, Broken> {
    let contents = kept_contents(prepared, &made_for(room, prepared)?);
    let specs = specs(prepared, contents);
    let (revisions, orphans) = (mem::take(&mut prepared.revisions), mem::take(&mut prepared.orphans));
    keep_specs(room, &request.target.stack, revisions, orphans, specs)
}

/// The same with the specs themselves, beside the revisions and the orphans that were kept before, and those that there are new.
pub(super) fn keep_specs(
    room: &Room<'_>,
    stack: &StackName,
    before: Vec<Revision>,
    orphans: Vec<Orphan>,
    specs: Specs,
) -> Result<u64, Broken> {
    if let Some(newest) = before.last().filter(|newest| are_same(&newest.specs, &specs)) {
        let number = newest.number;
        if !orphans.is_empty() {
            tidy_up(room, stack, &Kept { all: before, forgotten: 0 }, orphans)?;
        }
        return Ok(number);
    }
    let revision = following(room, &before, specs);
    let number = revision.number;
    let has_contents = contents(&before).chain(contents(slice::from_ref(&revision))).next().is_some();
    let newest = (has_contents || room.settings.old_images == OldImages::Go || !orphans.is_empty()).then(|| revision.clone());
    room.ledger.keep(stack, revision, room.settings.revisions);
    let Some(newest) = newest else { return Ok(number) };
    // ORDER: nothing goes before it is on disk who does not need it any more.
    room.ledger.flush()?;
    let revisions = Kept::after(before, newest, room.settings.revisions);
    tidy_up(room, stack, &revisions, orphans)?;
    // Also of what was forgotten just now: nothing else will name its repositories again.
    let specs: Vec<&Value> = revisions.all.iter().flat_map(specs_of_services).collect();
    remove_outgrown_images(room, stack, &specs)?;
    Ok(number)
}

/// Removes the secrets and configs that nothing needs any more, and writes down what could not be removed.
fn tidy_up(room: &Room<'_>, stack: &StackName, revisions: &Kept, mut orphans: Vec<Orphan>) -> Result<(), Broken> {
    let removed = prune(room, stack, revisions, &mut orphans);
    match removed.and_then(|()| orphans::settle(room, stack, orphans)) {
        // The deploy has succeeded: what could not be tidied up goes after the next one.
        Err(Broken::Failed(failure)) => log::warn!("not all old secrets and configs of {stack} are removed: {}", failure.message),
        other => other?,
    }
    Ok(())
}

/// The revision that this command makes, behind those that were kept before: again the one that it made before a crash.
fn following(room: &Room<'_>, before: &[Revision], specs: Specs) -> Revision {
    let (command, at) = (room.command.id, Timestamp::from(SystemTime::now()));
    let same = before.iter().find(|kept| kept.command == command).map(|kept| kept.number);
    let number = same.unwrap_or_else(|| before.last().map_or(1, |newest| newest.number + 1));
    Revision { number, command, at, specs }
}

/// Whether two states are one, however often its services were restarted.
fn are_same(kept: &Specs, specs: &Specs) -> bool {
    let are_services = || {
        let (one, other) = (kept.services.list(), specs.services.list());
        one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one == other || uncounted(one) == uncounted(other))
    };
    let is_the_rest = kept.networks == specs.networks && kept.secrets == specs.secrets && kept.configs == specs.configs;
    is_the_rest && (kept.services == specs.services || are_services())
}

fn uncounted(spec: &Value) -> Value {
    let mut spec = spec.clone();
    spec.get_mut("TaskTemplate").and_then(Value::as_object_mut).into_iter().for_each(|task| drop(task.remove("ForceUpdate")));
    spec
}

/// The revisions that were kept before, and the new one.
struct Kept {
    all: Vec<Revision>,
    forgotten: usize,
}

impl Kept {
    /// What the journal makes of it (`keep` there): the command's own revision is not kept twice.
    fn after(before: Vec<Revision>, new: Revision, keep: usize) -> Self {
        let mut all = before;
        if all.iter().all(|revision| revision.command != new.command) {
            all.push(new);
        }
        let forgotten = all.len().saturating_sub(keep.max(1));
        Self { all, forgotten }
    }

    fn kept(&self) -> &[Revision] {
        &self.all[self.forgotten..]
    }
}

/// Removes old images of these services' repositories from this node, where that is wanted. What cannot be removed now goes after the next
/// deploy.
pub(super) fn remove_outgrown_images(room: &Room<'_>, stack: &StackName, specs: &[&Value]) -> Result<(), Broken> {
    if room.settings.old_images == OldImages::Stay {
        return Ok(());
    }
    match prune::remove_outgrown_images(room, specs) {
        Err(End::Finished(outcome)) => log::warn!("images of earlier deploys of {stack} stay: {}", outcome.message),
        other => other?,
    }
    Ok(())
}

/// What is remembered of the plan's secrets and configs.
fn kept_contents(prepared: &Prepared, made: &BTreeSet<String>) -> [Vec<Value>; 2] {
    KINDS.map(|kind| {
        prepared.plan.contents.iter().filter(|content| content.kind == kind).map(|content| kept_content(content, made)).collect()
    })
}

fn specs(prepared: &Prepared, [secrets, configs]: [Vec<Value>; 2]) -> Specs {
    let Plan { networks, services, .. } = &prepared.plan;
    let networks = networks.iter().map(|network| network.spec.clone()).collect();
    Specs { networks, secrets, configs, services: services.iter().map(|service| &service.spec).collect() }
}

fn kept_content(content: &ContentPlan, made: &BTreeSet<String>) -> Value {
    let made_here = content.action == Action::Create || content.id.as_ref().is_some_and(|id| made.contains(id));
    json!({"name": content.plain, "object": content.name, "id": content.id, "fingerprint": content.fingerprint, "made": made_here})
}

fn contents(revisions: &[Revision]) -> impl Iterator<Item = (StoreKind, &Value)> {
    revisions.iter().flat_map(|Revision { specs, .. }| {
        let secrets = specs.secrets.iter().map(|secret| (StoreKind::Secret, secret));
        secrets.chain(specs.configs.iter().map(|config| (StoreKind::Config, config)))
    })
}

/// The ids of the secrets and configs that were made here.
fn made(revisions: &[Revision]) -> BTreeSet<String> {
    contents(revisions).filter(|(_, content)| content["made"] == true).filter_map(|(_, content)| id(content)).collect()
}

/// Of the secrets and configs of a plan, the ids of those that were made here.
fn made_for(room: &Room<'_>, prepared: &Prepared) -> Result<BTreeSet<String>, Broken> {
    if prepared.plan.contents.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut made = made(&prepared.revisions);
    made.extend(made_by(room, &prepared.plan.contents)?);
    made.extend(orphans::ids(&prepared.orphans));
    Ok(made)
}

/// The ids of those that this command made, in an earlier process too.
fn made_by(room: &Room<'_>, contents: &[ContentPlan]) -> Result<BTreeSet<String>, Broken> {
    let steps = room.ledger.steps(room.command.id)?;
    let made = steps.into_iter().filter_map(|(step, outcome)| {
        let (kind, "create") = step.operation.split_once('.')? else { return None };
        match outcome {
            Some(StepOutcome::Done(id)) => id,
            Some(StepOutcome::Refused(_)) => None,
            // The process ended, or the answer was lost: what is there by this name now was not there before.
            Some(StepOutcome::Unknown(_)) | None => {
                contents.iter().find(|content| content.kind.name() == kind && content.name == step.object)?.id.clone()
            }
        }
    });
    Ok(made.collect())
}

fn id(content: &Value) -> Option<String> {
    content["id"].as_str().map(str::to_owned)
}

/// The fingerprints of contents that are remembered, by the object's id.
pub(super) fn fingerprints(revisions: &[Revision]) -> BTreeMap<String, String> {
    contents(revisions).filter_map(|(_, content)| Some((id(content)?, content["fingerprint"].as_str()?.to_owned()))).collect()
}

/// The names of all services in them.
pub(super) fn services(revisions: &[Revision]) -> BTreeSet<String> {
    revisions.iter().flat_map(specs_of_services).filter_map(|spec| spec["Name"].as_str()).map(str::to_owned).collect()
}

/// The names of all networks in them.
pub(super) fn networks(revisions: &[Revision]) -> BTreeSet<String> {
    revisions.iter().flat_map(specs_of_networks).filter_map(|spec| spec["Name"].as_str()).map(str::to_owned).collect()
}

/// The names in the file of all secrets and configs in them.
pub(super) fn contents_by_name(revisions: &[Revision]) -> BTreeSet<String> {
    contents(revisions).filter_map(|(_, content)| content["name"].as_str()).map(str::to_owned).collect()
}

/// The specs of a service in them, the newest first, with the command that made each.
pub(super) fn specs_of<'a>(revisions: &'a [Revision], name: &'a str) -> impl Iterator<Item = (CommandId, &'a Value)> + Clone {
    let of = |revision: &'a Revision| specs_of_services(revision).map(move |spec| (revision.command, spec));
    revisions.iter().rev().flat_map(of).filter(move |(_, spec)| spec["Name"] == name)
}

/// The services' specs of one.
pub(super) fn specs_of_services(revision: &Revision) -> impl Iterator<Item = &Value> + Clone {
    revision.specs.services.list().iter()
}

/// The networks' specs of one.
pub(super) fn specs_of_networks(revision: &Revision) -> impl Iterator<Item = &Value> {
    revision.specs.networks.iter()
}

/// The newest one, or why there is none.
pub(super) fn newest<'a>(revisions: &'a [Revision], stack: &StackName, held: &[Service]) -> Result<&'a Revision, Failure> {
    revisions.last().ok_or_else(|| match held {
        [] => Failure::new(Code::STACK_NOT_FOUND, format!("the swarm has no service of a stack {stack}, and no revision of it is kept")),
        _ => Failure::new(Code::NO_REVISION, format!("no revision of the stack {stack} is kept: deploy it with this agent first")),
    })
}

/// The services' specs of one that are named by Compose key or whole name; all where none is.
pub(super) fn named<'a>(revision: &'a Revision, stack: &StackName, keys: &BTreeSet<String>) -> Result<Vec<&'a Value>, End> {
    fn name(spec: &Value) -> &str {
        spec["Name"].as_str().unwrap_or_default()
    }
    let specs: Vec<&Value> = specs_of_services(revision).collect();
    let is = |spec: &Value, key: &str| name(spec) == key || stack.descoped(name(spec)) == key;
    if let Some(unknown) = keys.iter().find(|key| !specs.iter().any(|spec| is(spec, key))) {
        let known: Vec<&str> = specs.iter().map(|spec| stack.descoped(name(spec))).collect();
        let message = format!("revision {} of {stack} has no service {unknown}; it has {}", revision.number, known.join(", "));
        return Err(End::Finished(Outcome::failed(Code::SERVICE_NOT_FOUND, message)));
    }
    Ok(specs.into_iter().filter(|spec| keys.is_empty() || keys.iter().any(|key| is(spec, key))).collect())
}

/// The secrets and configs of one: kind, name and id of each.
pub(super) fn objects(revision: &Revision) -> impl Iterator<Item = (StoreKind, &str, &str)> {
    contents(slice::from_ref(revision))
        .filter_map(|(kind, content)| Some((kind, content["object"].as_str().unwrap_or_default(), content["id"].as_str()?)))
}

/// The ids of the secrets and configs that they need.
pub(super) fn needed(revisions: &[Revision]) -> BTreeSet<String> {
    contents(revisions).filter_map(|(_, content)| id(content)).collect()
}

/// Tells the secrets and configs that only forgotten revisions need, or failed deploys have left: those made here, and later
/// objects of a name that is known.
struct Outgrown {
    needed: BTreeSet<String>,
    made: BTreeSet<String>,
    plain: BTreeSet<String>,
}

impl Outgrown {
    fn of(revisions: &Kept, orphans: &[Orphan]) -> Self {
        let all = &revisions.all;
        let made = made(all).into_iter().chain(orphans::ids(orphans)).collect();
        Self { needed: needed(revisions.kept()), made, plain: contents_by_name(all) }
    }

    /// Whether there is nothing that it could tell.
    fn is_empty(&self) -> bool {
        self.made.is_empty() && self.plain.is_empty()
    }

    fn has(&self, store: &Store) -> bool {
        let ours = self.made.contains(&store.id) || self.plain.iter().any(|plain| rotate::is_rotation(store.name(), plain));
        ours && !self.needed.contains(&store.id)
    }
}

/// A secret or config that goes with the last revision that needs it.
pub(super) struct GoingContent {
    pub(super) kind: StoreKind,
    /// Its name in the file, scoped.
    pub(super) plain: String,
    /// The object.
    pub(super) name: String,
}

/// Which of these secrets and configs of the stack go once this deploy is the newest revision.
pub(super) fn going(room: &Room<'_>, prepared: &Prepared, secrets: &[Store], configs: &[Store]) -> Result<Vec<GoingContent>, Broken> {
    let before = &prepared.revisions;
    if [secrets, configs].iter().all(|stores| stores.is_empty()) {
        return Ok(Vec::new());
    }
    let contents = kept_contents(prepared, &made_for(room, prepared)?);
    Ok(outgrown_after(room, before, &prepared.orphans, specs(prepared, contents), secrets, configs))
}

/// Which secrets and configs of the stack go once it has returned to these specs.
pub(super) fn going_after(
    room: &Room<'_>,
    stack: &StackName,
    before: &[Revision],
    orphans: &[Orphan],
    specs: Specs,
) -> Result<Vec<GoingContent>, Broken> {
    let stores = |kind| room.observe(|client| client.stores(kind, stack));
    let (secrets, configs) = (stores(StoreKind::Secret)?, stores(StoreKind::Config)?);
    Ok(outgrown_after(room, before, orphans, specs, &secrets, &configs))
}

fn outgrown_after(
    room: &Room<'_>,
    before: &[Revision],
    orphans: &[Orphan],
    specs: Specs,
    secrets: &[Store],
    configs: &[Store],
) -> Vec<GoingContent> {
    let revisions = if before.last().is_some_and(|newest| are_same(&newest.specs, &specs)) {
        if orphans.is_empty() {
            return Vec::new();
        }
        Kept { all: before.to_vec(), forgotten: 0 }
    } else {
        Kept::after(before.to_vec(), following(room, before, specs), room.settings.revisions)
    };
    let outgrown = Outgrown::of(&revisions, orphans);
    let all = secrets.iter().map(|store| (StoreKind::Secret, store)).chain(configs.iter().map(|store| (StoreKind::Config, store)));
    let going = all.filter(|(_, store)| outgrown.has(store)).map(|(kind, store)| {
        let name = store.name().to_owned();
        let remembered = contents(before).find(|(_, content)| content["id"] == store.id.as_str());
        let remembered = remembered.and_then(|(_, content)| content["name"].as_str());
        let plain = remembered.or_else(|| outgrown.plain.iter().map(String::as_str).find(|plain| rotate::is_rotation(&name, plain)));
        GoingContent { kind, plain: plain.unwrap_or(&name).to_owned(), name }
    });
    going.collect()
}

/// What cannot be removed is an orphan from now on: no revision may have it any more.
fn prune(room: &Room<'_>, stack: &StackName, revisions: &Kept, orphans: &mut Vec<Orphan>) -> Result<(), Broken> {
    let outgrown = Outgrown::of(revisions, orphans);
    if outgrown.is_empty() {
        return Ok(());
    }
    for kind in KINDS {
        for store in room.observe(|client| client.stores(kind, stack))?.iter().filter(|store| outgrown.has(store)) {
            let operation = format!("{}.remove", kind.name());
            match room.step(&operation, store.name(), |client| client.remove_store(kind, &store.id)) {
                Ok(()) => {}
                // A task that still ends may hold it: it goes after the next deploy.
                Err(StepError::Refused(_) | StepError::Unknown(_)) if orphans.iter().any(|orphan| orphan.id == store.id) => {}
                Err(StepError::Refused(_) | StepError::Unknown(_)) => orphans.push(orphans::of_store(kind, store)),
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// A store by the id or the name that a step noted, if it is still there.
pub(super) fn find_store(room: &Room<'_>, kind: StoreKind, id: &str) -> Result<Option<Store>, StepError> {
    Ok(names::found(room, |client| client.store(kind, id))?.filter(|store| store.id == id || store.name() == id))
}

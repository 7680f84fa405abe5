//! Everything before the first change: the file is loaded, the swarm is looked at, ownership, names,
//! references and images are checked, and the plan is made.

use super::contents::{self, Contents};
use super::images::Images;
use super::names::{self, ExternalIds};
use super::plan::{self, Action, ContentPlan, NetworkPlan, ServicePlan, Who};
use super::{Broken, Failure, revision, rollback};
use crate::docker::Entry;
use crate::docker::api::StoreKind;
use crate::docker::ownership::{self, Standing, Takeover};
use crate::docker::room::Room;
use crate::docker::types::{Network, Service, Store};
use crate::domain::{Code, Deploy, OnFailure, Revision, StackName};
use crate::stack::{self, ApiVersion, Binds, ComposeFile, Loaded, Source, StackError, since};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How messages call the Compose file, which has no name of its own in a command.
const FILE: &str = "docker_stack_yml";

/// A plan, and what carrying it out needs.
pub(super) struct Prepared {
    pub(super) networks: Vec<NetworkPlan>,
    pub(super) contents: Vec<ContentPlan>,
    pub(super) services: Vec<ServicePlan>,
    /// Services of ours that left the file.
    pub(super) removals: Vec<Service>,
    pub(super) warnings: Vec<String>,
    /// Ids of networks by name.
    pub(super) network_ids: BTreeMap<String, String>,
    pub(super) external: ExternalIds,
    /// The tasks that there were before, whose failures are not this command's.
    pub(super) tasks_before: BTreeSet<String>,
    pub(super) revisions: Vec<Revision>,
    /// Whose the stack was.
    pub(super) standing: Standing,
    /// Whether an earlier process changed something for this same command.
    pub(super) changed_before: bool,
}

/// What the swarm holds of a stack.
struct Held {
    networks: Vec<Network>,
    secrets: Vec<Store>,
    configs: Vec<Store>,
    services: Vec<Service>,
}

impl From<StackError> for Broken {
    fn from(error: StackError) -> Self {
        Self::Failed(Failure::new(error.code(), error.to_string()))
    }
}

impl Prepared {
    /// Whether anything is to be made, written or removed.
    pub(super) fn changes_something(&self) -> bool {
        let actions = self.networks.iter().map(|plan| plan.action).chain(self.contents.iter().map(|plan| plan.action));
        let mut actions = actions.chain(self.services.iter().map(|plan| plan.action));
        let before = self.changed_before || self.services.iter().any(|plan| plan.ours_already);
        before || !self.removals.is_empty() || actions.any(|action| action != Action::Unchanged)
    }
}

/// Makes the plan. It changes nothing but the labels of secrets whose content nobody remembers.
pub(super) fn prepare(room: &Room<'_>, request: &Deploy) -> Result<Prepared, Broken> {
    let stack = &request.target.stack;
    let api = api(room)?;
    let loaded = load(request, api)?;
    let held = look(room, stack)?;
    let takeover = if request.adopt { Takeover::Allowed } else { Takeover::Refused };
    let standing = ownership::check(room, &request.target, &held.services, takeover)?;
    let revisions = room.ledger.revisions(stack)?;
    let tasks = room.observe(|client| client.tasks(stack))?;

    let mut warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    if standing == Standing::Nobodys && !held.services.is_empty() {
        warnings.push(format!("the stack {stack} was there and belonged to nobody here: project {} adopts it", request.target.project));
    }
    let (external_networks, external) = names::external(room, &loaded.specs.external)?;
    let networks = networks(room, stack, &loaded, &held.networks)?;
    let contents = plan_contents(room, request, &loaded, &held, &revisions, &mut warnings)?;
    let mut network_ids: BTreeMap<String, String> =
        held.networks.iter().map(|network| (network.name.clone(), network.id.clone())).collect();
    network_ids.extend(external_networks);
    network_ids.extend(names::of_every_node(room)?);

    let there: BTreeSet<&str> = held.services.iter().map(Service::name).collect();
    let new = loaded.specs.services.iter().map(|spec| spec.name.as_str()).filter(|name| !there.contains(name)).collect();
    names::check_services(room, stack, &new)?;

    let who = Who { agent: room.agent, command: room.command.id };
    let mut images = Images::new(room, request);
    let mut services = Vec::new();
    for spec in &loaded.specs.services {
        let mut spec = json(spec)?;
        let name = spec["Name"].as_str().unwrap_or_default().to_owned();
        since::leave_out(&mut spec, api);
        let same = held.services.iter().find(|service| service.name() == name);
        plan::fill(&mut spec, &contents, &external);
        if request.on_failure == OnFailure::Pause && plan::pause_on_failure(&mut spec) {
            warnings.push(format!("service {name}: its failure_action is pause for this deploy, as on_failure says"));
        }
        let registry = images.resolve(&mut spec, same, &mut warnings)?;
        services.push(ServicePlan { registry, ..plan::service(spec, same, &network_ids, who)? });
    }
    let removals = removals(room, request, &held.services, &services, &revisions, &mut warnings);
    let tasks_before = tasks.into_iter().map(|task| task.id).collect();
    let changed_before = room.entry == Entry::Resumed && rollback::has_changed_anything(room)?;
    Ok(Prepared {
        networks,
        contents,
        services,
        removals,
        warnings,
        network_ids,
        external,
        tasks_before,
        revisions,
        standing,
        changed_before,
    })
}

fn api(room: &Room<'_>) -> Result<ApiVersion, Broken> {
    let api = room.observe(|client| client.api())?;
    // Both types hold the same two numbers; the client's is one that it can speak.
    Ok(api.to_string().parse().unwrap_or(ApiVersion::NEWEST))
}

fn load(request: &Deploy, api: ApiVersion) -> Result<Loaded, Broken> {
    let files = [ComposeFile { name: FILE, text: request.compose.reveal() }];
    let source = Source {
        stack: &request.target.stack,
        files: &files,
        env: request.env.reveal(),
        shipped: request.files.reveal(),
        binds: Binds::Refused,
        api,
    };
    Ok(stack::load(&source)?)
}

fn look(room: &Room<'_>, stack: &StackName) -> Result<Held, Broken> {
    Ok(Held {
        networks: room.observe(|client| client.networks(stack))?,
        secrets: room.observe(|client| client.stores(StoreKind::Secret, stack))?,
        configs: room.observe(|client| client.stores(StoreKind::Config, stack))?,
        services: room.observe(|client| client.services(stack))?,
    })
}

/// A network that is there stays as it is: Swarm cannot change one.
fn networks(room: &Room<'_>, stack: &StackName, loaded: &Loaded, held: &[Network]) -> Result<Vec<NetworkPlan>, Broken> {
    let mut plans = Vec::new();
    for spec in &loaded.specs.networks {
        let there = held.iter().any(|network| network.name == spec.name);
        if !there {
            names::check_network(room, stack, &spec.name)?;
        }
        let action = if there { Action::Unchanged } else { Action::Create };
        plans.push(NetworkPlan { name: spec.name.clone(), action, spec: json(spec)? });
    }
    Ok(plans)
}

fn plan_contents(
    room: &Room<'_>,
    request: &Deploy,
    loaded: &Loaded,
    held: &Held,
    revisions: &[Revision],
    warnings: &mut Vec<String>,
) -> Result<Vec<ContentPlan>, Broken> {
    if loaded.specs.secrets.is_empty() && loaded.specs.configs.is_empty() {
        return Ok(Vec::new());
    }
    let (key, known) = (contents::key(room, request)?, revision::fingerprints(revisions));
    let specs: Vec<Value> = loaded.specs.secrets.iter().map(json).collect::<Result<_, _>>()?;
    let secrets = Contents { room, request, kind: StoreKind::Secret, held: &held.secrets, known: &known, key: &key };
    let mut plans = secrets.plan(specs, warnings)?;
    let specs: Vec<Value> = loaded.specs.configs.iter().map(json).collect::<Result<_, _>>()?;
    let configs = Contents { room, request, kind: StoreKind::Config, held: &held.configs, known: &known, key: &key };
    plans.extend(configs.plan(specs, warnings)?);
    Ok(plans)
}

fn removals(
    room: &Room<'_>,
    request: &Deploy,
    held: &[Service],
    services: &[ServicePlan],
    revisions: &[Revision],
    warnings: &mut Vec<String>,
) -> Vec<Service> {
    let wanted = services.iter().map(|plan| plan.name.as_str()).collect();
    let (ours, foreign) = plan::leftovers(held, &wanted, &revision::services(revisions), room.agent);
    for service in foreign {
        warnings.push(format!("service {} is not in the file and was not made here: it stays", service.name()));
    }
    if !request.prune {
        warnings.extend(ours.iter().map(|service| format!("service {} is not in the file: it stays, as prune is off", service.name())));
        return Vec::new();
    }
    ours.into_iter().cloned().collect()
}

/// A spec as it is sent.
fn json(spec: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(spec).map_err(|error| Failure::new(Code::COMPOSE_INVALID, format!("a spec cannot be written: {error}")))
}

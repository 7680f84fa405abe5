//! Everything before the first change: the file is loaded, the swarm is looked at, ownership, names,
//! references and images are checked, and the plan is made.

use super::drift::{self, Drift};
use super::images::Images;
use super::logins::Logins;
use super::replace::Replaced;
use super::revision::GoingContent;
use super::{Broken, Failure, checks, contents, logins, names, orphans, revision, rollback, unfinished};
use crate::docker::ownership::{self, Standing, Takeover};
use crate::docker::room::Room;
use crate::docker::types::{NAMESPACE, OWNER, StoreKind};
use crate::domain::{Code, Deploy, Entry, KeptStack, OnFailure, Orphan, ProjectId, Revision, StackName};
use crate::stack::plan::{self, Desired, ExternalIds, Leavers, Login, Observed, Plan, Who};
use crate::stack::{self, ApiVersion, Binds, ComposeFile, Deviation, Loaded, Source, StackError, StackSpecs, since};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::mem;

/// How messages call the Compose file, which has no name of its own in a command.
const FILE: &str = "docker_stack_yml";

/// A plan, and what carrying it out needs.
pub(super) struct Prepared {
    pub(super) plan: Plan,
    /// What of the file is not honoured, and what was seen before the plan was made.
    pub(super) warnings: Vec<String>,
    /// Where the file comes to something else with the CLI.
    pub(super) deviations: Vec<Deviation>,
    /// Ids of networks by name.
    pub(super) network_ids: BTreeMap<String, String>,
    pub(super) external: ExternalIds,
    /// What registries said instead of a digest, by the service's name.
    pub(super) registries: BTreeMap<String, Failure>,
    /// The tasks that there were before, whose failures are not this command's.
    pub(super) tasks_before: BTreeSet<String>,
    /// What others have changed since the newest revision, by the service's name.
    pub(super) drift: BTreeMap<String, Drift>,
    /// Services whose image this node has not.
    pub(super) not_here: BTreeSet<String>,
    pub(super) revisions: Vec<Revision>,
    /// What failed deploys have left of the stack.
    pub(super) orphans: Vec<Orphan>,
    /// Those that services had before, and that they are to have.
    pub(super) logins: Logins,
    /// Whose the stack was.
    pub(super) standing: Standing,
    /// Who owns it, as the journal has it.
    pub(super) owner: Option<ProjectId>,
    /// Whether this node still has networks that were removed.
    pub(super) lingering: bool,
    /// Services that an earlier process began to make anew for this same command, by name.
    pub(super) replaced_before: BTreeSet<String>,
    /// Whether an earlier process changed something for this same command.
    pub(super) changed_before: bool,
    /// Secrets and configs that go with the last revision that needs them.
    pub(super) going: Vec<GoingContent>,
}

impl From<StackError> for Broken {
    fn from(error: StackError) -> Self {
        Self::Failed(Failure::new(error.code(), error.to_string()))
    }
}

impl Prepared {
    /// Whether anything is to be made, written or removed, or was before a restart.
    pub(super) fn changes_something(&self) -> bool {
        let done_before = self.changed_before || self.plan.services.iter().any(|plan| plan.ours_already);
        done_before || !self.going.is_empty() || self.plan.changes_something()
    }
}

/// Looks and makes the plan. It changes nothing but the labels of secrets whose content nobody remembers.
pub(super) fn prepare(room: &Room<'_>, request: &Deploy) -> Result<Prepared, Broken> {
    let stack = &request.target.stack;
    let api = api(room)?;
    let loaded = load(request, api)?;
    let mut observed = look(room, stack)?;
    let takeover = if request.adopt { Takeover::Allowed } else { Takeover::Refused };
    // One look at the journal: each reads all that it has of the stack.
    let KeptStack { owner, revisions, logins, orphans } = room.ledger.stack(stack)?;
    let standing = ownership::check_owner(room, owner.as_ref(), &request.target, &observed.services, takeover)?;
    // Those of services that are gone are not asked about.
    let tasks = if observed.services.is_empty() { Vec::new() } else { room.observe(|client| client.tasks(stack))? };

    let mut warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    if standing == Standing::Nobodys && !observed.services.is_empty() {
        let project = &request.target.project;
        warnings.push(match observed.services.iter().find_map(|service| service.label(OWNER)) {
            Some(other) => format!("the stack {stack} was managed by agent {other}: project {project} takes it over"),
            None => format!("the stack {stack} was there and belonged to nobody here: project {project} adopts it"),
        });
    }
    let (external_networks, external) = names::external(room, &loaded.specs.external)?;
    observed.external = external;
    observed.network_ids = observed.networks.iter().map(|network| (network.name.clone(), network.id.clone())).collect();
    observed.network_ids.extend(external_networks);
    observed.fingerprints = revision::fingerprints(&revisions);
    observed.known_networks = revision::networks(&revisions);
    observed.known_networks.extend(orphans::networks(&orphans, &observed.networks));
    observed.known_contents = revision::contents_by_name(&revisions);
    observed.orphans = orphans::ids(&orphans).collect();
    let drift = drift::seen(room, &revisions, &observed.services, &observed.network_ids)?;
    warnings.extend(drift.iter().map(|(name, drift)| drift.warning(name)));
    observed.logins = logins;

    let mut desired = desired(room, request, &loaded.specs)?;
    let wanted: BTreeSet<&str> = desired.services.iter().filter_map(|spec| spec["Name"].as_str()).collect();
    if observed.services.iter().any(|service| !wanted.contains(service.name())) {
        observed.known_services = revision::services(&revisions);
    }
    if desired.services.iter().any(names::is_on_the_node) {
        observed.network_ids.extend(names::of_every_node(room)?);
    }
    let lingering = names::look_for_others(room, stack, &mut observed, &desired)?;
    observed.outsiders = names::outsiders(room, stack, &plan::networks(stack, &observed.networks, &desired.networks)?)?;
    observed.answers = contents::answers(room, request, &observed, &desired.contents)?;
    let registries = settle_services(room, request, &mut desired, &observed, api, &mut warnings)?;
    // With a login that its registry refuses, nodes could not pull again: they keep the one that they have.
    let is_refused = |name: &str| registries.get(name).is_some_and(|said| said.code == Code::IMAGE_AUTH);
    desired.logins.retain(|name, _| !is_refused(name) || !observed.services.iter().any(|service| service.name() == name));

    let who = Who { agent: room.agent, command: room.command.id };
    let wanted_logins = desired.logins.clone();
    let mut plan = plan::make(stack, &observed, desired, who)?;
    plan.services.iter_mut().filter(|plan| plan.held.is_some() && is_refused(&plan.name)).for_each(|plan| plan.login = Login::Kept);
    let logins = Logins::new(mem::take(&mut observed.logins), wanted_logins, &observed.services);
    warnings.extend(unfinished::settle(room, stack, &mut plan.services, &tasks, &logins, &observed.network_ids)?);
    let found = checks::check(room, &plan)?;
    warnings.extend(found.warnings);
    let tasks_before = tasks.into_iter().map(|task| task.id).collect();
    let changed_before = room.entry == Entry::Resumed && rollback::has_changed_anything(room)?;
    let replaced_before = if changed_before { Replaced::by(room)?.services.into_keys().collect() } else { BTreeSet::new() };
    let Observed { network_ids, external, secrets, configs, .. } = observed;
    let deviations = loaded.deviations;
    let mut prepared = Prepared {
        plan,
        warnings,
        deviations,
        network_ids,
        external,
        registries,
        tasks_before,
        drift,
        not_here: found.not_here,
        revisions,
        orphans,
        logins,
        standing,
        owner,
        lingering,
        replaced_before,
        changed_before,
        going: Vec::new(),
    };
    prepared.going = revision::going(room, &prepared, &secrets, &configs)?;
    Ok(prepared)
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

fn look(room: &Room<'_>, stack: &StackName) -> Result<Observed, Broken> {
    Ok(Observed {
        networks: names::networks(room, stack)?,
        secrets: room.observe(|client| client.stores(StoreKind::Secret, stack))?,
        configs: room.observe(|client| client.stores(StoreKind::Config, stack))?,
        services: room.observe(|client| client.services(stack))?,
        ..Observed::default()
    })
}

fn desired(room: &Room<'_>, request: &Deploy, specs: &StackSpecs) -> Result<Desired, Broken> {
    let (secrets, configs) = (all(&specs.secrets)?, all(&specs.configs)?);
    let services = all(&specs.services)?;
    Ok(Desired {
        networks: all(&specs.networks)?,
        contents: contents::wanted(room, request, secrets, configs)?,
        logins: logins::wanted(room, &request.target.stack, &request.registry_auth, &services)?,
        services,
        leavers: if request.prune { Leavers::Removed } else { Leavers::Kept },
    })
}

/// Settles what the file leaves open of its services: what this engine knows, what becomes of failing updates,
/// digests. What registries said instead of one is returned, by the service's name.
fn settle_services(
    room: &Room<'_>,
    request: &Deploy,
    desired: &mut Desired,
    observed: &Observed,
    api: ApiVersion,
    warnings: &mut Vec<String>,
) -> Result<BTreeMap<String, Failure>, Broken> {
    let mut images = Images::new(room, request);
    let mut registries = BTreeMap::new();
    for spec in &mut desired.services {
        let name = spec["Name"].as_str().unwrap_or_default().to_owned();
        since::leave_out(spec, api);
        if request.on_failure == OnFailure::Pause && plan::pause_on_failure(spec) {
            warnings.push(format!("service {name}: its failure_action is pause for this deploy, as on_failure says"));
        }
        let same = observed.services.iter().find(|service| service.name() == name);
        if let Some(same) = same {
            plan::check_name("service", &name, same.label(NAMESPACE), &request.target.stack)?;
        }
        registries.extend(images.resolve(spec, same, warnings)?.map(|said| (name, said)));
    }
    Ok(registries)
}

fn all(specs: &[impl Serialize]) -> Result<Vec<Value>, Failure> {
    specs.iter().map(json).collect()
}

/// A spec as it is sent.
fn json(spec: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(spec).map_err(|error| Failure::new(Code::COMPOSE_INVALID, format!("a spec cannot be written: {error}")))
}

//! The section `deploy` (Compose Specification, "Deploy"; docker/cli, `convert/service.go`), and the older keys of a service that say the same: `restart`, `scale`,
//! `mem_limit`, `mem_reservation`, `cpus`, `pids_limit`, `platform`.

use super::ignored::Shape;
use super::item::{Fields, Item};
use super::model::{Deploy, Mode};
use crate::stack::StackError;
use crate::stack::spec::{
    DiscreteResource, GenericResource, Limit, Placement, Platform, Preference, Reservation, Resources, RestartPolicy, Spread, UpdateConfig,
};

/// Reads the section and those keys.
pub fn read(service: &mut Fields<'_>) -> Result<Deploy, StackError> {
    let mut deploy = Deploy::default();
    let section = service.take("deploy");
    if let Some(mut fields) = section.as_ref().map(Item::fields_or_nothing).transpose()?.flatten() {
        deploy.labels = fields.read("labels", Item::labels)?.unwrap_or_default();
        deploy.mode = fields.read("mode", mode)?.unwrap_or_default();
        deploy.replicas = replicas(&mut fields, "replicas", deploy.mode)?;
        deploy.update = fields.read("update_config", update)?;
        deploy.rollback = fields.read("rollback_config", update)?;
        deploy.resources = fields.read("resources", resources)?.unwrap_or_default();
        deploy.restart = fields.read("restart_policy", restart_policy)?;
        deploy.placement = fields.read("placement", placement)?.unwrap_or_default();
        deploy.endpoint_mode = fields.read("endpoint_mode", Item::text)?.unwrap_or_default().to_lowercase();
        fields.finish()?;
    }
    older_keys(service, &mut deploy)?;
    Ok(deploy)
}

fn older_keys(service: &mut Fields<'_>, deploy: &mut Deploy) -> Result<(), StackError> {
    if let Some(item) = service.take("restart") {
        if deploy.restart.is_some() {
            item.text()?;
            item.warn("deploy.restart_policy is used instead");
        } else {
            deploy.restart = restart(&item)?;
        }
    }
    let scale = replicas(service, "scale", deploy.mode)?;
    if let Some(item) = service.item().get("scale").filter(|_| scale.is_some() && deploy.replicas.is_some()) {
        item.warn("deploy.replicas is used instead");
    }
    deploy.replicas = deploy.replicas.or(scale);
    if let Some(platform) = service.read("platform", platform)? {
        deploy.placement.platforms = vec![platform];
    }
    older_limits(service, deploy)
}

fn older_limits(service: &mut Fields<'_>, deploy: &mut Deploy) -> Result<(), StackError> {
    let memory = service.read("mem_limit", Item::size_or_bytes)?;
    let cpus = service.read("cpus", Item::processors)?;
    let pids = service.read("pids_limit", Item::integer)?;
    if memory.is_some() || cpus.is_some() || pids.is_some() {
        let limits = deploy.resources.limits.get_or_insert_with(Limit::default);
        for (key, limit) in [("mem_limit", limits.memory_bytes), ("cpus", limits.nano_cpus), ("pids_limit", limits.pids)] {
            if let Some(item) = service.item().get(key).filter(|_| limit != 0) {
                item.warn("deploy.resources.limits is used instead");
            }
        }
        fill(&mut limits.memory_bytes, memory);
        fill(&mut limits.nano_cpus, cpus);
        fill(&mut limits.pids, pids);
    }
    if let Some(memory) = service.read("mem_reservation", Item::size_or_bytes)? {
        fill(&mut deploy.resources.reservations.get_or_insert_with(Reservation::default).memory_bytes, Some(memory));
    }
    Ok(())
}

/// Only where `deploy.resources` is silent.
fn fill(limit: &mut i64, older: Option<i64>) {
    if *limit == 0 {
        *limit = older.unwrap_or_default();
    }
}

fn mode(item: &Item<'_>) -> Result<Mode, StackError> {
    match item.text()?.as_str() {
        "" | "replicated" => Ok(Mode::Replicated),
        "global" => Ok(Mode::Global),
        "replicated-job" => Ok(Mode::ReplicatedJob),
        "global-job" => Ok(Mode::GlobalJob),
        other => Err(item.invalid(format!("the mode {other:?} is none of replicated, global, replicated-job and global-job"))),
    }
}

fn replicas(fields: &mut Fields<'_>, name: &'static str, mode: Mode) -> Result<Option<u64>, StackError> {
    let Some(item) = fields.take(name) else { return Ok(None) };
    let replicas = item.count()?;
    match mode {
        Mode::Replicated | Mode::ReplicatedJob => Ok(Some(replicas)),
        Mode::Global | Mode::GlobalJob => Err(item.invalid("a global service runs once on every node: remove the count, or the mode")),
    }
}

fn update(item: &Item<'_>) -> Result<UpdateConfig, StackError> {
    let mut fields = item.fields()?;
    let update = UpdateConfig {
        parallelism: fields.read("parallelism", Item::count)?.unwrap_or(1),
        delay: fields.read("delay", Item::duration)?.unwrap_or_default(),
        failure_action: fields.read("failure_action", Item::text)?.unwrap_or_default(),
        monitor: fields.read("monitor", Item::duration)?.unwrap_or_default(),
        max_failure_ratio: fields.read("max_failure_ratio", Item::number)?.unwrap_or_default() as f32,
        order: fields.read("order", order)?.unwrap_or_default(),
    };
    fields.finish()?;
    Ok(update)
}

fn order(item: &Item<'_>) -> Result<String, StackError> {
    let order = item.text()?;
    if matches!(order.as_str(), "start-first" | "stop-first") {
        return Ok(order);
    }
    Err(item.invalid(format!("the order {order:?} is neither start-first nor stop-first")))
}

fn resources(item: &Item<'_>) -> Result<Resources, StackError> {
    let mut fields = item.fields()?;
    let resources = Resources { limits: fields.read("limits", limits)?, reservations: fields.read("reservations", reservations)? };
    fields.finish()?;
    Ok(resources)
}

fn limits(item: &Item<'_>) -> Result<Limit, StackError> {
    let mut fields = item.fields()?;
    let limits = Limit {
        nano_cpus: fields.read("cpus", Item::processors)?.unwrap_or_default(),
        memory_bytes: fields.read("memory", Item::size)?.unwrap_or_default(),
        pids: fields.read("pids", Item::integer)?.unwrap_or_default(),
    };
    fields.finish()?;
    Ok(limits)
}

fn reservations(item: &Item<'_>) -> Result<Reservation, StackError> {
    let mut fields = item.fields()?;
    let reservation = Reservation {
        nano_cpus: fields.read("cpus", Item::processors)?.unwrap_or_default(),
        memory_bytes: fields.read("memory", Item::size)?.unwrap_or_default(),
        generic_resources: fields.read("generic_resources", |item| item.list()?.iter().map(generic).collect())?.unwrap_or_default(),
    };
    fields.ignore(&[("devices", Shape::List, "Swarm gives tasks no devices: use generic_resources")])?;
    fields.finish()?;
    Ok(reservation)
}

fn generic(item: &Item<'_>) -> Result<GenericResource, StackError> {
    let mut fields = item.fields()?;
    let discrete = fields.read("discrete_resource_spec", |item| {
        let mut fields = item.fields()?;
        let spec = DiscreteResource {
            kind: fields.read("kind", Item::text)?.unwrap_or_default(),
            value: fields.read("value", Item::truncated)?.unwrap_or_default(),
        };
        fields.finish()?;
        Ok(spec)
    })?;
    fields.finish()?;
    Ok(GenericResource { named_resource_spec: None, discrete_resource_spec: discrete })
}

fn restart_policy(item: &Item<'_>) -> Result<RestartPolicy, StackError> {
    let mut fields = item.fields()?;
    let policy = RestartPolicy {
        condition: fields.read("condition", Item::text)?.unwrap_or_default(),
        delay: fields.read("delay", Item::duration)?,
        max_attempts: fields.read("max_attempts", Item::count)?,
        window: fields.read("window", Item::duration)?,
    };
    fields.finish()?;
    Ok(policy)
}

/// The older key: `no`, `always`, `unless-stopped` or `on-failure`, with a count after a colon.
fn restart(item: &Item<'_>) -> Result<Option<RestartPolicy>, StackError> {
    let text = item.text()?;
    let (name, count) = text.split_once(':').map_or((text.as_str(), ""), |(name, count)| (name, count));
    let attempts: i64 = match count {
        "" => 0,
        count => count.parse().map_err(|_| item.invalid(format!("restart: {count:?} is no number of attempts")))?,
    };
    let policy = |condition: &str| RestartPolicy { condition: condition.to_owned(), ..RestartPolicy::default() };
    match name {
        "" if text.is_empty() => Ok(None),
        "no" => Ok(None),
        "always" | "unless-stopped" => {
            if !count.is_empty() {
                item.warn("the count has no effect: only on-failure has one");
            }
            Ok(Some(policy("any")))
        }
        "on-failure" => {
            // A negative number is a very large one, as in the CLI.
            Ok(Some(RestartPolicy { max_attempts: Some(attempts as u64), ..policy("on-failure") }))
        }
        _ => Err(item.invalid(format!("the restart policy {name:?} is none of no, always, on-failure and unless-stopped"))),
    }
}

fn placement(item: &Item<'_>) -> Result<Placement, StackError> {
    let mut fields = item.fields()?;
    let placement = Placement {
        constraints: fields.read("constraints", Item::texts)?.unwrap_or_default(),
        preferences: fields.read("preferences", |item| item.list()?.iter().map(preference).collect())?.unwrap_or_default(),
        max_replicas: fields.read("max_replicas_per_node", Item::count)?.unwrap_or_default(),
        platforms: Vec::new(),
    };
    fields.finish()?;
    Ok(placement)
}

fn preference(item: &Item<'_>) -> Result<Preference, StackError> {
    let mut fields = item.fields()?;
    let spread_descriptor = fields.read("spread", Item::text)?.unwrap_or_default();
    fields.finish()?;
    Ok(Preference { spread: Some(Spread { spread_descriptor }) })
}

/// `os[/architecture[/variant]]`; Swarm does not know variants.
fn platform(item: &Item<'_>) -> Result<Platform, StackError> {
    let text = item.text()?;
    let mut parts = text.split('/');
    let (os, architecture) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if let Some(variant) = parts.next() {
        item.warn(format!("the variant {variant} has no effect: Swarm places by system and architecture"));
    }
    Ok(Platform { architecture: architecture.to_owned(), os: os.to_owned() })
}

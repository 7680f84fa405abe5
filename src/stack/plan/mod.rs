//! What is to be done to each object of a stack, and why.
//!
//! Pure: what the swarm holds and what the files want go in, a plan comes out. A service that is as wanted is
//! not written, so no task is replaced and no job runs again without a reason that the plan names. Whoever
//! calls this has looked and asked before ([`questions`]) and carries the plan out afterwards; made again from
//! what the swarm then holds, it has nothing left to do.

mod capacity;
mod contents;
mod drift;
mod handover;
mod leaving;
mod networks;
mod pace;
mod platforms;
mod ports;
mod refs;
mod rules;
mod services;
mod subnets;

pub use capacity::{limits_replicas, too_few_nodes};
pub use contents::{Content, ContentPlan, Question, questions};
pub use drift::drift;
pub use handover::{Wave, given_up, leave_out, waves};
pub use leaving::{Fate, leftovers, unwanted};
pub use networks::{NetworkPlan, attached, body_of, detach, networks};
pub use pace::{least_time, monitor, slow_updates};
pub use platforms::{Platform, check_platforms, names_platforms};
pub use ports::{Nodes, Place, Port, check_ports, port, publishes_ports};
pub use refs::fill;
pub use rules::check_rules;
pub use services::{Login, ServicePlan, pause_on_failure, service, set_count};
pub use subnets::{check_subnets, holder_of_addresses, names_subnets, waits_for_addresses};

use super::change::Change;
use super::held::{Network, Service, Store, StoreKind};
use super::marks;
use super::rotate::NameTooLong;
use crate::domain::{AgentId, Code, CommandId, StackName};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The label by which everything of a stack is found.
const NAMESPACE: &str = "com.docker.stack.namespace";

/// What happens to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is made.
    Create,
    /// It is written.
    Update,
    /// It is removed and made again, because Swarm cannot change it so.
    Replace,
    /// It is as wanted.
    Unchanged,
    /// It is removed.
    Remove,
}

impl Action {
    /// As events spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Replace => "replace",
            Self::Unchanged => "unchanged",
            Self::Remove => "remove",
        }
    }

    /// Whether a spec is sent to the manager.
    #[must_use]
    pub const fn is_sent(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Replace)
    }
}

/// By whom and for what a plan is made.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    /// The agent that will own what it makes.
    pub agent: &'a AgentId,
    /// The command that its marks will name.
    pub command: CommandId,
}

impl Who<'_> {
    /// Whether the command has written a service that it meets again after a restart.
    #[must_use]
    pub fn has_written(self, held: &Service) -> bool {
        held.label(marks::COMMAND) == Some(self.command.to_string().as_str())
    }
}

/// Ids of external secrets and configs, by kind and name.
pub type ExternalIds = BTreeMap<(StoreKind, String), String>;

/// What the swarm holds of a stack, and what is remembered of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observed {
    /// The stack's networks, and those of others under names that it wants.
    pub networks: Vec<Network>,
    /// The same of secrets.
    pub secrets: Vec<Store>,
    /// The same of configs.
    pub configs: Vec<Store>,
    /// The same of services.
    pub services: Vec<Service>,
    /// Services of others, where a network of the stack must be made anew.
    pub outsiders: Vec<Service>,
    /// Ids of every network that services of the stack may be attached to, by name.
    pub network_ids: BTreeMap<String, String>,
    /// Secrets and configs that the files declare as external.
    pub external: ExternalIds,
    /// Fingerprints of contents that are remembered, by the object's id.
    pub fingerprints: BTreeMap<String, String>,
    /// The manager's answers to [`questions`], by the object's id: whether it has the content.
    pub answers: BTreeMap<String, Answer>,
    /// Names of services that a kept revision has.
    pub known_services: BTreeSet<String>,
    /// The same of networks, and those that failed deploys have made and left.
    pub known_networks: BTreeSet<String>,
    /// Names of secrets and configs in the files of kept revisions.
    pub known_contents: BTreeSet<String>,
    /// Ids of what failed deploys have made and left.
    pub orphans: BTreeSet<String>,
    /// By service, the fingerprint of the login for its registry that its nodes were given last.
    pub logins: BTreeMap<String, String>,
}

/// Whether an object has the content that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It has.
    Same,
    /// It has another.
    Other,
}

/// What the files come to.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// Bodies of networks, as they are sent.
    pub networks: Vec<Value>,
    /// Secrets, then configs.
    pub contents: Vec<Content>,
    /// Specs of services as they are sent but for the marks and the ids of secrets and configs.
    pub services: Vec<Value>,
    /// By service, the fingerprint of the login that its nodes are to have for its registry.
    pub logins: BTreeMap<String, String>,
    /// What becomes of what left the files.
    pub leavers: Leavers,
}

/// What becomes of objects of ours that left the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leavers {
    /// They go.
    Removed,
    /// They stay and are named.
    Kept,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// For each network of the files.
    pub networks: Vec<NetworkPlan>,
    /// For each secret and config of the files.
    pub contents: Vec<ContentPlan>,
    /// For each service of the files.
    pub services: Vec<ServicePlan>,
    /// Services that left the files and go.
    pub removals: Vec<Service>,
    /// Networks that left the files and go once no service is on them.
    pub leaving: Vec<Network>,
    /// What whoever reads the plan should know.
    pub warnings: Vec<String>,
}

/// Why there can be no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unplannable {
    /// An object of another stack has the name.
    #[error("the {kind} {name} belongs to the stack {stack}: give it another name")]
    OfAnotherStack {
        /// `network`, …
        kind: &'static str,
        /// In the swarm.
        name: String,
        /// Whose it is.
        stack: String,
    },
    /// A network has the name that is of no stack.
    #[error("a network {0} is there already and belongs to no stack: remove it, or declare it as external")]
    LooseNetwork(String),
    /// A service has the name that is of no stack.
    #[error("a service {0} is there already and belongs to no stack: remove it, or give this one another name")]
    LooseService(String),
    /// A network that must be made anew has other users.
    #[error("the network {network} must be made anew, and {user}, which this command may not touch, is attached to it: take it off")]
    NetworkInUse {
        /// In the swarm.
        network: String,
        /// The service or container that is attached.
        user: String,
    },
    /// The addresses of a network are taken.
    #[error(
        "the subnet {subnet} of the network {network} is one of {other} too, in whole or in part: give it another one, or remove that network first"
    )]
    SubnetTaken {
        /// In the swarm.
        network: String,
        /// As it is written.
        subnet: String,
        /// The network that has it.
        other: String,
    },
    /// A published port is taken.
    #[error(
        "port {port} is published by service {other} already, and service {service} is to publish it too: give one of them another port"
    )]
    PortTaken {
        /// In the swarm.
        service: String,
        /// With its protocol.
        port: String,
        /// The service that has it.
        other: String,
    },
    /// The manager would not take it.
    #[error("the {kind} {name} would be refused: {rule}")]
    Refused {
        /// `network`, …
        kind: &'static str,
        /// In the swarm.
        name: String,
        /// How it must be.
        rule: String,
    },
    /// No node can run an image.
    #[error("service {service}: its image {image} is made for {offered}, and the nodes that are ready are {nodes}: no suitable node")]
    NoPlatform {
        /// In the swarm.
        service: String,
        /// As it is sent.
        image: String,
        /// What the image is made for.
        offered: String,
        /// What there is.
        nodes: String,
    },
    /// A changed content has no name to go under.
    #[error(transparent)]
    NameTooLong(#[from] NameTooLong),
}

impl Unplannable {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::OfAnotherStack { .. } | Self::LooseNetwork(_) | Self::LooseService(_) => Code::CONFLICT,
            Self::NetworkInUse { .. } => Code::NETWORK_IN_USE,
            Self::SubnetTaken { .. } => Code::SUBNET_TAKEN,
            Self::PortTaken { .. } => Code::PORT_CLASH,
            Self::Refused { .. } => Code::COMPOSE_INVALID,
            Self::NoPlatform { .. } => Code::NO_SUITABLE_NODE,
            Self::NameTooLong(_) => Code::CONTENT_CHANGED,
        }
    }
}

impl Plan {
    /// Whether anything is to be made, written or removed.
    #[must_use]
    pub fn changes_something(&self) -> bool {
        let actions = self.networks.iter().map(|plan| plan.action).chain(self.contents.iter().map(|plan| plan.action));
        let mut actions = actions.chain(self.services.iter().map(|plan| plan.action));
        !self.removals.is_empty() || !self.leaving.is_empty() || actions.any(|action| action != Action::Unchanged)
    }
}

/// Makes the plan.
///
/// # Errors
/// When a name is somebody else's, or Swarm cannot do what is wanted: before anything is made.
pub fn make(stack: &StackName, observed: &Observed, desired: Desired, who: Who<'_>) -> Result<Plan, Unplannable> {
    let mut warnings = Vec::new();
    let networks = networks::networks(stack, &observed.networks, &desired.networks)?;
    let contents = contents::plan(stack, observed, &desired.contents, &mut warnings)?;
    let mut services = Vec::new();
    for mut spec in desired.services {
        let name = spec["Name"].as_str().unwrap_or_default();
        let held = observed.services.iter().find(|service| service.name() == name);
        if let Some(held) = held {
            check_name("service", name, held.label(NAMESPACE), stack)?;
        }
        refs::fill(&mut spec, &contents, &observed.external);
        let mut plan = services::service(spec, held, &observed.network_ids, who);
        plan.compare_logins(observed.logins.get(&plan.name), desired.logins.get(&plan.name));
        services.push(plan);
    }
    services::take_over_jobs(&mut services, &observed.services, who);
    let removals = leaving::services(observed, &services, desired.leavers, who.agent, &mut warnings);
    let mut stays = Vec::new();
    for other in observed.services.iter().chain(&observed.outsiders) {
        let has_name = |plan: &ServicePlan| plan.name == other.name();
        if !services.iter().any(has_name) && !removals.iter().any(|gone| gone.id == other.id) {
            stays.push(other);
        }
    }
    networks::detach(&networks, &mut services, stays.iter().copied())?;
    let leaving = leaving::networks(observed, &networks, &services, &stays, desired.leavers, &mut warnings);
    leaving::contents(stack, observed, &contents, &mut warnings);
    warnings.extend(handover::warnings(&services));
    Ok(Plan { networks, contents, services, removals, leaving, warnings })
}

/// At most so many fields are named in a reason; the plan's changes have them all.
const NAMED: usize = 6;

/// Fields that differ, in words.
fn named(changes: &[Change]) -> String {
    let fields: Vec<&str> = changes.iter().map(|change| change.field.as_str()).take(NAMED).collect();
    let more = if changes.len() > NAMED { " and more" } else { "" };
    format!("{}{more}", fields.join(", "))
}

/// Refuses an object of another stack, or one without a stack, under a name that is needed.
///
/// # Errors
/// With whose it is.
pub fn check_name(kind: &'static str, name: &str, label: Option<&str>, stack: &StackName) -> Result<(), Unplannable> {
    match label {
        Some(label) if label == stack.as_str() => Ok(()),
        Some(other) => Err(Unplannable::OfAnotherStack { kind, name: name.to_owned(), stack: other.to_owned() }),
        None if kind == "network" => Err(Unplannable::LooseNetwork(name.to_owned())),
        None if kind == "service" => Err(Unplannable::LooseService(name.to_owned())),
        // `docker stack deploy` takes over a secret or config without a stack, if its content is the same.
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_somebody_else_is_not_taken() {
        let stack = StackName::new("st").unwrap();
        let code = |kind, label| check_name(kind, "st_n", label, &stack).err().map(|refused| refused.code());
        assert_eq!(code("network", Some("st")), None);
        assert_eq!(code("network", Some("other")), Some(Code::CONFLICT));
        assert_eq!(code("network", None), Some(Code::CONFLICT));
        assert_eq!(code("service", Some("st_n")), Some(Code::CONFLICT));
        assert_eq!(code("service", None), Some(Code::CONFLICT));
        assert_eq!(code("secret", None), None, "as docker stack deploy takes it over");
        assert_eq!(code("secret", Some("other")), Some(Code::CONFLICT));
    }
}

//! The model to the bodies that are sent (docker/cli, `cli/compose/convert`): names become `<stack>_<key>` unless the file
//! gives one, all objects get the stack's label, references are resolved; what does not exist is an error here, before
//! anything is made (docs/compose.md, D6). Pure.

mod mounts;
mod networks;
mod service;

use super::load::model::{Content, Model, Network, Reference, Service, Volume};
use super::load::{Context, Spot};
use super::spec::{ConfigSpec, SecretSpec, StringMap};
use super::{StackError, StackSpecs};
use crate::domain::StackName;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

/// What every object of a stack carries.
const NAMESPACE_LABEL: &str = "com.docker.stack.namespace";

/// What the mounts of a stack may repeat of their volumes: labels and options of the driver.
const MAX_REPEATED_BYTES: usize = 4 << 20;

/// All that converting a service looks at.
struct Stack<'a> {
    cx: &'a Context<'a>,
    name: &'a StackName,
    networks: BTreeMap<String, Network>,
    volumes: BTreeMap<String, Volume>,
    secrets: BTreeMap<String, Content>,
    configs: BTreeMap<String, Content>,
    /// What mounts repeat so far.
    repeated: Cell<usize>,
}

/// Makes the specs.
pub fn specs(cx: &Context<'_>, name: &StackName, model: Model<'_>) -> Result<StackSpecs, StackError> {
    let Model { services, networks, volumes, secrets, configs } = model;
    let mut stack = Stack { cx, name, networks, volumes, secrets, configs, repeated: Cell::new(0) };
    let mut specs = StackSpecs::default();
    for key in stack.used_networks(&services)? {
        stack.network(key, &mut specs);
    }
    specs.networks.sort_by(|a, b| a.name.cmp(&b.name));
    // Two keys may have one name.
    specs.networks.dedup_by(|a, b| a.name == b.name);
    specs.external.secrets = foreign(&stack.secrets, &services, |service| &service.secrets);
    specs.external.configs = foreign(&stack.configs, &services, |service| &service.configs);
    specs.services = services.into_iter().map(|(key, service)| stack.service(&key, service)).collect::<Result<_, _>>()?;
    let secrets = std::mem::take(&mut stack.secrets);
    specs.secrets = stack.own(secrets, |name, labels, content| SecretSpec {
        name,
        labels,
        data: content.data,
        driver: content.driver,
        templating: content.templating,
    });
    let configs = std::mem::take(&mut stack.configs);
    specs.configs =
        stack.own(configs, |name, labels, content| ConfigSpec { name, labels, data: content.data, templating: content.templating });
    Ok(specs)
}

type Contents = BTreeMap<String, Content>;

impl Stack<'_> {
    /// The name of an object in the swarm: its own where it has one.
    fn swarm_name(&self, key: &str, own: &str) -> String {
        if own.is_empty() { self.name.scoped(key) } else { own.to_owned() }
    }

    /// Labels with the stack's, which the file cannot take away.
    fn labels(&self, labels: &StringMap) -> StringMap {
        let mut labels = labels.clone();
        labels.insert(NAMESPACE_LABEL.to_owned(), self.name.as_str().to_owned());
        labels
    }

    /// The objects to be made, used or not.
    fn own<T>(&self, contents: Contents, make: impl Fn(String, StringMap, Content) -> T) -> Vec<T> {
        let own = contents.into_iter().filter(|(_, content)| !content.external);
        own.map(|(key, content)| make(self.swarm_name(&key, &content.name), self.labels(&content.labels), content)).collect()
    }

    fn invalid(&self, at: &Spot<'_>, problem: String) -> StackError {
        self.cx.invalid(at.place, &at.path, problem)
    }
}

/// The names of those in use that somebody else made.
fn foreign<'a>(
    contents: &Contents,
    services: &[(String, Service<'a>)],
    used: for<'s> fn(&'s Service<'a>) -> &'s Vec<Reference<'a>>,
) -> Vec<String> {
    let references = services.iter().flat_map(|(_, service)| used(service));
    let names: BTreeSet<&String> =
        references.filter_map(|used| contents.get(&used.source)).filter(|content| content.external).map(|content| &content.name).collect();
    names.into_iter().cloned().collect()
}

//! The model to the bodies that are sent: names are scoped, labels added, references resolved; what does
//! not exist is an error here, before anything is made.

mod mounts;
mod networks;
mod service;

use super::load::model::{Content, Model};
use super::spec::{ConfigSpec, SecretSpec, StringMap};
use super::{ApiVersion, Location, StackError, StackSpecs};
use crate::domain::StackName;
use std::collections::BTreeSet;

/// What every object of a stack carries.
const NAMESPACE_LABEL: &str = "com.docker.stack.namespace";

/// All that converting looks at.
struct Stack<'a> {
    name: &'a StackName,
    model: &'a Model,
}

/// Makes the specs.
pub fn specs(name: &StackName, model: &Model, api: ApiVersion) -> Result<StackSpecs, StackError> {
    let stack = Stack { name, model };
    let mut specs = StackSpecs::default();
    for (key, service) in &model.services {
        specs.services.push(stack.service(key, service)?);
    }
    for key in stack.used_networks()? {
        stack.network(key, api, &mut specs);
    }
    specs.networks.sort_by(|a, b| a.name.cmp(&b.name));
    specs.secrets = stack.own(&model.secrets, |name, labels, content| SecretSpec {
        name,
        labels,
        data: content.data.clone(),
        driver: content.driver.clone(),
        templating: content.templating.clone(),
    });
    specs.configs = stack.own(&model.configs, |name, labels, content| ConfigSpec {
        name,
        labels,
        data: content.data.clone(),
        templating: content.templating.clone(),
    });
    specs.external.secrets = stack.foreign(&model.secrets, |service| &service.secrets);
    specs.external.configs = stack.foreign(&model.configs, |service| &service.configs);
    Ok(specs)
}

type Contents = std::collections::BTreeMap<String, Content>;

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
    fn own<T>(&self, contents: &Contents, make: impl Fn(String, StringMap, &Content) -> T) -> Vec<T> {
        let own = contents.iter().filter(|(_, content)| !content.external);
        own.map(|(key, content)| make(self.swarm_name(key, &content.name), self.labels(&content.labels), content)).collect()
    }

    /// The names of those in use that somebody else made.
    fn foreign(&self, contents: &Contents, used: impl Fn(&super::load::model::Service) -> &[super::load::model::Reference]) -> Vec<String> {
        let references = self.model.services.values().flat_map(used);
        let names: BTreeSet<&String> = references
            .filter_map(|used| contents.get(&used.source))
            .filter(|content| content.external)
            .map(|content| &content.name)
            .collect();
        names.into_iter().cloned().collect()
    }
}

fn invalid(at: &Location, problem: String) -> StackError {
    StackError::Invalid { at: at.clone(), problem }
}

//! Whose value something in a file is: a service's, or that of an object of the top level that services use. Pure.

use super::load::Path;
use super::yaml::{Node, Value};
use std::collections::BTreeSet;

/// What services use of the top level.
pub const OBJECTS: [&str; 4] = ["networks", "volumes", "secrets", "configs"];

/// Whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A service's, by its key.
    Service(String),
    /// An object's.
    Object {
        /// One of [`OBJECTS`].
        kind: &'static str,
        /// Its key.
        name: String,
    },
}

impl Owner {
    /// Of an entry of a section of the top level, if it is one of these.
    #[must_use]
    pub fn new(section: &str, name: &str) -> Option<Self> {
        if section == "services" {
            return Some(Self::Service(name.to_owned()));
        }
        OBJECTS.into_iter().find(|kind| *kind == section).map(|kind| Self::Object { kind, name: name.to_owned() })
    }

    /// Of what a path leads to.
    #[must_use]
    pub fn of(path: &Path<'_>) -> Option<Self> {
        path.entry().and_then(|(section, name)| Self::new(section, name))
    }
}

/// The services that use an object.
#[must_use]
pub fn users(tree: &Node, kind: &str, name: &str) -> Vec<String> {
    let services = tree.get("services").map(Node::entries).unwrap_or_default();
    services.iter().filter(|(_, service)| used(service, kind).contains(name)).map(|(key, _)| key.text.clone()).collect()
}

/// The names of the objects of a kind that a service uses.
fn used(service: &Node, kind: &str) -> BTreeSet<String> {
    let Some(node) = service.get(kind) else {
        return if kind == "networks" { BTreeSet::from(["default".to_owned()]) } else { BTreeSet::new() };
    };
    let source = |item: &Node| {
        let text = item.scalar().or_else(|| item.get("source").and_then(Node::scalar))?;
        Some(text.split(':').next().unwrap_or(&text).to_owned())
    };
    match &node.value {
        Value::List(items) => items.iter().filter_map(source).collect(),
        _ => node.entries().iter().map(|(name, _)| name.text.clone()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::yaml::parse;

    #[test]
    fn who_uses_an_object_is_found_in_short_and_in_long_forms() {
        let tree = parse(
            0,
            "services:\n  a: {volumes: ['data:/d'], networks: {n: {}}}\n  b: {volumes: [{type: volume, source: data, target: /d}]}\n  \
             c: {volumes: ['other:/d'], secrets: [data]}\n",
        )
        .unwrap()
        .tree;
        assert_eq!(users(&tree, "volumes", "data"), ["a", "b"]);
        assert_eq!(users(&tree, "secrets", "data"), ["c"]);
        assert_eq!(users(&tree, "networks", "default"), ["b", "c"]);
        assert_eq!(Owner::new("x-data", "a"), None);
    }
}

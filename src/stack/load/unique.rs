//! Lists whose items must differ, as the schema of the CLI has it: compared as they are written, per
//! file, since merging may repeat an item rightly.

use super::item::Item;
use crate::stack::StackError;
use crate::stack::yaml::{Node, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Keys of a service. `volumes`, `secrets` and `configs` may repeat themselves.
const LISTS: &[&str] = &[
    "ports",
    "cap_add",
    "cap_drop",
    "dns",
    "dns_search",
    "environment",
    "labels",
    "networks",
    "expose",
    "external_links",
    "links",
    "security_opt",
    "devices",
    "extra_hosts",
    "sysctls",
];

/// Checks one service of one file.
pub fn check(service: &Item<'_>) -> Result<(), StackError> {
    for (name, item) in service.named()? {
        let Value::List(nodes) = &item.node.value else { continue };
        if !LISTS.contains(&name) {
            continue;
        }
        let mut seen = BTreeSet::new();
        for (n, node) in nodes.iter().enumerate() {
            if !seen.insert(spelling(node)) {
                return Err(service.cx.invalid(node.at, &format!("{}.{n}", item.key), "stands in this list a second time: remove one"));
            }
        }
    }
    Ok(())
}

/// A text that equal nodes share, whatever the order of their keys.
fn spelling(node: &Node) -> String {
    match &node.value {
        Value::List(items) => format!("{:?}", items.iter().map(spelling).collect::<Vec<_>>()),
        Value::Map(entries) => {
            format!("{:?}", entries.iter().map(|(key, node)| (key.text.as_str(), spelling(node))).collect::<BTreeMap<_, _>>())
        }
        scalar => format!("{scalar:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::yaml::parse;

    #[test]
    fn equal_nodes_are_spelled_alike_and_others_are_not() {
        let spelled = |text: &str| spelling(&parse(0, text).unwrap());
        assert_eq!(spelled("{a: 1, b: [x]}"), spelled("b: [x]\na: 1\n"));
        assert_ne!(spelled("'80'"), spelled("80"));
        assert_ne!(spelled("[a, b]"), spelled("['a, b']"));
    }
}

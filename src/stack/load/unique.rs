//! Lists whose items must differ, as the schema of the CLI has it: compared as they are written, per
//! file, since merging may repeat an item rightly. Where they are mappings, no key may be empty.

use super::item::Item;
use crate::stack::StackError;
use crate::stack::yaml::{Node, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Such lists of a service. `volumes`, `secrets` and `configs` may repeat themselves.
const OF_SERVICE: &[&str] = &[
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
    "tmpfs",
];

/// Checks one file.
pub fn check(file: &Item<'_>) -> Result<(), StackError> {
    each(file.get("services"), &|service| {
        each_of(service, OF_SERVICE)?;
        each(service.get("networks"), &|attachment| each_of(attachment, &["aliases", "driver_opts"]))?;
        service.get("logging").map_or(Ok(()), |logging| each_of(&logging, &["options"]))?;
        service.get("deploy").map_or(Ok(()), |deploy| each_of(&deploy, &["labels"]))
    })?;
    let sections = ["networks", "volumes", "secrets", "configs"].into_iter();
    sections.map(|name| file.get(name)).try_for_each(|section| each(section, &|object| each_of(object, &["labels", "driver_opts"])))
}

fn each(section: Option<Item<'_>>, check: &dyn Fn(&Item<'_>) -> Result<(), StackError>) -> Result<(), StackError> {
    section.as_ref().map_or(Ok(()), |section| section.children().try_for_each(|child| check(&child)))
}

fn each_of(item: &Item<'_>, names: &[&str]) -> Result<(), StackError> {
    names.iter().filter_map(|name| item.get(name)).try_for_each(|list| differ(&list))
}

fn differ(list: &Item<'_>) -> Result<(), StackError> {
    if list.get("").is_some() {
        return Err(list.invalid("has an empty key: remove it"));
    }
    let Value::List(nodes) = &list.node.value else { return Ok(()) };
    let mut seen = BTreeSet::new();
    for (n, node) in nodes.iter().enumerate() {
        if !seen.insert(spelling(node)) {
            return Err(list.cx.invalid(node.at, list.path.index(n), "stands in this list a second time: remove one"));
        }
    }
    Ok(())
}

/// A text that equal nodes share, whatever the order of their keys, and no others: it grows with the node and no more.
fn spelling(node: &Node) -> String {
    let mut text = String::new();
    spell(node, &mut text);
    text
}

fn spell(node: &Node, text: &mut String) {
    match &node.value {
        Value::List(items) => {
            text.push('[');
            items.iter().for_each(|item| spell(item, text));
            text.push(']');
        }
        Value::Map(entries) => {
            let entries: BTreeMap<&str, &Node> = entries.iter().map(|(key, node)| (key.text.as_str(), node)).collect();
            text.push('{');
            for (key, node) in entries {
                counted(key, text);
                spell(node, text);
            }
            text.push('}');
        }
        Value::Text(own) => counted(own, text),
        scalar => text.extend([format!("{scalar:?}").as_str(), ";"]),
    }
}

/// Its length says where it ends: nothing in it need be escaped, at whatever depth it stands.
fn counted(part: &str, text: &mut String) {
    text.extend([part.len().to_string().as_str(), ":", part]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::yaml::parse;

    #[test]
    fn equal_nodes_are_spelled_alike_and_others_are_not() {
        let spelled = |text: &str| spelling(&parse(0, text).unwrap().tree);
        assert_eq!(spelled("{a: 1, b: [x]}"), spelled("b: [x]\na: 1\n"));
        assert_ne!(spelled("'80'"), spelled("80"));
        assert_ne!(spelled("[a, b]"), spelled("['a, b']"));
        assert_ne!(spelled("[1:a, b]"), spelled("['1:a1:b']"));
        let deep = |depth: usize| spelled(&format!("{}'\\\"'{}", "[".repeat(depth), "]".repeat(depth))).len();
        assert_eq!(deep(60) - deep(50), 20);
    }
}

//! One tree over another: the rules of the Compose Specification ("Merge"), which lose nothing, in the
//! order that `docker stack deploy` gives its results (docs/compose.md, D2). Pure; values are not checked.

use super::load::{mount_target, port_identity, single_ports};
use super::yaml::{Key, Merging, Node, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Where the content of a secret or a config, or a volume, comes from: a later file says where from instead.
const SOURCES: [&str; 4] = ["file", "content", "environment", "driver"];

/// How a list is merged.
enum Rule {
    /// The later list replaces the earlier.
    Replace,
    /// It is appended.
    Append,
    /// Entries with the same key are replaced, others added; then sorted by that key.
    Keyed(fn(&Node) -> Option<String>),
}

/// Puts a later file over an earlier one; `ports` counts what ranges of them stand for.
pub fn files(base: Node, over: Node, ports: &mut usize) -> Node {
    merge(base, over, &mut Vec::new(), ports)
}

/// Puts an entry of the top level over one of an earlier file.
pub fn object(kind: &str, name: &str, base: Node, over: Node) -> Node {
    merge(base, over, &mut vec![kind.to_owned(), name.to_owned()], &mut 0)
}

/// Puts a service over the one that it extends.
pub fn services(base: Node, over: Node, ports: &mut usize) -> Node {
    merge(base, over, &mut vec!["services".to_owned(), String::new()], ports)
}

fn merge(base: Node, over: Node, path: &mut Vec<String>, ports: &mut usize) -> Node {
    match over.merging {
        Merging::Reset => return Node::new(over.at, Value::Null),
        Merging::Override => return over,
        Merging::Usual => {}
    }
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    let (base, over) = shaped(&parts, base, over, ports);
    match (base.value, over.value) {
        // Nothing overrides nothing.
        (value, Value::Null) => Node { value, at: base.at, merging: base.merging },
        (Value::Map(mine), Value::Map(theirs)) if !replaces_mapping(&parts, &mine, &theirs) => {
            let value = Value::Map(entries(mine, theirs, path, ports));
            Node::new(over.at, value)
        }
        (Value::List(mine), Value::List(theirs)) => Node::new(over.at, Value::List(lists(&parts, mine, theirs))),
        (_, value) => Node::new(over.at, value),
    }
}

fn entries(mut mine: Vec<(Key, Node)>, theirs: Vec<(Key, Node)>, path: &mut Vec<String>, ports: &mut usize) -> Vec<(Key, Node)> {
    let reset: BTreeSet<String> =
        theirs.iter().filter(|(_, node)| node.merging == Merging::Reset).map(|(key, _)| key.text.clone()).collect();
    mine.retain(|(key, _)| !reset.contains(&key.text));
    if path.len() == 2 && matches!(path[0].as_str(), "secrets" | "configs") && has_source(&theirs) {
        mine.retain(|(key, _)| !SOURCES.contains(&key.text.as_str()));
    }
    let known: BTreeMap<String, usize> = mine.iter().enumerate().map(|(index, (key, _))| (key.text.clone(), index)).collect();
    for (key, node) in theirs.into_iter().filter(|(key, _)| !reset.contains(&key.text)) {
        let Some(index) = known.get(&key.text).copied() else {
            mine.push((key, without_resets(node)));
            continue;
        };
        path.push(key.text);
        let earlier = std::mem::replace(&mut mine[index].1, Node::new(node.at, Value::Null));
        mine[index].1 = merge(earlier, node, path, ports);
        path.pop();
    }
    if path.len() == 2 && path[0] == "services" {
        mine.iter_mut().for_each(|(key, node)| sort_keyed(&["services", "", &key.text], node));
    }
    mine
}

/// What removes something where there is nothing is nothing.
fn without_resets(node: Node) -> Node {
    let value = match node.value {
        Value::Map(entries) => {
            let kept = entries.into_iter().filter(|(_, node)| node.merging != Merging::Reset);
            Value::Map(kept.map(|(key, node)| (key, without_resets(node))).collect())
        }
        other => other,
    };
    Node { value, ..node }
}

/// A change of the log driver takes its options with it; a ulimit is one value; an object is made here or elsewhere.
fn replaces_mapping(path: &[&str], mine: &[(Key, Node)], theirs: &[(Key, Node)]) -> bool {
    let text = |entries: &[(Key, Node)], name: &str| entries.iter().find(|(key, _)| key.text == name).and_then(|(_, node)| node.scalar());
    match path {
        ["services", _, "ulimits", _] => true,
        ["volumes" | "secrets" | "configs", _] => replaces_object(mine, theirs),
        ["services", _, "logging"] => match (text(mine, "driver"), text(theirs, "driver")) {
            (Some(mine), Some(theirs)) => mine != theirs,
            _ => false,
        },
        _ => false,
    }
}

/// Nothing of an object that was made here is left of one that is made elsewhere, and the other way round.
fn replaces_object(mine: &[(Key, Node)], theirs: &[(Key, Node)]) -> bool {
    match (is_external(mine), is_external(theirs)) {
        (mine, Some(true)) => mine != Some(true),
        (Some(true), None) => has_source(theirs),
        _ => false,
    }
}

fn is_external(entries: &[(Key, Node)]) -> Option<bool> {
    let (_, node) = entries.iter().find(|(key, _)| key.text == "external")?;
    Some(match &node.value {
        Value::Bool(external) => *external,
        Value::Text(text) => matches!(text.to_ascii_lowercase().as_str(), "y" | "yes" | "true" | "on"),
        Value::Map(_) => true,
        _ => false,
    })
}

fn has_source(entries: &[(Key, Node)]) -> bool {
    entries.iter().any(|(key, _)| SOURCES.contains(&key.text.as_str()))
}

/// Brings two spellings of one thing to the same shape.
fn shaped(path: &[&str], base: Node, over: Node, ports: &mut usize) -> (Node, Node) {
    match path {
        ["services", _, "ports"] => (single_ports(base, ports), single_ports(over, ports)),
        ["services", _, "environment"] => (mapping(base), mapping(over)),
        ["services", _, "labels" | "sysctls"] | ["services", _, "deploy", "labels"] | [_, _, "labels"] => {
            (texts(mapping(base)), texts(mapping(over)))
        }
        ["services", _, "logging", "options"] => (texts(base), texts(over)),
        ["services", _, "networks"] if is_map(&base) || is_map(&over) => (mapping(base), mapping(over)),
        ["services", _, "extra_hosts"] => (host_list(base), host_list(over)),
        ["services", _, "dns" | "dns_search" | "tmpfs"] => (list(base), list(over)),
        _ => (base, over),
    }
}

fn is_map(node: &Node) -> bool {
    matches!(node.value, Value::Map(_))
}

/// A list of `name` or `name=value` as a mapping.
pub(super) fn mapping(node: Node) -> Node {
    let Value::List(items) = node.value else { return node };
    let mut entries = BTreeMap::new();
    for item in items {
        let Some(text) = item.scalar() else { continue };
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), Value::Text(value.to_owned())),
            None => (text, Value::Null),
        };
        entries.insert(name, Node::new(item.at, value));
    }
    let at = node.at;
    let entries = entries.into_iter().map(|(text, node)| (Key { at: node.at, text }, node)).collect();
    Node { at, value: Value::Map(entries), merging: node.merging }
}

/// A name alone has an empty text here, which overrides.
pub(super) fn texts(mut node: Node) -> Node {
    if let Value::Map(entries) = &mut node.value {
        let nothing = |node: &&mut Node| node.value == Value::Null && node.merging == Merging::Usual;
        entries.iter_mut().map(|(_, node)| node).filter(nothing).for_each(|node| node.value = Value::Text(String::new()));
    }
    node
}

/// A mapping of hosts as the list that the CLI makes of it.
fn host_list(node: Node) -> Node {
    if !is_map(&node) {
        return node;
    }
    let pair = |(key, node): &(Key, Node)| Some(Node::new(node.at, Value::Text(format!("{}={}", key.text, node.scalar()?))));
    let mut lines: Vec<Node> = node.entries().iter().filter_map(pair).collect();
    lines.sort_by_cached_key(|line| line.scalar().map(|text| text.replacen('=', ":", 1)));
    Node { at: node.at, value: Value::List(lines), merging: node.merging }
}

/// A single text as a list of one.
pub(super) fn list(node: Node) -> Node {
    if matches!(node.value, Value::Text(_)) { Node::new(node.at, Value::List(vec![node])) } else { node }
}

fn rule(path: &[&str]) -> Rule {
    match path {
        ["services", _, "command" | "entrypoint"] | ["services", _, "healthcheck", "test"] => Rule::Replace,
        ["services", _, "volumes"] => Rule::Keyed(mount_target),
        ["services", _, "secrets" | "configs"] => Rule::Keyed(reference_key),
        ["services", _, "ports"] => Rule::Keyed(port_identity),
        ["services", _, "networks"] => Rule::Keyed(Node::scalar),
        ["networks", _, "ipam", "config"] => Rule::Keyed(|pool| pool.get("subnet").and_then(Node::scalar)),
        _ => Rule::Append,
    }
}

fn lists(path: &[&str], mut mine: Vec<Node>, theirs: Vec<Node>) -> Vec<Node> {
    match rule(path) {
        Rule::Replace => theirs,
        Rule::Append => {
            mine.extend(theirs);
            mine
        }
        Rule::Keyed(key) => {
            let replaced: BTreeSet<String> = theirs.iter().filter_map(key).collect();
            mine.retain(|node| key(node).is_none_or(|key| !replaced.contains(&key)));
            mine.extend(theirs);
            mine
        }
    }
}

/// The CLI sorts these lists of a service that two files mention, even when only one of them has any.
fn sort_keyed(path: &[&str], node: &mut Node) {
    let key: fn(&Node) -> Option<String> = match path {
        ["services", _, "volumes"] => mount_target,
        ["services", _, "secrets" | "configs"] => |node| node.scalar().or_else(|| node.get("source").and_then(Node::scalar)),
        _ => return,
    };
    if let Value::List(items) = &mut node.value {
        items.sort_by_cached_key(key);
    }
}

/// A secret or config is the same in the same file of the container.
pub(super) fn reference_key(node: &Node) -> Option<String> {
    let part = |name| node.get(name).and_then(Node::scalar).filter(|text| !text.is_empty());
    let source = node.scalar().or_else(|| part("source"))?;
    let target = part("target").unwrap_or_else(|| source.clone());
    Some(format!("{source}\0{target}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::yaml::parse;

    fn merged(base: &str, over: &str) -> Node {
        let service = |text: &str| parse(0, &format!("services: {{a: {{{text}}}}}")).unwrap().tree;
        files(service(base), service(over), &mut 0).get("services").unwrap().get("a").unwrap().clone()
    }

    #[test]
    fn nothing_is_lost_and_false_zero_and_empty_override() {
        for (base, over, expected) in [
            ("read_only: true, tty: true", "read_only: false", "read_only: false, tty: true"),
            ("hostname: h", "hostname: ''", "hostname: ''"),
            ("command: [a, b]", "command: []", "command: []"),
            ("healthcheck: {test: [CMD, a], retries: 2}", "healthcheck: {test: [CMD, b]}", "healthcheck: {test: [CMD, b], retries: 2}"),
            ("cap_add: [A]", "cap_add: [B]", "cap_add: [A, B]"),
            ("environment: [A=1, B=2]", "environment: {A: '', C: 3}", "environment: {A: '', B: '2', C: 3}"),
            ("deploy: {replicas: 2, mode: replicated}", "deploy: {replicas: 0}", "deploy: {replicas: 0, mode: replicated}"),
            ("dns: 1.1.1.1", "dns: [8.8.8.8]", "dns: [1.1.1.1, 8.8.8.8]"),
            ("ulimits: {nofile: {soft: 1, hard: 2}}", "ulimits: {nofile: 7}", "ulimits: {nofile: 7}"),
            ("logging: {driver: a, options: {x: 1}}", "logging: {driver: b}", "logging: {driver: b}"),
            ("logging: {options: {x: 1}}", "logging: {driver: b, options: {y: 2}}", "logging: {driver: b, options: {x: 1, y: 2}}"),
            ("labels: {a: b, c: d}", "labels: [a]", "labels: {a: '', c: d}"),
            ("environment: {A: 1}", "environment: [A]", "environment: {A: 1}"),
            ("networks: {n: {aliases: [x]}}", "networks: [n, m]", "networks: {n: {aliases: [x]}, m: null}"),
            ("volumes: ['/z:/z', '/a:/a']", "volumes: ['/b:/z']", "volumes: ['/a:/a', '/b:/z']"),
            (
                "secrets: [k, {source: k, target: t}]",
                "secrets: [{source: k, mode: 1}]",
                "secrets: [{source: k, target: t}, {source: k, mode: 1}]",
            ),
            ("extra_hosts: {b: 1.1.1.1, a: '::1'}", "extra_hosts: ['c:2.2.2.2']", "extra_hosts: ['a=::1', 'b=1.1.1.1', 'c:2.2.2.2']"),
            ("cap_add: [A]", "cap_add: !override [B]", "cap_add: [B]"),
            ("cap_add: [A], tty: true", "cap_add: !reset null", "tty: true"),
            ("tty: true", "environment: {A: !reset null, B: b}", "tty: true, environment: {B: b}"),
        ] {
            let wanted = merged(expected, "");
            let got = merged(base, over);
            assert!(got.same(&wanted), "{base} + {over}: {got:?}");
        }
    }

    #[test]
    fn an_object_has_one_source() {
        for (base, over, expected) in [
            ("{file: a, labels: {x: y}}", "{content: b}", "{labels: {x: y}, content: b}"),
            ("{file: a}", "{labels: {x: y}}", "{file: a, labels: {x: y}}"),
            ("{file: a, name: n}", "{external: true}", "{external: true}"),
            ("{external: true, name: n}", "{file: a}", "{file: a}"),
            ("{external: true}", "{name: n}", "{external: true, name: n}"),
            ("{external: {name: n}}", "{external: 'yes'}", "{external: 'yes'}"),
            ("{file: a}", "{external: false, name: n}", "{file: a, external: false, name: n}"),
        ] {
            let object = |text: &str| parse(0, &format!("secrets: {{s: {text}}}")).unwrap().tree;
            let got = files(object(base), object(over), &mut 0);
            assert!(got.same(&object(expected)), "{base} + {over}: {got:?}");
        }
    }

    #[test]
    fn ports_are_one_by_all_four_of_their_parts() {
        let merged = merged("ports: ['443:443', '443:443/udp', '80', '81']", "ports: ['443:443', '82']");
        let Some(Value::List(ports)) = merged.get("ports").map(|ports| &ports.value) else { panic!("{merged:?}") };
        let keys: Vec<String> = ports.iter().filter_map(port_identity).collect();
        assert_eq!(keys, ["443/443/udp/ingress", "0/80/tcp/ingress", "0/81/tcp/ingress", "443/443/tcp/ingress", "0/82/tcp/ingress"]);
    }
}

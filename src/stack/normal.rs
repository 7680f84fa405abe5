//! The files of a stack as one, in which every short form is spelled out (as `docker stack config` shows
//! it): read again by itself it comes to the same specs. Pure.

use super::load::{Context, Item, Path, Profiles, command_words, join, long_ports, mount};
use super::merge::{list, mapping, texts};
use super::yaml::{Key, Node, Value, resolve, write};
use super::{Binds, StackError};
use std::collections::BTreeSet;

/// What stands first; everything else follows by name.
const FIRST: [&str; 5] = ["services", "networks", "volumes", "secrets", "configs"];

/// Where numbers and booleans stand, which variables leave as texts; `*` is any key or item.
const TYPED: &[&str] = &[
    "services.*.configs.*.mode",
    "services.*.deploy.placement.max_replicas_per_node",
    "services.*.deploy.replicas",
    "services.*.deploy.resources.limits.pids",
    "services.*.deploy.restart_policy.max_attempts",
    "services.*.deploy.rollback_config.max_failure_ratio",
    "services.*.deploy.rollback_config.parallelism",
    "services.*.deploy.update_config.max_failure_ratio",
    "services.*.deploy.update_config.parallelism",
    "services.*.healthcheck.disable",
    "services.*.healthcheck.retries",
    "services.*.init",
    "services.*.oom_score_adj",
    "services.*.ports.*.published",
    "services.*.ports.*.target",
    "services.*.privileged",
    "services.*.read_only",
    "services.*.secrets.*.mode",
    "services.*.stdin_open",
    "services.*.tty",
    "services.*.ulimits.*",
    "services.*.ulimits.*.hard",
    "services.*.ulimits.*.soft",
    "services.*.volumes.*.read_only",
    "services.*.volumes.*.volume.nocopy",
    "networks.*.attachable",
    "networks.*.external",
    "networks.*.internal",
    "volumes.*.external",
    "secrets.*.external",
    "configs.*.external",
];

/// The normal form of a merged tree. Its texts are as they are meant: see [`escape`].
pub fn of(cx: &Context<'_>, mut tree: Node) -> Result<Node, StackError> {
    // Any version is read as the newest.
    tree.remove("version");
    if let Some(services) = tree.get_mut("services") {
        let Value::Map(entries) = std::mem::replace(&mut services.value, Value::Null) else { return Ok(tree) };
        let active = Profiles::new(cx.env);
        let (mut normal, mut ports) = (Vec::new(), 0);
        for (key, mut node) in entries {
            let path = Path::default().key("services").key(&key.text);
            if let Some(profiles) = node.remove("profiles") {
                let profiles = Item { cx, node: &profiles, path: path.key("profiles") };
                if !active.choose(&profiles.texts()?) {
                    continue;
                }
            }
            let node = service(cx, node, &path, &mut ports)?;
            normal.push((key, node));
        }
        services.value = Value::Map(normal);
    }
    for section in ["secrets", "configs"] {
        each(tree.get_mut(section), |content| {
            let Some(file) = content.get_mut("file") else { return };
            if let Value::Text(path) = &file.value {
                file.value = Value::Text(from_base(cx, file, path));
            }
        });
    }
    for section in FIRST {
        let labels = |object: &mut Node| replace(object, "labels", |labels| plain(texts(mapping(labels))));
        each(tree.get_mut(section).filter(|_| section != "services"), labels);
    }
    for path in TYPED {
        // A mode is octal where it begins with 0; all else is read as it would be where it is a text.
        let read = if path.ends_with(".mode") { resolve } else { decimal };
        typed(&mut tree, &path.split('.').collect::<Vec<_>>(), read);
    }
    sorted(&mut tree);
    if let Value::Map(entries) = &mut tree.value {
        entries.sort_by_key(|(key, _)| FIRST.iter().position(|first| *first == key.text).unwrap_or(FIRST.len()));
    }
    Ok(tree)
}

/// What secrets and configs of a tree take their contents from: their texts under this key.
pub fn contents(tree: &Node, key: &str) -> BTreeSet<String> {
    let objects = ["secrets", "configs"].into_iter().filter_map(|section| tree.get(section)).flat_map(Node::entries);
    let named = objects.filter_map(|(_, object)| match &object.get(key)?.value {
        Value::Text(name) => Some(name.clone()),
        _ => None,
    });
    named.collect()
}

fn typed(node: &mut Node, path: &[&str], read: fn(&str) -> Option<Value>) {
    match (path, &mut node.value) {
        ([], Value::Text(text)) => {
            let value = match text.to_ascii_lowercase().as_str() {
                "y" | "yes" | "on" => Some(Value::Bool(true)),
                "n" | "no" | "off" => Some(Value::Bool(false)),
                lower => read(lower),
            };
            node.value = value.unwrap_or_else(|| Value::Text(text.clone()));
        }
        (["*", rest @ ..], Value::Map(entries)) => entries.iter_mut().for_each(|(_, node)| typed(node, rest, read)),
        (["*", rest @ ..], Value::List(items)) => items.iter_mut().for_each(|node| typed(node, rest, read)),
        ([name, rest @ ..], Value::Map(_)) => {
            if let Some(node) = node.get_mut(name) {
                typed(node, rest, read);
            }
        }
        _ => {}
    }
}

fn decimal(text: &str) -> Option<Value> {
    text.parse().ok().map(Value::Int).or_else(|| resolve(text))
}

fn service(cx: &Context<'_>, mut node: Node, path: &Path<'_>, ports: &mut usize) -> Result<Node, StackError> {
    for (key, node) in entries_mut(&mut node) {
        let old = std::mem::replace(node, Node::new(node.at, Value::Null));
        *node = match key.text.as_str() {
            "ports" => long(old, ports),
            name => option(cx, name, old, &path.key(name))?,
        };
    }
    Ok(node)
}

/// One option of a service.
fn option(cx: &Context<'_>, name: &str, mut node: Node, path: &Path<'_>) -> Result<Node, StackError> {
    Ok(match name {
        "environment" => plain(mapping(node)),
        "labels" | "sysctls" => plain(texts(mapping(node))),
        "networks" => mapping(node),
        "dns" | "dns_search" | "tmpfs" => list(node),
        "secrets" | "configs" => items(node, |item| match &item.value {
            Value::Text(_) => Ok(map(&item, vec![("source", item.value.clone())])),
            _ => Ok(item),
        })?,
        "volumes" => items(node, |item| volume(cx, item, path))?,
        "command" | "entrypoint" => words(cx, node, path)?,
        "healthcheck" => {
            replace(&mut node, "test", |test| match &test.value {
                Value::Text(text) => texts_of(&test, vec!["CMD-SHELL".to_owned(), text.clone()]),
                _ => test,
            });
            node
        }
        "deploy" => {
            replace(&mut node, "labels", |labels| plain(texts(mapping(labels))));
            node
        }
        _ => node,
    })
}

/// The long form; but ports that are equal in it may stand beside each other only in their spellings.
fn long(node: Node, ports: &mut usize) -> Node {
    let long = long_ports(node.clone(), ports);
    let Value::List(items) = &long.value else { return node };
    let spellings: BTreeSet<String> = items.iter().map(write).collect();
    if spellings.len() == items.len() { long } else { node }
}

fn words(cx: &Context<'_>, node: Node, path: &Path<'_>) -> Result<Node, StackError> {
    let words = command_words(&Item { cx, node: &node, path: path.clone() })?;
    Ok(texts_of(&node, words))
}

/// The long form, with an absolute source where it is a path.
fn volume(cx: &Context<'_>, mut node: Node, path: &Path<'_>) -> Result<Node, StackError> {
    let mount = mount(&Item { cx, node: &node, path: path.clone() })?;
    let text = |text: &str| Value::Text(text.to_owned());
    if matches!(node.value, Value::Map(_)) {
        if mount.kind == "bind" {
            node.set("source", Node::new(node.at, text(&mount.source)));
        }
        return Ok(node);
    }
    let mut fields = vec![("type", text(&mount.kind))];
    if !mount.source.is_empty() {
        fields.push(("source", text(&mount.source)));
    }
    fields.push(("target", text(&mount.target)));
    if mount.read_only {
        fields.push(("read_only", Value::Bool(true)));
    }
    if let Some(propagation) = &mount.bind {
        fields.push(("bind", map(&node, vec![("propagation", text(propagation))]).value));
    }
    if mount.volume.is_some_and(|volume| volume.no_copy) {
        fields.push(("volume", map(&node, vec![("nocopy", Value::Bool(true))]).value));
    }
    Ok(map(&node, fields))
}

/// A path from the folder of its file, absolute where there is a folder to start from.
fn from_base(cx: &Context<'_>, node: &Node, path: &str) -> String {
    let path = join(&cx.folder(node.at), path);
    match cx.binds {
        Binds::From { base, .. } => join(&base.to_string_lossy(), &path),
        Binds::Refused => path,
    }
}

fn map(at: &Node, fields: Vec<(&str, Value)>) -> Node {
    let entry = |(text, value): (&str, Value)| (Key { at: at.at, text: text.to_owned() }, Node::new(at.at, value));
    Node::new(at.at, Value::Map(fields.into_iter().map(entry).collect()))
}

fn texts_of(at: &Node, texts: Vec<String>) -> Node {
    Node::new(at.at, Value::List(texts.into_iter().map(|text| Node::new(at.at, Value::Text(text))).collect()))
}

/// Every item of a list, remade.
fn items(node: Node, mut remake: impl FnMut(Node) -> Result<Node, StackError>) -> Result<Node, StackError> {
    let Value::List(items) = node.value else { return Ok(node) };
    let items = items.into_iter().map(&mut remake).collect::<Result<_, _>>()?;
    Ok(Node::new(node.at, Value::List(items)))
}

/// Numbers and booleans as the texts that are sent. An empty name can stand in a list alone.
fn plain(mut node: Node) -> Node {
    for (_, node) in entries_mut(&mut node) {
        if let Some(text) = node.scalar() {
            node.value = Value::Text(text);
        }
    }
    if node.get("").is_none() {
        return node;
    }
    let pair = |(name, value): &(Key, Node)| value.scalar().map_or(name.text.clone(), |value| format!("{}={value}", name.text));
    texts_of(&node, node.entries().iter().map(pair).collect())
}

fn entries_mut(node: &mut Node) -> impl Iterator<Item = &mut (Key, Node)> {
    let entries: &mut [(Key, Node)] = if let Value::Map(entries) = &mut node.value { entries } else { &mut [] };
    entries.iter_mut()
}

fn each(section: Option<&mut Node>, mut change: impl FnMut(&mut Node)) {
    section.into_iter().flat_map(entries_mut).for_each(|(_, node)| change(node));
}

fn replace(node: &mut Node, key: &str, change: impl FnOnce(Node) -> Node) {
    if let Some(old) = node.get(key).cloned() {
        node.set(key, change(old));
    }
}

/// Mappings in the order of their keys.
fn sorted(node: &mut Node) {
    match &mut node.value {
        Value::Map(entries) => {
            entries.sort_by(|(a, _), (b, _)| a.text.cmp(&b.text));
            entries.iter_mut().for_each(|(_, node)| sorted(node));
        }
        Value::List(items) => items.iter_mut().for_each(sorted),
        _ => {}
    }
}

/// So that a `$` of a value begins no variable when the text is read again.
pub fn escape(node: &mut Node) {
    match &mut node.value {
        Value::Text(text) if text.contains('$') => *text = text.replace('$', "$$"),
        Value::Map(entries) => entries.iter_mut().for_each(|(_, node)| escape(node)),
        Value::List(items) => items.iter_mut().for_each(escape),
        _ => {}
    }
}

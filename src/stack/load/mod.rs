//! The text of Compose files to a typed model: what is read here stands by itself; what refers to other
//! parts of the stack is resolved by `convert`.

mod container;
mod context;
mod deploy;
mod environment;
mod files;
mod ignored;
mod image;
mod item;
pub mod model;
mod mounts;
mod nearest;
mod objects;
mod ports;
mod quantity;
mod service;
mod unique;
mod words;

pub use context::{Context, join};
pub use environment::{InvalidVariables, parse as variables};
pub use files::{Profiles, tree};
pub use item::Item;
pub use mounts::{target as mount_target, volume as mount};
pub use service::command as command_words;

use super::yaml::{Key, Node, Value};
use super::{Source, StackError};
use ignored::Shape;
use model::Model;
use objects::Kind;
use std::collections::BTreeMap;

/// Reads the files of a stack.
pub fn read(cx: &Context<'_>, source: &Source<'_>) -> Result<Model, StackError> {
    let tree = files::tree(cx, source)?;
    let root = Item::root(cx, &tree);
    let mut fields = root.fields()?;
    fields.take("version");
    fields.read("name", |name| {
        name.text()?;
        name.warn("has no effect: the command names the stack");
        Ok(())
    })?;
    fields.ignore(&[("models", Shape::Map, "Swarm runs no models")])?;
    let model = Model {
        services: fields.read("services", |item| services(item, source.env))?.unwrap_or_default(),
        networks: fields.read("networks", |item| section(item, objects::network))?.unwrap_or_default(),
        volumes: fields.read("volumes", |item| section(item, checked(objects::volume)))?.unwrap_or_default(),
        secrets: fields
            .read("secrets", |item| section(item, checked(|item, key| objects::content(item, key, Kind::Secret))))?
            .unwrap_or_default(),
        configs: fields
            .read("configs", |item| section(item, checked(|item, key| objects::content(item, key, Kind::Config))))?
            .unwrap_or_default(),
    };
    fields.finish()?;
    Ok(model)
}

fn section<T>(item: &Item<'_>, read: impl Fn(&Item<'_>, &str) -> Result<T, StackError>) -> Result<BTreeMap<String, T>, StackError> {
    item.named()?.into_iter().map(|(name, item)| Ok((name.to_owned(), read(&item, name)?))).collect()
}

/// Names of services, volumes, secrets and configs; those of networks are free in the CLI too.
fn checked<T>(read: impl Fn(&Item<'_>, &str) -> Result<T, StackError>) -> impl Fn(&Item<'_>, &str) -> Result<T, StackError> {
    move |item, name| if is_plain(name) { read(item, name) } else { Err(bad_name(item, name)) }
}

fn bad_name(item: &Item<'_>, name: &str) -> StackError {
    item.invalid(format!("the name {name:?} may hold only letters, digits, '.', '_' and '-'"))
}

/// Whether the schema of the CLI knows the name.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Those whose profiles are on.
fn services(item: &Item<'_>, env: &BTreeMap<String, String>) -> Result<BTreeMap<String, model::Service>, StackError> {
    let active = Profiles::new(env);
    let mut services = BTreeMap::new();
    for (name, item) in item.named()? {
        if !is_plain(name) {
            return Err(bad_name(&item, name));
        }
        if let Some(profiles) = item.get("profiles")
            && !active.choose(&profiles.texts()?)
        {
            profiles.warn("the service is left out: none of its profiles is in the variable COMPOSE_PROFILES");
            continue;
        }
        services.insert(name.to_owned(), service::read(&item)?);
    }
    Ok(services)
}

/// Ports of all spellings as one mapping each, so that they can be compared; one that cannot be read
/// stays as it is, and reading it says why.
pub fn port_nodes(node: Node) -> Node {
    let Value::List(items) = node.value else { return node };
    let expand = |item: Node| {
        let Some(text) = item.scalar() else { return vec![item] };
        let Ok(ports) = ports::short_ports(&text) else { return vec![item] };
        let entry = |text: &str, value: Value| (Key { at: item.at, text: text.to_owned() }, Node::new(item.at, value));
        ports
            .into_iter()
            .map(|port| {
                let entries = vec![
                    entry("target", Value::Int(port.target_port.into())),
                    entry("published", Value::Int(port.published_port.into())),
                    entry("protocol", Value::Text(port.protocol)),
                    entry("mode", Value::Text(port.publish_mode)),
                ];
                Node::new(item.at, Value::Map(entries))
            })
            .collect()
    };
    Node { value: Value::List(items.into_iter().flat_map(expand).collect()), at: node.at, merging: node.merging }
}

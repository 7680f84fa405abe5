//! The text of Compose files to a typed model: what is read here stands by itself; what refers to other
//! parts of the stack is resolved by `convert`.

mod container;
mod context;
mod deploy;
mod environment;
mod extends;
mod files;
mod ignored;
mod image;
mod include;
mod item;
pub mod model;
mod mounts;
mod nearest;
mod objects;
mod path;
mod ports;
mod profiles;
mod quantity;
mod service;
mod unique;
mod words;

pub use context::{Absent, Context, Places, join};
pub use environment::{InvalidVariables, parse as variables};
pub use files::tree;
pub use item::Item;
pub use mounts::{target as mount_target, volume as mount};
pub use path::{Path, Spot};
pub use ports::{identity as port_identity, long_forms as long_ports, singles as single_ports};
pub use profiles::Profiles;
pub use service::command as command_words;

use super::StackError;
use super::yaml::Node;
use ignored::Shape;
use model::Model;
use objects::Kind;
use std::collections::BTreeMap;

/// Reads the files of a stack, which are one tree by now.
pub fn read<'a>(cx: &'a Context<'_>, tree: &'a Node) -> Result<Model<'a>, StackError> {
    let root = Item::root(cx, tree);
    let mut fields = root.fields()?;
    fields.take("version");
    fields.read("name", |name| {
        name.text()?;
        name.warn("has no effect: the command names the stack");
        Ok(())
    })?;
    fields.ignore(&[("models", Shape::Map, "Swarm runs no models")])?;
    let model = Model {
        services: fields.read("services", services)?.unwrap_or_default(),
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
fn services<'a>(item: &Item<'a>) -> Result<Vec<(String, model::Service<'a>)>, StackError> {
    let active = Profiles::new(item.cx.env);
    let named = item.named()?;
    item.cx.check_services(item.at(), named.len())?;
    let mut services = Vec::with_capacity(named.len());
    for (name, item) in named {
        if !is_plain(name) {
            return Err(bad_name(&item, name));
        }
        if let Some(profiles) = item.get("profiles")
            && !active.choose(&profiles.texts()?)
        {
            profiles.warn("the service is left out: none of its profiles is in the variable COMPOSE_PROFILES");
            continue;
        }
        services.push((name.to_owned(), service::read(&item)?));
    }
    services.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(services)
}

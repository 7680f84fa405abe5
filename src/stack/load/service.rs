//! One service (Compose Specification, "Services"): each key is read, named as not honoured, or refused. Here are those that
//! refer to the top level, `logging` and `credential_spec`; the others have files of their own. Pure.

use super::context::Counted;
use super::ignored::{IGNORED, Shape};
use super::item::{Fields, Item};
use super::model::{Attachment, Mount, Reference, Service};
use super::path::Spot;
use super::{container, deploy, image, mounts, ports, words};
use crate::stack::spec::{ContainerSpec, CredentialSpec, Driver, Privileges, StringMap};
use crate::stack::yaml::Value;
use crate::stack::{Rule, StackError};
use std::collections::BTreeMap;

/// Reads a service.
pub fn read<'a>(item: &Item<'a>) -> Result<Service<'a>, StackError> {
    let mut fields = item.fields()?;
    let mut container = ContainerSpec::default();
    let image = image_of(&mut fields, &mut container)?;
    read_process(&mut fields, &mut container)?;
    container::read(&mut fields, &mut container)?;
    let credential_config = credential(&mut fields, &mut container)?;
    let service = Service {
        image,
        mounts: read_mounts(&mut fields)?,
        networks: fields.read("networks", networks)?.unwrap_or_default(),
        secrets: fields.read("secrets", references)?.unwrap_or_default(),
        configs: fields.read("configs", references)?.unwrap_or_default(),
        credential_config,
        ports: fields.read("ports", ports::read)?.unwrap_or_default(),
        logging: fields.read("logging", logging)?,
        deploy: deploy::read(&mut fields)?,
        container,
    };
    // Whether it is part of the stack was decided before.
    fields.take("profiles");
    fields.ignore(IGNORED)?;
    fields.finish()?;
    Ok(service)
}

fn image_of(fields: &mut Fields<'_>, container: &mut ContainerSpec) -> Result<String, StackError> {
    let Some(item) = fields.take("image") else {
        if let Some(misspelt) = fields.misspelt("image") {
            return Err(misspelt);
        }
        let builds = if fields.take("build").is_some() { "; a swarm does not build: push the image to a registry and name it" } else { "" };
        return Err(fields.item().invalid(format!("has no image{builds}")));
    };
    let text = item.text()?;
    container.image = image::familiar(&text).map_err(|problem| item.invalid(format!("{text:?} names no image: {problem}")))?;
    Ok(text)
}

fn read_process(fields: &mut Fields<'_>, container: &mut ContainerSpec) -> Result<(), StackError> {
    container.command = fields.read("entrypoint", command)?.unwrap_or_default();
    container.args = fields.read("command", command)?.unwrap_or_default();
    let environment = fields.read("environment", Item::pairs)?.unwrap_or_default();
    let unique: BTreeMap<String, Option<String>> = environment.into_iter().collect();
    container.env = unique.into_iter().map(|(name, value)| value.map_or(name.clone(), |value| format!("{name}={value}"))).collect();
    container.env.sort();
    container.labels = fields.read("labels", Item::labels)?.unwrap_or_default();
    Ok(())
}

/// A text is split into words, a list stands as it is.
pub fn command(item: &Item<'_>) -> Result<Vec<String>, StackError> {
    match &item.node.value {
        Value::Text(text) => words::split(text).map_err(|problem| item.invalid(format!("{text:?} is no command: {problem}"))),
        Value::Null => Ok(Vec::new()),
        _ => item.texts(),
    }
}

fn read_mounts<'a>(fields: &mut Fields<'a>) -> Result<Vec<Mount<'a>>, StackError> {
    let volumes = fields.read("volumes", |item| item.list()?.iter().map(mounts::volume).collect::<Result<Vec<_>, _>>())?;
    let has_it = |tmpfs: &Mount<'_>| volumes.iter().flatten().any(|volume| volume.target == tmpfs.target);
    let tmpfs = fields.read("tmpfs", |item| {
        let mut mounts = mounts::tmpfs(item)?;
        // The CLI knows the other one alone, and Swarm takes no two.
        mounts.retain(|mount| !has_it(mount));
        if !mounts.is_empty() {
            item.deviates(Rule::Forgotten);
        }
        Ok(mounts)
    })?;
    Ok(volumes.into_iter().chain(tmpfs).flatten().collect())
}

fn networks<'a>(item: &Item<'a>) -> Result<BTreeMap<String, Attachment<'a>>, StackError> {
    if !matches!(item.node.value, Value::Map(_)) {
        let names = if item.is_null() { return Err(item.invalid("must be a list or a mapping, is nothing")) } else { item.list()? };
        return names.iter().map(|name| Ok((name.text()?, Attachment { at: name.spot(), ..Attachment::default() }))).collect();
    }
    let mut networks = BTreeMap::new();
    for (name, item) in item.named()? {
        let mut attachment = Attachment { at: item.spot(), ..Attachment::default() };
        if let Some(mut fields) = item.fields_or_nothing()? {
            attachment.aliases = fields.read("aliases", Item::texts)?.unwrap_or_default();
            attachment.driver_opts = fields.read("driver_opts", Item::options)?.unwrap_or_default();
            const NO_ADDRESS: &str = "Swarm assigns the addresses of tasks itself";
            fields.ignore(&[
                ("ipv4_address", Shape::Text, NO_ADDRESS),
                ("ipv6_address", Shape::Text, NO_ADDRESS),
                ("link_local_ips", Shape::Texts, NO_ADDRESS),
                ("mac_address", Shape::Text, NO_ADDRESS),
                ("gw_priority", Shape::Number, "Swarm chooses the default gateway"),
                ("interface_name", Shape::Text, "Swarm names the interfaces of tasks"),
                ("priority", Shape::Number, "Swarm orders networks by their names"),
            ])?;
            fields.finish()?;
        }
        networks.insert(name.to_owned(), attachment);
    }
    Ok(networks)
}

/// `secrets` and `configs` of a service. Keys of the long form match in any case and unknown ones pass,
/// as in the CLI, whose schema does not look into them.
fn references<'a>(item: &Item<'a>) -> Result<Vec<Reference<'a>>, StackError> {
    item.list()?.iter().map(reference).collect()
}

fn reference<'a>(item: &Item<'a>) -> Result<Reference<'a>, StackError> {
    item.cx.count(Counted::References, item.at(), &item.path, 1)?;
    let mut reference = Reference { at: item.spot(), ..Reference::default() };
    if !matches!(item.node.value, Value::Map(_)) {
        reference.source = item.text()?;
        return Ok(reference);
    }
    for (name, value) in item.named()? {
        match name.to_ascii_lowercase().as_str() {
            "source" => reference.source = value.text()?,
            "target" => reference.target = value.text()?,
            "uid" => reference.uid = Some(value.text()?),
            "gid" => reference.gid = Some(value.text()?),
            "mode" => reference.mode = Some(mode(&value)?),
            other if other.starts_with("x-") => {}
            _ => value.warn("is no key of a reference and has no effect"),
        }
    }
    if reference.source.is_empty() {
        return Err(item.invalid("has no source: name the key of the top level"));
    }
    Ok(reference)
}

/// Permission bits: a number, which YAML reads as octal when it begins with 0, or the same in quotes, which the CLI takes of a
/// variable only, and for decimal.
fn mode(item: &Item<'_>) -> Result<u32, StackError> {
    let octal = match &item.node.value {
        Value::Text(text) if text.starts_with('0') => {
            let octal = u32::from_str_radix(text, 8).ok();
            if octal != text.parse().ok() {
                item.deviates(Rule::Modes);
            }
            octal
        }
        _ => u32::try_from(item.truncated()?).ok(),
    };
    octal.ok_or_else(|| item.invalid("is no file mode such as 0440"))
}

fn logging(item: &Item<'_>) -> Result<Driver, StackError> {
    let mut fields = item.fields()?;
    let driver = Driver {
        name: fields.read("driver", Item::text)?.unwrap_or_default(),
        options: fields.read("options", logging_options)?.unwrap_or_default(),
    };
    fields.finish()?;
    Ok(driver)
}

/// Here nothing is an empty text.
fn logging_options(item: &Item<'_>) -> Result<StringMap, StackError> {
    let text = |item: &Item<'_>| if item.is_null() { Ok(String::new()) } else { item.text_or_number() };
    item.named()?.into_iter().map(|(name, item)| Ok((name.to_owned(), text(&item)?))).collect()
}

/// Windows' credential spec: one source of three. A config is looked up later.
fn credential<'a>(fields: &mut Fields<'a>, container: &mut ContainerSpec) -> Result<Option<(Spot<'a>, String)>, StackError> {
    let mut privileges = Privileges::default();
    let mut config = None;
    if let Some(item) = fields.take("credential_spec") {
        let mut parts = item.fields()?;
        let spec = CredentialSpec {
            config: parts.read("config", Item::text)?.unwrap_or_default(),
            file: parts.read("file", Item::text)?.unwrap_or_default(),
            registry: parts.read("registry", Item::text)?.unwrap_or_default(),
        };
        parts.finish()?;
        let sources = [&spec.config, &spec.file, &spec.registry].into_iter().filter(|part| !part.is_empty()).count();
        if sources > 1 {
            return Err(item.invalid("takes only one of config, file and registry"));
        }
        if !spec.config.is_empty() {
            config = Some((Spot { place: item.at(), path: item.path.key("config") }, spec.config.clone()));
        }
        privileges.credential_spec = (sources == 1).then_some(spec);
    }
    // The CLI always sends it: leaving it out would replace every task that the CLI made.
    container.privileges = Some(privileges);
    Ok(config)
}

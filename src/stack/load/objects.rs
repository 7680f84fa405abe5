//! `networks`, `volumes`, `secrets` and `configs` of the top level (the sections of the Compose Specification; docker/cli,
//! `config_schema_v3.13.json`): who made each, its name, and where the content of the last two comes from. Pure.

use super::ignored::Shape;
use super::item::{Fields, Item};
use super::model::{Content, Network, Volume};
use crate::domain::Sensitive;
use crate::stack::StackError;
use crate::stack::spec::{Driver, Ipam, IpamConfig};
use crate::stack::yaml::Value;

/// The engine takes no longer name for any object.
const MAX_NAME_BYTES: usize = 255;

/// Whether something is made by somebody else, and its name in the swarm.
struct Naming {
    external: bool,
    name: String,
}

/// What becomes of unknown keys below `external`: the CLI's schema does not look at those of contents.
enum Unknown {
    Refused,
    Named,
}

/// Every use of the object repeats it.
fn name(item: &Item<'_>) -> Result<String, StackError> {
    let name = item.text()?;
    if name.len() > MAX_NAME_BYTES { Err(item.invalid(format!("a name has at most {MAX_NAME_BYTES} bytes"))) } else { Ok(name) }
}

/// `external` in both forms, and `name`.
fn naming(fields: &mut Fields<'_>, key: &str, unknown: Unknown) -> Result<Naming, StackError> {
    let name = fields.read("name", name)?.unwrap_or_default();
    let Some(item) = fields.take("external") else { return Ok(Naming { external: false, name }) };
    if !matches!(item.node.value, Value::Map(_)) {
        let external = item.boolean()?;
        let name = if external && name.is_empty() { key.to_owned() } else { name };
        return Ok(Naming { external, name });
    }
    let mut external = item.fields()?;
    let older = external.read("name", self::name)?.unwrap_or_default();
    match unknown {
        Unknown::Refused => external.finish()?,
        Unknown::Named => external.finish_loosely(),
    }
    if !older.is_empty() && !name.is_empty() {
        return Err(item.invalid("external.name and name cannot both be there: use name"));
    }
    if !older.is_empty() {
        item.warn("external.name is deprecated: use external: true and name");
    }
    let name = [older, name].into_iter().find(|name| !name.is_empty()).unwrap_or_else(|| key.to_owned());
    Ok(Naming { external: true, name })
}

/// What somebody else makes is not as the file says.
fn no_effect(object: &Item<'_>, keys: &'static [&'static str]) {
    let given = keys.iter().filter_map(|key| object.get(key)).filter(|given| !given.is_null());
    given.for_each(|given| given.warn("has no effect: it is external, and made elsewhere"));
}

/// A network. Nothing is an empty one. Where its key has unusual characters the CLI's schema does not
/// look at it: unknown keys have no effect there.
pub fn network(item: &Item<'_>, key: &str) -> Result<Network, StackError> {
    let Some(mut fields) = item.fields_or_nothing()? else { return Ok(Network::default()) };
    let Naming { external, name } = naming(&mut fields, key, Unknown::Refused)?;
    let mut network = Network {
        name,
        external,
        driver: fields.read("driver", Item::text)?.unwrap_or_default(),
        driver_opts: fields.read("driver_opts", Item::options)?,
        ipam: fields.read("ipam", ipam)?.flatten(),
        enable_ipv6: None,
        internal: fields.read("internal", Item::boolean)?.unwrap_or_default(),
        attachable: fields.read("attachable", Item::boolean)?.unwrap_or_default(),
        labels: fields.read("labels", Item::labels)?.unwrap_or_default(),
    };
    if external {
        no_effect(item, &["driver", "driver_opts", "ipam", "internal", "attachable", "labels", "enable_ipv6"]);
    }
    if !super::is_plain(key) {
        fields.finish_loosely();
        return Ok(network);
    }
    network.enable_ipv6 = fields.read("enable_ipv6", Item::boolean)?;
    fields.ignore(&[("enable_ipv4", Shape::Bool, "Swarm's networks always have IPv4 addresses")])?;
    fields.finish()?;
    Ok(network)
}

/// Sent only where it says something.
fn ipam(item: &Item<'_>) -> Result<Option<Ipam>, StackError> {
    let mut fields = item.fields()?;
    let config: Vec<IpamConfig> = fields.read("config", |item| item.list()?.iter().map(pool).collect())?.unwrap_or_default();
    let ipam = Ipam {
        driver: fields.read("driver", Item::text)?.unwrap_or_default(),
        options: fields.read("options", Item::options)?.filter(|options| !options.is_empty()),
        config: (!config.is_empty()).then_some(config),
    };
    fields.finish()?;
    Ok((ipam != Ipam::default()).then_some(ipam))
}

fn pool(item: &Item<'_>) -> Result<IpamConfig, StackError> {
    let mut fields = item.fields()?;
    let pool = IpamConfig {
        subnet: fields.read("subnet", Item::text)?.unwrap_or_default(),
        ip_range: fields.read("ip_range", Item::text)?.unwrap_or_default(),
        gateway: fields.read("gateway", Item::text)?.unwrap_or_default(),
        auxiliary_addresses: fields.read("aux_addresses", Item::options)?.unwrap_or_default(),
    };
    fields.finish()?;
    Ok(pool)
}

/// A volume. Nothing is an empty one.
pub fn volume(item: &Item<'_>, key: &str) -> Result<Volume, StackError> {
    let Some(mut fields) = item.fields_or_nothing()? else { return Ok(Volume::default()) };
    let Naming { external, name } = naming(&mut fields, key, Unknown::Refused)?;
    let volume = Volume {
        name,
        external,
        driver: fields.read("driver", Item::text)?.unwrap_or_default(),
        driver_opts: fields.read("driver_opts", Item::options)?,
        labels: fields.read("labels", Item::labels)?.unwrap_or_default(),
    };
    fields.finish()?;
    let conflict = [
        ("driver", !volume.driver.is_empty()),
        ("driver_opts", volume.driver_opts.as_ref().is_some_and(|options| !options.is_empty())),
        ("labels", !volume.labels.is_empty()),
    ];
    match conflict.iter().find(|(_, there)| external && *there) {
        Some((key, _)) => Err(item.invalid(format!("an external volume is made elsewhere: remove {key}"))),
        None => Ok(volume),
    }
}

/// Where the two kinds of content differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// May come from a driver.
    Secret,
    /// May not.
    Config,
}

/// A secret or config, with its content.
pub fn content(item: &Item<'_>, key: &str, kind: Kind) -> Result<Content, StackError> {
    let mut fields = item.fields()?;
    let Naming { external, name } = naming(&mut fields, key, Unknown::Named)?;
    let labels = fields.read("labels", Item::labels)?.unwrap_or_default();
    let driver = if kind == Kind::Secret { driver(&mut fields)? } else { None };
    let template = fields.read("template_driver", Item::text)?.filter(|name| !name.is_empty());
    let templating = template.map(|name| Driver { name, ..Driver::default() });
    let sources = [("file", From::File), ("content", From::Content), ("environment", From::Environment)].into_iter();
    let sources: Vec<(From, Item<'_>)> = sources.filter_map(|(name, from)| Some((from, fields.take(name)?))).collect();
    let at = fields.item().clone();
    fields.finish()?;
    if external {
        no_effect(item, &["labels", "driver", "driver_opts", "template_driver", "file", "content", "environment"]);
        return Ok(Content { name, external, ..Content::default() });
    }
    let data = match (&driver, sources.as_slice()) {
        (Some(_), []) => Vec::new(),
        (None, [(from, source)]) => bytes(*from, source)?,
        (Some(_), [(_, source), ..]) => {
            return Err(source.invalid(format!("the driver of {} provides the content: remove the driver or this", at.path)));
        }
        (None, []) => return Err(at.invalid("has no content: give file, content or environment, or external: true")),
        (None, [_, (_, second), ..]) => return Err(second.invalid("there is another source of the content already: remove one")),
    };
    Ok(Content { name, external, data: Sensitive::new(data), driver, templating, labels })
}

fn driver(fields: &mut Fields<'_>) -> Result<Option<Driver>, StackError> {
    let name = fields.read("driver", Item::text)?.unwrap_or_default();
    let options = fields.take("driver_opts");
    if let Some(options) = options.as_ref().filter(|_| name.is_empty()) {
        options.warn("has no effect without a driver");
    }
    let options = options.map(|options| options.options()).transpose()?.unwrap_or_default();
    Ok((!name.is_empty()).then_some(Driver { name, options }))
}

/// Where a content comes from.
#[derive(Debug, Clone, Copy)]
enum From {
    File,
    Content,
    Environment,
}

fn bytes(from: From, source: &Item<'_>) -> Result<Vec<u8>, StackError> {
    let text = source.text()?;
    match from {
        From::File => Ok(source.cx.shipped(source.at(), &source.path, &text)?.unwrap_or_default().to_vec()),
        From::Content => Ok(text.into_bytes()),
        From::Environment => {
            let value = source.cx.take_variable(source.at(), &source.path, &text)?;
            value.map(String::into_bytes).ok_or_else(|| source.invalid(format!("the variable {text} is not among the command's")))
        }
    }
}

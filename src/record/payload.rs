//! The payloads of the commands that this version carries out.

use super::error::{WireError, kind};
use super::fields::Fields;
use super::limits::{
    MAX_FILES, MAX_KEPT_IMAGES, MAX_MANAGERS, MAX_REGISTRIES, MAX_REPLICAS, MAX_SERVICES, MAX_TAIL, MAX_TIMEOUT_SECONDS, MAX_VARIABLES,
};
use crate::domain::{
    Cancel, CommandId, Context, Deploy, GetStatus, Logs, OnFailure, ProjectId, Prune, RegistryCredential, Release, Remove, ResolveImage,
    Rollback, Scale, Selection, Sensitive, StackName, SwarmAddresses, SwarmJoin, SwarmLeave, Target, Timestamp, Update,
};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;
use std::collections::BTreeMap;

/// The standard alphabet (RFC 4648, section 4), with or without its padding.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// So many lines of a log where the command does not say.
const TAIL: u64 = 100;
/// So many images of a repository stay where the command does not say: the one to go back to.
const KEPT_IMAGES: u64 = 1;

pub(super) fn deploy(mut payload: Fields, context: &mut Context) -> Result<Deploy, WireError> {
    let target = required_target(&mut payload, context)?;
    let compose = payload.required_text("docker_stack_yml", "the text of the Compose file")?;
    let unsaid = Deploy::of(target, compose);
    Ok(Deploy {
        env: Sensitive::new(variables(&mut payload)?),
        files: Sensitive::new(files(&mut payload)?),
        prune: payload.flag("prune")?.unwrap_or(unsaid.prune),
        resolve_image: payload
            .choice(
                "resolve_image",
                &[("always", ResolveImage::Always), ("changed", ResolveImage::Changed), ("never", ResolveImage::Never)],
            )?
            .unwrap_or(unsaid.resolve_image),
        registry_auth: registry_auth(&mut payload)?,
        on_failure: payload
            .choice("on_failure", &[("rollback", OnFailure::Rollback), ("pause", OnFailure::Pause), ("leave", OnFailure::Leave)])?
            .unwrap_or(unsaid.on_failure),
        timeout_seconds: timeout(&mut payload)?,
        dry_run: payload.flag("dry_run")?.unwrap_or(unsaid.dry_run),
        adopt: payload.flag("adopt")?.unwrap_or(unsaid.adopt),
        ..unsaid
    })
}

pub(super) fn remove(mut payload: Fields, context: &mut Context) -> Result<Remove, WireError> {
    Ok(Remove { target: required_target(&mut payload, context)?, volumes: payload.flag("volumes")?.unwrap_or(false) })
}

pub(super) fn scale(mut payload: Fields, context: &mut Context) -> Result<Scale, WireError> {
    const EXPECTED: &str = "an object of services and their replicas, such as {\"web\": 3}";
    let target = required_target(&mut payload, context)?;
    let mut given = payload.object("services", EXPECTED, MAX_SERVICES)?;
    let mut services = BTreeMap::new();
    for name in given.keys() {
        let Some(replicas) = given.whole(&name, 0..=MAX_REPLICAS)? else {
            return Err(WireError::Missing { path: given.path(&name), expected: "the number of replicas" });
        };
        services.insert(name, replicas);
    }
    if services.is_empty() {
        return Err(WireError::Missing { path: payload.path("services"), expected: EXPECTED });
    }
    Ok(Scale { target, services, timeout_seconds: timeout(&mut payload)? })
}

/// Services by their names; all where there are none.
pub(super) fn selection(mut payload: Fields, context: &mut Context) -> Result<Selection, WireError> {
    let target = required_target(&mut payload, context)?;
    let services = payload.texts("services", "an array of services, such as [\"web\"]", MAX_SERVICES)?;
    Ok(Selection { target, services: services.into_iter().collect(), timeout_seconds: timeout(&mut payload)? })
}

pub(super) fn rollback(mut payload: Fields, context: &mut Context) -> Result<Rollback, WireError> {
    let target = required_target(&mut payload, context)?;
    Ok(Rollback {
        target,
        to_revision: payload.whole("to_revision", 1..=u64::MAX)?,
        timeout_seconds: timeout(&mut payload)?,
        dry_run: payload.flag("dry_run")?.unwrap_or(false),
    })
}

pub(super) fn swarm_init(mut payload: Fields, context: &mut Context) -> Result<SwarmAddresses, WireError> {
    speak_for_a_project(&mut payload, context)?;
    addresses(&mut payload)
}

pub(super) fn swarm_join(mut payload: Fields, context: &mut Context) -> Result<SwarmJoin, WireError> {
    const EXPECTED: &str = "an array of managers, such as [\"10.0.0.5:2377\"]";
    speak_for_a_project(&mut payload, context)?;
    let remotes = payload.texts("remote_addrs", EXPECTED, MAX_MANAGERS)?;
    if remotes.is_empty() {
        return Err(WireError::Missing { path: payload.path("remote_addrs"), expected: EXPECTED });
    }
    let token = Sensitive::new(payload.required_text("join_token", "the token that `docker swarm join-token` shows on a manager")?);
    Ok(SwarmJoin { addresses: addresses(&mut payload)?, remotes, token })
}

pub(super) fn swarm_leave(mut payload: Fields, context: &mut Context) -> Result<SwarmLeave, WireError> {
    speak_for_a_project(&mut payload, context)?;
    Ok(SwarmLeave { force: payload.flag("force")?.unwrap_or(false) })
}

fn addresses(payload: &mut Fields) -> Result<SwarmAddresses, WireError> {
    const EXPECTED: &str = "an address or the name of an interface";
    Ok(SwarmAddresses {
        advertise: payload.text("advertise_addr", EXPECTED)?,
        listen: payload.text("listen_addr", EXPECTED)?,
        data_path: payload.text("data_path_addr", EXPECTED)?,
    })
}

/// The project is not needed; where there is one, its events have it as their key.
fn speak_for_a_project(payload: &mut Fields, context: &mut Context) -> Result<(), WireError> {
    context.project_id = project(payload)?.or(context.project_id.take());
    Ok(())
}

/// One of them, or none: the version that is offered.
pub(super) fn update(mut payload: Fields, context: &mut Context) -> Result<Update, WireError> {
    speak_for_a_project(&mut payload, context)?;
    let version = payload.text("version", "the version, such as 1.4.0")?;
    let manifest = payload.text("manifest_url", "the https:// address of a signed manifest")?;
    let back = payload.flag("rollback")?.unwrap_or(false);
    let to = match (version, manifest, back) {
        (None, None, false) => Release::Newest,
        (Some(version), None, false) => Release::Version(version),
        (None, Some(url), false) if url.starts_with("https://") => Release::Manifest(url),
        (None, Some(_), false) => {
            let problem = "must be an https:// address".to_owned();
            return Err(WireError::Value { path: payload.path("manifest_url"), problem });
        }
        (None, None, true) => Release::Previous,
        _ => {
            let problem = "stands beside another of version, manifest_url and rollback: give one".to_owned();
            return Err(WireError::Value { path: payload.path("version"), problem });
        }
    };
    Ok(Update { to })
}

/// Nothing is removed that the payload does not name.
pub(super) fn prune(mut payload: Fields, context: &mut Context) -> Result<Prune, WireError> {
    speak_for_a_project(&mut payload, context)?;
    let mut flag = |key| payload.flag(key).map(|flag| flag.unwrap_or(false));
    let (images, containers, networks) = (flag("images")?, flag("containers")?, flag("networks")?);
    if !images && !containers && !networks {
        return Err(WireError::Missing { path: payload.path("images"), expected: "true for images, containers or networks" });
    }
    Ok(Prune { images, containers, networks, keep: payload.whole("keep", 0..=MAX_KEPT_IMAGES)?.unwrap_or(KEPT_IMAGES) })
}

/// A command that says all by its name.
pub(super) fn nothing(mut payload: Fields, context: &mut Context) -> Result<(), WireError> {
    speak_for_a_project(&mut payload, context)
}

pub(super) fn cancel(mut payload: Fields, context: &mut Context) -> Result<Cancel, WireError> {
    const EXPECTED: &str = "the UUID of the command to cancel";
    speak_for_a_project(&mut payload, context)?;
    let command = payload.parsed("command_id", EXPECTED, |text| CommandId::parse(text).map_err(|_| "expected a UUID"))?;
    let command = command.ok_or_else(|| WireError::Missing { path: payload.path("command_id"), expected: EXPECTED })?;
    Ok(Cancel { command })
}

pub(super) fn logs(mut payload: Fields, context: &mut Context) -> Result<Logs, WireError> {
    Ok(Logs {
        target: required_target(&mut payload, context)?,
        service: payload.required_text("service", "the name of a service, as in the Compose file")?,
        tail: payload.whole("tail", 1..=MAX_TAIL)?.unwrap_or(TAIL),
        since: payload.parsed("since", "an RFC 3339 time", Timestamp::parse)?,
    })
}

/// All stacks where the payload names no project and no stack.
pub(super) fn get_status(mut payload: Fields, context: &mut Context) -> Result<GetStatus, WireError> {
    let project = project(&mut payload)?;
    let stack = stack(&mut payload)?;
    if project.is_none() && stack.is_none() {
        return Ok(GetStatus { target: None });
    }
    target(&payload, project, stack, context).map(|target| GetStatus { target: Some(target) })
}

fn required_target(payload: &mut Fields, context: &mut Context) -> Result<Target, WireError> {
    let (project, stack) = (project(payload)?, stack(payload)?);
    target(payload, project, stack, context)
}

fn project(payload: &mut Fields) -> Result<Option<ProjectId>, WireError> {
    payload.parsed("project_id", "a string", |text| ProjectId::new(text))
}

fn stack(payload: &mut Fields) -> Result<Option<StackName>, WireError> {
    payload.parsed("stack_name", "a string", |text| StackName::new(text))
}

/// The payload's own project decides; the envelope's fills it where it is absent, and the other way
/// round, so that a refusal goes to the project's key too.
fn target(payload: &Fields, project: Option<ProjectId>, stack: Option<StackName>, context: &mut Context) -> Result<Target, WireError> {
    let Some(project) = project.or_else(|| context.project_id.clone()) else {
        return Err(WireError::Missing { path: payload.path("project_id"), expected: "the project that owns the stack" });
    };
    context.project_id.get_or_insert_with(|| project.clone());
    let stack = match stack {
        Some(stack) => stack,
        None => StackName::of_project(&project)
            .map_err(|error| WireError::Value { path: payload.path("stack_name"), problem: format!("is needed, since {error}") })?,
    };
    Ok(Target { project, stack })
}

fn timeout(payload: &mut Fields) -> Result<Option<u64>, WireError> {
    payload.whole("timeout_seconds", 1..=MAX_TIMEOUT_SECONDS)
}

/// Texts; whole numbers and booleans are taken as they are spelt. A fraction is not: 1.10 would become 1.1.
fn variables(payload: &mut Fields) -> Result<BTreeMap<String, String>, WireError> {
    const EXPECTED: &str = "a string";
    let mut given = payload.object("env_vars", "an object of names and values", MAX_VARIABLES)?;
    let mut variables = BTreeMap::new();
    for name in given.keys() {
        let text = match given.take(&name) {
            Some(Value::String(text)) => text,
            Some(Value::Bool(flag)) => flag.to_string(),
            Some(Value::Number(number)) if !number.is_f64() => number.to_string(),
            other => {
                let found = other.as_ref().map_or("null", kind);
                return Err(WireError::Shape { path: given.path(&name), expected: EXPECTED, found });
            }
        };
        variables.insert(name, text);
    }
    Ok(variables)
}

fn files(payload: &mut Fields) -> Result<BTreeMap<String, Vec<u8>>, WireError> {
    const EXPECTED: &str = "the file's content in base64";
    let mut given = payload.object("files", "an object of paths and contents in base64", MAX_FILES)?;
    let mut files = BTreeMap::new();
    for path in given.keys() {
        let mut text = given.required_text(&path, EXPECTED)?;
        // `base64` breaks its lines.
        text.retain(|c| !c.is_ascii_whitespace());
        let content =
            BASE64.decode(text).map_err(|_| WireError::Value { path: given.path(&path), problem: format!("expected {EXPECTED}") })?;
        files.insert(path, content);
    }
    Ok(files)
}

fn registry_auth(payload: &mut Fields) -> Result<BTreeMap<String, RegistryCredential>, WireError> {
    let mut given = payload.object("registry_auth", "an object of registry hosts and logins", MAX_REGISTRIES)?;
    if given.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut logins = BTreeMap::new();
    for host in given.keys() {
        let mut login = given.object(&host, "an object with username and password", usize::MAX)?;
        let username = login.required_text("username", "the account at the registry")?;
        let password = Sensitive::new(login.required_text("password", "its password or token")?);
        logins.insert(host, RegistryCredential { username, password });
    }
    Ok(logins)
}

//! `[update]`: which releases this host follows, who may sign them, and how a new one is tried.

use super::keys::*;
use super::layers::Raw;
use super::reader::Reader;
use super::sections::{self, count, not_empty, seconds};
use super::{Config, Error, Problem, Problems, Sources, Update};
use crate::signing::{InvalidKey, Keys, PublicKey};
use std::path::PathBuf;

/// Where the agent keeps its own files, and where its versions are: all that the start of the service needs to know. What
/// is wrong elsewhere in the configuration does not matter here.
#[must_use]
pub fn update_places(sources: &Sources) -> (PathBuf, PathBuf) {
    let mut layers = sources.layers().unwrap_or_default();
    let mut path = |key: &Key| match layers.found.remove(&key.dotted()).map(|found| found.value) {
        Some(Raw::Text(path)) if !path.is_empty() => PathBuf::from(path),
        _ => PathBuf::from(key.default.unwrap_or_default()),
    };
    (path(&AGENT_STATE_DIR), path(&UPDATE_VERSIONS))
}

/// What root's helper goes by. Credentials that only the service is given are none of its business: what is wrong beyond
/// its own part is left to the service.
///
/// # Errors
/// When the file cannot be read, or with everything that is wrong in that part.
pub fn load_for_helper(sources: &Sources) -> Result<Config, Error> {
    let mut layers = sources.layers()?;
    layers.unknown.clear();
    let mut reader = Reader::new(layers, sources.credentials());
    let config = sections::config(&mut reader);
    let own = |problem: &Problem| {
        let mut parts = [&AGENT_STATE_DIR, &LIMITS_FREE_DISK].into_iter().map(Key::dotted);
        problem.key.starts_with("update.") || parts.any(|key| key == problem.key)
    };
    let mut problems: Vec<Problem> = reader.problems.into_iter().filter(own).collect();
    problems.sort();
    if problems.is_empty() { Ok(config) } else { Err(Error::Invalid(Problems(problems))) }
}

pub(super) fn update(reader: &mut Reader) -> Update {
    not_empty(reader, &UPDATE_CHANNEL);
    not_empty(reader, &UPDATE_VERSIONS);
    let update = Update {
        enabled: reader.switch(&UPDATE_ENABLED),
        channel: reader.text(&UPDATE_CHANNEL).unwrap_or_default(),
        check_interval: seconds(reader, &UPDATE_CHECK_INTERVAL),
        manifest_url: reader.parsed(&UPDATE_MANIFEST, secure),
        keys: keys(reader),
        download_timeout: seconds(reader, &UPDATE_DOWNLOAD_TIMEOUT),
        install_timeout: seconds(reader, &UPDATE_INSTALL_TIMEOUT),
        rollback_on_failure: reader.switch(&UPDATE_ROLLBACK),
        max_backups: count(reader, &UPDATE_BACKUPS),
        health_window: seconds(reader, &UPDATE_HEALTH_WINDOW),
        versions_dir: reader.path(&UPDATE_VERSIONS).unwrap_or_default(),
    };
    if update.enabled && update.keys.is_empty() && !reader.is_set(&UPDATE_KEYS) {
        reader.warn(&UPDATE_ENABLED, "has no effect without update.public_keys: no release could be believed");
    } else if update.enabled && update.manifest_url.is_none() && !reader.is_set(&CONTROL_PLANE_URL) {
        reader.warn(&UPDATE_ENABLED, "has nothing to ask without control_plane.grpc_url or update.manifest_url");
    }
    update
}

fn secure(url: &str) -> Result<String, String> {
    let plain =
        url.strip_prefix("https://").is_some_and(|rest| !rest.is_empty() && !rest.contains(|c: char| c.is_whitespace() || c == '@'));
    if plain { Ok(url.to_owned()) } else { Err("must be an https:// address, without a login".to_owned()) }
}

/// The release keys are not those of commands: who may give a command must not be able to change what the agent is.
pub(super) fn check_keys(reader: &mut Reader, config: &Config) {
    let mut known = config.security.command_keys.clone();
    for key in config.update.keys.iter() {
        let id = key.id.to_string();
        if let Err(InvalidKey::SameKey(command, _)) = known.add(key.clone()) {
            reader
                .refuse(&UPDATE_KEYS, format!("{id} is the key {command} of security.command_public_keys: make a key for releases alone"));
        }
    }
}

fn keys(reader: &mut Reader) -> Keys {
    let mut keys = Keys::default();
    for text in reader.list(&UPDATE_KEYS) {
        if let Err(problem) = PublicKey::parse(&text).and_then(|key| keys.add(key)) {
            reader.refuse(&UPDATE_KEYS, problem.to_string());
        }
    }
    keys
}

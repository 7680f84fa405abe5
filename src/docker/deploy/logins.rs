//! Which login for its registry the nodes of a service were given, known again by a keyed hash in the journal.
//!
//! A manager hands the login of a service's last write to its nodes, which pull with it for as long as the service
//! lives, and never shows it. So what was given is remembered here; `stack::plan` decides what follows.

use super::{Broken, Failure, contents, images};
use crate::docker::room::Room;
use crate::docker::types::Service;
use crate::domain::{Code, Note, RegistryCredential, StackName};
use crate::stack::images::image;
use crate::stack::plan::{Action, Login, ServicePlan};
use crate::stack::rotate;
use serde_json::Value;
use std::collections::BTreeMap;

/// Fingerprints of logins, by service.
#[derive(Debug, Clone, Default)]
pub(super) struct Logins {
    /// Those that the nodes were given.
    pub(super) given: BTreeMap<String, String>,
    /// Those that hold; none where no login does.
    pub(super) wanted: BTreeMap<String, String>,
}

impl Logins {
    /// Of services that are there.
    pub(super) fn new(mut given: BTreeMap<String, String>, wanted: BTreeMap<String, String>, held: &[Service]) -> Self {
        given.retain(|name, _| held.iter().any(|service| service.name() == name));
        Self { given, wanted }
    }
}

/// By service, the fingerprint of the login that holds for its registry: of these that came with a command, or of the configuration.
pub(super) fn wanted<'a>(
    room: &Room<'_>,
    stack: &StackName,
    with_command: &BTreeMap<String, RegistryCredential>,
    services: impl IntoIterator<Item = &'a Value>,
) -> Result<BTreeMap<String, String>, Broken> {
    let with_login = |spec: &Value| Some((name(spec), images::auth(room, with_command, image(spec))?));
    let logins: BTreeMap<String, _> = services.into_iter().filter_map(with_login).collect();
    if logins.is_empty() {
        return Ok(BTreeMap::new());
    }
    let key = contents::key(room, stack)?;
    let fingerprint = |login: &str| {
        rotate::fingerprint(key.reveal().as_bytes(), login.as_bytes())
            .map_err(|error| Failure::new(Code::ENGINE_ERROR, format!("cannot compute a fingerprint: {error}")))
    };
    logins.into_iter().map(|(name, login)| Ok((name, fingerprint(login.reveal())?))).collect()
}

/// Remembers what the services of these plans have been given by now.
pub(super) fn remember<'p>(
    room: &Room<'_>,
    stack: &StackName,
    logins: &Logins,
    plans: impl IntoIterator<Item = &'p ServicePlan>,
    was_made_anew: impl Fn(&ServicePlan) -> bool,
) -> Result<(), Broken> {
    let mut given = logins.given.clone();
    for plan in plans.into_iter().filter(|plan| plan.action != Action::Unchanged || plan.ours_already) {
        // Written without a login it keeps the one that it had.
        if was_made_anew(plan) || matches!(plan.action, Action::Create | Action::Replace) {
            given.remove(&plan.name);
        }
        if let Some(login) = logins.wanted.get(&plan.name).filter(|_| plan.login == Login::Holding) {
            given.insert(plan.name.clone(), login.clone());
        }
    }
    keep(room, stack, &logins.given, given)
}

/// Services that are gone, or were made anew: nobody knows what these have.
pub(super) fn forget<'n>(room: &Room<'_>, stack: &StackName, names: impl IntoIterator<Item = &'n String>) -> Result<(), Broken> {
    let before = room.ledger.stack(stack)?.logins;
    let mut given = before.clone();
    names.into_iter().for_each(|name| drop(given.remove(name)));
    keep(room, stack, &before, given)
}

fn keep(room: &Room<'_>, stack: &StackName, before: &BTreeMap<String, String>, given: BTreeMap<String, String>) -> Result<(), Broken> {
    if given != *before {
        room.ledger.write(Note::KeepLogins(stack.clone(), given))?;
    }
    Ok(())
}

fn name(spec: &Value) -> String {
    spec["Name"].as_str().unwrap_or_default().to_owned()
}

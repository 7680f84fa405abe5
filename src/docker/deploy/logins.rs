//! Which login for its registry the nodes of a service were given, known again by a keyed hash in the journal.
//!
//! A manager hands the login of a service's last write to its nodes, which pull with it for as long as the service
//! lives, and never shows it. So what was given is remembered here; `stack::plan` decides what follows.

use super::prepare::Prepared;
use super::{Broken, Failure, contents, images};
use crate::docker::room::Room;
use crate::domain::{Code, Deploy, Note};
use crate::stack::images::image;
use crate::stack::plan::Action;
use crate::stack::rotate;
use serde_json::Value;
use std::collections::BTreeMap;

/// By service, the fingerprint of the login that holds for its registry; none where no login does.
pub(super) fn wanted(room: &Room<'_>, request: &Deploy, services: &[Value]) -> Result<BTreeMap<String, String>, Broken> {
    let with_login = |spec: &Value| Some((name(spec), images::auth(room, &request.registry_auth, image(spec))?));
    let logins: BTreeMap<String, _> = services.iter().filter_map(with_login).collect();
    if logins.is_empty() {
        return Ok(BTreeMap::new());
    }
    let key = contents::key(room, request)?;
    let fingerprint = |login: &str| {
        rotate::fingerprint(key.reveal().as_bytes(), login.as_bytes())
            .map_err(|error| Failure::new(Code::ENGINE_ERROR, format!("cannot compute a fingerprint: {error}")))
    };
    logins.into_iter().map(|(name, login)| Ok((name, fingerprint(login.reveal())?))).collect()
}

/// Remembers what the services have been given by now.
pub(super) fn remember(room: &Room<'_>, request: &Deploy, prepared: &Prepared) -> Result<(), Broken> {
    let (before, now) = &prepared.logins;
    let mut given = BTreeMap::new();
    for service in &prepared.plan.services {
        let was_written = service.action != Action::Unchanged || service.ours_already;
        // Written without a login it keeps the one that it had.
        let login = now.get(&service.name).filter(|_| was_written).or_else(|| before.get(&service.name));
        given.extend(login.map(|login| (service.name.clone(), login.clone())));
    }
    if given != *before {
        room.ledger.write(Note::KeepLogins(request.target.stack.clone(), given))?;
    }
    Ok(())
}

fn name(spec: &Value) -> String {
    spec["Name"].as_str().unwrap_or_default().to_owned()
}

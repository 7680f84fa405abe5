//! Which object holds the content of each secret and config of a stack.
//!
//! The decision is `stack::rotate`'s; this asks the manager about contents that nobody remembers. The
//! question is an update of labels alone, which the manager refuses exactly when the content differs.

use super::plan::{self, Action, ContentPlan};
use super::{Broken, Failure, names};
use crate::docker::api::StoreKind;
use crate::docker::room::{Room, StepError};
use crate::docker::types::Store;
use crate::domain::{Code, Deploy, LedgerError, Sensitive};
use crate::stack::marks::hex;
use crate::stack::rotate::{self, Holder, NameTooLong};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The length of a new rotation key, in bytes: that of the HMAC's output.
const KEY_BYTES: usize = 32;
/// How the manager refuses another content (swarmkit, manager/controlapi/secret.go and config.go).
const LABELS_ONLY: &str = "only updates to Labels are allowed";
/// How often somebody else may write to a secret between a look and the question.
const ATTEMPTS: usize = 3;

/// All that is needed to decide about one kind.
pub(super) struct Contents<'a> {
    pub(super) room: &'a Room<'a>,
    pub(super) request: &'a Deploy,
    pub(super) kind: StoreKind,
    /// What the stack holds of the kind.
    pub(super) held: &'a [Store],
    /// Fingerprints that are remembered, by the object's id.
    pub(super) known: &'a BTreeMap<String, String>,
    pub(super) key: &'a Sensitive<String>,
}

impl From<NameTooLong> for Broken {
    fn from(error: NameTooLong) -> Self {
        Self::Failed(Failure::new(Code::CONTENT_CHANGED, error.to_string()))
    }
}

/// The stack's rotation key.
pub(super) fn key(room: &Room<'_>, request: &Deploy) -> Result<Sensitive<String>, Broken> {
    let mut bytes = [0; KEY_BYTES];
    openssl::rand::rand_bytes(&mut bytes).map_err(|error| LedgerError(format!("no random numbers for a key: {error}")))?;
    Ok(room.ledger.rotation_key(&request.target.stack, Sensitive::new(hex(&bytes)))?)
}

impl Contents<'_> {
    /// Decides about each of `specs`; what cannot be told yet is said in `warnings`.
    pub(super) fn plan(&self, specs: Vec<Value>, warnings: &mut Vec<String>) -> Result<Vec<ContentPlan>, Broken> {
        specs.into_iter().map(|spec| self.plan_one(spec, warnings)).collect()
    }

    fn plan_one(&self, spec: Value, warnings: &mut Vec<String>) -> Result<ContentPlan, Broken> {
        let plain = spec["Name"].as_str().unwrap_or_default().to_owned();
        let fingerprint = self.fingerprint(&spec)?;
        let mut held = plan::by_name(self.held);
        // One without the stack's label may have the name too.
        let unlabelled =
            if held.contains_key(&plain) { None } else { names::usable_store(self.room, &self.request.target.stack, self.kind, &plain)? };
        held.extend(unlabelled.as_ref().map(|store| (plain.clone(), store)));
        let known = held.iter().filter_map(|(name, store)| Some((name.clone(), self.known.get(&store.id)?.clone()))).collect();
        let holder = match rotate::holder(&plain, &fingerprint, &held.keys().cloned().collect(), &known)? {
            Holder::Unknown { otherwise, .. } => match held.get(&plain) {
                Some(store) if self.has_content(store, &spec, warnings)? => Holder::Held(plain.clone()),
                _ => rotate::checked(&plain, *otherwise)?,
            },
            decided => decided,
        };
        Ok(self.planned(plain, fingerprint, holder, spec, &held))
    }

    fn planned(&self, plain: String, fingerprint: String, holder: Holder, mut spec: Value, held: &BTreeMap<String, &Store>) -> ContentPlan {
        let (name, action) = match holder {
            Holder::Held(name) => (name, Action::Unchanged),
            Holder::New(name) => (name, Action::Create),
            Holder::Unknown { plain, .. } => (plain, Action::Unchanged),
        };
        let reason = match action {
            Action::Create if name == plain => "it is not there",
            Action::Create => "its content changed",
            _ => "",
        };
        let id = held.get(&name).map(|store| store.id.clone()).filter(|_| action == Action::Unchanged);
        spec["Name"] = json!(name);
        ContentPlan { kind: self.kind, plain, name, id, action, reason, spec, fingerprint }
    }

    /// By all that the manager refuses to change.
    fn fingerprint(&self, spec: &Value) -> Result<String, Broken> {
        let content = json!([spec["Data"], spec["Driver"], spec["Templating"]]).to_string();
        let fingerprint = rotate::fingerprint(self.key.reveal().as_bytes(), content.as_bytes());
        fingerprint.map_err(|error| Failure::new(Code::ENGINE_ERROR, format!("cannot compute a fingerprint: {error}")).into())
    }

    /// Whether an object has the content that is wanted.
    fn has_content(&self, store: &Store, spec: &Value, warnings: &mut Vec<String>) -> Result<bool, Broken> {
        if self.kind == StoreKind::Config {
            return Ok(store.spec["Data"] == spec["Data"] && store.spec["Templating"] == spec["Templating"]);
        }
        if self.request.dry_run {
            warnings.push(format!("whether the content of the secret {} changed shows only when it is deployed", store.name()));
            return Ok(true);
        }
        self.ask(store, spec)
    }

    fn ask(&self, store: &Store, spec: &Value) -> Result<bool, Broken> {
        let mut version = store.version;
        for _ in 0..ATTEMPTS {
            match self.room.step("secret.update", store.name(), |client| client.update_store(self.kind, &store.id, version, spec)) {
                Ok(()) => return Ok(true),
                Err(StepError::Refused(error)) if error.to_string().contains(LABELS_ONLY) => return Ok(false),
                Err(StepError::Refused(error)) if error.is_conflict() => log::debug!("asking again: {error}"),
                Err(StepError::Unknown(error)) => log::warn!("asking again: {error}"),
                Err(error) => return Err(error.into()),
            }
            version = self.room.observe(|client| client.store(self.kind, &store.id))?.version;
        }
        let message = format!("the secret {} is changed by others again and again: see who does it, then deploy again", store.name());
        Err(Failure::new(Code::CONFLICT, message).into())
    }
}

//! The contents of a stack's secrets and configs: the key of their fingerprints, and the questions about those
//! that nobody remembers.
//!
//! Which object holds which content is decided by `stack::plan`. A question is an update of labels alone, which
//! the manager refuses exactly when the content differs.

use super::{Broken, Failure};
use crate::docker::room::{Room, StepError};
use crate::docker::types::{Store, StoreKind};
use crate::domain::{Code, Deploy, LedgerError, Sensitive, StackName, hex};
use crate::stack::plan::{self, Answer, Content, ContentPlan, Observed};
use crate::stack::rotate;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The length of a new rotation key, in bytes: that of the HMAC's output.
const KEY_BYTES: usize = 32;
/// How the manager refuses another content (swarmkit, manager/controlapi/secret.go and config.go).
const LABELS_ONLY: &str = "only updates to Labels are allowed";
/// How often somebody else may write to a secret between a look and the question.
const ATTEMPTS: usize = 3;

/// The stack's rotation key.
pub(super) fn key(room: &Room<'_>, stack: &StackName) -> Result<Sensitive<String>, Broken> {
    let mut bytes = [0; KEY_BYTES];
    openssl::rand::rand_bytes(&mut bytes).map_err(|error| LedgerError(format!("no random numbers for a key: {error}")))?;
    Ok(room.ledger.rotation_key(stack, Sensitive::new(hex(&bytes)))?)
}

/// The secrets and configs that the file wants, with their fingerprints.
pub(super) fn wanted(room: &Room<'_>, request: &Deploy, secrets: Vec<Value>, configs: Vec<Value>) -> Result<Vec<Content>, Broken> {
    if secrets.is_empty() && configs.is_empty() {
        return Ok(Vec::new());
    }
    let key = key(room, &request.target.stack)?;
    let of = |kind: StoreKind, specs: Vec<Value>| specs.into_iter().map(move |spec| (kind, spec));
    let all = of(StoreKind::Secret, secrets).chain(of(StoreKind::Config, configs));
    all.map(|(kind, spec)| Ok(Content { kind, fingerprint: fingerprint(&key, &spec)?, spec })).collect()
}

/// By all that the manager refuses to change.
fn fingerprint(key: &Sensitive<String>, spec: &Value) -> Result<String, Failure> {
    let content = json!([spec["Data"], spec["Driver"], spec["Templating"]]).to_string();
    let fingerprint = rotate::fingerprint(key.reveal().as_bytes(), content.as_bytes());
    fingerprint.map_err(|error| Failure::new(Code::ENGINE_ERROR, format!("cannot compute a fingerprint: {error}")))
}

/// What the manager says about secrets whose content nobody remembers, by their ids. A dry run asks nothing.
pub(super) fn answers(
    room: &Room<'_>,
    request: &Deploy,
    observed: &Observed,
    contents: &[Content],
) -> Result<BTreeMap<String, Answer>, Broken> {
    if request.dry_run {
        return Ok(BTreeMap::new());
    }
    let questions = plan::questions(&request.target.stack, observed, contents)?;
    questions.into_iter().map(|question| Ok((question.store.id.clone(), ask(room, question.store, question.content)?))).collect()
}

fn ask(room: &Room<'_>, store: &Store, content: &Content) -> Result<Answer, Broken> {
    write_labels(room, content.kind, store, &content.named(store.name()))
}

/// Gives an object that has the content that is wanted the labels that are.
pub(super) fn label(room: &Room<'_>, plan: &ContentPlan) -> Result<(), Broken> {
    let id = plan.id.as_deref().unwrap_or(&plan.name);
    let store = room.observe(|client| client.store(plan.kind, id))?;
    match write_labels(room, plan.kind, &store, &plan.spec)? {
        Answer::Same => Ok(()),
        Answer::Other => {
            let message = format!(
                "somebody else made the {} {} anew at the same time: see who does it, then deploy again",
                plan.kind.name(),
                plan.name
            );
            Err(Failure::new(Code::CONFLICT, message).into())
        }
    }
}

fn write_labels(room: &Room<'_>, kind: StoreKind, store: &Store, spec: &Value) -> Result<Answer, Broken> {
    let (mut version, operation) = (store.version, format!("{}.update", kind.name()));
    for _ in 0..ATTEMPTS {
        let update = room.step(&operation, store.name(), |client| client.update_store(kind, &store.id, version, spec));
        match update {
            Ok(()) => return Ok(Answer::Same),
            Err(StepError::Refused(error)) if error.to_string().contains(LABELS_ONLY) => return Ok(Answer::Other),
            Err(StepError::Refused(error)) if error.is_conflict() => log::debug!("asking again: {error}"),
            Err(StepError::Unknown(error)) => log::warn!("asking again: {error}"),
            Err(error) => return Err(error.into()),
        }
        version = room.observe(|client| client.store(kind, &store.id))?.version;
    }
    let message = format!("the {} {} is changed by others again and again: see who does it, then deploy again", kind.name(), store.name());
    Err(Failure::new(Code::CONFLICT, message).into())
}

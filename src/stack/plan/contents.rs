//! Which object holds the content of each secret and config of a stack. Pure: the rule is `rotate`'s, and what
//! only the manager can tell is asked before, by whoever calls.

use super::{Action, Answer, NAMESPACE, Observed, Unplannable, check_name};
use crate::domain::StackName;
use crate::stack::held::{Store, StoreKind};
use crate::stack::rotate::{self, Holder};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A secret or config as the files want it.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    /// Which of the two.
    pub kind: StoreKind,
    /// As it is sent, under its plain name.
    pub spec: Value,
    /// By which its content is known again.
    pub fingerprint: String,
}

/// What is to be done to a secret or config of the files.
#[derive(Debug, Clone, PartialEq)]
pub struct ContentPlan {
    /// Which of the two.
    pub kind: StoreKind,
    /// Its name in the file, scoped.
    pub plain: String,
    /// The object that has the content, or will.
    pub name: String,
    /// Its id, once it is there.
    pub id: Option<String>,
    /// What happens to it.
    pub action: Action,
    /// Why.
    pub reason: &'static str,
    /// What is sent to make it.
    pub spec: Value,
    /// By which its content is known again.
    pub fingerprint: String,
}

/// Whether this secret has this content: only the manager can tell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Question<'a> {
    /// The object that has the plain name.
    pub store: &'a Store,
    /// The content.
    pub content: &'a Content,
}

impl Content {
    /// Its name in the file, scoped.
    #[must_use]
    pub fn plain(&self) -> &str {
        self.spec["Name"].as_str().unwrap_or_default()
    }
}

/// What must be asked before a plan can be made for certain.
///
/// # Errors
/// When a name is somebody else's.
pub fn questions<'a>(stack: &StackName, observed: &'a Observed, contents: &'a [Content]) -> Result<Vec<Question<'a>>, Unplannable> {
    let mut questions = Vec::new();
    for content in contents.iter().filter(|content| content.kind == StoreKind::Secret) {
        let held = by_name(stack, observed, content)?;
        if let (Holder::Unknown { plain, .. }, _) = holder(observed, content, &held)?
            && let Some(store) = held.get(plain.as_str())
        {
            questions.push(Question { store, content });
        }
    }
    Ok(questions)
}

/// Decides about each; what nobody could be asked is said in `warnings`.
pub(super) fn plan(
    stack: &StackName,
    observed: &Observed,
    contents: &[Content],
    warnings: &mut Vec<String>,
) -> Result<Vec<ContentPlan>, Unplannable> {
    contents.iter().map(|content| plan_one(stack, observed, content, warnings)).collect()
}

fn plan_one(stack: &StackName, observed: &Observed, content: &Content, warnings: &mut Vec<String>) -> Result<ContentPlan, Unplannable> {
    let held = by_name(stack, observed, content)?;
    let (holder, plain) = holder(observed, content, &held)?;
    let (name, action) = match holder {
        Holder::Held(name) => (name, Action::Unchanged),
        Holder::New(name) => (name, Action::Create),
        Holder::Unknown { otherwise, .. } => match held.get(plain) {
            Some(store) if has_content(observed, content, store, warnings) => (plain.to_owned(), Action::Unchanged),
            _ => match rotate::checked(plain, *otherwise)? {
                Holder::New(name) => (name, Action::Create),
                Holder::Held(name) | Holder::Unknown { plain: name, .. } => (name, Action::Unchanged),
            },
        },
    };
    let reason = match action {
        Action::Create if name == plain => "it is not there",
        Action::Create => "its content changed",
        _ => "",
    };
    let id = held.get(name.as_str()).map(|store| store.id.clone()).filter(|_| action == Action::Unchanged);
    let mut spec = content.spec.clone();
    spec["Name"] = json!(name);
    let (kind, plain, fingerprint) = (content.kind, plain.to_owned(), content.fingerprint.clone());
    Ok(ContentPlan { kind, plain, name, id, action, reason, spec, fingerprint })
}

fn holder<'a>(observed: &Observed, content: &'a Content, held: &BTreeMap<&str, &Store>) -> Result<(Holder, &'a str), Unplannable> {
    let plain = content.plain();
    let remembered = |(name, store): (&&str, &&Store)| Some(((*name).to_owned(), observed.fingerprints.get(&store.id)?.clone()));
    let known = held.iter().filter_map(remembered).collect();
    let names = held.keys().map(|name| (*name).to_owned()).collect();
    Ok((rotate::holder(plain, &content.fingerprint, &names, &known)?, plain))
}

/// What the stack may use of the kind, by name.
fn by_name<'a>(stack: &StackName, observed: &'a Observed, content: &Content) -> Result<BTreeMap<&'a str, &'a Store>, Unplannable> {
    let held = match content.kind {
        StoreKind::Secret => &observed.secrets,
        StoreKind::Config => &observed.configs,
    };
    if let Some(store) = held.iter().find(|store| store.name() == content.plain()) {
        check_name(content.kind.name(), store.name(), store.label(NAMESPACE), stack)?;
    }
    Ok(held.iter().map(|store| (store.name(), store)).collect())
}

/// Whether an object whose content nobody remembers has the one that is wanted.
fn has_content(observed: &Observed, content: &Content, store: &Store, warnings: &mut Vec<String>) -> bool {
    if content.kind == StoreKind::Config {
        return store.spec["Data"] == content.spec["Data"] && store.spec["Templating"] == content.spec["Templating"];
    }
    observed.answers.get(&store.id).map_or_else(
        || {
            warnings.push(format!("whether the content of the secret {} changed shows only when it is deployed", store.name()));
            true
        },
        |answer| *answer == Answer::Same,
    )
}

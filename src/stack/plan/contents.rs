//! Which object holds the content of each secret and config of a stack. Pure: the rule is `rotate`'s, and what
//! only the manager can tell is asked before, by whoever calls.

use super::{Action, Answer, NAMESPACE, Observed, Unplannable, check_name};
use crate::domain::StackName;
use crate::stack::held::{Service, Store, StoreKind};
use crate::stack::rotate::{self, Holder, There};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

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
    /// The object that may have it.
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

    /// What is sent for the object of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Value {
        let mut spec = self.spec.clone();
        spec["Name"] = json!(name);
        spec
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
        if let Holder::Unknown { name, .. } = holder(observed, content, &held)?
            && let Some(store) = held.get(name.as_str())
        {
            questions.push(Question { store, content });
        }
    }
    Ok(questions)
}

/// Decides about each; what nobody could be asked is said in `warnings`. Two keys of a file may name one object with one content.
pub(super) fn plan(
    stack: &StackName,
    observed: &Observed,
    contents: &[Content],
    warnings: &mut Vec<String>,
) -> Result<Vec<ContentPlan>, Unplannable> {
    let mut plans: Vec<ContentPlan> = Vec::new();
    for content in contents {
        let is_it = |plan: &ContentPlan| (plan.kind, plan.plain.as_str()) == (content.kind, content.plain());
        if !plans.iter().any(|plan| is_it(plan) && plan.fingerprint == content.fingerprint) {
            plans.push(plan_one(stack, observed, content, warnings)?);
        }
    }
    Ok(plans)
}

fn plan_one(stack: &StackName, observed: &Observed, content: &Content, warnings: &mut Vec<String>) -> Result<ContentPlan, Unplannable> {
    let (held, plain) = (by_name(stack, observed, content)?, content.plain());
    let (name, is_there) = match holder(observed, content, &held)? {
        Holder::Held(name) => (name, true),
        Holder::New(name) => (name, false),
        Holder::Unknown { name, otherwise } => match held.get(name.as_str()) {
            Some(store) if has_content(observed, content, store, warnings) => (name, true),
            _ => match rotate::checked(plain, *otherwise)? {
                Holder::New(name) => (name, false),
                Holder::Held(name) | Holder::Unknown { name, .. } => (name, true),
            },
        },
    };
    let spec = content.named(&name);
    let there = held.get(name.as_str()).filter(|_| is_there);
    let (action, reason) = match there {
        // A question has brought them there.
        Some(store) if !observed.answers.contains_key(&store.id) && !store.has_labels(&spec["Labels"]) => {
            (Action::Update, "its labels differ")
        }
        Some(_) => (Action::Unchanged, ""),
        None if name == plain => (Action::Create, "it is not there"),
        None => (Action::Create, "its content changed"),
    };
    let id = there.map(|store| store.id.clone());
    let (kind, plain, fingerprint) = (content.kind, plain.to_owned(), content.fingerprint.clone());
    Ok(ContentPlan { kind, plain, name, id, action, reason, spec, fingerprint })
}

fn holder(observed: &Observed, content: &Content, held: &BTreeMap<&str, &Store>) -> Result<Holder, Unplannable> {
    let remembered = |(name, store): (&&str, &&Store)| Some(((*name).to_owned(), observed.fingerprints.get(&store.id)?.clone()));
    let known = held.iter().filter_map(remembered).collect();
    let names = held.keys().map(|name| (*name).to_owned()).collect();
    let there = There { held: names, known, used: used(observed, content.kind) };
    Ok(rotate::holder(content.plain(), &content.fingerprint, &there)?)
}

/// The names of the objects that the stack's services use now.
fn used(observed: &Observed, kind: StoreKind) -> BTreeSet<String> {
    let (list, name) = match kind {
        StoreKind::Secret => ("Secrets", "SecretName"),
        StoreKind::Config => ("Configs", "ConfigName"),
    };
    let of = |service: &Service| service.spec["TaskTemplate"]["ContainerSpec"][list].as_array().cloned().unwrap_or_default();
    observed.services.iter().flat_map(of).filter_map(|one| one[name].as_str().map(str::to_owned)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn content(name: &str, fingerprint: &str, labels: &Value) -> Content {
        let spec = json!({"Name": name, "Data": "eA==", "Labels": labels});
        Content { kind: StoreKind::Config, spec, fingerprint: fingerprint.to_owned() }
    }

    fn planned(observed: &Observed, contents: &[Content]) -> Vec<(String, Action)> {
        let plans = plan(&StackName::new("st").unwrap(), observed, contents, &mut Vec::new()).unwrap();
        plans.into_iter().map(|plan| (plan.name, plan.action)).collect()
    }

    #[test]
    fn two_keys_with_one_name_and_content_are_one_object() {
        let one = || content("same", "00000001", &json!({}));
        assert_eq!(planned(&Observed::default(), &[one(), one()]), [("same".to_owned(), Action::Create)]);
    }

    #[test]
    fn an_object_of_which_only_the_labels_differ_is_written() {
        let config = |labels: &Value| {
            let spec = json!({"Name": "st_page", "Data": "eA==", "Labels": labels});
            serde_json::from_value(json!({"ID": "c", "Version": {"Index": 1}, "Spec": spec})).unwrap()
        };
        let labels = json!({"com.docker.stack.namespace": "st", "rev": "2"});
        let wanted = [content("st_page", "00000001", &labels)];
        for (held, action) in [
            (labels.clone(), Action::Unchanged),
            (json!({"com.docker.stack.namespace": "st", "rev": "1"}), Action::Update),
            // Of nobody, with the same content: it becomes the stack's.
            (Value::Null, Action::Update),
        ] {
            let observed = Observed { configs: vec![config(&held)], ..Observed::default() };
            assert_eq!(planned(&observed, &wanted), [("st_page".to_owned(), action)], "{held}");
        }
    }
}

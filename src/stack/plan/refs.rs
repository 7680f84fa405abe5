//! A service's references to secrets and configs: the files name them, the manager wants the objects that hold
//! the content, and their ids. Pure.

use super::{ContentPlan, ExternalIds};
use crate::stack::held::StoreKind;
use serde_json::{Value, json};

/// Writes into a service's references where the contents are: object names, and ids as far as they are known.
pub fn fill(spec: &mut Value, contents: &[ContentPlan], external: &ExternalIds) {
    let find = |kind: StoreKind, plain: &str| {
        let own = contents.iter().find(|content| content.kind == kind && (content.plain == plain || content.name == plain));
        match own {
            Some(content) => (content.name.clone(), content.id.clone()),
            None => (plain.to_owned(), external.get(&(kind, plain.to_owned())).cloned()),
        }
    };
    // Most services have none of all this: indices would make what is not there.
    let Some(container) = spec.get_mut("TaskTemplate").and_then(|task| task.get_mut("ContainerSpec")) else { return };
    for (list, kind, name, id) in
        [("Secrets", StoreKind::Secret, "SecretName", "SecretID"), ("Configs", StoreKind::Config, "ConfigName", "ConfigID")]
    {
        for reference in container.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let (object, object_id) = find(kind, reference[name].as_str().unwrap_or_default());
            reference[name] = json!(object);
            if let Some(object_id) = object_id {
                reference[id] = json!(object_id);
            }
        }
    }
    // A credential spec's config is named by its id alone.
    let runtime =
        container.get("Configs").and_then(Value::as_array).into_iter().flatten().find(|reference| reference["Runtime"].is_object());
    if let Some(id) = runtime.map(|reference| reference["ConfigID"].clone())
        && let Some(credential) = container.pointer_mut("/Privileges/CredentialSpec").filter(|spec| spec.is_object())
    {
        credential["Config"] = id;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::plan::Action;
    use std::collections::BTreeMap;

    #[test]
    fn references_follow_their_contents() {
        let content = |kind, name: &str, id: Option<&str>| ContentPlan {
            kind,
            plain: "st_key".into(),
            name: name.into(),
            id: id.map(str::to_owned),
            action: Action::Unchanged,
            reason: "",
            spec: Value::Null,
            fingerprint: String::new(),
        };
        let mut spec = json!({"TaskTemplate": {"ContainerSpec": {
            "Privileges": {"CredentialSpec": {"Config": "", "File": "", "Registry": ""}},
            "Secrets": [{"SecretName": "st_key", "File": {"Name": "key"}}, {"SecretName": "elsewhere"}],
            "Configs": [{"ConfigName": "st_key", "Runtime": {}}],
        }}});
        let external = BTreeMap::from([((StoreKind::Secret, "elsewhere".to_owned()), "e1".to_owned())]);
        fill(
            &mut spec,
            &[content(StoreKind::Secret, "st_key-01234567", None), content(StoreKind::Config, "st_key", Some("c1"))],
            &external,
        );
        let container = &spec["TaskTemplate"]["ContainerSpec"];
        assert_eq!(
            container["Secrets"][0],
            json!({"SecretName": "st_key-01234567", "File": {"Name": "key"}}),
            "its id comes when it is made"
        );
        assert_eq!(container["Secrets"][1], json!({"SecretName": "elsewhere", "SecretID": "e1"}));
        assert_eq!(
            (&container["Configs"][0]["ConfigID"], &container["Privileges"]["CredentialSpec"]["Config"]),
            (&json!("c1"), &json!("c1"))
        );
        fill(&mut spec, &[content(StoreKind::Secret, "st_key-01234567", Some("s2"))], &external);
        assert_eq!(spec["TaskTemplate"]["ContainerSpec"]["Secrets"][0]["SecretID"], "s2");
    }
}

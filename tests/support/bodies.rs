//! The bodies of a stack beside those of the Docker CLI, and errors beside its own.

use serde_json::{Map, Value, json};

/// Where each kind is made, and what we call it.
pub const KINDS: [(&str, &str); 4] =
    [("/networks/create", "networks"), ("/secrets/create", "secrets"), ("/configs/create", "configs"), ("/services/create", "services")];

/// The order of the objects of one kind is of no meaning; ids are the engine's.
pub fn by_name(bodies: &Value) -> Value {
    let mut sorted = Map::new();
    for (_, kind) in KINDS {
        let mut objects = Map::new();
        for body in bodies[kind].as_array().unwrap() {
            let mut body = body.clone();
            without_ids(&mut body);
            assert!(objects.insert(body["Name"].as_str().unwrap().to_owned(), body).is_none());
        }
        sorted.insert(kind.to_owned(), objects.into());
    }
    sorted.into()
}

fn without_ids(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            ["SecretID", "ConfigID", "CheckDuplicate"].iter().for_each(|id| drop(fields.remove(*id)));
            if let Some(spec) = fields.get_mut("CredentialSpec").filter(|spec| spec["Config"] != json!("") && spec.is_object()) {
                spec["Config"] = json!("id");
            }
            fields.values_mut().for_each(without_ids);
        }
        Value::Array(items) => items.iter_mut().for_each(without_ids),
        _ => {}
    }
}

/// An error must name the service and the last part of the key; case, `_` and a plural s do not matter.
pub fn names_place(text: &str, service: Option<&str>, key: Option<&str>) -> Result<(), String> {
    let words = |text: &str| text.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_lowercase).collect::<Vec<_>>();
    let unnamed = |what: &str| Err(format!("does not name {what}: {text}"));
    if let Some(service) = service.filter(|service| !words(text).contains(&service.to_lowercase())) {
        return unnamed(service);
    }
    let plain = |text: &str| text.to_lowercase().replace('_', " ");
    match key.map(|key| plain(key.rsplit('.').next().unwrap_or(key))) {
        Some(last) if !plain(text).contains(last.strip_suffix('s').unwrap_or(&last)) => unnamed(&last),
        _ => Ok(()),
    }
}

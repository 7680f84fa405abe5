//! What a revision holds. The specs of its services are most of it, and mostly nobody reads them: they stay the text that they
//! were written as until somebody does.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::OnceLock;

/// What was sent to the swarm for a stack, with digests. Contents of secrets are not in it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Specs {
    /// The networks' specs.
    pub networks: Vec<Value>,
    /// Of each secret its name in the file, and the object that held its content.
    pub secrets: Vec<Value>,
    /// The same of configs.
    pub configs: Vec<Value>,
    /// The services' specs.
    pub services: Unread,
}

/// A list that is read when somebody asks for it first.
#[derive(Debug, Default)]
pub struct Unread {
    /// None is an empty list.
    text: Option<Box<RawValue>>,
    read: OnceLock<Vec<Value>>,
}

impl Unread {
    /// What it holds.
    pub fn list(&self) -> &[Value] {
        // A text that is no list holds nothing.
        self.read.get_or_init(|| self.text.as_ref().and_then(|text| serde_json::from_str(text.get()).ok()).unwrap_or_default())
    }
}

impl<'a> FromIterator<&'a Value> for Unread {
    fn from_iter<I: IntoIterator<Item = &'a Value>>(values: I) -> Self {
        let list: Vec<&Value> = values.into_iter().collect();
        // Values are always written.
        let text = serde_json::value::to_raw_value(&list).ok();
        Self { text: text.filter(|_| !list.is_empty()), read: OnceLock::new() }
    }
}

impl Clone for Unread {
    fn clone(&self) -> Self {
        Self { text: self.text.clone(), read: OnceLock::new() }
    }
}

/// Texts have sorted keys: those of equal lists are equal, unless an older version has written one of them otherwise.
impl PartialEq for Unread {
    fn eq(&self, other: &Self) -> bool {
        let same_text = self.text.as_ref().map(|text| text.get()) == other.text.as_ref().map(|text| text.get());
        same_text || self.list() == other.list()
    }
}

impl Serialize for Unread {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.text {
            Some(text) => text.serialize(serializer),
            None => Vec::<Value>::new().serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Unread {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { text: Some(Box::deserialize(deserializer)?), read: OnceLock::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_list_is_what_it_was_however_often_it_is_written_and_read() {
        let services = [json!({"Name": "st_web", "Mode": {}}), json!({"Name": "st_db"})];
        let made = Specs { networks: vec![json!({"Name": "st_default"})], services: services.iter().collect(), ..Specs::default() };
        let text = serde_json::to_string(&made).unwrap();
        let mut read: Specs = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text, "nobody has read it");
        for _ in 0..2 {
            assert_eq!((read.services.list(), &read), (&services[..], &made));
            read = read.clone();
        }
        assert_ne!(read, Specs { services: services[..1].iter().collect(), ..read.clone() });
        assert_eq!(serde_json::from_value::<Specs>(json!({"services": services})).unwrap().services, made.services);
    }

    #[test]
    fn a_record_may_lack_lists_and_hold_others() {
        let read: Specs = serde_json::from_str(r#"{"services": null, "volumes": []}"#).unwrap();
        assert_eq!((read.services.list(), &read), (&[][..], &Specs::default()));
        assert_eq!(serde_json::to_value(Specs::default()).unwrap()["services"], json!([]));
        let spaced: Specs = serde_json::from_str(r#"{"services": [ {"Name": "st_web"} ]}"#).unwrap();
        assert_eq!(spaced.services, [json!({"Name": "st_web"})].iter().collect());
    }
}

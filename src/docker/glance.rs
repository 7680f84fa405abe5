//! A service as it is watched: all of it but its spec, which is compared with the one that is wanted while the engine's answer is read.
//! A stack is looked at again and again, and the specs are nearly all of that answer.

use super::types::{Service, UpdateStatus, Version};
use crate::stack::compare::{Compared, Expected, SpecOf};
use crate::stack::held::JobStatus;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// What a look at a service shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Glance {
    pub(super) id: String,
    pub(super) version: Version,
    pub(super) name: String,
    /// Whether it has the spec that is wanted.
    pub(super) is_as_wanted: bool,
    /// When it was written last, RFC 3339.
    pub(super) updated_at: String,
    pub(super) update_status: Option<UpdateStatus>,
    pub(super) job_status: Option<JobStatus>,
}

impl Glance {
    /// Of a service that was compared before.
    pub(super) fn of(service: &Service, is_as_wanted: bool) -> Self {
        Self {
            id: service.id.clone(),
            version: service.version,
            name: service.name().to_owned(),
            is_as_wanted,
            updated_at: service.updated_at.clone(),
            update_status: service.update_status.clone(),
            job_status: service.job_status.clone(),
        }
    }

    /// Of one that was made as it is wanted. The engine has not said its version: whoever compares that reads it.
    pub(super) fn of_new(id: &str, name: &str) -> Self {
        Self { id: id.to_owned(), name: name.to_owned(), is_as_wanted: true, ..Self::default() }
    }
}

/// What reads a list of services.
pub(super) struct Glances<'a>(pub(super) &'a Expected<'a>);

impl<'de> DeserializeSeed<'de> for Glances<'_> {
    type Value = Vec<Glance>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Vec<Glance>, D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Glances<'_> {
    type Value = Vec<Glance>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of services")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Glance>, A::Error> {
        let mut glances = Vec::new();
        while let Some(glance) = list.next_element_seed(OfService(self.0))? {
            glances.push(glance);
        }
        Ok(glances)
    }
}

/// What reads one of them.
struct OfService<'a>(&'a Expected<'a>);

impl<'de> DeserializeSeed<'de> for OfService<'_> {
    type Value = Glance;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Glance, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OfService<'_> {
    type Value = Glance;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a service")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut service: A) -> Result<Glance, A::Error> {
        let mut glance = Glance::default();
        while let Some(key) = service.next_key::<String>()? {
            match key.as_str() {
                "ID" => glance.id = service.next_value()?,
                "Version" => glance.version = service.next_value()?,
                "Spec" => Compared { name: glance.name, is_same: glance.is_as_wanted } = service.next_value_seed(SpecOf(self.0))?,
                "UpdatedAt" => glance.updated_at = service.next_value()?,
                "UpdateStatus" => glance.update_status = service.next_value()?,
                "JobStatus" => glance.job_status = service.next_value()?,
                _ => {
                    service.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(glance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    fn read(list: &Value, expected: &Expected<'_>) -> Vec<Glance> {
        Glances(expected).deserialize(&mut serde_json::Deserializer::from_str(&list.to_string())).unwrap()
    }

    #[test]
    fn a_glance_is_the_service_without_its_spec() {
        let (wanted, networks) = (json!({"Name": "st_web", "Labels": {"a": "b"}}), BTreeMap::new());
        let expected = Expected { specs: BTreeMap::from([("st_web", &wanted)]), networks: &networks };
        let list = json!([
            {"ID": "s", "Version": {"Index": 9}, "UpdatedAt": "2026-11-26T05:46:00Z", "Spec": {"Name": "st_web", "Labels": {"a": "b"}, "Mode": null},
             "PreviousSpec": {"Name": "old"}, "Endpoint": {}, "UpdateStatus": {"State": "paused", "Message": "m"}, "JobStatus": {"JobIteration": {"Index": 3}}},
            {"ID": "t", "Version": {}, "Spec": {"Name": "st_web", "Labels": {"a": "c"}}},
            {"ID": "u", "Spec": {"Name": "st_other", "Labels": {"a": "b"}}},
        ]);
        let services: Vec<Service> = list.as_array().unwrap()[..2].iter().map(|one| serde_json::from_value(one.clone()).unwrap()).collect();
        let [web, changed, other] = read(&list, &expected).try_into().unwrap();
        assert_eq!(web, Glance::of(&services[0], true));
        assert_eq!(changed, Glance::of(&services[1], false));
        assert_eq!((other.id.as_str(), other.name.as_str(), other.is_as_wanted), ("u", "st_other", false));
        let wrong = serde_json::Deserializer::from_str("{}");
        assert!(Glances(&expected).deserialize(&mut { wrong }).is_err());
    }
}

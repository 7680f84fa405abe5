//! The same comparison while the manager's answer is read: nothing of a spec is kept, and most of it is not even copied.
//! It comes to what [`super::same`] comes to.

use super::{Comparison, ITEM};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;

/// The specs that are wanted, by the service's name.
pub struct Expected<'a> {
    /// As they would be sent.
    pub specs: BTreeMap<&'a str, &'a Value>,
    /// Ids by name.
    pub networks: &'a BTreeMap<String, String>,
}

/// What was read of a spec.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Compared {
    /// The service's name.
    pub name: String,
    /// Whether the spec is as wanted; of a service that nobody expects it is not.
    pub is_same: bool,
}

/// What reads the spec of a service.
pub struct SpecOf<'a>(pub &'a Expected<'a>);

impl<'de> DeserializeSeed<'de> for SpecOf<'_> {
    type Value = Compared;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Compared, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for SpecOf<'_> {
    type Value = Compared;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the spec of a service")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut spec: A) -> Result<Compared, A::Error> {
        let Expected { specs, networks } = self.0;
        // The engine writes the name first. Were it not so, the spec would have to be read before it is known with which to compare it.
        match spec.next_key::<String>()? {
            Some(key) if key == "Name" => {
                let name: String = spec.next_value()?;
                let Some(wanted) = specs.get(name.as_str()).and_then(|wanted| wanted.as_object()) else {
                    while spec.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                    return Ok(Compared { name, is_same: false });
                };
                let is_same = Comparison { networks, path: Vec::new() }.reads_fields(wanted, &mut spec, 1)?;
                Ok(Compared { name, is_same })
            }
            first => {
                let mut held = Map::new();
                if let Some(key) = first {
                    held.insert(key, spec.next_value()?);
                }
                while let Some((key, value)) = spec.next_entry()? {
                    held.insert(key, value);
                }
                let name = held.get("Name").and_then(Value::as_str).unwrap_or_default().to_owned();
                let held = Value::Object(held);
                let is_same = specs.get(name.as_str()).is_some_and(|wanted| super::same(wanted, &held, networks));
                Ok(Compared { name, is_same })
            }
        }
    }
}

impl<'a> Comparison<'a> {
    /// Whether an object that is being read is this one; `met` of its fields were read before, and are equal.
    fn reads_fields<'de, A: MapAccess<'de>>(&mut self, wanted: &'a Map<String, Value>, held: &mut A, met: usize) -> Result<bool, A::Error> {
        let (mut is_same, mut met, mut meaning) = (true, met, met);
        while let Some(key) = held.next_key_seed(FieldOf(wanted))? {
            match key {
                Field::Wanted(key, value) => {
                    met += 1;
                    if self.means_nothing(key, value) {
                        is_same &= self.is_nothing(key, &held.next_value()?);
                    } else {
                        meaning += 1;
                        self.path.push(key);
                        is_same &= held.next_value_seed(Same { comparison: self, wanted: value })?;
                        self.path.pop();
                    }
                }
                Field::Unknown(key) => is_same &= self.is_nothing(&key, &held.next_value()?),
            }
        }
        // What was not met must mean nothing.
        Ok(is_same && (met == wanted.len() || meaning == wanted.iter().filter(|(key, value)| !self.means_nothing(key, value)).count()))
    }

    /// [`Comparison::means_nothing`] of what lives less long than that with which it is compared.
    fn is_nothing(&self, key: &str, value: &Value) -> bool {
        match value {
            Value::Object(_) => Comparison { networks: self.networks, path: self.path.clone() }.means_nothing(key, value),
            Value::Null => true,
            Value::Array(items) if items.is_empty() => true,
            _ => self.is_filled_in(key, value),
        }
    }
}

/// What reads a value that means something, and says whether it is the one that is wanted.
struct Same<'c, 'a> {
    comparison: &'c mut Comparison<'a>,
    wanted: &'a Value,
}

impl Same<'_, '_> {
    fn is(&self, held: &Value) -> bool {
        self.wanted == held || self.wanted.as_f64().is_some() && self.wanted.as_f64() == held.as_f64()
    }
}

impl<'de> DeserializeSeed<'de> for Same<'_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<bool, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Same<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(self.wanted.is_null())
    }

    fn visit_bool<E: Error>(self, held: bool) -> Result<bool, E> {
        Ok(self.wanted.as_bool() == Some(held))
    }

    fn visit_i64<E: Error>(self, held: i64) -> Result<bool, E> {
        Ok(self.is(&held.into()))
    }

    fn visit_u64<E: Error>(self, held: u64) -> Result<bool, E> {
        Ok(self.is(&held.into()))
    }

    fn visit_f64<E: Error>(self, held: f64) -> Result<bool, E> {
        Ok(self.is(&held.into()))
    }

    fn visit_str<E: Error>(self, held: &str) -> Result<bool, E> {
        let Value::String(wanted) = self.wanted else { return Ok(false) };
        Ok(self.comparison.is_same_text(wanted, held))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut held: A) -> Result<bool, A::Error> {
        let Value::Array(wanted) = self.wanted else {
            while held.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(false);
        };
        self.comparison.path.push(ITEM);
        let mut is_same = true;
        for wanted in wanted {
            is_same &= held.next_element_seed(Same { comparison: &mut *self.comparison, wanted })?.unwrap_or(false);
        }
        while held.next_element::<IgnoredAny>()?.is_some() {
            is_same = false;
        }
        self.comparison.path.pop();
        Ok(is_same)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut held: A) -> Result<bool, A::Error> {
        let Value::Object(wanted) = self.wanted else {
            while held.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(false);
        };
        self.comparison.reads_fields(wanted, &mut held, 0)
    }
}

/// A key of an object that is being read.
enum Field<'a> {
    Wanted(&'a str, &'a Value),
    Unknown(String),
}

/// What reads a key.
struct FieldOf<'a>(&'a Map<String, Value>);

impl<'de, 'a> DeserializeSeed<'de> for FieldOf<'a> {
    type Value = Field<'a>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Field<'a>, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for FieldOf<'a> {
    type Value = Field<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Field<'a>, E> {
        Ok(self.0.get_key_value(key).map_or_else(|| Field::Unknown(key.to_owned()), |(key, value)| Field::Wanted(key, value)))
    }
}

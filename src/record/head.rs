//! The first look at a record: enough to answer it, whatever else is wrong with it.
//!
//! It streams: a record that is too large, too deep or broken further on costs no memory and no
//! stack, and still gives its command_id if that stood before the fault.

use super::error::WireError;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// The texts at the top of the record.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) command_id: Option<String>,
    pub(super) command_type: Option<String>,
    pub(super) correlation_id: Option<String>,
    pub(super) traceparent: Option<String>,
    /// Only envelopes have one.
    pub(super) payload_type: Option<String>,
}

impl Head {
    /// What could be read, and whether all of the record is one JSON object.
    pub(super) fn read(bytes: &[u8]) -> (Self, Result<(), WireError>) {
        let mut head = Self::default();
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let read = HeadSeed(&mut head).deserialize(&mut json).and_then(|()| json.end());
        (head, read.map_err(|error| WireError::NotJson(without_value(&error))))
    }
}

struct HeadSeed<'a>(&'a mut Head);

impl<'de> DeserializeSeed<'de> for HeadSeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for HeadSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "command_id" => self.0.command_id = map.next_value_seed(TextSeed)?,
                "command_type" => self.0.command_type = map.next_value_seed(TextSeed)?,
                "correlation_id" => self.0.correlation_id = map.next_value_seed(TextSeed)?,
                "traceparent" => self.0.traceparent = map.next_value_seed(TextSeed)?,
                "payloadType" => self.0.payload_type = map.next_value_seed(TextSeed)?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// A syntax error says where; an error about a value would repeat the value.
fn without_value(error: &serde_json::Error) -> String {
    if error.is_data() { "it holds another JSON value".to_owned() } else { error.to_string() }
}

/// A string; anything else is read over.
struct TextSeed;

impl<'de> DeserializeSeed<'de> for TextSeed {
    type Value = Option<String>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<String>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TextSeed {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }
    fn visit_str<E>(self, text: &str) -> Result<Option<String>, E> {
        Ok(Some(text.to_owned()))
    }
    fn visit_bool<E>(self, _: bool) -> Result<Option<String>, E> {
        Ok(None)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Option<String>, E> {
        Ok(None)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Option<String>, E> {
        Ok(None)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Option<String>, E> {
        Ok(None)
    }
    fn visit_unit<E>(self) -> Result<Option<String>, E> {
        Ok(None)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Option<String>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<String>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

//! A JSON object that is taken apart field by field, with the path of each for the errors.
//!
//! Values are moved out, so that a Compose file of a megabyte is not copied. `null` counts as absent,
//! and fields that nobody takes are left alone: later versions may add some.

use super::error::{WireError, kind};
use serde_json::{Map, Value};
use std::ops::RangeInclusive;

/// The longest key repeated in a path: enough to find it.
const SHOWN_KEY_CHARS: usize = 64;

pub(super) struct Fields {
    path: String,
    map: Map<String, Value>,
}

impl Fields {
    pub(super) fn root(map: Map<String, Value>) -> Self {
        Self { path: "$".to_owned(), map }
    }

    /// The object in `value`, which stands at `path`.
    pub(super) fn of(path: String, value: Value, expected: &'static str) -> Result<Self, WireError> {
        match value {
            Value::Object(map) => Ok(Self { path, map }),
            other => Err(WireError::Shape { path, expected, found: kind(&other) }),
        }
    }

    /// The path of a field, such as `$.payload.stack_name`.
    pub(super) fn path(&self, key: &str) -> String {
        let shown: String = key.chars().take(SHOWN_KEY_CHARS).collect();
        format!("{}.{}", self.path, shown.escape_debug())
    }

    /// A field as it is.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.map.remove(key).filter(|value| !value.is_null())
    }

    pub(super) fn text(&mut self, key: &str, expected: &'static str) -> Result<Option<String>, WireError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(WireError::Shape { path: self.path(key), expected, found: kind(&other) }),
        }
    }

    pub(super) fn required_text(&mut self, key: &str, expected: &'static str) -> Result<String, WireError> {
        self.text(key, expected)?.ok_or_else(|| WireError::Missing { path: self.path(key), expected })
    }

    /// An array of at most `limit` texts; empty where it is absent.
    pub(super) fn texts(&mut self, key: &str, expected: &'static str, limit: usize) -> Result<Vec<String>, WireError> {
        let path = self.path(key);
        let items = match self.take(key) {
            None => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(other) => return Err(WireError::Shape { path, expected, found: kind(&other) }),
        };
        if items.len() > limit {
            return Err(WireError::TooMany { path, count: items.len(), limit });
        }
        let text = |(index, item)| match item {
            Value::String(text) => Ok(text),
            other => Err(WireError::Shape { path: format!("{path}[{index}]"), expected: "a string", found: kind(&other) }),
        };
        items.into_iter().enumerate().map(text).collect()
    }

    /// A text that `parse` understands.
    pub(super) fn parsed<T, E: ToString>(
        &mut self,
        key: &str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, WireError> {
        let Some(text) = self.text(key, expected)? else { return Ok(None) };
        parse(&text).map(Some).map_err(|problem| WireError::Value { path: self.path(key), problem: problem.to_string() })
    }

    pub(super) fn flag(&mut self, key: &str) -> Result<Option<bool>, WireError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(WireError::Shape { path: self.path(key), expected: "true or false", found: kind(&other) }),
        }
    }

    pub(super) fn whole(&mut self, key: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, WireError> {
        const EXPECTED: &str = "a whole number";
        let Some(value) = self.take(key) else { return Ok(None) };
        let Value::Number(number) = value else {
            return Err(WireError::Shape { path: self.path(key), expected: EXPECTED, found: kind(&value) });
        };
        match number.as_u64().filter(|whole| range.contains(whole)) {
            Some(whole) => Ok(Some(whole)),
            None => {
                let problem = format!("expected {EXPECTED} from {} to {}", range.start(), range.end());
                Err(WireError::Value { path: self.path(key), problem })
            }
        }
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> Result<Option<T>, WireError> {
        let Some(text) = self.text(key, "a word")? else { return Ok(None) };
        match choices.iter().find(|(word, _)| *word == text) {
            Some((_, choice)) => Ok(Some(*choice)),
            None => {
                let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
                Err(WireError::Value { path: self.path(key), problem: format!("expected one of {}", words.join(", ")) })
            }
        }
    }

    /// An object with at most `limit` entries; empty where it is absent.
    pub(super) fn object(&mut self, key: &str, expected: &'static str, limit: usize) -> Result<Self, WireError> {
        let path = self.path(key);
        let Some(value) = self.take(key) else { return Ok(Self { path, map: Map::new() }) };
        let object = Self::of(path, value, expected)?;
        if object.map.len() > limit {
            return Err(WireError::TooMany { count: object.map.len(), path: object.path, limit });
        }
        Ok(object)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// The names of the fields that were not taken.
    pub(super) fn keys(&self) -> Vec<String> {
        self.map.keys().cloned().collect()
    }
}

//! What a tag makes of a node: those of YAML's core schema as gopkg.in/yaml.v3 reads them (`resolve.go`), and the two of
//! the Compose Specification for merging. Any other makes text of a scalar. Pure.

use super::{Merging, Value, scalar, timestamp};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use saphyr_parser::{ScalarStyle, Tag};
use std::borrow::Cow;

/// What a scalar is, or what is wrong with it.
pub fn value(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    let core = tag.filter(|tag| tag.is_yaml_core_schema()).map(|tag| tag.suffix.as_str());
    let plain = match core {
        Some("binary") => return binary(&text),
        Some("str" | "timestamp") => false,
        Some(_) => true,
        None => style == ScalarStyle::Plain && tag.is_none_or(|tag| tag.suffix == "reset" || tag.suffix == "override"),
    };
    if !plain {
        return Ok(Value::Text(text.into_owned()));
    }
    let value = scalar::resolve(&text);
    let value = value.ok_or_else(|| format!("{text} is no value that can be sent: quote it"))?;
    match (core, &value) {
        (Some("null"), Value::Null)
        | (Some("bool"), Value::Bool(_))
        | (Some("int"), Value::Int(_))
        | (Some("float"), Value::Float(_) | Value::Int(_)) => Ok(value),
        (Some(tag @ ("null" | "bool" | "int" | "float")), _) => Err(format!("{text:?} is no !!{tag}")),
        _ => Ok(value),
    }
}

/// Whether a scalar is a point in time there; here it is text.
#[must_use]
pub fn is_timestamp(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> bool {
    let may_be = match tag {
        None => style == ScalarStyle::Plain,
        Some(tag) => tag.is_yaml_core_schema() && tag.suffix == "timestamp",
    };
    may_be && timestamp::is(text)
}

/// The tag of a merge key.
#[must_use]
pub fn is_merge(tag: &Tag) -> bool {
    tag.is_yaml_core_schema() && tag.suffix == "merge"
}

/// `!!binary`: what it encodes, which must be text here.
fn binary(text: &str) -> Result<Value, String> {
    let digits: String = text.split_whitespace().collect();
    let decoded = BASE64_STANDARD.decode(digits).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.map(Value::Text).ok_or_else(|| "!!binary takes text in Base64".to_owned())
}

/// How a node is merged: `!reset` and `!override` of the Compose Specification ("Merge").
#[must_use]
pub fn merging(tag: Option<&Tag>) -> Merging {
    match tag.filter(|tag| tag.handle == "!").map(|tag| tag.suffix.as_str()) {
        Some("reset") => Merging::Reset,
        Some("override") => Merging::Override,
        _ => Merging::Usual,
    }
}

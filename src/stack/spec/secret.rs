//! The bodies of `POST /secrets/create` and `/configs/create`. Pure data; content is never shown.

use super::{Driver, StringMap, null_or};
use crate::domain::Sensitive;
use serde::{Deserialize, Serialize};

/// `SecretSpec` of the Engine API.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct SecretSpec {
    /// The scoped name.
    pub name: String,
    /// With the stack's own.
    #[serde(deserialize_with = "null_or")]
    pub labels: StringMap,
    /// The content; empty when a driver provides it, and in every answer of the engine.
    #[serde(with = "base64_bytes", skip_serializing_if = "base64_bytes::empty")]
    pub data: Sensitive<Vec<u8>>,
    /// Where the content comes from instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<Driver>,
    /// Whether the content is a template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub templating: Option<Driver>,
}

/// `ConfigSpec` of the Engine API.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ConfigSpec {
    /// The scoped name.
    pub name: String,
    /// With the stack's own.
    #[serde(deserialize_with = "null_or")]
    pub labels: StringMap,
    /// The content. Configs often hold passwords too.
    #[serde(with = "base64_bytes", skip_serializing_if = "base64_bytes::empty")]
    pub data: Sensitive<Vec<u8>>,
    /// Whether the content is a template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub templating: Option<Driver>,
}

/// Go's `[]byte` in JSON.
mod base64_bytes {
    use crate::domain::Sensitive;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn empty(data: &Sensitive<Vec<u8>>) -> bool {
        data.reveal().is_empty()
    }

    pub fn serialize<S: Serializer>(data: &Sensitive<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(data.reveal()))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Sensitive<Vec<u8>>, D::Error> {
        let text: Option<String> = Option::deserialize(deserializer)?;
        let data = STANDARD.decode(text.unwrap_or_default()).map_err(serde::de::Error::custom)?;
        Ok(Sensitive::new(data))
    }
}

//! The envelope: DSSE v1 (github.com/secure-systems-lab/dsse, envelope.md and protocol.md), as JSON. The signatures are
//! over the pre-authentication encoding of the body's exact bytes and of its type, so that no reader has to agree with
//! another on what JSON is, and nothing that was signed as one thing passes for another.

use super::key::{KeyId, Keys, PublicKey};
use super::private::{PrivateKey, PrivateKeyError};
use crate::domain::{Code, Sensitive, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use openssl::pkey::{Id, PKey};
use openssl::sign::Verifier;
use serde::Deserialize;
use serde_json::{Value, json};

/// More signatures than anybody makes: one for each key that a body is to be good for while keys change. Each that
/// names a known key is looked at, and costs a pass over the body.
pub const MAX_SIGNATURES: usize = 8;
/// The largest envelope that is read at all, in bytes: the largest `limits.max_message_bytes`. Who asks has a lower one.
pub const MAX_ENVELOPE_BYTES: usize = 16 << 20;
/// The size of an Ed25519 signature, in bytes (RFC 8032, 5.1.6).
const SIGNATURE_BYTES: usize = 64;
/// How much of what a stranger wrote an error repeats, in characters.
const SHOWN_CHARS: usize = 64;

/// What a body is; part of what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadType(&'static str);

impl PayloadType {
    /// A command, as JSON.
    pub const COMMAND: Self = Self("application/vnd.axion.command+json");
    /// What there is to update to, as JSON.
    pub const UPDATE_MANIFEST: Self = Self("application/vnd.axion.update-manifest+json");

    /// As an envelope writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// A body that a known key has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Which.
    pub key: KeyId,
    /// The bytes that were signed. A command may hold secrets.
    pub body: Sensitive<Vec<u8>>,
}

/// Why a body is not to be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is no envelope.
    #[error("the envelope cannot be read: {0}")]
    Malformed(String),
    /// It is one for something else.
    #[error("the envelope's payloadType is {found:?}, and {} is expected here", expected.as_str())]
    Type {
        /// What it should say.
        expected: PayloadType,
        /// What it says.
        found: String,
    },
    /// None of its keys is known.
    #[error("the envelope is signed with {signed}, and the known keys are {known}")]
    UnknownKey {
        /// Those that it names.
        signed: String,
        /// Those that are known here.
        known: String,
    },
    /// The key does not count now.
    #[error("the key {key} does not count at {at}: it is valid {}", validity(*from, *until))]
    KeyNotValid {
        /// Which.
        key: KeyId,
        /// From when.
        from: Option<Timestamp>,
        /// Until when.
        until: Option<Timestamp>,
        /// Now.
        at: Timestamp,
    },
    /// The key has not signed this.
    #[error("the signature of {0} does not fit: the body is not what was signed, or it was signed with another key of that name")]
    Invalid(KeyId),
}

fn validity(from: Option<Timestamp>, until: Option<Timestamp>) -> String {
    let from = from.map(|from| format!("from {from}"));
    let until = until.map(|until| format!("until {until}"));
    from.into_iter().chain(until).collect::<Vec<_>>().join(" ")
}

impl Fault {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Malformed(_) | Self::Type { .. } => Code::SIGNATURE_MALFORMED,
            Self::UnknownKey { .. } => Code::SIGNATURE_UNKNOWN_KEY,
            Self::KeyNotValid { .. } => Code::SIGNATURE_KEY_NOT_VALID,
            Self::Invalid(_) => Code::SIGNATURE_INVALID,
        }
    }
}

/// As it is written. What else stands in it is passed over, as DSSE wants it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload_type: String,
    payload: String,
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    #[serde(default)]
    keyid: String,
    sig: String,
}

/// The body of an envelope of this type, if one of the keys that count now has signed it. One good signature is enough;
/// those of keys that are not known here are passed over, so that a body can be signed for both epochs of a key.
///
/// # Errors
/// When it is no such envelope, or no such key has signed it.
pub fn verify(expected: PayloadType, bytes: &[u8], keys: &Keys, at: Timestamp) -> Result<Verified, Fault> {
    let envelope = read(bytes)?;
    if envelope.payload_type != expected.as_str() {
        return Err(Fault::Type { expected, found: shown(&envelope.payload_type) });
    }
    let body = decode(&envelope.payload).ok_or_else(|| Fault::Malformed("payload is not base64 with its padding".to_owned()))?;
    let signed = pre_authentication_encoding(expected.as_str(), &body);
    let mut fault = None;
    for (index, signature) in envelope.signatures.iter().enumerate() {
        let Some(key) = KeyId::parse(&signature.keyid).ok().and_then(|id| keys.get(&id)) else { continue };
        let sig = decode(&signature.sig).filter(|sig| sig.len() == SIGNATURE_BYTES);
        let sig = sig.ok_or_else(|| Fault::Malformed(format!("signatures[{index}].sig is not the base64 of {SIGNATURE_BYTES} bytes")))?;
        if !has_signed(key, &signed, &sig) {
            fault.get_or_insert(Fault::Invalid(key.id.clone()));
        } else if key.counts_at(at) {
            return Ok(Verified { key: key.id.clone(), body: Sensitive::new(body) });
        } else {
            // Says more than that another signature does not fit.
            fault = Some(Fault::KeyNotValid { key: key.id.clone(), from: key.from, until: key.until, at });
        }
    }
    Err(fault.unwrap_or_else(|| {
        let named: Vec<String> = envelope.signatures.iter().map(|signature| shown(&signature.keyid)).collect();
        Fault::UnknownKey { signed: named.join(", "), known: keys.to_string() }
    }))
}

/// The envelope with what can be held against it before any key is asked.
fn read(bytes: &[u8]) -> Result<Envelope, Fault> {
    if bytes.len() > MAX_ENVELOPE_BYTES {
        return Err(Fault::Malformed(format!("it has {} bytes, and at most {MAX_ENVELOPE_BYTES} are read", bytes.len())));
    }
    let envelope: Envelope = serde_json::from_slice(bytes).map_err(|error| {
        // Its words would repeat a value.
        let place = format!("line {} column {}", error.line(), error.column());
        Fault::Malformed(format!("it is not one JSON object with payloadType, payload and signatures of keyid and sig ({place})"))
    })?;
    let count = envelope.signatures.len();
    if count == 0 {
        return Err(Fault::Malformed("signatures is empty".to_owned()));
    }
    if count > MAX_SIGNATURES {
        return Err(Fault::Malformed(format!("it has {count} signatures, and at most {MAX_SIGNATURES} are read")));
    }
    for (index, signature) in envelope.signatures.iter().enumerate() {
        if envelope.signatures[..index].iter().any(|earlier| earlier.keyid == signature.keyid) {
            return Err(Fault::Malformed(format!("it has two signatures of {:?}", shown(&signature.keyid))));
        }
    }
    Ok(envelope)
}

/// A body in its envelope, signed with each of these keys.
///
/// # Errors
/// When OpenSSL cannot sign.
pub fn sign(payload_type: PayloadType, body: &[u8], keys: &[PrivateKey]) -> Result<Vec<u8>, PrivateKeyError> {
    let message = pre_authentication_encoding(payload_type.as_str(), body);
    let signature = |key: &PrivateKey| Ok(json!({"keyid": key.id().to_string(), "sig": STANDARD.encode(key.sign(&message)?)}));
    let signatures = keys.iter().map(signature).collect::<Result<Vec<Value>, PrivateKeyError>>()?;
    let envelope = json!({"payloadType": payload_type.as_str(), "payload": STANDARD.encode(body), "signatures": signatures});
    Ok(envelope.to_string().into_bytes())
}

/// `"DSSEv1" SP LEN(type) SP type SP LEN(body) SP body` (DSSE v1, protocol.md).
pub(super) fn pre_authentication_encoding(payload_type: &str, body: &[u8]) -> Vec<u8> {
    let mut encoding = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), body.len()).into_bytes();
    encoding.extend_from_slice(body);
    encoding
}

fn has_signed(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    let verified = PKey::public_key_from_raw_bytes(&key.bytes, Id::ED25519)
        .and_then(|key| Verifier::new_without_digest(&key)?.verify_oneshot(signature, message));
    // What OpenSSL cannot look at is no signature.
    verified.unwrap_or(false)
}

/// Base64 in either alphabet, as DSSE wants it, but in one spelling alone: with its padding, without unused bits.
fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

fn shown(text: &str) -> String {
    match text {
        "" => "no key id".to_owned(),
        text => text.chars().take(SHOWN_CHARS).flat_map(char::escape_debug).collect(),
    }
}

//! Which object holds the content of a secret or a config: Swarm cannot change content, so changed
//! content goes into a new object and the services move to it.
//!
//! The first content has the plain name, as with `docker stack deploy`; any other `name-<8 hex>`, by an
//! HMAC with a random key of the stack's own: a plain hash of a weak secret in a public name could be
//! guessed. Pure.

use crate::domain::hex;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use std::collections::{BTreeMap, BTreeSet};

/// The longest name of a secret or config (swarmkit, manager/controlapi/common.go).
const MAX_NAME_BYTES: usize = 64;
/// How much of the HMAC stands in a name, in hexadecimal digits.
const DIGITS: usize = 8;

/// Where the content of a secret or config is, or will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// This object has it.
    Held(String),
    /// No object has it: make this one.
    New(String),
    /// The object under the plain name may have it: only the manager can tell. If it has not, the name
    /// for a new one, and whether that is there already.
    Unknown {
        /// The object to ask about.
        plain: String,
        /// What to use if its content is another.
        otherwise: Box<Holder>,
    },
}

/// The new name would be too long for Swarm.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the content of {0} changed, but its name is too long for a second object: give it a name of at most {max} bytes", max = MAX_NAME_BYTES - DIGITS - 1)]
pub struct NameTooLong(pub String);

/// The fingerprint of a content: hexadecimal HMAC-SHA-256.
///
/// # Errors
/// When the library refuses, as it may with a key that its mode of operation does not allow.
pub fn fingerprint(key: &[u8], content: &[u8]) -> Result<String, ErrorStack> {
    let key = PKey::hmac(key)?;
    let mut signer = Signer::new(MessageDigest::sha256(), &key)?;
    Ok(hex(&signer.sign_oneshot_to_vec(content)?))
}

/// Decides where the content with this `fingerprint` is. `held` are the names that exist, `known` the
/// fingerprints of those whose content is known.
///
/// # Errors
/// When a further object would need a name that Swarm does not allow.
pub fn holder(plain: &str, fingerprint: &str, held: &BTreeSet<String>, known: &BTreeMap<String, String>) -> Result<Holder, NameTooLong> {
    let first = !held.iter().any(|name| name == plain || is_rotation(name, plain));
    if first {
        return Ok(Holder::New(plain.to_owned()));
    }
    if held.contains(plain) && known.get(plain).is_some_and(|its| its == fingerprint) {
        return Ok(Holder::Held(plain.to_owned()));
    }
    let rotated = rotated(plain, fingerprint);
    let otherwise = if held.contains(&rotated) { Holder::Held(rotated) } else { Holder::New(rotated) };
    if held.contains(plain) && !known.contains_key(plain) {
        return Ok(Holder::Unknown { plain: plain.to_owned(), otherwise: Box::new(otherwise) });
    }
    checked(plain, otherwise)
}

/// What is left of a [`Holder::Unknown`] once the manager has said that the content is another.
///
/// # Errors
/// When the further object would need a name that Swarm does not allow.
pub fn checked(plain: &str, otherwise: Holder) -> Result<Holder, NameTooLong> {
    match &otherwise {
        Holder::New(name) if name.len() > MAX_NAME_BYTES => Err(NameTooLong(plain.to_owned())),
        _ => Ok(otherwise),
    }
}

fn rotated(plain: &str, fingerprint: &str) -> String {
    format!("{plain}-{}", fingerprint.get(..DIGITS).unwrap_or(fingerprint))
}

/// Whether `name` is a later object of `plain`.
#[must_use]
pub fn is_rotation(name: &str, plain: &str) -> bool {
    let digits = name.strip_prefix(plain).and_then(|rest| rest.strip_prefix('-'));
    digits.is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn content_keeps_its_object_and_other_content_gets_another() {
        let (a, b) = (fingerprint(b"key", b"a").unwrap(), fingerprint(b"key", b"b").unwrap());
        let later = format!("st_k-{}", &b[..8]);
        let known = BTreeMap::from([("st_k".to_owned(), a.clone())]);
        let (held, new) = (|name: &str| Ok(Holder::Held(name.into())), |name: &str| Ok(Holder::New(name.into())));
        assert_eq!(holder("st_k", &a, &names(&[]), &known), new("st_k"), "the first one has the plain name");
        assert_eq!(holder("st_k", &a, &names(&["st_k"]), &known), held("st_k"));
        assert_eq!(holder("st_k", &b, &names(&["st_k"]), &known), new(&later));
        assert_eq!(holder("st_k", &b, &names(&["st_k", &later]), &known), held(&later));
        assert_eq!(holder("st_k", &b, &names(&[&later]), &known), held(&later), "the plain one was pruned");
        let back = format!("st_k-{}", &a[..8]);
        assert_eq!(holder("st_k", &a, &names(&[&later]), &BTreeMap::new()), new(&back));
    }

    #[test]
    fn unknown_content_is_asked_about() {
        let print = fingerprint(b"key", b"b").unwrap();
        let later = format!("st_k-{}", &print[..8]);
        let unknown = holder("st_k", &print, &names(&["st_k"]), &BTreeMap::new());
        assert_eq!(unknown, Ok(Holder::Unknown { plain: "st_k".into(), otherwise: Box::new(Holder::New(later)) }));
    }

    #[test]
    fn the_fingerprint_needs_the_key() {
        assert_ne!(fingerprint(b"one", b"secret").unwrap(), fingerprint(b"two", b"secret").unwrap());
        // RFC 4231, test case 2.
        let known = fingerprint(b"Jefe", b"what do ya want for nothing?").unwrap();
        assert_eq!(known, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn a_name_without_room_is_refused_before_anything_is_made() {
        let long = "x".repeat(60);
        let known = BTreeMap::from([(long.clone(), "00".to_owned())]);
        assert_eq!(holder(&long, "11", &names(&[&long]), &known), Ok(Holder::New(format!("{long}-11"))));
        let print = "1".repeat(64);
        assert_eq!(holder(&long, &print, &names(&[&long]), &known), Err(NameTooLong(long.clone())));
        assert!(!is_rotation("st_k-old", "st_k") && !is_rotation("st_k-0123456g", "st_k") && is_rotation("st_k-01234567", "st_k"));
    }
}

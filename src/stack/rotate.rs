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
    /// This object may have it: only the manager can tell. If it has not, the name for a new one, and whether that is there
    /// already.
    Unknown {
        /// The object to ask about.
        name: String,
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

/// Objects of a secret or config that are there.
#[derive(Debug, Default)]
pub struct There {
    /// The names of all.
    pub held: BTreeSet<String>,
    /// The fingerprints of those whose content is known.
    pub known: BTreeMap<String, String>,
    /// Those that services of the stack use now.
    pub used: BTreeSet<String>,
}

/// Decides where the content with this `fingerprint` is. A journal that was lost, or another agent's, has another key: its names say
/// nothing then, and what is used now is asked about before anything is made anew.
///
/// # Errors
/// When a further object would need a name that Swarm does not allow.
pub fn holder(plain: &str, fingerprint: &str, there: &There) -> Result<Holder, NameTooLong> {
    let own = || there.held.iter().filter(|name| *name == plain || is_rotation(name, plain));
    if own().next().is_none() {
        return Ok(Holder::New(plain.to_owned()));
    }
    if let Some(name) = own().find(|name| there.known.get(*name).is_some_and(|its| its == fingerprint)) {
        return Ok(Holder::Held(name.clone()));
    }
    let rotated = rotated(plain, fingerprint);
    let otherwise = if there.held.contains(&rotated) { Holder::Held(rotated) } else { Holder::New(rotated) };
    let mut unknown = own().filter(|name| !there.known.contains_key(*name) && otherwise != Holder::Held((*name).clone()));
    // The plain one, first in order, where none is used.
    let asked = unknown.clone().find(|name| there.used.contains(*name)).or_else(|| unknown.find(|name| *name == plain));
    match asked {
        Some(name) => Ok(Holder::Unknown { name: name.clone(), otherwise: Box::new(otherwise) }),
        None => checked(plain, otherwise),
    }
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

    fn there(names: &[&str], known: &[(&str, &str)], used: &[&str]) -> There {
        let all = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let known = known.iter().map(|(name, print)| ((*name).to_owned(), (*print).to_owned())).collect();
        There { held: all(names), known, used: all(used) }
    }

    #[test]
    fn content_keeps_its_object_and_other_content_gets_another() {
        let (a, b) = (fingerprint(b"key", b"a").unwrap(), fingerprint(b"key", b"b").unwrap());
        let later = format!("st_k-{}", &b[..8]);
        let known = [("st_k", a.as_str())];
        let (held, new) = (|name: &str| Ok(Holder::Held(name.into())), |name: &str| Ok(Holder::New(name.into())));
        assert_eq!(holder("st_k", &a, &there(&[], &known, &[])), new("st_k"), "the first one has the plain name");
        assert_eq!(holder("st_k", &a, &there(&["st_k"], &known, &[])), held("st_k"));
        assert_eq!(holder("st_k", &b, &there(&["st_k"], &known, &[])), new(&later));
        assert_eq!(holder("st_k", &b, &there(&["st_k", &later], &known, &[])), held(&later));
        assert_eq!(holder("st_k", &b, &there(&[&later], &known, &[])), held(&later), "the plain one was pruned");
        let back = format!("st_k-{}", &a[..8]);
        assert_eq!(holder("st_k", &a, &there(&[&later], &[], &[])), new(&back));
        assert_eq!(holder("st_k", &b, &there(&["st_k", "st_k-0000000f"], &[("st_k-0000000f", &b)], &[])), held("st_k-0000000f"));
    }

    #[test]
    fn unknown_content_is_asked_about() {
        let print = fingerprint(b"key", b"b").unwrap();
        let later = format!("st_k-{}", &print[..8]);
        let asks = |names: &[&str], known: &[(&str, &str)], used: &[&str]| match holder("st_k", &print, &there(names, known, used)) {
            Ok(Holder::Unknown { name, otherwise }) => Some((name, *otherwise)),
            _ => None,
        };
        let new = || Holder::New(later.clone());
        assert_eq!(asks(&["st_k"], &[], &[]), Some(("st_k".to_owned(), new())));
        // Of another key, and used now: the content may be the same.
        let foreign = "st_k-0000000f";
        assert_eq!(asks(&["st_k", foreign], &[], &[foreign]), Some((foreign.to_owned(), new())));
        assert_eq!(asks(&["st_k", foreign], &[("st_k", "00")], &[foreign]), Some((foreign.to_owned(), new())));
        assert_eq!(asks(&["st_k", foreign], &[("st_k", "00")], &[]), None, "nobody uses it");
        assert_eq!(asks(&[&later], &[], &[&later]), None, "our own name says it");
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
        let known = || there(&[&long], &[(&long, "00")], &[]);
        assert_eq!(holder(&long, "11", &known()), Ok(Holder::New(format!("{long}-11"))));
        let print = "1".repeat(64);
        assert_eq!(holder(&long, &print, &known()), Err(NameTooLong(long.clone())));
        assert!(!is_rotation("st_k-old", "st_k") && !is_rotation("st_k-0123456g", "st_k") && is_rotation("st_k-01234567", "st_k"));
    }
}

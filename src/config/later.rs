//! Keys whose part of the agent comes with a later version: all are read and checked. One that promises safety
//! is refused, since nothing would keep the promise; the rest is told to have no effect yet.

use super::keys::*;
use super::reader::Reader;

/// Reads what this version has no part for.
pub(super) fn check(reader: &mut Reader) {
    for key in KEYS.iter().filter(|key| key.is_idle()) {
        reader.check(key);
        if reader.is_set(key) {
            reader.warn(key, "has no effect in this version yet");
        }
    }
    check_manifest(reader);
    if reader.is_set(&SECURITY_DOCKER_POLICY) {
        refuse(reader, &SECURITY_DOCKER_POLICY);
    }
}

fn check_manifest(reader: &mut Reader) {
    let secure = |url: &str| {
        let form = || "must be an https:// address".to_owned();
        url.strip_prefix("https://").filter(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace)).map(drop).ok_or_else(form)
    };
    reader.parsed(&UPDATE_MANIFEST, secure);
}

fn refuse(reader: &mut Reader, key: &Key) {
    let message = format!("is not in this version yet ({}): nothing would keep what it promises; remove it", env!("CARGO_PKG_VERSION"));
    reader.refuse(key, message);
}

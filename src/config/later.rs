//! Keys whose part of the agent comes with a later version: one that promises safety is refused, since nothing would keep
//! the promise.

use super::keys::*;
use super::reader::Reader;

/// Looks for what this version has no part for.
pub(super) fn check(reader: &mut Reader) {
    if reader.is_set(&SECURITY_DOCKER_POLICY) {
        refuse(reader, &SECURITY_DOCKER_POLICY);
    }
}

fn refuse(reader: &mut Reader, key: &Key) {
    let message = format!("is not in this version yet ({}): nothing would keep what it promises; remove it", env!("CARGO_PKG_VERSION"));
    reader.refuse(key, message);
}

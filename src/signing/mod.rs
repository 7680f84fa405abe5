//! Signatures over what comes from afar: commands, and the manifests of updates. A library of the rooms that carry them.
//!
//! Pure: no I/O, no clock, any thread; Ed25519 (RFC 8032) is OpenSSL's. What is signed stands in a DSSE v1 envelope
//! (`envelope.rs`): [`verify`] looks at the exact bytes of the body, and only those that a known key has signed are
//! handed out. What the body means is decided by whoever asked. `key.rs` is how public keys are written, `private.rs`
//! what signs with the other half.
//!
//! Nothing here repeats what stood in a body. The bounds are [`MAX_KEYS`], [`MAX_SIGNATURES`] and [`MAX_ENVELOPE_BYTES`].

mod envelope;
mod key;
mod private;
#[cfg(test)]
mod tests;

pub use envelope::{Fault, MAX_ENVELOPE_BYTES, MAX_SIGNATURES, PayloadType, Verified, sign, verify};
pub use key::{InvalidKey, KeyId, Keys, MAX_KEYS, PublicKey};
pub use private::{PrivateKey, PrivateKeyError};

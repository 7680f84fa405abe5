//! The half of a key that signs: made, read and written as PEM (PKCS #8). OpenSSL clears its memory once it is dropped.

use super::key::{InvalidKey, KEY_BYTES, KeyId, PublicKey};
use crate::domain::Sensitive;
use openssl::error::ErrorStack;
use openssl::pkey::{Id, PKey, Private};
use openssl::sign::Signer;
use std::fmt;

/// Stands above the PEM in a file of ours, with the key's id; every reader of PEM passes over it.
const ID_LINE: &str = "axion-agent-key: ";

/// A key that cannot be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum PrivateKeyError {
    /// It is something else.
    #[error("it holds no Ed25519 private key without a password, in PEM (PKCS #8)")]
    Content,
    /// Its id.
    #[error(transparent)]
    Id(#[from] InvalidKey),
    /// Nothing says what it is called.
    #[error("nothing in it says what the key is called")]
    Unnamed,
    /// OpenSSL would not.
    #[error("OpenSSL cannot make or use the key: {0}")]
    OpenSsl(#[from] ErrorStack),
}

/// What signs.
#[derive(Clone)]
pub struct PrivateKey {
    id: KeyId,
    key: PKey<Private>,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl PrivateKey {
    /// Makes a new one.
    ///
    /// # Errors
    /// When OpenSSL has no randomness.
    pub fn generate(id: KeyId) -> Result<Self, PrivateKeyError> {
        Ok(Self { id, key: PKey::generate_ed25519()? })
    }

    /// Reads one. `id` is what it is called where its file does not say, or says otherwise.
    ///
    /// # Errors
    /// When the text holds no such key, one with a password, or none that has a name.
    pub fn from_pem(text: &[u8], id: Option<KeyId>) -> Result<Self, PrivateKeyError> {
        // Without the callback OpenSSL would ask the terminal for the password of a key that has one.
        let key = PKey::private_key_from_pem_callback(text, |_| Ok(0)).map_err(|_| PrivateKeyError::Content)?;
        if key.id() != Id::ED25519 {
            return Err(PrivateKeyError::Content);
        }
        let named = || text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(ID_LINE.as_bytes()));
        let id = match (id, named()) {
            (Some(id), _) => id,
            (None, Some(line)) => KeyId::parse(String::from_utf8_lossy(line).trim_end())?,
            (None, None) => return Err(PrivateKeyError::Unnamed),
        };
        Ok(Self { id, key })
    }

    /// As PEM, with its id above.
    ///
    /// # Errors
    /// When OpenSSL has no memory.
    pub fn to_pem(&self) -> Result<Sensitive<Vec<u8>>, PrivateKeyError> {
        let mut text = format!("{ID_LINE}{}\n", self.id).into_bytes();
        text.extend(self.key.private_key_to_pem_pkcs8()?);
        Ok(Sensitive::new(text))
    }

    /// What it is called.
    #[must_use]
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    /// The half that others know.
    ///
    /// # Errors
    /// When OpenSSL cannot tell, or the key proves nothing.
    pub fn public(&self) -> Result<PublicKey, PrivateKeyError> {
        let mut bytes = [0; KEY_BYTES];
        let raw = self.key.raw_public_key()?;
        if raw.len() != bytes.len() {
            return Err(PrivateKeyError::Content);
        }
        bytes.copy_from_slice(&raw);
        Ok(PublicKey::new(self.id.clone(), bytes)?)
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, PrivateKeyError> {
        Ok(Signer::new_without_digest(&self.key)?.sign_oneshot_to_vec(message)?)
    }
}

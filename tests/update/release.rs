//! Releases: what is published, and how it is signed. The envelope is made here from its description, not with the code
//! that reads it.

use openssl::base64::encode_block;
use openssl::pkey::{PKey, Private};
use openssl::sign::Signer;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const TYPE: &str = "application/vnd.axion.update-manifest+json";

/// A release before it is signed.
pub struct Release {
    binary: Vec<u8>,
    served: Option<Vec<u8>>,
    changes: Vec<(&'static str, Value)>,
    version: String,
    signature: Signature,
}

#[derive(PartialEq)]
enum Signature {
    Good,
    Foreign,
    None,
}

impl Release {
    /// The agent itself, with another version number in it: as many bytes as its own has.
    pub fn agent(version: &str) -> Self {
        let own = env!("CARGO_PKG_VERSION");
        assert_eq!(version.len(), own.len(), "a number of another length does not fit");
        let binary = replaced(stripped(), own.as_bytes(), version.as_bytes());
        Self::of(version, binary)
    }

    /// A script that says that it is this version, and does `run` when it is started as the service.
    pub fn script(version: &str, run: &str) -> Self {
        let script = format!("#!/bin/sh\n[ \"$1\" = --version ] && {{ echo axion-agent {version}; exit; }}\n{run}\n");
        Self::of(version, script.into_bytes())
    }

    fn of(version: &str, binary: Vec<u8>) -> Self {
        Self { binary, served: None, changes: Vec::new(), version: version.to_owned(), signature: Signature::Good }
    }

    pub fn with(mut self, key: &'static str, value: Value) -> Self {
        self.changes.push((key, value));
        self
    }

    pub fn security_floor(self, version: &str) -> Self {
        self.with("security_floor", json!(version))
    }

    pub fn allow_downgrade(self) -> Self {
        self.with("allow_downgrade", json!(true))
    }

    pub fn signed_by_another_key(self) -> Self {
        Self { signature: Signature::Foreign, ..self }
    }

    pub fn unsigned(self) -> Self {
        Self { signature: Signature::None, ..self }
    }

    /// Other bytes than those that the manifest names.
    pub fn serving(self, bytes: Vec<u8>) -> Self {
        Self { served: Some(bytes), ..self }
    }

    /// No bytes at all.
    pub fn missing(self) -> Self {
        Self { served: Some(Vec::new()), ..self }
    }

    /// What is served as the binary.
    pub fn bytes(&self) -> Vec<u8> {
        self.served.clone().unwrap_or_else(|| self.binary.clone())
    }

    /// The signed manifest, whose binary is at `url`.
    pub fn envelope(&self, url: &str, key: &PKey<Private>) -> Vec<u8> {
        let sha256: String = openssl::sha::sha256(&self.binary).iter().map(|byte| format!("{byte:02x}")).collect();
        let mut body = json!({
            "product": "axion-agent", "channel": "stable", "version": self.version, "expires_at": "2099-01-01T00:00:00Z",
            "artifacts": { std::env::consts::ARCH: {"url": url, "size": self.binary.len(), "sha256": sha256} },
        });
        for (key, value) in &self.changes {
            body[*key] = value.clone();
        }
        let body = body.to_string();
        let message = format!("DSSEv1 {} {TYPE} {} {body}", TYPE.len(), body.len());
        let foreign = PKey::generate_ed25519().unwrap();
        let key = if self.signature == Signature::Foreign { &foreign } else { key };
        let signature = Signer::new_without_digest(key).unwrap().sign_oneshot_to_vec(message.as_bytes()).unwrap();
        if self.signature == Signature::None {
            return body.into_bytes();
        }
        let signatures = [json!({"keyid": "release-1", "sig": encode_block(&signature)})];
        json!({"payloadType": TYPE, "payload": encode_block(body.as_bytes()), "signatures": signatures}).to_string().into_bytes()
    }
}

/// The agent without what debuggers read: that is most of what a test's build has, and more than a release may have.
pub fn stripped() -> &'static [u8] {
    static BINARY: OnceLock<Vec<u8>> = OnceLock::new();
    BINARY.get_or_init(|| {
        let to = std::env::temp_dir().join(format!("axion-stripped-{}", std::process::id()));
        strip(Path::new(env!("CARGO_BIN_EXE_axion-agent")), &to);
        let bytes = fs::read(&to).unwrap();
        fs::remove_file(to).unwrap();
        bytes
    })
}

#[allow(clippy::disallowed_methods, reason = "binutils are there where anything is linked")]
fn strip(from: &Path, to: &PathBuf) {
    let status = Command::new("strip").arg("-o").arg(to).arg(from).status().unwrap();
    assert!(status.success(), "strip: {status}");
}

/// Every place where it stands: whatever else says the same number means no more by it.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut found = 0;
    let mut at = 0;
    while let Some(next) = bytes[at..].windows(from.len()).position(|window| window == from) {
        at += next;
        bytes[at..at + to.len()].copy_from_slice(to);
        at += to.len();
        found += 1;
    }
    assert!(found > 0, "the binary does not hold its version");
    bytes
}

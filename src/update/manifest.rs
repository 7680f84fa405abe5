//! What a release says of itself: a JSON body in a signed envelope. Pure; whoever has the bytes has them verified here,
//! the agent when it hears of them and the helper that installs once more.

use super::fault::Fault;
use super::version::Version;
use crate::domain::Timestamp;
use crate::signing::{self, Keys, PayloadType};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The largest envelope that is read, in bytes: as over the control plane. A manifest has one or two KiB.
pub const MAX_MANIFEST_BYTES: usize = 64 * 1024;
/// The largest binary that is fetched, in bytes: five times the budget of ours.
pub const MAX_BINARY_BYTES: u64 = 64 << 20;
/// Architectures that one release may be built for.
const MAX_ARTIFACTS: usize = 16;
/// The longest address, in bytes.
const MAX_URL_BYTES: usize = 2048;
/// What this agent is called there.
pub const PRODUCT: &str = "axion-agent";
/// The digits of a SHA-256.
const SHA256_DIGITS: usize = 64;

/// A release, as somebody with a release key describes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Manifest {
    /// Of which program.
    pub product: String,
    /// For whom it is.
    pub channel: String,
    /// Its version.
    pub version: Version,
    /// After this it is not installed any more.
    pub expires_at: Timestamp,
    /// Nothing older is installed or gone back to by hand, once this release has been confirmed.
    #[serde(default)]
    pub security_floor: Option<Version>,
    /// Whether it may take the place of a newer version.
    #[serde(default)]
    pub allow_downgrade: bool,
    /// The binaries, by architecture as Rust calls it: `x86_64`, `aarch64`.
    pub artifacts: BTreeMap<String, Artifact>,
}

/// The binary for one architecture.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Artifact {
    /// Where it is: an `https://` address.
    pub url: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its SHA-256 in lower-case hexadecimal.
    pub sha256: String,
}

/// The manifest in this envelope, and the id of the key that signed it.
///
/// # Errors
/// When no key that counts now has signed it, or it is no manifest.
pub fn verify(envelope: &[u8], keys: &Keys, at: Timestamp) -> Result<(Manifest, String), Fault> {
    if keys.is_empty() {
        return Err(Fault::NoKeys);
    }
    if envelope.len() > MAX_MANIFEST_BYTES {
        return Err(Fault::Manifest(format!("it has {} bytes, and may have {MAX_MANIFEST_BYTES}", envelope.len())));
    }
    let verified =
        signing::verify(PayloadType::UPDATE_MANIFEST, envelope, keys, at).map_err(|fault| Fault::Signature(fault.to_string()))?;
    Ok((read(verified.body.reveal())?, verified.key.to_string()))
}

/// The body.
fn read(body: &[u8]) -> Result<Manifest, Fault> {
    let manifest: Manifest = serde_json::from_slice(body).map_err(|error| Fault::Manifest(error.to_string()))?;
    let count = manifest.artifacts.len();
    if count > MAX_ARTIFACTS {
        return Err(Fault::Manifest(format!("it names {count} architectures, at most {MAX_ARTIFACTS} are read")));
    }
    for (architecture, artifact) in &manifest.artifacts {
        let problem = |problem: &str| Fault::Manifest(format!("artifacts.{architecture}.{problem}"));
        if !is_https(&artifact.url) {
            return Err(problem("url must be an https:// address"));
        }
        if artifact.size == 0 || artifact.size > MAX_BINARY_BYTES {
            return Err(problem(&format!("size must be 1 to {MAX_BINARY_BYTES} bytes")));
        }
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if artifact.sha256.len() != SHA256_DIGITS || !artifact.sha256.bytes().all(is_digit) {
            return Err(problem("sha256 must be 64 lower-case hexadecimal digits"));
        }
    }
    if manifest.security_floor.as_ref().is_some_and(|floor| *floor > manifest.version) {
        return Err(Fault::Manifest("security_floor is above the version itself".to_owned()));
    }
    Ok(manifest)
}

/// Whether a text is an address that may be fetched: spoken with TLS, and plain.
#[must_use]
pub fn is_https(url: &str) -> bool {
    let plain = url.len() <= MAX_URL_BYTES && url.bytes().all(|byte| byte.is_ascii_graphic());
    url.strip_prefix("https://").is_some_and(|rest| plain && !rest.is_empty() && !rest.starts_with('/') && !rest.contains('@'))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::Code;
    use crate::signing::{KeyId, PrivateKey, sign};
    use serde_json::{Value, json};

    /// What a test's release says unless it says otherwise.
    pub(in crate::update) fn body(version: &str) -> Value {
        json!({
            "product": "axion-agent", "channel": "stable", "version": version, "expires_at": "2030-01-01T00:00:00Z",
            "artifacts": {"x86_64": {"url": "https://example.com/a", "size": 10, "sha256": "ab".repeat(32)}},
        })
    }

    fn problem(change: impl FnOnce(&mut Value)) -> String {
        let mut body = body("1.2.3");
        change(&mut body);
        match read(body.to_string().as_bytes()) {
            Ok(manifest) => panic!("{manifest:?}"),
            Err(fault) => {
                assert_eq!(fault.code(), Code::UPDATE_BAD_MANIFEST);
                fault.to_string()
            }
        }
    }

    #[test]
    fn a_manifest_is_bounded_and_each_mistake_is_named() {
        let manifest = read(body("1.2.3").to_string().as_bytes()).unwrap();
        assert_eq!((manifest.version.to_string(), manifest.allow_downgrade, manifest.security_floor), ("1.2.3".to_owned(), false, None));
        let artifact = |key: &'static str, value: Value| move |body: &mut Value| body["artifacts"]["x86_64"][key] = value;
        for (told, words) in [
            (problem(artifact("url", json!("http://example.com/a"))), "https://"),
            (problem(artifact("url", json!("https://me@example.com/a"))), "https://"),
            (problem(artifact("url", json!(format!("https://{}", "a".repeat(MAX_URL_BYTES))))), "https://"),
            (problem(artifact("size", json!(0))), "size"),
            (problem(artifact("size", json!(MAX_BINARY_BYTES + 1))), "size"),
            (problem(artifact("size", json!(-1))), "invalid"),
            (problem(artifact("sha256", json!("AB".repeat(32)))), "sha256"),
            (problem(artifact("sha256", json!("ab"))), "sha256"),
            (problem(|body| body["version"] = json!("1.2")), "no version"),
            (problem(|body| body["security_floor"] = json!("1.2.4")), "above"),
            (problem(|body| body["expires_at"] = json!("tomorrow")), "line 1"),
            (problem(|body| drop(body.as_object_mut().unwrap().remove("channel"))), "channel"),
        ] {
            assert!(told.contains(words), "{words}: {told}");
        }
        let many: Value = (0..=MAX_ARTIFACTS).map(|n| (format!("a{n}"), body("1.2.3")["artifacts"]["x86_64"].clone())).collect();
        assert!(problem(|body| body["artifacts"] = many).contains("architectures"));
        assert!(read(b"[]").is_err() && read(b"").is_err());
    }

    #[test]
    fn only_a_release_key_makes_a_manifest() {
        let generate = |id| PrivateKey::generate(KeyId::parse(id).unwrap()).unwrap();
        let (release, command) = (generate("release-1"), generate("ops-1"));
        let mut keys = Keys::default();
        keys.add(release.public().unwrap()).unwrap();
        let at = Timestamp::parse("2026-01-31T12:00:00Z").unwrap();
        let body = body("1.2.3").to_string();
        let envelope = |kind, key: PrivateKey| sign(kind, body.as_bytes(), &[key]).unwrap();
        let code = |envelope: &[u8]| verify(envelope, &keys, at).map(|_| ()).map_err(|fault| fault.code());
        let good = envelope(PayloadType::UPDATE_MANIFEST, release.clone());
        assert_eq!(verify(&good, &keys, at).unwrap().1, "release-1");
        assert_eq!(code(&envelope(PayloadType::UPDATE_MANIFEST, command)), Err(Code::UPDATE_BAD_SIGNATURE));
        assert_eq!(code(&envelope(PayloadType::COMMAND, release)), Err(Code::UPDATE_BAD_SIGNATURE), "a command is no manifest");
        assert_eq!(code(body.as_bytes()), Err(Code::UPDATE_BAD_SIGNATURE), "not signed at all");
        assert_eq!(code(&vec![b' '; MAX_MANIFEST_BYTES + 1]), Err(Code::UPDATE_BAD_MANIFEST));
        assert!(matches!(verify(&good, &Keys::default(), at), Err(Fault::NoKeys)));
    }
}

//! The agent's own key and certificate: made here, asked for with a PKCS #10 request, kept in the state
//! directory with mode 0600. Used by the thread `control-plane` alone.
//!
//! Key and chain are one file, so that a power cut never leaves a key beside the certificate of another. The key
//! of a request is on disk before the request goes out, and the same until its certificate has come: an answer
//! that got lost is asked for again with it. The key never leaves the host.

use crate::domain::{Sensitive, Timestamp};
use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::ec::{Asn1Flag, EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::{X509, X509NameBuilder, X509ReqBuilder};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The key and the chain in use, in the state directory.
pub const PAIR_FILE: &str = "control-plane.pem";
/// The key of a request that has no answer yet.
const PENDING_FILE: &str = "control-plane.pending.pem";
/// A chain of a few certificates has some kilobytes.
const MAX_PEM_BYTES: usize = 64 * 1024;
/// X.520: `ub-common-name`.
const MAX_COMMON_NAME: usize = 64;

/// The key or the certificate cannot be made, read or kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyError {
    /// A file.
    #[error("cannot {0} {1}: {2}")]
    File(&'static str, PathBuf, io::Error),
    /// What is in the file.
    #[error("{0} holds no key and certificate that can be read: {1}")]
    Content(PathBuf, ErrorStack),
    /// OpenSSL would not.
    #[error("cannot make a key or a request for a certificate: {0}")]
    Make(#[from] ErrorStack),
    /// The answer.
    #[error("the certificate that the control plane sent cannot be used: {0}")]
    Answer(&'static str),
}

/// The certificate with its key, in PEM.
#[derive(Clone)]
pub(super) struct Pair {
    /// The certificate first, then those between it and the CA.
    pub(super) chain: Vec<u8>,
    pub(super) key: Sensitive<Vec<u8>>,
    pub(super) life: Life,
}

/// From when to when a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

/// The folder with the files.
pub(super) struct Keyring {
    folder: PathBuf,
}

impl Keyring {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// What is kept; nothing where no certificate has come yet.
    pub(super) fn pair(&self) -> Result<Option<Pair>, KeyError> {
        let path = self.folder.join(PAIR_FILE);
        let Some(pem) = read(&path)? else { return Ok(None) };
        let parsed = PKey::private_key_from_pem(&pem).and_then(|key| Ok((key, X509::stack_from_pem(&pem)?)));
        let (key, chain) = parsed.map_err(|error| KeyError::Content(path.clone(), error))?;
        let pair = pair(&key, &chain).map_err(|error| KeyError::Content(path.clone(), error))?;
        // A file without any certificate parses too.
        pair.map(Some).ok_or_else(|| KeyError::Content(path, ErrorStack::get()))
    }

    /// A request for a certificate in this name, DER. Its key stays the same until [`Self::accept`].
    pub(super) fn request(&self, name: &str) -> Result<Vec<u8>, KeyError> {
        let key = self.pending_key()?;
        let mut subject = X509NameBuilder::new()?;
        subject.append_entry_by_nid(Nid::COMMONNAME, common_name(name))?;
        let mut request = X509ReqBuilder::new()?;
        request.set_version(0)?;
        request.set_subject_name(&subject.build())?;
        request.set_pubkey(&key)?;
        request.sign(&key, MessageDigest::sha256())?;
        Ok(request.build().to_der()?)
    }

    /// The answer to the newest request: it takes the place of what was in use.
    pub(super) fn accept(&self, chain: &[u8], now: Timestamp) -> Result<Pair, KeyError> {
        if chain.len() > MAX_PEM_BYTES {
            return Err(KeyError::Answer("it is too large"));
        }
        let chain = X509::stack_from_pem(chain).map_err(|_| KeyError::Answer("it is not PEM"))?;
        let key = self.pending_key()?;
        let Some(leaf) = chain.first() else { return Err(KeyError::Answer("it is empty")) };
        if !leaf.public_key()?.public_eq(&key) {
            return Err(KeyError::Answer("it is for another key than this host's"));
        }
        let pair = pair(&key, &chain)?.ok_or(KeyError::Answer("its times cannot be read"))?;
        if pair.life.until <= now {
            return Err(KeyError::Answer("by this host's clock it is over already: compare the clocks"));
        }
        let mut whole = pair.key.reveal().clone();
        whole.extend_from_slice(&pair.chain);
        self.write(PAIR_FILE, &whole)?;
        self.remove(PENDING_FILE)?;
        Ok(pair)
    }

    /// The agent is nobody any more.
    pub(super) fn forget(&self) -> Result<(), KeyError> {
        self.remove(PAIR_FILE)?;
        self.remove(PENDING_FILE)
    }

    /// The key of the request that is under way, or of the next one.
    fn pending_key(&self) -> Result<PKey<Private>, KeyError> {
        let kept = read(&self.folder.join(PENDING_FILE))?;
        // One that is damaged was never used, or its answer is lost with it: another takes its place.
        if let Some(key) = kept.and_then(|pem| PKey::private_key_from_pem(&pem).ok()) {
            return Ok(key);
        }
        let mut group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
        group.set_asn1_flag(Asn1Flag::NAMED_CURVE);
        let key = PKey::from_ec_key(EcKey::generate(&group)?)?;
        self.write(PENDING_FILE, &key.private_key_to_pem_pkcs8()?)?;
        Ok(key)
    }

    /// All or nothing, and on the disk: a file beside it takes its place.
    fn write(&self, name: &str, content: &[u8]) -> Result<(), KeyError> {
        let path = self.folder.join(name);
        let beside = self.folder.join(format!("{name}.new"));
        let written = || -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            File::open(&self.folder)?.sync_all()
        };
        written().map_err(|error| KeyError::File("write", path.clone(), error))
    }

    fn remove(&self, name: &str) -> Result<(), KeyError> {
        let path = self.folder.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(KeyError::File("remove", path, error)),
            _ => Ok(()),
        }
    }
}

/// Nothing where the first certificate is missing or its times cannot be read.
fn pair(key: &PKey<Private>, chain: &[X509]) -> Result<Option<Pair>, ErrorStack> {
    let Some(life) = chain.first().and_then(|leaf| Life::of(leaf)) else { return Ok(None) };
    let mut pem = Vec::new();
    for certificate in chain {
        pem.extend(certificate.to_pem()?);
    }
    Ok(Some(Pair { chain: pem, key: Sensitive::new(key.private_key_to_pem_pkcs8()?), life }))
}

impl Life {
    /// Of a certificate, if its times can be read.
    pub(super) fn of(certificate: &openssl::x509::X509Ref) -> Option<Self> {
        Some(Self { from: timestamp(certificate.not_before())?, until: timestamp(certificate.not_after())? })
    }
}

/// Why a configured certificate and its key do not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misfit {
    /// No certificate in PEM.
    Certificate,
    /// No private key in PEM without a passphrase.
    Key,
    /// The key of another certificate.
    Foreign,
}

/// Whether a chain and a key, PEM, belong together.
pub(super) fn check_pair(chain: &[u8], key: &[u8]) -> Result<(), Misfit> {
    let chain = X509::stack_from_pem(chain).map_err(|_| Misfit::Certificate)?;
    let public = chain.first().and_then(|leaf| leaf.public_key().ok()).ok_or(Misfit::Certificate)?;
    // Without the callback, OpenSSL asks the terminal for a passphrase.
    let key = PKey::private_key_from_pem_callback(key, |_| Ok(0)).map_err(|_| Misfit::Key)?;
    if public.public_eq(&key) { Ok(()) } else { Err(Misfit::Foreign) }
}

fn timestamp(time: &Asn1TimeRef) -> Option<Timestamp> {
    let since = Asn1Time::from_unix(0).ok()?.diff(time).ok()?;
    Some(Timestamp::from_millis((i64::from(since.days) * 86_400 + i64::from(since.secs)) * 1000))
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, KeyError> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(KeyError::File("read", path.to_owned(), error)),
    }
}

/// As much of the name as a common name may have.
fn common_name(name: &str) -> &str {
    let end = name.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|&end| end <= MAX_COMMON_NAME).last();
    if name.is_empty() { "axion-agent" } else { &name[..end.unwrap_or(0)] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::x509::{X509Builder, X509Req};
    use std::os::unix::fs::PermissionsExt as _;
    use uuid::Uuid;

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let path = std::env::temp_dir().join(format!("axion-keyring-{}", Uuid::new_v4()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    /// What a CA makes of a request.
    fn issue(request: &[u8], from: i64, until: i64) -> Vec<u8> {
        let request = X509Req::from_der(request).unwrap();
        let public = request.public_key().unwrap();
        assert!(request.verify(&public).unwrap(), "the request is signed with its own key");
        let ca = PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap()).unwrap()).unwrap();
        let mut builder = X509Builder::new().unwrap();
        builder.set_subject_name(request.subject_name()).unwrap();
        builder.set_pubkey(&public).unwrap();
        builder.set_not_before(&Asn1Time::from_unix(from).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::from_unix(until).unwrap()).unwrap();
        builder.sign(&ca, MessageDigest::sha256()).unwrap();
        builder.build().to_pem().unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn a_certificate_is_asked_for_with_one_key_until_it_has_come() {
        let folder = Folder::new();
        let keyring = Keyring::new(&folder.0);
        assert!(keyring.pair().unwrap().is_none());
        let first = keyring.request("edge-7").unwrap();
        let again = Keyring::new(&folder.0).request("edge-7").unwrap();
        let key = |request: &[u8]| X509Req::from_der(request).unwrap().public_key().unwrap();
        assert!(key(&first).public_eq(&key(&again)), "another process asks with the same key");
        let pair = keyring.accept(&issue(&again, 1_000, 2_000), at(1_500)).unwrap();
        assert_eq!(pair.life, Life { from: at(1_000), until: at(2_000) });
        let kept = keyring.pair().unwrap().unwrap();
        assert_eq!((&kept.chain, &kept.key, kept.life), (&pair.chain, &pair.key, pair.life));
        let names: Vec<_> = fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [PAIR_FILE], "the key has moved");
        let mode = fs::metadata(folder.0.join(PAIR_FILE)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let renewal = keyring.request("edge-7").unwrap();
        assert!(!key(&renewal).public_eq(&key(&first)), "the next certificate has a key of its own");
    }

    #[test]
    fn what_does_not_fit_is_not_kept() {
        let folder = Folder::new();
        let keyring = Keyring::new(&folder.0);
        let own = keyring.request("a").unwrap();
        let other = Folder::new();
        let foreign = Keyring::new(&other.0).request("a").unwrap();
        for (chain, why) in [
            (issue(&foreign, 0, 2_000), "another key"),
            (issue(&own, 0, 1_000), "clocks"),
            (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec(), "not PEM"),
            (b"hello".to_vec(), "empty"),
            (vec![b'x'; MAX_PEM_BYTES + 1], "too large"),
        ] {
            let error = keyring.accept(&chain, at(1_500)).err().unwrap().to_string();
            assert!(error.contains(why), "{why}: {error}");
        }
        assert!(keyring.pair().unwrap().is_none());
        assert!(keyring.accept(&issue(&own, 0, 2_000), at(1_500)).is_ok(), "the request is still open");
    }

    #[test]
    fn a_damaged_file_is_an_error_that_names_it() {
        let folder = Folder::new();
        for content in ["", "hello", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            fs::write(folder.0.join(PAIR_FILE), content).unwrap();
            let error = Keyring::new(&folder.0).pair().err().unwrap().to_string();
            assert!(error.contains(PAIR_FILE), "{error}");
        }
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        assert_eq!(common_name(""), "axion-agent");
        assert_eq!(common_name(&"ä".repeat(40)), "ä".repeat(32));
        assert_eq!(common_name(&format!("a{}", "ä".repeat(40))), format!("a{}", "ä".repeat(31)));
    }
}

//! The development control plane's own CA: made once in a folder, it signs the server's certificate and those of
//! the agents. For development: its key lies in clear beside it.
//!
//! An agent whose id is a line of the file `revoked` in the folder is no longer let in.

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{Asn1Flag, EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, PKeyRef, Private, Public};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509Name, X509NameBuilder, X509Req};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use uuid::Uuid;

const CA_CERTIFICATE: &str = "ca.pem";
const CA_KEY: &str = "ca.key";
const REVOKED: &str = "revoked";
const CA_LIFE: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Clocks of hosts differ a little.
const BACKDATED: Duration = Duration::from_secs(2);

/// The CA cannot do what it shall.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("cannot read or write {0}: {1}")]
    File(PathBuf, std::io::Error),
    #[error("OpenSSL: {0}")]
    OpenSsl(#[from] ErrorStack),
}

/// What the server shows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServerCertificate {
    #[default]
    Right,
    /// It ended an hour ago.
    Expired,
    /// It begins in an hour.
    NotYetValid,
    /// It is for another host.
    OtherName,
    /// Another CA has made it.
    OtherCa,
}

/// A certificate and its key, PEM.
pub struct Issued {
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
}

/// The CA.
pub struct Authority {
    folder: PathBuf,
    certificate: X509,
    key: PKey<Private>,
    life: Duration,
}

impl Authority {
    /// Reads the CA of the folder, or makes it. Agents' certificates are valid for `life`.
    pub fn open(folder: &Path, life: Duration) -> Result<Self, AuthorityError> {
        let file = |name: &str| folder.join(name);
        let failed = |name: &'static str| move |error| AuthorityError::File(folder.join(name), error);
        let (certificate, key) = if file(CA_CERTIFICATE).exists() && file(CA_KEY).exists() {
            let certificate = std::fs::read(file(CA_CERTIFICATE)).map_err(failed(CA_CERTIFICATE))?;
            let key = std::fs::read(file(CA_KEY)).map_err(failed(CA_KEY))?;
            (X509::from_pem(&certificate)?, PKey::private_key_from_pem(&key)?)
        } else {
            // Two such CAs must not be taken for each other.
            let (certificate, key) = make_ca(&format!("axion-agent development CA {}", Uuid::new_v4().simple()))?;
            std::fs::create_dir_all(folder).map_err(failed(CA_CERTIFICATE))?;
            std::fs::write(file(CA_CERTIFICATE), certificate.to_pem()?).map_err(failed(CA_CERTIFICATE))?;
            std::fs::write(file(CA_KEY), key.private_key_to_pem_pkcs8()?).map_err(failed(CA_KEY))?;
            (certificate, key)
        };
        Ok(Self { folder: folder.to_owned(), certificate, key, life })
    }

    /// What agents put into `control_plane.ca_file`.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.join(CA_CERTIFICATE)
    }

    /// The CA's certificate, PEM.
    pub fn ca(&self) -> Result<Vec<u8>, ErrorStack> {
        self.certificate.to_pem()
    }

    /// A certificate for the server on this host.
    pub fn server(&self, what: ServerCertificate) -> Result<Issued, ErrorStack> {
        let key = new_key()?;
        let other_ca = make_ca("another CA")?;
        let (issuer, issuer_key) = match what {
            ServerCertificate::OtherCa => (&other_ca.0, &other_ca.1),
            _ => (&self.certificate, &self.key),
        };
        let hour = Duration::from_secs(3600);
        let now = now();
        let (from, until) = match what {
            ServerCertificate::Expired => (now - 2 * hour, now - hour),
            ServerCertificate::NotYetValid => (now + hour, now + 2 * hour),
            _ => (now - BACKDATED, now + CA_LIFE),
        };
        let mut builder = begin(&name("control plane")?, issuer.subject_name(), &key, from, until)?;
        let mut names = SubjectAlternativeName::new();
        match what {
            ServerCertificate::OtherName => names.dns("elsewhere.example.com"),
            _ => names.dns("localhost").ip("127.0.0.1").ip("::1"),
        };
        let names = names.build(&builder.x509v3_context(Some(issuer), None))?;
        builder.append_extension(names)?;
        builder.append_extension(ExtendedKeyUsage::new().server_auth().build()?)?;
        builder.sign(issuer_key, MessageDigest::sha256())?;
        Ok(Issued { certificate: builder.build().to_pem()?, key: key.private_key_to_pem_pkcs8()? })
    }

    /// Signs an agent's PKCS #10 request in this name; PEM.
    pub fn issue(&self, request: &[u8], agent: &str) -> Result<Vec<u8>, ErrorStack> {
        let request = X509Req::from_der(request)?;
        let key = request.public_key()?;
        if !request.verify(&key)? {
            return Err(ErrorStack::get());
        }
        self.sign_client(&key, agent, now() - BACKDATED, now() + self.life)
    }

    /// A client's certificate with its key, valid in this span, for those who bring their own.
    pub fn client(&self, agent: &str, from: SystemTime, until: SystemTime) -> Result<Issued, ErrorStack> {
        let key = new_key()?;
        let public = PKey::public_key_from_pem(&key.public_key_to_pem()?)?;
        let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let certificate = self.sign_client(&public, agent, since(from), since(until))?;
        Ok(Issued { certificate, key: key.private_key_to_pem_pkcs8()? })
    }

    fn sign_client(&self, key: &PKeyRef<Public>, agent: &str, from: Duration, until: Duration) -> Result<Vec<u8>, ErrorStack> {
        let mut builder = begin(&name(agent)?, self.certificate.subject_name(), key, from, until)?;
        builder.append_extension(KeyUsage::new().critical().digital_signature().build()?)?;
        builder.append_extension(ExtendedKeyUsage::new().client_auth().build()?)?;
        builder.sign(&self.key, MessageDigest::sha256())?;
        builder.build().to_pem()
    }

    /// Whose certificate this is, PEM, as gRPC has verified it; or why it does not count any more.
    pub fn holder(&self, pem: &[u8]) -> Result<String, String> {
        let certificate = X509::from_pem(pem).map_err(|error| error.to_string())?;
        let common = certificate.subject_name().entries_by_nid(Nid::COMMONNAME).next();
        let agent = common.and_then(|entry| entry.data().to_string().ok());
        let agent = agent.ok_or("the certificate names nobody")?;
        // gRPC verifies a certificate once per connection: it may have ended since.
        let is_over = Asn1Time::days_from_now(0).is_ok_and(|now| certificate.not_after() < now);
        if is_over { Err(format!("the certificate of {agent} is over")) } else { Ok(agent) }
    }

    /// Whether this agent shall no longer be let in.
    pub fn is_revoked(&self, agent: &str) -> bool {
        std::fs::read_to_string(self.folder.join(REVOKED)).is_ok_and(|list| list.lines().any(|line| line.trim() == agent))
    }
}

/// Since the epoch.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn new_key() -> Result<PKey<Private>, ErrorStack> {
    let mut group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    group.set_asn1_flag(Asn1Flag::NAMED_CURVE);
    PKey::from_ec_key(EcKey::generate(&group)?)
}

fn name(common: &str) -> Result<X509Name, ErrorStack> {
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_nid(Nid::COMMONNAME, common)?;
    Ok(name.build())
}

fn make_ca(common: &str) -> Result<(X509, PKey<Private>), ErrorStack> {
    let key = new_key()?;
    let subject = name(common)?;
    let mut builder = begin(&subject, &subject, &key, now() - BACKDATED, now() + CA_LIFE)?;
    builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
    builder.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build()?)?;
    builder.sign(&key, MessageDigest::sha256())?;
    Ok((builder.build(), key))
}

fn begin<T: openssl::pkey::HasPublic>(
    subject: &X509Name,
    issuer: &openssl::x509::X509NameRef,
    key: &PKeyRef<T>,
    from: Duration,
    until: Duration,
) -> Result<X509Builder, ErrorStack> {
    let mut serial = BigNum::new()?;
    // RFC 5280: positive and at most 20 octets.
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    let mut builder = X509Builder::new()?;
    builder.set_version(2)?;
    builder.set_serial_number(&*serial.to_asn1_integer()?)?;
    builder.set_subject_name(subject)?;
    builder.set_issuer_name(issuer)?;
    builder.set_pubkey(key)?;
    let time = |since: Duration| Asn1Time::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
    builder.set_not_before(&*time(from)?)?;
    builder.set_not_after(&*time(until)?)?;
    Ok(builder)
}

//! Certificates: the CAs that are trusted, the agent's own with their keys, those of the brokers; and how long they last.

use super::catalogue::{Check, TLS_CERTIFICATES, TLS_SERVERS, TLS_TRUST};
use super::running::Running;
use super::{Certificate, Finding, Kafka, QUESTION, Settings, Wanted};
use crate::threads::{Deadline, ThreadName, side_by_side};
use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{HandshakeError, Ssl, SslContextBuilder, SslMethod, SslVerifyMode};
use openssl::x509::{X509, X509Ref};
use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::time::Duration;

const DAY: i64 = 24 * 60 * 60;
/// With less than this left of a certificate's life, or less than a tenth of it, it is told: the shorter of the two, so
/// that one that lives for hours is not told all its life.
const SOON: i64 = 14 * DAY;
const SOON_PART: i64 = 10;
/// A file with so many CAs is a bundle, in which some are always over.
const BUNDLE: usize = 8;
/// Handshakes with brokers, side by side; of more brokers the first are looked at.
const HANDSHAKES: [ThreadName; 4] =
    [ThreadName::new("doctor-tls-1"), ThreadName::new("doctor-tls-2"), ThreadName::new("doctor-tls-3"), ThreadName::new("doctor-tls-4")];
const MAX_BROKERS: usize = 12;
const HANDSHAKE: Duration = Duration::from_secs(3);

/// From when to when a certificate is valid, in seconds from now, and what people call the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) begins: i64,
    pub(super) ends: i64,
    pub(super) end: String,
}

pub(super) fn look(settings: &Settings, _: &Running, deadline: Deadline) -> Vec<Finding> {
    let mut found: Vec<Finding> = settings.trust.iter().map(|(purpose, file)| trust(file.as_deref()).about(*purpose)).collect();
    found.extend(settings.certificates.iter().map(|one| certificate(one).about(one.certificate.display().to_string())));
    found.extend(brokers(&settings.kafka, deadline));
    found
}

fn trust(file: Option<&Path>) -> Finding {
    let Some(file) = file else { return TLS_TRUST.fail("no CA bundle of the system was found") };
    let shown = file.display();
    let pem = match fs::read(file) {
        Ok(pem) => pem,
        Err(error) => return TLS_TRUST.fail(format!("{shown} cannot be read: {error}")),
    };
    let lives = X509::stack_from_pem(&pem).and_then(|all| all.iter().map(|one| life(one)).collect::<Result<Vec<Life>, ErrorStack>>());
    match lives {
        Ok(lives) => judge_trust(&shown.to_string(), &lives),
        Err(error) => TLS_TRUST.fail(format!("{shown} holds no certificates in PEM: {error}")),
    }
}

fn judge_trust(shown: &str, lives: &[Life]) -> Finding {
    let over = lives.iter().filter(|life| life.ends <= 0).count();
    let summary = format!("{shown}: {} CAs", lives.len());
    match (lives.len(), over) {
        (0, _) => TLS_TRUST.fail(format!("{shown} holds no certificate")),
        (all, over) if all == over => TLS_TRUST.fail(format!("{summary}, all of them have expired")),
        (all, 1..) if all <= BUNDLE => TLS_TRUST.warn(format!("{summary}, {over} of them have expired")),
        (all, _) if all <= BUNDLE => {
            let first = lives.iter().min_by_key(|life| life.ends);
            first.map_or_else(|| TLS_TRUST.ok(&summary), |first| judge_life(&TLS_TRUST, first, &format!("{summary}; the first to end")))
        }
        _ => TLS_TRUST.ok(summary),
    }
}

fn certificate(one: &Certificate) -> Finding {
    let shown = one.certificate.display();
    let read = |path: &Path| fs::read(path).map_err(|error| (error.kind(), format!("{} cannot be read: {error}", path.display())));
    let (chain, key) = match read(&one.certificate).and_then(|chain| Ok((chain, read(&one.key)?))) {
        Ok(found) => found,
        Err((ErrorKind::NotFound, _)) if one.wanted == Wanted::OnceIssued => {
            return TLS_CERTIFICATES.skipped(format!("{}: none was issued yet", one.purpose));
        }
        Err((ErrorKind::PermissionDenied, reason)) => {
            return TLS_CERTIFICATES.skipped(format!("{}: {reason}; call the doctor as root to look", one.purpose));
        }
        Err((_, reason)) => return TLS_CERTIFICATES.fail(format!("{}: {reason}", one.purpose)),
    };
    let Ok(leaf) = X509::from_pem(&chain) else { return TLS_CERTIFICATES.fail(format!("{shown} holds no certificate in PEM")) };
    // Without this a key with a passphrase would ask for it at the terminal.
    let Ok(key) = PKey::private_key_from_pem_callback(&key, |_| Ok(0)) else {
        return TLS_CERTIFICATES.fail(format!("{} holds no private key in PEM that needs no passphrase", one.key.display()));
    };
    if !leaf.public_key().is_ok_and(|public| public.public_eq(&key)) {
        return TLS_CERTIFICATES.fail(format!("the key in {} does not belong to the certificate in {shown}", one.key.display()));
    }
    match life(&leaf) {
        Ok(life) => judge_life(&TLS_CERTIFICATES, &life, one.purpose),
        Err(error) => TLS_CERTIFICATES.fail(format!("{shown}: its times cannot be read: {error}")),
    }
}

/// From here on.
pub(super) fn life(certificate: &X509Ref) -> Result<Life, ErrorStack> {
    let now = Asn1Time::days_from_now(0)?;
    let from_now = |time: &Asn1TimeRef| now.diff(time).map(|span| i64::from(span.days) * DAY + i64::from(span.secs));
    let (begins, ends) = (from_now(certificate.not_before())?, from_now(certificate.not_after())?);
    Ok(Life { begins, ends, end: certificate.not_after().to_string() })
}

/// `what` says whose it is.
pub(super) fn judge_life(check: &'static Check, life: &Life, what: &str) -> Finding {
    let Life { begins, ends, end } = life;
    let soon = SOON.min((ends - begins) / SOON_PART);
    if *ends <= 0 {
        check.fail(format!("{what}: it ended on {end}"))
    } else if *begins > 0 {
        check.fail(format!("{what}: it is not valid yet, by this host's clock")).mend("Set this host's clock right, or wait.")
    } else if *ends < soon {
        check.warn(format!("{what}: {} left, until {end}", span(*ends)))
    } else {
        check.ok(format!("{what}: {} left, until {end}", span(*ends)))
    }
}

fn span(seconds: i64) -> String {
    if seconds >= 2 * DAY { format!("{} days", seconds / DAY) } else { format!("{} min", seconds / 60) }
}

/// What the brokers show; whether it is trusted is `kafka.brokers`' to say.
fn brokers(kafka: &Kafka, deadline: Deadline) -> Vec<Finding> {
    let (Kafka::Reached(kafka) | Kafka::Nameless(kafka, _)) = kafka else { return Vec::new() };
    if !kafka.security.protocol.to_ascii_lowercase().ends_with("ssl") {
        return Vec::new();
    }
    let brokers: Vec<&String> = kafka.brokers.iter().take(MAX_BROKERS).collect();
    let deadline = deadline.min(Deadline::after(QUESTION));
    side_by_side(&HANDSHAKES, brokers.len(), |number| {
        let address = brokers[number].as_str();
        let finding = match shown_by(address, deadline.or_after(HANDSHAKE)) {
            Ok(life) => judge_life(&TLS_SERVERS, &life, "the broker's certificate"),
            Err(reason) => TLS_SERVERS.skipped(format!("no certificate was seen: {reason}")),
        };
        finding.about(address)
    })
}

/// The certificate that a port shows, whoever has signed it.
fn shown_by(address: &str, deadline: Deadline) -> Result<Life, String> {
    let words = |error: ErrorStack| error.to_string();
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_start_matches('[').trim_end_matches(']');
    let target = address.to_socket_addrs().map_err(|error| error.to_string())?.next().ok_or("it has no address")?;
    let left = || deadline.left().max(Duration::from_millis(1));
    let stream = TcpStream::connect_timeout(&target, left()).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(left())).and_then(|()| stream.set_write_timeout(Some(left()))).map_err(|error| error.to_string())?;
    let mut context = SslContextBuilder::new(SslMethod::tls_client()).map_err(words)?;
    context.set_verify(SslVerifyMode::NONE);
    let mut ssl = Ssl::new(&context.build()).map_err(words)?;
    if host.parse::<IpAddr>().is_err() {
        ssl.set_hostname(host).map_err(words)?;
    }
    let certificate = match ssl.connect(stream) {
        Ok(stream) => stream.ssl().peer_certificate(),
        // One that wants the agent's own certificate has shown its own before.
        Err(HandshakeError::Failure(failed)) => failed.ssl().peer_certificate(),
        Err(error) => return Err(error.to_string()),
    };
    life(&*certificate.ok_or("it does not speak TLS")?).map_err(words)
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;
    use openssl::hash::MessageDigest;
    use openssl::pkey::Private;
    use openssl::rsa::Rsa;
    use openssl::x509::{X509Builder, X509NameBuilder};

    #[test]
    fn a_life_is_judged_by_what_is_left_of_it() {
        let life = |begins, ends| Life { begins, ends, end: "then".into() };
        for (begins, ends, state) in [
            (-300 * DAY, 60 * DAY, State::Ok),
            (-300 * DAY, 10 * DAY, State::Warn),
            (-300 * DAY, -1, State::Fail),
            (60, 300 * DAY, State::Fail),
            // Issued for a day.
            (-DAY / 2, DAY / 2, State::Ok),
            (-DAY, DAY / 20, State::Warn),
        ] {
            let finding = judge_life(&TLS_CERTIFICATES, &life(begins, ends), "it");
            assert_eq!(finding.state, state, "{finding:?}");
        }
    }

    #[test]
    fn trust_fails_without_a_valid_ca() {
        let life = |ends| Life { begins: -300 * DAY, ends, end: "then".into() };
        let bundle = |over: usize| [vec![life(-1); over], vec![life(300 * DAY); 100]].concat();
        for (lives, state) in [
            (vec![], State::Fail),
            (vec![life(-1)], State::Fail),
            (vec![life(-1), life(100 * DAY)], State::Warn),
            (vec![life(5 * DAY)], State::Warn),
            (vec![life(100 * DAY)], State::Ok),
            (bundle(3), State::Ok),
        ] {
            assert_eq!(judge_trust("/ca", &lives).state, state, "{lives:?}");
        }
        assert_eq!(trust(None).state, State::Fail);
        assert_eq!(trust(Some(Path::new("/dev/null"))).state, State::Fail);
    }

    fn signed(key: &PKey<Private>, begins: i64, ends: i64) -> Vec<u8> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
        let mut name = X509NameBuilder::new().unwrap();
        name.append_entry_by_text("CN", "agent").unwrap();
        let name = name.build();
        let mut builder = X509Builder::new().unwrap();
        builder.set_subject_name(&name).unwrap();
        builder.set_issuer_name(&name).unwrap();
        builder.set_pubkey(key).unwrap();
        builder.set_not_before(&Asn1Time::from_unix(now + begins).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::from_unix(now + ends).unwrap()).unwrap();
        builder.sign(key, MessageDigest::sha256()).unwrap();
        builder.build().to_pem().unwrap()
    }

    #[test]
    fn files_that_are_missing_foreign_or_over_are_told_apart() {
        let folder = std::env::temp_dir().join(format!("axion-doctor-tls-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).unwrap();
        let key = || PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let (own, other) = (key(), key());
        let put = |name: &str, content: &[u8]| fs::write(folder.join(name), content).unwrap();
        put("good.pem", &signed(&own, -DAY, 300 * DAY + DAY / 2));
        put("over.pem", &signed(&own, -2 * DAY, -DAY));
        put("soon.pem", &signed(&own, -300 * DAY, 5 * DAY + DAY / 2));
        put("early.pem", &signed(&own, DAY, 300 * DAY));
        put("own.key", &own.private_key_to_pem_pkcs8().unwrap());
        put("other.key", &other.private_key_to_pem_pkcs8().unwrap());
        put("no.pem", b"hello");
        for (file, key, wanted, state, part) in [
            ("good.pem", "own.key", Wanted::Always, State::Ok, "300 days"),
            ("over.pem", "own.key", Wanted::Always, State::Fail, "it ended on"),
            ("soon.pem", "own.key", Wanted::Always, State::Warn, "5 days"),
            ("early.pem", "own.key", Wanted::Always, State::Fail, "not valid yet"),
            ("good.pem", "other.key", Wanted::Always, State::Fail, "does not belong"),
            ("good.pem", "no.pem", Wanted::Always, State::Fail, "no private key"),
            ("no.pem", "own.key", Wanted::Always, State::Fail, "no certificate"),
            ("gone.pem", "own.key", Wanted::Always, State::Fail, "cannot be read"),
            ("gone.pem", "gone.pem", Wanted::OnceIssued, State::Skipped, "none was issued"),
        ] {
            let one = Certificate { purpose: "Kafka", certificate: folder.join(file), key: folder.join(key), wanted };
            let finding = certificate(&one);
            assert_eq!(finding.state, state, "{finding:?}");
            assert!(finding.summary.contains(part), "{finding:?}");
        }
        fs::remove_dir_all(folder).unwrap();
    }
}

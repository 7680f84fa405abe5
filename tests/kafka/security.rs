//! TLS and SASL that fail: what only a real broker can show. Each way has its code and its mend, and no secret is
//! told. Logins that work are shown by a whole agent (`tests/secure.rs`).

use crate::bed::settings;
use crate::support::{Listeners, Stage};
use axion_agent::domain::{LinkState, Sensitive};
use axion_agent::kafka::{Consumer, Event, Producer, Settings, Side};
use axion_agent::threads::{ThreadName, spawn};
use crossbeam_channel::{Receiver, bounded};
use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509, X509Builder, X509NameBuilder};
use std::convert::Infallible;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

/// Far longer than a login takes.
const PATIENCE: Duration = Duration::from_secs(20);
const WRONG_PASSWORD: &str = "hunter2";

fn listeners(stage: &Stage) -> Listeners {
    stage.supply().secure().expect("the test said that it needs a secure broker")
}

/// A listener with TLS and the test CA.
fn tls(listeners: &Listeners, address: &str) -> Settings {
    let mut settings = settings(address);
    settings.security.protocol = "ssl".to_owned();
    settings.security.ca = Some(listeners.certificates.join("ca.pem"));
    settings
}

fn with_certificate(mut settings: Settings, listeners: &Listeners, name: &str) -> Settings {
    settings.security.certificate = Some(listeners.certificates.join(format!("{name}.pem")));
    settings.security.key = Some(listeners.certificates.join(format!("{name}.key")));
    settings
}

fn login(listeners: &Listeners, mechanism: &str, password: &str) -> Settings {
    let mut settings = tls(listeners, &listeners.sasl);
    settings.security.protocol = "sasl_ssl".to_owned();
    settings.security.sasl_mechanism = Some(mechanism.to_owned());
    settings.security.sasl_username = Some("agent".to_owned());
    settings.security.sasl_password = Some(Sensitive::new(password.to_owned()));
    settings
}

/// The same port by another name: it resolves, and no certificate has it.
fn other_name(address: &str) -> String {
    format!("127.1:{}", address.rsplit_once(':').unwrap().1)
}

/// Waits for the code and the key on the links of both clients.
fn told(settings: &Settings, code: &str, mend: &str) {
    let (events, inbox) = bounded(16);
    let (exits, _reports) = bounded(4);
    let producer = Producer::start(settings, &[], events, exits.clone()).unwrap();
    link(&inbox, code, mend);
    drop(producer);
    let (events, inbox) = bounded(16);
    let _consumer = Consumer::start(settings, Vec::new(), events, exits).unwrap();
    link(&inbox, code, mend);
}

fn link(inbox: &Receiver<Event>, code: &str, mend: &str) {
    let deadline = Instant::now() + PATIENCE;
    let mut others = Vec::new();
    while let Ok(event) = inbox.recv_deadline(deadline) {
        let Event::Link(_, LinkState::Down(reason)) = event else { continue };
        assert!(!reason.contains(WRONG_PASSWORD), "{reason}");
        if reason.starts_with(&format!("{code}: ")) && reason.contains(mend) {
            return;
        }
        others.push(reason);
    }
    panic!("not told: {code} … {mend}; but: {others:#?}");
}

pub fn certificates(stage: &Stage) {
    let listeners = listeners(stage);
    let mut other_ca = tls(&listeners, &listeners.tls);
    other_ca.security.ca = Some(listeners.certificates.join("other-ca.pem"));
    told(&other_ca, "kafka.tls_untrusted", "kafka.ssl_ca_location");
    told(&tls(&listeners, &other_name(&listeners.tls)), "kafka.tls_other_name", "kafka.brokers");
    told(&tls(&listeners, &expired_server(&listeners.certificates)), "kafka.tls_expired", "renew it on the broker");
    let mutual = tls(&listeners, &listeners.mutual_tls);
    told(&mutual, "kafka.certificate_wanted", "kafka.ssl_certificate_location");
    told(&with_certificate(mutual.clone(), &listeners, "expired"), "kafka.certificate_expired", "kafka.ssl_certificate_location");
    told(&with_certificate(mutual.clone(), &listeners, "other-ca"), "kafka.certificate_refused", "kafka.ssl_certificate_location");

    let mut mixed = with_certificate(mutual, &listeners, "client");
    mixed.security.key = Some(listeners.certificates.join("expired.key"));
    let (events, _inbox) = bounded(1);
    let (exits, _reports) = bounded(1);
    let error = Producer::start(&mixed, &[], events, exits).err().unwrap().trouble().to_string();
    assert!(error.starts_with("kafka.setting: kafka.ssl_key_location"), "{error}");
}

/// A certificate that is replaced is used without a restart.
pub fn replaced_certificate(stage: &Stage) {
    let listeners = listeners(stage);
    let folder = stage.directory().join("replaced");
    std::fs::create_dir_all(&folder).unwrap();
    let put = |name: &str| {
        for suffix in ["pem", "key"] {
            std::fs::copy(listeners.certificates.join(format!("{name}.{suffix}")), folder.join("new")).unwrap();
            std::fs::rename(folder.join("new"), folder.join(format!("own.{suffix}"))).unwrap();
        }
    };
    put("expired");
    let mut settings = tls(&listeners, &listeners.mutual_tls);
    settings.security.certificate = Some(folder.join("own.pem"));
    settings.security.key = Some(folder.join("own.key"));
    let (events, inbox) = bounded(64);
    let (exits, _reports) = bounded(4);
    let _producer = Producer::start(&settings, &[], events.clone(), exits.clone()).unwrap();
    let _consumer = Consumer::start(&settings, Vec::new(), events, exits).unwrap();
    for _ in 0..3 {
        link(&inbox, "kafka.certificate_expired", "kafka.ssl_certificate_location");
    }
    put("client");
    let_in(&inbox);
}

/// Waits until both clients are let in, whatever a broker says then.
fn let_in(inbox: &Receiver<Event>) {
    let mut waiting = vec![Side::Consumer, Side::Producer, Side::DeadLetters];
    let deadline = Instant::now() + PATIENCE;
    while !waiting.is_empty() {
        let Ok(event) = inbox.recv_deadline(deadline) else { panic!("not let in: {waiting:?}") };
        match event {
            Event::Link(side, LinkState::Up) => waiting.retain(|one| *one != side),
            Event::Link(side, LinkState::Down(reason)) if reason.starts_with("kafka.topic_") => waiting.retain(|one| *one != side),
            _ => {}
        }
    }
}

/// A certificate that the control plane issues, key and chain in one file: it may come after the start, and is renewed.
pub fn issued_certificate(stage: &Stage) {
    let listeners = listeners(stage);
    let folder = stage.directory().join("issued");
    std::fs::create_dir_all(&folder).unwrap();
    let put = |name: &str| {
        let part = |suffix: &str| std::fs::read(listeners.certificates.join(format!("{name}.{suffix}"))).unwrap();
        std::fs::write(folder.join("new"), [part("key"), part("pem")].concat()).unwrap();
        std::fs::rename(folder.join("new"), folder.join("control-plane.pem")).unwrap();
    };
    let mut settings = tls(&listeners, &listeners.mutual_tls);
    settings.security.issued = Some(folder.join("control-plane.pem"));
    let (events, inbox) = bounded(64);
    let (exits, _reports) = bounded(4);
    let _producer = Producer::start(&settings, &[], events.clone(), exits.clone()).unwrap();
    let _consumer = Consumer::start(&settings, Vec::new(), events, exits).unwrap();
    for _ in 0..3 {
        link(&inbox, "kafka.certificate_wanted", "control plane");
    }
    put("expired");
    for _ in 0..3 {
        link(&inbox, "kafka.certificate_expired", "control plane");
    }
    put("client");
    let_in(&inbox);
}

pub fn passwords(stage: &Stage) {
    let listeners = listeners(stage);
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        told(&login(&listeners, mechanism, WRONG_PASSWORD), "kafka.login_refused", "kafka.sasl_password");
    }
}

pub fn ports(stage: &Stage) {
    let listeners = listeners(stage);
    told(&settings(&listeners.tls), "kafka.tls_wanted", "kafka.security_protocol");
    let plain = stage.supply().administrator().unwrap().brokers;
    told(&tls(&listeners, &plain), "kafka.tls_not_spoken", "kafka.security_protocol");
    told(&tls(&listeners, &listeners.sasl), "kafka.login_wanted", "sasl_ssl");
    let mut no_login_there = login(&listeners, "PLAIN", WRONG_PASSWORD);
    no_login_there.brokers = vec![listeners.tls.clone()];
    told(&no_login_there, "kafka.login_not_offered", "kafka.sasl_mechanism");
}

pub fn names(_: &Stage) {
    // A name that never exists (RFC 6761).
    told(&settings("broker.invalid:9092"), "kafka.name_unknown", "kafka.brokers");
}

/// A listener whose certificate, signed by the test CA, has expired. It lives as long as the test program.
fn expired_server(certificates: &Path) -> String {
    let ca = X509::from_pem(&std::fs::read(certificates.join("ca.pem")).unwrap()).unwrap();
    let signer = PKey::private_key_from_pem(&std::fs::read(certificates.join("ca.key")).unwrap()).unwrap();
    let key = PKey::private_key_from_pem(&std::fs::read(certificates.join("server.key")).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "localhost").unwrap();
    let mut builder = X509Builder::new().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&name.build()).unwrap();
    builder.set_issuer_name(ca.subject_name()).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(86_400).unwrap()).unwrap();
    let names = SubjectAlternativeName::new().dns("localhost").build(&builder.x509v3_context(Some(&ca), None)).unwrap();
    builder.append_extension(names).unwrap();
    builder.sign(&signer, MessageDigest::sha256()).unwrap();
    let mut acceptor = SslAcceptor::mozilla_intermediate(SslMethod::tls()).unwrap();
    acceptor.set_private_key(&key).unwrap();
    acceptor.set_certificate(&builder.build()).unwrap();
    let acceptor = acceptor.build();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (exits, _reports) = bounded(1);
    let serve = move || {
        // A handshake that the client breaks off is what this is for.
        listener.incoming().flatten().for_each(|stream| drop(acceptor.accept(stream)));
        Ok::<(), Infallible>(())
    };
    drop(spawn(ThreadName::new("expired-server"), exits, serve).unwrap());
    format!("localhost:{port}")
}

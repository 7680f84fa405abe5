//! Each thing that can be wrong with the link is named by its code, with the mend.

use crate::agents::{Clients, Issuing};
use crate::authority::{Authority, ServerCertificate};
use crate::bed::*;
use crate::mischief::{Manner, Mischief, RudeServer};
use axion_agent::control_plane::{Endpoint, Identity, Scheme, Settings};
use axion_agent::domain::AgentId;
use axion_agent::threads::{ThreadName, spawn};
use crossbeam_channel::bounded;
use openssl::pkey::PKey;
use openssl::ssl::{AlpnError, SslAcceptor, SslMethod, SslVerifyMode, select_next_proto};
use openssl::x509::{X509, X509VerifyResult};
use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// x509_vfy.h.
const X509_V_ERR_CERT_REVOKED: i32 = 23;
const X509_V_ERR_INVALID_PURPOSE: i32 = 26;

#[test]
fn each_fault_is_named_with_its_mend() {
    let (ca_folder, authority) = authority(LONG);
    let (other_folder, other) = self::authority(LONG);
    let state = Folder::new();
    let agent = || Identity::Configured(AgentId::new("edge-7").unwrap(), None);
    let ca = authority.ca_file();
    let shown = |server: ServerCertificate, clients: Clients| {
        let issuing = Issuing { authority: Arc::clone(&authority), server, clients };
        Server::start(|serve| serve.issuing = Some(issuing))
    };
    let named = |what: &str, settings: Settings, code: &str, mend: &str| {
        let room = Room::start(settings, agent());
        let reason = room.down(code);
        assert!(reason.contains(mend), "{what}: {reason}");
        println!("{what}: {reason}");
        room.stop();
    };
    for (kind, code, mend) in [
        (ServerCertificate::Expired, "control_plane.server_expired", "renew it there"),
        (ServerCertificate::NotYetValid, "control_plane.server_not_yet_valid", "clock"),
        (ServerCertificate::OtherName, "control_plane.server_other_name", "elsewhere.example.com"),
        (ServerCertificate::OtherCa, "control_plane.unknown_ca", "control_plane.ca_file"),
    ] {
        let server = shown(kind, Clients::May);
        named(&format!("{kind:?}"), settings(server.port(), &state, Some(&ca)), code, mend);
    }
    // gRPC's own server hangs up without an alert; others say why.
    let server = shown(ServerCertificate::Right, Clients::Must);
    named("no certificate", settings(server.port(), &state, Some(&ca)), "control_plane.certificate_required", "enrol it");
    named("in clear to a TLS port", settings(server.port(), &state, None), "control_plane.needs_tls", "https://");
    let now = SystemTime::now();
    for (what, authority, from, until, code) in [
        ("expired", &authority, now - 2 * LONG, now - LONG, "control_plane.certificate_expired"),
        ("of another CA", &other, now - LONG, now + LONG, "control_plane.certificate_refused"),
    ] {
        let issued = authority.client("edge-7", from, until).unwrap();
        let files = (state.0.join("own.pem"), state.0.join("own.key"));
        fs::write(&files.0, issued.certificate).unwrap();
        fs::write(&files.1, issued.key).unwrap();
        let settings = Settings { client_certificate: Some(files), ..settings(server.port(), &state, Some(&ca)) };
        named(what, settings, code, "replace control_plane.client_cert_file");
    }
    let plain = Server::start(|_| {});
    named("TLS to a plain port", settings(plain.port(), &state, Some(&ca)), "control_plane.not_tls", "http://");
    named("wrong credential", settings(plain.port(), &state, None), "control_plane.unauthenticated", "enrol it again");
    for (mischief, code, mend) in [
        (Mischief::Denied, "control_plane.permission_denied", "allow it there"),
        (Mischief::Huge, "control_plane.answer_too_large", "out of order"),
        (Mischief::Hang, "control_plane.slow", "no answer in time"),
    ] {
        let server = Server::start(|serve| serve.token = TOKEN.to_owned());
        server.imp.mischief.publish(mischief);
        let settings = Settings { timeout: Duration::from_secs(1), ..settings(server.port(), &state, None) };
        let room = Room::start(settings, to_enrol());
        let reason = room.down(code);
        assert!(reason.contains(mend), "{mischief:?}: {reason}");
        room.stop();
    }
    for (manner, code) in [
        // gRPC keeps the reason for itself: its line in the log has it.
        (Manner::TooManyPings, "control_plane.closed"),
        (Manner::Closes, "control_plane.closed"),
        (Manner::Http1, "control_plane.away"),
        (Manner::Silent, "control_plane.slow"),
    ] {
        let server = RudeServer::start("127.0.0.1:0", manner).unwrap();
        named(&format!("{manner:?}"), settings(server.port(), &state, None), code, "");
    }
    named("nobody", settings(9, &state, None), "control_plane.away", "refused");
    let nowhere = Endpoint { target: "nowhere.invalid:1".to_owned(), scheme: Scheme::Plain };
    named("no name", Settings { endpoint: nowhere, ..settings(1, &state, None) }, "control_plane.name_unknown", "DNS");
    drop((ca_folder, other_folder));
}

/// A TLS server that wants certificates and says with an alert what it thinks of them.
struct Gatekeeper {
    port: u16,
}

impl Gatekeeper {
    /// `verdict` is OpenSSL's code for a certificate that the CA has made (x509_vfy.h); 0 is fine.
    fn start(authority: &Authority, verdict: i32) -> Self {
        let issued = authority.server(ServerCertificate::Right).unwrap();
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        acceptor.set_certificate(&X509::from_pem(&issued.certificate).unwrap()).unwrap();
        acceptor.set_private_key(&PKey::private_key_from_pem(&issued.key).unwrap()).unwrap();
        acceptor.cert_store_mut().add_cert(X509::from_pem(&authority.ca().unwrap()).unwrap()).unwrap();
        acceptor.set_alpn_select_callback(|_, offered| select_next_proto(b"\x02h2", offered).ok_or(AlpnError::NOACK));
        acceptor.set_verify_callback(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT, move |fine, context| {
            if fine && verdict != 0 && context.error_depth() == 0 {
                // SAFETY: the number is one of OpenSSL's own codes, see the constants.
                context.set_error(unsafe { X509VerifyResult::from_raw(verdict) });
                return false;
            }
            fine
        });
        let (acceptor, listener) = (acceptor.build(), TcpListener::bind("127.0.0.1:0").unwrap());
        let port = listener.local_addr().unwrap().port();
        let (exits, _nobody) = bounded(1);
        // It ends with the process.
        spawn(ThreadName::new("gatekeeper"), exits, move || {
            for connection in listener.incoming() {
                // Who is not let in is the point; who is, hears nothing.
                drop(acceptor.accept(connection?));
            }
            Ok::<(), std::io::Error>(())
        })
        .unwrap();
        Self { port }
    }
}

#[test]
fn the_alert_of_a_server_says_what_it_thinks_of_the_agents_certificate() {
    let ((_ca, authority), (_other, other), state) = (authority(LONG), authority(LONG), Folder::new());
    let now = SystemTime::now();
    let valid = (now - LONG, now + LONG);
    for (what, issuer, (from, until), verdict, code) in [
        ("none", None, valid, 0, "control_plane.certificate_required"),
        ("of another CA", Some(&other), valid, 0, "control_plane.certificate_unknown_ca"),
        ("expired", Some(&authority), (now - 2 * LONG, now - LONG), 0, "control_plane.certificate_expired"),
        ("revoked", Some(&authority), valid, X509_V_ERR_CERT_REVOKED, "control_plane.certificate_revoked"),
        ("for another purpose", Some(&authority), valid, X509_V_ERR_INVALID_PURPOSE, "control_plane.certificate_refused"),
    ] {
        let keeper = Gatekeeper::start(&authority, verdict);
        let files = issuer.map(|issuer| {
            let issued = issuer.client("edge-7", from, until).unwrap();
            let files = (state.0.join("own.pem"), state.0.join("own.key"));
            fs::write(&files.0, issued.certificate).unwrap();
            fs::write(&files.1, issued.key).unwrap();
            files
        });
        let settings = Settings { client_certificate: files, ..settings(keeper.port, &state, Some(&authority.ca_file())) };
        let room = Room::start(settings, Identity::Configured(AgentId::new("edge-7").unwrap(), None));
        let reason = room.down(code);
        println!("{what}: {reason}");
        room.stop();
    }
}

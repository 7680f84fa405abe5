//! The link to the control plane over real sockets, against the development control plane: enrolment, the agent's own
//! certificate and its renewal, and what is said of each thing that can go wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests, of which clippy knows only the functions marked so")]

#[path = "../examples/control_plane/agents.rs"]
#[allow(dead_code, reason = "other programs use the rest")]
mod agents;
#[path = "../examples/control_plane/authority.rs"]
#[allow(dead_code, reason = "other programs use the rest")]
mod authority;
#[path = "../examples/control_plane/mischief.rs"]
#[allow(dead_code, reason = "other programs use the rest")]
mod mischief;

use agents::{AgentServer, Beat, Clients, Issuing, Settings as Serve, Shown, Sighting, TokenUse};
use authority::{Authority, ServerCertificate};
use axion_agent::control_plane::{self, ControlPlane, Endpoint, Event, Identity, Route, Scheme, Settings};
use axion_agent::domain::{AgentId, Health, LinkState, Phase, Sensitive};
use axion_agent::threads::{Exit, Published};
use axion_agent::threads::{ThreadName, spawn};
use crossbeam_channel::{Receiver, bounded};
use mischief::{Imp, Manner, Mischief, RudeServer};
use openssl::pkey::PKey;
use openssl::ssl::{AlpnError, SslAcceptor, SslMethod, SslVerifyMode, select_next_proto};
use openssl::x509::{X509, X509VerifyResult};
use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use uuid::Uuid;

/// For what takes milliseconds on a quiet machine; two missed heartbeats and the first retry are within it.
const SOON: Duration = Duration::from_secs(20);
const TOKEN: &str = "canary-token";
/// x509_vfy.h.
const X509_V_ERR_CERT_REVOKED: i32 = 23;
const X509_V_ERR_INVALID_PURPOSE: i32 = 26;
const LONG: Duration = Duration::from_secs(3600);

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("axion-cp-{}", Uuid::new_v4()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A control plane with its CA.
struct Server {
    agents: AgentServer,
    seen: Receiver<Sighting>,
    imp: Imp,
}

impl Server {
    fn start(change: impl FnOnce(&mut Serve)) -> Self {
        let imp = Imp::default();
        let mut settings = Serve { token: TOKEN.to_owned(), imp: imp.clone(), ..Serve::default() };
        change(&mut settings);
        let (sender, seen) = bounded(1024);
        Self { agents: AgentServer::start(settings, sender).unwrap(), seen, imp }
    }

    fn port(&self) -> u16 {
        self.agents.address().rsplit_once(':').unwrap().1.parse().unwrap()
    }

    /// The next heartbeat that `wanted` likes.
    fn beat(&self, what: &str, wanted: impl Fn(&Beat) -> bool) -> Beat {
        let end = Instant::now() + SOON;
        let mut others = Vec::new();
        loop {
            match self.seen.recv_deadline(end) {
                Ok(Sighting::Beat(beat)) if wanted(&beat) => return *beat,
                Ok(other) => others.push(other),
                Err(_) => panic!("not within {} s: {what}; seen: {others:?}", SOON.as_secs()),
            }
        }
    }
}

fn issuing(authority: &Arc<Authority>) -> Issuing {
    Issuing { authority: Arc::clone(authority), server: ServerCertificate::Right, clients: Clients::May }
}

/// The room of the agent, without the rest of it.
struct Room {
    running: Option<ControlPlane>,
    events: Receiver<Event>,
    _session: Receiver<control_plane::SessionEvent>,
    exits: Receiver<Exit>,
}

impl Room {
    fn start(settings: Settings, identity: Identity) -> Self {
        let health = Health { phase: Phase::Ready, dependencies: Vec::new(), commands_open: 0, events_unreported: 0, last_command: None };
        let (control_plane, events) = bounded(64);
        let (session, session_events) = bounded(64);
        let (exit, exits) = bounded(4);
        let senders = control_plane::Events { control_plane, session };
        let running = control_plane::start(settings, identity, Published::new(health), senders, exit).unwrap();
        Self { running: Some(running), events, _session: session_events, exits }
    }

    fn event<T>(&self, what: &str, wanted: impl Fn(&Event) -> Option<T>) -> T {
        let end = Instant::now() + SOON;
        let mut others = Vec::new();
        loop {
            match self.events.recv_deadline(end) {
                Ok(event) => match wanted(&event) {
                    Some(found) => return found,
                    None => others.push(event),
                },
                Err(_) => panic!("not within {} s: {what}; heard: {others:?}", SOON.as_secs()),
            }
        }
    }

    fn up(&self) {
        self.event("the link is up", |event| matches!(event, Event::Link(LinkState::Up)).then_some(()));
    }

    /// What is said when the link is down, once it has this code.
    fn down(&self, code: &str) -> String {
        self.event(code, |event| match event {
            Event::Link(LinkState::Down(reason)) if reason.contains(&format!(": {code}: ")) => Some(reason.clone()),
            _ => None,
        })
    }

    fn enrolled(&self) -> (AgentId, Option<Sensitive<String>>) {
        self.event("it is enrolled", |event| match event {
            Event::Enrolled(enrolment) => Some((enrolment.agent_id.clone(), enrolment.credential.clone())),
            _ => None,
        })
    }

    /// Ends it and gives how long that took.
    fn stop(mut self) -> Duration {
        let begin = Instant::now();
        self.running = None;
        for _thread in 0..2 {
            self.exits.recv_timeout(SOON).expect("a thread ends");
        }
        begin.elapsed()
    }
}

/// An agent that speaks TLS to `localhost` and knows this CA.
fn settings(port: u16, folder: &Folder, ca: Option<&Path>) -> Settings {
    Settings {
        endpoint: Endpoint { target: format!("localhost:{port}"), scheme: if ca.is_some() { Scheme::Tls } else { Scheme::Plain } },
        route: Route::Direct,
        ca_file: ca.map(Path::to_owned),
        client_certificate: None,
        timeout: Duration::from_secs(5),
        heartbeat_interval: Duration::from_secs(1),
        max_message_bytes: 1 << 20,
        token: Some(Sensitive::new(TOKEN.to_owned())),
        token_file: None,
        name: Some("edge-7".to_owned()),
        labels: BTreeMap::new(),
        state_dir: folder.0.clone(),
    }
}

fn to_enrol() -> Identity {
    Identity::ToEnrol { wish: None, salt: Uuid::new_v4() }
}

fn authority(life: Duration) -> (Folder, Arc<Authority>) {
    let folder = Folder::new();
    let authority = Arc::new(Authority::open(&folder.0, life).unwrap());
    (folder, authority)
}

#[test]
fn an_agent_enrols_over_tls_and_from_then_on_its_certificate_speaks_for_it() {
    let ((_ca, authority), state) = (authority(LONG), Folder::new());
    let server = Server::start(|serve| serve.issuing = Some(issuing(&authority)));
    let settings = settings(server.port(), &state, Some(&authority.ca_file()));
    let room = Room::start(settings.clone(), to_enrol());
    let (agent, credential) = room.enrolled();
    assert_eq!(agent.as_str(), "edge-7");
    assert!(credential.is_some());
    let beat = server.beat("the first beat", |_| true);
    assert_eq!((beat.agent.as_str(), beat.shown), ("edge-7", Shown::Certificate));
    room.up();
    let file = state.0.join("control-plane.pem");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let pem = fs::read_to_string(&file).unwrap();
    assert!(pem.contains("BEGIN PRIVATE KEY") && pem.contains("BEGIN CERTIFICATE"), "key and chain are one file");
    assert!(room.stop() < Duration::from_secs(1));
    assert_eq!(server.beat("a farewell", |beat| beat.state == "STOPPING").shown, Shown::Certificate);

    // The next process has it from the disk, and a damaged one falls back on the credential and asks for another.
    let room = Room::start(settings.clone(), Identity::Enrolled(agent.clone(), credential.clone()));
    assert_eq!(server.beat("a beat of the next process", |beat| beat.state == "READY").shown, Shown::Certificate);
    room.stop();
    fs::write(&file, "nothing").unwrap();
    let room = Room::start(settings, Identity::Enrolled(agent, credential));
    let beat = server.beat("a beat without it", |beat| beat.shown == Shown::Credential);
    assert!(beat.asked, "{beat:?}");
    server.beat("a beat with the next one", |beat| beat.shown == Shown::Certificate && !beat.asked);
    room.stop();
}

#[test]
fn in_clear_there_is_no_certificate_and_the_credential_stays() {
    let state = Folder::new();
    let server = Server::start(|_| {});
    let room = Room::start(settings(server.port(), &state, None), to_enrol());
    room.enrolled();
    let beat = server.beat("the first beat", |_| true);
    assert_eq!((beat.shown, beat.asked), (Shown::Credential, false));
    assert_eq!(fs::read_dir(&state.0).unwrap().count(), 0, "no key is made that nothing uses");
    room.stop();
}

#[test]
fn a_lost_answer_does_not_use_up_the_token() {
    let ((_ca, authority), state) = (authority(LONG), Folder::new());
    let server = Server::start(|serve| {
        serve.issuing = Some(issuing(&authority));
        serve.token_use = TokenUse::Once;
    });
    server.imp.mischief.publish(Mischief::LoseAnswers);
    let settings = settings(server.port(), &state, Some(&authority.ca_file()));
    let salt = Uuid::new_v4();
    let room = Room::start(settings.clone(), Identity::ToEnrol { wish: None, salt });
    room.down("control_plane.away");
    room.stop();
    // Another process of the same host asks again, and is answered again.
    server.imp.mischief.publish(Mischief::None);
    let room = Room::start(settings.clone(), Identity::ToEnrol { wish: None, salt });
    room.enrolled();
    assert_eq!(server.beat("the first beat", |_| true).shown, Shown::Certificate);
    room.stop();
    // Another host finds the token used up.
    let other = Folder::new();
    let room = Room::start(Settings { state_dir: other.0.clone(), ..settings }, to_enrol());
    let reason = room.down("control_plane.unauthenticated");
    assert!(reason.contains("get a new one") && reason.contains("used already") && !reason.contains(TOKEN), "{reason}");
    room.stop();
}

#[test]
fn a_token_in_a_file_is_read_again_once_the_file_changes() {
    let (state, server) = (Folder::new(), Server::start(|_| {}));
    let file = state.0.join("token");
    let from_file = Settings { token: None, token_file: Some(file.clone()), ..settings(server.port(), &state, None) };
    let room = Room::start(from_file, to_enrol());
    room.down("control_plane.no_token");
    fs::write(&file, "wrong\n").unwrap();
    assert!(!room.down("control_plane.unauthenticated").contains("wrong"));
    fs::write(&file, format!("{TOKEN}\n")).unwrap();
    room.enrolled();
    room.up();
    room.stop();
}

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

#[test]
fn fields_that_the_agent_does_not_know_do_not_disturb_it() {
    let (state, server) = (Folder::new(), Server::start(|_| {}));
    server.imp.mischief.publish(Mischief::UnknownFields);
    let room = Room::start(settings(server.port(), &state, None), to_enrol());
    room.enrolled();
    room.up();
    room.stop();
}

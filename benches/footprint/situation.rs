//! The surroundings in which an idle agent is measured, and the configuration that leads it there.

use super::support::agents::{AgentServer, Settings, Sighting, Tls};
use super::support::commands::CommandSender;
use super::support::mock::MockBroker;
use crossbeam_channel::{Receiver, bounded};
use std::path::{Path, PathBuf};

const TOKEN: &str = "footprint";
/// Those of the agent `footprint`.
const TOPICS: [&str; 3] = ["runner.commands.footprint", "runner.events.footprint", "runner.commands.footprint.dlq"];
/// Where Debian keeps the CAs that it trusts.
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Nobody reads them: what finds no room is lost.
const SIGHTINGS: usize = 1;

/// What an agent is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Situation {
    /// To the engine alone.
    Local,
    /// To the engine alone, and fifty containers run on it.
    Containers,
    /// To the engine, a broker and a control plane, in clear.
    Plain,
    /// The same over TLS with a private CA.
    Tls,
    /// The same, trusting all CAs of the machine's bundle too.
    Bundle,
    /// To nothing: all three are configured, the agent was enrolled once, and none answers.
    Away,
}

impl Situation {
    pub const ALL: [Self; 6] = [Self::Local, Self::Containers, Self::Plain, Self::Tls, Self::Bundle, Self::Away];

    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local mode",
            Self::Containers => "local mode, fifty containers",
            Self::Plain => "connected, plain",
            Self::Tls => "connected, TLS with a private CA",
            Self::Bundle => "connected, TLS with the system's CA bundle",
            Self::Away => "everything away",
        }
    }
}

/// What this machine has to connect to.
pub struct Surroundings {
    engine: String,
    mock: MockBroker,
    plain: AgentServer,
    tls: Option<SecureServers>,
    _sightings: Receiver<Sighting>,
}

/// A real broker with a plain and a TLS listener (`AXION_TEST_KAFKA`, `AXION_TEST_KAFKA_SSL`,
/// `AXION_TEST_KAFKA_CERTS`), and a control plane that shows the certificate of the same CA.
struct SecureServers {
    brokers: String,
    certificates: PathBuf,
    control_plane: AgentServer,
}

impl SecureServers {
    fn ca(&self) -> PathBuf {
        self.certificates.join("ca.pem")
    }

    /// As the machine keeps what it trusts, with the servers' own CA, which nobody else has signed: a bundle, and beside it
    /// each CA by its hash.
    fn bundle(&self, folder: &Path) -> PathBuf {
        let trusted = folder.join("certs");
        std::fs::create_dir_all(&trusted).expect("a folder of CAs");
        let copy = |from: &Path, name: &str| std::fs::copy(from, trusted.join(name)).map(drop).expect("a CA is copied");
        let (machine, own) = (Path::new(BUNDLE), self.ca());
        for entry in std::fs::read_dir(machine.parent().expect("its folder")).expect("the machine's CAs").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_file() && !name.ends_with("pem") && !name.ends_with("crt") {
                copy(&entry.path(), &name);
            }
        }
        copy(&own, &format!("{}.0", hash(&own)));
        let parts = [machine, &own].map(|file| std::fs::read(file).expect("a CA can be read"));
        let file = trusted.join("ca-certificates.crt");
        std::fs::write(&file, parts.concat()).expect("the bundle is written");
        file
    }
}

/// What OpenSSL looks for when it wants this CA.
fn hash(certificate: &Path) -> String {
    let pem = std::fs::read(certificate).expect("a CA can be read");
    format!("{:08x}", openssl::x509::X509::from_pem(&pem).expect("a certificate").subject_name_hash())
}

impl Surroundings {
    /// With the engine that this machine's clients use.
    pub fn find() -> Self {
        Self::at(std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned()))
    }

    /// With this engine.
    pub fn at(engine: String) -> Self {
        let (sender, sightings) = bounded(SIGHTINGS);
        let mock = MockBroker::start().expect("the mock broker");
        let serve = |listen: &str, tls: Option<Tls>| {
            let settings = Settings {
                listen: listen.to_owned(),
                token: TOKEN.to_owned(),
                // The agent keeps those of its configuration.
                brokers: Vec::new(),
                interval_seconds: 5,
                tls,
                ..Settings::default()
            };
            AgentServer::start(settings, sender.clone()).expect("the control plane")
        };
        let variable = |name| std::env::var(name).ok();
        let listeners = variable("AXION_TEST_KAFKA").zip(variable("AXION_TEST_KAFKA_SSL"));
        let tls = listeners.zip(variable("AXION_TEST_KAFKA_CERTS")).map(|((in_clear, brokers), folder)| {
            let maker = CommandSender::new(&in_clear, TOPICS[0]).expect("a producer");
            TOPICS.iter().for_each(|topic| maker.make_topic(topic).expect("the broker makes topics"));
            let certificates = PathBuf::from(folder);
            let shown = Tls { certificate: certificates.join("server.pem"), key: certificates.join("server.key") };
            SecureServers { control_plane: serve("localhost:0", Some(shown)), brokers, certificates }
        });
        let plain = serve("127.0.0.1:0", None);
        mock.make_topics(TOPICS);
        Self { engine, mock, plain, tls, _sightings: sightings }
    }

    /// Why a situation cannot be measured here.
    pub fn lacks(&self, situation: Situation) -> Option<&'static str> {
        let no_engine = !Path::new(self.engine.trim_start_matches("unix://")).exists();
        match situation {
            Situation::Containers if !is_root() => Some("a private engine needs root"),
            _ if no_engine && situation != Situation::Containers => Some("no engine answers at $DOCKER_HOST"),
            Situation::Tls | Situation::Bundle if self.tls.is_none() => Some("AXION_TEST_KAFKA, _SSL and _CERTS name no broker with TLS"),
            Situation::Bundle if !Path::new(BUNDLE).exists() => Some("this machine has no CA bundle where Debian keeps it"),
            _ => None,
        }
    }

    /// The agent's configuration.
    pub fn configuration(&self, situation: Situation, folder: &Path, port: u16) -> String {
        let engine = if situation == Situation::Away { "unix:///nonexistent/docker.sock" } else { &self.engine };
        let links = match (situation, &self.tls) {
            (Situation::Local | Situation::Containers, _) | (Situation::Tls | Situation::Bundle, None) => String::new(),
            (Situation::Plain, _) => links(&format!("http://{}", self.plain.address()), &self.mock.brokers(), "", ""),
            (Situation::Tls | Situation::Bundle, Some(servers)) => {
                let ca = if situation == Situation::Tls { servers.ca() } else { servers.bundle(folder) }.display().to_string();
                let kafka = format!("security_protocol = \"ssl\"\nssl_ca_location = \"{ca}\"\n");
                links(&format!("https://{}", servers.control_plane.address()), &servers.brokers, &format!("ca_file = \"{ca}\"\n"), &kafka)
            }
            // The discard port of loopback: connections are refused at once.
            (Situation::Away, _) => links("http://127.0.0.1:9", "127.0.0.1:9", "", ""),
        };
        format!(
            "[agent]\nid = \"footprint\"\ntoken = \"{TOKEN}\"\nstate_dir = \"{}\"\n[docker]\nhost = \"{engine}\"\n[health]\nport = {port}\n[local]\nipc_socket_path = \"{}\"\n{links}",
            folder.join("state").display(),
            folder.join("agent.sock").display()
        )
    }

    /// Whether an agent in this situation becomes ready.
    pub fn is_reached(situation: Situation) -> bool {
        situation != Situation::Away
    }
}

fn is_root() -> bool {
    // SAFETY: it takes nothing and gives a number.
    unsafe { libc::geteuid() == 0 }
}

fn links(url: &str, brokers: &str, control_plane: &str, kafka: &str) -> String {
    format!("[control_plane]\ngrpc_url = \"{url}\"\n{control_plane}[kafka]\nbrokers = [\"{brokers}\"]\n{kafka}")
}

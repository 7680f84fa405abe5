//! The broker that the tests use: the one that `AXION_TEST_KAFKA` names, else librdkafka's mock cluster
//! inside the test. `make test` starts a real one if it finds one, and lets the tests stop it.

use super::acl::Administrator;
use super::child;
use super::commands::CommandSender;
use super::mock::MockBroker;
use std::path::PathBuf;

/// Where a real broker's scripts are, if they are.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/kafka");

/// What all tests of a program share.
pub enum Supply {
    /// A real broker.
    Real(RealBroker),
    /// Each test makes a mock cluster for itself.
    Mock,
}

/// A broker that somebody else started and will end.
pub struct RealBroker {
    brokers: String,
    /// The directory of one that tests may stop and start.
    root: Option<PathBuf>,
    /// What it was started with, beside its defaults.
    properties: Vec<String>,
}

impl Supply {
    pub fn find() -> Self {
        match std::env::var("AXION_TEST_KAFKA") {
            Ok(brokers) => {
                let properties = std::env::var("AXION_TEST_KAFKA_PROPERTIES").unwrap_or_default();
                Self::Real(RealBroker {
                    brokers,
                    root: std::env::var_os("AXION_TEST_KAFKA_ROOT").map(PathBuf::from),
                    properties: properties.split_whitespace().map(str::to_owned).collect(),
                })
            }
            Err(_) => Self::Mock,
        }
    }

    /// The listeners of a real broker that are not plain text.
    ///
    /// # Errors
    /// What is missing.
    pub fn secure(&self) -> Result<Listeners, String> {
        let variable = |name: &str| std::env::var(name).map_err(|_| format!("needs a real broker: {name} is not set"));
        Ok(Listeners {
            tls: variable("AXION_TEST_KAFKA_SSL")?,
            mutual_tls: variable("AXION_TEST_KAFKA_MTLS")?,
            sasl: variable("AXION_TEST_KAFKA_SASL")?,
            certificates: PathBuf::from(variable("AXION_TEST_KAFKA_CERTS")?),
        })
    }

    /// Somebody who grants permissions on a broker that denies what nobody has granted.
    ///
    /// # Errors
    /// What is missing.
    pub fn administrator(&self) -> Result<Administrator, String> {
        let jars = std::env::var_os("AXION_TEST_KAFKA_ACLS").map(PathBuf::from);
        match (self, jars) {
            (Self::Real(broker), Some(jars)) => Ok(Administrator { jars, brokers: broker.brokers.clone() }),
            _ => Err("needs a real broker that denies what is not granted: AXION_TEST_KAFKA_ACLS is not set".to_owned()),
        }
    }

    pub fn describe(&self) -> String {
        match self {
            Self::Real(broker) => format!("the broker at {}", broker.brokers),
            Self::Mock => "librdkafka's mock cluster".to_owned(),
        }
    }

    /// Whether it forgets a transactional id that is idle for seconds.
    pub fn is_forgetful(&self) -> bool {
        match self {
            Self::Real(broker) => broker.properties.iter().any(|property| property.starts_with("transactional.id.expiration.ms=")),
            Self::Mock => false,
        }
    }

    /// Whether a test may take the broker away.
    pub fn may_stop(&self) -> bool {
        match self {
            Self::Real(broker) => broker.root.is_some(),
            Self::Mock => true,
        }
    }
}

/// Where a real broker listens beside its plain port.
#[derive(Debug, Clone)]
pub struct Listeners {
    pub tls: String,
    /// Wants a client certificate.
    pub mutual_tls: String,
    /// PLAIN and SCRAM over TLS: `agent` / `agent-secret`.
    pub sasl: String,
    /// `ca.pem` and `ca.key`, `client.pem`, `client.key`, `expired.pem`, `expired.key`, `other-ca.pem`.
    pub certificates: PathBuf,
}

/// The broker of one test.
pub enum Broker<'a> {
    Real(&'a RealBroker),
    Mock(MockBroker),
}

impl<'a> Broker<'a> {
    pub fn of(supply: &'a Supply) -> Self {
        match supply {
            Supply::Real(broker) => Self::Real(broker),
            Supply::Mock => Self::Mock(MockBroker::start().expect("a mock cluster")),
        }
    }

    pub fn brokers(&self) -> String {
        match self {
            Self::Real(broker) => broker.brokers.clone(),
            Self::Mock(mock) => mock.brokers(),
        }
    }

    /// Makes topics of one partition.
    pub fn make_topics(&self, names: &[String], sender: &CommandSender) {
        match self {
            Self::Mock(mock) => mock.make_topics(names.iter().map(String::as_str)),
            Self::Real(_) => {
                names.iter().for_each(|topic| sender.make_topic(topic).expect("the broker makes topics"));
            }
        }
    }

    /// Takes the broker away.
    pub fn down(&self) {
        match self {
            Self::Real(broker) => broker.script("kafka-down.sh", &[]),
            Self::Mock(mock) => mock.0.broker_down(-1).expect("the mock cluster goes down"),
        }
    }

    /// Brings it back with its records.
    pub fn up(&self) {
        match self {
            Self::Real(broker) => broker.script("kafka-up.sh", &broker.as_started()),
            Self::Mock(mock) => mock.0.broker_up(-1).expect("the mock cluster comes back"),
        }
    }
}

impl RealBroker {
    /// Runs one of the scripts that start and stop it.
    fn script(&self, name: &str, arguments: &[&str]) {
        let root = self.root.as_ref().expect("only a broker that may be stopped is").display().to_string();
        child::output(&format!("{SCRIPTS}/{name}"), &[&[root.as_str()], arguments].concat()).expect("the broker's script works");
    }

    /// Its port and its properties.
    fn as_started(&self) -> Vec<&str> {
        let port = self.brokers.rsplit_once(':').map_or("", |(_, port)| port);
        std::iter::once(port).chain(self.properties.iter().map(String::as_str)).collect()
    }
}

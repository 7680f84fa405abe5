//! The broker that the tests use: the one that `AXION_TEST_KAFKA` names, else a real one beside the
//! checkout, else librdkafka's mock cluster inside the test.

use super::child;
use super::commands::CommandSender;
use super::mock::MockBroker;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout};
use std::sync::Mutex;

/// Where a real broker's scripts are, if they are.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/kafka");
/// The script takes this port and the four after it.
const PORTS: u16 = 5;

/// What all tests of a program share.
pub enum Supply {
    /// Somebody else's broker: it is used and never stopped.
    Given(String),
    /// A real broker of ours.
    Real(RealBroker),
    /// Each test makes a mock cluster for itself.
    Mock,
}

impl Supply {
    pub fn find(directory: &Path) -> Self {
        if let Ok(brokers) = std::env::var("AXION_TEST_KAFKA") {
            return Self::Given(brokers);
        }
        if !Path::new(SCRIPTS).join("kafka-up.sh").exists() {
            return Self::Mock;
        }
        match RealBroker::start(directory) {
            Ok(broker) => Self::Real(broker),
            Err(error) => {
                println!("no real broker, the mock cluster is used instead: {error}");
                Self::Mock
            }
        }
    }

    pub fn describe(&self) -> String {
        match self {
            Self::Given(brokers) => format!("the broker at {brokers}"),
            Self::Real(broker) => format!("a real broker at {}", broker.brokers),
            Self::Mock => "librdkafka's mock cluster".to_owned(),
        }
    }
}

/// The broker of one test.
pub enum Broker<'a> {
    Given(&'a str),
    Real(&'a RealBroker),
    Mock(MockBroker),
}

impl<'a> Broker<'a> {
    pub fn of(supply: &'a Supply) -> Self {
        match supply {
            Supply::Given(brokers) => Self::Given(brokers),
            Supply::Real(broker) => Self::Real(broker),
            Supply::Mock => Self::Mock(MockBroker::start().expect("a mock cluster")),
        }
    }

    pub fn brokers(&self) -> String {
        match self {
            Self::Given(brokers) => (*brokers).to_owned(),
            Self::Real(broker) => broker.brokers.clone(),
            Self::Mock(mock) => mock.brokers(),
        }
    }

    /// Makes topics of one partition.
    pub fn make_topics(&self, names: &[String], sender: &CommandSender) {
        match self {
            Self::Mock(mock) => mock.make_topics(names.iter().map(String::as_str)),
            Self::Given(_) | Self::Real(_) => {
                names.iter().for_each(|topic| sender.make_topic(topic).expect("the broker makes topics"));
            }
        }
    }

    /// Takes the broker away.
    pub fn down(&self) {
        match self {
            Self::Given(_) => panic!("somebody else's broker is never stopped"),
            Self::Real(broker) => broker.say("down"),
            Self::Mock(mock) => mock.0.broker_down(-1).expect("the mock cluster goes down"),
        }
    }

    /// Brings it back with its records.
    pub fn up(&self) {
        match self {
            Self::Given(_) => {}
            Self::Real(broker) => broker.say("up"),
            Self::Mock(mock) => mock.0.broker_up(-1).expect("the mock cluster comes back"),
        }
    }
}

/// A real broker, run by a shell that ends it when its input ends: also when this process is killed.
pub struct RealBroker {
    brokers: String,
    shell: Mutex<Shell>,
}

struct Shell {
    child: Child,
    /// None once it was told to end.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl RealBroker {
    fn start(directory: &Path) -> Result<Self, String> {
        let root: PathBuf = directory.join("kafka");
        let port = free_ports().ok_or("no free ports")?;
        let script = format!(
            "set -e; cd '{SCRIPTS}'; root='{}'; trap './kafka-down.sh \"$root\" KILL' EXIT
             ./kafka-up.sh \"$root\" {port}; echo ready
             while read -r verb; do
               case $verb in down) ./kafka-down.sh \"$root\" ;; up) ./kafka-up.sh \"$root\" {port} ;; esac
               echo done
             done",
            root.display()
        );
        let mut child = child::shell(&script).map_err(|error| format!("bash: {error}"))?;
        let (input, Some(output)) = (child.stdin.take(), child.stdout.take()) else { return Err("bash has no pipes".to_owned()) };
        let mut shell = Shell { child, input, output: BufReader::new(output) };
        match shell.line().as_deref() {
            Ok("ready") => Ok(Self { brokers: format!("127.0.0.1:{port}"), shell: Mutex::new(shell) }),
            _ => Err("kafka-up.sh failed; it needs a Java runtime of version 17 and openssl".to_owned()),
        }
    }

    fn say(&self, verb: &str) {
        let mut shell = self.shell.lock().expect("one test at a time restarts the broker");
        writeln!(shell.input.as_ref().expect("open until the end"), "{verb}").expect("the broker's shell listens");
        assert_eq!(shell.line().as_deref(), Ok("done"), "the broker did not go {verb}");
    }
}

impl Shell {
    fn line(&mut self) -> Result<String, String> {
        let mut line = String::new();
        self.output.read_line(&mut line).map_err(|error| error.to_string())?;
        Ok(line.trim().to_owned())
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.input = None;
        let _ended = self.child.wait();
    }
}

/// The first of five ports in a row that are free now.
fn free_ports() -> Option<u16> {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let seed = u16::try_from(std::process::id() % 1000).unwrap_or_default();
    (0..200).map(|step| 21_000 + (seed + step) * PORTS).find(|&base| (base..base + PORTS).all(free))
}

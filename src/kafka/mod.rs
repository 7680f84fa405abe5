//! Kafka: commands in, events out. The face of the room; the threads behind it are `kafka-consumer`
//! and `kafka-producer`.
//!
//! A command record becomes an [`Inbound`]; an [`crate::domain::Event`] or a [`DeadLetter`] becomes a
//! record, and its delivery an [`Event::Delivered`]. Nothing here decides what is carried out.

mod consumer;
mod examine;
mod files;
mod lag;
mod link;
mod look;
mod native;
mod outbox;
mod partitions;
mod producer;
mod readback;
mod road;
mod settings;
mod teller;
mod trouble;
mod wire;

pub use consumer::Consumer;
pub use examine::{Allowed, Reached, check, permissions, reach, transactions};
pub use producer::Producer;
#[cfg(test)]
pub(crate) use producer::dry;
pub use settings::StartError;
pub use trouble::{Trouble, TroubleCode};

use crate::domain::{AgentId, Code, Command, CommandId, Context, EventId, LinkState, Position, Refusal, Sensitive};
use crate::signing::Keys;
use crate::threads::{Exit, Published};
use crossbeam_channel::Sender;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Calls into librdkafka hand work to its own threads and return at once: one that takes this long hangs.
const TURN: Duration = Duration::from_secs(60);

/// How to reach the brokers: what the configuration says, with the topic names filled in.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port`, several.
    pub brokers: Vec<String>,
    /// Where commands come from.
    pub command_topic: String,
    /// Where events go.
    pub event_topic: String,
    /// Where unreadable records go.
    pub dead_letter_topic: String,
    /// Offsets are committed in its name, for people's tools and for a lost journal.
    pub consumer_group: String,
    /// What is promised about events.
    pub events: EventMode,
    /// With exactly-once, whoever writes with it fences every other who does: one per agent.
    pub transactional_id: String,
    /// TLS and SASL.
    pub security: Security,
    /// `[kafka.librdkafka]`, passed through last.
    pub librdkafka: Vec<(String, Sensitive<String>)>,
    /// `limits.max_message_bytes`.
    pub max_message_bytes: usize,
    /// Who the agent is: a signed command names whom it is for.
    pub agent: AgentId,
    /// The keys that a command may be signed with; those that hold when it is read.
    pub command_keys: Published<Keys>,
}

/// What is promised about events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventMode {
    /// Each is written, some twice, with the same id.
    AtLeastOnce,
    /// A reader of what is committed sees each once.
    ExactlyOnce,
}

/// TLS and SASL, as librdkafka names them.
#[derive(Debug, Clone, Default)]
pub struct Security {
    /// `plaintext`, `ssl`, `sasl_plaintext`, `sasl_ssl`.
    pub protocol: String,
    /// The CA bundle, or a folder of CAs by hash; TLS needs one.
    pub ca: Option<PathBuf>,
    /// The client's certificate.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
    /// A file that may hold both, now or later: one that the agent gets and renews by itself, and always replaces whole.
    /// Used where no other is configured.
    pub issued: Option<PathBuf>,
    /// `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512`.
    pub sasl_mechanism: Option<String>,
    /// The account.
    pub sasl_username: Option<String>,
    /// Its password.
    pub sasl_password: Option<Sensitive<String>>,
}

impl Security {
    /// The files of the client's certificate and of its key, as they are to be used now.
    fn client_files(&self) -> Option<(&Path, &Path)> {
        match (&self.certificate, &self.key, &self.issued) {
            (Some(certificate), Some(key), _) => Some((certificate, key)),
            (_, _, Some(issued)) if issued.is_file() => Some((issued, issued)),
            _ => None,
        }
    }
}

/// What a record on the command topic turned out to be.
#[derive(Debug)]
pub enum Inbound {
    /// A command.
    Command(Command),
    /// A record with a readable command_id that is no command: it is answered with CommandRejected.
    Refused(Refusal),
    /// A record without one: it goes to the dead-letter topic.
    Unreadable(DeadLetter),
}

/// A record that nobody can answer.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// Where it stood.
    pub position: Position,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value, whole if it fits, else the first [`DeadLetter::MAX_KEPT_BYTES`].
    pub value: Vec<u8>,
    /// The length of the whole value, in bytes.
    pub length: usize,
    /// SHA-256 of the whole value, in hexadecimal.
    pub sha256: String,
    /// Why.
    pub code: Code,
    /// What is wrong and where.
    pub message: String,
    /// What its headers say of it: it is told with it.
    pub context: Context,
}

impl DeadLetter {
    /// How much of a value that does not fit into a record is kept (contract: 256 KiB).
    pub const MAX_KEPT_BYTES: usize = 256 * 1024;
}

/// Identifies one publication until its delivery is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Receipt(pub u64);

/// To the producer.
#[derive(Debug, Clone)]
pub enum Request {
    /// Write an event to the event topic.
    Publish(Receipt, Box<crate::domain::Event>),
    /// Write a dead letter to its topic.
    Bury(Receipt, Box<DeadLetter>),
    /// Every command before this place has its end among the events that were handed over so far. With
    /// exactly-once the next transaction carries it.
    Mark(Position),
}

/// From the consumer and the producer.
#[derive(Debug)]
pub enum Event {
    /// A record was read.
    Read(Position, Box<Inbound>),
    /// Records between these offsets can no longer be read: retention, or a truncated topic.
    Gap {
        /// The first offset that was wanted.
        wanted: Position,
        /// Where reading goes on.
        resumed: i64,
    },
    /// A publication is on the broker.
    Delivered(Receipt),
    /// A publication can never be written (too large, refused): what the broker said.
    Undeliverable(Receipt, String),
    /// These commands have their end on the event topic; the producer has read it there.
    Answered(Vec<CommandId>),
    /// These reports, which answer no command, are on it.
    Told(Vec<EventId>),
    /// The event topic is known up to here: what the producer reads back after the next start begins there.
    Reached(Position),
    /// With exactly-once: all that earlier clients have written is known, and this one may write.
    CaughtUp,
    /// Another process uses the agent's identity: this one must begin nothing until it has caught up again.
    Fenced,
    /// A link changed.
    Link(Side, LinkState),
}

/// Which way a link leads. The producer has two, so that dead letters which cannot be written leave the events alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Commands in.
    Consumer,
    /// Events out.
    Producer,
    /// Dead letters out.
    DeadLetters,
}

/// Where reading begins, per partition: the journal's own positions. A partition that is not in it
/// begins at the group's committed offset, else at the earliest.
pub type StartPositions = Vec<Position>;

/// How many records of the command topic wait to be taken in, newest value first; none as long as no broker has said.
pub type Behind = Published<Option<u64>>;

/// The longest time between two looks at the topics' metadata while nothing arrives: a topic without
/// Read permission is silent otherwise (delivery.md).
pub const METADATA_INTERVAL: Duration = Duration::from_secs(60);

/// A client that is to take the place of the one in use, for instance with another password. It begins to connect
/// when it is made; the thread goes on with it where it is, and nothing is lost.
pub struct Renewal {
    settings: Settings,
    client: native::Client,
}

impl std::fmt::Debug for Renewal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Renewal").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Renewals on their way. A thread takes one within milliseconds; so many mean that it hangs.
const RENEWALS: usize = 4;

/// Makes both clients anew, or neither: for the producer and for the consumer. Brokers, topics and group stay as
/// they were at the start.
///
/// # Errors
/// When a setting is wrong or a file cannot be read; never because a broker is away.
pub fn renew(settings: &Settings) -> Result<(Renewal, Renewal), StartError> {
    let (producing, consuming) = (producer::connect(settings)?, consumer::connect(settings)?);
    let renewal = |client| Renewal { settings: settings.clone(), client };
    Ok((renewal(producing), renewal(consuming)))
}

/// Starts both clients, or neither. One that was started alone would end with the other's error, and its end
/// would look like a failure of its own.
///
/// # Errors
/// When a setting is wrong or there is no further thread; never because a broker is away.
pub fn start(
    settings: &Settings,
    positions: StartPositions,
    (reports, commands): (Sender<Event>, Sender<Event>),
    behind: Behind,
    exits: Sender<Exit>,
) -> Result<(Producer, Consumer), StartError> {
    let (producing, consuming) = (producer::connect(settings)?, consumer::connect(settings)?);
    let producer = Producer::over(producing, settings, &positions, reports.clone(), exits.clone())?;
    // How its link is must be heard also while no record is wanted.
    let consumer = Consumer::over(consuming, settings, positions, (commands, reports), behind, exits)?;
    Ok((producer, consumer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::bounded;

    #[test]
    fn a_setting_that_one_client_does_not_take_starts_neither() {
        let table = [("session.timeout.ms", "600000"), ("max.in.flight", "100")];
        for (key, value) in table {
            let settings = Settings { librdkafka: vec![(key.to_owned(), Sensitive::new(value.to_owned()))], ..settings::tests::settings() };
            let ((events, _inbox), (exits, reports)) = (bounded(1), bounded(2));
            let error = start(&settings, Vec::new(), (events.clone(), events), Published::new(None), exits).err().unwrap();
            assert!(error.to_string().contains(key), "{error}");
            // Every thread that was started holds a sender of its exit report.
            assert!(reports.recv().is_err(), "{key}: a client was started");
        }
    }
}

//! The command line of the development control plane: words in, one [`Invocation`] out. It opens no file.

use crate::agents::Tls;
use crate::commands::Draft;
use crate::conduct::{self, Conduct};
use crate::session::Hearing;
use crate::via::{self, Logs, Metrics, Via};
use lexopt::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

const HELP: &str = "\
A development control plane for axion-agent.

control_plane serve [--listen ADDRESS] [--token TOKEN] [--brokers LIST | --mock-broker] [--interval SECONDS]
                    [--tls-certificate FILE --tls-key FILE | --state DIR] [--sessions DIR] [--hearing HOW] [--misbehave HOW] [--json]
    Enrols agents, takes their heartbeats and prints what they report until it is interrupted.
    Its first lines are 'grpc ADDRESS', 'brokers LIST' and with --state 'ca FILE', then 'ready'.
    --listen ADDRESS     where gRPC listens [127.0.0.1:0, a free port]
    --token TOKEN        what an agent must show to be enrolled [development]
    --command-key KEY    a key that commands may be signed with, as 'axion-agent keys generate' prints it: the agents get it at
                         enrolment; repeat it
    --brokers LIST       the Kafka brokers; the agents get them at enrolment
    --mock-broker        be the broker too: librdkafka's mock cluster, in memory, on a free port
    --interval SECONDS   how often agents shall beat, 5 to 300 [5]
    --tls-certificate FILE, --tls-key FILE   speak TLS, with this chain and its key (PEM)
    --sessions DIR       keep open actions and logs here, also when this process is killed [a folder that is
                         printed as 'sessions DIR' and goes with the machine's temporary files]
    --report-interval SECONDS   how often agents shall report, 5 to 3600 [as they like]
    --update-manifest FILE      what agents are offered that ask for an update; read anew each time, empty is nothing
    --hearing HOW        of sessions, to see what an agent does about it: good, deaf (reads nothing behind the first
                         word), absent (says nothing) [good]
{conduct}
control_plane send --brokers LIST --agent ID [--wait [--timeout SECONDS]] [--json] COMMAND
control_plane send --via session --sessions DIR --agent ID [--wait [--timeout SECONDS]] [--json] COMMAND
    Sends one command: through its topic, or as an action through the session of a 'serve' with the same --sessions.
    COMMAND is either a file with a JSON record ('-' is standard input):
        FILE             ids and times that are absent are filled in; an envelope of 'axion-agent keys sign' stays as it is
        --raw            send the bytes as they are, even if they are no command
    or is made of:
        --type TYPE      Deploy, Rollback, Stop, Logs, Cancel … any command_type
        --project ID     the project; the stack is axion-ID unless --stack names it
        --stack NAME
        --compose FILE   the Compose file of a Deploy
        --env KEY=VALUE  a variable of the Compose file; repeat it
        --file PATH=FILE ship FILE under the PATH by which the Compose file names it; repeat it
        --replicas SERVICE=N   for Scale; repeat it
        --set KEY=JSON   any other field of the payload; what is no JSON is text; repeat it:
                         dry_run=true, tail=20, service=web, command_id=UUID
        --id UUID        the command id [a new one]
        --expires SECONDS      from now
    --wait               show the command's events and end with its terminal one:
                         0 done, 1 failed, 5 failed and rolled back, 6 failed and not rolled back, 7 refused, 8 no end in time
    --timeout SECONDS    for --wait [900]
    --command-topic NAME, --event-topic NAME    [runner.commands.ID, runner.events.ID]

control_plane watch --brokers LIST --agent ID [--from-beginning] [--json]
    Prints an agent's events until it is interrupted. With --json each is one line of JSON.
";

/// All of the help.
pub fn help() -> String {
    HELP.replace("{conduct}", conduct::HELP.trim_end_matches('\n'))
}

/// What `send --wait` allows a command; the agent's own deploy timeout is 15 minutes.
const DEFAULT_WAIT: Duration = Duration::from_secs(900);
const DEFAULT_INTERVAL_SECONDS: u32 = 5;

/// How events are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// One short line for a person.
    #[default]
    Lines,
    /// The record's JSON, one a line.
    Json,
}

pub enum Invocation {
    Help,
    Serve(Serve),
    Send(Box<Send>),
    Watch(Watch),
    Logs(Logs),
    Metrics(Metrics),
}

pub struct Serve {
    pub listen: String,
    pub token: String,
    pub command_keys: Vec<String>,
    pub kafka: Kafka,
    pub interval_seconds: u32,
    /// 0 leaves it to the agents.
    pub report_seconds: u32,
    pub update_manifest: Option<PathBuf>,
    pub tls: Option<Tls>,
    pub conduct: Conduct,
    /// Where sessions are kept; a temporary folder otherwise.
    pub sessions: Option<PathBuf>,
    pub hearing: Hearing,
    pub format: Format,
}

/// Which broker the agents are told to use.
pub enum Kafka {
    /// None: enrolment and heartbeats only.
    None,
    Brokers(String),
    Mock,
}

/// An agent's topics.
#[derive(Debug, Clone)]
pub struct Topics {
    pub brokers: String,
    pub commands: String,
    pub events: String,
    pub dead_letters: String,
}

pub struct Send {
    pub via: Via,
    pub what: What,
    pub wait: Option<Duration>,
    pub format: Format,
}

/// Where the record comes from.
pub enum What {
    /// A file with a record, to be completed.
    File(PathBuf),
    /// A file whose bytes are sent as they are.
    Raw(PathBuf),
    /// The command line.
    Draft { draft: Draft, compose: Option<PathBuf>, files: BTreeMap<String, PathBuf> },
}

pub struct Watch {
    pub topics: Topics,
    pub from: From,
    pub format: Format,
}

/// Which events are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    Beginning,
    Now,
}

pub fn parse(mut words: lexopt::Parser) -> Result<Invocation, lexopt::Error> {
    match words.next()? {
        None | Some(Long("help") | Short('h')) => Ok(Invocation::Help),
        Some(Value(verb)) => match verb.string()?.as_str() {
            "help" => Ok(Invocation::Help),
            "serve" => serve(words),
            "send" => send(words),
            "watch" => watch(words),
            "logs" => via::logs(words),
            "metrics" => via::metrics(words),
            other => Err(format!("no such verb: {other}").into()),
        },
        Some(other) => Err(other.unexpected()),
    }
}

fn serve(mut words: lexopt::Parser) -> Result<Invocation, lexopt::Error> {
    let mut options = Serve {
        listen: "127.0.0.1:0".to_owned(),
        token: "development".to_owned(),
        command_keys: Vec::new(),
        kafka: Kafka::None,
        interval_seconds: DEFAULT_INTERVAL_SECONDS,
        report_seconds: 0,
        update_manifest: None,
        tls: None,
        conduct: Conduct::default(),
        sessions: None,
        hearing: Hearing::Good,
        format: Format::Lines,
    };
    let (mut certificate, mut key) = (None, None);
    while let Some(word) = words.next()? {
        match word {
            Long("help") | Short('h') => return Ok(Invocation::Help),
            Long("listen") => options.listen = words.value()?.string()?,
            Long("token") => options.token = words.value()?.string()?,
            Long("command-key") => options.command_keys.push(words.value()?.string()?),
            Long("brokers") => options.kafka = Kafka::Brokers(words.value()?.string()?),
            Long("mock-broker") => options.kafka = Kafka::Mock,
            Long("interval") => options.interval_seconds = words.value()?.parse()?,
            Long("report-interval") => options.report_seconds = words.value()?.parse()?,
            Long("update-manifest") => options.update_manifest = Some(PathBuf::from(words.value()?)),
            Long("tls-certificate") => certificate = Some(PathBuf::from(words.value()?)),
            Long("tls-key") => key = Some(PathBuf::from(words.value()?)),
            Long("sessions") => options.sessions = Some(PathBuf::from(words.value()?)),
            Long("hearing") => {
                options.hearing = match words.value()?.string()?.as_str() {
                    "good" => Hearing::Good,
                    "deaf" => Hearing::Deaf,
                    "absent" => Hearing::Absent,
                    other => return Err(format!("--hearing {other}: there are good, deaf, absent").into()),
                }
            }
            Long("json") => options.format = Format::Json,
            Long(name) if Conduct::takes(name) => {
                let name = name.to_owned();
                options.conduct.set(&name, &words.value()?.string()?)?;
            }
            Long(name) if options.conduct.set_flag(name) => {}
            other => return Err(other.unexpected()),
        }
    }
    options.tls = match (certificate, key) {
        (Some(certificate), Some(key)) => Some(Tls { certificate, key }),
        (None, None) => None,
        _ => return Err("--tls-certificate and --tls-key go together".into()),
    };
    Ok(Invocation::Serve(options))
}

fn watch(mut words: lexopt::Parser) -> Result<Invocation, lexopt::Error> {
    let mut place = Place::default();
    let (mut from, mut format) = (From::Now, Format::Lines);
    while let Some(word) = words.next()? {
        match word {
            Long("help") | Short('h') => return Ok(Invocation::Help),
            Long("from-beginning") => from = From::Beginning,
            Long("json") => format = Format::Json,
            Long(name) if place.names(name) => {
                let name = name.to_owned();
                place.set(&name, words.value()?.string()?);
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(Invocation::Watch(Watch { topics: place.topics()?, from, format }))
}

fn send(mut words: lexopt::Parser) -> Result<Invocation, lexopt::Error> {
    let mut place = Place::default();
    let mut draft = Draft::default();
    let (mut kind, mut project) = (None, None);
    let (mut compose, mut files, mut env, mut replicas) = (None, BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let (mut record, mut raw, mut format) = (None, false, Format::Lines);
    let (mut wait, mut timeout) = (false, DEFAULT_WAIT);
    let (mut through_session, mut sessions) = (false, None);
    while let Some(word) = words.next()? {
        match word {
            Long("help") | Short('h') => return Ok(Invocation::Help),
            Long("type") => kind = Some(words.value()?.string()?),
            Long("project") => project = Some(words.value()?.string()?),
            Long("stack") => drop(draft.payload.insert("stack_name".to_owned(), json!(words.value()?.string()?))),
            Long("compose") => compose = Some(PathBuf::from(words.value()?)),
            Long("env") => drop(insert(&mut env, words.value()?.string()?, |value| Ok(json!(value)))?),
            Long("file") => drop(insert(&mut files, words.value()?.string()?, |path| Ok(PathBuf::from(path)))?),
            Long("replicas") => drop(insert(&mut replicas, words.value()?.string()?, parse_json)?),
            Long("set") => insert(&mut draft.payload, words.value()?.string()?, |text| Ok(json_or_text(text)))?,
            Long("id") => draft.command_id = Some(words.value()?.parse()?),
            Long("expires") => draft.expires_in = Some(Duration::from_secs(words.value()?.parse()?)),
            Long("via") => match words.value()?.string()?.as_str() {
                "kafka" => through_session = false,
                "session" => through_session = true,
                other => return Err(format!("there is no way {other}: kafka, session").into()),
            },
            Long("sessions") => sessions = Some(PathBuf::from(words.value()?)),
            Long("raw") => raw = true,
            Long("wait") => wait = true,
            Long("timeout") => timeout = Duration::from_secs(words.value()?.parse()?),
            Long("json") => format = Format::Json,
            Long(name) if place.names(name) => {
                let name = name.to_owned();
                place.set(&name, words.value()?.string()?);
            }
            Value(path) if record.is_none() => record = Some(PathBuf::from(path)),
            other => return Err(other.unexpected()),
        }
    }
    let what = match (record, kind) {
        (Some(path), None) if raw => What::Raw(path),
        (Some(path), None) => What::File(path),
        (None, Some(kind)) => {
            draft.command_type = kind;
            draft.set_project(project);
            draft.set_object("env_vars", env);
            draft.set_object("services", replicas);
            What::Draft { draft, compose, files }
        }
        _ => return Err("send needs either a FILE or --type".into()),
    };
    let via = if through_session {
        let folder = sessions.ok_or("--sessions is missing")?;
        Via::Session { folder, agent: place.agent.ok_or("--agent is missing")? }
    } else {
        Via::Kafka(place.topics()?)
    };
    Ok(Invocation::Send(Box::new(Send { via, what, wait: wait.then_some(timeout), format })))
}

/// `KEY=VALUE` into a map.
fn insert<K: Ord + std::convert::From<String>, V, M: Extend<(K, V)>>(
    map: &mut M,
    text: String,
    value: impl FnOnce(&str) -> Result<V, lexopt::Error>,
) -> Result<(), lexopt::Error> {
    let (key, right) = text.split_once('=').ok_or_else(|| format!("'{text}' is not of the form KEY=VALUE"))?;
    map.extend([(K::from(key.to_owned()), value(right)?)]);
    Ok(())
}

fn parse_json(text: &str) -> Result<serde_json::Value, lexopt::Error> {
    serde_json::from_str(text).map_err(|error| format!("'{text}' is not JSON: {error}").into())
}

/// Most fields are plain words, which need no quotes here.
fn json_or_text(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

/// The options that `send` and `watch` share.
#[derive(Default)]
struct Place {
    brokers: Option<String>,
    agent: Option<String>,
    commands: Option<String>,
    events: Option<String>,
}

impl Place {
    fn names(&self, option: &str) -> bool {
        matches!(option, "brokers" | "agent" | "command-topic" | "event-topic")
    }

    fn set(&mut self, option: &str, value: String) {
        let field = match option {
            "brokers" => &mut self.brokers,
            "agent" => &mut self.agent,
            "command-topic" => &mut self.commands,
            _ => &mut self.events,
        };
        *field = Some(value);
    }

    fn topics(self) -> Result<Topics, lexopt::Error> {
        let brokers = self.brokers.ok_or("--brokers is missing")?;
        let agentless = self.agent.is_none();
        let of_agent = Topics::of_agent(&brokers, &self.agent.unwrap_or_default());
        let named = self.commands.is_some() && self.events.is_some();
        if agentless && !named {
            return Err("--agent is missing (or both --command-topic and --event-topic)".into());
        }
        let commands = self.commands.unwrap_or(of_agent.commands);
        Ok(Topics { commands, events: self.events.unwrap_or(of_agent.events), ..of_agent })
    }
}

impl Topics {
    /// The topics that an agent uses unless it is told otherwise.
    pub fn of_agent(brokers: &str, agent: &str) -> Self {
        Self {
            brokers: brokers.to_owned(),
            commands: format!("runner.commands.{agent}"),
            events: format!("runner.events.{agent}"),
            dead_letters: format!("runner.commands.{agent}.dlq"),
        }
    }
}

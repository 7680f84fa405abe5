//! `control_plane serve`: owns the gRPC server and the mock broker, follows each agent's events on a
//! thread of its own, and prints from the main thread alone.

use crate::agents::{AgentServer, Beat, Settings, Sighting};
use crate::arguments::{Format, Kafka, Serve, Topics};
use crate::broker::MockBroker;
use crate::commands::CommandSender;
use crate::conduct::Age;
use crate::events::{RawRecord, Start, TopicReader};
use crate::mischief::{Imp, RudeServer};
use crate::reports::Errands;
use crate::session::{Sessions, local};
use crate::{Failure, show};
use axion_agent::threads::{Exit, Stop, StopSource, ThreadName, spawn, stop_pair};
use crossbeam_channel::{Receiver, Sender, bounded, never, select};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Sightings and events that wait to be printed.
const WAITING: usize = 256;
/// Threads that may end without anybody looking.
const EXITS: usize = 64;
/// How long an event thread waits in librdkafka before it looks at its stop.
const LISTEN_SLICE: Duration = Duration::from_millis(200);

pub fn run(options: Serve) -> Result<ExitCode, Failure> {
    let (exits, _ended) = bounded(EXITS);
    let interrupted = signals(&exits)?;
    if let Some(manner) = options.conduct.rude {
        let server = RudeServer::start(&options.listen, manner)?;
        let host = options.listen.rsplit_once(':').map_or("127.0.0.1", |(host, _)| host);
        show::line(&format!("grpc {host}:{}\nbrokers none\nready", server.port()))?;
        // An error is the end of the signals' thread, which ends with the process.
        let _interrupted = interrupted.recv();
        return Ok(ExitCode::SUCCESS);
    }
    let (mock, brokers) = match options.kafka {
        Kafka::None => (None, None),
        Kafka::Brokers(brokers) => (None, Some(brokers)),
        Kafka::Mock => {
            let mock = MockBroker::start()?;
            let brokers = mock.brokers();
            (Some(mock), Some(brokers))
        }
    };
    let (sightings, seen) = bounded(WAITING);
    let told = brokers.iter().flat_map(|list| list.split(',')).map(str::to_owned).collect();
    // Without brokers there are no topics to make.
    let (maker, enrolling) = match &brokers {
        Some(_) => {
            let (maker, enrolling) = bounded(WAITING);
            (Some(maker), enrolling)
        }
        None => (None, never()),
    };
    let folder = options.sessions.unwrap_or_else(|| std::env::temp_dir().join(format!("axion-control-plane-{}", std::process::id())));
    let sessions = Sessions::open(&folder, options.hearing)?;
    local::serve(&sessions, &folder)?;
    let issuing = options.conduct.issuing()?;
    let ca = issuing.as_ref().map_or_else(String::new, |issuing| format!("ca {}\n", issuing.authority.ca_file().display()));
    let errands = Errands {
        imp: Imp::new(options.conduct.errand_mischief.unwrap_or(options.conduct.mischief)),
        report_seconds: options.report_seconds,
        manifest: options.update_manifest,
    };
    let settings = Settings {
        listen: options.listen,
        token: options.token,
        command_keys: options.command_keys,
        brokers: told,
        interval_seconds: options.interval_seconds,
        tls: options.tls,
        issuing,
        token_use: options.conduct.token_use,
        imp: Imp::new(options.conduct.mischief),
        topics: maker,
        sessions: Some(sessions).filter(|_| options.conduct.age == Age::New),
        errands: Some(errands).filter(|_| options.conduct.age == Age::New),
    };
    let server = AgentServer::start(settings, sightings)?;
    show::line(&format!(
        "grpc {}\nbrokers {}\nsessions {}\n{ca}ready",
        server.address(),
        brokers.as_deref().unwrap_or("none"),
        folder.display()
    ))?;
    std::io::stdout().flush()?;

    let (records, events) = bounded(WAITING);
    let mut watch = Watch { brokers, mock, folder, format: options.format, records, exits, agents: BTreeMap::new() };
    loop {
        select! {
            recv(interrupted) -> _ => break,
            recv(enrolling) -> one => {
                let one = one?;
                watch.make_topics(&one.agent)?;
                // Too late, or it waits: it gets its answer either way.
                let _late = one.ready.try_send(());
            }
            recv(seen) -> sighting => watch.note(sighting?)?,
            recv(events) -> record => show::event(&record?, options.format)?,
        }
    }
    // The agents are told by a closed port; the mock broker goes last.
    drop((server, watch));
    Ok(ExitCode::SUCCESS)
}

/// The agents that were seen, each with its event thread.
struct Watch {
    brokers: Option<String>,
    mock: Option<MockBroker>,
    /// Where the newest report of each agent is kept.
    folder: PathBuf,
    format: Format,
    records: Sender<RawRecord>,
    exits: Sender<Exit>,
    agents: BTreeMap<String, (Option<Beat>, Option<StopSource>)>,
}

impl Watch {
    fn note(&mut self, sighting: Sighting) -> Result<(), Failure> {
        let agent = match &sighting {
            Sighting::Enrolled { agent, .. } | Sighting::Unregistered { agent } => agent.clone(),
            Sighting::Beat(beat) => beat.agent.clone(),
            Sighting::Report(report) => report.agent.clone(),
            Sighting::Check(check) => check.agent.clone(),
            Sighting::Refused { .. } => String::new(),
        };
        if let Sighting::Report(report) = &sighting {
            report.keep(&self.folder)?;
        }
        let before = self.agents.get(&agent).and_then(|(beat, _)| beat.as_ref());
        if self.format == Format::Lines {
            show::sighting(&sighting, before)?;
        }
        if !agent.is_empty() && !self.agents.contains_key(&agent) {
            self.make_topics(&agent)?;
            let events = self.follow(&agent)?;
            self.agents.insert(agent.clone(), (None, events));
        }
        if let (Sighting::Beat(beat), Some((last, _))) = (sighting, self.agents.get_mut(&agent)) {
            *last = Some(*beat);
        }
        Ok(())
    }

    fn make_topics(&self, agent: &str) -> Result<(), Failure> {
        let Some(brokers) = &self.brokers else { return Ok(()) };
        let topics = Topics::of_agent(brokers, agent);
        let names = [topics.commands.as_str(), topics.events.as_str(), topics.dead_letters.as_str()];
        match &self.mock {
            Some(mock) => mock.make_topics(names),
            None => {
                let sender = CommandSender::new(brokers, &topics.commands)?;
                names.into_iter().try_for_each(|topic| sender.make_topic(topic))?;
            }
        }
        Ok(())
    }

    /// Prints what comes on the agent's event topic, from a thread of its own.
    fn follow(&self, agent: &str) -> Result<Option<StopSource>, Failure> {
        let Some(brokers) = &self.brokers else { return Ok(None) };
        let topics = Topics::of_agent(brokers, agent);
        let (records, (source, stop)) = (self.records.clone(), stop_pair());
        spawn(ThreadName::new("cp-events"), self.exits.clone(), move || {
            follow(&topics, &records, &stop).inspect_err(|error| eprintln!("control_plane: {}: {error}", topics.events))
        })?;
        Ok(Some(source))
    }
}

fn follow(topics: &Topics, records: &Sender<RawRecord>, stop: &Stop) -> Result<(), Failure> {
    let reader = TopicReader::open(&topics.brokers, &topics.events, Start::Beginning)?;
    while !stop.is_stopped() {
        if let Some(record) = reader.next(LISTEN_SLICE)? {
            records.send(record)?;
        }
    }
    Ok(())
}

/// A receiver that hears of SIGINT and SIGTERM.
fn signals(exits: &Sender<Exit>) -> std::io::Result<Receiver<()>> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let (sender, interrupted) = bounded(1);
    spawn(ThreadName::new("cp-signals"), exits.clone(), move || {
        for _signal in signals.forever() {
            let _full = sender.try_send(());
        }
        Ok::<(), std::convert::Infallible>(())
    })?;
    Ok(interrupted)
}

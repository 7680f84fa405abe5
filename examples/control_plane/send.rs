//! `control_plane send`: one command out, and with `--wait` its events until the terminal one.

use crate::arguments::{Format, Send, What};
use crate::commands::{CommandError, CommandSender, Record};
use crate::events::{EventRecord, Start, TopicReader};
use crate::via::Via;
use crate::{Failure, logs, show};
use serde_json::Value;
use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// No terminal event came in time.
pub const NO_END: u8 = 8;

pub fn run(options: Send) -> Result<ExitCode, Failure> {
    let record = record(options.what)?;
    let topics = match &options.via {
        Via::Kafka(topics) => topics,
        Via::Session { folder, agent } => return logs::send(folder, agent, &record, options.wait, options.format),
    };
    let sender = CommandSender::new(&topics.brokers, &topics.commands)?;
    sender.make_topic(&topics.commands)?;
    // Opened before the command is sent, so that no event is missed.
    let reader = match options.wait {
        Some(_) => {
            sender.make_topic(&topics.events)?;
            Some(TopicReader::open(&topics.brokers, &topics.events, Start::End)?)
        }
        None => None,
    };
    sender.send(&record)?;
    if options.format == Format::Lines {
        let what = record.command_id.map_or_else(|| "a record".to_owned(), |id| format!("command {id}"));
        show::line(&format!("sent {what} to {}", topics.commands))?;
    }
    match (reader, options.wait, record.command_id) {
        (Some(reader), Some(span), Some(id)) => wait(&reader, id, span, options.format),
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn record(what: What) -> Result<Record, Failure> {
    match what {
        What::File(path) => Ok(Record::from_json(&read(&path)?)?),
        What::Raw(path) => Ok(Record::raw(read(&path)?)),
        What::Draft { mut draft, compose, files } => {
            if let Some(path) = compose {
                draft = draft.with("docker_stack_yml", String::from_utf8(read(&path)?)?);
            }
            for (name, path) in files {
                draft.ship(&name, &read(&path)?);
            }
            Ok(draft.record())
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CommandError> {
    let failed = |error| CommandError::Read(path.display().to_string(), error);
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map_err(failed)?;
        return Ok(bytes);
    }
    std::fs::read(path).map_err(failed)
}

fn wait(reader: &TopicReader, id: Uuid, span: Duration, format: Format) -> Result<ExitCode, Failure> {
    let end = Instant::now() + span;
    while let Some(record) = reader.next(end.saturating_duration_since(Instant::now()))? {
        match record.event() {
            Ok(event) if event.causation_id == Some(id) => {
                show::event(&record, format)?;
                if event.terminal {
                    return Ok(ExitCode::from(exit_code(&event)));
                }
            }
            _ => {}
        }
    }
    eprintln!("control_plane: no terminal event within {} s", span.as_secs());
    Ok(ExitCode::from(NO_END))
}

/// The same codes as the agent's own command line (contract, section 5).
pub fn exit_code(event: &EventRecord) -> u8 {
    let rolled_back = &event.payload["details"]["rolled_back"];
    match event.event_type.as_str() {
        "CommandRejected" => 7,
        "DeployFailed" if *rolled_back == Value::Bool(true) => 5,
        "DeployFailed" if event.payload["details"]["changed"] == Value::Bool(false) => 1,
        "DeployFailed" => 6,
        kind if kind.ends_with("Failed") => 1,
        _ => 0,
    }
}

//! Events and sightings as lines for a person, or as JSON.

use crate::agents::{Beat, Check, Sighting};
use crate::arguments::Format;
use crate::events::{EventRecord, RawRecord};
use crate::metrics::clock;
use crate::reports::Report;
use crate::session::book::Line;
use serde_json::Value;
use std::io::{self, Write as _};

/// Prints a line. A reader that has gone (`| head`) is an error, for `main` to tell from others.
pub fn line(text: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

/// Prints one record of an event topic.
pub fn event(record: &RawRecord, format: Format) -> io::Result<()> {
    match (record.event(), format) {
        (Ok(event), Format::Lines) => line(&event_lines(&event)),
        (Ok(_), Format::Json) => line(&String::from_utf8_lossy(&record.body)),
        (Err(error), _) => {
            let body = String::from_utf8_lossy(&record.body);
            line(&format!("a record that is no event ({error}): key {:?}, headers {:?}, body {body}", record.key, record.headers))
        }
    }
}

/// Prints an event that came another way than as a record.
pub fn event_body(event: &EventRecord, body: &Value, format: Format) -> io::Result<()> {
    match format {
        Format::Lines => line(&event_lines(event)),
        Format::Json => line(&body.to_string()),
    }
}

/// Prints a line of a log.
pub fn log_line(one: &Line, format: Format) -> io::Result<()> {
    match format {
        Format::Lines => line(&format!("{:.8} {:<6}  {}", one.task, one.stream, one.text)),
        Format::Json => line(&serde_json::to_string(one)?),
    }
}

/// Prints a report: a line for each series, with its oldest and its newest value.
pub fn report(report: &Report) -> io::Result<()> {
    let (Some(first), Some(last)) = (report.at.first(), report.at.last()) else { return line("an empty report") };
    line(&format!("{} moments from {} to {}, {} samples given up", report.at.len(), clock(*first), clock(*last), report.dropped))?;
    for (title, values) in &report.series {
        let shown = |value: Option<&Option<f64>>| value.copied().flatten().map_or_else(|| "-".to_owned(), |value| value.to_string());
        line(&format!("{title:<62} {:>14} {:>14}", shown(values.first()), shown(values.last())))?;
    }
    Ok(())
}

/// `12:00:01  DeployProgress   shop     converge: web 1/2`
fn event_lines(event: &EventRecord) -> String {
    let clock = event.timestamp.get(11..19).unwrap_or(&event.timestamp);
    let subject = event.payload["stack_name"].as_str().unwrap_or("-");
    let mut text = format!("{clock}  {:<18} {subject:<16} {}", event.event_type, event.message());
    if let Some(code) = event.code() {
        text.push_str(&format!(" [{code}]"));
    }
    if let Some(rolled_back) = event.payload["details"].get("rolled_back") {
        text.push_str(&format!(" rolled back: {}", plain(rolled_back)));
    }
    let details = &event.payload["details"];
    let of_stacks = details["stacks"].as_array().into_iter().flatten().flat_map(|stack| stack["services"].as_array());
    for service in details["services"].as_array().into_iter().chain(of_stacks).flatten() {
        text.push_str(&format!("\n          {}", service_line(service)));
    }
    text
}

/// `web: create, 2/2 running, box:1@sha256:…`
fn service_line(service: &Value) -> String {
    let field = |name: &str| service.get(name).filter(|value| !value.is_null()).map(plain);
    let mut parts = Vec::new();
    parts.extend(field("action"));
    let replicas = &service["replicas"];
    if let (Some(running), Some(desired)) = (replicas["running"].as_u64(), replicas["desired"].as_u64()) {
        parts.push(format!("{running}/{desired} running"));
    }
    parts.extend(field("image"));
    let errors = service["errors"].as_array().into_iter().flatten();
    parts.extend(errors.map(|error| format!("{} times {}", error["count"], plain(&error["error"]))));
    format!("{}: {}", field("name").unwrap_or_default(), parts.join(", "))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Prints what an agent did; `before` is its last beat, so that only changes are shown.
pub fn sighting(sighting: &Sighting, before: Option<&Beat>) -> io::Result<()> {
    match sighting {
        Sighting::Enrolled { agent, host, version } => line(&format!("agent {agent} enrolled from {host}, version {version}")),
        Sighting::Unregistered { agent } => line(&format!("agent {agent} is taken out of service")),
        Sighting::Check(Check { agent, channel, version, architecture, offered_bytes }) => {
            let offer = if *offered_bytes == 0 { "nothing".to_owned() } else { format!("a manifest of {offered_bytes} bytes") };
            line(&format!("agent {agent} asks for an update ({channel}, {version}, {architecture}): {offer}"))
        }
        // Too many to print: `metrics` shows the newest.
        Sighting::Report(_) => Ok(()),
        Sighting::Refused { peer } => line(&format!("refused a caller from {peer}: wrong token or credential")),
        Sighting::Beat(beat)
            if before.is_some_and(|before| (&before.state, before.paused, &before.ailing) == (&beat.state, beat.paused, &beat.ailing)) =>
        {
            Ok(())
        }
        Sighting::Beat(beat) => {
            let ailing: String = beat.ailing.iter().map(|(name, error)| format!("; {name}: {error}")).collect();
            let paused = if beat.paused { ", paused" } else { "" };
            line(&format!("agent {} is {}{paused}{ailing}", beat.agent, beat.state))
        }
    }
}

//! The log on standard error: text for people, or one JSON object a line for machines. Started on the main thread,
//! before any other starts, and changed there by a reload; every thread writes to it.

use crate::config::{Format, Logging};
use crate::domain::Timestamp;
use log::{Level, LevelFilter, Log, Metadata, Record};
use serde_json::json;
use std::io::{self, IsTerminal as _, Write};
use std::sync::{OnceLock, PoisonError, RwLock};
use std::time::SystemTime;

/// gRPC's core names no target, and what it says below an error is for those who work on it.
const GRPC: &str = "grpcio::log_util";

/// Foreign crates may show what they send at finer levels, and with it secrets.
const FOREIGN: LevelFilter = LevelFilter::Info;

/// The process has one log: the `log` crate wants a logger that lives as long.
static LOG: OnceLock<Switch> = OnceLock::new();

/// A logger that another one can take the place of.
struct Switch(RwLock<env_logger::Logger>);

impl Log for Switch {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        self.0.read().unwrap_or_else(PoisonError::into_inner).log(record);
    }

    fn flush(&self) {}
}

/// Logs so from now on.
pub fn set(logging: Logging) {
    let logger = logger(logging);
    let level = logger.filter();
    match LOG.get() {
        Some(switch) => *switch.0.write().unwrap_or_else(PoisonError::into_inner) = logger,
        // Only a test can have set another one before.
        None => drop(log::set_logger(LOG.get_or_init(|| Switch(RwLock::new(logger))))),
    }
    log::set_max_level(level);
}

fn logger(logging: Logging) -> env_logger::Logger {
    let json = match logging.format {
        Format::Json => true,
        Format::Text => false,
        Format::Auto => !io::stderr().is_terminal(),
    };
    let mut builder = env_logger::Builder::new();
    builder.filter_level(logging.level.min(FOREIGN)).filter_module("axion_agent", logging.level);
    let line = if json { json_line } else { text_line };
    builder.format(move |out, record| match record.module_path() {
        Some(GRPC) if record.level() > Level::Error => Ok(()),
        _ => writeln!(out, "{}", line(record, SystemTime::now().into(), &thread_name())),
    });
    builder.build()
}

/// Who says it.
fn target<'a>(record: &'a Record<'_>) -> &'a str {
    if record.module_path() == Some(GRPC) { "grpc" } else { record.target() }
}

fn thread_name() -> String {
    std::thread::current().name().unwrap_or("unnamed").to_owned()
}

fn json_line(record: &Record<'_>, at: Timestamp, thread: &str) -> String {
    json!({
        "timestamp": at,
        "level": record.level().as_str(),
        "target": target(record),
        "thread": thread,
        "message": record.args().to_string(),
    })
    .to_string()
}

/// One line, whatever the message holds: what came from outside cannot fake a second one.
fn text_line(record: &Record<'_>, at: Timestamp, thread: &str) -> String {
    let mut line = format!("{at} {:5} [{thread}] {}: ", record.level(), target(record));
    for c in record.args().to_string().chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record<T>(message: std::fmt::Arguments<'_>, body: impl FnOnce(&Record<'_>) -> T) -> T {
        body(&Record::builder().level(Level::Warn).target("axion_agent::kafka").args(message).build())
    }

    #[test]
    fn a_json_line_is_one_object() {
        let line =
            record(format_args!("broker says \"no\"\nand more"), |record| json_line(record, Timestamp::from_millis(0), "kafka-producer"));
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            object,
            json!({
                "timestamp": "1970-01-01T00:00:00Z",
                "level": "WARN",
                "target": "axion_agent::kafka",
                "thread": "kafka-producer",
                "message": "broker says \"no\"\nand more",
            })
        );
        assert_eq!(line.lines().count(), 1);
    }

    #[test]
    fn a_text_line_is_one_line() {
        let line = record(format_args!("first\nsecond\u{1b}[31m"), |record| text_line(record, Timestamp::from_millis(0), "main"));
        assert_eq!(line, "1970-01-01T00:00:00Z WARN  [main] axion_agent::kafka: first\\nsecond\\u{1b}[31m");
    }
}

//! `control_plane metrics`: shows what an agent has reported last to a `serve` with the same folder.

use crate::arguments::Format;
use crate::reports::Report;
use crate::via::Metrics;
use crate::{Failure, show};
use axion_agent::domain::Timestamp;
use std::process::ExitCode;

pub fn run(options: &Metrics) -> Result<ExitCode, Failure> {
    let missing = |error| format!("{} has no report of {}: {error}", options.state.display(), options.agent);
    let report = Report::kept(&options.state, &options.agent).map_err(missing)?;
    match options.format {
        Format::Json => show::line(&serde_json::to_string(&report)?)?,
        Format::Lines => show::report(&report)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// `12:00:01`
pub fn clock(millis: i64) -> String {
    let text = Timestamp::from_millis(millis).to_string();
    text.get(11..19).unwrap_or(&text).to_owned()
}

//! What agents report of themselves: the newest report of each is kept as a file beside the sessions.

use super::mischief::Imp;
use axion_agent::proto::agent::{ReportMetricsRequest, Series};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// How the calls that agents make behind their heartbeats are answered.
#[derive(Clone, Default)]
pub struct Errands {
    /// What is done to these answers.
    pub imp: Imp,
    /// The interval of reports that agents are told; 0 leaves them their own.
    pub report_seconds: u32,
    /// The manifest that is offered, read anew for each question; empty or missing offers nothing.
    pub manifest: Option<PathBuf>,
}

impl Errands {
    /// What is offered now.
    pub fn offered(&self) -> Vec<u8> {
        self.manifest.as_ref().and_then(|path| std::fs::read(path).ok()).unwrap_or_default()
    }
}

/// One report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub agent: String,
    /// Unix milliseconds, oldest first.
    pub at: Vec<i64>,
    /// `name{label="value"}`, and a value for each moment that has one.
    pub series: Vec<(String, Vec<Option<f64>>)>,
    /// Samples that the agent has given up.
    pub dropped: u64,
}

impl Report {
    pub fn of(request: ReportMetricsRequest) -> Self {
        let values = |series: &Series| series.values.iter().map(|value| Some(*value).filter(|value| !value.is_nan())).collect();
        let series = request.series.iter().map(|series| (title(series), values(series))).collect();
        Self { agent: request.agent_id, at: request.at, series, dropped: request.dropped }
    }

    /// Takes the place of the agent's last one.
    pub fn keep(&self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder.join(FOLDER))?;
        std::fs::write(file(folder, &self.agent), serde_json::to_vec(self)?)
    }

    /// The agent's last one.
    pub fn kept(folder: &Path, agent: &str) -> io::Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(file(folder, agent))?)?)
    }
}

const FOLDER: &str = "reports";

fn file(folder: &Path, agent: &str) -> PathBuf {
    folder.join(FOLDER).join(format!("{agent}.json"))
}

fn title(series: &Series) -> String {
    let mut labels: Vec<_> = series.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    labels.sort();
    if labels.is_empty() { series.name.clone() } else { format!("{}{{{}}}", series.name, labels.join(",")) }
}

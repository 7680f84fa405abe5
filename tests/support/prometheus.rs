//! A Prometheus that scrapes one agent, and its own judgement of a page of metrics.

use super::{child, free_port, http};
use serde_json::Value;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Stdio};

/// Runs until it is dropped.
pub struct Prometheus {
    process: Child,
    port: u16,
}

impl Prometheus {
    /// Scrapes the port every second; its data is in a folder of its own there.
    pub fn start(folder: &Path, target: u16) -> Self {
        let (config, port) = (folder.join("prometheus.yml"), free_port());
        let text = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: agent\n  static_configs: [{{targets: ['127.0.0.1:{target}']}}]\n"
        );
        std::fs::write(&config, text).expect("its configuration");
        let log = File::create(folder.join("prometheus.log")).expect("its log");
        let mut command = child::bound("KILL", "prometheus");
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let process = command.stdout(Stdio::null()).stderr(log).spawn().expect("prometheus starts");
        Self { process, port }
    }

    /// What a query finds, an element for each series.
    ///
    /// # Errors
    /// While it does not answer.
    pub fn query(&self, query: &str) -> Result<Vec<Value>, String> {
        let answer = http::over_tcp(self.port, &format!("/api/v1/query?query={query}"))?;
        match answer.json()["data"]["result"].take() {
            Value::Array(found) => Ok(found),
            _ => Err(answer.body),
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.process.kill();
        let _status = self.process.wait();
    }
}

/// `promtool check metrics`.
///
/// # Errors
/// What it does not like.
pub fn promtool(page: &str) -> Result<(), String> {
    let mut command = child::bound("KILL", "promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().map_err(|error| error.to_string())?;
    process.stdin.take().expect("it was piped").write_all(page.as_bytes()).map_err(|error| error.to_string())?;
    let output = process.wait_with_output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if output.status.success() && said.is_empty() { Ok(()) } else { Err(format!("{}: {said}", output.status)) }
}

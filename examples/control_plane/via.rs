//! The words of the command line for what goes through a session, `logs` and `--via session` of `send`, and for what
//! lies beside it, `metrics`.

use crate::arguments::{Format, Invocation, Topics};
use lexopt::prelude::*;
use std::path::PathBuf;
use std::time::Duration;

pub const HELP: &str = "\
control_plane logs --sessions DIR --agent ID --project ID --service NAME [--stack NAME] [--tail N] [--lines N]
                   [--id ID] [--timeout SECONDS] [--json]
    Follows the log of a service through the session of a 'serve' with the same --sessions, also while that one is
    killed and started again, until it is interrupted.
    --tail N             begin with so many of the lines that are there, of each task [10]
    --lines N            end after so many
    --id ID              the name of the follow [a new one]
    --timeout SECONDS    end after so long [one day]

control_plane metrics --sessions DIR --agent ID [--json]
    Shows what an agent has reported last to a 'serve' with the same --sessions: the oldest and the newest value of each series.
";

/// A log that nobody ends by hand.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(86_400);
const DEFAULT_TAIL: u32 = 10;

/// By which way a command goes to the agent.
pub enum Via {
    /// A record of its command topic.
    Kafka(Topics),
    /// An action of its session, through the `serve` that owns this folder.
    Session { folder: PathBuf, agent: String },
}

pub struct Logs {
    pub state: PathBuf,
    pub agent: String,
    pub project: String,
    pub stack: String,
    pub service: String,
    pub tail: u32,
    pub lines: Option<u64>,
    pub id: Option<String>,
    pub timeout: Duration,
    pub format: Format,
}

pub struct Metrics {
    pub state: PathBuf,
    pub agent: String,
    pub format: Format,
}

pub fn metrics(mut words: lexopt::Parser) -> Result<Invocation, lexopt::Error> {
    let (mut state, mut agent, mut format) = (None, None, Format::Lines);
    while let Some(word) = words.next()? {
        match word {
            Long("help") | Short('h') => return Ok(Invocation::Help),
            Long("sessions") => state = Some(PathBuf::from(words.value()?)),
            Long("agent") => agent = Some(words.value()?.string()?),
            Long("json") => format = Format::Json,
            other => return Err(other.unexpected()),
        }
    }
    let (state, agent) = (state.ok_or("--sessions is missing")?, agent.ok_or("--agent is missing")?);
    Ok(Invocation::Metrics(Metrics { state, agent, format }))
}

pub fn logs(mut words: lexopt::Parser) -> Result<Invocation, lexopt::Error> {
    let (mut state, mut agent, mut project, mut service) = (None, None, None, None);
    let (mut stack, mut tail, mut lines, mut id) = (String::new(), DEFAULT_TAIL, None, None);
    let (mut timeout, mut format) = (DEFAULT_TIMEOUT, Format::Lines);
    while let Some(word) = words.next()? {
        match word {
            Long("help") | Short('h') => return Ok(Invocation::Help),
            Long("sessions") => state = Some(PathBuf::from(words.value()?)),
            Long("agent") => agent = Some(words.value()?.string()?),
            Long("project") => project = Some(words.value()?.string()?),
            Long("service") => service = Some(words.value()?.string()?),
            Long("stack") => stack = words.value()?.string()?,
            Long("tail") => tail = words.value()?.parse()?,
            Long("lines") => lines = Some(words.value()?.parse()?),
            Long("id") => id = Some(words.value()?.string()?),
            Long("timeout") => timeout = Duration::from_secs(words.value()?.parse()?),
            Long("json") => format = Format::Json,
            other => return Err(other.unexpected()),
        }
    }
    let (state, agent) = (state.ok_or("--sessions is missing")?, agent.ok_or("--agent is missing")?);
    let (project, service) = (project.ok_or("--project is missing")?, service.ok_or("--service is missing")?);
    Ok(Invocation::Logs(Logs { state, agent, project, stack, service, tail, lines, id, timeout, format }))
}

//! What the control plane must not forget: the actions without an end, the ends, the logs that are followed.
//!
//! One file of JSON lines that only grows, and one for each log. A record is on disk before anybody hears of it,
//! so that a process which is killed loses nothing; a line that was cut off by that is no record. Any thread.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Progress of an action that is kept for whoever waits for it.
const MAX_PROGRESS: usize = 256;

/// A record of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Record {
    /// A command for an agent.
    Action { agent: String, id: Uuid, command: String },
    /// Its terminal event.
    End { id: Uuid, event: Value },
    /// A log that somebody wants.
    Follow(Follow),
    /// Nobody wants it any more.
    Unfollow { id: String },
    /// The agent has ended it.
    LogEnd { id: String, code: String, message: String },
}

/// A log that is followed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Follow {
    pub id: String,
    pub agent: String,
    pub project: String,
    #[serde(default)]
    pub stack: String,
    pub service: String,
    #[serde(default)]
    pub tail: u32,
}

/// One line of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub number: u64,
    pub at: i64,
    pub task: String,
    pub stream: String,
    pub text: String,
}

/// An action that was given to us.
#[derive(Debug)]
struct Action {
    agent: String,
    id: Uuid,
    command: String,
    progress: Vec<Value>,
    end: Option<Value>,
}

/// A log and how far it came.
#[derive(Debug)]
struct Log {
    follow: Follow,
    file: File,
    /// The number of the newest line on disk.
    newest: u64,
    wanted: Wanted,
    end: Option<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Yes,
    No,
}

/// What was written down. The process owns its folder.
#[derive(Debug)]
pub struct Book {
    folder: PathBuf,
    file: File,
    /// In the order in which they came.
    actions: Vec<Action>,
    logs: BTreeMap<String, Log>,
}

/// What an agent should have of us.
#[derive(Debug)]
pub struct Due {
    /// Actions without an end, oldest first.
    pub actions: Vec<(Uuid, String)>,
    /// Logs, each with the number of the newest line that is on disk.
    pub follows: Vec<(Follow, u64)>,
}

impl Book {
    /// Reads what an earlier process wrote down.
    pub fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder.join("logs"))?;
        let path = folder.join("session.jsonl");
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut book = Self { folder: folder.to_owned(), actions: Vec::new(), logs: BTreeMap::new(), file: file.try_clone()? };
        for line in whole_lines(&mut file)? {
            book.take_in(serde_json::from_str(&line)?)?;
        }
        Ok(book)
    }

    fn take_in(&mut self, record: Record) -> io::Result<()> {
        match record {
            Record::Action { agent, id, command } => {
                self.actions.push(Action { agent, id, command, progress: Vec::new(), end: None });
            }
            Record::End { id, event } => {
                if let Some(action) = self.actions.iter_mut().find(|action| action.id == id) {
                    action.end = Some(event);
                }
            }
            Record::Follow(follow) => {
                let path = self.log_path(&follow.id);
                let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
                let lines = whole_lines(&mut file)?;
                let newest = match lines.last() {
                    Some(line) => serde_json::from_str::<Line>(line)?.number,
                    None => 0,
                };
                self.logs.insert(follow.id.clone(), Log { follow, file, newest, wanted: Wanted::Yes, end: None });
            }
            Record::Unfollow { id } => {
                if let Some(log) = self.logs.get_mut(&id) {
                    log.wanted = Wanted::No;
                }
            }
            Record::LogEnd { id, code, message } => {
                if let Some(log) = self.logs.get_mut(&id) {
                    log.end = Some((code, message));
                }
            }
        }
        Ok(())
    }

    fn write(&mut self, record: Record) -> io::Result<()> {
        let mut line = serde_json::to_vec(&record)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.file.sync_data()?;
        self.take_in(record)
    }

    /// Where the lines of a log are.
    pub fn log_path(&self, id: &str) -> PathBuf {
        let safe: String = id.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
        self.folder.join("logs").join(format!("{safe}.jsonl"))
    }

    /// One more action; the same id again changes nothing.
    pub fn add_action(&mut self, agent: &str, id: Uuid, command: String) -> io::Result<()> {
        if self.actions.iter().any(|action| action.id == id) {
            return Ok(());
        }
        self.write(Record::Action { agent: agent.to_owned(), id, command })
    }

    /// An event came up. A terminal one is on disk once this returns; a repeat changes nothing.
    pub fn add_event(&mut self, event: Value) -> io::Result<()> {
        let id = event["causation_id"].as_str().and_then(|id| Uuid::try_parse(id).ok());
        let Some(action) = self.actions.iter_mut().find(|action| Some(action.id) == id && action.end.is_none()) else { return Ok(()) };
        if event["terminal"] == json!(true) {
            let id = action.id;
            return self.write(Record::End { id, event });
        }
        if action.progress.len() < MAX_PROGRESS {
            action.progress.push(event);
        }
        Ok(())
    }

    /// What was heard of an action, beyond the first `seen` events, and whether that is all.
    pub fn events_of(&self, id: Uuid, seen: usize) -> Option<(Vec<Value>, bool)> {
        let action = self.actions.iter().find(|action| action.id == id)?;
        let events = action.progress.iter().chain(&action.end).skip(seen).cloned().collect();
        Some((events, action.end.is_some()))
    }

    /// A log that somebody wants; the same id again changes nothing.
    pub fn add_follow(&mut self, follow: Follow) -> io::Result<()> {
        if self.logs.contains_key(&follow.id) { Ok(()) } else { self.write(Record::Follow(follow)) }
    }

    /// Nobody wants it any more.
    pub fn end_follow(&mut self, id: &str) -> io::Result<()> {
        let wanted = self.logs.get(id).is_some_and(|log| log.wanted == Wanted::Yes);
        if wanted { self.write(Record::Unfollow { id: id.to_owned() }) } else { Ok(()) }
    }

    /// Whether an agent should go on sending it.
    pub fn wants(&self, id: &str) -> bool {
        self.logs.get(id).is_some_and(|log| log.wanted == Wanted::Yes && log.end.is_none())
    }

    /// The agent has ended a log.
    pub fn log_ended(&mut self, id: &str, code: &str, message: &str) -> io::Result<()> {
        let news = self.logs.get(id).is_some_and(|log| log.end.is_none());
        let record = Record::LogEnd { id: id.to_owned(), code: code.to_owned(), message: message.to_owned() };
        if news { self.write(record) } else { Ok(()) }
    }

    /// How a log stands: the number of its newest line, and its end.
    pub fn log_state(&self, id: &str) -> Option<(u64, Option<(String, String)>)> {
        self.logs.get(id).map(|log| (log.newest, log.end.clone()))
    }

    /// Lines came up; those on disk are left out. Gives the number of the newest on disk.
    ///
    /// A gap, or a line that was received before, is the agent's fault: it is said and written beside the log.
    pub fn add_lines(&mut self, id: &str, lines: Vec<Line>) -> io::Result<Option<u64>> {
        let fault_path = self.log_path(id).with_extension("faults");
        let Some(log) = self.logs.get_mut(id) else { return Ok(None) };
        let mut text = Vec::new();
        for line in lines {
            if line.number != log.newest + 1 {
                let fault = format!("line {} came after line {}\n", line.number, log.newest);
                OpenOptions::new().append(true).create(true).open(&fault_path)?.write_all(fault.as_bytes())?;
                continue;
            }
            log.newest += 1;
            serde_json::to_writer(&mut text, &line)?;
            text.push(b'\n');
        }
        log.file.write_all(&text)?;
        log.file.sync_data()?;
        Ok(Some(log.newest))
    }

    /// What an agent should have of us.
    pub fn due(&self, agent: &str) -> Due {
        let actions = self.actions.iter().filter(|action| action.agent == agent && action.end.is_none());
        let logs = self.logs.values().filter(|log| log.follow.agent == agent && log.wanted == Wanted::Yes && log.end.is_none());
        Due {
            actions: actions.map(|action| (action.id, action.command.clone())).collect(),
            follows: logs.map(|log| (log.follow.clone(), log.newest)).collect(),
        }
    }
}

/// The lines that were written to their end; a rest behind them is cut off.
fn whole_lines(file: &mut File) -> io::Result<Vec<String>> {
    file.seek(SeekFrom::Start(0))?;
    let (mut lines, mut length) = (Vec::new(), 0);
    let mut reader = BufReader::new(&mut *file);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 && line.ends_with('\n') {
        length += line.len() as u64;
        lines.push(std::mem::take(&mut line).trim_end().to_owned());
    }
    file.set_len(length)?;
    Ok(lines)
}

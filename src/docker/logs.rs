//! Logs: the newest lines that the tasks of one service wrote, read once and bounded.
//!
//! Runs on `docker-query`, in the command's room. It only reads. The engine sends the output of all tasks
//! as it comes, each line with its time and task; lines are put in order of time here.

use super::choose;
use super::ownership::Takeover;
use super::room::{End, Room};
use super::types::{Service, Task};
use crate::domain::{Code, Logs, Outcome, StackName, counted};
use serde_json::{Value, json};
use std::io::{self, Read};

/// The lines of an answer have so many bytes together: it must fit into one record of 1 MiB, and JSON
/// spells some bytes with six characters.
const MAX_BYTES: usize = 128 * 1024;
/// More of one line is cut off; the engine itself cuts at 16 KiB.
const MAX_LINE: usize = 16 * 1024;
/// So much is held before older lines are given up.
const MAX_HELD: usize = 4 * MAX_BYTES;
/// The engine is given up after so much output: some gigabytes would come where `tail` is not honoured.
const MAX_READ: usize = 64 * 1024 * 1024;
/// The stream and the length of a frame (Engine API, "Attach to a container": stream format).
const HEADER: usize = 8;
/// The detail that names a line's task.
const TASK: &str = "com.docker.swarm.task.id";

/// How the engine sends lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Each with a header.
    Multiplexed,
    /// As they are, where tasks have a terminal.
    Raw,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// RFC 3339 with nine digits, so that texts are in order of time.
    pub(super) at: String,
    pub(super) stream: &'static str,
    pub(super) task: String,
    pub(super) text: String,
}

/// The newest lines so far.
#[derive(Debug)]
struct Newest {
    tail: usize,
    lines: Vec<Line>,
    held: usize,
    cut: bool,
}

/// Carries the command out.
pub(super) fn run(room: &Room<'_>, request: &Logs) -> End {
    work(room, request).map_or_else(|end| end, End::Finished)
}

fn work(room: &Room<'_>, request: &Logs) -> Result<Outcome, End> {
    let stack = &request.target.stack;
    let services = choose::held(room, &request.target, Takeover::Allowed)?;
    let service = choose::one(stack, &services, &request.service).map_err(End::Finished)?;
    let tasks = room.observe(|client| client.tasks(stack))?;
    let output = room.observe(|client| client.service_logs(&service.id, request.tail, request.since))?;
    read(room, &request.target.stack, service, &tasks, request.tail, output)
}

/// The newest lines of one task, whether it runs or has failed; of the service only the stack counts in `request`.
pub(super) fn of_task(room: &Room<'_>, request: &Logs, id: &str) -> Result<Outcome, End> {
    let stack = &request.target.stack;
    let services = choose::held(room, &request.target, Takeover::Allowed)?;
    let tasks = room.observe(|client| client.tasks(stack))?;
    let task = tasks.iter().find(|task| task.id == id);
    let service = task.and_then(|task| services.iter().find(|service| service.id == task.service_id));
    let Some(service) = service else {
        let message = format!("the swarm remembers no task {id} of the stack {stack}");
        return Err(End::Finished(Outcome::failed(Code::TASK_NOT_FOUND, message)));
    };
    let output = room.observe(|client| client.task_logs(id, request.tail, request.since))?;
    read(room, stack, service, &tasks, request.tail, output)
}

fn read(room: &Room<'_>, stack: &StackName, service: &Service, tasks: &[Task], tail: u64, mut output: impl Read) -> Result<Outcome, End> {
    let mut newest = Newest { tail: usize::try_from(tail).unwrap_or(usize::MAX), lines: Vec::new(), held: 0, cut: false };
    let mut halted = Ok(());
    let read = read_lines(&mut output, framing(service), |line| {
        newest.push(line);
        halted = room.checkpoint();
        halted.is_ok()
    });
    halted?;
    let (lines, cut) = newest.finish();
    let name = stack.descoped(service.name());
    let message = format!("{} of service {name}", counted(lines.len(), "line"));
    let outcome = Outcome::completed(message).with("service", name).with("truncated", cut);
    let outcome = match read {
        Ok(()) => outcome.with("complete", true),
        // A node that does not answer holds the rest back.
        Err(error) => outcome.with("complete", false).with("reason", error.to_string()),
    };
    Ok(outcome.with("lines", lines.iter().map(|line| told(line, tasks)).collect::<Vec<_>>()))
}

pub(super) fn framing(service: &Service) -> Framing {
    let terminal = service.spec["TaskTemplate"]["ContainerSpec"]["TTY"] == true;
    if terminal { Framing::Raw } else { Framing::Multiplexed }
}

fn told(line: &Line, tasks: &[Task]) -> Value {
    let task = tasks.iter().find(|task| task.id == line.task);
    json!({
        "at": line.at,
        "stream": line.stream,
        "task_id": line.task,
        "slot": task.and_then(|task| task.slot),
        "node_id": task.map(|task| task.node_id.as_str()),
        "text": line.text,
    })
}

/// Gives every line to `take` until it wants no more, or the output ends.
fn read_lines(output: &mut impl Read, framing: Framing, mut take: impl FnMut(Line) -> bool) -> io::Result<()> {
    let mut left = MAX_READ;
    let mut raw = Vec::new();
    while left > 0 {
        let (stream, payload) = match framing {
            Framing::Multiplexed => match frame(output)? {
                Some(frame) => frame,
                None => return Ok(()),
            },
            Framing::Raw => match raw_line(output, &mut raw)? {
                Some(line) => ("stdout", line),
                None => return Ok(()),
            },
        };
        left = left.saturating_sub(payload.len() + HEADER);
        for bytes in payload.split(|byte| *byte == b'\n').filter(|bytes| !bytes.is_empty()) {
            if !take(Line::read(stream, bytes)) {
                return Ok(());
            }
        }
    }
    Err(io::Error::other("the service has written too much to be read at once; ask with a later since"))
}

/// The next frame, or none at the end. Of a payload that is too long only the beginning is kept.
pub(super) fn frame(output: &mut impl Read) -> io::Result<Option<(&'static str, Vec<u8>)>> {
    let mut header = [0; HEADER];
    let first = output.read(&mut header[..1])?;
    if first == 0 {
        return Ok(None);
    }
    output.read_exact(&mut header[1..])?;
    let [stream, _, _, _, length @ ..] = header;
    let stream = match stream {
        0 | 1 => "stdout",
        2 => "stderr",
        // Stream 3 is the engine's own error (moby, pkg/stdcopy).
        3 => "system",
        _ => return Err(io::Error::other("the engine's output is not in frames")),
    };
    let length = u64::from(u32::from_be_bytes(length));
    let mut payload = Vec::new();
    let mut rest = output.take(length);
    rest.by_ref().take(MAX_LINE as u64).read_to_end(&mut payload)?;
    let skipped = io::copy(&mut rest, &mut io::sink())?;
    if payload.len() as u64 + skipped < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some((stream, payload)))
}

/// The next line of an output without frames; `rest` is what was read beyond the last one.
pub(super) fn raw_line(output: &mut impl Read, rest: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let mut buffer = [0; 4096];
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n').or((rest.len() >= MAX_LINE).then_some(MAX_LINE - 1));
        if let Some(end) = end {
            let line = rest.drain(..=end).collect();
            return Ok(Some(line));
        }
        match output.read(&mut buffer)? {
            0 if rest.is_empty() => return Ok(None),
            0 => return Ok(Some(std::mem::take(rest))),
            amount => rest.extend_from_slice(&buffer[..amount]),
        }
    }
}

impl Line {
    /// `TIME KEY=VALUE,… TEXT`, as the engine writes lines with timestamps and details.
    pub(super) fn read(stream: &'static str, bytes: &[u8]) -> Self {
        let whole = String::from_utf8_lossy(bytes);
        let mut words = whole.splitn(3, ' ');
        let (at, details, text) = (words.next().unwrap_or_default(), words.next().unwrap_or_default(), words.next());
        let task = details.split(',').find_map(|detail| detail.strip_prefix(TASK)?.strip_prefix('='));
        match (task, text) {
            (Some(task), Some(text)) => {
                let text = text.trim_end_matches('\r').to_owned();
                Self { at: at.to_owned(), stream, task: task.to_owned(), text }
            }
            // Not of that form: told as it is.
            _ => Self { at: String::new(), stream, task: String::new(), text: whole.into_owned() },
        }
    }

    fn size(&self) -> usize {
        self.at.len() + self.task.len() + self.text.len()
    }
}

impl Newest {
    fn push(&mut self, line: Line) {
        self.held += line.size();
        self.lines.push(line);
        if self.held > MAX_HELD {
            self.trim();
        }
    }

    /// Gives up what is older than the bounds allow.
    fn trim(&mut self) {
        self.lines.sort_by(|a, b| a.at.cmp(&b.at));
        let mut kept = 0;
        let bounded = self.lines.iter().rev().take(self.tail).take_while(|line| {
            kept += line.size();
            kept <= MAX_BYTES
        });
        let count = bounded.count();
        self.cut |= count < self.lines.len().min(self.tail);
        self.lines.drain(..self.lines.len() - count);
        self.held = self.lines.iter().map(Line::size).sum();
    }

    /// The lines in order, and whether the bound on bytes cost some.
    fn finish(mut self) -> (Vec<Line>, bool) {
        self.trim();
        (self.lines, self.cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(stream: u8, text: &str) -> Vec<u8> {
        let length = u32::try_from(text.len()).unwrap().to_be_bytes();
        [&[stream, 0, 0, 0][..], &length, text.as_bytes()].concat()
    }

    fn line(second: u32, task: &str, text: &str) -> String {
        format!("2026-01-01T00:00:{second:02}.000000000Z com.docker.swarm.node.id=n,{TASK}={task} {text}\n")
    }

    fn read(bytes: &[u8], framing: Framing) -> (Vec<String>, Result<(), io::ErrorKind>) {
        let mut lines = Vec::new();
        let end = read_lines(&mut &*bytes, framing, |line| {
            lines.push(format!("{} {} {}", line.stream, line.task, line.text));
            true
        });
        (lines, end.map_err(|error| error.kind()))
    }

    #[test]
    fn frames_and_terminals_become_lines() {
        let both = [framed(1, &line(1, "a", "out with spaces")), framed(2, &line(2, "b", "err"))].concat();
        let lines = vec!["stdout a out with spaces".to_owned(), "stderr b err".to_owned()];
        assert_eq!(read(&both, Framing::Multiplexed), (lines.clone(), Ok(())));
        assert_eq!(read(&both[..both.len() - 1], Framing::Multiplexed), (lines[..1].to_vec(), Err(io::ErrorKind::UnexpectedEof)));
        assert_eq!(read(b"", Framing::Multiplexed), (vec![], Ok(())));
        let terminal = format!("{}{}", line(1, "a", "one\r"), line(2, "a", "two").trim_end());
        assert_eq!(read(terminal.as_bytes(), Framing::Raw).0, ["stdout a one", "stdout a two"]);
        assert_eq!(read(&framed(9, "x"), Framing::Multiplexed).1, Err(io::ErrorKind::Other));
        assert_eq!(read(&framed(3, "no such driver"), Framing::Multiplexed).0, ["system  no such driver"]);
    }

    #[test]
    fn a_line_without_end_is_cut_and_the_next_one_is_read() {
        let long = "x".repeat(3 * MAX_LINE);
        let both = [framed(1, &line(1, "a", &long)), framed(1, &line(2, "a", "next"))].concat();
        let (lines, end) = read(&both, Framing::Multiplexed);
        assert_eq!((lines.len(), lines[1].as_str(), end), (2, "stdout a next", Ok(())));
        assert!(lines[0].len() <= MAX_LINE);
        let (lines, _) = read(&long.into_bytes(), Framing::Raw);
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn the_newest_lines_stay_within_both_bounds() {
        let newest = |tail, count: u32, size| {
            let mut newest = Newest { tail, lines: Vec::new(), held: 0, cut: false };
            for n in 0..count {
                newest.push(Line::read("stdout", line((n * 7) % count, "a", &"x".repeat(size)).trim_end().as_bytes()));
            }
            newest.finish()
        };
        let (lines, cut) = newest(3, 10, 1);
        let seconds: Vec<&str> = lines.iter().map(|line| &line.at[17..19]).collect();
        assert_eq!((seconds, cut), (vec!["07", "08", "09"], false), "in order of time; fewer than asked for is no loss");
        let (lines, cut) = newest(50, 50, 10_000);
        assert!(cut && lines.iter().map(Line::size).sum::<usize>() <= MAX_BYTES);
        assert_eq!(&lines.last().unwrap().at[17..19], "49");
    }
}

//! `logs`: what services write, each line with the name of its task in a colour of its own.

use super::client::{Client, Line, Lines, Request, path_of};
use super::failure::{Failure, codes};
use super::invocation::{Call, Follow, Logs, Output, Since, Times, Writers};
use super::look::{check, read, stack};
use super::next::About;
use super::terminal::{Colour, Hue, Page, tame};
use super::wire::{LogEnd, LogLine, Stack, Task};
use super::{Exit, print, written};
use crate::domain::{StackName, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// Does it.
pub(super) fn logs(call: &Call, arguments: &Logs) -> Result<Exit, Failure> {
    let client = Client::of(&call.reach);
    let known: Stack = read(&stack(&client, &arguments.stack)?)?;
    check(&known, &arguments.services)?;
    let about = About::stack(&arguments.stack);
    let request = request(arguments).about(about.clone());
    let shown: Vec<&str> = known
        .services
        .iter()
        .map(|service| service.name.as_str())
        .filter(|name| arguments.services.is_empty() || arguments.services.iter().any(|wanted| wanted == name))
        .collect();
    let mut printer = Printer::new(&shown, arguments.times, Page::of_stdout().colour);
    printer.learn(&known);
    let mut shower = Shower { client: &client, stack: &arguments.stack, output: call.output, printer, ended: None, shown: Shown::Nothing };
    let tasks = match &arguments.writers {
        Writers::All => {
            let services = arguments.services.iter().fold(request, |request, service| request.query("service", service));
            return shower.all(client.open(&services)?, &about);
        }
        Writers::Task(beginning) => vec![written::one(&known, beginning, &about)?],
        Writers::Failed => written::failed(&known, &arguments.services, &about)?,
    };
    for task in tasks {
        shower.of_task(task, client.open(&request.clone().query("task", &task.id))?, &about)?;
    }
    Ok(Exit::Done)
}

fn request(arguments: &Logs) -> Request {
    let mut request = Request::get(path_of(&arguments.stack, "/logs")).query("tail", &arguments.tail.to_string());
    if arguments.follow == Follow::Yes {
        request = request.query("follow", "true");
    }
    let Some(since) = arguments.since else { return request };
    let now = Timestamp::from(SystemTime::now());
    let at = match since {
        Since::At(at) => at,
        Since::Ago(ago) => before(now, ago),
    };
    request.query("since", &at.to_string())
}

fn before(now: Timestamp, ago: Duration) -> Timestamp {
    Timestamp::from_millis(now.as_millis().saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX)))
}

/// Whether a line was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Something,
    Nothing,
}

/// Shows lines as they come.
struct Shower<'a> {
    client: &'a Client,
    stack: &'a StackName,
    output: Output,
    printer: Printer,
    /// Why the log of a service ended by itself.
    ended: Option<LogEnd>,
    shown: Shown,
}

impl Shower<'_> {
    /// What one task wrote, under what became of it.
    fn of_task(&mut self, task: &Task, lines: Lines, about: &About) -> Result<(), Failure> {
        if self.output != Output::Json {
            print::err(written::heading(task, Timestamp::from(SystemTime::now())));
        }
        self.shown = Shown::Nothing;
        self.all(lines, about)?;
        if self.output != Output::Json && self.shown == Shown::Nothing {
            print::err("  It wrote nothing that is still there.");
        }
        Ok(())
    }

    /// Until the end, or Ctrl-C, which ends the process as of old: nothing is left behind.
    fn all(&mut self, mut lines: Lines, about: &About) -> Result<Exit, Failure> {
        loop {
            let document = match lines.next() {
                Ok(Line::Document(document)) => document,
                Ok(Line::Blank) => continue,
                Ok(Line::End) => return self.end(about),
                Err(error) => {
                    let message = format!("the agent was lost in the middle of the log: {error}");
                    return Err(Failure::new(Exit::Unreachable, codes::LOST, message, "see whether it runs: systemctl status axion-agent"));
                }
            };
            if self.one(&document)? == print::Reader::Gone {
                return Ok(Exit::Done);
            }
        }
    }

    fn one(&mut self, document: &Value) -> Result<print::Reader, Failure> {
        let line: LogLine = read(document)?;
        if let Some(end) = line.end {
            if self.output != Output::Json && self.shown == Shown::Something {
                print::err(format!("The log of {} has ended: {}", line.service, tame(&end.message)));
            }
            self.ended = Some(end);
            return Ok(if self.output == Output::Json { print::line(&document.to_string()) } else { print::Reader::Listens });
        }
        self.shown = Shown::Something;
        if self.output == Output::Json {
            return Ok(print::line(&document.to_string()));
        }
        // A task that came later: its number is known to the swarm by now.
        if line.slot.is_none() && !self.printer.slots.contains_key(&line.task_id) {
            if let Ok(answer) = stack(self.client, self.stack) {
                self.printer.learn(&read(&answer)?);
            }
            self.printer.slots.entry(line.task_id.clone()).or_insert(None);
        }
        let text = self.printer.line(&line);
        if line.stream == "stderr" {
            print::err(text);
            return Ok(print::Reader::Listens);
        }
        Ok(print::line(&text))
    }

    /// A log that ended before it began is one that could not be read.
    fn end(&self, about: &About) -> Result<Exit, Failure> {
        match &self.ended {
            Some(LogEnd { code: Some(code), message }) if self.shown == Shown::Nothing => {
                Err(Failure::of_code(code, message.clone(), about))
            }
            _ => Ok(Exit::Done),
        }
    }
}

/// Names, aligned and told apart.
struct Printer {
    width: usize,
    /// The numbers of tasks, as far as they are known; tasks of global services have none.
    slots: BTreeMap<String, Option<u64>>,
    hues: BTreeMap<String, usize>,
    times: Times,
    colour: Colour,
}

/// Room for the number of a task behind its service's name.
const SLOT: usize = 2;

impl Printer {
    fn new(services: &[&str], times: Times, colour: Colour) -> Self {
        let width = services.iter().map(|name| name.chars().count()).max().unwrap_or_default() + SLOT;
        let hues = services.iter().enumerate().map(|(at, name)| ((*name).to_owned(), at)).collect();
        Self { width, slots: BTreeMap::new(), hues, times, colour }
    }

    /// Lines that are followed name their task, and not its number.
    fn learn(&mut self, stack: &Stack) {
        self.slots.extend(stack.tasks.iter().map(|task| (task.id.clone(), task.slot)));
    }

    fn line(&mut self, line: &LogLine) -> String {
        let next = self.hues.len();
        let hue = *self.hues.entry(line.service.clone()).or_insert(next);
        let slot = line.slot.or_else(|| self.slots.get(&line.task_id).copied().flatten());
        let name = slot.map_or_else(|| line.service.clone(), |slot| format!("{}.{slot}", line.service));
        self.width = self.width.max(name.chars().count());
        let name = self.colour.paint(Hue::Name(hue), &format!("{name:0$} |", self.width));
        let time = if self.times == Times::Shown { format!(" {}", line.at) } else { String::new() };
        // Colours of the program itself stay, on a terminal that has them; a cursor that moves does not.
        let text = if self.colour == Colour::On { kept_colours(&line.text) } else { tame(line.text.trim_end_matches(['\r', '\n'])) };
        format!("{name}{time} {text}")
    }
}

/// The line with no control character but those of colours (ECMA-48, SGR), which are undone at its end.
fn kept_colours(text: &str) -> String {
    let text = text.trim_end_matches(['\r', '\n']);
    let (mut out, mut rest, mut coloured) = (String::new(), text, false);
    while let Some(at) = rest.find('\x1b') {
        out += &tame(&rest[..at]);
        let sequence = &rest[at..];
        let end = sequence.strip_prefix("\x1b[").and_then(|inner| inner.find(|c: char| !c.is_ascii_digit() && c != ';')).map(|end| end + 2);
        match end.filter(|end| sequence[*end..].starts_with('m')) {
            Some(end) => {
                out += &sequence[..=end];
                coloured = true;
                rest = &sequence[end + 1..];
            }
            None => {
                out.push(' ');
                rest = &sequence[1..];
            }
        }
    }
    out += &tame(rest);
    if coloured { out + "\x1b[0m" } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(service: &str, slot: Option<u64>, text: &str) -> LogLine {
        LogLine { service: service.to_owned(), slot, at: "2026-01-31T12:00:00Z".to_owned(), text: text.to_owned(), ..LogLine::default() }
    }

    #[test]
    fn names_are_aligned_and_lines_stay_lines() {
        let mut printer = Printer::new(&["db", "worker"], Times::Hidden, Colour::Off);
        assert_eq!(printer.line(&line("db", Some(1), "ready\r\n")), "db.1     | ready");
        assert_eq!(printer.line(&line("worker", Some(12), "a\x1b[2Jb")), "worker.12 | a [2Jb");
        assert_eq!(printer.line(&line("db", None, "x")), "db        | x");
        printer.slots.insert("t".to_owned(), Some(3));
        assert_eq!(printer.line(&LogLine { task_id: "t".to_owned(), ..line("db", None, "x") }), "db.3      | x");
        let mut timed = Printer::new(&["db"], Times::Shown, Colour::Off);
        assert_eq!(timed.line(&line("db", Some(1), "x")), "db.1 | 2026-01-31T12:00:00Z x");
    }

    #[test]
    fn each_service_has_its_colour_and_programs_keep_theirs() {
        let mut printer = Printer::new(&["db", "web"], Times::Hidden, Colour::On);
        assert_eq!(printer.line(&line("db", Some(1), "x")), "\x1b[36mdb.1  |\x1b[0m x");
        assert_eq!(printer.line(&line("web", Some(1), "\x1b[31mred\x1b[2Jx")), "\x1b[33mweb.1 |\x1b[0m \x1b[31mred [2Jx\x1b[0m");
    }

    #[test]
    fn a_time_ago_is_before_now() {
        assert_eq!(before(Timestamp::from_millis(10_000), Duration::from_secs(4)).as_millis(), 6_000);
    }
}

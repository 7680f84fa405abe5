//! Help texts, made from the table and wrapped to a width. Pure.

use super::lookup::members;
use super::page::{columns, paragraph};
use super::{Command, Example, GROUPS, Part, commands};
use crate::cli::Exit;
use std::fmt::Write as _;

/// What help can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// The whole program.
    Program,
    /// Commands that begin with the same word.
    Group(&'static str),
    /// One command.
    Command(&'static Command),
}

impl Topic {
    /// How it is asked for.
    #[must_use]
    pub fn invocation(self) -> String {
        match self {
            Self::Program => "axion-agent --help".to_owned(),
            Self::Group(group) => format!("axion-agent {group} --help"),
            Self::Command(command) => format!("axion-agent {} --help", command.name),
        }
    }
}

/// What the program is, in a line.
pub(super) const WHAT: &str =
    "A deployment agent for Docker Swarm hosts: commands from Kafka and from here, effects on Swarm, events back.";

/// What every command can end with.
pub(super) const ALWAYS: [Exit; 3] = [Exit::Done, Exit::Failed, Exit::Usage];

const HELP: (&str, &str) = ("-h, --help", "Show this help");

/// The first lines that somebody types.
const FIRST: &[Example] = &[
    Example { line: "deploy shop -c shop.yml", why: "deploy a stack and watch until it runs" },
    Example { line: "plan shop -c shop.yml", why: "see what a deploy would change" },
    Example { line: "services shop", why: "what runs, and why something does not" },
    Example { line: "rollback shop", why: "return to the revision before" },
    Example { line: "status", why: "how the agent itself is" },
];

/// The text for a terminal of this width.
#[must_use]
pub fn text(topic: Topic, width: usize) -> String {
    match topic {
        Topic::Program => program(width),
        Topic::Group(group) => of_group(group, width),
        Topic::Command(command) => of_command(command, width),
    }
}

fn program(width: usize) -> String {
    let mut text = paragraph(WHAT, width) + "\nUsage: axion-agent COMMAND [ARGUMENTS] [OPTIONS]\n";
    for part in Part::ALL {
        let rows: Vec<(String, String)> = commands()
            .filter(|command| command.part == part)
            .map(|command| (command.name.to_owned(), command.summary.to_owned()))
            .collect();
        let _ = write!(text, "\n{}:\n{}", part.heading(), columns(&rows, width));
    }
    let options = [HELP.0, "-V, --version"].into_iter().zip(["Show this help, or that of a command", "Show the version"]);
    let rows: Vec<_> = options.map(|(name, help)| (name.to_owned(), help.to_owned())).collect();
    let _ = write!(text, "\nOptions:\n{}", columns(&rows, width));
    text + &examples(FIRST, width) + &exits(&Exit::ALL, width)
}

fn of_group(group: &str, width: usize) -> String {
    let summary = GROUPS.iter().find(|(name, _)| *name == group).map_or("", |(_, summary)| summary);
    let rows: Vec<_> = members(group).map(|(word, command)| (word.to_owned(), command.summary.to_owned())).collect();
    let words: Vec<&str> = members(group).map(|(word, _)| word).collect();
    let usage = format!("Usage: axion-agent {group} {} [OPTIONS]\n", words.join("|"));
    let more = format!("axion-agent {group} {} --help says more.", words.first().copied().unwrap_or_default());
    format!("{}\n{usage}\nCommands:\n{}\n{}", paragraph(&format!("{summary}."), width), columns(&rows, width), paragraph(&more, width))
}

fn of_command(command: &Command, width: usize) -> String {
    let mut text = paragraph(&format!("{}.", command.summary), width);
    let _ = writeln!(text, "\nUsage: {}", command.usage());
    for part in command.about {
        let _ = write!(text, "\n{}", paragraph(part, width));
    }
    if !command.arguments.is_empty() {
        let rows: Vec<_> = command.arguments.iter().map(|argument| (argument.name.to_owned(), argument.help.to_owned())).collect();
        let _ = write!(text, "\nArguments:\n{}", columns(&rows, width));
    }
    let mut rows: Vec<_> = command.options.iter().map(|option| (option.spelled(), option.help.to_owned())).collect();
    rows.push((HELP.0.to_owned(), HELP.1.to_owned()));
    let _ = write!(text, "\nOptions:\n{}", columns(&rows, width));
    let ends: Vec<Exit> = ALWAYS.iter().chain(command.exits).copied().collect();
    text + &examples(command.examples, width) + &exits(&ends, width)
}

/// Each with what it is good for.
fn examples(examples: &[Example], width: usize) -> String {
    if examples.is_empty() {
        return String::new();
    }
    let mut text = "\nExamples:\n".to_owned();
    for example in examples {
        let why = paragraph(&format!("# {}", example.why), width.saturating_sub(2));
        for line in why.lines() {
            let _ = writeln!(text, "  {line}");
        }
        let _ = writeln!(text, "  {}", full(example));
    }
    text
}

/// The whole line.
pub(super) fn full(example: &Example) -> String {
    if example.line.contains("| axion-agent ") { example.line.to_owned() } else { format!("axion-agent {}", example.line) }
}

fn exits(exits: &[Exit], width: usize) -> String {
    let list: Vec<String> = exits.iter().map(|exit| format!("{} {}", exit.code(), exit.meaning())).collect();
    format!("\n{}", paragraph(&format!("Exit codes: {}.", list.join(", ")), width))
}

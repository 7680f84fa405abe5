//! The words of a command line, sorted by the table: [`parse`]. What they mean together is `args.rs`. Pure.

use super::lookup::{Meaning, command, meaning, members, unknown, with_hint};
use super::{Command, Count, Opt, Thing, Times, Topic};
use crate::cli::invocation::{Invocation, Output};
use crate::config::nearest;
use lexopt::prelude::{Long, Short, Value};
use lexopt::{Arg, Parser};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// The command line is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct UsageError {
    message: String,
    topic: Topic,
    output: Output,
}

impl UsageError {
    fn new(message: String, topic: Topic) -> Self {
        Self { message, topic, output: Output::Text }
    }

    /// For whom it is told: whoever asks for JSON gets it, wherever the mistake is.
    #[must_use]
    pub fn output(&self) -> Output {
        self.output
    }

    /// The command line that explains how it is right.
    #[must_use]
    pub fn help(&self) -> String {
        self.topic.invocation()
    }
}

/// What stood behind a command.
#[derive(Debug)]
pub struct Given {
    command: &'static Command,
    options: Vec<(&'static str, OsString)>,
    arguments: Vec<OsString>,
}

impl Given {
    /// Whether a flag stands.
    pub(in crate::cli) fn has(&self, option: &Opt) -> bool {
        self.options.iter().any(|(long, _)| *long == option.long)
    }

    /// The last value of an option.
    pub(in crate::cli) fn value(&self, option: &Opt) -> Option<&OsStr> {
        self.values(option).last().copied()
    }

    /// All values of an option, in their order.
    pub(in crate::cli) fn values(&self, option: &Opt) -> Vec<&OsStr> {
        self.options.iter().filter(|(long, _)| *long == option.long).map(|(_, value)| value.as_os_str()).collect()
    }

    /// The value of an option as a path.
    pub(in crate::cli) fn path(&self, option: &Opt) -> Option<PathBuf> {
        self.value(option).map(PathBuf::from)
    }

    /// The value of an option as text.
    pub(in crate::cli) fn text(&self, option: &Opt) -> Option<String> {
        self.value(option).map(|value| value.to_string_lossy().into_owned())
    }

    /// The first argument, which the table makes sure of where it must stand.
    pub(in crate::cli) fn first(&self) -> Option<String> {
        self.arguments.first().map(|word| word.to_string_lossy().into_owned())
    }

    /// The arguments from this one on.
    pub(in crate::cli) fn arguments(&self, from: usize) -> Vec<String> {
        self.arguments.iter().skip(from).map(|word| word.to_string_lossy().into_owned()).collect()
    }
}

/// Reads the command line; the first argument is the program's own name.
///
/// # Errors
/// When it means nothing, with the nearest thing that does.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, UsageError> {
    let args: Vec<OsString> = args.into_iter().collect();
    let output = if args.iter().any(|word| word == "--json") { Output::Json } else { Output::Text };
    understood(Parser::from_iter(args)).map_err(|error| UsageError { output, ..error })
}

fn understood(mut parser: Parser) -> Result<Invocation, UsageError> {
    let usage = |message: String| UsageError::new(message, Topic::Program);
    match parser.next().map_err(|error| usage(error.to_string()))? {
        None => Err(usage("a command is missing".to_owned())),
        Some(Short('h') | Long("help")) => Ok(Invocation::Help(Topic::Program)),
        Some(Short('V') | Long("version")) => Ok(Invocation::Version),
        Some(Value(word)) => {
            let word = word.to_string_lossy().into_owned();
            match meaning(&word) {
                Meaning::Command(command) => read(parser, command),
                Meaning::Group(group) => in_group(parser, group),
                Meaning::Unknown if word == "help" => help(parser),
                Meaning::Unknown => Err(usage(unknown(&word))),
            }
        }
        Some(other) => Err(unexpected(&other, ["--help", "--version"], Topic::Program)),
    }
}

/// The second word of a command of two.
fn in_group(mut parser: Parser, group: &'static str) -> Result<Invocation, UsageError> {
    let topic = Topic::Group(group);
    let usage = |message: String| UsageError::new(message, topic);
    let words = || members(group).map(|(word, _)| word);
    match parser.next().map_err(|error| usage(error.to_string()))? {
        None => Err(usage(format!("what to do is missing: {group} {}", words().collect::<Vec<_>>().join(", ")))),
        Some(Short('h') | Long("help")) => Ok(Invocation::Help(topic)),
        Some(Value(word)) => {
            let word = word.to_string_lossy().into_owned();
            match members(group).find(|(known, _)| *known == word) {
                Some((_, command)) => read(parser, command),
                None => Err(usage(with_hint(format!("{group} cannot {word:?}"), nearest(&word, words())))),
            }
        }
        Some(other) => Err(unexpected(&other, ["--help"], topic)),
    }
}

/// The rest of a command's line.
fn read(mut parser: Parser, command: &'static Command) -> Result<Invocation, UsageError> {
    let topic = Topic::Command(command);
    let usage = |message: String| UsageError::new(message, topic);
    let mut given = Given { command, options: Vec::new(), arguments: Vec::new() };
    let most = command.arguments.iter().map(|argument| argument.count.most()).fold(0, usize::saturating_add);
    while let Some(word) = parser.next().map_err(|error| usage(error.to_string()))? {
        let option = match &word {
            Short('h') | Long("help") => return Ok(Invocation::Help(topic)),
            Short(letter) => command.options.iter().find(|option| option.short == Some(*letter)),
            Long(name) => command.options.iter().find(|option| option.long == *name),
            Value(_) => None,
        };
        match (word, option) {
            (Value(word), _) if given.arguments.len() < most => given.arguments.push(word),
            (_, Some(option)) => {
                let value =
                    if option.value.is_some() { parser.value().map_err(|error| usage(error.to_string()))? } else { OsString::new() };
                given.options.push((option.long, value));
            }
            (other, None) => return Err(unexpected(&other, command.options.iter().map(|option| option.long), topic)),
        }
    }
    check(&given).and_then(|()| (command.read)(&given)).map_err(usage)
}

/// Whether all stands that must, and words are of those that may.
fn check(given: &Given) -> Result<(), String> {
    for option in given.command.options {
        let name = option.short.map_or_else(|| format!("--{}", option.long), |letter| format!("-{letter}"));
        if option.times == Times::Needed && !given.has(option) {
            return Err(format!("{name} {} is missing: {}", option.value.map_or("", |value| value.name), lowered(option.help)));
        }
        if let Some(super::Value { thing: Thing::Words(words), .. }) = option.value {
            for value in given.values(option) {
                one_of(&format!("--{}", option.long), value, words)?;
            }
        }
    }
    let least = given.command.arguments.iter().map(|argument| argument.count.least()).sum::<usize>();
    if let Some(missing) = given.command.arguments.get(given.arguments.len()).filter(|_| given.arguments.len() < least) {
        return Err(format!("{} is missing: {}", missing.name, lowered(missing.help)));
    }
    for (at, word) in given.arguments.iter().enumerate() {
        if let Some(argument) = given.command.arguments.get(at).filter(|argument| matches!(argument.count, Count::One | Count::Optional))
            && let Thing::Words(words) = argument.thing
        {
            one_of(argument.name, word, words)?;
        }
    }
    Ok(())
}

fn one_of(name: &str, value: &OsStr, words: &'static [&'static str]) -> Result<(), String> {
    let value = value.to_string_lossy();
    if words.contains(&value.as_ref()) {
        return Ok(());
    }
    let message = format!("{name} cannot be {value:?}: it is one of {}", words.join(", "));
    Err(with_hint(message, nearest(&value, words.iter().copied())))
}

/// As the rest of a sentence.
fn lowered(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// `help`, `help deploy`, `help config check`.
fn help(mut parser: Parser) -> Result<Invocation, UsageError> {
    let usage = |message: String| UsageError::new(message, Topic::Program);
    let mut words = Vec::new();
    while let Some(word) = parser.next().map_err(|error| usage(error.to_string()))? {
        match word {
            Value(word) => words.push(word.to_string_lossy().into_owned()),
            other => return Err(unexpected(&other, [], Topic::Program)),
        }
    }
    topic(&words).map(Invocation::Help).map_err(usage)
}

/// What these words name.
pub(in crate::cli) fn topic(words: &[String]) -> Result<Topic, String> {
    let Some(first) = words.first().filter(|first| first.as_str() != "help") else { return Ok(Topic::Program) };
    let name = words.join(" ");
    match (command(&name), meaning(first)) {
        (Some(command), _) => Ok(Topic::Command(command)),
        (None, Meaning::Group(group)) if words.len() == 1 => Ok(Topic::Group(group)),
        (None, Meaning::Group(group)) => {
            let known: Vec<&str> = members(group).map(|(_, command)| command.name).collect();
            Err(with_hint(format!("unknown command {name:?}"), nearest(&name, known)))
        }
        (None, Meaning::Command(command)) => Err(with_hint(format!("unknown command {name:?}"), Some(command.name))),
        (None, Meaning::Unknown) => Err(unknown(first)),
    }
}

fn unexpected<'a>(word: &Arg<'_>, options: impl IntoIterator<Item = &'a str>, topic: Topic) -> UsageError {
    let message = match word {
        Short(letter) => format!("unknown option -{letter}"),
        Long(name) => {
            let near = nearest(name, options.into_iter().map(|option| option.trim_start_matches("--")));
            with_hint(format!("unknown option --{name}"), near.map(|near| format!("--{near}")).as_deref())
        }
        Value(text) => format!("{text:?} is one argument too many"),
    };
    UsageError::new(message, topic)
}

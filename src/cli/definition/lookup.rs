//! Which command words mean, and what was meant where they mean none.

use super::{Command, GROUPS, commands};
use crate::config::nearest;

/// What others call it: words of the Docker CLI and of Compose.
const ELSEWHERE: &[(&str, &str)] = &[
    ("delete", "rm"),
    ("diff", "plan"),
    ("down", "rm"),
    ("list", "stacks"),
    ("ls", "stacks"),
    ("ping", "status"),
    ("remove", "rm"),
    ("stack", "stacks"),
    ("tasks", "ps"),
    ("undo", "rollback"),
    ("up", "deploy"),
    ("version", "--version"),
];

/// What the first word means.
pub(super) enum Meaning {
    /// A command of one word.
    Command(&'static Command),
    /// One of several commands of two words.
    Group(&'static str),
    /// Nothing.
    Unknown,
}

pub(super) fn meaning(word: &str) -> Meaning {
    if let Some(command) = command(word) {
        return Meaning::Command(command);
    }
    GROUPS.iter().find(|(group, _)| *group == word).map_or(Meaning::Unknown, |(group, _)| Meaning::Group(group))
}

/// By all of its words.
pub(super) fn command(name: &str) -> Option<&'static Command> {
    commands().find(|command| command.name == name)
}

/// The commands of a group, with their second words.
pub(super) fn members(group: &str) -> impl Iterator<Item = (&'static str, &'static Command)> {
    commands().filter_map(move |command| Some((command.name.strip_prefix(group)?.strip_prefix(' ')?, command)))
}

/// Every first word, once each.
pub(super) fn first_words() -> Vec<&'static str> {
    let mut words: Vec<&str> = commands().filter_map(|command| command.name.split(' ').next()).collect();
    words.push("help");
    words.sort_unstable();
    words.dedup();
    words
}

/// `unknown command "rum"; did you mean run?`
pub(super) fn unknown(word: &str) -> String {
    let near = ELSEWHERE.iter().find(|(theirs, _)| *theirs == word).map(|(_, ours)| *ours);
    with_hint(format!("unknown command {word:?}"), near.or_else(|| nearest(word, first_words())))
}

/// The message, and what was probably meant.
pub(super) fn with_hint(message: String, near: Option<&str>) -> String {
    match near {
        Some(near) => format!("{message}; did you mean {near}?"),
        None => message,
    }
}

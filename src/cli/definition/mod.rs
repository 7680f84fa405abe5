//! The one table of the command line: every command with its arguments, options, examples and exit codes. Parsing
//! ([`Given`]), help, completions and man pages come from it, so that none of them can say something else.
//!
//! Pure; on the main thread. The rows are in the files named like the part of the product that they speak to.

mod agent;
mod completions;
mod fish;
mod given;
mod help;
mod here;
mod lookup;
mod man;
pub(super) mod options;
mod page;
mod stacks;
mod zsh;

pub use completions::{Shell, script};
pub(super) use given::topic;
pub use given::{Given, UsageError, parse};
pub use help::{Topic, text as help};
pub use man::page as man_page;
pub(super) use page::wrapped;

use super::Exit;
use super::invocation::Invocation;

/// One command, such as `deploy` or `config check`.
pub struct Command {
    /// Its words.
    pub name: &'static str,
    /// Under which heading the overview lists it.
    pub part: Part,
    /// One line, as in a list.
    pub summary: &'static str,
    /// What a person should know of it, in paragraphs.
    pub about: &'static [&'static str],
    /// What stands without a dash, in this order.
    pub arguments: &'static [Argument],
    /// What stands with one.
    pub options: &'static [&'static Opt],
    /// What one would type, and why.
    pub examples: &'static [Example],
    /// How it can end, beside done, failed and wrong usage.
    pub exits: &'static [Exit],
    /// Turns what was given into what is wanted.
    pub read: fn(&Given) -> Result<Invocation, String>,
}

// Tables hold functions; the name says which row it is.
impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Command").field(&self.name).finish()
    }
}

impl PartialEq for Command {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Command {}

/// The headings of the overview, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What changes a stack.
    Change,
    /// What looks at stacks.
    Look,
    /// The agent that runs.
    Agent,
    /// The service and its place at a control plane.
    Service,
    /// What needs no agent.
    Here,
}

impl Part {
    pub(super) const ALL: [Self; 5] = [Self::Change, Self::Look, Self::Agent, Self::Service, Self::Here];

    pub(super) const fn heading(self) -> &'static str {
        match self {
            Self::Change => "Change a stack",
            Self::Look => "Look at stacks",
            Self::Agent => "The agent that runs",
            Self::Service => "The service",
            Self::Here => "Without an agent",
        }
    }
}

/// Something without a dash.
pub struct Argument {
    /// As help shows it, such as `NAME`.
    pub name: &'static str,
    /// How many there may be.
    pub count: Count,
    /// What it names.
    pub thing: Thing,
    /// What it is.
    pub help: &'static str,
}

/// How many of an argument there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Exactly one.
    One,
    /// One, or none.
    Optional,
    /// Any number.
    Any,
    /// One at least.
    Some,
}

impl Count {
    pub(super) const fn least(self) -> usize {
        match self {
            Self::One | Self::Some => 1,
            Self::Optional | Self::Any => 0,
        }
    }

    pub(super) const fn most(self) -> usize {
        match self {
            Self::One | Self::Optional => 1,
            Self::Any | Self::Some => usize::MAX,
        }
    }
}

/// An option.
pub struct Opt {
    /// The name behind two dashes.
    pub long: &'static str,
    /// The letter behind one.
    pub short: Option<char>,
    /// What stands behind it; nothing behind a flag.
    pub value: Option<Value>,
    /// How often it may stand.
    pub times: Times,
    /// What it does.
    pub help: &'static str,
}

/// How often an option may, or must, stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// Once, or not at all.
    Once,
    /// Once at least.
    Needed,
}

/// The value of an option.
#[derive(Debug, Clone, Copy)]
pub struct Value {
    /// As help shows it, such as `FILE`.
    pub name: &'static str,
    /// What it names.
    pub thing: Thing,
}

/// What an argument or a value names: completions offer it, and one of a few words is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thing {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// One of these words.
    Words(&'static [&'static str]),
    /// A stack of this swarm.
    Stack,
    /// A service of the stack that was named before.
    Service,
    /// The id of a command.
    CommandId,
    /// A command of this table.
    Command,
    /// Whatever it says.
    Text,
}

/// A line that somebody would type.
pub struct Example {
    /// The line, without the program.
    pub line: &'static str,
    /// What it is good for.
    pub why: &'static str,
}

/// Every command, in the order of the overview.
pub fn commands() -> impl Iterator<Item = &'static Command> {
    stacks::COMMANDS.iter().chain(agent::COMMANDS).chain(here::COMMANDS)
}

/// What commands of two words have in common.
pub const GROUPS: &[(&str, &str)] =
    &[("config", "Look at the configuration"), ("update", "Update the agent itself"), ("keys", "Keys that sign commands and updates")];

impl Opt {
    /// A flag.
    pub(super) const fn flag(long: &'static str, help: &'static str) -> Self {
        Self { long, short: None, value: None, times: Times::Once, help }
    }

    /// An option with a value.
    pub(super) const fn of(long: &'static str, name: &'static str, thing: Thing, help: &'static str) -> Self {
        Self { long, short: None, value: Some(Value { name, thing }), times: Times::Once, help }
    }

    /// With a letter too.
    pub(super) const fn short(self, letter: char) -> Self {
        Self { short: Some(letter), ..self }
    }

    /// That must stand, and may repeatedly.
    pub(super) const fn needed(self) -> Self {
        Self { times: Times::Needed, ..self }
    }

    /// `-c, --compose-file FILE`.
    pub(super) fn spelled(&self) -> String {
        let letter = self.short.map_or_else(|| "    ".to_owned(), |letter| format!("-{letter}, "));
        let value = self.value.map_or_else(String::new, |value| format!(" {}", value.name));
        format!("{letter}--{}{value}", self.long)
    }
}

impl Command {
    /// `axion-agent deploy NAME -c FILE... [OPTIONS]`.
    pub(super) fn usage(&self) -> String {
        let mut usage = format!("axion-agent {}", self.name);
        for argument in self.arguments {
            let name = argument.name;
            usage += &match argument.count {
                Count::One => format!(" {name}"),
                Count::Optional => format!(" [{name}]"),
                Count::Any => format!(" [{name}...]"),
                Count::Some => format!(" {name}..."),
            };
        }
        for option in self.options.iter().filter(|option| option.times == Times::Needed) {
            let name = option.short.map_or_else(|| format!("--{}", option.long), |letter| format!("-{letter}"));
            usage += &format!(" {name} {}...", option.value.map_or("", |value| value.name));
        }
        usage + " [OPTIONS]"
    }
}

#[cfg(test)]
mod tests;

//! Manual pages, made from the table, in man(7)'s macros. Pure.

use super::help::{ALWAYS, WHAT, full};
use super::lookup::members;
use super::{Command, Count, Example, GROUPS, Part, Times, Topic, commands};
use crate::cli::Exit;
use std::fmt::Write as _;

/// The section of the manual that the pages belong to: commands of users.
pub const SECTION: u8 = 1;

/// When the pages were last looked through: a date of the build would make each build another one.
const WRITTEN: &str = "2026-11-26";

/// The page of a topic: the name of its file, and its text.
#[must_use]
pub fn page(topic: Topic) -> (String, String) {
    match topic {
        Topic::Program => (file("axion-agent"), program()),
        Topic::Group(group) => (file(&format!("axion-agent-{group}")), of_group(group)),
        Topic::Command(command) => (file(&title(command)), of_command(command)),
    }
}

fn file(title: &str) -> String {
    format!("{title}.{SECTION}")
}

fn title(command: &Command) -> String {
    format!("axion-agent-{}", command.name.replace(' ', "-"))
}

fn head(title: &str, summary: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        ".\\\" Made by axion-agent man.\n.TH {} {SECTION} \"{WRITTEN}\" \"axion-agent {version}\" \"axion-agent\"\n.SH NAME\n{} \\- {}\n",
        plain(&title.to_uppercase()),
        plain(title),
        plain(&lowered(summary))
    )
}

fn program() -> String {
    let mut text = head("axion-agent", "a deployment agent for Docker Swarm hosts");
    text.push_str(".SH SYNOPSIS\n.B axion\\-agent\n.I COMMAND\n[\n.IR ARGUMENTS \" ] [ \" OPTIONS ]\n");
    let _ = writeln!(text, ".SH DESCRIPTION\n{}", plain(WHAT));
    text.push_str(".SH COMMANDS\n");
    for part in Part::ALL {
        let _ = writeln!(text, ".SS {}", plain(part.heading()));
        for command in commands().filter(|command| command.part == part) {
            let _ = writeln!(text, ".TP\n.B {}\n{}.", plain(command.name), plain(command.summary));
        }
    }
    text.push_str(&exits(&Exit::ALL));
    text.push_str(
        ".SH ENVIRONMENT\n.TP\n.B AXION_AGENT_CONFIG\nThe configuration, where \\-\\-config does not name one.\n.TP\n.B AXION_AGENT_SOCKET\n\
         The agent\\(aqs socket, where \\-\\-socket does not name one.\n.TP\n.B AXION_AGENT__SECTION__KEY\nA key of the configuration.\n\
         .TP\n.B NO_COLOR\nNot empty: no colours.\n",
    );
    text.push_str(
        ".SH FILES\n.TP\n.I /etc/axion/agent.toml\nThe configuration.\n.TP\n.I /run/axion\\-agent/agent.sock\nThe agent\\(aqs socket.\n\
         .TP\n.I /var/lib/axion\\-agent\nThe agent\\(aqs state.\n",
    );
    let pages: Vec<String> = commands().map(|command| reference(&title(command))).collect();
    text + &see_also(&pages)
}

fn of_group(group: &str) -> String {
    let summary = GROUPS.iter().find(|(name, _)| *name == group).map_or("", |(_, summary)| summary);
    let mut text = head(&format!("axion-agent-{group}"), summary);
    text.push_str(".SH SYNOPSIS\n");
    for (_, command) in members(group) {
        text.push_str(&synopsis(command));
        text.push_str(".br\n");
    }
    text.truncate(text.len() - ".br\n".len());
    text.push_str(".SH DESCRIPTION\n");
    for (word, command) in members(group) {
        let _ = writeln!(text, ".TP\n.B {}\n{}.", plain(word), plain(command.summary));
    }
    let pages: Vec<String> = std::iter::once("axion-agent".to_owned()).chain(members(group).map(|(_, command)| title(command))).collect();
    text + &see_also(&pages.iter().map(|page| reference(page)).collect::<Vec<_>>())
}

fn of_command(command: &Command) -> String {
    let mut text = head(&title(command), command.summary);
    let _ = write!(text, ".SH SYNOPSIS\n{}.SH DESCRIPTION\n{}.\n", synopsis(command), plain(command.summary));
    for part in command.about {
        let _ = writeln!(text, ".PP\n{}", plain(part));
    }
    if !command.arguments.is_empty() {
        text.push_str(".SH ARGUMENTS\n");
        for argument in command.arguments {
            let _ = writeln!(text, ".TP\n.I {}\n{}.", plain(argument.name), plain(argument.help));
        }
    }
    text.push_str(".SH OPTIONS\n");
    for option in command.options {
        let letter = option.short.map_or_else(String::new, |letter| format!("\\-{letter}, "));
        let value = option.value.map_or_else(String::new, |value| format!(" \\fI{}\\fR", plain(value.name)));
        let _ = writeln!(text, ".TP\n\\fB{letter}\\-\\-{}\\fR{value}\n{}.", plain(option.long), plain(option.help));
    }
    text.push_str(".TP\n\\fB\\-h, \\-\\-help\\fR\nShow a help.\n");
    if !command.examples.is_empty() {
        text.push_str(".SH EXAMPLES\n");
        // Behind a heading stands no paragraph macro.
        let examples: Vec<String> = command.examples.iter().map(example_of).collect();
        text.push_str(&examples.join(".PP\n"));
    }
    let ends: Vec<Exit> = ALWAYS.iter().chain(command.exits).copied().collect();
    text.push_str(&exits(&ends));
    text + &see_also(&[reference("axion-agent")])
}

fn example_of(example: &Example) -> String {
    format!("{}:\n.PP\n.RS 4\n.EX\n{}\n.EE\n.RE\n", plain(&capital(example.why)), plain(&full(example)))
}

fn synopsis(command: &Command) -> String {
    let mut text = format!(".B axion\\-agent {}\n", plain(command.name));
    for argument in command.arguments {
        let name = plain(argument.name);
        text += &match argument.count {
            Count::One => format!("\\fI{name}\\fR\n"),
            Count::Optional => format!("[ \\fI{name}\\fR ]\n"),
            Count::Any => format!("[ \\fI{name}\\fR\\&... ]\n"),
            Count::Some => format!("\\fI{name}\\fR\\&...\n"),
        };
    }
    for option in command.options.iter().filter(|option| option.times == Times::Needed) {
        let name = option.short.map_or_else(|| format!("\\-\\-{}", plain(option.long)), |letter| format!("\\-{letter}"));
        let _ = writeln!(text, "\\fB{name}\\fR \\fI{}\\fR\\&...", option.value.map_or("", |value| value.name));
    }
    text + "[ \\fIOPTIONS\\fR ]\n"
}

fn exits(exits: &[Exit]) -> String {
    let mut text = ".SH EXIT STATUS\n".to_owned();
    for exit in exits {
        let _ = writeln!(text, ".TP\n.B {}\n{}.", exit.code(), plain(&capital(exit.meaning())));
    }
    text
}

fn reference(page: &str) -> String {
    format!("{} ({SECTION})", plain(page))
}

fn see_also(pages: &[String]) -> String {
    let mut text = ".SH SEE ALSO\n".to_owned();
    for (at, page) in pages.iter().enumerate() {
        let comma = if at + 1 < pages.len() { "," } else { "" };
        let _ = writeln!(text, ".BR {page}{comma}");
    }
    text
}

/// As text of roff: no dash becomes a hyphen, no dot or quote begins a request, and what is not ASCII is named.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for (at, c) in text.chars().enumerate() {
        match c {
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '\'' => out.push_str("\\(aq"),
            '`' => out.push_str("\\(ga"),
            '~' => out.push_str("\\(ti"),
            '^' => out.push_str("\\(ha"),
            '.' if at == 0 => out.push_str("\\&."),
            '"' => out.push_str("\\(dq"),
            c if c.is_ascii() => out.push(c),
            c => {
                let _ = write!(out, "\\[u{:04X}]", u32::from(c));
            }
        }
    }
    out
}

fn lowered(text: &str) -> String {
    first(text, |c| c.to_lowercase().collect())
}

fn capital(text: &str) -> String {
    first(text, |c| c.to_uppercase().collect())
}

fn first(text: &str, change: fn(char) -> String) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| change(first) + chars.as_str())
}

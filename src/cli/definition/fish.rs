//! Completions for fish, made from the table. Pure.

use super::completions::{COMMAND_IDS, STACKS};
use super::lookup::{first_words, members};
use super::{Command, GROUPS, Thing, commands};
use std::fmt::Write as _;

const HEAD: &str = r#"# fish completion for axion-agent; made by `axion-agent completions fish`.

function __axion_agent_is
    set -l words (commandline -opc)
    set -l given "$words[2]"
    if contains -- "$given" @GROUPS@
        set given "$given $words[3]"
    end
    test "$given" = "$argv"
end

function __axion_agent_needs
    set -l words (commandline -opc)
    test (count $words) -eq $argv[1]; or return 1
    test (count $argv) -eq 1; or test "$words[2]" = "$argv[2]"
end

# The stack is the first word behind the command.
function __axion_agent_services
    set -l words (commandline -opc)
    axion-agent services "$words[3]" --quiet 2>/dev/null
end

complete -c axion-agent -f
complete -c axion-agent -s h -l help -d 'Show this help'
"#;

pub(super) fn script() -> String {
    let groups: Vec<&str> = GROUPS.iter().map(|(group, _)| *group).collect();
    let mut text = HEAD.replace("@GROUPS@", &groups.join(" "));
    for word in first_words() {
        let of_group = GROUPS.iter().find(|(group, _)| *group == word).map(|(_, summary)| *summary);
        let of_command = commands().find(|command| command.name == word).map(|command| command.summary);
        let summary = of_command.or(of_group).unwrap_or("Show the help of a command");
        let _ = writeln!(text, "complete -c axion-agent -n '__axion_agent_needs 1' -a {word} -d '{}'", escaped(summary));
    }
    for (group, _) in GROUPS {
        for (word, command) in members(group) {
            let summary = escaped(command.summary);
            let _ = writeln!(text, "complete -c axion-agent -n '__axion_agent_needs 2 {group}' -a {word} -d '{summary}'");
        }
    }
    for command in commands() {
        text.push_str(&of_command(command));
    }
    text
}

fn of_command(command: &Command) -> String {
    let mut text = String::new();
    let condition = format!("-n '__axion_agent_is {}'", command.name);
    for option in command.options {
        let letter = option.short.map_or_else(String::new, |letter| format!(" -s {letter}"));
        let value = option.value.map_or_else(String::new, |value| match value.thing {
            Thing::File | Thing::Folder => " -r -F".to_owned(),
            thing => format!(" -x{}", offered(thing)),
        });
        let _ = writeln!(text, "complete -c axion-agent {condition}{letter} -l {}{value} -d '{}'", option.long, escaped(option.help));
    }
    for argument in command.arguments {
        let offered = if argument.thing == Thing::File { " -F".to_owned() } else { offered(argument.thing) };
        if !offered.is_empty() {
            let _ = writeln!(text, "complete -c axion-agent {condition}{offered} -d '{}'", escaped(argument.name));
        }
    }
    text
}

fn offered(thing: Thing) -> String {
    match thing {
        Thing::Words(words) => format!(" -a '{}'", words.join(" ")),
        Thing::Stack => format!(" -a '({STACKS})'"),
        Thing::Service => " -a '(__axion_agent_services)'".to_owned(),
        Thing::CommandId => format!(" -a '({COMMAND_IDS})'"),
        Thing::Command => format!(" -a '{}'", first_words().join(" ")),
        Thing::File | Thing::Folder | Thing::Text => String::new(),
    }
}

/// Inside single quotes.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}

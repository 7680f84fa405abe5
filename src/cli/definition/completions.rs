//! Completions for shells, made from the table. Pure. This file has the one for bash; zsh and fish have their own.

use super::lookup::{first_words, members};
use super::{Command, Count, GROUPS, Opt, Thing, commands, fish, zsh};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A shell that has completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    /// bash 4.2 or later.
    Bash,
    /// zsh.
    Zsh,
    /// fish 3 or later.
    Fish,
}

impl Shell {
    /// By its name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "bash" => Some(Self::Bash),
            "zsh" => Some(Self::Zsh),
            "fish" => Some(Self::Fish),
            _ => None,
        }
    }
}

/// The completions for a shell.
#[must_use]
pub fn script(shell: Shell) -> String {
    match shell {
        Shell::Bash => bash(),
        Shell::Zsh => zsh::script(),
        Shell::Fish => fish::script(),
    }
}

/// How an option is typed: `-c` and `--compose-file`.
pub(super) fn spellings(option: &Opt) -> Vec<String> {
    option.short.map(|letter| format!("-{letter}")).into_iter().chain([format!("--{}", option.long)]).collect()
}

/// Every option once, by its long name: a name means the same in each command, which a test sees to.
pub(super) fn every_option() -> BTreeMap<&'static str, &'static Opt> {
    commands().flat_map(|command| command.options).map(|option| (option.long, *option)).collect()
}

/// What of the command line says the names that only the agent knows.
pub(super) const STACKS: &str = "axion-agent stacks --quiet 2>/dev/null";
pub(super) const COMMAND_IDS: &str = "axion-agent commands --quiet 2>/dev/null";

const BASH_HEAD: &str = r#"# bash completion for axion-agent; made by `axion-agent completions bash`.

_axion_agent() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    local command=${COMP_WORDS[1]} from=2 at=0 stack='' options='' things='' thing='' i
    COMPREPLY=()
"#;

const BASH_PLACE: &str = r#"    for ((i = from; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            @VALUED@) ((i++)) ;;
            -*) ;;
            *)
                ((at++))
                [[ -n $stack ]] || stack=${COMP_WORDS[i]}
                ;;
        esac
    done
    # The last thing may be repeated: it has a + behind it.
    for i in $things; do
        thing=${i%+}
        ((at-- == 0)) && break
        [[ $i == *+ ]] || thing=''
    done
"#;

const BASH_END: &str = r#"}
complete -F _axion_agent axion-agent
"#;

fn bash() -> String {
    let mut text = BASH_HEAD.to_owned();
    let groups: Vec<&str> = GROUPS.iter().map(|(group, _)| *group).collect();
    let _ = writeln!(text, "    if ((COMP_CWORD == 1)); then\n{}        return\n    fi", reply(&words(&first_words().join(" ")), 8));
    let _ = writeln!(text, "    case $command in\n        {})", groups.join(" | "));
    text.push_str(
        "            command+=\" ${COMP_WORDS[2]}\" from=3\n            if ((COMP_CWORD == 2)); then\n                case $prev in\n",
    );
    for group in groups {
        let second: Vec<&str> = members(group).map(|(word, _)| word).collect();
        let _ = writeln!(text, "                    {group})\n{}                        ;;", reply(&words(&second.join(" ")), 24));
    }
    text.push_str("                esac\n                return\n            fi\n            ;;\n    esac\n    case $prev in\n");
    for option in every_option().values() {
        let Some(value) = option.value else { continue };
        let _ =
            writeln!(text, "        {})\n{}            return\n            ;;", spellings(option).join(" | "), completed(value.thing, 12));
    }
    text.push_str("    esac\n    case $command in\n");
    for command in commands() {
        let _ = writeln!(
            text,
            "        {})\n            options='{}' things='{}'\n            ;;",
            quoted(command.name),
            flags(command),
            things(command)
        );
    }
    text.push_str("    esac\n    if [[ $cur == -* ]]; then\n");
    text.push_str(&reply(&words("$options --help"), 8));
    text.push_str("        return\n    fi\n");
    let with_values: Vec<String> =
        every_option().values().filter(|option| option.value.is_some()).flat_map(|option| spellings(option)).collect();
    text.push_str(&BASH_PLACE.replace("@VALUED@", &with_values.join(" | ")));
    text.push_str("    case $thing in\n");
    for (name, thing) in
        [("stack", Thing::Stack), ("service", Thing::Service), ("id", Thing::CommandId), ("file", Thing::File), ("command", Thing::Command)]
    {
        let _ = writeln!(text, "        {name})\n{}            ;;", completed(thing, 12));
    }
    // The words of an argument stand there themselves, with commas between them.
    let _ = writeln!(text, "        *,*)\n{}            ;;\n    esac", reply(&words("${thing//,/ }"), 12));
    text + BASH_END
}

fn quoted(name: &str) -> String {
    if name.contains(' ') { format!("'{name}'") } else { name.to_owned() }
}

fn flags(command: &Command) -> String {
    command.options.iter().flat_map(|option| spellings(option)).collect::<Vec<_>>().join(" ")
}

fn things(command: &Command) -> String {
    let named = command.arguments.iter().map(|argument| {
        let name = match argument.thing {
            Thing::Stack => "stack".to_owned(),
            Thing::Service => "service".to_owned(),
            Thing::CommandId => "id".to_owned(),
            Thing::Command => "command".to_owned(),
            Thing::File | Thing::Folder => "file".to_owned(),
            Thing::Words(words) => words.join(",") + ",",
            Thing::Text => "text".to_owned(),
        };
        if matches!(argument.count, Count::Any | Count::Some) { name + "+" } else { name }
    });
    named.collect::<Vec<_>>().join(" ")
}

/// The lines that complete a thing.
fn completed(thing: Thing, indent: usize) -> String {
    match thing {
        Thing::File => reply("-f", indent),
        Thing::Folder => reply("-d", indent),
        Thing::Words(list) => reply(&words(&list.join(" ")), indent),
        Thing::Stack => reply(&words(&format!("$({STACKS})")), indent),
        Thing::Service => reply(&words("$(axion-agent services \"$stack\" --quiet 2>/dev/null)"), indent),
        Thing::CommandId => reply(&words(&format!("$({COMMAND_IDS})")), indent),
        Thing::Command => reply(&words(&first_words().join(" ")), indent),
        Thing::Text => String::new(),
    }
}

fn words(list: &str) -> String {
    format!("-W \"{list}\"")
}

/// The matches become the answer.
fn reply(what: &str, indent: usize) -> String {
    format!("{}mapfile -t COMPREPLY < <(compgen {what} -- \"$cur\")\n", " ".repeat(indent))
}

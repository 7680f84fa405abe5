//! Completions for zsh, made from the table. Pure.

use super::completions::{COMMAND_IDS, STACKS, spellings};
use super::lookup::{first_words, members};
use super::{Command, Count, GROUPS, Thing, Times, commands};
use std::fmt::Write as _;

const HEAD: &str = r#"#compdef axion-agent
# zsh completion for axion-agent; made by `axion-agent completions zsh`.

_axion_agent_stacks() {
    local -a names=(${(f)"$(@STACKS@)"})
    compadd -a names
}

_axion_agent_services() {
    local -a names=(${(f)"$(axion-agent services "${line[1]}" --quiet 2>/dev/null)"})
    compadd -a names
}

_axion_agent_ids() {
    local -a names=(${(f)"$(@IDS@)"})
    compadd -a names
}

_axion_agent() {
    local curcontext=$curcontext state line command=$words[2]
    typeset -A opt_args
"#;

const END: &str = r#"    esac
}

_axion_agent "$@"
"#;

pub(super) fn script() -> String {
    let mut text = HEAD.replace("@STACKS@", STACKS).replace("@IDS@", COMMAND_IDS);
    text.push_str("    if ((CURRENT == 2)); then\n        local -a known=(\n");
    for word in first_words() {
        let _ = writeln!(text, "            '{word}:{}'", escaped(&summary(word)));
    }
    text.push_str("        )\n        _describe -t commands command known\n        return\n    fi\n    case $command in\n");
    for (group, _) in GROUPS {
        let _ = writeln!(text, "        {group})\n            if ((CURRENT == 3)); then\n                local -a known=(");
        for (word, command) in members(group) {
            let _ = writeln!(text, "                    '{word}:{}'", escaped(command.summary));
        }
        text.push_str("                )\n                _describe -t commands command known\n                return\n            fi\n");
        text.push_str("            command+=\" $words[3]\"\n            shift words\n            ((CURRENT--))\n            ;;\n");
    }
    text.push_str("    esac\n    shift words\n    ((CURRENT--))\n    case $command in\n");
    for command in commands() {
        let _ = writeln!(text, "        '{}')\n            _arguments -s \\\n{}            ;;", command.name, specs(command));
    }
    text + END
}

fn summary(word: &str) -> String {
    let of_group = GROUPS.iter().find(|(group, _)| *group == word).map(|(_, summary)| *summary);
    let of_command = commands().find(|command| command.name == word).map(|command| command.summary);
    of_command.or(of_group).unwrap_or("Show the help of a command").to_owned()
}

/// One specification a line, as `_arguments` wants them.
fn specs(command: &Command) -> String {
    let mut specs = vec!["'(- *)'{-h,--help}'[Show this help]'".to_owned()];
    for option in command.options {
        let names = spellings(option);
        let value = option.value.map_or_else(String::new, |value| format!(":{}:{}", escaped(value.name), action(value.thing)));
        let help = escaped(option.help);
        let repeated = if option.times == Times::Needed { "*" } else { "" };
        specs.push(match names.as_slice() {
            [one] => format!("'{repeated}{one}[{help}]{value}'"),
            _ if repeated.is_empty() => format!("'({})'{{{}}}'[{help}]{value}'", names.join(" "), names.join(",")),
            _ => format!("'{repeated}'{{{}}}'[{help}]{value}'", names.join(",")),
        });
    }
    for (at, argument) in command.arguments.iter().enumerate() {
        let place = if matches!(argument.count, Count::Any | Count::Some) { "*".to_owned() } else { (at + 1).to_string() };
        let optional = if argument.count == Count::Optional { ":" } else { "" };
        specs.push(format!("'{place}:{optional}{}:{}'", escaped(argument.name), action(argument.thing)));
    }
    let last = specs.len() - 1;
    specs.iter().enumerate().map(|(at, spec)| format!("                {spec}{}\n", if at == last { "" } else { " \\" })).collect()
}

fn action(thing: Thing) -> String {
    match thing {
        Thing::File => "_files".to_owned(),
        Thing::Folder => "_files -/".to_owned(),
        Thing::Words(words) => format!("({})", words.join(" ")),
        Thing::Stack => "_axion_agent_stacks".to_owned(),
        Thing::Service => "_axion_agent_services".to_owned(),
        Thing::CommandId => "_axion_agent_ids".to_owned(),
        Thing::Command => format!("({})", first_words().join(" ")),
        Thing::Text => " ".to_owned(),
    }
}

/// Inside single quotes, where a colon and brackets have a meaning.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "'\\''").replace(':', "\\:").replace('[', "\\[").replace(']', "\\]")
}

//! A tree as YAML that every reader takes for the same tree: block style, and quotes where a plain text
//! could be read as anything else. Pure.

use super::{Node, Value, scalar};
use std::fmt::Write as _;

/// Texts that older readers take for booleans.
const WORDS: [&str; 6] = ["y", "n", "yes", "no", "on", "off"];
/// What numbers, times and dates are made of.
const NUMERIC: &str = "0123456789.:+-_eExXobTZ ";

/// The text of a tree; it ends with a line break.
#[must_use]
pub fn write(node: &Node) -> String {
    let mut out = String::new();
    if let Some(text) = inline(&node.value) {
        out.push_str(&text);
        out.push('\n');
    } else {
        block(&node.value, 0, &mut out);
    }
    out
}

fn block(value: &Value, indent: usize, out: &mut String) {
    let space = " ".repeat(indent);
    match value {
        Value::Map(entries) => {
            for (key, node) in entries {
                let _infallible = write!(out, "{space}{}:", text(&key.text));
                child(&node.value, indent, out);
            }
        }
        Value::List(items) => {
            for node in items {
                let _infallible = write!(out, "{space}-");
                match &node.value {
                    // The first key stands beside the dash.
                    Value::Map(entries) if !entries.is_empty() => {
                        let mut inner = String::new();
                        block(&node.value, indent + 2, &mut inner);
                        let _infallible = write!(out, " {}", inner.trim_start());
                    }
                    value => child(value, indent, out),
                }
            }
        }
        _ => {}
    }
}

/// What stands after a colon or a dash.
fn child(value: &Value, indent: usize, out: &mut String) {
    if let Some(text) = inline(value) {
        let _infallible = writeln!(out, " {text}");
    } else {
        out.push('\n');
        block(value, indent + 2, out);
    }
}

/// What fits on the line of its key.
fn inline(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some("null".to_owned()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Int(value) => Some(value.to_string()),
        Value::Float(value) => Some(format!("{value:?}")),
        Value::Text(value) => Some(text(value)),
        Value::List(items) => items.is_empty().then(|| "[]".to_owned()),
        Value::Map(entries) => entries.is_empty().then(|| "{}".to_owned()),
    }
}

fn text(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

fn is_plain(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_'));
    let safe = text.chars().all(|c| c.is_ascii_alphanumeric() || " _-./:@=+,%()$".contains(c));
    let ends = !text.ends_with([' ', ':']) && !text.starts_with("...");
    let is_text = !text.is_empty() && scalar::resolve(text) == Some(Value::Text(text.to_owned()));
    let is_number = text.contains(|c: char| c.is_ascii_digit()) && text.chars().all(|c| NUMERIC.contains(c));
    begins && safe && ends && is_text && !is_number && !text.contains(": ") && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

/// In double quotes, with escapes that all YAML readers know.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        let _infallible = match c {
            '"' | '\\' => write!(out, "\\{c}"),
            '\n' => write!(out, "\\n"),
            '\t' => write!(out, "\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => write!(out, "\\u{:04x}", u32::from(c)),
            c => write!(out, "{c}"),
        };
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::yaml::parse;

    #[test]
    fn a_tree_is_read_again_as_it_was() {
        let texts = ["", " a", "a ", "yes", "Off", "null", "~", "1", "0x1F", "1:30", "2001-01-01", "1e3", ".5", "-", "- a", "a: b", "a:"];
        let more = [
            "a #b",
            "#a",
            "*a",
            "&a",
            "!a",
            "{a}",
            "[a]",
            "a\nb\n",
            "\t",
            "é\u{2028}\u{feff}\u{85}",
            "\"'\\",
            "<<",
            "%a",
            "@a",
            "`",
            "...",
            "---",
        ];
        let list: Vec<Node> =
            texts.iter().chain(&more).map(|text| Node::new(Default::default(), Value::Text((*text).to_owned()))).collect();
        let written = write(&Node::new(Default::default(), Value::List(list.clone())));
        assert!(parse(0, &written).unwrap().tree.same(&Node::new(Default::default(), Value::List(list))), "{written}");
    }

    #[test]
    fn it_is_written_as_people_write_it() {
        let text = "services:\n  a:\n    image: nginx:1\n    ports:\n      - target: 80\n        published: 8080\n      - target: 81\n    \
            command:\n      - sh\n      - \"-c\"\n    labels: {}\n    tty: true\n    cpus: 0.5\n    none: null\n    lists:\n      -\n        - a\n";
        assert_eq!(write(&parse(0, text).unwrap().tree), text);
    }
}

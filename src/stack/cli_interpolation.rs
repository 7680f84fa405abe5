//! What the Docker CLI makes of a value with variables (docker/cli, cli/compose/template). It is not followed (D1,
//! docker/cli#7313), but where it differs a stack that the CLI deployed gets other values from us: the plan says so.
//! Pure.

use std::collections::BTreeMap;

/// The value as the CLI makes it; nothing where it refuses the file.
#[must_use]
pub fn value(text: &str, env: &BTreeMap<String, String>) -> Option<String> {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    // Only the last variable of a value decides whether there was an error.
    let mut last = Some(());
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        let after = &rest[dollar + 1..];
        let braced =
            after.strip_prefix('{').map(|inner| (inner, expression(inner))).filter(|(inner, length)| inner[*length..].starts_with('}'));
        if let Some(next) = after.strip_prefix('$') {
            out.push('$');
            (rest, last) = (next, Some(()));
        } else if let Some((inner, length)) = braced.filter(|(_, length)| *length > 0) {
            last = substituted(&inner[..length], env).map(|value| out.push_str(&value));
            rest = &inner[length + 1..];
        } else {
            let length = expression(after);
            last = if length > 0 { substituted(&after[..length], env).map(|value| out.push_str(&value)) } else { None };
            rest = &after[length..];
        }
    }
    out.push_str(rest);
    last.map(|()| out)
}

/// The length of a name and, behind it, an operator with all up to the next brace.
fn expression(text: &str) -> usize {
    let name = name_length(text);
    if name == 0 {
        return 0;
    }
    let rest = &text[name..];
    let operator = rest.strip_prefix(':').unwrap_or(rest);
    if operator.starts_with(['-', '?']) { name + rest.find('}').unwrap_or(rest.len()) } else { name }
}

fn name_length(text: &str) -> usize {
    let is_first = |byte: u8| byte == b'_' || byte.is_ascii_alphabetic();
    match text.bytes().next() {
        Some(first) if is_first(first) => text.bytes().take_while(|byte| is_first(*byte) || byte.is_ascii_digit()).count(),
        _ => 0,
    }
}

/// The operators are looked for anywhere, in this order; nothing is an error.
fn substituted(expression: &str, env: &BTreeMap<String, String>) -> Option<String> {
    let filled = |name: &str| env.get(name).filter(|value| !value.is_empty()).cloned();
    if let Some((name, word)) = expression.split_once(":-") {
        Some(filled(name).unwrap_or_else(|| word.to_owned()))
    } else if let Some((name, word)) = expression.split_once('-') {
        Some(env.get(name).cloned().unwrap_or_else(|| word.to_owned()))
    } else if let Some((name, _)) = expression.split_once(":?") {
        filled(name)
    } else if let Some((name, _)) = expression.split_once('?') {
        env.get(name).cloned()
    } else {
        Some(env.get(expression).cloned().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded of the CLI 28.2.2.
    #[test]
    fn its_mistakes_are_known() {
        let env = [("V", "val"), ("E", ""), ("R", "reg")].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        for (text, expected) in [
            ("plain", Some("plain")),
            ("$V ${V} ${U} $$V", Some("val val  $V")),
            ("$R-app:1", Some("reg")),
            ("$V-x ${V-x}", Some("val}")),
            ("${U-a:-b}", Some("b")),
            ("${U?a-b}", Some("b")),
            ("${U:?must-be-set}", Some("be-set")),
            ("${V:?must-be-set}", Some("be-set")),
            ("${U:-${V}}", Some("${V}")),
            ("${U:-a$$b}", Some("a$$b")),
            ("${E:-d} ${E-d}", Some("d ")),
            ("${U:?x} ${V}", Some(" val")),
            ("$1 ${V}", Some("1 val")),
            ("${V} $1", None),
            ("${V:+alt}", None),
            ("${U:?x}", None),
            ("${V", None),
        ] {
            assert_eq!(value(text, &env).as_deref(), expected, "{text}");
        }
    }
}

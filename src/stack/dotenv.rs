//! A `.env` file beside a Compose file, by the Compose Specification ("Interpolation: .env file"): quotes,
//! comments, `export`, and variables in values. `env_file` of a service is another matter: it is read as
//! it stands, as `docker stack deploy` does (`load/environment.rs`). Pure.

use super::interpolate::Interpolation;
use std::collections::BTreeMap;

/// What all values may have, since they may hold each other.
const MAX_VALUE_BYTES: usize = 4 << 20;

/// A `.env` file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct InvalidDotenv {
    line: usize,
    problem: String,
}

/// The variables of a text. Those of `env` win, also where a value names one.
///
/// # Errors
/// With the first line that is no variable.
pub fn dotenv(text: &str, env: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, InvalidDotenv> {
    let mut known = env.clone();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut line, mut bytes) = (1, 0);
    while !rest.is_empty() {
        let wrong = |problem: String| InvalidDotenv { line, problem };
        let (entry, after) = next(rest).map_err(|problem| wrong(problem.to_owned()))?;
        if let Some((name, value)) = entry {
            let value = match value {
                Quoted::Literal(text) => text.to_owned(),
                Quoted::Expanded(text) => Interpolation::new(&known).text(&text).map_err(|problem| wrong(problem.to_string()))?,
            };
            bytes += value.len();
            if bytes > MAX_VALUE_BYTES {
                return Err(wrong(format!("the values have more than {MAX_VALUE_BYTES} bytes in all")));
            }
            if !env.contains_key(name) {
                known.insert(name.to_owned(), value);
            }
        }
        line += rest[..rest.len() - after.len()].matches('\n').count();
        rest = after;
    }
    Ok(known)
}

enum Quoted<'a> {
    /// As it stands.
    Literal(&'a str),
    /// Variables are put in.
    Expanded(String),
}

type Entry<'a> = Option<(&'a str, Quoted<'a>)>;

/// The variable of one line, if it has one, and what follows the line. A quoted value may go on over lines.
fn next(text: &str) -> Result<(Entry<'_>, &str), &'static str> {
    let (line, after) = text.split_once('\n').unwrap_or((text, ""));
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok((None, after));
    }
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    // A name alone is the variable of the environment, which holds already.
    let Some((name, _)) = line.split_once('=') else { return name_of(line).map(|_| (None, after)) };
    let name = name_of(name)?;
    let value = text.split_once('=').map_or("", |(_, value)| value).trim_start_matches([' ', '\t']);
    match value.chars().next() {
        Some('\'') => {
            let (value, rest) = value[1..].split_once('\'').ok_or("a quote is not closed")?;
            Ok((Some((name, Quoted::Literal(value))), end_of_line(rest)?))
        }
        Some('"') => {
            let (value, rest) = double_quoted(&value[1..])?;
            Ok((Some((name, Quoted::Expanded(value))), end_of_line(rest)?))
        }
        _ => {
            let value = value.split('\n').next().unwrap_or_default();
            let value = if value.starts_with('#') { "" } else { value.split_once(" #").map_or(value, |(value, _)| value) };
            Ok((Some((name, Quoted::Expanded(value.trim_end().to_owned()))), after))
        }
    }
}

fn name_of(text: &str) -> Result<&str, &'static str> {
    let name = text.trim();
    let plain = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-'));
    if name.is_empty() || !plain { Err("there is no name before the =: write NAME=value") } else { Ok(name) }
}

/// Up to the closing quote, with its escapes; one of a dollar sign stays for the interpolation.
fn double_quoted(text: &str) -> Result<(String, &str), &'static str> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('n') => value.push('\n'),
                Some('r') => value.push('\r'),
                Some('t') => value.push('\t'),
                Some('$') => value.push_str("$$"),
                Some(c @ ('"' | '\\')) => value.push(c),
                Some(c) => value.extend(['\\', c]),
                None => break,
            },
            c => value.push(c),
        }
    }
    Err("a quote is not closed")
}

/// Only a comment may follow a quoted value.
fn end_of_line(rest: &str) -> Result<&str, &'static str> {
    let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') { Ok(after) } else { Err("something follows the closing quote") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, InvalidDotenv> {
        let env = [("HOST".to_owned(), "h".to_owned())].into();
        dotenv(text, &env).map(|all| all.into_iter().filter(|(name, _)| name != "HOST").collect())
    }

    #[test]
    fn values_are_quoted_and_hold_variables() {
        for (text, value) in [
            ("A=b", "b"),
            ("A= b c  # comment", "b c"),
            ("A=b#c", "b#c"),
            ("A=# nothing", ""),
            ("export A='$HOST # x'", "$HOST # x"),
            ("A=\"${HOST}:\\n\\\"\\$x\" # y", "h:\n\"$x"),
            ("A=\"two\nlines\"", "two\nlines"),
            ("A=${GONE:-d}$HOST", "dh"),
            ("\u{feff}A=1\r\n", "1"),
            ("HOST=other\nA=$HOST", "h"),
            ("B\nA=", ""),
        ] {
            let read = read(text).unwrap();
            assert_eq!(read, [("A".to_owned(), value.to_owned())], "{text}");
        }
    }

    #[test]
    fn later_lines_see_earlier_ones_and_mistakes_are_named_by_line() {
        assert_eq!(read("A=1\nB=$A$A\nA=2").unwrap(), [("A".to_owned(), "2".to_owned()), ("B".to_owned(), "11".to_owned())]);
        let growing: String = (1..40).map(|n| format!("A{n}=${{A{}:-x}}${{A{}:-x}}\n", n - 1, n - 1)).collect();
        assert!(read(&growing).unwrap_err().problem.contains("bytes in all"));
        for (text, line) in [("A=1\n=x", 2), ("A='x\n", 1), ("A=\"1\n2\"\nB=${C", 3), ("A='x' y", 1), ("a b=c", 1)] {
            assert_eq!(read(text).unwrap_err().line, line, "{text}");
        }
    }
}

//! Splits a command line into words as google/shlex does, which the CLI uses for `command` and
//! `entrypoint`: quotes, backslashes, and `#` at the start of a word begins a comment. Pure.

/// What the reader is in the middle of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Between,
    Word,
    Escape,
    Double,
    DoubleEscape,
    Single,
    Comment,
}

/// The words, or why there are none.
pub fn split(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut state = State::Between;
    for c in text.chars() {
        state = match (state, c) {
            (State::Between, ' ' | '\t' | '\r' | '\n') => State::Between,
            (State::Between, '#') => State::Comment,
            (State::Word, ' ' | '\t' | '\r' | '\n') => {
                words.push(std::mem::take(&mut word));
                State::Between
            }
            (State::Between | State::Word, '"') => State::Double,
            (State::Between | State::Word, '\'') => State::Single,
            (State::Between | State::Word, '\\') => State::Escape,
            (State::Double, '"') | (State::Single, '\'') => State::Word,
            (State::Double, '\\') => State::DoubleEscape,
            (State::Comment, '\n') => State::Between,
            (State::Comment, _) => State::Comment,
            (before, c) => {
                word.push(c);
                match before {
                    State::Double | State::DoubleEscape => State::Double,
                    State::Single => State::Single,
                    _ => State::Word,
                }
            }
        };
    }
    match state {
        State::Word => words.push(word),
        State::Double | State::Single => return Err("a quote is not closed"),
        State::Escape | State::DoubleEscape => return Err("nothing follows the last backslash"),
        State::Between | State::Comment => {}
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_shlex() {
        for (text, words) in [
            ("echo 'a b' \"c d\" e\\ f # g", vec!["echo", "a b", "c d", "e f"]),
            ("a#b '' \"x\\\"y\"", vec!["a#b", "", "x\"y"]),
            ("a # b\nc", vec!["a", "c"]),
            ("x'y'\"z\"", vec!["xyz"]),
            ("", vec![]),
        ] {
            assert_eq!(split(text).unwrap(), words, "{text}");
        }
        for text in ["echo 'a", "echo \"a", "a\\"] {
            assert!(split(text).is_err(), "{text}");
        }
    }
}

//! What is said of a Compose file shows where a variable stands, never what it stands for: its value may be a secret.
//! Pure.

use super::{StackError, Warning};
use std::collections::BTreeMap;

/// A shorter value is no secret, and a part of many a word.
const SHORTEST: usize = 4;
/// A longer name is not shown: it may stand for every fourth byte of a message.
const LONGEST_NAME: usize = 128;
/// A longer message is not shown: it quotes a text that nobody would read.
const LONGEST_MESSAGE: usize = 16 << 10;

/// The values of a command's variables, with the names to show in their place.
pub(super) struct Hidden(Vec<(String, String)>);

impl Hidden {
    pub(super) fn new(env: &BTreeMap<String, String>) -> Self {
        let mut values = Vec::new();
        for (name, value) in env.iter().filter(|(_, value)| value.len() >= SHORTEST) {
            let shown = format!("${{{}}}", if name.len() > LONGEST_NAME { "…" } else { name });
            // As it is, and as a message quotes it.
            let quoted = format!("{value:?}");
            let quoted = &quoted[1..quoted.len() - 1];
            if quoted != value {
                values.push((quoted.to_owned(), shown.clone()));
            }
            values.push((value.clone(), shown));
        }
        // The longest first: one value may be a part of another.
        values.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        Self(values)
    }

    fn text(&self, text: String) -> String {
        // Cut, it could show a part of a value.
        if text.len() > LONGEST_MESSAGE {
            return "what is wrong here is too long to be shown".to_owned();
        }
        self.0.iter().fold(text, |text, (value, shown)| if text.contains(value) { text.replace(value, shown) } else { text })
    }

    pub(super) fn error(&self, error: StackError) -> StackError {
        match error {
            StackError::Syntax { at, problem } => StackError::Syntax { at, problem: self.text(problem) },
            StackError::Limit { at, problem } => StackError::Limit { at, problem: self.text(problem) },
            StackError::Interpolation { at, problem } => StackError::Interpolation { at, problem: self.text(problem) },
            StackError::Invalid { at, problem } => StackError::Invalid { at, problem: self.text(problem) },
            StackError::RelativeBind { at, path } => StackError::RelativeBind { at, path: self.text(path) },
            StackError::FileMissing { at, path } => StackError::FileMissing { at, path: self.text(path) },
        }
    }

    pub(super) fn warning(&self, warning: Warning) -> Warning {
        Warning { message: self.text(warning.message), ..warning }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::Location;

    #[test]
    fn a_message_shows_the_name_of_a_variable_and_not_its_value() {
        let env = [("A", "s3cret"), ("B", "s3cret-and-more"), ("C", "say \"hi\"\n"), ("D", "no"), ("E", "")];
        let hidden = Hidden::new(&env.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        for (problem, shown) in [
            ("must be true or false, is \"s3cret\"", "must be true or false, is \"${A}\""),
            ("\"x-s3cret-and-more:80\" is no port", "\"x-${B}:80\" is no port"),
            ("is \"say \\\"hi\\\"\\n\"", "is \"${C}\""),
            ("no node", "no node"),
        ] {
            let error = StackError::Invalid { at: Location::default(), problem: problem.to_owned() };
            assert_eq!(hidden.error(error), StackError::Invalid { at: Location::default(), problem: shown.to_owned() });
        }
        let long = hidden.text(format!("{}s3cret", "x".repeat(LONGEST_MESSAGE)));
        assert!(long.len() < 100 && !long.contains("s3c"), "{long}");
        let named = Hidden::new(&[("N".repeat(LONGEST_NAME + 1), "s3cret".to_owned())].into());
        assert_eq!(named.text("is s3cret".to_owned()), "is ${…}");
    }
}

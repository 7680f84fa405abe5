//! What is said of a Compose file, and of what became of it, shows where a variable stands, never what it stands for: its value may be
//! a secret. Pure.

use super::{StackError, Warning, change};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A shorter value is no secret, and a part of many a word.
const SHORTEST: usize = 4;
/// The same of the engine's words, which are of no file: they hold more that is not meant.
const SHORTEST_OF_THE_ENGINE: usize = 8;
/// What names an object: readers find it by that.
const NAMES: &[&str] = &["image", "name", "stack_name", "project_id", "field", "code"];
/// A longer name is not shown: it may stand for every fourth byte of a message.
const LONGEST_NAME: usize = 128;
/// A longer message is not shown: it quotes a text that nobody would read.
const LONGEST_MESSAGE: usize = 16 << 10;

/// The values of a command's variables, with the names to show in their place.
#[derive(Default)]
pub(super) struct Hidden(Vec<(String, String)>);

impl Hidden {
    pub(super) fn new(env: &BTreeMap<String, String>) -> Self {
        Self::of(env, SHORTEST)
    }

    fn of(env: &BTreeMap<String, String>, shortest: usize) -> Self {
        let mut values = Vec::new();
        for (name, value) in env.iter().filter(|(_, value)| value.len() >= shortest) {
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

/// What lies over all that is told of a deploy: the engine repeats a path, a user or a command in its words, and a plan shows old and
/// new, whatever a variable has brought there.
#[derive(Default)]
pub struct Veil(Hidden);

impl Veil {
    /// Over the values of these variables.
    #[must_use]
    pub fn over(env: &BTreeMap<String, String>) -> Self {
        Self(Hidden::of(env, SHORTEST_OF_THE_ENGINE))
    }

    /// With the names of variables in place of their values.
    #[must_use]
    pub fn text(&self, text: String) -> String {
        if self.0.0.is_empty() { text } else { self.0.text(text) }
    }

    /// The same for each text in these fields, but for the names of objects. Long values of changes are cut.
    pub fn fields(&self, fields: &mut Map<String, Value>) {
        for (key, value) in fields.iter_mut().filter(|(key, _)| !NAMES.contains(&key.as_str())) {
            match key.as_str() {
                "changes" => self.changes(value),
                _ => self.value(value),
            }
        }
    }

    fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(std::mem::take(text)),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(fields) => self.fields(fields),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Fields that change: the old value may be that of the same variable before.
    fn changes(&self, changes: &mut Value) {
        for change in changes.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            if !self.0.0.is_empty() {
                let mut hidden = change.clone();
                self.fields(&mut hidden);
                if hidden != *change {
                    change::hide(change);
                }
            }
            // ORDER: a part of a value would not be known again.
            change::shorten(change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_that_is_told_of_a_deploy_shows_what_a_variable_stands_for() {
        let env = [("PW", "s3cret-word"), ("TAG", "v1"), ("PATH", "/data/long")];
        let veil = Veil::over(&env.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert_eq!(veil.text("bind source path does not exist: /data/long/v1".to_owned()), "bind source path does not exist: ${PATH}/v1");
        let mut told = json!({
            "image": "s3cret-word:v1",
            "services": [{
                "name": "s3cret-word",
                "errors": [{"error": "exec: \"s3cret-word\": not found", "count": 3}],
                "changes": [
                    {"field": "TaskTemplate.ContainerSpec.Args", "old": ["--pw", "the-one-before"], "new": ["--pw", "s3cret-word"]},
                    {"field": "Labels.a", "old": "1", "new": "2"},
                ],
            }],
        });
        veil.fields(told.as_object_mut().unwrap());
        assert_eq!(
            told,
            json!({
                "image": "s3cret-word:v1",
                "services": [{
                    "name": "s3cret-word",
                    "errors": [{"error": "exec: \"${PW}\": not found", "count": 3}],
                    "changes": [{"field": "TaskTemplate.ContainerSpec.Args"}, {"field": "Labels.a", "old": "1", "new": "2"}],
                }],
            })
        );
    }
    #[test]
    fn a_value_is_hidden_that_a_cut_would_go_through() {
        let veil = Veil::over(&[("PW".to_owned(), "s3cret-word".to_owned())].into());
        let told = |old: &str| json!({"changes": [{"field": "Labels.a", "old": old, "new": format!("{}s3cret-word", "x".repeat(115))}]});
        let mut secret = told("x");
        veil.fields(secret.as_object_mut().unwrap());
        assert_eq!(secret, json!({"changes": [{"field": "Labels.a"}]}));
        let mut nothing = told("x");
        Veil::default().fields(nothing.as_object_mut().unwrap());
        assert_eq!(nothing["changes"][0]["new"], json!(format!("{}s3cre…", "x".repeat(115))));
    }

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

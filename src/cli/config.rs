//! `config check`, `config show`, `config example`.

use super::failure::{Failure, codes};
use super::invocation::Output;
use super::{Exit, print};
use crate::config::{Config, Error, Place, Problem, Shown, Sources, UnknownKeys, effective, example, load, show};
use serde_json::{Value, json};
use std::path::PathBuf;

/// The configuration that holds, for a command that cannot do without.
pub(super) fn loaded(sources: &Sources) -> Result<Config, Failure> {
    load(sources, UnknownKeys::WarnedWithJournal).map_err(|error| invalid(&error))
}

pub(super) fn invalid(error: &Error) -> Failure {
    Failure::new(Exit::Config, codes::CONFIG, error.to_string(), "mend it; axion-agent config check looks at it again")
}

/// Finds every mistake.
pub(super) fn check(file: Option<PathBuf>, output: Output) -> Result<Exit, Failure> {
    let sources = Sources::of_process(file);
    let findings = match load(&sources, UnknownKeys::Refused) {
        Ok(config) => Findings { problems: Vec::new(), warnings: config.warnings },
        Err(Error::Invalid(problems)) => Findings { problems: problems.0, warnings: Vec::new() },
        Err(error) => return Err(invalid(&error)),
    };
    match output {
        Output::Text | Output::Names => findings.print(&sources),
        Output::Json => Ok(findings.print_json()),
    }
}

struct Findings {
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Findings {
    fn print(&self, sources: &Sources) -> Result<Exit, Failure> {
        for warning in &self.warnings {
            print::err(format!("warning: {warning}"));
        }
        for problem in &self.problems {
            print::err(problem);
        }
        if self.problems.is_empty() {
            let what = sources.path().map_or_else(|| "the defaults (there is no file)".to_owned(), |path| path.display().to_string());
            return Ok(print::out(&format!("{what}: ok\n")));
        }
        let count = self.problems.len();
        let message = format!("{count} {}", if count == 1 { "mistake" } else { "mistakes" });
        Err(Failure::new(Exit::Config, codes::CONFIG, message, "mend what is named; axion-agent config example shows every key"))
    }

    fn print_json(&self) -> Exit {
        let list = |problems: &[Problem]| problems.iter().map(as_json).collect::<Vec<_>>();
        let body = json!({ "ok": self.problems.is_empty(), "problems": list(&self.problems), "warnings": list(&self.warnings) });
        match print::out(&format!("{body}\n")) {
            Exit::Done if !self.problems.is_empty() => Exit::Config,
            exit => exit,
        }
    }
}

fn as_json(problem: &Problem) -> Value {
    let mut object = json!({ "key": problem.key, "message": problem.message });
    match &problem.place {
        Place::Default => {}
        Place::File(path, line, column) => {
            object["file"] = json!(path.display().to_string());
            object["line"] = json!(line);
            object["column"] = json!(column);
        }
        Place::Variable(name) => object["variable"] = json!(name),
        Place::Credential(path) => object["file"] = json!(path.display().to_string()),
    }
    object
}

/// Shows what holds.
pub(super) fn show_effective(file: Option<PathBuf>, output: Output) -> Result<Exit, Failure> {
    let sources = Sources::of_process(file);
    let text = match output {
        Output::Json => {
            let keys: Vec<Value> = effective(&sources).map_err(|error| invalid(&error))?.into_iter().map(|one| of_key(&one)).collect();
            let file = sources.path().map(|path| path.display().to_string());
            format!("{}\n", json!({"file": file, "keys": keys}))
        }
        Output::Text | Output::Names => show(&sources).map_err(|error| invalid(&error))?,
    };
    Ok(print::out(&text))
}

fn of_key(shown: &Shown) -> Value {
    json!({"key": shown.key, "value": shown.value, "from": shown.origin})
}

/// Prints every key.
pub(super) fn print_example() -> Exit {
    print::out(&example())
}

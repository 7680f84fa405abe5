//! Why a command of the command line did not do what was asked: an exit code, a stable code, one sentence, and what to
//! do next. Every error path ends in one.

use super::invocation::Output;
use super::{Exit, next, print};
use crate::domain::Code;
use serde_json::{Value, json};

/// The end of a command that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    /// A code of the agent, or one of [`codes`].
    pub(super) code: String,
    pub(super) message: String,
    pub(super) next: String,
}

/// The codes of what goes wrong here. Those of the agent are in `domain/code.rs`.
pub(super) mod codes {
    /// The command line means nothing.
    pub(in crate::cli) const USAGE: &str = "usage";
    /// The configuration is wrong.
    pub(in crate::cli) const CONFIG: &str = "config.invalid";
    /// A file cannot be read.
    pub(in crate::cli) const FILE: &str = "file.unreadable";
    /// Something cannot be written.
    pub(in crate::cli) const WRITE: &str = "file.unwritable";
    /// Nobody can be asked.
    pub(in crate::cli) const UNASKED: &str = "confirmation.needed";
    /// No agent answers.
    pub(in crate::cli) const UNREACHABLE: &str = "agent.unreachable";
    /// The agent was lost before the end.
    pub(in crate::cli) const LOST: &str = "agent.lost";
    /// Its answer means nothing.
    pub(in crate::cli) const ANSWER: &str = "agent.answer";
    /// The login is in a credential store.
    pub(in crate::cli) const LOGIN: &str = "registry_auth.store";
    /// The state directory or the control plane does not let it enrol or unenrol.
    pub(in crate::cli) const ENROLMENT: &str = "enrolment.failed";
    /// Somebody stopped watching.
    pub(in crate::cli) const INTERRUPTED: &str = "interrupted";
    /// All of them: docs/cli.md lists them.
    #[cfg(test)]
    pub(in crate::cli) const ALL: [&str; 11] =
        [USAGE, CONFIG, FILE, WRITE, UNASKED, UNREACHABLE, LOST, ANSWER, LOGIN, ENROLMENT, INTERRUPTED];
}

impl Failure {
    pub(super) fn new(exit: Exit, code: &str, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { exit, code: code.to_owned(), message: message.into(), next: next.into() }
    }

    /// With a code of the agent, which says how it exits and what is next.
    pub(super) fn of_code(code: &str, message: impl Into<String>, about: &next::About) -> Self {
        Self::new(exit_of(code), code, message, next::step(code, about))
    }

    /// Says it, and how the process exits.
    pub(super) fn tell(&self, output: Output) -> Exit {
        match output {
            Output::Json => {
                print::out(&format!("{}\n", self.document()));
            }
            Output::Text | Output::Names => print::err(self.text()),
        }
        self.exit
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let message = self.message.trim_end();
        let (code, next) = (&self.code, &self.next);
        match message.split_once('\n') {
            None => format!("axion-agent: {message} [{code}]\n  next: {next}"),
            // What is indented belongs to the first line.
            Some((first, rest)) if rest.starts_with("  ") => format!("axion-agent: {first} [{code}]\n{rest}\n  next: {next}"),
            Some(_) => format!("axion-agent: {message}\naxion-agent: [{code}]\n  next: {next}"),
        }
    }

    /// For programs.
    pub(super) fn document(&self) -> Value {
        json!({"error": {"code": self.code, "message": self.message, "next": self.next, "exit": self.exit.code()}})
    }
}

/// How a code of the agent exits, where the stack's state does not say more.
pub(super) fn exit_of(code: &str) -> Exit {
    let is = |one: Code| code == one.as_str();
    let is_policy = ["policy.", "signature."].iter().any(|family| code.starts_with(family));
    let forbidden = [Code::UPDATE_DISABLED, Code::UPDATE_BAD_SIGNATURE, Code::UPDATE_DOWNGRADE, Code::UPDATE_EXPIRED];
    let is_forbidden = is_policy || forbidden.into_iter().any(is);
    if is(Code::NOT_ALLOWED) || is(Code::FOREIGN_PROJECT) || is(Code::OWNED_ELSEWHERE) || is_forbidden {
        Exit::Refused
    } else if is(Code::TIMED_OUT) || is(Code::EXPIRED) {
        Exit::TimedOut
    } else {
        Exit::Failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_ends_with_its_code_and_the_next_step() {
        let failure = Failure::new(Exit::Failed, codes::FILE, "cannot read a.yml", "see that it is there");
        assert_eq!(failure.text(), "axion-agent: cannot read a.yml [file.unreadable]\n  next: see that it is there");
        let long = Failure::new(Exit::Failed, codes::FILE, "two\nlines\n", "n");
        assert_eq!(long.text(), "axion-agent: two\nlines\naxion-agent: [file.unreadable]\n  next: n");
        let indented = Failure::new(Exit::Failed, codes::FILE, "one\n  more", "n");
        assert_eq!(indented.text(), "axion-agent: one [file.unreadable]\n  more\n  next: n");
        assert_eq!(failure.document()["error"]["exit"], 1);
    }

    #[test]
    fn the_page_lists_every_code_and_no_other() {
        let page = include_str!("../../docs/cli.md");
        let section = page.split("\n## Errors").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
        let listed: Vec<&str> =
            section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(code, _)| code).collect();
        assert_eq!(listed, codes::ALL);
    }

    #[test]
    fn the_page_lists_every_exit_code_and_every_schema() {
        let page = include_str!("../../docs/cli.md");
        for exit in Exit::ALL {
            assert!(page.contains(&format!("| {} | {}", exit.code(), exit.meaning())), "{exit:?}");
        }
        for name in super::super::schema::NAMES {
            assert!(page.contains(&format!("`{name}`")), "{name}");
        }
    }
}

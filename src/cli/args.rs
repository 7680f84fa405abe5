//! The command line into an [`Invocation`]. Pure.

use super::help::Topic;
use crate::agent::Farewell;
use crate::config::nearest;
use crate::domain::StackName;
use lexopt::prelude::{Long, Short, Value};
use lexopt::{Arg, Parser};
use std::ffi::OsString;
use std::path::PathBuf;

/// What the user wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invocation {
    /// The service, with what `--config` names.
    Run(Option<PathBuf>),
    /// `config check`.
    ConfigCheck(Option<PathBuf>, Output),
    /// `config show`.
    ConfigShow(Option<PathBuf>),
    /// `config example`.
    ConfigExample,
    /// `render`.
    Render(Render),
    /// `enroll`.
    Enroll(Enroll),
    /// `unenroll`.
    Unenroll(Unenroll),
    /// `doctor`.
    Doctor(Option<PathBuf>, Output),
    /// A help text.
    Help(Topic),
    /// The version.
    Version,
}

/// For whom findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// `render NAME -c FILE…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Render {
    /// The stack.
    pub stack: StackName,
    /// The Compose files, in the order of merging.
    pub files: Vec<PathBuf>,
    /// The variables.
    pub env_file: Option<PathBuf>,
    /// The Engine API version.
    pub api_version: Option<String>,
    /// What is shown.
    pub form: Form,
}

/// What `render` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// The bodies that Swarm would be sent.
    #[default]
    Bodies,
    /// The files as one.
    Merged,
}

/// `enroll [--token-file FILE]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enroll {
    /// The configuration.
    pub file: Option<PathBuf>,
    /// In place of the configured token.
    pub token_file: Option<PathBuf>,
}

/// `unenroll [--yes] [--local]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unenroll {
    /// The configuration.
    pub file: Option<PathBuf>,
    /// Whether anybody is asked first.
    pub sure: Sure,
    /// Whether the control plane is told.
    pub farewell: Farewell,
}

/// Whether a command that cannot be taken back is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sure {
    /// The command line says so.
    Said,
    /// It has to be asked.
    ToBeAsked,
}

impl Sure {
    pub(super) fn is_said(self) -> bool {
        self == Self::Said
    }
}

/// The command line is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{message}\nTry: {}", topic.invocation())]
pub struct UsageError {
    message: String,
    topic: Topic,
}

const COMMANDS: [&str; 7] = ["run", "config", "render", "enroll", "unenroll", "doctor", "help"];
/// Commands of the documentation that this version does not have.
const LATER: [&str; 23] = [
    "cancel",
    "commands",
    "completions",
    "deploy",
    "events",
    "keys",
    "logs",
    "man",
    "pause",
    "plan",
    "ps",
    "restart",
    "resume",
    "rm",
    "rollback",
    "scale",
    "schema",
    "services",
    "stacks",
    "start",
    "status",
    "stop",
    "support-bundle",
];

/// Reads the command line; the first argument is the program's own name.
///
/// # Errors
/// When it means nothing, with the nearest thing that does.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, UsageError> {
    let mut parser = Parser::from_iter(args);
    let usage = |message: String| UsageError { message, topic: Topic::Program };
    match parser.next().map_err(|error| usage(error.to_string()))? {
        None => Err(usage("a command is missing".to_owned())),
        Some(Short('h') | Long("help")) => Ok(Invocation::Help(Topic::Program)),
        Some(Short('V') | Long("version")) => Ok(Invocation::Version),
        Some(Value(command)) => match command.to_string_lossy().as_ref() {
            "run" => run(Arguments { parser, topic: Topic::Run, options: &["--config", "--help"] }),
            "config" => config(Arguments { parser, topic: Topic::Config, options: &["--config", "--json", "--help"] }),
            "render" => render(Arguments {
                parser,
                topic: Topic::Render,
                options: &["--compose-file", "--env-file", "--api-version", "--merged", "--help"],
            }),
            "enroll" => enroll(Arguments { parser, topic: Topic::Enroll, options: &["--config", "--token-file", "--help"] }),
            "unenroll" => unenroll(Arguments { parser, topic: Topic::Unenroll, options: &["--config", "--yes", "--local", "--help"] }),
            "doctor" => doctor(Arguments { parser, topic: Topic::Doctor, options: &["--config", "--json", "--help"] }),
            "help" => help(parser),
            other => Err(usage(unknown_command(other))),
        },
        Some(other) => Err(unknown_option(&other, &["--help", "--version"], Topic::Program)),
    }
}

/// The rest of a command's arguments.
struct Arguments {
    parser: Parser,
    topic: Topic,
    options: &'static [&'static str],
}

impl Arguments {
    fn usage(&self, message: impl Into<String>) -> UsageError {
        UsageError { message: message.into(), topic: self.topic }
    }

    fn next(&mut self) -> Result<Option<Arg<'_>>, UsageError> {
        let topic = self.topic;
        self.parser.next().map_err(|error| UsageError { message: error.to_string(), topic })
    }

    fn value(&mut self) -> Result<OsString, UsageError> {
        self.parser.value().map_err(|error| self.usage(error.to_string()))
    }
}

fn run(mut arguments: Arguments) -> Result<Invocation, UsageError> {
    let (topic, options) = (arguments.topic, arguments.options);
    let mut file = None;
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("config") => file = Some(arguments.value()?.into()),
            Short('h') | Long("help") => return Ok(Invocation::Help(topic)),
            other => return Err(unknown_option(&other, options, topic)),
        }
    }
    Ok(Invocation::Run(file))
}

fn config(mut arguments: Arguments) -> Result<Invocation, UsageError> {
    const ACTIONS: [&str; 3] = ["check", "show", "example"];
    let (topic, options) = (arguments.topic, arguments.options);
    let (mut file, mut output, mut action) = (None, Output::Text, None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("config") => file = Some(PathBuf::from(arguments.value()?)),
            Long("json") => output = Output::Json,
            Short('h') | Long("help") => return Ok(Invocation::Help(topic)),
            Value(word) if action.is_none() => {
                let word = word.to_string_lossy().into_owned();
                let known = ACTIONS.into_iter().find(|action| *action == word);
                action = Some(known.ok_or_else(|| {
                    let message = with_hint(format!("config cannot {word:?}"), nearest(&word, ACTIONS));
                    UsageError { message, topic }
                })?);
            }
            other => return Err(unknown_option(&other, options, topic)),
        }
    }
    match action {
        Some("check") => Ok(Invocation::ConfigCheck(file, output)),
        Some("show") => Ok(Invocation::ConfigShow(file)),
        Some(_) => Ok(Invocation::ConfigExample),
        None => Err(arguments.usage("what to do with the configuration is missing: check, show or example")),
    }
}

fn render(mut arguments: Arguments) -> Result<Invocation, UsageError> {
    let (topic, options) = (arguments.topic, arguments.options);
    let (mut stack, mut files, mut env_file, mut api_version, mut form) = (None, Vec::new(), None, None, Form::Bodies);
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('c') | Long("compose-file") => files.push(PathBuf::from(arguments.value()?)),
            Long("env-file") => env_file = Some(PathBuf::from(arguments.value()?)),
            Long("merged") => form = Form::Merged,
            Long("api-version") => api_version = Some(arguments.value()?.to_string_lossy().into_owned()),
            Short('h') | Long("help") => return Ok(Invocation::Help(topic)),
            Value(name) if stack.is_none() => {
                let name = StackName::new(name.to_string_lossy());
                stack = Some(name.map_err(|error| UsageError { message: error.to_string(), topic })?);
            }
            other => return Err(unknown_option(&other, options, topic)),
        }
    }
    let Some(stack) = stack else { return Err(arguments.usage("the stack's name is missing")) };
    if files.is_empty() {
        return Err(arguments.usage("the Compose file is missing: -c FILE"));
    }
    Ok(Invocation::Render(Render { stack, files, env_file, api_version, form }))
}

fn enroll(mut arguments: Arguments) -> Result<Invocation, UsageError> {
    let (topic, options) = (arguments.topic, arguments.options);
    let mut enroll = Enroll { file: None, token_file: None };
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("config") => enroll.file = Some(PathBuf::from(arguments.value()?)),
            Long("token-file") => enroll.token_file = Some(PathBuf::from(arguments.value()?)),
            Short('h') | Long("help") => return Ok(Invocation::Help(topic)),
            other => return Err(unknown_option(&other, options, topic)),
        }
    }
    Ok(Invocation::Enroll(enroll))
}

fn unenroll(mut arguments: Arguments) -> Result<Invocation, UsageError> {
    let (topic, options) = (arguments.topic, arguments.options);
    let mut unenroll = Unenroll { file: None, sure: Sure::ToBeAsked, farewell: Farewell::Told };
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("config") => unenroll.file = Some(PathBuf::from(arguments.value()?)),
            Long("yes") => unenroll.sure = Sure::Said,
            Long("local") => unenroll.farewell = Farewell::Untold,
            Short('h') | Long("help") => return Ok(Invocation::Help(topic)),
            other => return Err(unknown_option(&other, options, topic)),
        }
    }
    Ok(Invocation::Unenroll(unenroll))
}

fn doctor(mut arguments: Arguments) -> Result<Invocation, UsageError> {
    let (topic, options) = (arguments.topic, arguments.options);
    let (mut file, mut output) = (None, Output::Text);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("config") => file = Some(arguments.value()?.into()),
            Long("json") => output = Output::Json,
            Short('h') | Long("help") => return Ok(Invocation::Help(topic)),
            other => return Err(unknown_option(&other, options, topic)),
        }
    }
    Ok(Invocation::Doctor(file, output))
}

fn help(mut parser: Parser) -> Result<Invocation, UsageError> {
    let usage = |message: String| UsageError { message, topic: Topic::Program };
    let topic = match parser.next().map_err(|error| usage(error.to_string()))? {
        None => Topic::Program,
        Some(Value(command)) => match command.to_string_lossy().as_ref() {
            "run" => Topic::Run,
            "config" => Topic::Config,
            "render" => Topic::Render,
            "enroll" => Topic::Enroll,
            "unenroll" => Topic::Unenroll,
            "doctor" => Topic::Doctor,
            "help" => Topic::Program,
            other => return Err(usage(unknown_command(other))),
        },
        Some(other) => return Err(unknown_option(&other, &[], Topic::Program)),
    };
    Ok(Invocation::Help(topic))
}

fn unknown_command(word: &str) -> String {
    if LATER.contains(&word) || word == "update" {
        return format!("{word} is not in this version ({})", env!("CARGO_PKG_VERSION"));
    }
    with_hint(format!("unknown command {word:?}"), nearest(word, COMMANDS))
}

fn unknown_option(argument: &Arg<'_>, options: &[&'static str], topic: Topic) -> UsageError {
    let message = match argument {
        Short(letter) => format!("unknown option -{letter}"),
        Long(name) => with_hint(format!("unknown option --{name}"), nearest(&format!("--{name}"), options.iter().copied())),
        Value(text) => format!("{text:?} is one argument too many"),
    };
    UsageError { message, topic }
}

fn with_hint(message: String, near: Option<&str>) -> String {
    match near {
        Some(near) => format!("{message}; did you mean {near}?"),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Invocation, String> {
        parse(std::iter::once("axion-agent").chain(line.split_whitespace()).map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn each_command_line_means_one_thing() {
        let file = || Some(PathBuf::from("/a.toml"));
        for (line, expected) in [
            ("run", Invocation::Run(None)),
            ("run --config /a.toml", Invocation::Run(file())),
            ("run --config=/a.toml", Invocation::Run(file())),
            ("run --help", Invocation::Help(Topic::Run)),
            ("config check --json --config /a.toml", Invocation::ConfigCheck(file(), Output::Json)),
            ("config --config /a.toml show", Invocation::ConfigShow(file())),
            ("config example", Invocation::ConfigExample),
            ("enroll --token-file t", Invocation::Enroll(Enroll { file: None, token_file: Some("t".into()) })),
            ("unenroll", Invocation::Unenroll(Unenroll { file: None, sure: Sure::ToBeAsked, farewell: Farewell::Told })),
            (
                "unenroll --yes --local --config /a.toml",
                Invocation::Unenroll(Unenroll { file: file(), sure: Sure::Said, farewell: Farewell::Untold }),
            ),
            ("config -h", Invocation::Help(Topic::Config)),
            ("help render", Invocation::Help(Topic::Render)),
            ("--help", Invocation::Help(Topic::Program)),
            ("-V", Invocation::Version),
        ] {
            assert_eq!(parsed(line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn render_takes_a_name_and_files_in_order() {
        let Ok(Invocation::Render(render)) = parsed("render shop -c a.yml --compose-file b.yml --env-file .env --api-version 1.41") else {
            panic!("not a render");
        };
        assert_eq!(render.stack.as_str(), "shop");
        assert_eq!(render.files, [PathBuf::from("a.yml"), PathBuf::from("b.yml")]);
        assert_eq!((render.env_file, render.api_version, render.form), (Some(".env".into()), Some("1.41".into()), Form::Bodies));
        assert!(matches!(parsed("render shop -c a.yml --merged"), Ok(Invocation::Render(Render { form: Form::Merged, .. }))));
    }

    #[test]
    fn mistakes_say_what_was_meant_and_where_help_is() {
        for (line, part) in [
            ("", "a command is missing"),
            ("rum", "did you mean run?"),
            ("deploy shop", "deploy is not in this version"),
            ("update check", "update is not in this version"),
            ("dance", "unknown command \"dance\"\n"),
            ("run --confg /a", "did you mean --config?"),
            ("run /a.toml", "one argument too many"),
            ("run --config", "Try: axion-agent run --help"),
            ("config chek", "did you mean check?"),
            ("config", "check, show or example"),
            ("render -c a.yml", "the stack's name is missing"),
            ("render shop", "-c FILE"),
            ("--verison", "did you mean --version?"),
        ] {
            let message = parsed(line).expect_err(line);
            assert!(message.contains(part), "{line}: {message}");
            assert!(message.contains("--help"), "{line}: {message}");
        }
    }
}

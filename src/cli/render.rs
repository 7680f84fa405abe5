//! `render`: what a deploy would send, without an engine and without an agent. It reads the Compose files
//! and whatever they name, like `docker stack deploy`, and starts relative bind sources at the folder of
//! the first file. The bodies go to standard output, warnings to standard error.

use super::{Exit, Form, Render, print};
use crate::domain::StackName;
use crate::stack::{
    self, ApiVersion, Binds, ComposeFile, InvalidApiVersion, InvalidDotenv, InvalidVariables, Loaded, Location, Source, StackError,
};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// A command is at most so large, so nothing in it is larger.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Rounds of reading what the files name: each reads at least one more, and a stack has at most 64
/// Compose files and the contents that they name.
const MAX_ROUNDS: usize = 1024;

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file that a Compose file names cannot be read.
    #[error("{at}: cannot read {}: {source}", path.display())]
    Named {
        /// The key that names it.
        at: Location,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A Compose file is no text.
    #[error("{} is not UTF-8: save it as such", .0.display())]
    NoText(PathBuf),
    /// A file of variables.
    #[error("{}: {problem}", path.display())]
    Variables {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        problem: InvalidVariables,
    },
    /// The file of variables beside the Compose file.
    #[error("{}: {problem}", path.display())]
    Dotenv {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        problem: InvalidDotenv,
    },
    /// Files name files without an end.
    #[error("the files name others more than {MAX_ROUNDS} times in a row")]
    Rounds,
    /// The API version.
    #[error(transparent)]
    Version(#[from] InvalidApiVersion),
    /// The Compose files.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// The bodies cannot be written as JSON.
    #[error("cannot write the bodies as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Does the command. Variables are those of the environment, under those of `--env-file` and over those of
/// the file `.env` beside the first Compose file.
pub(super) fn render(arguments: &Render) -> Exit {
    let rendered =
        variables(arguments).and_then(|env| run(&arguments.stack, &arguments.files, env, arguments.api_version.as_deref(), arguments.form));
    match rendered {
        Ok(text) => print::out(&text),
        Err(error) => {
            print::err(&error);
            Exit::Failed
        }
    }
}

fn variables(arguments: &Render) -> Result<BTreeMap<String, String>, RenderError> {
    let unicode = |(name, value): (std::ffi::OsString, std::ffi::OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    let mut env: BTreeMap<String, String> = std::env::vars_os().filter_map(unicode).collect();
    if let Some(path) = &arguments.env_file {
        let text = text(path)?;
        let more = stack::variables(&text, &env).map_err(|problem| RenderError::Variables { path: path.clone(), problem })?;
        env.extend(more);
    }
    let path = folder(arguments.files.first().map_or(Path::new("-"), PathBuf::as_path))?.join(".env");
    if path.is_file() {
        env = stack::dotenv(&text(&path)?, &env).map_err(|problem| RenderError::Dotenv { path, problem })?;
    }
    Ok(env)
}

/// The bodies as one JSON object: `networks`, `secrets`, `configs`, `services`; or the files as one.
///
/// # Errors
/// When a file cannot be read or is not valid.
pub fn run(
    stack: &StackName,
    files: &[PathBuf],
    env: BTreeMap<String, String>,
    api: Option<&str>,
    form: Form,
) -> Result<String, RenderError> {
    let texts = files.iter().map(|path| Ok((path.display().to_string(), text(path)?))).collect::<Result<Vec<_>, RenderError>>()?;
    let compose: Vec<ComposeFile<'_>> = texts.iter().map(|(name, text)| ComposeFile { name, text }).collect();
    let base = folder(files.first().map_or(Path::new("-"), PathBuf::as_path))?;
    let home = PathBuf::from(env.get("HOME").map_or("~", String::as_str));
    let api = api.map_or(Ok(ApiVersion::NEWEST), str::parse)?;
    let none = BTreeMap::new();
    let source = Source { stack, files: &compose, env: &env, shipped: &none, binds: Binds::From { base: &base, home: &home }, api };
    let (loaded, shipped) = load(&base, &source)?;
    for warning in &loaded.warnings {
        print::err(format!("warning: {warning}"));
    }
    match form {
        Form::Bodies => Ok(serde_json::to_string(&loaded.specs)? + "\n"),
        Form::Merged => Ok(stack::merged(&Source { shipped: &shipped, ..source })?),
    }
}

/// Loads the files with those that they name. Optional ones may be absent; of the others the stack says who
/// names them.
fn load(base: &Path, source: &Source<'_>) -> Result<(Loaded, BTreeMap<String, Vec<u8>>), RenderError> {
    let mut shipped = BTreeMap::new();
    let mut unreadable: BTreeMap<String, io::Error> = BTreeMap::new();
    for _ in 0..MAX_ROUNDS {
        let source = Source { shipped: &shipped, ..*source };
        let result = stack::load(&source);
        // A file that is read may name others.
        let named = result.as_ref().map_or_else(|_| stack::missing(&source), |loaded| loaded.absent.clone());
        let new: Vec<String> = named.into_iter().filter(|path| !unreadable.contains_key(path)).collect();
        if new.is_empty() {
            return match result {
                Ok(loaded) => Ok((loaded, shipped)),
                Err(StackError::FileMissing { at, path }) if unreadable.contains_key(&path) => {
                    let source = unreadable.remove(&path).unwrap_or_else(|| io::ErrorKind::NotFound.into());
                    Err(RenderError::Named { at, path: base.join(path), source })
                }
                Err(error) => Err(error.into()),
            };
        }
        for name in new {
            match bytes(File::open(base.join(&name))) {
                Ok(content) => drop(shipped.insert(name, content)),
                Err(error) => drop(unreadable.insert(name, error)),
            }
        }
    }
    Err(RenderError::Rounds)
}

/// The folder of a file, absolute; standard input lies in the working directory.
fn folder(file: &Path) -> Result<PathBuf, RenderError> {
    let parent = if is_standard_input(file) { None } else { file.parent() };
    let parent = parent.filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::path::absolute(parent).map_err(|source| RenderError::Read { path: parent.to_owned(), source })
}

fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

fn text(path: &Path) -> Result<String, RenderError> {
    let read = if is_standard_input(path) { bytes(Ok(io::stdin())) } else { bytes(File::open(path)) };
    let content = read.map_err(|source| RenderError::Read { path: path.to_owned(), source })?;
    String::from_utf8(content).map_err(|_| RenderError::NoText(path.to_owned()))
}

fn bytes(reader: io::Result<impl io::Read>) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    reader?.take(MAX_FILE_BYTES + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {MAX_FILE_BYTES} bytes")));
    }
    Ok(content)
}

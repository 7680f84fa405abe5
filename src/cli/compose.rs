//! The Compose files of a command line, read with whatever they name, like `docker stack deploy`: relative bind sources
//! start at the folder of the first file, variables come from the environment, a file of variables and `.env`. `render`
//! shows what they come to, `deploy` and `plan` send it.

use super::Exit;
use super::failure::{Failure, codes};
use super::invocation::Files;
use super::next::About;
use crate::domain::{Code, StackName};
use crate::stack::{
    self, ApiVersion, Binds, ComposeFile, Deviation, InvalidDotenv, InvalidVariables, Loaded, Location, Reading, Rule, Source, StackError,
};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::mem;
use std::path::{Path, PathBuf};

/// A command is at most so large, so nothing in it is larger.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Rounds of reading what the files name: each reads at least one more, and a stack has at most 64
/// Compose files and the contents that they name.
const MAX_ROUNDS: usize = 1024;

/// Why they come to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum ComposeError {
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
    /// The Compose files.
    #[error(transparent)]
    Stack(#[from] StackError),
}

impl ComposeError {
    /// As the end of a command.
    pub(super) fn failure(&self, stack: &StackName) -> Failure {
        let about = About::stack(stack);
        let of = |code: Code| Failure::of_code(code.as_str(), self.to_string(), &about);
        match self {
            Self::Stack(error) => of(error.code()),
            Self::Named { .. } => of(Code::COMPOSE_FILE_MISSING),
            Self::NoText(_) | Self::Rounds => of(Code::COMPOSE_INVALID),
            Self::Variables { .. } | Self::Dotenv { .. } => of(Code::COMPOSE_INTERPOLATION),
            Self::Read { .. } => {
                Failure::new(Exit::Failed, codes::FILE, self.to_string(), "see that the file is there, and that you may read it")
            }
        }
    }
}

/// The files as they were read, with all that says what they mean.
pub(super) struct Compose {
    stack: StackName,
    texts: Vec<(String, String)>,
    variables: Variables,
    base: PathBuf,
    home: PathBuf,
    api: ApiVersion,
}

/// What the variables of files stand for.
struct Variables {
    all: BTreeMap<String, String>,
    /// The file `.env`, if there is one, and what they are without it.
    dotenv: Option<(PathBuf, BTreeMap<String, String>)>,
}

/// What a command carries.
#[derive(Debug)]
pub(super) struct Shipment {
    /// The files as one, on one line: variables filled in, paths absolute.
    pub(super) text: String,
    /// The contents that it names, by the paths that stand in it.
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// The variables whose values are contents too; no other is sent.
    pub(super) env: BTreeMap<String, String>,
}

impl Compose {
    /// Reads them. Variables are those of the environment, under those of `--env-file` and over those of the file `.env`
    /// beside the first Compose file.
    pub(super) fn read(files: &Files, api: ApiVersion) -> Result<Self, ComposeError> {
        Self::with(&files.stack, &files.files, variables(files)?, api)
    }

    /// The same with these variables alone.
    fn with(stack: &StackName, files: &[PathBuf], variables: Variables, api: ApiVersion) -> Result<Self, ComposeError> {
        let texts = files.iter().map(|path| Ok((path.display().to_string(), text(path)?))).collect::<Result<_, ComposeError>>()?;
        let base = folder(files.first().map_or(Path::new("-"), PathBuf::as_path))?;
        let home = PathBuf::from(variables.all.get("HOME").map_or("~", String::as_str));
        Ok(Self { stack: stack.clone(), texts, variables, base, home, api })
    }

    /// What they come to.
    pub(super) fn load(&self) -> Result<Loaded, ComposeError> {
        Ok(self.read_all(|_| Ok(()))?.0)
    }

    /// The files as one, and what they come to.
    pub(super) fn merged(&self) -> Result<(Loaded, String), ComposeError> {
        self.read_all(|reading| Ok(reading.merge()?.text()))
    }

    /// What a command carries, so that the agent comes to the same specs without our environment, folders and files; and what they are.
    pub(super) fn shipment(&self) -> Result<(Loaded, Shipment), ComposeError> {
        self.read_all(|reading| {
            let merged = reading.merge()?;
            let text = merged.line();
            let (variables, files) = (merged.variables.clone(), merged.files.clone());
            // As with what they come to: the process ends with the command.
            mem::forget(merged);
            let env = variables.into_iter().filter_map(|name| self.variables.all.get(&name).cloned().map(|value| (name, value))).collect();
            // Each was read under the path that its own file gives, and is named by another now.
            let read = files.into_iter().filter_map(|path| bytes(File::open(&path)).ok().map(|content| (path, content)));
            Ok(Shipment { text, files: read.collect(), env })
        })
    }

    /// Loads the files with those that they name, and makes something else of them. Optional ones may be absent; of the others the stack
    /// says who names them.
    fn read_all<T>(&self, make: impl FnOnce(Reading<'_>) -> Result<T, StackError>) -> Result<(Loaded, T), ComposeError> {
        let files: Vec<ComposeFile<'_>> = self.texts.iter().map(|(name, text)| ComposeFile { name, text }).collect();
        let binds = Binds::From { base: &self.base, home: &self.home };
        let mut shipped = BTreeMap::new();
        let mut unreadable: BTreeMap<String, io::Error> = BTreeMap::new();
        for _ in 0..MAX_ROUNDS {
            let source = Source { stack: &self.stack, files: &files, env: &self.variables.all, shipped: &shipped, binds, api: self.api };
            let result = Reading::of(&source).and_then(|reading| Ok((reading.load()?, reading)));
            // A file that is read may name others.
            let named = result.as_ref().map_or_else(|_| stack::missing(&source), |(loaded, _)| loaded.absent.clone());
            let new: Vec<String> = named.into_iter().filter(|path| !unreadable.contains_key(path)).collect();
            if new.is_empty() {
                return match result {
                    Ok((mut loaded, reading)) => {
                        self.note_dotenv(&mut loaded, source);
                        Ok((loaded, make(reading)?))
                    }
                    Err(StackError::FileMissing { at, path }) if unreadable.contains_key(&path) => {
                        let source = unreadable.remove(&path).unwrap_or_else(|| io::ErrorKind::NotFound.into());
                        Err(ComposeError::Named { at, path: self.base.join(path), source })
                    }
                    Err(error) => Err(error.into()),
                };
            }
            drop(result);
            for name in new {
                match bytes(File::open(self.base.join(&name))) {
                    Ok(content) => drop(shipped.insert(name, content)),
                    Err(error) => drop(unreadable.insert(name, error)),
                }
            }
        }
        Err(ComposeError::Rounds)
    }

    /// Notes the services that are otherwise without the file `.env`, which `docker stack deploy` does not read.
    fn note_dotenv(&self, loaded: &mut Loaded, source: Source<'_>) {
        let Some((path, env)) = &self.variables.dotenv else { return };
        let Ok(without) = stack::load(&Source { env, ..source }) else { return };
        let at = Location { file: path.display().to_string(), ..Location::default() };
        for service in loaded.specs.services.iter().filter(|service| !without.specs.services.contains(service)) {
            let service = self.stack.descoped(&service.name).to_owned();
            loaded.deviations.push(Deviation { service, at: at.clone(), rule: Rule::Dotenv });
        }
    }
}

fn variables(arguments: &Files) -> Result<Variables, ComposeError> {
    let unicode = |(name, value): (std::ffi::OsString, std::ffi::OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    let mut env: BTreeMap<String, String> = std::env::vars_os().filter_map(unicode).collect();
    if let Some(path) = &arguments.env_file {
        let text = text(path)?;
        let more = stack::variables(&text, &env).map_err(|problem| ComposeError::Variables { path: path.clone(), problem })?;
        env.extend(more);
    }
    let path = folder(arguments.files.first().map_or(Path::new("-"), PathBuf::as_path))?.join(".env");
    if !path.is_file() {
        return Ok(Variables { all: env, dotenv: None });
    }
    match stack::dotenv(&text(&path)?, &env) {
        Ok(all) => Ok(Variables { all, dotenv: Some((path, env)) }),
        Err(problem) => Err(ComposeError::Dotenv { path, problem }),
    }
}

/// The folder of a file, absolute; standard input lies in the working directory.
fn folder(file: &Path) -> Result<PathBuf, ComposeError> {
    let parent = if is_standard_input(file) { None } else { file.parent() };
    let parent = parent.filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::path::absolute(parent).map_err(|source| ComposeError::Read { path: parent.to_owned(), source })
}

fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

fn text(path: &Path) -> Result<String, ComposeError> {
    let read = if is_standard_input(path) { bytes(Ok(io::stdin())) } else { bytes(File::open(path)) };
    let content = read.map_err(|source| ComposeError::Read { path: path.to_owned(), source })?;
    String::from_utf8(content).map_err(|_| ComposeError::NoText(path.to_owned()))
}

fn bytes(reader: io::Result<impl io::Read>) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    reader?.take(MAX_FILE_BYTES + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {MAX_FILE_BYTES} bytes")));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    /// Whatever the files are: what the agent makes of the shipment is what `render` shows.
    #[test]
    fn the_agent_comes_to_the_same_specs() {
        let folder = std::env::temp_dir().join(format!("axion-shipment-{}", Uuid::new_v4()));
        std::fs::create_dir_all(folder.join("parts")).unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
        write(
            "base.yml",
            "include: [parts/more.yml]\nservices: {web: {image: \"web:${TAG:?}\", env_file: web.env, ports: ['80:80'], volumes: ['./data:/data', '~/home:/h'], \
             configs: [page], secrets: [{source: key, mode: 0400}], command: ['a', \"$$b\"]}}\n\
             configs: {page: {file: ./parts/../page.html}}\nsecrets: {key: {file: key.txt}, var: {environment: KEY}}\n",
        );
        write("over.yml", "services: {web: {environment: {A: '1', KEY: }, deploy: {replicas: 2}}}\n");
        write("parts/more.yml", "services: {db: {image: db, configs: [init]}}\nconfigs: {init: {file: ./init.sql}}\n");
        write("parts/init.sql", "create");
        write("page.html", "<p>$TAG</p>");
        write("key.txt", "secret");
        write("web.env", "FROM_FILE=${TAG}\n");
        let env =
            BTreeMap::from([("TAG", "1"), ("HOME", "/home/me"), ("KEY", "k$y")].map(|(name, value)| (name.to_owned(), value.to_owned())));
        let stack = StackName::new("shop").unwrap();
        let files = [folder.join("base.yml"), folder.join("over.yml")];
        let compose = Compose::with(&stack, &files, Variables { all: env, dotenv: None }, ApiVersion::NEWEST).unwrap();
        let (loaded, shipment) = compose.shipment().unwrap();
        let again = stack::load(&Source {
            stack: &stack,
            files: &[ComposeFile { name: "sent", text: &shipment.text }],
            env: &shipment.env,
            shipped: &shipment.files,
            binds: Binds::Refused,
            api: ApiVersion::NEWEST,
        });
        let again = again.unwrap_or_else(|error| panic!("{error}\n{}", shipment.text));
        assert_eq!(again.specs, loaded.specs, "{}", shipment.text);
        assert_eq!(loaded.specs.services.len(), 2);
        assert_eq!(shipment.env, BTreeMap::from([("KEY".to_owned(), "k$y".to_owned())]), "nothing else of the environment leaves");
        assert_eq!(shipment.files.len(), 3, "only what the file still names: {:?}", shipment.files.keys());
        write("tagged.yml", "services: {web: {image: 'web:${TAG:-none}'}, db: {image: db}}\n");
        let all = BTreeMap::from([("TAG".to_owned(), "1".to_owned())]);
        let variables = Variables { all, dotenv: Some((folder.join(".env"), BTreeMap::new())) };
        let tagged = Compose::with(&stack, &[folder.join("tagged.yml")], variables, ApiVersion::NEWEST).unwrap().load().unwrap();
        let told: Vec<String> = tagged.deviations.iter().map(|one| format!("{} {one}", one.service)).collect();
        let words = format!("web D1: {}: docker stack deploy does not read this file", folder.join(".env").display());
        assert_eq!((tagged.specs.services[1].task.container.image.as_str(), told), ("web:1", vec![words]));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

//! What reading a stack needs besides the tree: the files and their folders, the variables, the files
//! that were sent along, and the warnings found so far.

use crate::stack::owner::{self, Owner};
use crate::stack::yaml::{Fault, FaultKind, Node, Place};
use crate::stack::{ApiVersion, Binds, Deviation, Location, Rule, Source, StackError, Warning};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Files of one stack: what it includes and extends, too. Each is read once per use.
const MAX_FILES: usize = 64;
/// All that is read from files that were sent along, each as often as it is named.
const MAX_SHIPPED_BYTES: usize = 16 << 20;
/// Published ports of a stack. A short port may stand for 65 536 of them; a swarm has no more in all.
pub const MAX_PORTS: usize = 65_536;
/// Services of a stack: no swarm runs one of so many, and each takes some kilobytes.
const MAX_SERVICES: usize = 4096;
/// Mounts of a stack; each takes half a kilobyte.
const MAX_MOUNTS: usize = 16_384;
/// What services use of secrets and configs; each takes half a kilobyte.
const MAX_REFERENCES: usize = 16_384;
/// What variables give that are named alone, without a `$`: each may be named by every service.
const MAX_TAKEN_BYTES: usize = 4 << 20;
/// What is not honoured and named. More of it says nothing new, and events carry it.
const MAX_WARNINGS: usize = 500;

/// A file that was read.
#[derive(Debug, Clone)]
struct File {
    name: String,
    /// The folder that its relative paths start from, itself relative to that of the first file.
    folder: String,
}

/// Shared by all of the reading.
pub struct Context<'a> {
    /// The command's variables.
    pub env: &'a BTreeMap<String, String>,
    /// What becomes of relative bind sources.
    pub binds: Binds<'a>,
    /// The engine's API.
    pub api: ApiVersion,
    shipped: &'a BTreeMap<String, Vec<u8>>,
    files: RefCell<Vec<File>>,
    warnings: RefCell<Vec<Warning>>,
    warnings_left_out: Cell<usize>,
    deviations: RefCell<Vec<(Owner, Location, Rule)>>,
    timestamps: RefCell<BTreeSet<Place>>,
    missing: RefCell<BTreeSet<String>>,
    absent: Absent,
    /// Whether what is said of the files can name a place in them.
    pub places: Places,
    counts: Cell<Counts>,
    shipped_bytes: Cell<usize>,
    taken_bytes: Cell<usize>,
}

/// What becomes of a file that is named and was not sent along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// It ends the reading.
    Refused,
    /// It is noted and passed over, to find all of them at once.
    PassedOver,
}

/// Whether the tree of a file knows where its nodes stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Places {
    /// It does.
    Known,
    /// It does not, and is read in a fraction of the time: for a file of which there is nothing to say.
    Unknown,
}

/// Things of which a stack has many, in short texts.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    ports: usize,
    mounts: usize,
    references: usize,
}

/// One of them.
#[derive(Debug, Clone, Copy)]
pub enum Counted {
    /// Published ports.
    Ports,
    /// Mounts of services.
    Mounts,
    /// Services' uses of secrets and configs.
    References,
}

// Variables and files hold passwords.
impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("files", &self.files).finish_non_exhaustive()
    }
}

impl<'a> Context<'a> {
    /// For one stack.
    #[must_use]
    pub fn new(source: &Source<'a>, absent: Absent, places: Places) -> Self {
        Self {
            env: source.env,
            binds: source.binds,
            api: source.api,
            shipped: source.shipped,
            files: RefCell::default(),
            warnings: RefCell::default(),
            warnings_left_out: Cell::default(),
            deviations: RefCell::default(),
            timestamps: RefCell::default(),
            missing: RefCell::default(),
            absent,
            places,
            counts: Cell::default(),
            shipped_bytes: Cell::default(),
            taken_bytes: Cell::default(),
        }
    }

    /// Knows one more file by its index.
    pub fn add_file(&self, name: &str, folder: &str) -> Result<usize, StackError> {
        let mut files = self.files.borrow_mut();
        if files.len() == MAX_FILES {
            let at = Location { file: name.to_owned(), ..Location::default() };
            return Err(StackError::Limit { at, problem: format!("a stack is made of at most {MAX_FILES} files") });
        }
        files.push(File { name: name.to_owned(), folder: folder.to_owned() });
        Ok(files.len() - 1)
    }

    /// A place, in words.
    #[must_use]
    pub fn location(&self, at: Place, key: impl fmt::Display) -> Location {
        let file = self.files.borrow().get(at.file).map(|file| file.name.clone()).unwrap_or_default();
        Location { file, line: at.line, column: at.column, key: key.to_string() }
    }

    /// The folder of the file that a place is in.
    #[must_use]
    pub fn folder(&self, at: Place) -> String {
        self.files.borrow().get(at.file).map(|file| file.folder.clone()).unwrap_or_default()
    }

    /// A file that was sent along, by the path that a file at this place gives; none that is passed over.
    pub fn shipped(&self, at: Place, key: impl fmt::Display, path: &str) -> Result<Option<&'a [u8]>, StackError> {
        let folder = self.folder(at);
        let joined = join(&folder, path);
        // Files of the first folder may be sent under the path as it is written there.
        let written = if folder.is_empty() { path } else { joined.as_str() };
        let found = self.shipped.get(&joined).or_else(|| self.shipped.get(written));
        let Some(bytes) = found else {
            self.missing.borrow_mut().insert(joined.clone());
            if self.absent == Absent::PassedOver {
                return Ok(None);
            }
            return Err(StackError::FileMissing { at: self.location(at, key), path: joined });
        };
        self.charge(at, key, bytes.len())?;
        Ok(Some(bytes))
    }

    /// What is made of a file that was sent along takes so many bytes more.
    pub fn charge(&self, at: Place, key: impl fmt::Display, bytes: usize) -> Result<(), StackError> {
        self.shipped_bytes.set(self.shipped_bytes.get() + bytes);
        if self.shipped_bytes.get() > MAX_SHIPPED_BYTES {
            let problem = format!("the files that the stack names, and the variables in them, take more than {MAX_SHIPPED_BYTES} bytes");
            return Err(StackError::Limit { at: self.location(at, key), problem });
        }
        Ok(())
    }

    /// The same, as text.
    pub fn shipped_text(&self, at: Place, key: impl fmt::Display, path: &str) -> Result<Option<&'a str>, StackError> {
        let Some(bytes) = self.shipped(at, &key, path)? else { return Ok(None) };
        std::str::from_utf8(bytes).map(Some).map_err(|_| self.invalid(at, key, format!("the file {path:?} is not UTF-8")))
    }

    /// Remembers something that is not honoured.
    pub fn warn(&self, at: Place, key: impl fmt::Display, message: impl Into<String>) {
        let mut warnings = self.warnings.borrow_mut();
        if warnings.len() < MAX_WARNINGS {
            warnings.push(Warning { at: self.location(at, key), message: message.into() });
        } else {
            self.warnings_left_out.set(self.warnings_left_out.get() + 1);
        }
    }

    /// Remembers where a service, or what it uses, comes to something else with the CLI.
    pub fn deviates(&self, owner: Owner, at: Location, rule: Rule) {
        let mut deviations = self.deviations.borrow_mut();
        let deviation = (owner, at, rule);
        if deviations.len() < MAX_WARNINGS && !deviations.contains(&deviation) {
            deviations.push(deviation);
        }
    }

    /// All of these, by the services of the stack: what an object comes to is about each service that uses it.
    pub fn take_deviations(&self, tree: &Node) -> Vec<Deviation> {
        let found = self.deviations.take();
        let about = |(owner, at, rule): (Owner, Location, Rule)| {
            let services = match owner {
                Owner::Service(service) => vec![service],
                Owner::Object { kind, name } => owner::users(tree, kind, &name),
            };
            services.into_iter().map(move |service| Deviation { service, at: at.clone(), rule })
        };
        found.into_iter().flat_map(about).take(MAX_WARNINGS).collect()
    }

    /// Remembers scalars that the CLI takes for points in time.
    pub fn add_timestamps(&self, places: Vec<Place>) {
        self.timestamps.borrow_mut().extend(places);
    }

    /// Whether there is one of these.
    #[must_use]
    pub fn is_timestamp(&self, at: Place) -> bool {
        self.timestamps.borrow().contains(&at)
    }

    /// All warnings so far; a value that is read twice warns once.
    pub fn take_warnings(&self) -> Vec<Warning> {
        let mut seen: Vec<Warning> = Vec::new();
        for warning in self.warnings.take() {
            if !seen.contains(&warning) {
                seen.push(warning);
            }
        }
        let left_out = self.warnings_left_out.take();
        if let Some(last) = seen.last().filter(|_| left_out > 0) {
            let message = format!("there is more that is not honoured, {left_out} times: the first {MAX_WARNINGS} are named");
            seen.push(Warning { at: Location { file: last.at.file.clone(), ..Location::default() }, message });
        }
        seen
    }

    /// The value of a variable that is named alone.
    pub fn take_variable(&self, at: Place, key: impl fmt::Display, name: &str) -> Result<Option<String>, StackError> {
        let Some(value) = self.env.get(name) else { return Ok(None) };
        self.taken_bytes.set(self.taken_bytes.get() + value.len());
        if self.taken_bytes.get() > MAX_TAKEN_BYTES {
            let problem = format!("the variables that the stack takes by their names have more than {MAX_TAKEN_BYTES} bytes in all");
            return Err(StackError::Limit { at: self.location(at, key), problem });
        }
        Ok(Some(value.clone()))
    }

    /// The files that were looked for and not there.
    pub fn take_missing(&self) -> BTreeSet<String> {
        self.missing.take()
    }

    /// Something that Compose or Swarm does not allow.
    #[must_use]
    pub fn invalid(&self, at: Place, key: impl fmt::Display, problem: impl Into<String>) -> StackError {
        StackError::Invalid { at: self.location(at, key), problem: problem.into() }
    }

    /// What the YAML reader found.
    #[must_use]
    pub fn fault(&self, fault: Fault) -> StackError {
        let (at, problem) = (self.location(fault.at, &fault.key), fault.problem);
        match fault.kind {
            FaultKind::Syntax => StackError::Syntax { at, problem },
            FaultKind::Limit => StackError::Limit { at, problem },
            FaultKind::Invalid => StackError::Invalid { at, problem },
        }
    }

    /// There are so many services.
    pub fn check_services(&self, at: Place, count: usize) -> Result<(), StackError> {
        let problem = format!("a stack has at most {MAX_SERVICES} services");
        if count > MAX_SERVICES { Err(StackError::Limit { at: self.location(at, "services"), problem }) } else { Ok(()) }
    }

    /// There are so many more of them.
    pub fn count(&self, counted: Counted, at: Place, key: impl fmt::Display, more: usize) -> Result<(), StackError> {
        let mut counts = self.counts.get();
        let (count, limit, what) = match counted {
            Counted::Ports => (&mut counts.ports, MAX_PORTS, "publishes more than {} ports"),
            Counted::Mounts => (&mut counts.mounts, MAX_MOUNTS, "has more than {} mounts"),
            Counted::References => (&mut counts.references, MAX_REFERENCES, "uses secrets and configs more than {} times"),
        };
        *count += more;
        if *count > limit {
            let problem = format!("the stack {}", what.replace("{}", &limit.to_string()));
            return Err(StackError::Limit { at: self.location(at, key), problem });
        }
        self.counts.set(counts);
        Ok(())
    }
}

/// Go's `filepath.Join` and `Clean`, for the paths of a Linux node.
#[must_use]
pub fn join(folder: &str, path: &str) -> String {
    let whole = if path.starts_with('/') || folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") };
    let rooted = whole.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    if rooted { format!("/{joined}") } else { joined }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_as_go_does() {
        for (folder, path, expected) in [
            ("/a", "./x/", "/a/x"),
            ("/a", "../x", "/x"),
            ("/a", "../../x", "/x"),
            ("", "./f", "f"),
            ("sub", "../f", "f"),
            ("", "../f", "../f"),
            ("/a", "/b/../c", "/c"),
            ("/a", ".", "/a"),
        ] {
            assert_eq!(join(folder, path), expected, "{folder} {path}");
        }
    }
}

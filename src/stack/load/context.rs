//! What reading a stack needs besides the tree: the files and their folders, the variables, the files
//! that were sent along, and the warnings found so far.

use crate::stack::yaml::{Fault, FaultKind, Place};
use crate::stack::{ApiVersion, Binds, Location, Source, StackError, Warning};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Files of one stack: what it includes and extends, too. Each is read once per use.
const MAX_FILES: usize = 64;
/// Published ports of a stack. A short port may stand for 65 536 of them; a swarm has no more in all.
const MAX_PORTS: usize = 65_536;

/// All that is read from files that were sent along, each as often as it is named.
const MAX_SHIPPED_BYTES: usize = 16 << 20;

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
    missing: RefCell<BTreeSet<String>>,
    ports: Cell<usize>,
    shipped_bytes: Cell<usize>,
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
    pub fn new(source: &Source<'a>) -> Self {
        Self {
            env: source.env,
            binds: source.binds,
            api: source.api,
            shipped: source.shipped,
            files: RefCell::default(),
            warnings: RefCell::default(),
            missing: RefCell::default(),
            ports: Cell::new(0),
            shipped_bytes: Cell::new(0),
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
    pub fn location(&self, at: Place, key: &str) -> Location {
        let file = self.files.borrow().get(at.file).map(|file| file.name.clone()).unwrap_or_default();
        Location { file, line: at.line, column: at.column, key: key.to_owned() }
    }

    /// The folder of the file that a place is in.
    #[must_use]
    pub fn folder(&self, at: Place) -> String {
        self.files.borrow().get(at.file).map(|file| file.folder.clone()).unwrap_or_default()
    }

    /// A file that was sent along, by the path that a file at this place gives.
    pub fn shipped(&self, at: Place, key: &str, path: &str) -> Result<&'a [u8], StackError> {
        let folder = self.folder(at);
        let joined = join(&folder, path);
        // Files of the first folder may be sent under the path as it is written there.
        let written = if folder.is_empty() { path } else { joined.as_str() };
        let found = self.shipped.get(&joined).or_else(|| self.shipped.get(written));
        let Some(bytes) = found else {
            self.missing.borrow_mut().insert(joined.clone());
            return Err(StackError::FileMissing { at: self.location(at, key), path: joined });
        };
        self.shipped_bytes.set(self.shipped_bytes.get() + bytes.len());
        if self.shipped_bytes.get() > MAX_SHIPPED_BYTES {
            let problem = format!("the files that the stack names have more than {MAX_SHIPPED_BYTES} bytes in all");
            return Err(StackError::Limit { at: self.location(at, key), problem });
        }
        Ok(bytes)
    }

    /// The same, as text.
    pub fn shipped_text(&self, at: Place, key: &str, path: &str) -> Result<&'a str, StackError> {
        let bytes = self.shipped(at, key, path)?;
        std::str::from_utf8(bytes).map_err(|_| self.invalid(at, key, format!("the file {path:?} is not UTF-8")))
    }

    /// Remembers something that is not honoured.
    pub fn warn(&self, at: Place, key: &str, message: impl Into<String>) {
        let warning = Warning { at: self.location(at, key), message: message.into() };
        self.warnings.borrow_mut().push(warning);
    }

    /// All warnings so far; a value that is read twice warns once.
    pub fn take_warnings(&self) -> Vec<Warning> {
        let mut seen: Vec<Warning> = Vec::new();
        for warning in self.warnings.take() {
            if !seen.contains(&warning) {
                seen.push(warning);
            }
        }
        seen
    }

    /// The files that were looked for and not there.
    pub fn take_missing(&self) -> BTreeSet<String> {
        self.missing.take()
    }

    /// Something that Compose or Swarm does not allow.
    #[must_use]
    pub fn invalid(&self, at: Place, key: &str, problem: impl Into<String>) -> StackError {
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

    /// So many more ports are published.
    pub fn count_ports(&self, at: Place, key: &str, more: usize) -> Result<(), StackError> {
        self.ports.set(self.ports.get() + more);
        if self.ports.get() > MAX_PORTS {
            let problem = format!("the stack publishes more than {MAX_PORTS} ports");
            return Err(StackError::Limit { at: self.location(at, key), problem });
        }
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

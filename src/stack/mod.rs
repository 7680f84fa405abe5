//! From the text of a Compose file to the specs that Swarm understands, exactly as `docker stack deploy`
//! makes them (its deviations are a closed list, `docs/compose.md`).
//!
//! Pure: no I/O, no clock, no thread of its own. The lanes of `docker/` and the command line call it;
//! files that a Compose file names come in as bytes, variables only from the command.

pub mod change;
mod cli_interpolation;
mod cli_merge;
pub mod compare;
mod convert;
mod deviation;
mod dotenv;
mod error;
pub mod held;
mod hide;
pub mod images;
mod interpolate;
mod load;
pub mod marks;
mod merge;
mod normal;
mod owner;
pub mod plan;
pub mod redefined;
pub mod rotate;
pub mod since;
pub mod spec;
#[cfg(test)]
mod tests;
mod yaml;

pub use deviation::{Deviation, Rule};
pub use dotenv::{InvalidDotenv, dotenv};
pub use error::{Location, StackError, Warning};
pub use hide::Veil;
pub use load::{InvalidVariables, variables};

use crate::domain::StackName;
use hide::Hidden;
use serde::Serialize;
use spec::{ConfigSpec, NetworkCreate, SecretSpec, ServiceSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// One Compose file.
#[derive(Clone, Copy)]
pub struct ComposeFile<'a> {
    /// For messages, and the folder that relative paths start from.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// All that a stack is made from.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The stack's name.
    pub stack: &'a StackName,
    /// One file, or several of which later ones override earlier ones.
    pub files: &'a [ComposeFile<'a>],
    /// What the file's variables stand for; nothing else does.
    pub env: &'a BTreeMap<String, String>,
    /// The files that the Compose file may name, by their path as written there.
    pub shipped: &'a BTreeMap<String, Vec<u8>>,
    /// What becomes of relative bind sources.
    pub binds: Binds<'a>,
    /// The engine's API: a few fields depend on it.
    pub api: ApiVersion,
}

// Texts, variables and files hold passwords: only their names are shown.
impl fmt::Debug for ComposeFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ComposeFile").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("stack", &self.stack).field("files", &self.files).finish_non_exhaustive()
    }
}

/// What becomes of bind sources that are relative or begin with `~`.
#[derive(Debug, Clone, Copy)]
pub enum Binds<'a> {
    /// They are an error: the command came from another machine.
    Refused,
    /// They start here, as on the command line.
    From {
        /// The folder of the first Compose file.
        base: &'a Path,
        /// What `~` is.
        home: &'a Path,
    },
}

/// A version of the Engine API, such as 1.41.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion {
    /// Before the dot.
    pub major: u16,
    /// After it.
    pub minor: u16,
}

impl ApiVersion {
    /// The newest version whose fields the agent knows.
    pub const NEWEST: Self = Self { major: 1, minor: 50 };
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A text that is no API version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no version of the Engine API: give one such as 1.41")]
pub struct InvalidApiVersion(String);

impl FromStr for ApiVersion {
    type Err = InvalidApiVersion;

    fn from_str(text: &str) -> Result<Self, InvalidApiVersion> {
        let parts = text.strip_prefix('v').unwrap_or(text).split_once('.');
        let version = parts.and_then(|(major, minor)| Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? }));
        version.ok_or_else(|| InvalidApiVersion(text.to_owned()))
    }
}

/// The files of a stack, read and merged once for all that is made of them.
pub struct Reading<'a> {
    context: load::Context<'a>,
    stack: &'a StackName,
    tree: yaml::Node,
}

impl fmt::Debug for Reading<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").field("stack", &self.stack).finish_non_exhaustive()
    }
}

impl<'a> Reading<'a> {
    /// Reads them.
    ///
    /// # Errors
    /// With the first thing that keeps the files from being merged, and its place.
    pub fn of(source: &Source<'a>) -> Result<Self, StackError> {
        Self::with(source, load::Places::Known)
    }

    fn with(source: &Source<'a>, places: load::Places) -> Result<Self, StackError> {
        let context = load::Context::new(source, load::Absent::Refused, places);
        let tree = load::tree(&context, source).map_err(|error| Hidden::new(source.env).error(error))?;
        Ok(Self { context, stack: source.stack, tree })
    }

    /// Makes the specs of the stack.
    ///
    /// # Errors
    /// With the first thing in the files that cannot be deployed, and its place.
    pub fn load(&self) -> Result<Loaded, StackError> {
        let (context, hidden) = (&self.context, Hidden::new(self.context.env));
        let specs = specs(context, self.stack, &self.tree).map_err(|error| hidden.error(error))?;
        let warnings = context.take_warnings().into_iter().map(|warning| hidden.warning(warning)).collect();
        Ok(Loaded { specs, warnings, deviations: context.take_deviations(&self.tree), absent: context.take_missing() })
    }

    /// The files as one, with every short form spelled out: YAML that comes to the same specs. What has no meaning is in it too;
    /// [`Self::load`] says what is wrong and what is not honoured.
    ///
    /// # Errors
    /// With the first thing that cannot be spelled out, and its place.
    pub fn merge(self) -> Result<Merged, StackError> {
        let Self { context, tree, .. } = self;
        let variables = normal::contents(&tree, "environment");
        let mut tree = normal::of(&context, tree).map_err(|error| Hidden::new(context.env).error(error))?;
        let files = normal::contents(&tree, "file");
        normal::escape(&mut tree);
        Ok(Merged { tree, variables, files })
    }
}

fn specs(context: &load::Context<'_>, stack: &StackName, tree: &yaml::Node) -> Result<StackSpecs, StackError> {
    convert::specs(context, stack, load::read(context, tree)?)
}

/// The files of a stack as one.
#[derive(Clone, PartialEq)]
pub struct Merged {
    tree: yaml::Node,
    /// The variables whose values are the contents of secrets and configs: the file names them, and leaves them out.
    pub variables: BTreeSet<String>,
    /// The files whose contents are those of secrets and configs, as the file names them.
    pub files: BTreeSet<String>,
}

impl Merged {
    /// As people read it.
    #[must_use]
    pub fn text(&self) -> String {
        yaml::write(&self.tree)
    }

    /// As one line, which [`load`] reads in a fraction of the time: a Compose file as well.
    #[must_use]
    pub fn line(&self) -> String {
        yaml::write_line(&self.tree)
    }
}

// The tree holds passwords.
impl fmt::Debug for Merged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merged").field("variables", &self.variables).field("files", &self.files).finish_non_exhaustive()
    }
}

/// Makes the specs of a stack.
///
/// # Errors
/// With the first thing in the files that cannot be deployed, and its place.
pub fn load(source: &Source<'_>) -> Result<Loaded, StackError> {
    at_once(source).map_or_else(|| Reading::of(source)?.load(), Ok)
}

/// The same of one line of JSON, if nothing is to be said of any place in it.
fn at_once(source: &Source<'_>) -> Option<Loaded> {
    let loaded = Reading::with(source, load::Places::Unknown).ok()?.load().ok()?;
    Some(loaded).filter(|loaded| loaded.warnings.is_empty() && loaded.deviations.is_empty())
}

/// The files as one.
///
/// # Errors
/// With the first thing that keeps the files from being merged, and its place.
pub fn merged(source: &Source<'_>) -> Result<Merged, StackError> {
    Reading::of(source)?.merge()
}

/// The files that a stack names and that were not sent along, by the paths to send them under. Files
/// that come in may name further ones; optional ones are among them.
#[must_use]
pub fn missing(source: &Source<'_>) -> BTreeSet<String> {
    let context = load::Context::new(source, load::Absent::PassedOver, load::Places::Known);
    // A mistake ends the reading, and `load` will tell it.
    let _ended = load::tree(&context, source).and_then(|tree| specs(&context, source.stack, &tree));
    context.take_missing()
}

/// What a Compose file comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What is to be made.
    pub specs: StackSpecs,
    /// What of the file is not honoured.
    pub warnings: Vec<Warning>,
    /// Where `docker stack deploy` would make something else of it.
    pub deviations: Vec<Deviation>,
    /// Files that are named, and were neither sent nor needed, by the paths to send them under.
    pub absent: BTreeSet<String>,
}

/// The objects of a stack. References to secrets and configs carry names; the deploy fills ids in.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct StackSpecs {
    /// Networks to make, in the order of their names.
    pub networks: Vec<NetworkCreate>,
    /// Secrets to make.
    pub secrets: Vec<SecretSpec>,
    /// Configs to make.
    pub configs: Vec<ConfigSpec>,
    /// Services to make or update.
    pub services: Vec<ServiceSpec>,
    /// What must be there already.
    #[serde(skip)]
    pub external: External,
}

/// Objects that somebody else made, by their names in the swarm.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct External {
    /// Networks; of scope `swarm`.
    pub networks: Vec<String>,
    /// Secrets.
    pub secrets: Vec<String>,
    /// Configs.
    pub configs: Vec<String>,
}

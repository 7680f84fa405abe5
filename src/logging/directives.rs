//! Which levels are shown, for all and by module: env_logger's directives, `info,axion_agent::docker=debug`. Pure.

use log::LevelFilter;
use std::collections::BTreeMap;
use std::fmt;

/// This crate, as its log lines name it.
pub(super) const OWN: &str = "axion_agent";
/// Other crates may show at finer levels what they send, and with it secrets.
pub(super) const FOREIGN: LevelFilter = LevelFilter::Info;
/// What holds for a module that no directive names.
const DEFAULT: LevelFilter = LevelFilter::Info;
/// More directives than modules are a mistake; it bounds what a client of the local socket can have kept.
const MAX_DIRECTIVES: usize = 64;
/// The longest path of a module, in bytes.
const MAX_MODULE_BYTES: usize = 128;
/// The modules of this crate, which a directive may name; a test holds them and `src/` together.
const MODULES: &[&str] = &[
    "agent",
    "bundle",
    "cli",
    "config",
    "control_plane",
    "coordinator",
    "docker",
    "doctor",
    "domain",
    "filesystem",
    "health",
    "https",
    "ipc",
    "journal",
    "kafka",
    "logging",
    "memory",
    "proto",
    "record",
    "service",
    "signing",
    "stack",
    "telemetry",
    "threads",
    "unix_http",
    "update",
];

/// The levels that are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directives {
    default: LevelFilter,
    modules: BTreeMap<String, LevelFilter>,
}

impl Default for Directives {
    fn default() -> Self {
        Self { default: DEFAULT, modules: BTreeMap::new() }
    }
}

/// A text that says no levels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectiveError {
    /// Nothing stands there.
    #[error(
        "names no level: write one of off, error, warn, info, debug, trace, and levels by module behind it, as in info,{OWN}::docker=debug"
    )]
    Empty,
    /// A word alone that is no level.
    #[error(
        "{0:?} is no level (off, error, warn, info, debug or trace), and a module is written with its level, as in {OWN}::docker=debug"
    )]
    NoLevel(String),
    /// What stands behind a module.
    #[error("{level:?} is no level for {module}: it is one of off, error, warn, info, debug, trace")]
    NoLevelOf {
        /// The module.
        module: String,
        /// The word.
        level: String,
    },
    /// No path of a module.
    #[error("{0:?} is no path of a module, such as {OWN}::docker")]
    NoModule(String),
    /// This crate has no such module.
    #[error("{OWN} has no module {0:?}: it has {list}", list = MODULES.join(", "))]
    Unknown(String),
    /// Another crate, too finely.
    #[error(
        "{0} is shown to info at the most: only {OWN} and its modules may be shown finer, as in {OWN}::docker=debug, since at finer levels \
         other crates show what they send, and with it secrets"
    )]
    Foreign(String),
    /// A filter by text.
    #[error("a filter by text (behind a /) is not in this program: name levels and modules alone")]
    Text,
    /// Too many.
    #[error("more than {MAX_DIRECTIVES} directives are not accepted")]
    TooMany,
}

impl Directives {
    /// Reads them: a level for all, and levels by module, with commas between them. Of two for the same the last one holds.
    /// Where none is for all, what is not named is shown from info on: nothing falls silent because something else is named.
    ///
    /// # Errors
    /// When part of it would have no effect, or another one than is written there.
    pub fn parse(text: &str) -> Result<Self, DirectiveError> {
        if text.contains('/') {
            return Err(DirectiveError::Text);
        }
        let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        match parts.len() {
            0 => return Err(DirectiveError::Empty),
            count if count > MAX_DIRECTIVES => return Err(DirectiveError::TooMany),
            _ => {}
        }
        let mut read = Self::default();
        for part in parts {
            match part.split_once('=') {
                None => match part.parse() {
                    Ok(level) => read.default = level,
                    // As env_logger has it, a module alone is shown whole.
                    Err(_) if is_own(part) => read.add(part, LevelFilter::Trace)?,
                    Err(_) => return Err(DirectiveError::NoLevel(clipped(part))),
                },
                Some((module, level)) => {
                    let (module, level) = (module.trim(), level.trim());
                    let no_level = |_| DirectiveError::NoLevelOf { module: clipped(module), level: clipped(level) };
                    read.add(module, level.parse().map_err(no_level)?)?;
                }
            }
        }
        Ok(read)
    }

    fn add(&mut self, module: &str, level: LevelFilter) -> Result<(), DirectiveError> {
        let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if module.len() > MAX_MODULE_BYTES || !module.split("::").all(is_name) {
            return Err(DirectiveError::NoModule(clipped(module)));
        }
        if !is_own(module) && level > FOREIGN {
            return Err(DirectiveError::Foreign(module.to_owned()));
        }
        match module.split("::").nth(1).filter(|_| is_own(module)) {
            Some(room) if !MODULES.contains(&room) => return Err(DirectiveError::Unknown(room.to_owned())),
            _ => {}
        }
        self.modules.insert(module.to_owned(), level);
        Ok(())
    }

    /// The level for this crate, that for others, and those by module, which count first.
    pub(super) fn levels(&self) -> (LevelFilter, LevelFilter, impl Iterator<Item = (&str, LevelFilter)>) {
        let modules = self.modules.iter().map(|(module, level)| (module.as_str(), *level));
        (self.default, self.default.min(FOREIGN), modules)
    }
}

impl fmt::Display for Directives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&word(self.default))?;
        self.modules.iter().try_for_each(|(module, level)| write!(f, ",{module}={}", word(*level)))
    }
}

fn word(level: LevelFilter) -> String {
    level.as_str().to_ascii_lowercase()
}

fn is_own(module: &str) -> bool {
    module.split("::").next() == Some(OWN)
}

fn clipped(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read_as_env_logger_reads_them() {
        for (text, shown) in [
            ("warn", "warn"),
            ("DEBUG", "debug"),
            ("info,axion_agent::docker=debug", "info,axion_agent::docker=debug"),
            (" axion_agent::kafka = trace , warn ,", "warn,axion_agent::kafka=trace"),
            ("axion_agent", "info,axion_agent=trace"),
            ("axion_agent::docker::deploy=debug,error", "error,axion_agent::docker::deploy=debug"),
            ("off,librdkafka=warn,axion_agent=info", "off,axion_agent=info,librdkafka=warn"),
            ("info,debug", "debug"),
        ] {
            let read = Directives::parse(text).unwrap();
            assert_eq!(read.to_string(), shown, "{text}");
            assert_eq!(Directives::parse(shown).unwrap(), read, "what is shown can be read");
        }
    }

    #[test]
    fn what_would_have_no_effect_is_refused_with_what_would() {
        for (text, words) in [
            ("", "names no level"),
            (" , ", "names no level"),
            ("loud", "\"loud\" is no level"),
            ("docker", "axion_agent::docker=debug"),
            ("docker=debug", "only axion_agent and its modules"),
            ("ureq=trace", "with it secrets"),
            ("axion_agent::docker=loud", "\"loud\" is no level for axion_agent::docker"),
            ("axion_agent::docker=", "\"\" is no level for"),
            ("axion_agent::dokcer=debug", "no module \"dokcer\": it has agent, bundle"),
            ("axion-agent=debug", "no path of a module"),
            ("a::=info", "no path of a module"),
            ("info/secret", "a filter by text"),
            (&"info,".repeat(65), "more than 64"),
        ] {
            let error = Directives::parse(text).expect_err(text).to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn every_module_of_the_crate_can_be_named() {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
        let mut modules: Vec<String> = std::fs::read_dir(source)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap().trim_end_matches(".rs").to_owned())
            .filter(|name| !matches!(name.as_str(), "lib" | "main"))
            .collect();
        modules.sort();
        modules.dedup();
        assert_eq!(modules, MODULES);
    }
}

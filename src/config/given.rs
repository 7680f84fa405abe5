//! What the keys were given, as fingerprints: enough to tell what a reload changes, and nothing to read a secret
//! from. Files that a key names count with their content.

use super::keys::{KEYS, Key, Kind};
use super::layers::{Found, Raw};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Read as _;
use std::path::Path;

/// A bundle of certificates is some hundred KiB; of what is larger the beginning counts.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// A fingerprint of each key's value.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Given(BTreeMap<String, u64>);

impl Given {
    pub(super) fn of(found: &BTreeMap<String, Found>) -> Self {
        let mut given = Self::default();
        for key in KEYS {
            let mut hasher = DefaultHasher::new();
            match (found.get(&key.dotted()), key.default) {
                (Some(found), _) => add(key, &found.value, &mut hasher),
                (None, Some(default)) => add(key, &Raw::Text(default.to_owned()), &mut hasher),
                (None, None) => {}
            }
            given.0.insert(key.dotted(), hasher.finish());
        }
        given
    }

    /// The keys whose values differ.
    #[must_use]
    pub fn changed(&self, other: &Self) -> Vec<&'static Key> {
        KEYS.iter().copied().filter(|key| self.0.get(&key.dotted()) != other.0.get(&key.dotted())).collect()
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[fingerprints]")
    }
}

fn add(key: &Key, value: &Raw, hasher: &mut DefaultHasher) {
    match value {
        Raw::Text(text) => {
            text.hash(hasher);
            if key.kind == Kind::Path {
                add_content(Path::new(text), hasher);
            }
        }
        Raw::Integer(number) => number.to_string().hash(hasher),
        Raw::Flag(flag) => flag.to_string().hash(hasher),
        Raw::List(items) => items.iter().for_each(|item| add(key, &item.value, hasher)),
        Raw::Table(fields) => {
            for (name, field) in fields {
                name.hash(hasher);
                match &field.value {
                    // A login's password_file.
                    Raw::Text(path) if name.ends_with("_file") => add_content(Path::new(path), hasher),
                    value => add(key, value, hasher),
                }
            }
        }
        Raw::ContentOf(path) => add_content(path, hasher),
        Raw::Other(what) => what.hash(hasher),
    }
}

/// Only of a regular file: to open anything else may wait for ever.
fn add_content(path: &Path, hasher: &mut DefaultHasher) {
    let mut content = Vec::new();
    let is_file = path.metadata().is_ok_and(|about| about.is_file());
    if is_file && File::open(path).is_ok_and(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut content).is_ok()) {
        content.hash(hasher);
    }
}

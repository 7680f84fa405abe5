//! Where values come from: the file, over it the environment, under both `$CREDENTIALS_DIRECTORY`, and under all
//! of them the few variables that other programs read too.
//! Here a value is only found and placed; what it means is [`super::reader`]'s business.

use super::keys::{KEYS, Key, Kind, Lookup, SECTIONS, SHARED_VARIABLES, is_section, look_up};
use super::problem::{Error, Place, Problem, Problems};
use super::suggest::nearest;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A configuration is some KiB; what is larger is the wrong file.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// Begins the name of every variable that sets a key.
pub(super) const PREFIX: &str = "AXION_AGENT__";

/// A value and its place.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) value: Raw,
    pub(super) place: Place,
}

/// A value as it was written.
#[derive(Clone)]
pub(super) enum Raw {
    Text(String),
    Integer(i64),
    Flag(bool),
    List(Vec<Found>),
    Table(Vec<(String, Found)>),
    /// The content of this file is the value.
    ContentOf(PathBuf),
    /// A TOML type that no key has.
    Other(&'static str),
}

/// The values of all layers, by `section.name`, and what was wrong on the way.
#[derive(Default)]
pub(super) struct Layers {
    pub(super) found: BTreeMap<String, Found>,
    pub(super) problems: Vec<Problem>,
    /// Names that mean nothing here: an error, or a warning for a binary that is older than its file.
    pub(super) unknown: Vec<Problem>,
}

impl Layers {
    /// `$DOCKER_HOST` and its like.
    pub(super) fn add_shared_variables(&mut self, environment: &BTreeMap<String, String>) {
        for (variable, key) in SHARED_VARIABLES {
            if let Some(value) = environment.get(*variable).filter(|value| !value.is_empty()) {
                let place = Place::Variable((*variable).to_owned());
                self.found.entry(key.dotted()).or_insert(Found { value: Raw::Text(value.clone()), place });
            }
        }
    }

    /// Every file of the directory that is named like a secret key (`kafka.sasl_password`).
    pub(super) fn add_credentials(&mut self, directory: &Path) {
        for key in KEYS.iter().filter(|key| key.kind == Kind::Secret) {
            let path = directory.join(key.dotted());
            if path.exists() {
                let place = Place::Credential(path.clone());
                self.found.insert(key.dotted(), Found { value: Raw::ContentOf(path), place });
            }
        }
    }

    /// The file.
    pub(super) fn add_file(&mut self, path: &Path) -> Result<(), Error> {
        let text = read_bounded(path)?;
        let lines = Lines::new(path, &text);
        let (document, errors) = DeTable::parse_recoverable(&text);
        if !errors.is_empty() {
            // What can be read of a broken file says little: its mistakes come first.
            let problem = |error: toml::de::Error| Problem {
                place: lines.place(error.span().map_or(0, |span| span.start)),
                key: String::new(),
                message: format!("not valid TOML: {}", error.message().replace('\n', ", ")),
            };
            return Err(Error::Invalid(Problems(errors.into_iter().map(problem).collect())));
        }
        for (section, content) in document.get_ref() {
            self.add_section(section, content, &lines);
        }
        Ok(())
    }

    fn add_section(&mut self, section: &Spanned<std::borrow::Cow<'_, str>>, content: &Spanned<DeValue<'_>>, lines: &Lines<'_>) {
        let place = lines.place(section.span().start);
        let name = section.get_ref().as_ref();
        let DeValue::Table(table) = content.get_ref() else {
            let owners = KEYS.iter().filter(|key| key.name == name).map(|key| format!("[{}]", key.section)).collect::<Vec<_>>();
            let hint = if owners.is_empty() { "a section such as [agent]".to_owned() } else { owners.join(" or ") };
            let message = format!("stands outside of every section: it belongs under {hint}");
            self.unknown.push(Problem { place, key: name.to_owned(), message });
            return;
        };
        if !is_section(name) {
            let message =
                with_hint("unknown section", nearest(name, SECTIONS.iter().map(|(known, _)| *known)).map(|near| format!("[{near}]")));
            self.unknown.push(Problem { place, key: format!("[{name}]"), message });
            return;
        }
        for (key, value) in table {
            self.add(name, key.get_ref(), lines.found(value), &lines.place(key.span().start));
        }
    }

    /// The variables that begin with the prefix.
    pub(super) fn add_environment(&mut self, environment: &BTreeMap<String, String>) {
        for (variable, value) in environment {
            let Some(rest) = variable.strip_prefix(PREFIX) else { continue };
            let place = Place::Variable(variable.clone());
            match rest.to_ascii_lowercase().split_once("__") {
                Some((section, name)) => {
                    self.add(section, name, Found { value: Raw::Text(value.clone()), place: place.clone() }, &place);
                }
                None => {
                    let message = format!("names no key: it should look like {PREFIX}SECTION__KEY");
                    self.unknown.push(Problem { place, key: String::new(), message });
                }
            }
        }
    }

    /// `name_at` is where the name stands, `found` knows where the value does.
    fn add(&mut self, section: &str, name: &str, found: Found, name_at: &Place) {
        let key = match look_up(section, name) {
            Lookup::Known(key) => key,
            Lookup::SecretFile(key) => return self.add_secret_file(key, found),
            Lookup::Unknown => return self.refuse(section, name, name_at, with_hint("unknown key", suggestion(section, name))),
        };
        if let Some(earlier) = self.found.insert(key.dotted(), found)
            && matches!(earlier.value, Raw::ContentOf(_))
            && same_layer(&earlier.place, name_at)
        {
            self.both_forms(key, name_at.clone());
        }
    }

    fn refuse(&mut self, section: &str, name: &str, place: &Place, message: String) {
        self.unknown.push(Problem { place: place.clone(), key: format!("{section}.{name}"), message });
    }

    fn add_secret_file(&mut self, key: &'static Key, found: Found) {
        let Raw::Text(path) = &found.value else {
            let message = "must be the path of a file, in quotes".to_owned();
            return self.problems.push(Problem { place: found.place, key: format!("{}_file", key.dotted()), message });
        };
        let (value, place) = (Raw::ContentOf(PathBuf::from(path)), found.place);
        if let Some(earlier) = self.found.insert(key.dotted(), Found { value, place: place.clone() })
            && same_layer(&earlier.place, &place)
        {
            self.both_forms(key, place);
        }
    }

    fn both_forms(&mut self, key: &Key, place: Place) {
        let message = format!("is given both as {0} and as {0}_file: keep one", key.name);
        self.problems.push(Problem { place, key: key.dotted(), message });
    }
}

fn same_layer(one: &Place, other: &Place) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}

/// A near key of the same section, else the same name in another one.
fn suggestion(section: &str, name: &str) -> Option<String> {
    if !is_section(section) {
        return nearest(section, SECTIONS.iter().map(|(known, _)| *known)).map(|near| format!("{near}.{name}"));
    }
    let near = nearest(name, KEYS.iter().filter(|key| key.section == section).map(|key| key.name));
    near.map(|near| format!("{section}.{near}")).or_else(|| KEYS.iter().find(|key| key.name == name).map(|key| key.dotted()))
}

fn with_hint(what: &str, near: Option<String>) -> String {
    match near {
        Some(near) => format!("{what}; did you mean {near}?"),
        None => format!("{what}; `axion-agent config example` lists all keys"),
    }
}

fn read_bounded(path: &Path) -> Result<String, Error> {
    let unreadable = |source| Error::Read { path: path.to_owned(), source };
    let mut text = String::new();
    let file = File::open(path).map_err(unreadable)?;
    let length = file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if length as u64 > MAX_FILE_BYTES {
        return Err(Error::TooLarge { path: path.to_owned(), limit: MAX_FILE_BYTES });
    }
    Ok(text)
}

/// The text, to turn a position in bytes into a line and a column.
struct Lines<'a> {
    path: Arc<Path>,
    text: &'a str,
    /// Where each line begins.
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(path: &Path, text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { path: path.into(), text, starts }
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let before = self.text.get(self.starts[line - 1]..offset).unwrap_or_default();
        Place::File(Arc::clone(&self.path), line, before.chars().count() + 1)
    }

    fn found(&self, value: &Spanned<DeValue<'_>>) -> Found {
        let raw = match value.get_ref() {
            DeValue::String(text) => Raw::Text(text.to_string()),
            DeValue::Integer(number) => {
                let digits = number.as_str().replace('_', "");
                i64::from_str_radix(&digits, number.radix()).map_or(Raw::Other("a number that is too large"), Raw::Integer)
            }
            DeValue::Boolean(flag) => Raw::Flag(*flag),
            DeValue::Array(items) => Raw::List(items.iter().map(|item| self.found(item)).collect()),
            DeValue::Table(table) => {
                Raw::Table(table.iter().map(|(name, value)| (name.get_ref().to_string(), self.found(value))).collect())
            }
            DeValue::Float(_) => Raw::Other("a number with a fraction"),
            DeValue::Datetime(_) => Raw::Other("a date"),
        };
        Found { value: raw, place: self.place(value.span().start) }
    }
}

//! Reads found values as what their key says they are. It notes what is wrong and goes on with
//! something harmless, so that one run shows every mistake.

use super::keys::{Key, Kind, Unit};
use super::layers::{Found, Layers, PREFIX, Raw};
use super::problem::{Place, Problem};
use super::values;
use crate::domain::{RegistryCredential, Sensitive};
use crate::logging::Directives;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// A password, a token: what is longer is the wrong file.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// The values that are still to be read.
pub(super) struct Reader {
    found: BTreeMap<String, Found>,
    credentials: Option<PathBuf>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
}

impl Reader {
    pub(super) fn new(layers: Layers, credentials: Option<PathBuf>) -> Self {
        Self { found: layers.found, credentials, problems: layers.problems, warnings: Vec::new() }
    }

    /// Where the key's value stands.
    pub(super) fn place(&self, key: &Key) -> Place {
        self.found.get(&key.dotted()).map_or(Place::Default, |found| found.place.clone())
    }

    /// Whether somebody gave it a value.
    pub(super) fn is_set(&self, key: &Key) -> bool {
        self.found.get(&key.dotted()).is_some_and(|found| !matches!(&found.value, Raw::Text(text) if text.is_empty()))
    }

    /// Whether its value is from a variable that other programs read too.
    pub(super) fn is_shared(&self, key: &Key) -> bool {
        matches!(self.place(key), Place::Variable(name) if !name.starts_with(PREFIX))
    }

    /// Notes a mistake at the key's value.
    pub(super) fn refuse(&mut self, key: &Key, message: impl Into<String>) {
        let place = self.place(key);
        self.problems.push(Problem { place, key: key.dotted(), message: message.into() });
    }

    /// Notes a mistake at one text of the key's list.
    pub(super) fn refuse_item(&mut self, key: &Key, index: usize, message: impl Into<String>) {
        let place = match self.found.get(&key.dotted()).map(|found| &found.value) {
            Some(Raw::List(items)) => items.get(index).map(|item| item.place.clone()),
            _ => None,
        };
        let place = place.unwrap_or_else(|| self.place(key));
        self.problems.push(Problem { place, key: key.dotted(), message: message.into() });
    }

    /// Notes something doubtful at the key's value.
    pub(super) fn warn(&mut self, key: &Key, message: impl Into<String>) {
        let place = self.place(key);
        self.warnings.push(Problem { place, key: key.dotted(), message: message.into() });
    }

    /// A text; an empty one means not set.
    pub(super) fn text(&mut self, key: &Key) -> Option<String> {
        let text = match self.found.get(&key.dotted()).map(|found| &found.value) {
            None => key.default.map(str::to_owned),
            Some(Raw::Text(text)) => Some(text.clone()),
            Some(_) => {
                self.refuse(key, "must be a text, in quotes");
                None
            }
        };
        text.filter(|text| !text.is_empty())
    }

    /// A text with a form of its own.
    pub(super) fn parsed<T>(&mut self, key: &Key, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(key)?;
        parse(&text).map_err(|message| self.refuse(key, message)).ok()
    }

    /// An absolute path.
    pub(super) fn path(&mut self, key: &Key) -> Option<PathBuf> {
        self.parsed(key, values::absolute)
    }

    /// A file that somebody else will read: that it cannot be opened now is worth a warning.
    pub(super) fn file(&mut self, key: &Key) -> Option<PathBuf> {
        let path = self.path(key)?;
        match path.metadata() {
            // To open a pipe would wait for its other end.
            Ok(about) if !about.is_file() => self.warn(key, format!("{} is no ordinary file", path.display())),
            _ => {
                if let Err(error) = File::open(&path) {
                    self.warn(key, format!("cannot read {}: {error}", path.display()));
                }
            }
        }
        Some(path)
    }

    /// One of the key's words, in its own spelling.
    pub(super) fn choice(&mut self, key: &Key) -> Option<&'static str> {
        let Kind::Choice(words) = key.kind else { return None };
        self.parsed(key, |text| {
            let known = words.iter().find(|word| word.eq_ignore_ascii_case(text));
            known.copied().ok_or_else(|| format!("{text:?} is not one of {}", words.join(", ")))
        })
    }

    /// Levels of the log.
    pub(super) fn levels(&mut self, key: &Key) -> Directives {
        self.parsed(key, |text| Directives::parse(text).map_err(|error| error.to_string())).unwrap_or_default()
    }

    /// true or false.
    pub(super) fn flag(&mut self, key: &Key) -> Option<bool> {
        match self.found.get(&key.dotted()).map(|found| &found.value) {
            None => None,
            Some(Raw::Flag(flag)) => Some(*flag),
            Some(Raw::Text(text)) if text == "true" => Some(true),
            Some(Raw::Text(text)) if text == "false" => Some(false),
            Some(_) => {
                self.refuse(key, "must be true or false");
                None
            }
        }
    }

    /// A number within the key's bounds: a count, seconds or bytes, as its unit says.
    pub(super) fn number(&mut self, key: &Key) -> u64 {
        let (unit, least, most) = match key.kind {
            Kind::Number(unit, least, most) => (unit, least, most),
            _ => (Unit::Count, 0, u64::MAX),
        };
        let read = match self.found.get(&key.dotted()).map(|found| &found.value) {
            None => parse_number(unit, key.default.unwrap_or_default()),
            Some(Raw::Text(text)) => parse_number(unit, text),
            Some(Raw::Integer(number)) => u64::try_from(*number).map_err(|_| format!("{number} is below zero")),
            Some(Raw::Other(what)) => Err(format!("is {what}: it must be a whole number")),
            Some(_) => Err("must be a number".to_owned()),
        };
        match read {
            Ok(number) if (least..=most).contains(&number) => number,
            Ok(number) => {
                let unit = match unit {
                    Unit::Count => "",
                    Unit::Seconds => " seconds",
                    Unit::Bytes => " bytes",
                };
                self.refuse(key, format!("{number}{unit} is outside of {least} to {most}{unit}"));
                least
            }
            Err(message) => {
                self.refuse(key, message);
                least
            }
        }
    }

    /// true or false, or the default.
    pub(super) fn switch(&mut self, key: &Key) -> bool {
        self.flag(key).unwrap_or(key.default == Some("true"))
    }

    /// Permissions in octal: "0660", or TOML's own 0o660.
    pub(super) fn mode(&mut self, key: &Key) -> u32 {
        let octal = |text: &str| u32::from_str_radix(text, 8).ok();
        let default = key.default.and_then(octal).unwrap_or(0);
        let mode = match self.found.get(&key.dotted()).map(|found| &found.value) {
            None => Some(default),
            Some(Raw::Text(text)) if text.is_empty() => Some(default),
            Some(Raw::Text(text)) => octal(text),
            Some(Raw::Integer(mode)) => u32::try_from(*mode).ok(),
            Some(_) => None,
        };
        mode.filter(|mode| *mode <= 0o777).unwrap_or_else(|| {
            self.refuse(key, "must be permissions in octal, in quotes, as in \"0660\"");
            default
        })
    }

    /// Texts; the environment splits on commas.
    pub(super) fn list(&mut self, key: &Key) -> Vec<String> {
        let items = match self.found.get(&key.dotted()).map(|found| &found.value) {
            None => Some(Vec::new()),
            Some(Raw::Text(text)) => Some(split(text)),
            Some(Raw::List(items)) => items.iter().map(|item| plain_text(&item.value)).collect(),
            Some(_) => None,
        };
        items.unwrap_or_else(|| {
            self.refuse(key, "must be a list of texts, as in [\"one\", \"two\"]");
            Vec::new()
        })
    }

    /// Names with texts.
    pub(super) fn pairs(&mut self, key: &Key) -> BTreeMap<String, String> {
        let (pairs, problems) = match self.found.get(&key.dotted()) {
            None => (BTreeMap::new(), Vec::new()),
            Some(found) => pairs_of(key, found),
        };
        self.problems.extend(problems);
        pairs
    }

    /// A secret, wherever it lies.
    pub(super) fn secret(&mut self, key: &Key) -> Option<Sensitive<String>> {
        let found = self.found.get(&key.dotted())?.clone();
        self.secret_of(&key.dotted(), &found)
    }

    /// The file that a secret is read from, if it has one.
    pub(super) fn secret_file(&self, key: &Key) -> Option<PathBuf> {
        match &self.found.get(&key.dotted())?.value {
            Raw::ContentOf(path) => Some(path.clone()),
            _ => None,
        }
    }

    fn secret_of(&mut self, key: &str, found: &Found) -> Option<Sensitive<String>> {
        let read = match &found.value {
            Raw::Text(text) => Ok(text.clone()),
            Raw::ContentOf(path) => content_of(path),
            _ => Err("must be a text, in quotes".to_owned()),
        };
        match read {
            Ok(text) => Some(text).filter(|text| !text.is_empty()).map(Sensitive::new),
            Err(message) => {
                self.problems.push(Problem { place: found.place.clone(), key: key.to_owned(), message });
                None
            }
        }
    }

    /// `[docker.registries."HOST"]`.
    pub(super) fn registries(&mut self, key: &Key) -> BTreeMap<String, RegistryCredential> {
        let Some(found) = self.found.get(&key.dotted()).cloned() else { return BTreeMap::new() };
        let Raw::Table(hosts) = &found.value else {
            self.refuse(key, "must be tables such as [docker.registries.\"registry.example.com\"], and can stand only in the file");
            return BTreeMap::new();
        };
        hosts
            .iter()
            .filter_map(|(host, login)| Some((host.clone(), self.registry(&format!("{}.{host:?}", key.dotted()), host, login)?)))
            .collect()
    }

    fn registry(&mut self, key: &str, host: &str, login: &Found) -> Option<RegistryCredential> {
        let Raw::Table(fields) = &login.value else {
            self.problems.push(Problem {
                place: login.place.clone(),
                key: key.to_owned(),
                message: "must be a table with a username and a password".to_owned(),
            });
            return None;
        };
        let (mut username, mut password) = (None, self.registry_credential(host));
        for (name, field) in fields {
            let refused = match (name.as_str(), &field.value) {
                ("username", Raw::Text(text)) => {
                    username = Some(text.clone());
                    None
                }
                ("password", Raw::Text(_)) => {
                    password = Some(field.clone());
                    None
                }
                ("password_file", Raw::Text(path)) => {
                    password = Some(Found { value: Raw::ContentOf(path.into()), place: field.place.clone() });
                    None
                }
                ("username" | "password" | "password_file", _) => Some("must be a text, in quotes"),
                _ => Some("unknown key; a registry has username, and password or password_file"),
            };
            if let Some(message) = refused {
                self.problems.push(Problem { place: field.place.clone(), key: format!("{key}.{name}"), message: message.to_owned() });
            }
        }
        let password = password.and_then(|found| self.secret_of(&format!("{key}.password"), &found));
        match (username, password) {
            (Some(username), Some(password)) => Some(RegistryCredential { username, password }),
            _ => {
                let message = "needs a username and a password (or password_file)".to_owned();
                self.problems.push(Problem { place: login.place.clone(), key: key.to_owned(), message });
                None
            }
        }
    }

    /// `docker.registries.HOST.password` among the credentials; systemd allows no colon in such a name.
    fn registry_credential(&self, host: &str) -> Option<Found> {
        let path = self.credentials.as_ref()?.join(format!("docker.registries.{}.password", host.replace(':', "_")));
        path.exists().then(|| Found { value: Raw::ContentOf(path.clone()), place: Place::Credential(path) })
    }
}

fn parse_number(unit: Unit, text: &str) -> Result<u64, String> {
    match unit {
        Unit::Count => text.parse().map_err(|_| format!("{text:?} is not a whole number")),
        Unit::Seconds => values::seconds(text),
        Unit::Bytes => values::bytes(text),
    }
}

fn split(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// What can stand for a text: a text, a number, true and false.
fn plain_text(value: &Raw) -> Option<String> {
    match value {
        Raw::Text(text) => Some(text.clone()),
        Raw::Integer(number) => Some(number.to_string()),
        Raw::Flag(flag) => Some(flag.to_string()),
        Raw::List(_) | Raw::Table(_) | Raw::ContentOf(_) | Raw::Other(_) => None,
    }
}

fn pairs_of(key: &Key, found: &Found) -> (BTreeMap<String, String>, Vec<Problem>) {
    let problem = |place: &Place, name: &str, message: &str| Problem {
        place: place.clone(),
        key: format!("{}{name}", key.dotted()),
        message: message.to_owned(),
    };
    let mut pairs = BTreeMap::new();
    let mut problems = Vec::new();
    match &found.value {
        Raw::Table(table) => {
            for (name, value) in table {
                match plain_text(&value.value) {
                    Some(text) => drop(pairs.insert(name.clone(), text)),
                    // TOML reads a name with dots as tables in tables, unless it stands in quotes.
                    None => problems.push(problem(
                        &value.place,
                        &format!(".{name}"),
                        "must be a text, a number, true or false (a name with dots stands in quotes)",
                    )),
                }
            }
        }
        Raw::Text(text) => {
            for item in split(text) {
                match item.split_once('=') {
                    Some((name, value)) => drop(pairs.insert(name.trim().to_owned(), value.trim().to_owned())),
                    None => problems.push(problem(&found.place, "", "must look like name=value,name=value")),
                }
            }
        }
        _ => problems.push(problem(&found.place, "", "must be a table, as in { name = \"value\" }")),
    }
    (pairs, problems)
}

/// The text of a secret's file without the line end that editors leave.
fn content_of(path: &Path) -> Result<String, String> {
    let path = values::absolute(&path.to_string_lossy())?;
    let unreadable = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let mut text = String::new();
    let file = File::open(&path).map_err(unreadable)?;
    let length = file.take(MAX_SECRET_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if length as u64 > MAX_SECRET_BYTES {
        return Err(format!("{} is larger than {MAX_SECRET_BYTES} bytes: is it the right file?", path.display()));
    }
    let trimmed = text.trim_end_matches(['\r', '\n']);
    if trimmed.is_empty() { Err(format!("{} is empty", path.display())) } else { Ok(trimmed.to_owned()) }
}

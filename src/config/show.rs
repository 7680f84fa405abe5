//! The configuration as TOML: an example with every key, and what holds on this host with its origin.

use super::keys::{KEYS, Key, Kind, SECTIONS, Unit};
use super::layers::{Found, Layers, Raw};
use super::{DEFAULT_FILE, Error, Place, Sources};
use std::borrow::Cow;
use std::fmt::Write as _;

const REDACTED: &str = "\"[redacted]\"";

/// The text of `agent.toml.example`: every key with its meaning and its default.
#[must_use]
pub fn example() -> String {
    let mut text = format!(
        "# The configuration of axion-agent. It is read from --config, else $AXION_AGENT_CONFIG, else\n\
         # {DEFAULT_FILE}; without any file the agent runs in local mode with these defaults.\n\
         #\n\
         # Every key can also come from the environment: AXION_AGENT__SECTION__KEY, lists split on commas\n\
         # (AXION_AGENT__KAFKA__BROKERS=a:9092,b:9092). A secret KEY can also be given as KEY_file = \"/path\", or as a\n\
         # systemd credential named section.key (LoadCredential=kafka.sasl_password:/path). The environment wins over\n\
         # the file, the file over credentials. `axion-agent config check` finds mistakes, `config show` shows what\n\
         # holds and where it comes from. Keys that are commented out with a value show their default; those marked\n\
         # \"for example\" have none.\n"
    );
    for (section, purpose) in SECTIONS {
        let _ = write!(text, "\n# {purpose}\n[{section}]\n");
        for key in KEYS.iter().filter(|key| key.section == *section) {
            let _ = writeln!(text, "\n# {}", key.doc.replace('\n', "\n# "));
            if key.needs_restart() {
                text.push_str("# A change counts after a restart.\n");
            }
            let _ = match key.default {
                Some(default) => writeln!(text, "#{} = {}", key.name, in_toml(key, default)),
                None => writeln!(text, "# for example:\n#{} = {}", key.name, key.example),
            };
        }
    }
    text
}

/// What holds on this host, with where each value comes from; secrets are not shown.
///
/// # Errors
/// When the file cannot be read.
pub fn show(sources: &Sources) -> Result<String, Error> {
    let layers = sources.layers()?;
    let mut text = match sources.path() {
        Some(path) => format!("# {}\n", path.display()),
        None => format!("# no file: {DEFAULT_FILE} does not exist\n"),
    };
    for (section, _) in SECTIONS {
        let _ = write!(text, "\n[{section}]\n");
        for key in KEYS.iter().filter(|key| key.section == *section) {
            let _ = writeln!(text, "{}", shown(key, &layers));
        }
    }
    for problem in &layers.unknown {
        let _ = writeln!(text, "\n# {problem}");
    }
    Ok(text)
}

/// A key with what it is on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// `section.name`.
    pub key: String,
    /// Its value as TOML; none where it is not set. A secret is not shown.
    pub value: Option<String>,
    /// Where it comes from: `default`, a line of the file, a variable, a credential.
    pub origin: Option<String>,
}

/// The same as [`show`] for programs: every key.
///
/// # Errors
/// When the file cannot be read.
pub fn effective(sources: &Sources) -> Result<Vec<Shown>, Error> {
    let layers = sources.layers()?;
    Ok(KEYS.iter().map(|key| of(key, &layers)).collect())
}

fn of(key: &Key, layers: &Layers) -> Shown {
    let (value, origin) = match (layers.found.get(&key.dotted()), key.default) {
        (Some(found), _) => (Some(value(key, found)), Some(origin(&found.place))),
        (None, Some(default)) => (Some(in_toml(key, default)), Some("default".to_owned())),
        (None, None) => (None, None),
    };
    Shown { key: key.dotted(), value, origin }
}

fn shown(key: &Key, layers: &Layers) -> String {
    match of(key, layers) {
        Shown { value: Some(value), origin: Some(origin), .. } => format!("{} = {value} # {origin}", key.name),
        _ => format!("# {} is not set", key.name),
    }
}

fn origin(place: &Place) -> String {
    match place {
        Place::File(_, line, _) => format!("line {line}"),
        other => other.to_string(),
    }
}

fn value(key: &Key, found: &Found) -> String {
    match (&key.kind, &found.value) {
        (Kind::Secret, _) => REDACTED.to_owned(),
        (Kind::Registries, Raw::Table(hosts)) => table(hosts.iter().map(|(host, login)| (host.as_str(), registry(&login.value)))),
        // In the wrong form, which `config check` finds: it may be the password alone.
        (Kind::Registries, _) => REDACTED.to_owned(),
        (Kind::List, Raw::Text(text)) => list(text.split(',').map(|item| quoted(&without_login(item.trim())))),
        (Kind::Number(..) | Kind::Flag, Raw::Text(text)) => in_toml(key, text),
        (Kind::Pairs, Raw::Text(text)) => table(
            text.split(',').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (name, open_or_redacted(name, quoted(value)))),
        ),
        (_, raw) => raw_value(raw),
    }
}

fn raw_value(raw: &Raw) -> String {
    match raw {
        Raw::Text(text) => quoted(&without_login(text)),
        Raw::Integer(number) => number.to_string(),
        Raw::Flag(flag) => flag.to_string(),
        Raw::List(items) => list(items.iter().map(|item| raw_value(&item.value))),
        Raw::Table(fields) => table(fields.iter().map(|(name, field)| (name.as_str(), open_or_redacted(name, raw_value(&field.value))))),
        Raw::ContentOf(_) => REDACTED.to_owned(),
        Raw::Other(what) => quoted(what),
    }
}

/// A login. Under another name, which `config check` finds, there may be the password too.
fn registry(login: &Raw) -> String {
    let Raw::Table(fields) = login else { return REDACTED.to_owned() };
    let open = |name: &str| matches!(name, "username" | "password_file");
    table(fields.iter().map(|(name, field)| (name.as_str(), if open(name) { raw_value(&field.value) } else { REDACTED.to_owned() })))
}

/// An address in which somebody has left a login, though no key takes one there.
fn without_login(text: &str) -> Cow<'_, str> {
    let (scheme, rest) = text.split_at(text.find("://").map_or(0, |at| at + 3));
    match rest.rsplit_once('@') {
        Some((login, host)) if !scheme.is_empty() || login.contains(':') => format!("{scheme}[redacted]@{host}").into(),
        _ => text.into(),
    }
}

/// Tables hold names that are not ours: what sounds like a secret is treated as one.
fn open_or_redacted(name: &str, value: String) -> String {
    if sounds_secret(name) { REDACTED.to_owned() } else { value }
}

pub(super) fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let secret = ["pass", "secret", "token", "credential", "ssl.key.pem", "sasl.oauthbearer.config", "sasl.jaas"];
    secret.iter().any(|part| name.contains(part)) && !name.ends_with("_file")
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

fn table<'a>(fields: impl Iterator<Item = (&'a str, String)>) -> String {
    format!("{{ {} }}", fields.map(|(name, value)| format!("{} = {value}", quoted(name))).collect::<Vec<_>>().join(", "))
}

/// A value in the environment's spelling, as TOML.
fn in_toml(key: &Key, text: &str) -> String {
    match key.kind {
        Kind::Number(Unit::Count, ..) | Kind::Flag => text.to_owned(),
        _ if text.chars().all(|c| c.is_ascii_digit()) && matches!(key.kind, Kind::Number(..)) => text.to_owned(),
        _ => quoted(text),
    }
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

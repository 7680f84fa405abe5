//! As much of a configuration as can be understood, for the doctor: a mistake in one key does not hide what the others
//! say. And the secrets in it, so that nothing that is handed out repeats one of them.

use super::keys::{KEYS, Key, Kind};
use super::layers::{Found, Layers, Raw};
use super::reader::Reader;
use super::show::sounds_secret;
use super::{Config, Error, Given, Place, Sources, has_journal, sections};
use crate::domain::Sensitive;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Where systemd keeps the decrypted secrets of the packaged unit (`LoadCredential=`): only its user and root may look.
const UNIT_CREDENTIALS: &str = "/run/credentials/axion-agent.service";
/// Secrets are short; of what is larger the beginning counts.
const MAX_SECRET_BYTES: u64 = 64 * 1024;
/// A shorter text would be found everywhere.
const LEAST_SECRET: usize = 4;

/// What could be understood.
#[derive(Debug, Clone)]
pub struct Salvaged {
    /// The configuration; the defaults stand in for what is wrong.
    pub config: Config,
    /// The file that was read, or should have been.
    pub file: Option<PathBuf>,
    /// What is wrong, each with its place.
    pub problems: Vec<String>,
    /// The files that hold secrets, by key.
    pub secret_files: Vec<(String, PathBuf)>,
    /// The secrets themselves, also those in a place where none should be.
    pub secrets: Vec<Sensitive<String>>,
}

impl Sources {
    /// The same, with the unit's credentials where this process has none of its own: for a look at the agent from outside.
    #[must_use]
    pub fn with_credentials_of_unit(mut self) -> Self {
        let given = self.credentials().is_some();
        if !given && fs::read_dir(UNIT_CREDENTIALS).is_ok() {
            self.environment.insert(super::CREDENTIALS_VARIABLE.to_owned(), UNIT_CREDENTIALS.to_owned());
        }
        self
    }
}

/// Reads what can be read.
#[must_use]
pub fn salvage(sources: &Sources) -> Salvaged {
    let mut problems = Vec::new();
    let (mut layers, file_error) = layers(sources);
    match file_error {
        Some(Error::Invalid(found)) => problems.extend(found.0.iter().map(ToString::to_string)),
        Some(error) => problems.push(error.to_string()),
        None => {}
    }
    let unknown = std::mem::take(&mut layers.unknown);
    let (secret_files, secrets) = (secret_files(&layers), secrets(&layers, sources));
    let given = Given::of(&layers.found);
    let mut reader = Reader::new(layers, sources.credentials());
    let mut config = sections::config(&mut reader);
    let Reader { problems: mut found, mut warnings, .. } = reader;
    // As at a start (`UnknownKeys::WarnedWithJournal`).
    if has_journal(&config.agent.state_dir) {
        config.ignored = unknown;
    } else {
        found.extend(unknown);
    }
    found.sort();
    found.dedup();
    warnings.sort();
    problems.extend(found.iter().map(ToString::to_string));
    config.warnings = warnings;
    config.given = given;
    Salvaged { config, file: sources.path(), problems, secret_files, secrets }
}

/// Without the file, where that cannot be read.
fn layers(sources: &Sources) -> (Layers, Option<Error>) {
    let mut layers = Layers::default();
    layers.add_shared_variables(&sources.environment);
    if let Some(directory) = sources.credentials() {
        layers.add_credentials(&directory);
    }
    let error = sources.path().and_then(|path| layers.add_file(&path).err());
    layers.add_environment(&sources.environment);
    (layers, error)
}

fn secret_files(layers: &Layers) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for key in KEYS {
        let Some(value) = layers.found.get(&key.dotted()) else { continue };
        match (&key.kind, &value.value, &value.place) {
            (_, Raw::ContentOf(path), _) => found.push((key.dotted(), path.clone())),
            (Kind::Secret, _, Place::File(file, ..)) => found.push((key.dotted(), file.to_path_buf())),
            (Kind::Registries, Raw::Table(hosts), _) => found.extend(hosts.iter().flat_map(|(host, login)| login_files(key, host, login))),
            _ => {}
        }
    }
    // One line for the file that holds several of them.
    found.sort_by(|one, other| one.1.cmp(&other.1));
    found.dedup_by(|later, first| {
        let same = later.1 == first.1;
        if same {
            first.0 = format!("{}, {}", first.0, later.0);
        }
        same
    });
    found
}

fn login_files(key: &Key, host: &str, login: &Found) -> Vec<(String, PathBuf)> {
    let Raw::Table(fields) = &login.value else { return Vec::new() };
    let of = |name: &str| format!("{}.{host:?}.{name}", key.dotted());
    fields
        .iter()
        .filter_map(|(name, field)| match (name.as_str(), &field.value, &field.place) {
            ("password_file", Raw::Text(path), _) => Some((of("password"), PathBuf::from(path))),
            ("password", _, Place::File(file, ..)) => Some((of("password"), file.to_path_buf())),
            _ => None,
        })
        .collect()
}

/// What of the configuration must not be repeated: secret keys, logins, what is passed through to librdkafka, and every
/// file of the credentials.
fn secrets(layers: &Layers, sources: &Sources) -> Vec<Sensitive<String>> {
    let mut found = Vec::new();
    for key in KEYS {
        let Some(value) = layers.found.get(&key.dotted()) else { continue };
        match key.kind {
            Kind::Secret => gather(&value.value, &mut found),
            Kind::Registries => {
                if let Raw::Table(hosts) = &value.value {
                    for (name, field) in hosts
                        .iter()
                        .filter_map(|(_, login)| if let Raw::Table(fields) = &login.value { Some(fields) } else { None })
                        .flatten()
                    {
                        match (name.as_str(), &field.value) {
                            ("username", _) => {}
                            ("password_file", Raw::Text(path)) => found.extend(content(Path::new(path))),
                            (_, value) => gather(value, &mut found),
                        }
                    }
                } else {
                    gather(&value.value, &mut found);
                }
            }
            Kind::Pairs => {
                if let Raw::Table(fields) = &value.value {
                    fields.iter().filter(|(name, _)| sounds_secret(name)).for_each(|(_, field)| gather(&field.value, &mut found));
                } else if let Raw::Text(text) = &value.value {
                    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
                    found.extend(pairs.filter(|(name, _)| sounds_secret(name)).map(|(_, value)| value.to_owned()));
                }
            }
            _ => {}
        }
    }
    // A login in an address, such as the proxy's, counts by itself too.
    let logins: Vec<String> =
        found.iter().filter_map(|text| Some(text.split_once("://")?.1.rsplit_once('@')?.0.rsplit_once(':')?.1.to_owned())).collect();
    found.extend(logins);
    let credentials = sources.credentials().and_then(|folder| fs::read_dir(folder).ok());
    found.extend(credentials.into_iter().flatten().flatten().filter_map(|entry| content(&entry.path())));
    found.sort();
    found.dedup();
    found.into_iter().map(|text| text.trim().to_owned()).filter(|text| text.len() >= LEAST_SECRET).map(Sensitive::new).collect()
}

fn gather(value: &Raw, found: &mut Vec<String>) {
    match value {
        Raw::Text(text) => found.push(text.clone()),
        Raw::ContentOf(path) => found.extend(content(path)),
        Raw::List(items) => items.iter().for_each(|item| gather(&item.value, found)),
        Raw::Table(fields) => fields.iter().for_each(|(_, field)| gather(&field.value, found)),
        Raw::Integer(number) => found.push(number.to_string()),
        Raw::Flag(_) | Raw::Other(_) => {}
    }
}

fn content(path: &Path) -> Option<String> {
    // To open a pipe would wait for its other end.
    if !path.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = Vec::new();
    File::open(path).ok()?.take(MAX_SECRET_BYTES).read_to_end(&mut text).ok()?;
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_hides_nothing_else_and_every_secret_is_known() {
        let folder = std::env::temp_dir().join(format!("axion-salvage-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(folder.join("credentials")).unwrap();
        let put = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
        put("password", "canary-file\n");
        put("credentials/kafka.sasl_password", "canary-credential");
        put("credentials/docker.registries.r.example.com.password", "canary-login");
        put(
            "agent.toml",
            &format!(
                "[agent]\ntoken = \"canary-token\"\n[docker]\nlanes = \"many\"\nhost = \"unix:///sock\"\n[docker.registries.\"a\"]\nusername = \"open-name\"\n\
                 password_file = \"{}\"\n[docker.registries.\"b\"]\nusername = \"open-name\"\npassword = \"canary-b\"\n\
                 [network]\nhttps_proxy = \"http://me:canary-proxy@p:1\"\n[kafka]\nlibrdkafka = {{ \"ssl.key.password\" = \"canary-key\", \"debug\" = \"open-debug\" }}\n",
                folder.join("password").display()
            ),
        );
        let environment = [("CREDENTIALS_DIRECTORY", folder.join("credentials").display().to_string())];
        let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let salvaged = salvage(&Sources { file: Some(folder.join("agent.toml")), environment });
        assert_eq!(salvaged.config.docker.socket, Path::new("/sock"));
        assert!(salvaged.problems.iter().any(|problem| problem.contains("docker.lanes")), "{:?}", salvaged.problems);
        let secrets: Vec<&str> = salvaged.secrets.iter().map(|secret| secret.reveal().as_str()).collect();
        for canary in ["file", "credential", "login", "token", "b", "proxy", "key"] {
            assert!(secrets.contains(&format!("canary-{canary}").as_str()), "{canary}: {secrets:?}");
        }
        assert!(secrets.iter().all(|secret| !secret.starts_with("open")), "{secrets:?}");
        let files: Vec<&str> = salvaged.secret_files.iter().map(|(key, _)| key.as_str()).collect();
        assert!(files.iter().any(|key| key.contains("agent.token")) && files.contains(&"kafka.sasl_password"), "{files:?}");

        put("agent.toml", "not toml [");
        let broken = salvage(&Sources { file: Some(folder.join("agent.toml")), environment: Default::default() });
        assert!(broken.problems[0].contains("not valid TOML"), "{:?}", broken.problems);
        let missing = salvage(&Sources { file: Some(folder.join("gone.toml")), environment: Default::default() });
        assert!(missing.problems[0].contains("cannot read"), "{:?}", missing.problems);
        fs::remove_dir_all(folder).unwrap();
    }
}

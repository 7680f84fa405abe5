//! The logins of the Docker CLI, for `--with-registry-auth`. Only those that stand in its file can be read: a credential
//! store is a program, and the agent has no child processes.

use super::Exit;
use super::failure::{Failure, codes};
use crate::stack::images::{login_host, registry};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// `~/.docker/config.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct DockerConfig {
    auths: BTreeMap<String, Auth>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

// A login has no Debug of its own: it would show the password.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Auth")
    }
}

/// The logins that these images need, as a command carries them.
pub(super) fn of(images: &[String]) -> Result<Value, Failure> {
    let path = file();
    match std::fs::read(&path) {
        Ok(bytes) => read(&path, &bytes, images),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(json!({})),
        Err(error) => {
            let message = format!("cannot read {}: {error}", path.display());
            Err(Failure::new(Exit::Failed, codes::FILE, message, "see that you may read it, or do without --with-registry-auth"))
        }
    }
}

/// As the Docker CLI finds it.
fn file() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("DOCKER_CONFIG").unwrap_or_else(|| set("HOME").unwrap_or_default().join(".docker"));
    folder.join("config.json")
}

fn read(path: &Path, bytes: &[u8], images: &[String]) -> Result<Value, Failure> {
    let config: DockerConfig = serde_json::from_slice(bytes).map_err(|error| {
        let message = format!("{}: {error}", path.display());
        Failure::new(Exit::Failed, codes::FILE, message, "mend it, or do without --with-registry-auth")
    })?;
    let hosts: BTreeSet<&str> = images.iter().map(|image| registry(image)).collect();
    let mut logins = Map::new();
    for host in hosts {
        let known = config.auths.iter().find(|(name, _)| login_host(name) == host);
        if let Some((username, password)) = known.and_then(|(_, auth)| login(auth)) {
            logins.insert(host.to_owned(), json!({"username": username, "password": password}));
            continue;
        }
        let helper = config.cred_helpers.iter().find(|(name, _)| login_host(name) == host).map(|(_, helper)| helper);
        // With a store the file names the hosts that it has logins for.
        let store = config.creds_store.as_ref().filter(|_| known.is_some());
        if let Some(program) = helper.or(store) {
            let message = format!(
                "the login for {host} is in the credential store docker-credential-{program}, a program, and the agent starts none ({})",
                path.display()
            );
            let next = format!(
                "put the login into docker.registries.{host:?} of the agent's configuration, or use another DOCKER_CONFIG without a store for docker login"
            );
            return Err(Failure::new(Exit::Failed, codes::LOGIN, message, next));
        }
    }
    Ok(Value::Object(logins))
}

fn login(auth: &Auth) -> Option<(String, String)> {
    if let (Some(username), Some(password)) = (&auth.username, &auth.password) {
        return Some((username.clone(), password.clone()));
    }
    let text = String::from_utf8(STANDARD.decode(auth.auth.as_deref()?).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    Some((username.to_owned(), password.trim_end_matches('\0').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logins(config: &Value, images: &[&str]) -> Result<Value, Failure> {
        let images: Vec<String> = images.iter().map(|image| (*image).to_owned()).collect();
        read(Path::new("/c.json"), config.to_string().as_bytes(), &images)
    }

    #[test]
    fn only_the_logins_that_images_need_are_sent() {
        let auth = STANDARD.encode("me:se:cret");
        let config = json!({"auths": {"https://index.docker.io/v1/": {"auth": auth}, "https://reg.example.com/v2/": {"auth": auth}, "other.example.com": {"auth": auth}}});
        let wanted = json!({"username": "me", "password": "se:cret"});
        assert_eq!(logins(&config, &["nginx", "me/app:1"]).unwrap(), json!({"docker.io": wanted}));
        assert_eq!(logins(&config, &["reg.example.com/a/b:1", "localhost:5000/x"]).unwrap(), json!({"reg.example.com": wanted}));
    }

    #[test]
    fn a_login_in_a_store_is_said_to_be_out_of_reach() {
        for config in
            [json!({"auths": {"reg.example.com": {}}, "credsStore": "desktop"}), json!({"credHelpers": {"reg.example.com": "desktop"}})]
        {
            let failure = logins(&config, &["reg.example.com/a"]).unwrap_err();
            assert_eq!(failure.code, codes::LOGIN);
            assert!(failure.message.contains("docker-credential-desktop") && failure.next.contains("docker.registries"), "{failure:?}");
            assert_eq!(logins(&config, &["nginx"]).unwrap(), json!({}), "no login, none needed from the store");
        }
    }
}

//! The Engine API's calls, one file per kind of object. Each is one request; none decides anything.
//!
//! Runs on the caller's thread. Lists are filtered by the engine, by the stack's label.

mod local;
mod networks;
mod prune;
mod services;
mod stores;
mod system;
mod tasks;

pub(super) use services::Credentials;

use super::types::NAMESPACE;
use crate::domain::{RegistryCredential, Sensitive, StackName};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::json;

/// `filters={"label":["com.docker.stack.namespace=NAME"]}`.
fn of_stack(stack: &StackName) -> String {
    json!({"label": [format!("{NAMESPACE}={stack}")]}).to_string()
}

/// Everything that carries the label of some stack.
fn of_any_stack() -> String {
    json!({"label": [NAMESPACE]}).to_string()
}

/// The value of `X-Registry-Auth`: base64url of an AuthConfig (Engine API, "Authentication").
pub(super) fn registry_auth(host: &str, credential: &RegistryCredential) -> Sensitive<String> {
    let config = json!({"username": credential.username, "password": credential.password.reveal(), "serveraddress": host});
    Sensitive::new(URL_SAFE.encode(config.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_base64url_of_json() {
        let credential = RegistryCredential { username: "tester".into(), password: Sensitive::new("sec?>ret".into()) };
        let auth = registry_auth("127.0.0.1:5000", &credential);
        let json: serde_json::Value = serde_json::from_slice(&URL_SAFE.decode(auth.reveal()).unwrap()).unwrap();
        assert_eq!(json, json!({"username": "tester", "password": "sec?>ret", "serveraddress": "127.0.0.1:5000"}));
    }
}

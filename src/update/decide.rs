//! Whether a release may take the place of what runs. Pure: the agent asks it when it hears of a manifest, and the helper
//! that installs asks it again with what it knows itself.

use super::fault::Fault;
use super::manifest::{Artifact, Manifest, PRODUCT};
use super::version::Version;
use crate::domain::Timestamp;
use serde::{Deserialize, Serialize};

/// What must not be gone below. Both only rise.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Floors {
    /// The newest version that was ever confirmed on this host.
    #[serde(rename = "version_floor")]
    pub version: Option<Version>,
    /// The highest security floor of a release that was ever confirmed here.
    #[serde(rename = "security_floor")]
    pub security: Option<Version>,
}

impl Floors {
    /// A release was confirmed.
    pub fn rise(&mut self, version: &Version, security: Option<&Version>) {
        self.version = self.version.take().max(Some(version.clone()));
        self.security = self.security.take().max(security.cloned());
    }
}

/// What a release is held against.
#[derive(Debug, Clone)]
pub struct Host<'a> {
    /// The version that runs.
    pub running: &'a Version,
    /// The version of the package, which is the older of what there is to run.
    pub package: &'a Version,
    /// Which releases this host follows.
    pub channel: &'a str,
    /// As Rust calls it.
    pub architecture: &'a str,
    /// What must not be gone below.
    pub floors: &'a Floors,
    /// Now.
    pub at: Timestamp,
}

/// What may be done with a release that is for this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision<'a> {
    /// It may be installed.
    Install(&'a Artifact),
    /// It is what runs.
    Runs,
}

/// Decides.
///
/// # Errors
/// With the reason why it must not be installed here, or not now.
pub fn decide<'a>(manifest: &'a Manifest, host: &Host<'_>) -> Result<Decision<'a>, Fault> {
    let Manifest { product, channel, version, .. } = manifest;
    if product != PRODUCT {
        return Err(Fault::NotForThis(format!("it is for {}", shown(product))));
    }
    if channel != host.channel {
        return Err(Fault::NotForThis(format!("it is of the channel {}, and update.channel is {}", shown(channel), host.channel)));
    }
    if manifest.expires_at <= host.at {
        return Err(Fault::Expired { version: version.clone(), at: manifest.expires_at });
    }
    let Some(artifact) = manifest.artifacts.get(host.architecture) else {
        return Err(Fault::NotForThis(format!("it has no binary for {}", host.architecture)));
    };
    if version == host.running {
        return Ok(Decision::Runs);
    }
    let refused = |why: String| Err(Fault::Downgrade { version: version.clone(), why });
    if let Some(floor) = host.floors.security.as_ref().filter(|floor| version < floor) {
        return refused(format!("it is below the security floor {floor}, which no manifest lowers"));
    }
    if version <= host.package {
        return refused(format!("the package holds {}, which the service would go on running: install the older package", host.package));
    }
    let highest = host.floors.version.as_ref().map_or(host.running, |floor| floor.max(host.running));
    if version < highest && !manifest.allow_downgrade {
        return refused(format!("{highest} ran here already, and the manifest does not allow a downgrade"));
    }
    Ok(Decision::Install(artifact))
}

/// What a stranger wrote, in short.
fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(40).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::super::manifest::tests::body;
    use super::*;
    use crate::domain::Code;
    use serde_json::{Value, json};

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    fn told(running: &str, floors: &Floors, at: &str, change: &dyn Fn(&mut Value)) -> Result<bool, Code> {
        let mut body = body("1.2.0");
        change(&mut body);
        let manifest: Manifest = serde_json::from_value(body).unwrap();
        let (running, package) = (version(running), version("1.0.0"));
        let at = Timestamp::parse(at).unwrap();
        let host = Host { running: &running, package: &package, channel: "stable", architecture: "x86_64", floors, at };
        decide(&manifest, &host).map(|decision| matches!(decision, Decision::Install(_))).map_err(|fault| fault.code())
    }

    #[test]
    fn a_release_is_held_against_this_host() {
        const NOW: &str = "2026-01-31T12:00:00Z";
        let none = Floors::default();
        let floors = |of: &str, security: &str| Floors { version: Some(version(of)), security: Some(version(security)) };
        let set = |key: &'static str, value: Value| move |body: &mut Value| body[key] = value.clone();
        let same = |_: &mut Value| {};
        let down = set("allow_downgrade", json!(true));
        for (case, found, expected) in [
            ("newer", told("1.1.0", &none, NOW, &same), Ok(true)),
            ("what runs", told("1.2.0", &none, NOW, &same), Ok(false)),
            ("what runs, below a floor of later", told("1.2.0", &floors("1.3.0", "1.2.0"), NOW, &same), Ok(false)),
            ("a minute before the end", told("1.1.0", &none, "2029-12-31T23:59:00Z", &same), Ok(true)),
            ("at the end", told("1.1.0", &none, "2030-01-01T00:00:00Z", &same), Err(Code::UPDATE_EXPIRED)),
            ("another product", told("1.1.0", &none, NOW, &set("product", json!("x"))), Err(Code::UPDATE_NOT_FOR_THIS_HOST)),
            ("another channel", told("1.1.0", &none, NOW, &set("channel", json!("beta"))), Err(Code::UPDATE_NOT_FOR_THIS_HOST)),
            ("another machine", told("1.1.0", &none, NOW, &set("artifacts", json!({}))), Err(Code::UPDATE_NOT_FOR_THIS_HOST)),
            ("older than what runs", told("1.3.0", &none, NOW, &same), Err(Code::UPDATE_DOWNGRADE)),
            ("older, and allowed", told("1.3.0", &none, NOW, &down), Ok(true)),
            (
                "newer than what runs, older than what ran",
                told("1.1.0", &floors("1.3.0", "1.0.0"), NOW, &same),
                Err(Code::UPDATE_DOWNGRADE),
            ),
            ("the same, and allowed", told("1.1.0", &floors("1.3.0", "1.0.0"), NOW, &down), Ok(true)),
            ("at the floor", told("1.1.0", &floors("1.2.0", "1.2.0"), NOW, &same), Ok(true)),
            ("below the security floor, allowed", told("1.3.0", &floors("1.3.0", "1.2.1"), NOW, &down), Err(Code::UPDATE_DOWNGRADE)),
            ("no newer than the package", told("1.1.0", &none, NOW, &set("version", json!("1.0.0"))), Err(Code::UPDATE_DOWNGRADE)),
        ] {
            assert_eq!(found, expected, "{case}");
        }
    }

    #[test]
    fn floors_only_rise() {
        let mut floors = Floors::default();
        for (confirmed, security, expected) in [
            ("1.1.0", None, (Some("1.1.0"), None)),
            ("1.3.0", Some("1.0.0"), (Some("1.3.0"), Some("1.0.0"))),
            ("1.2.0", None, (Some("1.3.0"), Some("1.0.0"))),
            ("1.2.0", Some("0.9.0"), (Some("1.3.0"), Some("1.0.0"))),
            ("1.4.0", Some("1.4.0"), (Some("1.4.0"), Some("1.4.0"))),
        ] {
            floors.rise(&version(confirmed), security.map(version).as_ref());
            assert_eq!((floors.version.clone(), floors.security.clone()), (expected.0.map(version), expected.1.map(version)));
        }
    }
}

//! Image references: whose registry they belong to, when it is asked, and what its answer does to a spec.
//! Pure.

use crate::domain::ResolveImage;
use serde_json::{Value, json};

/// Docker Hub, as references without a host mean it.
pub const DOCKER_HUB: &str = "docker.io";
/// What people write for Docker Hub in their logins.
const HUB_NAMES: &[&str] = &["docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"];
/// The service label that holds the image as the Compose file names it.
pub const STACK_IMAGE: &str = "com.docker.stack.image";

/// The registry of a reference (distribution/reference, `splitDockerDomain`).
#[must_use]
pub fn registry(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => {
            if HUB_NAMES.contains(&host) {
                DOCKER_HUB
            } else {
                host
            }
        }
        _ => DOCKER_HUB,
    }
}

/// The host that a login is for, whichever way it is written: `https://index.docker.io/v1/`, `docker.io`, `registry.example:5000`.
#[must_use]
pub fn login_host(text: &str) -> &str {
    let text = text.trim_start_matches("https://").trim_start_matches("http://");
    let host = text.split('/').next().unwrap_or(text);
    if HUB_NAMES.contains(&host) { DOCKER_HUB } else { host }
}

/// Where the image of a service comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// From its registry's answer.
    Ask,
    /// From the service that runs.
    Reuse,
    /// As the file says.
    AsWritten,
}

/// When a registry is asked (docker/cli, cli/command/stack/swarm/deploy_composefile.go). `held` is the
/// service as it runs, if there is one.
#[must_use]
pub fn resolution(rule: ResolveImage, wanted: &Value, held: Option<&Value>) -> Resolution {
    let same = held.is_some_and(|held| same_text(wanted, held) && is_wanted(image(held), image(wanted)));
    match rule {
        // An image id is no name that a registry knows.
        _ if is_id(image(wanted)) => Resolution::AsWritten,
        ResolveImage::Always => Resolution::Ask,
        ResolveImage::Changed | ResolveImage::Never if same => Resolution::Reuse,
        ResolveImage::Changed => Resolution::Ask,
        ResolveImage::Never => Resolution::AsWritten,
    }
}

/// Whether a service that runs was made from the same text of an image.
#[must_use]
pub fn same_text(wanted: &Value, held: &Value) -> bool {
    let text = |spec: &Value| spec["Labels"][STACK_IMAGE].as_str().map(str::to_owned);
    text(wanted).is_some() && text(wanted) == text(held)
}

/// Whether an image is what a text names, if with a digest. Somebody may have given a service another one: its label then still has
/// the text.
#[must_use]
pub fn is_named_by(held: &str, text: &str) -> bool {
    let name = |image: &str| image.split('@').next().unwrap_or(image).to_owned();
    name(held) == name(text)
}

/// The same where the text may have a digest of its own.
fn is_wanted(held: &str, text: &str) -> bool {
    if text.contains('@') { held == text } else { is_named_by(held, text) }
}

fn is_id(image: &str) -> bool {
    let hex = image.strip_prefix("sha256:").unwrap_or(image);
    hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The image of a spec.
#[must_use]
pub fn image(spec: &Value) -> &str {
    spec["TaskTemplate"]["ContainerSpec"]["Image"].as_str().unwrap_or_default()
}

/// Takes image and platforms over from the service that runs.
pub fn reuse(spec: &mut Value, held: &Value) {
    spec["TaskTemplate"]["ContainerSpec"]["Image"] = json!(image(held));
    let platforms = &held["TaskTemplate"]["Placement"]["Platforms"];
    if platforms.is_array() && !names_platform(spec) {
        spec["TaskTemplate"]["Placement"]["Platforms"] = platforms.clone();
    }
}

/// Writes a registry's answer into a spec: the digest, unless the reference has one, and the platforms
/// as (architecture, operating system).
pub fn resolved<'a>(spec: &mut Value, digest: &str, platforms: impl Iterator<Item = (&'a str, &'a str)>) {
    let image = image(spec).to_owned();
    if !image.contains('@') {
        spec["TaskTemplate"]["ContainerSpec"]["Image"] = json!(format!("{image}@{digest}"));
    }
    let platforms: Vec<Value> = platforms.map(|(architecture, os)| platform(architecture, os)).collect();
    if !platforms.is_empty() && !names_platform(spec) {
        spec["TaskTemplate"]["Placement"]["Platforms"] = json!(platforms);
    }
}

/// Whether the file says for which platform it is.
fn names_platform(spec: &Value) -> bool {
    spec["TaskTemplate"]["Placement"]["Platforms"].as_array().is_some_and(|platforms| !platforms.is_empty())
}

/// "arm" alone says too little of a processor to choose nodes by it (docker/cli leaves it out too).
fn platform(architecture: &str, os: &str) -> Value {
    let mut platform = json!({});
    if !architecture.is_empty() && architecture != "arm" {
        platform["Architecture"] = json!(architecture);
    }
    if !os.is_empty() {
        platform["OS"] = json!(os);
    }
    platform
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_needs_a_dot_a_colon_or_to_be_localhost() {
        for (reference, host) in [
            ("nginx", "docker.io"),
            ("library/nginx:1", "docker.io"),
            ("index.docker.io/a/b", "docker.io"),
            ("127.0.0.1:5000/box:1", "127.0.0.1:5000"),
            ("localhost/box", "localhost"),
            ("ghcr.io/a/b@sha256:00", "ghcr.io"),
        ] {
            assert_eq!(registry(reference), host, "{reference}");
        }
        assert_eq!(login_host("https://index.docker.io/v1/"), "docker.io");
        assert_eq!(login_host("registry.example:5000"), "registry.example:5000");
    }

    #[test]
    fn a_registry_is_asked_when_the_rule_says_so() {
        use ResolveImage::{Always, Changed, Never};
        let spec =
            |text: &str| json!({"Labels": {STACK_IMAGE: text}, "TaskTemplate": {"ContainerSpec": {"Image": format!("{text}:latest")}}});
        let (wanted, same, other) = (spec("a"), spec("a"), spec("b"));
        for (rule, held, expected) in [
            (Always, None, Resolution::Ask),
            (Always, Some(&same), Resolution::Ask),
            (Changed, None, Resolution::Ask),
            (Changed, Some(&same), Resolution::Reuse),
            (Changed, Some(&other), Resolution::Ask),
            (Never, None, Resolution::AsWritten),
            (Never, Some(&same), Resolution::Reuse),
            (Never, Some(&other), Resolution::AsWritten),
        ] {
            assert_eq!(resolution(rule, &wanted, held), expected, "{rule:?} {held:?}");
        }
        let id = json!({"TaskTemplate": {"ContainerSpec": {"Image": "a".repeat(64)}}});
        assert_eq!(resolution(Always, &id, None), Resolution::AsWritten);
    }

    #[test]
    fn an_image_with_a_digest_is_named_by_the_text_without() {
        for (held, text, named) in
            [("a:1@sha256:77", "a:1", true), ("a:1", "a:1", true), ("a:2@sha256:77", "a:1", false), ("localhost:5000/a:1", "a:1", false)]
        {
            assert_eq!(is_named_by(held, text), named, "{held} {text}");
        }
    }

    #[test]
    fn an_answer_gives_the_digest_and_the_platforms() {
        let mut spec = json!({"TaskTemplate": {"ContainerSpec": {"Image": "a:1"}, "Placement": {}}});
        resolved(&mut spec, "sha256:77", [("amd64", "linux"), ("arm", "linux")].into_iter());
        assert_eq!(image(&spec), "a:1@sha256:77");
        assert_eq!(spec["TaskTemplate"]["Placement"], json!({"Platforms": [{"Architecture": "amd64", "OS": "linux"}, {"OS": "linux"}]}));
        resolved(&mut spec, "sha256:88", std::iter::empty());
        assert_eq!(image(&spec), "a:1@sha256:77", "a digest in the file stays");
    }
}

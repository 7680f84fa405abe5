//! Values that have a form of their own: spans of time, sizes, addresses, topic names. Pure.

use crate::domain::AgentId;
use std::path::{Path, PathBuf};

/// Where the control plane is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrpcUrl {
    /// `host:port`.
    pub authority: String,
    /// With TLS or in clear.
    pub transport: Transport,
}

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TLS.
    Tls,
    /// In clear: for development.
    Plain,
}

impl GrpcUrl {
    /// Reads `https://HOST[:PORT]` or `http://HOST[:PORT]`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or("must begin with https:// (TLS) or http:// (in clear)")?;
        let (transport, default_port) = match scheme {
            "https" => (Transport::Tls, 443),
            "http" => (Transport::Plain, 80),
            other => return Err(format!("{other}:// is not known here: https:// is TLS, http:// is in clear")),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '@']) {
            return Err("takes only a host and a port: no path, no user".to_owned());
        }
        Ok(Self { authority: host_and_port(authority, default_port)?, transport })
    }
}

/// The name of a topic, and whether somebody chose it: what enrolment brings replaces only a default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topic {
    /// The configuration names it.
    Chosen(TopicTemplate),
    /// Nobody does.
    Default(TopicTemplate),
}

impl Topic {
    /// The name for this agent, where enrolment brought `enrolled` (empty: none).
    #[must_use]
    pub fn of(&self, agent: &AgentId, enrolled: &str) -> String {
        match self {
            Self::Default(_) if !enrolled.is_empty() => enrolled.to_owned(),
            Self::Default(template) | Self::Chosen(template) => template.of(agent),
        }
    }
}

/// A topic or group name in which `{agent_id}` stands for the agent's id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TopicTemplate(String);

impl TopicTemplate {
    /// Kafka's own bound for a topic name (org.apache.kafka.common.internals.Topic).
    const MAX_BYTES: usize = 249;
    const PLACEHOLDER: &str = "{agent_id}";

    /// A topic: letters, digits, `.`, `_` and `-`.
    pub(super) fn topic(text: &str) -> Result<Self, String> {
        let fixed = text.replace(Self::PLACEHOLDER, "");
        if !fixed.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')) {
            return Err("may hold only letters, digits, '.', '_', '-' and {agent_id}".to_owned());
        }
        if matches!(text, "." | "..") {
            return Err("is not allowed as a topic name by Kafka".to_owned());
        }
        Self::bounded(text)
    }

    /// A consumer group: anything that can be read, apart from other placeholders.
    pub(super) fn group(text: &str) -> Result<Self, String> {
        if text.replace(Self::PLACEHOLDER, "").chars().any(|c| c.is_control() || matches!(c, '{' | '}')) {
            return Err("may hold no braces but {agent_id}, and no control characters".to_owned());
        }
        Self::bounded(text)
    }

    /// Whether each agent has its own.
    pub(super) fn names_agent(&self) -> bool {
        self.0.contains(Self::PLACEHOLDER)
    }

    fn bounded(text: &str) -> Result<Self, String> {
        if text.len() > Self::MAX_BYTES {
            return Err(format!("is longer than {} bytes", Self::MAX_BYTES));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name for this agent.
    #[must_use]
    pub fn of(&self, agent: &AgentId) -> String {
        self.0.replace(Self::PLACEHOLDER, agent.as_str())
    }
}

/// Completes `HOST[:PORT]`; IPv6 addresses stand in brackets.
pub(super) fn host_and_port(text: &str, default_port: u16) -> Result<String, String> {
    let (host, port) = match text.rsplit_once(':') {
        Some((_, port)) if port.contains(']') => (text, None),
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    // What stands before an @ is no part of a host, and may be a password: it is not repeated.
    if text.contains('@') {
        return Err("takes a host and a port alone: no user, no password".to_owned());
    }
    if host.is_empty() || host.chars().any(|c| c.is_whitespace() || c == '/' || c == ',') {
        return Err(format!("{text:?} names no host: it should look like host:port"));
    }
    if bare.is_none() && host.contains(':') {
        return Err(format!("{text:?}: an IPv6 address stands in brackets, as in [::1]:{default_port}"));
    }
    match port.map(str::parse::<u16>) {
        None => Ok(format!("{host}:{default_port}")),
        Some(Ok(port)) if port > 0 => Ok(format!("{host}:{port}")),
        Some(_) => Err(format!("{text:?} has no port between 1 and 65535")),
    }
}

/// The engine's socket out of `unix:///path`.
pub(super) fn docker_socket(text: &str) -> Result<PathBuf, String> {
    let path = match text.split_once("://") {
        Some(("unix", path)) => path,
        Some((scheme, _)) => {
            return Err(format!(
                "{scheme}:// is not supported: the agent talks to the engine of its own host, over unix:///path/to/docker.sock"
            ));
        }
        None => text,
    };
    absolute(path)
}

/// A path that does not depend on where the agent was started.
pub(super) fn absolute(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    if path.is_absolute() {
        Ok(path.to_owned())
    } else {
        Err(format!("{text:?} must be an absolute path: the agent has no working directory"))
    }
}

/// Whole seconds: `90`, `15m`, `1h30m`, `1d`.
///
/// # Errors
/// With the forms that are read.
pub fn seconds(text: &str) -> Result<u64, String> {
    const FORM: &str = "is no span of time: write 90, \"90s\", \"15m\" or \"1h30m\"";
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(|| format!("{text:?} {FORM}"))?;
        let (number, after) = rest.split_at(digits);
        let (factor, unit) = match after.as_bytes() {
            [b's', ..] => (1, 1),
            [b'm', next, ..] if next.is_ascii_alphabetic() => return Err(format!("{text:?} {FORM}")),
            [b'm', ..] => (60, 1),
            [b'h', ..] => (3600, 1),
            [b'd', ..] => (86400, 1),
            _ => return Err(format!("{text:?} {FORM}")),
        };
        let number: u64 = number.parse().map_err(|_| format!("{text:?} {FORM}"))?;
        total = number.checked_mul(factor).and_then(|part| total.checked_add(part)).ok_or_else(|| format!("{text:?} is too long"))?;
        rest = &after[unit..];
    }
    if text.is_empty() { Err(format!("{text:?} {FORM}")) } else { Ok(total) }
}

/// Bytes: `1048576`, `512KiB`, `1MiB`, `1GiB`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim_start() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(format!("{text:?} is no size: write 1048576, \"512KiB\" or \"1MiB\"")),
    };
    let number: u64 = number.parse().map_err(|_| format!("{text:?} is no size: write 1048576, \"512KiB\" or \"1MiB\""))?;
    number.checked_mul(factor).ok_or_else(|| format!("{text:?} is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_time_are_read_in_both_spellings() {
        for (text, expected) in
            [("90", Some(90)), ("90s", Some(90)), ("15m", Some(900)), ("1h30m", Some(5400)), ("2d", Some(172_800)), ("0", Some(0))]
        {
            assert_eq!(seconds(text).ok(), expected, "{text}");
        }
        for bad in ["", "m", "500ms", "1x", "-5", "1.5h", "15 m", "1h30", "99999999999999999999d"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_binary() {
        assert_eq!(bytes("1MiB"), Ok(1_048_576));
        assert_eq!(bytes("512 KiB"), Ok(524_288));
        assert_eq!(bytes("77"), Ok(77));
        for bad in ["", "MiB", "1MB", "1.5MiB", "-1", "99999999999GiB"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_grpc_url_is_a_scheme_a_host_and_a_port() {
        let parsed = |text| GrpcUrl::parse(text).map(|url| (url.authority, url.transport)).ok();
        assert_eq!(parsed("https://cp.example.com"), Some(("cp.example.com:443".into(), Transport::Tls)));
        assert_eq!(parsed("http://127.0.0.1:50051/"), Some(("127.0.0.1:50051".into(), Transport::Plain)));
        assert_eq!(parsed("https://[::1]:7"), Some(("[::1]:7".into(), Transport::Tls)));
        for bad in ["cp.example.com:443", "grpc://x:1", "https://", "https://a/b", "https://u@h:1", "https://h:0", "https://::1"] {
            assert!(GrpcUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_a_unix_socket_is_an_engine() {
        assert_eq!(docker_socket("unix:///run/docker.sock"), Ok("/run/docker.sock".into()));
        assert_eq!(docker_socket("/run/docker.sock"), Ok("/run/docker.sock".into()));
        for bad in ["tcp://10.0.0.1:2375", "ssh://host", "unix://docker.sock", "docker.sock"] {
            assert!(docker_socket(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_topic_name_is_checked_before_the_broker_sees_it() {
        let agent = AgentId::new("edge-7").unwrap();
        assert_eq!(TopicTemplate::topic("runner.events.{agent_id}").map(|topic| topic.of(&agent)), Ok("runner.events.edge-7".into()));
        for bad in ["a b", "runner/{agent_id}", "{agent}", "..", &"x".repeat(250)] {
            assert!(TopicTemplate::topic(bad).is_err(), "{bad}");
        }
        assert!(TopicTemplate::group("team:agents/{agent_id}").is_ok());
        assert!(TopicTemplate::group("{agent}").is_err());
    }
}

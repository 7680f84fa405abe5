//! Names and ids as types, so that one cannot be handed over for another.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// A name that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {value:?} {problem}")]
pub struct InvalidId {
    what: &'static str,
    value: String,
    problem: &'static str,
}

/// The longest name accepted for an agent, a project or a stack, in bytes: Kafka allows 249 for a
/// whole topic name, of which `runner.commands.` and `.dlq` take 20; Swarm allows 63 for a service.
const MAX_NAME_BYTES: usize = 200;

/// The id of a command, unique per command for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommandId(pub Uuid);

/// The id of an event: the same for the same command and stage, however often it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(pub Uuid);

impl CommandId {
    /// Reads a UUID in any of its usual spellings.
    ///
    /// # Errors
    /// When the text is no UUID.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        Uuid::try_parse(text).map(Self).map_err(|_| InvalidId { what: "command_id", value: clipped(text), problem: "is not a UUID" })
    }
}

macro_rules! shown_as_inner {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}
shown_as_inner!(CommandId, EventId, AgentId, ProjectId, StackName);

/// Who this agent is, to the control plane and in its topics.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AgentId(String);

/// The project that owns stacks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProjectId(String);

/// The name of a stack: the namespace label of everything it owns in the swarm.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StackName(String);

macro_rules! text_id {
    ($name:ident, $what:literal, $check:expr) => {
        impl $name {
            /// Checks the text.
            ///
            /// # Errors
            /// When it is empty, too long or has characters that its wire does not allow.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text: String = text.into();
                let check: fn(&str) -> Option<&'static str> = $check;
                match length_problem(&text).or_else(|| check(&text)) {
                    Some(problem) => Err(InvalidId { what: $what, value: clipped(&text), problem }),
                    None => Ok(Self(text)),
                }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

// Kafka: "legal characters are ASCII alphanumerics, '.', '_' and '-'" (org.apache.kafka.common.internals.Topic).
text_id!(AgentId, "agent id", |text| {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (!text.chars().all(legal)).then_some("may hold only letters, digits, '.', '_' and '-' (it is part of a topic name)")
});
text_id!(ProjectId, "project_id", |text| { text.chars().any(char::is_control).then_some("has a control character") });
// docker stack deploy refuses only names that are empty once blanks and quotes are trimmed
// (docker/cli, cli/command/stack/common.go); the manager refuses the service names it cannot use.
text_id!(StackName, "stack_name", |text| {
    let trimmed = text.trim_matches(|c: char| c.is_whitespace() || c == '\'' || c == '"');
    if trimmed.is_empty() {
        Some("is empty once blanks and quotes are trimmed")
    } else {
        text.chars().any(char::is_control).then_some("has a control character")
    }
});

impl ProjectId {
    /// In whose name somebody on this host acts on what nobody owns.
    #[must_use]
    pub fn local() -> Self {
        Self("local".to_owned())
    }
}

impl StackName {
    /// The stack of a project that names none: `axion-{project_id}`.
    ///
    /// # Errors
    /// When the project's name leaves no room for the prefix.
    pub fn of_project(project: &ProjectId) -> Result<Self, InvalidId> {
        Self::new(format!("axion-{project}"))
    }

    /// The Swarm name of one of its objects: `{stack}_{key}`.
    #[must_use]
    pub fn scoped(&self, key: &str) -> String {
        format!("{}_{key}", self.0)
    }

    /// The Compose key of one of its objects: the name without `{stack}_`, or the whole name.
    #[must_use]
    pub fn descoped<'a>(&self, name: &'a str) -> &'a str {
        name.strip_prefix(self.as_str()).and_then(|rest| rest.strip_prefix('_')).unwrap_or(name)
    }
}

fn length_problem(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        Some("is empty")
    } else if text.len() > MAX_NAME_BYTES {
        Some("is longer than 200 bytes")
    } else {
        None
    }
}

/// Enough of a bad value to recognise it in an error.
fn clipped(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_id_must_fit_into_a_topic_name() {
        assert!(AgentId::new("edge-7.eu_west").is_ok());
        for bad in ["", "a b", "a/b", "ä", &"x".repeat(201)] {
            assert!(AgentId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_stack_name_is_as_free_as_the_cli_allows() {
        assert!(StackName::new("My Stack").is_ok());
        for bad in ["", "  ", "' \"", "a\nb"] {
            assert!(StackName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn scoping_adds_the_stack_and_descoping_strips_it_once() {
        let stack = StackName::new("st").unwrap();
        assert_eq!(stack.scoped("web"), "st_web");
        assert_eq!(stack.descoped("st_st_web"), "st_web");
        assert_eq!(stack.descoped("other_web"), "other_web");
    }
}

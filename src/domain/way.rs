//! By which way a command came, and who is owed its end.

use super::Position;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How a command came to the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Way {
    /// As a record of the command topic.
    Topic(Position),
    /// Handed to the agent itself.
    Direct(Direct),
}

/// By whom it was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direct {
    /// By the control plane, as an action of its session.
    Session,
    /// By somebody on this host, over the local socket.
    Local,
}

impl Direct {
    /// As logs and lists show it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Local => "local",
        }
    }
}

/// Somebody who reads terminal events and confirms them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reader {
    /// The broker of the event topic.
    Topic,
    /// The control plane, through its session.
    Session,
}

impl Way {
    /// The place of its record, if it has one.
    #[must_use]
    pub fn position(&self) -> Option<&Position> {
        match self {
            Self::Topic(position) => Some(position),
            Self::Direct(_) => None,
        }
    }

    /// As logs and lists show it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Topic(_) => "kafka",
            Self::Direct(direct) => direct.name(),
        }
    }

    /// Who is owed the end of a command that came this way: whoever sent it, and the event topic where there is one. A
    /// person on this host looks on or asks later: nothing is kept for them until they confirm it.
    #[must_use]
    pub fn readers(&self, has_topic: HasTopic) -> BTreeSet<Reader> {
        match (self, has_topic) {
            (Self::Topic(_), _) => BTreeSet::from([Reader::Topic]),
            (Self::Direct(Direct::Session), HasTopic::Yes) => BTreeSet::from([Reader::Topic, Reader::Session]),
            (Self::Direct(Direct::Session), HasTopic::No) => BTreeSet::from([Reader::Session]),
            (Self::Direct(Direct::Local), HasTopic::Yes) => BTreeSet::from([Reader::Topic]),
            (Self::Direct(Direct::Local), HasTopic::No) => BTreeSet::new(),
        }
    }
}

/// Whether this agent reports to an event topic at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HasTopic {
    /// Kafka is configured, reached or not.
    Yes,
    /// It is not.
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_of_an_earlier_version_is_a_way() {
        let position = Position { topic: "t".into(), partition: 1, offset: 7 };
        for way in [Way::Topic(position.clone()), Way::Direct(Direct::Session), Way::Direct(Direct::Local)] {
            let text = serde_json::to_string(&way).unwrap();
            assert_eq!(serde_json::from_str::<Way>(&text).unwrap(), way);
        }
        let earlier = serde_json::to_string(&Some(&position)).unwrap();
        assert_eq!(serde_json::from_str::<Way>(&earlier).unwrap(), Way::Topic(position));
    }
}

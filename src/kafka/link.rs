//! What is said of the link to the brokers: only changes, each with the reason and the mend.

use super::native::{Fault, Operation, TopicState, code};
use super::{Event, Side};
use crate::domain::LinkState;

/// The last word about one client's link.
pub(super) struct Link {
    side: Side,
    told: Option<LinkState>,
    brokers: String,
    /// The last trouble with a connection: the reason behind "all brokers are down".
    trouble: Option<String>,
}

impl Link {
    pub(super) fn new(side: Side, brokers: &[String]) -> Self {
        Self { side, told: None, brokers: brokers.join(", "), trouble: None }
    }

    pub(super) fn is_up(&self) -> bool {
        self.told == Some(LinkState::Up)
    }

    pub(super) fn up(&mut self) -> Option<Event> {
        self.trouble = None;
        self.tell(LinkState::Up)
    }

    /// The event, unless the same was said last.
    pub(super) fn down(&mut self, reason: String) -> Option<Event> {
        self.tell(LinkState::Down(reason))
    }

    /// A fault of a connection or of the client. While the link is up a lost connection says little: there
    /// are other brokers, and idle ones are closed; a question to them tells.
    pub(super) fn fault(&mut self, fault: &Fault) -> Option<Event> {
        match fault.code {
            code::AUTHENTICATION => self.down(format!(
                "the broker refuses the login ({fault}): check kafka.sasl_mechanism, kafka.sasl_username and kafka.sasl_password"
            )),
            code::SSL => self.down(format!(
                "TLS fails ({fault}): check kafka.security_protocol, kafka.ssl_ca_location and the client's certificate and key"
            )),
            code::ALL_BROKERS_DOWN => self.away(),
            _ => {
                self.trouble.get_or_insert_with(|| fault.text.clone());
                if self.told.is_none() { self.away() } else { None }
            }
        }
    }

    /// No broker answers.
    pub(super) fn away(&mut self) -> Option<Event> {
        // What is wrong with login or TLS is the better reason, and the brokers count as down by it.
        if matches!(&self.told, Some(LinkState::Down(reason)) if reason.starts_with("the broker refuses") || reason.starts_with("TLS")) {
            return None;
        }
        let trouble = self.trouble.as_ref().map(|trouble| format!(" ({trouble})")).unwrap_or_default();
        let reason = format!(
            "no broker answers at {}{trouble}: it is tried again every few seconds; check kafka.brokers if this stays",
            self.brokers
        );
        self.down(reason)
    }

    fn tell(&mut self, state: LinkState) -> Option<Event> {
        if self.told.as_ref() == Some(&state) {
            return None;
        }
        self.told = Some(state.clone());
        Some(Event::Link(self.side, state))
    }
}

/// The partitions of a topic that may be used for `operation`, or what is wrong and its mend.
pub(super) fn usable(topic: &str, states: &[TopicState], operation: Operation) -> Result<Vec<i32>, String> {
    let acl = match operation {
        Operation::Read => "Read",
        Operation::Write => "Write",
    };
    let denied = || format!("topic {topic} may not be used: grant this client's principal {acl} and Describe on it");
    let Some(state) = states.iter().find(|state| state.name == topic) else {
        return Err(format!("the broker says nothing of topic {topic}"));
    };
    match &state.partitions {
        Ok(_) if !state.allows(operation) => Err(denied()),
        Ok(partitions) if partitions.is_empty() => Err(missing(topic)),
        Ok(partitions) => Ok(partitions.clone()),
        Err(fault) => Err(match fault.code {
            code::UNKNOWN_TOPIC | code::UNKNOWN_TOPIC_LOCAL => missing(topic),
            code::TOPIC_AUTHORIZATION => denied(),
            _ => format!("topic {topic} cannot be used: {fault}"),
        }),
    }
}

fn missing(topic: &str) -> String {
    format!("topic {topic} does not exist: create it, with one partition; it is looked for every few seconds")
}

//! When to ask the brokers about the topics: at the start, after trouble, and on a slow timer.
//!
//! A topic that does not exist, or that the ACLs keep from us, is silent otherwise; and while no broker
//! answers, the open question is what notices the first one that does.

use super::METADATA_INTERVAL;
use super::native::{Client, Fault};
use crate::threads::Backoff;
use crossbeam_channel::{Receiver, at, never};
use std::time::{Duration, Instant};

/// How long a question stays open. Longer than a broker needs to come back into sight.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// After an answer that was not good.
const FIRST_RETRY: Duration = Duration::from_millis(500);
/// A topic that was just made, or an ACL that was just granted, is seen within this.
const LONGEST_RETRY: Duration = Duration::from_secs(5);

pub(super) struct Look {
    topics: Vec<String>,
    /// None while a question is open.
    next: Option<Instant>,
    backoff: Backoff,
}

impl Look {
    /// The first look is due at once.
    pub(super) fn new(topics: &[&str]) -> Self {
        let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        Self { topics, next: Some(Instant::now()), backoff: Backoff::new(FIRST_RETRY, LONGEST_RETRY) }
    }

    /// Has a message when it is time to ask.
    pub(super) fn due(&self) -> Receiver<Instant> {
        self.next.map_or_else(never, at)
    }

    pub(super) fn ask(&mut self, client: &Client) -> Result<(), Fault> {
        let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        self.next = None;
        client.ask_topics(&topics, ANSWER_TIMEOUT).inspect_err(|_| self.again_soon())
    }

    /// Something changed: ask now, unless a question is open.
    pub(super) fn hasten(&mut self) {
        if self.next.is_some() {
            self.next = Some(Instant::now());
        }
    }

    pub(super) fn all_is_well(&mut self) {
        self.backoff.reset();
        self.next = Some(Instant::now() + METADATA_INTERVAL);
    }

    pub(super) fn again_soon(&mut self) {
        self.next = Some(Instant::now() + self.backoff.next());
    }
}

//! The way to one of the producer's two topics: whether it is open, and what is said of it. Events and dead
//! letters have one each, so a topic that is missing holds up only what is for it.

use super::Event;
use super::link::{Link, usable};
use super::native::{Fault, Operation, TopicState, code};
use super::trouble::Trouble;
use crate::threads::Backoff;
use std::time::{Duration, Instant};

/// After a record that was not written.
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(10);

/// Whether the producer behind it has come so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    Ready,
    NotYet,
}

pub(super) struct Road {
    topic: String,
    /// What travels on it, for a person.
    cargo: &'static str,
    pub(super) link: Link,
    /// Nothing is sent before this.
    closed: Option<Instant>,
    /// What the last look at the topic said.
    usable: bool,
    partitions: Vec<i32>,
    /// Whether the producer may write at all: with transactions not before it has read back.
    readiness: Readiness,
    backoff: Backoff,
}

impl Road {
    pub(super) fn new(topic: &str, cargo: &'static str, link: Link, readiness: Readiness) -> Self {
        let backoff = Backoff::new(FIRST_RETRY, LONGEST_RETRY);
        Self { topic: topic.to_owned(), cargo, link, closed: None, usable: true, partitions: Vec::new(), readiness, backoff }
    }

    /// Another client goes this way: nothing is known of it.
    pub(super) fn renew(&mut self, link: Link) {
        self.link = link;
        self.closed = None;
        self.usable = true;
        self.backoff.reset();
    }

    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    pub(super) fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    pub(super) fn is_usable(&self) -> bool {
        self.usable
    }

    /// The topic's partitions, once they were seen.
    pub(super) fn partitions(&self) -> &[i32] {
        &self.partitions
    }

    /// The producer has come so far that it may write.
    pub(super) fn ready(&mut self) -> Option<Event> {
        self.readiness = Readiness::Ready;
        if self.usable && self.is_open() { self.link.up() } else { None }
    }

    /// It has to begin anew.
    pub(super) fn not_ready(&mut self) {
        self.readiness = Readiness::NotYet;
    }

    pub(super) fn closed_until(&self) -> Option<Instant> {
        self.closed
    }

    /// Opens it if its time has come.
    pub(super) fn open(&mut self, now: Instant) {
        self.closed = self.closed.filter(|until| *until > now);
    }

    /// A record is on the broker.
    pub(super) fn written(&mut self) -> Option<Event> {
        if !self.is_open() {
            return None;
        }
        self.backoff.reset();
        self.usable = true;
        self.link.up()
    }

    /// Nothing is sent for a while; for how many times in a row.
    pub(super) fn hold(&mut self) -> u32 {
        if self.is_open() {
            self.closed = Some(Instant::now() + self.backoff.next());
        }
        self.backoff.attempts()
    }

    /// A record was not written, but may be later.
    pub(super) fn refused(&mut self, fault: &Fault) -> Option<Event> {
        self.hold();
        self.link.down(match fault.code {
            code::TOPIC_AUTHORIZATION => Trouble::topic_denied(&self.topic, "Write"),
            code::UNKNOWN_TOPIC | code::UNKNOWN_TOPIC_LOCAL => Trouble::topic_missing(&self.topic),
            _ => Trouble::not_written(self.cargo, fault),
        })
    }

    /// What the brokers say of the topic. While records fail, their reason stands until one is written.
    pub(super) fn seen(&mut self, states: &[TopicState]) -> Option<Event> {
        match usable(&self.topic, states, Operation::Write) {
            Ok(partitions) => {
                self.usable = true;
                self.partitions = partitions;
                if self.is_open() && self.readiness == Readiness::Ready { self.link.up() } else { None }
            }
            Err(trouble) => {
                self.usable = false;
                self.link.down(trouble)
            }
        }
    }
}

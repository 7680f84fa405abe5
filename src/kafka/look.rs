//! When to ask the brokers about the topics: at the start, after trouble, and on a slow timer.
//!
//! A topic that does not exist, or that the ACLs keep from us, is silent otherwise. And an open question is
//! what shows that no broker answers, and what notices the first one that does again.

use super::METADATA_INTERVAL;
use super::native::{Client, Fault};
use crate::threads::Backoff;
use crossbeam_channel::{Receiver, at, never};
use std::time::{Duration, Instant};

/// How long a question stays open: it is answered as soon as a broker is back.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// librdkafka puts the question to the controller. When that one is away, or the cluster names one that
/// cannot be reached (as the mock cluster does), any other broker will do: it is looked for after this.
const CONTROLLER_GRACE: Duration = Duration::from_millis(500);
/// How long to look for it: the one wait in here that a stop does not end, so it is short.
const PEEK: Duration = Duration::from_millis(100);
/// A question that is open for longer means that no broker answers.
const OVERDUE: Duration = Duration::from_secs(3);
/// After an answer that was not good.
const FIRST_RETRY: Duration = Duration::from_millis(500);
/// A topic that was just made, or an ACL that was just granted, is seen within this.
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// Whether a question or an answer still matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// All in time.
    Open,
    /// No broker has answered for so long that none seems to be there.
    Overdue,
}

#[derive(Debug)]
enum State {
    /// To be asked then.
    Waiting(Instant),
    /// Asked then, of the controller.
    Asked(Instant),
    /// Asked then; another broker was looked for.
    AskedOther(Instant),
    /// Asked, and the link was told to be down.
    Late,
}

pub(super) struct Look {
    topics: Vec<String>,
    state: State,
    /// Counts the questions: an answer to an older one is none.
    number: usize,
    /// Who is asked in place of the controller.
    broker: Option<i32>,
    backoff: Backoff,
}

impl Look {
    /// The first look is due at once.
    pub(super) fn new(topics: &[&str]) -> Self {
        let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        let backoff = Backoff::new(FIRST_RETRY, LONGEST_RETRY);
        Self { topics, state: State::Waiting(Instant::now()), number: 0, broker: None, backoff }
    }

    /// Has a message when [`Self::go_on`] is to be called.
    pub(super) fn due(&self) -> Receiver<Instant> {
        match self.state {
            State::Waiting(then) => at(then),
            State::Asked(since) => at(since + CONTROLLER_GRACE),
            State::AskedOther(since) => at(since + OVERDUE),
            State::Late => never(),
        }
    }

    /// Asks, or does what an open question needs.
    pub(super) fn go_on(&mut self, client: &Client) -> Result<Standing, Fault> {
        match self.state {
            State::Waiting(_) => {
                self.state = State::Asked(Instant::now());
                self.ask(client)?;
            }
            State::Asked(since) => {
                self.state = State::AskedOther(since);
                if let Some(broker) = client.answering_broker(PEEK) {
                    self.broker = Some(broker);
                    self.ask(client)?;
                }
            }
            State::AskedOther(_) | State::Late => {
                self.state = State::Late;
                return Ok(Standing::Overdue);
            }
        }
        Ok(Standing::Open)
    }

    fn ask(&mut self, client: &Client) -> Result<(), Fault> {
        let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        self.number += 1;
        client.ask_topics(&topics, self.broker, ANSWER_TIMEOUT, self.number)
    }

    /// Whether the answer with this number is the one that is waited for.
    pub(super) fn is_current(&self, number: usize) -> bool {
        number == self.number
    }

    /// Something changed: ask now, unless a question is open.
    pub(super) fn hasten(&mut self) {
        if let State::Waiting(_) = self.state {
            self.state = State::Waiting(Instant::now());
        }
    }

    pub(super) fn all_is_well(&mut self) {
        self.backoff.reset();
        self.state = State::Waiting(Instant::now() + METADATA_INTERVAL);
    }

    pub(super) fn again_soon(&mut self) {
        self.state = State::Waiting(Instant::now() + self.backoff.next());
    }

    /// The question as such failed: next time the controller is asked again.
    pub(super) fn failed(&mut self) {
        self.broker = None;
        self.again_soon();
    }
}

#[cfg(test)]
mod tests {
    use super::super::native::{Client, Kind};
    use super::super::settings::{config, tests::settings};
    use super::*;

    #[test]
    fn a_question_that_nobody_answers_becomes_overdue() {
        let client = Client::new(Kind::Producer, config(Kind::Producer, &settings()).unwrap()).unwrap();
        let mut look = Look::new(&["t"]);
        let started = Instant::now();
        let mut turns = 0;
        while look.go_on(&client).unwrap() == Standing::Open {
            turns += 1;
            look.due().recv_timeout(2 * OVERDUE).unwrap();
        }
        assert_eq!(turns, 2, "asked, and another broker looked for");
        assert!(started.elapsed() >= OVERDUE);
        assert!(look.is_current(1) && !look.is_current(0));
        look.failed();
        assert!(look.due().recv_timeout(2 * FIRST_RETRY).is_ok());
    }
}

//! When to ask the brokers about the topics: at the start, after trouble, and on a slow timer.
//!
//! A topic that does not exist, or that the ACLs keep from us, is silent otherwise. After trouble a look
//! first finds a broker that answers, and then asks that one: a question must not stay open while no broker
//! is there, since librdkafka (2.12) then connects again and again without any back-off; and its own choice,
//! the controller, may be the one that is away, or cannot be reached (as in the mock cluster).

use super::METADATA_INTERVAL;
use super::native::{Client, Fault, Sought};
use crate::threads::Backoff;
use crossbeam_channel::{Receiver, at, never};
use log::Level;
use std::time::{Duration, Instant};

/// How long a question stays open. A broker answers the requests of one connection in turn, so it may have
/// to wait for the end of a long poll (`fetch.wait.max.ms`).
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to look for a broker: the one wait in this room that a stop does not end, so it is short.
const SEEK: Duration = Duration::from_millis(100);
/// One that is connected but does not answer at once is asked again with this much time: its answer waits
/// for the end of a long poll (`fetch.wait.max.ms`), then for a slow line.
const SLOW_SEEK: Duration = Duration::from_millis(1500);
const LONGEST_SEEK: Duration = Duration::from_secs(4);
/// No broker for this long means that none is there: a connection with TLS takes a part of it.
const PATIENCE: Duration = Duration::from_secs(2);
/// After so long without a broker another client looks for one. Brokers may just be away; but librdkafka (2.12) can lose them for good:
/// one that is starting may answer with a list of no brokers, all are given up then, and the return to `bootstrap.servers` that
/// follows is called off by the end of the same answer (`rd_kafka_rebootstrap_tmr_stop`). No setting mends that.
const FIRST_DESPAIR: Duration = Duration::from_secs(10);
/// The next client is given twice the time, up to this: one client in two minutes costs next to nothing where brokers are away
/// for days, and a broker that is back must not be missed for longer.
const LONGEST_DESPAIR: Duration = Duration::from_secs(120);
/// After a look that found nothing good.
const FIRST_RETRY: Duration = Duration::from_millis(250);
/// A broker that is back, a topic that was just made, an ACL that was just granted, is seen within this.
const LONGEST_RETRY: Duration = Duration::from_secs(3);

/// What a look has come to so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// The answer will come, or the next look.
    Unclear,
    /// No broker has answered for some time.
    Away,
    /// For so long that another client should look for one: see [`Look::of_the_next`].
    Despair,
}

pub(super) struct Look {
    topics: Vec<String>,
    /// None while a question is open.
    next: Option<Instant>,
    /// Who answered last, unless there was trouble since.
    broker: Option<i32>,
    /// Counts the questions: an answer to an older one is none.
    number: usize,
    seek: Duration,
    /// Since when no broker was found.
    lost: Option<Instant>,
    /// How long that may go on.
    despair: Duration,
    backoff: Backoff,
}

impl Look {
    /// The first look is due at once.
    pub(super) fn new(topics: &[&str]) -> Self {
        let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        let backoff = Backoff::new(FIRST_RETRY, LONGEST_RETRY);
        Self { topics, next: Some(Instant::now()), broker: None, number: 0, seek: SEEK, lost: None, despair: FIRST_DESPAIR, backoff }
    }

    /// That of the client which follows because this one found nobody. `who` it is stands in the log once for each outage, however many follow.
    pub(super) fn of_the_next(&self, who: &str) -> Self {
        let level = if self.despair == FIRST_DESPAIR { Level::Info } else { Level::Debug };
        log::log!(level, "{who}: no broker was found for {} s, another client looks for one", self.despair.as_secs());
        let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        Self { despair: (self.despair * 2).min(LONGEST_DESPAIR), ..Self::new(&topics) }
    }

    /// Has a message when it is time to look.
    pub(super) fn due(&self) -> Receiver<Instant> {
        self.next.map_or_else(never, at)
    }

    /// Asks the broker that answered last, or finds one first.
    pub(super) fn look(&mut self, client: &Client) -> Result<Sight, Fault> {
        let sought = self.broker.map_or_else(|| client.seek_broker(self.seek), Sought::Found);
        match sought {
            Sought::Found(broker) => {
                self.seek = SEEK;
                self.lost = None;
                self.next = None;
                self.number += 1;
                self.broker = Some(broker);
                let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
                client.ask_topics(&topics, broker, ANSWER_TIMEOUT, self.number)?;
                return Ok(Sight::Unclear);
            }
            Sought::Slow if self.seek < LONGEST_SEEK => {
                self.seek = (self.seek * 2).clamp(SLOW_SEEK, LONGEST_SEEK);
                self.next = Some(Instant::now());
            }
            Sought::Slow | Sought::Nobody => {
                self.seek = SEEK;
                self.again_soon();
            }
        }
        let lost = *self.lost.get_or_insert_with(Instant::now);
        Ok(match lost.elapsed() {
            span if span > self.despair => Sight::Despair,
            span if span > PATIENCE => Sight::Away,
            _ => Sight::Unclear,
        })
    }

    /// Whether the answer with this number is the one that is waited for.
    pub(super) fn is_current(&self, number: usize) -> bool {
        number == self.number
    }

    /// Something changed: look now, unless a question is open or the next look is near anyway.
    pub(super) fn hasten(&mut self) {
        self.broker = None;
        if self.next.is_some() && self.backoff.attempts() == 0 {
            self.again_soon();
        }
    }

    pub(super) fn all_is_well(&mut self) {
        self.backoff.reset();
        self.despair = FIRST_DESPAIR;
        self.next = Some(Instant::now() + METADATA_INTERVAL);
    }

    /// The question had no answer.
    pub(super) fn failed(&mut self) {
        self.broker = None;
        self.again_soon();
    }

    pub(super) fn again_soon(&mut self) {
        self.next = Some(Instant::now() + self.backoff.next());
    }
}

#[cfg(test)]
mod tests {
    use super::super::native::{Client, Kind};
    use super::super::settings::{config, tests::settings};
    use super::*;

    #[test]
    fn a_broker_that_is_not_found_for_a_while_is_away() {
        let client = Client::new(Kind::Producer, config(Kind::Producer, &settings()).unwrap()).unwrap();
        let mut look = Look::new(&["t"]);
        let started = Instant::now();
        while look.look(&client).unwrap() == Sight::Unclear {
            look.due().recv_timeout(2 * LONGEST_RETRY).unwrap();
        }
        assert!((PATIENCE..3 * PATIENCE).contains(&started.elapsed()), "{:?}", started.elapsed());
        look.despair = PATIENCE;
        look.due().recv_timeout(2 * LONGEST_RETRY).unwrap();
        assert_eq!(look.look(&client).unwrap(), Sight::Despair);
        let next = look.of_the_next("producer");
        assert_eq!((next.despair, next.lost), (2 * PATIENCE, None));
        assert!(look.is_current(0) && !look.is_current(1), "nobody was asked");
        look.all_is_well();
        look.hasten();
        assert!(look.due().recv_timeout(2 * FIRST_RETRY).is_ok());
    }
}

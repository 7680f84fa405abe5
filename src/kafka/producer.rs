//! The thread `kafka-producer`: events and dead letters out.
//!
//! What the coordinator hands over is kept until a broker confirms it; then the coordinator hears of it.
//! A broker that is away, a topic that is missing, an ACL that is not granted: all may be mended, so
//! such a record is tried for ever and the link says what is wrong. Only a record that no broker will ever
//! take is given back. A client that broke is replaced, and what it had not confirmed is written again.
//! It decides nothing about an event.

use super::link::{Link, usable};
use super::look::{Look, Sight};
use super::native::{Client, Delivery, Fault, Happening, Kind, Operation, TopicState, code};
use super::outbox::{Destination, Kept, Outbox};
use super::settings::{StartError, config, unusable};
use super::teller::{Stopped, Teller};
use super::wire::{write_dead_letter, write_event};
use super::{DeadLetter, Event, Request, Settings, Side, TURN};
use crate::threads::{Backoff, Deadline, Exit, Stop, StopSource, Thread, ThreadName, alive_by, at_rest, spawn, stop_pair};
use crossbeam_channel::{Receiver, Sender, at, bounded, never, select_biased};
use std::convert::Infallible;
use std::time::{Duration, Instant};

const NAME: ThreadName = ThreadName::new("kafka-producer");
/// Requests on their way: a burst of a deploy's progress. When it is full the coordinator decides what is shed.
const REQUESTS: usize = 256;
/// After the stop: a broker that answers confirms in milliseconds; the journal keeps the rest.
const FLUSH: Duration = Duration::from_millis(1500);
/// After a delivery that failed, or a client that broke.
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(10);

/// The running producer.
#[derive(Debug)]
pub struct Producer {
    /// Dropping it is the stop.
    pub stop: StopSource,
    /// The thread.
    pub thread: Thread,
    /// What is to be written.
    pub requests: Sender<Request>,
}

impl Producer {
    /// Starts the thread; it connects by itself.
    ///
    /// # Errors
    /// When a setting is wrong or there is no further thread; never because a broker is away.
    pub fn start(settings: &Settings, events: Sender<Event>, exits: Sender<Exit>) -> Result<Self, StartError> {
        Self::over(connect(settings)?, settings, events, exits)
    }

    pub(super) fn over(client: Client, settings: &Settings, events: Sender<Event>, exits: Sender<Exit>) -> Result<Self, StartError> {
        let (stop, stopped) = stop_pair();
        let (requests, inbox) = bounded(REQUESTS);
        let output = Output {
            client,
            outbox: Outbox::default(),
            link: Link::new(Side::Producer, &settings.brokers),
            look: Look::new(&[&settings.event_topic, &settings.dead_letter_topic]),
            pause: None,
            backoff: Backoff::new(FIRST_RETRY, LONGEST_RETRY),
            settings: settings.clone(),
            requests: inbox,
            teller: Teller::new(events, stopped.clone()),
            stop: stopped,
        };
        let thread = spawn(NAME, exits, move || {
            output.run();
            Ok::<(), Infallible>(())
        })
        .map_err(|error| StartError::Thread(error.to_string()))?;
        Ok(Self { stop, thread, requests })
    }
}

pub(super) fn connect(settings: &Settings) -> Result<Client, StartError> {
    Client::new(Kind::Producer, config(Kind::Producer, settings)?).map_err(unusable)
}

/// Why nothing is sent for a while, and until when.
#[derive(Debug, Clone, Copy)]
enum Pause {
    /// A record was not written.
    Retry(Instant),
    /// The client is of no use any more.
    Renew(Instant),
}

struct Output {
    settings: Settings,
    client: Client,
    outbox: Outbox,
    link: Link,
    look: Look,
    pause: Option<Pause>,
    backoff: Backoff,
    stop: Stop,
    requests: Receiver<Request>,
    teller: Teller,
}

impl Output {
    fn run(mut self) {
        let Err(Stopped) = self.work();
        self.flush();
    }

    fn work(&mut self) -> Result<Infallible, Stopped> {
        loop {
            alive_by(Deadline::after(TURN));
            while let Some(happening) = self.client.next() {
                self.handle(happening)?;
            }
            self.send()?;
            // What must be written again goes first: nothing overtakes it.
            let closed = never();
            let requests = if self.pause.is_none() && self.outbox.has_room() { &self.requests } else { &closed };
            let pause = match self.pause {
                Some(Pause::Retry(until) | Pause::Renew(until)) => at(until),
                None => never(),
            };
            at_rest();
            select_biased! {
                recv(self.stop.receiver()) -> _ => return Err(Stopped),
                recv(self.client.woken()) -> _ => {},
                recv(pause) -> _ => self.resume()?,
                recv(requests) -> request => match request {
                    Ok(request) => self.accept(request)?,
                    Err(_) => self.requests = never(),
                },
                recv(self.look.due()) -> _ => self.look()?,
            }
        }
    }

    fn look(&mut self) -> Result<(), Stopped> {
        match self.look.look(&self.client) {
            Ok(Sight::Unclear) => Ok(()),
            Ok(Sight::Away) => {
                let down = self.link.away();
                self.teller.tell_some(down)
            }
            Err(fault) => self.on_topics(Err(fault)),
        }
    }

    fn accept(&mut self, request: Request) -> Result<(), Stopped> {
        let kept = match request {
            Request::Publish(receipt, event) => match write_event(&event) {
                Ok(record) => Kept { receipt, destination: Destination::Events, record },
                Err(error) => {
                    return self.teller.tell(Event::Undeliverable(receipt, format!("the event cannot be written as JSON: {error}")));
                }
            },
            Request::Bury(receipt, letter) => Kept { receipt, destination: Destination::DeadLetters, record: write_dead_letter(&letter) },
        };
        self.outbox.add(kept);
        Ok(())
    }

    /// Hands to the client what it does not have yet.
    fn send(&mut self) -> Result<(), Stopped> {
        while self.pause.is_none()
            && let Some((number, kept)) = self.outbox.next_unsent()
        {
            let topic = match kept.destination {
                Destination::Events => &self.settings.event_topic,
                Destination::DeadLetters => &self.settings.dead_letter_topic,
            };
            let record = &kept.record;
            let taken = self.client.produce(topic, record.key.as_deref(), &record.value, &record.headers, number);
            self.outbox.sent(number);
            if let Err(fault) = taken {
                self.on_unwritten(number, &fault)?;
            }
        }
        Ok(())
    }

    fn handle(&mut self, happening: Happening) -> Result<(), Stopped> {
        match happening {
            Happening::Delivered(deliveries) => deliveries.into_iter().try_for_each(|delivery| self.on_delivery(&delivery)),
            Happening::Topics(number, _) if !self.look.is_current(number) => Ok(()),
            Happening::Topics(_, answer) => self.on_topics(answer),
            Happening::Fault(fault) => self.on_fault(&fault),
            // These belong to a consumer.
            Happening::Message(_)
            | Happening::PartitionFault { .. }
            | Happening::Committed(_)
            | Happening::GroupOffsets(_)
            | Happening::Earliest(_) => Ok(()),
        }
    }

    fn on_delivery(&mut self, delivery: &Delivery) -> Result<(), Stopped> {
        match &delivery.result {
            Ok(()) => {
                let receipt = self.outbox.settle(delivery.receipt);
                if self.pause.is_none() {
                    self.backoff.reset();
                    let up = self.link.up();
                    self.teller.tell_some(up)?;
                }
                self.teller.tell_some(receipt.map(Event::Delivered))
            }
            Err(fault) => self.on_unwritten(delivery.receipt, fault),
        }
    }

    /// A record was not written: never, or not now?
    fn on_unwritten(&mut self, number: u64, fault: &Fault) -> Result<(), Stopped> {
        if is_too_large(fault) && self.shorten(number) {
            self.outbox.failed(number);
            return Ok(());
        }
        if is_for_good(fault) {
            let receipt = self.outbox.settle(number);
            return self.teller.tell_some(receipt.map(|receipt| Event::Undeliverable(receipt, fault.text.clone())));
        }
        self.outbox.failed(number);
        if let Some(fault) = self.client.fatal_error() {
            return self.on_broken(&fault);
        }
        if self.pause.is_none() {
            self.pause = Some(Pause::Retry(Instant::now() + self.backoff.next()));
            // It finds the words for a topic that is missing or not granted.
            self.look.hasten();
        }
        log::debug!("record {number} was not written: {fault}");
        let down =
            self.link.fault(fault).or_else(|| self.link.down(format!("events cannot be written ({fault}): they are kept and tried again")));
        self.teller.tell_some(down)
    }

    /// A dead letter that its topic finds too large is cut to what is always kept. Whether it was longer.
    fn shorten(&mut self, number: u64) -> bool {
        match self.outbox.get_mut(number) {
            Some(kept) if kept.destination == Destination::DeadLetters && kept.record.value.len() > DeadLetter::MAX_KEPT_BYTES => {
                kept.record.value.truncate(DeadLetter::MAX_KEPT_BYTES);
                true
            }
            _ => false,
        }
    }

    fn on_topics(&mut self, answer: Result<Vec<TopicState>, Fault>) -> Result<(), Stopped> {
        let states = match answer {
            Ok(states) => states,
            Err(fault) => {
                self.look.failed();
                let down = match fault.code {
                    code::TIMED_OUT | code::TRANSPORT => self.link.away(),
                    _ => self.link.fault(&fault).or_else(|| self.link.down(format!("the brokers do not answer as they should: {fault}"))),
                };
                return self.teller.tell_some(down);
            }
        };
        let topics = [&self.settings.event_topic, &self.settings.dead_letter_topic];
        let problem = topics.into_iter().find_map(|topic| usable(topic, &states, Operation::Write).err());
        let news = match problem {
            Some(reason) => {
                for topic in topics {
                    self.client.mention(topic);
                }
                self.look.again_soon();
                self.link.down(reason)
            }
            // While records fail, their reason stands until one is written.
            None if self.pause.is_some() => {
                self.look.again_soon();
                None
            }
            None => {
                self.look.all_is_well();
                self.link.up()
            }
        };
        self.teller.tell_some(news)
    }

    fn on_fault(&mut self, fault: &Fault) -> Result<(), Stopped> {
        log::debug!("producer: {fault}");
        if let Some(fault) = self.client.fatal_error() {
            return self.on_broken(&fault);
        }
        self.look.hasten();
        let down = self.link.fault(fault);
        self.teller.tell_some(down)
    }

    /// The client is of no use any more: another one takes over.
    fn on_broken(&mut self, fault: &Fault) -> Result<(), Stopped> {
        if !matches!(self.pause, Some(Pause::Renew(_))) {
            self.pause = Some(Pause::Renew(Instant::now() + self.backoff.next()));
        }
        let reason = if fault.code == code::CLUSTER_AUTHORIZATION {
            "the broker refuses an idempotent producer: grant this client's principal IdempotentWrite on the cluster".to_owned()
        } else {
            format!("the producer broke ({fault}): a new one takes over, nothing is lost")
        };
        let down = self.link.down(reason);
        self.teller.tell_some(down)
    }

    /// The pause is over.
    fn resume(&mut self) -> Result<(), Stopped> {
        if let Some(Pause::Renew(_)) = self.pause {
            match connect(&self.settings) {
                Ok(client) => {
                    self.client = client;
                    self.outbox.all_failed();
                    self.look = Look::new(&[&self.settings.event_topic, &self.settings.dead_letter_topic]);
                }
                // Such as a certificate's file that is being replaced.
                Err(error) => {
                    self.pause = Some(Pause::Renew(Instant::now() + self.backoff.next()));
                    let down = self.link.down(error.to_string());
                    return self.teller.tell_some(down);
                }
            }
        }
        self.pause = None;
        Ok(())
    }

    /// After the stop: what was handed over is still written if a broker answers, within a bound.
    fn flush(mut self) {
        let deadline = Deadline::after(FLUSH);
        while let Ok(request) = self.requests.try_recv() {
            if self.accept(request).is_err() {
                break;
            }
        }
        // The stop has come: from here `tell` gives up at once, so deliveries are reported with the deadline.
        let _stopped = self.send();
        while self.link.is_up() && !self.outbox.is_empty() && !deadline.has_passed() {
            select_biased! {
                recv(self.client.woken()) -> _ => {},
                recv(at(deadline.instant())) -> _ => break,
            }
            while let Some(happening) = self.client.next() {
                let Happening::Delivered(deliveries) = happening else { continue };
                for receipt in
                    deliveries.iter().filter(|delivery| delivery.result.is_ok()).filter_map(|delivery| self.outbox.settle(delivery.receipt))
                {
                    self.teller.tell_by(Event::Delivered(receipt), deadline);
                }
            }
        }
        if !self.outbox.is_empty() {
            log::warn!("left with {} records that no broker has confirmed: the journal keeps the events", self.outbox.len());
        }
    }
}

fn is_too_large(fault: &Fault) -> bool {
    matches!(fault.code, code::MESSAGE_TOO_LARGE | code::INVALID_MESSAGE_SIZE | code::RECORD_LIST_TOO_LARGE)
}

/// Whether no broker will ever take the record, whatever is mended. Everything else is tried for ever,
/// also a missing topic or permission: somebody can make or grant it.
fn is_for_good(fault: &Fault) -> bool {
    is_too_large(fault)
        || matches!(fault.code, code::INVALID_RECORD | code::INVALID_TIMESTAMP | code::POLICY_VIOLATION | code::BAD_ARGUMENT)
}

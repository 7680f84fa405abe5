//! The thread `kafka-producer`: events and dead letters out.
//!
//! What the coordinator hands over is kept until a broker confirms it; then the coordinator hears of it.
//! A broker that is away, a topic that is missing, an ACL that is not granted: all may be mended, so
//! such a record is tried for ever and the link says what is wrong. Only a record that no broker will ever
//! take is given back. A client that broke is replaced, and what it had not confirmed is written again.
//! It decides nothing about an event. With `kafka.events = "exactly-once"` it writes in transactions: `transactions.rs` decides, `transact.rs` acts.

#[cfg(test)]
pub(crate) mod dry;
mod transact;
mod transactions;

use crate::domain::Position;
use crate::kafka::files::Files;
use crate::kafka::link::{Link, usable};
use crate::kafka::look::{Look, Sight};
use crate::kafka::native::{Client, Delivery, Fault, Happening, Kind, Operation, TopicState, code};
use crate::kafka::outbox::{Destination, Kept, Outbox};
use crate::kafka::readback::ReadBack;
use crate::kafka::road::{Readiness, Road};
use crate::kafka::settings::{StartError, config, unusable};
use crate::kafka::teller::{Stopped, Teller};
use crate::kafka::trouble::{Trouble, TroubleCode};
use crate::kafka::wire::{write_dead_letter, write_event};
use crate::kafka::{DeadLetter, Event, EventMode, RENEWALS, Renewal, Request, Settings, Side, TURN};
use crate::threads::{Backoff, Deadline, Exit, Stop, StopSource, Thread, ThreadName, alive_by, at_rest, spawn, stop_pair};
use crossbeam_channel::{Receiver, Sender, at, bounded, never, select_biased};
use std::convert::Infallible;
use std::time::{Duration, Instant};
use transact::Transactor;

const NAME: ThreadName = ThreadName::new("kafka-producer");
/// Requests on their way: a burst of a deploy's progress. When it is full the coordinator decides what is shed.
const REQUESTS: usize = 256;
/// After the stop: a broker that answers confirms in milliseconds; the journal keeps the rest.
const FLUSH: Duration = Duration::from_millis(1500);
/// After a client that broke.
const FIRST_RENEWAL: Duration = Duration::from_millis(500);
const LONGEST_RENEWAL: Duration = Duration::from_secs(10);

/// The running producer.
#[derive(Debug)]
pub struct Producer {
    /// Dropping it is the stop.
    pub stop: StopSource,
    /// The thread.
    pub thread: Thread,
    /// What is to be written.
    pub requests: Sender<Request>,
    /// Clients that take the place of the one in use.
    pub renewals: Sender<Renewal>,
}

impl Producer {
    /// Starts the thread; it connects by itself. `known` are the places up to which the journal knows the topics.
    ///
    /// # Errors
    /// When a setting is wrong or there is no further thread; never because a broker is away.
    pub fn start(settings: &Settings, known: &[Position], events: Sender<Event>, exits: Sender<Exit>) -> Result<Self, StartError> {
        Self::over(connect(settings)?, settings, known, events, exits)
    }

    pub(super) fn over(
        client: Client,
        settings: &Settings,
        known: &[Position],
        events: Sender<Event>,
        exits: Sender<Exit>,
    ) -> Result<Self, StartError> {
        let (stop, stopped) = stop_pair();
        let (renewals, renewed) = bounded(RENEWALS);
        let (requests, inbox) = bounded(REQUESTS);
        let (transactor, readiness) = match settings.events {
            EventMode::AtLeastOnce => (None, Readiness::Ready),
            EventMode::ExactlyOnce => {
                let own = known.iter().filter(|position| position.topic == settings.event_topic);
                let known = own.map(|position| (position.partition, position.offset)).collect();
                (Some(Transactor::new(known)), Readiness::NotYet)
            }
        };
        let output = Output {
            client,
            outbox: Outbox::default(),
            events: Road::new(&settings.event_topic, "events", Link::new(Side::Producer, settings), readiness),
            letters: Road::new(&settings.dead_letter_topic, "dead letters", Link::new(Side::DeadLetters, settings), Readiness::Ready),
            transactor,
            look: Look::new(&[&settings.event_topic, &settings.dead_letter_topic]),
            files: Files::of(settings),
            renewal: None,
            backoff: Backoff::new(FIRST_RENEWAL, LONGEST_RENEWAL),
            settings: settings.clone(),
            requests: inbox,
            renewals: renewed,
            teller: Teller::new(events.clone(), events, stopped.clone()),
            stop: stopped,
        };
        let thread = spawn(NAME, exits, move || {
            output.run();
            Ok::<(), Infallible>(())
        })
        .map_err(|error| StartError::Thread(error.to_string()))?;
        Ok(Self { stop, thread, requests, renewals })
    }
}

pub(super) fn connect(settings: &Settings) -> Result<Client, StartError> {
    Client::new(Kind::Producer, config(Kind::Producer, settings)?).map_err(unusable)
}

struct Output {
    settings: Settings,
    client: Client,
    outbox: Outbox,
    events: Road,
    letters: Road,
    /// With exactly-once.
    transactor: Option<Transactor>,
    look: Look,
    files: Files,
    /// When a client that is of no use any more is replaced; until then nothing is sent.
    renewal: Option<Instant>,
    backoff: Backoff,
    stop: Stop,
    requests: Receiver<Request>,
    renewals: Receiver<Renewal>,
    teller: Teller,
}

const DESTINATIONS: [Destination; 2] = [Destination::Events, Destination::DeadLetters];

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
            let (closed, closed_words) = (never(), never());
            let requests = if self.events.is_open() && self.outbox.has_room() { &self.requests } else { &closed };
            let due = self.transactor.as_ref().and_then(Transactor::due);
            let pause = [self.renewal, self.events.closed_until(), self.letters.closed_until(), due].into_iter().flatten().min();
            let reading = self.transactor.as_ref().and_then(Transactor::reading).map_or(&closed_words, ReadBack::woken);
            at_rest();
            select_biased! {
                recv(self.stop.receiver()) -> _ => return Err(Stopped),
                recv(self.renewals) -> renewal => match renewal {
                    Ok(renewal) => self.renew(renewal),
                    Err(_) => self.renewals = never(),
                },
                recv(self.client.woken()) -> _ => {},
                recv(reading) -> _ => {},
                recv(pause.map_or_else(never, at)) -> now => self.resume(now.unwrap_or_else(|_| Instant::now()))?,
                recv(requests) -> request => match request {
                    Ok(request) => self.accept(request)?,
                    Err(_) => self.requests = never(),
                },
                recv(self.look.due()) -> _ => self.look()?,
            }
        }
    }

    /// The certificates are others by now, and another client is made of them: if the brokers do not let this one in, and
    /// in any case if one was issued, since the old one will soon be over.
    fn look(&mut self) -> Result<(), Stopped> {
        let up = self.events.link.is_up();
        if self.files.were_renewed() || !up && self.files.have_changed() {
            let files = Files::of(&self.settings);
            match connect(&self.settings) {
                Ok(client) => {
                    log::info!("producer: a file of its certificates has changed, another client takes over");
                    self.take(client, files);
                    return Ok(());
                }
                Err(error) if up => log::warn!("producer: a file of its certificates has changed and cannot be used: {error}"),
                Err(error) => {
                    self.look.again_soon();
                    return self.cannot_connect(&error);
                }
            }
        }
        match self.look.look(&self.client) {
            Ok(Sight::Unclear) => Ok(()),
            Ok(Sight::Away) => {
                let evidence = self.client.evidence();
                self.tell_both(|link| link.away(&evidence))
            }
            // Another follows anyway.
            Ok(Sight::Despair) if self.renewal.is_some() => Ok(()),
            Ok(Sight::Despair) => {
                let look = self.look.of_the_next("producer");
                self.replace_client()?;
                self.look = look;
                Ok(())
            }
            Err(fault) => self.on_topics(Err(fault)),
        }
    }

    /// What concerns the connection concerns both roads.
    fn tell_both(&mut self, news: impl Fn(&mut Link) -> Option<Event>) -> Result<(), Stopped> {
        let (events, letters) = (news(&mut self.events.link), news(&mut self.letters.link));
        self.teller.tell_some(events)?;
        self.teller.tell_some(letters)
    }

    fn road(&mut self, destination: Destination) -> &mut Road {
        match destination {
            Destination::Events => &mut self.events,
            Destination::DeadLetters => &mut self.letters,
        }
    }

    fn accept(&mut self, request: Request) -> Result<(), Stopped> {
        let kept = match request {
            Request::Publish(receipt, event) if self.transactor.as_mut().is_some_and(|transactor| transactor.is_written(event.id)) => {
                return self.teller.tell(Event::Delivered(receipt));
            }
            Request::Publish(receipt, event) => match write_event(&event) {
                Ok(record) => {
                    if let Some(transactor) = &mut self.transactor {
                        transactor.comes_again(event.id);
                    }
                    Kept { receipt, event: Some(event.id), terminal: event.terminal, destination: Destination::Events, record }
                }
                Err(error) => {
                    return self.teller.tell(Event::Undeliverable(receipt, format!("the event cannot be written as JSON: {error}")));
                }
            },
            Request::Bury(receipt, letter) => {
                Kept { receipt, event: None, terminal: false, destination: Destination::DeadLetters, record: write_dead_letter(&letter) }
            }
            Request::Mark(mark) => {
                let newest = self.outbox.newest();
                if let Some(transactor) = &mut self.transactor {
                    transactor.note(newest, mark);
                }
                return Ok(());
            }
        };
        self.outbox.add(kept);
        Ok(())
    }

    /// Hands to the client what it does not have yet.
    fn send(&mut self) -> Result<(), Stopped> {
        if self.transactor.is_some() {
            return self.transact();
        }
        for destination in DESTINATIONS {
            while let Some(number) = self.next_unsent(destination) {
                if let Err(fault) = self.produce(number) {
                    self.on_unwritten(number, &fault)?;
                }
            }
        }
        Ok(())
    }

    fn next_unsent(&self, destination: Destination) -> Option<u64> {
        if self.can_write(destination) { self.outbox.unsent(destination).next() } else { None }
    }

    fn can_write(&self, destination: Destination) -> bool {
        let road = match destination {
            Destination::Events => &self.events,
            Destination::DeadLetters => &self.letters,
        };
        self.renewal.is_none() && road.is_open() && (self.transactor.is_none() || road.is_usable())
    }

    fn produce(&mut self, number: u64) -> Result<(), Fault> {
        let Some(kept) = self.outbox.get(number) else { return Ok(()) };
        let (destination, record) = (kept.destination, &kept.record);
        let topic = match destination {
            Destination::Events => &self.settings.event_topic,
            Destination::DeadLetters => &self.settings.dead_letter_topic,
        };
        let taken = self.client.produce(topic, record.key.as_deref(), &record.value, &record.headers, number);
        self.outbox.sent(destination, number);
        taken
    }

    fn handle(&mut self, happening: Happening) -> Result<(), Stopped> {
        match happening {
            Happening::Delivered(deliveries) => deliveries.into_iter().try_for_each(|delivery| self.on_delivery(&delivery)),
            Happening::Topics(number, _) if !self.look.is_current(number) => Ok(()),
            Happening::Topics(_, answer) => self.on_topics(answer),
            Happening::Fault(fault) => self.on_fault(&fault),
            // These belong to a consumer.
            Happening::Message(_) | Happening::PartitionFault { .. } | Happening::Committed(_) | Happening::Earliest(_) => Ok(()),
        }
    }

    fn on_delivery(&mut self, delivery: &Delivery) -> Result<(), Stopped> {
        if self.transactor.is_some() {
            return self.on_batch_delivery(delivery);
        }
        let Err(fault) = &delivery.result else {
            self.backoff.reset();
            let road = self.outbox.destination(delivery.receipt).map(|destination| self.road(destination));
            let up = road.and_then(Road::written);
            self.teller.tell_some(up)?;
            let receipt = self.outbox.settle(delivery.receipt);
            return self.teller.tell_some(receipt.map(Event::Delivered));
        };
        self.on_unwritten(delivery.receipt, fault)
    }

    /// A record was not written: never, or not now?
    fn on_unwritten(&mut self, number: u64, fault: &Fault) -> Result<(), Stopped> {
        let Some(destination) = self.outbox.destination(number) else { return Ok(()) };
        // A dead letter that its topic finds too large is cut to what is always kept.
        if is_too_large(fault) && self.outbox.shorten_letter(number, DeadLetter::MAX_KEPT_BYTES) {
            self.outbox.failed(number);
            return Ok(());
        }
        if is_for_good(fault) {
            if let Some(transactor) = &mut self.transactor {
                transactor.given_back(number, &self.outbox);
            }
            let receipt = self.outbox.settle(number);
            return self.teller.tell_some(receipt.map(|receipt| Event::Undeliverable(receipt, fault.text.clone())));
        }
        self.outbox.failed(number);
        if let Some(fault) = self.client.fatal_error() {
            return self.on_broken(&fault);
        }
        log::debug!("record {number} was not written: {fault}");
        // It finds the words for a topic that is missing or not granted.
        self.look.hasten();
        let down = self.road(destination).refused(fault);
        self.teller.tell_some(down)
    }

    fn on_topics(&mut self, answer: Result<Vec<TopicState>, Fault>) -> Result<(), Stopped> {
        let states = match answer {
            Ok(states) => states,
            Err(fault) => {
                self.look.failed();
                let evidence = self.client.evidence();
                return self.tell_both(|link| link.bad_answer(&fault, &evidence));
            }
        };
        self.client.forget_evidence();
        let mut news = Vec::new();
        if self.transactor.is_some()
            && let Err(trouble) = usable(&self.settings.event_topic, &states, Operation::Read)
        {
            // Without it nobody could tell which transactions count.
            self.look.again_soon();
            return self.tell_both(|link| link.down(trouble.clone()));
        }
        for road in [&mut self.events, &mut self.letters] {
            news.extend(road.seen(&states));
            if !road.is_usable() {
                self.client.mention(road.topic());
            }
        }
        // While records fail, their reason stands until one is written.
        let well = |road: &Road| road.is_usable() && road.is_open();
        if well(&self.events) && well(&self.letters) {
            self.look.all_is_well();
        } else {
            self.look.again_soon();
        }
        news.into_iter().try_for_each(|event| self.teller.tell(event))
    }

    fn on_fault(&mut self, fault: &Fault) -> Result<(), Stopped> {
        log::debug!("producer: {fault}");
        if let Some(fault) = self.client.fatal_error() {
            return self.on_broken(&fault);
        }
        self.look.hasten();
        let evidence = self.client.evidence();
        self.tell_both(|link| link.fault(fault, &evidence))
    }

    /// The client is of no use any more: another one takes over.
    fn on_broken(&mut self, fault: &Fault) -> Result<(), Stopped> {
        if fault.code == code::FENCED && !self.transactor.as_ref().is_some_and(Transactor::is_overdue) {
            return self.on_fenced();
        }
        self.leave_client();
        let trouble = match fault.code {
            code::CLUSTER_AUTHORIZATION => Trouble::cluster_denied(),
            code::TRANSACTIONAL_ID_AUTHORIZATION => Trouble::transactions_denied(&self.settings.transactional_id),
            _ => Trouble::new(TroubleCode::UNEXPECTED, format!("the producer broke ({fault}): a new one takes over, nothing is lost")),
        };
        self.tell_both(|link| link.down(trouble.clone()))
    }

    /// Nothing more is asked of the client, and another one follows.
    fn leave_client(&mut self) {
        if self.renewal.is_none() {
            self.renewal = Some(Instant::now() + self.backoff.next());
        }
        if let Some(transactor) = &mut self.transactor {
            transactor.begin_anew();
            self.events.not_ready();
        }
    }

    /// A pause is over.
    fn resume(&mut self, now: Instant) -> Result<(), Stopped> {
        self.events.open(now);
        self.letters.open(now);
        if self.renewal.is_none_or(|due| due > now) { Ok(()) } else { self.replace_client() }
    }

    fn replace_client(&mut self) -> Result<(), Stopped> {
        let files = Files::of(&self.settings);
        match connect(&self.settings) {
            Ok(client) => {
                self.take(client, files);
                Ok(())
            }
            // Such as a certificate's file that is being replaced.
            Err(error) => self.cannot_connect(&error),
        }
    }

    /// In place of the one in use, with these files.
    fn take(&mut self, client: Client, files: Files) {
        self.events.renew(Link::new(Side::Producer, &self.settings));
        self.letters.renew(Link::new(Side::DeadLetters, &self.settings));
        self.go_on_with(client);
        self.files = files;
    }

    fn cannot_connect(&mut self, error: &StartError) -> Result<(), Stopped> {
        self.renewal = Some(Instant::now() + self.backoff.next());
        let trouble = error.trouble();
        self.tell_both(|link| link.down(trouble.clone()))
    }

    /// The configuration has changed.
    fn renew(&mut self, renewal: Renewal) {
        let files = Files::of(&renewal.settings);
        self.settings = renewal.settings;
        self.take(renewal.client, files);
    }

    /// What the old client has not confirmed is written again.
    fn go_on_with(&mut self, client: Client) {
        self.client = client;
        self.renewal = None;
        self.outbox.all_failed();
        if let Some(transactor) = &mut self.transactor {
            transactor.begin_anew();
            self.events.not_ready();
        }
        self.look = Look::new(&[&self.settings.event_topic, &self.settings.dead_letter_topic]);
    }

    /// After the stop: what was handed over is still written if a broker answers, within a bound.
    fn flush(mut self) {
        let deadline = Deadline::after(FLUSH);
        self.teller.outlast(deadline);
        while let Ok(request) = self.requests.try_recv() {
            if self.accept(request).is_err() {
                break;
            }
        }
        while self.send().is_ok() && self.is_worth_waiting() && !deadline.has_passed() {
            select_biased! {
                recv(self.client.woken()) -> _ => {},
                recv(at(deadline.instant())) -> _ => break,
            }
            while let Some(happening) = self.client.next() {
                let Happening::Delivered(deliveries) = happening else { continue };
                if deliveries.into_iter().try_for_each(|delivery| self.on_delivery(&delivery)).is_err() {
                    break;
                }
            }
        }
        let left: usize = DESTINATIONS.into_iter().map(|destination| self.outbox.len(destination)).sum();
        if left > 0 {
            log::warn!("left with {left} records that no broker has confirmed: the journal keeps the events");
        }
    }

    /// Whether a broker may still confirm something soon.
    fn is_worth_waiting(&self) -> bool {
        let may = |road: &Road, destination| road.link.is_up() && self.outbox.len(destination) > 0;
        may(&self.events, Destination::Events) || may(&self.letters, Destination::DeadLetters)
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

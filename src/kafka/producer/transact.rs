//! Exactly-once: the producer's records in transactions, one at a time, each with the mark that follows from it.
//!
//! A client first takes the transactional id over, which fences an older self and voids what that one left open.
//! Then the event topic is read back: what is there already is not written again. From here on a batch is
//! begun, written, and committed or aborted as a whole. Which call comes next is decided in `transactions.rs`; here
//! the calls are made. Those that wait for brokers wait in short slices, and a call whose outcome is open is made
//! again; where no call can bring the outcome any more, another client reads it from the topic.

use super::transactions::{Arrival, Consequence, Next, Transactions};
use super::{DESTINATIONS, LONGEST_RENEWAL, Output};
use crate::domain::{EventId, Position};
use crate::kafka::Event;
use crate::kafka::native::{Delivery, Fault, PartitionOffset, Remedy, Setback, code};
use crate::kafka::outbox::Outbox;
use crate::kafka::readback::{Progress, ReadBack};
use crate::kafka::teller::Stopped;
use crate::kafka::trouble::Trouble;
use crate::threads::{CrashPoint, crash_at};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long one call waits for the brokers before the stop is looked at again. A healthy commit takes some 20 ms.
const SLICE: Duration = Duration::from_millis(400);
/// Somebody else uses this identity: only the start of a process takes it over at once, so that two of them do
/// not fence each other for ever.
const FENCED: Duration = Duration::from_secs(600);
/// The wait after it varies by this.
const FENCED_SPREAD: Duration = Duration::from_secs(300);
/// A transaction without an outcome for this long is left to another client: that one voids what is open, its epoch shuts
/// out whatever of the old one is still on its way, and the topic says what became of it. A healthy transaction takes
/// some 50 ms, one whose broker is started again some seconds. Far below `transaction.timeout.ms`, at which
/// brokers void a transaction themselves, and fence us.
const OVERDUE: Duration = Duration::from_secs(20);
/// Ids that are told the coordinator at a time: each chunk is one write of the journal.
const ANSWERED: usize = 256;

/// The transactions, and what their calls wait for.
pub(super) struct Transactor {
    transactions: Transactions,
    /// The reading that is under way.
    reading: Option<Box<ReadBack>>,
    /// When a call whose time was too short is made again.
    again: Option<Instant>,
    /// When the newest transaction should long have an outcome.
    overdue: Option<Instant>,
}

/// Whether another step can be made at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    Go,
    Wait,
}

impl Transactor {
    /// At a start: these places of the event topic are known to the journal.
    pub(super) fn new(known: BTreeMap<i32, i64>) -> Self {
        Self { transactions: Transactions::new(known), reading: None, again: None, overdue: None }
    }

    /// A mark that follows from the record with this number and those before it.
    pub(super) fn note(&mut self, number: u64, mark: Position) {
        self.transactions.note(number, mark);
    }

    /// A record goes back to the coordinator: no broker will ever take it.
    pub(super) fn given_back(&mut self, number: u64, outbox: &Outbox) {
        self.transactions.given_back(number, outbox);
    }

    /// An event is handed over.
    pub(super) fn comes_again(&mut self, event: EventId) {
        self.transactions.comes_again(event);
    }

    /// Whether an event that is handed over is on the topic already.
    pub(super) fn is_written(&mut self, event: EventId) -> bool {
        self.transactions.is_written(event)
    }

    /// The reading that is under way.
    pub(super) fn reading(&self) -> Option<&ReadBack> {
        self.reading.as_deref()
    }

    /// When the next step is due, whatever happens.
    pub(super) fn due(&self) -> Option<Instant> {
        [self.again, self.overdue(), self.reading().map(ReadBack::give_up)].into_iter().flatten().min()
    }

    fn overdue(&self) -> Option<Instant> {
        self.overdue.filter(|_| self.transactions.is_open())
    }

    /// Whether a transaction should long have an outcome: brokers may have voided it and fenced us, and nobody else has.
    pub(super) fn is_overdue(&self) -> bool {
        self.overdue().is_some_and(|overdue| overdue <= Instant::now())
    }

    /// Another client begins at the beginning.
    pub(super) fn begin_anew(&mut self) {
        self.transactions.begin_anew();
        self.reading = None;
    }
}

impl Output {
    /// Makes steps until there is something to wait for.
    pub(super) fn transact(&mut self) -> Result<(), Stopped> {
        while self.renewal.is_none()
            && let Some(transactor) = &mut self.transactor
        {
            transactor.again = None;
            let pace = if transactor.is_overdue() {
                self.on_overdue()?
            } else {
                let next = transactor.transactions.next();
                self.step(next)?
            };
            if pace == Pace::Wait || self.stop.is_stopped() {
                break;
            }
        }
        Ok(())
    }

    fn step(&mut self, next: Next) -> Result<Pace, Stopped> {
        match next {
            Next::TakeOver => self.take_over(),
            Next::ReadBack => self.read_back(),
            Next::Begin => self.begin_batch(),
            Next::Await => Ok(Pace::Wait),
            Next::AddMarks(offsets) => self.add_marks(&offsets),
            Next::Commit => self.commit(),
            Next::Abort => self.abort(),
        }
    }

    fn take_over(&mut self) -> Result<Pace, Stopped> {
        // Only where the topic was seen: the call makes no sense before, and says less of what is wrong.
        if self.events.partitions().is_empty() {
            return Ok(Pace::Wait);
        }
        if let Err(setback) = self.client.init_transactions(SLICE) {
            return self.on_setback(setback);
        }
        crash_at(CrashPoint::TakenOver);
        let Some(transactor) = &mut self.transactor else { return Ok(Pace::Wait) };
        match ReadBack::begin(&self.settings, self.events.partitions(), transactor.transactions.taken_over()) {
            Ok(reading) => {
                transactor.reading = Some(Box::new(reading));
                Ok(Pace::Go)
            }
            Err(error) => {
                self.on_setback(Setback { fault: Fault::with_text(code::BAD_ARGUMENT, error.to_string()), remedy: Remedy::Renew })
            }
        }
    }

    fn read_back(&mut self) -> Result<Pace, Stopped> {
        let Some(transactor) = &mut self.transactor else { return Ok(Pace::Wait) };
        let Some(reading) = &mut transactor.reading else { return Ok(Pace::Wait) };
        match reading.next() {
            Progress::Waiting => Ok(Pace::Wait),
            Progress::Late => {
                self.on_late_reading()?;
                Ok(Pace::Wait)
            }
            Progress::Failed(fault) => {
                transactor.reading = None;
                self.on_setback(Setback { fault, remedy: Remedy::Renew })
            }
            Progress::Found(written) => {
                let receipt = transactor.transactions.found(written, &mut self.outbox);
                self.teller.tell_some(receipt.map(Event::Delivered))?;
                self.tell_answered(ANSWERED)?;
                Ok(Pace::Go)
            }
            Progress::Finished => {
                crash_at(CrashPoint::ReadBack);
                let places = reading.places().clone();
                transactor.reading = None;
                transactor.transactions.caught_up(&places);
                self.tell_answered(1)?;
                self.tell_reached(&places)?;
                self.teller.tell(Event::CaughtUp)?;
                self.backoff.reset();
                let up = self.events.ready();
                self.teller.tell_some(up)?;
                Ok(Pace::Go)
            }
        }
    }

    /// Another client begins anew. Where brokers answer, as the way to the dead letters shows, it is not for want of them.
    fn on_late_reading(&mut self) -> Result<(), Stopped> {
        let broker_answers = self.letters.link.is_up();
        log::info!("the event topic was not read to its end in time: another client reads it anew");
        self.leave_client();
        if !broker_answers {
            return Ok(());
        }
        let down = self.events.link.down(Trouble::topic_stuck(&self.settings.event_topic));
        self.teller.tell_some(down)
    }

    /// Tells the coordinator which commands have their end, and what was told beside, once there are so many.
    fn tell_answered(&mut self, enough: usize) -> Result<(), Stopped> {
        let answered = self.transactor.as_mut().and_then(|transactor| transactor.transactions.take_answered(enough));
        self.teller.tell_some(answered.map(Event::Answered))?;
        let told = self.transactor.as_mut().and_then(|transactor| transactor.transactions.take_told(enough));
        self.teller.tell_some(told.map(Event::Told))
    }

    /// The event topic is known up to here.
    fn tell_reached(&mut self, places: &BTreeMap<i32, i64>) -> Result<(), Stopped> {
        places.iter().try_for_each(|(&partition, &offset)| {
            self.teller.tell(Event::Reached(Position { topic: self.settings.event_topic.clone(), partition, offset }))
        })
    }

    fn begin_batch(&mut self) -> Result<Pace, Stopped> {
        let writable = DESTINATIONS.into_iter().filter(|&destination| self.can_write(destination));
        let numbers = Transactions::next_batch(&self.outbox, writable);
        if numbers.is_empty() {
            return Ok(Pace::Wait);
        }
        if let Err(setback) = self.client.begin() {
            return self.on_setback(setback);
        }
        crash_at(CrashPoint::Begun);
        if let Some(transactor) = &mut self.transactor {
            transactor.transactions.begun(numbers.clone(), &self.settings.command_topic, &self.outbox);
            transactor.overdue = Some(Instant::now() + OVERDUE);
        }
        for number in numbers {
            if let Err(fault) = self.produce(number) {
                self.on_batch_delivery(&Delivery { receipt: number, result: Err(fault) })?;
            }
        }
        Ok(Pace::Go)
    }

    /// One of the batch has arrived, or was not taken.
    pub(super) fn on_batch_delivery(&mut self, delivery: &Delivery) -> Result<(), Stopped> {
        let Some(transactor) = &mut self.transactor else { return Ok(()) };
        let arrival = match &delivery.result {
            Ok(at) => Arrival::Written(at.partition, at.offset + 1),
            Err(_) => Arrival::Refused,
        };
        let is_of_the_batch = transactor.transactions.arrived(delivery.receipt, arrival, &self.outbox);
        match &delivery.result {
            Err(fault) if is_of_the_batch => {
                // The transaction has failed, and its records only with it.
                let is_purged = matches!(fault.code, code::PURGED_IN_QUEUE | code::PURGED_IN_FLIGHT);
                if is_purged && self.client.fatal_error().is_none() {
                    self.on_void(fault)
                } else {
                    self.on_unwritten(delivery.receipt, fault)
                }
            }
            _ => Ok(()),
        }
    }

    fn add_marks(&mut self, offsets: &BTreeMap<i32, i64>) -> Result<Pace, Stopped> {
        crash_at(CrashPoint::Written);
        if !offsets.is_empty() {
            let offsets: Vec<PartitionOffset> = offsets.iter().map(|(&partition, &offset)| PartitionOffset { partition, offset }).collect();
            let added = self.client.add_offsets(&self.settings.consumer_group, &self.settings.command_topic, &offsets, SLICE);
            if let Err(setback) = added {
                return self.on_setback(setback);
            }
            crash_at(CrashPoint::Marked);
        }
        if let Some(transactor) = &mut self.transactor {
            transactor.transactions.marked();
        }
        Ok(Pace::Go)
    }

    fn commit(&mut self) -> Result<Pace, Stopped> {
        if let Err(setback) = self.client.commit_transaction(SLICE) {
            return self.on_setback(setback);
        }
        crash_at(CrashPoint::Committed);
        self.backoff.reset();
        let Some(transactor) = &mut self.transactor else { return Ok(Pace::Wait) };
        let counted = transactor.transactions.committed(&mut self.outbox);
        for destination in counted.destinations {
            let up = self.road(destination).written();
            self.teller.tell_some(up)?;
        }
        for receipt in counted.receipts {
            self.teller.tell(Event::Delivered(receipt))?;
        }
        self.tell_reached(&counted.written)?;
        Ok(Pace::Go)
    }

    fn abort(&mut self) -> Result<Pace, Stopped> {
        if let Err(setback) = self.client.abort_transaction(SLICE) {
            return self.on_setback(setback);
        }
        if let Some(transactor) = &mut self.transactor {
            transactor.transactions.aborted(&mut self.outbox);
        }
        Ok(Pace::Go)
    }

    /// A call failed.
    fn on_setback(&mut self, setback: Setback) -> Result<Pace, Stopped> {
        let Setback { fault, remedy } = setback;
        log::debug!("transactions: {fault} ({remedy:?})");
        let fenced = fault.code == code::FENCED || self.client.fatal_error().is_some_and(|fatal| fatal.code == code::FENCED);
        let Some(transactor) = &mut self.transactor else { return Ok(Pace::Wait) };
        if transactor.is_overdue() {
            return self.on_overdue();
        }
        match transactor.transactions.set_back(remedy, fenced) {
            Consequence::Rest => {
                self.on_fenced()?;
                Ok(Pace::Wait)
            }
            Consequence::Again => {
                // It has waited for the brokers already: only what has happened meanwhile goes first.
                transactor.again = Some(Instant::now());
                // The brokers do not answer: the questions of `look` find the words.
                self.look.hasten();
                Ok(Pace::Wait)
            }
            Consequence::Void => {
                self.on_void(&fault)?;
                Ok(Pace::Go)
            }
            Consequence::Renew => {
                self.on_broken(&fault)?;
                Ok(Pace::Wait)
            }
        }
    }

    /// The transaction cannot be committed any more: its records are written again after a pause.
    fn on_void(&mut self, fault: &Fault) -> Result<(), Stopped> {
        // Once is routine: brokers forget an id that was idle for a week.
        let times = self.events.hold();
        let trouble = match fault.code {
            code::GROUP_AUTHORIZATION => Trouble::group_denied(&self.settings.consumer_group),
            _ if times > 1 => Trouble::not_written("events", fault),
            _ => return Ok(()),
        };
        // It finds the words for a topic that is missing or not granted.
        self.look.hasten();
        let down = self.events.link.down(trouble);
        self.teller.tell_some(down)
    }

    fn on_overdue(&mut self) -> Result<Pace, Stopped> {
        let text = format!("a transaction has had no outcome for {} s", OVERDUE.as_secs());
        if self.events.link.is_up() {
            self.on_broken(&Fault::with_text(code::TIMED_OUT, text))?;
        } else {
            // What the link says already is why.
            log::info!("{text}: another client takes over");
            self.leave_client();
        }
        Ok(Pace::Wait)
    }

    /// Somebody else has taken the transactional id over. The client that is out of use may say so again and again, with
    /// each broker that goes or comes: the rest goes on as it was.
    pub(super) fn on_fenced(&mut self) -> Result<(), Stopped> {
        let now = Instant::now();
        if self.renewal.is_some_and(|due| due > now + LONGEST_RENEWAL) {
            return Ok(());
        }
        self.renewal = Some(now + FENCED + self.backoff.spread(FENCED_SPREAD));
        self.leave_client();
        self.teller.tell(Event::Fenced)?;
        let down = self.events.link.down(Trouble::identity_in_use());
        self.teller.tell_some(down)
    }
}

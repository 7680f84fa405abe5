//! Exactly-once: the producer's records in transactions, one at a time, each with the mark that follows from it.
//!
//! A client first takes the transactional id over, which fences an older self and voids what that one left open.
//! Then the event topic is read back: what is there already is not written again. From here on a batch is
//! begun, written, and committed or aborted as a whole. The calls that wait for brokers wait in short slices, and
//! a call whose outcome is open is made again; where no call can bring the outcome any more, another client
//! reads it from the topic.

use super::{DESTINATIONS, Output};
use crate::domain::{CommandId, Position};
use crate::kafka::Event;
use crate::kafka::native::{Delivery, Fault, PartitionOffset, Remedy, Setback, code};
use crate::kafka::outbox::Destination;
use crate::kafka::readback::{Progress, ReadBack};
use crate::kafka::teller::Stopped;
use crate::kafka::trouble::Trouble;
use crate::threads::{CrashPoint, crash_at};
use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::time::{Duration, Instant};

/// How long one call waits for the brokers before the stop is looked at again. A healthy commit takes some 20 ms.
const SLICE: Duration = Duration::from_millis(400);
/// The most records of one transaction: with a commit every 30 ms that is more than any agent writes.
const BATCH_RECORDS: usize = 256;
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

/// What a producer in this mode knows beside its records.
pub(super) struct Transactions {
    phase: Phase,
    /// Where the event topic is known up to, per partition.
    known: BTreeMap<i32, i64>,
    /// Marks with the number of the last record that they follow from.
    marks: Vec<(u64, Position)>,
    /// Commands that have their end on the topic and that the coordinator was not told of.
    answered: Vec<CommandId>,
    /// When a call whose time was too short is made again.
    again: Option<Instant>,
}

/// How far the client is.
enum Phase {
    /// The transactional id is not its own yet.
    TakingOver,
    /// What earlier clients have written is being read.
    ReadingBack(Box<ReadBack>),
    /// Nothing is open.
    Ready,
    /// Records are on their way.
    Open(Batch),
    /// All have arrived; the outcome is open.
    Committing(Batch),
    /// One was not taken: none counts.
    Aborting(Batch),
}

/// The records of one transaction.
struct Batch {
    numbers: Vec<u64>,
    outstanding: BTreeSet<u64>,
    /// The marks that follow, by partition.
    marks: BTreeMap<i32, i64>,
    /// Where the event topic is known up to once they count.
    written: BTreeMap<i32, i64>,
    /// Whether one of them was not taken.
    spoiled: Spoiled,
    /// When it should long have its outcome.
    overdue: Instant,
}

impl Phase {
    fn batch(&self) -> Option<&Batch> {
        match self {
            Self::Open(batch) | Self::Committing(batch) | Self::Aborting(batch) => Some(batch),
            Self::TakingOver | Self::ReadingBack(_) | Self::Ready => None,
        }
    }

    /// Whether its transaction should long have an outcome.
    fn is_overdue(&self) -> bool {
        self.batch().is_some_and(|batch| batch.overdue <= Instant::now())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spoiled {
    No,
    Yes,
}

/// Whether another step can be made at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    Go,
    Wait,
}

impl Transactions {
    /// At a start: these places of the event topic are known to the journal.
    pub(super) fn new(known: BTreeMap<i32, i64>) -> Self {
        Self { phase: Phase::TakingOver, known, marks: Vec::new(), answered: Vec::new(), again: None }
    }

    /// A mark that follows from the record with this number and those before it.
    pub(super) fn note(&mut self, number: u64, mark: Position) {
        self.marks.retain(|(_, older)| older.partition != mark.partition || older.topic != mark.topic || older.offset < mark.offset);
        self.marks.push((number, mark));
    }

    /// The reading that is under way.
    pub(super) fn reading(&self) -> Option<&ReadBack> {
        if let Phase::ReadingBack(reading) = &self.phase { Some(reading) } else { None }
    }

    /// When the next step is due, whatever happens.
    pub(super) fn due(&self) -> Option<Instant> {
        let overdue = self.phase.batch().map(|batch| batch.overdue);
        [self.again, overdue, self.reading().map(ReadBack::give_up)].into_iter().flatten().min()
    }

    /// Whether a transaction should long have an outcome: brokers may have voided it and fenced us, and nobody else has.
    pub(super) fn is_overdue(&self) -> bool {
        self.phase.is_overdue()
    }

    /// Another client begins at the beginning. What the last one left open is decided by the topic.
    pub(super) fn begin_anew(&mut self) {
        self.phase = Phase::TakingOver;
    }
}

impl Output {
    /// Makes steps until there is something to wait for.
    pub(super) fn transact(&mut self) -> Result<(), Stopped> {
        while self.renewal.is_none()
            && let Some(transactions) = &mut self.transactions
        {
            transactions.again = None;
            let phase = mem::replace(&mut transactions.phase, Phase::Ready);
            if self.step(phase)? == Pace::Wait || self.stop.is_stopped() {
                break;
            }
        }
        Ok(())
    }

    fn step(&mut self, phase: Phase) -> Result<Pace, Stopped> {
        match phase {
            overdue if overdue.is_overdue() => self.on_overdue(),
            Phase::TakingOver => self.take_over(),
            Phase::ReadingBack(reading) => self.read_back(reading),
            Phase::Ready => self.begin_batch(),
            Phase::Open(batch) if !batch.outstanding.is_empty() => self.go_on(Phase::Open(batch), Pace::Wait),
            Phase::Open(batch) if batch.spoiled == Spoiled::Yes => self.go_on(Phase::Aborting(batch), Pace::Go),
            Phase::Open(batch) => self.add_marks(batch),
            Phase::Committing(batch) => self.commit(batch),
            Phase::Aborting(batch) => self.abort(batch),
        }
    }

    fn go_on(&mut self, phase: Phase, pace: Pace) -> Result<Pace, Stopped> {
        if let Some(transactions) = &mut self.transactions {
            transactions.phase = phase;
        }
        Ok(pace)
    }

    fn take_over(&mut self) -> Result<Pace, Stopped> {
        // Only where the topic was seen: the call makes no sense before, and says less of what is wrong.
        if self.events.partitions().is_empty() {
            return self.go_on(Phase::TakingOver, Pace::Wait);
        }
        if let Err(setback) = self.client.init_transactions(SLICE) {
            return self.on_setback(setback, Phase::TakingOver);
        }
        crash_at(CrashPoint::TakenOver);
        let known = self.transactions.as_ref().map(|transactions| transactions.known.clone()).unwrap_or_default();
        match ReadBack::begin(&self.settings, self.events.partitions(), &known) {
            Ok(reading) => self.go_on(Phase::ReadingBack(Box::new(reading)), Pace::Go),
            Err(error) => self.on_setback(
                Setback { fault: Fault::with_text(code::BAD_ARGUMENT, error.to_string()), remedy: Remedy::Renew },
                Phase::TakingOver,
            ),
        }
    }

    fn read_back(&mut self, mut reading: Box<ReadBack>) -> Result<Pace, Stopped> {
        match reading.next() {
            Progress::Waiting => self.go_on(Phase::ReadingBack(reading), Pace::Wait),
            Progress::Failed(fault) => self.on_setback(Setback { fault, remedy: Remedy::Renew }, Phase::TakingOver),
            Progress::Found(written) => {
                let receipt = self.outbox.settle_event(written.event_id);
                self.teller.tell_some(receipt.map(Event::Delivered))?;
                if let Some(transactions) = &mut self.transactions {
                    transactions.answered.extend(written.causation_id.filter(|_| written.terminal));
                }
                self.tell_answered(ANSWERED)?;
                self.go_on(Phase::ReadingBack(reading), Pace::Go)
            }
            Progress::Finished => {
                crash_at(CrashPoint::ReadBack);
                let places = reading.places().clone();
                drop(reading);
                self.tell_answered(1)?;
                self.tell_reached(&places)?;
                self.teller.tell(Event::CaughtUp)?;
                self.backoff.reset();
                let up = self.events.ready();
                self.teller.tell_some(up)?;
                self.go_on(Phase::Ready, Pace::Go)
            }
        }
    }

    /// Tells the coordinator which commands have their end, once there are so many.
    fn tell_answered(&mut self, enough: usize) -> Result<(), Stopped> {
        let Some(transactions) = self.transactions.as_mut().filter(|transactions| transactions.answered.len() >= enough) else {
            return Ok(());
        };
        let answered = mem::take(&mut transactions.answered);
        self.teller.tell(Event::Answered(answered))
    }

    /// The event topic is known up to here.
    fn tell_reached(&mut self, places: &BTreeMap<i32, i64>) -> Result<(), Stopped> {
        if let Some(transactions) = &mut self.transactions {
            transactions.known.extend(places.iter().map(|(&partition, &offset)| (partition, offset)));
        }
        places.iter().try_for_each(|(&partition, &offset)| {
            self.teller.tell(Event::Reached(Position { topic: self.settings.event_topic.clone(), partition, offset }))
        })
    }

    fn begin_batch(&mut self) -> Result<Pace, Stopped> {
        let numbers = self.next_batch();
        if numbers.is_empty() {
            return self.go_on(Phase::Ready, Pace::Wait);
        }
        if let Err(setback) = self.client.begin() {
            return self.on_setback(setback, Phase::Ready);
        }
        crash_at(CrashPoint::Begun);
        let marks = self.marks_of(&numbers);
        let batch = Batch {
            outstanding: numbers.iter().copied().collect(),
            numbers,
            marks,
            written: BTreeMap::new(),
            spoiled: Spoiled::No,
            overdue: Instant::now() + OVERDUE,
        };
        let numbers = batch.numbers.clone();
        self.go_on(Phase::Open(batch), Pace::Go)?;
        for number in numbers {
            if let Err(fault) = self.produce(number) {
                self.on_batch_delivery(&Delivery { receipt: number, result: Err(fault) })?;
            }
        }
        Ok(Pace::Go)
    }

    /// The oldest records whose topics can be written.
    fn next_batch(&self) -> Vec<u64> {
        let open = DESTINATIONS.into_iter().filter(|&destination| self.can_write(destination));
        let mut numbers: Vec<u64> = open.flat_map(|destination| self.outbox.unsent(destination).take(BATCH_RECORDS)).collect();
        numbers.sort_unstable();
        numbers.truncate(BATCH_RECORDS);
        numbers
    }

    /// The newest mark of each partition that follows from records up to the last event of the batch.
    fn marks_of(&self, numbers: &[u64]) -> BTreeMap<i32, i64> {
        let events = |number: &&u64| self.outbox.destination(**number) == Some(Destination::Events);
        let Some(last) = numbers.iter().rfind(events) else { return BTreeMap::new() };
        let marks = self.transactions.iter().flat_map(|transactions| &transactions.marks);
        let follows = marks.filter(|(number, mark)| number <= last && mark.topic == self.settings.command_topic);
        follows.map(|(_, mark)| (mark.partition, mark.offset)).collect()
    }

    /// One of the batch has arrived, or was not taken.
    pub(super) fn on_batch_delivery(&mut self, delivery: &Delivery) -> Result<(), Stopped> {
        let destination = self.outbox.destination(delivery.receipt);
        let Some(Phase::Open(batch)) = self.transactions.as_mut().map(|transactions| &mut transactions.phase) else { return Ok(()) };
        if !batch.outstanding.remove(&delivery.receipt) {
            return Ok(());
        }
        match &delivery.result {
            Ok(at) => {
                if destination == Some(Destination::Events) {
                    batch.written.insert(at.partition, at.offset + 1);
                }
                Ok(())
            }
            Err(fault) => {
                batch.spoiled = Spoiled::Yes;
                // The transaction has failed, and its records only with it.
                let is_purged = matches!(fault.code, code::PURGED_IN_QUEUE | code::PURGED_IN_FLIGHT);
                if is_purged && self.client.fatal_error().is_none() {
                    self.on_void(fault)
                } else {
                    self.on_unwritten(delivery.receipt, fault)
                }
            }
        }
    }

    fn add_marks(&mut self, batch: Batch) -> Result<Pace, Stopped> {
        crash_at(CrashPoint::Written);
        let offsets: Vec<PartitionOffset> = batch.marks.iter().map(|(&partition, &offset)| PartitionOffset { partition, offset }).collect();
        if offsets.is_empty() {
            return self.go_on(Phase::Committing(batch), Pace::Go);
        }
        match self.client.add_offsets(&self.settings.consumer_group, &self.settings.command_topic, &offsets, SLICE) {
            Ok(()) => {
                crash_at(CrashPoint::Marked);
                self.go_on(Phase::Committing(batch), Pace::Go)
            }
            Err(setback) => self.on_setback(setback, Phase::Open(batch)),
        }
    }

    fn commit(&mut self, batch: Batch) -> Result<Pace, Stopped> {
        if let Err(setback) = self.client.commit_transaction(SLICE) {
            return self.on_setback(setback, Phase::Committing(batch));
        }
        crash_at(CrashPoint::Committed);
        self.backoff.reset();
        let destinations: BTreeSet<Destination> = batch.numbers.iter().filter_map(|number| self.outbox.destination(*number)).collect();
        for destination in destinations {
            let up = self.road(destination).written();
            self.teller.tell_some(up)?;
        }
        if let Some(transactions) = &mut self.transactions {
            transactions.marks.retain(|(_, mark)| batch.marks.get(&mark.partition).is_none_or(|carried| *carried < mark.offset));
        }
        for number in &batch.numbers {
            let receipt = self.outbox.settle(*number);
            self.teller.tell_some(receipt.map(Event::Delivered))?;
        }
        self.tell_reached(&batch.written)?;
        self.go_on(Phase::Ready, Pace::Go)
    }

    fn abort(&mut self, batch: Batch) -> Result<Pace, Stopped> {
        if let Err(setback) = self.client.abort_transaction(SLICE) {
            return self.on_setback(setback, Phase::Aborting(batch));
        }
        batch.numbers.iter().for_each(|number| self.outbox.failed(*number));
        self.go_on(Phase::Ready, Pace::Go)
    }

    /// A call failed while the client was at `phase`.
    fn on_setback(&mut self, setback: Setback, phase: Phase) -> Result<Pace, Stopped> {
        let Setback { fault, remedy } = setback;
        log::debug!("transactions: {fault} ({remedy:?})");
        match (remedy, phase) {
            (_, phase) if phase.is_overdue() => self.on_overdue(),
            _ if fault.code == code::FENCED || self.client.fatal_error().is_some_and(|fatal| fatal.code == code::FENCED) => {
                self.on_fenced()?;
                self.go_on(Phase::TakingOver, Pace::Wait)
            }
            (Remedy::Again, phase) => {
                // The brokers do not answer: the questions of `look` find the words.
                self.look.hasten();
                if let Some(transactions) = &mut self.transactions {
                    // It has waited for the brokers already: only what has happened meanwhile goes first.
                    transactions.again = Some(Instant::now());
                }
                self.go_on(phase, Pace::Wait)
            }
            (Remedy::Abort, Phase::Open(batch) | Phase::Committing(batch)) => {
                self.on_void(&fault)?;
                self.go_on(Phase::Aborting(batch), Pace::Go)
            }
            (Remedy::Abort | Remedy::Renew, _) => {
                self.on_broken(&fault)?;
                self.go_on(Phase::TakingOver, Pace::Wait)
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
        self.go_on(Phase::TakingOver, Pace::Wait)
    }

    /// Somebody else has taken the transactional id over.
    pub(super) fn on_fenced(&mut self) -> Result<(), Stopped> {
        self.renewal = Some(Instant::now() + FENCED + self.backoff.spread(FENCED_SPREAD));
        self.leave_client();
        self.teller.tell(Event::Fenced)?;
        let down = self.events.link.down(Trouble::identity_in_use());
        self.teller.tell_some(down)
    }
}

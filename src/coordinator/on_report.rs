//! Events on their way out: what waits for the producer, what waits for the broker's word, and what
//! follows from it: the command is reported, the low-water mark moves.

use super::ExitReason;
use super::on_loss::Loss;
use super::on_topic::Standing;
use super::state::{State, now};
use crate::domain::{CommandId, CommandState, Event, EventId, Past, Position, Reader, Timestamp, Way};
use crate::journal::Reported;
use crate::kafka::{self, DeadLetter, Receipt, Request};
use crate::threads::Errand;
use crossbeam_channel::TrySendError;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Which command a terminal event ends.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub(super) command: CommandId,
    /// How it came.
    pub(super) way: Way,
    /// Who is still owed its end.
    pub(super) readers: BTreeSet<Reader>,
    /// Until when it could come again and be timely; none where nothing says so.
    pub(super) timely_until: Option<Timestamp>,
}

impl Ended {
    /// Whether somebody has to confirm its end.
    pub(super) fn is_owed(&self) -> bool {
        !self.readers.is_empty()
    }
}

/// What the broker has to confirm.
#[derive(Debug, Clone)]
enum Pending {
    /// The terminal event of a command.
    Terminal { command: CommandId, form: Form },
    /// A dead letter, by the id under which it is known.
    DeadLetter { id: EventId, position: Position },
    /// What is told of a loss.
    Report { id: EventId, loss: Loss },
}

/// How much of a terminal event is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// All of it; if it cannot be written so, it is sent again in short.
    Whole,
    /// The essentials.
    Short,
}

/// A command whose terminal event somebody has not confirmed.
#[derive(Debug, Clone)]
struct Answered {
    ended: Ended,
    event: Arc<Event>,
}

/// One of them, with about how much memory its record takes.
#[derive(Debug, Clone)]
struct Kept {
    pending: Pending,
    bytes: usize,
}

/// The journal could not be written, which ends the agent after this turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct JournalFailed;

/// The events that were not confirmed yet.
#[derive(Debug, Default, Clone)]
pub(super) struct Reports {
    next: u64,
    /// Terminal events and dead letters for which the producer's queue had no room.
    waiting: VecDeque<Request>,
    pending: BTreeMap<Receipt, Kept>,
    /// The size of them all.
    bytes: usize,
    /// How many of them are dead letters.
    letters: usize,
    /// The places of records that are no commands, with the number of what is still to be told of each.
    held: BTreeMap<Position, usize>,
    /// The commands whose ends are not confirmed by all who are owed them.
    answered: BTreeMap<CommandId, Answered>,
    /// Confirmed by all since the last journal write.
    confirmed: Vec<Reported>,
    /// Confirmed by one of several since then.
    heard: Vec<(CommandId, Reader)>,
    /// Positions whose mark may have moved since then.
    moved: BTreeSet<(String, i32)>,
    /// Where the event topic is known up to, where that has changed since then.
    known: BTreeMap<(String, i32), i64>,
    /// Whether that alone is worth a write.
    known_matters: Matters,
}

/// Whether something that is told the journal by the way is worth a write of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Matters {
    #[default]
    No,
    Yes,
}

impl Reports {
    /// How many wait for the broker's word.
    pub(super) fn unconfirmed(&self) -> usize {
        self.pending.len()
    }

    /// How many of them are terminal events.
    pub(super) fn unconfirmed_events(&self) -> usize {
        self.pending.len() - self.letters
    }

    /// How many have not found room on their way to the producer.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many of them are dead letters.
    pub(super) fn unconfirmed_letters(&self) -> usize {
        self.letters
    }

    /// How many bytes wait for it.
    pub(super) fn unconfirmed_bytes(&self) -> usize {
        self.bytes
    }

    /// How the command came whose terminal event is on its way, if one is.
    pub(super) fn answer_to(&self, command: CommandId) -> Option<&Way> {
        self.answered.get(&command).map(|answered| &answered.ended.way)
    }

    /// How the commands came whose terminal events are on their way.
    pub(super) fn ways(&self) -> impl Iterator<Item = &Way> {
        self.answered.values().map(|answered| &answered.ended.way)
    }

    /// One more is owed the terminal event of a command: the event, if it is on its way.
    pub(super) fn add_reader(&mut self, command: CommandId, reader: Reader) -> Option<Arc<Event>> {
        let answered = self.answered.get_mut(&command)?;
        answered.ended.readers.insert(reader);
        Some(Arc::clone(&answered.event))
    }

    /// The event topic is known up to here. Less is no fault: then more of it is read back at the next start.
    pub(super) fn know(&mut self, position: Position) {
        self.known.insert((position.topic, position.partition), position.offset);
    }

    /// That place is worth a write.
    pub(super) fn note_known(&mut self) {
        self.known_matters = Matters::Yes;
    }

    /// Somebody has the end of an open command.
    pub(super) fn note_heard(&mut self, command: CommandId, reader: Reader) {
        self.heard.push((command, reader));
    }

    /// A command is over that the journal does not know.
    pub(super) fn note_reported(&mut self, reported: Reported) {
        self.confirmed.push(reported);
    }

    /// The end of a command needs not be sent any more.
    pub(super) fn take_back(&mut self, command: CommandId) {
        self.take_back_where(|pending| matches!(pending, Pending::Terminal { command: pending, .. } if *pending == command));
    }

    /// A report needs not be sent any more: what it is about, if it was on its way.
    pub(super) fn take_back_report(&mut self, report: EventId) -> Option<Loss> {
        match self.take_back_where(|pending| matches!(pending, Pending::Report { id, .. } if *id == report))? {
            Pending::Report { loss, .. } => Some(loss),
            Pending::Terminal { .. } | Pending::DeadLetter { .. } => None,
        }
    }

    fn take_back_where(&mut self, wanted: impl Fn(&Pending) -> bool) -> Option<Pending> {
        let receipt = *self.pending.iter().find(|(_, kept)| wanted(&kept.pending))?.0;
        self.waiting.retain(|request| !matches!(request, Request::Publish(waiting, _) if *waiting == receipt));
        self.take(receipt).map(|kept| kept.pending)
    }

    /// Whether a dead letter or a report is on its way.
    pub(super) fn owes(&self, wanted: EventId) -> bool {
        let is_it = |kept: &Kept| match &kept.pending {
            Pending::DeadLetter { id, .. } | Pending::Report { id, .. } => *id == wanted,
            Pending::Terminal { .. } => false,
        };
        self.pending.values().any(is_it)
    }

    /// Another part of a place's loss has to be told before the place is settled.
    pub(super) fn hold(&mut self, position: &Position) {
        *self.held.entry(position.clone()).or_default() += 1;
    }

    /// One part was told. Whether it was the last.
    pub(super) fn release(&mut self, position: &Position) -> bool {
        let Some(parts) = self.held.get_mut(position) else { return false };
        *parts -= 1;
        if *parts == 0 { self.held.remove(position).is_some() } else { false }
    }

    /// The mark of this partition may have moved.
    pub(super) fn note_moved(&mut self, position: &Position) {
        self.moved.insert((position.topic.clone(), position.partition));
    }

    /// The place of the record whose command ends with this request.
    fn place_of(&self, request: &Request) -> Option<Position> {
        let Request::Publish(receipt, _) = request else { return None };
        match self.pending.get(receipt)?.pending {
            Pending::Terminal { command, .. } => self.answered.get(&command)?.ended.way.position().cloned(),
            // A mark that goes out with it could be past a dead letter that is not written yet.
            Pending::DeadLetter { .. } | Pending::Report { .. } => None,
        }
    }

    fn has_news_for_the_journal(&self) -> bool {
        let known = self.known_matters == Matters::Yes && !self.known.is_empty();
        known || !(self.confirmed.is_empty() && self.heard.is_empty() && self.moved.is_empty())
    }

    fn receipt(&mut self) -> Receipt {
        self.next += 1;
        Receipt(self.next)
    }

    fn keep(&mut self, receipt: Receipt, pending: Pending, bytes: usize) {
        self.bytes += bytes;
        self.letters += usize::from(matches!(pending, Pending::DeadLetter { .. }));
        self.pending.insert(receipt, Kept { pending, bytes });
    }

    fn take(&mut self, receipt: Receipt) -> Option<Kept> {
        let kept = self.pending.remove(&receipt)?;
        self.bytes -= kept.bytes;
        self.letters -= usize::from(matches!(kept.pending, Pending::DeadLetter { .. }));
        Some(kept)
    }
}

impl State {
    /// A terminal event of before: kept until everybody confirms it who is owed it.
    pub(super) fn report_terminal(&mut self, ended: Ended, event: Event) {
        let event = self.tell_end(ended.command, event);
        if ended.is_owed() { self.owe_end(ended, event) } else { self.all_heard(&ended) }
    }

    /// Whoever listens hears of an end.
    pub(super) fn tell_end(&mut self, command: CommandId, event: Event) -> Arc<Event> {
        let event = Arc::new(event);
        self.listeners.note(|recent| recent.told(command, &event));
        // ORDER: who hears of an end and looks then sees it.
        if self.listeners.hears(command) {
            self.listeners.publish();
        }
        self.listeners.tell(&event);
        event
    }

    /// A terminal event is owed to these readers.
    pub(super) fn owe_end(&mut self, ended: Ended, event: Arc<Event>) {
        let (command, readers) = (ended.command, ended.readers.clone());
        self.reports.answered.insert(command, Answered { ended, event: Arc::clone(&event) });
        if readers.contains(&Reader::Session) {
            self.owe_to_session(command, Arc::clone(&event));
        }
        if readers.contains(&Reader::Topic) {
            self.publish_terminal(command, Form::Whole, Arc::unwrap_or_clone(event));
        }
    }

    fn publish_terminal(&mut self, command: CommandId, form: Form, event: Event) {
        let receipt = self.reports.receipt();
        self.reports.keep(receipt, Pending::Terminal { command, form }, event.size());
        self.reports.waiting.push_back(Request::Publish(receipt, Box::new(event)));
    }

    /// One of those who are owed the end of a command has it.
    pub(super) fn heard(&mut self, command: CommandId, reader: Reader) {
        let Some(answered) = self.reports.answered.get_mut(&command) else { return };
        if !answered.ended.readers.remove(&reader) {
            return;
        }
        let (place, left) = (answered.ended.way.position().cloned(), answered.ended.readers.len());
        if let (Reader::Topic, Some(position)) = (reader, place) {
            self.settle_position(&position);
        }
        if left > 0 {
            self.reports.heard.push((command, reader));
        } else if let Some(answered) = self.reports.answered.remove(&command) {
            self.all_heard(&answered.ended);
        }
    }

    /// Everybody has the end of a command: it is reported.
    pub(super) fn all_heard(&mut self, ended: &Ended) {
        // Of a refusal nothing was written before.
        let refused = self.listeners.recent().get(ended.command).filter(|brief| brief.state == CommandState::Rejected);
        let past = refused.map(|brief| Box::new(Past::of(brief, brief.terminal.as_deref())));
        self.note_over(ended, past);
    }

    /// A command is over with the next write; `past` is what is remembered of it from then on.
    pub(super) fn note_over(&mut self, ended: &Ended, past: Option<Box<Past>>) {
        // INVARIANT: an id is known for as long as its record would still be carried out.
        let too_old = now().plus(self.rules.max_command_age);
        let known_until = ended.timely_until.map_or(too_old, |until| until.max(too_old));
        self.reports.confirmed.push(Reported { command: ended.command, known_until, past });
    }

    /// A dead letter is owed to its topic.
    pub(super) fn owe_letter(&mut self, id: EventId, letter: DeadLetter) {
        let receipt = self.reports.receipt();
        let pending = Pending::DeadLetter { id, position: letter.position.clone() };
        self.reports.keep(receipt, pending, letter.value.len());
        self.reports.waiting.push_back(Request::Bury(receipt, Box::new(letter)));
    }

    /// A report is owed to the event topic.
    pub(super) fn owe_report(&mut self, report: Event, loss: Loss) {
        if self.listeners.hears_all() {
            self.listeners.tell(&Arc::new(report.clone()));
        }
        let receipt = self.reports.receipt();
        self.reports.keep(receipt, Pending::Report { id: report.id, loss }, report.size());
        self.reports.waiting.push_back(Request::Publish(receipt, Box::new(report)));
    }

    /// An event that may be shed when the producer is behind; counted, never silent.
    pub(super) fn report_lightly(&mut self, event: Event) {
        let receipt = self.reports.receipt();
        // What waits goes first: an event must not overtake the terminal event of an earlier command.
        self.send_waiting();
        let sent = match &self.ports.producer {
            Some(producer) if self.reports.waiting.is_empty() && self.standing.is_open() => {
                producer.try_send(Request::Publish(receipt, Box::new(event))).is_ok()
            }
            _ => false,
        };
        if !sent {
            self.metrics.event_shed();
        }
    }

    /// Sends what waits and writes down what was confirmed.
    pub(super) fn flush_reports(&mut self) {
        self.send_waiting();
        self.send_owed();
        // What failed ends the agent after this turn.
        let _noted = self.write_reports();
    }

    /// Writes down what was confirmed, if anything was.
    pub(super) fn write_reports(&mut self) -> Result<(), JournalFailed> {
        if !self.reports.has_news_for_the_journal() {
            return Ok(());
        }
        let (confirmed, heard) = (std::mem::take(&mut self.reports.confirmed), std::mem::take(&mut self.reports.heard));
        let marks: Vec<Position> = std::mem::take(&mut self.reports.moved)
            .into_iter()
            .filter_map(|(topic, partition)| {
                let offset = self.marks.confirmed(&topic, partition)?;
                Some(Position { topic, partition, offset })
            })
            .collect();
        self.reports.known_matters = Matters::No;
        let known = std::mem::take(&mut self.reports.known).into_iter();
        let places = known.map(|((topic, partition), offset)| Position { topic, partition, offset }).chain(marks.iter().cloned());
        if let Err(error) = self.journal.report(confirmed, heard, places.collect()) {
            self.fail(ExitReason::Journal(error.to_string()));
            return Err(JournalFailed);
        }
        for mark in marks {
            // For people's tools only: the journal's own position decides, and the next commit is as good.
            if let Some(commits) = &self.ports.commits {
                drop(commits.try_send(mark));
            }
        }
        Ok(())
    }

    pub(super) fn on_kafka(&mut self, event: kafka::Event) {
        match event {
            kafka::Event::Read(position, inbound) => self.on_read(position, *inbound),
            kafka::Event::Delivered(receipt) => self.on_delivered(receipt),
            kafka::Event::Undeliverable(receipt, reason) => self.on_undeliverable(receipt, &reason),
            kafka::Event::Gap { wanted, resumed } => self.on_gap(&wanted, resumed),
            kafka::Event::Answered(commands) => self.on_answered(commands),
            kafka::Event::Told(reports) => self.on_told(reports),
            kafka::Event::Reached(position) => self.on_reached(position),
            kafka::Event::CaughtUp => self.on_caught_up(),
            kafka::Event::Fenced => self.on_fenced(),
            kafka::Event::Link(side, state) => self.on_kafka_link(side, state),
        }
    }

    fn on_delivered(&mut self, receipt: Receipt) {
        self.metrics.event_published();
        self.note_delivery();
        // Events that may be shed are not waited for.
        match self.reports.take(receipt).map(|kept| kept.pending) {
            Some(Pending::Terminal { command, .. }) => self.heard(command, Reader::Topic),
            Some(Pending::DeadLetter { id, position }) => self.loss_told(id, Loss::Record(position)),
            Some(Pending::Report { id, loss }) => self.loss_told(id, loss),
            None => {}
        }
    }

    /// The broker will never take it. A terminal event is sent once more in short; a command must not stay without an end.
    fn on_undeliverable(&mut self, receipt: Receipt, reason: &str) {
        match self.reports.take(receipt) {
            Some(Kept { pending: Pending::Terminal { command, form: Form::Whole }, .. }) => {
                let Some(answered) = self.reports.answered.get(&command) else { return };
                let _errand = Errand::of(answered.event.context.errand(Some(command), None)).begin();
                log::error!("the terminal event of {command} cannot be written ({reason}): it is sent again without its details");
                let short = shortened((*answered.event).clone(), reason);
                self.publish_terminal(command, Form::Short, short);
            }
            Some(Kept { pending, .. }) => {
                log::error!("the broker refuses an event for good: {reason}; it stays in the journal and is tried at the next start");
                // Only the place is kept: its record is gone.
                self.reports.keep(receipt, pending, 0);
            }
            None => self.metrics.event_shed(),
        }
    }

    pub(super) fn settle_position(&mut self, position: &Position) {
        self.marks.settle(position);
        self.reports.note_moved(position);
    }

    fn send_waiting(&mut self) {
        let Some(producer) = self.ports.producer.as_ref().filter(|_| self.standing.is_open()) else { return };
        while let Some(request) = self.reports.waiting.pop_front() {
            let place = self.reports.place_of(&request).filter(|_| self.standing == Standing::Writing);
            match producer.try_send(request) {
                Ok(()) => {}
                Err(TrySendError::Full(request)) => {
                    self.reports.waiting.push_front(request);
                    return;
                }
                // The producer has ended; its exit report ends the agent.
                Err(TrySendError::Disconnected(_)) => return,
            }
            if let Some(mark) = place.and_then(|place| self.marks.hand_over(&place)) {
                // Without room for it the next one says more.
                drop(producer.try_send(Request::Mark(mark)));
            }
        }
    }
}

/// The same event with the same id, but only the essentials of its payload.
pub(super) fn shortened(event: Event, reason: &str) -> Event {
    let field = |name: &str| event.payload.get(name).cloned().unwrap_or_default();
    let code = event.payload.pointer("/details/code").cloned().unwrap_or_default();
    let message: String = event.payload.get("message").and_then(|message| message.as_str()).unwrap_or("").chars().take(1000).collect();
    let details = json!({"code": code, "shortened": format!("the whole event could not be written: {reason}")});
    let payload = json!({
        "project_id": field("project_id"),
        "stack_name": field("stack_name"),
        "status": field("status"),
        "message": message,
        "details": details,
    });
    Event { payload, ..event }
}

#[cfg(test)]
impl Reports {
    /// Under which receipt the end of a command is on its way.
    pub(super) fn receipt_of(&self, command: CommandId) -> Option<Receipt> {
        let of = |kept: &Kept| matches!(kept.pending, Pending::Terminal { command: of, .. } if of == command);
        self.pending.iter().find(|(_, kept)| of(kept)).map(|(receipt, _)| *receipt)
    }

    /// Under which receipt a report or a dead letter is.
    pub(super) fn receipt_of_loss(&self, wanted: EventId) -> Option<Receipt> {
        let of = |kept: &Kept| matches!(kept.pending, Pending::Report { id, .. } | Pending::DeadLetter { id, .. } if id == wanted);
        self.pending.iter().find(|(_, kept)| of(kept)).map(|(receipt, _)| *receipt)
    }

    /// All that decides what comes next, and no times: equal sketches go on in the same way. Receipts are nothing but names,
    /// each of one pending report, so it is those that are shown.
    pub(super) fn sketch(&self) -> String {
        let waiting: Vec<Option<&Pending>> = self
            .waiting
            .iter()
            .map(|request| match request {
                Request::Publish(receipt, _) | Request::Bury(receipt, _) => self.pending.get(receipt).map(|kept| &kept.pending),
                Request::Mark(_) => None,
            })
            .collect();
        let mut pending: Vec<String> = self.pending.values().map(|kept| format!("{:?}", kept.pending)).collect();
        pending.sort_unstable();
        let answered: Vec<_> = self.answered.iter().map(|(id, answered)| (id, &answered.ended.way, &answered.ended.readers)).collect();
        let confirmed: Vec<CommandId> = self.confirmed.iter().map(|reported| reported.command).collect();
        let news = (confirmed, &self.held, &self.heard, &self.moved, &self.known, self.known_matters);
        format!("{waiting:?} {pending:?} {answered:?} {news:?}")
    }
}

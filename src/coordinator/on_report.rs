//! Events on their way out: what waits for the producer, what waits for the broker's word, and what
//! follows from it: the command is reported, the low-water mark moves.

use super::ExitReason;
use super::state::{State, now};
use crate::domain::{CommandId, Event, Position, Timestamp};
use crate::journal::Reported;
use crate::kafka::{self, DeadLetter, Receipt, Request};
use crossbeam_channel::TrySendError;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Which command a terminal event ends.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub(super) command: CommandId,
    /// Where its record stood.
    pub(super) position: Option<Position>,
    /// Until when it could come again and be timely; none where nothing says so.
    pub(super) timely_until: Option<Timestamp>,
}

/// What the broker has to confirm.
#[derive(Debug)]
enum Pending {
    /// The terminal event of a command; kept to be sent in short if it cannot be written whole.
    Terminal { ended: Ended, event: Option<Box<Event>> },
    /// A dead letter.
    DeadLetter { position: Position },
}

/// One of them, with about how much memory its record takes.
#[derive(Debug)]
struct Kept {
    pending: Pending,
    bytes: usize,
}

/// The events that were not confirmed yet.
#[derive(Debug, Default)]
pub(super) struct Reports {
    next: u64,
    /// Terminal events and dead letters for which the producer's queue had no room.
    waiting: VecDeque<Request>,
    pending: BTreeMap<Receipt, Kept>,
    /// The size of them all.
    bytes: usize,
    /// The commands among them, with the place of their records.
    answered: BTreeMap<CommandId, Option<Position>>,
    /// Confirmed since the last journal write.
    confirmed: Vec<Reported>,
    /// Positions whose mark may have moved since then.
    moved: BTreeSet<(String, i32)>,
}

impl Reports {
    /// How many wait for the broker's word.
    pub(super) fn unconfirmed(&self) -> usize {
        self.pending.len()
    }

    /// How many bytes wait for it.
    pub(super) fn unconfirmed_bytes(&self) -> usize {
        self.bytes
    }

    /// The place of the command whose terminal event is on its way, if one is.
    pub(super) fn answer_to(&self, command: CommandId) -> Option<&Option<Position>> {
        self.answered.get(&command)
    }

    fn receipt(&mut self) -> Receipt {
        self.next += 1;
        Receipt(self.next)
    }

    fn keep(&mut self, receipt: Receipt, pending: Pending, bytes: usize) {
        self.bytes += bytes;
        self.pending.insert(receipt, Kept { pending, bytes });
    }

    fn take(&mut self, receipt: Receipt) -> Option<Kept> {
        let kept = self.pending.remove(&receipt)?;
        self.bytes -= kept.bytes;
        Some(kept)
    }
}

impl State {
    /// A terminal event: kept until the broker confirms it.
    pub(super) fn report_terminal(&mut self, ended: Ended, event: Event) {
        let receipt = self.reports.receipt();
        let kept = Some(Box::new(event.clone()));
        self.reports.answered.insert(ended.command, ended.position.clone());
        self.reports.keep(receipt, Pending::Terminal { ended, event: kept }, size(&event));
        self.reports.waiting.push_back(Request::Publish(receipt, Box::new(event)));
    }

    pub(super) fn report_dead_letter(&mut self, position: Position, letter: DeadLetter) {
        let receipt = self.reports.receipt();
        self.reports.keep(receipt, Pending::DeadLetter { position }, letter.value.len());
        self.reports.waiting.push_back(Request::Bury(receipt, Box::new(letter)));
    }

    /// An event that may be shed when the producer is behind; counted, never silent.
    pub(super) fn report_lightly(&mut self, event: Event) {
        let receipt = self.reports.receipt();
        // What waits goes first: an event must not overtake the terminal event of an earlier command.
        self.send_waiting();
        let sent = match &self.ports.producer {
            Some(producer) if self.reports.waiting.is_empty() => producer.try_send(Request::Publish(receipt, Box::new(event))).is_ok(),
            _ => false,
        };
        if !sent {
            self.metrics.event_shed();
        }
    }

    /// Sends what waits and writes down what was confirmed.
    pub(super) fn flush_reports(&mut self) {
        self.send_waiting();
        if self.reports.confirmed.is_empty() && self.reports.moved.is_empty() {
            return;
        }
        let confirmed = std::mem::take(&mut self.reports.confirmed);
        let marks: Vec<Position> = std::mem::take(&mut self.reports.moved)
            .into_iter()
            .filter_map(|(topic, partition)| {
                let offset = self.marks.get(&(topic.clone(), partition))?.mark()?;
                Some(Position { topic, partition, offset })
            })
            .collect();
        if let Err(error) = self.journal.report(confirmed, marks.clone()) {
            self.fail(ExitReason::Journal(error.to_string()));
            return;
        }
        for mark in marks {
            // For people's tools only: the journal's own position decides, and the next commit is as good.
            if let Some(commits) = &self.ports.commits {
                drop(commits.try_send(mark));
            }
        }
    }

    pub(super) fn on_kafka(&mut self, event: kafka::Event) {
        match event {
            kafka::Event::Read(position, inbound) => self.on_read(position, *inbound),
            kafka::Event::Delivered(receipt) => self.on_delivered(receipt),
            kafka::Event::Undeliverable(receipt, reason) => self.on_undeliverable(receipt, &reason),
            kafka::Event::Gap { wanted, resumed } => self.on_gap(&wanted, resumed),
            kafka::Event::Link(side, state) => self.on_kafka_link(side, state),
        }
    }

    fn on_delivered(&mut self, receipt: Receipt) {
        self.metrics.event_published();
        // Events that may be shed are not waited for.
        match self.reports.take(receipt).map(|kept| kept.pending) {
            Some(Pending::Terminal { ended, .. }) => {
                self.reports.answered.remove(&ended.command);
                // INVARIANT: an id is known for as long as its record would still be carried out.
                let too_old = now().plus(self.rules.max_command_age);
                let known_until = ended.timely_until.map_or(too_old, |until| until.max(too_old));
                self.reports.confirmed.push(Reported { command: ended.command, known_until });
                if let Some(position) = ended.position {
                    self.settle_position(&position);
                }
            }
            Some(Pending::DeadLetter { position }) => self.settle_position(&position),
            None => {}
        }
    }

    /// The broker will never take it. A terminal event is sent once more in short; a command must not stay without an end.
    fn on_undeliverable(&mut self, receipt: Receipt, reason: &str) {
        match self.reports.take(receipt) {
            Some(Kept { pending: Pending::Terminal { ended, event: Some(event) }, .. }) => {
                let command = ended.command;
                log::error!("the terminal event of {command} cannot be written ({reason}): it is sent again without its details");
                let receipt = self.reports.receipt();
                let short = shortened(*event, reason);
                self.reports.keep(receipt, Pending::Terminal { ended, event: None }, size(&short));
                self.reports.waiting.push_back(Request::Publish(receipt, Box::new(short)));
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
        self.mark(position).settle(position.offset);
        self.reports.moved.insert((position.topic.clone(), position.partition));
    }

    fn on_gap(&mut self, wanted: &Position, resumed: i64) {
        let Position { topic, partition, offset } = wanted;
        let message = if resumed > *offset {
            format!(
                "records {offset} to {} of {topic} [{partition}] can no longer be read: the topic's retention is shorter than the agent was away",
                resumed - 1
            )
        } else {
            format!(
                "{topic} [{partition}] ends before offset {offset}: it was made anew or lost records; reading goes on at offset {resumed}"
            )
        };
        log::error!("{message}");
        self.mark(wanted).resume_at(resumed);
        self.reports.moved.insert((topic.clone(), *partition));
        let Some(agent) = self.agent.clone() else { return };
        let about = format!("gap/{topic}/{partition}/{offset}/{resumed}");
        let details = json!({"topic": topic, "partition": partition, "wanted": offset, "resumed": resumed});
        let payload = json!({"message": message, "details": details});
        self.report_lightly(Event::report(&agent, crate::domain::EventKind::ErrorReport, &about, payload, now()));
    }

    fn send_waiting(&mut self) {
        let Some(producer) = &self.ports.producer else { return };
        while let Some(request) = self.reports.waiting.pop_front() {
            match producer.try_send(request) {
                Ok(()) => {}
                Err(TrySendError::Full(request)) => {
                    self.reports.waiting.push_front(request);
                    return;
                }
                // The producer has ended; its exit report ends the agent.
                Err(TrySendError::Disconnected(_)) => return,
            }
        }
    }
}

/// About the length of its record: the rest is some hundred bytes.
fn size(event: &Event) -> usize {
    event.payload.to_string().len()
}

/// The same event with the same id, but only the essentials of its payload.
fn shortened(event: Event, reason: &str) -> Event {
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

//! What the coordinator shows of itself and of the threads around it: how often links broke, what waits in its queues, whether
//! anybody hangs, how much the journal holds.
//!
//! The coordinator writes, who serves the page reads. Nothing here grows: names are the program's own.

use super::family as f;
use super::page::Page;
use super::value::Value;
use crate::domain::{DependencyState, Health, Timestamp};
use crate::threads::Published;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What waits for the coordinator, or for somebody whom it has given work to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// From lanes, queries and the engine's events.
    Docker,
    /// Confirmations of the brokers.
    Deliveries,
    /// Records of the command topic.
    Commands,
    /// From the heartbeats.
    ControlPlane,
    /// From the session.
    Session,
    /// From the local socket.
    Local,
    /// To the producer.
    Events,
    /// To the lanes.
    Jobs,
    /// To the thread that only reads.
    Queries,
}

const QUEUES: [(Queue, &str); 9] = [
    (Queue::Docker, "docker"),
    (Queue::Deliveries, "deliveries"),
    (Queue::Commands, "commands"),
    (Queue::ControlPlane, "control_plane"),
    (Queue::Session, "session"),
    (Queue::Local, "local"),
    (Queue::Events, "events"),
    (Queue::Jobs, "jobs"),
    (Queue::Queries, "queries"),
];

/// A thread of the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadState {
    /// As the kernel shows it.
    pub name: &'static str,
    /// Whether it keeps its word to show itself.
    pub word: Word,
}

/// Whether a thread has shown itself when it said that it would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// It has, or waits for work.
    Kept,
    /// It has not: it hangs.
    Broken,
}

/// All that is shown.
#[derive(Debug)]
pub(super) struct LoopState {
    /// How often each dependency was lost, with whether it was ready when it was seen last.
    losses: Mutex<BTreeMap<&'static str, (u64, DependencyState)>>,
    queues: [AtomicU64; QUEUES.len()],
    threads: Published<Vec<ThreadState>>,
    /// Unix milliseconds; 0 before the first.
    turned: AtomicI64,
    /// Bytes; 0 before the first look.
    journal: AtomicU64,
    free: AtomicU64,
}

impl LoopState {
    pub(super) fn new() -> Self {
        Self {
            losses: Mutex::default(),
            queues: std::array::from_fn(|_| AtomicU64::new(0)),
            threads: Published::new(Vec::new()),
            turned: AtomicI64::new(0),
            journal: AtomicU64::new(0),
            free: AtomicU64::new(0),
        }
    }

    /// Counts each dependency that was ready and is not any more.
    pub(super) fn observe(&self, health: &Health) {
        let mut losses = self.losses.lock().unwrap_or_else(PoisonError::into_inner);
        for part in &health.dependencies {
            let (lost, before) = losses.entry(part.name).or_insert((0, part.state));
            if *before == DependencyState::Ready && part.state == DependencyState::NotReady {
                *lost += 1;
            }
            *before = part.state;
        }
    }

    pub(super) fn queue(&self, queue: Queue, waiting: usize) {
        self.queues[queue as usize].store(waiting as u64, Ordering::Relaxed);
    }

    pub(super) fn turned(&self, at: Timestamp) {
        self.turned.store(at.as_millis(), Ordering::Relaxed);
    }

    pub(super) fn threads(&self, states: Vec<ThreadState>) {
        self.threads.publish(states);
    }

    pub(super) fn space(&self, held: u64, free: u64) {
        self.journal.store(held, Ordering::Relaxed);
        self.free.store(free, Ordering::Relaxed);
    }

    pub(super) fn render(&self, page: &mut Page) {
        page.family(&f::DEPENDENCY_LOSSES);
        for (name, (lost, state)) in &*self.losses.lock().unwrap_or_else(PoisonError::into_inner) {
            if *state != DependencyState::Off {
                page.sample(&[("dependency", name)], *lost);
            }
        }
        page.family(&f::QUEUE);
        for (queue, name) in QUEUES {
            page.sample(&[("queue", name)], self.queues[queue as usize].load(Ordering::Relaxed));
        }
        let threads = self.threads.newest();
        if !threads.is_empty() {
            page.family(&f::THREAD_LATE);
            for thread in threads.iter() {
                page.sample(&[("thread", thread.name)], thread.word == Word::Broken);
            }
        }
        let (turned, journal) = (self.turned.load(Ordering::Relaxed), self.journal.load(Ordering::Relaxed));
        if turned > 0 {
            page.family(&f::TURN);
            page.sample(&[], Value::Thousandths(turned));
        }
        if journal > 0 {
            page.family(&f::JOURNAL_SIZE);
            page.sample(&[], journal);
            page.family(&f::JOURNAL_FREE);
            page.sample(&[], self.free.load(Ordering::Relaxed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Dependency, Phase, Weight};

    fn health(state: DependencyState) -> Health {
        let docker = Dependency::new("docker", state, Weight::Shown, Timestamp::from_millis(0));
        Health::of(Phase::Ready, vec![docker])
    }

    #[test]
    fn the_queues_are_in_the_order_of_their_kinds() {
        for (place, (queue, _)) in QUEUES.into_iter().enumerate() {
            assert_eq!(queue as usize, place);
        }
    }

    #[test]
    fn losses_queues_and_threads_that_hang_are_shown() {
        use DependencyState::{Connecting, NotReady, Ready};
        let state = LoopState::new();
        for seen in [Connecting, NotReady, Ready, NotReady, NotReady, Ready, NotReady] {
            state.observe(&health(seen));
        }
        state.queue(Queue::Jobs, 2);
        state.threads(vec![ThreadState { name: "telemetry", word: Word::Kept }, ThreadState { name: "docker-lane-1", word: Word::Broken }]);
        state.turned(Timestamp::from_millis(1500));
        state.space(4096, 7);
        let mut page = Page::default();
        state.render(&mut page);
        let page = page.finish();
        for expected in [
            "axion_agent_dependency_losses_total{dependency=\"docker\"} 2",
            "axion_agent_queue_length{queue=\"jobs\"} 2",
            "axion_agent_queue_length{queue=\"docker\"} 0",
            "axion_agent_thread_late{thread=\"docker-lane-1\"} 1",
            "axion_agent_thread_late{thread=\"telemetry\"} 0",
            "axion_agent_coordinator_turn_time_seconds 1.500",
            "axion_agent_journal_size_bytes 4096",
            "axion_agent_journal_free_bytes 7",
        ] {
            assert!(page.lines().any(|line| line == expected), "{expected} is not in\n{page}");
        }
    }
}

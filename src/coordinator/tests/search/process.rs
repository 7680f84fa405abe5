//! A process at one moment, as far as its threads and channels tell it apart from others.

use super::hands::Batch;
use super::minds::{Heard, Wish};

/// The client of a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Client {
    Usable,
    /// Another one takes its place soon.
    Broken,
    /// Another one takes its place in ten minutes.
    Fenced,
}

/// What a lane does with a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Job {
    pub(super) command: u8,
    pub(super) stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    Look,
    /// It has seen this version of the service.
    Intend(u8),
    Update(u8),
    Done,
}

/// A process: its threads, and what lies in the channels between them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Process {
    pub(super) mind: u32,
    pub(super) hand: u32,
    pub(super) client: Client,
    pub(super) wishes: Vec<Wish>,
    pub(super) told: Vec<Heard>,
    pub(super) jobs: Vec<Job>,
    /// The next record to read.
    pub(super) next: u8,
    /// The mark that the consumer is to commit.
    pub(super) mark: Option<u8>,
    /// Where its reading back begins.
    pub(super) from: u8,
    pub(super) batch: Batch,
}

//! Reads the agent's own events back: which commands have their end on the topic already?
//!
//! After a start, and after every client that broke, nobody knows which of the last transactions were
//! committed; the topic does. It is read from the last place that is known to the journal, once, as
//! `read_committed`, to its end; the producer is the thread. It writes nothing and keeps no record.

use super::Settings;
use super::native::{BEGINNING, Client, Fault, Happening, Kind, PartitionOffset, code};
use super::settings::{StartError, config, unusable};
use crate::record::{Written, read_event};
use crossbeam_channel::Receiver;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Without any record for this long it begins anew: a broker answers an empty fetch within a second.
const PATIENCE: Duration = Duration::from_secs(15);

/// How far it is.
#[derive(Debug)]
pub(super) enum Progress {
    /// Nothing more for now.
    Waiting,
    /// One more event.
    Found(Written),
    /// All of it was read.
    Finished,
    /// Its end has not come for too long.
    Late,
    /// It cannot be read, or not now.
    Failed(Fault),
}

/// One reading, from the places that are known to the end.
pub(super) struct ReadBack {
    client: Client,
    topic: String,
    /// The next offset of each partition.
    places: BTreeMap<i32, i64>,
    unfinished: Vec<i32>,
    give_up: Instant,
}

impl ReadBack {
    /// Begins to read these partitions from the places that are known, else from their beginning.
    pub(super) fn begin(settings: &Settings, partitions: &[i32], known: &BTreeMap<i32, i64>) -> Result<Self, StartError> {
        let mut settled = config(Kind::Consumer, settings)?;
        settled.set("enable.partition.eof", "true").map_err(|refused| StartError::Client(refused.reason))?;
        let client = Client::new(Kind::Consumer, settled).map_err(unusable)?;
        let places = partitions.iter().map(|partition| (*partition, known.get(partition).copied().unwrap_or(BEGINNING))).collect();
        let reading = Self {
            client,
            topic: settings.event_topic.clone(),
            places,
            unfinished: partitions.to_vec(),
            give_up: Instant::now() + PATIENCE,
        };
        reading.assign().map_err(|fault| StartError::Client(fault.text))?;
        Ok(reading)
    }

    fn assign(&self) -> Result<(), Fault> {
        let at = |(&partition, &offset)| PartitionOffset { partition, offset };
        self.client.assign(&self.topic, &self.places.iter().map(at).collect::<Vec<_>>())
    }

    /// Has a message when [`Self::next`] may have more.
    pub(super) fn woken(&self) -> &Receiver<()> {
        self.client.woken()
    }

    /// When it is to be asked at the latest.
    pub(super) fn give_up(&self) -> Instant {
        self.give_up
    }

    /// Where the topic ended when it was read.
    pub(super) fn places(&self) -> &BTreeMap<i32, i64> {
        &self.places
    }

    pub(super) fn next(&mut self) -> Progress {
        loop {
            let Some(happening) = self.client.next() else {
                return if Instant::now() >= self.give_up { Progress::Late } else { Progress::Waiting };
            };
            match happening {
                Happening::Message(message) => {
                    self.give_up = Instant::now() + PATIENCE;
                    self.places.insert(message.partition, message.offset + 1);
                    if let Some(written) = message.value.as_deref().and_then(read_event) {
                        return Progress::Found(written);
                    }
                }
                Happening::PartitionFault { at, fault, .. } if fault.code == code::PARTITION_EOF => {
                    self.places.insert(at.partition, at.offset);
                    self.unfinished.retain(|partition| *partition != at.partition);
                    if self.unfinished.is_empty() {
                        return Progress::Finished;
                    }
                }
                // The place that the journal knows is not there any more: what is left of the topic says enough.
                Happening::PartitionFault { at, fault, .. } if fault.code == code::AUTO_OFFSET_RESET => {
                    self.places.insert(at.partition, BEGINNING);
                    if let Err(fault) = self.assign() {
                        return Progress::Failed(fault);
                    }
                }
                Happening::PartitionFault { fault, .. } | Happening::Fault(fault) => log::debug!("reading back: {fault}"),
                _ => {}
            }
        }
    }
}

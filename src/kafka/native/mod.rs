//! A small safe face over librdkafka: the only place in the crate with `unsafe`.
//!
//! rust-rdkafka's clients poll in slices, and its drops can wait for a broker that is away. This
//! wrapper has neither: one queue per client brings everything ([`Happening`]), a channel of one
//! ([`Client::woken`]) says that there is something to fetch, so a thread can wait for it, for its
//! stop and for its requests at once; questions to a broker are asked without waiting and
//! answered through the queue (but [`Client::seek_broker`] and [`Client::group_offsets`]); and the end never waits for a broker.
//!
//! Everything that leaves this module is owned: no pointer of librdkafka outlives a call.
//! A [`Client`] may be used by one thread at a time; librdkafka's own threads (`rdk:…`) only ever
//! run the three callbacks in here: one writes to the log, one fills the channel of one, one sees certificates.

mod ask;
mod client;
mod config;
mod fault;
mod happening;
mod offsets;
mod produce;
mod transaction;
mod witness;

pub(super) use ask::Sought;
pub(super) use client::{Client, Kind};
pub(super) use config::{Config, Refused};
pub(super) use fault::{Fault, code};
pub(super) use happening::{Delivery, Happening, Message, Operation, TopicState};
pub(super) use offsets::{BEGINNING, PartitionOffset};
pub(super) use transaction::{Remedy, Setback};
pub(super) use witness::Evidence;

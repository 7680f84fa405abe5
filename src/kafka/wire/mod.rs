//! Records ⇄ domain: the only place that knows how commands and events stand in records of Kafka. The
//! JSON in them is the room [`crate::record`]'s.
//!
//! Pure: no I/O, no clock, any thread. [`read`] turns the bytes and headers of a record into an
//! [`Inbound`](super::Inbound) and never fails: what cannot be read is itself an answer. [`write_event`] and
//! [`write_dead_letter`] shape what goes out.

mod headers;
mod inbound;
mod letter;
mod outbound;
#[cfg(test)]
mod tests;

pub(super) use inbound::{RawRecord, read};
pub(super) use outbound::{Outgoing, write_dead_letter, write_event};

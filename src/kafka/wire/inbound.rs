//! A record on the command topic → what it is: a command, a refusal, a dead letter.

use super::headers::{self, Headers};
use super::letter::dead_letter;
use crate::domain::Timestamp;
use crate::kafka::Inbound;
use crate::record::{self, Bearer, Read, Terms};

/// A record as the broker gave it.
#[derive(Debug, Clone, Copy)]
pub struct RawRecord<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; none in a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: &'a Headers,
    /// When it was made or appended, by the topic's `message.timestamp.type`.
    pub timestamp: Option<Timestamp>,
}

/// Reads a record at this time; what is wrong with it is part of the answer.
#[must_use]
pub fn read(record: &RawRecord<'_>, terms: &Terms<'_>, at: Timestamp) -> Inbound {
    let made_at = headers::timestamp(record.headers).or(record.timestamp);
    let context = headers::context(record.headers);
    let bearer = Bearer { context: context.clone(), made_at };
    match record::receive(record.value.unwrap_or_default(), bearer, terms, at) {
        Read::Command(command) => Inbound::Command(command),
        Read::Refused(refusal) => Inbound::Refused(refusal),
        Read::Unreadable { code, message } => Inbound::Unreadable(dead_letter(record, code, message, context)),
    }
}

//! A record that nobody can answer becomes a dead letter.

use super::inbound::RawRecord;
use crate::domain::{Code, Context, Position, hex};
use crate::kafka::DeadLetter;
use openssl::sha::sha256;

/// The largest value that is kept whole, in bytes: with key and headers the new record stays below the
/// 1 MiB that a topic accepts by default (`max.message.bytes`).
const MAX_WHOLE_BYTES: usize = 1_000_000;
/// How much of a key is kept: a project_id has at most 200 bytes.
const MAX_KEY_BYTES: usize = 1024;

pub(super) fn dead_letter(record: &RawRecord<'_>, code: Code, message: String, context: Context) -> DeadLetter {
    let value = record.value.unwrap_or_default();
    let kept = if value.len() <= MAX_WHOLE_BYTES { value.len() } else { DeadLetter::MAX_KEPT_BYTES };
    DeadLetter {
        position: Position { topic: record.topic.to_owned(), partition: record.partition, offset: record.offset },
        key: record.key.map(|key| key[..key.len().min(MAX_KEY_BYTES)].to_vec()),
        value: value[..kept].to_vec(),
        length: value.len(),
        sha256: hex(&sha256(value)),
        code,
        message,
        context,
    }
}

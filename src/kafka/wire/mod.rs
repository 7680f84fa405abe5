//! Bytes ⇄ domain: the only place that knows how commands and events are spelt in records.
//!
//! Pure: no I/O, no clock, any thread. [`read`] turns the bytes and headers of a record into an
//! [`Inbound`] and never fails: what cannot be read is itself an answer. [`write_event`] and
//! [`write_dead_letter`] shape what goes out. Nothing here ever repeats the value of a field in an
//! error, since any of them may hold a secret: an error names the JSON path and what belongs there.
//!
//! The limits on what a command may hold are the constants of [`limits`].

mod error;
mod fields;
mod head;
mod headers;
mod inbound;
mod letter;
mod outbound;
mod payload;
#[cfg(test)]
mod tests;

pub(super) use inbound::{RawRecord, read};
pub(super) use outbound::{Outgoing, write_dead_letter, write_event};

/// What a command may hold at most, beside `limits.max_message_bytes` for the whole record.
pub mod limits {
    /// Objects and arrays inside one another. A command of this version needs four; the rest is room
    /// for fields of later versions. Each level costs stack in every reader behind this one.
    pub const MAX_DEPTH: usize = 32;
    /// Variables of a deploy. The environment of a process has room for about as many.
    pub const MAX_VARIABLES: usize = 10_000;
    /// Files shipped with a deploy: a Swarm service takes far fewer configs and secrets.
    pub const MAX_FILES: usize = 1_000;
    /// Registry logins of a deploy.
    pub const MAX_REGISTRIES: usize = 100;
    /// Services named in one command.
    pub const MAX_SERVICES: usize = 1_000;
    /// The longest time that a command may ask for, in seconds: a day.
    pub const MAX_TIMEOUT_SECONDS: u64 = 86_400;
    /// The most replicas that one service may be scaled to: beyond it a slip of the keyboard is likelier than a wish.
    pub const MAX_REPLICAS: u64 = 10_000;
    /// Managers named in one command: a swarm has seven at the most in practice.
    pub const MAX_MANAGERS: usize = 100;
    /// The most lines that one answer has; they must fit into a record.
    pub const MAX_TAIL: u64 = 1_000;
    /// The longest user id or trace context that is passed on, in bytes: it goes into a header of every event.
    pub const MAX_CONTEXT_BYTES: usize = 512;
}

//! The JSON of commands and events, the same whichever way they come and go: a library of the rooms
//! that carry it.
//!
//! Pure: no I/O, no clock, any thread. [`receive`] turns bytes into a command and never fails: what cannot
//! be read is itself an answer. Nothing here ever repeats the value of a field in an error, since any of
//! them may hold a secret: an error names the JSON path and what belongs there.
//!
//! [`receive`] is the same for what comes from afar: a command may stand there in a signed envelope (`signed.rs`).
//!
//! The limits on what a command may hold are the constants of [`limits`].

mod command;
mod error;
mod event;
mod fields;
mod head;
mod payload;
mod signed;
#[cfg(test)]
mod signed_tests;

pub use command::read_around;
pub use event::{Written, read_event, write_event};
pub use signed::{Terms, receive};

use crate::domain::{Code, Command, Context, Refusal, Timestamp};

/// What the bearer of a command says beside it; the command's own word wins.
#[derive(Debug, Clone, Default)]
pub struct Bearer {
    /// Correlation, user, project.
    pub context: Context,
    /// When the command was made.
    pub made_at: Option<Timestamp>,
}

/// What the bytes turned out to be.
#[derive(Debug)]
pub enum Read {
    /// A command.
    Command(Command),
    /// They have a command_id that can be answered, but are no command.
    Refused(Refusal),
    /// They have none.
    Unreadable {
        /// The stable code.
        code: Code,
        /// What is wrong and where.
        message: String,
    },
}

/// What a command may hold at most, beside `limits.max_message_bytes` for the whole record.
pub mod limits {
    use std::time::Duration;

    /// Objects and arrays inside one another. A command of this version needs four; the rest is room
    /// for fields of later versions. Each level costs stack in every reader behind this one.
    pub const MAX_DEPTH: usize = 32;
    /// Variables of a deploy. The environment of a process has room for about as many.
    pub const MAX_VARIABLES: usize = 10_000;
    /// Files shipped with a deploy: a Swarm service takes far fewer configs and secrets.
    pub const MAX_FILES: usize = 1_000;
    /// Images of a repository that a Prune may keep: beyond it nothing would ever be removed.
    pub const MAX_KEPT_IMAGES: u64 = 1_000;
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
    /// The longest time from the issue of a signed command to its expiry: so long its id is remembered, and so long it
    /// can be withheld and still be carried out.
    pub const MAX_SIGNED_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);
    /// The longest user id that is passed on, in bytes: it goes into a header of every event.
    pub const MAX_CONTEXT_BYTES: usize = 512;
}

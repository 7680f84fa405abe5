//! Why a command is not carried out at all.

use super::{Code, CommandId, Context, Timestamp};

/// The answer to what has a command_id and is no command, or none for here and now.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The id.
    pub command_id: CommandId,
    /// Its command_type, as far as it could be read.
    pub command_type: Option<String>,
    /// What could be read of the context.
    pub context: Context,
    /// Until when it would be timely, of a signed one: so long its id must be known.
    pub timely_until: Option<Timestamp>,
    /// The stable code.
    pub code: Code,
    /// What is wrong, where, and what to do.
    pub message: String,
}

//! Deploy: the first version refuses.

use super::room::{End, Room};
use crate::domain::{Code, Deploy, Outcome};

/// Refuses the command.
pub(super) fn run(_room: &Room<'_>, request: &Deploy) -> End {
    let message = format!("this version of the agent cannot deploy the stack {} yet", request.target.stack);
    End::Finished(Outcome::failed(Code::UNSUPPORTED, message))
}

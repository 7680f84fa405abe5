//! What answers and events look like to a person. Pure: documents and a [`Page`] in, text out.

mod agent;
mod commands;
mod event;
mod fields;
mod plan;
mod revisions;
mod stacks;
mod tasks;
#[cfg(test)]
mod tests;

pub(super) use agent::status;
pub(super) use commands::{command, commands};
pub(super) use event::event;
pub(super) use plan::plan;
pub(super) use revisions::revisions;
pub(super) use stacks::{services, stacks};
pub(super) use tasks::tasks;

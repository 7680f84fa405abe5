//! Ids of commands by their beginnings, as lists show them.

use super::Exit;
use super::client::{Client, Request};
use super::failure::{Failure, codes};
use super::next::About;
use super::wire::{Command, Commands};
use crate::domain::{Code, CommandId};
use serde_json::Value;

/// The id that begins so. A whole one need not be known.
pub(super) fn whole(client: &Client, beginning: &str) -> Result<CommandId, Failure> {
    if let Ok(id) = CommandId::parse(beginning) {
        return Ok(id);
    }
    let answer = client.fetch(&Request::get("/v1/commands"))?;
    choose(&all(&answer)?, beginning)
}

/// The commands of an answer.
pub(super) fn all(answer: &Value) -> Result<Vec<Command>, Failure> {
    let read: Result<Commands, _> = serde_json::from_value(answer.clone());
    let read = read.map_err(|error| {
        let message = format!("the agent's list of commands cannot be read: {error}");
        Failure::new(Exit::Failed, codes::ANSWER, message, "see that agent and command line are of one version")
    })?;
    Ok(read.commands)
}

fn choose(commands: &[Command], beginning: &str) -> Result<CommandId, Failure> {
    let mut found = commands.iter().filter(|command| command.command_id.starts_with(beginning));
    let none = || Failure::of_code(Code::NOT_OPEN.as_str(), format!("no command that is known begins with {beginning}"), &About::default());
    match (found.next(), found.next()) {
        (Some(one), None) => CommandId::parse(&one.command_id).map_err(|_| none()),
        (Some(one), Some(another)) => {
            let message = format!("{beginning} begins several ids: {} and {}", one.command_id, another.command_id);
            Err(Failure::new(Exit::Usage, codes::USAGE, message, "write more of it"))
        }
        (None, _) => Err(none()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_enough_if_it_is_one_commands_alone() {
        let of = |id: &str| Command { command_id: id.to_owned(), ..Command::default() };
        let known = [of("8d0d6c1e-8c0f-4d7e-9a53-0f3c7a1c1f11"), of("8d1d6c1e-8c0f-4d7e-9a53-0f3c7a1c1f11")];
        assert_eq!(choose(&known, "8d0").unwrap().to_string(), known[0].command_id);
        assert!(choose(&known, "8d").unwrap_err().message.contains("several"));
        assert_eq!(choose(&known, "9").unwrap_err().code, "command.not_open");
    }
}

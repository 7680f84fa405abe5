//! `stacks`, `services`, `ps` and `status`: one answer of the agent each, and a way to print it.

use super::client::{Client, Request, path_of};
use super::failure::{Failure, codes};
use super::invocation::{Call, Look, Output};
use super::next::About;
use super::terminal::Page;
use super::wire::{Stack, Stacks, Status};
use super::{Exit, ids, print, show};
use crate::domain::{Code, StackName};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;

/// The status is for the day on which something hangs: it does not wait long for an engine that the agent has not given up yet.
const STACKS: Duration = Duration::from_secs(3);

/// Does it.
pub(super) fn look(call: &Call, what: &Look) -> Result<Exit, Failure> {
    let client = Client::of(&call.reach);
    match what {
        Look::Stacks => {
            let answer = client.fetch(&Request::get("/v1/stacks"))?;
            tell(call.output, &answer, show::stacks, |stacks: &Stacks| stacks.stacks.iter().map(|stack| stack.name.clone()).collect())
        }
        Look::Services(name) => {
            let answer = stack(&client, name)?;
            tell(call.output, &answer, show::services, |stack: &Stack| stack.services.iter().map(|one| one.name.clone()).collect())
        }
        Look::Tasks { stack: name, services, which } => {
            let answer = stack(&client, name)?;
            check(&read(&answer)?, services)?;
            let text = |stack: &Stack, page: &Page| show::tasks(stack, services, *which, page);
            tell(call.output, &answer, text, |stack: &Stack| stack.tasks.iter().map(|task| task.id.clone()).collect())
        }
        Look::Revisions(name) => {
            let answer = stack(&client, name)?;
            // Which command it was is known for as long as the agent remembers it.
            let recent = match call.output {
                Output::Text => client.fetch(&Request::get("/v1/commands")).and_then(|list| ids::all(&list)).unwrap_or_default(),
                Output::Json | Output::Names => Vec::new(),
            };
            let text = |stack: &Stack, page: &Page| show::revisions(stack, &recent, page);
            tell(call.output, &answer, text, |stack: &Stack| stack.revisions.iter().map(|one| one.revision.to_string()).collect())
        }
        Look::Status => {
            let answer = client.fetch(&Request::get("/v1/status"))?;
            // People want to see the last commands, too; an agent that cannot say which is shown all the same.
            let recent = match call.output {
                Output::Text => client.fetch(&Request::get("/v1/commands")).and_then(|list| ids::all(&list)).unwrap_or_default(),
                Output::Json | Output::Names => Vec::new(),
            };
            // The count in the status may be half a minute old, and has no reasons: whoever has just deployed looks for them.
            let stacks = if call.output == Output::Text && has_engine(&read(&answer)?) { stacks(&client) } else { None };
            let text = |status: &Status, page: &Page| show::status(status, &recent, stacks.as_ref(), page);
            tell(call.output, &answer, text, |status: &Status| status.agent_id.clone().into_iter().collect())
        }
    }
}

/// Whether the agent reaches its engine: one that does not answer is not waited for.
fn has_engine(status: &Status) -> bool {
    status.dependencies.iter().any(|link| link.name == "docker" && link.state == "ready")
}

/// All stacks, if they can be had soon.
fn stacks(client: &Client) -> Option<Stacks> {
    let answer = client.fetch(&Request::get("/v1/stacks").within(STACKS)).ok()?;
    read(&answer).ok()
}

/// One stack, with its tasks and revisions.
pub(super) fn stack(client: &Client, name: &StackName) -> Result<Value, Failure> {
    client.fetch(&Request::get(path_of(name, "")).about(About::stack(name)))
}

/// Whether the stack has all of these services.
pub(super) fn check(stack: &Stack, services: &[String]) -> Result<(), Failure> {
    let has = |name: &String| stack.services.iter().any(|service| service.name == *name);
    let Some(missing) = services.iter().find(|name| !has(name)) else { return Ok(()) };
    let known: Vec<&str> = stack.services.iter().map(|service| service.name.as_str()).collect();
    let near = crate::config::nearest(missing, known).map_or_else(String::new, |near| format!("; did you mean {near}?"));
    let about = StackName::new(stack.name.clone()).map(|name| About::stack(&name)).unwrap_or_default();
    Err(Failure::of_code(Code::SERVICE_NOT_FOUND.as_str(), format!("the stack {} has no service {missing}{near}", stack.name), &about))
}

/// An answer as what it is about.
pub(super) fn read<T: DeserializeOwned>(answer: &Value) -> Result<T, Failure> {
    serde_json::from_value(answer.clone()).map_err(|error| {
        let message = format!("the agent's answer cannot be read: {error}");
        Failure::new(Exit::Failed, codes::ANSWER, message, "see that agent and command line are of one version: axion-agent --version")
    })
}

/// Prints an answer for whoever asks.
fn tell<T: DeserializeOwned>(
    output: Output,
    answer: &Value,
    text: impl Fn(&T, &Page) -> String,
    names: impl Fn(&T) -> Vec<String>,
) -> Result<Exit, Failure> {
    // Programs get the answer as it is, if it is one.
    let read: T = read(answer)?;
    Ok(match output {
        Output::Json => print::out(&format!("{answer}\n")),
        Output::Text => print::out(&text(&read, &Page::of_stdout())),
        Output::Names => print::out(&names(&read).iter().map(|name| format!("{name}\n")).collect::<String>()),
    })
}

//! `events`, and `commands`: what happens, what is open, what was.

use super::client::{Client, Line, Request};
use super::deploy::told;
use super::failure::{Failure, codes};
use super::invocation::{Call, Commands, Follow, Output};
use super::look::read;
use super::next::About;
use super::print::Reader;
use super::terminal::Page;
use super::watch::{self, Ended, Show};
use super::wire::{Command, Event};
use super::{Exit, ids, outcome, print, show};
use crate::domain::StackName;
use crate::threads::Stop;
use serde_json::Value;
use std::time::Duration;

/// Between two looks at the list of commands.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Shows events as they come, until Ctrl-C, which ends the process as of old.
pub(super) fn events(call: &Call, stack: Option<&StackName>) -> Result<Exit, Failure> {
    let client = Client::of(&call.reach);
    let mut request = Request::get("/v1/events");
    if let Some(stack) = stack {
        request = request.query("stack", stack.as_str()).about(About::stack(stack));
    }
    let mut lines = client.open(&request)?;
    loop {
        let document = match lines.next() {
            Ok(Line::Document(document)) => document,
            Ok(Line::Blank) => continue,
            Ok(Line::End) => return Err(lost("it closed the connection")),
            Err(error) => return Err(lost(&error.to_string())),
        };
        let reader =
            if call.output == Output::Json { print::line(&document.to_string()) } else { print::line(told_event(&document)?.trim_end()) };
        if reader == Reader::Gone {
            return Ok(Exit::Done);
        }
    }
}

fn told_event(document: &Value) -> Result<String, Failure> {
    if let Some(lost) = document["lost"].as_u64() {
        return Ok(format!("({lost} events were lost: they came faster than they were read)"));
    }
    let event: Event = read(document)?;
    Ok(show::event(&event, &Page::of_stdout()))
}

fn lost(why: &str) -> Failure {
    let message = format!("the agent was lost: {why}");
    Failure::new(
        Exit::Unreachable,
        codes::LOST,
        message,
        "see whether it runs: systemctl status axion-agent; then axion-agent events again",
    )
}

/// Shows commands.
pub(super) fn commands(call: &Call, arguments: &Commands) -> Result<Exit, Failure> {
    let client = Client::of(&call.reach);
    match (&arguments.id, arguments.follow) {
        (None, Follow::No) => list(&client, call.output),
        (None, Follow::Yes) => follow_list(&client, call.output),
        (Some(id), Follow::No) => one(&client, id, call.output),
        (Some(id), Follow::Yes) => follow(&client, id, call.output),
    }
}

fn list(client: &Client, output: Output) -> Result<Exit, Failure> {
    let answer = client.fetch(&Request::get("/v1/commands"))?;
    Ok(match output {
        Output::Json => print::out(&format!("{answer}\n")),
        Output::Text => print::out(&show::commands(&ids::all(&answer)?, &Page::of_stdout())),
        Output::Names => print::out(&ids::all(&answer)?.iter().map(|one| format!("{}\n", one.command_id)).collect::<String>()),
    })
}

/// The list again whenever it changes.
fn follow_list(client: &Client, output: Output) -> Result<Exit, Failure> {
    let mut before: Option<Value> = None;
    loop {
        let answer = client.fetch(&Request::get("/v1/commands"))?;
        if before.as_ref() != Some(&answer) {
            let page = Page::of_stdout();
            let clear = if page.width.is_some() && output == Output::Text { "\x1b[H\x1b[2J" } else { "" };
            let reader = match output {
                Output::Json => print::line(&answer.to_string()),
                Output::Text | Output::Names => print::line(&format!("{clear}{}", show::commands(&ids::all(&answer)?, &page))),
            };
            if reader == Reader::Gone {
                return Ok(Exit::Done);
            }
            before = Some(answer);
        }
        let _elapsed = Stop::never().wait(LOOK_EVERY);
    }
}

fn one(client: &Client, beginning: &str, output: Output) -> Result<Exit, Failure> {
    let id = ids::whole(client, beginning)?;
    let answer = client.fetch(&Request::get(format!("/v1/commands/{id}")).about(About::default().command(id)))?;
    Ok(match output {
        Output::Json => print::out(&format!("{answer}\n")),
        Output::Text => print::out(&show::command(&read::<Command>(&answer)?, &Page::of_stdout())),
        Output::Names => print::out(&format!("{id}\n")),
    })
}

/// Watches it to its end; its exit code is that of the command itself.
fn follow(client: &Client, beginning: &str, output: Output) -> Result<Exit, Failure> {
    let id = ids::whole(client, beginning)?;
    let about = About::default();
    let request = Request::get(format!("/v1/commands/{id}")).query("follow", "true").about(about.clone().command(id));
    match watch::give(client, &request, id, &about, Show::of(output))? {
        Ended::Left => Ok(Exit::Done),
        Ended::Terminal(end, ..) if output == Output::Json => Ok(outcome::exit(&end)),
        Ended::Terminal(end, _, took) => {
            let stack = end.payload.stack_name.clone().and_then(|name| StackName::new(name).ok());
            told(&end, took, output, &About { stack, command: Some(id) })
        }
    }
}

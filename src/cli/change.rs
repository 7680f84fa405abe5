//! `scale`, `rollback`, `stop`, `start`, `restart` and `rm`; `cancel`, `pause` and `resume`. Each is one command of the
//! agent, watched like a deploy.

use super::client::{Client, Request, path_of};
use super::definition::wrapped;
use super::deploy::{Given, command, plan};
use super::failure::{Failure, codes};
use super::invocation::{Call, Change, Goal, Steer, Sure, Verb, Volumes, Wait};
use super::next::About;
use super::terminal::Page;
use super::{Exit, ids, print};
use serde_json::{Value, json};
use std::io::{self, BufRead as _, IsTerminal as _};

/// Changes a stack.
pub(super) fn change(call: &Call, arguments: &Change) -> Result<Exit, Failure> {
    let stack = &arguments.stack;
    if let Verb::Remove(Volumes::Removed, Sure::ToBeAsked) = arguments.verb {
        confirm(
            &format!("This removes the stack {stack} and, on this node, the data in its volumes. Type {stack} to go on: "),
            stack.as_str(),
        )?;
    }
    let on = |what: &str| path_of(stack, what);
    let (request, mut body) = match &arguments.verb {
        Verb::Scale(services) => (Request::post(on("/scale")), json!({"services": services})),
        Verb::Rollback(None, _) => (Request::post(on("/rollback")), json!({})),
        Verb::Rollback(Some(revision), _) => (Request::post(on("/rollback")), json!({"to_revision": revision})),
        Verb::Stop(services) => (Request::post(on("/stop")), json!({"services": services})),
        Verb::Start(services) => (Request::post(on("/start")), json!({"services": services})),
        Verb::Restart(services) => (Request::post(on("/restart")), json!({"services": services})),
        Verb::Remove(Volumes::Kept, _) => (Request::delete(on("")), Value::Null),
        Verb::Remove(Volumes::Removed, _) => (Request::delete(on("")).query("volumes", "true"), Value::Null),
    };
    if let (Some(seconds), Value::Object(fields)) = (arguments.timeout, &mut body) {
        fields.insert("timeout_seconds".to_owned(), json!(seconds));
    }
    let client = Client::of(&call.reach);
    let given = Given::new(arguments.wait, arguments.project.as_deref(), About::stack(stack));
    if let Verb::Rollback(_, Goal::Plan) = arguments.verb {
        body["dry_run"] = json!(true);
        return plan(&client, request.body(body), call.output, given);
    }
    command(&client, request.body(body), call.output, given)
}

/// Says something about commands.
pub(super) fn steer(call: &Call, what: &Steer) -> Result<Exit, Failure> {
    let client = Client::of(&call.reach);
    let path = match what {
        Steer::Cancel(beginning) => format!("/v1/commands/{}/cancel", ids::whole(&client, beginning)?),
        Steer::Pause => "/v1/pause".to_owned(),
        Steer::Resume => "/v1/resume".to_owned(),
    };
    command(&client, Request::post(path), call.output, Given::new(Wait::ToTheEnd, None, About::default()))
}

/// Asks whether it is meant, having said what will happen.
pub(super) fn confirm(consequence: &str, answer: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        let message = format!("{consequence} Nobody can be asked here");
        return Err(Failure::new(Exit::Usage, codes::UNASKED, message, "add --yes if it is meant"));
    }
    print::err(wrapped(consequence, Page::of_stdout().readable()).join("\n"));
    print::prompt(&format!("Type {answer} to go on: "));
    let mut line = String::new();
    if io::stdin().lock().read_line(&mut line).is_ok() && line.trim() == answer {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, codes::UNASKED, "nothing was changed", format!("type {answer} to go on, or add --yes")))
}

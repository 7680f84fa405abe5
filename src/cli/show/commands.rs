//! `commands`: what is open, and what ended last; one of them in full.

use super::event::event;
use crate::cli::outcome;
use crate::cli::table::{Cell, Row, table};
use crate::cli::terminal::{Hue, Page, ago, span};
use crate::cli::wire::Command;
use crate::domain::Timestamp;

/// Ids are shown so short: a longer one is taken too, and the whole one with --json.
const SHOWN_ID: usize = 8;

/// All of them.
pub(in crate::cli) fn commands(commands: &[Command], page: &Page) -> String {
    if commands.is_empty() {
        return "No command has come yet.\n".to_owned();
    }
    let rows: Vec<Row> = commands.iter().map(|one| row(one, page)).collect();
    table(["ID", "COMMAND", "STACK", "FROM", "STATE", "WHEN", "TOOK"], &rows, page)
}

fn row(command: &Command, page: &Page) -> Row {
    let id: String = command.command_id.chars().take(SHOWN_ID).collect();
    let from = command.user.as_ref().map_or_else(|| command.way.clone(), |user| format!("{} ({user})", command.way));
    let row = Row::of([
        Cell::from(id).painted(Hue::Strong),
        kind(command).to_owned().into(),
        command.stack.clone().unwrap_or_else(|| "-".to_owned()).into(),
        from.into(),
        Cell::from(command.state.clone()).painted(hue(&command.state)),
        command.accepted_at.as_deref().or(command.ended_at.as_deref()).map_or_else(|| "-".to_owned(), |at| ago(at, page.now)).into(),
        took(command, page.now).unwrap_or_else(|| "-".to_owned()).into(),
    ]);
    let row = match (&command.code, &command.message) {
        (Some(code), Some(message)) => row.noted(hue(&command.state), format!("{message} [{code}]")),
        (Some(code), None) => row.noted(hue(&command.state), format!("[{code}]")),
        (None, _) => match &command.progress {
            Some(progress) => row.noted(Hue::Quiet, progress.clone()),
            None => row,
        },
    };
    match what_became(command) {
        Some(became) => row.noted(hue(&command.state), became),
        None => row,
    }
}

/// What a command that failed has left.
fn what_became(command: &Command) -> Option<&'static str> {
    (command.state == "failed").then(|| outcome::what_became(command.rolled_back.as_ref(), command.changed))?
}

/// A deploy that changes nothing is told by another name.
fn kind(command: &Command) -> &str {
    if command.dry_run { "Plan" } else { &command.command_type }
}

fn hue(state: &str) -> Hue {
    match state {
        "done" => Hue::Good,
        "failed" | "rejected" => Hue::Bad,
        _ => Hue::Doubtful,
    }
}

/// How long it has been running, or ran.
fn took(command: &Command, now: Timestamp) -> Option<String> {
    let at = |text: &Option<String>| Timestamp::parse(text.as_deref()?).ok();
    let begin = at(&command.started_at)?;
    Some(span(at(&command.ended_at).unwrap_or(now).since(begin)))
}

/// One in full.
pub(in crate::cli) fn command(command: &Command, page: &Page) -> String {
    let mut text =
        format!("{} {}\n", page.colour.paint(Hue::Strong, kind(command)), page.colour.paint(hue(&command.state), &command.state));
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            text += &format!("  {name:<10}{}\n", crate::cli::terminal::tame(&value));
        }
    };
    let time = |at: &Option<String>| at.as_ref().map(|at| format!("{at} ({})", ago(at, page.now)));
    line("id", Some(command.command_id.clone()));
    line("stack", command.stack.clone());
    line("project", command.project_id.clone());
    line("from", Some(command.user.as_ref().map_or_else(|| command.way.clone(), |user| format!("{} ({user})", command.way))));
    line("accepted", time(&command.accepted_at));
    line("started", time(&command.started_at));
    line("ended", time(&command.ended_at));
    line("took", took(command, page.now));
    line("doing", command.progress.clone());
    line("code", command.code.clone());
    line("message", command.message.clone());
    line("stack now", what_became(command).map(str::to_owned));
    if let Some(end) = &command.terminal_event {
        text += &format!("\n{}", event(end, page));
    }
    text
}

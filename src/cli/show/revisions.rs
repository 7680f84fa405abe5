//! `rollback --list`: the states of a stack that can be returned to.

use super::stacks::image;
use crate::cli::table::{Cell, Row, table};
use crate::cli::terminal::{Hue, Page, ago};
use crate::cli::wire::{Command, Revision, Stack};

/// Ids of commands are shown so short, as in `commands`.
const SHOWN_ID: usize = 8;

/// All of a stack, the newest first.
pub(in crate::cli) fn revisions(stack: &Stack, recent: &[Command], page: &Page) -> String {
    if stack.revisions.is_empty() {
        return format!("No revision of {} is kept: this agent has not deployed it, or not seen it run.\n", stack.name);
    }
    let rows: Vec<Row> = stack.revisions.iter().map(|one| row(one, recent, page)).collect();
    let mut text = table(["REVISION", "KEPT", "BY", "STATE", "IMAGES"], &rows, page);
    if !stack.revisions.iter().any(|one| one.runs_now) {
        text += "\nThe stack runs as in none of them: a deploy has failed since, or somebody else has changed it.\n";
    }
    text + &format!("\nReturn to one: axion-agent rollback {} --to N; --dry-run shows first what that would change.\n", stack.name)
}

fn row(one: &Revision, recent: &[Command], page: &Page) -> Row {
    let id = one.command_id.clone().unwrap_or_default();
    let kind = recent.iter().find(|command| command.command_id == id).map(|command| command.command_type.as_str());
    let short: String = id.chars().take(SHOWN_ID).collect();
    let by = kind.map_or_else(|| short.clone(), |kind| format!("{kind} {short}"));
    let images: Vec<String> = one.images.iter().map(|(service, name)| format!("{service}={}", image(name))).collect();
    Row::of([
        Cell::from(one.revision.to_string()).painted(Hue::Strong),
        one.kept_at.as_deref().map_or_else(|| "-".to_owned(), |at| ago(at, page.now)).into(),
        if by.is_empty() { "-".to_owned().into() } else { Cell::from(by) },
        if one.runs_now { Cell::from("runs now".to_owned()).painted(Hue::Good) } else { "-".to_owned().into() },
        images.join(", ").into(),
    ])
}

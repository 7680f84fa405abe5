//! `ps`: the tasks of a stack, and the revisions that it can return to.

use super::stacks::image;
use crate::cli::invocation::Which;
use crate::cli::table::{Cell, Row, table};
use crate::cli::terminal::{Hue, Page, ago};
use crate::cli::wire::{Stack, Task};
use std::collections::BTreeSet;

/// Ids are shown so short: enough to tell them apart, and what the engine takes.
const SHOWN_ID: usize = 12;
/// What tasks do that are over.
const OVER: [&str; 6] = ["complete", "shutdown", "failed", "rejected", "remove", "orphaned"];

/// The tasks of these services, or of all.
pub(in crate::cli) fn tasks(stack: &Stack, services: &[String], which: Which, page: &Page) -> String {
    let chosen = telling(stack, services, which);
    let mut text = if chosen.is_empty() {
        let of = if services.is_empty() { format!("The stack {}", stack.name) } else { services.join(", ") };
        format!("{of} has no tasks.\n")
    } else {
        table(["TASK", "SLOT", "NODE", "STATE", "SINCE", "IMAGE"], &chosen.iter().map(|task| row(task, page)).collect::<Vec<_>>(), page)
    };
    if !stack.revisions.is_empty() && services.is_empty() {
        let list: Vec<String> = stack
            .revisions
            .iter()
            .map(|one| {
                let when = one.kept_at.as_deref().map_or_else(String::new, |at| format!(" ({})", ago(at, page.now)));
                format!("{}{when}", one.revision)
            })
            .collect();
        text += &format!("\nRevisions to return to with `axion-agent rollback {} --to N`: {}\n", stack.name, list.join(", "));
    }
    text
}

/// Which tasks are shown, by service and slot, the newest first.
fn telling<'a>(stack: &'a Stack, services: &[String], which: Which) -> Vec<&'a Task> {
    let mut tasks: Vec<&Task> = stack.tasks.iter().filter(|task| services.is_empty() || services.contains(&task.service)).collect();
    let place = |task: &Task| (task.service.clone(), task.slot, if task.slot.is_some() { None } else { task.node.clone() });
    // RFC 3339 in UTC sorts as text.
    tasks.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| b.since.cmp(&a.since)));
    let mut told = BTreeSet::new();
    let tells = |task: &&Task| match which {
        Which::All => true,
        Which::Telling if !is_over(task) || is_wanted(task) => true,
        Which::Telling => has_failed(task) && told.insert(place(task)),
    };
    tasks.into_iter().filter(tells).collect()
}

fn is_over(task: &Task) -> bool {
    OVER.contains(&task.state.as_str())
}

fn is_wanted(task: &Task) -> bool {
    matches!(task.desired_state.as_str(), "running" | "ready")
}

fn has_failed(task: &Task) -> bool {
    matches!(task.state.as_str(), "failed" | "rejected" | "orphaned")
}

fn row(task: &Task, page: &Page) -> Row {
    let hue = match task.state.as_str() {
        "running" if is_wanted(task) => Hue::Good,
        "failed" | "rejected" | "orphaned" => Hue::Bad,
        _ if is_over(task) => Hue::Quiet,
        _ => Hue::Doubtful,
    };
    let id: String = task.id.chars().take(SHOWN_ID).collect();
    let state = if task.state == "running" && !is_wanted(task) { "ending".to_owned() } else { task.state.clone() };
    let row = Row::of([
        Cell::from(format!("{} {id}", task.service)),
        task.slot.map_or_else(|| "-".to_owned(), |slot| slot.to_string()).into(),
        task.node.clone().filter(|node| !node.is_empty()).unwrap_or_else(|| "-".to_owned()).into(),
        Cell::from(state).painted(hue),
        ago(&task.since, page.now).into(),
        image(task.image.as_deref().unwrap_or("-")).into(),
    ]);
    let error = task.error.as_deref().filter(|error| !error.is_empty());
    // What it waits for, where it has not come to run.
    let message = task.message.as_deref().filter(|message| !message.is_empty() && !is_over(task) && task.state != "running");
    match (error, message) {
        (Some(error), _) => row.noted(Hue::Bad, error),
        (None, Some(message)) => row.noted(Hue::Doubtful, message),
        (None, None) => row,
    }
}

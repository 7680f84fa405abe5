//! `ps`: the tasks of a stack, and the revisions that it can return to.

use super::stacks::image;
use crate::cli::invocation::Which;
use crate::cli::table::{Cell, Row, table};
use crate::cli::terminal::{Hue, Page, ago};
use crate::cli::wire::{Revision, Stack, Task};
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
        let rows: Vec<Row> = chosen.iter().map(|task| row(task, is_earlier(task, &stack.tasks), page)).collect();
        table(["TASK", "SLOT", "NODE", "STATE", "SINCE", "IMAGE"], &rows, page)
    };
    if let Some(failed) = chosen.iter().find(|task| has_failed(task)) {
        let id = short(failed);
        text += &format!("\nWhat a task wrote that failed: axion-agent logs {} --task {id}\n", stack.name);
    }
    if !stack.revisions.is_empty() && services.is_empty() {
        let list: Vec<String> = stack.revisions.iter().map(told).collect();
        text += &format!("\nRevisions: {} (axion-agent rollback {} --list tells more)\n", list.join(", "), stack.name);
    }
    text
}

fn told(revision: &Revision) -> String {
    if revision.runs_now { format!("{} runs now", revision.revision) } else { revision.revision.to_string() }
}

/// Which tasks are shown, by service and slot, the newest first.
fn telling<'a>(stack: &'a Stack, services: &[String], which: Which) -> Vec<&'a Task> {
    let mut tasks: Vec<&Task> = stack.tasks.iter().filter(|task| services.is_empty() || services.contains(&task.service)).collect();
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

/// What a task is one of: the number of its service, or the node of a global one.
fn place(task: &Task) -> (String, Option<u64>, Option<String>) {
    (task.service.clone(), task.slot, if task.slot.is_some() { None } else { task.node.clone() })
}

/// Whether a task is of the past, because another one has taken its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Earlier {
    Yes,
    No,
}

fn is_earlier(task: &Task, all: &[Task]) -> Earlier {
    let newer = |other: &&Task| other.id != task.id && place(other) == place(task) && other.since > task.since;
    if is_over(task) && all.iter().any(|other| newer(&other)) { Earlier::Yes } else { Earlier::No }
}

fn short(task: &Task) -> String {
    task.id.chars().take(SHOWN_ID).collect()
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

fn row(task: &Task, earlier: Earlier, page: &Page) -> Row {
    let hue = match task.state.as_str() {
        "running" if is_wanted(task) => Hue::Good,
        "failed" | "rejected" | "orphaned" => Hue::Bad,
        _ if is_over(task) => Hue::Quiet,
        _ => Hue::Doubtful,
    };
    let id = short(task);
    let state = match earlier {
        Earlier::Yes => format!("{} (earlier)", task.state),
        Earlier::No if task.state == "running" && !is_wanted(task) => "ending".to_owned(),
        Earlier::No => task.state.clone(),
    };
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

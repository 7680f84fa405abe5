//! `status`: the agent itself.

use super::commands::commands;
use super::stacks::{table_of_stacks, unwell};
use crate::cli::table::{Cell, Row, table};
use crate::cli::terminal::{Hue, Page, ago, span, tame};
use crate::cli::wire::{Command, Count, Dependency, Stacks, Status};
use crate::domain::counted;
use std::time::Duration;

/// So many commands are shown; `axion-agent commands` has more.
const SHOWN: usize = 5;
const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// How it is.
pub(in crate::cli) fn status(status: &Status, recent: &[Command], stacks: Option<&Stacks>, page: &Page) -> String {
    let phase = status.phase.to_lowercase();
    // What the agent does without, or may be over in a moment, is no reason for alarm.
    let (hue, though) = match (phase.as_str(), status.ready) {
        ("ready", _) => (Hue::Good, ""),
        ("starting", _) => (Hue::Doubtful, ""),
        ("degraded", Some(true)) => (Hue::Doubtful, ", and ready"),
        _ => (Hue::Bad, ""),
    };
    let mut text = format!(
        "axion-agent {} is {}{though}{}\n",
        status.version,
        page.colour.paint(hue, &phase),
        if status.mode == "local" { " (local mode)" } else { "" }
    );
    let mut line = |name: &str, value: String| text += &format!("  {name:<10}{value}\n");
    line("agent", status.agent_id.clone().unwrap_or_else(|| "not enrolled yet".to_owned()));
    line("up for", format!("{}, process {}", span(Duration::from_secs(status.uptime_seconds)), status.pid));
    if let Some(since) = &status.paused_since {
        line("paused", format!("since {}: nothing starts that changes something; axion-agent resume lets it go on", ago(since, page.now)));
    }
    line("commands", counts(status));
    // The list below has it, unless it could not be had.
    if let Some(last) = status.last_command.as_ref().filter(|_| recent.is_empty()) {
        let id: String = last.id.chars().take(8).collect();
        let stack = last.stack.as_ref().map_or_else(String::new, |stack| format!(" of {stack}"));
        let reason = match (&last.message, &last.code) {
            (Some(message), Some(code)) => format!(": {} [{code}]", tame(message)),
            _ => String::new(),
        };
        line("last", format!("{} {id}{stack}: {} {}{reason}", last.command_type, last.result, ago(&last.finished_at, page.now)));
    }
    let unwell = stacks.map_or_else(Vec::new, |stacks| unwell(stacks, page));
    match (stacks, &status.swarm) {
        (Some(stacks), _) if !stacks.stacks.is_empty() => line("stacks", how_stacks_are(stacks.stacks.len(), unwell.len())),
        (None, Some(count)) if !count.stacks.is_empty() => line("stacks", how_stacks_were(count, page)),
        _ => {}
    }
    let resources = resources(status);
    if !resources.is_empty() {
        line("uses", resources);
    }
    if status.update_offered.as_ref().is_some_and(|offer| !offer.is_null()) {
        line("update", "another version is offered".to_owned());
    }
    let links: Vec<Row> = status.dependencies.iter().filter(|link| link.state != "off").map(|link| row(link, page)).collect();
    if !links.is_empty() {
        text += &format!("\n{}", table(["LINK", "STATE", "SINCE", "DETAIL"], &links, page));
    }
    if !unwell.is_empty() {
        text += &format!("\n{}", table_of_stacks(&unwell, page));
    }
    if !recent.is_empty() {
        text += &format!("\n{}", commands(&recent[..recent.len().min(SHOWN)], page));
    }
    text
}

/// How many of the stacks are not as they are wanted.
fn how_stacks_are(all: usize, unwell: usize) -> String {
    match (all, unwell) {
        (1, 0) => "one, and it is as wanted".to_owned(),
        (all, 0) => format!("{all}, all as wanted"),
        (1, _) => "one, and it is not as wanted: see below".to_owned(),
        (all, 1) => format!("{all}, one of them not as wanted: see below"),
        (all, some) => format!("{all}, {some} of them not as wanted: see below"),
    }
}

/// The same as it was counted, where the engine does not say more.
fn how_stacks_were(count: &Count, page: &Page) -> String {
    let short = count.stacks.iter().filter(|stack| stack.running < stack.desired).count();
    let of_them = if short == 0 { "all their tasks ran".to_owned() } else { format!("{short} of them short of tasks") };
    format!("{}, counted {}: {of_them}; the engine does not answer now", count.stacks.len(), ago(&count.counted_at, page.now))
}

fn counts(status: &Status) -> String {
    let mut parts = vec![match status.commands_open {
        0 => "none open".to_owned(),
        open => format!("{open} open"),
    }];
    if status.events_unreported > 0 {
        parts.push(format!("{} not confirmed by the broker yet", counted(status.events_unreported, "end")));
    }
    if let Some(lag) = status.consumer_lag.filter(|lag| *lag > 0) {
        parts.push(format!("{} of the command topic not taken in yet", counted(lag, "record")));
    }
    parts.join(", ")
}

fn resources(status: &Status) -> String {
    let uses = status.resources;
    let memory = uses.memory.map(|bytes| format!("{:.1} MiB of memory", bytes / MEBIBYTE));
    let time = uses.seconds.map(|seconds| format!("{seconds:.1} s of CPU time"));
    let threads = uses.threads.map(|threads| counted(threads as u64, "thread"));
    memory.into_iter().chain(time).chain(threads).collect::<Vec<_>>().join(", ")
}

fn row(link: &Dependency, page: &Page) -> Row {
    let state = link.state.replace('_', " ").to_lowercase();
    let hue = match state.as_str() {
        "ready" => Hue::Good,
        "connecting" => Hue::Doubtful,
        _ => Hue::Bad,
    };
    let row = Row::of([
        Cell::from(link.name.replace('_', " ")),
        Cell::from(state.clone()).painted(hue),
        ago(&link.since, page.now).into(),
        link.detail.clone().unwrap_or_default().into(),
    ]);
    match &link.last_error {
        Some(error) if state != "ready" => row.noted(hue, error.clone()),
        _ => row,
    }
}

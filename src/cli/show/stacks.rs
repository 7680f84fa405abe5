//! `stacks` and `services`: what runs, and why something does not.

use super::fields::named;
use crate::cli::table::{Cell, Row, table};
use crate::cli::terminal::{Hue, Page, ago};
use crate::cli::wire::{Service, Stack, Stacks};

/// The project of commands that came from here.
const OWN_PROJECT: &str = "local";

/// How a service is, at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli) enum Health {
    /// As many tasks run as should.
    Well,
    /// None should.
    Stopped,
    /// A job that has no task to run any more.
    Done,
    /// On its way, or short of some.
    Short,
    /// Nothing of it runs.
    Down,
}

impl Health {
    const fn word(self) -> &'static str {
        match self {
            Self::Well => "running",
            Self::Stopped => "stopped",
            Self::Done => "done",
            Self::Short => "not all running",
            Self::Down => "not running",
        }
    }

    const fn hue(self) -> Hue {
        match self {
            Self::Well => Hue::Good,
            Self::Stopped | Self::Done => Hue::Quiet,
            Self::Short => Hue::Doubtful,
            Self::Down => Hue::Bad,
        }
    }
}

/// Of a service.
pub(in crate::cli) fn health(service: &Service) -> Health {
    let Tasks { running, desired, completed } = tasks(service);
    let is_well = service.errors.is_empty();
    match running {
        0 if is_well && (completed > 0 || is_job(service)) && completed >= desired => Health::Done,
        0 if desired > 0 => Health::Down,
        // A global service that no node takes wants none either.
        0 if !is_well && service.mode != "replicated" => Health::Down,
        0 => Health::Stopped,
        _ if running + completed < desired => Health::Short,
        _ => Health::Well,
    }
}

fn is_job(service: &Service) -> bool {
    service.mode.ends_with("job")
}

/// A service's tasks, counted.
#[derive(Debug, Clone, Copy)]
struct Tasks {
    running: u64,
    desired: u64,
    completed: u64,
}

fn tasks(service: &Service) -> Tasks {
    let counts = &service.replicas;
    let [running, wanted, completed] = [counts.running, counts.desired, counts.completed].map(Option::unwrap_or_default);
    // Of a global service only those are counted that are still to run.
    let desired = if service.mode.starts_with("global") { wanted + completed } else { wanted };
    Tasks { running, desired, completed }
}

/// Why a service is not as it should be, the gravest first; nothing where it is.
pub(in crate::cli) fn why(service: &Service, page: &Page) -> Vec<(Hue, String)> {
    let mut reasons = Vec::new();
    // What is over does not matter where all runs.
    if health(service) > Health::Done {
        for error in &service.errors {
            let times = if error.count > 1 { format!("{} × ", error.count) } else { String::new() };
            let when = if error.at.is_empty() { String::new() } else { format!(" ({})", ago(&error.at, page.now)) };
            reasons.push((Hue::Bad, format!("{times}{}{when}", error.error)));
        }
        if service.errors.is_empty() {
            reasons.push((Hue::Doubtful, "its tasks are on their way, or no node takes them: axion-agent ps shows each".to_owned()));
        }
    }
    if let Some(update) = service.update.as_ref().filter(|update| !matches!(update.state.as_str(), "completed" | "rollback_completed" | ""))
    {
        let hue = if update.state.ends_with("paused") { Hue::Bad } else { Hue::Doubtful };
        let message = if update.message.is_empty() { String::new() } else { format!(": {}", update.message) };
        reasons.push((hue, format!("update {}{message}", update.state.replace('_', " "))));
    }
    if let Some(drift) = &service.drift {
        let fields: Vec<String> = drift.changes.iter().map(|change| named(&change.field)).collect();
        reasons.push((Hue::Doubtful, format!("somebody else changed it since revision {}: {}", drift.revision, fields.join(", "))));
    }
    reasons
}

/// `3/3`.
fn replicas(service: &Service) -> String {
    let Tasks { running, desired, .. } = tasks(service);
    format!("{running}/{desired}")
}

/// `running`, or `running (1 done)` where the rest has ended well.
fn state(service: &Service) -> Cell {
    let (health, completed) = (health(service), tasks(service).completed);
    let some = if completed > 0 && health != Health::Done { format!(" ({completed} done)") } else { String::new() };
    Cell::from(format!("{}{some}", health.word())).painted(health.hue())
}

/// All stacks.
pub(in crate::cli) fn stacks(answer: &Stacks, page: &Page) -> String {
    match answer.swarm.as_str() {
        "inactive" => return "The engine is in no swarm, so there are no stacks.\n  next: docker swarm init\n".to_owned(),
        "worker" => return "This node is a worker: ask the agent of a manager for the stacks.\n".to_owned(),
        _ => {}
    }
    if answer.stacks.is_empty() {
        return "There are no stacks.\n  next: axion-agent deploy NAME -c FILE\n".to_owned();
    }
    table_of_stacks(&answer.stacks.iter().map(|stack| of_stack(stack, page)).collect::<Vec<_>>(), page)
}

pub(super) fn table_of_stacks(rows: &[Row], page: &Page) -> String {
    table(["STACK", "PROJECT", "SERVICES", "TASKS", "STATE"], rows, page)
}

/// The rows of those of which a service does not run as it is wanted, or was changed by somebody else.
pub(super) fn unwell(answer: &Stacks, page: &Page) -> Vec<Row> {
    let is_unwell = |stack: &&Stack| stack.services.iter().any(|service| health(service) > Health::Done || !why(service, page).is_empty());
    answer.stacks.iter().filter(is_unwell).map(|stack| of_stack(stack, page)).collect()
}

fn of_stack(stack: &Stack, page: &Page) -> Row {
    let worst = stack.services.iter().map(health).max().unwrap_or(Health::Stopped);
    // A stack of services that are stopped or done is well where another one runs.
    let runs = stack.services.iter().any(|service| health(service) == Health::Well);
    let state = if runs && worst < Health::Short { Health::Well } else { worst };
    let sum = |f: fn(Tasks) -> u64| stack.services.iter().map(|service| f(tasks(service))).sum::<u64>();
    let tasks = format!("{}/{}", sum(|tasks| tasks.running), sum(|tasks| tasks.desired));
    let project = stack.project_id.clone().unwrap_or_else(|| "-".to_owned());
    let cells = [
        Cell::from(stack.name.clone()).painted(Hue::Strong),
        if project == OWN_PROJECT { Cell::from(project).painted(Hue::Quiet) } else { project.into() },
        stack.services.len().to_string().into(),
        tasks.into(),
        Cell::from(state.word()).painted(state.hue()),
    ];
    let mut row = Row::of(cells);
    for service in &stack.services {
        if let Some((hue, reason)) = why(service, page).into_iter().next() {
            row = row.noted(hue, format!("{} {}: {reason}", service.name, replicas(service)));
        }
    }
    row
}

/// The services of a stack.
pub(in crate::cli) fn services(stack: &Stack, page: &Page) -> String {
    if stack.services.is_empty() {
        return format!("The stack {} has no services.\n", stack.name);
    }
    let rows: Vec<Row> = stack
        .services
        .iter()
        .map(|service| {
            let row = Row::of([
                Cell::from(service.name.clone()).painted(Hue::Strong),
                service.mode.replace('-', " ").into(),
                replicas(service).into(),
                image(service.image.as_deref().unwrap_or("-")).into(),
                state(service),
            ]);
            why(service, page).into_iter().fold(row, |row, (hue, reason)| row.noted(hue, reason))
        })
        .collect();
    table(["SERVICE", "MODE", "TASKS", "IMAGE", "STATE"], &rows, page)
}

/// Without its digest, where it has a tag too.
pub(super) fn image(image: &str) -> String {
    match image.split_once('@') {
        Some((name, digest)) if !name.rsplit('/').next().is_some_and(|last| last.contains(':')) => {
            let short: String = digest.chars().take("sha256:".len() + 12).collect();
            format!("{name}@{short}")
        }
        Some((name, _)) => name.to_owned(),
        None => image.to_owned(),
    }
}

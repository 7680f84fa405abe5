//! What an idle agent costs, beside its budget: memory, threads, context switches, processor time and
//! disk writes, and how long it takes to start and to stop.
//!
//! `make footprint` runs it. It measures the binary at `AXION_TEST_AGENT`, else this build's. Each
//! situation is measured `FOOTPRINT_ROUNDS` times [3] for `FOOTPRINT_SECONDS` [60], and the medians are
//! shown. It fails when one is above its budget. `FOOTPRINT_ONLY` leaves out the situations whose names it is no part of.
//!
//! With `FOOTPRINT_GROWTH_MINUTES` it does something else: it looks for so long, once a minute, how much
//! memory an agent has from which everything is away (`make growth`). With `FOOTPRINT_ENGINE_MINUTES` it compares what the engine of
//! fifty containers uses with an agent and without one, in four runs of so long (`make engine-cost`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a measuring program: it fails by panicking and prints")]

mod crowd;
mod engine;
mod growth;
mod sample;
mod situation;

#[path = "../../tests/support/mod.rs"]
mod support;

use crowd::Crowd;
use sample::{Figures, measure};
use situation::{Situation, Surroundings};
use std::process::ExitCode;
use std::time::Duration;

const DEFAULT_SECONDS: u64 = 60;
const DEFAULT_ROUNDS: usize = 3;

/// Names a figure, its budget where there is one, and how it is read.
struct Row {
    name: &'static str,
    read: fn(&Figures) -> f64,
    budget: fn(Situation) -> Option<f64>,
}

/// The budgets are those of the static release build.
const ROWS: [Row; 10] = [
    Row { name: "memory, resident (MB)", read: |f| f.resident_mb, budget: resident_budget },
    Row { name: "memory, anonymous (MB)", read: |f| f.anonymous_mb, budget: |_| None },
    Row { name: "threads", read: |f| f.threads, budget: |_| None },
    Row { name: "context switches (1/s)", read: |f| f.switches - f.forced, budget: switches_budget },
    // Other programs make these, on a machine that is not idle.
    Row { name: "forced switches (1/s)", read: |f| f.forced, budget: |_| None },
    Row { name: "processor (% of a core)", read: |f| f.processor_percent, budget: processor_budget },
    Row { name: "disk writes (bytes)", read: |f| f.written, budget: |_| Some(0.0) },
    Row { name: "start to /livez (ms)", read: |f| f.alive_ms, budget: |_| Some(15.0) },
    Row { name: "start to /readyz (ms)", read: |f| f.ready_ms, budget: ready_budget },
    Row { name: "stop (ms)", read: |f| f.stop_ms, budget: stop_budget },
];

fn resident_budget(situation: Situation) -> Option<f64> {
    match situation {
        Situation::Local => Some(6.0),
        Situation::Containers => Some(8.0),
        Situation::Plain => Some(10.0),
        Situation::Tls => Some(12.0),
        Situation::Bundle => Some(15.0),
        Situation::Away => None,
    }
}

/// With containers there is something to look at.
fn processor_budget(situation: Situation) -> Option<f64> {
    Some(if situation == Situation::Containers { 0.2 } else { 0.1 })
}

/// Elsewhere it is the broker and the control plane that decide.
fn ready_budget(situation: Situation) -> Option<f64> {
    matches!(situation, Situation::Local | Situation::Containers).then_some(40.0)
}

fn switches_budget(situation: Situation) -> Option<f64> {
    match situation {
        Situation::Local | Situation::Containers | Situation::Plain | Situation::Tls | Situation::Bundle => Some(16.0),
        Situation::Away => Some(25.0),
    }
}

fn stop_budget(situation: Situation) -> Option<f64> {
    match situation {
        Situation::Away => Some(10_000.0),
        Situation::Local | Situation::Containers | Situation::Plain | Situation::Tls | Situation::Bundle => Some(300.0),
    }
}

fn main() -> ExitCode {
    // `cargo bench` and `cargo test --benches` hand over flags of their own; this program has none.
    let seconds = variable("FOOTPRINT_SECONDS").unwrap_or(DEFAULT_SECONDS);
    let rounds = variable("FOOTPRINT_ROUNDS").map_or(DEFAULT_ROUNDS, |rounds| usize::try_from(rounds).unwrap());
    if let Some(minutes) = variable("FOOTPRINT_ENGINE_MINUTES") {
        return engine::watch(minutes);
    }
    let surroundings = Surroundings::find();
    if let Some(minutes) = variable("FOOTPRINT_GROWTH_MINUTES") {
        return growth::watch(&surroundings, minutes);
    }
    println!("{rounds} rounds of {seconds} s each; medians\n");
    let mut over = Vec::new();
    let only = std::env::var("FOOTPRINT_ONLY").unwrap_or_default();
    let wanted: Vec<Situation> = Situation::ALL.into_iter().filter(|situation| situation.name().contains(&only)).collect();
    assert!(!wanted.is_empty(), "FOOTPRINT_ONLY is part of no situation's name: {only}");
    for situation in wanted {
        if let Some(reason) = surroundings.lacks(situation) {
            println!("{}: skipped: {reason}\n", situation.name());
            continue;
        }
        let crowd = (situation == Situation::Containers).then(Crowd::gather);
        let there = crowd.as_ref().map(|crowd| Surroundings::at(crowd.host()));
        let surroundings = there.as_ref().unwrap_or(&surroundings);
        let runs: Vec<Figures> = (0..rounds).map(|_| measure(surroundings, situation, Duration::from_secs(seconds))).collect();
        over.extend(show(situation, &runs));
    }
    if over.is_empty() {
        println!("footprint: within the budget");
        return ExitCode::SUCCESS;
    }
    println!("footprint: above the budget: {}", over.join("; "));
    ExitCode::FAILURE
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Prints one situation and gives the rows that are above their budgets.
fn show(situation: Situation, runs: &[Figures]) -> Vec<String> {
    println!("{}", situation.name());
    let mut over = Vec::new();
    for row in &ROWS {
        let figure = median(runs.iter().map(row.read).collect());
        let budget = (row.budget)(situation);
        let mark = if budget.is_some_and(|budget| figure > budget) { "  ABOVE" } else { "" };
        let budget_text = budget.map_or_else(|| "-".to_owned(), |budget| format!("{budget}"));
        println!("  {:24} {figure:>10.2}   budget {budget_text:>6}{mark}", row.name);
        if !mark.is_empty() {
            over.push(format!("{}: {} {figure:.2}", situation.name(), row.name));
        }
    }
    println!();
    over
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

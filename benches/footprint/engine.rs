//! Whether an agent that looks at fifty containers costs their engine anything: the engine's processor time without an agent and
//! with one, by turns.

use super::crowd::{CONTAINERS, Crowd};
use super::sample::Running;
use super::situation::{Situation, Surroundings};
use std::process::ExitCode;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
/// Before each run: what came or went is over.
const SETTLE: Duration = Duration::from_secs(20);
/// By so much the mean with an agent may be away from the mean without, in spreads of those without.
const MOST_SPREADS: f64 = 3.0;

/// Whether an agent runs meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Agent {
    Without,
    With,
}

const RUNS: [Agent; 4] = [Agent::Without, Agent::With, Agent::Without, Agent::With];

/// Four runs of so many minutes each.
pub fn watch(minutes: u64) -> ExitCode {
    let crowd = Crowd::gather();
    let surroundings = Surroundings::at(crowd.host());
    println!("{CONTAINERS} containers, {} runs of {minutes} minutes: processor time of the engine and its containerd (ms)", RUNS.len());
    let used = RUNS.map(|agent| {
        let running = (agent == Agent::With).then(|| Running::start(&surroundings, Situation::Containers));
        std::thread::park_timeout(SETTLE);
        let before = crowd.used();
        std::thread::park_timeout(MINUTE * u32::try_from(minutes).expect("minutes"));
        let used = (crowd.used() - before).as_secs_f64() * 1e3;
        println!("  {:24} {used:>10.1}", format!("{agent:?}").to_lowercase());
        drop(running);
        used
    });
    let [without, with, without_again, with_again] = used;
    let spread = (without - without_again).abs();
    let difference = (f64::midpoint(with, with_again) - f64::midpoint(without, without_again)).abs();
    println!(
        "spread of the runs without: {spread:.1} ms; difference: {difference:.1} ms, at most {:.1} are allowed",
        MOST_SPREADS * spread
    );
    if difference > MOST_SPREADS * spread { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

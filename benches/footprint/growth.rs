//! Whether an agent from which everything is away grows: its memory once a minute.

use super::sample::{Running, megabytes};
use super::situation::{Situation, Surroundings};
use std::process::ExitCode;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
/// Until then caches fill and the allocator finds its size.
const WARM_UP_MINUTES: u64 = 5;
/// What the rest of the time may add: a page here and there is no leak, a record per retry would be more.
const MOST_GROWTH_KB: f64 = 128.0;

/// Watches for so many minutes and judges.
pub fn watch(surroundings: &Surroundings, minutes: u64) -> ExitCode {
    assert!(minutes > WARM_UP_MINUTES, "the first {WARM_UP_MINUTES} minutes are not counted: give it more");
    let agent = Running::start(surroundings, Situation::Away);
    println!("{}, {minutes} minutes: memory, resident (MB), and threads", Situation::Away.name());
    let mut warm = f64::INFINITY;
    let mut last = 0.0;
    for minute in 1..=minutes {
        std::thread::park_timeout(MINUTE);
        let now = agent.reading();
        println!("  {minute:>3} min {:>8.3} {:>4}", megabytes(now.resident_kb), now.threads);
        last = now.resident_kb;
        if minute == WARM_UP_MINUTES {
            warm = last;
        }
    }
    let growth = last - warm;
    println!("growth: {growth} KiB after the first {WARM_UP_MINUTES} minutes, at most {MOST_GROWTH_KB} are allowed");
    if growth > MOST_GROWTH_KB { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

//! How long a person waits, from the start of the process to its end. `AXION_TEST_AGENT` names an optimised binary.

use crate::support::{Local, QUICK, Stage};
use std::time::{Duration, Instant};

/// Of so many runs the median counts.
const RUNS: usize = 25;
const NO_OP: Duration = Duration::from_millis(30);
const STACKS: Duration = Duration::from_millis(10);

pub fn no_op(stage: &Stage) {
    let local = Local::start(stage, "speed", "");
    local.write("a.yml", &format!("services:\n  a: {{{QUICK}, command: [sleep, '1000']}}\n  b: {{{QUICK}, command: [sleep, '1000']}}\n"));
    let deploy = ["deploy", "STACK", "-c", "a.yml", "--resolve-image", "never"];
    local.good(&deploy);
    let median = |words: &[&str]| {
        let mut times: Vec<Duration> = (0..RUNS)
            .map(|_| {
                let begun = Instant::now();
                local.good(words);
                begun.elapsed()
            })
            .collect();
        times.sort_unstable();
        println!("{}: {:.1} ms, from {:.1} to {:.1}", words.join(" "), ms(times[RUNS / 2]), ms(times[0]), ms(times[RUNS - 1]));
        times[RUNS / 2]
    };
    let (no_op, stacks) = (median(&deploy), median(&["stacks"]));
    local.good(&["rm", "STACK"]);
    assert!(no_op <= NO_OP && stacks <= STACKS, "a deploy of nothing: {no_op:?}, stacks: {stacks:?}");
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

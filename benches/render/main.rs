//! How long `axion-agent render` takes for a file of 200 services, beside `docker stack config` in the same run:
//! both as programs, from start to exit, in turn, so that both meet the same machine.
//!
//! `make render-bench` runs it. It measures the binary at `AXION_TEST_AGENT`, else this build's, and shows the
//! percentiles of `RENDER_ROUNDS` rounds [40]. It fails only when one of the two does not take the file.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a measuring program: it fails by panicking and prints")]

mod file;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const DEFAULT_ROUNDS: usize = 40;
/// Both programs and their libraries are in the page cache after these.
const WARM_UP: usize = 3;

fn main() -> ExitCode {
    // `cargo test --benches` starts it too, without the word of `cargo bench`: a figure of that run would be worth nothing.
    if !std::env::args().any(|word| word == "--bench") {
        return ExitCode::SUCCESS;
    }
    let folder = std::env::temp_dir().join(format!("axion-render-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("compose.yml");
    std::fs::write(&path, file::text()).unwrap();
    let (agent, rival) = measure(&path);
    std::fs::remove_dir_all(&folder).unwrap();
    show("axion-agent render", &agent);
    show("docker stack config", &rival);
    println!("ratio of the medians: {:.2}", percentile(&agent, 50).as_secs_f64() / percentile(&rival, 50).as_secs_f64());
    ExitCode::SUCCESS
}

/// The times of both, sorted.
fn measure(path: &Path) -> (Vec<Duration>, Vec<Duration>) {
    let rounds = std::env::var("RENDER_ROUNDS").map_or(DEFAULT_ROUNDS, |text| text.parse().expect("RENDER_ROUNDS is a number"));
    let agent = std::env::var_os("AXION_TEST_AGENT").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_axion-agent")), PathBuf::from);
    println!("{} services, {} lines, {rounds} rounds; {}", file::SERVICES, file::LINES, agent.display());
    let mut agent = program(&agent, &["render", "shop", "-c"], path);
    let mut rival = program(Path::new("docker"), &["stack", "config", "-c"], path);
    let (mut agents, mut rivals) = (Vec::new(), Vec::new());
    for round in 0..WARM_UP + rounds {
        let times = (run(&mut agent), run(&mut rival));
        if round >= WARM_UP {
            agents.push(times.0);
            rivals.push(times.1);
        }
    }
    agents.sort_unstable();
    rivals.sort_unstable();
    (agents, rivals)
}

#[allow(clippy::disallowed_methods, reason = "the programs that are measured")]
fn program(name: &Path, words: &[&str], path: &Path) -> Command {
    let mut command = Command::new(name);
    command.args(words).arg(path).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// From the start to the exit.
fn run(command: &mut Command) -> Duration {
    let start = Instant::now();
    let status = command.status().expect("the program starts");
    let took = start.elapsed();
    assert!(status.success(), "{command:?}: {status}");
    took
}

fn show(name: &str, times: &[Duration]) {
    let shown = |part| format!("{:.1} ms", percentile(times, part).as_secs_f64() * 1000.0);
    println!("{name:<20} p50 {:>9}, p90 {:>9}, p99 {:>9}", shown(50), shown(90), shown(99));
}

/// Of sorted times.
fn percentile(times: &[Duration], part: usize) -> Duration {
    times[(times.len() * part / 100).min(times.len() - 1)]
}

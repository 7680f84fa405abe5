//! How long a deploy takes until the swarm holds it, beside `docker stack deploy` on the same engine in the same run:
//! fifty new services, and the same file again. The services have no tasks, so that the engine's containers do not
//! decide the figures.
//!
//! `make deploy-bench` runs it. The agent is its Docker room with a real journal, inside this program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a measuring program: it fails by panicking and prints")]

#[path = "../../tests/support/mod.rs"]
mod support;

use axion_agent::domain::{Action, Remove};
use std::fmt::Write as _;
use std::time::{Duration, Instant};
use support::{Lanes, Need, Stage, Test, processor, run};

const SERVICES: usize = 50;
/// Of each kind; both in turn, so that both meet the same machine.
const ROUNDS: usize = 7;
/// Of the CLI's wall time, for new services …
const NEW: f64 = 0.9;
/// … and where nothing changes.
const AGAIN: f64 = 0.3;
/// Of the CLI's CPU time.
const CPU: f64 = 0.25;

const TESTS: &[Test] = &[Test {
    name: "a_deploy_beside_docker_stack_deploy",
    needs: &[Need::Engine, Need::DockerCli, Need::QuietMachine],
    body: side_by_side,
}];

fn main() -> std::process::ExitCode {
    // As the agent does.
    axion_agent::heap::share();
    run("deploy_bench", TESTS)
}

/// What one deploy took.
#[derive(Clone, Copy)]
struct Cost {
    wall: Duration,
    cpu: Duration,
}

fn side_by_side(stage: &Stage) {
    let (mut agent, mut cli) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for _ in 0..ROUNDS {
        for turn in 0..2 {
            let lanes = Lanes::start(stage);
            std::fs::write(lanes.folder.join("stack.yml"), file()).unwrap();
            for costs in if turn == 0 { &mut agent } else { &mut cli } {
                costs.push(if turn == 0 { by_the_agent(&lanes) } else { by_the_cli(&lanes) });
                assert_eq!(lanes.counts()[0], SERVICES);
            }
            lanes.run(Action::Remove(Remove { target: lanes.target(), volumes: false })).completed();
        }
    }
    let new = compare("new services", &mut agent[0], &mut cli[0]);
    let again = compare("the same file again", &mut agent[1], &mut cli[1]);
    assert!(new.0 <= NEW && again.0 <= AGAIN && new.1 <= CPU && again.1 <= CPU, "beyond the budget");
}

/// Shows both; the agent's share of the CLI's wall and CPU time.
fn compare(what: &str, agent: &mut [Cost], cli: &mut [Cost]) -> (f64, f64) {
    let (agent, cli) = (median(agent), median(cli));
    let (wall, cpu) = (agent.wall.as_secs_f64() / cli.wall.as_secs_f64(), agent.cpu.as_secs_f64() / cli.cpu.as_secs_f64());
    println!(
        "{SERVICES} {what}: the agent {:.0?} with {:.0?} of CPU, docker stack deploy {:.0?} with {:.0?}: {wall:.2} and {cpu:.2} times",
        agent.wall, agent.cpu, cli.wall, cli.cpu
    );
    (wall, cpu)
}

fn median(costs: &mut [Cost]) -> Cost {
    let middle = costs.len() / 2;
    costs.sort_by_key(|cost| cost.cpu);
    let cpu = costs[middle].cpu;
    costs.sort_by_key(|cost| cost.wall);
    Cost { wall: costs[middle].wall, cpu }
}

fn file() -> String {
    let mut text = "version: '3.8'\nservices:\n".to_owned();
    for n in 0..SERVICES {
        let settings = "environment: {A: b, C: d}, labels: [x=y], command: [sleep, '1000']";
        writeln!(text, "  s{n}: {{image: 'axion-test/box:1', {settings}, deploy: {{endpoint_mode: dnsrr, replicas: 0}}}}").unwrap();
    }
    text
}

fn by_the_agent(lanes: &Lanes) -> Cost {
    let request = lanes.deploy(file());
    let (began, before) = (Instant::now(), processor::used_by(libc::RUSAGE_SELF));
    lanes.run(Action::Deploy(request)).completed();
    Cost { wall: began.elapsed(), cpu: processor::used_by(libc::RUSAGE_SELF) - before }
}

#[allow(clippy::disallowed_methods, reason = "the agent has no children, this is the program that it is compared with")]
fn by_the_cli(lanes: &Lanes) -> Cost {
    let mut docker = std::process::Command::new("docker");
    docker.arg("-H").arg(lanes.engine.host()).args(["stack", "deploy", "--detach=true", "--resolve-image", "never", "-c", "stack.yml"]);
    docker.arg(lanes.stack.as_str()).current_dir(&lanes.folder);
    let (began, before) = (Instant::now(), processor::used_by(libc::RUSAGE_CHILDREN));
    let output = docker.output().unwrap();
    let cost = Cost { wall: began.elapsed(), cpu: processor::used_by(libc::RUSAGE_CHILDREN) - before };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    cost
}

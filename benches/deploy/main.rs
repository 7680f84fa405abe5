//! How long a deploy takes until the swarm holds it, beside `docker stack deploy` on the same engine in the same run:
//! fifty new services, and the same file again. The services have no tasks, so that the engine's containers do not
//! decide the figures.
//!
//! `make deploy-bench` runs it with the static binary, AXION_TEST_AGENT names another. What the agent takes is the whole of it:
//! the command line from its start to its end, and what the agent behind the socket works meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a measuring program: it fails by panicking and prints")]

#[path = "../../tests/support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};
use support::{Local, Need, Stage, Test, processor, run};

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
    run("deploy_bench", TESTS)
}

/// What one deploy took.
#[derive(Clone, Copy)]
struct Cost {
    wall: Duration,
    cpu: Duration,
    /// The agent's part of it, without its command line.
    behind: Duration,
}

fn side_by_side(stage: &Stage) {
    let mut local = Local::start(stage, "deploy-bench", "");
    local.write("stack.yml", &file());
    let (mut agent, mut cli) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for _ in 0..ROUNDS {
        for costs in &mut agent {
            costs.push(measured(&local, local.command(&["deploy", "STACK", "-c", "stack.yml", "--resolve-image", "never"])));
            assert_eq!(services(&local, stage), SERVICES);
        }
        local.good(&["rm", "STACK"]);
        for costs in &mut cli {
            costs.push(measured(&local, docker(&local, stage)));
            assert_eq!(services(&local, stage), SERVICES);
        }
        local.good(&["deploy", "STACK", "-c", "stack.yml", "--resolve-image", "never", "--adopt"]);
        local.good(&["rm", "STACK"]);
    }
    // Not killed by a bad end: under a tool such as valgrind it has something to write down.
    local.stop_agent();
    let new = compare("new services", &mut agent[0], &mut cli[0]);
    let again = compare("the same file again", &mut agent[1], &mut cli[1]);
    assert!(new.0 <= NEW && again.0 <= AGAIN && new.1 <= CPU && again.1 <= CPU, "beyond the budget");
}

/// Shows both; the agent's share of the CLI's wall and CPU time.
fn compare(what: &str, agent: &mut [Cost], cli: &mut [Cost]) -> (f64, f64) {
    let (agent, cli) = (median(agent), median(cli));
    let (wall, cpu) = (agent.wall.as_secs_f64() / cli.wall.as_secs_f64(), agent.cpu.as_secs_f64() / cli.cpu.as_secs_f64());
    println!(
        "{SERVICES} {what}: the agent {:.0?} with {:.1?} of CPU, {:.1?} of it behind the socket; docker stack deploy {:.0?} with {:.1?}: \
         {wall:.2} and {cpu:.2} times",
        agent.wall, agent.cpu, agent.behind, cli.wall, cli.cpu
    );
    (wall, cpu)
}

fn median(costs: &mut [Cost]) -> Cost {
    let middle = costs.len() / 2;
    costs.sort_by_key(|cost| cost.wall);
    let wall = costs[middle].wall;
    costs.sort_by_key(|cost| cost.cpu);
    Cost { wall, ..costs[middle] }
}

fn file() -> String {
    let mut text = "version: '3.8'\nservices:\n".to_owned();
    for n in 0..SERVICES {
        let settings = "environment: {A: b, C: d}, labels: [x=y], command: [sleep, '1000']";
        writeln!(text, "  s{n}: {{image: 'axion-test/box:1', {settings}, deploy: {{endpoint_mode: dnsrr, replicas: 0}}}}").unwrap();
    }
    text
}

/// Runs it to its end, and looks what it and the agent have used.
fn measured(local: &Local<'_>, mut command: Command) -> Cost {
    let (began, own, behind) = (Instant::now(), processor::used_by(libc::RUSAGE_CHILDREN), local.used());
    let output = command.output().unwrap();
    let (wall, own, behind) = (began.elapsed(), processor::used_by(libc::RUSAGE_CHILDREN) - own, local.used() - behind);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // The CLI has nobody behind it, but the agent may look meanwhile.
    let behind = if command.get_program() == "docker" { Duration::ZERO } else { behind };
    Cost { wall, cpu: own + behind, behind }
}

#[allow(clippy::disallowed_methods, reason = "the agent has no children, this is the program that it is compared with")]
fn docker(local: &Local<'_>, stage: &Stage) -> Command {
    let mut docker = Command::new("docker");
    docker.arg("-H").arg(stage.engine().host()).args(["stack", "deploy", "--detach=true", "--resolve-image", "never", "-c", "stack.yml"]);
    docker.arg(&local.stack).current_dir(local.folder());
    docker
}

fn services(local: &Local<'_>, stage: &Stage) -> usize {
    stage.engine().services(&local.stack).unwrap().len()
}

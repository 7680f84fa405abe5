//! The one place of the bed that starts processes. Each ends with the thread that started it, however
//! that one ends.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

/// A command that may run on; the kernel sends it `signal` when the thread that starts it ends.
#[allow(clippy::disallowed_methods, reason = "the agent has no children, its bed has")]
pub fn bound(signal: &str, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", signal, "--"]).arg(program).stdin(Stdio::null());
    command
}

/// Runs a short command to its end and gives its output.
///
/// # Errors
/// What it wrote to its error output, when it failed.
#[allow(clippy::disallowed_methods, reason = "the agent has no children, its bed has")]
pub fn output(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}

/// The first line that `child` prints.
///
/// # Errors
/// What it wrote to its error output instead, once it has ended.
pub fn first_line(child: &mut Child) -> Result<String, String> {
    let mut line = String::new();
    if let Some(stdout) = &mut child.stdout {
        BufReader::new(stdout).read_line(&mut line).map_err(|error| error.to_string())?;
    }
    if line.is_empty() {
        let mut complaint = String::new();
        if let Some(stderr) = &mut child.stderr {
            stderr.read_to_string(&mut complaint).map_err(|error| error.to_string())?;
        }
        return Err(complaint.trim().to_owned());
    }
    Ok(line.trim().to_owned())
}

/// Sends `signal` by name.
pub fn signal(pid: u32, signal: &str) -> Result<(), String> {
    output("kill", &[&format!("-{signal}"), &pid.to_string()]).map(drop)
}

/// The processes whose parent is `pid`, with their names.
pub fn children(pid: u32) -> Vec<(u32, String)> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let stats = processes.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    stats.filter_map(|stat| child_of(pid, &stat)).collect()
}

/// The first process called `name` among the children of `pid` and theirs.
pub fn descendant(pid: u32, name: &str) -> Option<u32> {
    let children = children(pid);
    let found = children.iter().find(|(_, child)| child == name).map(|(pid, _)| *pid);
    found.or_else(|| children.iter().find_map(|(pid, _)| descendant(*pid, name)))
}

/// `4711 (name) S 815 …`: the number, the name and the parent (proc(5)).
fn child_of(parent: u32, stat: &str) -> Option<(u32, String)> {
    let (head, tail) = stat.rsplit_once(')')?;
    let (number, name) = head.split_once(" (")?;
    let found: u32 = tail.split_whitespace().nth(1)?.parse().ok()?;
    (found == parent).then_some((number.parse().ok()?, name.to_owned()))
}

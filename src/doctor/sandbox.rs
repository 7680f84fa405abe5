//! The unit's sandbox: what it takes away from the agent, and that what the agent needs is there inside. The running agent
//! looks from inside; an operator sees the same through `/proc/PID`, with root's eyes.

use super::catalogue::AGENT_SANDBOX;
use super::process::Process;
use super::running::Running;
use super::{Finding, Settings, Vantage};
use std::path::{Path, PathBuf};

pub(super) fn look(settings: &Settings, running: &Running) -> Option<Finding> {
    let Some(process) = &running.process else { return Some(AGENT_SANDBOX.skipped("no agent runs that can be seen from here")) };
    let root = match settings.vantage {
        Vantage::Agent(_) => PathBuf::from("/"),
        Vantage::Operator => PathBuf::from(format!("/proc/{}/root", process.pid)),
    };
    let needed = [settings.journal.directory.as_path(), settings.engine.as_path(), Path::new("/etc/resolv.conf")];
    let hidden = if root.read_dir().is_ok() { Some(hidden(&root, &needed)) } else { None };
    Some(judge(process, hidden))
}

/// Those that are not there inside.
fn hidden(root: &Path, needed: &[&Path]) -> Vec<String> {
    let inside = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
    let missing = needed
        .iter()
        .filter(|path| std::fs::symlink_metadata(inside(path)).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound));
    missing.map(|path| path.display().to_string()).collect()
}

fn judge(process: &Process, hidden: Option<Vec<String>>) -> Finding {
    if let Some(hidden) = hidden.as_ref().filter(|hidden| !hidden.is_empty()) {
        return AGENT_SANDBOX.fail(format!("not there for {}: {}", process.label(), hidden.join(", ")));
    }
    let mut open = Vec::new();
    if process.uid == 0 {
        open.push("it runs as root".to_owned());
    }
    if !process.no_new_privileges {
        open.push("it may gain new privileges".to_owned());
    }
    if !process.filtered {
        open.push("every system call is open".to_owned());
    }
    if process.capabilities != 0 {
        open.push(format!("it has {} capabilities", process.capabilities.count_ones()));
    }
    let seen = if hidden.is_some() { "" } else { " (what is inside cannot be seen by this user)" };
    if open.is_empty() {
        AGENT_SANDBOX.ok(format!("{} has no capabilities, no new privileges and filtered system calls{seen}", process.label()))
    } else {
        AGENT_SANDBOX.warn(format!("{}: {}{seen}", process.label(), open.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn what_is_open_is_named_and_what_is_hidden_fails() {
        let closed = Process { pid: 5, uid: 9, name: "axion-agent".into(), no_new_privileges: true, filtered: true, ..Process::default() };
        let root = Process { uid: 0, no_new_privileges: false, filtered: false, capabilities: 0b11, ..closed.clone() };
        for (process, hidden, state, part) in [
            (&closed, Some(Vec::new()), State::Ok, "no capabilities"),
            (&closed, None, State::Ok, "cannot be seen"),
            (&root, Some(Vec::new()), State::Warn, "it has 2 capabilities"),
            (&root, Some(Vec::new()), State::Warn, "runs as root"),
            (&closed, Some(vec!["/run/docker.sock".into()]), State::Fail, "/run/docker.sock"),
        ] {
            let finding = judge(process, hidden);
            assert_eq!(finding.state, state, "{finding:?}");
            assert!(finding.summary.contains(part), "{finding:?}");
        }
        assert_eq!(hidden(Path::new("/"), &[Path::new("/proc"), Path::new("/no/such")]), ["/no/such"]);
    }
}

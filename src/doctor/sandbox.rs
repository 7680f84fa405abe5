//! The unit's sandbox: what it takes away from the agent, and that what the agent needs is there inside. The running agent
//! looks from inside; an operator sees the same through `/proc/PID`, with root's eyes.

use super::catalogue::AGENT_SANDBOX;
use super::process::Process;
use super::running::Running;
use super::{Finding, Settings, Vantage};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

/// As many as the kernel follows (path_resolution(7)).
const MAX_LINKS: usize = 40;

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
    let missing = needed.iter().filter(|path| !is_there(root, path));
    missing.map(|path| path.display().to_string()).collect()
}

/// Whether `path` is there for a process whose root is `root`: the kernel would follow its absolute links from our own.
/// What may not be seen is taken to be there.
fn is_there(root: &Path, path: &Path) -> bool {
    let mut left: Vec<OsString> = names(path).rev().collect();
    let mut inside = PathBuf::new();
    let mut links = 0;
    while let Some(name) = left.pop() {
        if name == ".." {
            inside.pop();
            continue;
        }
        let next = inside.join(&name);
        match root.join(&next).symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => return false,
            Err(_) => return true,
            Ok(found) if found.is_symlink() => {
                links += 1;
                let Ok(target) = root.join(&next).read_link() else { return true };
                if links > MAX_LINKS {
                    return false;
                }
                if target.is_absolute() {
                    inside = PathBuf::new();
                }
                left.extend(names(&target).rev());
            }
            Ok(_) => inside = next,
        }
    }
    true
}

fn names(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(_) | Component::ParentDir => Some(component.as_os_str().to_owned()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    };
    path.components().filter_map(name)
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

    #[test]
    fn links_lead_within_the_root() {
        use std::os::unix::fs::symlink;
        let root = std::env::temp_dir().join(format!("axion-root-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(root.join("run/a")).unwrap();
        std::fs::create_dir(root.join("var")).unwrap();
        std::fs::write(root.join("run/here.sock"), "").unwrap();
        for (target, link) in [("/run", "var/run"), ("/proc", "var/proc"), ("../../run/here.sock", "run/a/up"), ("loop", "loop")] {
            symlink(target, root.join(link)).unwrap();
        }
        for (path, there) in [
            ("/run/here.sock", true),
            ("/var/run/here.sock", true),
            ("/run/a/up", true),
            ("/var/run/gone.sock", false),
            // There for us, and not inside.
            ("/var/proc/self", false),
            ("/loop", false),
        ] {
            assert_eq!(is_there(&root, Path::new(path)), there, "{path}");
        }
        std::fs::remove_dir_all(root).unwrap();
    }
}

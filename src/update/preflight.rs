//! Whether a binary is what its manifest says: it is started once, to say its version. The only child process of this
//! program, and of the helper alone; it runs as the agent's user, which would run it next.

use super::fault::Fault;
use super::version::Version;
use crate::threads::{Deadline, Stop};
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// It prints a line and ends: milliseconds, more on a busy disk.
const TIME: Duration = Duration::from_secs(10);
/// Between two looks at whether it has ended.
const LOOK: Duration = Duration::from_millis(10);
/// More than the line has.
const MAX_BYTES: u64 = 256;

/// Whether the binary says that it is `version`, when it is started as `user` and group of that id.
pub(super) fn says(binary: &Path, version: &Version, (user, group): (u32, u32)) -> Result<(), Fault> {
    let cannot = |error: std::io::Error| Fault::Install(format!("the new binary cannot be started: {error}"));
    let mut child = command(binary, user, group).spawn().map_err(cannot)?;
    let status = ended(&mut child);
    let mut said = String::new();
    if let Some(output) = child.stdout.take() {
        // What is no text is not the line either.
        let _unreadable = output.take(MAX_BYTES).read_to_string(&mut said);
    }
    match status {
        None => Err(Fault::Install(format!("the new binary has not said its version within {} s", TIME.as_secs()))),
        Some(status) if !status.success() => Err(Fault::Install(format!("the new binary does not start: {status}"))),
        Some(_) if said.trim_end() == format!("axion-agent {version}") => Ok(()),
        Some(_) => {
            let said: String = said.trim_end().chars().take(60).collect();
            Err(Fault::Install(format!("the new binary says that it is {said:?}, and the manifest that it is {version}")))
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the helper's one process: it ends within TIME, before anything else is done")]
fn command(binary: &Path, user: u32, group: u32) -> Command {
    let mut command = Command::new(binary);
    command.arg("--version").env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    // SAFETY: the call only asks the kernel.
    if unsafe { libc::geteuid() } == 0 {
        command.gid(group).uid(user);
    }
    command
}

/// How it has ended; one that has not by then is killed.
fn ended(child: &mut Child) -> Option<ExitStatus> {
    let deadline = Deadline::after(TIME);
    while !deadline.has_passed() {
        match child.try_wait() {
            Ok(None) => drop(Stop::never().wait(LOOK)),
            Ok(status) => return status,
            Err(_) => break,
        }
    }
    drop(child.kill());
    drop(child.wait());
    None
}

#[cfg(test)]
mod tests {
    use super::super::files::put;
    use super::super::files::tests::{Folder, alone};
    use super::super::versions::tests::version;
    use super::*;

    #[test]
    fn a_binary_says_its_version_or_is_none() {
        let (_alone, folder) = (alone(), Folder::new());
        for (name, script, expected) in [
            ("good", "#!/bin/sh\n[ \"$1\" = --version ] && echo axion-agent 1.2.3\n", ""),
            ("other", "#!/bin/sh\necho axion-agent 1.2.4\n", "says that it is \"axion-agent 1.2.4\""),
            ("mute", "#!/bin/sh\n", "says that it is \"\""),
            ("broken", "#!/bin/sh\nexit 3\n", "exit status: 3"),
            ("foreign", "\x7fELF of another machine", "does not start"),
        ] {
            put(&folder.0, name, script.as_bytes(), 0o755).unwrap();
            let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&folder.0).unwrap());
            let told =
                says(&folder.0.join(name), &version("1.2.3"), (owner, owner)).map_or_else(|fault| fault.to_string(), |()| String::new());
            assert!(told.contains(expected) && told.is_empty() == expected.is_empty(), "{name}: {told:?}");
        }
    }
}

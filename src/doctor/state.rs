//! The state directory: whose it is, who holds the journal, how large that is and how much room there is.

use super::account::Account;
use super::catalogue::{STATE_DIRECTORY, STATE_DISK, STATE_JOURNAL, STATE_LOCK};
use super::process::Process;
use super::running::Running;
use super::{Finding, Journal, Vantage};
use crate::filesystem;
use crate::journal::{self, Holder, Peek};
use std::fs;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Free space that is told as little: so many times the least.
const LITTLE: u64 = 4;
/// A journal that has used so much of its limit is told, in percent.
const NEARLY_FULL: u64 = 80;
/// What others than the owner may have of the state directory: nothing.
const OTHERS: u32 = 0o077;

/// A folder, as it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Folder {
    owner: u32,
    group: u32,
    mode: u32,
    is_folder: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Folder,
    Other,
}

pub(super) fn look(journal: &Journal, running: &Running, vantage: &Vantage) -> Vec<Finding> {
    let directory = &journal.directory;
    let shown = directory.display().to_string();
    let folder = fs::metadata(directory).map(|found| Folder {
        owner: found.uid(),
        group: found.gid(),
        mode: found.mode(),
        is_folder: if found.is_dir() { Kind::Folder } else { Kind::Other },
    });
    let account = Account::of_agent(running);
    let length = fs::metadata(directory.join(journal::FILE)).map(|found| found.len());
    let peek = match vantage {
        // It has it open: that it runs says that it can read it, and a copy costs it memory.
        Vantage::Agent(_) => None,
        Vantage::Operator => match (journal::peek(directory), running.holder) {
            (Ok(peek), _) => Some(Ok(peek)),
            (Err(error), Some(Holder::Nobody)) => Some(Err(error.to_string())),
            // Whoever holds it may be writing.
            (Err(_), _) => None,
        },
    };
    vec![
        judge_directory(&shown, &folder, account.as_ref()),
        judge_lock(running),
        judge_journal(length.map_err(|error| error.kind()), journal.journal_size, peek),
        judge_disk(room(directory), journal.min_free_disk),
    ]
}

/// Of the directory, or of what it would be made in.
fn room(directory: &Path) -> Result<u64, Error> {
    let there = directory.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    filesystem::free(there)
}

fn judge_directory(shown: &str, folder: &Result<Folder, Error>, account: Option<&Account>) -> Finding {
    let make = |user: &str| format!("Run `install -d -o {user} -g {user} -m 0700 {shown}`.");
    let folder = match folder {
        Ok(folder) => folder,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return STATE_DIRECTORY
                .warn(format!("{shown} is not there yet; the agent makes it at its first start, if it may"))
                .mend(make("axion-agent"));
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return STATE_DIRECTORY.skipped(format!("{shown}: {error}; call the doctor as root to look"));
        }
        Err(error) => return STATE_DIRECTORY.fail(format!("{shown}: {error}")),
    };
    let mode = folder.mode & 0o7777;
    if folder.is_folder == Kind::Other {
        return STATE_DIRECTORY.fail(format!("{shown} is no directory")).mend("Correct agent.state_dir, or move the file away.");
    }
    let Some(account) = account else { return STATE_DIRECTORY.ok(format!("{shown} is there (mode {mode:04o})")) };
    if !account.may_write(folder.owner, folder.group, folder.mode) {
        return STATE_DIRECTORY
            .fail(format!("{shown} belongs to user {} (mode {mode:04o}): {} may not write there", folder.owner, account.words))
            .mend(format!("Run `chown -R {} {shown}`.", account.uid));
    }
    if folder.mode & OTHERS != 0 {
        return STATE_DIRECTORY
            .warn(format!("{shown} is open to others (mode {mode:04o}); the agent closes it when it starts"))
            .mend(format!("Run `chmod 0700 {shown}`."));
    }
    STATE_DIRECTORY.ok(format!("{shown}, mode {mode:04o}, writable for {}", account.words))
}

fn judge_lock(running: &Running) -> Finding {
    match (running.holder, &running.process) {
        (Some(Holder::Process(_)), Some(process)) => STATE_LOCK.ok(format!("held by {}", process.label())),
        (Some(Holder::Process(pid)), None) => {
            let name = Process::read(pid).map_or_else(|| "another process".to_owned(), |process| process.name);
            STATE_LOCK.fail(format!("held by {name} (pid {pid}), which is no agent"))
        }
        (Some(Holder::Unnamed), _) => STATE_LOCK.ok("held by a process that the kernel does not name"),
        (Some(Holder::Nobody), _) => {
            STATE_LOCK.ok("nobody holds it: no agent runs with this state directory, or not in this PID namespace")
        }
        (None, _) => STATE_LOCK.skipped("no journal can be seen from here"),
    }
}

fn judge_journal(length: Result<u64, ErrorKind>, limit: u64, peek: Option<Result<Peek, String>>) -> Finding {
    let length = match length {
        Ok(length) => length,
        Err(ErrorKind::NotFound) => return STATE_JOURNAL.ok("there is none yet: the first start makes it"),
        Err(kind) => return STATE_JOURNAL.skipped(format!("it cannot be seen from here: {kind}")),
    };
    let size = format!("{} of at most {}", bytes(length), bytes(limit));
    if length > limit {
        return STATE_JOURNAL.warn(format!("{size}: if so much of it is in use, new commands are refused"));
    }
    match peek {
        Some(Err(reason)) => STATE_JOURNAL.fail(reason),
        Some(Ok(peek)) => {
            let who = peek.identity.map_or_else(|| "nobody yet".to_owned(), |identity| identity.agent_id.to_string());
            STATE_JOURNAL.ok(format!("{size}; its agent is {who}, {} commands are open", peek.open))
        }
        None if length > limit / 100 * NEARLY_FULL => STATE_JOURNAL.warn(size),
        None => STATE_JOURNAL.ok(size),
    }
}

fn judge_disk(free: Result<u64, Error>, least: u64) -> Finding {
    match free {
        Err(error) => STATE_DISK.skipped(format!("it cannot be asked: {error}")),
        Ok(free) if free < least => STATE_DISK.fail(format!("{} are free, at least {} are needed", bytes(free), bytes(least))),
        Ok(free) if free < least.saturating_mul(LITTLE) => {
            STATE_DISK.warn(format!("{} are free, below {} new commands are refused", bytes(free), bytes(least)))
        }
        Ok(free) => STATE_DISK.ok(format!("{} are free", bytes(free))),
    }
}

/// For people.
pub(super) fn bytes(count: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let unit = units.into_iter().find(|(shift, _)| count >> shift > 0);
    unit.map_or_else(|| format!("{count} bytes"), |(shift, name)| format!("{:.1} {name}", count as f64 / (1_u64 << shift) as f64))
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    fn account(uid: u32) -> Account {
        Account { words: "user agent".into(), uid, groups: vec![uid] }
    }

    #[test]
    fn a_directory_must_be_the_agents_and_closed() {
        let folder = |owner, mode| Ok(Folder { owner, group: owner, mode, is_folder: Kind::Folder });
        for (found, state, part) in [
            (folder(5, 0o700), State::Ok, "0700"),
            (folder(5, 0o755), State::Warn, "open to others"),
            (folder(6, 0o700), State::Fail, "may not write"),
            (Ok(Folder { owner: 5, group: 5, mode: 0o700, is_folder: Kind::Other }), State::Fail, "no directory"),
            (Err(ErrorKind::NotFound.into()), State::Warn, "not there yet"),
            (Err(ErrorKind::PermissionDenied.into()), State::Skipped, "as root"),
        ] {
            let finding = judge_directory("/state", &found, Some(&account(5)));
            assert_eq!(finding.state, state, "{finding:?}");
            assert!(finding.summary.contains(part), "{finding:?}");
        }
    }

    #[test]
    fn a_lock_is_the_agents_or_nobodys() {
        let process = Process { pid: 5, name: "axion-agent".into(), ..Process::default() };
        for (holder, process, state) in [
            (Some(Holder::Process(5)), Some(process), State::Ok),
            (Some(Holder::Process(1)), None, State::Fail),
            (Some(Holder::Nobody), None, State::Ok),
            (Some(Holder::Unnamed), None, State::Ok),
            (None, None, State::Skipped),
        ] {
            assert_eq!(judge_lock(&Running { holder, process, reported: None }).state, state, "{holder:?}");
        }
    }

    #[test]
    fn a_journal_has_a_limit_and_must_be_readable() {
        let peek = || Some(Ok(Peek { identity: None, open: 2 }));
        for (length, peek, state) in [
            (Ok(10), peek(), State::Ok),
            (Ok(101), peek(), State::Warn),
            (Ok(900), None, State::Warn),
            (Ok(10), Some(Err("torn".into())), State::Fail),
            (Err(ErrorKind::NotFound), None, State::Ok),
            (Err(ErrorKind::PermissionDenied), None, State::Skipped),
        ] {
            assert_eq!(judge_journal(length, 100, peek).state, state, "{length:?}");
        }
        assert_eq!(judge_journal(Ok(950), 1000, None).state, State::Warn);
        assert_eq!(judge_journal(Ok(700), 1000, None).state, State::Ok);
    }

    #[test]
    fn room_is_judged_by_the_limit() {
        for (free, state) in [(99, State::Fail), (100, State::Warn), (399, State::Warn), (400, State::Ok)] {
            assert_eq!(judge_disk(Ok(free), 100).state, state, "{free}");
        }
        assert_eq!((bytes(5), bytes(1 << 20), bytes(3 << 29)), ("5 bytes".into(), "1.0 MiB".into(), "1.5 GiB".into()));
    }
}

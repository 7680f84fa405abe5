//! What the kernel says of a process: its account, its privileges (proc_pid_status(5)). Pure but for [`Process::read`].

use std::fs;

/// A process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) name: String,
    /// Effective.
    pub(super) uid: u32,
    /// Effective, and the supplementary ones.
    pub(super) groups: Vec<u32>,
    pub(super) no_new_privileges: bool,
    /// Whether its system calls are filtered.
    pub(super) filtered: bool,
    /// Effective capabilities, one bit each.
    pub(super) capabilities: u64,
}

impl Process {
    /// None where there is no such process, or it hides.
    pub(super) fn read(pid: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        Self::parse(pid, &status)
    }

    pub(super) fn own() -> Option<Self> {
        Self::read(std::process::id())
    }

    pub(super) fn parse(pid: u32, status: &str) -> Option<Self> {
        let field = |name: &str| {
            let mut lines = status.lines().filter_map(|line| line.split_once(':'));
            lines.find(|(found, _)| *found == name).map(|(_, value)| value.trim())
        };
        // Real, effective, saved, of the file system.
        let second = |name: &str| field(name)?.split_whitespace().nth(1)?.parse::<u32>().ok();
        let mut groups: Vec<u32> = field("Groups").unwrap_or_default().split_whitespace().filter_map(|group| group.parse().ok()).collect();
        groups.extend(second("Gid"));
        Some(Self {
            pid,
            name: field("Name")?.to_owned(),
            uid: second("Uid")?,
            groups,
            no_new_privileges: field("NoNewPrivs") == Some("1"),
            filtered: field("Seccomp") == Some("2"),
            capabilities: field("CapEff").and_then(|bits| u64::from_str_radix(bits, 16).ok()).unwrap_or(0),
        })
    }

    /// `axion-agent (pid 12)`.
    pub(super) fn label(&self) -> String {
        format!("{} (pid {})", self.name, self.pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_read_as_the_manual_says() {
        let text = "Name:\taxion-agent\nUmask:\t0077\nUid:\t998\t997\t998\t998\nGid:\t996\t995\t996\t996\nGroups:\t42 996 \n\
                    NoNewPrivs:\t1\nSeccomp:\t2\nCapEff:\t0000000000000003\n";
        let process = Process::parse(7, text).unwrap();
        assert_eq!((process.uid, process.groups.as_slice()), (997, &[42, 996, 995][..]));
        assert!(process.no_new_privileges && process.filtered);
        assert_eq!((process.capabilities, process.label().as_str()), (3, "axion-agent (pid 7)"));
        assert_eq!(Process::parse(7, "nothing"), None);
        assert!(Process::own().is_some_and(|own| own.pid == std::process::id()));
    }
}

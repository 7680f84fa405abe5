//! Whose rights count: those of the running agent, else of the account that a package has made for it, else of this
//! process. Files alone are read: accounts from elsewhere (LDAP) have no row there.

use super::process::Process;
use super::running::Running;
use std::fs;

/// The account of the packages (docs, packaging/systemd).
const PACKAGED: &str = "axion-agent";
/// The group that the packaged unit adds (`SupplementaryGroups=`).
const UNIT_GROUP: &str = "docker";

/// An account, and how it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) words: String,
    pub(super) uid: u32,
    pub(super) groups: Vec<u32>,
}

impl Account {
    /// Of the agent, as near as it can be known from here.
    pub(super) fn of_agent(running: &Running) -> Option<Self> {
        if let Some(agent) = &running.process {
            return Some(Self::of_process(agent));
        }
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self::packaged(&read("/etc/passwd"), &read("/etc/group")).or_else(Self::own)
    }

    /// Of this process.
    pub(super) fn own() -> Option<Self> {
        Process::own().map(|own| Self::of_process(&own))
    }

    fn of_process(process: &Process) -> Self {
        Self { words: format!("user {} of {}", process.uid, process.label()), uid: process.uid, groups: process.groups.clone() }
    }

    /// passwd(5), group(5).
    fn packaged(passwd: &str, group: &str) -> Option<Self> {
        let user: Vec<&str> = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|row| row.first() == Some(&PACKAGED))?;
        let mut groups: Vec<u32> = user.get(3)?.parse().into_iter().collect();
        for row in group.lines().map(|line| line.split(':').collect::<Vec<_>>()) {
            let [name, _, id, members] = row[..] else { continue };
            if name == UNIT_GROUP || members.split(',').any(|member| member == PACKAGED) {
                groups.extend(id.parse::<u32>());
            }
        }
        Some(Self { words: format!("user {PACKAGED}"), uid: user.get(2)?.parse().ok()?, groups })
    }

    /// Whether the kernel lets it write to a file of this owner, group and mode. Folders above it are another matter.
    pub(super) fn may_write(&self, owner: u32, group: u32, mode: u32) -> bool {
        let bit = if self.uid == owner {
            0o200
        } else if self.groups.contains(&group) {
            0o020
        } else {
            0o002
        };
        self.uid == 0 || mode & bit != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packaged_account_has_its_groups_and_the_one_of_the_unit() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\naxion-agent:x:998:997::/var/lib/axion-agent:/usr/sbin/nologin\n";
        let group = "root:x:0:\ndocker:x:42:\nlogs:x:7:you,axion-agent\nother:x:8:axion-agentx\n";
        let account = Account::packaged(passwd, group).unwrap();
        assert_eq!((account.uid, account.groups.as_slice()), (998, &[997, 42, 7][..]));
        assert_eq!(Account::packaged("root:x:0:0::/:/bin/sh\n", group), None);
    }

    #[test]
    fn the_first_class_that_fits_counts_as_in_the_kernel() {
        let account = Account { words: String::new(), uid: 5, groups: vec![6] };
        for (owner, group, mode, may) in
            [(0, 6, 0o660, true), (0, 7, 0o660, false), (0, 7, 0o666, true), (5, 6, 0o060, false), (0, 6, 0o606, false)]
        {
            assert_eq!(account.may_write(owner, group, mode), may, "{owner} {group} {mode:o}");
        }
        assert!(Account { uid: 0, ..account }.may_write(5, 5, 0));
    }
}

//! What has gone through a container's network, seen through one of its processes.

use super::super::files::{Files, Keeping, Kept};
use super::super::interfaces::{Traffic, total};
use super::super::text::number;

/// The list of the host's interfaces.
const OF_HOST: &[&str] = &["/proc/1/net/dev"];

/// The namespace of a container.
#[derive(Debug, Default)]
pub(super) enum Network {
    /// Not seen yet, or no process was in the group.
    #[default]
    Unknown,
    /// That of the host, which is told of the host.
    OfHost,
    /// Its own, or one that it shares with other containers.
    Own(Seen),
}

/// One of the container's processes, and its list of interfaces.
///
/// INVARIANT: while the list is open, the kernel keeps the namespace. So it is let go when the container has ended, and not with the
/// next look: an address or a device that only this namespace has is free again at once.
#[derive(Debug)]
pub(super) struct Seen {
    process: String,
    /// Of the list: those of one namespace are the same file, whichever process they are seen through.
    inode: u64,
    kept: Kept,
}

impl Network {
    /// A container that was taken for one with the host's network is looked at again.
    pub(super) fn look_again(&mut self) {
        if matches!(self, Self::OfHost) {
            *self = Self::Unknown;
        }
    }

    /// Received and sent; none where it is the host's own. `procs` are the parts of the list of its processes.
    pub(super) fn read(&mut self, files: &mut Files, procs: &[&str], keeping: Keeping) -> Option<(Traffic, Traffic)> {
        if let Self::Own(seen) = self {
            if let Some(traffic) = seen.read(files, keeping) {
                return Some(traffic);
            }
            // That process has ended.
            *self = Self::Unknown;
        }
        if matches!(self, Self::Unknown) {
            *self = Self::find(files, procs)?;
        }
        match self {
            Self::Own(seen) => seen.read(files, keeping),
            Self::OfHost | Self::Unknown => None,
        }
    }

    fn find(files: &mut Files, procs: &[&str]) -> Option<Self> {
        let process = files.read(procs).and_then(number)?.to_string();
        let inode = files.inode(&list(&process))?;
        let of_host = files.inode(OF_HOST) == Some(inode);
        Some(if of_host { Self::OfHost } else { Self::Own(Seen { process, inode, kept: Kept::default() }) })
    }
}

impl Seen {
    fn read(&mut self, files: &mut Files, keeping: Keeping) -> Option<(Traffic, Traffic)> {
        let parts = list(&self.process);
        // One that is open stays what it is; the number of the process may have gone to another.
        let is_the_same = self.kept.is_open() || files.inode(&parts) == Some(self.inode);
        files.read_kept(&mut self.kept, keeping, &parts).filter(|_| is_the_same).map(total)
    }
}

fn list(process: &str) -> [&str; 3] {
    ["/proc/", process, "/net/dev"]
}

#[cfg(test)]
mod tests {
    use super::super::super::tree::Tree;
    use super::*;

    const PROCS: &str = "/cg/cgroup.procs";

    fn tree() -> Tree {
        let tree = Tree::new();
        tree.write("/proc/1/net/dev", "");
        tree.write("/proc/42/net/dev", "eth0: 1 7 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n");
        tree.write("/proc/43/net/dev", "eth0: 1 8 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n");
        tree.write(PROCS, "42\n43\n");
        tree
    }

    fn packets(network: &mut Network, tree: &Tree, keeping: Keeping) -> Option<u64> {
        network.read(&mut tree.files(), &[PROCS], keeping).map(|(received, _)| received.packets)
    }

    #[test]
    fn a_list_that_is_not_kept_open_is_read_through_a_process_that_lives() {
        let (tree, mut network) = (tree(), Network::default());
        assert_eq!(packets(&mut network, &tree, Keeping::Nothing), Some(7));
        tree.remove("/proc/42");
        tree.write(PROCS, "43\n");
        assert_eq!(packets(&mut network, &tree, Keeping::Nothing), Some(8));
        // Its number is another's now, whose namespace is another.
        tree.write("/proc/44/net/dev", "eth0: 1 9 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n");
        tree.write("/proc/45/net/dev", "eth0: 1 1000 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n");
        tree.rename("/proc/45/net/dev", "/proc/43/net/dev");
        tree.write(PROCS, "44\n");
        assert_eq!(packets(&mut network, &tree, Keeping::Nothing), Some(9));
        assert_eq!(packets(&mut network, &tree, Keeping::Open), Some(9));
        tree.remove("/proc/44");
        assert_eq!(packets(&mut network, &tree, Keeping::Open), Some(9), "the namespace is held");
    }

    #[test]
    fn the_network_of_the_host_is_none_until_it_is_looked_at_again() {
        let (tree, mut network) = (tree(), Network::default());
        tree.write(PROCS, "");
        assert_eq!(packets(&mut network, &tree, Keeping::Open), None);
        tree.write(PROCS, "1\n");
        assert_eq!(packets(&mut network, &tree, Keeping::Open), None);
        tree.write(PROCS, "42\n");
        assert_eq!(packets(&mut network, &tree, Keeping::Open), None);
        network.look_again();
        assert_eq!(packets(&mut network, &tree, Keeping::Open), Some(7));
    }
}

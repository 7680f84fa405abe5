//! The control groups of the host, from its file system: cgroups(7).

use super::Finding;
use super::catalogue::HOST_CGROUPS;
use std::fs;
use std::path::Path;

/// What limits of a Compose file need.
const NEEDED: [&str; 2] = ["cpu", "memory"];

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Groups {
    /// One tree, with these controllers.
    Unified(Vec<String>),
    /// A tree for each controller that is turned on.
    Legacy(Vec<String>),
    /// Nothing that is known.
    None,
}

pub(super) fn look() -> Finding {
    judge(&read(Path::new("/sys/fs/cgroup"), &fs::read_to_string("/proc/cgroups").unwrap_or_default()))
}

fn read(mount: &Path, table: &str) -> Groups {
    if let Ok(controllers) = fs::read_to_string(mount.join("cgroup.controllers")) {
        return Groups::Unified(controllers.split_whitespace().map(str::to_owned).collect());
    }
    // `memory 5 200 1`: the name, its tree, the groups in it, whether it is turned on.
    let on = table.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        (words.len() == 4 && words[3] == "1").then(|| words[0].to_owned())
    });
    let on: Vec<String> = on.collect();
    if on.is_empty() || !mount.exists() { Groups::None } else { Groups::Legacy(on) }
}

fn judge(groups: &Groups) -> Finding {
    let (version, controllers) = match groups {
        Groups::Unified(controllers) => ("version 2", controllers),
        Groups::Legacy(controllers) => ("version 1", controllers),
        Groups::None => return HOST_CGROUPS.warn("no control groups are mounted that can be seen from here"),
    };
    let missing: Vec<&str> = NEEDED.into_iter().filter(|needed| !controllers.iter().any(|found| found == needed)).collect();
    if missing.is_empty() {
        HOST_CGROUPS.ok(format!("{version}, with {}", controllers.join(", ")))
    } else {
        HOST_CGROUPS.warn(format!("{version}, without {}", missing.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn both_versions_are_told_apart_and_missing_controllers_named() {
        let table = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t1\t1\t1\ncpu\t2\t1\t1\nmemory\t0\t1\t0\n";
        let legacy = read(Path::new("/"), table);
        assert_eq!(legacy, Groups::Legacy(vec!["cpuset".into(), "cpu".into()]));
        let finding = judge(&legacy);
        assert_eq!((finding.state, finding.summary.as_str()), (State::Warn, "version 1, without memory"));
        let unified = Groups::Unified(vec!["cpu".into(), "memory".into(), "pids".into()]);
        assert_eq!(judge(&unified).state, State::Ok);
        assert_eq!(judge(&Groups::None).state, State::Warn);
        assert_eq!(read(Path::new("/no/such"), table), Groups::None);
    }
}

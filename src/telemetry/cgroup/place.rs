//! Where the control group of a container is: its engine says nothing of it, but names it after the container.
//!
//! The driver `cgroupfs` makes `PARENT/ID`, `systemd` makes `PARENT/docker-ID.scope`, and a parent is whatever the engine or the
//! container was given. So places where others were found are tried first, then the whole tree is looked through.

use super::super::files::Files;
use super::Hierarchy;
use crate::domain::ContainerId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Of the driver `systemd`.
const SCOPE: (&str, &str) = ("docker-", ".scope");
/// How many folders one search looks into: a host of five hundred containers has fewer.
const MOST_FOLDERS: usize = 4096;
/// How many parents are remembered: an engine has one, and containers seldom one of their own.
const MOST_PARENTS: usize = 16;

/// How a folder is named after its container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Bare,
    Scope,
}

/// Where containers were found.
#[derive(Debug)]
pub(in crate::telemetry) struct Places {
    parents: Vec<(String, Form)>,
}

impl Places {
    /// Those of an engine that was told nothing else.
    pub(in crate::telemetry) fn new() -> Self {
        Self { parents: vec![("/docker".to_owned(), Form::Bare), ("/system.slice".to_owned(), Form::Scope)] }
    }

    /// Looks where others were found.
    pub(in crate::telemetry) fn near_others(&self, files: &mut Files, hierarchy: &Hierarchy, id: &ContainerId) -> Option<String> {
        let paths = self.parents.iter().map(|(parent, form)| match form {
            Form::Bare => format!("{parent}/{}", id.as_str()),
            Form::Scope => format!("{parent}/{}{}{}", SCOPE.0, id.as_str(), SCOPE.1),
        });
        paths.into_iter().find(|path| files.exists(&[hierarchy.any(), path]))
    }

    /// Looks everywhere, nearest to the root first; what is inside a container is its own.
    pub(in crate::telemetry) fn everywhere(
        &mut self,
        files: &mut Files,
        hierarchy: &Hierarchy,
        wanted: &BTreeSet<&ContainerId>,
    ) -> BTreeMap<ContainerId, String> {
        let mut found = BTreeMap::new();
        let mut left = VecDeque::from([String::new()]);
        let mut seen = 0;
        while let Some(parent) = left.pop_front().filter(|_| seen < MOST_FOLDERS && found.len() < wanted.len()) {
            seen += 1;
            for name in files.folders(&[hierarchy.any(), &parent]) {
                let path = format!("{parent}/{name}");
                let Some((id, form)) = container(&name) else {
                    left.push_back(path);
                    continue;
                };
                if wanted.contains(&id) {
                    self.remember(&parent, form);
                    found.entry(id).or_insert(path);
                }
            }
        }
        found
    }

    fn remember(&mut self, parent: &str, form: Form) {
        let is_new = !self.parents.iter().any(|(known, of)| known == parent && *of == form);
        if is_new && self.parents.len() < MOST_PARENTS {
            self.parents.push((parent.to_owned(), form));
        }
    }
}

/// Whether a folder is a container's.
fn container(name: &str) -> Option<(ContainerId, Form)> {
    let scoped = || name.strip_prefix(SCOPE.0)?.strip_suffix(SCOPE.1);
    let bare = ContainerId::new(name).map(|id| (id, Form::Bare));
    bare.or_else(|| Some((ContainerId::new(scoped()?)?, Form::Scope)))
}

#[cfg(test)]
mod tests {
    use super::super::super::tree::Tree;
    use super::*;

    fn id(digit: char) -> ContainerId {
        ContainerId::new(&digit.to_string().repeat(64)).unwrap()
    }

    #[test]
    fn each_driver_s_folders_are_found_near_others_or_anywhere() {
        let tree = Tree::new();
        let (a, b, c, d, e) = (id('a'), id('b'), id('c'), id('d'), id('e'));
        let paths = [
            format!("/docker/{}", a.as_str()),
            format!("/system.slice/docker-{}.scope", b.as_str()),
            format!("/deep/er/group-7/{}", c.as_str()),
            format!("/deep/er/group-7/{}", d.as_str()),
            // An engine in a container: those are not this engine's.
            format!("/docker/{}/docker/{}", a.as_str(), e.as_str()),
        ];
        paths.iter().for_each(|path| tree.write(&format!("/cg{path}/cgroup.procs"), ""));
        let (mut files, hierarchy, mut places) = (tree.files(), Hierarchy::V2("/cg".to_owned()), Places::new());
        let near = |files: &mut Files, places: &Places, id: &ContainerId| places.near_others(files, &hierarchy, id);
        assert_eq!(
            [near(&mut files, &places, &a), near(&mut files, &places, &b), near(&mut files, &places, &c)],
            [Some(paths[0].clone()), Some(paths[1].clone()), None]
        );
        let found = places.everywhere(&mut tree.files(), &hierarchy, &BTreeSet::from([&c, &e]));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [(c.clone(), paths[2].clone())]);
        assert_eq!(near(&mut files, &places, &d), Some(paths[3].clone()), "its neighbour has shown the way");
    }
}

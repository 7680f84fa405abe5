//! The containers that run, from one look to the next: which they are, where their control groups are, what these say.
//!
//! On the thread `telemetry`. Which containers run is known from Docker's events; the engine is asked nothing.

use super::cgroup::{Figures, Group, Hierarchy, KEPT_FILES, Places};
use super::draft::{Draft, Title};
use super::family as f;
use super::family::Family;
use super::files::{Files, Keeping};
use super::interfaces::Traffic;
use super::process;
use super::value::Value;
use crate::domain::{Container, ContainerId, Containers};
use std::collections::BTreeSet;
use std::sync::Arc;

/// So many containers have lines of their own, the first in the order of their ids; the others are counted. Each has some
/// thirty series, which somebody stores.
pub(super) const MOST_CONTAINERS: usize = 512;
/// A label is cut off behind so many characters: names come from outside.
const LONGEST_LABEL: usize = 128;
/// A control group that is not there after so many searches is in no tree that can be seen from here.
const SEARCHES: u32 = 3;

/// One in so many of the descriptors that the process may have is for files of control groups.
const PART_OF_DESCRIPTORS: u64 = 2;

/// A family of containers and where its number is.
type Column = (&'static Family, fn(&Figures) -> Option<Value>);

static COLUMNS: [Column; 25] = [
    (&f::CONTAINER_CPU, |figures| figures.cpu),
    (&f::CONTAINER_CPU_USER, |figures| figures.cpu_user),
    (&f::CONTAINER_CPU_SYSTEM, |figures| figures.cpu_system),
    (&f::CONTAINER_PERIODS, |figures| whole(figures.periods)),
    (&f::CONTAINER_THROTTLED_PERIODS, |figures| whole(figures.throttled_periods)),
    (&f::CONTAINER_THROTTLED, |figures| figures.throttled),
    (&f::CONTAINER_MEMORY, |figures| whole(figures.memory)),
    (&f::CONTAINER_WORKING_SET, |figures| whole(figures.working_set())),
    (&f::CONTAINER_ANONYMOUS, |figures| whole(figures.anonymous)),
    (&f::CONTAINER_FILE, |figures| whole(figures.file)),
    (&f::CONTAINER_SWAP, |figures| whole(figures.swap)),
    (&f::CONTAINER_MEMORY_LIMIT, |figures| whole(figures.memory_limit)),
    (&f::CONTAINER_OOM_KILLS, |figures| whole(figures.oom_kills)),
    (&f::CONTAINER_READS, |figures| whole(figures.io.map(|io| io.reads))),
    (&f::CONTAINER_READ_BYTES, |figures| whole(figures.io.map(|io| io.read_bytes))),
    (&f::CONTAINER_WRITES, |figures| whole(figures.io.map(|io| io.writes))),
    (&f::CONTAINER_WRITTEN_BYTES, |figures| whole(figures.io.map(|io| io.written_bytes))),
    (&f::CONTAINER_PIDS, |figures| whole(figures.pids)),
    (&f::CONTAINER_PIDS_LIMIT, |figures| whole(figures.pids_limit)),
    (&f::CONTAINER_NET_RECEIVED, |figures| received(figures, |traffic| traffic.bytes)),
    (&f::CONTAINER_NET_SENT, |figures| sent(figures, |traffic| traffic.bytes)),
    (&f::CONTAINER_NET_PACKETS_IN, |figures| received(figures, |traffic| traffic.packets)),
    (&f::CONTAINER_NET_PACKETS_OUT, |figures| sent(figures, |traffic| traffic.packets)),
    (&f::CONTAINER_NET_DROPPED_IN, |figures| received(figures, |traffic| traffic.dropped)),
    (&f::CONTAINER_NET_DROPPED_OUT, |figures| sent(figures, |traffic| traffic.dropped)),
];

fn whole(number: Option<u64>) -> Option<Value> {
    number.map(Value::Whole)
}

fn received(figures: &Figures, read: fn(&Traffic) -> u64) -> Option<Value> {
    figures.network.map(|(received, _)| Value::Whole(read(&received)))
}

fn sent(figures: &Figures, read: fn(&Traffic) -> u64) -> Option<Value> {
    figures.network.map(|(_, sent)| Value::Whole(read(&sent)))
}

/// One container.
struct Tracked {
    container: Arc<Container>,
    title: Title,
    /// The labels of its line that says how it is called.
    info: String,
    /// Once it was found.
    group: Option<Group>,
    searches: u32,
}

impl Tracked {
    fn new(container: &Arc<Container>) -> Self {
        let of = |name: &'static str, text: &Option<String>| text.as_deref().map(|text| (name, cut(text)));
        let id = ("container", container.id.short().to_owned());
        let others = [of("stack", &container.stack), of("service", &container.service), of("task", &container.task)];
        let title = Title::new([id].into_iter().chain(others.into_iter().flatten()));
        let info = title.with("name", &cut(&container.name));
        Self { container: Arc::clone(container), title, info, group: None, searches: 0 }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST_LABEL).collect()
}

/// All of them.
pub(super) struct Tracker {
    /// So many have their files kept open.
    kept_open: usize,
    hierarchy: Option<Hierarchy>,
    places: Places,
    seen: Option<Arc<Containers>>,
    all: Vec<Tracked>,
}

impl Tracker {
    pub(super) fn new(files: &mut Files) -> Self {
        let descriptors = process::descriptor_limit().unwrap_or_default();
        let kept_open = usize::try_from(descriptors / PART_OF_DESCRIPTORS).unwrap_or_default() / KEPT_FILES;
        let hierarchy = files.read(&["/proc/self/mountinfo"]).and_then(Hierarchy::of);
        Self { kept_open, hierarchy, places: Places::new(), seen: None, all: Vec::new() }
    }

    /// Reads and writes what there is of `newest`.
    pub(super) fn look(&mut self, files: &mut Files, newest: &Arc<Containers>, draft: &mut Draft) {
        self.adopt(newest);
        self.search(files);
        for (place, one) in self.all.iter_mut().enumerate() {
            let keeping = if place < self.kept_open { Keeping::Open } else { Keeping::Nothing };
            let read = |group: &mut Group| group.read(files, self.hierarchy.as_ref()?, keeping);
            if one.group.as_mut().and_then(read).is_none() {
                // It has ended, or begun anew elsewhere.
                one.group = None;
            }
        }
        let measured: Vec<(&Tracked, &Figures)> = self.all.iter().filter_map(|one| Some((one, one.group.as_ref()?.figures()))).collect();
        draft.family(&f::CONTAINERS);
        draft.number(&[("state", "measured")], Some(measured.len()));
        draft.number(&[("state", "unseen")], Some(self.all.len() - measured.len()));
        draft.number(&[("state", "left_out")], Some(newest.len() - self.all.len()));
        draft.family(&f::CONTAINER_INFO);
        for (one, _) in &measured {
            draft.line(&one.info, 1_u64);
        }
        for (family, read) in &COLUMNS {
            draft.family(family);
            for (one, figures) in &measured {
                draft.number_of(&one.title, read(figures));
            }
        }
    }

    /// Lets go of those that run no more, and of their files.
    pub(super) fn let_go(&mut self, newest: &Containers) {
        self.all.retain(|one| newest.get(&one.container.id).is_some_and(|container| Arc::ptr_eq(container, &one.container)));
    }

    /// Takes over what runs now. Whoever is known already keeps its place.
    fn adopt(&mut self, newest: &Arc<Containers>) {
        if self.seen.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, newest)) {
            return;
        }
        let mut before = std::mem::take(&mut self.all).into_iter().peekable();
        for container in newest.iter().take(MOST_CONTAINERS) {
            // Both are in the order of their ids.
            while before.next_if(|one| one.container.id < container.id).is_some() {}
            let known = before.next_if(|one| Arc::ptr_eq(&one.container, container));
            self.all.push(known.unwrap_or_else(|| Tracked::new(container)));
        }
        self.seen = Some(Arc::clone(newest));
    }

    /// Looks for the control groups of those that have none yet.
    fn search(&mut self, files: &mut Files) {
        let Some(hierarchy) = &self.hierarchy else { return };
        for one in self.all.iter_mut().filter(|one| one.group.is_none()) {
            one.group = self.places.near_others(files, hierarchy, &one.container.id).map(Group::at);
        }
        let lost = |one: &&mut Tracked| one.group.is_none() && one.searches < SEARCHES;
        let wanted: BTreeSet<ContainerId> = self.all.iter_mut().filter(lost).map(|one| one.container.id.clone()).collect();
        if wanted.is_empty() {
            return;
        }
        let mut found = self.places.everywhere(files, hierarchy, &wanted.iter().collect());
        for one in self.all.iter_mut().filter(lost) {
            one.searches += 1;
            one.group = found.remove(&one.container.id).map(Group::at);
            if one.group.is_none() && one.searches == SEARCHES {
                log::warn!(
                    "telemetry: the container {} has no control group that can be seen from here: it is not measured",
                    one.container.id
                );
            }
        }
    }
}

//! What starts, by what lies there.

use super::super::files::tests::Folder;
use super::super::versions::State;
use super::super::versions::tests::{put, version, versions};
use super::*;
use crate::domain::CommandId;
use std::cell::RefCell;
use std::fs;
use uuid::Uuid;

const ID: CommandId = CommandId(Uuid::from_u128(7));

/// A host whose package holds 1.0.0.
struct Host {
    folder: Folder,
    state: Folder,
    places: Places,
}

impl Host {
    fn new() -> Self {
        let (folder, state) = (Folder::new(), Folder::new());
        let places = Places { state_dir: state.0.clone(), versions_dir: folder.0.clone() };
        Self { folder, state, places }
    }

    fn versions(&self) -> Versions {
        versions(&self.folder)
    }

    /// `1.1.0` is current, and on trial if it may be started so often.
    fn with(attempts: Option<u32>, previous: Option<&str>) -> Self {
        let host = Self::new();
        let versions = host.versions();
        put(&versions, "1.1.0", b"new");
        versions.switch(Some(&version("1.1.0"))).unwrap();
        let trial =
            Trial { id: ID, version: version("1.1.0"), previous: previous.map(version), attempts, since: Timestamp::from_millis(0) };
        versions.keep(&State { trial: Some(trial), ..State::default() }).unwrap();
        if let Some(previous) = previous {
            put(&versions, previous, b"before");
        }
        host
    }

    /// A start of the package's copy: what it started one after another, none of which could be executed, and why it runs itself.
    fn starts(&self) -> (Vec<String>, Option<String>) {
        let started = RefCell::new(Vec::new());
        let start = |binary: &Path| {
            let version = binary.parent().and_then(Path::file_name).unwrap().to_str().unwrap().to_owned();
            started.borrow_mut().push(version);
            io::Error::from(io::ErrorKind::PermissionDenied)
        };
        let held = Launcher { places: &self.places, own: version("1.0.0"), say: &|_| {}, start: &start }.run();
        (started.into_inner(), held)
    }

    /// The same, where what is started runs: the process is another one from there.
    fn becomes(&self) -> String {
        boots(&self.places, &version("1.0.0")).unwrap_or_else(|| "1.0.0".to_owned())
    }

    fn course(&self) -> Option<Course> {
        Staging::of(&self.state.0).course(ID)
    }
}

struct Became;

#[test]
fn without_a_newer_version_the_package_s_copy_runs() {
    let host = Host::new();
    assert_eq!(host.starts(), (vec![], None));
    put(&host.versions(), "1.0.0", b"same");
    host.versions().switch(Some(&version("1.0.0"))).unwrap();
    assert_eq!(host.starts(), (vec![], None), "no newer than the package");
    fs::remove_dir_all(&host.folder.0).unwrap();
    assert_eq!(host.starts(), (vec![], None), "no folder at all");
    fs::create_dir(&host.folder.0).unwrap();
}

#[test]
fn a_version_on_trial_is_counted_before_it_is_started_and_no_longer_started_when_that_is_used_up() {
    let host = Host::with(Some(3), None);
    for attempt in 1..=3 {
        assert_eq!(host.becomes(), "1.1.0");
        assert_eq!(host.course().unwrap().attempts, attempt, "on disk before it runs");
    }
    assert_eq!(host.becomes(), "1.0.0", "the package's");
    let course = host.course().unwrap();
    assert!(course.has_ended(Verdict::Returned) && course.end.unwrap().why.contains("3 times"));
    assert_eq!(host.becomes(), "1.0.0", "and for good");
}

#[test]
fn it_goes_back_to_the_version_that_ran_before() {
    let host = Host::with(Some(1), Some("1.0.5"));
    assert_eq!((host.becomes(), host.becomes(), host.becomes()), ("1.1.0".into(), "1.0.5".into(), "1.0.5".into()));
    fs::write(host.folder.0.join("1.0.5/axion-agent"), "cut off").unwrap();
    assert_eq!(host.becomes(), "1.0.0", "what is not whole does not run");
    let host = Host::with(Some(1), Some("0.9.0"));
    assert_eq!((host.becomes(), host.becomes()), ("1.1.0".into(), "1.0.0".into()), "the package's is newer than the one before");
}

#[test]
fn the_agent_s_word_ends_a_trial_and_chooses_nothing() {
    let note = |host: &Host, verdict| {
        let end = Some(End { verdict, why: "it said so".to_owned(), at: Timestamp::from_millis(0) });
        Staging::of(&host.state.0).note(&Course { end, attempts: 9, ..Course::new(ID, version("1.1.0"), Vec::new()) }).unwrap();
    };
    let host = Host::with(Some(3), None);
    note(&host, Verdict::Healthy);
    assert_eq!((host.becomes(), host.course().unwrap().attempts), ("1.1.0".into(), 9), "it is not counted any more");
    note(&host, Verdict::Returned);
    assert_eq!(host.becomes(), "1.0.0");
    note(&host, Verdict::Kept);
    assert_eq!(host.becomes(), "1.1.0");
    let host = Host::with(None, None);
    for _ in 0..9 {
        assert_eq!(host.becomes(), "1.1.0", "nothing goes back by itself");
    }
}

#[test]
fn what_cannot_be_started_is_not_tried_again() {
    let host = Host::with(Some(3), Some("1.0.5"));
    let (started, held) = host.starts();
    assert_eq!(started, ["1.1.0", "1.0.5"]);
    assert!(held.unwrap().contains("cannot be started"));
    assert!(host.course().unwrap().has_ended(Verdict::Returned));
    let host = Host::with(Some(3), None);
    fs::write(host.folder.0.join("1.1.0/axion-agent"), "n").unwrap();
    let (started, held) = host.starts();
    assert!(started.is_empty() && held.unwrap().contains("1 bytes"));
    assert_eq!(host.course().unwrap().attempts, 0, "it was not started");
}

#[test]
fn what_cannot_be_counted_is_not_started() {
    let host = Host::with(Some(3), None);
    // A file stands where the folder should be: nothing can be written down.
    fs::write(host.state.0.join("updates"), "").unwrap();
    let (started, held) = host.starts();
    assert!(started.is_empty() && held.is_some(), "{held:?}");
}

/// What the package's copy of this version starts; nothing where it runs itself.
pub(in crate::update) fn boots(places: &Places, own: &Version) -> Option<String> {
    let started = RefCell::new(None);
    let start = |binary: &Path| {
        let version = binary.parent().and_then(Path::file_name).unwrap().to_str().unwrap().to_owned();
        started.borrow_mut().get_or_insert(version);
        // What comes after is not reached by a process that has become another.
        std::panic::resume_unwind(Box::new(Became))
    };
    let run = std::panic::AssertUnwindSafe(|| Launcher { places, own: own.clone(), say: &|_| {}, start: &start }.run());
    match std::panic::catch_unwind(run) {
        Ok(_) => None,
        Err(reason) => {
            assert!(reason.is::<Became>(), "another panic");
            started.into_inner()
        }
    }
}

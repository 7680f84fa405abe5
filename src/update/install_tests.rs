//! The helper on a host of its own: what it does, what it refuses, and what starts after a crash behind each of its steps.

use super::super::files::tests::{Folder, alone, sha256};
use super::super::launch::Places;
use super::super::manifest::tests::body;
use super::super::staging::{Course, End, Request, Staging};
use super::super::versions::tests::{put, version, versions};
use super::*;
use crate::domain::Code;
use crate::signing::{KeyId, PayloadType, PrivateKey, sign};
use serde_json::{Value, json};
use uuid::Uuid;

const NOW: &str = "2026-01-31T12:00:00Z";
/// Newer than the package, whatever that is.
const NEXT: &str = "999.1.0";

fn id(n: u128) -> CommandId {
    CommandId(Uuid::from_u128(n))
}

/// A program that says that it is this version.
fn binary(version: &str) -> Vec<u8> {
    format!("#!/bin/sh\necho axion-agent {version}\n").into_bytes()
}

/// A host with a release key, both folders, and nothing installed.
struct Host {
    state: Folder,
    folder: Folder,
    key: PrivateKey,
    helper: Helper,
}

impl Host {
    fn new() -> Self {
        let (state, folder) = (Folder::new(), Folder::new());
        let key = PrivateKey::generate(KeyId::parse("release-1").unwrap()).unwrap();
        let mut keys = Keys::default();
        keys.add(key.public().unwrap()).unwrap();
        let helper = Helper {
            state_dir: state.0.clone(),
            versions_dir: folder.0.clone(),
            keys,
            channel: "stable".to_owned(),
            max_backups: 2,
            min_free_disk: 0,
            on_failure: OnFailure::Returns,
            at: Timestamp::parse(NOW).unwrap(),
        };
        let host = Self { state, folder, key, helper };
        host.staging().prepare().unwrap();
        host
    }

    fn staging(&self) -> Staging {
        Staging::of(&self.state.0)
    }

    fn versions(&self) -> Versions {
        versions(&self.folder)
    }

    fn places(&self) -> Places {
        Places { state_dir: self.state.0.clone(), versions_dir: self.folder.0.clone() }
    }

    /// Stages a version, and asks for it.
    fn stage(&self, n: u128, of: &str, change: impl FnOnce(&mut Value)) {
        let content = binary(of);
        let mut body = body(of);
        let artifact = json!({"url": "https://example.com/a", "size": content.len(), "sha256": sha256(&content)});
        body["artifacts"] = json!({ std::env::consts::ARCH: artifact });
        change(&mut body);
        let envelope = sign(PayloadType::UPDATE_MANIFEST, body.to_string().as_bytes(), std::slice::from_ref(&self.key)).unwrap();
        self.staging().keep_manifest(&envelope).unwrap();
        files::put(self.staging().folder(), staging::BINARY, &content, 0o600).unwrap();
        self.staging().note(&Course::new(id(n), version(of), Vec::new())).unwrap();
        self.ask(n, What::Install);
    }

    fn ask(&self, n: u128, what: What) {
        self.staging().ask(&Request { id: id(n), what }).unwrap();
    }

    fn serve(&self) -> Served {
        serve(&self.helper).unwrap()
    }

    /// Why it was refused, as the agent sees it.
    fn refusal(&self, n: u128) -> (String, String) {
        assert!(matches!(self.serve(), Served::Refused(_)));
        assert!(!self.staging().is_asking(), "an answer ends the request");
        let answer = self.versions().state().unwrap().answer.filter(|answer| answer.id == id(n)).unwrap();
        let refused = answer.refused.unwrap();
        (refused.code, refused.message)
    }

    fn end_trial(&self, n: u128, verdict: Verdict) {
        let course = self.staging().course(id(n)).unwrap_or_else(|| Course::new(id(n), version(NEXT), Vec::new()));
        let end = Some(End { verdict, why: "a test says so".to_owned(), at: self.helper.at });
        self.staging().note(&Course { end, ..course }).unwrap();
        self.ask(n, What::Settle);
        assert!(matches!(self.serve(), Served::Done(_)));
    }

    /// Installs, and passes the trial.
    fn install(&self, n: u128, version: &str, change: impl FnOnce(&mut Value)) {
        self.stage(n, version, change);
        let served = self.serve();
        assert!(matches!(served, Served::Done(_)), "{served:?}");
        self.end_trial(n, Verdict::Healthy);
    }

    /// What would be started now.
    fn boots(&self) -> Option<String> {
        super::super::launch::tests::boots(&self.places(), &Version::own())
    }
}

#[test]
fn a_version_is_installed_on_trial_and_counts_once_it_has_passed() {
    let _alone = alone();
    let host = Host::new();
    assert_eq!(host.serve(), Served::Nothing);
    host.stage(1, NEXT, |body| body["security_floor"] = json!("999.0.0"));
    assert!(matches!(host.serve(), Served::Done(words) if words.contains("999.1.0 is installed and on trial")));
    let state = host.versions().state().unwrap();
    let trial = state.trial.clone().unwrap();
    assert_eq!((trial.id, trial.attempts, trial.previous), (id(1), Some(3), None));
    assert_eq!(
        (state.floors.clone(), state.answer.unwrap().refused),
        (Default::default(), None),
        "nothing rises before the trial is passed"
    );
    host.versions().whole(&version(NEXT)).unwrap();
    assert_eq!(host.boots().as_deref(), Some(NEXT));
    host.end_trial(1, Verdict::Healthy);
    let state = host.versions().state().unwrap();
    assert_eq!((state.trial, state.floors.version, state.floors.security), (None, Some(version(NEXT)), Some(version("999.0.0"))));
    assert!(!host.staging().is_asking());
}

#[test]
fn what_starts_after_a_crash_behind_each_step_is_a_whole_version_and_the_helper_comes_to_the_same_end() {
    let _alone = alone();
    let running = "999.0.1";
    for cut in 0..=INSTALL.len() {
        let host = Host::new();
        host.install(1, running, |_| {});
        host.stage(2, NEXT, |_| {});
        {
            let site = Site::open(&host.helper).unwrap().unwrap();
            let work = site.plan(&staging::request(&site.staged.at(staging::REQUEST)).unwrap().unwrap()).unwrap();
            for step in &work.steps[..cut] {
                site.take(*step, &work).unwrap();
            }
        }
        // The power is cut here. Whatever starts now is whole: the old version, or the new one on trial.
        let switched = INSTALL[..cut].contains(&Step::Switch);
        let expected = if switched { NEXT } else { running };
        assert_eq!(host.boots().as_deref(), Some(expected), "cut off behind {:?}", &INSTALL[..cut]);
        let started = host.versions().current().unwrap().unwrap();
        host.versions().whole(&started).unwrap();
        if switched {
            assert_eq!(host.versions().state().unwrap().trial.unwrap().id, id(2), "what starts is on trial");
        }
        // The path unit finds the request when the host is up again.
        let served = host.serve();
        assert!(matches!(served, Served::Done(_) | Served::Nothing), "{cut}: {served:?}");
        assert_eq!(host.boots().as_deref(), Some(NEXT), "{cut}");
        let state = host.versions().state().unwrap();
        assert_eq!((state.trial.unwrap().previous, state.answer.unwrap().id), (Some(version(running)), id(2)), "{cut}");
        assert!(!host.staging().is_asking() && !host.folder.0.join(INCOMING).exists(), "{cut}");
    }
}

#[test]
fn a_crash_within_a_copy_leaves_nothing_that_is_taken_for_a_version() {
    let _alone = alone();
    let host = Host::new();
    host.stage(1, NEXT, |_| {});
    fs::create_dir(host.folder.0.join(INCOMING)).unwrap();
    fs::write(host.folder.0.join(INCOMING).join(BINARY), "half of i").unwrap();
    put(&host.versions(), NEXT, b"another build");
    fs::write(host.versions().of(&version(NEXT)).join(BINARY), "cut").unwrap();
    assert_eq!(host.boots(), None);
    assert!(matches!(host.serve(), Served::Done(_)));
    host.versions().whole(&version(NEXT)).unwrap();
}

#[test]
fn a_return_and_the_end_of_a_trial_stand_a_crash_behind_each_step() {
    let _alone = alone();
    let (running, before) = ("999.0.2", "999.0.1");
    let ends: [(&[Step], What, Option<Verdict>); 3] = [
        (RETURN, What::Return(Some(version(before))), None),
        (PASSED, What::Settle, Some(Verdict::Healthy)),
        (FAILED, What::Settle, Some(Verdict::Returned)),
    ];
    for (steps, what, verdict) in ends {
        for cut in 0..=steps.len() {
            let host = Host::new();
            host.install(1, before, |_| {});
            host.stage(2, running, |_| {});
            assert!(matches!(host.serve(), Served::Done(_)));
            if verdict.is_none() {
                host.end_trial(2, Verdict::Healthy);
            } else {
                let end = verdict.map(|verdict| End { verdict, why: "w".to_owned(), at: host.helper.at });
                host.staging().note(&Course { end, ..Course::new(id(2), version(NEXT), Vec::new()) }).unwrap();
            }
            host.ask(3, what.clone());
            {
                let site = Site::open(&host.helper).unwrap().unwrap();
                let work = site.plan(&staging::request(&site.staged.at(staging::REQUEST)).unwrap().unwrap()).unwrap();
                assert_eq!(work.steps, steps);
                work.steps[..cut].iter().for_each(|step| site.take(*step, &work).unwrap());
            }
            let boots = host.boots();
            let old = [running, before].into_iter().any(|known| boots.as_deref() == Some(known));
            assert!(old, "cut off behind {:?}: {boots:?}", &steps[..cut]);
            let served = host.serve();
            assert!(matches!(served, Served::Done(_) | Served::Nothing), "{served:?}");
            let expected = if verdict == Some(Verdict::Healthy) { running } else { before };
            assert_eq!(host.boots().as_deref(), Some(expected), "{:?}", &steps[..cut]);
            assert_eq!(host.versions().current().unwrap(), Some(version(expected)));
            assert_eq!(host.versions().state().unwrap().trial, None);
        }
    }
}

#[test]
fn the_helper_believes_nothing_that_the_agent_has_staged() {
    let _alone = alone();
    let refused = |spoil: &dyn Fn(&Host)| {
        let host = Host::new();
        host.install(1, "999.0.1", |body| body["security_floor"] = json!("999.0.1"));
        host.stage(2, NEXT, |_| {});
        spoil(&host);
        let (code, message) = host.refusal(2);
        assert_eq!(host.boots().as_deref(), Some("999.0.1"), "{code}");
        assert!(host.versions().state().unwrap().trial.is_none() && !host.folder.0.join(INCOMING).exists(), "{code}");
        (code, message)
    };
    let staged = |host: &Host, content: &[u8]| files::put(host.staging().folder(), staging::BINARY, content, 0o600).unwrap();
    let again = |host: &Host, of: &str, change: &dyn Fn(&mut Value)| host.stage(2, of, |body| change(body));
    for (spoil, expected, words) in [
        (&|host: &Host| staged(host, b"#!/bin/sh\necho root\n") as (), Code::UPDATE_CHECKSUM, "expected"),
        (
            &|host: &Host| {
                let path = host.staging().at(staging::BINARY);
                fs::remove_file(&path).unwrap();
                std::os::unix::fs::symlink("/bin/sh", &path).unwrap();
            },
            Code::UPDATE_INSTALL,
            "read axion-agent",
        ),
        (
            &|host: &Host| {
                let mut envelope: Value = serde_json::from_slice(&fs::read(host.staging().at(staging::MANIFEST)).unwrap()).unwrap();
                envelope["payload"] = json!("e30=");
                host.staging().keep_manifest(envelope.to_string().as_bytes()).unwrap();
            },
            Code::UPDATE_BAD_SIGNATURE,
            "signature",
        ),
        (&|host: &Host| again(host, NEXT, &|body| body["expires_at"] = json!("2026-01-31T11:59:59Z")), Code::UPDATE_EXPIRED, "expired"),
        (&|host: &Host| again(host, NEXT, &|body| body["channel"] = json!("beta")), Code::UPDATE_NOT_FOR_THIS_HOST, "beta"),
        (&|host: &Host| again(host, "999.0.0", &|_| {}), Code::UPDATE_DOWNGRADE, "security floor"),
        (&|host: &Host| again(host, "999.0.0", &|body| body["allow_downgrade"] = json!(true)), Code::UPDATE_DOWNGRADE, "security floor"),
        (&|host: &Host| again(host, "0.0.1", &|body| body["allow_downgrade"] = json!(true)), Code::UPDATE_DOWNGRADE, "0.0.1"),
        (
            &|host: &Host| {
                let content = binary("999.9.9");
                staged(host, &content);
                let artifact = json!({"url": "https://example.com/a", "size": content.len(), "sha256": sha256(&content)});
                let body = |body: &mut Value| body["artifacts"] = json!({ std::env::consts::ARCH: artifact.clone() });
                again(host, NEXT, &body);
                staged(host, &content);
            },
            Code::UPDATE_INSTALL,
            "says that it is",
        ),
    ] as [(&dyn Fn(&Host), Code, &str); 9]
    {
        let (code, message) = refused(spoil);
        assert!(code == expected.as_str() && message.contains(words), "{expected}: {code}: {message}");
    }
}

#[test]
fn a_downgrade_that_the_manifest_allows_is_installed() {
    let _alone = alone();
    let host = Host::new();
    host.install(1, NEXT, |_| {});
    host.stage(2, "999.0.9", |_| {});
    assert_eq!(host.refusal(2).0, "update.downgrade");
    host.install(3, "999.0.9", |body| body["allow_downgrade"] = json!(true));
    assert_eq!(host.boots().as_deref(), Some("999.0.9"));
    assert_eq!(host.versions().state().unwrap().floors.version, Some(version(NEXT)), "the floor does not fall with it");
}

#[test]
fn without_room_or_on_a_read_only_file_system_nothing_is_begun() {
    let _alone = alone();
    let host = Host { helper: Helper { min_free_disk: u64::MAX, ..Host::new().helper }, ..Host::new() };
    let host = Host {
        helper: Helper { state_dir: host.state.0.clone(), versions_dir: host.folder.0.clone(), keys: keys(&host), ..host.helper },
        ..host
    };
    host.stage(1, NEXT, |_| {});
    assert_eq!(host.refusal(1).0, "update.no_space");
    let read_only = io::Error::from(io::ErrorKind::ReadOnlyFilesystem);
    assert_eq!(made(Path::new("/v"), read_only).code(), Code::UPDATE_MANAGED_ELSEWHERE);
    fs::remove_dir_all(&host.folder.0).unwrap();
    assert!(matches!(serve(&host.helper), Err(Fault::ManagedElsewhere(_))));
    fs::create_dir(&host.folder.0).unwrap();
}

fn keys(host: &Host) -> Keys {
    let mut keys = Keys::default();
    keys.add(host.key.public().unwrap()).unwrap();
    keys
}

#[test]
fn a_return_goes_to_what_was_installed_or_to_the_package_and_below_no_floor() {
    let _alone = alone();
    let host = Host::new();
    for (n, version) in [(1, "999.0.1"), (2, "999.0.2")] {
        host.install(n, version, |_| {});
    }
    for (n, to, expected) in [(3, "999.0.7", "update.no_previous"), (4, "0.0.1", "update.no_previous")] {
        host.ask(n, What::Return(Some(version(to))));
        assert_eq!(host.refusal(n).0, expected, "{to}");
    }
    host.ask(5, What::Return(Some(version("999.0.1"))));
    assert!(matches!(host.serve(), Served::Done(_)));
    assert_eq!(host.boots().as_deref(), Some("999.0.1"));
    host.ask(6, What::Return(None));
    assert!(matches!(host.serve(), Served::Done(words) if words.contains("package")));
    assert_eq!(host.boots(), None);
    host.install(7, "999.0.3", |body| body["security_floor"] = json!("999.0.2"));
    host.ask(8, What::Return(None));
    assert_eq!(host.refusal(8).0, "update.downgrade");
    host.ask(9, What::Return(Some(version("999.0.1"))));
    assert_eq!(host.refusal(9).0, "update.downgrade");
}

#[test]
fn a_version_that_failed_makes_way_and_what_it_went_back_to_is_kept() {
    let _alone = alone();
    let host = Host::new();
    host.install(1, "999.0.1", |_| {});
    host.install(2, "999.0.2", |_| {});
    host.stage(3, NEXT, |_| {});
    assert!(matches!(host.serve(), Served::Done(_)));
    host.stage(4, "999.2.0", |_| {});
    host.staging().note(&Course::new(id(3), version(NEXT), Vec::new())).unwrap();
    assert_eq!(host.refusal(4).0, "update.busy", "a trial that goes on is not disturbed");
    // It ends, and nobody has told the helper, before the next one comes.
    let end = Some(End { verdict: Verdict::Returned, why: "w".to_owned(), at: host.helper.at });
    host.staging().note(&Course { end, ..Course::new(id(3), version(NEXT), Vec::new()) }).unwrap();
    assert_eq!(host.boots().as_deref(), Some("999.0.2"));
    let course = host.staging().course(id(3)).unwrap();
    host.stage(4, "999.2.0", |_| {});
    host.staging().note(&course).unwrap();
    assert!(matches!(host.serve(), Served::Done(_)));
    let state = host.versions().state().unwrap();
    assert_eq!((state.trial.unwrap().previous, state.previous), (Some(version("999.0.2")), Some(version("999.0.1"))));
}

#[test]
fn old_versions_go_but_for_those_that_are_kept() {
    let _alone = alone();
    let host = Host::new();
    for n in 1..=5_u128 {
        host.install(n, &format!("999.0.{n}"), |_| {});
    }
    assert_eq!(host.versions().all().unwrap(), ["999.0.5", "999.0.4", "999.0.3"].map(version));
}

#[test]
fn a_request_that_means_nothing_goes_and_one_that_was_withdrawn_is_not_begun() {
    let _alone = alone();
    let host = Host::new();
    files::put(host.staging().folder(), staging::REQUEST, b"{", 0o600).unwrap();
    assert!(matches!(host.serve(), Served::Refused(_)) && !host.staging().is_asking());
    host.stage(1, NEXT, |_| {});
    let site = Site::open(&host.helper).unwrap().unwrap();
    let work = site.plan(&Request { id: id(1), what: What::Install }).unwrap();
    host.staging().withdraw().unwrap();
    let ended = work.steps.iter().try_for_each(|step| site.take(*step, &work));
    assert!(matches!(ended, Err(Fault::Cancelled)) && host.boots().is_none());
    let other = site.lock().unwrap().unwrap();
    host.ask(2, What::Settle);
    assert_eq!(host.serve(), Served::Nothing, "another helper works");
    drop(other);
}

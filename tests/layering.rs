//! Imports run one way: `main → agent → coordinator → subjects → domain and threads`.
//!
//! This test reads `src/` and fails with the file, the line and the rule that it breaks.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// For each room, the rooms of the crate that it may name. A room that is not listed fails the test.
fn rules() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let subjects = ["config", "control_plane", "docker", "health", "ipc", "journal", "kafka", "service", "telemetry", "update"];
    let base = ["domain", "threads"];
    let mut rules: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    rules.insert("domain", BTreeSet::new());
    rules.insert("threads", BTreeSet::new());
    rules.insert("proto", BTreeSet::new());
    rules.insert("logging", BTreeSet::from(base));
    for library in ["bundle", "stack", "record", "signing"] {
        rules.insert(library, BTreeSet::from(["domain"]));
    }
    for subject in subjects {
        rules.insert(subject, BTreeSet::from(base));
    }
    rules.insert("filesystem", BTreeSet::new());
    rules.insert("memory", BTreeSet::new());
    rules.insert("https", BTreeSet::from(["threads"]));
    rules.insert("unix_http", BTreeSet::new());
    rules.entry("config").or_default().extend(["logging", "signing"]);
    rules.entry("docker").or_default().extend(["filesystem", "stack", "unix_http"]);
    rules.entry("journal").or_default().insert("filesystem");
    rules.entry("telemetry").or_default().insert("filesystem");
    rules.entry("control_plane").or_default().extend(["proto", "record", "signing"]);
    rules.entry("ipc").or_default().extend(["logging", "record"]);
    rules.entry("kafka").or_default().extend(["record", "signing"]);
    rules.entry("record").or_default().insert("signing");
    rules.entry("config").or_default().insert("signing");
    rules.entry("update").or_default().extend(["filesystem", "https", "signing"]);
    let faces = ["control_plane", "docker", "ipc", "journal", "kafka", "service", "telemetry", "update"];
    rules.insert("coordinator", base.into_iter().chain(faces).chain(["memory"]).collect());
    let probed = ["control_plane", "docker", "filesystem", "journal", "kafka", "signing"];
    rules.insert("doctor", base.into_iter().chain(probed).collect());
    rules.insert("agent", base.into_iter().chain(subjects).chain(["coordinator", "doctor", "https", "logging", "signing"]).collect());
    let libraries = ["bundle", "domain", "logging", "record", "signing", "stack", "threads", "unix_http"];
    rules.insert("cli", BTreeSet::from(libraries).into_iter().chain(["agent", "config", "doctor", "update"]).collect());
    rules
}

/// Only these files see the shapes of the wires: protobuf messages.
const PROTO_READERS: [&str; 2] = ["control_plane/wire.rs", "control_plane/session/wire.rs"];

#[test]
fn imports_run_one_way() {
    let rules = rules();
    let mut broken = Vec::new();
    for file in sources() {
        let path = relative(&file);
        let room = room_of(&path);
        if matches!(room, "lib" | "main") {
            continue;
        }
        let Some(allowed) = rules.get(room) else {
            broken.push(format!("{path}: the room {room} has no rule in tests/layering.rs"));
            continue;
        };
        for (line, named) in rooms_named(&file, rules.keys().copied()) {
            if named != room && !allowed.contains(named) {
                broken.push(format!("{path}:{line}: {room} must not use crate::{named}"));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn the_coordinator_sees_only_the_faces_of_rooms() {
    // `crate::room::Item` is a face; `crate::room::module::Item` looks behind it.
    let mut broken = Vec::new();
    for file in sources() {
        let path = relative(&file);
        if !matches!(room_of(&path), "coordinator" | "agent" | "doctor") {
            continue;
        }
        for (number, line) in code_lines(&file) {
            let looks_behind = line.split("crate::").skip(1).any(|rest| {
                let mut parts = rest.split("::");
                let first = parts.next().unwrap_or_default();
                let second: String = parts.next().unwrap_or_default().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let behind = parts.next().is_some() && second.starts_with(|c: char| c.is_lowercase());
                behind && first != "domain"
            });
            if looks_behind {
                broken.push(format!("{path}:{number}: {}", line.trim()));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn only_wire_files_see_protobuf() {
    for file in sources() {
        let path = relative(&file);
        if PROTO_READERS.contains(&path.as_str()) || room_of(&path) == "proto" {
            continue;
        }
        for (number, line) in code_lines(&file) {
            assert!(!line.contains("crate::proto"), "{path}:{number}: only {PROTO_READERS:?} may use crate::proto");
        }
    }
}

#[test]
fn threads_and_waits_come_from_the_kit() {
    for file in sources() {
        let path = relative(&file);
        if room_of(&path) == "threads" {
            continue;
        }
        for (number, line) in code_lines(&file) {
            for forbidden in ["thread::spawn", "thread::Builder", "thread::sleep", "unbounded("] {
                assert!(!line.contains(forbidden), "{path}:{number}: {forbidden} belongs to the thread kit");
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is() {
    for file in sources() {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//!"), "{} does not open with a //! header", relative(&file));
        let lines = text.lines().count();
        assert!(lines <= 600, "{} has {lines} lines: split it at 600", relative(&file));
    }
}

fn sources() -> Vec<PathBuf> {
    let mut files = Vec::new();
    gather(&source_root(), &mut files);
    assert!(files.len() > 50, "only {} files found: the test looks in the wrong place", files.len());
    files
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn source_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn relative(file: &Path) -> String {
    file.strip_prefix(source_root()).unwrap().display().to_string()
}

fn room_of(path: &str) -> &str {
    path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

/// Lines with their numbers, without comments and without what stands after `#[cfg(test)]`.
fn code_lines(file: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(file).unwrap();
    if is_test_file(file) {
        return Vec::new();
    }
    let code = text.lines().enumerate().take_while(|(_, line)| line.trim() != "#[cfg(test)]");
    code.map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default().to_owned())).collect()
}

/// Modules that exist under `cfg(test)` alone.
fn is_test_file(file: &Path) -> bool {
    file.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs" | "fake_engine.rs" | "fake_engine")))
}

/// The rooms that a file names, in `crate::room` and in `use crate::{room, …}`.
fn rooms_named<'a>(file: &Path, rooms: impl Iterator<Item = &'a str>) -> Vec<(usize, &'a str)> {
    let rooms: Vec<&str> = rooms.collect();
    let mut named = Vec::new();
    let mut in_group = false;
    for (number, line) in code_lines(file) {
        in_group = in_group || line.contains("use crate::{");
        for room in &rooms {
            let by_path = line.contains(&format!("crate::{room}::")) || line.contains(&format!("crate::{room};"));
            let in_list = in_group && words(&line).any(|word| word == *room);
            if by_path || in_list {
                named.push((number, *room));
            }
        }
        if in_group && line.contains(';') {
            in_group = false;
        }
    }
    named
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !(c.is_alphanumeric() || c == '_'))
}

//! The codes in the pages are the code's own, and each of them is seen by a test.

#![cfg(test)]

use axion_agent::control_plane::LinkCode;
use axion_agent::domain::Code;
use axion_agent::kafka::TroubleCode;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The codes of the first cells of a section's table.
fn listed(page: &str, heading: &str) -> BTreeSet<String> {
    let section = page.split(heading).nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap_or_default();
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    cells.map(|(code, _)| code.to_owned()).collect()
}

fn all_codes() -> BTreeSet<String> {
    Code::ALL.iter().map(|code| code.as_str().to_owned()).collect()
}

#[test]
fn readme_lists_every_code_and_no_other() {
    assert_eq!(listed(&read(&root().join("README.md")), "## Codes"), all_codes());
}

#[test]
fn the_page_on_kafka_lists_every_code_of_a_link_and_no_other() {
    let known: BTreeSet<String> = TroubleCode::ALL.iter().map(|code| code.as_str().to_owned()).collect();
    assert_eq!(listed(&read(&root().join("docs/kafka.md")), "## When it does not work"), known);
}

#[test]
fn no_page_names_a_code_that_is_none() {
    let known = all_codes();
    // The first half of each code, such as `image`; `kafka.…` are keys of the configuration too.
    let families: BTreeSet<&str> = known.iter().filter_map(|code| code.split_once('.')).map(|(family, _)| family).collect();
    // docs/compose.md speaks of keys of Compose files, which look the same.
    for page in ["commands.md", "deploy.md", "kafka.md"] {
        let path = root().join("docs").join(page);
        let text = read(&path);
        for quoted in text.split('`').skip(1).step_by(2) {
            let Some((family, rest)) = quoted.split_once('.') else { continue };
            let is_code = families.contains(family) && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            assert!(!is_code || known.contains(quoted), "{}: there is no code {quoted}", path.display());
        }
    }
}

/// A code is what programs match on: something must show that it is really given.
#[test]
fn every_code_is_looked_for_by_a_test() {
    let names = names();
    assert_eq!(names.keys().cloned().collect::<BTreeSet<_>>(), all_codes());
    let mut tests = String::new();
    for folder in ["src", "tests"] {
        collect(&root().join(folder), &mut tests);
    }
    let unseen: Vec<&str> = names
        .iter()
        .filter(|(code, name)| !tests.contains(&format!("\"{code}\"")) && !tests.contains(&format!("Code::{name}")))
        .map(|(code, _)| code.as_str())
        .collect();
    assert!(unseen.is_empty(), "no test looks for {}", unseen.join(", "));
}

/// Each code's constant: `    NAME = "text";` in the one file that lists them.
fn names() -> BTreeMap<String, String> {
    let text = read(&root().join("src/domain/code.rs"));
    let lines = text.lines().filter_map(|line| line.trim().strip_suffix("\";")?.split_once(" = \""));
    lines.map(|(name, code)| (code.to_owned(), name.to_owned())).collect()
}

/// The text of all tests: whole files of them, and what stands behind `mod tests` in others.
fn collect(folder: &Path, tests: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, tests);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("readme.rs") {
            let text = read(&path);
            let is_test = path.components().any(|part| part.as_os_str() == "tests") || path.to_string_lossy().ends_with("tests.rs");
            tests.push_str(if is_test { &text } else { text.split_once("mod tests {").map_or("", |(_, tests)| tests) });
        }
    }
}

#[test]
fn the_page_on_the_control_plane_lists_every_code_of_its_link_and_no_other() {
    let known: BTreeSet<String> = LinkCode::ALL.iter().map(|code| code.as_str().to_owned()).collect();
    assert_eq!(listed(include_str!("../docs/control-plane.md"), "## When it does not work"), known);
}

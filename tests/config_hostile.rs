//! Whatever stands in the file and the environment, it is loaded or refused with the place of each mistake, and soon:
//! mutations of the example, texts made to grow, and values of every type for every key. The seed is fixed, so a
//! failure repeats.

#![allow(clippy::unwrap_used, reason = "a test that cannot write its file has failed")]

#[path = "support/mutation.rs"]
mod mutation;

use axion_agent::config::{self, Error, KEYS, Place, Sources, UnknownKeys};
use mutation::Chance;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use uuid::Uuid;

const ROUNDS: usize = 3000;
/// Far above what a debug build takes for the largest file.
const SOON: Duration = Duration::from_secs(10);
/// Pieces that change what a file means.
const PIECES: [&str; 26] = [
    "\n",
    "=",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "\"",
    "'",
    "\"\"\"",
    "#",
    ".",
    ",",
    "\\u0000",
    "\u{0}",
    "\u{feff}",
    "é",
    "-1",
    "1e400",
    "9999999999999999999999",
    "0x",
    "true",
    "1979-05-27",
    "{a={b={}}}",
    "AXION",
];
/// A value of each type, some of them beyond every bound.
const VALUES: [&str; 16] = [
    "\"\"",
    "\"x\"",
    "0",
    "-1",
    "9223372036854775807",
    "99999999999999999999",
    "1.5",
    "inf",
    "true",
    "1979-05-27",
    "[]",
    "[1, [2]]",
    "[\"a\", {}]",
    "{}",
    "{ a = { b = 1 } }",
    "\"/dev/null\"",
];

/// A file that goes with its test.
struct TextFile(PathBuf);

impl TextFile {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("axion-hostile-{}.toml", Uuid::new_v4())))
    }

    /// Loads and shows it; what is wrong must have a place in the text, or be about what is missing.
    fn check(&self, text: &str, environment: &BTreeMap<String, String>) {
        fs::write(&self.0, text).unwrap();
        let sources = Sources { file: Some(self.0.clone()), environment: environment.clone() };
        let started = Instant::now();
        let loaded = config::load(&sources, UnknownKeys::Refused);
        let _shown = config::show(&sources);
        assert!(started.elapsed() < SOON, "it took {:?}: {text}", started.elapsed());
        let Err(Error::Invalid(problems)) = loaded else { return };
        assert!(!problems.0.is_empty());
        let lines: Vec<&str> = text.split('\n').collect();
        for problem in problems.0 {
            assert!(!problem.message.is_empty() && !problem.message.contains('\n'), "{problem:?}");
            match problem.place {
                Place::File(file, line, column) => {
                    assert_eq!(*file, *self.0);
                    let length = lines.get(line - 1).map(|line| line.chars().count());
                    assert!(length.is_some_and(|length| (1..=length + 2).contains(&column)), "{line}:{column} is not in\n{text}");
                }
                Place::Variable(name) => assert!(environment.contains_key(&name), "{name}"),
                // A key that is missing stands nowhere.
                Place::Default => assert!(!problem.key.is_empty(), "{problem}"),
                Place::Credential(path) => panic!("there are no credentials: {path:?}"),
            }
        }
    }
}

impl Drop for TextFile {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// The example with every line that shows a value made real.
fn example() -> String {
    let live = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') && rest.contains('=') => rest.to_owned(),
        _ => line.to_owned(),
    };
    config::example().lines().map(|line| live(line) + "\n").collect()
}

#[test]
fn mutations_of_the_example_are_loaded_or_refused_with_their_places() {
    let (file, example, mut chance) = (TextFile::new(), example(), Chance(0x5eed));
    for _ in 0..ROUNDS {
        // A few sections: the rest would only hide what is wrong in them.
        let sections: Vec<&str> = example.split("\n[").collect();
        let mut text = String::new();
        for _ in 0..=chance.below(3) {
            text += "\n[";
            text += sections[chance.below(sections.len())];
        }
        file.check(&chance.mutate(&text, &PIECES), &BTreeMap::new());
    }
}

#[test]
fn every_key_takes_or_refuses_a_value_of_every_type() {
    let file = TextFile::new();
    for key in KEYS {
        for value in VALUES {
            file.check(&format!("[{}]\n{} = {value}\n", key.section, key.name), &BTreeMap::new());
            file.check(&format!("[{}]\n{}_file = {value}\n", key.section, key.name), &BTreeMap::new());
            let variable = format!("AXION_AGENT__{}__{}", key.section, key.name).to_ascii_uppercase();
            file.check("", &BTreeMap::from([(variable, value.trim_matches('"').to_owned())]));
        }
    }
}

#[test]
fn texts_that_grow_are_refused_soon() {
    let file = TextFile::new();
    for text in [
        "[".repeat(100_000),
        format!("[kafka]\nlibrdkafka = {}", "{a=".repeat(50_000)),
        format!("[kafka]\nbrokers = {}", "[".repeat(50_000)),
        format!("[kafka]\nlibrdkafka.{} = 1", "a.".repeat(50_000)),
        format!("[{}]", "docker.".repeat(50_000)),
        format!("[kafka]\nbrokers = [{}]", "\"a:1\",".repeat(50_000)),
        (0..20_000).map(|n| format!("[s{n}]\n")).collect(),
        (0..20_000).map(|n| format!("k{n} = {n}\n")).collect(),
        "x".repeat(1 << 20),
    ] {
        file.check(&text, &BTreeMap::new());
    }
}

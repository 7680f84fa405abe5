//! Loader, merge and interpolation under texts that chance has mutated: each is answered with specs or an
//! error, within a second and 64 MiB, and files that load mean the same once they are merged and read again.
//!
//! No coverage steers it: a text is kept for further mutation when its answer is of a kind that was not
//! seen before. `cargo test` goes over the corpus and mutates each text a few times; `make fuzz MINUTES=60`
//! goes on for so long with each target, from another seed every time, and says which.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests, of which clippy knows only the functions marked so"
)]

#[path = "support/compose.rs"]
mod compose;
#[path = "support/memory.rs"]
mod memory;
#[path = "support/mutation.rs"]
mod mutation;

use axion_agent::stack::{self, Binds, ComposeFile, Source};
use compose::World;
use memory::measured;
use mutation::Chance;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

/// Mutations of each text of the corpus, without `AXION_FUZZ_MINUTES`.
const ROUNDS: usize = 3;
/// The longest that one text may take: a debug build on a busy machine is some fifty times slower than a release.
const SOON: Duration = Duration::from_secs(20);
/// What one text may take of memory.
const MEMORY: usize = 64 << 20;
/// A mutated text grows to at most so much.
const LONGEST: usize = 16 << 10;
/// Texts that are kept for further mutation.
const KEPT: usize = 5_000;
/// What stands between two files of one text.
const NEXT_FILE: &str = "\n# next file\n";

const PIECES: [&str; 44] = [
    "*a",
    "&a ",
    "<<: *a",
    "\n",
    "  ",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "$",
    "${",
    "}",
    "${V:-",
    "${U:?",
    ":+",
    "$$",
    "\"",
    "'",
    "!reset ",
    "!override ",
    "null",
    "true",
    "0x",
    "1e9",
    "-1",
    "99999999999999999999",
    ".5",
    "|\n",
    ">-\n",
    "\u{feff}",
    "é",
    "#",
    "\t",
    "\r\n",
    "extends: a",
    "include: [f]",
    "profiles: [p]",
    "env_file: f",
    "external: true",
    "80-90:80-90/udp",
    "name: ",
    NEXT_FILE,
];

/// What is given to the engine, and in which shape.
#[derive(Clone, Copy)]
enum Target {
    /// A file.
    Loader,
    /// Two files.
    Merge,
    /// A value.
    Interpolation,
}

impl Target {
    fn corpus(self) -> Vec<String> {
        let recorded = include_str!("data/stack-golden.jsonl").lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let files =
            recorded.map(|record| record["compose"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect());
        let files: Vec<Vec<String>> = files.collect();
        let lines = |text: &'static str| text.lines().filter(|line| !line.is_empty());
        match self {
            Self::Loader => {
                let options = lines(include_str!("data/stack-cli/accepted.txt")).chain(lines(include_str!("data/stack-cli/refused.txt")));
                // What was found by fuzzing, and by thinking about it.
                let options = options.chain(lines(include_str!("data/stack-fuzz/options.txt")));
                let services = options.map(|option| format!("services:\n  a:\n    image: x\n    {option}\n"));
                let beside =
                    lines(include_str!("data/stack-cli/refused-files.txt")).map(|line| format!("services: {{a: {{image: x}}}}\n{line}\n"));
                files.into_iter().flatten().chain(services).chain(beside).collect()
            }
            Self::Merge => {
                let pairs = lines(include_str!("data/stack-cli/merged.txt")).filter_map(|pair| pair.split_once(" + "));
                let pairs = pairs.map(|(base, over)| format!("services: {{a: {base}}}{NEXT_FILE}services: {{a: {over}}}"));
                files.iter().filter(|files| files.len() > 1).map(|files| files.join(NEXT_FILE)).chain(pairs).collect()
            }
            Self::Interpolation => lines(include_str!("data/stack-cli/values.txt")).map(str::to_owned).collect(),
        }
    }

    /// Gives a text to the engine; what kind of answer came.
    fn answer(self, text: &str) -> String {
        match self {
            Self::Loader => load_twice(&[text]),
            Self::Merge => load_twice(&text.split(NEXT_FILE).collect::<Vec<_>>()),
            Self::Interpolation => {
                let quoted = Value::from(text).to_string();
                load_twice(&[&format!("services: {{a: {{image: x, hostname: {quoted}, tty: {quoted}, environment: [{quoted}]}}}}")])
            }
        }
    }
}

/// Loads the files; those that load are merged and must come to the same again.
fn load_twice(texts: &[&str]) -> String {
    let env = [("V", "val"), ("E", ""), ("D", "$x ${y}"), ("COMPOSE_PROFILES", "p")];
    let world = World::new(&env, &[("f", "services: {b: {image: x}}\n"), ("s1.txt", "s")]);
    let binds = Binds::From { base: "/base".as_ref(), home: "/root".as_ref() };
    world.with(texts, binds, |source| {
        let loaded = match stack::load(source) {
            Ok(loaded) => loaded,
            Err(error) => return kind(&error.to_string()),
        };
        let one = stack::merged(source).unwrap_or_else(|error| panic!("what loads is merged: {error}"));
        let moved: BTreeMap<String, Vec<u8>> = world.shipped.iter().map(|(name, bytes)| (format!("/base/{name}"), bytes.clone())).collect();
        // The line is read as JSON, with a line break after it as YAML.
        for one in [one.text(), one.line(), one.line() + "\n"] {
            let again = stack::load(&Source { files: &[ComposeFile { name: "one.yml", text: &one }], shipped: &moved, ..*source });
            let again = again.unwrap_or_else(|error| panic!("what was merged loads: {error}\n{one}"));
            assert_eq!(again.specs, loaded.specs, "{one}");
        }
        loaded.warnings.iter().map(|warning| kind(&warning.to_string())).collect::<BTreeSet<_>>().into_iter().collect()
    })
}

/// An answer without what stands in the text itself: places, numbers, quoted parts.
fn kind(answer: &str) -> String {
    let problem = answer.splitn(3, ": ").last().unwrap_or(answer);
    let outside: String = problem.split('"').step_by(2).collect();
    outside.chars().filter(|c| !c.is_ascii_digit()).collect()
}

fn fuzz(target: Target) {
    let minutes: Option<u64> = std::env::var("AXION_FUZZ_MINUTES").ok().map(|text| text.parse().expect("AXION_FUZZ_MINUTES is a number"));
    let seed = if minutes.is_some() { u64::from(std::process::id()) << 32 | 0x7f4a_7c15 } else { 0x9e37_79b9_7f4a_7c15 };
    let until = Instant::now() + Duration::from_secs(minutes.unwrap_or(0) * 60);
    let mut chance = Chance(seed);
    let mut kinds = BTreeSet::new();
    let mut corpus = target.corpus();
    let mut figures = Figures::default();
    for text in &corpus {
        kinds.insert(figures.measured(target, text));
    }
    let rounds = corpus.len() * ROUNDS;
    for round in 0.. {
        if if minutes.is_some() { Instant::now() > until } else { round == rounds } {
            break;
        }
        let next = chance.below(corpus.len());
        let text = chance.mutate(&corpus[next], &PIECES);
        if text.len() > LONGEST {
            continue;
        }
        let kind = figures.measured(target, &text);
        if corpus.len() < KEPT && kinds.insert(kind) {
            corpus.push(text);
        }
    }
    println!("seed {seed:#x}: {figures}, {} kinds of answers", kinds.len());
}

/// What was seen of all texts.
#[derive(Default)]
struct Figures {
    texts: usize,
    slowest: Duration,
    largest: usize,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} texts, the slowest took {:?}, the largest {} KiB", self.texts, self.slowest, self.largest >> 10)
    }
}

impl Figures {
    fn measured(&mut self, target: Target, text: &str) -> u64 {
        let (answer, took, memory) = measured(|| std::panic::catch_unwind(|| target.answer(text)));
        let shown = || {
            let mut shown = String::new();
            write!(shown, "for this text:\n{text}\n{text:?}").unwrap();
            shown
        };
        let answer = answer.unwrap_or_else(|_| panic!("a panic {}", shown()));
        assert!(took < SOON, "{took:?} {}", shown());
        assert!(memory < MEMORY, "{memory} bytes {}", shown());
        self.texts += 1;
        self.slowest = self.slowest.max(took);
        self.largest = self.largest.max(memory);
        let mut hasher = DefaultHasher::new();
        answer.hash(&mut hasher);
        hasher.finish()
    }
}

#[test]
fn the_loader_answers() {
    fuzz(Target::Loader);
}

#[test]
fn the_merge_answers() {
    fuzz(Target::Merge);
}

#[test]
fn the_interpolation_answers() {
    fuzz(Target::Interpolation);
}

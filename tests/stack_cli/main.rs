//! The Docker CLI of this machine beside `stack::load`: both get the same files, and what the CLI sends
//! must be what we would send, field for field and in order; what it refuses we refuse and name the place.
//!
//! `tests/data/stack-cli/` holds the parts that files are made of: a line of `accepted.txt` is an option
//! of a service, of `merged.txt` a service in two files, of `refused.txt` an option that is wrong, of
//! `refused-files.txt` a line beside the services; `files/` are whole files. The recordings of
//! `tests/stack_golden.rs` say the same of machines without the CLI.

#![allow(clippy::expect_used, clippy::print_stdout, clippy::unwrap_used, reason = "tests, though clippy cannot see it")]

#[path = "../support/bodies.rs"]
mod bodies;
mod cli;
#[allow(dead_code, reason = "only the chance of it is used here")]
#[path = "../support/mutation.rs"]
mod mutation;
#[path = "../support/mod.rs"]
mod support;

use axion_agent::domain::StackName;
use axion_agent::stack::{self, ApiVersion, Binds, ComposeFile, Source};
use bodies::{by_name, names_place};
use cli::Deploy;
use mutation::Chance;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use support::{Need, Stage, Test, run};

const TESTS: &[Test] = &[
    Test { name: "each_option_is_sent_as_the_cli_sends_it", needs: CLI, body: each_option },
    Test { name: "each_option_is_sent_as_the_cli_sends_it_to_an_older_engine", needs: CLI, body: each_option_to_an_older_engine },
    Test { name: "options_mixed_by_chance_are_sent_as_the_cli_sends_them", needs: CLI, body: mixed },
    Test { name: "files_that_are_merged_are_sent_as_the_cli_sends_them", needs: CLI, body: merged },
    Test { name: "the_files_as_one_mean_the_same_to_the_cli", needs: CLI, body: as_one },
    Test { name: "whole_files_are_sent_as_the_cli_sends_them", needs: CLI, body: whole_files },
    Test { name: "what_the_cli_refuses_is_refused_at_the_same_place", needs: CLI, body: refused },
];

const CLI: &[Need] = &[Need::DockerCli];
const STACK: &str = "st";
const TOP: &str = include_str!("../data/stack-cli/top.yml");
/// Without `AXION_TEST_CLI`, one of so many refusals is tried: each is a run of the CLI.
const REFUSALS_LEFT_OUT: usize = 8;
/// Rounds of mixing, unless `AXION_TEST_CLI` says how many; and the services of one.
const MIXES: usize = 3;
const MIXED_SERVICES: usize = 60;
/// At most so many options in one of them.
const MIXED_OPTIONS: usize = 12;

fn main() -> std::process::ExitCode {
    run("stack_cli", TESTS)
}

/// How much more than usual is asked for.
fn asked() -> Option<usize> {
    std::env::var("AXION_TEST_CLI").ok()?.parse().ok()
}

/// What variables and files all cases have.
struct World {
    env: BTreeMap<String, String>,
    shipped: BTreeMap<String, Vec<u8>>,
    folder: PathBuf,
}

impl World {
    fn new(stage: &Stage, name: &str) -> Self {
        let env = [
            ("V", "val"),
            ("V2", "v two"),
            ("EMPTY", ""),
            ("YES", "yes"),
            ("NO", "No"),
            ("ON", "ON"),
            ("FIVE", "5"),
            ("DUR", "7s"),
            ("PORT", "8081"),
            ("RATIO", "0.25"),
            ("MEM", "64m"),
            ("HOME", "/root"),
        ];
        let shipped = [
            ("s1.txt", "secret one\n"),
            ("s2.txt", "two"),
            ("sub/bin", "bin\u{1}"),
            ("e1.env", "A=1\nB=\"q\" \n#c\n\nV\nGONE\nE=\n  L=l\nV2=\n"),
            ("e2.env", "A=2\nZ=$V ${V} # x\nX=y=z\n"),
            ("sub/e3.env", "\u{feff}Q=1\r\nR=2\r\n"),
        ];
        Self {
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            shipped: shipped.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).into(),
            folder: stage.directory().join(name),
        }
    }

    fn theirs(&self, texts: &[String], api: ApiVersion) -> Result<Value, String> {
        Deploy { folder: self.folder.clone(), texts, env: &self.env, shipped: &self.shipped, api }.run()
    }

    fn ours(&self, texts: &[String], api: ApiVersion) -> Result<Value, String> {
        let loaded = self.with_source(texts, api, stack::load).map_err(|error| error.to_string())?;
        Ok(serde_json::to_value(loaded.specs).unwrap())
    }

    fn with_source<T>(&self, texts: &[String], api: ApiVersion, f: fn(&Source<'_>) -> T) -> T {
        let names: Vec<String> = (0..texts.len()).map(cli::name).collect();
        let files: Vec<ComposeFile<'_>> = names.iter().zip(texts).map(|(name, text)| ComposeFile { name, text }).collect();
        let stack = StackName::new(STACK).unwrap();
        let binds = Binds::From { base: &self.folder, home: "/root".as_ref() };
        f(&Source { stack: &stack, files: &files, env: &self.env, shipped: &self.shipped, binds, api })
    }

    /// Both must come to the same; otherwise the first services that differ, with `what` they were made of.
    fn compare(&self, texts: &[String], api: ApiVersion, what: &dyn Fn(&str) -> String) {
        self.compare_with(texts, texts, api, what);
    }

    /// What the CLI makes of `theirs` beside what we make of `texts`.
    fn compare_with(&self, theirs: &[String], texts: &[String], api: ApiVersion, what: &dyn Fn(&str) -> String) {
        let theirs = by_name(&self.theirs(theirs, api).unwrap_or_else(|error| panic!("the CLI refuses: {error}")));
        let ours = by_name(&self.ours(texts, api).unwrap_or_else(|error| panic!("we refuse: {error}\n{}", what(&error))));
        let mut wrong = Vec::new();
        for (kind, theirs) in theirs.as_object().unwrap() {
            let (theirs, ours) = (theirs.as_object().unwrap(), ours[kind].as_object().unwrap());
            let names: std::collections::BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
            let differing = names.into_iter().filter(|name| theirs.get(*name) != ours.get(*name));
            wrong.extend(differing.map(|name| {
                let shown = |objects: &serde_json::Map<String, Value>| objects.get(name).map(Value::to_string).unwrap_or_default();
                format!("{}\n  CLI  {}\n  ours {}", what(name), shown(theirs), shown(ours))
            }));
        }
        assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    }
}

fn lines(text: &'static str) -> Vec<&'static str> {
    text.lines().filter(|line| !line.is_empty()).collect()
}

fn accepted() -> Vec<&'static str> {
    lines(include_str!("../data/stack-cli/accepted.txt"))
}

/// A service of these options.
fn service(name: &str, options: &[&str]) -> String {
    let image = if options.iter().any(|option| option.starts_with("image:")) { "" } else { "    image: x\n" };
    format!("  {name}:\n{image}{}", options.iter().map(|option| format!("    {option}\n")).collect::<String>())
}

fn each_option(stage: &Stage) {
    all_options(&World::new(stage, "options"), ApiVersion::NEWEST);
}

fn each_option_to_an_older_engine(stage: &Stage) {
    all_options(&World::new(stage, "older"), ApiVersion { major: 1, minor: 41 });
}

fn all_options(world: &World, api: ApiVersion) {
    let options = accepted();
    world.compare(&[file_of_all(&options)], api, &|name| numbered(&options, name));
}

fn as_one(stage: &Stage) {
    let world = World::new(stage, "as-one");
    let options = accepted();
    let texts = [file_of_all(&options)];
    let one = world.with_source(&texts, ApiVersion::NEWEST, stack::merged).unwrap();
    for one in [one.text(), one.line()] {
        world.compare_with(&[one], &texts, ApiVersion::NEWEST, &|name| numbered(&options, name));
    }
}

/// A service for each of these options.
fn file_of_all(options: &[&str]) -> String {
    let services: String = options.iter().enumerate().map(|(n, option)| service(&format!("s{n}"), &[option])).collect();
    format!("services:\n{services}{TOP}")
}

/// What the service of this name was made of.
fn numbered(lines: &[&str], name: &str) -> String {
    name.strip_prefix("st_s").and_then(|n| n.parse::<usize>().ok()).map_or(name, |n| lines[n]).to_owned()
}

fn mixed(stage: &Stage) {
    let world = World::new(stage, "mixed");
    let options = accepted();
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for _ in 0..asked().unwrap_or(MIXES) {
        let mut services = BTreeMap::new();
        for n in 0..MIXED_SERVICES {
            // One option of each key.
            let mut chosen: BTreeMap<&str, &str> = BTreeMap::new();
            for _ in 0..=chance.below(MIXED_OPTIONS) {
                let option = options[chance.below(options.len())];
                chosen.insert(option.split(':').next().unwrap_or(option), option);
            }
            let chosen: Vec<&str> = chosen.into_values().collect();
            services.insert(format!("st_s{n}"), service(&format!("s{n}"), &chosen));
        }
        let text: String = services.values().map(String::as_str).collect();
        world.compare(&[format!("services:\n{text}{TOP}")], ApiVersion::NEWEST, &|name| {
            services.get(name).cloned().unwrap_or(name.to_owned())
        });
    }
}

fn merged(stage: &Stage) {
    let world = World::new(stage, "merged");
    let pairs = lines(include_str!("../data/stack-cli/merged.txt"));
    let (mut base, mut over) = (String::new(), String::new());
    for (n, pair) in pairs.iter().enumerate() {
        let (first, second) = pair.split_once(" + ").expect("a pair has two sides");
        let image = if first.contains("image:") { "" } else { "image: x, " };
        base += &format!("  s{n}: {{{image}{}\n", &first[1..]);
        over += &format!("  s{n}: {second}\n");
    }
    let texts = [format!("services:\n{base}{TOP}"), format!("services:\n{over}")];
    world.compare(&texts, ApiVersion::NEWEST, &|name| numbered(&pairs, name));
}

fn whole_files(stage: &Stage) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/stack-cli/files");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let world = World::new(stage, "files");
        let text = std::fs::read_to_string(&file).unwrap();
        world.compare(&[text], ApiVersion::NEWEST, &|name| format!("{}: {name}", file.display()));
    }
}

fn refused(stage: &Stage) {
    let world = World::new(stage, "refused");
    let options = lines(include_str!("../data/stack-cli/refused.txt")).into_iter().map(|option| {
        let key = option.split(':').next().unwrap_or(option);
        (format!("services:\n{}{TOP}", service("a", &[option])), Some("a"), Some(key), option)
    });
    let beside = lines(include_str!("../data/stack-cli/refused-files.txt")).into_iter().map(|line| (beside(line), None, None, line));
    let mut wrong = Vec::new();
    let step = if asked().is_some() { 1 } else { REFUSALS_LEFT_OUT };
    for (text, service, key, line) in options.chain(beside).step_by(step) {
        let texts = [text];
        let ours = match world.ours(&texts, ApiVersion::NEWEST) {
            Ok(_) => Err("we accept it".to_owned()),
            Err(error) => names_place(&error, service, key),
        };
        let theirs = world.theirs(&texts, ApiVersion::NEWEST).map_or(Ok(()), |_| Err("the CLI accepts it".to_owned()));
        wrong.extend(ours.err().into_iter().chain(theirs.err()).map(|why| format!("{line}: {why}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A line of the top level with a service that uses what it makes.
fn beside(line: &str) -> String {
    let uses = match line.split(':').next().unwrap_or_default() {
        "networks" => ", networks: [n]",
        "volumes" => ", volumes: ['v:/x']",
        "secrets" => ", secrets: [s]",
        "configs" => ", configs: [c]",
        _ => "",
    };
    let alone = line.starts_with("services:") || !line.contains(": ");
    if alone { format!("{line}\n") } else { format!("services: {{a: {{image: x{uses}}}}}\n{line}\n") }
}

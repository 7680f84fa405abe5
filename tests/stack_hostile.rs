//! Whatever text comes in, `stack::load` answers with specs or an error, soon and within 64 MiB: mutations of
//! the recorded files, and texts made to grow. The seed is fixed, so a failure repeats.

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

use axion_agent::domain::Code;
use axion_agent::stack::{self, Binds, StackError};
use compose::World;
use memory::measured;
use mutation::Chance;
use serde_json::Value;
use std::fmt::Write as _;
use std::time::Duration;

/// Mutations of each recorded file.
const ROUNDS: usize = 60;
/// Far above what a debug build takes for the largest file, far below what a lane would notice as stuck.
const SOON: Duration = Duration::from_secs(20);
/// What any stack may take.
const MEMORY: usize = 64 << 20;

/// Pieces that change what a file means.
const PIECES: [&str; 24] = [
    "*",
    "&a ",
    "<<: ",
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
    "\"",
    "'",
    "!reset ",
    "null",
    "0x",
    "1e9",
    "|\n",
    "\u{feff}",
    "é",
    "#",
    "extends: a",
];

fn load(world: &World, texts: &[&str]) -> Result<stack::Loaded, StackError> {
    world.with(texts, Binds::Refused, stack::load)
}

#[test]
fn a_mutated_file_is_answered() {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let world = World::new(&[("V", "1")], &[]);
    let (mut accepted, mut refused) = (0, 0);
    for line in include_str!("data/stack-golden.jsonl").lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        for text in record["compose"].as_array().unwrap().iter().filter_map(Value::as_str) {
            for _ in 0..ROUNDS {
                match load(&world, &[&chance.mutate(text, &PIECES)]) {
                    Ok(_) => accepted += 1,
                    Err(error) => {
                        assert!(!error.to_string().is_empty());
                        refused += 1;
                    }
                }
            }
        }
    }
    assert!(accepted > 200 && refused > 200, "the mutations are one-sided: {accepted} accepted, {refused} refused");
}

fn many(count: usize, line: &dyn Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

fn service(body: &str) -> String {
    format!("services:\n  a:\n    image: x\n{body}")
}

type Answer = Result<(), Code>;
const LIMIT: Answer = Err(Code::COMPOSE_LIMIT);

/// What it is, its files and what is to be said.
type Case = (&'static str, Vec<String>, Answer);

/// Gives all cases to the engine and names those that it answers otherwise, late or with too much memory.
fn answered(world: &World, cases: Vec<Case>) {
    let mut wrong = String::new();
    for (what, texts, expected) in cases {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let (answer, took, memory) = measured(|| load(world, &texts).map(drop));
        println!("{what}: {took:?}, {} MiB, {answer:.200?}", memory >> 20);
        if answer.map_err(|error| error.code()) != expected || took > SOON || memory > MEMORY {
            writeln!(wrong, "{what}: {took:?}, {} MiB, expected {expected:?}", memory >> 20).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_text_made_to_grow_is_answered_soon() {
    let one = |text: String| vec![text];
    let world = World::new(&[], &[("f", &"#\n".repeat(1 << 19))]);
    answered(
        &world,
        vec![
            ("an alias of a long text", one(format!("x-a: &a {}\nx-b: [{}]\n", "x".repeat(500_000), "*a,".repeat(50_000))), LIMIT),
            ("many keys", one(service(&format!("    labels:\n{}", many(50_000, &|n| format!("      k{n}: v\n"))))), Ok(())),
            ("services", one(format!("services:\n{}", many(4096, &|n| format!("  s{n}: {{image: x}}\n")))), Ok(())),
            ("too many services", one(format!("services:\n{}", many(20_000, &|n| format!("  s{n}: {{image: x}}\n")))), LIMIT),
            (
                "too many services in two files",
                ["a", "b"].map(|name| format!("services:\n{}", many(4000, &|n| format!("  {name}{n}: {{image: x}}\n")))).into(),
                LIMIT,
            ),
            (
                "one service that many extend",
                one({
                    let list = many(20_000, &|n| format!("      k{n}: v\n"));
                    let children = many(4000, &|n| format!("  s{n}: {{extends: a}}\n"));
                    service(&format!("    labels:\n{list}{children}"))
                }),
                LIMIT,
            ),
            (
                "the last service, which all extend",
                one(format!("services:\n{}  z: {{image: x}}\n", many(4000, &|n| format!("  s{n}: {{extends: z}}\n")))),
                Ok(()),
            ),
            ("one file named often", one(service(&format!("    env_file:\n{}", many(50_000, &|_| "      - f\n".to_owned())))), LIMIT),
            ("words in words", one(service(&format!("    hostname: {}{}\n", "${U:-".repeat(50_000), "}".repeat(50_000)))), LIMIT),
            ("open braces", one(service(&format!("    hostname: {}\n", "${".repeat(200_000)))), Err(Code::COMPOSE_INTERPOLATION)),
            (
                "much that is not honoured",
                one(format!("services:\n{}", many(4000, &|n| format!("  s{n}: {{image: x, tty: yes, uts: h, pid: h, ipc: h}}\n")))),
                Ok(()),
            ),
            (
                "lists in lists",
                one(service(&format!("    cap_add: {}\"a\"{}\n", "[".repeat(59), "]".repeat(59)))),
                Err(Code::COMPOSE_INVALID),
            ),
            ("an open list in an open list", one("[".repeat(500_000)), Err(Code::COMPOSE_INVALID)),
        ],
    );
}

#[test]
fn ranges_of_ports_are_answered_soon() {
    let wide = |protocol: &str| service(&format!("    ports: ['1-65535:1-65535/{protocol}']\n"));
    let many_wide = service(&format!("    ports:\n{}", many(1000, &|n| format!("      - 1-65535:{n}\n"))));
    let of_each = |ports: &dyn Fn(usize) -> String| {
        format!("services:\n{}", many(4000, &|n| format!("  s{n}: {{image: x, ports: ['{}']}}\n", ports(n))))
    };
    answered(
        &World::new(&[], &[]),
        vec![
            ("a range", vec![wide("tcp")], Ok(())),
            ("many ranges", vec![many_wide.clone()], LIMIT),
            ("many ranges in one of two files", vec![many_wide, service("    ports: [1]\n")], LIMIT),
            ("ranges in both", vec![wide("tcp"), wide("udp")], LIMIT),
            ("a range of each service", vec![of_each(&|n| format!("1-65535:{n}")), of_each(&|n| n.to_string())], LIMIT),
        ],
    );
}

/// Keys lead every message: a long one must not stand beside each item of a long list.
#[test]
fn long_lists_under_long_names_are_answered_soon() {
    let name = "n".repeat(1000);
    let under = |option: &str, count: usize, item: &dyn Fn(usize) -> String| {
        vec![format!("services:\n  {name}:\n    image: x\n    {option}: [{}]\n", many(count, item))]
    };
    answered(
        &World::new(&[], &[]),
        vec![
            ("words", under("cap_add", 120_000, &|n| format!("a{n},")), Ok(())),
            ("variables", under("environment", 120_000, &|n| format!("a{n},")), Ok(())),
            ("mounts", under("volumes", 120_000, &|n| format!("/{n},")), LIMIT),
            ("networks", under("networks", 120_000, &|n| format!("a{n},")), Err(Code::COMPOSE_INVALID)),
            ("secrets", under("secrets", 120_000, &|n| format!("a{n},")), LIMIT),
        ],
    );
}

/// A message shows names instead of the values of variables: it grows with each.
#[test]
fn long_messages_are_answered_soon() {
    let name = "N".repeat(100_000);
    let world = World::new(&[(name.as_str(), "aaaa")], &[]);
    let port = service(&format!("    ports: [{}]\n", "a".repeat(500_000)));
    answered(&world, vec![("a text that is no port", vec![port], Err(Code::COMPOSE_INVALID))]);
}

/// What is said once and meant often.
#[test]
fn repetitions_are_answered_soon() {
    let large = "x".repeat(500_000);
    let services = |option: &str| vec![format!("services:\n{}", many(4000, &|n| format!("  s{n}: {{image: x, {option}}}\n")))];
    // Some 10 MiB in 200 bytes.
    let mut bomb = "x-0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..5 {
        bomb += &format!("x-{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); if n == 4 { 7 } else { 10 }].join(", "));
    }
    let volumes = |name: &str, entry: &str| {
        service(&format!("    volumes: [{}]\nvolumes: {{{name}: {entry}}}\n", many(15_000, &|n| format!("{name}:/{n},"))))
    };
    let labels = format!("{{labels: {{{}}}}}", many(10_000, &|n| format!("a{n}: b,")));
    answered(
        &World::new(
            &[("B", &large)],
            &[("o.yml", &format!("{bomb}services: {{b: {{image: x}}}}\n")), ("v.env", &many(80_000, &|n| format!("a{n}=\n")))],
        ),
        vec![
            ("one variable of each service", services("environment: [B]"), LIMIT),
            ("a file of variables of each service", services("env_file: v.env"), LIMIT),
            ("one variable in each service", services("hostname: $B"), LIMIT),
            (
                "one variable of each config",
                vec![format!("services: {{}}\nconfigs:\n{}", many(4000, &|n| format!("  c{n}: {{environment: B}}\n")))],
                LIMIT,
            ),
            ("labels of a volume", vec![volumes("vol", &labels)], LIMIT),
            ("a long name of a volume", vec![volumes("vol", &format!("{{name: {}}}", "n".repeat(100_000)))], Err(Code::COMPOSE_INVALID)),
            ("aliases in one file", vec![format!("{bomb}services: {{}}\n")], Ok(())),
            ("aliases in many files", vec![format!("{bomb}services: {{}}\n"); 30], LIMIT),
            ("aliases in files that are included", vec![format!("include: [{}]\nservices: {{}}\n", "o.yml,".repeat(60))], LIMIT),
        ],
    );
}

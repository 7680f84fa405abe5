//! Whatever text comes in, `stack::load` answers with specs or an error, and soon: mutations of the
//! recorded files, and texts made to grow. The seed is fixed, so a failure repeats.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its records has failed")]

#[path = "support/mutation.rs"]
mod mutation;

use axion_agent::domain::{Code, StackName};
use axion_agent::stack::{self, ApiVersion, Binds, ComposeFile, Source};
use mutation::Chance;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// Mutations of each recorded file.
const ROUNDS: usize = 60;
/// Far above what a debug build takes for the largest file, far below what a lane would notice as stuck.
const SOON: Duration = Duration::from_secs(20);

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

fn load(text: &str, shipped: &BTreeMap<String, Vec<u8>>) -> Result<stack::Loaded, stack::StackError> {
    let stack = StackName::new("st").unwrap();
    let env = [("V".to_owned(), "1".to_owned())].into();
    let files = [ComposeFile { name: "c.yml", text }];
    stack::load(&Source { stack: &stack, files: &files, env: &env, shipped, binds: Binds::Refused, api: ApiVersion::NEWEST })
}

#[test]
fn a_mutated_file_is_answered() {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let shipped = BTreeMap::new();
    let (mut accepted, mut refused) = (0, 0);
    for line in include_str!("data/stack-golden.jsonl").lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        for text in record["compose"].as_array().unwrap().iter().filter_map(Value::as_str) {
            for _ in 0..ROUNDS {
                match load(&chance.mutate(text, &PIECES), &shipped) {
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

#[test]
fn a_text_made_to_grow_is_answered_soon() {
    let many = |count: usize, line: &dyn Fn(usize) -> String| (0..count).fold(String::new(), |text, n| text + &line(n));
    let service = |body: &str| format!("services:\n  a:\n    image: x\n{body}");
    let texts = [
        ("an alias of a long text", format!("x-a: &a {}\nx-b: [{}]\n", "x".repeat(500_000), "*a,".repeat(50_000))),
        ("many keys", service(&format!("    labels:\n{}", many(50_000, &|n| format!("      k{n}: v\n"))))),
        ("many services", format!("services:\n{}", many(20_000, &|n| format!("  s{n}: {{image: x}}\n")))),
        ("one service that many extend", {
            let list = many(20_000, &|n| format!("      k{n}: v\n"));
            let children = many(5_000, &|n| format!("  s{n}: {{extends: a}}\n"));
            service(&format!("    labels:\n{list}{children}"))
        }),
        ("many wide ports", service(&format!("    ports:\n{}", many(1000, &|n| format!("      - 1-65535:{n}\n"))))),
        ("one file named often", service(&format!("    env_file:\n{}", many(50_000, &|_| "      - f\n".to_owned())))),
        ("words in words", service(&format!("    hostname: {}{}\n", "${U:-".repeat(50_000), "}".repeat(50_000)))),
        ("open braces", service(&format!("    hostname: {}\n", "${".repeat(200_000)))),
    ];
    let shipped = [("f".to_owned(), b"#\n".repeat(1 << 19))].into();
    let mut slow = String::new();
    for (what, text) in texts {
        let start = Instant::now();
        let answer = load(&text, &shipped).map(|_| ()).map_err(|error| error.code());
        let took = start.elapsed();
        if took > SOON {
            writeln!(slow, "{what}: {took:?}, {answer:?}").unwrap();
        }
        println!("{what}: {took:?}, {answer:?}");
        let expected = match what {
            "many keys" | "many services" => Ok(()),
            "open braces" => Err(Code::COMPOSE_INTERPOLATION),
            _ => Err(Code::COMPOSE_LIMIT),
        };
        assert_eq!(answer, expected, "{what}");
    }
    assert!(slow.is_empty(), "{slow}");
}

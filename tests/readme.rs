//! README's table of codes is the code's own list.

use axion_agent::domain::Code;
use std::collections::BTreeSet;

#[test]
fn readme_lists_every_code_and_no_other() {
    let text = include_str!("../README.md");
    let table = text.split("## Codes").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap_or_default();
    let cells = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let listed: BTreeSet<&str> = cells.map(|(code, _)| code).collect();
    let known: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(listed, known);
}

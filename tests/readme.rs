//! The tables of codes in the pages are the code's own lists.

use axion_agent::domain::Code;
use axion_agent::kafka::TroubleCode;
use std::collections::BTreeSet;

/// The codes of the first cells of a section's table.
fn listed(page: &str, heading: &str) -> BTreeSet<String> {
    let section = page.split(heading).nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap_or_default();
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    cells.map(|(code, _)| code.to_owned()).collect()
}

#[test]
fn readme_lists_every_code_and_no_other() {
    let known: BTreeSet<String> = Code::ALL.iter().map(|code| code.as_str().to_owned()).collect();
    assert_eq!(listed(include_str!("../README.md"), "## Codes"), known);
}

#[test]
fn the_page_on_kafka_lists_every_code_of_a_link_and_no_other() {
    let known: BTreeSet<String> = TroubleCode::ALL.iter().map(|code| code.as_str().to_owned()).collect();
    assert_eq!(listed(include_str!("../docs/kafka.md"), "## When it does not work"), known);
}

//! `docs/metrics.md` has every family that the program has, with its unit, its labels and its source. `AXION_BLESS=1` writes
//! the table anew.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its page has failed")]

#[path = "support/page.rs"]
mod page;

use axion_agent::telemetry::{FAMILIES, Family, Reach};
use std::fmt::Write as _;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
/// Here begins what is made from the table.
const BEGIN: &str = "<!-- the table of metrics: AXION_BLESS=1 cargo test --test metrics_docs -->\n";
/// The units that a name may end with, before `_total`.
const UNITS: [&str; 3] = ["seconds", "bytes", "celsius"];

#[test]
fn the_page_has_every_family() {
    page::holds(PAGE, BEGIN, &table(), "metrics_docs");
}

fn table() -> String {
    let mut text = String::from("\n| name | type | unit | labels | meaning | source |\n| --- | --- | --- | --- | --- | --- |\n");
    for family in FAMILIES {
        let Family { name, kind, reach, labels, help, source } = family;
        let labels = labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        let reported = if *reach == Reach::Reported { " Reported." } else { "" };
        let _ = writeln!(text, "| `{name}` | {} | {} | {labels} | {help}{reported} | {source} |", kind.name(), unit(name));
    }
    text + "\n"
}

fn unit(name: &str) -> &str {
    let last = name.trim_end_matches("_total").rsplit('_').next().unwrap_or_default();
    UNITS.into_iter().find(|unit| *unit == last).unwrap_or("")
}

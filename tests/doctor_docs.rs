//! `docs/doctor.md` has the table of checks that the program has, and the JSON Schema names every field.
//! `AXION_BLESS=1` writes the table anew.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its page has failed")]

#[path = "support/page.rs"]
mod page;

use axion_agent::doctor::CHECKS;
use std::fmt::Write as _;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/doctor.md");
/// Here begins what is made from the table.
const BEGIN: &str = "<!-- the table of checks: AXION_BLESS=1 cargo test --test doctor_docs -->\n";

#[test]
fn the_page_has_every_check_with_its_meaning_and_its_mend() {
    page::holds(PAGE, BEGIN, &table(), "doctor_docs");
}

fn table() -> String {
    let mut text = String::from("\n| check | looks at | if it is not well | mend |\n| --- | --- | --- | --- |\n");
    for check in CHECKS {
        let _ = writeln!(text, "| `{}` | {} | {} | {} |", check.id, check.looks, check.meaning, check.mend);
    }
    text + "\n"
}

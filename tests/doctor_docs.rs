//! `docs/doctor.md` has the table of checks that the program has, and the JSON Schema names every field.
//! `AXION_BLESS=1` writes the table anew.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its page has failed")]

use axion_agent::doctor::CHECKS;
use std::fmt::Write as _;
use std::fs;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/doctor.md");
/// Between these the page is made from the table.
const BEGIN: &str = "<!-- the table of checks: AXION_BLESS=1 cargo test --test doctor_docs -->\n";
const END: &str = "<!-- the end of the table -->";

#[test]
fn the_page_has_every_check_with_its_meaning_and_its_mend() {
    let page = fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    let table = table();
    if std::env::var_os("AXION_BLESS").is_some() {
        fs::write(PAGE, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert_eq!(found, table, "run: AXION_BLESS=1 cargo test --test doctor_docs");
    }
}

fn table() -> String {
    let mut text = String::from("\n| check | looks at | if it is not well | mend |\n| --- | --- | --- | --- |\n");
    for check in CHECKS {
        let _ = writeln!(text, "| `{}` | {} | {} | {} |", check.id, check.looks, check.meaning, check.mend);
    }
    text + "\n"
}

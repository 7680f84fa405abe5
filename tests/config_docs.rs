//! `docs/configuration.md` has the table of keys that the program has. `AXION_BLESS=1` writes it anew.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its page has failed")]

#[path = "support/page.rs"]
mod page;

use axion_agent::config::{KEYS, Key, Kind, Unit};
use std::fmt::Write as _;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
/// Here begins what is made from the table.
const BEGIN: &str = "<!-- the table of keys: AXION_BLESS=1 cargo test --test config_docs -->\n";

#[test]
fn the_page_has_every_key_with_its_meaning() {
    page::holds(PAGE, BEGIN, &table(), "config_docs");
}

fn table() -> String {
    let mut text = String::new();
    let mut section = "";
    for key in KEYS {
        if key.section != section {
            section = key.section;
            let _ = write!(text, "\n### `[{section}]`\n\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n");
        }
        let default = key.default.map_or(String::new(), |default| format!("`{default}`"));
        let _ = writeln!(text, "| `{}` | {} | {default} | {} |", key.name, form(key), meaning(key));
    }
    text + "\n"
}

fn form(key: &Key) -> String {
    match key.kind {
        Kind::Text => "text".to_owned(),
        Kind::Secret => "secret".to_owned(),
        Kind::Path => "absolute path".to_owned(),
        Kind::List => "texts".to_owned(),
        Kind::Number(Unit::Count, least, most) => format!("{least} to {most}"),
        Kind::Number(Unit::Seconds, least, most) => format!("time, {} to {}", span(least), span(most)),
        Kind::Number(Unit::Bytes, least, most) => format!("size, {} to {}", size(least), size(most)),
        Kind::Flag => "`true`, `false`".to_owned(),
        Kind::Choice(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Kind::Levels => "levels".to_owned(),
        Kind::Mode => "octal".to_owned(),
        Kind::Table | Kind::Registries => "table".to_owned(),
        Kind::Pairs => "table of texts".to_owned(),
    }
}

fn meaning(key: &Key) -> String {
    let mut text = key.doc.replace('\n', " ").replace('|', "\\|").replace('<', "&lt;");
    if key.needs_restart() {
        text.push_str(" **A change counts after a restart.**");
    }
    text
}

fn span(seconds: u64) -> String {
    let units = [(86_400, "d"), (3600, "h"), (60, "m")];
    let unit = units.iter().find(|(length, _)| seconds >= *length && seconds.is_multiple_of(*length));
    unit.map_or_else(|| format!("{seconds}s"), |(length, name)| format!("{}{name}", seconds / length))
}

fn size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = units.iter().find(|(length, _)| bytes >= *length && bytes.is_multiple_of(*length));
    unit.map_or_else(|| bytes.to_string(), |(length, name)| format!("{}{name}", bytes / length))
}

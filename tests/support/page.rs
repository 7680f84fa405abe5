//! A part of a page in docs/ that is made from a table of the program: held against it, or written anew with `AXION_BLESS=1`.

use std::fs;

/// Ends the part.
const END: &str = "<!-- the end of the table -->";

/// The part of `page` that begins with `begin` is `table`; `test` writes it anew.
pub fn holds(page: &str, begin: &str, table: &str, test: &str) {
    let whole = fs::read_to_string(page).unwrap();
    let (before, rest) = whole.split_once(begin).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    if std::env::var_os("AXION_BLESS").is_some() {
        fs::write(page, format!("{before}{begin}{table}{END}{after}")).unwrap();
    } else {
        assert_eq!(found, table, "run: AXION_BLESS=1 cargo test --test {test}");
    }
}

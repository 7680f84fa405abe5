//! Text laid out for a width: paragraphs, and two columns of which the second is wrapped. Pure.

/// Between two columns.
const GAP: usize = 2;
/// A first column that is wider stands on a line of its own.
const WIDEST_FIRST: usize = 30;
/// The second column is never narrower, however narrow the terminal is.
const NARROWEST: usize = 24;

/// The words in lines of at most `width`; a word that is longer has its own line.
pub(in crate::cli) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The text in lines of at most `width`, each with its end.
pub(super) fn paragraph(text: &str, width: usize) -> String {
    wrapped(text, width).into_iter().map(|line| line + "\n").collect()
}

/// Two columns, indented.
pub(super) fn columns(rows: &[(String, String)], width: usize) -> String {
    let first = rows.iter().map(|(name, _)| name.chars().count()).filter(|length| *length <= WIDEST_FIRST).max().unwrap_or_default();
    let second = GAP + first + GAP;
    let mut text = String::new();
    for (name, help) in rows {
        let mut lines = wrapped(help, width.saturating_sub(second).max(NARROWEST)).into_iter();
        let indent = " ".repeat(GAP);
        if name.chars().count() <= first {
            let line = lines.next().unwrap_or_default();
            text += format!("{indent}{name:first$}{indent}{line}").trim_end();
        } else {
            text += &format!("{indent}{name}");
        }
        text.push('\n');
        for line in lines {
            text += &format!("{}{line}\n", " ".repeat(second));
        }
    }
    text
}

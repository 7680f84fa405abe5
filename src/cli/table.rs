//! Tables that fit the terminal: columns as wide as their widest cell, and narrower where a line would be too long.
//! Under a row may stand notes, wrapped: they are never cut, because they say why. Pure.

use super::definition::wrapped;
use super::terminal::{Hue, Page, cut};

/// Between two columns.
const GAP: usize = 2;
/// No column is cut to less.
const LEAST: usize = 8;
/// In front of a note.
const NOTE: &str = "    ";

/// A cell.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    text: String,
    hue: Option<Hue>,
}

impl Cell {
    pub(super) fn painted(self, hue: Hue) -> Self {
        Self { hue: Some(hue), ..self }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: super::terminal::tame(&text.into()), hue: None }
    }
}

/// A row with what is to be said of it.
#[derive(Debug, Clone)]
pub(super) struct Row {
    cells: Vec<Cell>,
    notes: Vec<(Hue, String)>,
}

impl Row {
    pub(super) fn of<const N: usize>(cells: [Cell; N]) -> Self {
        Self { cells: cells.into(), notes: Vec::new() }
    }

    pub(super) fn noted(mut self, hue: Hue, note: impl Into<String>) -> Self {
        self.notes.push((hue, super::terminal::tame(&note.into())));
        self
    }
}

/// Rows under a head.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[Row], page: &Page) -> String {
    let head = Row::of(head.map(|name| Cell::from(name).painted(Hue::Quiet)));
    let mut widths: Vec<usize> = (0..N).map(|at| widest(std::iter::once(&head).chain(rows), at)).collect();
    if let Some(width) = page.width {
        shrink(&mut widths, width);
    }
    let mut text = String::new();
    for row in std::iter::once(&head).chain(rows) {
        let last = row.cells.len().saturating_sub(1);
        for (at, cell) in row.cells.iter().enumerate() {
            let shown = cut(&cell.text, widths[at]);
            let padding = if at == last { 0 } else { widths[at] - shown.chars().count() + GAP };
            text += &cell.hue.map_or_else(|| shown.clone(), |hue| page.colour.paint(hue, &shown));
            text += &" ".repeat(padding);
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
        for (hue, note) in &row.notes {
            let width = page.width.map_or(usize::MAX, |width| width.saturating_sub(NOTE.len()).max(LEAST));
            for line in wrapped(note, width) {
                text += &format!("{NOTE}{}\n", page.colour.paint(*hue, &line));
            }
        }
    }
    text
}

fn widest<'a>(rows: impl Iterator<Item = &'a Row>, at: usize) -> usize {
    rows.filter_map(|row| row.cells.get(at)).map(|cell| cell.text.chars().count()).max().unwrap_or_default()
}

/// Takes from the widest column until the line fits, or no column can give any more.
fn shrink(widths: &mut [usize], width: usize) {
    loop {
        let total = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        let Some(widest) = widths.iter_mut().max() else { return };
        if total <= width || *widest <= LEAST {
            return;
        }
        *widest -= (total - width).min(*widest - LEAST).min(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::terminal::Colour;
    use crate::domain::Timestamp;

    fn page(width: Option<usize>) -> Page {
        Page { width, colour: Colour::Off, now: Timestamp::from_millis(0) }
    }

    fn rows() -> Vec<Row> {
        vec![
            Row::of(["web".into(), "registry.example.com/shop/web:1.4".into(), "1/3".into()])
                .noted(Hue::Bad, "2 tasks: exit code 1 of a container that could not find its database"),
            Row::of(["db".into(), "postgres:16".into(), "1/1".into()]),
        ]
    }

    #[test]
    fn without_a_terminal_nothing_is_cut() {
        assert_eq!(
            table(["NAME", "IMAGE", "TASKS"], &rows(), &page(None)),
            "NAME  IMAGE                              TASKS\n\
             web   registry.example.com/shop/web:1.4  1/3\n    \
             2 tasks: exit code 1 of a container that could not find its database\n\
             db    postgres:16                        1/1\n"
        );
    }

    #[test]
    fn on_a_terminal_the_widest_column_gives_and_the_reason_is_wrapped() {
        assert_eq!(
            table(["NAME", "IMAGE", "TASKS"], &rows(), &page(Some(36))),
            "NAME  IMAGE                    TASKS\n\
             web   registry.example.com/s…  1/3\n    \
             2 tasks: exit code 1 of a\n    container that could not find\n    its database\n\
             db    postgres:16              1/1\n"
        );
    }

    #[test]
    fn what_others_wrote_stays_in_its_line() {
        let text = table(["A"], &[Row::of(["x\ny\x1b[2J".into()])], &page(None));
        assert_eq!(text, "A\nx y [2J\n");
    }
}

//! Lines inside of brackets and quotes that stand no further right than what surrounds them.
//!
//! Indentation means nothing there for libyaml and gopkg.in/yaml.v3; saphyr-parser (0.3) refuses it, as the letter of YAML does. Such lines
//! are put further right until it takes them, one after the other as it finds them: where it says so it is inside of brackets or quotes.
//! What is said of their columns is put back. Pure.

use saphyr_parser::{Marker, ScanError};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// So far to the right, in columns: 64 levels stand at 4 more each.
const WIDTH: usize = 256;
/// What may be read again and again, in bytes: of a file of 1 MiB 32 lines, of a usual one thousands.
const MAX_READ_AGAIN: usize = 32 << 20;

/// The lines, from 1.
#[derive(Debug, Default)]
pub struct Padding {
    lines: BTreeSet<usize>,
    read_again: usize,
}

impl Padding {
    /// Takes in what the parser refuses, of so many bytes with what was put in. Whether it is worth another try.
    pub fn learn(&mut self, text: &str, padded: usize, error: &ScanError) -> bool {
        self.read_again += padded;
        let is_one_break = |(at, _): (usize, &str)| text[at..].starts_with("\r\n");
        // Lines are told apart by line feeds here.
        if self.read_again > MAX_READ_AGAIN || !text.match_indices('\r').all(is_one_break) {
            return false;
        }
        let at = error.marker();
        match error.info() {
            "invalid indentation" | "invalid indentation in flow construct" => self.lines.insert(at.line()),
            "invalid indentation in quoted scalar" => {
                let known = self.lines.len();
                self.lines.extend(continuations(text, at.line(), self.column(at)));
                self.lines.len() > known
            }
            _ => false,
        }
    }

    /// The text with these lines further right.
    pub fn applied<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.lines.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut padded = String::with_capacity(text.len() + self.lines.len() * WIDTH);
        for (number, line) in text.split_inclusive('\n').enumerate() {
            if self.lines.contains(&(number + 1)) {
                padded.extend(std::iter::repeat_n(' ', WIDTH));
            }
            padded.push_str(line);
        }
        Cow::Owned(padded)
    }

    /// Where something stands in the text itself, from 1.
    pub fn column(&self, at: &Marker) -> usize {
        let padded = if self.lines.contains(&at.line()) { WIDTH } else { 0 };
        at.col().saturating_sub(padded) + 1
    }
}

/// The lines on which a quoted scalar goes on that begins here.
fn continuations(text: &str, line: usize, column: usize) -> Vec<usize> {
    let rest = text.split_inclusive('\n').skip(line - 1).collect::<Vec<_>>().concat();
    let mut rest = rest.chars().skip(column - 1).peekable();
    let Some(quote) = rest.next().filter(|quote| ['"', '\''].contains(quote)) else { return Vec::new() };
    let (mut line, mut lines) = (line, Vec::new());
    while let Some(c) = rest.next() {
        match c {
            '\n' => {
                line += 1;
                lines.push(line);
            }
            // What is escaped ends nothing, but a line break is one.
            '\\' if quote == '"' => drop(rest.next_if(|next| *next != '\n' && *next != '\r')),
            '\'' if quote == '\'' && rest.next_if_eq(&'\'').is_some() => {}
            c if c == quote => break,
            _ => {}
        }
    }
    lines
}

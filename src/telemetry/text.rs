//! How the kernel writes numbers, and how they are read where they stand. Pure.
//!
//! A look reads thousands of them: byte by byte they cost a third of what the machinery for every kind of number does.

/// The number of a file that holds one; none for `max`.
pub(super) fn number(text: &str) -> Option<u64> {
    Numbers::of(text).next()
}

/// The lines `KEY VALUE` of a text, as most files of control groups have them.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (key, value) = line.split_once(' ')?;
        Some((key, number(value)?))
    })
}

/// The numbers of a line, one behind the other with blanks between; they end where something else stands.
pub(super) struct Numbers<'a>(&'a [u8]);

impl<'a> Numbers<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self(text.as_bytes())
    }
}

impl Iterator for Numbers<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let mut number = None::<u64>;
        while let [byte, rest @ ..] = self.0 {
            match (byte, number) {
                (b' ', None) => {}
                (b'0'..=b'9', _) => number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(u64::from(byte - b'0'))?),
                (b' ' | b'\n', Some(_)) => break,
                _ => return None,
            }
            self.0 = rest;
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_is_no_number_and_neither_is_what_is_too_large() {
        assert_eq!((number("42\n"), number("max\n"), number(""), number("-1\n"), number(" 0")), (Some(42), None, None, None, Some(0)));
        assert_eq!((number("18446744073709551615\n"), number("18446744073709551616\n")), (Some(u64::MAX), None));
        assert_eq!(Numbers::of("  1 22   333\n").collect::<Vec<_>>(), [1, 22, 333]);
        assert_eq!((Numbers::of("1 x 2").collect::<Vec<_>>(), Numbers::of("1 2x").collect::<Vec<_>>()), (vec![1], vec![1]));
    }

    #[test]
    fn a_line_without_a_number_is_passed_over() {
        assert_eq!(pairs("a 1\nb x\nc 3").collect::<Vec<_>>(), [("a", 1), ("c", 3)]);
    }
}

//! A number as the kernel counts it, shown in the unit of its family without a loss.

use std::fmt::Write as _;

/// How `/proc` counts CPU time: Linux shows 100 ticks a second to programs on every architecture that the agent is built for
/// (proc_pid_stat(5), `USER_HZ`).
const TICKS_PER_SECOND: u64 = 100;

/// One number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// Things, bytes.
    Whole(u64),
    /// Nanoseconds, shown in seconds.
    Nanos(u64),
    /// Microseconds, shown in seconds.
    Micros(u64),
    /// Milliseconds, or thousandths of a degree; shown in whole ones.
    Thousandths(i64),
    /// `USER_HZ`, shown in seconds.
    Ticks(u64),
    /// Thousandths of a load average, and whatever is no count.
    Float(f64),
}

impl Value {
    /// For those who count in nothing else.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Nanos(number) => number as f64 / 1e9,
            Self::Micros(number) => number as f64 / 1e6,
            Self::Thousandths(number) => number as f64 / 1e3,
            Self::Ticks(number) => number as f64 / TICKS_PER_SECOND as f64,
            Self::Float(number) => number,
        }
    }
}

impl Value {
    /// Adds it to a text: a page has thousands of them, and the formatting machinery costs ten times as much.
    pub(super) fn write(self, text: &mut String) {
        let (number, unit) = match self {
            Self::Whole(number) => (number, 1),
            Self::Nanos(number) => (number, 1_000_000_000),
            Self::Micros(number) => (number, 1_000_000),
            Self::Ticks(number) => (number, TICKS_PER_SECOND),
            Self::Thousandths(number) => {
                if number < 0 {
                    text.push('-');
                }
                (number.unsigned_abs(), 1000)
            }
            Self::Float(number) => {
                // Few, and their shortest form is an art. Writing into a String cannot fail.
                let _ = write!(text, "{number}");
                return;
            }
        };
        let mut digits = [0; MOST_DIGITS];
        let first = fill(&mut digits, number, unit);
        // Digits are text.
        text.push_str(std::str::from_utf8(&digits[first..]).unwrap_or_default());
    }
}

/// Writes a number of such parts of a unit to the end, all places of the fraction and at least one digit before it. Gives where it begins.
fn fill(digits: &mut [u8; MOST_DIGITS], mut number: u64, mut unit: u64) -> usize {
    let mut first = MOST_DIGITS;
    let mut put = |byte: u8| {
        first -= 1;
        digits[first] = byte;
    };
    let has_fraction = unit > 1;
    while unit > 1 {
        put(b'0' + (number % 10) as u8);
        (number, unit) = (number / 10, unit / 10);
    }
    if has_fraction {
        put(b'.');
    }
    loop {
        put(b'0' + (number % 10) as u8);
        number /= 10;
        if number == 0 {
            return first;
        }
    }
}

/// Of the largest number, and its point.
const MOST_DIGITS: usize = 21;

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Whole(number)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Whole(number as u64)
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Whole(u64::from(yes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_between_the_kernels_unit_and_the_family_s() {
        for (value, text, number) in [
            (Value::Whole(u64::MAX), "18446744073709551615", u64::MAX as f64),
            (Value::Nanos(12_000_000_345), "12.000000345", 12.000000345),
            (Value::Micros(1), "0.000001", 0.000001),
            (Value::Thousandths(-1_250), "-1.250", -1.25),
            (Value::Thousandths(41_500), "41.500", 41.5),
            (Value::Ticks(205), "2.05", 2.05),
            (Value::Float(0.5), "0.5", 0.5),
            (Value::from(true), "1", 1.0),
            (Value::from(0_u64), "0", 0.0),
        ] {
            let mut written = String::new();
            value.write(&mut written);
            assert_eq!((written.as_str(), value.as_f64()), (text, number));
        }
    }
}

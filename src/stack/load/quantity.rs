//! Durations, sizes and processor counts, read as Go's `time.ParseDuration`, docker/go-units'
//! `RAMInBytes` and the CLI's `ParseCPUs` do. Pure.

use crate::stack::spec::Nanoseconds;

/// `1h2m3.5s`; a bare `0` too, and a sign before it all.
#[must_use]
pub fn duration(text: &str) -> Option<Nanoseconds> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (digits, tail) = rest.split_at(number);
        let unit = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        total += part(digits, nanoseconds(unit)?)?;
        rest = tail;
    }
    i64::try_from(sign * total).ok()
}

fn nanoseconds(unit: &str) -> Option<i128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// A decimal number of units; what is below a nanosecond is cut off.
fn part(digits: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse::<i64>().ok()?.into() };
    // An hour has 3.6e12 nanoseconds: further digits cannot count.
    let fraction = &fraction[..fraction.len().min(15)];
    let parts: i128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    Some(whole * unit + parts * unit / 10_i128.pow(fraction.len() as u32))
}

/// `64m`, `1.5 GiB`: binary units, in bytes; a fraction of a byte is cut off.
#[must_use]
pub fn size(text: &str) -> Option<i64> {
    let last = text.rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ')?;
    let number = if text.as_bytes()[last] == b' ' { &text[..last] } else { &text[..=last] };
    let value: f64 = without_underscores(number)?.parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0)?;
    let suffix = text[last + 1..].to_lowercase();
    let power = match suffix.strip_suffix("ib").or_else(|| suffix.strip_suffix('b')).unwrap_or(&suffix) {
        "" if suffix == "ib" => return None,
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    let bytes = value * 1024_f64.powi(power);
    (bytes < i64::MAX as f64).then_some(bytes as i64)
}

/// `0.5`, `1/4`, `1e-1`, `0x1p-2`: billionths of a processor, as Go's `big.Rat` reads them; nothing is none.
pub fn nano_cpus(text: &str) -> Result<i64, &'static str> {
    const NO_NUMBER: &str = "must be a number of processors such as 0.5";
    const BILLION: i128 = 1_000_000_000;
    if text.is_empty() {
        return Ok(0);
    }
    let (numerator, denominator) = rational(text).ok_or(NO_NUMBER)?;
    let scaled = numerator.checked_mul(BILLION).ok_or(NO_NUMBER)?;
    if scaled % denominator != 0 {
        return Err("must be a whole number of billionths of a processor");
    }
    i64::try_from(scaled / denominator).map_err(|_| NO_NUMBER)
}

/// Numerator and denominator.
fn rational(text: &str) -> Option<(i128, i128)> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1, text),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let text = without_underscores(text)?;
    let (numerator, denominator) = match text.split_once('/') {
        Some((over, under)) => (whole(over)?, whole(under).filter(|under| *under > 0)?),
        None => decimal(&text)?,
    };
    Some((sign * numerator, denominator))
}

/// An underscore may stand between two digits, or a prefix and a digit.
fn without_underscores(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('_').collect();
    let joins =
        |pair: &[&str]| pair[0].ends_with(|c: char| c.is_ascii_alphanumeric()) && pair[1].starts_with(|c: char| c.is_ascii_hexdigit());
    parts.windows(2).all(joins).then(|| parts.concat())
}

/// The base that a prefix says, and the rest.
fn based(text: &str) -> (u32, &str) {
    let prefixes = [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)];
    let found = prefixes.into_iter().find_map(|(prefix, base)| Some((base, text.strip_prefix(prefix)?)));
    found.unwrap_or((10, text))
}

/// A whole number; here a leading 0 is octal.
fn whole(text: &str) -> Option<i128> {
    let (base, digits) = match based(text) {
        (10, digits) if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        based => based,
    };
    digits.chars().all(|c| c.is_digit(base)).then(|| i128::from_str_radix(digits, base).ok())?
}

/// Digits with a point and an exponent, which is one of ten after `e` and of two after `p`.
fn decimal(text: &str) -> Option<(i128, i128)> {
    let (base, text) = based(text);
    let end = text.find(|c: char| !c.is_digit(base) && c != '.').unwrap_or(text.len());
    let (digits, exponent) = text.split_at(end);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mantissa = i128::from_str_radix(&format!("{whole}{fraction}"), base).ok()?;
    let places = i32::try_from(fraction.len()).ok()?;
    let (exponent_base, exponent) = match exponent.chars().next() {
        None => (10, 0),
        Some('e' | 'E') => (10, exponent[1..].parse::<i32>().ok()?),
        Some('p' | 'P') => (2, exponent[1..].parse::<i32>().ok()?),
        Some(_) => return None,
    };
    let (mut numerator, mut denominator) = (mantissa, 1_i128);
    for (base, power) in [(i128::from(base), -places), (exponent_base, exponent)] {
        let factor = base.checked_pow(power.unsigned_abs())?;
        let scaled = if power < 0 { &mut denominator } else { &mut numerator };
        *scaled = scaled.checked_mul(factor)?;
    }
    Some((numerator, denominator))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        for (text, expected) in [
            ("0", Some(0)),
            ("5s", Some(5_000_000_000)),
            ("1h2m3.5s", Some(3_723_500_000_000)),
            (".5m", Some(30_000_000_000)),
            ("1us", Some(1_000)),
            ("-1s", Some(-1_000_000_000)),
            ("30", None),
            ("1d", None),
            ("", None),
            ("-", None),
            (".s", None),
            ("1.2.3s", None),
            ("s", None),
            ("9999999999h", None),
        ] {
            assert_eq!(duration(text), expected, "{text}");
        }
    }

    #[test]
    fn sizes_are_binary() {
        for (text, expected) in [
            ("50M", Some(52_428_800)),
            ("20mb", Some(20_971_520)),
            ("1.5 GiB", Some(1_610_612_736)),
            ("0", Some(0)),
            ("7b", Some(7)),
            ("1_0", Some(10)),
            ("1__0", None),
            ("1k", Some(1024)),
            ("1i", None),
            ("1ib", None),
            ("1x", None),
            ("-1k", None),
            ("k", None),
            ("", None),
            ("1kbb", None),
        ] {
            assert_eq!(size(text), expected, "{text}");
        }
    }

    #[test]
    fn processors_are_exact() {
        for (text, expected) in [
            ("0.25", Some(250_000_000)),
            ("1/4", Some(250_000_000)),
            ("1e-1", Some(100_000_000)),
            ("2", Some(2_000_000_000)),
            ("", Some(0)),
            ("-1", Some(-1_000_000_000)),
            ("010", Some(10_000_000_000)),
            ("010/1", Some(8_000_000_000)),
            ("0x10", Some(16_000_000_000)),
            ("0x1p-2", Some(250_000_000)),
            ("1p-2", Some(250_000_000)),
            ("0b1.1", Some(1_500_000_000)),
            ("1_000", Some(1_000_000_000_000)),
            ("5.", Some(5_000_000_000)),
            (".5", Some(500_000_000)),
            ("1.5/3", None),
            (".", None),
            ("1_", None),
            ("--1", None),
            ("1/3", None),
            ("0.0000000001", None),
            ("x", None),
            ("1/0", None),
            ("1e99", None),
        ] {
            assert_eq!(nano_cpus(text).ok(), expected, "{text}");
        }
    }
}

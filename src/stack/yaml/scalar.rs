//! What a plain scalar is (gopkg.in/yaml.v3, `resolve.go`), and how Go prints a number (`fmt`, `%v`). Pure.

use super::Value;

/// Resolves a plain scalar as gopkg.in/yaml.v3 does (`resolve.go`); a timestamp stays text. None is a
/// number that JSON, and so the engine, cannot carry.
pub fn resolve(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Value::Null),
        "true" | "True" | "TRUE" => return Some(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Some(Value::Bool(false)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf" | "-.INF" | ".nan" | ".NaN" | ".NAN" => return None,
        _ => {}
    }
    let number = match text.as_bytes()[0] {
        b'.' => float(&without_underscores(text)),
        b'+' | b'-' | b'0'..=b'9' => {
            let plain = text.replace('_', "");
            int(&plain).map(Value::Int).or_else(|| float(&plain))
        }
        _ => None,
    };
    Some(number.unwrap_or_else(|| Value::Text(text.to_owned())))
}

/// An underscore may stand between two digits.
fn without_underscores(text: &str) -> String {
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let bytes = text.as_bytes();
    let between = |at: usize| at > 0 && digit(bytes.get(at - 1)) && digit(bytes.get(at + 1));
    text.char_indices().filter(|(at, c)| *c != '_' || !between(*at)).map(|(_, c)| c).collect()
}

/// Go's `ParseInt(text, 0, 64)` or `ParseUint`: a leading 0 is octal, as in YAML 1.1.
fn int(text: &str) -> Option<i128> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, rest) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        Some(two) if two.starts_with('0') => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    // from_str_radix would take a second sign.
    if !rest.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    let value = sign * i128::from_str_radix(rest, radix).ok()?;
    (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&value).then_some(value)
}

/// Digits with an optional point and exponent; one that overflows is text.
fn float(text: &str) -> Option<Value> {
    let shaped = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'))
        && text.bytes().any(|b| b.is_ascii_digit());
    let value: f64 = if shaped { text.parse().ok()? } else { return None };
    value.is_finite().then_some(Value::Float(value))
}

/// How the CLI prints a float in an environment or label: the shortest digits, with an exponent where
/// it is below -4 or at least 6 (recorded from the CLI).
#[must_use]
pub fn format_float(value: f64) -> String {
    let scientific = format!("{value:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let power: i32 = exponent.parse().unwrap_or(0);
    if value != 0.0 && !(-4..6).contains(&power) {
        let sign = if power < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", power.abs());
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_are_what_the_cli_takes_them_for() {
        let text = |t: &str| Some(Value::Text(t.to_owned()));
        for (plain, value) in [
            ("0400", Some(Value::Int(256))),
            ("0o17", Some(Value::Int(15))),
            ("0x1F", Some(Value::Int(31))),
            ("0b11", Some(Value::Int(3))),
            ("1_000", Some(Value::Int(1000))),
            ("-5", Some(Value::Int(-5))),
            ("12345678901234567890", Some(Value::Int(12_345_678_901_234_567_890))),
            ("08", Some(Value::Float(8.0))),
            ("1e3", Some(Value::Float(1000.0))),
            (".5", Some(Value::Float(0.5))),
            (".1_0", Some(Value::Float(0.1))),
            ("._1", text("._1")),
            ("~", Some(Value::Null)),
            ("True", Some(Value::Bool(true))),
            ("yes", text("yes")),
            ("21:30", text("21:30")),
            ("2001-01-01", text("2001-01-01")),
            ("1.2.3", text("1.2.3")),
            ("--1", text("--1")),
            ("0x", text("0x")),
            ("1e999", text("1e999")),
            (".inf", None),
        ] {
            assert_eq!(resolve(plain), value, "{plain}");
        }
    }

    #[test]
    fn floats_print_as_in_go() {
        for (value, text) in [
            (1.0, "1"),
            (1.5, "1.5"),
            (100_000.0, "100000"),
            (123_456.5, "123456.5"),
            (1e6, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (12_345_678.9, "1.23456789e+07"),
            (0.1, "0.1"),
            (0.00001, "1e-05"),
            (1e-7, "1e-07"),
            (1e20, "1e+20"),
            (-0.0, "-0"),
        ] {
            assert_eq!(format_float(value), text);
        }
    }
}

//! What gopkg.in/yaml.v3 takes for a point in time (`resolve.go`, `parseTimestamp`): the CLI writes it out in another form. Pure.

/// The formats are `2006-1-2`, `2006-1-2 15:4:5.9` and `2006-1-2T15:4:5.9Z07:00`, as Go's `time.Parse` reads them.
#[must_use]
pub fn is(text: &str) -> bool {
    let (day, time) = match text.find([' ', 'T', 't']) {
        Some(at) => (&text[..at], Some(&text[at..])),
        None => (text, None),
    };
    is_day(day).unwrap_or(false)
        && time.is_none_or(|time| match time.strip_prefix(' ') {
            Some(time) => is_time(time),
            None => is_zoned(&time[1..]),
        })
}

fn is_day(text: &str) -> Option<bool> {
    let mut parts = text.split('-');
    let year: u32 = parts.next().filter(|year| year.len() == 4).and_then(digits)?;
    let (month, day) = (parts.next().and_then(two_digits)?, parts.next().and_then(two_digits)?);
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    Some(parts.next().is_none() && (1..=days).contains(&day))
}

fn is_time(text: &str) -> bool {
    let (whole, fraction) = text.split_once(['.', ',']).map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let parts: Vec<Option<u32>> = whole.split(':').map(two_digits).collect();
    let is_whole = matches!(parts.as_slice(), [Some(0..24), Some(0..60), Some(0..60)]);
    is_whole && fraction.is_none_or(|fraction| digits(fraction).is_some())
}

/// A time and how far its zone is from UTC.
fn is_zoned(text: &str) -> bool {
    if let Some(time) = text.strip_suffix('Z') {
        return is_time(time);
    }
    let Some((time, zone)) = text.find(['+', '-']).map(|at| (&text[..at], &text[at + 1..])) else { return false };
    let is_offset = |(hours, minutes): (&str, &str)| {
        let within = |part: &str, most: u32| part.len() == 2 && digits(part).is_some_and(|part| part <= most);
        within(hours, 24) && within(minutes, 60)
    };
    is_time(time) && zone.split_once(':').is_some_and(is_offset)
}

fn two_digits(text: &str) -> Option<u32> {
    if text.len() > 2 { None } else { digits(text) }
}

/// Nothing but digits; what is larger than any part of a date is one of them.
fn digits(text: &str) -> Option<u32> {
    let are_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    are_digits.then(|| text.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_time_are_told_from_other_text() {
        for text in [
            "2001-01-01",
            "2001-1-1",
            "2000-02-29",
            "0000-01-01",
            "2001-12-14 21:59:43",
            "2001-12-14 1:2:3.123456789012",
            "2001-12-14T21:59:43Z",
            "2001-12-14t21:59:43.10-05:00",
        ] {
            assert!(is(text), "{text}");
        }
        for text in [
            "",
            "2001",
            "2001-01",
            "2001-13-01",
            "2001-02-29",
            "1900-02-29",
            "2001-04-31",
            "2001-01-00",
            "2001-01-01-01",
            "201-01-01",
            "2001-001-01",
            "2001-01-01 ",
            "2001-01-01 21:59",
            "2001-01-01 24:00:00",
            "2001-01-01 21:59:43.",
            "2001-01-01 21:59:43Z",
            "2001-01-01T21:59:43",
            "2001-01-01T21:59:43+5:00",
            "2001-01-01T21:59:43+0500",
            "2001-01-0x",
        ] {
            assert!(!is(text), "{text}");
        }
    }
}

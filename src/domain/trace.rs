//! Where a command stands in a trace: passed on as it came, never made up.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The `traceparent` of W3C Trace Context, level 1, section 3.2. One that the journal holds is believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Traceparent(String);

impl Traceparent {
    /// Version, trace-id, parent-id and flags, with the dashes between them.
    const VERSION_00_BYTES: usize = 55;
    /// A later version may say more behind that. It goes into a header of every event: beyond this it is no context.
    const MAX_BYTES: usize = 512;

    /// Reads one. What is none is to be ignored (section 3.2.2.5): a command is not refused for it.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (known, more) = text.split_at_checked(Self::VERSION_00_BYTES)?;
        let mut parts = known.split('-');
        let mut next = |digits: usize| parts.next().filter(|part| part.len() == digits && part.bytes().all(is_lower_hex));
        let (version, trace, parent, _flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
        let is_nothing = |id: &str| id.bytes().all(|byte| byte == b'0');
        let fits_its_version = match version {
            "ff" => false,
            "00" => more.is_empty(),
            _ => more.is_empty() || (more.starts_with('-') && more.bytes().all(|byte| byte.is_ascii_graphic())),
        };
        let is_one = fits_its_version && !is_nothing(trace) && !is_nothing(parent) && text.len() <= Self::MAX_BYTES;
        is_one.then(|| Self(text.to_owned()))
    }

    /// As it came.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const PARENT: &str = "00f067aa0ba902b7";

    #[test]
    fn only_what_the_recommendation_calls_one_is_passed_on() {
        let zeros = |digits| "0".repeat(digits);
        for (text, is_one) in [
            (format!("00-{TRACE}-{PARENT}-01"), true),
            (format!("00-{TRACE}-{PARENT}-00"), true),
            (format!("01-{TRACE}-{PARENT}-01-what-comes-later"), true),
            (format!("01-{TRACE}-{PARENT}-01"), true),
            (format!("00-{TRACE}-{PARENT}-01-more"), false),
            (format!("01-{TRACE}-{PARENT}-01more"), false),
            (format!("01-{TRACE}-{PARENT}-01-a b"), false),
            (format!("cc-{TRACE}-{PARENT}-01-{}", "x".repeat(512)), false),
            (format!("ff-{TRACE}-{PARENT}-01"), false),
            (format!("00-{}-{PARENT}-01", zeros(32)), false),
            (format!("00-{TRACE}-{}-01", zeros(16)), false),
            (format!("00-{}-{PARENT}-01", TRACE.to_uppercase()), false),
            (format!("00-{TRACE}-{PARENT}"), false),
            (format!("00-{TRACE}{PARENT}--01"), false),
            (format!("00-{}-{PARENT}-01", "ä".repeat(16)), false),
            (String::new(), false),
        ] {
            let read = Traceparent::read(&text);
            assert_eq!(read.as_ref().map(Traceparent::as_str), is_one.then_some(text.as_str()), "{text}");
        }
    }
}

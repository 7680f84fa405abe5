//! Points in time as the wires write them. Nothing here reads a clock.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds since the Unix epoch; RFC 3339 in text.
///
/// INVARIANT: always within the years 0 to 9999, which are all that RFC 3339 can spell: every timestamp
/// can be shown and written down, whatever a sender made of its clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

/// A text that is not RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an RFC 3339 time such as 2026-01-31T12:00:00Z")]
pub struct InvalidTimestamp(String);

impl Timestamp {
    /// 0000-01-01T00:00:00Z.
    const EARLIEST: i64 = -62_167_219_200_000;
    /// 9999-12-31T23:59:59.999Z.
    const LATEST: i64 = 253_402_300_799_999;

    /// From milliseconds since the Unix epoch; what is beyond the first or the last year is at its edge.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        if millis < Self::EARLIEST {
            Self(Self::EARLIEST)
        } else if millis > Self::LATEST {
            Self(Self::LATEST)
        } else {
            Self(millis)
        }
    }

    /// From milliseconds since the Unix epoch as somebody else wrote them; none where they are beyond all
    /// years, as when they are microseconds in truth.
    #[must_use]
    pub fn from_foreign_millis(millis: i64) -> Option<Self> {
        Some(Self::from_millis(millis)).filter(|time| time.0 == millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339.
    ///
    /// # Errors
    /// When the text is something else.
    pub fn parse(text: &str) -> Result<Self, InvalidTimestamp> {
        let invalid = || InvalidTimestamp(text.chars().take(64).collect());
        let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| invalid())?;
        // The last hours of the year 9999 may lie in the next one, once the offset is taken off.
        i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000_000)).ok().and_then(Self::from_foreign_millis).ok_or_else(invalid)
    }

    /// This much later.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// Nanoseconds since the Unix epoch of an RFC 3339 text, for what is ordered more finely than by milliseconds; none
/// for another text and beyond the years that 64 bits can count (1677 to 2262).
#[must_use]
pub fn unix_nanos(text: &str) -> Option<i64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos()).ok()
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        Self::from_millis(match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
        })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000).map_err(|_| fmt::Error)?;
        f.write_str(&time.format(&Rfc3339).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_milliseconds_agree() {
        let time = Timestamp::parse("2026-01-31T12:00:00.250+02:00").unwrap();
        assert_eq!(time.as_millis(), 1_769_853_600_250);
        assert_eq!(time.to_string(), "2026-01-31T10:00:00.25Z");
        assert!(Timestamp::parse("yesterday").is_err());
    }

    #[test]
    fn every_timestamp_can_be_spelt() {
        for (millis, text) in [(i64::MIN, "0000-01-01T00:00:00Z"), (-1, "1969-12-31T23:59:59.999Z"), (i64::MAX, "9999-12-31T23:59:59.999Z")]
        {
            let time = Timestamp::from_millis(millis);
            assert_eq!(time.to_string(), text);
            assert_eq!(Timestamp::parse(text).unwrap(), time, "and read again");
        }
        assert_eq!(Timestamp::from_millis(5).plus(Duration::MAX), Timestamp::from_millis(i64::MAX));
        for beyond in ["9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00+01:00"] {
            assert!(Timestamp::parse(beyond).is_err(), "{beyond}");
        }
        assert_eq!(Timestamp::from_foreign_millis(1_769_853_600_250_000_000), None, "nanoseconds");
    }
}

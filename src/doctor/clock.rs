//! The clock: whether the kernel knows it to be in step (adjtimex(2)), and how far it is from another's.

use super::Finding;
use super::catalogue::{HOST_CLOCK, HOST_OFFSET};
use std::path::Path;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// systemd-timesyncd leaves this file once it has set the clock.
const TIMESYNC: &str = "/run/systemd/timesync/synchronized";
/// Of `linux/timex.h`: the clock is not in step with anything.
const STA_UNSYNC: i32 = 0x0040;
/// An hour of age makes nothing stale; certificates and clocks of others are rarely nearer than some seconds.
const FAR: u64 = 5;
/// Issued certificates begin to fail, and commands with an expiry.
const TOO_FAR: u64 = 120;

/// What is known of the clock's keeping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// In step; at most so far off, in milliseconds.
    InStep(u64),
    /// By nobody.
    Alone,
    /// The kernel does not tell this process.
    Untold,
}

pub(super) fn look() -> Finding {
    judge_kept(ask_kernel(), Path::new(TIMESYNC).exists().then_some(TIMESYNC))
}

fn ask_kernel() -> Kept {
    // SAFETY: all zeros is a valid `timex`: `modes` 0 only reads.
    let mut clock: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a struct of ours, which the call fills.
    if unsafe { libc::adjtimex(&raw mut clock) } < 0 {
        return Kept::Untold;
    }
    if clock.status & STA_UNSYNC != 0 {
        return Kept::Alone;
    }
    // In microseconds.
    Kept::InStep(u64::try_from(clock.maxerror).unwrap_or(0) / 1000)
}

fn judge_kept(kept: Kept, timesync: Option<&str>) -> Finding {
    match (kept, timesync) {
        (Kept::InStep(off), _) => HOST_CLOCK.ok(format!("in step with a time server, at most {off} ms off")),
        (_, Some(file)) => HOST_CLOCK.ok(format!("systemd-timesyncd has set it ({file})")),
        (Kept::Alone, None) => HOST_CLOCK.warn("nothing keeps it in step"),
        (Kept::Untold, None) => HOST_CLOCK.skipped("the kernel does not tell this process (a sandbox, such as ProtectClock=, hides it)"),
    }
}

/// The `Date` of an answer (RFC 9110, section 5.6.7), in Unix seconds.
pub(super) fn of_header(value: &str) -> Option<i64> {
    // RFC 2822 reads the same but for the name of the zone.
    let value = value.strip_suffix("GMT").map_or_else(|| value.to_owned(), |rest| format!("{rest}+0000"));
    OffsetDateTime::parse(&value, &Rfc2822).ok().map(OffsetDateTime::unix_timestamp)
}

/// `here` and `there` in Unix seconds.
pub(super) fn judge_offset(here: i64, there: Option<i64>) -> Finding {
    let Some(there) = there else { return HOST_OFFSET.skipped("the control plane's server tells no time over HTTP") };
    let distance = here.abs_diff(there);
    let summary = match distance {
        0 => "the same second as the control plane's server".to_owned(),
        _ if here > there => format!("{distance} s ahead of the control plane's server"),
        _ => format!("{distance} s behind the control plane's server"),
    };
    match distance {
        0..FAR => HOST_OFFSET.ok(summary),
        FAR..TOO_FAR => HOST_OFFSET.warn(summary),
        _ => HOST_OFFSET.fail(summary),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_clock_is_kept_by_the_kernels_word_or_by_timesyncd() {
        for (kept, file, state) in [
            (Kept::InStep(12), None, State::Ok),
            (Kept::Alone, Some(TIMESYNC), State::Ok),
            (Kept::Alone, None, State::Warn),
            (Kept::Untold, Some(TIMESYNC), State::Ok),
            (Kept::Untold, None, State::Skipped),
        ] {
            assert_eq!(judge_kept(kept, file).state, state, "{kept:?}");
        }
    }

    #[test]
    fn an_offset_says_which_way() {
        for (here, there, state, part) in [
            (100, Some(100), State::Ok, "same second"),
            (104, Some(100), State::Ok, "4 s ahead"),
            (100, Some(105), State::Warn, "5 s behind"),
            (400, Some(100), State::Fail, "300 s ahead"),
            (100, None, State::Skipped, "no time"),
        ] {
            let finding = judge_offset(here, there);
            assert_eq!(finding.state, state, "{finding:?}");
            assert!(finding.summary.contains(part), "{finding:?}");
        }
    }

    #[test]
    fn the_date_of_http_is_read() {
        assert_eq!(of_header("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(of_header("yesterday"), None);
    }
}

//! Processor time, as the kernel counts it.

use std::time::Duration;

/// What this process (`RUSAGE_SELF`), or its children that have ended (`RUSAGE_CHILDREN`), have used (getrusage(2)).
pub fn used_by(whose: libc::c_int) -> Duration {
    // SAFETY: the structure holds numbers alone, for which zeros are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the structure is ours and lives until the call returns.
    assert_eq!(unsafe { libc::getrusage(whose, &raw mut usage) }, 0);
    let span = |time: libc::timeval| Duration::new(time.tv_sec.try_into().unwrap(), u32::try_from(time.tv_usec).unwrap() * 1000);
    span(usage.ru_utime) + span(usage.ru_stime)
}

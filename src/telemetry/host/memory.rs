//! `/proc/meminfo` and `/proc/pressure`: what memory there is, and who waits for what. Pure.

/// One number of `/proc/meminfo`, in bytes: proc_meminfo(5), `MemTotal:       24689416 kB`.
pub(super) fn bytes(meminfo: &str, key: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The totals of a file of `/proc/pressure`, in microseconds: Documentation/accounting/psi.rst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Pressure {
    /// At least one waited.
    pub(super) some: Option<u64>,
    /// All waited.
    pub(super) full: Option<u64>,
}

impl Pressure {
    /// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`
    pub(super) fn of(text: &str) -> Self {
        let total = |kind: &str| text.lines().find(|line| line.starts_with(kind))?.rsplit_once("total=")?.1.trim().parse().ok();
        Self { some: total("some "), full: total("full ") }
    }
}

#[cfg(test)]
pub(super) const MEMINFO: &str = "\
MemTotal:       24689416 kB
MemFree:        18651476 kB
MemAvailable:   23152884 kB
Buffers:          237564 kB
Cached:          4462308 kB
SwapCached:            0 kB
SwapTotal:       1048576 kB
SwapFree:        1048572 kB
HugePages_Total:       0
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_in_bytes_and_pressure_in_microseconds() {
        assert_eq!(bytes(MEMINFO, "Cached"), Some(4_462_308 * 1024), "and not SwapCached");
        assert_eq!(
            (bytes(MEMINFO, "MemTotal"), bytes(MEMINFO, "Mem"), bytes(MEMINFO, "HugePages_Total")),
            (Some(24_689_416 * 1024), None, None)
        );
        let text = "some avg10=0.12 avg60=0.00 avg300=0.00 total=120235234\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        assert_eq!(Pressure::of(text), Pressure { some: Some(120_235_234), full: Some(7) });
        assert_eq!(Pressure::of("some avg10=0.12 avg60=0.00 avg300=0.00 total=1\n").full, None, "cpu had no such line before Linux 5.13");
    }
}

//! `/proc/diskstats`: what disks have done. Pure.

use super::super::text::Numbers;

/// Documentation/admin-guide/iostats.rst: a sector has 512 bytes here, whatever the disk says.
const SECTOR: u64 = 512;
/// Devices without a disk behind them.
const UNREAL: [&str; 3] = ["loop", "ram", "fd"];

/// One device, since it was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Disk<'a> {
    pub(super) name: &'a str,
    pub(super) reads: u64,
    pub(super) read_bytes: u64,
    pub(super) writes: u64,
    pub(super) written_bytes: u64,
    /// In milliseconds.
    pub(super) busy: u64,
}

/// The devices, partitions among them, that may have a disk behind them and were used.
pub(super) fn disks(text: &str) -> impl Iterator<Item = Disk<'_>> {
    text.lines().filter_map(|line| {
        let name = line.split_ascii_whitespace().nth(2)?;
        let mut numbers = Numbers::of(line.split_once(name)?.1);
        let mut take = || numbers.next();
        let [reads, _merged, sectors_read, _reading] = [take()?, take()?, take()?, take()?];
        let [writes, _merged_too, sectors_written, _writing] = [take()?, take()?, take()?, take()?];
        let [_under_way, busy] = [take()?, take()?];
        let (read_bytes, written_bytes) = (sectors_read.saturating_mul(SECTOR), sectors_written.saturating_mul(SECTOR));
        let is_real = !UNREAL.iter().any(|prefix| name.starts_with(prefix)) && (reads, writes) != (0, 0);
        is_real.then_some(Disk { name, reads, read_bytes, writes, written_bytes, busy })
    })
}

#[cfg(test)]
pub(super) const EXAMPLE: &str = "   7       0 loop0 9 0 9 0 0 0 0 0 0 0 0
   8       0 sda 446216 784926 9550688 4382310 424847 312726 5922052 19310380 0 3376340 23705160
   8       1 sda1 38030 0 38030 38030 1 2 3 4 0 1 2
 254       0 vda 59075 7367 4173282 285277 15757 43041 4242128 49088 19 60032 342054 8886 0 1095912 7624 1093 63
 253       0 zram0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_every_kernel_is_read() {
        let found: Vec<_> = disks(EXAMPLE).collect();
        assert_eq!(found.iter().map(|disk| disk.name).collect::<Vec<_>>(), ["sda", "sda1", "vda"]);
        let sda = Disk {
            name: "sda",
            reads: 446_216,
            read_bytes: 9_550_688 * 512,
            writes: 424_847,
            written_bytes: 5_922_052 * 512,
            busy: 3_376_340,
        };
        assert_eq!((found[0], found[2].busy), (sda, 60_032));
    }
}

//! When a container is at rest: it has used no processor time for so long that most of its numbers cannot have changed. Pure.

use super::super::value::Value;

/// A container that has run may leave something behind that shows a little later: a period of its limit that ends, pages that the
/// kernel has not counted yet. So many looks that find it unmoved are still whole ones.
const SETTLING: u32 = 2;
/// Every so many looks all is read again, for what nobody has thought of.
const WHOLE_EVERY: u32 = 30;

/// How much of a container is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// All.
    Whole,
    /// What others can change: its network, its memory, in version 2 its disks.
    Others,
}

/// What is known of it from one look to the next.
#[derive(Debug, Default)]
pub(super) struct Rest {
    cpu: Option<Value>,
    /// So many looks have found the same processor time.
    looks: u32,
}

impl Rest {
    /// What is to be read, once this was read.
    pub(super) fn extent(&mut self, cpu: Option<Value>) -> Extent {
        let moved = cpu.is_none() || cpu != self.cpu;
        (self.cpu, self.looks) = (cpu, if moved { 0 } else { self.looks.wrapping_add(1) });
        if self.looks <= SETTLING || self.looks.is_multiple_of(WHOLE_EVERY) { Extent::Whole } else { Extent::Others }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_not_run_for_a_while_is_read_in_part_and_now_and_then_whole() {
        let mut rest = Rest::default();
        let mut whole = |cpu: Option<u64>| rest.extent(cpu.map(Value::Nanos)) == Extent::Whole;
        let looks: Vec<bool> = (0..62).map(|_| whole(Some(7))).collect();
        let whole_at: Vec<usize> = looks.iter().enumerate().filter(|(_, whole)| **whole).map(|(look, _)| look).collect();
        assert_eq!(whole_at, [0, 1, 2, 30, 60]);
        assert_eq!([8, 8, 8, 8].map(|cpu| whole(Some(cpu))), [true, true, true, false]);
        assert_eq!([None; 5].map(&mut whole), [true; 5], "nothing is known of a kernel without that controller");
    }
}

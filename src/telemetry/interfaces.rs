//! Network interfaces, as `/proc/PID/net/dev` lists those of a process's namespace: proc_pid_net(5). Pure.

use super::text::Numbers;

/// What went one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Traffic {
    pub(super) bytes: u64,
    pub(super) packets: u64,
    pub(super) errors: u64,
    pub(super) dropped: u64,
}

/// One interface, since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interface<'a> {
    pub(super) name: &'a str,
    pub(super) received: Traffic,
    pub(super) sent: Traffic,
}

/// Those of a list that are wanted by their names, in its order.
pub(super) fn interfaces(list: &str, wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = Interface<'_>> {
    // Two lines of titles have no colon, or one behind a bar.
    list.lines().filter_map(move |line| {
        let (name, numbers) = line.split_once(':')?;
        let name = Some(name.trim_ascii()).filter(|name| wanted(name))?;
        let mut numbers = Numbers::of(numbers);
        let mut take = || numbers.next();
        let received = Traffic { bytes: take()?, packets: take()?, errors: take()?, dropped: take()? };
        // fifo, frame, compressed, multicast.
        let _others = [take()?, take()?, take()?, take()?];
        let sent = Traffic { bytes: take()?, packets: take()?, errors: take()?, dropped: take()? };
        Some(Interface { name, received, sent })
    })
}

/// Both ways, over all interfaces but the loopback.
pub(super) fn total(list: &str) -> (Traffic, Traffic) {
    let add = |sum: Traffic, more: Traffic| Traffic {
        bytes: sum.bytes.saturating_add(more.bytes),
        packets: sum.packets.saturating_add(more.packets),
        errors: sum.errors.saturating_add(more.errors),
        dropped: sum.dropped.saturating_add(more.dropped),
    };
    interfaces(list, |name| name != LOOPBACK)
        .fold(Default::default(), |(received, sent), one| (add(received, one.received), add(sent, one.sent)))
}

/// What stays within a namespace.
pub(super) const LOOPBACK: &str = "lo";

#[cfg(test)]
pub(super) const EXAMPLE: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 2776770   11307    0    0    0     0          0         0  2776770   11307    0    0    0     0       0          0
  eth0: 1215645    2751    1    2    0     0          0         0  1782404    4324    3    4    0   427       0          0
  eth1:1000 10 0 0 0 0 0 0 2000 20 0 0 0 0 0 0
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_its_manual_shows_it() {
        let names: Vec<&str> = interfaces(EXAMPLE, |name| name != "eth1").map(|one| one.name).collect();
        assert_eq!(names, ["lo", "eth0"]);
        let received = Traffic { bytes: 1_216_645, packets: 2761, errors: 1, dropped: 2 };
        let sent = Traffic { bytes: 1_784_404, packets: 4344, errors: 3, dropped: 4 };
        assert_eq!(total(EXAMPLE), (received, sent));
        assert_eq!(total("nonsense: 1 2\n"), Default::default());
    }
}

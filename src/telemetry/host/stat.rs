//! `/proc/stat`, `/proc/loadavg` and `/proc/uptime`: what processors do. Pure.

use super::super::text::pairs;
use super::super::value::Value;

/// The columns of a `cpu` line, in its order; what guests use is in `user` and `nice` already (proc_stat(5)).
pub(super) const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];

/// `/proc/stat`, since the host was started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Stat {
    /// By mode, in ticks; older kernels have fewer modes.
    pub(super) ticks: Vec<u64>,
    pub(super) cpus: usize,
    pub(super) switches: Option<u64>,
    pub(super) forks: Option<u64>,
    pub(super) running: Option<u64>,
    pub(super) blocked: Option<u64>,
}

impl Stat {
    pub(super) fn of(text: &str) -> Self {
        let mut stat = Self::default();
        for line in text.lines().filter(|line| line.starts_with("cpu")) {
            let mut columns = line.split_ascii_whitespace();
            if columns.next() == Some("cpu") {
                stat.ticks = columns.map_while(|column| column.parse().ok()).take(MODES.len()).collect();
            } else {
                stat.cpus += 1;
            }
        }
        for (key, number) in pairs(text) {
            let place = match key {
                "ctxt" => &mut stat.switches,
                "processes" => &mut stat.forks,
                "procs_running" => &mut stat.running,
                "procs_blocked" => &mut stat.blocked,
                _ => continue,
            };
            *place = Some(number);
        }
        stat
    }
}

/// The load averages over one, five and fifteen minutes: proc_loadavg(5).
pub(super) fn load(text: &str) -> Option<[Value; 3]> {
    let mut columns = text.split(' ').map(|column| column.parse().ok().map(Value::Float));
    let mut take = || columns.next().flatten();
    Some([take()?, take()?, take()?])
}

/// The first column, in seconds: proc_uptime(5).
pub(super) fn uptime(text: &str) -> Option<Value> {
    text.split(' ').next()?.trim_end().parse().ok().map(Value::Float)
}

#[cfg(test)]
pub(super) const EXAMPLE: &str = "\
cpu  10132153 290696 3084719 46828483 16683 0 25195 0 175628 0
cpu0 1393280 32966 572056 13343292 6130 0 17875 0 23933 0
cpu1 1335272 35966 572056 13343292 6130 0 17875 0 23933 0
intr 1462898 0 1 2
ctxt 115315
btime 769041601
processes 86031
procs_running 6
procs_blocked 2
softirq 229245889 94 60001584
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_read_as_their_manuals_show_them() {
        let stat = Stat::of(EXAMPLE);
        assert_eq!((stat.ticks.len(), stat.ticks[0], stat.ticks[7], stat.cpus), (8, 10_132_153, 0, 2));
        assert_eq!((stat.switches, stat.forks, stat.running, stat.blocked), (Some(115_315), Some(86_031), Some(6), Some(2)));
        assert_eq!(Stat::of("cpu 1 2 3 4\n").ticks, [1, 2, 3, 4]);
        assert_eq!(load("0.20 0.18 0.12 1/80 11206\n"), Some([0.2, 0.18, 0.12].map(Value::Float)));
        assert_eq!((load("x"), uptime("350735.47 234388.90\n")), (None, Some(Value::Float(350_735.47))));
    }
}

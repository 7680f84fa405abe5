//! What the kernel says of this process, under the names that every Prometheus client uses. What
//! cannot be read has no line.

use super::draft::Draft;
use super::family::{self, Family, Reach};
use super::files::Files;
use super::page::Page;
use super::value::Value;
use crate::domain::Sample;

/// What is read at one time.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Process(Vec<(&'static Family, Value)>);

impl Process {
    /// Reads it now.
    pub(super) fn read(files: &mut Files) -> Self {
        let mut numbers: Vec<(&'static Family, Value)> =
            files.read_again("/proc/self/stat").and_then(of_stat).into_iter().flatten().collect();
        let open = open_descriptors(files);
        numbers.push((&family::PROCESS_OPEN_FDS, open.into()));
        numbers.extend(descriptor_limit().map(|limit| (&family::PROCESS_MAX_FDS, limit.into())));
        numbers.extend(switches().into_iter().flatten());
        let written = files.read_again("/proc/self/io").and_then(written);
        numbers.extend(written.map(|bytes| (&family::PROCESS_WRITTEN, bytes.into())));
        Self(numbers)
    }

    /// Adds its families to a page that is written without a look.
    pub(super) fn render(&self, page: &mut Page) {
        for &(family, value) in &self.0 {
            page.family(family);
            page.sample(&[], value);
        }
    }

    /// Adds its families to a look.
    pub(super) fn draw(&self, draft: &mut Draft) {
        for &(family, value) in &self.0 {
            draft.family(family);
            draft.number(&[], Some(value));
        }
    }

    /// Those that are reported.
    pub(super) fn samples(&self) -> Vec<Sample> {
        let reported = self.0.iter().filter(|(family, _)| family.reach == Reach::Reported);
        reported.map(|(family, value)| Sample::of(family.name, &[], value.as_f64())).collect()
    }
}

/// The size of the folder, since Linux 6.2; before, it has none and is counted.
fn open_descriptors(files: &mut Files) -> usize {
    match files.size(&[FOLDER]) {
        // The folder is open itself while it is counted.
        None | Some(0) => files.names(&[FOLDER]).len().saturating_sub(1),
        Some(size) => usize::try_from(size).unwrap_or(usize::MAX),
    }
}

/// A link for each open descriptor.
const FOLDER: &str = "/proc/self/fd";

/// proc_pid_stat(5). Field 2 is a name in parentheses that may itself hold blanks and parentheses, so counting begins
/// behind the last one, with field 3.
fn of_stat(stat: &str) -> Option<[(&'static Family, Value); 4]> {
    let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some([
        (&family::PROCESS_CPU, Value::Ticks(field(14)? + field(15)?)),
        (&family::PROCESS_RESIDENT, (field(24)? * page_size()).into()),
        (&family::PROCESS_VIRTUAL, field(23)?.into()),
        (&family::PROCESS_THREADS, field(20)?.into()),
    ])
}

fn page_size() -> u64 {
    // SAFETY: it takes a number and gives one.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(bytes).unwrap_or(4096)
}

/// Of all threads, those that have ended too.
fn switches() -> Option<[(&'static Family, Value); 2]> {
    // SAFETY: the structure holds numbers alone, for which zeros are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the structure is ours and lives until the call returns.
    let read = unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) } == 0;
    let count = |number: libc::c_long| u64::try_from(number).unwrap_or_default().into();
    read.then(|| [(&family::PROCESS_WAKE_UPS, count(usage.ru_nvcsw)), (&family::PROCESS_PREEMPTIONS, count(usage.ru_nivcsw))])
}

/// proc_pid_io(5): what was to be written to a disk, whether or not it has come there.
fn written(io: &str) -> Option<u64> {
    io.lines().find_map(|line| line.strip_prefix("write_bytes:"))?.trim().parse().ok()
}

/// The soft limit (getrlimit(2)).
pub(super) fn descriptor_limit() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is ours and lives until the call returns.
    let read = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0;
    read.then_some(limit.rlim_cur)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_proc_are_read_as_documented() {
        let stat = "7 (a (strange) name) S 1 7 7 0 -1 4194560 100 0 0 0 150 25 0 0 20 0 4 0 100 8192000 50 18446744073709551615 1 1";
        let numbers = of_stat(stat).unwrap().map(|(family, value)| (family.name, value));
        let expected = [
            ("process_cpu_seconds_total", Value::Ticks(175)),
            ("process_resident_memory_bytes", Value::Whole(50 * page_size())),
            ("process_virtual_memory_bytes", Value::Whole(8_192_000)),
            ("process_threads", Value::Whole(4)),
        ];
        assert_eq!(numbers, expected);
        assert_eq!(of_stat("nonsense"), None);
        assert_eq!(written("wchar: 9\nread_bytes: 1\nwrite_bytes: 4096\ncancelled_write_bytes: 0\n"), Some(4096));
    }

    #[test]
    fn the_process_knows_its_own_size() {
        let process = Process::read(&mut Files::below(""));
        let number = |family: &Family| process.0.iter().find(|(one, _)| *one == family).unwrap().1.as_f64();
        assert!(number(&family::PROCESS_RESIDENT) > 100_000.0);
        assert!(number(&family::PROCESS_THREADS) >= 1.0);
        assert!(number(&family::PROCESS_OPEN_FDS) >= 3.0);
        assert!(number(&family::PROCESS_MAX_FDS) >= number(&family::PROCESS_OPEN_FDS));
        assert!(number(&family::PROCESS_CPU) >= 0.0);
        assert!(number(&family::PROCESS_WAKE_UPS) + number(&family::PROCESS_PREEMPTIONS) >= 1.0);
    }
}

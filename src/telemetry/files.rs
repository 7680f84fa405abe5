//! Reads the kernel's files, into one buffer that is used again and again.
//!
//! On the thread `telemetry`. It never waits: what it reads are texts that the kernel writes while they are read.

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

/// What one read takes at most: a file of /proc or of a control group has one to four KiB, few have more.
const CHUNK: usize = 16 * 1024;
/// Half a page. The kernel fills a page with as many whole lines as it holds, or hands over all that it has at once (seq_file): where
/// no line is as long, a read that gives less was the last.
const SURELY_THE_LAST: usize = 2048;
/// No file of the kernel that is read here is as large: what is behind is left out.
const LARGEST: usize = 4 * 1024 * 1024;

/// A file of short lines that is read again and again. To open one costs four times as much as to read it.
#[derive(Debug, Default)]
pub(super) struct Kept(Option<File>);

impl Kept {
    pub(super) fn is_open(&self) -> bool {
        self.0.is_some()
    }
}

/// A file that says when it has changed, as the list of mounts does: proc_pid_mounts(5).
pub(super) struct Watched(File);

impl Watched {
    /// Since it was asked last, or since it was opened.
    pub(super) fn has_changed(&self) -> bool {
        let mut asked = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLPRI, revents: 0 };
        // SAFETY: the descriptor is open, and there is one structure, which is ours and lives until the call returns.
        let ready = unsafe { libc::poll(&raw mut asked, 1, 0) };
        // One that cannot be asked may have changed.
        ready != 0
    }
}

/// Whether files stay open from one look to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeping {
    /// They do.
    Open,
    /// Each is closed when it was read: there are too many.
    Nothing,
}

/// The files below a root: `/` on a host, a folder in tests.
pub(super) struct Files {
    root: String,
    path: String,
    buffer: Vec<u8>,
    /// The host's own, a handful.
    open: Vec<(&'static str, Kept)>,
}

impl Files {
    /// Paths begin with a slash, and the root ends without one: that of a host is empty.
    pub(super) fn below(root: &str) -> Self {
        Self { root: root.to_owned(), path: String::new(), buffer: Vec::new(), open: Vec::new() }
    }

    /// The text of the file whose path these parts make; none where there is no such file, or it is not to be read.
    pub(super) fn read(&mut self, parts: &[&str]) -> Option<&str> {
        let file = File::open(self.path(parts)).ok()?;
        let length = self.fill(&file, 1)?;
        self.text(length)
    }

    /// The same of a file that may be open already. It was opened by the same parts.
    pub(super) fn read_kept(&mut self, kept: &mut Kept, keeping: Keeping, parts: &[&str]) -> Option<&str> {
        let length = self.fill_kept(kept, keeping, parts)?;
        self.text(length)
    }

    /// The same of one of the host's files of short lines, which stays open.
    pub(super) fn read_again(&mut self, path: &'static str) -> Option<&str> {
        let place = self.open.iter().position(|(known, _)| *known == path).unwrap_or_else(|| {
            self.open.push((path, Kept::default()));
            self.open.len() - 1
        });
        let mut kept = std::mem::take(&mut self.open[place].1);
        let length = self.fill_kept(&mut kept, Keeping::Open, &[path]);
        self.open[place].1 = kept;
        self.text(length?)
    }

    /// One that will say when it has changed.
    pub(super) fn watch(&mut self, path: &str) -> Option<Watched> {
        Some(Watched(File::open(self.path(&[path])).ok()?))
    }

    /// The number of a file that is not read.
    pub(super) fn inode(&mut self, parts: &[&str]) -> Option<u64> {
        Some(fs::metadata(self.path(parts)).ok()?.ino())
    }

    /// As its folder shows it.
    pub(super) fn size(&mut self, parts: &[&str]) -> Option<u64> {
        Some(fs::metadata(self.path(parts)).ok()?.len())
    }

    pub(super) fn exists(&mut self, parts: &[&str]) -> bool {
        fs::metadata(self.path(parts)).is_ok()
    }

    /// The names in a folder, in order; none where it cannot be read.
    pub(super) fn names(&mut self, parts: &[&str]) -> Vec<String> {
        self.entries(parts, |_| true)
    }

    /// The names of the folders in a folder, in order.
    pub(super) fn folders(&mut self, parts: &[&str]) -> Vec<String> {
        self.entries(parts, |entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
    }

    fn entries(&mut self, parts: &[&str], wanted: impl Fn(&fs::DirEntry) -> bool) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(parts)) else { return Vec::new() };
        let names = entries.flatten().filter(wanted).filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    fn path(&mut self, parts: &[&str]) -> &str {
        self.path.clear();
        self.path.push_str(&self.root);
        parts.iter().for_each(|part| self.path.push_str(part));
        &self.path
    }

    /// A file that can be read no more is let go.
    fn fill_kept(&mut self, kept: &mut Kept, keeping: Keeping, parts: &[&str]) -> Option<usize> {
        let file = match kept.0.take() {
            Some(file) => file,
            None => File::open(self.path(parts)).ok()?,
        };
        let length = self.fill(&file, SURELY_THE_LAST)?;
        if keeping == Keeping::Open {
            kept.0 = Some(file);
        }
        Some(length)
    }

    /// Fills the buffer from the file's beginning; a read of less than `last` bytes was the last. Gives the length.
    fn fill(&mut self, file: &File, last: usize) -> Option<usize> {
        let mut length = 0;
        loop {
            if self.buffer.len() < length + CHUNK {
                self.buffer.resize(length + CHUNK, 0);
            }
            let read = file.read_at(&mut self.buffer[length..], length as u64).ok()?;
            length += read;
            if read < last || length >= LARGEST {
                return Some(length);
            }
        }
    }

    fn text(&self, length: usize) -> Option<&str> {
        std::str::from_utf8(&self.buffer[..length]).ok()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn files_are_read_whole_one_after_the_other() {
        let folder = crate::telemetry::tree::Tree::new();
        folder.write("/long", &"0123456789\n".repeat(5000));
        folder.write("/short", "7\n");
        let mut files = folder.files();
        assert_eq!(files.read(&["/long"]).map(str::len), Some(55_000));
        assert_eq!(files.read(&["/", "short"]), Some("7\n"));
        assert_eq!(files.read(&["/", "none"]), None);
        assert_eq!(files.names(&["/"]), ["long", "short"]);
        assert_eq!(files.folders(&["/"]), [] as [String; 0]);
        assert!(files.exists(&["/short"]) && !files.exists(&["/none"]));
        assert_eq!(files.read_again("/short"), Some("7\n"));
        folder.write("/short", "12\n");
        assert_eq!(files.read_again("/short"), Some("12\n"));
        assert_eq!((files.read_again("/long").map(str::len), files.read_again("/none")), (Some(55_000), None));
    }
}

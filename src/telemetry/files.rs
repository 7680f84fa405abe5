//! Reads the kernel's files, into one buffer that is used again and again.
//!
//! On the thread `telemetry`. It never waits: what it reads are texts that the kernel writes while they are read.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

/// What one read takes at most: a file of /proc or of a control group has one to four KiB, few have more.
const CHUNK: usize = 16 * 1024;
/// No file of the kernel that is read here is as large: what is behind is left out.
const LARGEST: usize = 4 * 1024 * 1024;

/// A file that is read again and again. To open one costs four times as much as to read it.
#[derive(Debug, Default)]
pub(super) struct Kept(Option<File>);

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
}

impl Files {
    /// Paths begin with a slash, and the root ends without one: that of a host is empty.
    pub(super) fn below(root: &str) -> Self {
        Self { root: root.to_owned(), path: String::new(), buffer: Vec::new() }
    }

    /// The text of the file whose path these parts make; none where there is no such file, or it is not to be read.
    pub(super) fn read(&mut self, parts: &[&str]) -> Option<&str> {
        let mut file = File::open(self.path(parts)).ok()?;
        self.fill(&mut file)
    }

    /// The same of a file that may be open already. It was opened by the same parts.
    pub(super) fn read_kept(&mut self, kept: &mut Kept, keeping: Keeping, parts: &[&str]) -> Option<&str> {
        let file = match kept.0.take() {
            Some(file) => file,
            None => File::open(self.path(parts)).ok()?,
        };
        let length = self.fill_from_start(&file)?;
        if keeping == Keeping::Open {
            kept.0 = Some(file);
        }
        std::str::from_utf8(&self.buffer[..length]).ok()
    }

    /// The same, and the number of the file within its file system.
    pub(super) fn read_with_inode(&mut self, parts: &[&str]) -> Option<(u64, &str)> {
        let mut file = File::open(self.path(parts)).ok()?;
        let inode = file.metadata().ok()?.ino();
        Some((inode, self.fill(&mut file)?))
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

    /// The files of control groups are written by the kernel at once: one that has left room in the buffer has ended.
    fn fill_from_start(&mut self, file: &File) -> Option<usize> {
        let mut length = 0;
        loop {
            if self.buffer.len() < length + CHUNK {
                self.buffer.resize(length + CHUNK, 0);
            }
            let room = self.buffer.len() - length;
            let read = file.read_at(&mut self.buffer[length..], length as u64).ok()?;
            length += read;
            if read < room || length >= LARGEST {
                return Some(length);
            }
        }
    }

    fn fill(&mut self, file: &mut File) -> Option<&str> {
        let mut length = 0;
        while length < LARGEST {
            if self.buffer.len() < length + CHUNK {
                self.buffer.resize(length + CHUNK, 0);
            }
            match file.read(&mut self.buffer[length..]).ok()? {
                0 => break,
                read => length += read,
            }
        }
        std::str::from_utf8(&self.buffer[..length]).ok()
    }
}

/// The number of a file that holds one; none for `max`.
pub(super) fn number(text: &str) -> Option<u64> {
    text.trim_end().parse().ok()
}

/// The lines `KEY VALUE` of a text, as most files of control groups have them.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (key, value) = line.split_once(' ')?;
        Some((key, value.trim().parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let inode = files.inode(&["/short"]);
        assert_eq!(files.read_with_inode(&["/short"]).map(|(inode, _)| inode), inode);
    }

    #[test]
    fn max_is_no_number() {
        assert_eq!((number("42\n"), number("max\n"), number("")), (Some(42), None, None));
        assert_eq!(pairs("a 1\nb x\nc 3").collect::<Vec<_>>(), [("a", 1), ("c", 3)]);
    }
}

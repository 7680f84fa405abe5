//! `/proc/self/mountinfo`, line by line: proc_pid_mountinfo(5). Pure.

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mount<'a> {
    /// `major:minor`.
    pub(super) device: &'a str,
    place: &'a str,
    /// The kind of file system.
    pub(super) kind: &'a str,
    pub(super) source: &'a str,
    /// Of the file system.
    pub(super) options: &'a str,
}

impl Mount<'_> {
    /// Where it is. Blanks, tabs, ends of lines and backslashes are three octal digits behind a backslash.
    pub(super) fn place(&self) -> String {
        let codes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
        codes.iter().fold(self.place.to_owned(), |text, (code, c)| text.replace(code, c))
    }
}

/// All of them, in their order.
pub(super) fn mounts(mountinfo: &str) -> impl Iterator<Item = Mount<'_>> {
    mountinfo.lines().filter_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(2);
        let mut file_system = kind.split(' ');
        Some(Mount {
            device: mount.next()?,
            place: mount.nth(1)?,
            kind: file_system.next()?,
            source: file_system.next()?,
            options: file_system.next()?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_its_manual_shows_it() {
        let line = "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\nnonsense\n";
        let found: Vec<_> = mounts(line).collect();
        let expected = Mount { device: "98:0", place: "/mnt\\0402", kind: "ext3", source: "/dev/root", options: "rw,errors=continue" };
        assert_eq!((found.as_slice(), found[0].place()), ([expected].as_slice(), "/mnt 2".to_owned()));
    }
}

//! A small file system that one agent alone sees, and that a test can fill up.

use super::agent::Launch;
use super::child;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

/// Mounted over a folder in a namespace of its own, which lives as long as this.
pub struct SmallDisk {
    holder: Child,
    folder: PathBuf,
}

impl SmallDisk {
    /// Why this machine has none.
    pub fn lacks() -> Option<String> {
        let probe = "mount -t tmpfs -o size=1m tmpfs /mnt";
        child::output("unshare", &["--mount", "sh", "-c", probe]).err().map(|_| "needs root and a mount namespace".to_owned())
    }

    /// One of so many MiB over `folder`.
    pub fn over(folder: &Path, mebibytes: u32) -> Self {
        let mut command = child::bound("KILL", "unshare");
        let mount = format!("mount -t tmpfs -o size={mebibytes}m,mode=700 tmpfs \"$0\" && echo mounted && exec sleep infinity");
        let mut holder = command.args(["--mount", "sh", "-c", &mount]).arg(folder).stdout(Stdio::piped()).spawn().expect("unshare starts");
        assert_eq!(child::first_line(&mut holder).as_deref(), Ok("mounted"));
        Self { holder, folder: folder.to_owned() }
    }

    /// How an agent is started that sees it.
    pub fn launch(&self) -> Launch {
        Launch::Mounts(self.holder.id())
    }

    fn filler(&self) -> PathBuf {
        let inside = self.folder.strip_prefix("/").expect("an absolute path").join("filler");
        Path::new("/proc").join(self.holder.id().to_string()).join("root").join(inside)
    }

    /// Writes until there is no room for a single byte.
    pub fn fill(&self) {
        fill(&self.filler());
    }

    /// Makes room again.
    pub fn clear(&self) {
        std::fs::remove_file(self.filler()).expect("the small disk was filled");
    }
}

/// Makes a file so large that there is no room for a single byte beside it.
pub(super) fn fill(file: &Path) {
    let mut file = File::options().create(true).append(true).open(file).expect("a file on the small disk");
    let mut chunk: &[u8] = &[0; 64 * 1024];
    loop {
        match file.write(chunk) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull && chunk.len() > 1 => chunk = &chunk[..chunk.len() / 2],
            Err(error) if error.kind() == ErrorKind::StorageFull => return,
            Err(error) => panic!("the small disk: {error}"),
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.holder.kill();
        let _status = self.holder.wait();
    }
}

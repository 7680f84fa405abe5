//! A folder that stands for a host's root, for tests: made of the texts that the kernel's documentation shows.

use super::files::Files;
use std::fs;
use std::path::PathBuf;
use uuid::Uuid;

/// Removed when it is dropped.
pub(super) struct Tree(PathBuf);

impl Tree {
    pub(super) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("axion-tree-{}", Uuid::new_v4().simple()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Writes a file, and its folders.
    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Puts a file in the place of another, which is a different one: one that is removed and written again may get its number.
    pub(super) fn rename(&self, from: &str, to: &str) {
        let place = |path: &str| self.0.join(path.trim_start_matches('/'));
        fs::rename(place(from), place(to)).unwrap();
    }

    pub(super) fn remove(&self, path: &str) {
        let path = self.0.join(path.trim_start_matches('/'));
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
    }

    pub(super) fn files(&self) -> Files {
        Files::below(self.0.to_str().unwrap())
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

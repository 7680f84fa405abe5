//! A bundle for support: files gathered in memory, every known secret taken out of them, written as one tar. Pure, but
//! for the writing. It decides nothing about what belongs in it.

mod redact;
mod ustar;

pub use redact::Redactor;

use crate::domain::Timestamp;
use std::io::{self, Write};

/// The largest file of a bundle, in bytes; of what is larger the end counts, as in a log.
const MAX_FILE_BYTES: usize = 8 * 1024 * 1024;

/// What is gathered.
#[derive(Debug)]
pub struct Bundle {
    folder: String,
    at: Timestamp,
    redactor: Redactor,
    files: Vec<(String, Vec<u8>)>,
}

impl Bundle {
    /// An empty one; its files are in `folder`, from `at`.
    #[must_use]
    pub fn new(folder: String, at: Timestamp, redactor: Redactor) -> Self {
        Self { folder, at, redactor, files: Vec::new() }
    }

    /// Adds a file, without the secrets.
    pub fn add(&mut self, name: &str, content: &[u8]) {
        let content = &content[content.len().saturating_sub(MAX_FILE_BYTES)..];
        self.files.push((name.to_owned(), self.redactor.clean(content)));
    }

    /// The names of its files.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(name, _)| name.as_str())
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, mut to: impl Write) -> io::Result<()> {
        for (name, content) in &self.files {
            ustar::file(&mut to, &format!("{}/{name}", self.folder), content, self.at)?;
        }
        ustar::end(&mut to)?;
        to.flush()
    }
}

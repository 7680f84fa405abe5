//! The files that a client was made of: librdkafka reads certificates once, when it is made. When the brokers do
//! not let it in and a file is another one by now, another client is worth a try. A certificate that was issued is one
//! file, replaced whole and long before its end: another client takes over while the old one still works.

use super::Settings;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The CA's, the certificate's and the key's, as they were.
#[derive(Debug)]
pub(super) struct Files {
    configured: Vec<(PathBuf, Option<Stamp>)>,
    issued: Option<(PathBuf, Option<Stamp>)>,
}

/// Tells one state of a file from another, also when it was replaced by renaming.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    written: (i64, i64),
}

impl Files {
    /// As they are now.
    pub(super) fn of(settings: &Settings) -> Self {
        let security = &settings.security;
        let stamped = |path: &PathBuf| (path.clone(), stamp(path));
        let configured = [&security.ca, &security.certificate, &security.key].into_iter().flatten();
        Self { configured: configured.map(stamped).collect(), issued: security.issued.as_ref().map(stamped) }
    }

    pub(super) fn have_changed(&self) -> bool {
        self.configured.iter().chain(&self.issued).any(|(path, before)| stamp(path) != *before)
    }

    /// Whether there is a certificate that was issued since.
    pub(super) fn were_renewed(&self) -> bool {
        self.issued.as_ref().is_some_and(|(path, before)| stamp(path).is_some_and(|now| Some(now) != *before))
    }
}

/// None where there is no such file.
fn stamp(path: &Path) -> Option<Stamp> {
    let of = |found: Metadata| Stamp {
        device: found.dev(),
        inode: found.ino(),
        length: found.len(),
        written: (found.mtime(), found.mtime_nsec()),
    };
    std::fs::metadata(path).ok().map(of)
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::settings;
    use super::*;

    #[test]
    fn a_file_that_is_replaced_written_or_removed_has_changed() {
        let folder = std::env::temp_dir().join(format!("axion-files-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("ca.pem");
        std::fs::write(&path, "one").unwrap();
        let mut settings = settings();
        assert!(!Files::of(&settings).have_changed(), "there are none");
        settings.security.ca = Some(path.clone());
        let changes: [&dyn Fn(); 4] = [
            &|| {
                std::fs::write(folder.join("new"), "two").unwrap();
                std::fs::rename(folder.join("new"), &path).unwrap();
            },
            &|| std::fs::write(&path, "longer").unwrap(),
            &|| std::fs::remove_file(&path).unwrap(),
            &|| std::fs::write(&path, "back").unwrap(),
        ];
        for change in changes {
            let files = Files::of(&settings);
            assert!(!files.have_changed());
            change();
            assert!(files.have_changed());
        }
        settings.security.ca = None;
        settings.security.issued = Some(folder.join("issued.pem"));
        let put = |text: &str| {
            std::fs::write(folder.join("new"), text).unwrap();
            std::fs::rename(folder.join("new"), folder.join("issued.pem")).unwrap();
        };
        for text in ["the first", "the next"] {
            let files = Files::of(&settings);
            assert!(!files.have_changed() && !files.were_renewed());
            put(text);
            assert!(files.have_changed() && files.were_renewed());
        }
        let files = Files::of(&settings);
        std::fs::remove_file(folder.join("issued.pem")).unwrap();
        assert!(files.have_changed() && !files.were_renewed(), "there is none to go over to");
        std::fs::remove_dir_all(folder).unwrap();
    }
}

//! Where the system keeps the certificates that it trusts: the one place that looks for them.
//!
//! Every library of the agent is given what is found here; none looks for itself, so that all trust the same.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where distributions keep their bundle: Debian and Alpine, Fedora and RHEL, OpenBSD's way, SUSE, RHEL's new way.
const PLACES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
];

/// The CA file to use: the nearest one that is configured, else the system's bundle, if there is one.
#[must_use]
pub fn ca_bundle<'a>(configured: impl IntoIterator<Item = &'a Option<PathBuf>>) -> Option<PathBuf> {
    let nearest = configured.into_iter().flatten().next().cloned();
    nearest.or_else(|| PLACES.iter().map(Path::new).find(|path| path.is_file()).map(Path::to_owned))
}

/// The same for a library that looks a CA up when it needs it: the bundle's folder, where each of its CAs has a link of
/// its own, named after its hash as `openssl rehash` does. It saves the memory of a hundred and more CAs that nobody asks
/// for. Where one is missing there, as after the bundle was edited by hand, it is the bundle itself.
#[must_use]
pub fn ca_folder(bundle: PathBuf) -> PathBuf {
    match bundle.parent() {
        Some(folder) if holds_all(folder, &bundle) => folder.to_owned(),
        _ => bundle,
    }
}

fn holds_all(folder: &Path, bundle: &Path) -> bool {
    let Ok(bundle) = fs::read_to_string(bundle) else { return false };
    let Ok(entries) = fs::read_dir(folder) else { return false };
    let mut missing: HashSet<&str> = certificates(&bundle).collect();
    let any = !missing.is_empty();
    let links = entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_hash));
    for text in links.filter_map(|link| fs::read_to_string(link.path()).ok()) {
        // A lookup by hash sees the first certificate of a file alone.
        if let Some(first) = certificates(&text).next() {
            missing.remove(first);
        }
    }
    any && missing.is_empty()
}

/// What is between the marks of each certificate in a PEM text.
fn certificates(pem: &str) -> impl Iterator<Item = &str> {
    let begun = pem.split("-----BEGIN CERTIFICATE-----").skip(1);
    begun.filter_map(|rest| Some(rest.split_once("-----END CERTIFICATE-----")?.0.trim()))
}

/// Eight hexadecimal digits, a dot and a number: `002c0b4f.0`.
fn is_hash(name: &str) -> bool {
    name.split_once('.').is_some_and(|(hash, number)| {
        hash.len() == 8 && hash.bytes().all(|digit| digit.is_ascii_hexdigit()) && number.parse::<u8>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn pem(body: &str) -> String {
        format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
    }

    #[test]
    fn the_folder_stands_for_the_bundle_where_it_holds_all_of_it_by_hash() {
        let folder = std::env::temp_dir().join(format!("axion-bundle-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).unwrap();
        let bundle = folder.join("ca-certificates.crt");
        for (name, link) in [("one", "002c0b4f.0"), ("two", "02265526.1")] {
            fs::write(folder.join(name), format!("# {name}\n{}", pem(name))).unwrap();
            symlink(name, folder.join(link)).unwrap();
        }
        fs::write(&bundle, pem("one") + &pem("two")).unwrap();
        assert_eq!(ca_folder(bundle.clone()), folder);

        fs::rename(folder.join("02265526.1"), folder.join("two.0")).unwrap();
        assert_eq!(ca_folder(bundle.clone()), bundle, "no lookup finds the second");
        fs::rename(folder.join("two.0"), folder.join("02265526.0")).unwrap();
        assert_eq!(ca_folder(bundle.clone()), folder);

        fs::write(&bundle, pem("one") + &pem("two") + &pem("added by hand")).unwrap();
        assert_eq!(ca_folder(bundle.clone()), bundle);
        fs::write(&bundle, "no certificates").unwrap();
        assert_eq!(ca_folder(bundle.clone()), bundle, "who reads it says what is wrong");
        fs::remove_file(&bundle).unwrap();
        assert_eq!(ca_folder(bundle.clone()), bundle);
        fs::remove_dir_all(folder).unwrap();
    }
}

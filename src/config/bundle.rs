//! Where the system keeps the certificates that it trusts: the one place that looks for them.
//!
//! Every library of the agent is given the file that is found here; none looks for itself, so that all trust
//! the same.

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

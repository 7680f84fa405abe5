//! The socket in the file system: made with the permissions that the configuration says, in the place of one that a
//! process left behind which is gone.

use super::{Error, Settings};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// Where the groups of this system are.
const GROUPS: &str = "/etc/group";
/// Until the socket has its own permissions.
const CLOSED: u32 = 0o077;

/// Makes the socket.
pub(super) fn bind(settings: &Settings) -> Result<UnixListener, Error> {
    let path = &settings.path;
    let failed = |source: io::Error| Error::Bind { path: path.clone(), source };
    let group = settings.group.as_deref().map(group_id).transpose()?;
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        fs::create_dir(folder).map_err(failed)?;
        fs::set_permissions(folder, Permissions::from_mode(0o755)).map_err(failed)?;
    }
    make_way(path)?;
    let listener = with_umask(CLOSED, || UnixListener::bind(path)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let permissions = |source: io::Error| Error::Permissions { path: path.clone(), source };
    if group.is_some() {
        chown(path, None, group).map_err(permissions)?;
    }
    fs::set_permissions(path, Permissions::from_mode(settings.mode)).map_err(permissions)?;
    Ok(listener)
}

/// What a dead process left is removed; where somebody answers, it is theirs. A file that is no socket refuses connections
/// too: it is left alone.
fn make_way(path: &Path) -> Result<(), Error> {
    if !fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        return Ok(());
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(Error::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|source| Error::Bind { path: path.to_owned(), source })
        }
        Err(_) => Ok(()),
    }
}

/// No moment must pass in which others may connect. The agent makes no other file meanwhile: this runs at its start.
fn with_umask<T>(mask: u32, work: impl FnOnce() -> T) -> T {
    // SAFETY: umask(2) cannot fail and touches no memory.
    let before = unsafe { libc::umask(mask) };
    let result = work();
    // SAFETY: as above.
    unsafe { libc::umask(before) };
    result
}

/// The number of a group: one in digits is itself. The file is read by hand, since the libraries behind getgrnam(3) cannot
/// be part of a static binary.
fn group_id(name: &str) -> Result<u32, Error> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    find_group(&fs::read_to_string(GROUPS).unwrap_or_default(), name).ok_or_else(|| Error::NoGroup(name.to_owned()))
}

/// `name:password:number:members` (group(5)).
fn find_group(groups: &str, name: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn settings(path: &Path, mode: u32, group: Option<&str>) -> Settings {
        Settings { path: path.to_owned(), mode, group: group.map(ToOwned::to_owned), max_message_bytes: 1 }
    }

    #[test]
    fn a_group_is_found_by_its_name_or_number() {
        let groups = "root:x:0:\nbad\nadm:x:4:syslog,me\n";
        assert_eq!(find_group(groups, "adm"), Some(4));
        assert_eq!(find_group(groups, "ad"), None);
        assert_eq!(find_group(groups, "bad"), None);
        assert!(matches!(group_id("12"), Ok(12)));
        assert!(matches!(group_id("no such group"), Err(Error::NoGroup(_))));
    }

    #[test]
    fn a_socket_that_nobody_serves_makes_way_and_one_that_somebody_serves_stays() {
        let folder = std::env::temp_dir().join(format!("axion-ipc-{}", Uuid::new_v4().simple()));
        let path = folder.join("agent.sock");
        let first = bind(&settings(&path, 0o660, None)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        assert!(matches!(bind(&settings(&path, 0o600, None)), Err(Error::InUse(_))));
        drop(first);
        let _second = bind(&settings(&path, 0o600, None)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let file = folder.join("file");
        fs::write(&file, "no socket").unwrap();
        assert!(matches!(bind(&settings(&file, 0o600, None)), Err(Error::Bind { .. })));
        assert_eq!(fs::read_to_string(&file).unwrap(), "no socket", "a file of somebody is left alone");
        fs::remove_dir_all(folder).unwrap();
    }
}

//! The protocol against sockets of our own.

use super::*;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::SocketAddr;
use uuid::Uuid;

/// A service manager that listens at an abstract name.
fn listener() -> (UnixDatagram, OsString) {
    let name = format!("axion-notify-{}", Uuid::new_v4());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    (socket, OsString::from(format!("@{name}")))
}

fn next(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).unwrap();
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

fn said_to(name: OsString) -> Notifier {
    Notifier::new(&Environment { notify_socket: Some(name), ..Environment::default() })
}

#[test]
fn each_word_is_a_datagram_and_a_status_is_sent_once() {
    let (socket, name) = listener();
    let mut notifier = said_to(name);
    notifier.ready();
    notifier.status("all is well\nREADY=0");
    notifier.status("all is well\nREADY=0");
    notifier.alive();
    notifier.stopping();
    let said: Vec<String> = (0..4).map(|_| next(&socket)).collect();
    assert_eq!(said, ["READY=1", "STATUS=all is well READY=0", "WATCHDOG=1", "STOPPING=1"]);
}

#[test]
fn a_reload_says_when_it_began() {
    let (socket, name) = listener();
    let notifier = said_to(name);
    notifier.reloading();
    notifier.reloading();
    let times = [next(&socket), next(&socket)].map(|said| {
        let time = said.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").map(str::parse::<u64>);
        time.unwrap_or_else(|| panic!("{said}")).unwrap()
    });
    assert!(0 < times[0] && times[0] <= times[1], "{times:?}");
}

#[test]
fn a_socket_in_the_file_system_is_reached() {
    let path = std::env::temp_dir().join(format!("axion-notify-{}", Uuid::new_v4()));
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    said_to(path.clone().into_os_string()).ready();
    assert_eq!(next(&socket), "READY=1");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_long_status_is_cut_between_two_characters() {
    let (socket, name) = listener();
    said_to(name).status(&"ä".repeat(MAX_STATUS_BYTES));
    assert_eq!(next(&socket), format!("STATUS={}", "ä".repeat(MAX_STATUS_BYTES / 2)));
}

#[test]
fn nobody_is_told_where_nobody_listens() {
    for name in ["", "relative", "vsock:2:1", "/nowhere/notify"] {
        let notifier = said_to(OsString::from(name));
        notifier.ready();
        assert_eq!(notifier.feeding_interval(), None);
    }
}

#[test]
fn the_watchdog_is_fed_twice_in_its_time_and_only_if_it_is_ours() {
    let (_socket, name) = listener();
    let us = std::process::id();
    for (usec, pid, every) in [
        (Some("30000000"), None, Some(15)),
        (Some("30000000"), Some(us), Some(15)),
        (Some("30000000"), Some(us + 1), None),
        (Some("0"), None, None),
        (Some("soon"), None, None),
        (None, Some(us), None),
    ] {
        let environment = Environment {
            notify_socket: Some(name.clone()),
            watchdog_usec: usec.map(OsString::from),
            watchdog_pid: pid.map(|pid| OsString::from(pid.to_string())),
        };
        assert_eq!(Notifier::new(&environment).feeding_interval(), every.map(Duration::from_secs), "{environment:?}");
    }
}

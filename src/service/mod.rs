//! The service manager's side: what systemd, or whoever speaks its protocol, is told about the agent.
//!
//! It owns the datagrams of sd_notify(3): READY, RELOADING, STATUS, WATCHDOG and STOPPING, and knows how often the
//! watchdog wants to be fed. It has no thread: the coordinator calls it on the main one, and decides
//! what is said and when. A process that no service manager started gets a [`Notifier`] that says
//! nothing. Nothing here fails: a manager that cannot be told is a line in the log.

mod address;

use address::Address;
use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// A service manager whose queue is full gets this long to read from it.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest text that is sent; systemd itself takes some KiB.
const MAX_STATUS_BYTES: usize = 512;

/// What the service manager put into the environment of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// `NOTIFY_SOCKET`: a path, or an abstract name behind an `@`.
    pub notify_socket: Option<OsString>,
    /// `WATCHDOG_USEC`: a sign of life is due this often, in microseconds.
    pub watchdog_usec: Option<OsString>,
    /// `WATCHDOG_PID`: whose sign it is; everyone's, where it is not set.
    pub watchdog_pid: Option<OsString>,
}

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self {
            notify_socket: env::var_os("NOTIFY_SOCKET"),
            watchdog_usec: env::var_os("WATCHDOG_USEC"),
            watchdog_pid: env::var_os("WATCHDOG_PID"),
        }
    }

    /// How long the service manager waits for a sign of life before it ends the process.
    fn patience(&self) -> Option<Duration> {
        let number = |text: &Option<OsString>| text.as_ref()?.to_str()?.parse::<u64>().ok();
        let is_ours = self.watchdog_pid.is_none() || number(&self.watchdog_pid) == Some(u64::from(std::process::id()));
        number(&self.watchdog_usec).filter(|&usec| usec > 0 && is_ours).map(Duration::from_micros)
    }
}

/// The way to the service manager.
#[derive(Debug, Default)]
pub struct Notifier {
    way: Option<(UnixDatagram, Address)>,
    patience: Option<Duration>,
    status: String,
}

impl Notifier {
    /// The way that `environment` names; one that leads nowhere if it names none, or cannot be used.
    #[must_use]
    pub fn new(environment: &Environment) -> Self {
        let Some(name) = &environment.notify_socket else { return Self::default() };
        match open(name) {
            Ok(way) => Self { way: Some(way), patience: environment.patience(), status: String::new() },
            Err(error) => {
                log::warn!("the service manager cannot be told anything: NOTIFY_SOCKET={}: {error}", name.display());
                Self::default()
            }
        }
    }

    /// How often the watchdog is to be fed: twice in the time that the service manager waits, as
    /// sd_watchdog_enabled(3) advises. Nothing where nobody waits.
    #[must_use]
    pub fn feeding_interval(&self) -> Option<Duration> {
        self.patience.map(|patience| patience / 2)
    }

    /// The agent serves.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// What people see in `systemctl status`; sent when it differs from the last one.
    pub fn status(&mut self, text: &str) {
        let line = one_line(text);
        if self.way.is_some() && line != self.status {
            self.send(&format!("STATUS={line}"));
            self.status = line;
        }
    }

    /// No thread hangs.
    pub fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// The agent reads its configuration again; [`Self::ready`] ends that. The time tells systemd which request it
    /// answers (sd_notify(3)).
    pub fn reloading(&self) {
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic_usec()));
    }

    /// The agent leaves; from here the manager's stop timeout counts, not its watchdog.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    fn send(&self, message: &str) {
        let Some((socket, address)) = &self.way else { return };
        if let Err(error) = address.send(socket, message.as_bytes()) {
            log::warn!("the service manager was not told {message:?}: {error}");
        }
    }
}

/// The clock that systemd compares with, in microseconds; `Instant` does not show its own.
fn monotonic_usec() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of ours; this clock is always there.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000
}

fn open(name: &OsString) -> io::Result<(UnixDatagram, Address)> {
    let address = Address::parse(name)?;
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(SEND_TIMEOUT))?;
    Ok((socket, address))
}

/// A message is a list of lines: a text must not bring further ones.
fn one_line(text: &str) -> String {
    let mut line = text.replace(char::is_control, " ");
    let end = (0..=MAX_STATUS_BYTES).rev().find(|&at| line.is_char_boundary(at)).unwrap_or_default();
    line.truncate(end);
    line
}

#[cfg(test)]
mod tests;

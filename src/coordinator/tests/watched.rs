//! What a service manager hears of the loop, with threads that work and a thread that hangs.

use super::leaving::{nobody, street};
use super::*;
use crate::service::{Environment, Notifier};
use crate::threads::{Deadline, ThreadName, alive_by, at_rest, spawn};
use crossbeam_channel::Sender;
use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The manager's patience in these tests; the watchdog is fed twice in it.
const PATIENCE: Duration = Duration::from_millis(200);
/// What must come comes within this also on a busy machine.
const SOON: Duration = Duration::from_secs(10);

/// The service manager's end.
struct Manager(UnixDatagram);

impl Manager {
    /// A manager with a watchdog, and the pulse that it hears.
    fn with_watchdog() -> (Self, Pulse) {
        let name = format!("axion-pulse-{}", Uuid::new_v4());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let environment = Environment {
            notify_socket: Some(OsString::from(format!("@{name}"))),
            watchdog_usec: Some(OsString::from(PATIENCE.as_micros().to_string())),
            watchdog_pid: None,
        };
        (Self(socket), Pulse::new(Notifier::new(&environment)))
    }

    /// The next word, if one comes in time.
    fn hears(&self, within: Duration) -> Option<String> {
        self.0.set_read_timeout(Some(within)).unwrap();
        let mut buffer = [0; 1024];
        let length = self.0.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    fn waits_for(&self, word: &str) {
        let end = Deadline::after(SOON);
        while !end.has_passed() {
            if self.hears(SOON).as_deref() == Some(word) {
                return;
            }
        }
        panic!("{word} did not come");
    }
}

/// A lane that says what it is told to say.
fn lane(exits: &Sender<crate::threads::Exit>) -> (Thread, Sender<Option<Duration>>) {
    let (orders, order) = bounded(0);
    let thread = spawn(ThreadName::new("docker-lane-1"), exits.clone(), move || {
        while let Ok(sign) = order.recv() {
            match sign {
                Some(span) => alive_by(Deadline::after(span)),
                None => at_rest(),
            }
        }
        Ok::<(), std::convert::Infallible>(())
    });
    (thread.unwrap(), orders)
}

#[test]
fn the_watchdog_is_fed_while_no_thread_hangs() {
    let desk = Desk::new();
    let (street, inbox) = street();
    let (thread, orders) = lane(&street.exits);
    let work = Group { stops: vec![], threads: vec![thread] };
    let (manager, pulse) = Manager::with_watchdog();
    let state = desk.state;
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .spawn_scoped(scope, || {
                assert_eq!(manager.hears(SOON).as_deref(), Some("READY=1"));
                manager.waits_for("WATCHDOG=1");

                // A long call, that may be long: its deadline is not over.
                orders.send(Some(Duration::from_secs(3600))).unwrap();
                manager.waits_for("WATCHDOG=1");
                manager.waits_for("WATCHDOG=1");

                // It hangs. What was on its way before is heard, then nothing.
                orders.send(Some(Duration::ZERO)).unwrap();
                let heard = std::iter::from_fn(|| manager.hears(5 * PATIENCE)).take(100).count();
                assert!(heard < 5, "{heard} words although a thread hangs");

                // It comes back.
                orders.send(None).unwrap();
                manager.waits_for("WATCHDOG=1");
                drop(orders);
                street.signals.send(Signal::Leave).unwrap();
                manager.waits_for("STOPPING=1");
            })
            .unwrap();
        run(state, inbox, Workers { work, ..nobody() }, pulse);
    });
}

#[test]
fn the_status_says_what_is_missing() {
    let mut desk = Desk::new();
    let (street, inbox) = street();
    desk.state.on_kafka(Event::Link(Side::Consumer, LinkState::Down("connection refused".into())));
    desk.state.settle();
    let (manager, pulse) = Manager::with_watchdog();
    street.signals.send(Signal::Leave).unwrap();
    let mut shown = pulse;
    shown.show(&desk.health.newest());
    run(desk.state, inbox, nobody(), shown);
    let said: Vec<String> = std::iter::from_fn(|| manager.hears(Duration::from_millis(100))).collect();
    assert_eq!(
        said,
        [
            "STATUS=degraded; waiting for docker; kafka_consumer is not ready: connection refused; waiting for kafka_producer; \
             waiting for kafka_dead_letters",
            "READY=1",
            "STOPPING=1",
            "STATUS=leaving: a signal asked for it",
        ]
    );
}

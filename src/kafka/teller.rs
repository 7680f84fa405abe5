//! What the two threads of the room tell the coordinator. It may let them wait; only the stop ends that.

use super::{Event, TURN};
use crate::threads::{Deadline, Stop, alive_by, at_rest};
use crossbeam_channel::{Sender, select_biased};

/// The stop came.
pub(super) struct Stopped;

/// One thread's way to the coordinator.
pub(super) struct Teller {
    events: Sender<Event>,
    stop: Stop,
}

impl Teller {
    pub(super) fn new(events: Sender<Event>, stop: Stop) -> Self {
        Self { events, stop }
    }

    /// Hands an event to the coordinator, however long that takes.
    pub(super) fn tell(&self, event: Event) -> Result<(), Stopped> {
        at_rest();
        select_biased! {
            recv(self.stop.receiver()) -> _ => return Err(Stopped),
            send(self.events, event) -> sent => if sent.is_ok() {
                alive_by(Deadline::after(TURN));
                return Ok(());
            },
        }
        // Nobody listens any more: the stop is near.
        self.stop.wait_for_stop();
        Err(Stopped)
    }

    /// The same, if there is anything to tell.
    pub(super) fn tell_some(&self, event: Option<Event>) -> Result<(), Stopped> {
        event.map_or(Ok(()), |event| self.tell(event))
    }

    /// Also after the stop, but only until `deadline`. The coordinator may have left already; its journal
    /// then sends the event again.
    pub(super) fn tell_by(&self, event: Event, deadline: Deadline) {
        drop(self.events.send_deadline(event, deadline.instant()));
    }
}

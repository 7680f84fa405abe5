//! What the two threads of the room tell the coordinator. It may let them wait; only the stop ends that.

use super::{Event, TURN};
use crate::threads::{Deadline, Stop, alive_by, at_rest};
use crossbeam_channel::{Receiver, Sender, after, never, select_biased};
use std::time::{Duration, Instant};

/// The stop came.
pub(super) struct Stopped;

/// One thread's way to the coordinator.
pub(super) struct Teller {
    events: Sender<Event>,
    /// For what must not wait behind records: how the link is.
    news: Sender<Event>,
    stop: Stop,
    /// Until when it tells on after the stop.
    outlasts: Option<Deadline>,
}

impl Teller {
    pub(super) fn new(events: Sender<Event>, news: Sender<Event>, stop: Stop) -> Self {
        Self { events, news, stop, outlasts: None }
    }

    /// Hands an event to the coordinator, however long that takes.
    pub(super) fn tell(&self, event: Event) -> Result<(), Stopped> {
        self.hand_over(event, &never()).map(drop)
    }

    /// The same, but gives the event back where the coordinator does not want it within `time`.
    pub(super) fn tell_within(&self, event: Event, time: Duration) -> Result<Option<Event>, Stopped> {
        self.hand_over(event, &after(time))
    }

    fn hand_over(&self, event: Event, enough: &Receiver<Instant>) -> Result<Option<Event>, Stopped> {
        let way = if matches!(event, Event::Link(..)) { &self.news } else { &self.events };
        if let Some(deadline) = self.outlasts {
            return way.send_deadline(event, deadline.instant()).map(|()| None).map_err(|_| Stopped);
        }
        at_rest();
        select_biased! {
            recv(self.stop.receiver()) -> _ => return Err(Stopped),
            send(way, event) -> sent => if sent.is_ok() {
                alive_by(Deadline::after(TURN));
                return Ok(None);
            },
            recv(enough) -> _ => return Ok(Some(event)),
        }
        // Nobody listens any more: the stop is near.
        self.stop.wait_for_stop();
        Err(Stopped)
    }

    /// The same, if there is anything to tell.
    pub(super) fn tell_some(&self, event: Option<Event>) -> Result<(), Stopped> {
        event.map_or(Ok(()), |event| self.tell(event))
    }

    /// From here on it tells also after the stop, but only until `deadline`. The coordinator may have left already;
    /// its journal then sends the event again.
    pub(super) fn outlast(&mut self, deadline: Deadline) {
        self.outlasts = Some(deadline);
    }
}

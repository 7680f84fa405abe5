//! The thread `telemetry`: looks when it is time, and publishes what it found.

use super::look::{Look, Looker};
use super::{Event, Hearers, Settings, Sources};
use crate::domain::Containers;
use crate::threads::{Deadline, Published, Stop, alive_by, at_rest};
use crossbeam_channel::{Receiver, Sender, at, never, select_biased};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// A look takes milliseconds.
const TURN: Duration = Duration::from_secs(60);
/// At its start the agent does not know its containers yet: the second look follows the first as soon.
const SECOND: Duration = Duration::from_secs(1);

pub(super) struct Worker {
    pub(super) settings: Published<Option<Settings>>,
    pub(super) sources: Sources,
    pub(super) found: Published<Option<Look>>,
    pub(super) events: Sender<Event>,
    pub(super) woken: Receiver<()>,
    pub(super) stop: Stop,
}

impl Worker {
    /// Lives until the stop comes. Switched off it sleeps until other settings are published.
    pub(super) fn run(&self, mut looker: Looker) -> Result<(), Infallible> {
        let (nobody, mut interval, mut ended) = (Arc::new(Containers::default()), SECOND, self.sources.ended.clone());
        loop {
            alive_by(Deadline::after(TURN));
            let settings = *self.settings.newest();
            let next = settings.map(|settings| Deadline::after(settings.interval.min(interval)));
            let found = settings.map(|settings| {
                let containers = if settings.containers.are_measured() { self.sources.containers.newest() } else { Arc::clone(&nobody) };
                looker.look(&containers, self.sources.swarm.newest().as_ref().as_ref())
            });
            if found.is_none() {
                looker.let_go(&nobody);
            }
            self.found.publish(found);
            if settings.is_some_and(|settings| settings.hearers == Hearers::Coordinator) {
                // Full: it will look at the newest anyway. Nobody there: the agent leaves.
                let _full = self.events.try_send(Event::Looked);
            }
            at_rest();
            let due = next.map_or_else(never, |next| at(next.instant()));
            loop {
                select_biased! {
                    recv(self.stop.receiver()) -> _ => return Ok(()),
                    recv(self.woken) -> woken => if woken.is_err() { return Ok(()) } else { break },
                    recv(ended) -> heard => match heard {
                        Ok(()) => looker.let_go(&self.sources.containers.newest()),
                        // Whoever listens to the engine has left, as the agent will.
                        Err(_) => ended = never(),
                    },
                    recv(due) -> _ => break,
                }
            }
            interval = Duration::MAX;
        }
    }
}

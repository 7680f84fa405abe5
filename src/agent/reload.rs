//! A running agent gets a new configuration: read again from where the first one came from, and handed to the
//! rooms. All that can fail is done before anything is handed over, so that a configuration that cannot be used
//! changes nothing.
//!
//! Runs on the main thread, called by the coordinator, which decides what is said of it.

use super::{docker_settings, rules, understood};
use crate::config::{self, Config, Key, Logging};
use crate::coordinator::{Fresh, Reload, Reloaded};
use crate::docker;
use crate::threads::Published;
use crossbeam_channel::Sender;

/// What a reload needs of the process.
pub struct Again {
    /// Reads the configuration from where the first one came from.
    pub load: Box<dyn Fn() -> Result<Config, config::Error>>,
    /// Logs so from now on.
    pub set_log: fn(Logging),
}

/// Where the rooms see what they are to go by.
pub(super) struct Rooms {
    pub(super) docker: Published<docker::Settings>,
    /// Makes the next try of the link come at once.
    pub(super) control_plane: Option<Sender<()>>,
}

/// How an agent that was started with `started` reads its configuration again.
pub(super) fn reload(again: Again, started: Config, rooms: Rooms) -> Reload {
    let mut last = started.given.clone();
    Box::new(move || {
        let fresh = match (again.load)() {
            Ok(fresh) => fresh,
            Err(error) => return Reloaded::Refused(error.to_string().replace('\n', "; ")),
        };
        for warning in fresh.warnings.iter().chain(&fresh.ignored) {
            log::warn!("{warning}");
        }
        let given = fresh.given.clone();
        let understood = understood(&fresh.ignored);
        let config = fresh.keeping(&started);

        (again.set_log)(config.logging);
        rooms.docker.publish(docker_settings(&config));
        if let Some(control_plane) = &rooms.control_plane {
            // Full: the word is on its way already.
            let _full = control_plane.try_send(());
        }
        let changed = given.changed(&last).into_iter().filter(|key| !key.needs_restart());
        let after_restart = given.changed(&started.given).into_iter().filter(|key| key.needs_restart());
        let fresh = Fresh { rules: rules(&config), understood, changed: names(changed), after_restart: names(after_restart) };
        last = given;
        Reloaded::Taken(fresh)
    })
}

fn names(keys: impl Iterator<Item = &'static Key>) -> Vec<String> {
    keys.map(Key::dotted).collect()
}

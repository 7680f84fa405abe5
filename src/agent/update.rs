//! What the configuration says of updates, as the room and its helper go by it.

use crate::config::{self, Config, Sources, TlsVersion};
use crate::coordinator::Group;
use crate::domain::Timestamp;
use crate::https::{Net, Oldest, Proxy};
use crate::threads::{Exit, Published};
use crate::update::{self, Checked, Desk, Event, Fault, Helper, OnFailure, Places, Request, Served, Settings, Started, Wanted, serve};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crossbeam_channel::{Receiver, Sender, bounded, never};
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

/// Where the files of updates are, as far as the configuration can be understood: the start of the service looks there
/// before anything else.
#[must_use]
pub fn places(sources: &Sources) -> Places {
    let (state_dir, versions_dir) = config::update_places(sources);
    Places { state_dir, versions_dir }
}

/// Does what the agent asks root's helper for.
///
/// # Errors
/// When not even an answer can be written.
pub fn help(config: &Config) -> Result<Served, Fault> {
    let update = &config.update;
    serve(&Helper {
        state_dir: config.agent.state_dir.clone(),
        versions_dir: update.versions_dir.clone(),
        keys: update.keys.clone(),
        channel: update.channel.clone(),
        max_backups: update.max_backups,
        min_free_disk: config.limits.min_free_disk,
        on_failure: on_failure(config),
        at: Timestamp::from(SystemTime::now()),
    })
}

/// What the rest of the agent holds of updates.
pub(super) struct Updating {
    pub(super) desk: Desk,
    pub(super) requests: Option<Sender<Request>>,
    pub(super) events: Receiver<Event>,
}

/// Starts the thread, where it has something to do.
pub(super) fn start(settings: Settings, sources: update::Sources, rest: &mut Group, exits: &Sender<Exit>) -> io::Result<Updating> {
    let (events_in, events) = bounded(update::EVENTS);
    let checked = Published::new(Checked::default());
    let (requests, events) = match update::start(&settings, sources, checked.clone(), events_in, exits.clone())? {
        Some(running) => {
            rest.stops.push(running.stop);
            rest.threads.push(running.thread);
            (Some(running.requests), events)
        }
        None => (None, never()),
    };
    Ok(Updating { desk: Desk::new(settings, checked, requests.clone()), requests, events })
}

/// How the agent goes about updates.
pub(super) fn settings(config: &Config, started: Started) -> Settings {
    let update = &config.update;
    Settings {
        wanted: if update.enabled { Wanted::Yes } else { Wanted::No },
        places: Places { state_dir: config.agent.state_dir.clone(), versions_dir: update.versions_dir.clone() },
        started,
        keys: update.keys.clone(),
        channel: update.channel.clone(),
        manifest_url: update.manifest_url.clone(),
        check_interval: update.check_interval,
        download_timeout: update.download_timeout,
        install_timeout: update.install_timeout,
        health_window: update.health_window,
        on_failure: on_failure(config),
        min_free_disk: config.limits.min_free_disk,
        net: net(config),
    }
}

fn on_failure(config: &Config) -> OnFailure {
    if config.update.rollback_on_failure { OnFailure::Returns } else { OnFailure::Stays }
}

fn net(config: &Config) -> Net {
    let network = config.network.clone();
    let route = move |host: &str, port: u16| {
        network.proxy_to(host, port).map(|proxy| Proxy {
            address: proxy.address.clone(),
            authorization: proxy.login().map(|login| format!("Basic {}", STANDARD.encode(login.reveal()))),
        })
    };
    Net {
        roots: config::ca_bundle([&config.security.ca]),
        oldest: if config.security.min_tls == TlsVersion::V1_3 { Oldest::Tls13 } else { Oldest::Tls12 },
        route: Arc::new(route),
    }
}

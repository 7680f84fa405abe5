//! The channel in use and what it was made of, so that it is noticed when another must take its place: a channel's
//! credentials cannot be changed. Owned by the thread `control-plane`; what still runs on an older channel, such as
//! the session, holds it until it is over.

use super::channel::{self, ChannelError, Papers, Scheme};
use super::keyring::{Life, Pair};
use super::{Settings, probe};
use crate::control_plane::fault::Finding;
use crate::domain::Timestamp;
use grpcio::{Client, EnvBuilder, Environment};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

/// Which certificate the agent shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shows {
    /// None: a credential says who it is.
    Nothing,
    /// The one that the control plane has issued, which says who it is.
    Own(Life),
    /// The one of the configuration. It may be that of a whole fleet: a credential says who it is.
    Configured,
}

/// A channel with its origin.
pub(super) struct Line {
    pub(super) client: Client,
    pub(super) shows: Shows,
    /// Whether other threads of the room know of it: only once a call over it was answered.
    pub(super) announced: bool,
}

/// How often gRPC's core polls its channels beside whoever waits for their calls, in milliseconds; 0 is never.
const BACKUP_POLLING: &str = "GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS";

/// Tells gRPC's core that its channels are polled without pause: by the thread `grpc-cq-0`, which waits on the one set of descriptors that
/// all of them are in. Left alone, the core polls them once more every 5 s, which is a sixth of what an idle agent uses.
///
/// To be called before there is a second thread: gRPC reads it from the environment, and takes it from nowhere else.
pub fn poll_without_backup() {
    if std::env::var_os(BACKUP_POLLING).is_none() {
        // SAFETY: there is no other thread that could read the environment meanwhile.
        unsafe { std::env::set_var(BACKUP_POLLING, "0") };
    }
}

/// Makes channels.
pub(super) struct Lines {
    environment: Arc<Environment>,
}

impl Lines {
    pub(super) fn new() -> Self {
        // What gRPC's core says of itself is a line of the log like any other.
        grpcio::redirect_log();
        Self { environment: Arc::new(EnvBuilder::new().cq_count(1).name_prefix("grpc-cq").build()) }
    }

    pub(super) fn open(&self, settings: &Settings, own: Option<&Pair>, now: Timestamp) -> Result<Line, ChannelError> {
        let shows = shows(settings, own, now);
        let papers = match settings.endpoint.scheme {
            Scheme::Plain => None,
            Scheme::Tls => Some(Papers::read(settings, own.filter(|_| shows != Shows::Nothing))?),
        };
        let channel = channel::open(&self.environment, settings, papers)?;
        Ok(Line { client: Client::new(channel), shows, announced: false })
    }
}

/// A certificate that is over is none. One that begins in a moment is shown: clocks differ.
pub(super) fn shows(settings: &Settings, own: Option<&Pair>, now: Timestamp) -> Shows {
    match own {
        _ if settings.endpoint.scheme == Scheme::Plain => Shows::Nothing,
        _ if settings.client_certificate.is_some() => Shows::Configured,
        Some(pair) if now < pair.life.until => Shows::Own(pair.life),
        _ => Shows::Nothing,
    }
}

/// The credential goes along until a certificate says who the agent is (contract).
pub(super) fn needs_credential(shows: Shows) -> bool {
    match shows {
        Shows::Nothing | Shows::Configured => true,
        Shows::Own(_) => false,
    }
}

/// What of the handshake gRPC's text leaves out.
pub(super) fn look(settings: &Settings, own: Option<&Pair>, now: Timestamp) -> Option<Finding> {
    let own = own.filter(|_| shows(settings, own, now) != Shows::Nothing);
    let papers = match settings.endpoint.scheme {
        Scheme::Plain => None,
        Scheme::Tls => Some(Papers::read(settings, own).ok()?),
    };
    let roots = papers.as_ref().map(|papers| papers.roots.as_slice()).unwrap_or_default();
    let certificate = papers.as_ref().and_then(|papers| papers.certificate.as_ref());
    let certificate = certificate.map(|(chain, key)| (chain.as_slice(), key.reveal().as_slice()));
    probe::look(&settings.endpoint, &settings.route, &probe::Shown { roots, certificate })
}

/// How the files of the configuration were when they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamps(Vec<Option<Stamp>>);

/// Seconds and nanoseconds of its change, its length and its inode: what a replaced file cannot keep.
type Stamp = (i64, i64, u64, u64);

impl Stamps {
    pub(super) fn of(settings: &Settings) -> Self {
        let pair = settings.client_certificate.iter().flat_map(|(certificate, key)| [certificate, key]);
        let files = settings.ca_file.iter().chain(pair).chain(&settings.token_file);
        Self(files.map(|path| stamp(path)).collect())
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.mtime(), metadata.mtime_nsec(), metadata.len(), metadata.ino()))
}

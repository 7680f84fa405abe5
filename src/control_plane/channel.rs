//! Where the control plane is, and the gRPC channel to it.

use super::Settings;
use grpcio::{Channel, ChannelBuilder, ChannelCredentialsBuilder, EnvBuilder};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// gRPC pings an idle connection this often to find one that was cut silently. The server must allow
/// it (contract.md: `grpc.http2.min_ping_interval_without_data_ms` of at most 20 s); heartbeats are
/// data, so pings are rare.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How long a ping may stay unanswered.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// gRPC's own reconnection starts with this.
const FIRST_RECONNECT: Duration = Duration::from_secs(1);
/// And goes up to this: with the worker's own retries the link is back within 10 s of the server's return.
const MAX_RECONNECT: Duration = Duration::from_secs(3);
/// Answers are small; a larger one is a mistake of the server.
const MAX_MESSAGE_BYTES: i32 = 4 * 1024 * 1024;

/// Where distributions keep the system's CA bundle.
const SYSTEM_BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
];

/// `host:port`, and whether TLS is spoken there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// As gRPC wants it.
    pub target: String,
    /// `https://` or `http://`.
    pub scheme: Scheme,
}

/// How the wire is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `https://`
    Tls,
    /// `http://`, for development.
    Plain,
}

/// The channel cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// A file cannot be read.
    #[error("cannot read {0}: {1}")]
    File(PathBuf, std::io::Error),
    /// No CA bundle anywhere.
    #[error("found no CA bundle of the system (looked at {}): set control_plane.ca_file", SYSTEM_BUNDLES.join(", "))]
    NoBundle,
}

/// A channel that connects by itself when it is used.
pub(super) fn open(settings: &Settings) -> Result<Channel, ChannelError> {
    let environment = Arc::new(EnvBuilder::new().cq_count(1).name_prefix("grpc-cq").build());
    let builder = ChannelBuilder::new(environment)
        .keepalive_time(KEEPALIVE)
        .keepalive_timeout(KEEPALIVE_TIMEOUT)
        .initial_reconnect_backoff(FIRST_RECONNECT)
        .max_reconnect_backoff(MAX_RECONNECT)
        .max_receive_message_len(MAX_MESSAGE_BYTES)
        .use_local_subchannel_pool(true)
        .primary_user_agent(concat!("axion-agent/", env!("CARGO_PKG_VERSION")));
    let builder = match settings.endpoint.scheme {
        Scheme::Plain => builder,
        Scheme::Tls => {
            let roots = read(&settings.ca_file.clone().or_else(system_bundle).ok_or(ChannelError::NoBundle)?)?;
            let mut credentials = ChannelCredentialsBuilder::new().root_cert(roots);
            if let Some((certificate, key)) = &settings.client_certificate {
                credentials = credentials.cert(read(certificate)?, read(key)?);
            }
            builder.set_credentials(credentials.build())
        }
    };
    Ok(builder.connect(&settings.endpoint.target))
}

fn system_bundle() -> Option<PathBuf> {
    SYSTEM_BUNDLES.iter().map(PathBuf::from).find(|path| path.is_file())
}

fn read(path: &Path) -> Result<Vec<u8>, ChannelError> {
    std::fs::read(path).map_err(|error| ChannelError::File(path.to_owned(), error))
}

//! Where the control plane is, what the two ends show each other, and the gRPC channel between them.

use super::Settings;
use super::keyring::{Misfit, Pair, check_pair};
use crate::domain::Sensitive;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grpcio::{Channel, ChannelBuilder, ChannelCredentialsBuilder, Environment};
use openssl::x509::X509;
use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// gRPC tries a connection again by itself no sooner than this, within one try of the thread.
const FIRST_RECONNECT: Duration = Duration::from_secs(1);
/// And no later. A channel that has lost its connection is given up with the next heartbeat.
const MAX_RECONNECT: Duration = Duration::from_secs(30);
/// Answers are small; a larger one is a mistake of the server. An action that is too large is still received up to
/// twice what the agent takes, so that it can be refused; beyond that gRPC ends the session.
const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// How hard gRPC's core packs what it is told to pack. Where nobody says, it takes the library's word for "as usual" (-1) for a
/// number, makes 0 of it and packs nothing.
const PACKING_LEVEL: &CStr = c"grpc.gzip_compression_level";
const LEVEL: i32 = 6;
/// Arguments of gRPC's core that grpcio has no name for (http_connect_handshaker.h).
const CONNECT_SERVER: &CStr = c"grpc.http_connect_server";
const CONNECT_HEADERS: &CStr = c"grpc.http_connect_headers";

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

/// How the connection gets there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// By itself.
    Direct,
    /// Through an HTTP proxy, with CONNECT.
    Through(Proxy),
}

/// An HTTP proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// `host:port`.
    pub address: String,
    /// `user:password`, as they are.
    pub login: Option<Sensitive<String>>,
}

impl Endpoint {
    /// Without the port, and without the brackets of an IPv6 address.
    pub(super) fn host(&self) -> &str {
        let host = self.target.rsplit_once(':').map_or(self.target.as_str(), |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']')
    }
}

impl Proxy {
    /// The value of `Proxy-Authorization` (RFC 7617).
    pub(super) fn authorization(&self) -> Option<String> {
        self.login.as_ref().map(|login| format!("Basic {}", STANDARD.encode(login.reveal())))
    }
}

/// The channel cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// A file cannot be read.
    #[error("cannot read {0}: {1}")]
    File(PathBuf, std::io::Error),
    /// A file holds something else.
    #[error("{0} holds no {1} in PEM")]
    Content(PathBuf, &'static str),
    /// A key beside the certificate of another.
    #[error("the key in {1} does not belong to the certificate in {0}")]
    Mismatch(PathBuf, PathBuf),
    /// No CA bundle anywhere.
    #[error("found no CA bundle of the system: set control_plane.ca_file")]
    NoBundle,
    /// The proxy's login.
    #[error("network.https_proxy has a character that no header can carry")]
    Proxy,
}

/// What is shown to the other end, and what is believed of it. Of no use without TLS.
pub(super) struct Papers {
    /// The CAs, PEM.
    pub(super) roots: Vec<u8>,
    /// The agent's chain and key, PEM.
    pub(super) certificate: Option<(Vec<u8>, Sensitive<Vec<u8>>)>,
}

impl Papers {
    /// Reads what the configuration names; the agent's own certificate stands in where it names none.
    pub(super) fn read(settings: &Settings, own: Option<&Pair>) -> Result<Self, ChannelError> {
        let roots = checked_roots(settings.ca_file.as_ref().ok_or(ChannelError::NoBundle)?)?;
        let certificate = match &settings.client_certificate {
            Some((certificate, key)) => Some(configured(certificate, key)?),
            None => own.map(|pair| (pair.chain.clone(), pair.key.clone())),
        };
        Ok(Self { roots, certificate })
    }
}

/// A channel that connects by itself when it is used.
///
/// It sends no pings: heartbeats are the sign of life of the connection, and a server may count pings.
pub(super) fn open(environment: &Arc<Environment>, settings: &Settings, papers: Option<Papers>) -> Result<Channel, ChannelError> {
    let target = &settings.endpoint.target;
    let longest = MAX_MESSAGE_BYTES.max(2 * settings.max_message_bytes);
    let mut builder = ChannelBuilder::new(Arc::clone(environment))
        .initial_reconnect_backoff(FIRST_RECONNECT)
        .max_reconnect_backoff(MAX_RECONNECT)
        .max_receive_message_len(i32::try_from(longest).unwrap_or(i32::MAX))
        .http2_bdp_probe(false)
        .use_local_subchannel_pool(true)
        .raw_cfg_int(PACKING_LEVEL.into(), LEVEL)
        // The configuration has decided about the proxy; gRPC's own reading of the environment would decide again.
        .enable_http_proxy(false)
        .primary_user_agent(concat!("axion-agent/", env!("CARGO_PKG_VERSION")));
    if let Some(papers) = papers {
        let mut credentials = ChannelCredentialsBuilder::new().root_cert(papers.roots);
        if let Some((chain, key)) = papers.certificate {
            credentials = credentials.cert(chain, key.reveal().clone());
        }
        builder = builder.set_credentials(credentials.build());
    }
    match &settings.route {
        Route::Direct => Ok(builder.connect(target)),
        Route::Through(proxy) => {
            let text = |text: &str| CString::new(text).map_err(|_| ChannelError::Proxy);
            // The name in the certificate is that of the target, whoever leads there.
            builder = builder.default_authority(target.as_str()).raw_cfg_string(CONNECT_SERVER.into(), text(target)?);
            if let Some(authorization) = proxy.authorization() {
                let header = format!("Proxy-Authorization:{authorization}");
                builder = builder.raw_cfg_string(CONNECT_HEADERS.into(), text(&header)?);
            }
            Ok(builder.connect(&proxy.address))
        }
    }
}

fn checked_roots(path: &Path) -> Result<Vec<u8>, ChannelError> {
    let pem = read(path)?;
    // gRPC would take the file, and then give a reason for each call that names nothing.
    if X509::from_pem(&pem).is_ok() { Ok(pem) } else { Err(ChannelError::Content(path.to_owned(), "CA certificate")) }
}

fn configured(certificate: &Path, key: &Path) -> Result<(Vec<u8>, Sensitive<Vec<u8>>), ChannelError> {
    let (chain, private) = (read(certificate)?, Sensitive::new(read(key)?));
    check_pair(&chain, private.reveal()).map_err(|misfit| match misfit {
        Misfit::Certificate => ChannelError::Content(certificate.to_owned(), "certificate"),
        Misfit::Key => ChannelError::Content(key.to_owned(), "private key without a passphrase"),
        Misfit::Foreign => ChannelError::Mismatch(certificate.to_owned(), key.to_owned()),
    })?;
    Ok((chain, private))
}

fn read(path: &Path) -> Result<Vec<u8>, ChannelError> {
    std::fs::read(path).map_err(|error| ChannelError::File(path.to_owned(), error))
}

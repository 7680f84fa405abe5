//! HTTPS over TCP, as ureq wants it: a connector with OpenSSL's handshake, and a way through an HTTP proxy. ureq brings no
//! TLS of its own here, so that there is one library for it in the binary; and it resolves nothing, since its resolver
//! would start a thread per look-up.
//!
//! Runs on the thread of whoever fetches something, and is made for that alone: every wait ends with one deadline, or
//! when a stop comes, at most [`SLICE`] later. Nothing is spoken in clear but with the proxy.

use crate::threads::{Deadline, Stop};
use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVersion};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport};

/// A read or a write looks for a stop so often; only while something is fetched.
const SLICE: Duration = Duration::from_millis(250);
/// What one read takes at most, in bytes.
const BUFFER: usize = 16 * 1024;
/// Releases are often behind one or two: a name for the newest, a store.
const REDIRECTS: u32 = 5;
/// The answer of a proxy to CONNECT, in bytes.
const MAX_PROXY_ANSWER: usize = 8 * 1024;
/// Where a server listens whose address names no port.
const PORT: u16 = 443;

/// An HTTP proxy that is asked with CONNECT.
#[derive(Clone)]
pub struct Proxy {
    /// `host:port`.
    pub address: String,
    /// The value of Proxy-Authorization, where it wants a login.
    pub authorization: Option<String>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The way to a host and port: through a proxy, or directly.
pub type Route = Arc<dyn Fn(&str, u16) -> Option<Proxy> + Send + Sync>;

/// The oldest version of TLS that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oldest {
    /// 1.2
    Tls12,
    /// 1.3
    Tls13,
}

/// Whom to believe, and which way to go.
#[derive(Clone)]
pub struct Net {
    /// The CAs, PEM.
    pub roots: Option<PathBuf>,
    /// The oldest version of TLS.
    pub oldest: Oldest,
    /// The way.
    pub route: Route,
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Net").field("roots", &self.roots).field("oldest", &self.oldest).finish_non_exhaustive()
    }
}

/// A ureq agent for one fetch: whatever it waits for ends by `until`, or with one of the stops.
///
/// # Errors
/// When the CAs cannot be read.
pub fn agent(net: &Net, until: Deadline, stops: Vec<Stop>) -> io::Result<ureq::Agent> {
    let config = ureq::Agent::config_builder()
        .proxy(None)
        .https_only(true)
        .max_redirects(REDIRECTS)
        .http_status_as_error(false)
        .user_agent(concat!("axion-agent/", env!("CARGO_PKG_VERSION")))
        .max_idle_connections(0)
        .max_idle_connections_per_host(0)
        .input_buffer_size(BUFFER)
        .output_buffer_size(BUFFER)
        .build();
    let tls = client(net).map_err(|error| {
        let roots = net.roots.as_ref().map_or_else(|| "no CAs".to_owned(), |roots| roots.display().to_string());
        io::Error::other(format!("cannot use {roots} to verify servers: {error}"))
    })?;
    let connector = TlsConnector { tls, route: Arc::clone(&net.route), until, stops };
    Ok(ureq::Agent::with_parts(config, connector, NoResolver))
}

fn client(net: &Net) -> Result<SslConnector, openssl::error::ErrorStack> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    if let Some(roots) = &net.roots {
        builder.set_ca_file(roots)?;
    }
    builder.set_min_proto_version(Some(match net.oldest {
        Oldest::Tls12 => SslVersion::TLS1_2,
        Oldest::Tls13 => SslVersion::TLS1_3,
    }))?;
    builder.set_alpn_protos(b"\x08http/1.1")?;
    Ok(builder.build())
}

struct TlsConnector {
    tls: SslConnector,
    route: Route,
    until: Deadline,
    stops: Vec<Stop>,
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnector").finish_non_exhaustive()
    }
}

impl Connector for TlsConnector {
    type Out = TlsTransport;

    fn connect(&self, details: &ConnectionDetails<'_>, _chained: Option<()>) -> Result<Option<TlsTransport>, ureq::Error> {
        let host = details.uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = details.uri.port_u16().unwrap_or(PORT);
        let socket = self.reach(host, port)?;
        let stream = self.tls.connect(host, socket).map_err(|error| io::Error::other(format!("TLS with {host}: {error}")))?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(TlsTransport { stream, buffers }))
    }
}

impl TlsConnector {
    fn reach(&self, host: &str, port: u16) -> io::Result<Socket> {
        let Some(proxy) = (self.route)(host, port) else { return self.dial(&bracketed(host), port) };
        let (name, port_of_proxy) = proxy.address.rsplit_once(':').unwrap_or((proxy.address.as_str(), "80"));
        let mut socket = self.dial(name, port_of_proxy.parse().map_err(io::Error::other)?)?;
        tunnel(&mut socket, &format!("{}:{port}", bracketed(host)), proxy.authorization.as_deref())?;
        Ok(socket)
    }

    fn dial(&self, host: &str, port: u16) -> io::Result<Socket> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"));
        for address in format!("{host}:{port}").to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, self.until.left().max(Duration::from_millis(1))) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(SLICE))?;
                    stream.set_write_timeout(Some(SLICE))?;
                    return Ok(Socket { stream, until: self.until, stops: self.stops.clone() });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// RFC 9110, section 9.3.6.
fn tunnel(socket: &mut Socket, target: &str, authorization: Option<&str>) -> io::Result<()> {
    let login = authorization.map_or_else(String::new, |value| format!("Proxy-Authorization: {value}\r\n"));
    write!(socket, "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{login}\r\n")?;
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() > MAX_PROXY_ANSWER || socket.read(&mut byte)? == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the proxy does not answer CONNECT as HTTP does"));
        }
        answer.push(byte[0]);
    }
    let status = answer.split(|&byte| byte == b' ').nth(1).unwrap_or_default();
    if status.starts_with(b"2") {
        return Ok(());
    }
    let status: String = String::from_utf8_lossy(status).chars().take(3).collect();
    Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("the proxy answers CONNECT with {status}")))
}

/// A connection whose waits end.
#[derive(Debug)]
struct Socket {
    stream: TcpStream,
    until: Deadline,
    stops: Vec<Stop>,
}

impl Socket {
    /// Tries again after each slice, while there is time and nobody has stopped it.
    fn patiently<T>(&self, mut call: impl FnMut(&TcpStream) -> io::Result<T>) -> io::Result<T> {
        loop {
            match call(&self.stream) {
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted) => {
                    if self.stops.iter().any(Stop::is_stopped) {
                        return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "it was stopped"));
                    }
                    if self.until.has_passed() {
                        return Err(io::Error::new(io::ErrorKind::TimedOut, "its time is over"));
                    }
                }
                result => return result,
            }
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.patiently(|mut stream| stream.read(buffer))
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.patiently(|mut stream| stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct TlsTransport {
    stream: SslStream<Socket>,
    buffers: LazyBuffers,
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTransport").finish_non_exhaustive()
    }
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _timeout: NextTimeout) -> Result<(), ureq::Error> {
        Ok(self.stream.write_all(&self.buffers.output()[..amount])?)
    }

    /// A server that gives its bytes one by one is no reason to go on for ever.
    fn await_input(&mut self, _timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let socket = self.stream.get_ref();
        if socket.until.has_passed() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "its time is over").into());
        }
        if socket.stops.iter().any(Stop::is_stopped) {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "it was stopped").into());
        }
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// None is used twice.
    fn is_open(&mut self) -> bool {
        false
    }

    fn is_tls(&self) -> bool {
        true
    }
}

/// The connector looks the host up itself.
#[derive(Debug)]
struct NoResolver;

impl Resolver for NoResolver {
    fn resolve(&self, _uri: &Uri, _config: &Config, _timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}

//! A look at a connection that gRPC could not use: the same handshake by hand, for the reason that gRPC's text
//! leaves out. It decides nothing and sends nothing beyond the handshake, but for the doctor's question for the time. Runs on
//! `control-plane`, after a connection failed, and for the doctor, each wait with a deadline.

use super::channel::{Endpoint, Route, Scheme};
use super::fault::Finding;
use crate::threads::Deadline;
use openssl::asn1::Asn1Time;
use openssl::pkey::PKey;
use openssl::ssl::{HandshakeError, Ssl, SslContextBuilder, SslMethod, SslStream, SslVerifyMode};
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{X509, X509Ref, X509VerifyResult};
use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

/// The whole look. The thread cannot be stopped meanwhile, so it is short.
const LOOK: Duration = Duration::from_secs(2);
/// A server that does not like the certificate says so at once after the handshake; one that does, sends its settings.
const VERDICT: Duration = Duration::from_secs(1);
/// The answer of a proxy to CONNECT, and of a server to HEAD.
const MAX_PROXY_ANSWER: usize = 8 * 1024;
/// The question for the time: a server that speaks no HTTP/1.1 hangs up, or says nothing.
const HEAD: Duration = Duration::from_secs(2);

/// OpenSSL's codes of `X509_verify_cert` (x509_vfy.h).
const CERT_NOT_YET_VALID: i32 = 9;
const CERT_HAS_EXPIRED: i32 = 10;
const HOSTNAME_MISMATCH: i32 = 62;
const IP_ADDRESS_MISMATCH: i32 = 64;
/// Those that mean an unknown issuer: no issuer found, self-signed, or no chain.
const UNKNOWN_ISSUER: [i32; 5] = [2, 18, 19, 20, 21];

/// What the agent brings to the handshake.
pub(super) struct Shown<'a> {
    /// The CAs that it trusts, PEM.
    pub(super) roots: &'a [u8],
    /// Its chain and key, PEM.
    pub(super) certificate: Option<(&'a [u8], &'a [u8])>,
}

/// What is wrong, if the look shows it.
pub(super) fn look(endpoint: &Endpoint, route: &Route, shown: &Shown<'_>) -> Option<Finding> {
    let deadline = Deadline::after(LOOK);
    let stream = connect(endpoint, route, deadline).ok()?;
    match endpoint.scheme {
        Scheme::Plain => speaks_tls(stream, endpoint).then_some(Finding::NeedsTls),
        Scheme::Tls => handshake(stream, endpoint, shown, deadline),
    }
}

/// Why no connection comes about.
#[derive(Debug)]
pub(super) enum Miss {
    /// Nobody is there, or the proxy does not lead there.
    Away(io::Error),
    /// The handshake, with what it shows.
    Handshake(Option<Finding>),
}

/// Connects and shakes hands as the agent does: the version of TLS and what the server has shown; nothing without TLS.
pub(super) fn shake(
    endpoint: &Endpoint,
    route: &Route,
    shown: &Shown<'_>,
    deadline: Deadline,
) -> Result<Option<(String, Option<X509>)>, Miss> {
    let stream = connect(endpoint, route, deadline).map_err(Miss::Away)?;
    if endpoint.scheme == Scheme::Plain {
        return if speaks_tls(stream, endpoint) { Err(Miss::Handshake(Some(Finding::NeedsTls))) } else { Ok(None) };
    }
    let ssl = client(endpoint, shown, Speaks::Http2).map_err(|_| Miss::Handshake(None))?;
    match ssl.connect(stream) {
        Ok(mut stream) => match of_server(&stream).or_else(|| verdict(&mut stream, shown, deadline)) {
            Some(finding) => Err(Miss::Handshake(Some(finding))),
            None => Ok(Some((stream.ssl().version_str().to_owned(), stream.ssl().peer_certificate()))),
        },
        Err(HandshakeError::Failure(failed)) => Err(Miss::Handshake(of_reasons(&reasons(failed.error()), shown))),
        Err(_) => Err(Miss::Handshake(None)),
    }
}

/// The head of the server's answer to `HEAD /` of HTTP/1.1, where it speaks that too: it tells the time.
pub(super) fn head(endpoint: &Endpoint, route: &Route, shown: &Shown<'_>, deadline: Deadline) -> Option<String> {
    let deadline = deadline.or_after(HEAD);
    let mut stream = connect(endpoint, route, deadline).ok()?;
    match endpoint.scheme {
        Scheme::Plain => ask_head(&mut stream, endpoint),
        Scheme::Tls => ask_head(&mut client(endpoint, shown, Speaks::Http1).ok()?.connect(stream).ok()?, endpoint),
    }
}

fn ask_head(stream: &mut (impl io::Read + io::Write), endpoint: &Endpoint) -> Option<String> {
    write!(stream, "HEAD / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", endpoint.target).ok()?;
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() > MAX_PROXY_ANSWER || stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        answer.push(byte[0]);
    }
    String::from_utf8(answer).ok().filter(|head| head.starts_with("HTTP/1."))
}

fn connect(endpoint: &Endpoint, route: &Route, deadline: Deadline) -> io::Result<TcpStream> {
    let first = match route {
        Route::Direct => &endpoint.target,
        Route::Through(proxy) => &proxy.address,
    };
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in first.to_socket_addrs()? {
        let left = deadline.left().max(Duration::from_millis(1));
        match TcpStream::connect_timeout(&address, left) {
            Ok(mut stream) => {
                stream.set_read_timeout(Some(left))?;
                stream.set_write_timeout(Some(left))?;
                if let Route::Through(proxy) = route {
                    tunnel(&mut stream, &endpoint.target, proxy.authorization().as_deref())?;
                }
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// RFC 9110, section 9.3.6.
fn tunnel(stream: &mut TcpStream, target: &str, authorization: Option<&str>) -> io::Result<()> {
    let login = authorization.map_or_else(String::new, |value| format!("Proxy-Authorization: {value}\r\n"));
    write!(stream, "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{login}\r\n")?;
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() > MAX_PROXY_ANSWER || stream.read(&mut byte)? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        answer.push(byte[0]);
    }
    let status = answer.split(|&b| b == b' ').nth(1).unwrap_or_default();
    if status.starts_with(b"2") {
        return Ok(());
    }
    // In gRPC's words, which `fault` knows.
    let words = format!("HTTP proxy returned response code {}", String::from_utf8_lossy(status));
    Err(io::Error::new(io::ErrorKind::PermissionDenied, words))
}

fn speaks_tls(stream: TcpStream, endpoint: &Endpoint) -> bool {
    let Ok(ssl) = client(endpoint, &Shown { roots: &[], certificate: None }, Speaks::Http2) else { return false };
    match ssl.connect(stream) {
        Ok(_) => true,
        // An alert is TLS too.
        Err(HandshakeError::Failure(failed)) => reasons(failed.error()).iter().any(|reason| reason.contains("alert")),
        Err(_) => false,
    }
}

fn handshake(stream: TcpStream, endpoint: &Endpoint, shown: &Shown<'_>, deadline: Deadline) -> Option<Finding> {
    let ssl = client(endpoint, shown, Speaks::Http2).ok()?;
    match ssl.connect(stream) {
        Ok(mut stream) => of_server(&stream).or_else(|| verdict(&mut stream, shown, deadline)),
        Err(HandshakeError::Failure(failed)) => of_reasons(&reasons(failed.error()), shown),
        Err(_) => None,
    }
}

/// What follows the handshake.
#[derive(Debug, Clone, Copy)]
enum Speaks {
    Http1,
    Http2,
}

/// A client that goes on whatever the server shows: the verdict about it is read afterwards.
fn client(endpoint: &Endpoint, shown: &Shown<'_>, speaks: Speaks) -> Result<Ssl, openssl::error::ErrorStack> {
    let mut context = SslContextBuilder::new(SslMethod::tls_client())?;
    context.set_verify(SslVerifyMode::NONE);
    // As gRPC's own: a CA in the middle of a chain may be the trusted one.
    context.verify_param_mut().set_flags(X509VerifyFlags::PARTIAL_CHAIN | X509VerifyFlags::TRUSTED_FIRST)?;
    for root in X509::stack_from_pem(shown.roots)? {
        // One that is there twice is no mistake.
        drop(context.cert_store_mut().add_cert(root));
    }
    if let Some((chain, key)) = shown.certificate {
        let mut chain = X509::stack_from_pem(chain)?.into_iter();
        if let Some(leaf) = chain.next() {
            context.set_certificate(&leaf)?;
        }
        chain.try_for_each(|certificate| context.add_extra_chain_cert(certificate))?;
        context.set_private_key(&*PKey::private_key_from_pem_callback(key, |_| Ok(0))?)?;
    }
    context.set_alpn_protos(match speaks {
        Speaks::Http1 => b"\x08http/1.1",
        Speaks::Http2 => b"\x02h2",
    })?;
    let mut ssl = Ssl::new(&context.build())?;
    let host = endpoint.host();
    match host.parse() {
        Ok(address) => ssl.param_mut().set_ip(address)?,
        Err(_) => {
            ssl.set_hostname(host)?;
            ssl.param_mut().set_host(host)?;
        }
    }
    Ok(ssl)
}

/// What OpenSSL says of the server's certificate.
fn of_server(stream: &SslStream<TcpStream>) -> Option<Finding> {
    let verdict = stream.ssl().verify_result();
    let certificate = stream.ssl().peer_certificate();
    let certificate = certificate.as_deref();
    let reason = || verdict.error_string().to_owned();
    match verdict.as_raw() {
        _ if verdict == X509VerifyResult::OK => None,
        CERT_HAS_EXPIRED => Some(Finding::ServerExpired(certificate.map_or_else(reason, |one| one.not_after().to_string()))),
        CERT_NOT_YET_VALID => Some(Finding::ServerNotYetValid(certificate.map_or_else(reason, |one| one.not_before().to_string()))),
        HOSTNAME_MISMATCH | IP_ADDRESS_MISMATCH => Some(Finding::OtherName(certificate.map_or_else(reason, names))),
        code if UNKNOWN_ISSUER.contains(&code) => Some(Finding::UnknownCa(reason())),
        _ => Some(Finding::ServerCertificate(reason())),
    }
}

fn names(certificate: &X509Ref) -> String {
    let names = certificate.subject_alt_names();
    let names = names.iter().flatten().filter_map(|name| {
        let address = |bytes: &[u8]| {
            let four = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
            four.or_else(|_| <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from)).ok()
        };
        name.dnsname().map(str::to_owned).or_else(|| name.ipaddress().and_then(address).map(|address| address.to_string()))
    });
    let names: Vec<String> = names.take(8).collect();
    if names.is_empty() { "it names none".to_owned() } else { format!("it is for {}", names.join(", ")) }
}

/// With TLS 1.3 the server judges the agent's certificate after the client's handshake is over.
fn verdict(stream: &mut SslStream<TcpStream>, shown: &Shown<'_>, deadline: Deadline) -> Option<Finding> {
    let patience = deadline.or_after(VERDICT).left().max(Duration::from_millis(1));
    stream.get_ref().set_read_timeout(Some(patience)).ok()?;
    let mut byte = [0];
    match stream.ssl_read(&mut byte) {
        Ok(_) => None,
        // Some servers, gRPC's own among them, hang up without the alert.
        Err(error) if is_end(&error) => Some(match shown.certificate {
            None => Finding::ClosedWithoutCertificate,
            Some((chain, _)) if is_over(chain) => Finding::CertificateExpired,
            Some(_) => Finding::ClosedWithCertificate,
        }),
        Err(error) => of_reasons(&reasons(&error), shown),
    }
}

fn is_end(error: &openssl::ssl::Error) -> bool {
    let cut = error.io_error().is_none_or(|error| matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof));
    let silent =
        error.ssl_error().is_none_or(|stack| stack.errors().iter().all(|one| one.reason().is_some_and(|reason| reason.contains("eof"))));
    cut && silent
}

/// By this host's clock.
fn is_over(chain: &[u8]) -> bool {
    let leaf = X509::stack_from_pem(chain).ok().and_then(|chain| chain.into_iter().next());
    leaf.zip(Asn1Time::days_from_now(0).ok()).is_some_and(|(leaf, now)| leaf.not_after() < now)
}

fn reasons(error: &openssl::ssl::Error) -> Vec<String> {
    let stack = error.ssl_error().map(|stack| stack.errors().iter().filter_map(openssl::error::Error::reason));
    stack.into_iter().flatten().map(str::to_ascii_lowercase).collect()
}

/// OpenSSL's names of alerts and of its own errors (sslerr.h).
fn of_reasons(reasons: &[String], shown: &Shown<'_>) -> Option<Finding> {
    let has = |part: &str| reasons.iter().any(|reason| reason.contains(part));
    let all = || reasons.join(", ");
    if has("wrong version number")
        || has("http request")
        || has("packet length too long")
        || has("unknown protocol")
        || has("bad record type")
    {
        Some(Finding::NotTls)
    } else if has("alert certificate expired") {
        Some(Finding::CertificateExpired)
    } else if has("alert certificate revoked") {
        Some(Finding::CertificateRevoked)
    } else if has("alert unknown ca") {
        Some(Finding::CertificateUnknownCa)
    } else if has("alert certificate required") || has("alert handshake failure") && shown.certificate.is_none() {
        Some(Finding::CertificateRequired)
    } else if has("alert") && (has("certificate") || has("decrypt error") || has("access denied")) {
        Some(Finding::CertificateRefused(all()))
    } else if has("alert protocol version") || has("unsupported protocol") || has("no shared cipher") || has("alert insufficient security")
    {
        Some(Finding::NoCommonTls(all()))
    } else {
        None
    }
}

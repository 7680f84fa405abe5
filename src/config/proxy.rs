//! The proxy that leads out of a network, and the hosts that are reached without it. Pure.

use super::values::{GrpcUrl, Transport, host_and_port};
use crate::domain::Sensitive;
use std::net::IpAddr;

/// Where a proxy listens that names no port, as for any other `http://`.
const DEFAULT_PORT: u16 = 80;

/// `[network]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// The proxy for what is spoken with TLS, if there is one.
    pub https_proxy: Option<Proxy>,
    /// Whom it is not for.
    pub no_proxy: Vec<Direct>,
}

/// An HTTP proxy that is asked with CONNECT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// `host:port`: what may be shown.
    pub address: String,
    /// `http://[USER:PASSWORD@]host:port`.
    pub url: Sensitive<String>,
}

/// A host, or a group of them, that is reached without the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Direct {
    /// `*`: all.
    All,
    /// `example.com` or `.example.com`: it and what ends in it; with a port only that one.
    Domain(String, Option<u16>),
    /// `10.0.0.0/8`, or one address as a network of its whole length.
    Network(IpAddr, u8, Option<u16>),
}

impl Network {
    /// The proxy to reach the control plane through. What is spoken in clear goes directly: an `https_proxy` is not
    /// meant for it.
    #[must_use]
    pub fn proxy_for(&self, url: &GrpcUrl) -> Option<&Proxy> {
        let (host, port) = url.authority.rsplit_once(':').filter(|_| url.transport == Transport::Tls)?;
        self.proxy_to(host.trim_matches(['[', ']']), port.parse().ok()?)
    }

    /// The proxy to reach a host through that is spoken to with TLS.
    #[must_use]
    pub fn proxy_to(&self, host: &str, port: u16) -> Option<&Proxy> {
        self.https_proxy.as_ref().filter(|_| !self.no_proxy.iter().any(|direct| direct.is_for(host, port)))
    }
}

impl Proxy {
    /// Reads `http://[USER:PASSWORD@]HOST[:PORT]`. What is wrong is said without the text: it may hold a password.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let rest = match text.split_once("://") {
            Some(("http", rest)) => rest,
            Some(_) => return Err("must begin with http://: the agent speaks to its proxy in clear, and through it with TLS".to_owned()),
            None => text,
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (login, host) = rest.rsplit_once('@').map_or((None, rest), |(login, host)| (Some(login), host));
        let broken = rest.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '/' | '?' | '#'));
        let address = host_and_port(host, DEFAULT_PORT).ok().filter(|_| !broken);
        let Some(address) = address else {
            return Err("is no proxy: write http://host:port or http://user:password@host:port, with other characters of the login \
                        as %XX"
                .to_owned());
        };
        let url = login.map_or_else(|| format!("http://{address}"), |login| format!("http://{login}@{address}"));
        Ok(Self { address, url: Sensitive::new(url) })
    }

    /// `user:password` as they are, where the proxy wants a login.
    #[must_use]
    pub fn login(&self) -> Option<Sensitive<String>> {
        let (login, _) = self.url.reveal().strip_prefix("http://")?.rsplit_once('@')?;
        Some(Sensitive::new(decoded(login)))
    }
}

/// `%40` is `@` (RFC 3986, section 2.1); what is no such triplet stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let digits = tail.get(..2).filter(|_| first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Direct {
    /// Reads one item of `no_proxy`, as curl and Go do.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no host, domain, address or network such as 10.0.0.0/8");
        if text == "*" {
            return Ok(Self::All);
        }
        if let Some((address, length)) = text.split_once('/') {
            let address: IpAddr = address.parse().map_err(|_| wrong())?;
            let length = length.parse().ok().filter(|&length| length <= bits(address)).ok_or_else(wrong)?;
            return Ok(Self::Network(address, length, None));
        }
        if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Ok(Self::Network(address, bits(address), None));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| wrong())?)),
            None => (text, None),
        };
        if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Ok(Self::Network(address, bits(address), port));
        }
        let domain = host.strip_prefix('*').unwrap_or(host).trim_start_matches('.').to_ascii_lowercase();
        let plain = domain.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'));
        if domain.is_empty() || !plain { Err(wrong()) } else { Ok(Self::Domain(domain, port)) }
    }

    fn is_for(&self, host: &str, port: u16) -> bool {
        match self {
            Self::All => true,
            Self::Domain(domain, only) => {
                let host = host.trim_end_matches('.').to_ascii_lowercase();
                let within = host.strip_suffix(domain.as_str()).is_some_and(|front| front.is_empty() || front.ends_with('.'));
                within && only.is_none_or(|only| only == port)
            }
            Self::Network(network, length, only) => {
                let inside = host.parse().is_ok_and(|address| is_inside(address, *network, *length));
                inside && only.is_none_or(|only| only == port)
            }
        }
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn is_inside(address: IpAddr, network: IpAddr, length: u8) -> bool {
    let (address, network, bits) = match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => (u128::from(address.to_bits()), u128::from(network.to_bits()), 32),
        (IpAddr::V6(address), IpAddr::V6(network)) => (address.to_bits(), network.to_bits(), 128),
        _ => return false,
    };
    let ignored = bits - u32::from(length);
    // A shift by the whole width is none: of nothing, everything is inside.
    ignored >= 128 || (address ^ network) >> ignored == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_read_and_its_login_is_never_shown() {
        let read = |text| Proxy::parse(text).map(|proxy| (proxy.address.clone(), proxy.url.reveal().clone())).ok();
        let pair = |address: &str, url: &str| Some((address.to_owned(), url.to_owned()));
        assert_eq!(read("http://proxy:3128"), pair("proxy:3128", "http://proxy:3128"));
        assert_eq!(read("proxy.example.com"), pair("proxy.example.com:80", "http://proxy.example.com:80"));
        assert_eq!(read("http://u:p%40ss@[::1]:8/"), pair("[::1]:8", "http://u:p%40ss@[::1]:8"));
        let login = |text| Proxy::parse(text).unwrap().login().map(|login| login.reveal().clone());
        assert_eq!(login("http://u:p%40s%zz%3a@p:1").as_deref(), Some("u:p@s%zz:"));
        assert_eq!(login("http://p:1"), None);
        for bad in ["https://proxy:1", "socks5://proxy:1", "http://", "http://u:canary@", "http://u:canary/x@p:1", "http://p:canary", ""] {
            let error = Proxy::parse(bad).unwrap_err();
            assert!(!error.contains("canary"), "{error}");
        }
        assert!(!format!("{:?}", Proxy::parse("http://u:canary@p:1").unwrap()).contains("canary"));
    }

    #[test]
    fn what_goes_directly_is_decided_as_curl_does() {
        let url = |text| GrpcUrl::parse(text).unwrap();
        for (no_proxy, target, through) in [
            ("", "https://cp.example.com", true),
            ("", "http://cp.example.com", false),
            ("*", "https://cp.example.com", false),
            ("example.com", "https://cp.example.com", false),
            (".example.com", "https://CP.example.com:7", false),
            ("*.example.com", "https://cp.example.com", false),
            ("example.com", "https://example.com", false),
            ("example.com", "https://cpexample.com", true),
            ("cp.example.com:444", "https://cp.example.com", true),
            ("cp.example.com:443", "https://cp.example.com", false),
            ("10.0.0.0/8", "https://10.1.2.3", false),
            ("10.0.0.0/8", "https://11.1.2.3", true),
            ("10.1.2.3", "https://10.1.2.3", false),
            ("10.1.2.3:7", "https://10.1.2.3", true),
            ("0.0.0.0/0", "https://10.1.2.3", false),
            ("::1", "https://[::1]:5", false),
            ("[::1]:6", "https://[::1]:5", true),
            ("::/0", "https://[fe80::1]:5", false),
            ("fe80::/10", "https://[::1]:5", true),
        ] {
            let no_proxy = if no_proxy.is_empty() { Vec::new() } else { vec![Direct::parse(no_proxy).unwrap()] };
            let network = Network { https_proxy: Some(Proxy::parse("http://proxy:1").unwrap()), no_proxy };
            assert_eq!(network.proxy_for(&url(target)).is_some(), through, "{:?} {target}", network.no_proxy);
        }
        for bad in ["", ".", "a b", "10.0.0.0/33", "x/8", "host:port", "http://x"] {
            assert!(Direct::parse(bad).is_err(), "{bad}");
        }
    }
}

//! Published ports: the short form as docker/go-connections' `nat` reads it, the long form as it stands.

use super::ignored::Shape;
use super::item::Item;
use crate::stack::StackError;
use crate::stack::spec::PortConfig;
use crate::stack::yaml::Value;

/// All ports of a service, in the order of the file.
pub fn read(item: &Item<'_>) -> Result<Vec<PortConfig>, StackError> {
    let mut ports = Vec::new();
    for port in item.list()? {
        ports.extend(entry(&port)?);
    }
    Ok(ports)
}

/// One entry; a range is several ports.
pub fn entry(item: &Item<'_>) -> Result<Vec<PortConfig>, StackError> {
    if matches!(item.node.value, Value::Map(_)) {
        return Ok(vec![long(item)?]);
    }
    let text = match &item.node.value {
        Value::Float(_) => return Err(item.invalid("must be a port, is a number with a fraction: quote it")),
        _ => item.scalar()?,
    };
    let short = short(&text).map_err(|problem| item.invalid(format!("{text:?} is no port: {problem}")))?;
    for why in short.ignored {
        item.warn(why);
    }
    item.cx.count_ports(item.at(), &item.key, short.ports.len())?;
    Ok(short.ports)
}

fn long(item: &Item<'_>) -> Result<PortConfig, StackError> {
    let mut fields = item.fields()?;
    let number = |item: &Item<'_>| -> Result<u32, StackError> {
        let number = item.count()?;
        u32::try_from(number).map_err(|_| item.invalid(format!("{number} is no port")))
    };
    let port = PortConfig {
        name: String::new(),
        protocol: fields.read("protocol", Item::text)?.unwrap_or_default(),
        target_port: fields.read("target", number)?.unwrap_or_default(),
        published_port: fields.read("published", number)?.unwrap_or_default(),
        publish_mode: fields.read("mode", Item::text)?.unwrap_or_default(),
    };
    fields.ignore(&[
        ("host_ip", Shape::Text, "a service listens on all addresses of a node"),
        ("name", Shape::Text, "Swarm's ports have no names"),
        ("app_protocol", Shape::Text, "Swarm does not know the protocol that a port speaks"),
    ])?;
    fields.finish()?;
    item.cx.count_ports(item.at(), &item.key, 1)?;
    Ok(port)
}

/// The ports of the short form.
pub fn short_ports(text: &str) -> Result<Vec<PortConfig>, String> {
    short(text).map(|short| short.ports)
}

#[derive(Debug, PartialEq, Eq)]
struct Short {
    ports: Vec<PortConfig>,
    /// What has no effect, and why.
    ignored: Vec<String>,
}

/// `[IP:][HOST:]CONTAINER[/PROTOCOL]`, each port or range. What follows a protocol or a range is passed
/// over, as in the CLI.
fn short(text: &str) -> Result<Short, String> {
    let (before, container) = text.rsplit_once(':').map_or((None, text), |(before, container)| (Some(before), container));
    let (ip, host) = match before {
        None => ("", ""),
        Some(before) => before.rsplit_once(':').unwrap_or(("", before)),
    };
    let mut ignored = Vec::new();
    let (container, protocol) = container.split_once('/').unwrap_or((container, ""));
    let protocol = before_more(protocol, '/', &mut ignored);
    let protocol = if protocol.is_empty() { "tcp".to_owned() } else { protocol.to_lowercase() };
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(format!("the protocol {protocol:?} is none of tcp, udp and sctp"));
    }
    let address = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
    if !address.is_empty() && address.parse::<std::net::IpAddr>().is_err() {
        return Err(format!("{address:?} is no IP address"));
    }
    let (first, last) = range(container, &mut ignored)?;
    let (host_first, host_last) = if host.is_empty() { (0, 0) } else { range(host, &mut ignored)? };
    let port = |target, published| PortConfig {
        protocol: protocol.clone(),
        target_port: target,
        published_port: published,
        publish_mode: "ingress".to_owned(),
        ..PortConfig::default()
    };
    let mut ports: Vec<PortConfig> = if host.is_empty() {
        (first..=last).map(|target| port(target, 0)).collect()
    } else if first == last {
        // One container port takes all of the host's: each is published.
        (host_first..=host_last).map(|published| port(first, published)).collect()
    } else if last - first == host_last - host_first {
        (first..=last).map(|target| port(target, host_first + target - first)).collect()
    } else {
        return Err("the two ranges differ in length".to_owned());
    };
    // The CLI walks the container ports in the order of their texts.
    ports.sort_by_cached_key(|port| format!("{}/{}", port.target_port, port.protocol));
    if !matches!(address, "" | "0.0.0.0" | "::") {
        ignored.push(format!("the address {address} is ignored: a service listens on all addresses of a node"));
    }
    Ok(Short { ports, ignored })
}

fn before_more<'a>(text: &'a str, separator: char, ignored: &mut Vec<String>) -> &'a str {
    let Some((text, more)) = text.split_once(separator) else { return text };
    ignored.push(format!("{more:?} after {text:?} has no effect"));
    text
}

fn range(text: &str, ignored: &mut Vec<String>) -> Result<(u32, u32), String> {
    let port = |part: &str| -> Result<u32, String> {
        // A sign would pass `parse`.
        let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let port: Option<u16> = if digits { part.parse().ok() } else { None };
        port.map(u32::from).ok_or_else(|| format!("{part:?} is no number from 0 to 65535"))
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let last = before_more(last, '-', ignored);
    let (first, last) = (port(first)?, port(last)?);
    if first > last { Err(format!("the range {text} runs backwards")) } else { Ok((first, last)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(u32, u32, String)> {
        short(text).unwrap().ports.into_iter().map(|port| (port.published_port, port.target_port, port.protocol)).collect()
    }

    #[test]
    fn short_ports_are_those_of_the_cli() {
        let tcp = |published, target| (published, target, "tcp".to_owned());
        for (text, ports) in [
            ("80", vec![tcp(0, 80)]),
            ("8080:80", vec![tcp(8080, 80)]),
            ("0:80", vec![tcp(0, 80)]),
            ("53:53/UDP", vec![(53, 53, "udp".to_owned())]),
            ("8000-8002:80", vec![tcp(8000, 80), tcp(8001, 80), tcp(8002, 80)]),
            ("999-1000:999-1000", vec![tcp(1000, 1000), tcp(999, 999)]),
            ("127.0.0.1::80", vec![tcp(0, 80)]),
            ("[::1]:81:80", vec![tcp(81, 80)]),
        ] {
            assert_eq!(pairs(text), ports, "{text}");
        }
        for (text, ignored) in [("127.0.0.1:81:80", 1), ("0.0.0.0:81:80", 0), ("80/tcp/udp", 1), ("80-81-90:1-2", 1)] {
            assert_eq!(short(text).unwrap().ignored.len(), ignored, "{text}");
        }
    }

    #[test]
    fn a_bad_port_is_refused() {
        for text in ["", " 80:80", "70000:80", "8000-8002:80-81", "81-80", "80/foo", "a:80", "1.2.3:80:80", "+80", "80:"] {
            assert!(short(text).is_err(), "{text}");
        }
    }
}

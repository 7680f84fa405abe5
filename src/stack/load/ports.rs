//! `ports` of a service: the short form as docker/go-connections' `nat` reads it, the long form as it stands; and what makes
//! two entries the same port where files are merged (docs/compose.md, D2). Pure.

use super::context::{Counted, MAX_PORTS};
use super::ignored::Shape;
use super::item::Item;
use crate::stack::StackError;
use crate::stack::spec::PortConfig;
use crate::stack::yaml::{Key, Node, Value};

/// What ranges stand for in the long form: each port takes some 80 bytes, and the file must be small enough to be read
/// again. Further ranges stay as they are.
const MAX_LONG_FORMS: usize = 1024;

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
    short.ignored.iter().for_each(|why| item.warn(why));
    item.cx.count(Counted::Ports, item.at(), &item.path, short.count())?;
    Ok(short.ports())
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
    item.cx.count(Counted::Ports, item.at(), &item.path, 1)?;
    Ok(port)
}

/// A list in which every port stands by itself, so that ports can be compared: ranges are written out, and
/// `grown` counts what they stand for. What cannot be read stays as it is, and reading it says why.
pub fn singles(node: Node, grown: &mut usize) -> Node {
    written_out(node, grown, MAX_PORTS)
}

fn written_out(node: Node, grown: &mut usize, limit: usize) -> Node {
    let Value::List(items) = node.value else { return node };
    let expand = |item: Node| {
        let Some(short) = short_of(&item).filter(|short| short.count() > 1) else { return vec![item] };
        *grown += short.count();
        if *grown > limit {
            return vec![item];
        }
        // An address has no effect, which reading the port says.
        let address = if short.address.is_empty() { String::new() } else { format!("[{}]:", short.address) };
        let text = |port: PortConfig| match port.published_port {
            0 if address.is_empty() => format!("{}/{}", port.target_port, port.protocol),
            published => format!("{address}{published}:{}/{}", port.target_port, port.protocol),
        };
        short.ports().into_iter().map(|port| Node::new(item.at, Value::Text(text(port)))).collect()
    };
    Node { value: Value::List(items.into_iter().flat_map(expand).collect()), at: node.at, merging: node.merging }
}

/// What makes an entry the same port as another: published, target, protocol and mode.
#[must_use]
pub fn identity(node: &Node) -> Option<String> {
    if let Some(short) = short_of(node) {
        let published = short.host.map_or(0, |(first, _)| first);
        return Some(format!("{published}/{}/{}/ingress", short.container.0, short.protocol));
    }
    let part = |name, default: &str| node.get(name).and_then(Node::scalar).unwrap_or_else(|| default.to_owned());
    let is_long = matches!(node.value, Value::Map(_));
    is_long.then(|| [part("published", "0"), part("target", ""), part("protocol", "tcp"), part("mode", "ingress")].join("/"))
}

/// Every port in the long form; ranges become several, up to [`MAX_LONG_FORMS`] in all.
pub fn long_forms(node: Node, grown: &mut usize) -> Node {
    let node = written_out(node, grown, MAX_LONG_FORMS);
    let Value::List(items) = node.value else { return node };
    let long = |item: Node| {
        let Some(short) = short_of(&item).filter(|short| short.count() == 1) else { return item };
        let entry = |text: &str, value: Value| (Key { at: item.at, text: text.to_owned() }, Node::new(item.at, value));
        let mut entries = vec![entry("target", Value::Int(short.container.0.into()))];
        if let Some((published, _)) = short.host.filter(|(published, _)| *published > 0) {
            entries.push(entry("published", Value::Int(published.into())));
        }
        entries.extend([entry("protocol", Value::Text(short.protocol)), entry("mode", Value::Text("ingress".to_owned()))]);
        Node::new(item.at, Value::Map(entries))
    };
    Node { value: Value::List(items.into_iter().map(long).collect()), at: node.at, merging: node.merging }
}

fn short_of(node: &Node) -> Option<Short> {
    short(&node.scalar()?).ok()
}

/// The short form, its ranges not yet written out: a few bytes may stand for 65 536 ports.
#[derive(Debug)]
struct Short {
    /// Where a container would listen.
    address: String,
    /// Published ports, first and last; none is chosen by Swarm.
    host: Option<(u32, u32)>,
    container: (u32, u32),
    protocol: String,
    /// What has no effect, and why.
    ignored: Vec<String>,
}

impl Short {
    fn count(&self) -> usize {
        let (first, last) = self.host.filter(|_| self.container.0 == self.container.1).unwrap_or(self.container);
        (last - first) as usize + 1
    }

    /// Each port, in the order in which the CLI walks them: that of the container ports' texts.
    fn ports(&self) -> Vec<PortConfig> {
        let (first, last) = self.container;
        let port = |target, published| PortConfig {
            protocol: self.protocol.clone(),
            target_port: target,
            published_port: published,
            publish_mode: "ingress".to_owned(),
            ..PortConfig::default()
        };
        let mut ports: Vec<PortConfig> = match self.host {
            None => (first..=last).map(|target| port(target, 0)).collect(),
            // One container port takes all of the host's: each is published.
            Some((from, to)) if first == last => (from..=to).map(|published| port(first, published)).collect(),
            Some((from, _)) => (first..=last).map(|target| port(target, from + target - first)).collect(),
        };
        ports.sort_by_cached_key(|port| format!("{}/{}", port.target_port, port.protocol));
        ports
    }
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
    let container = range(container, &mut ignored)?;
    let host = if host.is_empty() { None } else { Some(range(host, &mut ignored)?) };
    let length = |(first, last): (u32, u32)| last - first;
    if host.is_some_and(|host| length(container) > 0 && length(host) != length(container)) {
        return Err("the two ranges differ in length".to_owned());
    }
    if !matches!(address, "" | "0.0.0.0" | "::") {
        ignored.push(format!("the address {address} is ignored: a service listens on all addresses of a node"));
    }
    Ok(Short { address: address.to_owned(), host, container, protocol, ignored })
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
        short(text).unwrap().ports().into_iter().map(|port| (port.published_port, port.target_port, port.protocol)).collect()
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

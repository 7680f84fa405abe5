//! Each name of the configuration, resolved as the agent resolves it. A resolver may hang for half a minute: each name has
//! a thread of its own, which is left behind.

use super::catalogue::NETWORK_DNS;
use super::{Finding, Kafka, QUESTION, Settings};
use crate::control_plane::Route;
use crate::threads::{Deadline, ThreadName, spawn};
use crossbeam_channel::bounded;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::time::{Duration, Instant};

const THREAD: ThreadName = ThreadName::new("doctor-name");
/// A fleet's configuration names a few brokers; of more the first are looked at.
const MAX_NAMES: usize = 16;
/// A name that takes longer makes each new connection slow.
const SLOW: Duration = Duration::from_secs(1);
/// So many addresses of a name are shown.
const SHOWN: usize = 4;

/// What came of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    addresses: Result<Vec<IpAddr>, String>,
    took: Duration,
}

pub(super) fn look(settings: &Settings, deadline: Deadline) -> Vec<Finding> {
    let names = names(settings);
    if names.is_empty() {
        return vec![NETWORK_DNS.ok("the configuration has no name to resolve")];
    }
    let deadline = deadline.min(Deadline::after(QUESTION));
    let (answers, answered) = bounded(names.len());
    let (exits, _unread) = bounded(names.len());
    for (host, port) in names.clone() {
        let answers = answers.clone();
        let started = spawn(THREAD, exits.clone(), move || {
            drop(answers.send((host.clone(), resolve(&host, port))));
            Ok::<(), Infallible>(())
        });
        if let Err(error) = started {
            log::debug!("no thread to resolve a name: {error}");
        }
    }
    // Its own end would keep the channel open.
    drop(answers);
    let mut came: BTreeMap<String, Answer> = BTreeMap::new();
    while let Ok((host, answer)) = answered.recv_deadline(deadline.instant()) {
        came.insert(host, answer);
    }
    names.into_keys().map(|host| judge(&host, came.get(&host)).about(host)).collect()
}

fn resolve(host: &str, port: u16) -> Answer {
    let started = Instant::now();
    let addresses = (host, port).to_socket_addrs().map(|found| found.map(|address| address.ip()).collect());
    Answer { addresses: addresses.map_err(|error| error.to_string()), took: started.elapsed() }
}

/// Hosts with a port, but for those that are addresses.
fn names(settings: &Settings) -> BTreeMap<String, u16> {
    let kafka = match &settings.kafka {
        Kafka::Off => &[][..],
        Kafka::Reached(kafka) | Kafka::Nameless(kafka, _) => kafka.brokers.as_slice(),
    };
    let control_plane = settings.control_plane.as_ref().map(|plane| match &plane.settings.route {
        Route::Direct => &plane.settings.endpoint.target,
        // The other name is the proxy's to resolve.
        Route::Through(proxy) => &proxy.address,
    });
    kafka.iter().chain(control_plane).filter_map(|address| split(address)).take(MAX_NAMES).collect()
}

/// `host:port`; none where the host is an address.
fn split(address: &str) -> Option<(String, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_address = host.parse::<IpAddr>().is_ok();
    (!is_address && !host.is_empty()).then_some((host.to_owned(), port.parse().ok()?))
}

fn judge(host: &str, answer: Option<&Answer>) -> Finding {
    let Some(Answer { addresses, took }) = answer else {
        return NETWORK_DNS.fail(format!("{host}: no answer within {} s", QUESTION.as_secs()));
    };
    match addresses {
        Err(reason) => NETWORK_DNS.fail(format!("{host} has no address: {reason}")),
        Ok(addresses) => {
            let mut unique: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            unique.dedup();
            let more = unique.len().saturating_sub(SHOWN);
            unique.truncate(SHOWN);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let summary = format!("{}{more} in {} ms", unique.join(", "), took.as_millis());
            if *took > SLOW { NETWORK_DNS.warn(summary) } else { NETWORK_DNS.ok(summary) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn an_address_needs_no_resolver() {
        assert_eq!(split("kafka-1.example.com:9092"), Some(("kafka-1.example.com".to_owned(), 9092)));
        for address in ["10.0.0.1:9092", "[::1]:9092", "no-port", ":9092"] {
            assert_eq!(split(address), None, "{address}");
        }
    }

    #[test]
    fn a_name_is_known_slow_unknown_or_never_answered() {
        let of = |addresses, millis| Answer { addresses, took: Duration::from_millis(millis) };
        let there = || Ok(vec!["127.0.0.1".parse().unwrap(); 2]);
        for (answer, state, part) in [
            (Some(of(there(), 5)), State::Ok, "127.0.0.1 in 5 ms"),
            (Some(of(there(), 1500)), State::Warn, "1500 ms"),
            (Some(of(Err("unknown".into()), 5)), State::Fail, "unknown"),
            (None, State::Fail, "no answer"),
        ] {
            let finding = judge("h", answer.as_ref());
            assert_eq!(finding.state, state, "{finding:?}");
            assert!(finding.summary.contains(part), "{finding:?}");
        }
        assert!(resolve("localhost", 1).addresses.is_ok_and(|found| !found.is_empty()));
    }
}

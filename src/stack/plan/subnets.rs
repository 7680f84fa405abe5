//! Addresses of networks that are taken already. Pure.
//!
//! A swarm takes the definition of an overlay network whose subnet overlaps another one's, and never gives it its addresses
//! (libnetwork, ipam: "Pool overlaps with other one on this address space"): its tasks stay new, and nothing says why. A node says the
//! same of a network whose addresses one has there that the swarm has removed, and rejects the task.

use super::{Action, NetworkPlan, Plan, Unplannable};
use crate::stack::held::Network;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The driver whose addresses the swarm gives out.
const OVERLAY: &str = "overlay";

/// Some addresses that begin alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Subnet {
    first: IpAddr,
    prefix: u32,
}

impl Subnet {
    fn of(text: &str) -> Option<Self> {
        let (first, prefix) = text.split_once('/')?;
        let (first, prefix) = (first.parse::<IpAddr>().ok()?, prefix.parse().ok()?);
        let most = if first.is_ipv4() { u32::BITS } else { u128::BITS };
        (prefix <= most).then_some(Self { first, prefix })
    }

    /// One address alone.
    fn of_address(text: &str) -> Option<Self> {
        let first = text.parse::<IpAddr>().ok()?;
        Some(Self { first, prefix: if first.is_ipv4() { u32::BITS } else { u128::BITS } })
    }

    fn overlaps(self, other: Self) -> bool {
        let prefix = self.prefix.min(other.prefix);
        match (self.first, other.first) {
            (IpAddr::V4(one), IpAddr::V4(two)) => (one.to_bits() ^ two.to_bits()).checked_shr(u32::BITS - prefix).unwrap_or(0) == 0,
            (IpAddr::V6(one), IpAddr::V6(two)) => (one.to_bits() ^ two.to_bits()).checked_shr(u128::BITS - prefix).unwrap_or(0) == 0,
            _ => false,
        }
    }
}

/// Whether a plan makes a network with addresses of its own: then [`check_subnets`] has something to look for.
#[must_use]
pub fn names_subnets(plan: &Plan) -> bool {
    made(plan).any(|network| subnets(&network.spec["IPAM"]).next().is_some())
}

/// Refuses subnets that overlap. `there` are all networks of the swarm; those that this plan makes anew give their addresses back, and
/// so do those that are going.
///
/// # Errors
/// With the subnet, and the network that has it.
pub fn check_subnets(plan: &Plan, there: &[Network]) -> Result<(), Unplannable> {
    let goes = |network: &Network| plan.networks.iter().filter_map(NetworkPlan::replaced).any(|gone| gone.id == network.id);
    let is_of_swarm = |network: &&Network| network.driver == OVERLAY && network.scope == "swarm" && !is_given_by_others(&network.ipam);
    let stays = there.iter().filter(is_of_swarm).filter(|network| !network.lingers() && !goes(network));
    let mut taken: Vec<(&str, Subnet)> = Vec::new();
    for network in stays {
        taken.extend(subnets(&network.ipam).map(|(_, subnet)| (network.name.as_str(), subnet)));
    }
    for network in made(plan) {
        let own: Vec<(&str, Subnet)> = subnets(&network.spec["IPAM"]).collect();
        for (text, subnet) in &own {
            if let Some((other, _)) = taken.iter().find(|(_, taken)| taken.overlaps(*subnet)) {
                let (network, subnet, other) = (network.name.clone(), (*text).to_owned(), (*other).to_owned());
                return Err(Unplannable::SubnetTaken { network, subnet, other });
            }
        }
        taken.extend(own.iter().map(|(_, subnet)| (network.name.as_str(), *subnet)));
    }
    Ok(())
}

/// Whether a network that the plan makes has addresses that one gives back only when it is made anew.
#[must_use]
pub fn waits_for_addresses(network: &NetworkPlan, networks: &[NetworkPlan]) -> bool {
    let given_back = networks.iter().filter_map(NetworkPlan::replaced).flat_map(|gone| subnets(&gone.ipam));
    let given_back: Vec<Subnet> = given_back.map(|(_, subnet)| subnet).collect();
    network.action == Action::Create && subnets(&network.spec["IPAM"]).any(|(_, own)| given_back.iter().any(|gone| gone.overlaps(own)))
}

/// Of all networks, as a list has them, one that is going and has addresses that one with an id in `new` was given.
#[must_use]
pub fn holder_of_addresses<'a>(new: &BTreeSet<String>, there: &'a [Network]) -> Option<&'a Network> {
    let given: Vec<Subnet> =
        there.iter().filter(|network| new.contains(&network.id)).flat_map(|network| subnets(&network.ipam)).map(|(_, own)| own).collect();
    there
        .iter()
        .filter(|network| network.lingers())
        .find(|going| subnets(&going.ipam).any(|(_, held)| given.iter().any(|own| own.overlaps(held))))
}

/// The overlay networks that the plan makes.
fn made(plan: &Plan) -> impl Iterator<Item = &NetworkPlan> {
    let is_overlay = |spec: &Value| spec["Driver"].as_str().is_none_or(|driver| driver.is_empty() || driver == OVERLAY);
    plan.networks
        .iter()
        .filter(|network| network.action.is_sent())
        .filter(move |network| is_overlay(&network.spec) && !is_given_by_others(&network.spec["IPAM"]))
}

/// What is wrong with the addresses of a network's spec (swarmkit, `validateIPAMConfiguration`).
pub(super) fn address_fault(spec: &Value) -> Option<String> {
    spec["IPAM"]["Config"].as_array().into_iter().flatten().find_map(|config| {
        let text = config["Subnet"].as_str().unwrap_or_default();
        let Some(subnet) = Subnet::of(text) else { return Some(format!("its subnet {text:?} is not of the form 10.0.9.0/24")) };
        let outside = |key: &str, of: fn(&str) -> Option<Subnet>| {
            let text = config[key].as_str().filter(|text| !text.is_empty())?;
            let is_inside = of(text).is_some_and(|part| part.prefix >= subnet.prefix && part.overlaps(subnet));
            (!is_inside).then(|| text.to_owned())
        };
        let range = outside("IPRange", Subnet::of).map(|range| format!("its ip_range {range:?} is not one of the subnet {text}"));
        range.or_else(|| {
            outside("Gateway", Subnet::of_address).map(|gateway| format!("its gateway {gateway:?} is not in the subnet {text}"))
        })
    })
}

/// Whether it is a driver of its own that gives the addresses.
fn is_given_by_others(ipam: &Value) -> bool {
    ipam["Driver"].as_str().is_some_and(|driver| !matches!(driver, "" | "default"))
}

/// As they are written, and what that means.
fn subnets(ipam: &Value) -> impl Iterator<Item = (&str, Subnet)> {
    texts(ipam).filter_map(|text| Some((text, Subnet::of(text)?)))
}

fn texts(ipam: &Value) -> impl Iterator<Item = &str> {
    ipam["Config"].as_array().into_iter().flatten().filter_map(|config| config["Subnet"].as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_network_that_goes_may_hold_the_addresses_of_a_new_one() {
        let network = |id: &str, subnet: &str, containers: Value| -> Network {
            let ipam = json!({"Driver": "default", "Config": [{"Subnet": subnet}]});
            let all = json!({"Id": id, "Name": id, "Scope": "swarm", "Driver": "overlay", "IPAM": ipam, "Containers": containers});
            serde_json::from_value(all).unwrap()
        };
        let there = [
            network("new", "10.0.2.0/24", Value::Null),
            network("there", "10.0.2.0/24", Value::Null),
            network("going", "10.0.2.0/25", json!({})),
        ];
        let holder = |new: &str, there: &[Network]| holder_of_addresses(&[new.to_owned()].into(), there).map(|network| network.id.clone());
        assert_eq!(holder("new", &there), Some("going".to_owned()));
        assert_eq!(holder("new", &there[..2]), None, "it is not going");
        assert_eq!(holder("other", &there), None);
    }

    fn network(id: &str, name: &str, subnet: &str) -> Network {
        let ipam = json!({"Config": [{"Subnet": subnet}]});
        serde_json::from_value(json!({"Id": id, "Name": name, "Scope": "swarm", "Driver": "overlay", "IPAM": ipam})).unwrap()
    }

    fn plan(networks: &[(&str, Action, &str, Option<&Network>)]) -> Plan {
        let one = |(name, action, subnet, held): &(&str, Action, &str, Option<&Network>)| NetworkPlan {
            name: (*name).to_owned(),
            action: *action,
            reason: String::new(),
            changes: Vec::new(),
            spec: json!({"Name": name, "Driver": "overlay", "IPAM": {"Config": [{"Subnet": subnet}]}}),
            held: held.cloned(),
        };
        Plan { networks: networks.iter().map(one).collect(), ..Plan::default() }
    }

    #[test]
    fn subnets_overlap_where_the_shorter_prefix_is_the_same() {
        for (one, two, expected) in [
            ("10.1.0.0/24", "10.1.0.0/24", true),
            ("10.1.0.0/16", "10.1.7.0/24", true),
            ("10.1.0.5/24", "10.1.0.0/25", true),
            ("10.1.0.0/24", "10.1.1.0/24", false),
            ("0.0.0.0/0", "10.1.1.0/24", true),
            ("fd00::/64", "fd00::1:0:0:0/48", true),
            ("fd00::/64", "fd00:0:0:1::/64", false),
            ("10.1.0.0/24", "fd00::/8", false),
        ] {
            assert_eq!(Subnet::of(one).unwrap().overlaps(Subnet::of(two).unwrap()), expected, "{one} {two}");
        }
        assert!(["10.1.0.0", "10.1.0.0/33", "x/8", "fd00::/129"].iter().all(|text| Subnet::of(text).is_none()));
    }

    #[test]
    fn ranges_and_gateways_are_in_their_subnet() {
        let fault = |config: Value| address_fault(&json!({"IPAM": {"Config": [config]}}));
        for right in [
            json!({"Subnet": "10.9.0.0/24"}),
            json!({"Subnet": "10.9.0.0/24", "IPRange": "10.9.0.128/25", "Gateway": "10.9.0.1"}),
            json!({"Subnet": "fd00::/64", "Gateway": "fd00::1"}),
        ] {
            assert_eq!(fault(right.clone()), None, "{right}");
        }
        for (wrong, words) in [
            (json!({}), "its subnet \"\""),
            (json!({"Subnet": "10.9.0.0"}), "its subnet"),
            (json!({"Subnet": "10.9.0.0/24", "IPRange": "10.8.0.0/25"}), "ip_range \"10.8.0.0/25\""),
            (json!({"Subnet": "10.9.0.0/24", "Gateway": "10.8.0.1"}), "gateway \"10.8.0.1\""),
            (json!({"Subnet": "10.9.0.0/24", "Gateway": "x"}), "gateway \"x\""),
        ] {
            assert!(fault(wrong.clone()).unwrap_or_default().contains(words), "{wrong}");
        }
    }

    #[test]
    fn a_subnet_that_another_network_has_or_gets_is_refused() {
        let (old, foreign) = (network("1", "st_old", "10.1.0.0/24"), network("2", "x_n", "10.2.0.0/16"));
        let there = [old.clone(), foreign];
        let refused = |plan: &Plan| check_subnets(plan, &there).err().map(|error| error.to_string());
        let new = |subnet| plan(&[("st_new", Action::Create, subnet, None)]);
        assert!(names_subnets(&new("10.3.0.0/24")) && refused(&new("10.3.0.0/24")).is_none());
        assert!(refused(&new("10.2.7.0/24")).unwrap().contains("10.2.7.0/24 of the network st_new is one of x_n"));
        assert!(refused(&new("10.1.0.0/25")).unwrap().contains("st_old"));
        let two = plan(&[("st_a", Action::Create, "10.5.0.0/24", None), ("st_b", Action::Create, "10.5.0.0/16", None)]);
        assert!(refused(&two).unwrap().contains("is one of st_a"));
        let replaced = plan(&[("st_old", Action::Replace, "10.9.0.0/24", Some(&old)), ("st_new", Action::Create, "10.1.0.0/24", None)]);
        assert_eq!(refused(&replaced), None, "it gives its addresses back");
        let waits: Vec<bool> = replaced.networks.iter().map(|network| waits_for_addresses(network, &replaced.networks)).collect();
        assert_eq!(waits, [false, true]);
        let unchanged = plan(&[("st_old", Action::Unchanged, "10.1.0.0/24", Some(&old))]);
        assert!(!names_subnets(&unchanged) && refused(&unchanged).is_none());
    }
}

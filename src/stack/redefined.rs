//! Whether a network is what a body says, although the manager answers with more than it was sent. Pure.
//!
//! What it adds (20.10.24 and moby's `libnetwork/cnmallocator`): a subnet and a gateway where none was asked for, options
//! of its own. What it forgets: addresses that are taken already. A network without a driver is one that it could not
//! set up.

use super::change::Change;
use super::held::Network;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Options that the manager adds, of the driver and of its addresses.
const ADDED: &[&str] = &["com.docker.network.driver.overlay.vxlanid_list", "com.docker.network.ipam.serial"];
/// The driver of addresses where none is named.
const DEFAULT_IPAM: &str = "default";

/// The fields in which a network that is there differs from the body that would make it.
#[must_use]
pub fn changes(wanted: &Value, held: &Network) -> Vec<Change> {
    let mut found = Vec::new();
    let mut differ = |field: &str, now: &Value, then: &Value| {
        if now != then {
            found.push(Change::new(field.to_owned(), now, then));
        }
    };
    differ("Driver", &json!(held.driver), &wanted["Driver"]);
    differ("Options", &own(&held.options, &wanted["Options"]), &own(&wanted["Options"], &wanted["Options"]));
    differ("EnableIPv6", &json!(held.enable_ipv6), &json!(wanted["EnableIPv6"] == true));
    differ("Internal", &json!(held.internal), &json!(wanted["Internal"] == true));
    differ("Attachable", &json!(held.attachable), &json!(wanted["Attachable"] == true));
    let (now, then) = (&held.ipam, &wanted["IPAM"]);
    differ("IPAM.Driver", &json!(ipam_driver(now)), &json!(ipam_driver(then)));
    differ("IPAM.Options", &own(&now["Options"], &then["Options"]), &own(&then["Options"], &then["Options"]));
    if let Some(pools) = then["Config"].as_array().filter(|pools| !pools.is_empty()) {
        let asked: Vec<Value> = pools.iter().map(|pool| pool_of(pool, pool)).collect();
        let held = now["Config"].as_array().cloned().unwrap_or_default();
        let none = json!({});
        let held: Vec<Value> = held.iter().enumerate().map(|(n, pool)| pool_of(pool, pools.get(n).unwrap_or(&none))).collect();
        differ("IPAM.Config", &json!(held), &json!(asked));
    }
    let labels = wanted["Labels"].as_object().cloned().unwrap_or_default();
    let names: BTreeSet<&str> = labels.keys().map(String::as_str).chain(held.labels.keys().map(String::as_str)).collect();
    for name in names {
        let now = held.labels.get(name).map_or(Value::Null, |value| json!(value));
        differ(&format!("Labels.{name}"), &now, labels.get(name).unwrap_or(&Value::Null));
    }
    found
}

/// Options without those that the manager added to what was `asked`.
fn own(options: &Value, asked: &Value) -> Value {
    let is_own = |name: &str| !ADDED.contains(&name) || !asked[name].is_null();
    let all = options.as_object().into_iter().flatten();
    Value::Object(all.filter(|(name, _)| is_own(name)).map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>())
}

fn ipam_driver(ipam: &Value) -> &str {
    ipam["Driver"].as_str().filter(|driver| !driver.is_empty()).unwrap_or(DEFAULT_IPAM)
}

/// A pool of addresses, with the gateway only where one was `asked` for.
fn pool_of(pool: &Value, asked: &Value) -> Value {
    let mut told = Map::new();
    for field in ["Subnet", "IPRange", "Gateway"] {
        let text = pool[field].as_str().filter(|text| !text.is_empty());
        let wanted = field != "Gateway" || asked["Gateway"].as_str().is_some_and(|gateway| !gateway.is_empty());
        if let Some(text) = text.filter(|_| wanted) {
            told.insert(field.to_owned(), json!(address(text)));
        }
    }
    Value::Object(told)
}

/// An address or a range as engines write it: newer ones without the bits behind the prefix.
fn address(text: &str) -> String {
    let (ip, prefix) = text.split_once('/').map_or((text, None), |(ip, prefix)| (ip, prefix.parse::<u32>().ok()));
    match (ip.parse::<IpAddr>(), prefix) {
        (Ok(ip), None) => ip.to_string(),
        (Ok(IpAddr::V4(ip)), Some(prefix @ 0..=32)) => {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            format!("{}/{prefix}", std::net::Ipv4Addr::from(u32::from(ip) & mask))
        }
        (Ok(IpAddr::V6(ip)), Some(prefix @ 0..=128)) => {
            let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
            format!("{}/{prefix}", std::net::Ipv6Addr::from(u128::from(ip) & mask))
        }
        _ => text.to_owned(),
    }
}

/// The options that were asked for when a network was made.
#[must_use]
pub fn asked_for(held: &Value) -> Value {
    own(held, &Value::Null)
}

/// The addresses to ask for so that a network is made again as it was: its pools too, lest another one overlaps with what
/// its users know.
#[must_use]
pub fn addresses(held: &Value) -> Value {
    json!({"Driver": ipam_driver(held), "Options": own(&held["Options"], &Value::Null), "Config": held["Config"]})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(fields: &Value) -> Network {
        let mut whole = json!({
            "Id": "n", "Name": "st_n", "Scope": "swarm", "Driver": "overlay", "EnableIPv6": false, "Internal": false, "Attachable": false,
            "IPAM": {"Driver": "default", "Options": null, "Config": [{"Subnet": "10.0.1.0/24", "Gateway": "10.0.1.1"}]},
            "Options": {"com.docker.network.driver.overlay.vxlanid_list": "4097"}, "Labels": {"com.docker.stack.namespace": "st"},
        });
        fields.as_object().unwrap().iter().for_each(|(field, value)| whole[field] = value.clone());
        serde_json::from_value(whole).unwrap()
    }

    fn body(fields: &Value) -> Value {
        let mut whole = json!({
            "Name": "st_n", "CheckDuplicate": true, "Driver": "overlay", "Scope": "", "IPAM": null, "Internal": false, "Attachable": false,
            "Ingress": false, "ConfigOnly": false, "ConfigFrom": null, "Options": null, "Labels": {"com.docker.stack.namespace": "st"},
        });
        fields.as_object().unwrap().iter().for_each(|(field, value)| whole[field] = value.clone());
        whole
    }

    /// Bodies, and what a 20.10.24 manager was seen to answer.
    #[test]
    fn what_the_manager_adds_or_forgets_is_no_difference() {
        for (sent, held) in [
            (json!({}), json!({})),
            (json!({"IPAM": {"Driver": "", "Options": null, "Config": null}}), json!({})),
            (
                json!({"Options": {"encrypted": "", "com.docker.network.driver.mtu": "1400"}, "Attachable": true, "Internal": true}),
                json!({"Attachable": true, "Internal": true, "Options": {
                    "com.docker.network.driver.mtu": "1400", "com.docker.network.driver.overlay.vxlanid_list": "4098", "encrypted": ""
                }}),
            ),
            (
                json!({"IPAM": {"Driver": "", "Options": null, "Config": [
                    {"Subnet": "10.77.3.9/24", "IPRange": "10.77.3.0/25", "AuxiliaryAddresses": {"a": "10.77.3.5"}}
                ]}}),
                json!({"IPAM": {"Driver": "default", "Options": null, "Config": [
                    {"Subnet": "10.77.3.0/24", "IPRange": "10.77.3.0/25", "Gateway": "10.77.3.1"}
                ]}}),
            ),
            (
                json!({"IPAM": {"Driver": "default", "Options": {"x": "y"}, "Config": [{"Subnet": "10.78.3.0/24", "Gateway": "10.78.3.7"}]}}),
                json!({"IPAM": {"Driver": "default", "Options": {"com.docker.network.ipam.serial": "true", "x": "y"}, "Config": [
                    {"Subnet": "10.78.3.0/24", "Gateway": "10.78.3.7"}
                ]}}),
            ),
            (
                json!({"EnableIPv6": true, "IPAM": {"Driver": "default", "Options": null, "Config": [
                    {"Subnet": "10.79.3.0/24"}, {"Subnet": "fd00:1::/64"}
                ]}}),
                json!({"EnableIPv6": true, "IPAM": {"Driver": "default", "Options": null, "Config": [
                    {"Subnet": "10.79.3.0/24", "Gateway": "10.79.3.1"}, {"Subnet": "FD00:1::0/64", "Gateway": "fd00:1::1"}
                ]}}),
            ),
            (
                json!({"Options": {"com.docker.network.driver.overlay.vxlanid_list": "5001"}}),
                json!({"Options": {"com.docker.network.driver.overlay.vxlanid_list": "5001"}}),
            ),
        ] {
            let (sent, held) = (body(&sent), network(&held));
            assert_eq!(changes(&sent, &held), [], "{sent}");
            assert_eq!(changes(&super::super::plan::body_of(&held), &held), [], "made again as it is: {held:?}");
        }
    }

    #[test]
    fn each_field_that_is_redefined_is_named_alone() {
        for (sent, field) in [
            (json!({"Driver": "weave"}), "Driver"),
            (json!({"Options": {"encrypted": ""}}), "Options"),
            (json!({"Options": {"com.docker.network.driver.overlay.vxlanid_list": "5001"}}), "Options"),
            (json!({"EnableIPv6": true}), "EnableIPv6"),
            (json!({"Internal": true}), "Internal"),
            (json!({"Attachable": true}), "Attachable"),
            (json!({"IPAM": {"Driver": "other"}}), "IPAM.Driver"),
            (json!({"IPAM": {"Options": {"x": "y"}}}), "IPAM.Options"),
            (json!({"IPAM": {"Config": [{"Subnet": "10.9.0.0/24"}]}}), "IPAM.Config"),
            (json!({"IPAM": {"Config": [{"Subnet": "10.0.1.0/24", "Gateway": "10.0.1.9"}]}}), "IPAM.Config"),
            (json!({"IPAM": {"Config": [{"Subnet": "10.0.1.0/24"}, {"Subnet": "10.9.0.0/24"}]}}), "IPAM.Config"),
            (json!({"Labels": {"com.docker.stack.namespace": "st", "a": "b"}}), "Labels.a"),
        ] {
            let fields: Vec<String> = changes(&body(&sent), &network(&json!({}))).into_iter().map(|change| change.field).collect();
            assert_eq!(fields, [field], "{sent}");
        }
        let fewer = network(&json!({"Options": {"encrypted": "", "com.docker.network.driver.overlay.vxlanid_list": "4097"}}));
        assert_eq!(changes(&body(&json!({})), &fewer)[0].field, "Options", "one that left the file");
    }

    #[test]
    fn a_network_that_the_manager_could_not_set_up_is_not_as_wanted() {
        let held = network(&json!({"Driver": "", "Options": null, "IPAM": {"Driver": "", "Options": null, "Config": null}}));
        assert_eq!(changes(&body(&json!({})), &held)[0].field, "Driver");
    }
}

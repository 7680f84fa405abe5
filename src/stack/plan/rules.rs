//! What the manager refuses of a spec, found before anything is made.
//!
//! Pure. The rules are swarmkit's (`manager/controlapi`: `validateServiceSpec`, `validateAnnotations`, `validateSecretSpec`,
//! `validateConfigSpec`) and the Engine's (`daemon/cluster/convert`), those of them that Compose leaves to the engine and that its
//! versions share. What is not among them, such as the templates of a spec, the engine says when it is sent.

use super::subnets::address_fault;
use super::{ContentPlan, NetworkPlan, Plan, Unplannable};
use crate::stack::held::{Mode, StoreKind};
use crate::stack::marks;
use serde_json::Value;

/// The longest name of a service or a network: it is a label of the DNS.
const MAX_NAME_BYTES: usize = 63;
/// The longest name of a secret or config.
const MAX_STORE_NAME_BYTES: usize = 64;
/// A secret is smaller than this, in bytes …
const MAX_SECRET: usize = 512_000;
/// … and so is a config.
const MAX_CONFIG: usize = 1_024_000;
/// Drivers of networks that are a node's own: services cannot be attached to them.
const LOCAL_DRIVERS: [&str; 3] = ["bridge", "ipvlan", "macvlan"];

/// How mounts of a bind's source and of its target show on the other side; the engine takes them in any case.
const PROPAGATIONS: [&str; 6] = ["rprivate", "private", "rshared", "shared", "rslave", "slave"];

/// A part of a spec, and what a Compose file calls it; its numbers that are 0 or at least so much, which in words is …
type Part = (&'static [&'static str], &'static str, &'static [(&'static str, &'static str, i64, &'static str)]);

const PARTS: &[Part] = &[
    (&["TaskTemplate", "Resources", "Limits"], "deploy.resources.limits", RESOURCES),
    (&["TaskTemplate", "Resources", "Reservations"], "deploy.resources.reservations", RESOURCES),
    (&["TaskTemplate", "RestartPolicy"], "deploy.restart_policy", &[("Delay", "delay", 0, "0s"), ("Window", "window", 0, "0s")]),
    (&["UpdateConfig"], "deploy.update_config", &[("Delay", "delay", 0, "0s"), ("Monitor", "monitor", 0, "0s")]),
    (
        &["TaskTemplate", "ContainerSpec", "Healthcheck"],
        "healthcheck",
        &[
            ("Interval", "interval", 1_000_000, "1ms"),
            ("Timeout", "timeout", 1_000_000, "1ms"),
            ("StartPeriod", "start_period", 1_000_000, "1ms"),
            ("StartInterval", "start_interval", 1_000_000, "1ms"),
        ],
    ),
];
const RESOURCES: &[(&str, &str, i64, &str)] = &[("NanoCPUs", "cpus", 1_000_000, "0.001"), ("MemoryBytes", "memory", 4 << 20, "4M")];

/// Refuses what the manager would not take of what the plan makes or writes.
///
/// # Errors
/// With the first, and how it must be.
pub fn check_rules(plan: &Plan) -> Result<(), Unplannable> {
    let networks = plan.networks.iter().filter(|one| one.action.is_sent()).map(|one| ("network", &one.name, of_network(one)));
    let contents = plan.contents.iter().filter(|one| one.action.is_sent()).map(|one| (one.kind.name(), &one.name, of_content(one)));
    let services = plan.services.iter().filter(|one| one.action.is_sent()).map(|one| ("service", &one.name, of_service(&one.spec)));
    let mut all = networks.chain(contents).chain(services);
    let refused = all.find_map(|(kind, name, rule)| Some(Unplannable::Refused { kind, name: name.clone(), rule: rule? }));
    refused.map_or(Ok(()), Err)
}

fn of_network(plan: &NetworkPlan) -> Option<String> {
    let driver = plan.spec["Driver"].as_str().filter(|driver| LOCAL_DRIVERS.contains(driver));
    let local =
        driver.map(|driver| format!("its driver is {driver}, which services cannot be attached to: leave driver out, or say overlay"));
    object_name(&plan.name).or(local).or_else(|| address_fault(&plan.spec))
}

fn of_content(plan: &ContentPlan) -> Option<String> {
    let most = if plan.kind == StoreKind::Secret { MAX_SECRET } else { MAX_CONFIG };
    let has_driver = !plan.spec["Driver"].is_null();
    let encoded = plan.spec["Data"].as_str().unwrap_or_default();
    let filled = encoded.bytes().rev().take_while(|&byte| byte == b'=').count();
    let size = (encoded.len() / 4 * 3).saturating_sub(filled);
    let fits = has_driver || (1..most).contains(&size);
    let size = (!fits).then(|| format!("it has {size} bytes, and must have at least 1 and fewer than {most}"));
    store_name(&plan.name).or(size)
}

fn of_service(spec: &Value) -> Option<String> {
    let (task, update) = (&spec["TaskTemplate"], &spec["UpdateConfig"]);
    let condition = || word(&task["RestartPolicy"]["Condition"], "deploy.restart_policy.condition", &["none", "on-failure", "any"]);
    let action = || word(&update["FailureAction"], "deploy.update_config.failure_action", &["pause", "continue", "rollback"]);
    let constraints = task["Placement"]["Constraints"].as_array();
    let marks = spec["Labels"].as_object().into_iter().flat_map(|labels| labels.keys()).find(|label| marks::is_mark(label));
    object_name(spec["Name"].as_str().unwrap_or_default())
        .or_else(|| marks.map(|label| format!("the label {label} is the agent's own: leave it out")))
        .or_else(|| PARTS.iter().find_map(|part| number(spec, part)))
        .or_else(condition)
        .or_else(action)
        .or_else(|| ratio(&update["MaxFailureRatio"]))
        .or_else(|| constraints.into_iter().flatten().filter_map(Value::as_str).find_map(constraint))
        .or_else(|| mounts(&task["ContainerSpec"]["Mounts"]))
        .or_else(|| endpoint(&spec["EndpointSpec"]))
        .or_else(|| job(spec))
}

fn number(spec: &Value, (place, name, numbers): &Part) -> Option<String> {
    let part = place.iter().try_fold(spec, |value, key| value.get(key))?;
    let is_wrong = |key: &str, least: i64| part.get(key).and_then(Value::as_i64).is_some_and(|number| number != 0 && number < least);
    let (_, key, _, least) = numbers.iter().find(|&&(key, _, least, _)| is_wrong(key, least))?;
    Some(format!("{name}.{key} must be at least {least}"))
}

fn word(given: &Value, name: &str, words: &[&str]) -> Option<String> {
    let given = given.as_str().filter(|given| !given.is_empty() && !words.contains(given))?;
    Some(format!("{name} is {given:?}, and must be one of {}", words.join(", ")))
}

/// Of services and networks.
fn object_name(name: &str) -> Option<String> {
    let fits =
        name.len() <= MAX_NAME_BYTES && is_framed(name) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    (!fits).then(|| format!("a name has letters, digits, - and _, at most {MAX_NAME_BYTES}, the first and the last a letter or a digit"))
}

/// Of secrets and configs.
fn store_name(name: &str) -> Option<String> {
    let fits = name.len() <= MAX_STORE_NAME_BYTES
        && is_framed(name)
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    (!fits).then(|| {
        format!("a name has letters, digits, - _ and dots, at most {MAX_STORE_NAME_BYTES}, the first and the last a letter or a digit")
    })
}

/// Whether a letter or a digit begins and ends it.
fn is_framed(name: &str) -> bool {
    let ends = [name.bytes().next(), name.bytes().next_back()];
    ends.iter().all(|byte| byte.is_some_and(|byte| byte.is_ascii_alphanumeric()))
}

fn ratio(ratio: &Value) -> Option<String> {
    let wrong = ratio.as_f64().filter(|ratio| !(0.0..=1.0).contains(ratio));
    wrong.map(|ratio| format!("deploy.update_config.max_failure_ratio is {ratio}, and must be from 0 to 1"))
}

fn mounts(mounts: &Value) -> Option<String> {
    let mounts = mounts.as_array().map_or(&[][..], Vec::as_slice);
    let targets: Vec<&str> = mounts.iter().filter_map(|mount| mount["Target"].as_str()).collect();
    if let Some((_, target)) = targets.iter().enumerate().find(|(n, target)| targets[..*n].contains(target)) {
        return Some(format!("it mounts something to {target} twice"));
    }
    let given = mounts.iter().filter_map(|mount| mount["BindOptions"]["Propagation"].as_str());
    given.map(str::to_ascii_lowercase).find_map(|given| word(&Value::String(given), "the propagation of a bind mount", &PROPAGATIONS))
}

/// `key==value` or `key!=value`.
fn constraint(text: &str) -> Option<String> {
    let sides = text.split_once("==").or_else(|| text.split_once("!="));
    let is_key = |key: &str| {
        let mut bytes = key.bytes();
        let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        first && key.len() > 1 && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let is_value = |value: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b":-_ \t\n\x0c\r.*()?+[]\\^$|/".contains(&byte);
        !value.is_empty() && value.bytes().all(fits)
    };
    match sides {
        Some((key, value)) if is_key(key.trim()) && is_value(value.trim()) => None,
        Some((key, value)) if is_key(key.trim()) && !value.trim().is_empty() => {
            Some(format!("the placement constraint {text:?} has a character that none may have, such as a quote, a comma or a further ="))
        }
        _ => Some(format!("the placement constraint {text:?} is not of the form key==value or key!=value")),
    }
}

fn endpoint(endpoint: &Value) -> Option<String> {
    let mode = endpoint["Mode"].as_str().unwrap_or_default().to_ascii_lowercase();
    if !["", "vip", "dnsrr"].contains(&mode.as_str()) {
        return Some(format!("deploy.endpoint_mode is {mode:?}, and must be one of vip, dnsrr"));
    }
    let all = endpoint["Ports"].as_array().map_or(&[][..], Vec::as_slice);
    let numbers = all.iter().flat_map(|port| [&port["PublishedPort"], &port["TargetPort"]]).filter_map(Value::as_u64);
    // The CLI lets a long form have them, and the engine lets their tasks fail.
    if let Some(number) = numbers.into_iter().find(|number| *number > u64::from(u16::MAX)) {
        return Some(format!("it publishes a port {number}, and ports end at {}", u16::MAX));
    }
    let is_ingress = |port: &Value| port["PublishMode"].as_str().is_none_or(|mode| !mode.eq_ignore_ascii_case("host"));
    if mode == "dnsrr" && all.iter().any(is_ingress) {
        return Some("with endpoint_mode dnsrr, ports are published with mode: host alone".to_owned());
    }
    let published: Vec<_> = all.iter().filter_map(super::port).collect();
    let twice = published.iter().enumerate().find(|(n, port)| published[..*n].iter().any(|other| other.is_of(port)));
    twice.map(|(_, port)| format!("it publishes the port {port} twice"))
}

fn job(spec: &Value) -> Option<String> {
    let is_job = Mode::of(spec).is_job();
    (is_job && !spec["UpdateConfig"].is_null()).then(|| "a job cannot have an update_config: leave it out".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::plan::Action;
    use serde_json::json;

    fn refused(change: Value) -> Option<String> {
        let mut spec = json!({"Name": "st_web", "Mode": {"Replicated": {"Replicas": 1}}, "TaskTemplate": {}});
        for (key, value) in change.as_object().unwrap() {
            spec[key] = value.clone();
        }
        of_service(&spec)
    }

    #[test]
    fn a_service_is_as_the_manager_takes_it() {
        let task = |task: Value| json!({"TaskTemplate": task});
        for taken in [
            json!({}),
            json!({"Name": "a-_b"}),
            task(json!({"Resources": {"Limits": {"NanoCPUs": 0, "MemoryBytes": 4 << 20}}})),
            task(json!({"RestartPolicy": {"Condition": "", "Delay": 0}})),
            task(json!({"Placement": {"Constraints": ["node.role == manager", "node.labels.a.b!=c"]}})),
            json!({"UpdateConfig": {"MaxFailureRatio": 1.0, "FailureAction": ""}}),
            json!({"EndpointSpec": {"Ports": [{"PublishedPort": 80, "TargetPort": 65535}, {"PublishedPort": 80, "Protocol": "udp"}, {"TargetPort": 1}, {"TargetPort": 1}]}}),
            task(json!({"ContainerSpec": {"Mounts": [{"BindOptions": {"Propagation": "RSlave"}}, {"BindOptions": {}}, {}]}})),
            json!({"EndpointSpec": {"Mode": "DNSRR", "Ports": [{"PublishedPort": 80, "PublishMode": "host"}]}}),
        ] {
            assert_eq!(refused(taken.clone()), None, "{taken}");
        }
        let port = |port: Value| json!({"EndpointSpec": {"Ports": [port]}});
        for (broken, words) in [
            (json!({"Name": "a b_web"}), "a name has"),
            (json!({"Name": "web_"}), "a name has"),
            (json!({"Name": "a".repeat(64)}), "at most 63"),
            (task(json!({"Resources": {"Limits": {"NanoCPUs": -1}}})), "deploy.resources.limits.cpus must be at least 0.001"),
            (task(json!({"Resources": {"Reservations": {"MemoryBytes": 1 << 20}}})), "reservations.memory must be at least 4M"),
            (task(json!({"RestartPolicy": {"Condition": "Any"}})), "none, on-failure, any"),
            (json!({"EndpointSpec": {"Mode": "foo"}}), "vip, dnsrr"),
            (task(json!({"ContainerSpec": {"Healthcheck": {"Interval": 10}}})), "healthcheck.interval"),
            (task(json!({"Placement": {"Constraints": ["node.role=manager"]}})), "\"node.role=manager\""),
            (task(json!({"Placement": {"Constraints": ["no de==x"]}})), "key==value"),
            (task(json!({"Placement": {"Constraints": ["node.labels.zone == \"x\""]}})), "such as a quote"),
            (task(json!({"Placement": {"Constraints": ["node.labels.zone==a=b"]}})), "such as a quote"),
            (json!({"Labels": {"io.axion.owner": "me"}}), "the label io.axion.owner"),
            (task(json!({"ContainerSpec": {"Mounts": [{"BindOptions": {"Propagation": "foo"}}]}})), "rprivate, private"),
            (task(json!({"ContainerSpec": {"Mounts": [{"Target": "/a"}, {"Target": "/b"}, {"Target": "/a"}]}})), "to /a twice"),
            (task(json!({"Placement": {"Constraints": ["node.id=="]}})), "key==value"),
            (json!({"UpdateConfig": {"MaxFailureRatio": 1.5}}), "from 0 to 1"),
            (json!({"UpdateConfig": {"FailureAction": "explode"}}), "pause, continue, rollback"),
            (json!({"UpdateConfig": {"Delay": -1}}), "deploy.update_config.delay"),
            (json!({"Mode": {"GlobalJob": {}}, "UpdateConfig": {}}), "update_config"),
            (port(json!({"PublishedPort": 65536})), "end at 65535"),
            (port(json!({"TargetPort": 70000, "PublishedPort": 80})), "end at 65535"),
            (json!({"EndpointSpec": {"Mode": "dnsrr", "Ports": [{"PublishedPort": 80}]}}), "mode: host"),
            (json!({"EndpointSpec": {"Ports": [{"PublishedPort": 80}, {"PublishedPort": 80, "PublishMode": "host"}]}}), "80/tcp twice"),
        ] {
            let rule = refused(broken.clone()).unwrap_or_else(|| panic!("{broken} is taken"));
            assert!(rule.contains(words), "{broken}: {rule}");
        }
    }

    #[test]
    fn a_secret_is_not_empty_and_neither_too_large() {
        let of = |kind, name: &str, data: &str| {
            let (plain, spec) = (name.to_owned(), json!({"Name": name, "Data": data}));
            let (id, action, reason, fingerprint) = (None, Action::Create, "it is not there", String::new());
            of_content(&ContentPlan { kind, plain: plain.clone(), name: plain, id, action, reason, spec, fingerprint })
        };
        let bytes = |count: usize| "AAAA".repeat(count / 3);
        assert_eq!(of(StoreKind::Secret, "st_a.b", "YQ=="), None);
        assert_eq!(of(StoreKind::Config, "st_a", &bytes(512_001)), None);
        assert!(of(StoreKind::Secret, "st_a", "").unwrap().contains("it has 0 bytes"));
        assert!(of(StoreKind::Secret, "st_a", &bytes(512_001)).unwrap().contains("fewer than 512000"));
        assert!(of(StoreKind::Config, "st_a_", "YQ==").unwrap().contains("a name has"));
    }
}

//! Where `docker stack deploy` loses something when it puts one file over another (docs/compose.md, D2). Pure.
//!
//! Its rules are those of docker/cli 28, cli/compose/loader/merge.go: nothing that is empty overrides, except what is a pointer or a
//! text of a mapping; ports are one by their published number, secrets and configs by their source; a test is appended to; aliases of
//! a network are replaced; entries of the top level are replaced whole.

use super::load::{port_identity, single_ports};
use super::merge::{self, mapping, reference_key};
use super::owner::{OBJECTS, Owner};
use super::yaml::{Key, Merging, Node, Place, Value};
use std::collections::{BTreeMap, BTreeSet};

type Entry = (Key, Node);

/// What the CLI makes something else of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// Whose it is.
    pub owner: Owner,
    /// The value, from the top of the file.
    pub key: String,
    /// Where that stands.
    pub at: Place,
}

/// These are pointers there: 0 overrides.
const POINTERS: [&str; 4] = ["replicas", "parallelism", "retries", "max_attempts"];
/// These it reads before it merges: what is nothing then overrides nothing. Variables leave texts.
const FLAGS: [&str; 6] = ["read_only", "init", "tty", "stdin_open", "privileged", "disable"];
const SPANS: [&str; 8] = ["stop_grace_period", "interval", "timeout", "start_period", "start_interval", "delay", "monitor", "window"];
const SIZES: [&str; 3] = ["memory", "cpus", "max_failure_ratio"];

/// All of them, for a file that is put over what earlier ones came to; `ports` counts what ranges of them stand for.
pub fn losses(base: &Node, over: &Node, ports: &mut usize) -> Vec<Loss> {
    let mut losses = Losses { found: Vec::new(), ports };
    let [mine, theirs] = [base, over].map(|file| file.get("services").map(Node::entries).unwrap_or_default());
    for (name, mine, theirs) in in_both(mine, theirs) {
        losses.service(name, mine, theirs);
    }
    for kind in OBJECTS {
        let [mine, theirs] = [base, over].map(|file| file.get(kind).map(Node::entries).unwrap_or_default());
        losses.objects(kind, mine, theirs);
    }
    losses.found
}

struct Losses<'a> {
    found: Vec<Loss>,
    ports: &'a mut usize,
}

impl Losses<'_> {
    fn note(&mut self, service: &str, key: &str, at: Place) {
        self.found.push(Loss { owner: Owner::Service(service.to_owned()), key: key.to_owned(), at });
    }

    fn service(&mut self, name: &str, mine: &Node, theirs: &Node) {
        self.fields(name, &mut Vec::new(), mine, theirs);
        let of_both = |key: &str| -> Vec<&Node> { [mine, theirs].into_iter().filter_map(|file| file.get(key)).collect() };
        self.one_by(name, "ports", &of_both("ports"), port_identity, '/');
        for key in ["secrets", "configs"] {
            self.one_by(name, key, &of_both(key), reference_key, '\0');
        }
    }

    /// Lists of which the CLI keeps one entry for each first part of what makes them different.
    fn one_by(&mut self, service: &str, key: &str, lists: &[&Node], identity: fn(&Node) -> Option<String>, separator: char) {
        let mut ours: BTreeSet<String> = BTreeSet::new();
        for list in lists {
            let single = if key == "ports" { single_ports((*list).clone(), self.ports) } else { (*list).clone() };
            if let Value::List(items) = &single.value {
                ours.extend(items.iter().filter_map(identity));
            }
        }
        let theirs: BTreeSet<&str> = ours.iter().map(|whole| whole.split(separator).next().unwrap_or(whole)).collect();
        if let Some(list) = lists.last().filter(|_| theirs.len() < ours.len()) {
            self.note(service, &format!("services.{service}.{key}"), list.at);
        }
    }

    fn fields(&mut self, service: &str, path: &mut Vec<String>, mine: &Node, theirs: &Node) {
        if theirs.merging != Merging::Usual {
            // It knows no such tag.
            if !is_nothing(mine) {
                self.note(service, &format!("services.{service}.{}", path.join(".")), theirs.at);
            }
            return;
        }
        if theirs.value == Value::Null {
            return;
        }
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        let is_lost = match parts.as_slice() {
            // Mappings of texts, in which an empty one overrides, and lists that have rules of their own.
            ["labels" | "sysctls" | "ulimits" | "ports" | "volumes" | "secrets" | "configs"] => return,
            ["deploy", "labels"] | ["logging", "options"] => return,
            ["environment"] => {
                let (mine, theirs) = (mapping(mine.clone()), mapping(theirs.clone()));
                in_both(mine.entries(), theirs.entries()).any(|(_, mine, theirs)| match theirs.value {
                    Value::Null => mine.value != Value::Null && is_empty(mine),
                    _ => is_empty(theirs) && !is_nothing(mine),
                })
            }
            ["networks"] => return self.networks(service, mine, theirs),
            ["logging"] if loses_options(mine, theirs) => true,
            [.., last] if is_unset(last, theirs) => !is_nothing(mine) && !is_unset(last, mine),
            ["command" | "entrypoint"] => is_nothing(theirs) && !is_nothing(mine),
            ["healthcheck", "test"] => !is_nothing(mine),
            [.., last] if POINTERS.contains(last) => false,
            _ => match (&mine.value, &theirs.value) {
                (Value::Map(mine), Value::Map(theirs)) => {
                    for (key, mine, theirs) in in_both(mine, theirs) {
                        path.push(key.to_owned());
                        self.fields(service, path, mine, theirs);
                        path.pop();
                    }
                    false
                }
                _ => is_empty(theirs) && !is_nothing(mine),
            },
        };
        if is_lost {
            self.note(service, &format!("services.{service}.{}", path.join(".")), theirs.at);
        }
    }

    fn networks(&mut self, service: &str, mine: &Node, theirs: &Node) {
        for (name, mine, theirs) in in_both(mine.entries(), theirs.entries()).filter(|(.., theirs)| theirs.value != Value::Null) {
            let has = |node: &Node, key: &str| node.get(key).is_some_and(|node| !is_nothing(node));
            if has(mine, "aliases") || has(theirs, "driver_opts") {
                self.note(service, &format!("services.{service}.networks.{name}"), theirs.at);
            }
        }
    }

    /// Nothing of an entry of the top level is left there that an earlier file has.
    fn objects(&mut self, kind: &'static str, mine: &[Entry], theirs: &[Entry]) {
        for (name, mine, theirs) in in_both(mine, theirs) {
            if !merge::object(kind, name, mine.clone(), theirs.clone()).same(theirs) {
                let owner = Owner::Object { kind, name: name.to_owned() };
                self.found.push(Loss { owner, key: format!("{kind}.{name}"), at: theirs.at });
            }
        }
    }
}

/// Options for a driver that has none there: they are put into a mapping that nobody has.
fn loses_options(mine: &Node, theirs: &Node) -> bool {
    let driver = |node: &Node| node.get("driver").and_then(Node::scalar).unwrap_or_default();
    let has_options = |node: &Node| node.get("options").is_some_and(|options| !is_nothing(options));
    let (mine_driver, their_driver) = (driver(mine), driver(theirs));
    let is_one = mine_driver == their_driver || mine_driver.is_empty() || their_driver.is_empty();
    is_one && !has_options(mine) && has_options(theirs)
}

/// Whether the value of a key is the same as none once it is read.
fn is_unset(key: &str, value: &Node) -> bool {
    let Some(text) = value.scalar() else { return false };
    if FLAGS.contains(&key) {
        return ["false", "no", "n", "off"].iter().any(|word| text.eq_ignore_ascii_case(word));
    }
    let digits = || text.bytes().filter(u8::is_ascii_digit);
    (SPANS.contains(&key) || SIZES.contains(&key)) && digits().next().is_some() && digits().all(|digit| digit == b'0')
}

/// What overrides nothing there.
fn is_empty(node: &Node) -> bool {
    match &node.value {
        Value::Bool(value) => !value,
        Value::Int(value) => *value == 0,
        Value::Float(value) => *value == 0.0,
        Value::Text(text) => text.is_empty(),
        Value::Null | Value::List(_) | Value::Map(_) => false,
    }
}

/// Whether there is nothing to lose.
fn is_nothing(node: &Node) -> bool {
    match &node.value {
        Value::Null => true,
        Value::List(items) => items.is_empty(),
        Value::Map(entries) => entries.is_empty(),
        _ => is_empty(node),
    }
}

/// What both mappings have, with its key.
fn in_both<'n>(mine: &'n [Entry], theirs: &'n [Entry]) -> impl Iterator<Item = (&'n str, &'n Node, &'n Node)> {
    let known: BTreeMap<&str, &Node> = mine.iter().map(|(key, node)| (key.text.as_str(), node)).collect();
    theirs.iter().filter_map(move |(key, theirs)| Some((key.text.as_str(), *known.get(key.text.as_str())?, theirs)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::yaml::parse;

    fn lost(base: &str, over: &str) -> Vec<String> {
        let [base, over] = [base, over].map(|text| parse(0, text).unwrap().tree);
        losses(&base, &over, &mut 0).into_iter().map(|loss| loss.key).collect()
    }

    fn of_service(base: &str, over: &str) -> Vec<String> {
        let file = |text: &str| format!("services: {{a: {{{text}}}}}");
        lost(&file(base), &file(over)).into_iter().map(|loss| loss.trim_start_matches("services.a.").to_owned()).collect()
    }

    #[test]
    fn what_a_later_file_does_not_override_there_is_found() {
        for (base, over, key) in [
            ("read_only: true", "read_only: false", "read_only"),
            ("init: true", "init: false", "init"),
            ("hostname: h", "hostname: ''", "hostname"),
            ("environment: [A=1]", "environment: {A: ''}", "environment"),
            ("command: [a]", "command: []", "command"),
            ("healthcheck: {test: [CMD, a]}", "healthcheck: {test: [CMD, b]}", "healthcheck.test"),
            (
                "deploy: {update_config: {max_failure_ratio: 0.5}}",
                "deploy: {update_config: {max_failure_ratio: 0}}",
                "deploy.update_config.max_failure_ratio",
            ),
            ("ports: ['443:443', '443:443/udp']", "image: b", "ports"),
            ("ports: ['80', '81']", "ports: ['82']", "ports"),
            ("ports: ['8000-8001:80-81', '8001:81/udp']", "image: b", "ports"),
            ("secrets: [k, {source: k, target: t}]", "image: b", "secrets"),
            ("networks: {n: {aliases: [x]}}", "networks: {n: {aliases: [y]}}", "networks.n"),
            ("networks: {n: {aliases: [x]}}", "networks: {n: {}}", "networks.n"),
            ("logging: {driver: json-file}", "logging: {options: {max-size: 10m}}", "logging"),
            ("stop_grace_period: 1m", "stop_grace_period: 0s", "stop_grace_period"),
            ("healthcheck: {interval: 5s}", "healthcheck: {interval: 0.0s}", "healthcheck.interval"),
            (
                "deploy: {resources: {limits: {memory: 5m}}}",
                "deploy: {resources: {limits: {memory: '0'}}}",
                "deploy.resources.limits.memory",
            ),
            ("read_only: true", "read_only: 'no'", "read_only"),
            ("environment: {A: ''}", "environment: [A]", "environment"),
            ("ports: ['80:80']", "ports: !override ['81:80']", "ports"),
            ("tty: true", "tty: !reset null", "tty"),
        ] {
            assert_eq!(of_service(base, over), [key], "{base} + {over}");
        }
    }

    #[test]
    fn what_both_make_the_same_of_is_no_loss() {
        for (base, over) in [
            ("read_only: false", "read_only: true"),
            ("read_only: false", "read_only: false"),
            ("hostname: h", "hostname: null"),
            ("environment: [A=1]", "environment: [A, B=]"),
            ("labels: {a: b}", "labels: {a: ''}"),
            ("deploy: {replicas: 2}", "deploy: {replicas: 0}"),
            ("command: [a]", "command: [b]"),
            ("healthcheck: {retries: 3}", "healthcheck: {test: [CMD, b], retries: 0}"),
            ("ports: ['80:80', '81:80']", "ports: ['80:80']"),
            ("secrets: [k, l]", "secrets: [k]"),
            ("networks: {n: {aliases: [x]}}", "networks: [n, m]"),
            ("cap_add: [A]", "cap_add: [B]"),
            ("hostname: null", "hostname: !reset null"),
            ("logging: {driver: json-file, options: {a: b}}", "logging: {options: {max-size: 10m}}"),
            ("logging: {driver: json-file}", "logging: {driver: local, options: {max-size: 10m}}"),
            ("stop_grace_period: 1m", "stop_grace_period: 10s"),
            ("stop_grace_period: 0s", "stop_grace_period: 0m"),
        ] {
            assert_eq!(of_service(base, over), [""; 0], "{base} + {over}");
        }
        assert_eq!(lost("services: {a: {read_only: true}}", "services: {b: {read_only: false}}"), [""; 0], "they are not merged");
    }

    #[test]
    fn an_object_of_which_a_part_is_lost_is_told() {
        let base = "volumes: {data: {driver: local, labels: {x: y}}, other: {driver: local}}\nnetworks: {default: {internal: true}}\n";
        assert_eq!(lost(base, "volumes: {data: {driver: local}, other: {driver: local}}"), ["volumes.data"]);
        assert_eq!(lost(base, "networks: {default: {attachable: true}}"), ["networks.default"]);
        assert_eq!(lost(base, "volumes: {data: {external: true}}"), [""; 0], "it is made elsewhere, here and there");
    }
}

//! The keys of a service that describe its container, one to one with `ContainerSpec`: `hostname`, `user`, `healthcheck`,
//! `extra_hosts`, `dns`, `sysctls`, `ulimits`, `cap_add` and so on (Compose Specification, "Services"; docker/cli,
//! `convert/service.go`). Pure.

use super::item::{Fields, Item};
use crate::stack::spec::{ContainerSpec, DnsConfig, Healthcheck, Ulimit};
use crate::stack::yaml::Value;
use crate::stack::{Rule, StackError};
use std::collections::BTreeSet;

/// Reads them.
pub fn read(fields: &mut Fields<'_>, container: &mut ContainerSpec) -> Result<(), StackError> {
    container.hostname = fields.read("hostname", Item::text)?.unwrap_or_default();
    container.dir = fields.read("working_dir", Item::text)?.unwrap_or_default();
    container.user = fields.read("user", Item::text)?.unwrap_or_default();
    container.groups = fields.read("group_add", |item| item.list()?.iter().map(Item::scalar).collect())?.unwrap_or_default();
    container.init = fields.read("init", Item::boolean)?;
    container.stop_signal = fields.read("stop_signal", Item::text)?.unwrap_or_default();
    container.tty = fields.read("tty", Item::boolean)?.unwrap_or_default();
    container.open_stdin = fields.read("stdin_open", Item::boolean)?.unwrap_or_default();
    container.read_only = fields.read("read_only", Item::boolean)?.unwrap_or_default();
    container.stop_grace_period = fields.read("stop_grace_period", Item::duration)?;
    container.healthcheck = fields.read("healthcheck", healthcheck)?;
    container.hosts = fields.read("extra_hosts", extra_hosts)?.unwrap_or_default();
    container.dns_config = dns(fields)?;
    container.isolation = fields.read("isolation", Item::text)?.unwrap_or_default();
    container.sysctls = fields.read("sysctls", Item::labels)?.unwrap_or_default();
    container.ulimits = fields.read("ulimits", ulimits)?.unwrap_or_default();
    container.oom_score_adj = fields.read("oom_score_adj", oom_score_adj)?.unwrap_or_default();
    let add = fields.read("cap_add", Item::texts)?.unwrap_or_default();
    let drop = fields.read("cap_drop", Item::texts)?.unwrap_or_default();
    (container.capability_add, container.capability_drop) = capabilities(&add, &drop);
    Ok(())
}

fn oom_score_adj(item: &Item<'_>) -> Result<i64, StackError> {
    let score = item.since(46).integer()?;
    if score != 0 {
        item.deviates(Rule::Forgotten);
    }
    Ok(score)
}

fn healthcheck(item: &Item<'_>) -> Result<Healthcheck, StackError> {
    let mut fields = item.fields()?;
    let test = fields.read("test", |item| match &item.node.value {
        Value::Text(text) => Ok(vec!["CMD-SHELL".to_owned(), text.clone()]),
        Value::Null => Err(item.invalid("must be text or a list, is nothing")),
        _ => item.texts(),
    })?;
    let check = Healthcheck {
        test: test.unwrap_or_default(),
        interval: fields.read("interval", Item::duration)?.unwrap_or_default(),
        timeout: fields.read("timeout", Item::duration)?.unwrap_or_default(),
        start_period: fields.read("start_period", Item::duration)?.unwrap_or_default(),
        start_interval: fields.read("start_interval", |item| item.since(44).duration())?.unwrap_or_default(),
        retries: fields.read("retries", retries)?.unwrap_or_default(),
    };
    let disable = fields.take("disable");
    fields.finish()?;
    match disable {
        Some(disable) if disable.boolean()? => {
            if !check.test.is_empty() {
                return Err(disable.invalid("a health check cannot have a test and be disabled: remove one of them"));
            }
            let unused = ["interval", "timeout", "start_period", "start_interval", "retries"];
            unused.iter().filter_map(|key| item.get(key)).for_each(|given| given.warn("has no effect: the health check is disabled"));
            Ok(Healthcheck { test: vec!["NONE".to_owned()], ..Healthcheck::default() })
        }
        _ => Ok(check),
    }
}

fn retries(item: &Item<'_>) -> Result<i64, StackError> {
    let retries = item.truncated()?;
    if retries < 0 { Err(item.invalid(format!("must not be negative, is {retries}"))) } else { Ok(retries) }
}

/// `IP host` lines: a list keeps its order, a mapping is sorted by host.
fn extra_hosts(item: &Item<'_>) -> Result<Vec<String>, StackError> {
    if matches!(item.node.value, Value::Map(_)) {
        let mut lines = Vec::new();
        for (host, item) in item.named()? {
            match &item.node.value {
                Value::Null => item.warn("has no address and is left out"),
                Value::List(_) => lines.extend(item.texts()?.into_iter().map(|ip| (format!("{host}:{ip}"), line(host, &ip)))),
                _ => {
                    let ip = item.scalar()?;
                    lines.push((format!("{host}:{ip}"), line(host, &ip)));
                }
            }
        }
        lines.sort();
        return Ok(lines.into_iter().map(|(_, line)| line).collect());
    }
    let mut lines = Vec::new();
    for item in item.list()? {
        let text = item.text()?;
        match text.split_once('=').or_else(|| text.split_once(':')) {
            Some((host, ip)) => lines.push(line(host, ip)),
            None => item.warn("is no host:address pair and is left out"),
        }
    }
    Ok(lines)
}

fn line(host: &str, ip: &str) -> String {
    let bare = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
    format!("{bare} {host}")
}

/// Sent as soon as one of the keys is there, even an empty one.
fn dns(fields: &mut Fields<'_>) -> Result<Option<DnsConfig>, StackError> {
    let nameservers = fields.read("dns", Item::text_or_texts)?;
    let search = fields.read("dns_search", Item::text_or_texts)?;
    let options = fields.read("dns_opt", Item::texts)?;
    if nameservers.is_none() && search.is_none() && options.is_none() {
        return Ok(None);
    }
    Ok(Some(DnsConfig {
        nameservers: nameservers.unwrap_or_default(),
        search: search.unwrap_or_default(),
        options: options.unwrap_or_default(),
    }))
}

fn ulimits(item: &Item<'_>) -> Result<Vec<Ulimit>, StackError> {
    let mut ulimits = Vec::new();
    for (name, item) in item.named()? {
        let (soft, hard) = if matches!(item.node.value, Value::Map(_)) {
            let mut fields = item.fields()?;
            let soft = fields.read("soft", Item::integer)?.ok_or_else(|| item.invalid("has no soft limit"))?;
            let hard = fields.read("hard", Item::integer)?.ok_or_else(|| item.invalid("has no hard limit"))?;
            fields.finish()?;
            (soft, hard)
        } else {
            let both = item.integer()?;
            (both, both)
        };
        ulimits.push(Ulimit { name: name.to_owned(), hard, soft });
    }
    ulimits.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(ulimits)
}

const ALL: &str = "ALL";
/// Undoes what earlier updates set; a file has no earlier updates.
const RESET: &str = "RESET";

/// What is added and what is dropped, as the CLI's `EffectiveCapAddCapDrop` settles it.
fn capabilities(add: &[String], drop: &[String]) -> (Vec<String>, Vec<String>) {
    let normal = |list: &[String]| -> BTreeSet<String> {
        let named = list.iter().map(|name| {
            let upper = name.trim().to_uppercase();
            if upper == ALL || upper == RESET || upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") }
        });
        let set: BTreeSet<String> = named.filter(|name| name != RESET).collect();
        if set.contains(ALL) { [ALL.to_owned()].into() } else { set }
    };
    let (add, mut drop) = (normal(add), normal(drop));
    drop.retain(|name| !add.contains(name));
    (add.into_iter().collect(), drop.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_normalised_and_settled() {
        for (add, drop, added, dropped) in [
            (vec!["chown", "CHOWN", "CAP_CHOWN", " chown "], vec![], vec!["CAP_CHOWN"], vec![]),
            (vec!["all", "CHOWN"], vec!["CHOWN", "reset"], vec!["ALL"], vec!["CAP_CHOWN"]),
            (vec!["NET_ADMIN"], vec!["ALL"], vec!["CAP_NET_ADMIN"], vec!["ALL"]),
            (vec!["KILL"], vec!["KILL", "CHOWN"], vec!["CAP_KILL"], vec!["CAP_CHOWN"]),
        ] {
            let texts = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(capabilities(&texts(add), &texts(drop)), (texts(added), texts(dropped)));
        }
    }
}

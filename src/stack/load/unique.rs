//! Lists whose items must differ, as the schema of the CLI has it: compared as they are written, per
//! file, since merging may repeat an item rightly.

use super::item::Item;
use crate::stack::StackError;
use crate::stack::yaml::Value;
use std::collections::BTreeSet;

/// Keys of a service. `volumes`, `secrets` and `configs` may repeat themselves.
const LISTS: &[&str] = &[
    "ports",
    "cap_add",
    "cap_drop",
    "dns",
    "dns_search",
    "environment",
    "labels",
    "networks",
    "expose",
    "external_links",
    "links",
    "security_opt",
    "devices",
    "extra_hosts",
    "sysctls",
];

/// Checks one service of one file.
pub fn check(service: &Item<'_>) -> Result<(), StackError> {
    for (name, item) in service.named()? {
        let Value::List(nodes) = &item.node.value else { continue };
        if !LISTS.contains(&name) {
            continue;
        }
        let mut seen = BTreeSet::new();
        for (n, node) in nodes.iter().enumerate() {
            // Lists of mappings are short; scalars may be many.
            let repeated = match node.scalar() {
                Some(text) => !seen.insert(text),
                None => nodes[..n].iter().any(|earlier| earlier.same(node)),
            };
            if repeated {
                return Err(service.cx.invalid(node.at, &format!("{}.{n}", item.key), "stands in this list a second time: remove one"));
            }
        }
    }
    Ok(())
}

//! `networks` of the top level and of services (docker/cli, `convert/compose.go`): those that services use are made, overlay
//! unless the file says otherwise; a service is known in each by its aliases and, last, its key. Pure.

use super::Stack;
use crate::stack::load::model::{Attachment, Network, Service};
use crate::stack::spec::{NetworkAttachment, NetworkCreate};
use crate::stack::{ApiVersion, StackError, StackSpecs};
use std::collections::{BTreeMap, BTreeSet};

/// The network of services that name none; it needs no entry at the top level.
const DEFAULT: &str = "default";
/// What a stack's network is unless the file says otherwise.
const OVERLAY: &str = "overlay";
/// From this API version on the engine refuses a second network of one name by itself.
const NAMES_ARE_UNIQUE: ApiVersion = ApiVersion { major: 1, minor: 44 };

impl Stack<'_> {
    /// Keys of the networks that services use; each of them must exist.
    pub fn used_networks<'s>(&self, services: &'s [(String, Service<'_>)]) -> Result<BTreeSet<&'s str>, StackError> {
        let mut used = BTreeSet::new();
        for (_, service) in services {
            if service.networks.is_empty() {
                used.insert(DEFAULT);
            }
            for (key, attachment) in &service.networks {
                if key != DEFAULT && !self.networks.contains_key(key) {
                    return Err(
                        self.invalid(&attachment.at, format!("there is no network {key:?}: add it under networks: at the top level"))
                    );
                }
                used.insert(key.as_str());
            }
        }
        Ok(used)
    }

    /// Sorts one of them into those to be made and those that must be there.
    pub fn network(&self, key: &str, specs: &mut StackSpecs) {
        let silent = Network::default();
        let network = self.networks.get(key).unwrap_or(&silent);
        let name = self.swarm_name(key, &network.name);
        if network.external {
            // The engine's own are always there.
            specs.external.networks.extend(is_user_defined(&name).then_some(name));
            return;
        }
        specs.networks.push(NetworkCreate {
            name,
            check_duplicate: (self.cx.api < NAMES_ARE_UNIQUE).then_some(true),
            driver: if network.driver.is_empty() { OVERLAY.to_owned() } else { network.driver.clone() },
            enable_ipv6: network.enable_ipv6,
            ipam: network.ipam.clone(),
            internal: network.internal,
            attachable: network.attachable,
            options: network.driver_opts.clone(),
            labels: self.labels(&network.labels),
            ..NetworkCreate::default()
        });
    }

    /// Where a service is attached, in the order of the networks' names.
    pub fn attachments(&self, key: &str, networks: BTreeMap<String, Attachment<'_>>) -> Vec<NetworkAttachment> {
        let networks = if networks.is_empty() { [(DEFAULT.to_owned(), Attachment::default())].into() } else { networks };
        let attach = |(network, Attachment { mut aliases, driver_opts, .. }): (String, Attachment<'_>)| {
            let target = self.swarm_name(&network, self.networks.get(&network).map_or("", |network| &network.name));
            // The engine's own networks have no names for tasks.
            if is_user_defined(&target) {
                aliases.push(key.to_owned());
            }
            NetworkAttachment { target, aliases, driver_opts }
        };
        let mut attachments: Vec<NetworkAttachment> = networks.into_iter().map(attach).collect();
        attachments.sort_by(|a, b| a.target.cmp(&b.target));
        attachments
    }
}

fn is_user_defined(name: &str) -> bool {
    !matches!(name, "default" | "bridge" | "host" | "none") && !name.starts_with("container:")
}

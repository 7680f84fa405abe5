//! The fields of a service's spec, in the words of the Compose file. Pure.

/// Paths in a service's spec, and what the Compose file calls what stands there.
const COMPOSE_NAMES: &[(&str, &str)] = &[
    ("ContainerSpec.Image", "image"),
    ("ContainerSpec.Command", "entrypoint"),
    ("ContainerSpec.Args", "command"),
    ("ContainerSpec.Env", "environment"),
    ("ContainerSpec.Labels", "labels"),
    ("ContainerSpec.Mounts", "volumes"),
    ("ContainerSpec.Secrets", "secrets"),
    ("ContainerSpec.Configs", "configs"),
    ("ContainerSpec.Healthcheck", "healthcheck"),
    ("ContainerSpec.Hostname", "hostname"),
    ("ContainerSpec.Dir", "working_dir"),
    ("ContainerSpec.User", "user"),
    ("ContainerSpec.TTY", "tty"),
    ("ContainerSpec.OpenStdin", "stdin_open"),
    ("ContainerSpec.ReadOnly", "read_only"),
    ("ContainerSpec.Init", "init"),
    ("ContainerSpec.StopSignal", "stop_signal"),
    ("ContainerSpec.StopGracePeriod", "stop_grace_period"),
    ("ContainerSpec.Hosts", "extra_hosts"),
    ("ContainerSpec.Sysctls", "sysctls"),
    ("ContainerSpec.CapabilityAdd", "cap_add"),
    ("ContainerSpec.CapabilityDrop", "cap_drop"),
    ("ContainerSpec.Ulimits", "ulimits"),
    ("Placement", "deploy.placement"),
    ("Resources", "deploy.resources"),
    ("RestartPolicy", "deploy.restart_policy"),
    ("LogDriver", "logging"),
    ("Networks", "networks"),
    ("EndpointSpec.Ports", "ports"),
    ("EndpointSpec.Mode", "deploy.endpoint_mode"),
    ("UpdateConfig", "deploy.update_config"),
    ("RollbackConfig", "deploy.rollback_config"),
    ("Mode.Replicated.Replicas", "deploy.replicas"),
    ("Mode", "deploy.mode"),
    ("Labels", "deploy.labels"),
];

/// The same of a network.
const NETWORK_NAMES: &[(&str, &str)] = &[
    ("Driver", "driver"),
    ("Options", "driver_opts"),
    ("EnableIPv6", "enable_ipv6"),
    ("Internal", "internal"),
    ("Attachable", "attachable"),
    ("IPAM", "ipam"),
    ("Labels", "labels"),
];

/// The field as the Compose file calls it, where it has a name there; else the end of its path in the spec.
pub(super) fn named(field: &str) -> String {
    let field = field.strip_prefix("TaskTemplate.").unwrap_or(field);
    let below = |prefix: &str| field.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('.'));
    let named = COMPOSE_NAMES.iter().find_map(|(path, name)| Some(format!("{name}{}", below(path)?)));
    named.unwrap_or_else(|| field.to_owned())
}

/// The same of a network.
pub(super) fn named_of_network(field: &str) -> String {
    let (first, rest) = field.split_once('.').unwrap_or((field, ""));
    let name = NETWORK_NAMES.iter().find(|(path, _)| *path == first).map_or(first, |(_, name)| name);
    if rest.is_empty() { name.to_owned() } else { format!("{name}.{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_its_name_of_the_file_where_it_has_one() {
        for (field, name) in [
            ("TaskTemplate.ContainerSpec.Image", "image"),
            ("TaskTemplate.ContainerSpec.Env.PASSWORD", "environment.PASSWORD"),
            ("Mode.Replicated.Replicas", "deploy.replicas"),
            ("EndpointSpec.Ports", "ports"),
            ("TaskTemplate.ContainerSpec.Imagery", "ContainerSpec.Imagery"),
            ("TaskTemplate.ForceUpdate", "ForceUpdate"),
        ] {
            assert_eq!(named(field), name);
        }
        for (field, name) in [("Labels.a.b", "labels.a.b"), ("Attachable", "attachable"), ("Scope", "Scope")] {
            assert_eq!(named_of_network(field), name);
        }
    }
}

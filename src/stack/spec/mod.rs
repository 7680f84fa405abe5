//! What goes to the engine: the bodies of its create and update requests, with exactly the fields and
//! the presence rules of the Go types in moby's `api/types` (a field that Go marks `omitempty` is
//! absent when empty here too, because an empty object that appears or goes replaces tasks).
//!
//! The same types read `Spec` back from `GET /services`: null and absent fields become defaults, and
//! fields that the agent never sends are not kept. Pure data; no thread, no I/O.

mod container;
mod mount;
mod network;
mod secret;
mod service;
mod task;

pub use container::{
    ConfigReference, ContainerSpec, CredentialSpec, DnsConfig, FileTarget, Healthcheck, Privileges, RuntimeTarget, SeLinuxContext,
    SecretReference, Ulimit,
};
pub use mount::{BindOptions, ClusterOptions, ImageOptions, Mount, TmpfsOptions, VolumeOptions};
pub use network::{Ipam, IpamConfig, NetworkCreate, NetworkName};
pub use secret::{ConfigSpec, SecretSpec};
pub use service::{EndpointSpec, PortConfig, ServiceMode, ServiceSpec, UpdateConfig};
pub use task::{
    DiscreteResource, Driver, GenericResource, Limit, NamedResource, NetworkAttachment, Placement, Platform, Preference, Reservation,
    Resources, RestartPolicy, Spread, TaskSpec,
};

use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// A length of time as the engine counts it: Go's `time.Duration`.
pub type Nanoseconds = i64;

/// Labels and options. Go marshals maps in the order of their keys, and so does a `BTreeMap`.
pub type StringMap = BTreeMap<String, String>;

/// Go's `omitempty` for everything but pointers.
fn empty<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Go marshals an empty slice or map without `omitempty` as `null`.
fn null_or<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// The smallest body of the CLI, and what a 20.10 manager gives back for it.
    #[test]
    fn the_smallest_service_has_exactly_the_empty_objects_of_the_cli() {
        let text = r#"{"Name":"st_web","Labels":{"com.docker.stack.image":"nginx","com.docker.stack.namespace":"st"},"TaskTemplate":{"ContainerSpec":{"Image":"nginx:latest","Labels":{"com.docker.stack.namespace":"st"},"Privileges":{"CredentialSpec":null,"SELinuxContext":null,"NoNewPrivileges":false}},"Resources":{},"Placement":{},"Networks":[{"Target":"st_default","Aliases":["web"]}],"ForceUpdate":0},"Mode":{"Replicated":{}},"EndpointSpec":{}}"#;
        let spec: ServiceSpec = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&spec).unwrap(), text);
    }

    #[test]
    fn null_and_unknown_fields_of_the_engine_are_read() {
        let spec: ServiceSpec = serde_json::from_value(json!({
            "Name": "a", "Labels": null, "Mode": {"Replicated": {"Replicas": 2}}, "EndpointSpec": {"Mode": "vip"}, "New": 1,
            "TaskTemplate": {"ContainerSpec": {"Image": "x", "Isolation": "default", "Secrets": null, "Healthcheck": {"Test": null}}, "Runtime": "container"},
        }))
        .unwrap();
        assert_eq!(spec.mode, ServiceMode::Replicated { replicas: Some(2) });
        assert!(spec.labels.is_empty());
        assert_eq!(spec.task.container.isolation, "default");
    }

    #[test]
    fn a_ratio_is_the_shortest_decimal_of_a_go_float32() {
        let written = |ratio: f32| {
            serde_json::to_value(UpdateConfig { max_failure_ratio: ratio, ..UpdateConfig::default() }).unwrap()["MaxFailureRatio"].clone()
        };
        assert_eq!(written(0.0), json!(0));
        assert_eq!(written(0.1), json!(0.1));
    }

    #[test]
    fn data_is_base64_and_never_shown() {
        let spec = SecretSpec { name: "k".into(), data: crate::domain::Sensitive::new(b"hello".to_vec()), ..SecretSpec::default() };
        let written: Value = serde_json::to_value(&spec).unwrap();
        assert_eq!(written, json!({"Name": "k", "Labels": {}, "Data": "aGVsbG8="}));
        assert!(!format!("{spec:?}").contains("104"), "{spec:?}");
        assert_eq!(serde_json::from_value::<SecretSpec>(written).unwrap(), spec);
    }

    #[test]
    fn a_network_has_all_the_fields_of_the_cli() {
        let network = NetworkCreate { name: "st_default".into(), driver: "overlay".into(), ..NetworkCreate::default() };
        let text = r#"{"Name":"st_default","Driver":"overlay","Scope":"","IPAM":null,"Internal":false,"Attachable":false,"Ingress":false,"ConfigOnly":false,"ConfigFrom":null,"Options":null,"Labels":{}}"#;
        assert_eq!(serde_json::to_string(&network).unwrap(), text);
    }
}

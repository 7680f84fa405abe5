//! The body of `POST /networks/create`. Pure data.

use super::{StringMap, empty, null_or};
use serde::{Deserialize, Serialize};

/// `NetworkCreateRequest` of the Engine API: here every field is present, empty or not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct NetworkCreate {
    /// The scoped name.
    pub name: String,
    /// Below API 1.44 the CLI asks the engine to refuse a second network of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check_duplicate: Option<bool>,
    /// `overlay` unless the file says otherwise.
    pub driver: String,
    /// Left to the driver.
    pub scope: String,
    /// Whether it has IPv6 addresses.
    #[serde(rename = "EnableIPv6", skip_serializing_if = "Option::is_none")]
    pub enable_ipv6: Option<bool>,
    /// Its addresses; the engine chooses where absent.
    #[serde(rename = "IPAM")]
    pub ipam: Option<Ipam>,
    /// Without a way out.
    pub internal: bool,
    /// Whether single containers may join.
    pub attachable: bool,
    /// Never set by a stack.
    pub ingress: bool,
    /// Never set by a stack.
    pub config_only: bool,
    /// Never set by a stack.
    pub config_from: Option<NetworkName>,
    /// Of the driver.
    pub options: Option<StringMap>,
    /// With the stack's own.
    #[serde(deserialize_with = "null_or")]
    pub labels: StringMap,
}

/// Another network, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct NetworkName {
    /// Its name.
    pub network: String,
}

/// `IPAM`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Ipam {
    /// Empty is the engine's default.
    pub driver: String,
    /// Of that driver.
    pub options: Option<StringMap>,
    /// Address pools; `null` when the file names none.
    pub config: Option<Vec<IpamConfig>>,
}

/// `IPAMConfig`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct IpamConfig {
    /// In CIDR notation.
    #[serde(skip_serializing_if = "empty")]
    pub subnet: String,
    /// The part that addresses are taken from.
    #[serde(rename = "IPRange", skip_serializing_if = "empty")]
    pub ip_range: String,
    /// The gateway.
    #[serde(skip_serializing_if = "empty")]
    pub gateway: String,
    /// Addresses that are taken already, by host.
    #[serde(rename = "AuxiliaryAddresses", skip_serializing_if = "empty", deserialize_with = "null_or")]
    pub auxiliary_addresses: StringMap,
}

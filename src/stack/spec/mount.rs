//! `Mount` and the options of its kinds. Pure data.

use super::{Driver, StringMap, empty, null_or};
use serde::{Deserialize, Serialize};

/// `Mount` of the Engine API.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Mount {
    /// `bind`, `volume`, `tmpfs`, `npipe`, `cluster` or `image`.
    #[serde(rename = "Type", skip_serializing_if = "empty")]
    pub kind: String,
    /// A path, a volume's name, an image; empty is an anonymous volume.
    #[serde(skip_serializing_if = "empty")]
    pub source: String,
    /// In the container.
    #[serde(skip_serializing_if = "empty")]
    pub target: String,
    /// Not writable.
    #[serde(skip_serializing_if = "empty")]
    pub read_only: bool,
    /// Of Docker Desktop; the engine drops it.
    #[serde(skip_serializing_if = "empty")]
    pub consistency: String,
    /// Of a bind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_options: Option<BindOptions>,
    /// Of a named volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_options: Option<VolumeOptions>,
    /// Of an image; from API 1.48.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_options: Option<ImageOptions>,
    /// Of a tmpfs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tmpfs_options: Option<TmpfsOptions>,
    /// Of a cluster volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_options: Option<ClusterOptions>,
}

/// `BindOptions`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct BindOptions {
    /// Such as `rslave`.
    #[serde(skip_serializing_if = "empty")]
    pub propagation: String,
    /// Without what is mounted below.
    #[serde(skip_serializing_if = "empty")]
    pub non_recursive: bool,
    /// Whether a missing source is made; from API 1.44.
    #[serde(skip_serializing_if = "empty")]
    pub create_mountpoint: bool,
}

/// `VolumeOptions`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct VolumeOptions {
    /// Whether the image's files are not copied into a new volume.
    #[serde(skip_serializing_if = "empty")]
    pub no_copy: bool,
    /// Of the volume, when it is made.
    #[serde(skip_serializing_if = "empty", deserialize_with = "null_or")]
    pub labels: StringMap,
    /// A folder in the volume; from API 1.45.
    #[serde(skip_serializing_if = "empty")]
    pub subpath: String,
    /// Of the volume, when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver_config: Option<Driver>,
}

/// `ImageOptions`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ImageOptions {
    /// A folder in the image.
    #[serde(skip_serializing_if = "empty")]
    pub subpath: String,
}

/// `TmpfsOptions`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct TmpfsOptions {
    /// At most so large.
    #[serde(skip_serializing_if = "empty")]
    pub size_bytes: i64,
    /// Permission bits.
    #[serde(skip_serializing_if = "empty")]
    pub mode: u32,
}

/// `ClusterOptions`, an empty object.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClusterOptions {}

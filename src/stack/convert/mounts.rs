//! `volumes` of a service to mounts (docker/cli, `convert/volume.go`): named volumes are found and scoped, and bring their
//! labels and driver; sections that do not fit their type are refused. Pure.

use super::{MAX_REPEATED_BYTES, Stack};
use crate::stack::StackError;
use crate::stack::load::model::{Mount, Volume};
use crate::stack::spec::{self, BindOptions, ClusterOptions, Driver, ImageOptions, TmpfsOptions, VolumeOptions};

impl Stack<'_> {
    /// The body for one mount.
    pub fn mount(&self, mount: Mount<'_>) -> Result<spec::Mount, StackError> {
        self.check_sections(&mount)?;
        let mut made = spec::Mount {
            kind: mount.kind.clone(),
            source: mount.source.clone(),
            target: mount.target.clone(),
            read_only: mount.read_only,
            consistency: mount.consistency.clone(),
            bind_options: mount.bind.clone().map(|propagation| BindOptions { propagation, ..BindOptions::default() }),
            image_options: mount.image.clone().map(|subpath| ImageOptions { subpath }),
            tmpfs_options: mount.tmpfs.as_ref().map(|part| TmpfsOptions { size_bytes: part.size, mode: part.mode }),
            ..spec::Mount::default()
        };
        match mount.kind.as_str() {
            // An anonymous volume has no options.
            "volume" | "" if !mount.source.is_empty() => {
                let volume = self.volume(&mount)?;
                made.source = self.swarm_name(&mount.source, &volume.name);
                made.volume_options = Some(self.volume_options(&mount, volume)?);
            }
            "cluster" => {
                if !mount.source.starts_with("group:") {
                    made.source = self.swarm_name(&mount.source, &self.volume(&mount)?.name);
                }
                made.cluster_options = Some(ClusterOptions {});
            }
            _ => {}
        }
        Ok(made)
    }

    fn volume(&self, mount: &Mount<'_>) -> Result<&Volume, StackError> {
        let found = self.volumes.get(&mount.source);
        found.ok_or_else(|| {
            self.invalid(&mount.at, format!("there is no volume {:?}: add it under volumes: at the top level", mount.source))
        })
    }

    fn volume_options(&self, mount: &Mount<'_>, volume: &Volume) -> Result<VolumeOptions, StackError> {
        let part = mount.volume.clone().unwrap_or_default();
        let mut options = VolumeOptions { no_copy: part.no_copy, subpath: part.subpath, ..VolumeOptions::default() };
        if !volume.external {
            self.repeat(mount, volume)?;
            options.labels = self.labels(&volume.labels);
            let described = !volume.driver.is_empty() || volume.driver_opts.is_some();
            options.driver_config =
                described.then(|| Driver { name: volume.driver.clone(), options: volume.driver_opts.clone().unwrap_or_default() });
        }
        Ok(options)
    }

    /// Every mount of a volume says all of it again.
    fn repeat(&self, mount: &Mount<'_>, volume: &Volume) -> Result<(), StackError> {
        let options = volume.labels.iter().chain(volume.driver_opts.iter().flatten());
        let bytes = volume.driver.len() + options.map(|(name, value)| name.len() + value.len()).sum::<usize>();
        self.repeated.set(self.repeated.get() + bytes);
        if self.repeated.get() <= MAX_REPEATED_BYTES {
            return Ok(());
        }
        let problem = format!("the mounts of the stack repeat more than {MAX_REPEATED_BYTES} bytes of their volumes' labels and options");
        Err(StackError::Limit { at: self.cx.location(mount.at.place, &mount.at.path), problem })
    }

    /// A section belongs to its own type; pipes take that of bind mounts.
    fn check_sections(&self, mount: &Mount<'_>) -> Result<(), StackError> {
        let kind = if mount.kind.is_empty() { "volume" } else { mount.kind.as_str() };
        let sections = [
            ("bind", mount.bind.is_some(), matches!(kind, "bind" | "npipe")),
            ("volume", mount.volume.is_some(), kind == "volume"),
            ("tmpfs", mount.tmpfs.is_some(), kind == "tmpfs"),
            ("image", mount.image.is_some(), kind == "image"),
            ("cluster", mount.cluster.is_some(), kind == "cluster"),
        ];
        match sections.iter().find(|(_, there, fits)| *there && !fits) {
            Some((section, ..)) => Err(self.invalid(&mount.at, format!("{section} options do not fit a mount of type {kind}"))),
            None => Ok(()),
        }
    }
}

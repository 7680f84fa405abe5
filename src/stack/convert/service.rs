//! One service to its `ServiceSpec` (docker/cli, `convert/service.go`): what of the file is left to resolve here are names,
//! labels, the order of ports (by published number), and files of secrets and configs (by name, mode 0444). Pure.

use super::{Contents, Stack};
use crate::stack::load::model::{Mode, Reference, Service};
use crate::stack::load::{Path, Spot};
use crate::stack::owner::Owner;
use crate::stack::spec::{
    ConfigReference, ContainerSpec, EndpointSpec, FileTarget, RuntimeTarget, SecretReference, ServiceMode, ServiceSpec, TaskSpec,
};
use crate::stack::yaml::Place;
use crate::stack::{Rule, StackError};
use std::collections::BTreeSet;

/// The image as the file has it: what a later deploy compares with.
const IMAGE_LABEL: &str = "com.docker.stack.image";
/// So many ports the CLI's sort leaves in their order: of fewer elements Go sorts by insertion.
const SORTED_STABLY: usize = 12;
/// Readable by all, as the CLI has it.
const DEFAULT_FILE_MODE: u32 = 0o444;

impl Stack<'_> {
    /// The body for one service.
    pub fn service(&self, key: &str, mut service: Service<'_>) -> Result<ServiceSpec, StackError> {
        let container = self.container(&mut service)?;
        let Service { image, networks, deploy, mut ports, logging, .. } = service;
        let mut labels = self.labels(&deploy.labels);
        labels.insert(IMAGE_LABEL.to_owned(), image);
        // ORDER: stable, so that ports of one number stay in the order of the file (D4).
        ports.sort_by_key(|port| port.published_port);
        if ports.len() > SORTED_STABLY && ports.windows(2).any(|two| two[0].published_port == two[1].published_port) {
            let path = Path::default().key("services").key(key).key("ports");
            self.cx.deviates(Owner::Service(key.to_owned()), self.cx.location(Place::default(), path), Rule::Order);
        }
        Ok(ServiceSpec {
            name: self.name.scoped(key),
            labels,
            task: TaskSpec {
                container,
                resources: Some(deploy.resources),
                restart_policy: deploy.restart,
                placement: Some(deploy.placement),
                networks: self.attachments(key, networks),
                log_driver: logging,
                ..TaskSpec::default()
            },
            mode: mode(deploy.mode, deploy.replicas),
            update_config: deploy.update,
            rollback_config: deploy.rollback,
            endpoint: Some(EndpointSpec { mode: deploy.endpoint_mode, ports }),
        })
    }

    fn container(&self, service: &mut Service<'_>) -> Result<ContainerSpec, StackError> {
        let mut container = std::mem::take(&mut service.container);
        container.labels = self.labels(&container.labels);
        container.mounts = std::mem::take(&mut service.mounts).into_iter().map(|mount| self.mount(mount)).collect::<Result<_, _>>()?;
        container.secrets = self.secrets(service)?;
        container.configs = self.configs(service)?;
        if let (Some((at, key)), Some(privileges)) = (&service.credential_config, &mut container.privileges) {
            let name = self.content_name(&self.configs, key, at, "config")?;
            // The CLI looks for the key and the scoped key only.
            if name != *key && name != self.name.scoped(key) {
                return Err(self.invalid(
                    at,
                    format!("a credential spec cannot use the config {key:?}, which has a name of its own: remove its name"),
                ));
            }
            if let Some(spec) = &mut privileges.credential_spec {
                spec.config = name;
            }
        }
        Ok(container)
    }

    fn secrets(&self, service: &Service<'_>) -> Result<Vec<SecretReference>, StackError> {
        let files = self.files(&service.secrets, &self.secrets, "secret")?;
        Ok(files
            .into_iter()
            .map(|(secret_name, file)| SecretReference { file: Some(file), secret_id: String::new(), secret_name })
            .collect())
    }

    /// A credential spec comes after the files, then all are sorted by name.
    fn configs(&self, service: &Service<'_>) -> Result<Vec<ConfigReference>, StackError> {
        let files = self.files(&service.configs, &self.configs, "config")?;
        let mut configs: Vec<ConfigReference> = files
            .into_iter()
            .map(|(config_name, file)| ConfigReference { file: Some(file), config_name, ..ConfigReference::default() })
            .collect();
        if let Some((at, key)) = &service.credential_config {
            let config_name = self.content_name(&self.configs, key, at, "config")?;
            configs.push(ConfigReference { runtime: Some(RuntimeTarget {}), config_name, ..ConfigReference::default() });
        }
        configs.sort_by(|a, b| a.config_name.cmp(&b.config_name));
        Ok(configs)
    }

    /// References with the names in the swarm, in the order of those names and then of the file (D4).
    fn files(&self, references: &[Reference<'_>], contents: &Contents, what: &str) -> Result<Vec<(String, FileTarget)>, StackError> {
        let (mut targets, mut sources) = (BTreeSet::new(), BTreeSet::new());
        let mut files = Vec::new();
        for reference in references {
            if !sources.insert(&reference.source)
                && let Some(owner) = Owner::of(&reference.at.path)
            {
                self.cx.deviates(owner, self.cx.location(reference.at.place, &reference.at.path), Rule::Order);
            }
            let name = self.content_name(contents, &reference.source, &reference.at, what)?;
            let target = if reference.target.is_empty() { &reference.source } else { &reference.target };
            if !targets.insert(target) {
                let problem = format!("the {what} {:?} has the target {target:?}, which another one has already", reference.source);
                return Err(self.invalid(&reference.at, problem));
            }
            let owner = |id: &Option<String>| id.clone().filter(|id| !id.is_empty()).unwrap_or_else(|| "0".to_owned());
            let mode = reference.mode.unwrap_or(DEFAULT_FILE_MODE);
            files.push((name, FileTarget { name: target.clone(), uid: owner(&reference.uid), gid: owner(&reference.gid), mode }));
        }
        files.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(files)
    }

    fn content_name(&self, contents: &Contents, key: &str, at: &Spot<'_>, what: &str) -> Result<String, StackError> {
        match contents.get(key) {
            Some(content) => Ok(self.swarm_name(key, &content.name)),
            None => Err(self.invalid(at, format!("there is no {what} {key:?}: add it under {what}s: at the top level"))),
        }
    }
}

fn mode(mode: Mode, replicas: Option<u64>) -> ServiceMode {
    match mode {
        Mode::Replicated => ServiceMode::Replicated { replicas },
        Mode::Global => ServiceMode::Global {},
        // All at once, as the CLI has it.
        Mode::ReplicatedJob => ServiceMode::ReplicatedJob { max_concurrent: replicas, total_completions: replicas },
        Mode::GlobalJob => ServiceMode::GlobalJob {},
    }
}

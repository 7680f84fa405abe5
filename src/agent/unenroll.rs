//! An agent is taken out of service: the control plane hears of it, and its identity, key and certificate go. On the
//! main thread of a process of its own; the journal's lock keeps it from doing that to an agent that runs.

use super::{StartError, control_plane_settings};
use crate::config::Config;
use crate::domain::AgentId;
use crate::journal::{self, Identity, Journal, Origin};
use crate::{control_plane, threads};
use crossbeam_channel::bounded;

/// An agent that a control plane has enrolled.
pub struct Enrolled {
    identity: Identity,
    settings: control_plane::Settings,
    journal: Journal,
    /// The journal's thread ends with the journal.
    _writer: threads::Thread,
}

/// Whether the control plane hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// It must agree; otherwise nothing changes.
    Told,
    /// Nobody is asked: it is gone, or no longer knows this agent.
    Untold,
}

/// It cannot be taken out of service.
#[derive(Debug, thiserror::Error)]
pub enum UnenrollError {
    /// The state directory.
    #[error(transparent)]
    Start(#[from] StartError),
    /// There is nothing to end.
    #[error("this agent is not enrolled: its state directory {0} holds no identity from a control plane")]
    NotEnrolled(String),
    /// No address.
    #[error("control_plane.grpc_url is not set: nobody can be told; --local forgets the identity without that")]
    NoControlPlane,
    /// The control plane does not agree.
    #[error("{0}\nNothing was changed. --local forgets the identity without asking the control plane")]
    ControlPlane(String),
    /// A file.
    #[error("{0}")]
    Files(String),
}

impl Enrolled {
    /// Looks into the state directory.
    ///
    /// # Errors
    /// When an agent runs with it, or was never enrolled.
    pub fn find(config: &Config) -> Result<Self, UnenrollError> {
        let directory = &config.agent.state_dir;
        let nobody = || UnenrollError::NotEnrolled(directory.display().to_string());
        // A directory without a journal is not made into one with it.
        if !journal::exists(directory) {
            return Err(nobody());
        }
        let (exits, _ended) = bounded(1);
        let (journal, recovered, writer) = journal::open(directory, exits).map_err(StartError::from)?;
        let identity = recovered.identity.filter(|identity| identity.origin != Origin::Local).ok_or_else(nobody)?;
        let settings = control_plane_settings(config, Some(&identity)).ok_or(UnenrollError::NoControlPlane);
        Ok(Self { identity, settings: settings?, journal, _writer: writer })
    }

    /// Who it is.
    #[must_use]
    pub fn agent(&self) -> &AgentId {
        &self.identity.agent_id
    }

    /// Where the control plane is.
    #[must_use]
    pub fn control_plane(&self) -> &str {
        &self.settings.endpoint.target
    }

    /// Does it.
    ///
    /// # Errors
    /// When the control plane does not agree, or a file stays.
    pub fn leave(self, farewell: Farewell) -> Result<(), UnenrollError> {
        if farewell == Farewell::Told {
            control_plane::unregister(&self.settings, self.agent(), self.identity.credential.as_ref())
                .map_err(UnenrollError::ControlPlane)?;
        }
        // ORDER: the identity last. Until then the same command finds what is left.
        control_plane::forget(&self.settings).map_err(UnenrollError::Files)?;
        self.journal.forget_identity().map_err(StartError::from)?;
        Ok(())
    }
}

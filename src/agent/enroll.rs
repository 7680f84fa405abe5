//! An agent is enrolled before it is started for the first time, so that whoever sets a host up hears at once whether
//! its token is good. On the main thread of a process of its own; the agent finds its identity in the journal.

use super::{StartError, control_plane_settings, identity, remove_used_token};
use crate::config::Config;
use crate::control_plane;
use crate::coordinator;
use crate::domain::AgentId;
use crate::journal::{self, Origin};
use crossbeam_channel::bounded;
use std::path::PathBuf;

/// How it came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enrollment {
    /// It was enrolled just now.
    Now(AgentId),
    /// It was enrolled before: its token is left alone.
    Before(AgentId),
}

/// It cannot be enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// The state directory.
    #[error(transparent)]
    Start(#[from] StartError),
    /// No address.
    #[error("control_plane.grpc_url is not set: there is nobody to enrol at")]
    NoControlPlane,
    /// With the code and the mend.
    #[error("{0}")]
    ControlPlane(String),
}

/// Asks once. `token_file` takes the place of the configured token.
///
/// # Errors
/// When an agent runs with this state directory, or the control plane gives no identity.
pub fn enroll(mut config: Config, token_file: Option<PathBuf>) -> Result<Enrollment, EnrollError> {
    if let Some(path) = token_file {
        config.agent.token_file = Some(path);
    }
    let settings = control_plane_settings(&config, None).ok_or(EnrollError::NoControlPlane)?;
    let (exits, _ended) = bounded(1);
    let (journal, recovered, _writer) = journal::open(&config.agent.state_dir, exits).map_err(StartError::from)?;
    match identity(&config, &journal, recovered.identity)? {
        Some(known) if known.origin != Origin::Local => return Ok(Enrollment::Before(known.agent_id)),
        _ => {}
    }
    let salt = journal.enrolment_salt().map_err(StartError::from)?;
    let enrolment = control_plane::enroll(settings, config.agent.id.as_ref(), salt).map_err(EnrollError::ControlPlane)?;
    let identity = coordinator::enrolled_identity(enrolment);
    journal.identify(identity.clone()).map_err(StartError::from)?;
    remove_used_token(&config, &identity);
    Ok(Enrollment::Now(identity.agent_id))
}

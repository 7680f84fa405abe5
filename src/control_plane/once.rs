//! What is done once, on the caller's thread, by a process that is not the running agent: to enrol, and to take an
//! agent out of service.

use super::call::{CallError, Packing, Terms, unary};
use super::fault::{Doing, Fault};
use super::keyring::{KeyError, Keyring};
use super::line::{Lines, look, needs_credential};
use super::wire::{UNREGISTER, unregister_request};
use super::worker::Worker;
use super::{Enrolment, Event, Settings, Sources, access};
use crate::domain::{AgentId, Health, Phase, Sensitive, Timestamp};
use crate::threads::{Published, Stop};
use crossbeam_channel::{bounded, never};
use std::sync::Arc;
use std::time::SystemTime;
use uuid::Uuid;

/// Asks for an identity, once.
///
/// # Errors
/// With the code, the reason and the mend when there is none to be had.
pub fn enroll(settings: Settings, wish: Option<&AgentId>, salt: Uuid) -> Result<Enrolment, String> {
    let health = Health::of(Phase::Starting, Vec::new());
    let (events, inbox) = bounded(1);
    let sources = Sources {
        settings: Published::new(settings),
        health: Published::new(health),
        swarm: Published::new(None),
        samples: Arc::new(Vec::new),
        command_keys: Published::default(),
    };
    let mut worker = Worker::new(sources, events, access::pair().0, never(), Stop::never());
    worker.enrol_once(wish, salt).map_err(|fault| fault.to_string())?;
    let enrolment = inbox.try_iter().find_map(|event| if let Event::Enrolled(enrolment) = event { Some(*enrolment) } else { None });
    enrolment.ok_or_else(|| "the identity got lost".to_owned())
}

/// Tells the control plane that this agent is out of service for good.
///
/// # Errors
/// With the code, the reason and the mend when it does not take that.
pub fn unregister(settings: &Settings, agent: &AgentId, credential: Option<&Sensitive<String>>) -> Result<(), String> {
    // Without a certificate that can be read the credential is left.
    let own = Keyring::new(&settings.state_dir).pair().ok().flatten();
    let now = Timestamp::from(SystemTime::now());
    let line = Lines::new().open(settings, own.as_ref(), now).map_err(|error| error.to_string())?;
    let credential = credential.filter(|_| needs_credential(line.shows)).map(|text| text.reveal().as_str());
    let terms = Terms { doing: Doing::Speaking, credential, timeout: settings.timeout, packing: Packing::Plain, stop: &Stop::never() };
    match unary(&line.client, &UNREGISTER, &unregister_request(agent), &terms) {
        Ok(_) => Ok(()),
        Err(CallError::Stopped) => Err("it was stopped".to_owned()),
        Err(CallError::Fault(fault)) => {
            let seen = if fault.is_vague() { look(settings, own.as_ref(), now).map(Fault::of_finding) } else { None };
            Err(seen.unwrap_or(fault).without(credential.unwrap_or_default()).to_string())
        }
    }
}

/// Removes the agent's key and certificate.
///
/// # Errors
/// With the file that cannot be removed.
pub fn forget(settings: &Settings) -> Result<(), String> {
    Keyring::new(&settings.state_dir).forget().map_err(|error: KeyError| error.to_string())
}

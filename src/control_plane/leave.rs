//! Taking an agent out of service: one call, on the caller's thread, and what was kept for the link is removed.

use super::Settings;
use super::call::{CallError, Terms, unary};
use super::fault::{Doing, Fault};
use super::keyring::{KeyError, Keyring};
use super::line::{Lines, look, needs_credential};
use super::wire::{UNREGISTER, unregister_request};
use crate::domain::{AgentId, Sensitive, Timestamp};
use crate::threads::Stop;
use std::time::SystemTime;

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
    let terms = Terms { doing: Doing::Speaking, credential, timeout: settings.timeout, stop: &Stop::never() };
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

//! What is told of updates: what runs, what was before, how a trial goes, and why not. Read from the files when somebody
//! asks, on the thread of whoever does.

use super::fault::Fault;
use super::files::Owner;
use super::staging::Staging;
use super::version::Version;
use super::versions::Versions;
use super::{Request, Settings};
use crate::domain::Timestamp;
use crate::threads::Published;
use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Duration;

/// A question waits for a look over the network, which has half a minute, and for a download that is under way.
const PATIENCE: Duration = Duration::from_secs(45);

/// What the last look for another version has found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Checked {
    /// When it looked.
    pub at: Option<Timestamp>,
    /// Where: `control_plane` or `manifest_url`.
    pub source: Option<&'static str>,
    /// The version that is offered, of a manifest that was verified.
    pub version: Option<Version>,
    /// Until when its manifest is good.
    pub expires_at: Option<Timestamp>,
    /// Whether it could be installed here now.
    pub installable: bool,
    /// Why not, as a stable code.
    pub code: Option<&'static str>,
    /// The same in words.
    pub message: Option<String>,
}

/// Where others ask.
#[derive(Clone)]
pub struct Desk {
    settings: Settings,
    checked: Published<Checked>,
    requests: Option<Sender<Request>>,
}

impl Desk {
    /// Over the thread, if there is one.
    #[must_use]
    pub fn new(settings: Settings, checked: Published<Checked>, requests: Option<Sender<Request>>) -> Self {
        Self { settings, checked, requests }
    }

    /// Looks for another version now.
    ///
    /// # Errors
    /// When no update can be installed here, or nothing offers one. What is wrong with one that is offered stands in the
    /// answer.
    pub fn check(&self) -> Result<Checked, Fault> {
        if let Some(fault) = self.settings.refusal() {
            return Err(fault);
        }
        let Some(requests) = &self.requests else { return Err(Fault::Disabled) };
        let (answer, answered) = bounded(1);
        requests.try_send(Request::Check(answer)).map_err(|_| Fault::Busy)?;
        match answered.recv_timeout(PATIENCE) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => Err(Fault::Busy),
            Err(RecvTimeoutError::Disconnected) => Err(Fault::Leaving),
        }
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> Value {
        let Settings { started, channel, places, .. } = &self.settings;
        let refusal = self.settings.refusal();
        let mut status = json!({
            "running": Version::own(),
            "package": started.package,
            "channel": channel,
            "refused": refusal.map(|fault| json!({"code": fault.code(), "message": fault.to_string()})),
            "held": started.held,
            "last_check": *self.checked.newest(),
            "current": null,
            "previous": null,
            "version_floor": null,
            "security_floor": null,
            "trial": null,
        });
        let Ok(owner) = Owner::of_program() else { return status };
        let versions = Versions::at(&places.versions_dir, owner);
        if !versions.exist() {
            return status;
        }
        match (versions.current(), versions.state()) {
            (Ok(current), Ok(state)) => {
                status["current"] = json!(current);
                status["previous"] = json!(state.previous);
                status["version_floor"] = json!(state.floors.version);
                status["security_floor"] = json!(state.floors.security);
                if let Some(trial) = state.trial {
                    let course = Staging::of(&places.state_dir).course(trial.id);
                    let end = course.as_ref().and_then(|course| course.end.clone());
                    status["trial"] = json!({
                        "version": trial.version,
                        "command_id": trial.id,
                        "since": trial.since,
                        "goes_back_to": trial.previous.as_ref().unwrap_or(&started.package),
                        "attempts": course.as_ref().map_or(0, |course| course.attempts),
                        "attempts_allowed": trial.attempts,
                        "outages_before": course.map(|course| course.outages).unwrap_or_default(),
                        "verdict": end.as_ref().map(|end| end.verdict),
                        "reason": end.map(|end| end.why),
                    });
                }
            }
            (Err(fault), _) | (_, Err(fault)) => status["held"] = json!(fault.to_string()),
        }
        status
    }
}

//! A look at the control plane for the doctor: the connection, and one call in the agent's name that changes nothing. On
//! the caller's thread, with a channel of its own, each wait bounded.

use super::Settings;
use super::call::{CallError, Packing, Terms, unary};
use super::channel::{Endpoint, Papers, Scheme};
use super::code::LinkCode;
use super::fault::{Doing, Fault};
use super::keyring::Keyring;
use super::line::{Lines, look, needs_credential};
use super::probe::{self, Miss, Shown};
use super::wire::{CHECK_FOR_UPDATE, check_request};
use crate::domain::{AgentId, Sensitive, Timestamp};
use crate::threads::{Deadline, Stop};
use grpcio::RpcStatusCode;
use openssl::x509::X509;
use std::time::{Duration, Instant, SystemTime};

/// Asked for where the configuration follows no channel of its own.
const CHANNEL: &str = "stable";

/// A connection that came about.
#[derive(Debug, Clone)]
pub struct Connected {
    /// How long it took, TLS included.
    pub took: Duration,
    /// Over TLS: its version, and the certificate that the server has shown.
    pub tls: Option<(String, Option<X509>)>,
    /// The `Date` that the server tells over HTTP/1.1, where it speaks that.
    pub date: Option<String>,
}

/// What came of the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Called {
    /// It was answered, after so long.
    Answered(Duration),
    /// The server does not know this call; whether it knows the agent is not proven.
    Unknown,
}

/// Connects, and shakes hands.
///
/// # Errors
/// With the code, the reason and the mend.
pub fn connect(settings: &Settings, deadline: Deadline) -> Result<Connected, String> {
    let (endpoint, route) = (&settings.endpoint, &settings.route);
    let now = Timestamp::from(SystemTime::now());
    let own = Keyring::new(&settings.state_dir).pair().ok().flatten().filter(|pair| now < pair.life.until);
    let papers = match endpoint.scheme {
        Scheme::Plain => None,
        Scheme::Tls => Some(Papers::read(settings, own.as_ref()).map_err(|error| error.to_string())?),
    };
    let roots = papers.as_ref().map(|papers| papers.roots.as_slice()).unwrap_or_default();
    let certificate = papers.as_ref().and_then(|papers| papers.certificate.as_ref());
    let certificate = certificate.map(|(chain, key)| (chain.as_slice(), key.reveal().as_slice()));
    let shown = Shown { roots, certificate };
    let started = Instant::now();
    // In gRPC's words, which `fault` knows.
    let fault = |words: &str| Fault::of_status(RpcStatusCode::UNAVAILABLE, words, Doing::Speaking).to_string();
    match probe::shake(endpoint, route, &shown, deadline) {
        Err(Miss::Away(error)) if error.to_string().contains("lookup address") => Err(fault(&format!("DNS resolution failed: {error}"))),
        Err(Miss::Away(error)) => Err(fault(&error.to_string())),
        Err(Miss::Handshake(Some(finding))) => Err(Fault::of_finding(finding).to_string()),
        Err(Miss::Handshake(None)) => Err(fault("handshake failed")),
        Ok(tls) => {
            let took = started.elapsed();
            Ok(Connected { took, tls, date: date(endpoint, settings, &shown, deadline) })
        }
    }
}

fn date(endpoint: &Endpoint, settings: &Settings, shown: &Shown<'_>, deadline: Deadline) -> Option<String> {
    let head = probe::head(endpoint, &settings.route, shown, deadline)?;
    let value = head.lines().filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("date"));
    value.map(|(_, value)| value.trim().to_owned())
}

/// Asks for an update, in the agent's name; what is offered is not looked at.
///
/// # Errors
/// With the code, the reason and the mend.
pub fn call(settings: &Settings, agent: &AgentId, credential: Option<&Sensitive<String>>, deadline: Deadline) -> Result<Called, String> {
    // Without a certificate that can be read the credential is left.
    let own = Keyring::new(&settings.state_dir).pair().ok().flatten();
    let now = Timestamp::from(SystemTime::now());
    let line = Lines::new().open(settings, own.as_ref(), now).map_err(|error| error.to_string())?;
    let credential = credential.filter(|_| needs_credential(line.shows)).map(|text| text.reveal().as_str());
    let timeout = settings.timeout.min(deadline.left());
    let terms = Terms { doing: Doing::Speaking, credential, timeout, packing: Packing::Plain, stop: &Stop::never() };
    let channel = settings.updates.as_ref().map_or(CHANNEL, |updates| updates.channel.as_str());
    let started = Instant::now();
    match unary(&line.client, &CHECK_FOR_UPDATE, &check_request(agent, channel), &terms) {
        Ok(_) => Ok(Called::Answered(started.elapsed())),
        Err(CallError::Stopped) => Err("it was stopped".to_owned()),
        Err(CallError::Fault(fault)) if fault.code == LinkCode::UNIMPLEMENTED => Ok(Called::Unknown),
        Err(CallError::Fault(fault)) => {
            let seen = if fault.is_vague() { look(settings, own.as_ref(), now).map(Fault::of_finding) } else { None };
            Err(seen.unwrap_or(fault).without(credential.unwrap_or_default()).to_string())
        }
    }
}

//! How the agent comes to its identity: the token and a request for a certificate go out, an id, a credential and a
//! certificate come back. Part of the thread `control-plane`.

use super::super::call::{CallError, Packing, Terms, unary};
use super::super::code::LinkCode;
use super::super::fault::{Doing, Fault, Manner};
use super::super::wire::{self, Asking};
use super::super::{Enrolment, Event, Scheme, host};
use super::{Certificate, Me, Stopped, Worker, now, without};
use crate::domain::{AgentId, Sensitive};
use crate::threads::Deadline;
use std::time::Instant;
use uuid::Uuid;

/// A token is a line of text.
const MAX_TOKEN_BYTES: usize = 64 * 1024;

impl Worker {
    /// Asks for an identity until there is one.
    pub(super) fn enrol(&mut self, wish: Option<&AgentId>, salt: Uuid) -> Result<Me, Stopped> {
        loop {
            let begun = Instant::now();
            match self.ask_for_identity(wish, salt) {
                Ok(me) => return Ok(me),
                Err(CallError::Stopped) => return Err(Stopped),
                Err(CallError::Fault(fault)) => {
                    let wait = self.down(fault, None, begun.elapsed())?;
                    self.rest(Deadline::after(wait))?;
                }
            }
        }
    }

    /// The same with one try.
    pub(in crate::control_plane) fn enrol_once(&mut self, wish: Option<&AgentId>, salt: Uuid) -> Result<(), Fault> {
        match self.ask_for_identity(wish, salt) {
            Ok(_) => Ok(()),
            Err(CallError::Fault(fault)) => Err(self.seen(&fault, None).unwrap_or(fault)),
            Err(CallError::Stopped) => Err(Fault::new(LinkCode::FAILED, "it was stopped", Manner::Away)),
        }
    }

    fn ask_for_identity(&mut self, wish: Option<&AgentId>, salt: Uuid) -> Result<Me, CallError> {
        self.ensure_line(None)?;
        let token = self.token()?;
        let facts = host::facts();
        let name = wish.map(AgentId::as_str).or(self.settings.name.as_deref()).unwrap_or(&facts.hostname);
        let wants_certificate = self.settings.endpoint.scheme == Scheme::Tls && self.settings.client_certificate.is_none();
        let certificate_request = if wants_certificate { Some(self.certificate_request(name)?) } else { None };
        // Follows from the token: another token is another request.
        let request = Uuid::new_v5(&salt, token.reveal().as_bytes());
        let request = wire::enroll_request(&self.settings, Asking { wish, token: &token, request, certificate_request, facts });
        let terms =
            Terms { doing: Doing::Enrolling, credential: None, timeout: self.settings.timeout, packing: Packing::Plain, stop: &self.stop };
        let response = unary(self.client()?, &wire::ENROLL, &request, &terms).map_err(|error| without(error, Some(&token)))?;
        let unusable = |why: String| Fault::new(LinkCode::ANSWER, format!("the answer to Enroll: {why}"), Manner::Away);
        let (enrolment, chain) = wire::enrolment(response, wish.cloned()).map_err(|error| unusable(error.to_string()))?;
        // ORDER: the certificate before the identity. Without the identity the same request brings both again.
        let certificate = match chain.filter(|_| wants_certificate) {
            Some(chain) => {
                let pair = self.keyring.accept(&chain, now()).map_err(|error| unusable(error.to_string()))?;
                self.kept(pair)
            }
            None => Certificate::Without,
        };
        let me = Me { agent: enrolment.agent_id.clone(), credential: enrolment.credential.clone(), certificate };
        self.tell(Event::Enrolled(Box::<Enrolment>::new(enrolment)))?;
        Ok(me)
    }

    /// The token of now: its file may have been given another one.
    fn token(&self) -> Result<Sensitive<String>, Fault> {
        let missing = || {
            let words = "the agent is not enrolled and has no token: set agent.token";
            Fault::new(LinkCode::NO_TOKEN, words, Manner::Refused)
        };
        match &self.settings.token_file {
            None => self.settings.token.clone().ok_or_else(missing),
            Some(path) => {
                let read = std::fs::read_to_string(path).map_err(|error| {
                    Fault::new(LinkCode::NO_TOKEN, format!("cannot read the token in {}: {error}", path.display()), Manner::Refused)
                })?;
                let token = read.trim();
                if token.is_empty() || token.len() > MAX_TOKEN_BYTES { Err(missing()) } else { Ok(Sensitive::new(token.to_owned())) }
            }
        }
    }
}

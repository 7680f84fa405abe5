//! Asks registries for the digests of a stack's images, through the engine.
//!
//! A registry that cannot be asked is a warning and the image stays as it is. An image that its
//! registry does not have, and that no node can have either, fails before anything is made.

use super::{Broken, Failure, trouble};
use crate::docker::api::registry_auth;
use crate::docker::error::EngineError;
use crate::docker::room::{Room, StepError};
use crate::docker::types::{Distribution, Service};
use crate::domain::{Code, Deploy, RegistryCredential, Sensitive};
use crate::stack::images::{self, Resolution};
use crate::stack::plan::Who;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A registry that fails after so long is away: twenty images of it must not wait for it twenty times.
const SLOW: Duration = Duration::from_secs(5);

/// What a registry said that gave a digest.
const IT_IS_THERE: &str = "has it, so the node could not pull it from there; the node's own log says why";

/// Answers, each asked for once per deploy.
pub(super) struct Images<'a> {
    room: &'a Room<'a>,
    request: &'a Deploy,
    answers: BTreeMap<String, Result<Distribution, EngineError>>,
    /// What those registries said that took their time for it, by host: they are not asked again.
    slow: BTreeMap<String, EngineError>,
    /// Whether this is the only node: then an image that it has not is nowhere.
    alone: Option<bool>,
}

/// The login for an image's registry: those given with the command first.
pub(super) fn auth(room: &Room<'_>, given: &BTreeMap<String, RegistryCredential>, image: &str) -> Option<Sensitive<String>> {
    let host = images::registry(image);
    let of = |logins: &BTreeMap<String, RegistryCredential>| {
        logins.iter().find(|(key, _)| images::login_host(key) == host).map(|(_, login)| login.clone())
    };
    let login = of(given).or_else(|| of(&room.settings.registries))?;
    Some(registry_auth(host, &login))
}

impl<'a> Images<'a> {
    pub(super) fn new(room: &'a Room<'a>, request: &'a Deploy) -> Self {
        Self { room, request, answers: BTreeMap::new(), slow: BTreeMap::new(), alone: None }
    }

    /// Writes digest and platforms into `spec`, or what the service that runs has. What is returned is what it means when a
    /// node has no such image: a node that cannot pull says no more. A registry that gave no digest will tell the node the
    /// same; one that did has the image.
    pub(super) fn resolve(
        &mut self,
        spec: &mut Value,
        held: Option<&Service>,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Failure>, Broken> {
        let who = Who { agent: self.room.agent, command: self.room.command.id };
        let wrote_it = held.is_some_and(|service| who.has_written(service));
        let held = held.map(|service| &service.spec);
        match images::resolution(self.request.resolve_image, spec, held) {
            // Before a restart this command asked: a tag that moved since then makes no second update.
            Resolution::Ask if wrote_it && held.is_some_and(|held| images::same_text(spec, held)) => {
                held.into_iter().for_each(|held| images::reuse(spec, held));
                Ok(None)
            }
            Resolution::AsWritten => Ok(None),
            Resolution::Reuse => {
                if let Some(held) = held {
                    images::reuse(spec, held);
                }
                Ok(None)
            }
            Resolution::Ask => self.ask(spec, held, warnings),
        }
    }

    fn ask(&mut self, spec: &mut Value, held: Option<&Value>, warnings: &mut Vec<String>) -> Result<Option<Failure>, Broken> {
        let image = images::image(spec).to_owned();
        let error = match self.answer(&image)? {
            Ok(answer) => {
                let platforms = answer.platforms.iter().map(|platform| (platform.architecture.as_str(), platform.os.as_str()));
                images::resolved(spec, &answer.descriptor.digest, platforms);
                return Ok(Some(Failure::new(Code::IMAGE_PULL, IT_IS_THERE)));
            }
            Err(error) => error.clone(),
        };
        let is_of_the_text = |held: &&Value| images::same_text(spec, held) && images::is_named_by(images::image(held), &image);
        if let Some(held) = held.filter(is_of_the_text) {
            // The text is the same: what runs stays, rather than tasks being replaced because a registry is away.
            images::reuse(spec, held);
        } else if let Some(failure) = self.is_nowhere(&image, &error)? {
            return Err(failure.into());
        }
        let warning = format!("the digest of {image} is not known, so its nodes may run different versions of it: {error}");
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
        let code = trouble::of_words(&error.to_string()).unwrap_or(Code::IMAGE_PULL);
        Ok(Some(Failure::new(code, error.to_string())))
    }

    fn answer(&mut self, image: &str) -> Result<&Result<Distribution, EngineError>, Broken> {
        if !self.answers.contains_key(image) {
            let host = images::registry(image);
            let answer = match self.slow.get(host) {
                Some(error) => Err(error.clone()),
                None => {
                    let asked_at = Instant::now();
                    let answer = self.fetch(image)?;
                    if let Some(error) = answer.as_ref().err().filter(|error| is_away(error, asked_at.elapsed())) {
                        self.slow.insert(host.to_owned(), error.clone());
                    }
                    answer
                }
            };
            self.answers.insert(image.to_owned(), answer);
        }
        Ok(&self.answers[image])
    }

    fn fetch(&self, image: &str) -> Result<Result<Distribution, EngineError>, Broken> {
        let auth = auth(self.room, &self.request.registry_auth, image);
        let answer = self.room.observe(|client| match client.distribution(image, auth.as_ref()) {
            // The engine, not the registry: it is waited for.
            Err(error @ (EngineError::Away { .. } | EngineError::Lost { .. } | EngineError::TooLate { .. })) => Err(error),
            // A refusal is an answer; and a slow registry must not use up the time of the command.
            answer => Ok(answer),
        });
        match answer {
            Ok(answer) => Ok(answer),
            Err(StepError::Refused(error) | StepError::Unknown(error)) => Ok(Err(error)),
            Err(StepError::Halted(halt)) => Err(halt.into()),
        }
    }

    /// Whether it is certain that no node can run the image: the registry says that it has not got it or
    /// wants other credentials, and this, the only node, has not got it either.
    fn is_nowhere(&mut self, image: &str, error: &EngineError) -> Result<Option<Failure>, Broken> {
        let code = match trouble::of_words(&error.to_string()) {
            Some(code @ (Code::IMAGE_NOT_FOUND | Code::IMAGE_AUTH)) => code,
            _ => return Ok(None),
        };
        let here = super::names::found(self.room, |client| client.image(image))?;
        if here.is_some() || !self.is_alone()? {
            return Ok(None);
        }
        let what = if code == Code::IMAGE_AUTH { "its registry wants other credentials" } else { "its registry has no such image" };
        Ok(Some(Failure::new(code, format!("image {image} cannot be had: {what}, and this node has none: {error}"))))
    }

    fn is_alone(&mut self) -> Result<bool, Broken> {
        if self.alone.is_none() {
            self.alone = Some(self.room.observe(|client| client.nodes())?.len() == 1);
        }
        Ok(self.alone.unwrap_or(false))
    }
}

/// Whether an answer that took so long says that its registry is away, and so would go for every image of it.
fn is_away(error: &EngineError, took: Duration) -> bool {
    let of_this_image = matches!(trouble::of_words(&error.to_string()), Some(Code::IMAGE_NOT_FOUND | Code::IMAGE_AUTH));
    took >= SLOW && !of_this_image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_registry_that_gives_no_answer_is_not_asked_again() {
        let refused =
            |message: &str| EngineError::Refused { call: "GET /distribution/a/json".into(), status: 500, message: message.into() };
        for (error, seconds, away) in [
            (refused("Get \"https://r/v2/\": dial tcp 10.0.0.1:443: i/o timeout"), 30, true),
            (EngineError::Timeout { call: "GET /distribution/a/json".into(), after: Duration::from_secs(60) }, 60, true),
            (refused("Get \"https://r/v2/\": dial tcp 10.0.0.1:443: connection refused"), 0, false),
            (refused("manifest unknown: manifest unknown"), 30, false),
            (refused("unauthorized: authentication required"), 30, false),
        ] {
            assert_eq!(is_away(&error, Duration::from_secs(seconds)), away, "{error}");
        }
    }
}

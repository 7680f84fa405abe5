//! The Engine API client: requests in, JSON out, over kept connections to one Unix socket.
//!
//! Cheap to clone and used from every thread of this room. Each call has its own time, and none goes
//! on past the limit that [`Client::until`] sets. It negotiates the API version with `GET /_ping`
//! before its first call and again after the engine was away: another engine may have come back.
//! It never retries.

use super::error::EngineError;
use crate::domain::Sensitive;
use crate::threads::Deadline;
pub(super) use crate::unix_http::encoded;
use crate::unix_http::{self, Kept};
use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed};
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use ureq::http::{self, Method, Response};
use ureq::{Agent, Body};

/// A call that only touches the engine or the raft store: 8 ms in practice, seconds on a busy disk.
pub(super) const CALL: Duration = Duration::from_secs(30);
/// A ping answers at once or not at all.
pub(super) const PING: Duration = Duration::from_secs(5);
/// A call that asks a registry through the engine.
pub(super) const REGISTRY_CALL: Duration = Duration::from_secs(60);
/// One connection per lane, one for the query thread and a spare; a stack's commands come in bursts.
const KEPT: Kept = Kept { connections: 4, age: Duration::from_secs(60) };
/// The largest answer that is read, in bytes: a task is about 3 KiB, and swarms have some thousands.
const MAX_ANSWER: u64 = 64 * 1024 * 1024;

/// A version of the Engine API, such as 1.41.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion {
    major: u32,
    minor: u32,
}

impl ApiVersion {
    /// Docker 19.03: the oldest with everything that a stack may need short of jobs.
    pub const OLDEST: Self = Self { major: 1, minor: 40 };
    /// Docker 28.1: the newest that this agent was written for.
    pub const NEWEST: Self = Self { major: 1, minor: 50 };

    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().split_once('.')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// One call before it is made. It has no `Debug`: a body may be a secret.
pub(super) struct Request {
    method: Method,
    path: String,
    query: String,
    body: Vec<u8>,
    registry_auth: Option<Sensitive<String>>,
    time: Duration,
}

impl Request {
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path.into())
    }

    pub(super) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path.into())
    }

    pub(super) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path.into())
    }

    fn new(method: Method, path: String) -> Self {
        Self { method, path, query: String::new(), body: Vec::new(), registry_auth: None, time: CALL }
    }

    /// Adds `key=value` to the query.
    pub(super) fn query(mut self, key: &str, value: &str) -> Self {
        self.query.push(if self.query.is_empty() { '?' } else { '&' });
        self.query.push_str(key);
        self.query.push('=');
        self.query.push_str(&encoded(value));
        self
    }

    /// Sets the JSON body.
    pub(super) fn json(mut self, body: &impl Serialize) -> Result<Self, EngineError> {
        self.body = serde_json::to_vec(body).map_err(|error| self.malformed(&error))?;
        Ok(self)
    }

    /// The same, already written.
    pub(super) fn body(self, body: Vec<u8>) -> Self {
        Self { body, ..self }
    }

    /// Sends registry credentials along, as [`super::api::registry_auth`] makes them.
    pub(super) fn registry_auth(mut self, auth: Option<&Sensitive<String>>) -> Self {
        self.registry_auth = auth.cloned();
        self
    }

    /// Gives the call another time than [`CALL`].
    pub(super) fn within(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn malformed(&self, reason: &impl fmt::Display) -> EngineError {
        EngineError::Malformed { call: self.name(), reason: reason.to_string() }
    }
}

/// A client of one engine.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
    limit: Option<Deadline>,
}

#[derive(Debug)]
struct Shared {
    agent: Agent,
    socket: String,
    /// What was negotiated; none before the first call and after the engine was away.
    api: Mutex<Option<ApiVersion>>,
}

impl Client {
    /// A client of the engine behind `socket`. Nothing is sent yet.
    #[must_use]
    pub fn connect(socket: &Path) -> Self {
        let shared = Shared { agent: unix_http::agent(socket, KEPT), socket: socket.display().to_string(), api: Mutex::new(None) };
        Self { shared: Arc::new(shared), limit: None }
    }

    /// The same client, of which no call goes on past `limit`.
    #[must_use]
    pub fn until(&self, limit: Deadline) -> Self {
        Self { shared: Arc::clone(&self.shared), limit: Some(limit) }
    }

    /// Closes every connection under whatever reads from it, and makes no further one.
    pub fn shutdown(&self) {
        self.shared.agent.clone().shutdown();
    }

    /// The API version in use, negotiated now if it is not known.
    ///
    /// # Errors
    /// When the engine does not answer or is too old.
    pub fn api(&self) -> Result<ApiVersion, EngineError> {
        if let Some(api) = *self.lock() {
            return Ok(api);
        }
        let api = self.ping()?;
        *self.lock() = Some(api);
        Ok(api)
    }

    /// Asks the engine for its version; the answer is the one to use.
    ///
    /// # Errors
    /// When the engine does not answer or is too old.
    pub fn ping(&self) -> Result<ApiVersion, EngineError> {
        self.ping_within(PING)
    }

    /// The same with a time of its own.
    pub(super) fn ping_within(&self, time: Duration) -> Result<ApiVersion, EngineError> {
        Ok(self.offered(time)?.min(ApiVersion::NEWEST))
    }

    /// The newest version that the engine speaks, if the agent can work with it.
    pub(super) fn offered(&self, time: Duration) -> Result<ApiVersion, EngineError> {
        let request = Request::get("/_ping").within(time);
        let response = self.send("", &request)?;
        let offered = response.headers().get("api-version").and_then(|value| value.to_str().ok()).and_then(ApiVersion::parse);
        read(&request, response).map_err(|error| self.note(error))?;
        let Some(offered) = offered else { return Err(request.malformed(&"it names no Api-Version")) };
        if offered < ApiVersion::OLDEST {
            return Err(EngineError::TooOld { found: offered.to_string(), needed: ApiVersion::OLDEST.to_string() });
        }
        Ok(offered)
    }

    /// Makes the call and reads the JSON of its answer.
    pub(super) fn fetch<T: DeserializeOwned>(&self, request: Request) -> Result<T, EngineError> {
        let body = self.bytes(&request)?;
        serde_json::from_slice(&body).map_err(|error| request.malformed(&error))
    }

    /// Makes the call and reads the JSON of its answer with this.
    pub(super) fn read<S: for<'de> DeserializeSeed<'de, Value = T>, T>(&self, request: &Request, seed: S) -> Result<T, EngineError> {
        let body = self.bytes(request)?;
        let mut reader = serde_json::Deserializer::from_slice(&body);
        let value = seed.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
        value.map_err(|error| request.malformed(&error))
    }

    /// Makes the call; the answer's text does not matter.
    pub(super) fn order(&self, request: Request) -> Result<(), EngineError> {
        self.bytes(&request).map(drop)
    }

    /// Makes the call and returns the bytes of its answer.
    pub(super) fn bytes(&self, request: &Request) -> Result<Vec<u8>, EngineError> {
        let prefix = format!("/v{}", self.api()?);
        let response = self.send(&prefix, request)?;
        read(request, response).map_err(|error| self.note(error))
    }

    /// Opens an answer without end. A read that waits for `quiet` fails with `TimedOut` and may be repeated.
    pub(super) fn stream(&self, request: &Request, quiet: Duration) -> Result<impl Read + use<>, EngineError> {
        let uri = format!("http://engine/v{}{}{}", self.api()?, request.path, request.query);
        let wanted = http::Request::get(uri).body(()).map_err(|error| request.malformed(&error))?;
        let wanted =
            self.shared.agent.configure_request(wanted).timeout_recv_response(Some(request.time)).timeout_per_read(Some(quiet)).build();
        let answer = self.shared.agent.run(wanted).map_err(|error| self.failed(request, request.time, error))?;
        if !answer.status().is_success() {
            return Err(read(request, answer).err().unwrap_or_else(|| request.malformed(&"an empty refusal")));
        }
        Ok(answer.into_body().into_reader())
    }

    fn send(&self, prefix: &str, request: &Request) -> Result<Response<Body>, EngineError> {
        let deadline = Deadline::after(request.time);
        let left = self.limit.map_or(deadline, |limit| limit.min(deadline)).left();
        if left.is_zero() {
            return Err(EngineError::TooLate { call: request.name() });
        }
        let uri = format!("http://engine{prefix}{}{}", request.path, request.query);
        let mut builder = http::Request::builder().method(&request.method).uri(uri);
        if let Some(auth) = &request.registry_auth {
            builder = builder.header("X-Registry-Auth", auth.reveal());
        }
        let agent = &self.shared.agent;
        let result = if request.method == Method::POST {
            let post = builder.header("Content-Type", "application/json").body(request.body.as_slice());
            let post = post.map_err(|error| request.malformed(&error))?;
            agent.run(agent.configure_request(post).timeout_global(Some(left)).build())
        } else {
            let other = builder.body(()).map_err(|error| request.malformed(&error))?;
            agent.run(agent.configure_request(other).timeout_global(Some(left)).build())
        };
        result.map_err(|error| self.failed(request, left, error))
    }

    fn failed(&self, request: &Request, after: Duration, error: ureq::Error) -> EngineError {
        self.note(EngineError::from_ureq(request.name(), &self.shared.socket, after, error))
    }

    /// After the engine was away another one may come back: negotiate again.
    fn note(&self, error: EngineError) -> EngineError {
        if matches!(error, EngineError::Away { .. } | EngineError::Lost { .. }) {
            *self.lock() = None;
        }
        error
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<ApiVersion>> {
        self.shared.api.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads an answer whole: its bytes, or its refusal.
fn read(request: &Request, response: Response<Body>) -> Result<Vec<u8>, EngineError> {
    let status = response.status();
    let body = response.into_body().into_with_config().limit(MAX_ANSWER).read_to_vec();
    let body = body.map_err(|error| EngineError::from_ureq(request.name(), "", request.time, error))?;
    if status.is_success() { Ok(body) } else { Err(EngineError::from_answer(request.name(), status.as_u16(), &body)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(ApiVersion::parse("1.9").unwrap() < ApiVersion::OLDEST);
        assert_eq!(ApiVersion::parse("1.51").unwrap().min(ApiVersion::NEWEST).to_string(), "1.50");
        assert_eq!(ApiVersion::parse("1"), None);
    }

    #[test]
    fn names_and_filters_stay_one_value() {
        assert_eq!(encoded("My Stack/ä&{}"), "My%20Stack%2F%C3%A4%26%7B%7D");
        let request = Request::get("/tasks").query("filters", "{}").query("a", "b c");
        assert_eq!(request.query, "?filters=%7B%7D&a=b%20c");
    }
}

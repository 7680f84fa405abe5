//! The agent as the command line sees it: one call over its socket, and what came of it. On the main thread; the
//! reader of a stream may move to another one. It never retries.

use super::Exit;
use super::failure::{Failure, codes};
use super::next::About;
use crate::config::{Sources, local_socket};
use crate::domain::StackName;
use crate::unix_http::{self, Kept, Unreachable, encoded};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::http::{self, Method, Response};
use ureq::{Agent, Body};

/// Where the agent listens when nobody says otherwise.
const DEFAULT_SOCKET: &str = "/run/axion-agent/agent.sock";
/// Names the socket where `--socket` does not.
const SOCKET_VARIABLE: &str = "AXION_AGENT_SOCKET";
/// An answer that is not a stream: the agent asks the engine for some of them, which may take its time.
const ANSWER: Duration = Duration::from_secs(60);
/// The largest answer and the longest line of a stream, in bytes: a swarm has some thousand tasks of half a KiB.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// The agent ends each connection with its answer: one that is kept would be lost with the next call.
const KEPT: Kept = Kept { connections: 0, age: Duration::ZERO };

/// Where the agent is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach {
    /// What `--socket` names.
    pub socket: Option<PathBuf>,
    /// What `--config` names.
    pub config: Option<PathBuf>,
}

impl Reach {
    /// The socket: `--socket`, the variable, the configuration, the default.
    fn socket(&self) -> PathBuf {
        // A configuration that is named here is meant, whatever the environment says.
        let configured = || local_socket(&Sources::of_process(self.config.clone()));
        let found = match (&self.socket, &self.config) {
            (Some(socket), _) => Some(socket.clone()),
            (None, Some(_)) => configured(),
            (None, None) => socket_of_environment().or_else(configured),
        };
        found.unwrap_or_else(|| PathBuf::from(DEFAULT_SOCKET))
    }
}

/// The socket that `$AXION_AGENT_SOCKET` names.
pub(super) fn socket_of_environment() -> Option<PathBuf> {
    std::env::var_os(SOCKET_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// One call.
#[derive(Debug, Clone)]
pub(super) struct Request {
    method: Method,
    path: String,
    query: String,
    headers: Vec<(&'static str, String)>,
    body: Option<Value>,
    about: About,
    /// How long an answer that is no stream may take.
    time: Duration,
}

impl Request {
    fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), query: String::new(), headers: Vec::new(), body: None, about: About::default(), time: ANSWER }
    }

    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(super) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    pub(super) fn put(path: impl Into<String>) -> Self {
        Self::new(Method::PUT, path)
    }

    pub(super) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    pub(super) fn query(mut self, key: &str, value: &str) -> Self {
        let mark = if self.query.is_empty() { '?' } else { '&' };
        let _ = write!(self.query, "{mark}{key}={}", encoded(value));
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) fn body(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    /// An answer that does not come in this time is done without.
    pub(super) fn within(self, time: Duration) -> Self {
        Self { time, ..self }
    }

    /// What a failure of it is about.
    pub(super) fn about(self, about: About) -> Self {
        Self { about, ..self }
    }
}

/// The path of a stack, or of something of it such as `/logs`.
pub(super) fn path_of(stack: &StackName, rest: &str) -> String {
    format!("/v1/stacks/{}{rest}", encoded(stack.as_str()))
}

/// The agent behind one socket.
#[derive(Debug, Clone)]
pub(super) struct Client {
    agent: Agent,
    socket: PathBuf,
}

impl Client {
    /// Nothing is sent yet.
    pub(super) fn of(reach: &Reach) -> Self {
        let socket = reach.socket();
        Self { agent: unix_http::agent(&socket, KEPT), socket }
    }

    /// The whole answer.
    pub(super) fn fetch(&self, request: &Request) -> Result<Value, Failure> {
        let (_, body) = self.send(request, Some(request.time))?;
        let bytes = read(body).map_err(|error| self.lost(request, &error))?;
        serde_json::from_slice(&bytes).map_err(|error| unintelligible(request, &error.to_string()))
    }

    /// An answer that goes on.
    pub(super) fn open(&self, request: &Request) -> Result<Lines, Failure> {
        let (_, body) = self.send(request, None)?;
        Ok(Lines { reader: BufReader::new(Box::new(body.into_reader())) })
    }

    /// Ends whatever is read from it, on whichever thread; it sends nothing any more.
    pub(super) fn close(&self) {
        self.agent.clone().shutdown();
    }

    fn send(&self, request: &Request, time: Option<Duration>) -> Result<(u16, Body), Failure> {
        let uri = format!("http://agent{}{}", request.path, request.query);
        let mut builder = http::Request::builder().method(&request.method).uri(uri);
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        let agent = &self.agent;
        let sent = if matches!(request.method, Method::POST | Method::PUT) {
            // A document with names for keys can be written.
            let body = request.body.as_ref().and_then(|body| serde_json::to_vec(body).ok()).unwrap_or_else(|| b"{}".to_vec());
            builder
                .header("content-type", "application/json")
                .body(body)
                .map(|post| agent.run(agent.configure_request(post).timeout_recv_response(Some(request.time)).timeout_global(time).build()))
        } else {
            builder.body(()).map(|other| {
                agent.run(agent.configure_request(other).timeout_recv_response(Some(request.time)).timeout_global(time).build())
            })
        };
        let response = sent.map_err(|error| unintelligible(request, &error.to_string()))?;
        let response = response.map_err(|error| self.failed(request, error))?;
        let status = response.status().as_u16();
        if response.status().is_success() { Ok((status, response.into_body())) } else { Err(self.refusal(request, response)) }
    }

    /// What the agent says against it.
    fn refusal(&self, request: &Request, response: Response<Body>) -> Failure {
        let status = response.status();
        let bytes = match read(response.into_body()) {
            Ok(bytes) => bytes,
            Err(error) => return self.lost(request, &error),
        };
        let document: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let error = &document["error"];
        match (error["code"].as_str(), error["message"].as_str()) {
            (Some(code), Some(message)) => {
                let failure = Failure::of_code(code, message, &request.about);
                // What is forbidden is forbidden, whatever newer codes say it.
                if status == 403 { Failure { exit: Exit::Refused, ..failure } } else { failure }
            }
            _ => unintelligible(request, &format!("status {status} without a code")),
        }
    }

    fn failed(&self, request: &Request, error: ureq::Error) -> Failure {
        match error {
            ureq::Error::Other(inner) => match inner.downcast::<Unreachable>() {
                Ok(error) => unreachable(&self.socket, &error.0),
                Err(other) => unintelligible(request, &other.to_string()),
            },
            ureq::Error::Timeout(_) => {
                let message = format!("the agent at {} does not answer", self.socket.display());
                Failure::new(Exit::Unreachable, codes::UNREACHABLE, message, "see whether it hangs: systemctl status axion-agent")
            }
            ureq::Error::Io(error) => self.lost(request, &error),
            other => unintelligible(request, &other.to_string()),
        }
    }

    fn lost(&self, request: &Request, error: &io::Error) -> Failure {
        let message = format!("the agent at {} was lost in the middle of its answer: {error}", self.socket.display());
        let next = match request.about.command {
            Some(id) => format!("once it is back: axion-agent commands {id}"),
            None => "see whether it runs: systemctl status axion-agent".to_owned(),
        };
        Failure::new(Exit::Unreachable, codes::LOST, message, next)
    }
}

fn read(body: Body) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    body.into_reader().take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unintelligible(request: &Request, why: &str) -> Failure {
    let message = format!("{} {}: the agent's answer cannot be read: {why}", request.method, request.path);
    Failure::new(
        Exit::Failed,
        codes::ANSWER,
        message,
        "see that nothing else listens there, and that agent and command line are of one version",
    )
}

/// No connection: who can mend it depends on the kernel's reason.
fn unreachable(socket: &Path, error: &io::Error) -> Failure {
    let at = socket.display();
    let (message, next) = match error.kind() {
        io::ErrorKind::NotFound => (
            format!("no agent listens at {at}: there is no such socket"),
            "start it: systemctl start axion-agent (by hand: axion-agent run); or name its socket with --socket".to_owned(),
        ),
        io::ErrorKind::PermissionDenied => (format!("you may not use the agent's socket {at}"), admission(socket)),
        io::ErrorKind::ConnectionRefused => (
            format!("no agent listens at {at}: the socket is left over from one that has ended"),
            "see why it ended: systemctl status axion-agent, journalctl -u axion-agent".to_owned(),
        ),
        _ => (
            format!("the agent at {at} cannot be reached: {error}"),
            "see how it is: systemctl status axion-agent, journalctl -u axion-agent".to_owned(),
        ),
    };
    Failure::new(Exit::Unreachable, codes::UNREACHABLE, message, next)
}

/// Which group may use a socket.
fn admission(socket: &Path) -> String {
    use std::os::unix::fs::MetadataExt as _;
    let group = socket.metadata().ok().map(|about| about.gid()).map(|gid| group_name(gid).unwrap_or_else(|| gid.to_string()));
    match group {
        Some(group) => format!("join its group: sudo usermod --append --groups {group} $USER, then log in again; or use sudo"),
        // Its folder is closed too: who owns it cannot be seen.
        None => "use sudo, or let local.ipc_group name a group of yours".to_owned(),
    }
}

/// By the file of groups: the resolver of a static binary knows no other way, and others come from no child process.
fn group_name(gid: u32) -> Option<String> {
    let groups = std::fs::read_to_string("/etc/group").ok()?;
    let gid = gid.to_string();
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == gid).then(|| name.to_owned())
    })
}

/// The lines of an answer that goes on.
pub(super) struct Lines {
    reader: BufReader<Box<dyn Read + Send>>,
}

/// What a line of a stream is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Line<D> {
    /// A document.
    Document(D),
    /// A sign of life.
    Blank,
    /// The end.
    End,
}

impl Lines {
    /// Waits for the next one.
    pub(super) fn next(&mut self) -> io::Result<Line<Value>> {
        Ok(match self.next_text()? {
            Line::Document(text) => Line::Document(serde_json::from_str(&text)?),
            Line::Blank => Line::Blank,
            Line::End => Line::End,
        })
    }

    /// The same as it came, without its line break.
    pub(super) fn next_text(&mut self) -> io::Result<Line<String>> {
        let mut bytes = Vec::new();
        let read = (&mut self.reader).take(MAX_BYTES).read_until(b'\n', &mut bytes)?;
        if read == 0 {
            return Ok(Line::End);
        }
        if bytes.trim_ascii().is_empty() {
            return Ok(Line::Blank);
        }
        let text = String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(Line::Document(text.trim_ascii_end().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_may_not_use_the_socket_is_told_the_group_that_may() {
        let socket = std::env::temp_dir().join(format!("axion-group-{}", uuid::Uuid::new_v4()));
        std::fs::write(&socket, "").unwrap();
        let failure = unreachable(&socket, &io::ErrorKind::PermissionDenied.into());
        std::fs::remove_file(&socket).unwrap();
        assert!(failure.message.starts_with("you may not use") && failure.next.contains("usermod --append --groups "), "{failure:?}");
        assert_eq!((failure.exit, failure.code.as_str()), (Exit::Unreachable, codes::UNREACHABLE));
        let hidden = unreachable(Path::new("/does/not/exist/s"), &io::ErrorKind::PermissionDenied.into());
        assert!(hidden.next.contains("local.ipc_group"), "{hidden:?}");
        assert_eq!(group_name(0).as_deref(), Some("root"));
    }

    #[test]
    fn names_and_times_stay_one_value() {
        let request = Request::get("/x").query("since", "2026-01-31T12:00:00+01:00").query("a", "b c");
        assert_eq!(request.query, "?since=2026-01-31T12%3A00%3A00%2B01%3A00&a=b%20c");
    }
}

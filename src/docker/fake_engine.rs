//! A fake Docker Engine for fault injection: a Unix socket, scripted answers, and a record of every call.
//!
//! Only for tests. What a real engine does is proved in `tests/docker.rs`; this one fails on demand:
//! it goes away, says nothing, breaks off in the middle of an answer. One thread accepts, each
//! connection has its own; dropping the engine closes all of them.

use crate::threads::{Exit, Thread, ThreadName, spawn};
use crossbeam_channel::bounded;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use uuid::Uuid;

/// One request, without the API version in front of its path.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// Method and path with its query, such as `DELETE /services/x`.
    pub(super) line: String,
    pub(super) body: Value,
}

/// What the engine answers.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// A status and JSON.
    Json(u16, Value),
    /// The head and half of a body, then a closed connection.
    Half,
    /// Nothing, and the connection is closed.
    Hangup,
    /// Nothing, for as long as the connection lives.
    Silence,
    /// Bytes as they are.
    Bytes(Vec<u8>),
    /// Event lines, then the connection stays open.
    Events(Vec<Value>),
}

type Script = Box<dyn Fn(&Asked) -> Option<Reply> + Send + Sync>;

struct Shared {
    script: Script,
    api: &'static str,
    calls: Mutex<Vec<Asked>>,
    connections: Mutex<Vec<UnixStream>>,
    accepted: Mutex<usize>,
}

/// The engine. What its script does not answer is answered as by a manager that holds nothing.
pub(super) struct FakeEngine {
    socket: PathBuf,
    shared: Arc<Shared>,
    accepting: Option<Thread>,
}

impl FakeEngine {
    pub(super) fn start(script: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static) -> Self {
        Self::speaking("1.41", script)
    }

    pub(super) fn speaking(api: &'static str, script: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let socket = std::env::temp_dir().join(format!("axion-fake-{}.sock", Uuid::new_v4().simple()));
        let shared =
            Shared { script: Box::new(script), api, calls: Mutex::default(), connections: Mutex::default(), accepted: Mutex::default() };
        let mut engine = Self { socket, shared: Arc::new(shared), accepting: None };
        engine.come_back();
        engine
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Every call so far but pings.
    pub(super) fn calls(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.shared.calls.lock().unwrap().clone()
    }

    /// How many connections it has taken.
    pub(super) fn accepted(&self) -> usize {
        *self.shared.accepted.lock().unwrap()
    }

    /// Closes its socket and every connection, as an engine that is stopped.
    pub(super) fn go_away(&mut self) {
        let Some(thread) = self.accepting.take() else { return };
        std::fs::remove_file(&self.socket).unwrap();
        // Among them is the listening socket itself: its accept ends with an error.
        for connection in self.shared.connections.lock().unwrap().drain(..) {
            let _closed = connection.shutdown(Shutdown::Both);
        }
        thread.join();
    }

    /// Listens (again).
    pub(super) fn come_back(&mut self) {
        let listener = UnixListener::bind(&self.socket).unwrap();
        // A handle of the same listening socket: shutting it down ends the accept.
        let closer: std::os::fd::OwnedFd = listener.try_clone().unwrap().into();
        self.shared.connections.lock().unwrap().push(UnixStream::from(closer));
        let shared = Arc::clone(&self.shared);
        let accept = move || -> Result<(), Infallible> {
            while let Ok((stream, _)) = listener.accept() {
                *shared.accepted.lock().unwrap() += 1;
                shared.connections.lock().unwrap().push(stream.try_clone().unwrap());
                let shared = Arc::clone(&shared);
                let serve = move || -> Result<(), Infallible> {
                    // A broken connection is what the tests ask for.
                    let _broken = shared.serve(&stream);
                    let _closed = stream.shutdown(Shutdown::Both);
                    Ok(())
                };
                drop(spawn(ThreadName::new("fake-connection"), no_exits(), serve).unwrap());
            }
            Ok(())
        };
        self.accepting = Some(spawn(ThreadName::new("fake-engine"), no_exits(), accept).unwrap());
    }
}

fn no_exits() -> crossbeam_channel::Sender<Exit> {
    bounded(1).0
}

impl Drop for FakeEngine {
    fn drop(&mut self) {
        self.go_away();
    }
}

impl Shared {
    fn serve(&self, stream: &UnixStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let mut head = String::new();
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
            let mut length = 0;
            loop {
                let mut header = String::new();
                reader.read_line(&mut header)?;
                if header.trim().is_empty() {
                    break;
                }
                if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            let asked = Asked { line: line_of(&head), body: serde_json::from_slice(&body).unwrap_or(Value::Null) };
            if !asked.line.ends_with("/_ping") {
                self.calls.lock().unwrap().push(asked.clone());
            }
            let reply = (self.script)(&asked).unwrap_or_else(|| by_default(&asked));
            self.answer(stream, reply)?;
        }
    }

    fn answer(&self, mut stream: &UnixStream, reply: Reply) -> io::Result<()> {
        let api = self.api;
        match reply {
            Reply::Json(status, body) => {
                let body = body.to_string();
                write!(stream, "HTTP/1.1 {status} X\r\nApi-Version: {api}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            }
            Reply::Bytes(body) => {
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())?;
                stream.write_all(&body)
            }
            Reply::Half => {
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{{\"half\":")?;
                Err(io::ErrorKind::ConnectionReset.into())
            }
            Reply::Hangup => Err(io::ErrorKind::ConnectionReset.into()),
            Reply::Silence => wait_for_close(stream),
            Reply::Events(lines) => {
                write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
                for line in lines {
                    let line = format!("{line}\n");
                    write!(stream, "{:x}\r\n{line}\r\n", line.len())?;
                }
                wait_for_close(stream)
            }
        }
    }
}

fn wait_for_close(mut stream: &UnixStream) -> io::Result<()> {
    stream.read_exact(&mut [0])?;
    Err(io::ErrorKind::ConnectionReset.into())
}

fn by_default(asked: &Asked) -> Reply {
    let path = asked.line.split(['?', ' ']).nth(1).unwrap_or_default();
    match path {
        "/_ping" => Reply::Json(200, json!("OK")),
        "/info" => Reply::Json(200, info("active", true)),
        "/events" => Reply::Events(Vec::new()),
        "/services" | "/tasks" | "/secrets" | "/configs" | "/networks" | "/nodes" | "/containers/json" => Reply::Json(200, json!([])),
        _ => Reply::Json(404, json!({"message": format!("{} not found", asked.line)})),
    }
}

/// The answer to `GET /info`.
pub(super) fn info(state: &str, control: bool) -> Value {
    json!({"ServerVersion": "20.10.24", "Swarm": {"NodeID": "n", "LocalNodeState": state, "ControlAvailable": control}})
}

/// `GET /v1.41/services?a=b HTTP/1.1` → `GET /services?a=b`.
fn line_of(head: &str) -> String {
    let mut words = head.split_whitespace();
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = match path.strip_prefix("/v") {
        Some(versioned) if versioned.starts_with(|c: char| c.is_ascii_digit()) => &versioned[versioned.find('/').unwrap_or(0)..],
        _ => path,
    };
    format!("{method} {path}")
}

//! An agent in local mode, and what its clients do.

use super::support::{Agent, Engine, Launch, Stage, free_port, until};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;
use uuid::Uuid;

/// Longer than anything here takes.
const READ: Duration = Duration::from_secs(120);

/// An agent that nothing reaches but its socket.
pub struct Alone {
    pub agent: Option<Agent>,
    pub directory: PathBuf,
    /// A name for stacks that nobody else uses.
    pub name: String,
    /// Of the health pages.
    pub port: u16,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The lines of a stream, without signs of life.
    pub fn lines(&self) -> Vec<Value> {
        let lines = self.body.lines().filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }

    /// The terminal event.
    pub fn end(&self) -> Value {
        let last = self.lines().pop().unwrap_or_default();
        assert_eq!(last["terminal"], true, "{self:?}");
        last
    }

    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Alone {
    pub fn start(stage: &Stage, engine: Option<&Engine>) -> Self {
        let name = Uuid::new_v4().simple().to_string();
        let directory = stage.directory().join(&name[..12]);
        std::fs::create_dir_all(&directory).unwrap();
        let place = directory.display();
        let host = engine.map_or_else(|| format!("unix://{place}/none"), Engine::host);
        let port = free_port();
        let text = format!(
            "[agent]\nstate_dir = \"{place}/state\"\n[docker]\nhost = \"{host}\"\n[health]\nport = {port}\n\
             [local]\nipc_socket_path = \"{place}/agent.sock\"\n[logging]\nlevel = \"debug\"\n"
        );
        std::fs::write(directory.join("agent.toml"), text).unwrap();
        let agent = Agent::start(Launch::Direct, &directory.join("agent.toml"), port, &directory.join("agent.log"));
        let alone = Self { agent: Some(agent), directory, port, name: format!("ipc-{}", &name[..8]) };
        until("the socket answers", Duration::from_secs(20), || {
            let state = alone.get("/v1/status").json()["dependencies"].clone();
            let docker = state.as_array().into_iter().flatten().find(|part| part["name"] == "docker").cloned().unwrap_or_default();
            if engine.is_none() || docker["state"] == "ready" { Ok(()) } else { Err(docker.to_string()) }
        });
        alone
    }

    pub fn resident_kb(&self) -> u64 {
        self.agent.as_ref().expect("it runs").resident_kb()
    }

    /// To the health pages.
    pub fn visit(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("the health pages listen");
        stream.set_read_timeout(Some(READ)).unwrap();
        stream
    }

    pub fn connect(&self) -> UnixStream {
        let stream = until("the socket is there", Duration::from_secs(10), || {
            UnixStream::connect(self.directory.join("agent.sock")).map_err(|error| error.to_string())
        });
        stream.set_read_timeout(Some(READ)).unwrap();
        stream
    }

    pub fn send(&self, request: &str) -> UnixStream {
        let mut stream = self.connect();
        // A server that has answered before all of it was sent is allowed to.
        drop(stream.write_all(request.as_bytes()));
        stream
    }

    pub fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: agent\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len());
        answer(self.send(&request))
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", "")
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, "", &body.to_string())
    }
}

/// A stream whose lines are read one by one.
pub struct Lines(BufReader<UnixStream>);

impl Lines {
    pub fn of(stream: UnixStream) -> Self {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        while reader.read_line(&mut line).expect("the head") > 2 {
            line.clear();
        }
        Self(reader)
    }

    /// The next one that says something; none at the end.
    pub fn next(&mut self) -> Option<Value> {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).ok()? == 0 {
                return None;
            }
            // Lengths of chunks are no JSON objects.
            if line.starts_with('{') {
                return Some(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")));
            }
        }
    }
}

/// The whole of it.
pub fn answer(stream: UnixStream) -> Answer {
    let mut bytes = Vec::new();
    let mut reader = stream;
    reader.read_to_end(&mut bytes).unwrap_or_else(|error| panic!("{error} after {:?}", String::from_utf8_lossy(&bytes)));
    let text = String::from_utf8(bytes).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no status: {head}"));
    let body = if head.to_ascii_lowercase().contains("transfer-encoding: chunked") { unchunked(body) } else { body.to_owned() };
    Answer { status, head: head.to_owned(), body }
}

fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).expect("the length of a chunk");
        whole.push_str(&rest[..length]);
        if length == 0 {
            return whole;
        }
        body = &rest[length + 2..];
    }
    panic!("the last chunk is missing: {whole}");
}

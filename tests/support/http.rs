//! HTTP/1.0 over a Unix or TCP socket: one request, one answer, read to its end.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Longer than any single answer takes.
const TIMEOUT: Duration = Duration::from_secs(20);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Answer {
    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }
}

/// To the engine.
pub fn over_unix(socket: &Path, method: &str, path: &str) -> Result<Answer, String> {
    let stream = UnixStream::connect(socket).map_err(|error| format!("{}: {error}", socket.display()))?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(|error| error.to_string())?;
    exchange(stream, method, path)
}

/// To the agent's health pages.
pub fn over_tcp(port: u16, path: &str) -> Result<Answer, String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).map_err(|error| format!("port {port}: {error}"))?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(|error| error.to_string())?;
    exchange(stream, "GET", path)
}

fn exchange(mut stream: impl Read + Write, method: &str, path: &str) -> Result<Answer, String> {
    let failed = |error: std::io::Error| format!("{method} {path}: {error}");
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n").map_err(failed)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).map_err(failed)?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| format!("{method} {path}: no HTTP answer: {text:?}"))?;
    let status = head.split_whitespace().nth(1).and_then(|code| code.parse().ok());
    Ok(Answer { status: status.ok_or_else(|| format!("{method} {path}: no status: {head}"))?, body: body.to_owned() })
}

//! HTTP/1.0 over a Unix or TCP socket: one request, one answer, read to its end.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Longer than any single answer takes.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A request.
pub struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    /// Beside those that every request has.
    pub headers: &'a [(&'a str, &'a str)],
    /// Null is an empty body.
    pub body: &'a Value,
}

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
pub fn over_unix(socket: &Path, request: &Request) -> Result<Answer, String> {
    let stream = UnixStream::connect(socket).map_err(|error| format!("{}: {error}", socket.display()))?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(|error| error.to_string())?;
    exchange(stream, request)
}

/// To the agent's health pages.
pub fn over_tcp(port: u16, path: &str) -> Result<Answer, String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).map_err(|error| format!("port {port}: {error}"))?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(|error| error.to_string())?;
    exchange(stream, &Request { method: "GET", path, headers: &[], body: &Value::Null })
}

fn exchange(mut stream: impl Read + Write, request: &Request) -> Result<Answer, String> {
    let Request { method, path, headers, body } = request;
    let failed = |error: std::io::Error| format!("{method} {path}: {error}");
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{headers}", body.len());
    stream.write_all(format!("{method} {path} HTTP/1.0\r\n{head}\r\n{body}").as_bytes()).map_err(failed)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).map_err(failed)?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| format!("{method} {path}: no HTTP answer: {text:?}"))?;
    let status = head.split_whitespace().nth(1).and_then(|code| code.parse().ok());
    Ok(Answer { status: status.ok_or_else(|| format!("{method} {path}: no status: {head}"))?, body: body.to_owned() })
}

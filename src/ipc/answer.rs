//! Bytes of answers: a whole JSON document, or lines of JSON that go out one by one. Each answer ends its connection.

use super::Failure;
use super::head::Head;
use serde_json::Value;
use std::io::{self, Write};

/// Says that the body may come (RFC 9110, section 15.2.1).
pub(super) fn go_on(to: &mut impl Write) -> io::Result<()> {
    to.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
}

/// A failure.
pub(super) fn fail(to: &mut impl Write, failure: &Failure) -> io::Result<()> {
    whole(to, failure.status, &[], &failure.body(), Body::Sent)
}

/// Whether the body goes out; its length does in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    Sent,
    /// `HEAD`.
    LeftOut,
}

impl Body {
    pub(super) fn of(head: &Head) -> Self {
        if head.method == "HEAD" { Self::LeftOut } else { Self::Sent }
    }
}

/// A document.
pub(super) fn whole(to: &mut impl Write, status: u16, headers: &[(&str, &str)], body: &Value, sent: Body) -> io::Result<()> {
    let text = format!("{body}\n");
    let mut bytes = head(status, "application/json", headers);
    bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", text.len()).as_bytes());
    if sent == Body::Sent {
        bytes.extend_from_slice(text.as_bytes());
    }
    to.write_all(&bytes)
}

fn head(status: u16, content_type: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text =
        format!("HTTP/1.1 {status} {}\r\nContent-Type: {content_type}\r\nCache-Control: no-store\r\nConnection: close\r\n", reason(status));
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.into_bytes()
}

/// Lines of JSON, each sent at once.
pub(super) struct Lines<W> {
    to: W,
    framing: Framing,
}

/// How the reader knows where the lines end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// RFC 9112, section 7.1.
    Chunks,
    /// With the connection.
    Connection,
}

impl<W: Write> Lines<W> {
    /// Begins.
    pub(super) fn begin(mut to: W, request: &Head, headers: &[(&str, &str)]) -> io::Result<Self> {
        let framing = if request.is_old { Framing::Connection } else { Framing::Chunks };
        let mut bytes = head(200, "application/x-ndjson", headers);
        bytes.extend_from_slice(if framing == Framing::Chunks { b"Transfer-Encoding: chunked\r\n\r\n" } else { b"\r\n" });
        to.write_all(&bytes)?;
        Ok(Self { to, framing })
    }

    /// One more.
    pub(super) fn line(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec(value)?;
        text.push(b'\n');
        self.send(&text)
    }

    /// An empty line, which says that somebody is there still.
    pub(super) fn sign_of_life(&mut self) -> io::Result<()> {
        self.send(b"\n")
    }

    /// The lines end here.
    pub(super) fn end(mut self) -> io::Result<()> {
        if self.framing == Framing::Chunks { self.to.write_all(b"0\r\n\r\n") } else { Ok(()) }
    }

    pub(super) fn send(&mut self, text: &[u8]) -> io::Result<()> {
        match self.framing {
            Framing::Connection => self.to.write_all(text),
            Framing::Chunks => {
                let mut chunk = format!("{:x}\r\n", text.len()).into_bytes();
                chunk.extend_from_slice(text);
                chunk.extend_from_slice(b"\r\n");
                self.to.write_all(&chunk)
            }
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        507 => "Insufficient Storage",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines_are_chunks_and_for_an_old_client_the_connection_ends_them() {
        let write = |request: &Head| {
            let mut bytes = Vec::new();
            let mut lines = Lines::begin(&mut bytes, request, &[("x-command-id", "u")]).unwrap();
            lines.line(&json!({"a": 1})).unwrap();
            lines.sign_of_life().unwrap();
            lines.end().unwrap();
            String::from_utf8(bytes).unwrap()
        };
        let new = write(&Head::default());
        assert!(new.starts_with("HTTP/1.1 200 OK\r\n") && new.contains("x-command-id: u\r\n"), "{new}");
        assert!(new.ends_with("Transfer-Encoding: chunked\r\n\r\n8\r\n{\"a\":1}\n\r\n1\r\n\n\r\n0\r\n\r\n"), "{new}");
        assert!(write(&Head { is_old: true, ..Head::default() }).ends_with("\r\n\r\n{\"a\":1}\n\n"));
    }

    #[test]
    fn a_document_says_its_length_also_where_only_the_head_is_asked_for() {
        let write = |sent| {
            let mut bytes = Vec::new();
            whole(&mut bytes, 404, &[], &json!({"a": 1}), sent).unwrap();
            String::from_utf8(bytes).unwrap()
        };
        assert!(write(Body::Sent).ends_with("Content-Length: 8\r\n\r\n{\"a\":1}\n"));
        assert!(write(Body::LeftOut).ends_with("Content-Length: 8\r\n\r\n"));
    }
}

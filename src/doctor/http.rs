//! The smallest HTTP client that reads a page of the agent: one GET, HTTP/1.0, so that the answer ends where the
//! connection does. Bounded in time and size.

use crate::threads::Deadline;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A page of the agent is some hundred KiB at most.
const MAX_ANSWER: u64 = 8 * 1024 * 1024;
/// The shortest time-out that a socket takes.
const LEAST: Duration = Duration::from_millis(1);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers as they came.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

/// `GET path` from a port of this host.
pub(super) fn over_tcp(address: SocketAddr, path: &str, deadline: Deadline) -> io::Result<Answer> {
    let stream = TcpStream::connect_timeout(&address, deadline.left().max(LEAST))?;
    stream.set_write_timeout(Some(deadline.left().max(LEAST)))?;
    get(&stream, &stream, path, |left| stream.set_read_timeout(Some(left)), deadline)
}

/// `GET path` over a Unix socket.
///
/// # Errors
/// When nobody answers in time, or not with HTTP.
pub fn over_unix(socket: &Path, path: &str, time: Duration) -> io::Result<Answer> {
    let deadline = Deadline::after(time);
    let stream = UnixStream::connect(socket)?;
    stream.set_write_timeout(Some(deadline.left().max(LEAST)))?;
    get(&stream, &stream, path, |left| stream.set_read_timeout(Some(left)), deadline)
}

fn get(
    mut output: impl Write,
    input: impl Read,
    path: &str,
    set_timeout: impl Fn(Duration) -> io::Result<()>,
    deadline: Deadline,
) -> io::Result<Answer> {
    output.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut input = input.take(MAX_ANSWER);
    let mut whole = Vec::new();
    let mut piece = [0; 16 * 1024];
    loop {
        if deadline.has_passed() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        set_timeout(deadline.left().max(LEAST))?;
        match input.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => whole.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // What closes in a hurry has said what it had to say.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset && !whole.is_empty() => break,
            Err(error) => return Err(error),
        }
        if is_whole(&whole) {
            break;
        }
    }
    parse(whole).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is no HTTP"))
}

/// Whether all that `Content-Length` promises is there.
fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = end_of_head(answer) else { return false };
    length(&String::from_utf8_lossy(&answer[..end])).is_some_and(|length| answer.len() >= end + length)
}

fn end_of_head(answer: &[u8]) -> Option<usize> {
    answer.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

fn length(head: &str) -> Option<usize> {
    header(head, "content-length")?.parse().ok()
}

/// A header's value.
pub(super) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().filter_map(|line| line.split_once(':')).find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn parse(mut whole: Vec<u8>) -> Option<Answer> {
    let end = end_of_head(&whole)?;
    let mut body = whole.split_off(end);
    let head = String::from_utf8_lossy(&whole).into_owned();
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.trim().parse().ok()?;
    if let Some(length) = length(&head) {
        body.truncate(length);
    }
    Some(Answer { status, head, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_length_or_its_connection_does() {
        let answer = |text: &str| get(Vec::new(), text.as_bytes(), "/x", |_| Ok(()), Deadline::after(Duration::from_secs(1)));
        let whole = answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: now\r\n\r\nokrest").unwrap();
        assert_eq!((whole.status, whole.body.as_slice(), header(&whole.head, "date")), (200, &b"ok"[..], Some("now")));
        let open = answer("HTTP/1.0 503 No\r\n\r\nall of it").unwrap();
        assert_eq!((open.status, open.body.as_slice()), (503, &b"all of it"[..]));
        assert!(answer("no http").is_err());
    }
}

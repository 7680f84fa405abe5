//! The head of a request: bytes → method, target and the few headers that count. Pure.

use super::Failure;
use crate::domain::Code;

/// The longest head, in bytes: a method, a path and some headers.
pub(super) const MAX_HEAD: usize = 8 * 1024;
/// More headers than any client sends by itself.
const MAX_HEADERS: usize = 48;

/// What the head of a request says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Head {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    /// Of the body, in bytes.
    pub(super) length: usize,
    /// Whether it waits for our word before it sends the body (RFC 9110, section 10.1.1).
    pub(super) expects: bool,
    /// HTTP/1.0 has no chunks.
    pub(super) is_old: bool,
    pub(super) command_id: Option<String>,
    pub(super) project: Option<String>,
    pub(super) correlation_id: Option<String>,
    pub(super) traceparent: Option<String>,
}

/// The head and its length in bytes, once it is whole.
pub(super) fn read(bytes: &[u8]) -> Result<Option<(Head, usize)>, Failure> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let malformed = |what: String| Failure::of(Code::MALFORMED, format!("this is no HTTP request: {what}"));
    let size = match request.parse(bytes) {
        Ok(httparse::Status::Complete(size)) if size <= MAX_HEAD => size,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => return Ok(None),
        Ok(_) => return Err(too_large(format!("a head of {MAX_HEAD} bytes at most"))),
        Err(httparse::Error::TooManyHeaders) => return Err(too_large(format!("{MAX_HEADERS} headers at most"))),
        Err(error) => return Err(malformed(error.to_string())),
    };
    let mut head = Head {
        method: request.method.unwrap_or_default().to_owned(),
        target: request.path.unwrap_or_default().to_owned(),
        is_old: request.version == Some(0),
        ..Head::default()
    };
    let mut lengths = 0;
    for header in request.headers.iter() {
        let text = || {
            std::str::from_utf8(header.value)
                .map(|text| text.trim().to_owned())
                .map_err(|_| malformed(format!("the header {} is no text", header.name)))
        };
        match header.name.to_ascii_lowercase().as_str() {
            "content-length" => {
                let text = text()?;
                // No sign, no blanks: what two readers may understand differently is refused (RFC 9112, section 6.3).
                let digits = !text.is_empty() && text.len() <= 12 && text.bytes().all(|byte| byte.is_ascii_digit());
                head.length = digits
                    .then(|| text.parse().ok())
                    .flatten()
                    .ok_or_else(|| malformed(format!("Content-Length {text:?} is no length")))?;
                lengths += 1;
            }
            "transfer-encoding" => {
                return Err(Failure::http(411, Code::MALFORMED, "a body without a length is not read: send Content-Length"));
            }
            "expect" => head.expects = text()?.eq_ignore_ascii_case("100-continue"),
            "x-command-id" => head.command_id = Some(text()?),
            "x-project-id" => head.project = Some(text()?),
            "x-correlation-id" => head.correlation_id = Some(text()?),
            "traceparent" => head.traceparent = Some(text()?),
            _ => {}
        }
    }
    if lengths > 1 {
        return Err(malformed("Content-Length stands there more than once".to_owned()));
    }
    Ok(Some((head, size)))
}

fn too_large(limit: String) -> Failure {
    Failure::http(431, Code::TOO_LARGE, format!("the head of the request is too large: {limit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let text = b"POST /v1/stacks/a/deploy?detach=true HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\nX-Command-Id: u\r\nExpect: 100-continue\r\n\r\nbody";
        for cut in 0..text.len() - 4 {
            assert_eq!(read(&text[..cut]), Ok(None), "{cut}");
        }
        let (head, size) = read(text).unwrap().unwrap();
        assert_eq!(size, text.len() - 4);
        assert_eq!((head.method.as_str(), head.target.as_str(), head.length), ("POST", "/v1/stacks/a/deploy?detach=true", 12));
        assert!(head.expects && !head.is_old);
        assert_eq!(head.command_id.as_deref(), Some("u"));
    }

    #[test]
    fn what_two_readers_could_understand_differently_is_refused() {
        for (headers, status) in [
            ("Content-Length: +5", 400),
            ("Content-Length: ", 400),
            ("Content-Length: 99999999999999999999", 400),
            ("Content-Length: 5\r\nContent-Length: 5", 400),
            ("Transfer-Encoding: chunked", 411),
            ("X-Command-Id: \u{fe}\u{ff}", 200),
        ] {
            let text = format!("GET / HTTP/1.1\r\n{headers}\r\n\r\n");
            let got = read(text.as_bytes()).map_or_else(|failure| failure.status, |_| 200);
            assert_eq!(got, status, "{headers}");
        }
        assert_eq!(read(b"\x16\x03\x01\x02\x00").unwrap_err().status, 400, "TLS");
        let many: String = (0..100).map(|n| format!("A{n}: b\r\n")).collect();
        assert_eq!(read(format!("GET / HTTP/1.1\r\n{many}\r\n").as_bytes()).unwrap_err().status, 431);
        assert_eq!(read(format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(MAX_HEAD)).as_bytes()).unwrap_err().status, 431);
    }
}

//! A request for `/metrics`, told from all others by its bytes, and its answer. Pure, but for the clock in its head.
//!
//! A page of fifty containers has two hundred KiB, several times a minute: on the way through tiny_http each byte was copied four times
//! and woke four threads. So the gate answers these itself, out of the text that telemetry has ready.

use super::MetricsText;
use super::pages::{EXPOSITION, FIELDS, METRICS};
use std::fmt::Write as _;
use std::io::{self, ErrorKind, IoSlice, Write};
use time::OffsetDateTime;

/// More headers than a scraper sends.
const MAX_HEADERS: usize = 32;

/// What stands at the beginning of a connection's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// Not a whole head yet.
    Partial,
    /// A scrape, whose head has so many bytes.
    Scrape(usize, Scrape),
    /// Something else, or nothing that is read here.
    Other,
}

/// How a scrape is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scrape {
    pub(super) body: Body,
    pub(super) then: Then,
}

/// Whether the page itself is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// GET.
    Sent,
    /// HEAD.
    Told,
}

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// It may carry the next request.
    Stays,
    /// It ends.
    Ends,
}

/// Reads as far as is needed to know. Whatever is unusual is somebody else's: bodies, expectations, other versions.
pub(super) fn read(bytes: &[u8]) -> Request {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Request::Partial,
        Err(_) => return Request::Other,
    };
    let body = match request.method {
        Some("GET") => Body::Sent,
        Some("HEAD") => Body::Told,
        _ => return Request::Other,
    };
    let path = request.path.and_then(|target| target.split('?').next());
    if path != Some(METRICS) {
        return Request::Other;
    }
    let mut then = if request.version == Some(1) { Then::Stays } else { Then::Ends };
    for header in request.headers.iter() {
        let has_no_body = header.name.eq_ignore_ascii_case("content-length") && header.value == b"0";
        if has_no_body {
            continue;
        }
        if ["content-length", "transfer-encoding", "expect", "upgrade"].iter().any(|name| header.name.eq_ignore_ascii_case(name)) {
            return Request::Other;
        }
        if header.name.eq_ignore_ascii_case("connection") && header.value.eq_ignore_ascii_case(b"close") {
            then = Then::Ends;
        }
    }
    Request::Scrape(length, Scrape { body, then })
}

/// An answer on its way.
#[derive(Debug)]
pub(super) struct Sending {
    head: Vec<u8>,
    page: MetricsText,
    sent: usize,
    pub(super) then: Then,
}

impl Sending {
    /// The page, at this moment.
    pub(super) fn page(scrape: Scrape, text: MetricsText) -> Self {
        let length: usize = text.iter().map(|part| part.len()).sum();
        let mut head = format!("HTTP/1.1 200 OK\r\nDate: {}\r\nContent-Type: {EXPOSITION}\r\nContent-Length: {length}\r\n", date());
        for (name, value) in FIELDS {
            // Writing into a String cannot fail.
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str(if scrape.then == Then::Ends { "Connection: close\r\n\r\n" } else { "\r\n" });
        let page = match scrape.body {
            Body::Sent => text,
            Body::Told => MetricsText::default(),
        };
        Self { head: head.into_bytes(), page, sent: 0, then: scrape.then }
    }

    /// These bytes, and the end.
    pub(super) fn last(bytes: &[u8]) -> Self {
        Self { head: bytes.to_vec(), page: MetricsText::default(), sent: 0, then: Then::Ends }
    }

    /// Writes what the client takes now. Whether that was all.
    pub(super) fn write_to(&mut self, client: &mut impl Write) -> io::Result<bool> {
        loop {
            let mut skip = self.sent;
            let left = [&self.head, self.page[0].as_bytes(), self.page[1].as_bytes()].map(|part| {
                let from = skip.min(part.len());
                skip -= from;
                IoSlice::new(&part[from..])
            });
            if left.iter().all(|part| part.is_empty()) {
                return Ok(true);
            }
            match client.write_vectored(&left) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7).
fn date() -> String {
    imf(OffsetDateTime::now_utc())
}

fn imf(at: OffsetDateTime) -> String {
    let (weekday, month) = (at.weekday().to_string(), at.month().to_string());
    let (hour, minute, second) = at.to_hms();
    format!("{}, {:02} {} {:04} {hour:02}:{minute:02}:{second:02} GMT", &weekday[..3], at.day(), &month[..3], at.year())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_scrape_is_known_by_its_head_and_everything_else_is_not_ours() {
        let scrape = |body, then| Scrape { body, then };
        let whole = b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\nGET";
        for cut in 0..whole.len() - 3 {
            assert_eq!(read(&whole[..cut]), Request::Partial, "{cut}");
        }
        assert_eq!(read(whole), Request::Scrape(whole.len() - 3, scrape(Body::Sent, Then::Stays)));
        for (text, expected) in [
            ("GET /metrics?x=1 HTTP/1.0\r\n\r\n", Some(scrape(Body::Sent, Then::Ends))),
            ("HEAD /metrics HTTP/1.1\r\nconnection: Close\r\n\r\n", Some(scrape(Body::Told, Then::Ends))),
            ("GET /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n", Some(scrape(Body::Sent, Then::Stays))),
            ("POST /metrics HTTP/1.1\r\n\r\n", None),
            ("GET /metrics/ HTTP/1.1\r\n\r\n", None),
            ("GET /livez HTTP/1.1\r\n\r\n", None),
            ("GET /metrics HTTP/1.1\r\nContent-Length: 1\r\n\r\n", None),
            ("GET /metrics HTTP/1.1\r\nExpect: 100-continue\r\n\r\n", None),
            ("GET /metrics HTTP/2.0\r\n\r\n", None),
            ("nonsense\r\n\r\n", None),
        ] {
            let found = read(text.as_bytes());
            assert_eq!(found, expected.map_or(Request::Other, |scrape| Request::Scrape(text.len(), scrape)), "{text}");
        }
    }

    /// A client that takes three bytes at a time, and then none for once.
    struct Slow(Vec<u8>, usize);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1 += 1;
            if self.1.is_multiple_of(2) {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.0.extend_from_slice(&bytes[..bytes.len().min(3)]);
            Ok(bytes.len().min(3))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn both_parts_are_sent_whole_however_little_is_taken_at_once() {
        let text = || [Arc::new("now 1\n".to_owned()), Arc::new("ready 2\n".to_owned())];
        for (body, end) in [(Body::Sent, "\r\n\r\nnow 1\nready 2\n"), (Body::Told, "\r\n\r\n")] {
            let mut sending = Sending::page(Scrape { body, then: Then::Stays }, text());
            let mut client = Slow(Vec::new(), 0);
            let mut turns = 0;
            while !sending.write_to(&mut client).unwrap() {
                turns += 1;
            }
            let answer = String::from_utf8(client.0).unwrap();
            assert!(turns > 10 && answer.contains("Content-Length: 14\r\n") && answer.ends_with(end), "{answer}");
        }
    }

    #[test]
    fn the_date_has_the_form_of_http() {
        let at = OffsetDateTime::from_unix_timestamp(784_111_777).unwrap();
        assert_eq!(imf(at), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}

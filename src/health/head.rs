//! What stands at the beginning of a connection's bytes: the head of a request, and what is passed on of it. Pure.
//!
//! No byte of a client reaches tiny_http as it came. It makes room for whatever length of a body it is told, and the
//! process ends where there is not so much: one line could do that. The pages need a method and a path; bodies are nobody's here.

use super::pages::METRICS;

/// More headers than a browser or a scraper sends.
const MAX_HEADERS: usize = 64;

/// The beginning of some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    /// Not a whole head yet.
    Partial,
    /// A head of so many bytes.
    Whole(usize, Head),
    /// No request of HTTP/1.
    Nonsense,
}

/// What matters of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    method: String,
    target: String,
    /// The digit behind `HTTP/1.`.
    version: u8,
    /// What becomes of the connection.
    pub(super) then: Then,
}

/// Whether a page itself is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// GET.
    Sent,
    /// HEAD.
    Told,
}

/// What becomes of the connection behind an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// It may carry the next request.
    Stays,
    /// It ends.
    Ends,
}

impl Request {
    /// Reads as far as is needed to know.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let length = match request.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Self::Partial,
            Err(_) => return Self::Nonsense,
        };
        let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version) else { return Self::Nonsense };
        let ends = |header: &httparse::Header<'_>| {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            // Where a body comes, nobody can say where the next request begins.
            is("transfer-encoding")
                || (is("content-length") && header.value != b"0")
                || (is("connection") && header.value.eq_ignore_ascii_case(b"close"))
        };
        let then = if version == 0 || request.headers.iter().any(ends) { Then::Ends } else { Then::Stays };
        Self::Whole(length, Head { method: method.to_owned(), target: target.to_owned(), version, then })
    }
}

impl Head {
    /// Of a scrape: whether the page itself is sent.
    pub(super) fn scrape(&self) -> Option<Body> {
        let is_metrics = self.target.split('?').next() == Some(METRICS);
        match self.method.as_str() {
            "GET" if is_metrics => Some(Body::Sent),
            "HEAD" if is_metrics => Some(Body::Told),
            _ => None,
        }
    }

    /// As it is passed on.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let Self { method, target, version, then } = self;
        let connection = if *then == Then::Ends { "Connection: close\r\n" } else { "" };
        format!("{method} {target} HTTP/1.{version}\r\n{connection}\r\n").into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_known_when_it_is_whole() {
        let whole = b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\nGET";
        for cut in 0..whole.len() - 3 {
            assert_eq!(Request::read(&whole[..cut]), Request::Partial, "{cut}");
        }
        assert!(matches!(Request::read(whole), Request::Whole(length, _) if length == whole.len() - 3));
        for text in ["GET /metrics HTTP/2.0\r\n\r\n", "nonsense\r\n\r\n", "GET /\0 HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nA\0: b\r\n\r\n"] {
            assert_eq!(Request::read(text.as_bytes()), Request::Nonsense, "{text}");
        }
    }

    #[test]
    fn a_method_and_a_path_are_passed_on_and_nothing_else() {
        for (text, scrape, passed_on) in [
            ("GET /metrics?x=1 HTTP/1.0\r\n\r\n", Some(Body::Sent), "GET /metrics?x=1 HTTP/1.0\r\nConnection: close\r\n\r\n"),
            (
                "HEAD /metrics HTTP/1.1\r\nconnection: Close\r\n\r\n",
                Some(Body::Told),
                "HEAD /metrics HTTP/1.1\r\nConnection: close\r\n\r\n",
            ),
            ("GET /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n", Some(Body::Sent), "GET /metrics HTTP/1.1\r\n\r\n"),
            ("POST /metrics HTTP/1.1\r\n\r\n", None, "POST /metrics HTTP/1.1\r\n\r\n"),
            ("GET /metrics/ HTTP/1.1\r\n\r\n", None, "GET /metrics/ HTTP/1.1\r\n\r\n"),
            ("GET / HTTP/1.1\r\nExpect: 100-continue\r\nUpgrade: h2c\r\nHost: a\r\n\r\n", None, "GET / HTTP/1.1\r\n\r\n"),
            ("GET / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n", None, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n"),
            ("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", None, "PUT / HTTP/1.1\r\nConnection: close\r\n\r\n"),
        ] {
            let Request::Whole(length, head) = Request::read(text.as_bytes()) else { panic!("{text}") };
            assert_eq!((length, head.scrape()), (text.len(), scrape), "{text}");
            assert_eq!(String::from_utf8(head.bytes()).unwrap(), passed_on);
        }
    }
}

//! The answer to a scrape of `/metrics`. Pure, but for the clock in its head.
//!
//! A page of fifty containers has two hundred KiB, several times a minute: on the way through tiny_http each byte was copied four times
//! and woke four threads. So the gate answers these itself, out of the text that telemetry has ready.

use super::MetricsText;
use super::head::{Body, Then};
use super::pages::{EXPOSITION, FIELDS};
use std::fmt::Write as _;
use std::io::{self, ErrorKind, IoSlice, Write};
use time::OffsetDateTime;

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
    pub(super) fn page(body: Body, then: Then, text: MetricsText) -> Self {
        let length: usize = text.iter().map(|part| part.len()).sum();
        let mut head = format!("HTTP/1.1 200 OK\r\nDate: {}\r\nContent-Type: {EXPOSITION}\r\nContent-Length: {length}\r\n", date());
        for (name, value) in FIELDS {
            // Writing into a String cannot fail.
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str(if then == Then::Ends { "Connection: close\r\n\r\n" } else { "\r\n" });
        let page = match body {
            Body::Sent => text,
            Body::Told => MetricsText::default(),
        };
        Self { head: head.into_bytes(), page, sent: 0, then }
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
            let mut sending = Sending::page(body, Then::Stays, text());
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

//! What went wrong between agent and control plane, told apart by stable codes with the mend in words. Pure.
//!
//! gRPC says the status of a call, and for a connection that does not come about a text. What that text leaves
//! open (which certificate, and what about it) is seen by [`super::probe`]. The table is in docs/control-plane.md.

use super::code::LinkCode;
use grpcio::RpcStatusCode;
use std::fmt;

/// A server's words beyond this are cut: health pages and log lines carry them.
const MAX_WORDS: usize = 400;

/// A fault, its code and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: LinkCode,
    pub(super) words: String,
    pub(super) manner: Manner,
}

/// What a fault means for the next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// The other end does not want this agent: asking again soon is of no use.
    Refused,
    /// No answer in time; the connection may be good.
    Slow,
    /// Nobody there, or no connection that both ends understand.
    Away,
}

/// Which call a status answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// Enroll, with a token.
    Enrolling,
    /// Every other, with a credential or a certificate.
    Speaking,
}

/// What a look at the handshake has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    /// `https://`, and the port speaks something else.
    NotTls,
    /// `http://`, and the port speaks TLS.
    NeedsTls,
    /// The server's certificate is over; when that was.
    ServerExpired(String),
    /// The server's certificate is not valid yet; from when.
    ServerNotYetValid(String),
    /// No CA that the agent knows has made it; OpenSSL's reason.
    UnknownCa(String),
    /// It is for other names; which.
    OtherName(String),
    /// It cannot be used for another reason.
    ServerCertificate(String),
    /// The server wants a certificate, and the agent shows none.
    CertificateRequired,
    /// The server hangs up after the handshake, in which the agent has shown no certificate.
    ClosedWithoutCertificate,
    /// The server hangs up after the handshake, in which the agent has shown its certificate.
    ClosedWithCertificate,
    /// The server says that the agent's certificate is over.
    CertificateExpired,
    /// The server says that the agent's certificate was revoked.
    CertificateRevoked,
    /// The server does not know who made the agent's certificate.
    CertificateUnknownCa,
    /// The server does not take the agent's certificate; the alert.
    CertificateRefused(String),
    /// The two ends have no version of TLS or no cipher in common.
    NoCommonTls(String),
}

impl Fault {
    pub(super) fn new(code: LinkCode, words: impl Into<String>, manner: Manner) -> Self {
        Self { code, words: clipped(&words.into()), manner }
    }

    /// What a status means.
    pub(super) fn of_status(status: RpcStatusCode, message: &str, doing: Doing) -> Self {
        let (code, mend, manner) = match status {
            RpcStatusCode::UNAUTHENTICATED if doing == Doing::Enrolling => {
                (LinkCode::UNAUTHENTICATED, "the control plane does not take the token: get a new one and set agent.token", Manner::Refused)
            }
            RpcStatusCode::UNAUTHENTICATED => (
                LinkCode::UNAUTHENTICATED,
                "the control plane does not take this agent's credential or certificate: let it in there, or enrol it again with a new token",
                Manner::Refused,
            ),
            RpcStatusCode::PERMISSION_DENIED => (
                LinkCode::PERMISSION_DENIED,
                "the control plane knows this agent and does not allow it in: allow it there, or enrol it again with a new token",
                Manner::Refused,
            ),
            RpcStatusCode::UNIMPLEMENTED => (
                LinkCode::UNIMPLEMENTED,
                "what answers there does not know the agent's calls: check control_plane.grpc_url, or update the control plane",
                Manner::Away,
            ),
            RpcStatusCode::DEADLINE_EXCEEDED => (LinkCode::SLOW, "no answer in time", Manner::Slow),
            RpcStatusCode::RESOURCE_EXHAUSTED if message.contains("larger than max") => {
                (LinkCode::ANSWER_TOO_LARGE, "the answer is larger than the agent reads: the control plane is out of order", Manner::Away)
            }
            RpcStatusCode::UNAVAILABLE => return Self::of_connection(message),
            _ => (LinkCode::FAILED, "the control plane answered with an error", Manner::Away),
        };
        Self::new(code, with(mend, &format!("{status:?}: {message}")), manner)
    }

    /// What gRPC's text about a connection means.
    fn of_connection(message: &str) -> Self {
        let lower = message.to_ascii_lowercase();
        let has = |part: &str| lower.contains(part);
        let (code, mend) = if has("http proxy returned response code 407") {
            (LinkCode::PROXY_LOGIN, "the proxy wants another login: check network.https_proxy")
        } else if has("http proxy returned response code") {
            (LinkCode::PROXY_REFUSED, "the proxy does not lead there: check network.https_proxy and network.no_proxy")
        } else if has("is not in peer certificate") {
            (LinkCode::SERVER_OTHER_NAME, NAME_MEND)
        } else if has("wrong version number") || has("wrong_version_number") || has("http request") {
            (LinkCode::NOT_TLS, NOT_TLS_MEND)
        } else if has("certificate verify failed") || has("certificate_verify_failed") {
            (LinkCode::SERVER_CERTIFICATE, "the certificate of the control plane cannot be verified: check it, and control_plane.ca_file")
        } else if has("dns resolution failed") || has("name resolution") || has("domain name not found") {
            (LinkCode::NAME_UNKNOWN, "the name cannot be resolved: check control_plane.grpc_url and the host's DNS")
        } else if has("handshake failed") || has("ssl_error") {
            (LinkCode::HANDSHAKE, "no secure connection comes about")
        } else if has("connection refused")
            || has("no route to host")
            || has("network is unreachable")
            || has("failed to connect") && has("timeout")
        {
            (LinkCode::AWAY, "nothing answers there")
        } else if has("socket closed")
            || has("endpoint read failed")
            || has("connection reset")
            || has("end of file")
            || has("goaway")
            || has("broken pipe")
        {
            (LinkCode::CLOSED, "the connection was closed")
        } else {
            (LinkCode::AWAY, "it cannot be reached")
        };
        Self::new(code, with(mend, message), Manner::Away)
    }

    /// Whether a look at the handshake may tell more than gRPC did.
    pub(super) fn is_vague(&self) -> bool {
        matches!(
            self.code,
            LinkCode::SERVER_CERTIFICATE | LinkCode::SERVER_OTHER_NAME | LinkCode::NOT_TLS | LinkCode::HANDSHAKE | LinkCode::CLOSED
        )
    }

    /// What the look has found.
    pub(super) fn of_finding(finding: Finding) -> Self {
        let away = |code, words: String| Self::new(code, words, Manner::Away);
        let refused = |code, words: String| Self::new(code, words, Manner::Refused);
        match finding {
            Finding::NotTls => away(LinkCode::NOT_TLS, NOT_TLS_MEND.to_owned()),
            Finding::NeedsTls => {
                away(LinkCode::NEEDS_TLS, "the port speaks TLS: write https:// in control_plane.grpc_url".to_owned())
            }
            Finding::ServerExpired(when) => away(
                LinkCode::SERVER_EXPIRED,
                format!("the certificate of the control plane ended on {when}: renew it there (or set this host's clock right)"),
            ),
            Finding::ServerNotYetValid(when) => away(
                LinkCode::SERVER_NOT_YET_VALID,
                format!("the certificate of the control plane begins on {when}: set this host's clock right (or wait)"),
            ),
            Finding::UnknownCa(reason) => away(
                LinkCode::UNKNOWN_CA,
                with("the certificate of the control plane is from a CA that the agent does not know: set control_plane.ca_file to that CA", &reason),
            ),
            Finding::OtherName(names) => away(LinkCode::SERVER_OTHER_NAME, with(NAME_MEND, &names)),
            Finding::ServerCertificate(reason) => {
                away(LinkCode::SERVER_CERTIFICATE, with("the certificate of the control plane cannot be used", &reason))
            }
            Finding::CertificateRequired => refused(
                LinkCode::CERTIFICATE_REQUIRED,
                "the control plane wants a certificate and the agent has none: enrol it, or set control_plane.client_cert_file and client_key_file"
                    .to_owned(),
            ),
            Finding::ClosedWithoutCertificate => away(
                LinkCode::CERTIFICATE_REQUIRED,
                "the control plane hangs up after the handshake, as one that wants a certificate; the agent has none: enrol it, or set \
                 control_plane.client_cert_file and client_key_file"
                    .to_owned(),
            ),
            Finding::ClosedWithCertificate => away(
                LinkCode::CERTIFICATE_REFUSED,
                "the control plane hangs up after the handshake, as one that does not take this agent's certificate: look at its log; enrol \
                 the agent again with a new token, or replace control_plane.client_cert_file"
                    .to_owned(),
            ),
            Finding::CertificateExpired => refused(LinkCode::CERTIFICATE_EXPIRED, of_own_certificate("is over")),
            Finding::CertificateRevoked => refused(LinkCode::CERTIFICATE_REVOKED, of_own_certificate("was revoked")),
            Finding::CertificateUnknownCa => {
                refused(LinkCode::CERTIFICATE_UNKNOWN_CA, of_own_certificate("is from a CA that it does not know"))
            }
            Finding::CertificateRefused(alert) => {
                refused(LinkCode::CERTIFICATE_REFUSED, with(&of_own_certificate("cannot be used"), &alert))
            }
            Finding::NoCommonTls(reason) => {
                away(LinkCode::NO_COMMON_TLS, with("the two ends have no version of TLS or no cipher in common", &reason))
            }
        }
    }

    /// The same without secrets that a server may have repeated.
    pub(super) fn without(mut self, secret: &str) -> Self {
        if !secret.is_empty() {
            self.words = self.words.replace(secret, "[redacted]");
        }
        self
    }
}

const NAME_MEND: &str =
    "the certificate of the control plane is for another name: use that name in control_plane.grpc_url, or have it made for this one";
const NOT_TLS_MEND: &str = "the port does not speak TLS: check the port, or write http:// in control_plane.grpc_url (development only)";

fn of_own_certificate(what: &str) -> String {
    format!(
        "the control plane says that this agent's certificate {what}: enrol it again with a new token, or replace control_plane.client_cert_file"
    )
}

fn with(mend: &str, reason: &str) -> String {
    if reason.is_empty() { mend.to_owned() } else { format!("{mend} ({reason})") }
}

/// One line of bounded length.
fn clipped(text: &str) -> String {
    let line = |c: char| if c.is_control() { ' ' } else { c };
    if text.chars().count() <= MAX_WORDS {
        return text.chars().map(line).collect();
    }
    text.chars().map(line).take(MAX_WORDS).chain(['…']).collect()
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_one_code_and_one_manner() {
        for (status, doing, message, code, manner) in [
            (RpcStatusCode::UNAUTHENTICATED, Doing::Enrolling, "no", LinkCode::UNAUTHENTICATED, Manner::Refused),
            (RpcStatusCode::UNAUTHENTICATED, Doing::Speaking, "no", LinkCode::UNAUTHENTICATED, Manner::Refused),
            (RpcStatusCode::PERMISSION_DENIED, Doing::Speaking, "", LinkCode::PERMISSION_DENIED, Manner::Refused),
            (RpcStatusCode::DEADLINE_EXCEEDED, Doing::Speaking, "Deadline Exceeded", LinkCode::SLOW, Manner::Slow),
            (RpcStatusCode::UNIMPLEMENTED, Doing::Speaking, "", LinkCode::UNIMPLEMENTED, Manner::Away),
            (
                RpcStatusCode::RESOURCE_EXHAUSTED,
                Doing::Speaking,
                "CLIENT: Received message larger than max (5 vs. 4)",
                LinkCode::ANSWER_TOO_LARGE,
                Manner::Away,
            ),
            (RpcStatusCode::INTERNAL, Doing::Speaking, "oops", LinkCode::FAILED, Manner::Away),
            (
                RpcStatusCode::UNAVAILABLE,
                Doing::Speaking,
                "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:9: Failed to connect to remote host: Connection refused",
                LinkCode::AWAY,
                Manner::Away,
            ),
            (RpcStatusCode::UNAVAILABLE, Doing::Speaking, "Socket closed", LinkCode::CLOSED, Manner::Away),
            (RpcStatusCode::UNAVAILABLE, Doing::Speaking, "HTTP proxy returned response code 407", LinkCode::PROXY_LOGIN, Manner::Away),
            (RpcStatusCode::UNAVAILABLE, Doing::Speaking, "DNS resolution failed for x:1", LinkCode::NAME_UNKNOWN, Manner::Away),
        ] {
            let fault = Fault::of_status(status, message, doing);
            assert_eq!((fault.code, fault.manner), (code, manner), "{status:?} {message}");
            assert!(fault.words.contains(message), "the other end's own words are kept: {fault}");
        }
    }

    #[test]
    fn words_of_a_server_are_one_short_line_without_secrets() {
        let fault = Fault::of_status(RpcStatusCode::UNAUTHENTICATED, &format!("token hunter2\n{}", "x".repeat(9_999)), Doing::Enrolling);
        let text = fault.without("hunter2").to_string();
        assert!(text.len() < 600 && !text.contains('\n') && !text.contains("hunter2") && text.contains("[redacted]"), "{text}");
    }
}

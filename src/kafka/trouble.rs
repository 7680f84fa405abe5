//! What can be wrong between the agent and its brokers: a stable code, plain words, the mend. Pure.
//!
//! librdkafka and OpenSSL say much of it between the lines: the words that are looked for here are theirs,
//! as seen with librdkafka 2.12 and Kafka 4.3. What is not recognised keeps their own words.

use super::native::{Evidence, Fault, code};
use crate::domain::codes;
use std::fmt;

/// A stable code such as `kafka.login_refused`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TroubleCode(&'static str);

codes! { TroubleCode:
    /// No broker answers.
    UNREACHABLE = "kafka.unreachable";
    /// The name of a broker is not known.
    NAME_UNKNOWN = "kafka.name_unknown";
    /// None of the CAs has signed the broker's certificate.
    TLS_UNTRUSTED = "kafka.tls_untrusted";
    /// The broker's certificate is for another name than the one that was asked for.
    TLS_OTHER_NAME = "kafka.tls_other_name";
    /// The broker's certificate is not valid any more, or not yet.
    TLS_EXPIRED = "kafka.tls_expired";
    /// TLS fails for another reason.
    TLS_FAILED = "kafka.tls_failed";
    /// TLS on a port that does not speak it.
    TLS_NOT_SPOKEN = "kafka.tls_not_spoken";
    /// Plain text on a port that speaks TLS.
    TLS_WANTED = "kafka.tls_wanted";
    /// The broker wants a client certificate, and none is configured.
    CERTIFICATE_WANTED = "kafka.certificate_wanted";
    /// The client certificate is not valid any more.
    CERTIFICATE_EXPIRED = "kafka.certificate_expired";
    /// The broker does not take the client certificate.
    CERTIFICATE_REFUSED = "kafka.certificate_refused";
    /// A wrong name or password.
    LOGIN_REFUSED = "kafka.login_refused";
    /// The broker does not offer this mechanism, or no login at all.
    LOGIN_NOT_OFFERED = "kafka.login_not_offered";
    /// The broker wants a login, and none is configured.
    LOGIN_WANTED = "kafka.login_wanted";
    /// A topic does not exist.
    TOPIC_MISSING = "kafka.topic_missing";
    /// An ACL for a topic is missing.
    TOPIC_DENIED = "kafka.topic_denied";
    /// An ACL for the consumer group is missing.
    GROUP_DENIED = "kafka.group_denied";
    /// An ACL for the cluster is missing.
    CLUSTER_DENIED = "kafka.cluster_denied";
    /// An ACL for the transactional id is missing.
    TRANSACTIONS_DENIED = "kafka.transactions_denied";
    /// Another process uses the agent's identity.
    IDENTITY_IN_USE = "kafka.identity_in_use";
    /// Records are not taken for another reason; they are kept and tried again.
    NOT_WRITTEN = "kafka.not_written";
    /// The end of the event topic cannot be read.
    TOPIC_STUCK = "kafka.topic_stuck";
    /// The brokers, or the client itself, do something that nobody expects.
    UNEXPECTED = "kafka.unexpected";
    /// A setting is wrong, or a file that it names.
    SETTING = "kafka.setting";
}

impl TroubleCode {
    /// The text in health and log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// A code with what a person is to read: what is wrong, and the mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What a program may match on.
    pub code: TroubleCode,
    text: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.0, self.text)
    }
}

/// How the agent's own certificate stands, for a broker that refuses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnCertificate {
    /// None is configured.
    None,
    /// Its time is over.
    Expired,
    /// Nothing is wrong with it that shows here.
    Sound,
}

impl Trouble {
    pub(super) fn new(code: TroubleCode, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// What a connection died of. `certificate` is looked at only where it matters.
    pub(super) fn of_connection(fault: &Fault, evidence: &Evidence, certificate: impl Fn() -> OwnCertificate) -> Self {
        let (broker, words) = split(&fault.text);
        let says = |part: &str| words.contains(part);
        match fault.code {
            code::AUTHENTICATION if says("mechanism handshake failed") => Self::new(
                TroubleCode::LOGIN_NOT_OFFERED,
                format!(
                    "{broker} does not offer this login ({words}): check kafka.sasl_mechanism, and kafka.security_protocol and the port"
                ),
            ),
            code::AUTHENTICATION => Self::new(
                TroubleCode::LOGIN_REFUSED,
                format!("{broker} refuses the login ({words}): check kafka.sasl_username, kafka.sasl_password and kafka.sasl_mechanism"),
            ),
            code::RESOLVE => Self::new(
                TroubleCode::NAME_UNKNOWN,
                format!(
                    "the name of {broker} is not known ({words}): check kafka.brokers, the brokers' advertised.listeners, and this host's DNS"
                ),
            ),
            _ if says("certificate verify failed") => of_certificate(broker, evidence.certificate),
            _ if says("PLAINTEXT broker listener") || says("wrong version number") || says("packet length too long") => Self::new(
                TroubleCode::TLS_NOT_SPOKEN,
                format!("{broker} does not speak TLS: kafka.brokers names a plain port, or kafka.security_protocol must be without TLS"),
            ),
            // Numbers of RFC 8446, section 6: what a server says of a client's certificate.
            _ if says("SSL alert number") && alert(words).is_some_and(|number| matches!(number, 42..=46 | 48 | 116)) => {
                of_own_certificate(broker, words, certificate())
            }
            code::SSL => Self::new(
                TroubleCode::TLS_FAILED,
                format!(
                    "TLS with {broker} fails ({words}): check kafka.security_protocol, kafka.ssl_ca_location and the client's certificate and key"
                ),
            ),
            _ => Self::new(TroubleCode::UNREACHABLE, format!("{broker}: {words}")),
        }
    }

    /// Why a broker closed a connection without a word, if that shows.
    pub(super) fn of_closing(text: &str) -> Option<Self> {
        let (broker, words) = split(text);
        let encrypted = text.contains("ssl://");
        if text.contains("in state APIVERSION_QUERY") && !encrypted {
            return Some(Self::new(
                TroubleCode::TLS_WANTED,
                format!(
                    "{broker} closes the connection at the first word ({words}): it speaks TLS; set kafka.security_protocol to ssl or sasl_ssl"
                ),
            ));
        }
        // A broker that wants a login answers the first question, and no other.
        let soon =
            between(text, "(after ", "ms in state UP").and_then(|millis| millis.parse().ok()).is_some_and(|millis: u64| millis < 2_000);
        (soon && !text.contains("sasl")).then(|| {
            Self::new(
                TroubleCode::LOGIN_WANTED,
                format!(
                    "{broker} closes the connection after the greeting ({words}): it wants a login; set kafka.security_protocol to {} and \
                     kafka.sasl_mechanism, kafka.sasl_username and kafka.sasl_password",
                    if encrypted { "sasl_ssl" } else { "sasl_plaintext" }
                ),
            )
        })
    }

    /// Whether it says only that somebody hung up while we spoke: how that shows depends on who was faster.
    pub(super) fn is_of_hanging_up(&self) -> bool {
        let says = |words: &str| self.text.contains(words);
        !self.is_specific() && (says("Broken pipe") || says("Connection reset by peer"))
    }

    /// Whether it says more than that nobody answers.
    pub(super) fn is_specific(&self) -> bool {
        self.code != TroubleCode::UNREACHABLE
    }

    /// Whether it is about reaching the brokers, not about what they let us do.
    pub(super) fn is_of_connection(&self) -> bool {
        !matches!(
            self.code,
            TroubleCode::TOPIC_MISSING
                | TroubleCode::TOPIC_DENIED
                | TroubleCode::GROUP_DENIED
                | TroubleCode::CLUSTER_DENIED
                | TroubleCode::TRANSACTIONS_DENIED
                | TroubleCode::IDENTITY_IN_USE
                | TroubleCode::NOT_WRITTEN
                | TroubleCode::TOPIC_STUCK
                | TroubleCode::UNEXPECTED
                | TroubleCode::SETTING
        )
    }

    /// No broker answers; what the last try died of stands behind it.
    pub(super) fn away(brokers: &str, last: Option<&Self>) -> Self {
        let detail = last.map(|last| format!(" ({})", last.text)).unwrap_or_default();
        Self::new(
            TroubleCode::UNREACHABLE,
            format!("no broker answers at {brokers}{detail}: it is tried again every few seconds; check kafka.brokers if this stays"),
        )
    }

    pub(super) fn topic_missing(topic: &str) -> Self {
        Self::new(
            TroubleCode::TOPIC_MISSING,
            format!("topic {topic} does not exist: create it, with one partition; it is looked for every few seconds"),
        )
    }

    pub(super) fn topic_denied(topic: &str, operation: &str) -> Self {
        Self::new(TroubleCode::TOPIC_DENIED, format!("topic {topic} may not be used: grant this client's principal {operation} on it"))
    }

    pub(super) fn group_denied(group: &str) -> Self {
        Self::new(
            TroubleCode::GROUP_DENIED,
            format!("group {group} may not be used: grant this client's principal Read on it (kafka.consumer_group)"),
        )
    }

    /// `cargo` is what was to be written.
    pub(super) fn not_written(cargo: &str, fault: &Fault) -> Self {
        Self::new(TroubleCode::NOT_WRITTEN, format!("{cargo} cannot be written ({fault}): they are kept and tried again"))
    }

    pub(super) fn topic_stuck(topic: &str) -> Self {
        Self::new(
            TroubleCode::TOPIC_STUCK,
            format!(
                "the end of topic {topic} cannot be read, so it is not known which events are on it; nothing is lost, and it is read again \
                 soon. If this stays, a transaction that nobody ends hangs on it: find it with `kafka-transactions.sh find-hanging`, and \
                 end it with `kafka-transactions.sh abort`"
            ),
        )
    }

    pub(super) fn transactions_denied(id: &str) -> Self {
        Self::new(
            TroubleCode::TRANSACTIONS_DENIED,
            format!(
                "transactional id {id} may not be used: grant this client's principal Write on it, or set kafka.events to at-least-once, \
                 where a reader may see an event twice"
            ),
        )
    }

    pub(super) fn identity_in_use() -> Self {
        Self::new(
            TroubleCode::IDENTITY_IN_USE,
            "another process uses this agent's identity and transactional id: stop one of the two, or enrol one anew; this one takes in \
             nothing, and tries again in about ten minutes or at its next start",
        )
    }

    pub(super) fn cluster_denied() -> Self {
        Self::new(
            TroubleCode::CLUSTER_DENIED,
            "the broker refuses an idempotent producer: grant this client's principal IdempotentWrite on the cluster",
        )
    }
}

fn of_certificate(broker: &str, error: Option<i32>) -> Trouble {
    // Of OpenSSL's x509_vfy.h.
    const NOT_YET_VALID: i32 = 9;
    const EXPIRED: i32 = 10;
    const HOSTNAME_MISMATCH: i32 = 62;
    const ADDRESS_MISMATCH: i32 = 64;
    match error {
        Some(HOSTNAME_MISMATCH | ADDRESS_MISMATCH) => Trouble::new(
            TroubleCode::TLS_OTHER_NAME,
            format!("the certificate of {broker} is for another name: kafka.brokers must name it as its certificate does (subjectAltName)"),
        ),
        Some(EXPIRED) => Trouble::new(
            TroubleCode::TLS_EXPIRED,
            format!("the certificate of {broker}, or of its CA, has expired: renew it on the broker, and check this host's clock"),
        ),
        Some(NOT_YET_VALID) => {
            Trouble::new(TroubleCode::TLS_EXPIRED, format!("the certificate of {broker} is not valid yet: check this host's clock"))
        }
        _ => Trouble::new(
            TroubleCode::TLS_UNTRUSTED,
            format!(
                "the certificate of {broker} is signed by no CA that the agent knows: kafka.ssl_ca_location must name the CA that signed it"
            ),
        ),
    }
}

fn of_own_certificate(broker: &str, words: &str, certificate: OwnCertificate) -> Trouble {
    let keys = "kafka.ssl_certificate_location and kafka.ssl_key_location";
    match certificate {
        OwnCertificate::None => Trouble::new(
            TroubleCode::CERTIFICATE_WANTED,
            format!("{broker} wants a client certificate, and there is none: set {keys}, or enrol at a control plane that issues one"),
        ),
        OwnCertificate::Expired => Trouble::new(
            TroubleCode::CERTIFICATE_EXPIRED,
            format!(
                "{broker} refuses the client certificate, which has expired: put a new one in place of kafka.ssl_certificate_location; \
                 one that the control plane has issued is renewed once that is reached"
            ),
        ),
        OwnCertificate::Sound => Trouble::new(
            TroubleCode::CERTIFICATE_REFUSED,
            format!(
                "{broker} refuses the client certificate ({words}): {keys} must name one that is signed by a CA of the broker's \
                 ssl.truststore; without them it is the one that the control plane has issued"
            ),
        ),
    }
}

/// `ssl://HOST:PORT/bootstrap: WORDS (after 3ms in state S)` → `HOST:PORT` and the words. The same fault has other
/// milliseconds each time, so they are no part of what is told.
fn split(text: &str) -> (&str, &str) {
    // librdkafka's log names its thread first.
    let text = text.split_once("]: ").map_or(text, |(thread, rest)| if thread.starts_with("[thrd:") { rest } else { text });
    let text = text.split(" (after ").next().unwrap_or(text);
    let Some((broker, words)) = text.split_once(": ").filter(|(broker, _)| !broker.contains(' ')) else { return ("the broker", text) };
    let broker = broker.rsplit_once("://").map_or(broker, |(_, address)| address);
    (broker.split('/').next().unwrap_or(broker), words)
}

fn alert(words: &str) -> Option<u32> {
    let digits = words.split_once("SSL alert number ")?.1;
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    text.split_once(from)?.1.split_once(to).map(|(found, _)| found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: i32, text: &str, certificate: Option<i32>, own: OwnCertificate) -> Trouble {
        Trouble::of_connection(&Fault { code, text: text.to_owned() }, &Evidence { closing: None, certificate }, || own)
    }

    #[test]
    fn what_librdkafka_says_has_a_code_the_address_and_the_key_that_mends_it() {
        let verify = "ssl://b:1/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker certificate \
                      could not be verified (after 14ms in state SSL_HANDSHAKE)";
        let alert = |number: u32| {
            format!(
                "ssl://b:1/1: Receive failed: error:0A000416:SSL routines::sslv3 alert: SSL alert number {number} (after 30ms in state APIVERSION_QUERY)"
            )
        };
        let (none, expired, sound) = (OwnCertificate::None, OwnCertificate::Expired, OwnCertificate::Sound);
        let table = [
            (of(code::SSL, verify, Some(20), none), "kafka.tls_untrusted: ", "kafka.ssl_ca_location"),
            (of(code::SSL, verify, None, none), "kafka.tls_untrusted: ", "kafka.ssl_ca_location"),
            (of(code::TRANSPORT, verify, Some(62), none), "kafka.tls_other_name: ", "kafka.brokers"),
            (of(code::SSL, verify, Some(64), none), "kafka.tls_other_name: ", "kafka.brokers"),
            (of(code::SSL, verify, Some(10), none), "kafka.tls_expired: ", "renew"),
            (of(code::TRANSPORT, &alert(42), None, none), "kafka.certificate_wanted: ", "kafka.ssl_certificate_location"),
            (of(code::TRANSPORT, &alert(116), None, none), "kafka.certificate_wanted: ", "kafka.ssl_certificate_location"),
            (of(code::TRANSPORT, &alert(46), None, expired), "kafka.certificate_expired: ", "kafka.ssl_certificate_location"),
            (of(code::TRANSPORT, &alert(48), None, sound), "kafka.certificate_refused: ", "kafka.ssl_certificate_location"),
            (of(code::SSL, &alert(40), None, sound), "kafka.tls_failed: ", "kafka.security_protocol"),
            (
                of(
                    code::TRANSPORT,
                    "ssl://b:1/bootstrap: SSL handshake failed: Disconnected: SSL connection closed by peer: connecting to a PLAINTEXT broker listener? (after 3ms in state SSL_HANDSHAKE)",
                    None,
                    none,
                ),
                "kafka.tls_not_spoken: ",
                "kafka.security_protocol",
            ),
            (
                of(
                    code::AUTHENTICATION,
                    "sasl_ssl://b:1/bootstrap: SASL authentication error: Authentication failed (after 312ms in state AUTH_REQ)",
                    None,
                    none,
                ),
                "kafka.login_refused: ",
                "kafka.sasl_password",
            ),
            (
                of(
                    code::AUTHENTICATION,
                    "sasl_ssl://b:1/1: SASL PLAIN mechanism handshake failed: Broker: Unsupported SASL mechanism: broker's supported mechanisms: X (after 1ms in state AUTH_HANDSHAKE)",
                    None,
                    none,
                ),
                "kafka.login_not_offered: ",
                "kafka.sasl_mechanism",
            ),
            (
                of(
                    code::RESOLVE,
                    "b:1/bootstrap: Failed to resolve 'b:1': Name or service not known (after 0ms in state CONNECT)",
                    None,
                    none,
                ),
                "kafka.name_unknown: ",
                "kafka.brokers",
            ),
            (
                of(
                    code::TRANSPORT,
                    "b:1/bootstrap: Connect to ipv4#127.0.0.1:9 failed: Connection refused (after 0ms in state CONNECT)",
                    None,
                    none,
                ),
                "kafka.unreachable: ",
                "refused",
            ),
        ];
        for (trouble, start, mend) in table {
            let text = trouble.to_string();
            assert!(text.starts_with(start) && text.contains("b:1") && text.contains(mend) && !text.contains("(after"), "{text}");
        }
    }

    #[test]
    fn a_connection_that_is_closed_without_a_word_tells_what_was_wanted() {
        let closed = |text: &str| Trouble::of_closing(text).map(|trouble| trouble.to_string());
        let plain = "[thrd:localhost:1/bootstrap]: localhost:1/bootstrap: Disconnected: connection closed by peer: receive 0 after POLLIN (after 2ms in state APIVERSION_QUERY)";
        assert!(closed(plain).unwrap().starts_with("kafka.tls_wanted: localhost:1 closes"));
        let no_login = "ssl://localhost:1/bootstrap: Disconnected: SSL connection closed by peer (after 0ms in state UP)";
        let told = closed(no_login).unwrap();
        assert!(told.starts_with("kafka.login_wanted: localhost:1 ") && told.contains("sasl_ssl"), "{told}");
        for idle in [
            "ssl://localhost:1/1: Disconnected: SSL connection closed by peer (after 60123ms in state UP)",
            "sasl_ssl://localhost:1/1: Disconnected: SSL connection closed by peer (after 1ms in state UP)",
        ] {
            assert_eq!(closed(idle), None);
        }
    }

    #[test]
    fn codes_are_unique_and_of_this_room() {
        let all: std::collections::BTreeSet<_> = TroubleCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(all.len(), TroubleCode::ALL.len());
        assert!(all.iter().all(|code| code.starts_with("kafka.")));
    }
}

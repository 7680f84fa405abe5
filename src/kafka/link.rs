//! What is said of the link to the brokers: only changes, each with its code, the reason and the mend.

use super::native::{Evidence, Fault, Operation, TopicState, code};
use super::trouble::{OwnCertificate, Trouble, TroubleCode};
use super::{Event, Settings, Side};
use crate::domain::LinkState;
use openssl::asn1::Asn1Time;
use openssl::x509::X509;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The last word about one client's link.
pub(super) struct Link {
    side: Side,
    brokers: String,
    certificate: Option<PathBuf>,
    told: Told,
    /// The last trouble with a connection since the link was up: the reason behind "all brokers are down".
    last: Option<Trouble>,
    /// What was said in the log of brokers that do not let us in while others do.
    warned: BTreeSet<&'static str>,
}

#[derive(Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Up,
    Down(Trouble),
}

impl Link {
    pub(super) fn new(side: Side, settings: &Settings) -> Self {
        let (brokers, certificate) = (settings.brokers.join(", "), settings.security.client_files().map(|(path, _)| path.to_owned()));
        Self { side, brokers, certificate, told: Told::Nothing, last: None, warned: BTreeSet::new() }
    }

    pub(super) fn is_up(&self) -> bool {
        self.told == Told::Up
    }

    pub(super) fn up(&mut self) -> Option<Event> {
        self.last = None;
        if self.is_up() {
            return None;
        }
        self.told = Told::Up;
        Some(Event::Link(self.side, LinkState::Up))
    }

    /// The event, unless the same was said last.
    pub(super) fn down(&mut self, trouble: Trouble) -> Option<Event> {
        let told = Told::Down(trouble);
        if self.told == told {
            return None;
        }
        self.told = told;
        let Told::Down(trouble) = &self.told else { return None };
        Some(Event::Link(self.side, LinkState::Down(trouble.to_string())))
    }

    /// A fault of a connection or of the client. While the link is up it says little: there are other brokers,
    /// and idle connections are closed; that none answers any more shows with the next question.
    pub(super) fn fault(&mut self, fault: &Fault, evidence: &Evidence) -> Option<Event> {
        if fault.code == code::ALL_BROKERS_DOWN {
            return self.away(evidence);
        }
        let trouble = Trouble::of_connection(fault, evidence, || own_certificate(self.certificate.as_deref()));
        // What is wrong with login or TLS is the better reason, of whichever broker.
        if trouble.is_specific() || self.last.as_ref().is_none_or(|last| !last.is_specific()) {
            self.last = Some(trouble);
        }
        match &self.told {
            Told::Nothing => self.away(evidence),
            Told::Down(told) if told.is_of_connection() => self.away(evidence),
            Told::Up => {
                self.warn();
                None
            }
            Told::Down(_) => None,
        }
    }

    /// One broker of several does not let us in: once for each way.
    fn warn(&mut self) {
        if let Some(trouble) = self.last.as_ref().filter(|last| last.is_specific())
            && self.warned.insert(trouble.code.as_str())
        {
            log::warn!("{trouble}; other brokers let us in");
        }
    }

    /// A question to the brokers had no answer.
    pub(super) fn bad_answer(&mut self, fault: &Fault, evidence: &Evidence) -> Option<Event> {
        match fault.code {
            code::TIMED_OUT | code::TRANSPORT | code::ALL_BROKERS_DOWN => self.away(evidence),
            code::AUTHENTICATION | code::SSL | code::RESOLVE => self.fault(fault, evidence),
            _ => self.down(Trouble::new(TroubleCode::UNEXPECTED, format!("the brokers do not answer as they should: {fault}"))),
        }
    }

    /// No broker answers, or none lets us in.
    pub(super) fn away(&mut self, evidence: &Evidence) -> Option<Event> {
        let trouble = match &self.last {
            Some(last) if last.is_specific() => last.clone(),
            // A broker that hangs up and says nothing else is there; one that went away refuses connections.
            last if !self.is_up() && last.as_ref().is_none_or(Trouble::is_of_hanging_up) => {
                let silent = evidence.closing.as_deref().and_then(Trouble::of_closing);
                silent.unwrap_or_else(|| Trouble::away(&self.brokers, last.as_ref()))
            }
            last => Trouble::away(&self.brokers, last.as_ref()),
        };
        self.down(trouble)
    }
}

/// How the client's certificate stands: read when a broker refuses it, so a new file counts at once.
pub(super) fn own_certificate(path: Option<&Path>) -> OwnCertificate {
    let Some(path) = path else { return OwnCertificate::None };
    let certificate = std::fs::read(path).ok().and_then(|pem| X509::from_pem(&pem).ok());
    let now = Asn1Time::days_from_now(0).ok();
    match certificate.zip(now).and_then(|(certificate, now)| certificate.not_after().compare(&now).ok()) {
        Some(Ordering::Less) => OwnCertificate::Expired,
        _ => OwnCertificate::Sound,
    }
}

/// The partitions of a topic that may be used for `operation`, or what is wrong and its mend.
pub(super) fn usable(topic: &str, states: &[TopicState], operation: Operation) -> Result<Vec<i32>, Trouble> {
    let acl = match operation {
        Operation::Read => "Read",
        Operation::Write => "Write",
    };
    let denied = || Trouble::topic_denied(topic, acl);
    let unexpected = |words: String| Trouble::new(TroubleCode::UNEXPECTED, words);
    let Some(state) = states.iter().find(|state| state.name == topic) else {
        return Err(unexpected(format!("the broker says nothing of topic {topic}")));
    };
    match &state.partitions {
        Ok(_) if !state.allows(operation) => Err(denied()),
        Ok(partitions) if partitions.is_empty() => Err(Trouble::topic_missing(topic)),
        Ok(partitions) => Ok(partitions.clone()),
        Err(fault) => Err(match fault.code {
            code::UNKNOWN_TOPIC | code::UNKNOWN_TOPIC_LOCAL => Trouble::topic_missing(topic),
            code::TOPIC_AUTHORIZATION => denied(),
            _ => unexpected(format!("topic {topic} cannot be used: {fault}")),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::settings;
    use super::*;

    fn fault(code: i32, text: &str) -> Fault {
        Fault { code, text: text.to_owned() }
    }

    fn reason(event: Option<Event>) -> String {
        match event {
            Some(Event::Link(_, LinkState::Down(reason))) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_best_reason_stands_until_the_link_is_up() {
        let mut link = Link::new(Side::Consumer, &settings());
        let (refused, evidence) =
            (fault(code::TRANSPORT, "b:1/bootstrap: Connection refused (after 1ms in state CONNECT)"), Evidence::default());
        let down = fault(code::ALL_BROKERS_DOWN, "1/1 brokers are down");
        assert!(
            reason(link.fault(&refused, &evidence))
                .starts_with("kafka.unreachable: no broker answers at 127.0.0.1:9 (b:1: Connection refused)")
        );
        assert!(link.fault(&down, &evidence).is_none(), "the same again");
        let login = |millis| {
            fault(code::AUTHENTICATION, &format!("sasl_ssl://b:1/1: SASL authentication error: no (after {millis}ms in state AUTH_REQ)"))
        };
        assert!(reason(link.fault(&login(1), &evidence)).starts_with("kafka.login_refused: "));
        assert!(link.fault(&login(2), &evidence).is_none(), "only the milliseconds differ");
        assert!(link.fault(&refused, &evidence).is_none() && link.fault(&down, &evidence).is_none());
        assert!(link.up().is_some() && link.up().is_none());
        assert!(link.fault(&login(3), &evidence).is_none(), "another broker may let us in");
        assert!(reason(link.fault(&down, &evidence)).starts_with("kafka.login_refused: "));
        link.up();
        assert!(reason(link.fault(&down, &evidence)).starts_with("kafka.unreachable: "), "what was mended is forgotten");
    }

    #[test]
    fn a_broker_that_went_away_soon_after_it_came_wants_no_login() {
        let closing = Some("ssl://b:1/1: Disconnected: SSL connection closed by peer (after 9ms in state UP)".to_owned());
        let (evidence, down) = (Evidence { closing, certificate: None }, fault(code::ALL_BROKERS_DOWN, "1/1 brokers are down"));
        let mut link = Link::new(Side::Consumer, &settings());
        assert!(reason(link.fault(&down, &evidence)).starts_with("kafka.login_wanted: "));
        link.up();
        assert!(reason(link.fault(&down, &evidence)).starts_with("kafka.unreachable: "));
        assert!(reason(link.fault(&fault(code::TRANSPORT, "b:1/1: refused"), &evidence)).starts_with("kafka.unreachable: "));
    }

    #[test]
    fn a_broker_that_hangs_up_while_we_speak_wants_a_login_too() {
        let closing = Some("ssl://b:1/1: Disconnected: SSL connection closed by peer (after 9ms in state UP)".to_owned());
        let evidence = Evidence { closing, certificate: None };
        let mut link = Link::new(Side::Consumer, &settings());
        let broken =
            fault(code::TRANSPORT, "ssl://b:1/bootstrap: Send failed: system library::Broken pipe: tls_retry_write_records failure");
        assert!(reason(link.fault(&broken, &evidence)).starts_with("kafka.login_wanted: "));
    }

    #[test]
    fn what_is_wrong_with_a_topic_stands_while_connections_come_and_go() {
        let mut link = Link::new(Side::Producer, &settings());
        reason(link.down(Trouble::topic_missing("t")));
        assert!(link.fault(&fault(code::TRANSPORT, "b:1/1: reset"), &Evidence::default()).is_none());
        assert!(reason(link.away(&Evidence::default())).starts_with("kafka.unreachable: "));
    }
}

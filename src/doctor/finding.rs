//! What a check has found, and how a list of findings is read by programs and by people. Pure.

use super::catalogue::Check;
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};
use std::fmt::Write as _;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it must be.
    Ok,
    /// There is nothing to look at, or nobody who may.
    Skipped,
    /// It works, and may not for long, or not all of it.
    Warn,
    /// It does not work.
    Fail,
}

impl State {
    /// The word of the JSON, and of the text.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One of the things that a check has looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which check.
    pub check: &'static Check,
    /// What of several it is about: a broker, a file, a host.
    pub subject: Option<String>,
    /// How it is.
    pub state: State,
    /// What was seen.
    pub summary: String,
    /// What to do, where that is more than the check's own words.
    mend: Option<String>,
}

impl Check {
    /// It is as it must be.
    pub(super) fn ok(&'static self, summary: impl Into<String>) -> Finding {
        self.found(State::Ok, summary)
    }

    /// It was not looked at; why.
    pub(super) fn skipped(&'static self, summary: impl Into<String>) -> Finding {
        self.found(State::Skipped, summary)
    }

    /// It is doubtful.
    pub(super) fn warn(&'static self, summary: impl Into<String>) -> Finding {
        self.found(State::Warn, summary)
    }

    /// It is not as it must be.
    pub(super) fn fail(&'static self, summary: impl Into<String>) -> Finding {
        self.found(State::Fail, summary)
    }

    pub(super) fn found(&'static self, state: State, summary: impl Into<String>) -> Finding {
        Finding { check: self, subject: None, state, summary: one_line(&summary.into()), mend: None }
    }
}

impl Finding {
    /// What of several it is about.
    pub(super) fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// What to do here.
    pub(super) fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(one_line(&mend.into()));
        self
    }

    /// What it means.
    #[must_use]
    pub fn meaning(&self) -> &str {
        self.check.meaning
    }

    /// What to do; nothing where all is well.
    #[must_use]
    pub fn remedy(&self) -> &str {
        match self.state {
            State::Ok | State::Skipped => "",
            State::Warn | State::Fail => self.mend.as_deref().unwrap_or(self.check.mend),
        }
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Finding", 6)?;
        object.serialize_field("id", self.check.id)?;
        match &self.subject {
            Some(subject) => object.serialize_field("subject", subject)?,
            None => object.skip_field("subject")?,
        }
        object.serialize_field("state", &self.state)?;
        object.serialize_field("summary", &self.summary)?;
        object.serialize_field("meaning", self.meaning())?;
        object.serialize_field("mend", self.remedy())?;
        object.end()
    }
}

/// What somebody else has found, as the JSON says it: another version may know other checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Which check.
    pub id: String,
    /// What of several it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// How it is.
    pub state: State,
    /// What was seen.
    pub summary: String,
    /// What it means.
    pub meaning: String,
    /// What to do.
    pub mend: String,
}

/// What the running agent sees otherwise than these findings; what it alone looks at, where that is not well.
#[must_use]
pub fn differing(ours: &[Finding], agents: Vec<Seen>) -> Vec<Seen> {
    let otherwise = |seen: &Seen| {
        let same = ours.iter().find(|finding| finding.check.id == seen.id && finding.subject == seen.subject);
        same.map_or(matches!(seen.state, State::Warn | State::Fail), |finding| finding.state != seen.state)
    };
    agents.into_iter().filter(|seen| seen.state != State::Skipped && otherwise(seen)).collect()
}

/// The words of a broker, an engine or a kernel may have several lines; a finding has one.
fn one_line(text: &str) -> String {
    text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

/// The findings for people: a group per part, one line for each, and under what is not well its meaning and its mend.
#[must_use]
pub fn text<'a>(findings: impl IntoIterator<Item = Line<'a>>) -> String {
    let mut out = String::new();
    let mut group = "";
    for line in findings {
        let (part, _) = line.id.split_once('.').unwrap_or((line.id, ""));
        if part != group {
            let _ = writeln!(out, "{}{part}", if group.is_empty() { "" } else { "\n" });
            group = part;
        }
        let subject = line.subject.map_or_else(String::new, |subject| format!(" [{subject}]"));
        let _ = writeln!(out, "  {:<7}  {}{subject}: {}", line.state.word(), line.id, line.summary);
        if matches!(line.state, State::Warn | State::Fail) {
            let _ = writeln!(out, "             means: {}\n             mend:  {}", line.meaning, line.mend);
        }
    }
    out
}

/// What [`text`] shows of a finding, whoever has it.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    id: &'a str,
    subject: Option<&'a str>,
    state: State,
    summary: &'a str,
    meaning: &'a str,
    mend: &'a str,
}

impl<'a> From<&'a Finding> for Line<'a> {
    fn from(finding: &'a Finding) -> Self {
        Self {
            id: finding.check.id,
            subject: finding.subject.as_deref(),
            state: finding.state,
            summary: &finding.summary,
            meaning: finding.meaning(),
            mend: finding.remedy(),
        }
    }
}

impl<'a> From<&'a Seen> for Line<'a> {
    fn from(seen: &'a Seen) -> Self {
        Self {
            id: &seen.id,
            subject: seen.subject.as_deref(),
            state: seen.state,
            summary: &seen.summary,
            meaning: &seen.meaning,
            mend: &seen.mend,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalogue;
    use super::*;

    #[test]
    fn json_has_the_fields_of_the_contract() {
        let finding = catalogue::KAFKA_BROKERS.fail("no\n  answer").about("b:9092").mend("wait");
        let json = serde_json::to_value(&finding).unwrap();
        assert_eq!(json["id"], "kafka.brokers");
        assert_eq!((&json["subject"], &json["state"]), (&"b:9092".into(), &"fail".into()));
        assert_eq!((&json["summary"], &json["mend"]), (&"no; answer".into(), &"wait".into()));
        assert!(!json["meaning"].as_str().unwrap().is_empty());
        let fine = serde_json::to_value(catalogue::KAFKA_BROKERS.ok("fine")).unwrap();
        assert_eq!(fine["mend"], "");
        assert!(fine.get("subject").is_none());
        let seen: Seen = serde_json::from_value(json).unwrap();
        assert_eq!(seen.subject.as_deref(), Some("b:9092"));
    }

    #[test]
    fn of_the_agents_view_what_differs_is_left() {
        let seen = |finding: &Finding| serde_json::from_value::<Seen>(serde_json::to_value(finding).unwrap()).unwrap();
        let ours = [catalogue::DOCKER_SOCKET.ok("a"), catalogue::KAFKA_GROUP.skipped("b")];
        let agents = [
            catalogue::DOCKER_SOCKET.ok("the same"),
            catalogue::DOCKER_SOCKET.ok("another, and well").about("/s"),
            catalogue::KAFKA_GROUP.ok("seen by it alone"),
            catalogue::KAFKA_BROKERS.fail("another").about("b:1"),
            catalogue::STATE_LOCK.skipped("e"),
        ];
        let left = differing(&ours, agents.iter().map(seen).collect());
        assert_eq!(left.iter().map(|seen| seen.id.as_str()).collect::<Vec<_>>(), ["kafka.group", "kafka.brokers"]);
    }

    #[test]
    fn text_has_one_line_for_what_is_well_and_three_for_what_is_not() {
        let findings = [catalogue::STATE_LOCK.ok("free"), catalogue::STATE_DISK.warn("little"), catalogue::DOCKER_SOCKET.ok("there")];
        let text = text(findings.iter().map(Line::from));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], ["state", "  ok       state.lock: free"]);
        assert_eq!(lines[2], "  warn     state.disk: little");
        assert!(lines[3].trim_start().starts_with("means: ") && lines[4].trim_start().starts_with("mend:  "));
        assert_eq!(lines[5..], ["", "docker", "  ok       docker.socket: there"]);
    }
}

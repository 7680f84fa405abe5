//! What a line looks like: text for people, or one JSON object; and in front of it, for the journal, how grave it is. Pure.

use crate::domain::Timestamp;
use crate::threads::Errand;
use log::Level;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What a line says.
#[derive(Debug, Clone)]
pub(super) struct Line<'a> {
    pub(super) at: Timestamp,
    pub(super) level: Level,
    pub(super) target: &'a str,
    pub(super) thread: &'a str,
    pub(super) errand: &'a Errand,
    pub(super) message: &'a str,
    /// How many lines this one stands for, where it stands for others.
    pub(super) repeated: Option<u64>,
}

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) shape: Shape,
    pub(super) reader: Reader,
}

/// What the reader likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Json,
}

/// Who reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// Systemd's journal, which takes the priority from the front of a line (sd-daemon(3)).
    Journal,
    /// Anybody else.
    Plain,
}

/// The longest message that is written whole, in bytes: with the rest of its line it stays below the 48 KiB at which journald
/// cuts a line in two (`LineMax=`), and no JSON is left.
const MAX_MESSAGE_BYTES: usize = 16 << 10;

#[derive(Serialize)]
struct Object<'a> {
    timestamp: Timestamp,
    level: &'a str,
    target: &'a str,
    thread: &'a str,
    #[serde(flatten)]
    errand: BTreeMap<&'a str, &'a str>,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeated: Option<u64>,
}

impl Line<'_> {
    /// The line with its end.
    pub(super) fn written(&self, style: Style) -> String {
        let mut line = match style.reader {
            Reader::Journal => priority(self.level).to_owned(),
            Reader::Plain => String::new(),
        };
        let message = bounded(self.message);
        match style.shape {
            Shape::Text => self.text(&message, &mut line),
            Shape::Json => line.push_str(&self.json(&message)),
        }
        line.push('\n');
        line
    }

    fn json(&self, message: &str) -> String {
        let errand = self.errand.fields().iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (level, target, thread) = (self.level.as_str(), self.target, self.thread);
        let object = Object { timestamp: self.at, level, target, thread, errand, message, repeated: self.repeated };
        // A time that RFC 3339 cannot say: the words matter more.
        serde_json::to_string(&object).unwrap_or_else(|_| serde_json::json!({"level": level, "message": message}).to_string())
    }

    /// One line, whatever the message holds: what came from outside cannot fake a second one.
    fn text(&self, message: &str, line: &mut String) {
        // Writing into a String cannot fail.
        let _ok = write!(line, "{} {:5} [{}] {}: ", self.at, self.level, self.thread, self.target);
        escape(message, line);
        for (place, (name, value)) in self.errand.fields().iter().enumerate() {
            line.push_str(if place == 0 { "  " } else { " " });
            let _ok = write!(line, "{name}=");
            escape(value, line);
        }
    }
}

fn escape(text: &str, line: &mut String) {
    for c in text.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
}

fn bounded(message: &str) -> std::borrow::Cow<'_, str> {
    if message.len() <= MAX_MESSAGE_BYTES {
        return message.into();
    }
    let mut end = MAX_MESSAGE_BYTES;
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}… ({} bytes more are left out)", &message[..end], message.len() - end).into()
}

/// The priority of syslog (sd-daemon(3)): `err`, `warning`, `info`, `debug`.
fn priority(level: Level) -> &'static str {
    match level {
        Level::Error => "<3>",
        Level::Warn => "<4>",
        Level::Info => "<6>",
        Level::Debug | Level::Trace => "<7>",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const TEXT: Style = Style { shape: Shape::Text, reader: Reader::Plain };
    const JSON: Style = Style { shape: Shape::Json, reader: Reader::Plain };

    fn line<'a>(message: &'a str, errand: &'a Errand) -> Line<'a> {
        let at = Timestamp::from_millis(0);
        Line { at, level: Level::Warn, target: "axion_agent::kafka", thread: "kafka-producer", errand, message, repeated: None }
    }

    fn errand() -> Errand {
        Errand::of(vec![("command_id", "c".into()), ("stack", "shop".into()), ("traceparent", "00-a\nb".into())])
    }

    #[test]
    fn a_json_line_is_one_object() {
        let nothing = Errand::default();
        let text = line("broker says \"no\"\nand more", &nothing).written(JSON);
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            json!({
                "timestamp": "1970-01-01T00:00:00Z",
                "level": "WARN",
                "target": "axion_agent::kafka",
                "thread": "kafka-producer",
                "message": "broker says \"no\"\nand more",
            })
        );
        assert_eq!(text.lines().count(), 1);
        let errand = errand();
        let object: Value = serde_json::from_str(&Line { repeated: Some(41), ..line("x", &errand) }.written(JSON)).unwrap();
        assert_eq!((&object["command_id"], &object["stack"], &object["repeated"]), (&json!("c"), &json!("shop"), &json!(41)));
        assert_eq!(object["traceparent"], "00-a\nb");
    }

    #[test]
    fn a_text_line_is_one_line() {
        let nothing = Errand::default();
        let text = line("first\nsecond\u{1b}[31m", &nothing).written(TEXT);
        assert_eq!(text, "1970-01-01T00:00:00Z WARN  [kafka-producer] axion_agent::kafka: first\\nsecond\\u{1b}[31m\n");
        let text = line("x", &errand()).written(TEXT);
        assert!(text.ends_with(": x  command_id=c stack=shop traceparent=00-a\\nb\n"), "{text}");
    }

    #[test]
    fn the_journal_hears_how_grave_a_line_is() {
        let nothing = Errand::default();
        for (level, priority) in
            [(Level::Error, "<3>"), (Level::Warn, "<4>"), (Level::Info, "<6>"), (Level::Debug, "<7>"), (Level::Trace, "<7>")]
        {
            for shape in [Shape::Text, Shape::Json] {
                let line = Line { level, ..line("x", &nothing) };
                let plain = line.written(Style { shape, reader: Reader::Plain });
                assert_eq!(line.written(Style { shape, reader: Reader::Journal }), format!("{priority}{plain}"));
            }
        }
    }

    #[test]
    fn a_message_without_end_is_cut_where_a_character_ends() {
        let (message, nothing) = ("ä".repeat(20_000), Errand::default());
        let text = line(&format!("x{message}"), &nothing).written(JSON);
        assert!(text.len() < 20_000, "{}", text.len());
        let object: Value = serde_json::from_str(&text).unwrap();
        assert!(object["message"].as_str().unwrap().ends_with("ä… (23618 bytes more are left out)"), "{text}");
    }
}

//! Writes the Prometheus text format, version 0.0.4: HELP and TYPE once for each family, then its samples.

use super::family::Family;
use super::value::Value;

/// The page so far.
#[derive(Default)]
pub(super) struct Page {
    text: String,
    family: Option<&'static Family>,
    begun: bool,
}

impl Page {
    /// One in the room of an old one.
    pub(super) fn upon(mut old: String) -> Self {
        old.clear();
        Self { text: old, family: None, begun: false }
    }

    /// What follows is of this family. It has no line before it has a number.
    pub(super) fn family(&mut self, family: &'static Family) {
        (self.family, self.begun) = (Some(family), false);
    }

    /// A number of the family.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Into<Value>) {
        self.name();
        write_labels(&mut self.text, labels.iter().copied());
        self.value(value.into());
    }

    /// A number of the family whose labels were written before, by [`written`].
    pub(super) fn sample_of(&mut self, labels: &str, value: impl Into<Value>) {
        self.name();
        self.text.push_str(labels);
        self.value(value.into());
    }

    /// The text.
    pub(super) fn finish(self) -> String {
        self.text
    }

    fn name(&mut self) {
        let Some(family) = self.family else { return };
        if !self.begun {
            self.begun = true;
            let parts = ["# HELP ", family.name, " ", family.help, "\n# TYPE ", family.name, " ", family.kind.name(), "\n"];
            parts.into_iter().for_each(|part| self.text.push_str(part));
        }
        self.text.push_str(family.name);
    }

    fn value(&mut self, value: Value) {
        self.text.push(' ');
        value.write(&mut self.text);
        self.text.push('\n');
    }
}

/// Labels as a page has them, for a series that is written again and again.
pub(super) fn written<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    write_labels(&mut text, labels);
    text
}

fn write_labels<'a>(text: &mut String, labels: impl IntoIterator<Item = (&'a str, &'a str)>) {
    let mut next = '{';
    for (name, value) in labels {
        text.push(next);
        text.push_str(name);
        text.push_str("=\"");
        escape(text, value);
        text.push('"');
        next = ',';
    }
    if next == ',' {
        text.push('}');
    }
}

fn escape(text: &mut String, value: &str) {
    if !value.bytes().any(|byte| matches!(byte, b'\\' | b'"' | b'\n')) {
        text.push_str(value);
        return;
    }
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::family::{CONTAINER_CPU, OPEN, PHASE};
    use super::*;

    #[test]
    fn label_values_are_escaped_and_a_family_without_a_number_has_no_line() {
        let mut page = Page::default();
        page.family(&PHASE);
        page.family(&CONTAINER_CPU);
        page.sample(&[("a", "1"), ("b", "say \"hi\"\\\n")], Value::Float(2.5));
        page.sample_of(&written([("a", "2")]), Value::Nanos(5));
        page.sample_of(&written([]), 3_u64);
        page.family(&OPEN);
        page.sample(&[], 7_u64);
        let text = "# HELP axion_container_cpu_seconds_total Processor time.\n# TYPE axion_container_cpu_seconds_total counter\n\
            axion_container_cpu_seconds_total{a=\"1\",b=\"say \\\"hi\\\"\\\\\\n\"} 2.5\n\
            axion_container_cpu_seconds_total{a=\"2\"} 0.000000005\naxion_container_cpu_seconds_total 3\n\
            # HELP axion_agent_commands_open Commands admitted and not finished.\n# TYPE axion_agent_commands_open gauge\n\
            axion_agent_commands_open 7\n";
        assert_eq!(page.finish(), text);
    }
}

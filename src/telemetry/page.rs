//! Writes the Prometheus text format, version 0.0.4: HELP and TYPE once for each family, then its samples.

use std::fmt::{Display, Write as _};

/// How the numbers of a family behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// They only rise.
    Counter,
    /// They rise and fall.
    Gauge,
}

/// The page so far.
#[derive(Default)]
pub(super) struct Page {
    text: String,
    family: &'static str,
}

impl Page {
    pub(super) fn counter(&mut self, name: &'static str, help: &str) {
        self.family(Kind::Counter, name, help);
    }

    pub(super) fn gauge(&mut self, name: &'static str, help: &str) {
        self.family(Kind::Gauge, name, help);
    }

    /// Begins a family.
    pub(super) fn family(&mut self, kind: Kind, name: &'static str, help: &str) {
        self.family = name;
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        // Writing into a String cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {}\n# TYPE {name} {kind}", help.replace('\\', "\\\\").replace('\n', "\\n"));
    }

    /// A number of the family that was begun last.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(self.family);
        for (n, (name, text)) in labels.iter().enumerate() {
            let _ = write!(self.text, "{}{name}=\"{}\"", if n == 0 { '{' } else { ',' }, escaped(text));
        }
        let _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    /// The text.
    pub(super) fn finish(self) -> String {
        self.text
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_escaped() {
        let mut page = Page::default();
        page.gauge("x", "An\nexample.");
        page.sample(&[("a", "1"), ("b", "say \"hi\"\\\n")], 2.5);
        page.sample(&[], 3);
        assert_eq!(page.finish(), "# HELP x An\\nexample.\n# TYPE x gauge\nx{a=\"1\",b=\"say \\\"hi\\\"\\\\\\n\"} 2.5\nx 3\n");
    }
}

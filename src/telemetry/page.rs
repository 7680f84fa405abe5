//! Writes the Prometheus text format, version 0.0.4: HELP and TYPE once for each family, then its samples.

use std::fmt::{Display, Write as _};

/// The page so far.
#[derive(Default)]
pub(super) struct Page {
    text: String,
    family: &'static str,
}

impl Page {
    /// Begins a family whose numbers only rise.
    pub(super) fn counter(&mut self, name: &'static str, help: &str) {
        self.family(name, help, "counter");
    }

    /// Begins a family whose numbers rise and fall.
    pub(super) fn gauge(&mut self, name: &'static str, help: &str) {
        self.family(name, help, "gauge");
    }

    fn family(&mut self, name: &'static str, help: &str, kind: &str) {
        self.family = name;
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

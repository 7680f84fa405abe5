//! A page of metrics as numbers.

use std::collections::BTreeMap;

/// Series and their values, labels in the order of the page.
#[derive(Debug, Clone)]
pub struct Page(BTreeMap<String, f64>);

impl Page {
    pub fn of(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let split = lines.map(|line| line.rsplit_once(' ').expect("a series and its value"));
        Self(split.map(|(series, value)| (series.to_owned(), value.parse().expect("a number"))).collect())
    }

    /// The one series of this family that has this label among its own.
    pub fn value(&self, family: &str, label: &str) -> Result<f64, String> {
        let of_family = |series: &&String| series.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'));
        let mut found = self.0.iter().filter(|(series, _)| of_family(series) && series.contains(label));
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Ok(*value),
            (None, _) => Err(format!("no {family} with {label}")),
            _ => Err(format!("several {family} with {label}")),
        }
    }

    pub fn series(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }
}

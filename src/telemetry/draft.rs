//! What one look finds, as it is found: lines of the page, and the numbers that are reported.

use super::family::{Family, Reach};
use super::page::{Page, written};
use super::value::Value;
use crate::domain::{Labels, Sample};

/// What tells the series of one thing from those of others, made once for all its families.
#[derive(Debug, Clone)]
pub(super) struct Title {
    labels: Labels,
    text: String,
}

impl Title {
    pub(super) fn new(labels: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let labels: Labels = labels.into_iter().collect();
        let text = written(labels.iter().map(|(name, value)| (*name, value.as_str())));
        Self { labels, text }
    }

    /// The same with one more label, for the page alone.
    pub(super) fn with(&self, name: &str, value: &str) -> String {
        written(self.labels.iter().map(|(name, value)| (*name, value.as_str())).chain([(name, value)]))
    }
}

/// So far.
pub(super) struct Draft {
    page: Page,
    family: Option<&'static Family>,
    samples: Vec<Sample>,
}

impl Draft {
    /// Written over an old page, with room for so many samples.
    pub(super) fn upon(old: String, samples: usize) -> Self {
        Self { page: Page::upon(old), family: None, samples: Vec::with_capacity(samples) }
    }

    /// What follows is of this family.
    pub(super) fn family(&mut self, family: &'static Family) {
        self.family = Some(family);
        self.page.family(family);
    }

    /// A number of the family; nothing where it could not be read.
    pub(super) fn number(&mut self, labels: &[(&'static str, &str)], value: Option<impl Into<Value>>) {
        let Some(value) = value.map(Into::into) else { return };
        self.page.sample(labels, value);
        if let Some(family) = self.reported() {
            self.samples.push(Sample::of(family.name, labels, value.as_f64()));
        }
    }

    /// The same, of a thing with a title.
    pub(super) fn number_of(&mut self, title: &Title, value: Option<impl Into<Value>>) {
        let Some(value) = value.map(Into::into) else { return };
        self.page.sample_of(&title.text, value);
        if let Some(family) = self.reported() {
            self.samples.push(Sample { name: family.name, labels: title.labels.clone(), value: value.as_f64() });
        }
    }

    /// A line of the page, with labels that were written before.
    pub(super) fn line(&mut self, labels: &str, value: impl Into<Value>) {
        self.page.sample_of(labels, value);
    }

    /// The page, and what is reported.
    pub(super) fn finish(self) -> (String, Vec<Sample>) {
        (self.page.finish(), self.samples)
    }

    fn reported(&self) -> Option<&'static Family> {
        self.family.filter(|family| family.reach == Reach::Reported)
    }
}

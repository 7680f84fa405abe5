//! What the agent measures, as `/metrics` and reports name it.

use std::sync::Arc;

/// What tells a series from the others of its name.
pub type Labels = Arc<[(&'static str, String)]>;

/// One number.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// As on `/metrics`, with its unit.
    pub name: &'static str,
    /// What tells it from others of that name.
    pub labels: Labels,
    /// How much.
    pub value: f64,
}

impl Sample {
    /// With labels that are known beforehand.
    #[must_use]
    pub fn of(name: &'static str, labels: &[(&'static str, &str)], value: f64) -> Self {
        Self { name, labels: labels.iter().map(|&(label, text)| (label, text.to_owned())).collect(), value }
    }
}

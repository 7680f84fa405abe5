//! What the agent measures, as `/metrics` and reports name it.

/// One number.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// As on `/metrics`, with its unit.
    pub name: &'static str,
    /// What tells it from others of that name.
    pub labels: &'static [(&'static str, &'static str)],
    /// How much.
    pub value: f64,
}

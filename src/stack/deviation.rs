//! Where this file comes to something else here than with `docker stack deploy` (docs/compose.md, "Where we deviate on
//! purpose"): a stack that the CLI deployed is changed there, and the plan says why. Pure.

use super::Location;
use std::fmt;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deviation {
    /// The service that it is about, by its key.
    pub service: String,
    /// The value.
    pub at: Location,
    /// Which.
    pub rule: Rule,
}

/// What the CLI does that is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// D1.
    Variables,
    /// D1 too.
    Dotenv,
    /// D2.
    Merging,
    /// D3.
    Forgotten,
    /// D4.
    Order,
    /// D5, of which this is all that the CLI takes too.
    Modes,
    /// D8.
    Dates,
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, what) = match self.rule {
            Rule::Variables => ("D1", "fills variables in otherwise here (docker/cli#7313)"),
            Rule::Dotenv => ("D1", "does not read this file"),
            Rule::Merging => ("D2", "loses something of what is merged here (docker/cli#6223)"),
            Rule::Forgotten => ("D3", "forgets this"),
            Rule::Order => ("D4", "sends these in an order that is not the file's"),
            Rule::Modes => ("D5", "takes this for a decimal number"),
            Rule::Dates => ("D8", "writes this out as a point in time: quote it to have the same in both"),
        };
        write!(f, "{number}: {}: docker stack deploy {what}", self.at)
    }
}

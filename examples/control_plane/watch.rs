//! `control_plane watch`: prints an agent's events until it is interrupted.

use crate::arguments::{From, Watch};
use crate::events::{Start, TopicReader};
use crate::{Failure, show};
use std::process::ExitCode;
use std::time::Duration;

/// One wait in librdkafka; an interrupt ends the process in the middle of it.
const WAIT: Duration = Duration::from_secs(3600);

pub fn run(options: &Watch) -> Result<ExitCode, Failure> {
    let start = match options.from {
        From::Beginning => Start::Beginning,
        From::Now => Start::End,
    };
    let reader = TopicReader::open(&options.topics.brokers, &options.topics.events, start)?;
    loop {
        if let Some(record) = reader.next(WAIT)? {
            show::event(&record, options.format)?;
        }
    }
}

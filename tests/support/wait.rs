//! Waiting for a condition, with an end and the state at the end.

use std::time::{Duration, Instant};

/// Between two looks at a condition that nobody announces.
const LOOK: Duration = Duration::from_millis(50);

/// Looks until `condition` gives a value.
///
/// # Panics
/// With what was waited for and what `condition` said last, when `within` is over.
pub fn until<T>(what: &str, within: Duration, mut condition: impl FnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match condition() {
            Ok(value) => return value,
            Err(state) if start.elapsed() > within => panic!("not within {} s: {what}; the last look: {state}", within.as_secs()),
            Err(_) => std::thread::park_timeout(LOOK),
        }
    }
}

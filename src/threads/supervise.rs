//! Runs the body of an optional worker again when it fails, within a budget.

use super::{Backoff, RestartBudget, RestartDecision, Stop, ThreadName, Waited, at_rest};
use std::fmt::Display;
use std::time::{Duration, Instant};

/// An optional worker may fail this often …
const FAILURES: usize = 10;
/// … within this time; then its thread ends and the coordinator hears of it.
const WINDOW: Duration = Duration::from_secs(600);
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Calls `body` until it returns `Ok`, the stop comes or the budget is used up.
///
/// # Errors
/// The last error of the body, once the budget is used up.
pub fn supervise<E: Display>(name: ThreadName, stop: &Stop, mut body: impl FnMut() -> Result<(), E>) -> Result<(), E> {
    let started = Instant::now();
    let mut budget = RestartBudget::new(FAILURES, WINDOW);
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    loop {
        let Err(error) = body() else { return Ok(()) };
        if budget.failed(started.elapsed()) == RestartDecision::GiveUp {
            return Err(error);
        }
        let wait = backoff.next();
        log::warn!("{name} failed and starts again in {:.1} s: {error}", wait.as_secs_f64());
        at_rest();
        if stop.wait(wait) == Waited::Stopped {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threads::stop_pair;

    #[test]
    fn a_stop_ends_the_wait_for_the_next_try() {
        let (source, stop) = stop_pair();
        let mut source = Some(source);
        let mut calls = 0;
        let result = supervise(ThreadName::new("test"), &stop, || {
            calls += 1;
            source = None;
            Err::<(), _>("no luck")
        });
        assert_eq!((result, calls), (Ok(()), 1));
    }
}

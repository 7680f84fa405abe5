//! The stop signal: a channel that carries nothing. Its closing is the message.
//!
//! Whoever holds the [`StopSource`] stops the worker by dropping it. The worker puts
//! [`Stop::receiver`] first in its `select_biased!`, or waits with [`Stop::wait`] where it has
//! nothing else to wait for. There is no flag to poll.

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded, never};
use std::convert::Infallible;
use std::time::Duration;

/// The owner's half. Dropping it stops every thread that holds a [`Stop`] of the same pair.
#[derive(Debug)]
pub struct StopSource(#[allow(dead_code, reason = "held only to be dropped")] Sender<Infallible>);

/// The worker's half.
#[derive(Debug, Clone)]
pub struct Stop(Receiver<Infallible>);

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// The owner asked for the end.
    Stopped,
    /// The time is over.
    Elapsed,
}

/// A source and the signal that it closes.
#[must_use]
pub fn stop_pair() -> (StopSource, Stop) {
    let (source, signal) = bounded(0);
    (StopSource(source), Stop(signal))
}

impl Stop {
    /// One that never comes.
    #[must_use]
    pub fn never() -> Self {
        Self(never())
    }

    /// For `select_biased!`: ready once the source is gone.
    #[must_use]
    pub fn receiver(&self) -> &Receiver<Infallible> {
        &self.0
    }

    /// Waits for `span`, or for the stop if it comes first.
    #[must_use]
    pub fn wait(&self, span: Duration) -> Waited {
        match self.0.recv_timeout(span) {
            Err(RecvTimeoutError::Timeout) => Waited::Elapsed,
            Err(RecvTimeoutError::Disconnected) => Waited::Stopped,
            Ok(never) => match never {},
        }
    }

    /// Waits for the stop alone.
    pub fn wait_for_stop(&self) {
        // Nothing can be received: the wait ends when the source is gone.
        let Err(_gone) = self.0.recv();
    }

    /// Whether the stop has come.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        matches!(self.0.try_recv(), Err(TryRecvError::Disconnected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropping_the_source_ends_every_wait() {
        let (source, stop) = stop_pair();
        assert!(!stop.is_stopped());
        assert_eq!(stop.wait(Duration::ZERO), Waited::Elapsed);
        drop(source);
        assert!(stop.is_stopped());
        assert_eq!(stop.wait(Duration::from_secs(3600)), Waited::Stopped);
        stop.wait_for_stop();
    }
}

//! The next sign of life of a thread: until when it will have come back from what it does now.
//!
//! A thread that waits for work owes none. One that takes work up says by when it will show itself
//! again, and keeps its word or says a later time; one that does neither hangs. Each thread writes its own
//! sign; whoever holds its [`super::Thread`] reads it. Threads that were not made by [`super::spawn`],
//! such as the main one, have no sign, and what they say is lost.

use super::Deadline;
use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};

thread_local! {
    static OWN: RefCell<Sign> = RefCell::default();
}

/// When a thread will show itself again; nothing while it waits.
#[derive(Debug, Clone, Default)]
pub(super) struct Sign(Arc<Mutex<Option<Deadline>>>);

impl Sign {
    fn set(&self, by: Option<Deadline>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = by;
    }

    /// Whether the thread should have shown itself.
    pub(super) fn is_late(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(Deadline::has_passed)
    }

    /// Makes it the sign of the current thread.
    pub(super) fn adopt(&self) {
        OWN.replace(self.clone());
    }
}

/// This thread works, and shows itself again by `deadline`: with this call, or with [`at_rest`].
pub fn alive_by(deadline: Deadline) {
    OWN.with_borrow(|sign| sign.set(Some(deadline)));
}

/// This thread waits for work, or for somebody who may take their time: it owes no sign.
pub fn at_rest() {
    OWN.with_borrow(|sign| sign.set(None));
}

#[cfg(test)]
mod tests {
    use super::super::{ThreadName, spawn};
    use super::*;
    use crossbeam_channel::bounded;
    use std::time::Duration;

    #[test]
    fn only_a_thread_that_broke_its_word_is_late() {
        let (steps, step) = bounded::<()>(0);
        let (exits, reports) = bounded(1);
        let (done, did) = bounded(0);
        let thread = spawn(ThreadName::new("test"), exits, move || {
            for sign in [Some(Duration::from_secs(3600)), Some(Duration::ZERO), None, Some(Duration::ZERO)] {
                sign.map_or_else(at_rest, |span| alive_by(Deadline::after(span)));
                done.send(()).unwrap();
                step.recv().unwrap();
            }
            Ok::<(), std::convert::Infallible>(())
        })
        .unwrap();
        assert!(!thread.is_late(), "it has said nothing yet");
        for late in [false, true, false, true] {
            did.recv().unwrap();
            assert_eq!(thread.is_late(), late);
            steps.send(()).unwrap();
        }
        reports.recv().unwrap();
        assert!(!thread.is_late(), "a thread that has ended owes nothing: its exit report says all");
    }
}

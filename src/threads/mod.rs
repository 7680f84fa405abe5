//! The thread kit: the only place in the crate that spawns a thread or waits for time alone.
//!
//! It owns the shapes that every worker shares: [`spawn`] (a named thread with an exit report),
//! [`Stop`] (a channel whose closing is the message), [`Deadline`], [`Backoff`], [`supervise`] (an
//! optional worker starts again, within a budget), [`PollSet`] (one thread waits on many sockets), [`side_by_side`] (short work on several threads at once), [`alive_by`] (a thread's next sign of life), [`Errand`] (what a thread works for) and
//! [`Published`] (the newest value of something, for readers that never queue). It imports nothing of
//! the crate.

mod backoff;
mod crash;
mod deadline;
mod errand;
mod poll;
mod published;
mod restart;
mod side_by_side;
mod sign;
mod spawn;
mod stop;
mod supervise;

pub use backoff::Backoff;
pub use crash::{CrashPoint, crash_at};
pub use deadline::Deadline;
pub use errand::{Errand, OnErrand};
pub use poll::{Interest, PollSet};
pub use published::Published;
pub use restart::{RestartBudget, RestartDecision};
pub use side_by_side::side_by_side;
pub use sign::{alive_by, at_rest};
pub use spawn::{Exit, Outcome, Thread, ThreadName, spawn};
pub use stop::{Stop, StopSource, Waited, stop_pair};
pub use supervise::supervise;

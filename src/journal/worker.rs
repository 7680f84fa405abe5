//! The `journal` thread: the only writer. It takes what has gathered, commits it in one synced
//! transaction and answers. It ends when every handle is gone, or with the first error.

use super::store::Store;
use super::{JournalError, Request};
use crate::threads::{Deadline, alive_by, at_rest};
use crossbeam_channel::Receiver;
use std::sync::Arc;
use std::time::Duration;

/// How many writes share one commit at most, so that one answer never waits for an unbounded batch.
const BATCH: usize = 64;

/// A synced write takes a millisecond, on a worn card a second; a disk that takes this long hangs.
const WRITE: Duration = Duration::from_secs(60);

/// Runs until the handles are dropped.
pub(super) fn run(store: &Store, requests: &Receiver<Request>) -> Result<(), Arc<JournalError>> {
    while let Ok(first) = requests.recv() {
        alive_by(Deadline::after(WRITE));
        let requests: Vec<Request> = std::iter::once(first).chain(requests.try_iter().take(BATCH - 1)).collect();
        let (answers, writes): (Vec<_>, Vec<Vec<_>>) = requests.into_iter().map(|request| (request.answer, request.writes)).unzip();
        match store.commit(writes.into_iter().flatten()) {
            Ok(()) => {
                for answer in answers {
                    // A caller that stopped waiting needs no answer.
                    drop(answer.send(Ok(())));
                }
            }
            Err(error) => {
                let error = Arc::new(error);
                for answer in answers {
                    drop(answer.send(Err(Arc::clone(&error))));
                }
                return Err(error);
            }
        }
        at_rest();
    }
    Ok(())
}

//! Short work on several threads at once, for a caller that waits for all of it.

use super::{Errand, ThreadName};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, scope};

/// Does `work` with each number below `count`, on this thread and at most one more for each of `names`; the results, in
/// their order. A system that gives no further thread only makes it slower.
///
/// The other threads work for the errand of this one. They owe no sign of life: the caller answers for them, so each piece of work needs an end of its own.
pub fn side_by_side<T: Send>(names: &[ThreadName], count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::with_capacity(count));
    let take_turns = || {
        while let Some(number) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < count) {
            let result = work(number);
            results.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((number, result));
        }
    };
    let errand = Errand::current();
    scope(|scope| {
        for name in names.iter().take(count.saturating_sub(1)) {
            let help = || {
                let _errand = errand.clone().begin();
                take_turns();
            };
            if let Err(error) = Builder::new().name(name.as_str().to_owned()).spawn_scoped(scope, help) {
                log::debug!("no thread {name}: {error}");
            }
        }
        take_turns();
    });
    let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_unstable_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    const NAMES: &[ThreadName] = &[ThreadName::new("test-1"), ThreadName::new("test-2")];

    #[test]
    fn everything_is_done_once_and_the_results_keep_their_order() {
        for count in [0, 1, 2, 100] {
            let expected: Vec<usize> = (0..count).map(|number| number * 2).collect();
            assert_eq!(side_by_side(NAMES, count, |number| number * 2), expected);
        }
        assert_eq!(side_by_side(&[], 3, |number| number), [0, 1, 2]);
    }

    #[test]
    fn it_is_done_at_once() {
        // Each waits for the two others.
        let all = Barrier::new(3);
        side_by_side(NAMES, 3, |_| all.wait().is_leader());
    }
}

//! How much memory a piece of work holds at most, and how long it takes: an allocator that counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Counts what the thread that asks for it holds.
struct Counting;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static MOST: Cell<usize> = const { Cell::new(0) };
}

fn count(more: usize, less: usize) {
    // While a thread ends nothing is counted.
    let _ended = HELD.try_with(|held| {
        held.set((held.get() + more).saturating_sub(less));
        MOST.with(|most| most.set(most.get().max(held.get())));
    });
}

// SAFETY: every call goes to the system's allocator as it came; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What the work came to, what it took of time, and of memory in bytes.
pub fn measured<T>(work: impl FnOnce() -> T) -> (T, Duration, usize) {
    let (before, start) = (HELD.get(), Instant::now());
    MOST.set(before);
    let result = work();
    (result, start.elapsed(), MOST.get() - before)
}

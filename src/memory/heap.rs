//! The heap of the static binary: dlmalloc, behind a lock.
//!
//! Zig's C library rounds each request up to a power of two and keeps a heap for each processor: after a few deploys twice
//! as much memory is resident. dlmalloc is what Rust's own library has on systems without a heap. Its global form takes a
//! mutex of the C library, two calls for each request; this lock is one atomic operation.

use dlmalloc::Dlmalloc;
use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::yield_now;

/// How often a thread looks at a lock that another has before it lets others run: a request takes some ten nanoseconds.
const LOOKS: usize = 100;

/// So much is asked of the system at once, in bytes; of that only what is used is resident.
const GRANULARITY: usize = 256 << 10;

#[global_allocator]
static HEAP: Heap = Heap { is_taken: AtomicBool::new(false), inner: UnsafeCell::new(growing()) };

const fn growing() -> Dlmalloc {
    let mut heap = Dlmalloc::new();
    // It refuses what is no power of two.
    assert!(heap.set_granularity(GRANULARITY));
    heap
}

struct Heap {
    is_taken: AtomicBool,
    inner: UnsafeCell<Dlmalloc>,
}

// SAFETY: whoever uses what is inside has the lock.
unsafe impl Sync for Heap {}

impl Heap {
    fn locked<T>(&self, work: impl FnOnce(&mut Dlmalloc) -> T) -> T {
        while self.is_taken.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            self.wait();
        }
        // SAFETY: nobody else has the lock, and neither does this thread a second time: dlmalloc calls nothing but the system.
        let done = work(unsafe { &mut *self.inner.get() });
        self.is_taken.store(false, Ordering::Release);
        done
    }

    #[cold]
    fn wait(&self) {
        for _ in 0..LOOKS {
            if !self.is_taken.load(Ordering::Relaxed) {
                return;
            }
            spin_loop();
        }
        yield_now();
    }
}

// SAFETY: dlmalloc keeps the trait's contract, and its methods ask for the same of the caller.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: see above.
        self.locked(|heap| unsafe { heap.malloc(layout.size(), layout.align()) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: see above.
        self.locked(|heap| unsafe { heap.free(block, layout.size(), layout.align()) });
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: see above.
        self.locked(|heap| unsafe { heap.calloc(layout.size(), layout.align()) })
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: see above.
        self.locked(|heap| unsafe { heap.realloc(block, layout.size(), layout.align(), size) })
    }
}

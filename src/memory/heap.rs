//! The heap of the static binary: dlmalloc, behind a lock.
//!
//! Zig's C library rounds each request up to a power of two and keeps a heap for each processor: after a few deploys twice
//! as much memory is resident. dlmalloc is what Rust's own library has on systems without a heap. Its global form takes a
//! mutex of the C library, two calls for each request; this lock is one atomic operation.
//!
//! Its memory is in large pages, where the kernel has them: what a command reads and makes is spread over a megabyte, and pages of 4 KiB
//! are asked for one by one, and each is looked for anew after the engine had the processor. That is a tenth of a deploy's
//! processor time (docs/deploy.md).

use dlmalloc::{Allocator, Dlmalloc};
use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::yield_now;

/// How often a thread looks at a lock that another has before it lets others run: a request takes some ten nanoseconds.
const LOOKS: usize = 100;

/// A large page of x86_64, and of aarch64 with pages of 4 KiB. So much is asked of the system at once.
const LARGE_PAGE: usize = 2 << 20;

#[global_allocator]
static HEAP: Heap = Heap { is_taken: AtomicBool::new(false), inner: UnsafeCell::new(growing()) };

const fn growing() -> Dlmalloc<Pages> {
    let mut heap = Dlmalloc::new_with_allocator(Pages);
    // It refuses what is no power of two.
    assert!(heap.set_granularity(LARGE_PAGE));
    heap
}

struct Heap {
    is_taken: AtomicBool,
    inner: UnsafeCell<Dlmalloc<Pages>>,
}

// SAFETY: whoever uses what is inside has the lock.
unsafe impl Sync for Heap {}

impl Heap {
    fn locked<T>(&self, work: impl FnOnce(&mut Dlmalloc<Pages>) -> T) -> T {
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

/// Memory of the system.
struct Pages;

impl Pages {
    /// So many bytes, at any place.
    fn map(size: usize) -> Option<*mut u8> {
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: the kernel chooses a place where nothing is.
        let begin = unsafe { libc::mmap(ptr::null_mut(), size, access, kind, -1, 0) };
        (begin != libc::MAP_FAILED).then_some(begin.cast())
    }

    /// Whether it is gone; a size of 0 is nothing to give back.
    ///
    /// # Safety
    /// Whoever calls has mapped it, and uses it no more.
    unsafe fn unmap(begin: *mut u8, size: usize) -> bool {
        // SAFETY: the caller says so.
        size == 0 || unsafe { libc::munmap(begin.cast(), size) } == 0
    }

    /// Whole large pages, at a place where they can be such.
    fn map_large(size: usize) -> Option<*mut u8> {
        let begin = Self::map(size.checked_add(LARGE_PAGE)?)?;
        let before = begin.align_offset(LARGE_PAGE);
        let first = begin.wrapping_add(before);
        // SAFETY: both are ends of what was just mapped, and nobody knows of them.
        unsafe {
            Self::unmap(begin, before);
            Self::unmap(first.wrapping_add(size), LARGE_PAGE - before);
        }
        // SAFETY: it is mapped, and holds nothing yet. An error means that the kernel has none: then small ones will do.
        unsafe { libc::madvise(first.cast(), size, libc::MADV_HUGEPAGE) };
        Some(first)
    }
}

// SAFETY: what is handed out is mapped, zero, and belongs to nobody else.
unsafe impl Allocator for Pages {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        // What is asked for is a multiple of the granularity. Where addresses are short, it lies where it fits.
        let begin = Self::map_large(size).or_else(|| Self::map(size));
        begin.map_or((ptr::null_mut(), 0, 0), |begin| (begin, size, 0))
    }

    fn remap(&self, _begin: *mut u8, _size: usize, _new_size: usize, _can_move: bool) -> *mut u8 {
        ptr::null_mut()
    }

    fn free_part(&self, begin: *mut u8, size: usize, new_size: usize) -> bool {
        // SAFETY: dlmalloc gives back its own end of it.
        unsafe { Self::unmap(begin.wrapping_add(new_size), size - new_size) }
    }

    fn free(&self, begin: *mut u8, size: usize) -> bool {
        // SAFETY: dlmalloc gives back what it was given.
        unsafe { Self::unmap(begin, size) }
    }

    fn can_release_part(&self, _flags: u32) -> bool {
        true
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        4096
    }
}

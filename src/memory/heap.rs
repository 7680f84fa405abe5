//! The heap of the static binary: dlmalloc, behind a lock, and before it a shelf for each of our threads.
//!
//! Zig's C library rounds each request up to a power of two and keeps a heap for each processor: after a few deploys twice
//! as much memory is resident. dlmalloc is what Rust's own library has on systems without a heap. Its global form takes a
//! mutex of the C library, two calls for each request; this lock is one atomic operation.
//!
//! Most blocks are small, and are given back by the thread that took them, soon. The shelf keeps some of these for its thread's next
//! requests: neither lock nor search. Threads that are not ours have none, and one that ends gives back what it has.

use dlmalloc::Dlmalloc;
use std::alloc::{GlobalAlloc, Layout};
use std::cell::{Cell, UnsafeCell};
use std::hint::spin_loop;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::yield_now;

/// How often a thread looks at a lock that another has before it lets others run: a request takes some ten nanoseconds.
const LOOKS: usize = 100;

/// So much is asked of the system at once, in bytes; of that only what is used is resident.
const GRANULARITY: usize = 256 << 10;

/// Each kind of block on a shelf is so much larger than the one before, in bytes: dlmalloc's own step. It is also the alignment of all.
const STEP: usize = 16;
/// The kinds: up to 680 bytes, so that a node of a map of JSON is among them.
const KINDS: usize = 42;
/// What a shelf holds at most, in bytes: about what a call of the engine takes and gives back. A dozen threads have one.
const SHELF: usize = 32 << 10;

#[cfg(target_env = "musl")]
#[global_allocator]
pub(super) static HEAP: Heap = Heap::new();

thread_local! {
    // Neither has a destructor: nothing is asked for when it is first used.
    static BLOCKS: [Cell<*mut Block>; KINDS] = const { [const { Cell::new(ptr::null_mut()) }; KINDS] };
    /// How many bytes there may still be put on the shelf; none where the thread has no shelf.
    static ROOM: Cell<usize> = const { Cell::new(0) };
}

/// A free block on a shelf: the next one of its kind.
struct Block {
    next: *mut Block,
}

/// Kind of a block: all of one are as large. The kinds are as large as dlmalloc's blocks are anyway.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Kind(usize);

impl Kind {
    /// Of a request, if it is small.
    fn of(layout: Layout) -> Option<Self> {
        let kind = layout.size().saturating_sub(STEP / 2).div_ceil(STEP).max(1);
        (kind < KINDS && layout.align() <= STEP).then_some(Self(kind))
    }

    fn bytes(self) -> usize {
        self.0 * STEP + STEP / 2
    }
}

pub(super) struct Heap {
    is_taken: AtomicBool,
    inner: UnsafeCell<Dlmalloc>,
}

// SAFETY: whoever uses what is inside has the lock.
unsafe impl Sync for Heap {}

impl Heap {
    const fn new() -> Self {
        let mut inner = Dlmalloc::new();
        // It refuses what is no power of two.
        assert!(inner.set_granularity(GRANULARITY));
        Self { is_taken: AtomicBool::new(false), inner: UnsafeCell::new(inner) }
    }

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

    /// Gives the calling thread a shelf.
    pub(super) fn open_shelf() {
        ROOM.set(SHELF);
    }

    /// Takes it away, with what is on it.
    pub(super) fn clear_shelf(&self) {
        ROOM.set(0);
        BLOCKS.with(|kinds| {
            self.locked(|heap| {
                for (number, top) in kinds.iter().enumerate() {
                    let mut block = top.replace(ptr::null_mut());
                    while !block.is_null() {
                        // SAFETY: a block on the shelf is free, and its first bytes are what was written when it was put there.
                        let next = unsafe { (*block).next };
                        // SAFETY: it is dlmalloc's, of this size, and nobody else has it.
                        unsafe { heap.free(block.cast(), Kind(number).bytes(), STEP) };
                        block = next;
                    }
                }
            });
        });
    }
}

/// Takes a block off the shelf.
fn take(kind: Kind) -> Option<*mut u8> {
    BLOCKS.with(|kinds| {
        let top = &kinds[kind.0];
        let block = top.get();
        if block.is_null() {
            return None;
        }
        // SAFETY: see `clear_shelf`.
        top.set(unsafe { (*block).next });
        ROOM.set(ROOM.get() + kind.bytes());
        Some(block.cast())
    })
}

/// Puts a block on the shelf, if there is one and it has room.
///
/// # Safety
/// It is of this kind, and nobody uses it any more.
unsafe fn put(block: *mut u8, kind: Kind) -> bool {
    let room = ROOM.get();
    if room < kind.bytes() {
        return false;
    }
    ROOM.set(room - kind.bytes());
    BLOCKS.with(|kinds| {
        let (top, block) = (&kinds[kind.0], block.cast::<Block>());
        // SAFETY: it is larger than a pointer and aligned for one, and the caller gives it away.
        unsafe { block.write(Block { next: top.get() }) };
        top.set(block);
    });
    true
}

// SAFETY: dlmalloc keeps the trait's contract, and its methods ask for the same of the caller. A small block is requested, kept, resized
// and given back with the size of its kind, which is at least the one that was asked for.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match Kind::of(layout) {
            // SAFETY: see above.
            Some(kind) => take(kind).unwrap_or_else(|| self.locked(|heap| unsafe { heap.malloc(kind.bytes(), STEP) })),
            // SAFETY: see above.
            None => self.locked(|heap| unsafe { heap.malloc(layout.size(), layout.align()) }),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match Kind::of(layout) {
            // SAFETY: see above.
            Some(kind) if unsafe { put(block, kind) } => {}
            // SAFETY: see above.
            Some(kind) => self.locked(|heap| unsafe { heap.free(block, kind.bytes(), STEP) }),
            // SAFETY: see above.
            None => self.locked(|heap| unsafe { heap.free(block, layout.size(), layout.align()) }),
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if Kind::of(layout).is_none() {
            // SAFETY: see above.
            return self.locked(|heap| unsafe { heap.calloc(layout.size(), layout.align()) });
        }
        // SAFETY: see above.
        let block = unsafe { self.alloc(layout) };
        if !block.is_null() {
            // SAFETY: it has that many bytes.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller has seen to it that the size is none that overflows.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        let (old, new) = (Kind::of(layout), Kind::of(wanted));
        if old.is_some() && old == new {
            return block;
        }
        let bytes = |kind: Option<Kind>, layout: Layout| kind.map_or(layout.size(), Kind::bytes);
        // SAFETY: see above.
        self.locked(|heap| unsafe { heap.realloc(block, bytes(old, layout), layout.align(), bytes(new, wanted)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    fn shelved() -> usize {
        let length = |top: &Cell<*mut Block>| {
            // SAFETY: see `clear_shelf`.
            std::iter::successors(Some(top.get()), |block| (!block.is_null()).then(|| unsafe { (**block).next })).count() - 1
        };
        BLOCKS.with(|kinds| kinds.iter().map(length).sum())
    }

    #[test]
    fn a_kind_has_room_for_all_that_is_of_it() {
        for size in 1..=1000 {
            let kind = Kind::of(layout(size));
            assert_eq!(kind.is_some(), size <= (KINDS - 1) * STEP + STEP / 2, "{size}");
            assert!(kind.is_none_or(|kind| kind.bytes() >= size && kind.bytes() < size.max(STEP + STEP / 2) + STEP), "{size}");
        }
        assert!(Kind::of(Layout::from_size_align(8, 64).unwrap()).is_none());
    }

    #[test]
    fn a_block_that_was_given_back_is_the_next_one_of_its_kind_while_there_is_a_shelf() {
        let heap = Heap::new();
        // SAFETY: each block is given back once, with its layout, and written to within it.
        unsafe {
            let first = heap.alloc(layout(100));
            heap.dealloc(first, layout(100));
            assert_eq!(shelved(), 0, "there is no shelf");
            Heap::open_shelf();
            let (first, second) = (heap.alloc(layout(100)), heap.alloc(layout(97)));
            first.write_bytes(1, 100);
            heap.dealloc(second, layout(97));
            heap.dealloc(first, layout(100));
            assert_eq!(shelved(), 2);
            let zeroed = heap.alloc_zeroed(layout(104));
            assert!(zeroed == first && std::slice::from_raw_parts(zeroed, 104).iter().all(|byte| *byte == 0));
            zeroed.write_bytes(7, 104);
            assert_eq!(heap.realloc(zeroed, layout(104), 98), zeroed, "it is of the same kind");
            let large = heap.realloc(zeroed, layout(98), 5000);
            let small = heap.realloc(large, layout(5000), 40);
            assert!(std::slice::from_raw_parts(small, 40).iter().all(|byte| *byte == 7));
            heap.dealloc(small, layout(40));
            let many: Vec<*mut u8> = (0..200).map(|_| heap.alloc(layout(600))).collect();
            many.iter().for_each(|block| heap.dealloc(*block, layout(600)));
            assert!((SHELF / 700..SHELF / 500).contains(&shelved()), "{}", shelved());
            heap.clear_shelf();
        }
        assert_eq!((shelved(), ROOM.get()), (0, 0));
    }

    #[test]
    fn blocks_may_be_given_back_by_another_thread() {
        static HEAP: Heap = Heap::new();
        let (give, given) = crossbeam_channel::bounded::<usize>(64);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                Heap::open_shelf();
                for number in 0..20_000_usize {
                    // SAFETY: the block has that many bytes.
                    let block = unsafe { HEAP.alloc(layout(24 + number % 600)) };
                    // SAFETY: as above.
                    unsafe { block.cast::<usize>().write(number) };
                    give.send(block.expose_provenance()).unwrap();
                }
                drop(give);
                HEAP.clear_shelf();
            });
            scope.spawn(|| {
                Heap::open_shelf();
                for (number, block) in given.iter().enumerate() {
                    let block = ptr::with_exposed_provenance_mut::<u8>(block);
                    // SAFETY: it was written before it was sent.
                    assert_eq!(unsafe { block.cast::<usize>().read() }, number);
                    // SAFETY: it is given back once, with its layout.
                    unsafe { HEAP.dealloc(block, layout(24 + number % 600)) };
                }
                HEAP.clear_shelf();
            });
        });
    }
}

//! An allocator that ends the process where more is asked for than the input can justify.
//!
//! A length that the wire claims must never be allocated: one hostile frame of ten bytes would take the whole process with
//! it. libFuzzer's own limits look at the process as a whole, and only now and then; this looks at every allocation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The system's allocator, with an eye on it. A target makes it its `#[global_allocator]`.
pub struct Allowance;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static MOST_AT_ONCE: AtomicUsize = AtomicUsize::new(usize::MAX);
static MOST_LIVE: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Lets something happen with at most this many bytes in one allocation, and this many more than before in all of them.
pub fn within<T>(at_once: usize, in_all: usize, what: impl FnOnce() -> T) -> T {
    MOST_LIVE.store(LIVE.load(Ordering::Relaxed).saturating_add(in_all), Ordering::Relaxed);
    MOST_AT_ONCE.store(at_once, Ordering::Relaxed);
    let done = what();
    MOST_AT_ONCE.store(usize::MAX, Ordering::Relaxed);
    MOST_LIVE.store(usize::MAX, Ordering::Relaxed);
    done
}

fn account(size: usize) {
    let live = LIVE.fetch_add(size, Ordering::Relaxed) + size;
    if size > MOST_AT_ONCE.load(Ordering::Relaxed) || live > MOST_LIVE.load(Ordering::Relaxed) {
        // Telling takes memory, too.
        MOST_AT_ONCE.store(usize::MAX, Ordering::Relaxed);
        MOST_LIVE.store(usize::MAX, Ordering::Relaxed);
        panic!("an allocation of {size} bytes, {live} in all, is more than this input may cause");
    }
}

// SAFETY: every call goes on to the system's allocator as it came.
unsafe impl GlobalAlloc for Allowance {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        account(layout.size());
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        account(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        account(size);
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

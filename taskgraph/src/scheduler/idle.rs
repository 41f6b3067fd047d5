//! Whether a thread of a pool is idle when it is given a job, or waits inside of another one.
//!
//! A thread that waits for rayon, in a `join` or a `par_iter`, looks for other jobs meanwhile, and runs them on top of what
//! waits. rayon does not say so. But the stack does: that of an idle thread is always as deep, and there is more on one that
//! waits.

use std::cell::Cell;
use std::hint;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Less than the least that waits: a few calls, which take a kilobyte and more in a release build. And nothing else differs.
const DIFFERENCE_MAX: usize = 256;

thread_local! {
    /// Where the stack of this thread begins, if it is one of a pool.
    static BASE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// How deep the stack of an idle thread is: the least that was ever found. The first job of a process comes to one.
static IDLE_DEPTH: AtomicUsize = AtomicUsize::new(usize::MAX);

/// This is the first that the thread does.
pub(super) fn begin() {
    BASE.set(Some(here()));
}

/// Whether a job that starts now interrupts another one.
pub(super) fn is_interrupted() -> bool {
    let Some(base) = BASE.get() else { return false };
    let depth = base.abs_diff(here());
    // Relaxed: it orders nothing. It is written by the first jobs of the process, and read by all.
    let mut idle = IDLE_DEPTH.load(Ordering::Relaxed);
    if depth < idle {
        idle = IDLE_DEPTH.fetch_min(depth, Ordering::Relaxed).min(depth);
    }
    // A memory checker has variables elsewhere.
    !cfg!(taskgraph_system_alloc) && DIFFERENCE_MAX < depth - idle
}

/// An address at the end of the stack.
#[inline(never)]
fn here() -> usize {
    let marker = 0u8;
    ptr::from_ref(hint::black_box(&marker)).addr()
}

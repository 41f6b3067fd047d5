//! Whether a thread of a pool is idle when it is given a job, or waits inside another one.
//!
//! A thread that waits for rayon, in a `join` or a `par_iter`, looks for other jobs meanwhile, and runs them on top of
//! what waits. rayon does not say so, but the stack does: that of an idle thread always has the same depth, and that of
//! one that waits is deeper.

use std::cell::Cell;
use std::hint;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Less than the least that was found on top of an idle thread's stack, 112 bytes in a release build. Idle ones do not differ.
const DIFFERENCE_MAX: usize = 32;

thread_local! {
    /// Where the stack of this thread begins, if it is one of a pool and that is known.
    static BASE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// How deep the stack of an idle thread is: the least that was ever found. The first job of a process comes to an idle one.
static IDLE_DEPTH: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Called before anything else on the thread.
pub(super) fn begin() {
    BASE.set(end_of_stack());
}

/// Whether a job that starts now interrupts another one, as far as is known.
pub(super) fn is_interrupted() -> bool {
    let (Some(base), Some(end)) = (BASE.get(), end_of_stack()) else { return false };
    let depth = base.abs_diff(end);
    // Relaxed: it orders nothing. It is written by the first jobs of the process, and read by all.
    let mut idle = IDLE_DEPTH.load(Ordering::Relaxed);
    if depth < idle {
        idle = IDLE_DEPTH.fetch_min(depth, Ordering::Relaxed).min(depth);
    }
    DIFFERENCE_MAX < depth - idle
}

/// Where the stack ends; `None` if variables live elsewhere, each time in another place, as under memory checkers.
fn end_of_stack() -> Option<usize> {
    #[inline(never)]
    fn place_of_variable() -> usize {
        let variable = 0u8;
        ptr::from_ref(hint::black_box(&variable)).addr()
    }
    let (first, second, third) = (place_of_variable(), place_of_variable(), place_of_variable());
    (first == second && second == third).then_some(first)
}

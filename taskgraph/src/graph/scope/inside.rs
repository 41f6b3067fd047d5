//! What a body may ask about its own task, while it runs.
//!
//! A variable of the thread has the scope of the step under way. Whoever takes the step writes it there, so only those
//! who ask pay for asking.

use std::cell::Cell;
use std::ptr;

use super::{Reactor, Scope, ScopePtr};

#[cfg(not(taskgraph_loom))]
thread_local! {
    /// The scope of the step under way; null between steps.
    static SCOPE: Cell<*const Scope> = const { Cell::new(ptr::null()) };
}
#[cfg(taskgraph_loom)]
loom::thread_local! {
    static SCOPE: Cell<*const Scope> = Cell::new(ptr::null());
}

/// The steps that follow on this thread are of `scope`, until the next `enter` or `leave`.
#[inline(always)]
pub(in crate::graph) fn enter(scope: ScopePtr) {
    SCOPE.with(|current| current.set(scope.as_ptr()));
}

/// No step is under way on this thread.
#[inline(always)]
pub(in crate::graph) fn leave() {
    SCOPE.with(|current| current.set(ptr::null()));
}

fn with_scope<R>(ask: impl FnOnce(&Scope) -> R) -> Option<R> {
    let scope = SCOPE.try_with(Cell::get).unwrap_or(ptr::null());
    // SAFETY: the step under way belongs to the scope, whose owner waits for the step.
    unsafe { scope.as_ref() }.map(ask)
}

/// Whether the result of the current task is no longer wanted: its run was cancelled or has failed, or its time is up. The
/// body should then return; its result is dropped.
///
/// A body cannot be stopped from outside, so a long one should check now and then. A check takes a few nanoseconds. An
/// `async` body ends at its next `.await` anyway.
///
/// False outside a body. Meaningless in closures that a body gives to rayon, which run on any thread, possibly one that is
/// in another body: check before, and pass the answer in.
///
/// ```
/// use taskgraph::{DC, Error, Runtime, is_cancelled};
///
/// let runtime = Runtime::builder().no_control().build()?;
/// # let (start, started) = std::sync::mpsc::channel();
/// let search = runtime.spawn(DC::new(
///     move || {
/// #       start.send(()).unwrap();
///         while !is_cancelled() {
///             // .. look at some more ..
///         }
///     },
///     (),
/// ));
/// # started.recv().unwrap();
/// search.cancel(); // the body ends
/// assert!(search.join().unwrap_err().is_cancelled());
/// # Ok::<(), Error>(())
/// ```
pub fn is_cancelled() -> bool {
    with_scope(Scope::is_cancelled).unwrap_or(false)
}

/// Which try a body belongs to, from 1: of its own task if that has `retries`, else of the one around it that has; 1 if
/// there is none.
///
/// A task with `retries` is tried again when it has failed, with all that it has returned, yielded or awaited. What is
/// [shared](crate::Shared) is computed once, and belongs to no try.
///
/// ```
/// use taskgraph::{attempt, delayed};
///
/// #[delayed(retries = 3, backoff = "1ms..10ms")]
/// fn flaky() -> Result<u32, String> {
///     if attempt() < 3 { Err("not yet".into()) } else { Ok(attempt()) }
/// }
/// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(flaky())?, 3);
/// # Ok::<(), taskgraph::Error>(())
/// ```
pub fn attempt() -> u32 {
    with_scope(Scope::try_number).flatten().unwrap_or(1)
}

/// Calls `f` with the timers and the I/O of the run whose step is under way on this thread.
pub(crate) fn with_reactor<R>(f: impl FnOnce(&dyn Reactor) -> R) -> Option<R> {
    with_scope(|scope| f(scope.reactor()))
}

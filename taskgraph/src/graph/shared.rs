//! Shared results: computed once, at the first need, however many need them.
//!
//! A shared node belongs to its handles. A task that takes a [`Shared`] holds one in its slot, in a [tap],
//! and asks for the result when its own graph starts. The first that asks starts the computation.
//!
//! ```text
//! waiters:  null --first to ask: starts the graph--> a list of waiters --settled--> DONE or FAILED
//! ```
//!
//! The state is that one word. It says what is there: the graph, a computation that runs, the value, or the failure.
//! Whoever finds neither of the last two puts itself there and will be told: when the node settles it takes the whole
//! list with one swap. While the computation runs somebody waits for it, with a handle. A list may bear a mark:
//! somebody has looked for a [cycle] there.
//!
//! Handles are counted. The last one drops the value, or takes it: then nobody else can reach it.

pub(super) mod head;
pub(super) mod tap;
pub(super) mod cycle;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem::{self, ManuallyDrop};
use std::panic::Location;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use self::head::{DONE, FAILED, Head, first_waiter};
use self::tap::{Borrowed, Owned, Tapped};
use super::call::{self, Value, task};
use super::cx::{Cx, Queued};
use super::delayed::DC;
use super::future::asleep;
use super::launch::Place;
use super::node::links::List;
use super::node::memory;
use super::node::{Abandoned, Arrival, Described, Destination, Node, Ready, Table, WATCHED};
use super::scope::{Scope, ScopePtr, Waiter};
use super::settle::doomed::doomed;
use crate::sync::atomic::{AtomicU32, Ordering};

/// A delayed computation whose result several tasks may need. It runs once, when the first of them needs it.
///
/// Made by [`DC::shared`] and [`DC::tee`]; in a generator, a `yield_!(..)` whose value is used gives one. A clone is another
/// handle on the same result. A task that takes its argument by value gets a clone of the result, and the last user gets the
/// result itself; one that takes a reference never copies.
///
/// If the computation fails, everything that needs it fails with the same cause. It is given up for good when all runs
/// that need it are cancelled. A run that is cancelled while another one needs the computation, too, settles when the
/// computation has finished.
///
/// ```
/// #[taskgraph::delayed]
/// fn load() -> Vec<u32> { vec![3, 1, 2] }
/// #[taskgraph::delayed]
/// fn total(numbers: &[u32]) -> u32 { numbers.iter().sum() }
/// #[taskgraph::delayed]
/// fn largest(numbers: Vec<u32>) -> u32 { numbers.into_iter().max().unwrap_or(0) }
///
/// let numbers = load().shared();
/// let both = taskgraph::DC::new(|a: u32, b: u32| (a, b), (total(numbers.clone()), largest(numbers)));
/// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(both)?, (6, 3));
/// # Ok::<(), taskgraph::Error>(())
/// ```
#[must_use = "a delayed computation does nothing unless it is run, yielded, returned or given to another"]
pub struct Shared<T>(NonNull<SharedNode<T>>);

// SAFETY: handles give `&T` to several threads, and the last one gives `T`; the rest is atomic.
unsafe impl<T: Send + Sync> Send for Shared<T> {}
// SAFETY: as above; `&Shared` can be cloned.
unsafe impl<T: Send + Sync> Sync for Shared<T> {}

const HANDLES_MAX: u32 = WATCHED >> 1;

#[repr(C)]
struct SharedNode<T> {
    head: Head,
    /// `waiters` says what is there, if anything.
    place: Place<T>,
}

/// `N` handles on one result.
#[inline(always)]
#[track_caller]
pub(super) fn tee<T: Send + Sync + 'static, const N: usize>(inner: DC<T>) -> [Shared<T>; N] {
    const { assert!(0 < N && N < HANDLES_MAX as usize, "a result has at least one handle, and fewer than 2^30") };
    let shared = memory::allocate::<SharedNode<T>>();
    let head = Head::new(SharedNode::<T>::TABLE, Location::caller());
    // SAFETY: the memory is room for a `SharedNode`.
    unsafe { shared.write(SharedNode { head, place: Place { held: ManuallyDrop::new(inner) } }) };
    // SAFETY: it was just written. Relaxed: nobody else knows of it.
    unsafe { shared.as_ref() }.head.node.users().store(N as u32, Ordering::Relaxed);
    [(); N].map(|()| Shared(shared))
}

impl<T> SharedNode<T> {
    const TABLE: &'static Table = &Table { step: Self::step, abandon: Self::abandon, describe: |_| Described::Shared };

    /// The first step starts the computation, the second has its result.
    ///
    /// # Safety
    ///
    /// The node is one of these, and ready: somebody was the first to ask, or the input has arrived.
    unsafe fn step(node: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
        let shared = node.cast::<Self>();
        // SAFETY: the caller's promise.
        unsafe { if node.as_ref().has_waited() { Self::settle(shared, DONE, cx) } else { Self::start(shared, cx) } }
    }

    /// The computation failed, or its result came after its scope had stopped; that result stands nevertheless. Or it
    /// has not started: then it starts, since others may need it by now, and is given up if they do not.
    ///
    /// # Safety
    ///
    /// As for `step`, or the input has failed.
    #[cold]
    unsafe fn abandon(node: NonNull<Node>, cx: &mut Cx<'_>) -> Abandoned {
        let shared = node.cast::<Self>();
        // SAFETY: the only input is in or there is none yet, so nobody but us writes here; readers wait for `waiters`.
        Abandoned::Caught(unsafe {
            if node.as_ref().has_failed() {
                drop(node.as_ref().take_failed());
                Self::settle(shared, FAILED, cx)
            } else {
                Self::step(node, cx)
            }
        })
    }

    /// # Safety
    ///
    /// The node is the caller's, who was the first to ask for its result.
    unsafe fn start(shared: NonNull<Self>, cx: &mut Cx<'_>) -> Option<Ready> {
        let at = shared.as_ptr();
        // SAFETY: the caller's promise; the graph is moved out before its place serves for the result.
        unsafe {
            let scope = memory::allocate::<Scope>();
            scope.write(Scope::of_shared(shared.cast()));
            scope.as_ref().start_in(cx.scope());
            cx.enter(scope);
            (*at).head.node.wait_for(1);
            let held = (&raw mut (*at).place.held).read();
            let to = Destination { consumer: Some(shared.cast()), slot: (&raw mut (*at).place).cast() };
            ManuallyDrop::into_inner(held).replace(to, cx)
        }
    }

    /// Tells everybody who waits. One of those that become ready goes on here, if possible one to which this worker has
    /// brought another input as well; the others are queued.
    ///
    /// # Safety
    ///
    /// The node is started and settled as `state` says, and `state` was not set yet; we are in the scope of its computation.
    unsafe fn settle(shared: NonNull<Self>, state: *mut Waiter, cx: &mut Cx<'_>) -> Option<Ready> {
        let scope = cx.scope_ptr();
        // SAFETY: nothing of the computation is left, so its scope is ours.
        let run = unsafe { scope.as_ref() }.run_ptr();
        // SAFETY: somebody waits, and so has a handle.
        let users = unsafe { (*shared.as_ptr()).head.node.users() };
        // Relaxed: whoever wanted to know belongs to the computation.
        if users.load(Ordering::Relaxed) & WATCHED != 0 {
            users.fetch_and(!WATCHED, Ordering::Relaxed);
        }
        if state == DONE {
            cx.leave();
            // SAFETY: nothing of the scope is left, and it has no failure that somebody could ask for.
            unsafe { end_scope(scope) };
        } else {
            // SAFETY: the scope is still ours; the first who asked belongs to the run, and has not been told.
            unsafe {
                scope.as_ref().inherit_failure();
                // Relaxed: whoever reads it has found the state first.
                Head::failed_scope(shared.cast()).store(scope.as_ptr().cast(), Ordering::Relaxed);
            }
        }
        // AcqRel: Release hands the result to whoever finds the state, Acquire takes the waiters that were put there.
        // SAFETY: somebody waits, and so has a handle. From here on each who has not been told keeps the node alive.
        let mut next: *mut Waiter = unsafe { Head::waiters(shared.cast()) }.swap(state.cast(), Ordering::AcqRel).cast();
        let bearer = cx.seat.bearer();
        let mut ready: Option<(Ready, ScopePtr)> = None;
        // SAFETY: a waiter that was not told is part of a node that waits.
        while let Some(waiter) = unsafe { first_waiter(next).as_ref() } {
            let consumer = waiter.consumer;
            next = waiter.next.get();
            // SAFETY: each is told once, here.
            let arrival = unsafe {
                if state == DONE {
                    Node::input_brought(consumer, bearer)
                } else {
                    Head::blame(shared.cast(), consumer, waiter.scope().as_ref());
                    Node::input_failed(consumer, ptr::null_mut())
                }
            };
            if arrival == Arrival::StillWaiting {
                continue;
            }
            // SAFETY: its inputs are all in, so the consumer is ours.
            let (scope, next) = unsafe {
                let scope = waiter.scope();
                (scope, if arrival == Arrival::NowReady { Ready(consumer) } else { doomed(consumer) })
            };
            // SAFETY: the scope outlives its nodes.
            let waiting = unsafe { scope.as_ref() };
            if waiting.run_ptr() != run && !cx.host.is_home(waiting.home()) {
                // As soon as it is queued, its run may be over.
                let home = Arc::clone(waiting.home());
                home.inject(Queued::new(next, scope));
                continue;
            }
            let Some(other) = ready.replace((next, scope)) else { continue };
            // SAFETY: both are ready, and ours.
            let is_other_nearer = unsafe { other.0.0.as_ref().is_near(bearer) || !consumer.as_ref().is_near(bearer) };
            let left = if is_other_nearer { ready.replace(other) } else { Some(other) };
            let (left, scope) = left.expect("there are two");
            cx.enter(scope);
            // SAFETY: it is ready, and ours.
            cx.add_ready(unsafe { List::of(left.0) });
        }
        let (ready, scope) = ready?;
        cx.enter(scope);
        Some(ready)
    }

    /// One user less.
    ///
    /// # Safety
    ///
    /// The caller gives up its use.
    #[inline(always)]
    unsafe fn release(shared: NonNull<Self>) {
        // SAFETY: the caller's use keeps the node alive until here.
        let users = unsafe { (*shared.as_ptr()).head.node.users() };
        // Acquire, pairs with the Release of those who gave up their use before; the last needs no read-modify-write.
        // AcqRel: the same, and hands ours to the next.
        if users.load(Ordering::Acquire) != 1 {
            let before = users.fetch_sub(1, Ordering::AcqRel);
            // One comparison for both: it was 1, or is watched.
            if before.wrapping_sub(2) < WATCHED - 2 {
                return;
            }
            if before != 1 {
                // Whoever watches it waits for it, so we are not the last.
                return asleep::look_around();
            }
        }
        // SAFETY: nobody else can reach the node.
        unsafe { Self::destroy(shared) }
    }

    /// # Safety
    ///
    /// The caller is the last user.
    #[inline(never)]
    unsafe fn destroy(shared: NonNull<Self>) {
        // SAFETY: the caller's promise.
        unsafe {
            let is_done = Head::waiters(shared.cast()).load(Ordering::Relaxed) == DONE.cast();
            if is_done && const { !mem::needs_drop::<T>() } {
                return memory::free(shared);
            }
            destroy_nested(shared.cast(), Self::destroy_now);
        }
    }

    /// # Safety
    ///
    /// As for `destroy`.
    unsafe fn destroy_now(shared: NonNull<Node>) {
        let shared = shared.cast::<Self>();
        let at = shared.as_ptr();
        // SAFETY: the caller's promise; the state says what is there.
        unsafe {
            let state: *mut Waiter = Head::waiters(shared.cast()).load(Ordering::Relaxed).cast();
            crate::unwind::drop_values(|| match state {
                DONE => ManuallyDrop::drop(&mut (*at).place.result),
                FAILED => {
                    end_scope(NonNull::new_unchecked(Head::failed_scope(shared.cast()).load(Ordering::Relaxed).cast()))
                }
                _ => ManuallyDrop::drop(&mut (*at).place.held),
            });
            memory::free(shared);
        }
    }
}

/// A shared node that nobody uses any more, and what destroys it.
type Unused = (NonNull<Node>, unsafe fn(NonNull<Node>));

/// How deep shared results may be inside each other to be dropped at once.
const NESTED_MAX: u32 = 16;

thread_local! {
    /// How many are being destroyed on this thread, each in the one before, and those that wait for the innermost to end.
    static DESTROYING: (Cell<u32>, RefCell<Vec<Unused>>) = const { (Cell::new(0), RefCell::new(Vec::new())) };
}

/// Destroys a node with `destroy`: at once, unless it is too deep inside others that are being destroyed, since each of
/// them takes its part of the stack.
///
/// # Safety
///
/// The caller is the last user of the node, whose type `destroy` knows.
unsafe fn destroy_nested(node: NonNull<Node>, destroy: unsafe fn(NonNull<Node>)) {
    let nested = DESTROYING.try_with(|(nested, unused)| {
        let before = nested.get();
        if before == NESTED_MAX {
            unused.borrow_mut().push((node, destroy));
        } else {
            nested.set(before + 1);
        }
        before
    });
    if nested == Ok(NESTED_MAX) {
        return;
    }
    // SAFETY: the caller's promise.
    unsafe { destroy(node) };
    // In a destructor at the end of a thread there is no list, and each is destroyed at once.
    let Ok(nested) = nested else { return };
    let next = || DESTROYING.try_with(|(_, unused)| unused.borrow_mut().pop()).ok().flatten();
    if nested + 1 == NESTED_MAX {
        while let Some((node, destroy)) = next() {
            // SAFETY: the promise of whoever put it there.
            unsafe { destroy(node) };
        }
    }
    let _ = DESTROYING.try_with(|(at, _)| at.set(nested));
}

/// # Safety
///
/// Nothing of the scope is left, and nobody asks for its failure any more.
#[inline(always)]
unsafe fn end_scope(scope: ScopePtr) {
    // SAFETY: the caller's promise; it was allocated for this.
    unsafe {
        if (*scope.as_ptr()).holds_anything() {
            scope.drop_in_place();
        }
        memory::free(scope);
    }
}

impl<T> Clone for Shared<T> {
    /// # Panics
    ///
    /// If there would be more than 2^30 handles.
    #[inline(always)]
    fn clone(&self) -> Self {
        // Relaxed: a handle can only be cloned by somebody who has one.
        let before = self.users().fetch_add(1, Ordering::Relaxed);
        // Watched or not.
        if HANDLES_MAX <= before & !WATCHED {
            // Taken back; otherwise the count could be made to overflow.
            self.users().fetch_sub(1, Ordering::Relaxed);
            panic!("too many handles on one shared result");
        }
        Self(self.0)
    }
}

impl<T> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared(..)")
    }
}

impl<T> Drop for Shared<T> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: this handle is a use, and gone after this.
        unsafe { SharedNode::release(self.0) }
    }
}

impl<T> Shared<T> {
    /// The handle as a tap holds it.
    #[inline(always)]
    pub(super) fn into_head(self) -> NonNull<Head> {
        ManuallyDrop::new(self).0.cast()
    }

    /// # Safety
    ///
    /// It came from `into_head` of the same type, and is not used again.
    #[inline(always)]
    pub(super) unsafe fn from_head(head: NonNull<Head>) -> Self {
        Self(head.cast())
    }

    #[inline(always)]
    fn users(&self) -> &AtomicU32 {
        // SAFETY: a handle keeps its node alive; what others write of a header are cells.
        unsafe { (*self.0.as_ptr()).head.node.users() }
    }

    /// The result.
    ///
    /// # Safety
    ///
    /// It is there: a tap of this node has arrived with its value.
    #[inline(always)]
    pub(super) unsafe fn result(&self) -> &T {
        // SAFETY: the caller's promise; a result does not change any more.
        unsafe { &(*self.0.as_ptr()).place.result }
    }

    /// The result itself for the last user, a clone for the others.
    ///
    /// # Safety
    ///
    /// As for `result`.
    #[inline(always)]
    pub(super) unsafe fn into_result(self) -> T
    where
        T: Clone,
    {
        // Acquire, pairs with the Release of those who gave up their use: nobody reads the result any more.
        // It is not watched any more.
        if self.users().load(Ordering::Acquire) != 1 {
            // SAFETY: the caller's promise.
            return unsafe { self.result() }.clone();
        }
        let shared = ManuallyDrop::new(self).0;
        // SAFETY: we are the last user; the result is moved out, then the memory goes.
        unsafe {
            let result = ManuallyDrop::take(&mut (*shared.as_ptr()).place.result);
            memory::free(shared);
            result
        }
    }
}

impl<T: Send + Sync + 'static> Shared<T> {
    /// Applies a function that borrows the result: nothing is copied, and this handle stays.
    ///
    /// ```
    /// let samples = taskgraph::DC::value(vec![1.0f64, 2.0, 4.0]).shared();
    /// let range = samples.map(|all| all[2]) - samples.map(|all| all[0]);
    /// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(range)?, 3.0);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    #[track_caller]
    pub fn map<U: Send + 'static>(&self, f: impl FnOnce(&T) -> U + Send + 'static) -> DC<U> {
        task!(Map "map");
        call::call::<Map, Value, _, _, _>((Tapped::<T, Borrowed>::new(self.clone()),), move |(result,)| f(&result))
    }
}

impl<T: Clone + Send + Sync + 'static> Shared<T> {
    /// This result as a delayed computation: to be run by itself, mapped or collected.
    ///
    /// ```
    /// let answer = taskgraph::DC::value(42).shared();
    /// let doubled = answer.dc().map(|x| 2 * x);
    /// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(doubled)?, 84);
    /// # Ok::<(), taskgraph::Error>(())
    /// ```
    #[track_caller]
    pub fn dc(&self) -> DC<T> {
        task!(Use "shared", is_counted: false);
        call::call::<Use, Value, _, _, _>((Tapped::<T, Owned>::new(self.clone()),), |(result,)| result)
    }
}

impl<T: Clone + Send + Sync + 'static> From<Shared<T>> for DC<T> {
    #[track_caller]
    fn from(shared: Shared<T>) -> Self {
        shared.dc()
    }
}

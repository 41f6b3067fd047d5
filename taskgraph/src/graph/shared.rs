//! Shared results: computed once, at the first need, however many need them.
//!
//! A shared node belongs to its handles. A task that takes a [`Shared`] holds one in its slot, together with a
//! [`Tap`]: a ready leaf whose step asks for the result. The first tap to be stepped starts the computation.
//!
//! ```text
//! waiters:  null --first tap: starts the graph--> taps, linked through `slot` --settled--> DONE or FAILED
//! ```
//!
//! The state is that one word. Whoever finds it at `DONE` may read the value, at `FAILED` the failure. Whoever finds
//! anything else and puts its tap there will be told: the node's settling takes the whole list with one swap.
//!
//! Handles are counted; so is the running computation. The last one drops the value, or takes it: then nobody else
//! can reach it.

use std::panic::Location;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::call::{self, Task, Value};
use super::cx::{Cx, Queued};
use super::delayed::DC;
use super::input::{FailedSlots, Input, Placing};
use super::launch::Launch;
use super::memory;
use super::node::{Abandoned, Described, Destination, List, Node, Ready, Table};
use super::scope::{Scope, ScopePtr};
use super::settle;
use crate::error::Error;
use crate::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// A delayed computation whose result many may need: it runs once, when the first of them does.
///
/// Made by [`DC::shared`]. A clone is another handle on the same result. A task that takes its argument by value
/// gets a clone of the result, and the last user gets the result itself; one that takes a reference never copies.
///
/// If the computation fails, everybody who needs it fails with the same cause. It is given up when all runs that need
/// it are cancelled, and stays so. A run that is cancelled while another one needs the computation as well settles
/// when that is through.
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

#[repr(C)]
struct SharedNode<T> {
    node: Node,
    /// Handles, and one more while the computation runs.
    users: AtomicUsize,
    waiters: AtomicPtr<Node>,
    scope: Scope,
    /// Set before `waiters` becomes `FAILED`.
    failure: Option<Error>,
    inner: Launch<T>,
}

/// `waiters` once the result is there. Addresses that no node has: they are aligned.
const DONE: *mut Node = ptr::without_provenance_mut(1);
/// `waiters` once there will be no result.
const FAILED: *mut Node = ptr::without_provenance_mut(2);

#[track_caller]
pub(super) fn shared<T: Send + Sync + 'static>(inner: DC<T>) -> Shared<T> {
    let shared = memory::allocate::<SharedNode<T>>();
    // SAFETY: the memory is room for a `SharedNode`.
    unsafe {
        let waiters = NonNull::new_unchecked(&raw mut (*shared.as_ptr()).waiters);
        shared.write(SharedNode {
            node: Node::new(SharedNode::<T>::TABLE, Location::caller(), 0),
            users: AtomicUsize::new(1),
            waiters: AtomicPtr::new(ptr::null_mut()),
            scope: Scope::of_shared(waiters),
            failure: None,
            inner: Launch::new(inner),
        });
    }
    Shared(shared)
}

impl<T> SharedNode<T> {
    const TABLE: &'static Table =
        &Table { step: Self::step, abandon: Self::abandon, describe: |_| Described::Plumbing };

    /// The result is in its place.
    ///
    /// # Safety
    ///
    /// The node is one of these, started, and its input has arrived.
    unsafe fn step(node: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
        // SAFETY: the caller's promise.
        unsafe { Self::settle(node.cast(), DONE, cx) }
    }

    /// The computation failed, or its result came after its scope had stopped; that result stands nevertheless.
    ///
    /// # Safety
    ///
    /// As for `step`.
    #[cold]
    unsafe fn abandon(node: NonNull<Node>, cx: &mut Cx<'_>) -> Abandoned {
        let at = node.cast::<Self>().as_ptr();
        // SAFETY: the only input is in, so nobody but us writes here; readers wait for `waiters`.
        Abandoned::Caught(unsafe {
            if (*at).node.has_failed() {
                drop((*at).node.take_failed());
                (*at).failure = Some((*at).scope.failure());
                Self::settle(node.cast(), FAILED, cx)
            } else {
                Self::settle(node.cast(), DONE, cx)
            }
        })
    }

    /// Tells everybody who waits. One of those who became ready goes on here, the others are queued.
    ///
    /// # Safety
    ///
    /// The node is started and settled as `state` says, and `state` was not set yet.
    unsafe fn settle(shared: NonNull<Self>, state: *mut Node, cx: &mut Cx<'_>) -> Option<Ready> {
        // SAFETY: the running computation is one of the node's users.
        // AcqRel: Release hands the result to whoever finds the state, Acquire takes the taps that were put there.
        let (mut next, run) = unsafe {
            let this = shared.as_ptr();
            ((*this).waiters.swap(state, Ordering::AcqRel), cx.scope().run_ptr())
        };
        // The computation's own use ends before the first consumer can run, so that the last of them is the last
        // user. From here on every tap that has not arrived keeps the node alive.
        // SAFETY: the use is ours.
        unsafe { Self::release(shared) };
        let mut ready: Option<(Ready, ScopePtr)> = None;
        while let Some(tap) = NonNull::new(next) {
            // SAFETY: a waiting tap is part of a node that waits for it.
            let (consumer, scope) = unsafe {
                let Destination { consumer, slot } = tap.as_ref().destination();
                next = slot.cast();
                (consumer, tap.as_ref().scope())
            };
            // SAFETY: the tap waits, so its scope does.
            let tap_scope = unsafe { scope.as_ref() };
            if tap_scope.run_ptr() != run && !cx.host.is_home(tap_scope.home()) {
                // It belongs to another runtime, and asks again there.
                Arc::clone(tap_scope.home()).inject(Queued::new(Ready(tap), scope));
                continue;
            }
            cx.enter(scope);
            if state == FAILED {
                // It asks again, in a step of its own: failures must not climb from here on top of each other.
                // SAFETY: the tap waits, and is ours.
                cx.add_ready(unsafe { List::of(tap) });
                continue;
            }
            // SAFETY: the tap arrives once, here.
            let woken = unsafe { Self::arrive(shared, state, consumer, cx) };
            if let Some(woken) = woken
                && let Some((before, before_scope)) = ready.replace((woken, cx.scope_ptr()))
            {
                cx.enter(before_scope);
                // SAFETY: the node is ready, and ours.
                cx.add_ready(unsafe { List::of(before.0) });
            }
        }
        let (ready, scope) = ready?;
        cx.enter(scope);
        Some(ready)
    }

    /// Tells one consumer of the result.
    ///
    /// # Safety
    ///
    /// `state` is what `waiters` is, and the consumer's tap has not arrived, so it keeps the shared node alive.
    unsafe fn arrive(
        shared: NonNull<Self>,
        state: *mut Node,
        consumer: Option<NonNull<Node>>,
        cx: &mut Cx<'_>,
    ) -> Option<Ready> {
        let to = Destination { consumer, slot: ptr::null_mut() };
        if state == DONE {
            // SAFETY: the caller's promise.
            return unsafe { settle::arrive(to, cx) };
        }
        cx.scope().fail(|| {
            // SAFETY: the node is alive, and its failure does not change any more.
            let failure = unsafe { &(*shared.as_ptr()).failure };
            let failure = failure.as_ref().expect("a failed computation has a failure");
            failure.clone().needed_by(settle::needed_by(to))
        });
        settle::fail(to, cx)
    }

    /// One user less.
    ///
    /// # Safety
    ///
    /// The caller gives up its use.
    #[inline(always)]
    unsafe fn release(shared: NonNull<Self>) {
        // SAFETY: the caller's use keeps the node alive until here.
        let users = unsafe { &(*shared.as_ptr()).users };
        // Acquire, pairs with the Release of those who gave up their use before; the last needs no read-modify-write.
        // AcqRel: the same, and ours to the next.
        if users.load(Ordering::Acquire) == 1 || users.fetch_sub(1, Ordering::AcqRel) == 1 {
            // SAFETY: nobody else can reach the node.
            unsafe { Self::destroy(shared) }
        }
    }

    /// # Safety
    ///
    /// The caller is the last user.
    #[inline(never)]
    unsafe fn destroy(shared: NonNull<Self>) {
        let at = shared.as_ptr();
        // SAFETY: the caller's promise; the result is there exactly when the state says so.
        unsafe {
            crate::unwind::drop_values(|| {
                if (*at).waiters.load(Ordering::Relaxed) == DONE {
                    Launch::result(&raw mut (*at).inner).drop_in_place();
                }
                ptr::drop_in_place(at);
            });
            memory::free(shared);
        }
    }
}

impl<T> Clone for Shared<T> {
    #[inline(always)]
    fn clone(&self) -> Self {
        // Relaxed: a handle can only be cloned by somebody who has one.
        let before = self.users().fetch_add(1, Ordering::Relaxed);
        assert!(before < usize::MAX / 2, "too many handles on one shared result");
        Self(self.0)
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
    #[inline(always)]
    fn users(&self) -> &AtomicUsize {
        // SAFETY: a handle keeps its node alive. Nothing else of the node may be borrowed: others may be writing it.
        unsafe { &(*self.0.as_ptr()).users }
    }

    /// The result.
    ///
    /// # Safety
    ///
    /// It is there: a tap of this node has arrived with its value.
    #[inline(always)]
    unsafe fn result(&self) -> &T {
        // SAFETY: the caller's promise; a result does not change any more.
        unsafe { &*Launch::result(&raw mut (*self.0.as_ptr()).inner) }
    }

    /// The result itself for the last user, a clone for the others.
    ///
    /// # Safety
    ///
    /// As for `result`.
    unsafe fn into_result(self) -> T
    where
        T: Clone,
    {
        // Acquire, pairs with the Release of those who gave up their use: nobody reads the result any more.
        if self.users().load(Ordering::Acquire) != 1 {
            // SAFETY: the caller's promise.
            return unsafe { self.result() }.clone();
        }
        let shared = std::mem::ManuallyDrop::new(self).0;
        let at = shared.as_ptr();
        // SAFETY: we are the last user; the result is moved out, the rest dropped, a started `Launch` drops nothing.
        unsafe {
            let result = Launch::result(&raw mut (*at).inner).read();
            ptr::drop_in_place(at);
            memory::free(shared);
            result
        }
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
        struct Use;
        impl Task for Use {
            const NAME: &'static str = "shared";
        }
        call::call::<Use, Value, _, _, _>((Cloned(self.clone()),), |(result,)| result)
    }
}

impl<T: Clone + Send + Sync + 'static> From<Shared<T>> for DC<T> {
    #[track_caller]
    fn from(shared: Shared<T>) -> Self {
        shared.dc()
    }
}

/// A shared result in a slot, with the leaf that asks for it.
#[repr(C)]
pub struct Tap<T> {
    node: Node,
    shared: Shared<T>,
}

impl<T> Tap<T> {
    const TABLE: &'static Table =
        &Table { step: Self::step, abandon: Self::abandon, describe: |_| Described::Plumbing };

    /// Asks for the result.
    ///
    /// # Safety
    ///
    /// The node is one of these, ready, and the caller's.
    unsafe fn step(node: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
        // SAFETY: the tap is part of a node that waits for it. The handle stays in its slot until that node has run,
        // so it is good until the tap has arrived, and the shared node until then.
        let (tap, shared) = unsafe { (node.as_ref(), (*node.cast::<Self>().as_ptr()).shared.0) };
        // SAFETY: as above. Only the fields that are shared are borrowed: whoever settles the computation writes others.
        let (users, waiters, scope) =
            unsafe { (&(*shared.as_ptr()).users, &(*shared.as_ptr()).waiters, &(*shared.as_ptr()).scope) };
        let consumer = tap.destination().consumer;
        // Acquire, pairs with the Release in `settle`.
        let mut first = waiters.load(Ordering::Acquire);
        loop {
            if first == DONE || first == FAILED {
                // SAFETY: the tap arrives once, here.
                return unsafe { SharedNode::arrive(shared, first, consumer, cx) };
            }
            tap.attach(Destination { consumer, slot: first.cast() });
            tap.set_scope(cx.scope_ptr());
            // Release, pairs with the Acquire in `settle`, which reads the tap.
            match waiters.compare_exchange(first, node.as_ptr(), Ordering::Release, Ordering::Acquire) {
                Ok(_) => break,
                Err(now) => first = now,
            }
        }
        // From here on the tap belongs to whoever settles the computation.
        if !first.is_null() {
            return None;
        }
        // SAFETY: only the first tap comes here, so the graph is ours to start; the running computation is a user.
        unsafe {
            users.fetch_add(1, Ordering::Relaxed);
            scope.start_in(cx.scope());
            cx.enter(NonNull::from(scope));
            Launch::start(&raw mut (*shared.as_ptr()).inner, shared.cast(), cx)
        }
    }

    /// # Safety
    ///
    /// The node is one of these, ready, and the caller's.
    #[cold]
    unsafe fn abandon(node: NonNull<Node>, _: &mut Cx<'_>) -> Abandoned {
        // SAFETY: the tap is alive; its handle is dropped with the slot.
        let consumer = unsafe { node.as_ref() }.destination().consumer;
        Abandoned::Failed(Destination { consumer, slot: ptr::null_mut() })
    }

    /// # Safety
    ///
    /// `slot` is room for a tap inside the node of `placing`.
    #[inline(always)]
    unsafe fn place(shared: Shared<T>, slot: *mut Self, placing: &mut Placing) {
        // SAFETY: a handle keeps its node alive; where it was made does not change.
        let origin = unsafe { (*shared.0.as_ptr()).node.origin() };
        let node = Node::new(Self::TABLE, origin, 0);
        node.attach(Destination::signal(placing.node));
        // SAFETY: the caller's promise.
        unsafe {
            slot.write(Self { node, shared });
            placing.expect(List::of(NonNull::new_unchecked(slot.cast())));
        }
    }
}

/// A shared result as an owned argument.
pub struct Cloned<T>(pub(super) Shared<T>);

// SAFETY: the tap arrives when the result is there; whether or not it did, the slot holds a handle.
unsafe impl<T: Clone + Send + Sync + 'static> Input for Cloned<T> {
    type Slot = Tap<T>;
    type Held = Shared<T>;
    type Value = T;

    #[inline(always)]
    unsafe fn place(self, slot: *mut Tap<T>, placing: &mut Placing) {
        // SAFETY: the caller's promise.
        unsafe { Tap::place(self.0, slot, placing) }
    }

    #[inline(always)]
    unsafe fn take(slot: *mut Tap<T>) -> Shared<T> {
        // SAFETY: the caller's promise; the rest of a tap holds nothing.
        unsafe { (&raw mut (*slot).shared).read() }
    }

    #[inline(always)]
    fn open(held: Shared<T>) -> T {
        // SAFETY: the tap has arrived with the value.
        unsafe { held.into_result() }
    }

    unsafe fn discard(slot: *mut Tap<T>, _: &FailedSlots<'_>) {
        // SAFETY: the caller's promise.
        unsafe { slot.drop_in_place() }
    }
}

/// A shared result as a borrowed argument.
pub struct Borrowed<T>(pub(super) Shared<T>);

/// A shared result that is there.
pub struct Present<T>(Shared<T>);

impl<T> std::ops::Deref for Present<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: made by `Borrowed::take` only, when the tap has arrived with the value.
        unsafe { self.0.result() }
    }
}

// SAFETY: as for `Cloned`.
unsafe impl<T: Send + Sync + 'static> Input for Borrowed<T> {
    type Slot = Tap<T>;
    type Held = Present<T>;
    type Value = Present<T>;

    #[inline(always)]
    unsafe fn place(self, slot: *mut Tap<T>, placing: &mut Placing) {
        // SAFETY: the caller's promise.
        unsafe { Tap::place(self.0, slot, placing) }
    }

    #[inline(always)]
    unsafe fn take(slot: *mut Tap<T>) -> Present<T> {
        // SAFETY: the caller's promise; the rest of a tap holds nothing.
        Present(unsafe { (&raw mut (*slot).shared).read() })
    }

    #[inline(always)]
    fn open(held: Present<T>) -> Present<T> {
        held
    }

    unsafe fn discard(slot: *mut Tap<T>, _: &FailedSlots<'_>) {
        // SAFETY: the caller's promise.
        unsafe { slot.drop_in_place() }
    }
}

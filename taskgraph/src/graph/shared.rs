//! Shared results: computed once, at the first need, however many need them.
//!
//! A shared node belongs to its handles. A task that takes a [`Shared`] holds one in its slot, in a [tap](super::tap),
//! and asks for the result when its own graph starts. The first that asks starts the computation.
//!
//! ```text
//! waiters:  null --first to ask: starts the graph--> a list of waiters --settled--> DONE or FAILED
//! ```
//!
//! The state is that one word. It says what is there: the graph, a computation that runs, the value, or the failure.
//! Whoever does not find one of the last two puts itself there and will be told: the node's settling takes the whole
//! list with one swap. While the computation runs somebody waits for it, with a handle.
//!
//! Handles are counted. The last one drops the value, or takes it: then nobody else can reach it.

use std::iter;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::call::{self, Value, task};
use super::cx::{Cx, Queued};
use super::cycle;
use super::delayed::DC;
use super::doomed::doomed;
use super::links::List;
use super::memory;
use super::node::{Abandoned, Arrival, Described, Destination, Node, Ready, Table, WATCHED};
use super::scope::{self, Scope, ScopePtr, Waiter};
use super::settle;
use super::tap::{Owned, Tapped};
use crate::error::Error;
use crate::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

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

/// What of a shared node does not depend on its type.
#[repr(C)]
pub(super) struct Head {
    node: Node,
    waiters: AtomicPtr<Waiter>,
    /// That of the computation, from its start until it is done; it has the failure of one that failed.
    scope: AtomicPtr<Scope>,
    order: cycle::Place,
}

#[repr(C)]
struct SharedNode<T> {
    head: Head,
    place: Place<T>,
}

/// Which of them is there, if any, `waiters` says.
#[repr(C)]
union Place<T> {
    held: ManuallyDrop<DC<T>>,
    result: ManuallyDrop<T>,
}

/// `waiters` once the result is there. Addresses that no waiter has: they are aligned.
pub(super) const DONE: *mut Waiter = ptr::without_provenance_mut(1);
/// `waiters` once there will be no result.
const FAILED: *mut Waiter = ptr::without_provenance_mut(2);
/// A bit of `waiters` that is set once somebody who looked for a [cycle] has gone on from here. Whoever puts himself there
/// after that has to look, too.
const LOOKED_AT: usize = 4;

const _: () = assert!(LOOKED_AT < align_of::<Waiter>(), "the bit is not one of an address");

/// The first of those who wait, of a state that is neither `DONE` nor `FAILED`.
#[inline(always)]
fn first_waiter(state: *mut Waiter) -> *mut Waiter {
    state.map_addr(|addr| addr & !LOOKED_AT)
}

/// What somebody finds who asks for a result.
pub(super) enum Asked {
    Done,
    Failed,
    /// He will be told.
    Waits,
    /// He will be told, but first has to start the computation: by the step of its node.
    First(NonNull<Node>),
    /// He would wait for himself, and has failed.
    Cycle,
}

impl Head {
    /// Those who wait, one after the other.
    ///
    /// # Safety
    ///
    /// The computation has been started, and has not settled.
    pub(super) unsafe fn waiting<'a>(this: NonNull<Self>) -> impl Iterator<Item = &'a Waiter> {
        // SAFETY: the caller's promise; as in `state`.
        let mut next = unsafe { Self::state(this) };
        iter::from_fn(move || {
            // SAFETY: who waits for what has not settled still does.
            let waiter = unsafe { first_waiter(next).as_ref() }?;
            next = waiter.next.get();
            Some(waiter)
        })
    }

    /// Those who wait; whoever comes later [has to look for a cycle](Self::may_close_cycle).
    ///
    /// # Safety
    ///
    /// As for `waiting`.
    pub(super) unsafe fn look_at_waiting<'a>(this: NonNull<Self>) -> impl Iterator<Item = &'a Waiter> {
        // SAFETY: as in `state`.
        let waiters = unsafe { &(*this.as_ptr()).waiters };
        let looked_at = |first: *mut Waiter| Some(first.map_addr(|addr| addr | LOOKED_AT));
        // AcqRel: whoever puts himself there before this is seen, and whoever does so after this sees it.
        let before = waiters.fetch_update(Ordering::AcqRel, Ordering::Acquire, looked_at);
        debug_assert!(before.is_ok_and(|first| first != DONE && first != FAILED), "who looks waits for it to settle");
        // SAFETY: the caller's promise.
        unsafe { Self::waiting(this) }
    }

    /// Whether somebody who is about to wait, having seen this state, may be the last one of a [cycle].
    ///
    /// A computation that has not started wants nothing yet. If it starts before he has put himself there, and what it wants
    /// closes a cycle, then whoever is the last one of that has been here.
    unsafe fn may_close_cycle(this: NonNull<Self>, state: *mut Waiter) -> bool {
        // SAFETY: as in `state`.
        let scope = unsafe { &(*this.as_ptr()).scope };
        state.addr() & LOOKED_AT != 0 || !scope.load(Ordering::Acquire).is_null()
    }

    /// Its place among those that wait for each other.
    ///
    /// # Safety
    ///
    /// The caller has a handle, or it has not settled.
    pub(super) unsafe fn order<'a>(this: NonNull<Self>) -> &'a cycle::Place {
        // SAFETY: the caller's promise; as in `state`.
        unsafe { &(*this.as_ptr()).order }
    }

    /// Whether there are more handles than these; if so, [whoever sleeps for it](scope::look_around) hears when one goes.
    ///
    /// # Safety
    ///
    /// As for `waiting`.
    pub(super) unsafe fn has_more_handles_than(this: NonNull<Self>, handles: u32) -> bool {
        // SAFETY: the caller's promise.
        let users = unsafe { (*this.as_ptr()).node.users() };
        // Acquire, pairs with the Release of those who gave up their use.
        let is_more = |users: u32| handles < users & !WATCHED;
        is_more(users.load(Ordering::Acquire)) && is_more(users.fetch_or(WATCHED, Ordering::AcqRel))
    }

    /// # Safety
    ///
    /// The caller has a handle.
    #[inline(always)]
    pub(super) unsafe fn state(this: NonNull<Self>) -> *mut Waiter {
        // SAFETY: the handle keeps the node. Only the field that is shared is borrowed: others write the rest.
        // Acquire, pairs with the Release in `settle`.
        unsafe { &(*this.as_ptr()).waiters }.load(Ordering::Acquire)
    }

    /// Puts `waiter` among those who will be told, if they have not been; its link is the state as it was seen before.
    ///
    /// # Safety
    ///
    /// The waiter's consumer, which is part of `scope`, waits for the result, and holds a handle on it until it has arrived.
    #[inline(always)]
    pub(super) unsafe fn ask(this: NonNull<Self>, waiter: NonNull<Waiter>, scope: &Scope) -> Asked {
        // SAFETY: the caller's promise, here and below.
        let has_to_look = |first| scope.is_in_shared() && unsafe { Self::may_close_cycle(this, first) };
        // SAFETY: as above.
        match unsafe { Self::put(this, waiter, has_to_look) } {
            Some(asked) => asked,
            // SAFETY: as above.
            None => unsafe { Self::look_and_ask(this, waiter, scope) },
        }
    }

    /// Unless there are others who wait, and `stops` when it sees them.
    ///
    /// # Safety
    ///
    /// As for `ask`.
    #[inline(always)]
    unsafe fn put(this: NonNull<Self>, waiter: NonNull<Waiter>, stops: impl Fn(*mut Waiter) -> bool) -> Option<Asked> {
        // SAFETY: as in `state`; the waiter is not in the list yet.
        let (waiters, next) = unsafe { (&(*this.as_ptr()).waiters, &(*waiter.as_ptr()).next) };
        loop {
            let first = next.get();
            if first == DONE {
                return Some(Asked::Done);
            }
            if first == FAILED {
                return Some(Asked::Failed);
            }
            if !first.is_null() && stops(first) {
                return None;
            }
            let now_first = waiter.as_ptr().map_addr(|addr| addr | first.addr() & LOOKED_AT);
            // Release, pairs with the Acquire in `settle`, which reads the waiter. Acquire: as in `state`.
            match waiters.compare_exchange(first, now_first, Ordering::Release, Ordering::Acquire) {
                Ok(_) if first.is_null() => return Some(Asked::First(this.cast())),
                Ok(_) => return Some(Asked::Waits),
                Err(now) => next.set(now),
            }
        }
    }

    /// Asks as one who may close a cycle; then his scope fails.
    ///
    /// # Safety
    ///
    /// As for `ask`.
    #[cold]
    unsafe fn look_and_ask(this: NonNull<Self>, waiter: NonNull<Waiter>, scope: &Scope) -> Asked {
        let mut asking = cycle::lock_asking();
        // SAFETY: the consumer does not wait yet, so it is the caller's; the rest is his promise.
        unsafe {
            let consumer = (*waiter.as_ptr()).consumer;
            if let Some(path) = asking.path(consumer, scope, this) {
                let mut chain = settle::needed_by(Destination::signal(consumer));
                scope.fail(|| Error::cycle(chain.next(), path).needed_by(chain));
                return Asked::Cycle;
            }
            Self::put(this, waiter, |_| false).expect("nothing stops it")
        }
    }

    /// The failure of a computation that has [failed](Asked::Failed), as that of the scope of `consumer`.
    ///
    /// # Safety
    ///
    /// It has, and `consumer` holds a handle on it.
    #[cold]
    pub(super) unsafe fn blame(this: NonNull<Self>, consumer: NonNull<Node>, scope: &Scope) {
        // SAFETY: the handle keeps the node, which keeps the scope of what has failed.
        let failed = unsafe { &*(*this.as_ptr()).scope.load(Ordering::Relaxed) };
        scope.fail(|| failed.failure().needed_by(settle::needed_by(Destination::signal(consumer))));
    }
}

#[track_caller]
pub(super) fn shared<T: Send + Sync + 'static>(inner: DC<T>) -> Shared<T> {
    let shared = memory::allocate::<SharedNode<T>>();
    let head = Head {
        node: Node::new(SharedNode::<T>::TABLE, Location::caller(), 0),
        waiters: AtomicPtr::new(ptr::null_mut()),
        scope: AtomicPtr::new(ptr::null_mut()),
        order: cycle::Place::new(),
    };
    // SAFETY: the memory is room for a `SharedNode`.
    unsafe { shared.write(SharedNode { head, place: Place { held: ManuallyDrop::new(inner) } }) };
    Shared(shared)
}

impl<T> SharedNode<T> {
    const TABLE: &'static Table =
        &Table { step: Self::step, abandon: Self::abandon, describe: |_| Described::Plumbing };

    /// The first step starts the computation, the second has its result.
    ///
    /// # Safety
    ///
    /// The node is one of these, and ready: somebody was the first to ask, or the input has arrived.
    unsafe fn step(node: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
        let shared = node.cast::<Self>();
        // SAFETY: the caller's promise.
        unsafe {
            match NonNull::new((*shared.as_ptr()).head.scope.load(Ordering::Relaxed)) {
                None => Self::start(shared, cx),
                Some(scope) => Self::settle(shared, DONE, scope, cx),
            }
        }
    }

    /// The computation failed, or its result came after its scope had stopped; that result stands nevertheless. Or it
    /// has not started: then it does, for others may need it by now, and is given up if they do not.
    ///
    /// # Safety
    ///
    /// As for `step`, or the input has failed.
    #[cold]
    unsafe fn abandon(node: NonNull<Node>, cx: &mut Cx<'_>) -> Abandoned {
        let shared = node.cast::<Self>();
        let at = shared.as_ptr();
        // SAFETY: the only input is in or there is none yet, so nobody but us writes here; readers wait for `waiters`.
        Abandoned::Caught(unsafe {
            match NonNull::new((*at).head.scope.load(Ordering::Relaxed)) {
                None => Self::start(shared, cx),
                Some(scope) if node.as_ref().has_failed() => {
                    drop(node.as_ref().take_failed());
                    Self::settle(shared, FAILED, scope, cx)
                }
                Some(scope) => Self::settle(shared, DONE, scope, cx),
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
            scope.write(Scope::of_shared(NonNull::new_unchecked(&raw mut (*at).head)));
            scope.as_ref().start_in(cx.scope());
            // Release, pairs with the Acquire in `may_close_cycle`.
            (*at).head.scope.store(scope.as_ptr(), Ordering::Release);
            cx.enter(scope);
            (*at).head.node.wait_for(1);
            let held = (&raw mut (*at).place.held).read();
            let to = Destination { consumer: Some(shared.cast()), slot: (&raw mut (*at).place).cast() };
            ManuallyDrop::into_inner(held).replace(to, cx)
        }
    }

    /// Tells everybody who waits. One of those who became ready goes on here, the others are queued.
    ///
    /// # Safety
    ///
    /// The node is started and settled as `state` says, and `state` was not set yet.
    unsafe fn settle(shared: NonNull<Self>, state: *mut Waiter, scope: ScopePtr, cx: &mut Cx<'_>) -> Option<Ready> {
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
            // SAFETY: as above.
            unsafe { end_scope(scope) };
        } else {
            // SAFETY: as above; the first who asked belongs to the run, and has not been told.
            unsafe { scope.as_ref() }.inherit_failure();
        }
        // AcqRel: Release hands the result to whoever finds the state, Acquire takes the waiters that were put there.
        // SAFETY: somebody waits, and so has a handle. From here on each who has not been told keeps the node alive.
        let mut next = unsafe { &(*shared.as_ptr()).head.waiters }.swap(state, Ordering::AcqRel);
        let mut ready: Option<(Ready, ScopePtr)> = None;
        // SAFETY: a waiter that was not told is part of a node that waits.
        while let Some(waiter) = unsafe { next.as_ref() } {
            let (consumer, scope) = (waiter.consumer, waiter.scope.get());
            next = waiter.next.get();
            // SAFETY: the consumer waits, so its scope does.
            let waiting = unsafe { scope.as_ref() };
            // Of another runtime, it may be gone as soon as it is told.
            let home =
                (waiting.run_ptr() != run && !cx.host.is_home(waiting.home())).then(|| Arc::clone(waiting.home()));
            // SAFETY: each is told once, here.
            let arrival = unsafe {
                if state == DONE {
                    Node::input_arrived(consumer)
                } else {
                    Head::blame(shared.cast(), consumer, waiting);
                    Node::input_failed(consumer, ptr::null_mut())
                }
            };
            let next = match arrival {
                Arrival::StillWaiting => continue,
                Arrival::NowReady => Ready(consumer),
                // SAFETY: its inputs are all in, so the consumer is ours.
                Arrival::NowFailed => unsafe { doomed(consumer) },
            };
            if let Some(home) = home {
                home.inject(Queued::new(next, scope));
            } else if ready.is_none() {
                ready = Some((next, scope));
            } else {
                cx.enter(scope);
                // SAFETY: the node is ready, and ours.
                cx.add_ready(unsafe { List::of(next.0) });
            }
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
        // AcqRel: the same, and ours to the next.
        if users.load(Ordering::Acquire) != 1 {
            let before = users.fetch_sub(1, Ordering::AcqRel);
            // One comparison for both: it was 1, or is watched.
            if before.wrapping_sub(2) < WATCHED - 2 {
                return;
            }
            if before != 1 {
                // Who watches it waits, so we are not the last.
                return scope::look_around();
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
        let at = shared.as_ptr();
        // SAFETY: the caller's promise; the state says what is there.
        unsafe {
            let state = (*at).head.waiters.load(Ordering::Relaxed);
            crate::unwind::drop_values(|| match state {
                DONE => ManuallyDrop::drop(&mut (*at).place.result),
                FAILED => end_scope(NonNull::new_unchecked((*at).head.scope.load(Ordering::Relaxed))),
                _ => ManuallyDrop::drop(&mut (*at).place.held),
            });
            memory::free(shared);
        }
    }
}

/// # Safety
///
/// Nothing of the scope is left, and nobody asks for its failure any more.
#[inline(always)]
unsafe fn end_scope(scope: ScopePtr) {
    // SAFETY: the caller's promise; it was allocated for this.
    unsafe {
        scope.drop_in_place();
        memory::free(scope);
    }
}

impl<T> Clone for Shared<T> {
    #[inline(always)]
    fn clone(&self) -> Self {
        // Relaxed: a handle can only be cloned by somebody who has one.
        let before = self.users().fetch_add(1, Ordering::Relaxed);
        // Watched or not.
        assert!(before << 1 < WATCHED, "too many handles on one shared result");
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
        task!(Use "shared");
        call::call::<Use, Value, _, _, _>((Tapped::<T, Owned>::new(self.clone()),), |(result,)| result)
    }
}

impl<T: Clone + Send + Sync + 'static> From<Shared<T>> for DC<T> {
    #[track_caller]
    fn from(shared: Shared<T>) -> Self {
        shared.dc()
    }
}

//! The head of a shared node: who waits for its result, whatever type that has.
//!
//! The state is one word, `waiters`: see [`shared`](super). Whoever asks is put there, unless that would close
//! a [cycle]. The other word is the number of the computation among those that may wait for each other. A shared node
//! has no consumer of its own, so the two words are where other nodes have their destination.

use std::iter;
use std::panic::Location;
use std::ptr::{self, NonNull};

use super::cycle;
use crate::error::Error;
use crate::graph::node::{Destination, Node, Table, WATCHED};
use crate::graph::scope::{Scope, ScopePtr, Waiter};
use crate::graph::settle;
use crate::sync::atomic::{AtomicPtr, Ordering};

/// The part of a shared node that does not depend on its type.
#[repr(transparent)]
pub(in crate::graph) struct Head {
    pub(in crate::graph) node: Node,
}

/// `waiters` once the result is there. Addresses that no waiter has: they are aligned.
pub(super) const DONE: *mut Waiter = ptr::without_provenance_mut(1);
/// `waiters` once there will be no result.
pub(in crate::graph) const FAILED: *mut Waiter = ptr::without_provenance_mut(2);
/// A bit of `waiters` that is set once somebody who looked for a [cycle] has gone on from here. Whoever is put there
/// after that has to look, too.
pub(super) const LOOKED_AT: usize = 4;

const _: () = assert!(LOOKED_AT < align_of::<Waiter>(), "the bit is not one of an address");

/// The first of those who wait, in a state that is neither `DONE` nor `FAILED`.
#[inline(always)]
pub(super) fn first_waiter(state: *mut Waiter) -> *mut Waiter {
    state.map_addr(|addr| addr & !LOOKED_AT)
}

/// What a task that asks for a result finds.
pub(in crate::graph) enum Asked {
    Done,
    Failed,
    /// The task will be told.
    Waits,
    /// The task will be told, but first has to start the computation: by the step of this node.
    First(NonNull<Node>),
    /// The task would wait for itself, and has failed.
    Cycle,
}

impl Head {
    /// Nobody waits.
    #[inline(always)]
    pub(in crate::graph) fn new(table: &'static Table, origin: &'static Location<'static>) -> Self {
        let node = Node::new(table, origin, 0);
        let number = ptr::without_provenance_mut(cycle::next_number());
        node.attach(Destination { consumer: None, slot: number });
        Self { node }
    }

    /// A [`Waiter`], or what else the state is.
    ///
    /// # Safety
    ///
    /// The node is alive as long as this is used.
    #[inline(always)]
    pub(super) unsafe fn waiters<'a>(this: NonNull<Self>) -> &'a AtomicPtr<()> {
        // SAFETY: the caller's promise.
        unsafe { (*this.as_ptr()).node.instead_of_destination() }.0
    }

    /// The number of the computation: see [`cycle`].
    ///
    /// # Safety
    ///
    /// As for `waiters`.
    #[inline(always)]
    pub(in crate::graph) unsafe fn number(this: NonNull<Self>) -> usize {
        // SAFETY: the caller's promise. Relaxed: see `cycle`.
        unsafe { (*this.as_ptr()).node.instead_of_destination() }.1.load(Ordering::Relaxed).addr()
    }

    /// # Safety
    ///
    /// As for `waiters`.
    pub(in crate::graph) unsafe fn set_number(this: NonNull<Self>, number: usize) {
        // SAFETY: the caller's promise. Relaxed: see `cycle`.
        let (_, word) = unsafe { (*this.as_ptr()).node.instead_of_destination() };
        word.store(ptr::without_provenance_mut(number), Ordering::Relaxed);
    }

    /// If there will be no result: the scope, which has the failure. It is in the node's link, which no list needs any more.
    ///
    /// # Safety
    ///
    /// As for `waiters`.
    pub(super) unsafe fn failed_scope<'a>(this: NonNull<Self>) -> &'a AtomicPtr<()> {
        // SAFETY: the caller's promise.
        unsafe { (*this.as_ptr()).node.link() }
    }

    /// Those who wait, one after the other.
    ///
    /// # Safety
    ///
    /// The computation has been started, and has not settled.
    pub(in crate::graph) unsafe fn waiting<'a>(this: NonNull<Self>) -> impl Iterator<Item = &'a Waiter> {
        // SAFETY: what has started and not settled is waited for, by somebody with a handle that keeps the node.
        let mut next = unsafe { Self::state(this) };
        iter::from_fn(move || {
            // SAFETY: whoever waits for what has not settled still does.
            let waiter = unsafe { first_waiter(next).as_ref() }?;
            next = waiter.next.get();
            Some(waiter)
        })
    }

    /// Those who wait; whoever comes later has to look for a cycle, too.
    ///
    /// # Safety
    ///
    /// As for `waiting`.
    pub(super) unsafe fn look_at_waiting<'a>(this: NonNull<Self>) -> impl Iterator<Item = &'a Waiter> {
        // SAFETY: as in `waiting`.
        let waiters = unsafe { Self::waiters(this) };
        let looked_at = |first: *mut ()| Some(first.map_addr(|addr| addr | LOOKED_AT));
        // AcqRel: whoever was put there before this is seen, and whoever is put there after this sees the mark.
        let before = waiters.fetch_update(Ordering::AcqRel, Ordering::Acquire, looked_at);
        debug_assert!(
            before.is_ok_and(|first| first != DONE.cast() && first != FAILED.cast()),
            "who looks waits for it to settle"
        );
        // SAFETY: the caller's promise.
        unsafe { Self::waiting(this) }
    }

    /// Whether there are more handles than these; if so, [whoever sleeps for it](crate::graph::future::asleep::look_around) hears when
    /// one is dropped.
    ///
    /// # Safety
    ///
    /// As for `waiting`.
    pub(in crate::graph) unsafe fn has_more_handles_than(this: NonNull<Self>, handles: u32) -> bool {
        // SAFETY: as in `waiting`.
        let users = unsafe { (*this.as_ptr()).node.users() };
        // Acquire, pairs with the Release of those who gave up their use.
        let is_more = |users: u32| handles < users & !WATCHED;
        is_more(users.load(Ordering::Acquire)) && is_more(users.fetch_or(WATCHED, Ordering::AcqRel))
    }

    /// # Safety
    ///
    /// The caller has a handle.
    #[inline(always)]
    pub(in crate::graph) unsafe fn state(this: NonNull<Self>) -> *mut Waiter {
        // SAFETY: the handle keeps the node.
        // Acquire, pairs with the Release in `settle`.
        unsafe { Self::waiters(this) }.load(Ordering::Acquire).cast()
    }

    /// Puts `waiter` among those who will be told, unless they have been told; its link is the state as it was last seen.
    ///
    /// # Safety
    ///
    /// The waiter's consumer, which is part of `scope`, waits for the result, and holds a handle on it until it has arrived.
    /// That may be before this returns: then the scope may be gone, too.
    #[inline(always)]
    pub(in crate::graph) unsafe fn ask(this: NonNull<Self>, waiter: NonNull<Waiter>, scope: ScopePtr) -> Asked {
        // SAFETY: the consumer does not wait for this yet, so it keeps its scope, and by its handle the node.
        let has_to_look = |first: *mut Waiter| unsafe {
            let scope = scope.as_ref();
            scope.is_in_shared() && (first.addr() & LOOKED_AT != 0 || !cycle::is_in_order(scope, this))
        };
        // SAFETY: as above.
        match unsafe { Self::put(this, waiter, has_to_look) } {
            Some(Asked::First(node)) => {
                // SAFETY: what has not started cannot arrive, so the consumer still keeps both.
                unsafe {
                    let scope = scope.as_ref();
                    if scope.is_in_shared() {
                        cycle::put_in_order(scope, this);
                    }
                }
                Asked::First(node)
            }
            Some(asked) => asked,
            // SAFETY: nothing was put there, so the consumer still keeps both.
            None => unsafe { Self::look_and_ask(this, waiter, scope) },
        }
    }

    /// Puts `waiter` there, unless others wait already and `stops` returns true for the first of them.
    ///
    /// # Safety
    ///
    /// As for `ask`.
    #[inline(always)]
    unsafe fn put(this: NonNull<Self>, waiter: NonNull<Waiter>, stops: impl Fn(*mut Waiter) -> bool) -> Option<Asked> {
        // SAFETY: the waiter is not in the list yet, so its consumer is alive, with a handle that keeps the node.
        let (waiters, next) = unsafe { (Self::waiters(this), &(*waiter.as_ptr()).next) };
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
            match waiters.compare_exchange(first.cast(), now_first.cast(), Ordering::Release, Ordering::Acquire) {
                Ok(_) if first.is_null() => return Some(Asked::First(this.cast())),
                Ok(_) => return Some(Asked::Waits),
                Err(now) => next.set(now.cast()),
            }
        }
    }

    /// Asks on behalf of a task that may close a cycle; if it does, its scope fails.
    ///
    /// # Safety
    ///
    /// As for `ask`.
    #[cold]
    unsafe fn look_and_ask(this: NonNull<Self>, waiter: NonNull<Waiter>, scope: ScopePtr) -> Asked {
        let mut search = cycle::lock_search();
        // SAFETY: the consumer does not wait yet, so it is the caller's; the rest is the caller's promise.
        unsafe {
            let (consumer, scope) = ((*waiter.as_ptr()).consumer, scope.as_ref());
            let state = Self::state(this);
            if state != DONE
                && state != FAILED
                && let Some(path) = search.path(consumer, scope, this)
            {
                // Its inputs are still out: it has not asked for them.
                let mut chain = settle::needed_by(Destination::signal(consumer));
                scope.fail(|| Error::cycle(chain.next(), path).needed_by(chain));
                return Asked::Cycle;
            }
            Self::put(this, waiter, |_| false).expect("nothing stops it")
        }
    }

    /// Makes the failure of a computation that has [failed](Asked::Failed) that of the scope of `consumer`.
    ///
    /// # Safety
    ///
    /// The computation has failed, and `consumer` holds a handle on it.
    #[cold]
    pub(in crate::graph) unsafe fn blame(this: NonNull<Self>, consumer: NonNull<Node>, scope: &Scope) {
        // SAFETY: the handle keeps the node, which keeps the scope of what has failed; the consumer is still to be told.
        let (failed, needed_by) = unsafe {
            let failed = &*Self::failed_scope(this).load(Ordering::Relaxed).cast::<Scope>();
            (failed, settle::needed_by(Destination::signal(consumer)))
        };
        scope.fail(|| failed.failure().needed_by(needed_by));
    }
}

//! The head of a shared node: who waits for its result, whatever type that has.
//!
//! The state is one word, `waiters`: see [`shared`](super::shared). Whoever asks puts himself there, unless he would close a
//! [cycle].

use std::iter;
use std::ptr::{self, NonNull};

use super::cycle::{self, Place};
use super::node::{Destination, Node, WATCHED};
use super::scope::{Scope, Waiter};
use super::settle;
use crate::error::Error;
use crate::sync::atomic::{AtomicPtr, Ordering, fence};

/// What of a shared node does not depend on its type.
#[repr(C)]
pub(super) struct Head {
    pub(super) node: Node,
    pub(super) waiters: AtomicPtr<Waiter>,
    /// That of the computation, from its start until it is done; it has the failure of one that failed.
    pub(super) scope: AtomicPtr<Scope>,
}

/// `waiters` once the result is there. Addresses that no waiter has: they are aligned.
pub(super) const DONE: *mut Waiter = ptr::without_provenance_mut(1);
/// `waiters` once there will be no result.
pub(super) const FAILED: *mut Waiter = ptr::without_provenance_mut(2);
/// A bit of `waiters` that is set once somebody who looked for a [cycle] has gone on from here. Whoever puts himself there
/// after that has to look, too.
pub(super) const LOOKED_AT: usize = 4;

const _: () = assert!(LOOKED_AT < align_of::<Waiter>(), "the bit is not one of an address");

/// The first of those who wait, of a state that is neither `DONE` nor `FAILED`.
#[inline(always)]
pub(super) fn first_waiter(state: *mut Waiter) -> *mut Waiter {
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
    /// closes a cycle, then whoever is the last one of that has been here. And of two that have just started, and want each
    /// other, one at least sees that the other has.
    unsafe fn may_close_cycle(this: NonNull<Self>, state: *mut Waiter) -> bool {
        // SAFETY: as in `state`.
        let scope = unsafe { &(*this.as_ptr()).scope };
        if state.addr() & LOOKED_AT != 0 || !scope.load(Ordering::Relaxed).is_null() {
            return true;
        }
        // SeqCst, pairs with that of the other one: our own computation has started before this.
        fence(Ordering::SeqCst);
        !scope.load(Ordering::Acquire).is_null()
    }

    /// Its place among those that wait for each other, if it may have one.
    ///
    /// # Safety
    ///
    /// The caller has a handle, or it has not settled; and nobody else may start to wait, or settle it, who could close a cycle.
    pub(super) unsafe fn place<'a>(this: NonNull<Self>) -> Option<&'a Place> {
        // SAFETY: the caller's promise; as in `state`.
        let (state, scope) = unsafe { (Self::state(this), (*this.as_ptr()).scope.load(Ordering::Acquire)) };
        let has_place = state != DONE && state != FAILED && state.addr() & LOOKED_AT != 0;
        if !has_place {
            return None;
        }
        // SAFETY: the scope of one that was looked at goes under the lock of those who ask, and is not here after that.
        unsafe { scope.as_ref() }?.place()
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

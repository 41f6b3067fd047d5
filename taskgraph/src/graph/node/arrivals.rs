//! How a node waits: its inputs arrive one by one, with a value or as a failure, and the last one owns it.
//!
//! The count of the inputs still out says nothing about their success. An input that fails sets a bit beside the count,
//! and puts itself into a list, so that whoever gives the node up knows which of its slots are empty.

use std::ptr::{self, NonNull};

use super::Node;
use crate::graph::scope::{Scope, ScopePtr};
use crate::sync::atomic::Ordering;

/// Set in `missing` once an input has failed.
pub(super) const FAILED: u32 = 1 << 31;
/// Set in `missing` until the node has asked for the shared results among its inputs.
pub(in crate::graph) const TO_ASK: u32 = 1 << 30;
/// Set in `missing` of a ready node that starts with a [`Rank`](crate::graph::launch::ranked::Rank), until it is among the ranks.
pub(in crate::graph) const RANKED: u32 = 1 << 29;
/// Set in a `link` that is a scope and not a failed input.
const IS_SCOPE: usize = 1;

const _: () =
    assert!(IS_SCOPE < align_of::<Scope>() && IS_SCOPE < align_of::<FailedInput>(), "the bit is not one of an address");

/// What the caller owes after an input has arrived.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::graph) enum Arrival {
    StillWaiting,
    NowReady,
    /// All inputs are in, and at least one failed: the node is to be given up.
    NowFailed,
}

impl Node {
    /// Makes a node that was ready wait again, for this many inputs. Only while it is ours.
    #[inline(always)]
    pub(in crate::graph) fn wait_for(&self, inputs: u32) {
        self.missing.store(inputs, Ordering::Relaxed);
        self.wait_again();
    }

    /// Makes a node that was queued before any of its inputs could arrive wait for them. Only while it is ours.
    #[inline(always)]
    pub(in crate::graph) fn wait_again(&self) {
        // From here on the link is for failed inputs. It still had the scope that its queue needed.
        self.link.store(ptr::null_mut(), Ordering::Relaxed);
    }

    /// As [`wait_for`](Self::wait_for), for a node that waits for shared results: others can ask for its scope.
    #[inline(always)]
    pub(in crate::graph) fn wait_in(&self, scope: ScopePtr, inputs: u32) {
        self.missing.store(inputs, Ordering::Relaxed);
        // Relaxed: whoever asks has found the node in a list of waiters, which it enters after this.
        self.link.store(scope.as_ptr().cast::<()>().map_addr(|addr| addr | IS_SCOPE), Ordering::Relaxed);
    }

    /// The scope that a node [waits in](Self::wait_in), which is kept behind its failed inputs.
    #[inline(always)]
    pub(in crate::graph) fn waits_in(&self) -> ScopePtr {
        // Acquire, pairs with the Release of a failed input.
        let mut last = self.link.load(Ordering::Acquire);
        debug_assert!(!last.is_null(), "a node that waits for a shared result waits in a scope");
        while last.addr() & IS_SCOPE == 0 {
            // SAFETY: the failed inputs of a node stay as long as it waits.
            last = unsafe { (*last.cast::<FailedInput>()).next };
        }
        NonNull::new(last.map_addr(|addr| addr & !IS_SCOPE).cast()).expect("a scope has an address")
    }

    /// Adds an input. Only while another one is still out.
    pub(in crate::graph) fn expect_input(&self) {
        // Relaxed: the input that is still out keeps the count above zero until everything it did is visible.
        self.missing.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether all other inputs have arrived, with values. Then these need not be counted: nobody else counts any more.
    ///
    /// # Safety
    ///
    /// This many inputs of the node are the caller's, and have not arrived.
    #[inline(always)]
    pub(in crate::graph) unsafe fn misses_only(this: NonNull<Self>, inputs: u32) -> bool {
        // Acquire, pairs with the Release of the other inputs: whoever makes the node ready sees what they wrote.
        // SAFETY: the node waits for these inputs, so it is alive until the count says otherwise.
        unsafe { (*this.as_ptr()).missing.load(Ordering::Acquire) == inputs }
    }

    /// This many inputs have arrived with their values, or are no longer inputs, which is the same.
    ///
    /// The node may be gone when this returns, so it is not held by reference.
    ///
    /// # Safety
    ///
    /// As for [`misses_only`](Self::misses_only); now they have arrived.
    #[inline(always)]
    pub(in crate::graph) unsafe fn inputs_arrived(this: NonNull<Self>, inputs: u32) -> Arrival {
        // SAFETY: nobody has counted these inputs yet, so the node still waits for them.
        unsafe { if Self::misses_only(this, inputs) { Arrival::NowReady } else { Self::count(this, inputs) } }
    }

    /// # Safety
    ///
    /// As for [`inputs_arrived`](Self::inputs_arrived).
    #[inline(always)]
    unsafe fn count(this: NonNull<Self>, inputs: u32) -> Arrival {
        // AcqRel: Release hands our values to the last arrival, Acquire takes the others' if that is us.
        // SAFETY: as in `inputs_arrived`.
        arrival(unsafe { (*this.as_ptr()).missing.fetch_sub(inputs, Ordering::AcqRel) }, inputs)
    }

    /// A shared result among the inputs has arrived; `bearer` is the worker that brings it.
    ///
    /// # Safety
    ///
    /// As for [`inputs_arrived`](Self::inputs_arrived).
    #[inline(always)]
    pub(in crate::graph) unsafe fn input_brought(this: NonNull<Self>, bearer: u32) -> Arrival {
        // SAFETY: as in `inputs_arrived`: the node waits for this input until it is counted.
        unsafe {
            if Self::misses_only(this, 1) {
                return Arrival::NowReady;
            }
            // Relaxed: only a hint.
            this.as_ref().users.store(bearer, Ordering::Relaxed);
            Self::count(this, 1)
        }
    }

    /// Whether this worker, as far as is known, brought another shared result before the last one, so that its cache
    /// has part of the node. Only for the owner.
    #[inline(always)]
    pub(in crate::graph) fn is_near(&self, bearer: u32) -> bool {
        self.users.load(Ordering::Relaxed) == bearer
    }

    /// An input has arrived as a failure; `slot` is the place that stays empty, if it has one.
    ///
    /// # Safety
    ///
    /// The input belongs to the node, and has not arrived before.
    #[cold]
    pub(in crate::graph) unsafe fn input_failed(this: NonNull<Self>, slot: *mut ()) -> Arrival {
        if !slot.is_null() {
            // SAFETY: the node waits for this input.
            unsafe { this.as_ref() }.add_failed(slot);
        }
        // SAFETY: as above, until the input is counted here.
        let missing = unsafe { &(*this.as_ptr()).missing };
        // AcqRel: as in `count`; Release also hands over the entry just made.
        let before = missing.fetch_update(Ordering::AcqRel, Ordering::Acquire, |missing| Some((missing | FAILED) - 1));
        match arrival(before.expect("the mark is always made"), 1) {
            Arrival::StillWaiting => Arrival::StillWaiting,
            Arrival::NowReady | Arrival::NowFailed => Arrival::NowFailed,
        }
    }

    /// How many inputs will arrive once the node has asked for the shared ones; `None` if it has asked, or need not.
    #[inline(always)]
    pub(in crate::graph) fn inputs_to_ask(&self) -> Option<u32> {
        let missing = self.missing.load(Ordering::Relaxed);
        (missing & TO_ASK != 0).then_some(missing & !TO_ASK)
    }

    /// Makes a node that need not ask any more wait for this many inputs, to be given up then. Only while it is ours.
    pub(in crate::graph) fn wait_to_fail(&self, inputs: u32) {
        self.wait_for(inputs | FAILED);
    }

    /// Whether a node that was made without inputs has [waited](Self::wait_for) for one since, and that one is in.
    #[inline(always)]
    pub(in crate::graph) fn has_waited(&self) -> bool {
        // A single input leaves the count as it found it, and a failed one leaves its mark.
        self.missing.load(Ordering::Relaxed) != 0
    }

    /// Whether an input has failed. Only for the owner.
    #[inline(always)]
    pub(in crate::graph) fn has_failed(&self) -> bool {
        self.missing.load(Ordering::Relaxed) & FAILED != 0
    }

    fn add_failed(&self, slot: *mut ()) {
        let input = Box::into_raw(Box::new(FailedInput { slot, next: ptr::null_mut() }));
        let mut first = self.link.load(Ordering::Relaxed);
        loop {
            // SAFETY: the entry is ours until it is in the list.
            unsafe { (*input).next = first };
            // Release, pairs with the Acquire through which the last arrival comes to own the node.
            match self.link.compare_exchange_weak(first, input.cast(), Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => first = now,
            }
        }
    }

    /// The inputs that failed. Only for the owner of a node that has waited.
    #[cold]
    pub(in crate::graph) fn take_failed(&self) -> FailedInputs {
        let mut slots = Vec::new();
        if self.has_failed() {
            let mut next = self.link.swap(ptr::null_mut(), Ordering::Relaxed);
            while !next.is_null() && next.addr() & IS_SCOPE == 0 {
                // SAFETY: the list's entries come from boxes, and the list is ours.
                let input = unsafe { Box::from_raw(next.cast::<FailedInput>()) };
                slots.push(input.slot);
                next = input.next;
            }
            slots.sort_unstable();
        }
        FailedInputs(slots)
    }

    /// Adds the failed inputs of a part of this node's inputs to its own.
    pub(in crate::graph) fn adopt_failed(&self, failed: FailedInputs) {
        for slot in failed.0 {
            self.add_failed(slot);
        }
    }
}

#[inline(always)]
fn arrival(before: u32, inputs: u32) -> Arrival {
    debug_assert!(inputs <= before & !FAILED, "more inputs arrived than the node has");
    if before == inputs {
        Arrival::NowReady
    } else if before == inputs | FAILED {
        Arrival::NowFailed
    } else {
        Arrival::StillWaiting
    }
}

/// An input that failed. Failures are rare, so only they pay for being remembered.
struct FailedInput {
    slot: *mut (),
    next: *mut (),
}

/// Which slots of a node that is given up stayed empty, in order.
pub(in crate::graph) struct FailedInputs(Vec<*mut ()>);

impl FailedInputs {
    pub(in crate::graph) fn contains<T>(&self, slot: *mut T) -> bool {
        self.0.binary_search(&slot.cast()).is_ok()
    }
}

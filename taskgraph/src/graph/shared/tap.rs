//! Taps: how a task takes a shared result.
//!
//! A task with taps is a leaf of its graph. Its first step *asks*: it puts itself among those who wait for each result
//! that is not there yet, starts those that nobody has asked for before, and whatever else it has to wait for. From
//! then on it waits like any other node, and its second step runs its body.
//!
//! So results are asked for when a task is started, not when it is built: a task that is never run keeps and starts nothing.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use super::Shared;
use super::head::{Asked, DONE, Head};
use crate::graph::call::input::{FailedSlots, Input, Placing};
use crate::graph::cx::Cx;
use crate::graph::future::asleep;
use crate::graph::node::links::List;
use crate::graph::node::{Arrival, Node, Ready};
use crate::graph::scope::Waiter;
use crate::graph::settle;

/// A shared result in a slot: a handle on it, and a place in the list of those who wait for it.
#[repr(transparent)]
pub struct Tap<T> {
    any: AnyTap,
    handle: PhantomData<Shared<T>>,
}

/// A [`Tap`] of any type.
pub struct AnyTap {
    /// Until the node has asked, the link of its first tap holds the leaves of its other inputs.
    waiter: Waiter,
    head: NonNull<Head>,
}

impl AnyTap {
    /// The first look: starts what else the node waits for. Returns whether the result is there; if so, the tap is marked.
    ///
    /// # Safety
    ///
    /// The node has not asked yet.
    #[inline(always)]
    unsafe fn look(&self, cx: &mut Cx<'_>) -> bool {
        // SAFETY: the caller's promise; the tap holds a handle.
        unsafe {
            cx.add_ready(self.take_held());
            let state = Head::state(self.head);
            self.waiter.next.set(state);
            state == DONE
        }
    }

    /// Keeps the leaves of the node's other inputs until it asks.
    #[inline(always)]
    pub(in crate::graph) fn hold(&self, leaves: List) {
        self.waiter.next.set(leaves.into_raw().cast());
    }

    /// # Safety
    ///
    /// The node has not asked yet.
    #[inline(always)]
    unsafe fn take_held(&self) -> List {
        // SAFETY: the caller's promise; what is there came from `hold`.
        unsafe { List::from_raw(self.waiter.next.replace(ptr::null_mut()).cast()) }
    }
}

/// What the step of a node with taps that may not have asked comes to; `None` if all of its inputs are there.
///
/// # Safety
///
/// The node is ready, and the caller's; `slots` are its own.
#[inline(always)]
pub(in crate::graph) unsafe fn ask<I: Input>(
    node: NonNull<Node>,
    slots: *mut I::Slot,
    cx: &mut Cx<'_>,
) -> Option<Option<Ready>> {
    // SAFETY: the caller's promise.
    let mut missing = unsafe { node.as_ref() }.inputs_to_ask()?;
    // SAFETY: the slots are filled, and the node has not asked.
    unsafe { I::for_each_tap(slots, &mut |tap: NonNull<AnyTap>| missing -= u32::from(tap.as_ref().look(cx))) };
    // SAFETY: the node is ours.
    unsafe { node.as_ref() }.wait_in(cx.scope_ptr(), missing);
    if missing == 0 {
        return None;
    }
    let is_late = cx.scope().begin_asking();
    let mut asking = Asking { node, cx, first: None, arrival: Arrival::StillWaiting, missing };
    // SAFETY: the slots are filled; the node is left alone once all that is missing has been asked for.
    unsafe { I::for_each_tap(slots, &mut asking) };
    let Asking { cx, first, arrival, .. } = asking;
    if is_late {
        asleep::look_around();
    }
    match arrival {
        Arrival::NowReady => None,
        // SAFETY: all inputs are in, so the node is ours.
        Arrival::NowFailed => Some(unsafe { settle::abandon(node, cx) }),
        // SAFETY: nobody has asked for it before, so its node is ours; we wait for it, so it is alive.
        Arrival::StillWaiting => Some(first.and_then(|first| unsafe { Node::step(first, cx) })),
    }
}

/// Visits the shared results among the inputs of a node.
pub trait Visit {
    /// Whether to go on: if not, the node may be gone.
    #[doc(hidden)]
    fn visit(&mut self, tap: NonNull<AnyTap>) -> bool;
}

impl<F: FnMut(NonNull<AnyTap>)> Visit for F {
    #[inline(always)]
    fn visit(&mut self, tap: NonNull<AnyTap>) -> bool {
        self(tap);
        true
    }
}

/// A node that asks for what is not there.
struct Asking<'a, 'h> {
    node: NonNull<Node>,
    cx: &'a mut Cx<'h>,
    /// The first shared computation to be started; the others are queued.
    first: Option<NonNull<Node>>,
    /// What came of the last input that was there after all.
    arrival: Arrival,
    /// Inputs for which the node does not wait yet. From the last one on it may be gone.
    missing: u32,
}

// A type of its own, since the compiler need not inline a closure: asking takes half as long.
impl Visit for Asking<'_, '_> {
    /// Visits a tap of the node, which waits for the result unless that was there at the first look.
    #[inline(always)]
    fn visit(&mut self, tap: NonNull<AnyTap>) -> bool {
        // SAFETY: the node waits for something that it has not asked for, so it is alive.
        let AnyTap { waiter, head } = unsafe { tap.as_ref() };
        if waiter.next.get() == DONE {
            return true;
        }
        self.missing -= 1;
        // SAFETY: the tap holds a handle until the node's inputs have all arrived.
        match unsafe { Head::ask(*head, NonNull::from(waiter), self.cx.scope_ptr()) } {
            Asked::Waits => {}
            Asked::First(shared) if self.first.is_none() => self.first = Some(shared),
            // SAFETY: nobody has asked for it before, so its node is ours.
            Asked::First(shared) => self.cx.add_ready(unsafe { List::of(shared) }),
            // SAFETY: the node waits for this.
            asked => self.arrival = unsafe { self.is_there(asked, *head) },
        }
        self.missing != 0
    }
}

impl Asking<'_, '_> {
    /// An input is there after all, or has failed.
    ///
    /// # Safety
    ///
    /// The node waits for it, and holds a handle on `head`.
    #[cold]
    unsafe fn is_there(&self, asked: Asked, head: NonNull<Head>) -> Arrival {
        // SAFETY: the caller's promise.
        unsafe {
            match asked {
                Asked::Done => Node::inputs_arrived(self.node, 1),
                Asked::Failed => {
                    Head::blame(head, self.node, self.cx.scope());
                    Node::input_failed(self.node, ptr::null_mut())
                }
                Asked::Cycle => Node::input_failed(self.node, ptr::null_mut()),
                Asked::First(_) | Asked::Waits => unreachable!("that is still to come"),
            }
        }
    }
}

/// A node that is given up does not ask any more. Returns whether it has other inputs, which are given up first.
///
/// # Safety
///
/// The node is the caller's, and all that was started of its inputs has arrived; `slots` are its own.
pub(in crate::graph) unsafe fn forgo<I: Input>(node: NonNull<Node>, slots: *mut I::Slot, cx: &mut Cx<'_>) -> bool {
    // SAFETY: the caller's promise.
    let Some(mut inputs) = (unsafe { node.as_ref() }).inputs_to_ask() else { return false };
    let mut take = |tap: NonNull<AnyTap>| {
        inputs -= 1;
        // SAFETY: the tap is in a slot of the node, which has not asked.
        cx.add_ready(unsafe { tap.as_ref().take_held() });
    };
    // SAFETY: the slots are filled.
    unsafe { I::for_each_tap(slots, &mut take) };
    // SAFETY: the caller's promise.
    unsafe { node.as_ref() }.wait_to_fail(inputs);
    inputs != 0
}

impl<T> Tap<T> {
    /// # Safety
    ///
    /// `slot` is room for a tap inside the node of `placing`.
    #[inline(always)]
    unsafe fn place(shared: Shared<T>, slot: *mut Self, placing: &mut Placing) {
        let next = Cell::new(ptr::null_mut());
        let waiter = Waiter { next, consumer: placing.node() };
        // SAFETY: the caller's promise.
        unsafe {
            slot.write(Self { any: AnyTap { waiter, head: shared.into_head() }, handle: PhantomData });
            placing.expect_tap(NonNull::new_unchecked(slot.cast()));
        }
    }

    /// The handle.
    ///
    /// # Safety
    ///
    /// The slot holds a tap, which is not used again.
    #[inline(always)]
    unsafe fn take(slot: *mut Self) -> Shared<T> {
        // SAFETY: the caller's promise.
        unsafe { Shared::from_head((*slot).any.head) }
    }
}

/// A shared result as an argument, `U` says how.
pub struct Tapped<T, U>(Shared<T>, PhantomData<fn() -> U>);

impl<T, U> Tapped<T, U> {
    #[inline(always)]
    pub(in crate::graph) fn new(shared: Shared<T>) -> Self {
        Self(shared, PhantomData)
    }
}

/// How a task uses a shared result.
pub trait Use<T>: 'static {
    /// What the body gets.
    type Value;

    /// # Safety
    ///
    /// The result is there.
    unsafe fn of(shared: Shared<T>) -> Self::Value;
}

/// The body gets the value: a clone, or the result itself if nobody else needs it any more.
pub struct Owned;
/// The body borrows the result.
pub struct Borrowed;

impl<T: Clone> Use<T> for Owned {
    type Value = T;

    #[inline(always)]
    unsafe fn of(shared: Shared<T>) -> T {
        // SAFETY: the caller's promise.
        unsafe { shared.into_result() }
    }
}

impl<T> Use<T> for Borrowed {
    type Value = Present<T>;

    #[inline(always)]
    unsafe fn of(shared: Shared<T>) -> Present<T> {
        Present(shared)
    }
}

/// A shared result that is there.
pub struct Present<T>(Shared<T>);

impl<T> std::ops::Deref for Present<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: made for `Borrowed` only, when the tap has arrived with the value.
        unsafe { self.0.result() }
    }
}

// SAFETY: the tap arrives when the result is there; whether or not it did, the slot holds a handle.
unsafe impl<T: Send + Sync + 'static, U: Use<T>> Input for Tapped<T, U> {
    type Slot = Tap<T>;
    type Held = Shared<T>;
    type Value = U::Value;
    const HAS_TAPS: bool = true;

    #[inline(always)]
    unsafe fn for_each_tap(slot: *mut Tap<T>, tell: &mut impl Visit) -> bool {
        // SAFETY: a slot is not null.
        tell.visit(unsafe { NonNull::new_unchecked(slot.cast()) })
    }

    #[inline(always)]
    unsafe fn place(self, slot: *mut Tap<T>, placing: &mut Placing) {
        // SAFETY: the caller's promise.
        unsafe { Tap::place(self.0, slot, placing) }
    }

    #[inline(always)]
    unsafe fn take(slot: *mut Tap<T>) -> Shared<T> {
        // SAFETY: `place` has put a tap there, and the slot is not used again.
        unsafe { Tap::take(slot) }
    }

    #[inline(always)]
    fn open(held: Shared<T>) -> U::Value {
        // SAFETY: the tap has arrived with the value.
        unsafe { U::of(held) }
    }

    unsafe fn discard(slot: *mut Tap<T>, _: &FailedSlots<'_>) {
        // SAFETY: as in `take`, whether or not the result is there.
        drop(unsafe { Tap::take(slot) });
    }
}

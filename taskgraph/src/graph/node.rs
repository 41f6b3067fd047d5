//! The node: one allocation that holds a task from its construction until it has settled.
//!
//! ```text
//! waiting --last input arrives--> ready --a worker takes it--> running --> settled
//!    |                              |                             |
//!    +--an input failed, all are in-+--its scope has stopped--> given up
//! ```
//!
//! Every node starts with a [`Node`], the part that is the same for all; arguments, body and results follow in the
//! same allocation, and only the functions of its [`Table`] know their types.
//!
//! Who may touch what:
//!
//! | field | written by | read by |
//! |---|---|---|
//! | `table` | the constructor | everybody |
//! | `origin`, `consumer`, `slot` | the constructor; whoever attaches the node, before anything below it can run | whoever settles it; an error's trace |
//! | the last two, of a shared node | see [`head`](super::shared::head) | |
//! | `link` | the owner of the list that the node is in; while it waits, its failing inputs (atomically) | the same; whoever looks for its scope |
//! | `missing` | the constructor; its owner while no input is out; its inputs, once each, alone or [together](super::settle::tally) (atomically) | its inputs |
//! | `users`, on a shared node: the number of handles | whoever has one (atomically) | the same |
//! | `users`, on a node that waits for shared results: which worker brought the last, a hint | whoever brings one | workers |
//! | `users`, on a starter: a mark | the constructor | workers |
//!
//! What always holds:
//!
//! 1. Every input of a node arrives exactly once, with a value in its slot or as a failure.
//! 2. The last arrival owns the node: it makes it ready, or gives it up. Nobody else touches it any more.
//! 3. A node is consumed by exactly one call of `step` or `abandon` for each time it became ready or was given up;
//!    that call frees it or makes it wait again.
//! 4. The consumer of a node waits for it, so it lives until the node has arrived there. So does every consumer further up.

pub(super) mod links;
pub(super) mod memory;

mod arrivals;

use std::any::Any;
use std::borrow::Cow;
use std::cell::Cell;
use std::panic::Location;
use std::ptr::{self, NonNull};
use std::sync::Arc;

pub(super) use self::arrivals::{Arrival, FailedInputs, RANKED, TO_ASK};
use super::cx::Cx;
use super::scope::ScopePtr;
use crate::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use crate::task::Task;

#[repr(C)]
pub(crate) struct Node {
    table: &'static Table,
    /// The call that made it.
    origin: Cell<&'static Location<'static>>,
    consumer: AtomicPtr<()>,
    slot: AtomicPtr<()>,
    /// In a list: the next node. In a queue: its scope. While it waits: its failed inputs, and behind them its scope if
    /// it waits for shared results. On a shared node that has failed: the scope of its computation.
    link: AtomicPtr<()>,
    /// How many inputs have not been counted, and whether one has failed: see [`arrivals`].
    missing: AtomicU32,
    /// The number of handles, a worker, or a mark: see the table.
    users: AtomicU32,
}

/// The functions that know the types behind a [`Node`].
pub(crate) struct Table {
    /// Takes the step of a ready node; returns the node to go on with.
    pub(super) step: unsafe fn(NonNull<Node>, &mut Cx<'_>) -> Option<Ready>,
    /// Gives up a node that is ready but not to be stepped, or whose inputs are all in, at least one of them failed.
    pub(super) abandon: unsafe fn(NonNull<Node>, &mut Cx<'_>) -> Abandoned,
    /// What it is to users.
    pub(super) describe: unsafe fn(NonNull<Node>) -> Described,
}

/// What a node is to users.
pub(super) enum Described {
    /// A task, as errors name it.
    Task(Task),
    /// A name for the task below, and that task if there is one.
    Label(Cow<'static, str>, Option<Task>),
    /// Where a failure from below ends.
    Attempt(Task),
    /// Where a generator's items go instead of into its collection: an `Arc` of their outlet.
    Drain(Arc<dyn Any + Send + Sync>),
    /// The end of something awaited, or of a part of a run: the node that waits for it.
    Awaited(NonNull<Node>),
    /// The end of a shared computation: those who wait for it are not above it.
    Shared,
    /// Nothing that a user wrote.
    Plumbing,
    /// As if it were not there: its neighbours above and below are next to each other.
    Unseen,
}

/// What became of a node that was given up.
#[must_use]
pub(super) enum Abandoned {
    /// It is gone, and its failure goes where its result would have gone.
    Failed(Destination),
    /// It is gone, but its consumer has what it needs from it.
    Arrived(Destination),
    /// It turned the failure into something else, or waits for inputs that are still out.
    Caught(Option<Ready>),
}

/// A node that is ready: whoever holds it owes it its step.
#[must_use = "a ready node that nobody steps is lost"]
pub(crate) struct Ready(pub(super) NonNull<Node>);

// SAFETY: everything a node holds is `Send`: its constructors require that.
unsafe impl Send for Ready {}

/// Set in `users` if somebody wants to know when a handle is dropped.
pub(super) const WATCHED: u32 = 1 << 31;
/// Set in `users` of a node whose steps only make other nodes ready. Elsewhere it may be set by chance.
const STARTER: u32 = 1 << 28;

impl Node {
    pub(super) fn new(table: &'static Table, origin: &'static Location<'static>, missing: u32) -> Self {
        debug_assert!(missing & !(TO_ASK | RANKED) < RANKED, "a node has fewer than 2^29 inputs");
        Self {
            table,
            origin: Cell::new(origin),
            consumer: AtomicPtr::new(ptr::null_mut()),
            slot: AtomicPtr::new(ptr::null_mut()),
            link: AtomicPtr::new(ptr::null_mut()),
            missing: AtomicU32::new(missing),
            users: AtomicU32::new(1),
        }
    }

    #[inline(always)]
    pub(super) fn link(&self) -> &AtomicPtr<()> {
        &self.link
    }

    /// Takes the step of a node that is ready.
    ///
    /// # Safety
    ///
    /// The node is ready, and the caller's.
    #[inline(always)]
    pub(super) unsafe fn step(this: NonNull<Self>, cx: &mut Cx<'_>) -> Option<Ready> {
        // SAFETY: the caller's promise, and the table is that of this node's type.
        unsafe { (this.as_ref().table.step)(this, cx) }
    }

    /// Gives up a node whose inputs are all in, or that is ready.
    ///
    /// # Safety
    ///
    /// Its inputs are all in, or it is ready; and it is the caller's.
    pub(super) unsafe fn abandon(this: NonNull<Self>, cx: &mut Cx<'_>) -> Abandoned {
        // SAFETY: as for `step`.
        unsafe { (this.as_ref().table.abandon)(this, cx) }
    }

    #[inline(always)]
    pub(super) fn users(&self) -> &AtomicU32 {
        &self.users
    }

    pub(super) fn origin(&self) -> &'static Location<'static> {
        self.origin.get()
    }

    /// Makes the node stand for a call made elsewhere. Only before anything below it can run.
    pub(super) fn set_origin(&self, origin: &'static Location<'static>) {
        self.origin.set(origin);
    }

    /// Sets where the result goes. Only before anything below the node can run.
    #[inline(always)]
    pub(super) fn attach(&self, to: Destination) {
        // Relaxed, here and below: before anything of the node can run.
        self.consumer
            .store(to.consumer.map_or(ptr::null_mut(), |consumer| consumer.as_ptr().cast()), Ordering::Relaxed);
        self.slot.store(to.slot, Ordering::Relaxed);
    }

    #[inline(always)]
    pub(super) fn destination(&self) -> Destination {
        Destination { consumer: self.consumer(), slot: self.slot.load(Ordering::Relaxed) }
    }

    /// For a live shared node this is not a node, but something to compare with.
    #[inline(always)]
    pub(super) fn consumer(&self) -> Option<NonNull<Self>> {
        NonNull::new(self.consumer.load(Ordering::Relaxed).cast())
    }

    /// The words of the destination, for other uses, of a node that has none.
    #[inline(always)]
    pub(super) fn instead_of_destination(&self) -> (&AtomicPtr<()>, &AtomicPtr<()>) {
        (&self.consumer, &self.slot)
    }

    /// Whether a ready node is to be put among the ranks, not into a queue.
    #[inline(always)]
    pub(super) fn is_ranked(&self) -> bool {
        self.missing.load(Ordering::Relaxed) & RANKED != 0
    }

    /// The node is among the ranks now, or never will be. Only for the owner.
    pub(super) fn forget_rank(&self) {
        self.missing.store(0, Ordering::Relaxed);
    }

    /// Marks a node whose steps only make other nodes ready, or end a run.
    pub(super) fn mark_starter(&self) {
        self.users.store(1 | STARTER, Ordering::Relaxed);
    }

    pub(super) fn is_starter(&self) -> bool {
        self.users.load(Ordering::Relaxed) & STARTER != 0
    }

    #[inline(always)]
    pub(super) fn scope(&self) -> ScopePtr {
        NonNull::new(self.link.load(Ordering::Relaxed).cast()).expect("a queued node knows its scope")
    }

    #[inline(always)]
    pub(super) fn set_scope(&self, scope: ScopePtr) {
        self.link.store(scope.as_ptr().cast(), Ordering::Relaxed);
    }

    /// The name, where it stands alone, of the computation whose result is this node's.
    ///
    /// # Safety
    ///
    /// The node is alive.
    pub(super) unsafe fn task(this: NonNull<Self>) -> Option<Task> {
        // SAFETY: the caller's promise.
        let (described, origin) = unsafe { (Self::describe(this), this.as_ref().origin()) };
        match described {
            Described::Task(task) | Described::Attempt(task) => Some(task),
            Described::Label(label, of) => {
                let of = of.unwrap_or(Task { name: Cow::Borrowed(""), label: None, origin });
                Some(Task { label: Some(label), ..of })
            }
            Described::Drain(_)
            | Described::Awaited(_)
            | Described::Shared
            | Described::Plumbing
            | Described::Unseen => None,
        }
    }

    /// What this node is to users.
    ///
    /// # Safety
    ///
    /// The node is alive.
    pub(super) unsafe fn describe(this: NonNull<Self>) -> Described {
        // SAFETY: the caller's promise, and the table is that of this node's type.
        unsafe { (this.as_ref().table.describe)(this) }
    }
}

/// Where a result goes: the slot, and the node that waits for it. Nowhere, for a graph that is not part of a run.
#[derive(Clone, Copy)]
pub(super) struct Destination {
    pub(super) consumer: Option<NonNull<Node>>,
    pub(super) slot: *mut (),
}

impl Destination {
    /// An input without a slot of its own, such as a part of a fan-out.
    pub(super) fn signal(consumer: NonNull<Node>) -> Self {
        Self { consumer: Some(consumer), slot: ptr::null_mut() }
    }
}

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
//! | `origin`, `consumer`, `slot` | the constructor; whoever attaches the node, before anything below it can run | the one that settles it; an error's trace |
//! | the last two, of a shared node | see [`head`](super::head) | |
//! | `link` | the owner of the list that the node is in; while it waits, its failing inputs (atomically) | the same; who looks for its scope |
//! | `missing` | the constructor; its owner while no input is out; its inputs, once each, alone or [together](super::tally) (atomically) | its inputs |
//! | `users` | whoever has a handle on a shared node (atomically); the constructor of a starter; who brings shared results | the same; workers |
//!
//! What always holds:
//!
//! 1. Every input of a node arrives exactly once, with a value in its slot or as a failure.
//! 2. The last arrival owns the node: it makes it ready, or gives it up. Nobody else touches it any more.
//! 3. A node is consumed by exactly one call of `step` or `abandon` for each time it became ready or was given up;
//!    that call frees it or makes it wait again.
//! 4. The consumer of a node lives until the node has arrived there, since it waits for it. So does every consumer
//!    further up.

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
    /// In a list: the next node. In a queue: its scope. While it waits: its failed inputs, and at their end its scope if it
    /// waits for shared results. Of a shared node that has failed: the scope of its computation.
    link: AtomicPtr<()>,
    /// How many inputs have not been counted, and whether one has failed: see [`arrivals`].
    missing: AtomicU32,
    /// How many handles there are on a shared node. Who has brought a shared result, of a node that waits for some.
    users: AtomicU32,
}

/// What the types behind a [`Node`] are: the functions that know them.
pub(crate) struct Table {
    /// Takes the step of a ready node; gives the node to go on with.
    pub(super) step: unsafe fn(NonNull<Node>, &mut Cx<'_>) -> Option<Ready>,
    /// Gives up a node that is ready but not to be stepped, or whose inputs are all in and one of them failed.
    pub(super) abandon: unsafe fn(NonNull<Node>, &mut Cx<'_>) -> Abandoned,
    /// What it is to users.
    pub(super) describe: unsafe fn(NonNull<Node>) -> Described,
}

/// What a node is to users.
pub(super) enum Described {
    /// A task, as errors name it.
    Task(Task),
    /// A name for the task below, which is this one if there is any.
    Label(Cow<'static, str>, Option<Task>),
    /// Where a failure of what is below ends.
    Attempt(Task),
    /// Where items go that a generator need not collect: an `Arc` of their outlet.
    Drain(Arc<dyn Any + Send + Sync>),
    /// The end of what this task awaits, or of a part of a run: the node that waits for it.
    Awaited(NonNull<Node>),
    /// The end of a shared computation: who waits for that is not above it.
    Shared,
    /// Nothing that anybody wrote.
    Plumbing,
    /// As if it were not there: what is above and below are next to each other.
    Unseen,
}

/// What became of a node that was given up.
#[must_use]
pub(super) enum Abandoned {
    /// It is gone, and its failure goes where its result would have gone.
    Failed(Destination),
    /// It is gone, and its consumer has what it needs of it all the same.
    Arrived(Destination),
    /// It made something else of the failure, or waits for inputs that are still out.
    Caught(Option<Ready>),
}

/// A node that is ready: whoever holds it owes it its step.
#[must_use = "a ready node that nobody steps is lost"]
pub(crate) struct Ready(pub(super) NonNull<Node>);

// SAFETY: everything a node holds is `Send`: its constructors ask for that.
unsafe impl Send for Ready {}

/// Set in `users` if somebody wants to know when a handle goes.
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
    /// It is, and the caller's.
    #[inline(always)]
    pub(super) unsafe fn step(this: NonNull<Self>, cx: &mut Cx<'_>) -> Option<Ready> {
        // SAFETY: the caller's promise, and the table is that of this node's type.
        unsafe { (this.as_ref().table.step)(this, cx) }
    }

    /// Gives up a node whose inputs are all in, or that is ready.
    ///
    /// # Safety
    ///
    /// They are, and it is the caller's.
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

    /// The node stands for a call made elsewhere. Before anything below it can run.
    pub(super) fn set_origin(&self, origin: &'static Location<'static>) {
        self.origin.set(origin);
    }

    /// Says where the result goes. Before anything below the node can run.
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

    /// Of a shared node that is alive it is no node, but something to compare.
    #[inline(always)]
    pub(super) fn consumer(&self) -> Option<NonNull<Self>> {
        NonNull::new(self.consumer.load(Ordering::Relaxed).cast())
    }

    /// The words of the destination, for a node that has none.
    #[inline(always)]
    pub(super) fn instead_of_destination(&self) -> (&AtomicPtr<()>, &AtomicPtr<()>) {
        (&self.consumer, &self.slot)
    }

    /// Whether a ready node is to be put among the ranks, not into a queue.
    #[inline(always)]
    pub(super) fn is_ranked(&self) -> bool {
        self.missing.load(Ordering::Relaxed) & RANKED != 0
    }

    /// It is among the ranks now, or will never be. Only for the owner.
    pub(super) fn forget_rank(&self) {
        self.missing.store(0, Ordering::Relaxed);
    }

    /// All that its steps do is to make other nodes ready.
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

    /// How the computation of which this is the result's node is named where it stands alone.
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

//! A batch: children that the body of a generator has yielded, and that workers take together.
//!
//! The body adds children to the open batch while it runs. From the first one on the batch's *taker* is in a queue,
//! where every worker can find it; whoever steps it gets all children that are there by then, and the next child queues
//! it again. So a child can start as soon as it was yielded, and yet most change hands by the dozen.
//!
//! ```text
//! Generator  <-- Chunk of the batch <-- child child child ..
//!                           ^---------- taker, while it is queued
//!
//! children:  TAKEN --a child is added, which queues the taker--> leaves of children --the taker's step--> TAKEN
//! ```

use std::cell::Cell;
use std::mem;
use std::ptr::{self, NonNull};
use std::time::Instant;

use super::window::Window;
use crate::graph::all::chunk::{Chunk, FanOut};
use crate::graph::cx::Cx;
use crate::graph::node::links::List;
use crate::graph::node::{Abandoned, Arrival, Described, Destination, Node, Ready, Table};
use crate::graph::settle;
use crate::sync::atomic::{AtomicPtr, Ordering};

/// What a chunk knows of the generator it is part of.
pub(super) struct Batch {
    taker: Node,
    /// Leaves of children that nobody has taken, linked down to null; or [`TAKEN`].
    children: AtomicPtr<Node>,
    /// How many children there are, once the batch is closed.
    len: Cell<u32>,
    opened_at: Instant,
    window: NonNull<Window>,
    /// The generator's, which may be parked.
    pump: NonNull<Node>,
}

/// `children` while the taker is not queued. An address that no node has.
const TAKEN: *mut Node = ptr::without_provenance_mut(1);
/// What the count of an open batch starts at: more children than any has.
const OPEN: u32 = 1 << 16;
const TAKER: &Table = &Table { step: take, abandon: give_up, describe: |_| Described::Plumbing };

/// A batch to which the body adds children.
pub(super) struct OpenBatch {
    chunk: NonNull<Node>,
    len: u32,
}

impl OpenBatch {
    /// Opens a batch, as one more input of the generator, whose body has not ended.
    #[cold]
    pub(in crate::graph) fn new(generator: NonNull<Node>, window: &Window, pump: NonNull<Node>, cx: &Cx<'_>) -> Self {
        // SAFETY: the generator waits for its body, so it is alive.
        unsafe { generator.as_ref() }.expect_input();
        // SAFETY: as above.
        let taker = Node::new(TAKER, unsafe { generator.as_ref() }.origin(), 0);
        let children = AtomicPtr::new(TAKEN);
        let batch =
            Batch { taker, children, len: Cell::new(0), opened_at: cx.host.now(), window: NonNull::from(window), pump };
        let chunk = Chunk::<Batch>::open(generator, OPEN, batch);
        let batch = Self { chunk, len: 0 };
        // SAFETY: the chunk is ours until a child is in it.
        unsafe { batch.taker().as_ref() }.attach(Destination::signal(chunk));
        batch
    }

    /// The taker, by a pointer that is valid for the whole batch, since it leads back there.
    fn taker(&self) -> NonNull<Node> {
        // SAFETY: an open batch is alive.
        unsafe {
            let batch = Chunk::<Batch>::stamp(self.chunk);
            NonNull::new_unchecked(&raw mut (*batch.as_ptr()).taker)
        }
    }

    pub(in crate::graph) fn len(&self) -> u32 {
        self.len
    }

    /// Adds a child, whose graph starts with `leaves`; its result goes to `slot`.
    ///
    /// # Safety
    ///
    /// The graph is the caller's, and the slot is room for the child's result until the generator has all of them.
    #[inline(always)]
    pub(in crate::graph) unsafe fn add(&mut self, child: NonNull<Node>, leaves: List, slot: *mut (), cx: &mut Cx<'_>) {
        // SAFETY: the graph has not run, so its nodes are alive; and so is an open batch.
        let batch = unsafe {
            child.as_ref().attach(Destination { consumer: Some(self.chunk), slot });
            Chunk::<Batch>::stamp(self.chunk).as_ref()
        };
        self.len += 1;
        // Relaxed: only we add to it.
        let below = batch.children.load(Ordering::Relaxed);
        if below != TAKEN {
            let first = leaves.into_stack(below);
            // Release, pairs with the Acquire in `take_children`.
            if batch.children.compare_exchange(below, first, Ordering::Release, Ordering::Relaxed).is_ok() {
                return;
            }
            // SAFETY: the leaves are ours again, and end where they were put upon the others.
            return self.queue(batch, unsafe { List::from_stack(first, below) }, cx);
        }
        self.queue(batch, leaves, cx);
    }

    /// Queues the taker, since otherwise nobody would take what is added now.
    #[cold]
    fn queue(&self, batch: &Batch, leaves: List, cx: &mut Cx<'_>) {
        // Release: as above. While it is `TAKEN` nobody else touches it.
        batch.children.store(leaves.into_stack(ptr::null_mut()), Ordering::Release);
        // SAFETY: an open batch is alive; its taker is in no queue, and ours.
        unsafe {
            self.chunk.as_ref().expect_input();
            cx.add_ready(List::of(self.taker()));
        }
        cx.publish();
    }

    /// There will be no more children.
    pub(in crate::graph) fn close(self, cx: &mut Cx<'_>) {
        // SAFETY: the chunk waits for its open end, so it is alive, and its length is ours; and so is the window.
        unsafe {
            let batch = Chunk::<Batch>::stamp(self.chunk);
            batch.as_ref().len.set(self.len);
            batch.as_ref().window.as_ref().batch_closed(self.len);
        }
        // SAFETY: the chunk waits for as many inputs as we take back here.
        let next = match unsafe { Node::inputs_arrived(self.chunk, OPEN - self.len) } {
            Arrival::StillWaiting => None,
            // SAFETY: all children have arrived, so the chunk is ours.
            Arrival::NowReady => unsafe { Node::step(self.chunk, cx) },
            // SAFETY: as above.
            Arrival::NowFailed => unsafe { settle::abandon(self.chunk, cx) },
        };
        debug_assert!(next.is_none(), "the body is still out, and the pump is not parked");
    }
}

/// Starts all children that nobody has taken.
///
/// # Safety
///
/// The node is the taker of a batch, queued, and the caller's.
unsafe fn take(taker: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
    // SAFETY: the caller's promise.
    let leaves = unsafe { take_children(taker, cx) };
    cx.start(leaves)
}

/// The scope has stopped: the children will be given up when their turn comes.
///
/// # Safety
///
/// As for `take`.
#[cold]
unsafe fn give_up(taker: NonNull<Node>, cx: &mut Cx<'_>) -> Abandoned {
    // SAFETY: the caller's promise.
    let leaves = unsafe { take_children(taker, cx) };
    cx.add_ready(leaves);
    Abandoned::Caught(None)
}

/// # Safety
///
/// As for `take`. Afterwards the taker may be queued again, and is not the caller's.
unsafe fn take_children(taker: NonNull<Node>, cx: &mut Cx<'_>) -> List {
    // SAFETY: a queued taker is an input of its chunk, so that is alive.
    unsafe {
        let to = taker.as_ref().destination();
        let batch = taker.byte_sub(mem::offset_of!(Batch, taker)).cast::<Batch>();
        // Acquire, pairs with the Release of whoever added them.
        let first = batch.as_ref().children.swap(TAKEN, Ordering::Acquire);
        let leaves = List::from_stack(first, ptr::null_mut());
        let next = settle::arrive(to, cx);
        debug_assert!(next.is_none(), "the children are still out");
        leaves
    }
}

impl FanOut for Batch {
    type Stamp = Self;

    unsafe fn on_settled(_: NonNull<Node>, batch: Self, cx: &mut Cx<'_>) -> Option<Ready> {
        // SAFETY: the window belongs to the generator, which waits for the chunk.
        let window = unsafe { batch.window.as_ref() };
        let took = cx.host.now().saturating_duration_since(batch.opened_at);
        window.batch_settled(batch.len.get(), took).then_some(Ready(batch.pump))
    }
}

//! Many into one: a list of computations becomes the computation of the list of their results.
//!
//! A short list starts with the leaves of all its children. A long one starts with one leaf, its *pump*, which hands
//! the children out in chunks:
//!
//! ```text
//! Gather (the collected list)  <-- pump: one input, until the last child is handed out
//!    ^-- Chunk <-- child child child ..      each chunk one input, with a counter of its own
//!    ^-- Chunk <-- child child child ..
//! ```
//!
//! The pump lies below the children it has just handed out, so the worker that took it goes on with those, and a
//! thief, who takes the oldest, gets the pump and makes a chunk of its own. Chunks are guided: a share of what is
//! left, so that the first are large and the last are small enough to end together.

use std::borrow::Cow;
use std::mem;
use std::panic::Location;
use std::ptr::{self, NonNull};
use std::vec;

use super::chunk::{Chunk, FanOut};
use super::cx::Cx;
use super::delayed::{DC, Opened};
use super::memory;
use super::node::{Abandoned, Described, Destination, List, Node, Ready, Table};
use super::segment::Segment;
use super::settle;
use crate::error::Task;

/// Up to this many children start together and count on one node.
const SHORT_LEN_MAX: usize = 16;
/// Chunks beyond this size gain nothing, and keep more children alive at once.
const CHUNK_LEN_MAX: usize = 512;
/// Smaller chunks cost more than they balance.
const CHUNK_LEN_MIN: usize = 8;

/// Many computations into one: their results, in order.
///
/// All of them may run in parallel. If one fails, so does the whole. `collect::<DC<Vec<_>>>()` does the same.
///
/// ```
/// use taskgraph::DC;
///
/// let squares = taskgraph::all((0..4u64).map(|i| DC::new(|i: u64| i * i, (i,))));
/// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(squares)?, [0, 1, 4, 9]);
/// # Ok::<(), taskgraph::Error>(())
/// ```
#[track_caller]
pub fn all<T: Send + 'static>(delayed: impl IntoIterator<Item = DC<T>>) -> DC<Vec<T>> {
    let children: Vec<DC<T>> = delayed.into_iter().collect();
    if children.len() <= SHORT_LEN_MAX { short(children) } else { long(children) }
}

#[repr(C)]
struct Gather<T, S> {
    node: Node,
    results: Segment<T>,
    /// Children that were handed out, and will have arrived when the node is through.
    handed_out: usize,
    source: S,
}

/// The source of a short list: it has handed out everything from the start.
struct Exhausted;

/// The source of a long list.
struct Pump<T> {
    node: Node,
    children: vec::IntoIter<DC<T>>,
}

#[track_caller]
fn short<T: Send + 'static>(children: Vec<DC<T>>) -> DC<Vec<T>> {
    let gather = memory::allocate::<Gather<T, Exhausted>>();
    let mut results = Segment::with_capacity(children.len());
    let handed_out = children.len();
    let (leaves, missing) = hand_out(children, gather.cast(), &mut results, 0);
    let node = Node::new(Gather::<T, Exhausted>::TABLE, Location::caller(), missing);
    // SAFETY: the memory is room for a `Gather`, the children were attached to it, and `ready` are all leaves.
    unsafe {
        gather.write(Gather { node, results, handed_out, source: Exhausted });
        let ready = if missing == 0 { List::of(gather.cast()) } else { leaves };
        DC::from_parts(gather.cast(), ready)
    }
}

#[track_caller]
fn long<T: Send + 'static>(children: Vec<DC<T>>) -> DC<Vec<T>> {
    let gather = memory::allocate::<Gather<T, Pump<T>>>();
    let node = Node::new(Gather::<T, Pump<T>>::TABLE, Location::caller(), 1);
    let pump = Node::new(Gather::<T, Pump<T>>::PUMP, Location::caller(), 0);
    pump.attach(Destination::signal(gather.cast()));
    let results = Segment::with_capacity(children.len());
    let source = Pump { node: pump, children: children.into_iter() };
    // SAFETY: the memory is room for a `Gather`, whose only leaf is its pump.
    unsafe {
        gather.write(Gather { node, results, handed_out: 0, source });
        let pump = NonNull::new_unchecked(&raw mut (*gather.as_ptr()).source.node);
        DC::from_parts(gather.cast(), List::of(pump))
    }
}

/// Attaches children to `consumer`, the first of them as number `from`; gives their leaves, and how many will arrive.
#[inline(always)]
fn hand_out<T>(
    children: impl IntoIterator<Item = DC<T>>,
    consumer: NonNull<Node>,
    results: &mut Segment<T>,
    from: usize,
) -> (List, u32) {
    let (mut leaves, mut missing) = (List::EMPTY, 0);
    for (i, child) in children.into_iter().enumerate() {
        let slot = results.slot(from + i);
        match child.open() {
            // SAFETY: the slot is ours to fill.
            Opened::Done(value) => unsafe { value.move_to(slot.cast()) },
            Opened::Graph(node, ready) => {
                // SAFETY: the child's graph has not run, so its nodes are alive.
                unsafe { node.as_ref() }.attach(Destination { consumer: Some(consumer), slot: slot.cast() });
                leaves.append(ready);
                missing += 1;
            }
        }
    }
    (leaves, missing)
}

impl<T: Send + 'static, S> Gather<T, S> {
    const TABLE: &'static Table = &Table { step: Self::step, abandon: Self::abandon, describe: Self::describe };

    /// # Safety
    ///
    /// The node is alive.
    unsafe fn describe(node: NonNull<Node>) -> Described {
        // SAFETY: the caller's promise.
        let origin = unsafe { node.as_ref() }.origin();
        Described::Task(Task { name: Cow::Borrowed("all"), label: None, origin })
    }

    /// All results are there.
    ///
    /// # Safety
    ///
    /// The node is one of these, all in, and the caller's.
    unsafe fn step(node: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
        let gather = node.cast::<Self>();
        let at = gather.as_ptr();
        // SAFETY: every child has arrived with its value; the results are moved out once, and the source is empty.
        unsafe {
            let results = (*at).results.take((*at).handed_out);
            let to = (*at).node.destination();
            ptr::drop_in_place(&raw mut (*at).source);
            memory::free(gather);
            settle::deliver(to, results, cx)
        }
    }

    /// # Safety
    ///
    /// As for `step`, but children may have failed, or may never have been handed out.
    #[cold]
    unsafe fn abandon(node: NonNull<Node>, _: &mut Cx<'_>) -> Abandoned {
        let gather = node.cast::<Self>();
        let at = gather.as_ptr();
        // SAFETY: the node is ours; what it holds is dropped once, then its memory goes.
        unsafe {
            let (to, failed) = ((*at).node.destination(), (*at).node.take_failed());
            settle::drop_given_up(|| (*at).results.discard((*at).handed_out, &failed));
            ptr::drop_in_place(&raw mut (*at).source);
            memory::free(gather);
            Abandoned::Failed(to)
        }
    }
}

impl<T: Send + 'static> Gather<T, Pump<T>> {
    const PUMP: &'static Table = &Table { step: Self::pump, abandon: Self::stop, describe: |_| Described::Plumbing };

    /// # Safety
    ///
    /// The node is the pump of one of these.
    unsafe fn of_pump(pump: NonNull<Node>) -> NonNull<Self> {
        // SAFETY: the caller's promise.
        unsafe { pump.byte_sub(mem::offset_of!(Self, source) + mem::offset_of!(Pump<T>, node)).cast() }
    }

    /// Hands out one chunk.
    ///
    /// # Safety
    ///
    /// The node is the pump of one of these, ready, and the caller's.
    unsafe fn pump(pump: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
        // SAFETY: the pump is an input that has not arrived, so the gather is alive; its source and its results that
        // are not handed out are the pump's.
        unsafe {
            let gather = Self::of_pump(pump);
            let at = gather.as_ptr();
            let children = &mut (*at).source.children;
            let left = children.len();
            let share = left / (4 * cx.host.max_workers());
            let len = share.clamp(CHUNK_LEN_MIN, CHUNK_LEN_MAX).min(left);
            let first = (*at).handed_out;
            (*at).handed_out += len;
            let chunk = Chunk::<Self>::open(gather.cast(), 0, ());
            let (ready, missing) = hand_out(children.take(len), chunk, &mut (*at).results, first);
            if missing == 0 {
                Chunk::<Self>::discard(chunk);
            } else {
                chunk.as_ref().wait_for(missing);
                (*at).node.expect_input();
            }
            if len < left {
                cx.add_ready(List::of(pump));
            } else if let Some(through) = settle::arrive(Destination::signal(gather.cast()), cx) {
                debug_assert!(missing == 0, "the chunk is still out");
                return Some(through);
            }
            cx.start(ready)
        }
    }

    /// # Safety
    ///
    /// The node is the pump of one of these, and the caller's.
    #[cold]
    unsafe fn stop(pump: NonNull<Node>, _: &mut Cx<'_>) -> Abandoned {
        // SAFETY: the source is the pump's until it has arrived.
        unsafe {
            let at = Self::of_pump(pump).as_ptr();
            let children = mem::take(&mut (*at).source.children);
            settle::drop_given_up(|| drop(children));
            Abandoned::Failed(pump.as_ref().destination())
        }
    }
}

impl<T> FanOut for Gather<T, Pump<T>> {
    type Stamp = ();

    unsafe fn on_settled(_: NonNull<Node>, (): (), _: &mut Cx<'_>) -> Option<Ready> {
        None
    }
}

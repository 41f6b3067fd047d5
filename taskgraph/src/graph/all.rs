//! Many into one: a list of computations becomes the computation of the list of their results.
//!
//! A short list is a call with a [list](super::list) for an argument: it starts with the leaves of all its children. A
//! long one starts with one leaf, its *pump*, which hands the children out in chunks:
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

use std::mem;
use std::panic::Location;
use std::ptr::{self, NonNull};

use super::call::{self, Value};
use super::chunk::{Chunk, FanOut};
use super::cx::Cx;
use super::delayed::{DC, Opened};
use super::list::Listed;
use super::memory;
use super::node::{Abandoned, Described, Destination, List, Node, Ready, Table};
use super::segment::{Children, Segment};
use super::settle;

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
    match Listed::new(delayed.into_iter().collect()) {
        Listed::Long(list) => list,
        short => call::call::<All, Value, _, _, _>((short,), |(list,)| list),
    }
}

struct All;

impl call::Task for All {
    const NAME: &'static str = "all";
}

#[repr(C)]
struct Gather<T> {
    node: Node,
    pump: Node,
    results: Segment<T>,
    /// Children that were handed out, and will have arrived when the node is through.
    handed_out: usize,
    /// The others. Until the last of them the pump's.
    children: Children<T>,
}

#[track_caller]
pub(super) fn long<T: Send + 'static>(children: Vec<DC<T>>) -> DC<Vec<T>> {
    let gather = memory::allocate::<Gather<T>>();
    let node = Node::new(Gather::<T>::TABLE, Location::caller(), 1);
    let pump = Node::new(Gather::<T>::PUMP, Location::caller(), 0);
    pump.attach(Destination::signal(gather.cast()));
    let (results, children) = Segment::for_results(children);
    // SAFETY: the memory is room for a `Gather`, whose only leaf is its pump.
    unsafe {
        gather.write(Gather { node, pump, results, handed_out: 0, children });
        let pump = NonNull::new_unchecked(&raw mut (*gather.as_ptr()).pump);
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

impl<T: Send + 'static> Gather<T> {
    const TABLE: &'static Table = &Table { step: Self::step, abandon: Self::abandon, describe: Self::describe };

    /// # Safety
    ///
    /// The node is alive.
    unsafe fn describe(node: NonNull<Node>) -> Described {
        // SAFETY: the caller's promise.
        Described::Task(call::name::<All>(unsafe { node.as_ref() }.origin()))
    }

    /// All results are there.
    ///
    /// # Safety
    ///
    /// The node is one of these, all in, and the caller's.
    unsafe fn step(node: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
        let gather = node.cast::<Self>();
        let at = gather.as_ptr();
        // SAFETY: every child has arrived with its value; the results are moved out once, and there are no other children.
        unsafe {
            let results = (*at).results.take((*at).handed_out);
            let to = (*at).node.destination();
            ptr::drop_in_place(&raw mut (*at).children);
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
            ptr::drop_in_place(&raw mut (*at).children);
            memory::free(gather);
            Abandoned::Failed(to)
        }
    }

    const PUMP: &'static Table = &Table { step: Self::pump, abandon: Self::stop, describe: |_| Described::Plumbing };

    /// # Safety
    ///
    /// The node is the pump of one of these.
    unsafe fn of_pump(pump: NonNull<Node>) -> NonNull<Self> {
        // SAFETY: the caller's promise.
        unsafe { pump.byte_sub(mem::offset_of!(Self, pump)).cast() }
    }

    /// Hands out one chunk.
    ///
    /// # Safety
    ///
    /// The node is the pump of one of these, ready, and the caller's.
    unsafe fn pump(pump: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
        // SAFETY: the pump is an input that has not arrived, so the gather is alive; the children that are not handed
        // out and the slots for their results are the pump's.
        unsafe {
            let gather = Self::of_pump(pump);
            let at = gather.as_ptr();
            let children = &mut (*at).children;
            let left = children.len();
            let share = left / (4 * cx.host.max_workers());
            let len = share.clamp(CHUNK_LEN_MIN, CHUNK_LEN_MAX).min(left);
            let first = (*at).handed_out;
            (*at).handed_out += len;
            let chunk = Chunk::<Self>::open(gather.cast(), 0, ());
            let (ready, missing) = hand_out(children.by_ref().take(len), chunk, &mut (*at).results, first);
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
        // SAFETY: the children are the pump's until it has arrived.
        unsafe {
            let at = Self::of_pump(pump).as_ptr();
            let children = (*at).children.take_all();
            settle::drop_given_up(|| drop(children));
            Abandoned::Failed(pump.as_ref().destination())
        }
    }
}

impl<T> FanOut for Gather<T> {
    type Stamp = ();

    unsafe fn on_settled(_: NonNull<Node>, (): (), _: &mut Cx<'_>) -> Option<Ready> {
        None
    }
}

//! Many into one: a list of computations becomes the computation of the list of their results.
//!
//! A short list is a call with a [list] for an argument: it starts with the leaves of all its children. A
//! long one starts with one leaf, its *pump*, which hands the children out in chunks:
//!
//! ```text
//! Gather (the collected list)  <-- pump: one input, until the last child is handed out
//!    ^-- Chunk <-- child child child ..      each chunk one input, with a counter of its own
//!    ^-- Chunk <-- child child child ..
//! ```
//!
//! The pump lies below the chunks it has just made, so the worker that took it goes on with those, and a thief, who
//! takes the oldest, gets the pump and makes chunks of its own. Children are handed out by guided shares: a part of what
//! is left, so that the first are large and the last are small enough to end together.

pub(super) mod segment;
pub(super) mod list;
pub(super) mod chunk;

use std::marker::PhantomData;
use std::mem;
use std::ptr::NonNull;

use self::chunk::{Chunk, FanOut};
use self::list::Listed;
use self::segment::Segment;
use super::call::{self, Task, Value, task};
use super::cx::Cx;
use super::delayed::{DC, Opened};
use super::generator::desk::yield_all;
use super::generator::generate;
use super::node::links::List;
use super::node::memory;
use super::node::{Abandoned, Described, Destination, Node, Ready, Table};
use super::pump::in_flight::{InFlight, in_flight_max};
use super::pump::{self, Pumped};
use super::settle::{self, Why};
use crate::unwind;

/// How many children change hands together: more gain nothing.
const CHUNK_LEN_MAX: usize = 64;
/// How many chunks are made at once: with more, what is made would leave the cache before it is used.
const CHUNKS_MAX: usize = 8;
/// Smaller chunks cost more than they balance.
const CHUNK_LEN_MIN: usize = 8;

/// Makes one computation of many: their results, in order.
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
    gathered::<All, _>(delayed.into_iter().collect())
}

task!(pub(super) All "all", is_counted: false);

/// The same for a task of another name.
#[track_caller]
pub(super) fn gathered<N: Task, T: Send + 'static>(children: Vec<DC<T>>) -> DC<Vec<T>> {
    match Listed::of_task::<N>(children) {
        Listed::Long(list) => list,
        short => call::call::<N, Value, _, _, _>((short,), |(list,)| list),
    }
}

/// Makes a computation for each item, but only when a worker gets to it; gives their results, in order.
///
/// Like [`all`] of what `make` returns, but the computations are not made before they run, nor all by one thread: a million
/// of them need only the memory of their results. A few hundred are in flight for each worker, and a few thousand if they
/// wait.
///
/// If `items` does not know how many there are (after a `filter`, say), they are made one after the other, as by a generator.
///
/// `make` is called for one item at a time, so it should only make the computation, which does the work.
///
/// The run fails if `make` panics, or if there are more items than `items` said.
///
/// ```
/// #[taskgraph::delayed]
/// fn square(x: u64) -> u64 { x * x }
///
/// let squares = taskgraph::each(0..1_000, square).map(|squares| squares.into_iter().sum::<u64>());
/// assert_eq!(taskgraph::Runtime::builder().no_control().build()?.run(squares)?, 332_833_500);
/// # Ok::<(), taskgraph::Error>(())
/// ```
#[track_caller]
pub fn each<I, T, F>(items: I, make: F) -> DC<Vec<T>>
where
    I: IntoIterator<IntoIter: Send + 'static>,
    T: Send + 'static,
    F: FnMut(I::Item) -> DC<T> + Send + 'static,
{
    let children = items.into_iter().map(make);
    match children.size_hint() {
        (len, Some(len_max)) if len == len_max => {
            gather::<Each, _, _, true>(Segment::with_capacity(len), children, len)
        }
        _ => generate::<Each, Vec<T>, (), _, _>(|yielder| yield_all(yielder, children)),
    }
}

task!(Each "each", is_counted: false);

/// If `MAKES`, children are only made when they are handed out: then they may be too many to be in flight together.
#[repr(C)]
struct Gather<N, T, S, const MAKES: bool> {
    pumped: Pumped,
    in_flight: InFlight,
    results: Segment<T>,
    /// How many children were handed out: they will have arrived when the node is through.
    handed_out: usize,
    /// The others, and how many there are at most. The pump's until the last is handed out.
    children: Option<S>,
    left: usize,
    name: PhantomData<N>,
}

/// The children of a list too long for a node.
#[track_caller]
pub(super) fn long<N: Task, T: Send + 'static>(children: Vec<DC<T>>) -> DC<Vec<T>> {
    let left = children.len();
    let (results, children) = Segment::for_results(children);
    gather::<N, _, _, false>(results, children, left)
}

#[track_caller]
fn gather<N, T, S, const MAKES: bool>(results: Segment<T>, children: S, left: usize) -> DC<Vec<T>>
where
    N: Task,
    T: Send + 'static,
    S: Iterator<Item = DC<T>> + Send + 'static,
{
    let gather = memory::allocate::<Gather<N, T, S, MAKES>>();
    let node = gather.cast();
    let pumped = Pumped::new(node, Gather::<N, T, S, MAKES>::TABLE, Gather::<N, T, S, MAKES>::PUMP);
    let (handed_out, children) = (0, Some(children));
    let in_flight = InFlight::new();
    // SAFETY: the memory is room for a `Gather`, whose only leaf is its pump.
    unsafe {
        gather.write(Gather { pumped, in_flight, results, handed_out, children, left, name: PhantomData });
        let pump = Pumped::pump(node);
        if !MAKES {
            pump.as_ref().mark_starter();
        }
        DC::from_parts(node, List::of(pump))
    }
}

impl<N, T, S, const MAKES: bool> Gather<N, T, S, MAKES>
where
    N: Task,
    T: Send + 'static,
    S: Iterator<Item = DC<T>> + Send + 'static,
{
    const TABLE: &'static Table = &Table { step: Self::step, abandon: Self::abandon, describe: call::describe::<N> };

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
            let mut results = (*at).results.take((*at).handed_out);
            // The memory was that of the computations, which may be larger.
            results.shrink_to_fit();
            let to = node.as_ref().destination();
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
            let (to, failed) = (node.as_ref().destination(), node.as_ref().take_failed());
            settle::drop_given_up(|| (*at).results.discard((*at).handed_out, &failed));
            memory::free(gather);
            Abandoned::Failed(to)
        }
    }

    const PUMP: &'static Table = &Table { step: Self::pump, abandon: Self::stop, describe: |_| Described::Plumbing };

    /// Hands out some chunks.
    ///
    /// # Safety
    ///
    /// The node is the pump of one of these, ready, and the caller's.
    unsafe fn pump(pump: NonNull<Node>, cx: &mut Cx<'_>) -> Option<Ready> {
        // SAFETY: the pump is an input that has not arrived, so the gather is alive; the children that are not handed
        // out and the slots for their results are the pump's.
        let gather = unsafe { Pumped::of(pump) }.cast::<Self>();
        let at = gather.as_ptr();
        // SAFETY: as above.
        let left = unsafe { (*at).left };
        let share = left / (4 * cx.host.max_workers());
        let len = share.clamp(CHUNK_LEN_MIN, CHUNKS_MAX * CHUNK_LEN_MAX).min(left);
        let mut chunks = List::EMPTY;
        // SAFETY: as above.
        let is_through = unwind::catch(|| unsafe {
            let mut parts = (0..len).step_by(CHUNK_LEN_MAX).map(|from| CHUNK_LEN_MAX.min(len - from));
            let has_fewer = !parts.all(|part| Self::hand_out(gather, part, &mut chunks));
            if has_fewer || len < left {
                return has_fewer;
            }
            let children = (*at).children.as_mut().expect("the pump has not arrived");
            assert!(children.next().is_none(), "there are more items than their iterator's `size_hint` said");
            true
        });
        if let Ok(false) = is_through {
            // SAFETY: the pump is ours, in no list, and nobody has it before this step is over.
            unsafe {
                (*at).left = left - len;
                let full = in_flight_max(cx.host.max_workers());
                if !(MAKES && (*at).in_flight.park_if_full(full, full / 2)) {
                    // Below the chunks, so that a thief finds it first.
                    cx.add_ready(List::of(pump));
                }
            }
            return cx.start(chunks);
        }
        // SAFETY: the pump has nothing left to do, and arrives.
        let through = unsafe {
            let children = (*at).children.take();
            settle::drop_given_up(|| drop(children));
            pump::end::<N>(gather.cast(), is_through.map(drop).map_err(Why::Panicked), cx)
        };
        through.or_else(|| cx.start(chunks))
    }

    /// Adds a chunk of `len` children to `chunks`; false if there are fewer.
    ///
    /// # Safety
    ///
    /// There are slots for this many, and they are the caller's.
    #[inline(always)]
    unsafe fn hand_out(gather: NonNull<Self>, len: usize, chunks: &mut List) -> bool {
        // SAFETY: the caller's promise. `children` runs user code, which may panic between two of them.
        unsafe {
            let at = gather.as_ptr();
            let chunk = Chunk::<Self>::open(gather.cast(), 0, 0);
            let mut made = Made { chunk, gather, chunks, leaves: List::EMPTY, len: 0 };
            let children = (*at).children.as_mut().expect("the pump has not arrived");
            for _ in 0..len {
                let Some(child) = children.next() else { return false };
                let slot = (*at).results.slot((*at).handed_out);
                (*at).handed_out += 1;
                match child.open() {
                    Opened::Done(value) => value.move_to(slot.cast()),
                    Opened::Graph(node, leaves) => {
                        node.as_ref().attach(Destination { consumer: Some(chunk), slot: slot.cast() });
                        made.leaves.append(leaves);
                        made.len += 1;
                    }
                }
            }
        }
        true
    }

    /// # Safety
    ///
    /// The node is the pump of one of these, and the caller's.
    #[cold]
    unsafe fn stop(pump: NonNull<Node>, _: &mut Cx<'_>) -> Abandoned {
        // SAFETY: the children are the pump's until it has arrived.
        unsafe {
            let children = (*Pumped::of(pump).cast::<Self>().as_ptr()).children.take();
            settle::drop_given_up(|| drop(children));
            Abandoned::Failed(pump.as_ref().destination())
        }
    }
}

/// A chunk while its children are made; becomes one of the chunks however that ends.
struct Made<'a, N, T, S, const MAKES: bool> {
    chunk: NonNull<Node>,
    gather: NonNull<Gather<N, T, S, MAKES>>,
    chunks: &'a mut List,
    leaves: List,
    len: u32,
}

impl<N, T, S, const MAKES: bool> Drop for Made<'_, N, T, S, MAKES> {
    fn drop(&mut self) {
        // SAFETY: the chunk is ours, and so are the children that were attached to it; the gather waits for its pump.
        unsafe {
            if self.len == 0 {
                return Chunk::<Gather<N, T, S, MAKES>>::discard(self.chunk);
            }
            self.gather.cast::<Node>().as_ref().expect_input();
            if MAKES {
                (*self.gather.as_ptr()).in_flight.add(self.len);
                Chunk::<Gather<N, T, S, MAKES>>::stamp(self.chunk).write(self.len);
            }
            let leaves = mem::replace(&mut self.leaves, List::EMPTY);
            self.chunks.append(Chunk::<Gather<N, T, S, MAKES>>::hold(self.chunk, leaves, self.len));
        }
    }
}

impl<N, T, S, const MAKES: bool> FanOut for Gather<N, T, S, MAKES> {
    /// How many children it has, if that is counted.
    type Stamp = u32;

    unsafe fn on_settled(fan_out: NonNull<Node>, children: u32, _: &mut Cx<'_>) -> Option<Ready> {
        if !MAKES {
            return None;
        }
        // SAFETY: the fan-out is one of these, and waits for the chunk.
        unsafe {
            let at = fan_out.cast::<Self>().as_ptr();
            let is_ready = (*at).in_flight.settled(children);
            is_ready.then(|| Ready(Pumped::pump(fan_out)))
        }
    }
}
